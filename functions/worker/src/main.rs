//! Processes items, as messages of the queue say.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::worker::run::<jobs::Jobs>()
}
