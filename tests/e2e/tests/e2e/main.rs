//! Black-box tests of a deployed stack. They need `LONGHAUL_STACK`; `cargo xtask test` provides it.

mod bad_input;
mod basic;
mod cancel;
mod deliver;
mod ended;
mod headers;
mod idempotency;
mod identity;
mod import;
mod live;
mod one_task_per_user;
mod page;
mod privacy;
mod progress;
mod retry;
