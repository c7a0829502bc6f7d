//! The functions behind the API, one by one: `tests/bench` runs their release builds as Lambda runs them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::artifacts::{self, Kind};
use crate::bench::report::{Section, sections_of};
use crate::functions::FUNCTIONS;
use crate::places::Places;
use crate::process;
use crate::steps::Steps;

/// What measures.
const BENCH: &str = "bench";

/// What is measured: functions, and what they are measured against.
const PROGRAMS: [&str; 4] = ["status", "submit", "cancel", "hello"];

pub(crate) fn measure(places: &Places, steps: &Steps) -> Result<Vec<Section>> {
    let programs = steps.run("build the functions for AWS", |_| build_programs(places))?;
    let bench = steps.run("build what measures them", |_| build_bench(places))?;
    steps.run("measure the functions", |_| {
        let mut command = Command::new(bench);
        sections_of(command.arg("--report").arg("--programs").arg(programs))
    })
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

/// As the tests build it, which compiles nothing twice.
fn build_bench(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    let workspace = ["build", "--workspace", "--exclude", "e2e", "--locked"];
    cargo.args(workspace).args(["--bin", BENCH]);
    let built = artifacts::build(&mut cargo, |_| {})?;
    let mut programs = built.into_iter().filter(|one| one.kind == Kind::Program);
    let bench = programs.find(|one| one.name == BENCH);
    Ok(bench.context("cargo built no bench")?.executable)
}
