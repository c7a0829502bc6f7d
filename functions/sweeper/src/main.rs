//! Every minute: sees to tasks that nobody works on.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::sweeper::run()
}
