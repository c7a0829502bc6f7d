//! Builds the functions for this machine and puts them where the template's `CodeUri`s point.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::artifacts::{self, Built, Kind};
use crate::places::Places;
use crate::process;
use crate::steps::{Step, Steps, seconds};
use crate::template::Template;

/// The packages that are deployed; each has a binary of its own name.
pub(crate) const FUNCTIONS: [&str; 9] = [
    "submit",
    "status",
    "cancel",
    "worker",
    "sweeper",
    "live",
    "notify",
    "ended",
    "authorizer",
];

/// How the functions are built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Build {
    /// As fast as they can be had.
    Debug,
    /// As AWS gets them.
    Release,
    /// As the tests build them. Cargo enables what any package of a build asks of a dependency, so the plain debug
    /// build would compile the AWS SDK a second time, for minutes.
    AlongWithTests,
}

/// Builds, then refreshes the deployment directory. Unchanged files are left alone, so that the deploy skips them.
pub(crate) fn build(places: &Places, steps: &Steps, how: Build) -> Result<()> {
    let built = steps.run("build the functions", |step| compile(places, step, how))?;
    stage(places, &built)
}

fn compile(places: &Places, step: &Step, how: Build) -> Result<Vec<Built>> {
    let started = Instant::now();
    let mut cargo = process::cargo(&places.root);
    cargo.args(["build", "--bins"]);
    if how == Build::AlongWithTests {
        cargo.args(["--workspace", "--exclude", "e2e", "--tests"]);
    } else {
        cargo.args(
            FUNCTIONS
                .iter()
                .flat_map(|function| ["--package", function]),
        );
    }
    if how == Build::Release {
        cargo.arg("--release");
    }
    let mut crates = 0;
    let mut built = artifacts::build(&mut cargo, |line| {
        if let Some(compiling) = line.trim_start().strip_prefix("Compiling ") {
            crates += 1;
            step.busy_with(&format!("{compiling} ({crates})"));
        }
    })?;
    built.retain(|one| one.kind == Kind::Program && FUNCTIONS.contains(&one.name.as_str()));
    for function in FUNCTIONS {
        if !built.iter().any(|one| one.name == function) {
            bail!("package {function} has no binary named {function}");
        }
    }
    step.result(if crates == 0 {
        "nothing changed".to_owned()
    } else {
        format!("{crates} crates in {}", seconds(started.elapsed()))
    });
    Ok(built)
}

fn stage(places: &Places, built: &[Built]) -> Result<()> {
    let template = Template::read(places)?;
    let deployment = places.deployment();
    for Built {
        name, executable, ..
    } in built
    {
        let bootstrap = deployment.join(template.code_uri(name)?).join("bootstrap");
        write_if_changed(&bootstrap, &fs::read(executable)?)?;
        fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755))?;
    }
    write_if_changed(
        &deployment.join("template.yaml"),
        &fs::read(places.template())?,
    )
}

/// Writes a file with its directories, unless it has that content already.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
