//! `GET /api/…`: what became of tasks.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    longhaul::status::run::<jobs::Jobs>()
}
