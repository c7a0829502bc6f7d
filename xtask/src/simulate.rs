//! `cargo xtask simulate`: builds the simulator as the tests build it, and runs it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::artifacts;
use crate::places::Places;
use crate::process;
use crate::steps::Steps;

/// The name of the simulator's binary.
const SIMULATOR: &str = "simulate";

/// Runs the simulator with these arguments; its exit code is the command's.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode> {
    let simulator = Steps::new().run("build the simulator", |_| build(places))?;
    let mut command = Command::new(simulator);
    let status = process::show(command.args(arguments))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The whole workspace is named, so that its dependencies get the features that the tests give them and are not
/// compiled again.
pub(crate) fn build(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    cargo.args([
        "build",
        "--workspace",
        "--exclude",
        "e2e",
        "--bin",
        SIMULATOR,
    ]);
    artifacts::program(artifacts::build(&mut cargo, |_| {})?, SIMULATOR)
}
