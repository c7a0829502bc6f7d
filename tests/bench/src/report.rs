//! The figures as `cargo xtask bench` reads them: sections of rows (`xtask/src/bench/report.rs`).

use serde::Serialize;

/// Figures under a heading.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    title: String,
    notes: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    name: String,
    value: f64,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    kind: Kind,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Count,
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

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.notes.is_empty()
    }

    /// Says something of the figures, or why some are not there.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds what has been counted.
    pub fn count(&mut self, name: impl Into<String>, value: f64, unit: &str, goal: Option<Goal>) {
        self.add(name.into(), value, unit, goal, Kind::Count);
    }

    /// Adds what has been timed, or depends on it.
    pub fn time(&mut self, name: impl Into<String>, value: f64, unit: &str, goal: Option<Goal>) {
        self.add(name.into(), value, unit, goal, Kind::Time);
    }

    fn add(&mut self, name: String, value: f64, unit: &str, goal: Option<Goal>, kind: Kind) {
        self.rows.push(Row {
            name,
            value,
            unit: unit.to_owned(),
            goal,
            kind,
        });
    }
}
