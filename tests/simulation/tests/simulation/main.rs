//! What is proved by simulation, beyond the seeds that `simulate` runs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

mod costs;
mod crash_points;
mod crowd;
mod estimates;
mod fairness;
mod guards;
mod hostile_events;
mod hostile_tidings;
mod live;
mod permissions;
mod seeds;
mod undisturbed;
