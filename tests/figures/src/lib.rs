//! What is measured, as all parts of `cargo xtask bench` report it: sections of rows, one figure each.
//!
//! A part in a program of its own prints its sections as JSON:
//!
//! ```json
//! [{"title": "Instructions", "notes": ["left out: …"], "rows": [
//!   {"name": "status: warm", "value": 666000, "unit": "instructions", "goal": {"at_most": 700000}},
//!   {"name": "status: warm, CPU time", "value": 210, "unit": "µs", "kind": "time"}
//! ]}]
//! ```

use serde::{Deserialize, Serialize};

/// Figures under a heading, which is also theirs in `docs/benchmarks.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The same in every run: by it and a row's name a figure is found again.
    pub title: String,
    /// What was left out, and what a reader of the figures must know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The figures.
    pub rows: Vec<Row>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Its value…
    pub value: f64,
    /// …and what that counts.
    pub unit: String,
    /// What it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Whether it is the same in every run.
    #[serde(default)]
    pub kind: Kind,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// Whether a figure is the same in every run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is, but for a few percent: what has been counted.
    #[default]
    Count,
    /// It is another on another machine, and another a minute later.
    Time,
}

impl Section {
    /// A section without figures.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            notes: vec![],
            rows: vec![],
        }
    }

    /// Says something of the figures, or why some are not there.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds what has been counted.
    pub fn count(&mut self, name: impl Into<String>, value: f64, unit: &str) -> &mut Row {
        self.add(name.into(), value, unit, Kind::Count)
    }

    /// Adds what has been timed, or depends on it.
    pub fn time(&mut self, name: impl Into<String>, value: f64, unit: &str) -> &mut Row {
        self.add(name.into(), value, unit, Kind::Time)
    }

    fn add(&mut self, name: String, value: f64, unit: &str, kind: Kind) -> &mut Row {
        self.rows.push(Row {
            name,
            value,
            unit: unit.to_owned(),
            goal: None,
            kind,
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }
}

impl Row {
    /// It should be no more than this, where there is a bound.
    pub fn at_most(&mut self, bound: impl Into<Option<f64>>) {
        self.goal = bound.into().map(Goal::AtMost);
    }

    /// It should be no less than this, where there is a bound.
    pub fn at_least(&mut self, bound: impl Into<Option<f64>>) {
        self.goal = bound.into().map(Goal::AtLeast);
    }
}

impl Goal {
    /// Whether such a figure is what it should be.
    #[must_use]
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    /// As it stands in a table.
    #[must_use]
    pub fn show(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
        }
    }
}

/// A number with as many digits as say something: `666,012`, `8.41`, `0.0375`.
#[must_use]
pub fn number(value: f64) -> String {
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
    fn what_is_left_out_of_the_json_is_what_usually_is_so() {
        let json = r#"[{"title": "A", "rows": [{"name": "b", "value": 3, "unit": "calls", "goal": {"at_most": 4}}]}]"#;
        let mut section = Section::new("A");
        section.count("b", 3.0, "calls").at_most(4.0);
        let read: Vec<Section> = serde_json::from_str(json).unwrap();
        assert_eq!(read, [section.clone()]);
        section.time("c", 0.5, "s").at_least(0.4);
        section.note("left out: d");
        let written = serde_json::to_string(&section).unwrap();
        assert_eq!(serde_json::from_str::<Section>(&written).unwrap(), section);
    }
}
