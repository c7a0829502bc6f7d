//! `POST /api/{job}/`: accepts tasks.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    longhaul::submit::run::<jobs::Jobs>()
}
