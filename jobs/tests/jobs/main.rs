//! The jobs as they are asked for and worked on.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod deliver_messages;
mod features;
mod import_contacts;
mod openapi;
mod tuned_long_running_task;
