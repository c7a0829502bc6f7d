//! How much of the code the tests watch over: each function of the library and the handlers is changed in every way that
//! `cargo mutants` knows, one at a time, and some test should notice.
//!
//! Two rounds. First the tests of the library and the handlers, which take seconds; then what they missed is tried
//! against a few of the simulator's runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cargo_tool::CargoTool;
use crate::places::Places;
use crate::process;
use crate::schedule::{Output, at_lowest_priority};

const CARGO_MUTANTS: CargoTool = CargoTool {
    name: "cargo-mutants",
    version: "27.1.0",
};

/// What part of the mutants has to be noticed, in percent.
const GOAL: usize = 90;

/// The tests of the first round: the library's.
const TESTS: [&str; 3] = ["--lib", "--test=jobs", "--test=protocol"];

/// Those of the second, of which these run.
const SIMULATOR: [&str; 1] = ["--test=simulation"];
const SIMULATOR_RUNS: [&str; 3] = ["seeds::no_seed", "undisturbed::", "calls::"];

/// Every mutant that compiles, by what became of it.
#[derive(Debug, Default, Deserialize, PartialEq)]
struct Score {
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Scenario {
    Baseline,
    Mutant { name: String },
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    Timeout,
    Unviable,
    Failure,
}

impl Score {
    fn read(directory: &Path) -> Result<Self> {
        let file = directory.join("mutants.out/outcomes.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn number(&self, of: &[Summary]) -> usize {
        let mutants = self.outcomes.iter().filter(|outcome| outcome.is_mutant());
        mutants
            .filter(|outcome| of.contains(&outcome.summary))
            .count()
    }

    fn missed(&self) -> impl Iterator<Item = &str> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome {
                scenario: Scenario::Mutant { name },
                summary: Summary::MissedMutant,
            } => Some(name.as_str()),
            _ => None,
        })
    }
}

impl Outcome {
    fn is_mutant(&self) -> bool {
        matches!(self.scenario, Scenario::Mutant { .. })
    }
}

/// Prints the score and what was missed; fails below the goal.
pub(crate) fn run(places: &Places, output: &mut Output) -> Result<()> {
    let cargo_mutants = CARGO_MUTANTS.install(places, output)?;
    let results = places.root.join("target/mutants");
    // Each round's results are moved aside by the next, which reads there what is left to be tried.
    if results.exists() {
        fs::remove_dir_all(&results)?;
    }
    fs::create_dir_all(&results)?;
    round(places, &cargo_mutants, &results, &TESTS, &[], output)?;
    let first = Score::read(&results)?;
    let mut missed: Vec<String> = first.missed().map(str::to_owned).collect();
    if !missed.is_empty() {
        let runs = &SIMULATOR_RUNS;
        round(places, &cargo_mutants, &results, &SIMULATOR, runs, output)?;
        missed = Score::read(&results)?.missed().map(str::to_owned).collect();
    }
    let noticed_or_missed = [
        Summary::CaughtMutant,
        Summary::Timeout,
        Summary::MissedMutant,
    ];
    report(first.number(&noticed_or_missed), &missed, output)
}

fn report(all: usize, missed: &[String], output: &mut Output) -> Result<()> {
    for name in missed {
        output.line(&format!("not noticed: {name}"));
    }
    ensure!(all > 0, "there was no mutant");
    let noticed = all - missed.len();
    let percent = noticed * 100 / all;
    output.line(&format!("{noticed} of {all} mutants noticed: {percent} %"));
    ensure!(
        percent >= GOAL,
        "{percent} % of the mutants are noticed, {GOAL} % ought to be"
    );
    Ok(())
}

/// One round in a copy of the tree, whose results are added to what earlier rounds found.
fn round(
    places: &Places,
    cargo_mutants: &Path,
    results: &Path,
    targets: &[&str],
    tests: &[&str],
    output: &mut Output,
) -> Result<()> {
    let mut command = Command::new(cargo_mutants);
    command
        .current_dir(&places.root)
        .args([
            "mutants",
            "--workspace",
            "--iterate",
            "--test-workspace",
            "true",
        ])
        .args([
            "--baseline",
            "skip",
            "--timeout",
            "120",
            "--no-times",
            "--colors",
            "never",
        ])
        .arg("--output")
        .arg(results)
        .args(["-C=--locked", "-C=--exclude=e2e"])
        // For what is compiled as well, which is most of the work.
        .args(targets.iter().map(|target| format!("-C={target}")))
        .args(["--", "--"])
        .args(tests);
    output.line(&format!("$ {}", process::describe(&command)));
    // Its exit code says whether anything was missed; the score says how much.
    process::capture(&mut at_lowest_priority(&command), |line| {
        if !line.starts_with("ok ") {
            output.line(line);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: &str = r#"{"outcomes": [
        {"scenario": "Baseline", "summary": "Success"},
        {"scenario": {"Mutant": {"name": "a", "file": "a.rs"}}, "summary": "CaughtMutant"},
        {"scenario": {"Mutant": {"name": "b", "file": "b.rs"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "c", "file": "c.rs"}}, "summary": "Unviable"},
        {"scenario": {"Mutant": {"name": "d", "file": "d.rs"}}, "summary": "Timeout"}
    ]}"#;

    #[test]
    fn only_what_compiles_counts_and_an_endless_loop_is_noticed() {
        let score: Score = serde_json::from_str(OUTCOMES).unwrap();
        let noticed = score.number(&[Summary::CaughtMutant, Summary::Timeout]);
        assert_eq!((noticed, score.missed().collect()), (2, vec!["b"]));
    }

    #[test]
    fn a_score_below_the_goal_is_a_failure_and_so_is_none() {
        let is_enough = |all, missed| {
            let missed = vec!["x".to_owned(); missed];
            report(all, &missed, &mut Output::kept()).is_ok()
        };
        assert!(is_enough(10, 1) && is_enough(1, 0));
        assert!(!is_enough(10, 2) && !is_enough(0, 0));
    }
}
