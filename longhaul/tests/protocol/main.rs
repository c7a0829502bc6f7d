//! What is deployed, against an embedded AWS: the store and everything that works with it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod authorizer;
mod cancel;
mod ended;
mod formats;
mod jobs;
mod listeners;
mod live;
mod notify;
mod own_worker;
mod pauses;
mod retry;
mod status;
mod store;
mod submit;
mod sweeper;
mod worker;
