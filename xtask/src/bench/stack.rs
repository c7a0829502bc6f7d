//! What is measured on a local stack of the bench's own: how long tasks take, and what many users at once come to.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use figures::Section;

use crate::artifacts;
use crate::bench::report::sections_of;
use crate::commands::{self, UpOptions};
use crate::functions::Build;
use crate::places::Places;
use crate::process;
use crate::steps::Steps;

/// What measures: a client, in the package of the tests of the deployed whole.
const CLIENT: &str = "bench-stack";

pub(crate) fn time(places: &Places, steps: &Steps, build: Build) -> Result<Vec<Section>> {
    measure(places, steps, build, "time", "time tasks")
}

pub(crate) fn load(places: &Places, steps: &Steps, build: Build) -> Result<Vec<Section>> {
    measure(places, steps, build, "load", "have 200 users come at once")
}

/// On a stack with the template's settings, which is stopped whatever happens.
fn measure(
    places: &Places,
    steps: &Steps,
    build: Build,
    part: &str,
    what: &str,
) -> Result<Vec<Section>> {
    let client = steps.run("build the client", |_| build_client(places))?;
    // The developer's running stack is not touched.
    let places = places.with_state(places.shared().join("bench"));
    // A run that was killed may have left one behind.
    commands::stop_quietly(&places)?;
    let measured = commands::up(&places, &UpOptions::detached(build, &[])).and_then(|_| {
        let mut client = Command::new(client);
        client.arg(part).env("LONGHAUL_STACK", places.stack_file());
        steps.run(what, |_| sections_of(&mut client))
    });
    commands::stop_quietly(&places)?;
    let mut sections = measured?;
    if build != Build::Release {
        for section in &mut sections {
            let note = "the functions were debug builds, as the tests have them";
            section.notes.push(note.to_owned());
        }
    }
    Ok(sections)
}

/// Along with tests of its package, so that what all packages ask of their dependencies is what the tests have: nothing is
/// compiled twice.
fn build_client(places: &Places) -> Result<PathBuf> {
    let mut cargo = process::cargo(&places.root);
    cargo.args(["build", "--workspace", "--locked", "--bin", CLIENT]);
    cargo.args(["--test", "recovery"]);
    artifacts::program(artifacts::build(&mut cargo, |_| {})?, CLIENT)
}
