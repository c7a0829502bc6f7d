//! What is measured, as all parts of the bench report it: sections of rows, one figure each.
//!
//! A part in a program of its own prints its sections as JSON:
//!
//! ```json
//! [{"title": "Instructions", "notes": ["left out: …"], "rows": [
//!   {"name": "status: warm", "value": 666000, "unit": "instructions", "goal": {"at_most": 700000}},
//!   {"name": "status: warm, CPU time", "value": 210, "unit": "µs", "kind": "time"}
//! ]}]
//! ```

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::process;

/// Figures under a heading, which is also theirs in `docs/benchmarks.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// The same in every run: by it and a row's name a figure is found again.
    pub(crate) title: String,
    /// What was left out, and what a reader of the figures must know.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Goal>,
    #[serde(default)]
    pub(crate) kind: Kind,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// Whether a figure is the same in every run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// It is, but for a few percent: what has been counted.
    #[default]
    Count,
    /// It is another on another machine, and another a minute later.
    Time,
}

impl Goal {
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    pub(crate) fn show(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
        }
    }
}

/// The sections that a program prints.
pub(crate) fn sections_of(program: &mut Command) -> Result<Vec<Section>> {
    let said = process::capture(program, |_| {})?;
    let described = process::describe(program);
    ensure!(
        said.status.success(),
        "{described} failed:\n{}",
        process::tail(&said.stderr, 20)
    );
    serde_json::from_str(&said.stdout).with_context(|| format!("{described} printed no sections"))
}

/// A number with as many digits as say something: `666,012`, `8.41`, `0.0375`.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size < 100.0 && value.fract() != 0.0 {
        // Three digits, and none that says nothing.
        let before_the_first = (-size.log10().floor()).max(-1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "1 to 300"
        )]
        let decimals = (before_the_first + 2.0) as usize;
        let text = format!("{value:.decimals$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{size:.0}");
    let mut grouped = String::new();
    for (n, digit) in digits.char_indices() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 {
        grouped.insert(0, '-');
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_digits_that_say_something() {
        for (value, text) in [
            (0.0, "0"),
            (2.0, "2"),
            (666_012.4, "666,012"),
            (1000.0, "1,000"),
            (-1234.0, "-1,234"),
            (99.96, "100"),
            (23.44, "23.4"),
            (8.409, "8.41"),
            (8.4, "8.4"),
            (0.0375, "0.0375"),
            (0.5, "0.5"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_goal_is_met_at_its_bound() {
        assert!(Goal::AtMost(1.0).is_met_by(1.0) && !Goal::AtMost(1.0).is_met_by(1.1));
        assert!(Goal::AtLeast(1.0).is_met_by(1.0) && !Goal::AtLeast(1.0).is_met_by(0.9));
    }

    #[test]
    fn a_program_prints_sections() -> Result<()> {
        let json = r#"[{"title": "A", "rows": [{"name": "b", "value": 3, "unit": "calls", "goal": {"at_most": 4}}]}]"#;
        let sections = sections_of(Command::new("echo").arg(json))?;
        let row = &sections[0].rows[0];
        assert_eq!((row.goal, row.kind), (Some(Goal::AtMost(4.0)), Kind::Count));
        assert!(sections_of(Command::new("echo").arg("three")).is_err());
        assert!(sections_of(&mut Command::new("false")).is_err());
        Ok(())
    }
}
