//! `cargo xtask simulate`: builds the simulator as the tests build it, and runs it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::places::Places;
use crate::process;
use crate::steps::Steps;

/// The name of the simulator's binary.
const SIMULATOR: &str = "simulate";

/// The one message of `cargo build --message-format=json` that matters here.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

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
fn build(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    cargo.args([
        "build",
        "--workspace",
        "--exclude",
        "e2e",
        "--bin",
        SIMULATOR,
    ]);
    cargo.arg("--message-format=json-render-diagnostics");
    let output = process::capture(&mut cargo, |_| {})?;
    if !output.status.success() {
        bail!(
            "the simulator does not build:\n{}",
            output.stderr.trim_end()
        );
    }
    output
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.name == SIMULATOR)
        .find_map(|artifact| artifact.executable)
        .context("cargo built no simulator")
}
