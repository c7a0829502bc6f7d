//! `DELETE /api/{job}/{task_id}/`: cancels tasks.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul::cancel::run()
}
