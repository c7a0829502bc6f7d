//! Structured logs: one JSON object a line on standard output, which Lambda hands to `CloudWatch`,
//! with the `timestamp` and `level` by which Lambda filters them.
//!
//! What is logged are ids, states and errors; never tokens, bodies or idempotency keys.

use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `LOG_LEVEL` names, `info` when it names none.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .with_env_var("LOG_LEVEL")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter)
        .init();
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
