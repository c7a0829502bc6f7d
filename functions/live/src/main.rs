//! `POST /api/live/` and the WebSocket API: tickets, and who is connected.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::live::run()
}
