//! What is measured by simulation of the real handlers: what tasks cost, what is shown of them, and how far they scale.

use std::process::Command;

use anyhow::Result;
use figures::Section;

use crate::bench::report::sections_of;
use crate::places::Places;
use crate::simulate;
use crate::steps::Steps;

pub(crate) fn tasks(places: &Places, steps: &Steps) -> Result<Vec<Section>> {
    simulate(places, steps, "tasks", "measure what tasks cost")
}

pub(crate) fn watching(places: &Places, steps: &Steps) -> Result<Vec<Section>> {
    let what = "measure what is shown to who looks on";
    simulate(places, steps, "watching", what)
}

pub(crate) fn scale(places: &Places, steps: &Steps) -> Result<Vec<Section>> {
    simulate(
        places,
        steps,
        "scale",
        "have up to 10,000 users come at once",
    )
}

fn simulate(places: &Places, steps: &Steps, bench: &str, what: &str) -> Result<Vec<Section>> {
    let simulator = steps.run("build the simulator", |_| simulate::build(places))?;
    steps.run(what, |_| {
        sections_of(Command::new(simulator).args(["--bench", bench, "--json"]))
    })
}
