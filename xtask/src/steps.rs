//! Shows what is being done, for how long, and what came of it: a spinner on a terminal, plain lines in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::interrupt::Interrupted;

/// The steps of one command.
#[derive(Debug)]
pub(crate) struct Steps {
    on_terminal: bool,
}

/// The step at work; lets the work say what it is busy with and what came of it.
#[derive(Debug)]
pub(crate) struct Step {
    bar: Option<ProgressBar>,
    result: std::cell::RefCell<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Does one step. The name reads as what is being done: "install the tools".
    pub(crate) fn run<T>(&self, name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let step = Step {
            bar: self.on_terminal.then(|| spinner(name)),
            result: std::cell::RefCell::default(),
        };
        if !self.on_terminal {
            eprintln!("- {name}");
        }
        let outcome = work(&step);
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        let (mark, result) = match &outcome {
            Ok(_) => ("✓", step.result.take()),
            Err(error) if error.is::<Interrupted>() => ("✗", "interrupted".to_owned()),
            Err(_) => ("✗", "failed".to_owned()),
        };
        let elapsed = seconds(started.elapsed());
        if self.on_terminal {
            eprintln!("{mark} {name:<32} {elapsed:>8}  {result}");
        } else {
            let separator = if result.is_empty() { "" } else { ": " };
            eprintln!("  {mark} {elapsed}{separator}{result}");
        }
        outcome
    }
}

impl Step {
    /// What the step is busy with; seen only on a terminal.
    pub(crate) fn busy_with(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// What came of the step, when success alone says too little.
    pub(crate) fn result(&self, result: impl Into<String>) {
        self.result.replace(result.into());
    }
}

fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {prefix:<32} {elapsed:>8}  {wide_msg}")
    {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// `0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_as_precise_as_a_reader_needs() {
        for (duration, text) in [
            (Duration::from_millis(420), "0.4 s"),
            (Duration::from_secs(41), "41 s"),
            (Duration::from_secs(200), "3 min 20 s"),
            (Duration::from_mins(125), "2 h 5 min"),
        ] {
            assert_eq!(seconds(duration), text);
        }
    }
}
