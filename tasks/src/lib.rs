//! The domain of Longhaul and its two AWS adapters.
//!
//! Read [`task`] for what a task is and may become, then [`store`] for how `DynamoDB` is made to
//! guarantee it. [`chunk`] is the arithmetic of splitting a task, [`listing`] that of listing its items, [`forecast`]
//! that of the time it will still take; [`queue`] is the message that tells a worker where to look. [`api`] speaks the
//! HTTP contract, [`serve`](mod@serve) runs what answers it.
//! The rest is plumbing.
//!
//! The rule that holds it together: *the conditional expression is the guard, the message is only a
//! hint*. Losing, repeating, delaying or reordering messages, and crashing between any two calls,
//! may cost time, never correctness.

pub mod api;
pub mod aws;
pub mod chunk;
pub mod config;
pub mod exit;
pub mod forecast;
pub mod host;
pub mod listing;
pub mod queue;
pub mod serve;
pub mod store;
pub mod task;
pub mod telemetry;
