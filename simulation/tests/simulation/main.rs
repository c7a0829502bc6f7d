//! What is proved by simulation, beyond the seeds that `simulate` runs.

mod calls;
mod crash_points;
mod fairness;
mod guards;
mod seeds;
mod undisturbed;
