//! How a task is split into chunks, and what is known of each.
//!
//! Pure arithmetic: no clock, no AWS. A chunk is a contiguous range of items that one worker at a
//! time processes. Its items run concurrently but are committed in order, so that one number, the
//! cursor, says everything about how far it is.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::host::Timestamp;

/// A task has at most this many chunks, whatever its size: they all live in one `DynamoDB` item, and
/// each costs some 90 bytes of every progress write while it is at work, and 50 more once it was handed on.
pub const CHUNKS_MAX: u64 = 100;

/// Which chunk of a task, counted from 0.
pub type ChunkIndex = usize;

/// Where an item stands in its task, counted from 0 across all chunks: what chunks, cursors and keys go by.
pub type Position = u64;

/// What its user calls an item. That is its position, but in a retry, whose items keep the indexes that they had.
pub type ItemIndex = u64;

/// Identifies one claim of a chunk: drawn at random by the worker for each claim, so that no two
/// claims ever share one and "is it still mine?" is a comparison for equality.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The owner that the random number `random` stands for.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(format!("{random:016x}"))
    }

    /// The text that is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the store knows of a chunk. The item range it covers follows from [`Plan`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// How many of the chunk's items are settled, done or failed. Only ever grows.
    pub cursor: u64,
    /// How many of the settled items failed.
    pub failed: u64,
    /// The claim under which the chunk was last worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Until when the owner holds the chunk; zero when nobody does and a message is on its way.
    pub lease_until: Timestamp,
    /// How often an owner let go of it, for the next message to go on. A message is for one turn of a chunk.
    #[serde(default)]
    pub turn: u32,
    /// How long, in milliseconds, it waited for its last turn: about as long as it will wait for the next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited_milliseconds: u64,
    /// When the owner last let go of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// Nobody may claim it before this: what its items need has asked not to be asked again until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<Timestamp>,
    /// How long, in milliseconds, it has paused for that since one of its items last got through.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paused_milliseconds: u64,
    /// When it will be complete, as its worker reckoned when the cursor last moved or it began to pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// How often the chunk was claimed since its cursor last moved. A number that grows is the
    /// trace of an item that takes its worker down with it.
    pub attempts: u32,
}

impl Chunk {
    /// Whether somebody claimed it and has not let go of it since: a worker that is at it, or is dead.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.lease_until > Timestamp::default()
    }

    /// Until when it pauses, if it does at `now`.
    #[must_use]
    pub fn pauses_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.resumes_at.filter(|&resumes_at| resumes_at > now)
    }

    /// Since when it has waited for a worker, if it was let go of: since then, or since the end of its pause.
    #[must_use]
    pub fn waits_since(&self) -> Option<Timestamp> {
        self.released_at.max(self.resumes_at)
    }

    /// Whether whoever has just claimed it is the first: then nothing can be stored of its items.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.cursor == 0 && self.attempts <= 1 && self.released_at.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a task's items are spread over chunks. Fixed when the task is created and stored with it,
/// so a change of configuration cannot move the borders of a running task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    items: u64,
    chunk_items: u64,
}

impl Plan {
    /// Splits `items` into chunks of `chunk_items`, or larger ones where that would make more than
    /// [`CHUNKS_MAX`].
    #[must_use]
    pub fn new(items: u64, chunk_items: u64) -> Self {
        Self {
            items,
            chunk_items: chunk_items.max(items.div_ceil(CHUNKS_MAX)).max(1),
        }
    }

    /// The number of items in every chunk but the last, which may be shorter.
    #[must_use]
    pub fn chunk_items(self) -> u64 {
        self.chunk_items
    }

    /// The number of chunks, 1 to [`CHUNKS_MAX`] for a task that has items.
    #[must_use]
    pub fn chunks(self) -> usize {
        usize::try_from(self.items.div_ceil(self.chunk_items)).unwrap_or(usize::MAX)
    }

    /// The items that `chunk` covers; empty when there is no such chunk.
    #[must_use]
    pub fn range(self, chunk: ChunkIndex) -> Range<Position> {
        let start = (chunk as u64)
            .saturating_mul(self.chunk_items)
            .min(self.items);
        start..start.saturating_add(self.chunk_items).min(self.items)
    }

    /// The chunk that `item` is part of.
    #[must_use]
    pub fn chunk_of(self, item: Position) -> ChunkIndex {
        usize::try_from(item / self.chunk_items).unwrap_or(usize::MAX)
    }

    /// The number of items in `chunk`.
    #[must_use]
    pub fn size(self, chunk: ChunkIndex) -> u64 {
        let range = self.range(chunk);
        range.end - range.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_item_once_and_stay_within_the_limit() {
        for items in [1, 2, 99, 100, 101, 9_999, 10_000, 10_001, 1_000_000_007] {
            for chunk_items in [1, 7, 100, 10_000] {
                let plan = Plan::new(items, chunk_items);
                assert!(
                    plan.chunks() as u64 <= CHUNKS_MAX,
                    "{items} by {chunk_items}"
                );
                let mut next = 0;
                for chunk in 0..plan.chunks() {
                    let range = plan.range(chunk);
                    assert_eq!(range.start, next);
                    assert!(!range.is_empty());
                    assert_eq!(plan.chunk_of(range.start), chunk);
                    assert_eq!(plan.chunk_of(range.end - 1), chunk);
                    next = range.end;
                }
                assert_eq!(next, items);
                assert_eq!(plan.size(plan.chunks()), 0);
            }
        }
    }

    #[test]
    fn a_stored_plan_reads_back_as_it_was() {
        for items in [1, 100, 101, 12_345, 5_000_000] {
            let plan = Plan::new(items, 100);
            assert_eq!(Plan::new(items, plan.chunk_items()), plan);
        }
    }
}
