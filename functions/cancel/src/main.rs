//! `DELETE /api/{job}/{task_id}/`: cancels tasks.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    longhaul::cancel::run()
}
