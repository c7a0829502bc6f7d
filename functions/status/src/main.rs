//! `GET /api/…`: what became of tasks.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::status::run::<jobs::Jobs>()
}
