//! The jobs as they are asked for and worked on, and what is left out where they are only asked for.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bootstraps;
mod import_contacts;
mod tuned_long_running_task;
