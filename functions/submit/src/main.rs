//! `POST /api/{job}/`: accepts tasks.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::submit::run::<jobs::Jobs>()
}
