//! The work itself: **this is the file to replace.**
//!
//! Longhaul calls [`process_item`] once for every item of a task, many at a time, and keeps count.
//! Make it do what your items need; everything else can stay as it is. What it may rely on:
//!
//! - It runs *at least* once for each item. A worker that dies, or loses its lease, leaves its
//!   unfinished items to another, so processing an item twice must do no harm. What is stored and
//!   counted is the result of one run, whichever stored its own first.
//! - Items of a task run concurrently (`ITEMS_IN_FLIGHT`), on one thread: wait with `.await`, and
//!   hand long computations to `tokio::task::spawn_blocking`.
//! - [`ItemError::Retryable`] is tried again a moment later, three times in all, as long as the
//!   invocation has time for it. [`ItemError::Permanent`] is not, and neither is a panic. Either way
//!   the task goes on, and ends as failed if an item did.
//! - When the task is cancelled, or the invocation's time is up, the future is dropped at an
//!   `.await`.
//! - It must finish well within the function's timeout (`WorkerTimeoutSeconds` in the template).
//!
//! State that is worth keeping between items, such as a client or a connection pool, belongs into
//! [`Settings`], which is made once when the function starts.

use std::time::Duration;

use crate::chunk::ItemIndex;
use crate::config::Environment;
use crate::task::{TaskId, UserId};

/// What there is to process.
#[derive(Clone, Debug)]
pub struct Item {
    /// Whose task it is part of.
    pub user: UserId,
    /// The task it is part of.
    pub task_id: TaskId,
    /// Which item of the task, from 0.
    pub index: ItemIndex,
}

/// What processing an item yields: it is stored and shown in the list of the task's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processed {
    /// A short name.
    pub name: String,
    /// Anything worth saying.
    pub description: String,
}

impl Processed {
    /// So many bytes may name and description have together; an item that yields more fails. A page of
    /// a thousand items has to fit into one answer of a function (6 MB, AWS Lambda quotas).
    pub const BYTES_MAX: usize = 4096;
}

/// Why an item could not be processed, in a sentence that its user may read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It may work in a moment.
    #[error("{0}")]
    Retryable(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

/// What [`process_item`] is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an item takes.
    pub item_duration: Duration,
    /// One item in so many fails; none if it is 0.
    pub fail_every: u64,
}

impl Settings {
    /// Reads the part of the environment that concerns items.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            item_duration: environment.seconds("ITEM_SECONDS", 0.0..=600.0),
            fail_every: environment.number("FAIL_EVERY", 0..=1_000_000),
        }
    }
}

/// Processes one item. The sample waits, and then names it or fails.
///
/// # Errors
///
/// [`ItemError::Permanent`] for one item in `fail_every`.
pub async fn process_item(item: Item, settings: &Settings) -> Result<Processed, ItemError> {
    tokio::time::sleep(settings.item_duration).await;
    if (item.index + 1).checked_rem(settings.fail_every) == Some(0) {
        let reason = format!("The sample fails one item in {}.", settings.fail_every);
        return Err(ItemError::Permanent(reason));
    }
    Ok(Processed {
        name: format!("Item {}", item.index),
        description: format!("Description {}", item.index),
    })
}
