//! What is proved by simulation, beyond the seeds that `simulate` runs.

#![expect(
    clippy::expect_used,
    reason = "what is not as expected is a failed test"
)]

mod calls;
mod crash_points;
mod fairness;
mod guards;
mod seeds;
