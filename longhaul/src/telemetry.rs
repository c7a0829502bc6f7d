//! Structured logs: one JSON object a line on standard output, which Lambda hands to `CloudWatch`,
//! with the `timestamp` and `level` by which Lambda filters them.
//!
//! What is logged are ids, states and errors; never tokens, bodies or idempotency keys.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The crates whose lines say what this module promises.
const OURS: [&str; 11] = [
    "authorizer",
    "cancel",
    "ended",
    "jobs",
    "live",
    "longhaul",
    "notify",
    "status",
    "submit",
    "sweeper",
    "worker",
];

/// Starts logging at the level that `LOG_LEVEL` names, `info` when it names none.
///
/// Below `info`, the libraries stay silent: Lambda's runtime would log whole events, with tokens and
/// bodies, and the SDK its requests.
pub fn init() {
    let level = std::env::var("LOG_LEVEL").ok();
    let level = level.and_then(|level| level.parse().ok());
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_filter(filter(level.unwrap_or(LevelFilter::INFO)));
    tracing_subscriber::registry().with(lines).init();
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_targets(OURS.map(|name| (name, level)))
}

/// An error and everything that caused it, on one line: for logs, never for answers.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn only_our_own_lines_go_below_info() {
        let trace = filter(LevelFilter::TRACE);
        assert!(trace.would_enable("worker::slice", &Level::TRACE));
        assert!(trace.would_enable("lambda_runtime", &Level::INFO));
        for library in [
            "lambda_runtime::layers",
            "aws_smithy_runtime",
            "hyper",
            "h2",
        ] {
            assert!(!trace.would_enable(library, &Level::DEBUG), "{library}");
        }
        let error = filter(LevelFilter::ERROR);
        assert!(!error.would_enable("worker", &Level::WARN));
        assert!(!error.would_enable("lambda_runtime", &Level::WARN));
    }
}
