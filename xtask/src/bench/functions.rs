//! The functions behind the API, one by one: `tests/bench` runs their release builds as Lambda runs them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use figures::Section;

use crate::artifacts;
use crate::bench::report::sections_of;
use crate::functions::FUNCTIONS;
use crate::interrupt::Interrupted;
use crate::places::Places;
use crate::process;
use crate::steps::Steps;
use crate::tools;

/// What measures.
const BENCH: &str = "bench";

/// What is measured: functions, and the least that one can be.
const PROGRAMS: [&str; 5] = ["status", "submit", "cancel", "worker", "hello"];

/// The SDK with its defaults.
const WITH_DEFAULTS: &str = "status-with-sdk-defaults";

pub(crate) fn measure(places: &Places, steps: &Steps) -> Result<Vec<Section>> {
    if !cfg!(target_os = "linux") {
        return Ok(vec![left_out("only Linux tells what a process has used")]);
    }
    let programs = steps.run("build the functions for AWS", |_| build_programs(places))?;
    steps.run("build one with the SDK's defaults", |_| {
        build_with_defaults(places)
    })?;
    let bench = steps.run("build what measures them", |_| build_bench(places))?;
    let mut command = Command::new(bench);
    command.env("RUST_BACKTRACE", "0");
    command.arg("--report").arg("--programs").arg(programs);
    let mut notes = vec![];
    match tools::install_yardsticks(places, steps) {
        Ok(python) => {
            let yardsticks = places.root.join("tests/yardsticks");
            command.arg("--python").arg(python);
            command.arg("--yardsticks").arg(yardsticks);
        }
        Err(error) if error.is::<Interrupted>() => return Err(error),
        // Not every Python has packages of all that.
        Err(error) => notes.push(left_out(&format!("boto3 and Django: {error:#}"))),
    }
    let sections = steps.run("measure the functions", |_| sections_of(&mut command))?;
    Ok(sections.into_iter().chain(notes).collect())
}

fn left_out(why: &str) -> Section {
    let mut section = Section::new("Left out");
    section.note(format!("left out: {why}"));
    section
}

/// Release builds, with what all functions together ask of their dependencies, as `cargo lambda build` makes them.
fn build_programs(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    cargo.args(["build", "--release", "--locked"]);
    // What is built in parts is larger and slower.
    cargo.env_remove("CARGO_INCREMENTAL");
    let packages = FUNCTIONS.into_iter().chain(["yardsticks"]);
    cargo.args(packages.flat_map(|package| ["--package", package]));
    cargo.args(PROGRAMS.into_iter().flat_map(|name| ["--bin", name]));
    let built = artifacts::build(&mut cargo, |_| {})?;
    let one = built.first().context("cargo built nothing")?;
    let folder = one
        .executable
        .parent()
        .context("a program is in a folder")?;
    Ok(folder.to_owned())
}

/// By itself: its features are to reach nothing else.
fn build_with_defaults(places: &Places) -> Result<()> {
    let mut cargo = process::cargo(&places.root);
    cargo.args(["build", "--release", "--locked", "--package", "yardsticks"]);
    cargo.args(["--features", "sdk-defaults", "--bin", WITH_DEFAULTS]);
    cargo.env_remove("CARGO_INCREMENTAL");
    artifacts::build(&mut cargo, |_| {}).map(drop)
}

/// As the tests build it, which compiles nothing twice.
fn build_bench(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    let workspace = ["build", "--workspace", "--exclude", "e2e", "--locked"];
    cargo.args(workspace).args(["--bin", BENCH]);
    artifacts::program(artifacts::build(&mut cargo, |_| {})?, BENCH)
}
