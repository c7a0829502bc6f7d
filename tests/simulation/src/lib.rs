//! A deterministic simulator of the real handlers, and what is proved with it. Never deployed.
//!
//! The handlers, the store, the queue and the AWS SDK's clients are the ones that run on AWS. Around
//! them everything is made up from one number, the seed: time stands still until nothing is left to
//! do and then jumps, machines die, answers get lost, calls arrive late, clocks are wrong, the queue
//! loses, repeats, delays and reorders, users change their minds. After every call that reached the
//! table the [ledger](mod@ledger) judges what it changed. A run is the same to the byte for the same
//! seed, so what went wrong once can be looked at again.
//!
//! - [`scenario`] says what happens; it is drawn from a seed or written by a test.
//! - [`run()`] makes it happen; [`hunt`] does so for many seeds.
//! - [`costs`] measures what a task costs in calls, capacity and bytes; [`watching`] what it costs to look on, in dollars.
//! - [`per_task`] measures what it comes to in all, in dollars, beside a [`naive`] design; [`bench`] has all that is in
//!   `docs/benchmarks.md`.
//! - [`staleness`] measures how far what they are shown is behind, [`crowd`] what many users at once run into.
//! - [`estimates`] measures what clients are told of the time left.
//! - `world` decides the fate of every call; `ledger` holds every invariant, `live` those of live updates and of events;
//!   `client` holds what clients are told against what is true.
//! - `stream` hands on what is written of tasks, `gateway` has connections, and `page` looks on over them.
//!
//! The crate asks for the feature `drop-guards` of `longhaul`, which lets a thread take one of the
//! store's conditions away. A deployed function is built without it (`cargo build -p worker` does not
//! build this crate); in a build of the whole workspace it is there and does nothing unless asked.

pub mod bench;
pub mod bill;
mod client;
pub mod costs;
pub mod crowd;
pub mod estimates;
mod gateway;
mod given;
pub mod hunt;
pub mod jobs;
mod ledger;
mod live;
pub mod naive;
mod page;
pub mod per_task;
mod permission;
pub mod prices;
mod process;
mod queue;
mod run;
pub mod scaling;
pub mod scenario;
mod screen;
mod site;
pub mod staleness;
mod stream;
mod table;
mod trace;
mod watch;
pub mod watching;
mod world;

pub use live::Count;
pub use permission::{Permission, permissions};
pub use run::{Report, run};
pub use site::Function;
pub use watch::{News, Poll, Sample, Watched};
pub use world::{Figures, Polled};
