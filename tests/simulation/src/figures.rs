//! What is measured, as `cargo xtask bench` takes it: sections of named values, each with its unit and, where there is one,
//! its goal.

use serde::Serialize;

/// Figures that belong together.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// What they are about.
    pub title: String,
    /// What a reader of them must know.
    pub notes: Vec<String>,
    /// The figures.
    pub rows: Vec<Row>,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Its value…
    pub value: f64,
    /// …and what that counts.
    pub unit: &'static str,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
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

    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) -> &mut Row {
        self.rows.push(Row {
            name: name.into(),
            value,
            unit,
            goal: None,
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }
}

impl Row {
    /// It should be no more than this.
    pub fn at_most(&mut self, goal: f64) {
        self.goal = Some(Goal::AtMost(goal));
    }
}
