//! The table's stream: says on an event bus that a task has ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::ended::run()
}
