//! Running the checker and saying what it found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker as _, Expectation, HasDiscoveries, Model as _};

use crate::{Action, Longhaul, Rules};

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To every state.
    Everything,
    /// Until about so many steps were tried, breadth first. There are four to eight steps for each
    /// state that is new.
    Steps(usize),
    /// To every state that so many states lead to, the first and itself among them.
    Depth(usize),
}

/// What the checker found.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many different states there were.
    pub states: usize,
    /// How many steps led to them.
    pub steps: usize,
    /// How many steps the longest history had.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// For each broken rule, a history that breaks it.
    pub broken: BTreeMap<&'static str, Vec<Action>>,
    /// What was found to be possible.
    pub possible: Vec<&'static str>,
}

/// Looks for one of the shortest histories that break a rule, this one or any: `None` if none does.
///
/// In a history workers change places, because states that differ in nothing else are one.
#[must_use]
pub fn shortest_break(rules: Rules, rule: Option<&'static str>) -> Option<Report> {
    // The checker goes on for a while after it has found something, and keeps what it finds last.
    let mut before = 0;
    for depth in 2.. {
        let report = check_for(rules, rule, Extent::Depth(depth), 1);
        let found = match rule {
            Some(rule) => report.broken.contains_key(rule),
            None => !report.broken.is_empty(),
        };
        if found {
            return Some(report);
        }
        if report.states == before {
            break;
        }
        before = report.states;
    }
    None
}

/// Visits states until a rule is broken, or as far as is asked for.
#[must_use]
pub fn check(rules: Rules, extent: Extent, threads: usize) -> Report {
    check_for(rules, None, extent, threads)
}

/// The same, until this rule is broken, if one is named.
fn check_for(rules: Rules, rule: Option<&'static str>, extent: Extent, threads: usize) -> Report {
    let ends = match rule {
        Some(rule) => HasDiscoveries::AnyOf([rule].into()),
        None => HasDiscoveries::AnyFailures,
    };
    let begun = Instant::now();
    let mut builder = Longhaul(rules).checker().threads(threads).finish_when(ends);
    match extent {
        Extent::Everything => {}
        Extent::Steps(steps) => builder = builder.target_state_count(steps),
        Extent::Depth(depth) => builder = builder.target_max_depth(depth),
    }
    let checker = builder.spawn_bfs().join();
    let mut broken = BTreeMap::new();
    let mut possible = Vec::new();
    for (name, path) in checker.discoveries() {
        if checker.model().property(name).expectation == Expectation::Always {
            broken.insert(name, path.into_actions());
        } else {
            possible.push(name);
        }
    }
    possible.sort_unstable();
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: begun.elapsed(),
        broken,
        possible,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            states,
            steps,
            depth,
            took,
            ..
        } = self;
        writeln!(
            f,
            "{states} states, {steps} steps, up to {depth} deep, in {:.1} s",
            took.as_secs_f32()
        )?;
        for (rule, history) in &self.broken {
            writeln!(f, "broken in {} steps: {rule}", history.len())?;
            for action in history {
                writeln!(f, "    {action:?}")?;
            }
        }
        if self.broken.is_empty() {
            writeln!(f, "possible: {}", self.possible.join(", "))?;
        }
        Ok(())
    }
}
