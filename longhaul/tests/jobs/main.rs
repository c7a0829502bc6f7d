//! Jobs as functions use them: requests are read, jobs are described, items are done.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod descriptions;
mod openapi;
mod requests;
mod runners;
mod watchdog;
