//! `cargo xtask bench`: measures what is claimed to be fast and cheap, and compares it with `docs/benchmarks.md`.
//!
//! It is made of parts, each of which builds what it needs and reports sections of figures. What a part cannot measure on
//! this machine it leaves out, and says so.

mod chart;
mod committed;
mod functions;
mod report;
mod simulation;
mod stack;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use figures::{Section, number};
use serde_json::json;

use crate::bench::committed::{Change, Committed};
use crate::functions::Build;
use crate::places::Places;
use crate::steps::Steps;

/// Something that can be measured by itself.
struct Part {
    name: &'static str,
    measure: fn(&Places, &Steps, Build) -> Result<Vec<Section>>,
}

/// In the order of the report.
const PARTS: [Part; 6] = [
    Part {
        name: "harness",
        measure: |places, steps, _| functions::measure(places, steps),
    },
    Part {
        name: "tasks",
        measure: |places, steps, _| simulation::tasks(places, steps),
    },
    Part {
        name: "watching",
        measure: |places, steps, _| simulation::watching(places, steps),
    },
    Part {
        name: "scale",
        measure: |places, steps, _| simulation::scale(places, steps),
    },
    Part {
        name: "time",
        measure: stack::time,
    },
    Part {
        name: "load",
        measure: stack::load,
    },
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure only this part (give it more than once for several)
    #[arg(long = "only", value_name = "PART", value_parser = PARTS.map(|part| part.name))]
    only: Vec<String>,
    /// Write the figures into docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// Build what is deployed as the tests build it, which compiles nothing twice
    #[arg(long, hide = true)]
    along_with_tests: bool,
}

/// Measures, prints, compares, and writes `target/bench/report.json` and `report.svg`.
pub(crate) fn run(places: &Places, options: &Options) -> Result<ExitCode> {
    let steps = Steps::new();
    let page_file = places.benchmarks();
    let page = fs::read_to_string(&page_file)
        .with_context(|| format!("cannot read {}", page_file.display()))?;
    let committed = Committed::read(&page)?;
    let build = if options.along_with_tests {
        Build::AlongWithTests
    } else {
        Build::Release
    };
    let mut sections = Vec::new();
    for part in PARTS {
        if options.only.is_empty() || options.only.iter().any(|name| name == part.name) {
            sections.extend((part.measure)(places, &steps, build)?);
        }
    }
    for section in &sections {
        print(section, &committed);
    }
    let folder = places.root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let report = serde_json::to_string_pretty(&json!({"sections": sections}))?;
    fs::write(folder.join("report.json"), report)?;
    fs::write(folder.join("report.svg"), chart::svg(&sections))?;
    println!("\n{}", summary(&sections, &committed));
    println!("{}", folder.join("report.json").display());
    println!("{}", folder.join("report.svg").display());
    if options.write {
        fs::write(&page_file, committed::rewritten(&page, &sections))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(section: &Section, committed: &Committed) {
    println!("\n{}\n", section.title);
    let widths = section.rows.iter().map(|row| row.name.chars().count());
    let width = widths.max().unwrap_or(0);
    for row in &section.rows {
        let goal = row.goal.map_or(String::new(), |goal| {
            let mark = if goal.is_met_by(row.value) {
                "✓"
            } else {
                "✗"
            };
            format!("{mark} {}", goal.show())
        });
        let change = match committed.change(&section.title, row) {
            Change::New => "new".to_owned(),
            Change::Same(0.0) => String::new(),
            Change::Same(change) => format!("{:+.1} %", change * 100.0),
            Change::Different(change) => format!("{:+.1} %  ← changed", change * 100.0),
        };
        let (name, value, unit) = (&row.name, number(row.value), &row.unit);
        println!("  {name:<width$} {value:>13} {unit:<13} {goal:<14} {change}");
    }
    for name in committed.missing(section) {
        println!("  {name:<width$} {:>13}", "missing");
    }
    for note in &section.notes {
        println!("  {note}");
    }
}

fn summary(sections: &[Section], committed: &Committed) -> String {
    let (mut goals, mut met, mut changed) = (0, 0, 0);
    for section in sections {
        for row in &section.rows {
            goals += usize::from(row.goal.is_some());
            met += usize::from(row.goal.is_some_and(|goal| goal.is_met_by(row.value)));
            let change = committed.change(&section.title, row);
            changed += usize::from(matches!(change, Change::Different(_)));
        }
    }
    format!("{met} of {goals} goals are met; {changed} counts differ from docs/benchmarks.md.")
}
