//! The table's stream: tells pages of every change.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::notify::run()
}
