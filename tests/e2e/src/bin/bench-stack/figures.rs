//! Figures as `cargo xtask bench` reads them.

use serde::Serialize;

/// Figures under a heading.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A figure.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    kind: Kind,
}

/// What it should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Count,
    Time,
}

impl Row {
    /// What is the same in every run.
    pub(crate) fn count(name: &str, value: usize, unit: &'static str) -> Self {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            kind: Kind::Count,
            ..Self::time(name, value.into(), unit)
        }
    }

    /// What depends on the machine, and on what else it has to do.
    pub(crate) fn time(name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            goal: None,
            kind: Kind::Time,
        }
    }

    pub(crate) fn with_goal(self, goal: Option<Goal>) -> Self {
        Self { goal, ..self }
    }
}
