//! How far a listing of a task's items has come, and whether anything is left of it.
//!
//! Pure arithmetic on what a task knows of its chunks: how many of their items are settled, and how many of these
//! failed. So a listing begins where there is something to list, and knows its end without reading on to find nothing.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::chunk::{ChunkIndex, Position};
use crate::store::{ItemOutcome, ItemRow};
use crate::task::Task;

/// Where a listing goes on. Good only for the task and the outcome that it was given out for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCursor {
    /// The first item that it has not looked at.
    pub from: Position,
    /// How many items of the same chunk it has listed before that one. With the chunk's own count, this tells
    /// whether there are more; a chunk is settled in order, so nothing is added before the cursor.
    pub listed: u64,
}

impl fmt::Display for ItemCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.listed)
    }
}

impl FromStr for ItemCursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, listed) = text.split_once('-').ok_or(MalformedCursor)?;
        let number = |digits: &str| digits.parse().map_err(|_| MalformedCursor);
        Ok(Self {
            from: number(from)?,
            listed: number(listed)?,
        })
    }
}

/// The text is not the cursor of a listing of items.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct MalformedCursor;

/// The settled items of a task, of one outcome or of any, by what the task knew of them when it was read.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The task.
    pub task: &'a Task,
    /// What became of the items that are listed; `None` for all.
    pub outcome: Option<ItemOutcome>,
}

impl Listing<'_> {
    /// The first place from the cursor on where there is something to list; `None` at the end.
    #[must_use]
    pub fn go_on(&self, cursor: ItemCursor) -> Option<ItemCursor> {
        self.go_on_in(self.task.plan().chunk_of(cursor.from), cursor)
    }

    /// Where the listing goes on that began at a cursor, has listed these items since, and has come as far as the
    /// item `last`; `None` at the end.
    #[must_use]
    pub fn behind(
        &self,
        began: ItemCursor,
        listed: &[ItemRow],
        last: Position,
    ) -> Option<ItemCursor> {
        let plan = self.task.plan();
        let chunk = plan.chunk_of(last);
        let of_chunk = listed
            .iter()
            .filter(|item| plan.chunk_of(item.position) == chunk);
        let before = Some(began.listed).filter(|_| plan.chunk_of(began.from) == chunk);
        let cursor = ItemCursor {
            from: last.saturating_add(1),
            listed: before
                .unwrap_or_default()
                .saturating_add(of_chunk.count() as u64),
        };
        self.go_on_in(chunk, cursor)
    }

    /// What is left of the cursor's chunk.
    #[must_use]
    pub fn rest(&self, cursor: ItemCursor) -> Range<Position> {
        let chunk = self.task.plan().chunk_of(cursor.from);
        cursor.from..self.settled(chunk).end
    }

    /// A cursor that counts the items of `chunk`, or the beginning of the next chunk that has any.
    fn go_on_in(&self, chunk: ChunkIndex, cursor: ItemCursor) -> Option<ItemCursor> {
        if cursor.from < self.settled(chunk).end && cursor.listed < self.count(chunk) {
            return Some(cursor);
        }
        let next = (chunk.saturating_add(1)..self.task.chunks.len())
            .find(|&chunk| self.count(chunk) > 0)?;
        Some(ItemCursor {
            from: self.settled(next).start,
            listed: 0,
        })
    }

    fn settled(&self, chunk: ChunkIndex) -> Range<Position> {
        let start = self.task.plan().range(chunk).start;
        let stored = self.task.chunks.get(chunk);
        start..start.saturating_add(stored.map_or(0, |stored| stored.cursor))
    }

    /// How many items the chunk has to list.
    fn count(&self, chunk: ChunkIndex) -> u64 {
        let stored = self.task.chunks.get(chunk);
        stored.map_or(0, |stored| match self.outcome {
            None => stored.cursor,
            Some(ItemOutcome::Failed) => stored.failed,
            Some(ItemOutcome::Done) => stored.cursor.saturating_sub(stored.failed),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::{Host, Timestamp};
    use crate::order::Order;
    use crate::quota::Quota;
    use crate::task::{Terms, Uniqueness, UserId};

    /// Four chunks of ten items, of which so many are settled and so many of those failed.
    fn task(chunks: [(u64, u64); 4]) -> Task {
        let terms = Terms {
            chunk_items: 10,
            lease: Duration::ZERO,
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::ZERO,
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let host = Host::new(Timestamp::default, || 0);
        let user = UserId::from_claim("user").unwrap();
        let order = Order::numbered("tuned-long-running-task", 40);
        let mut task = Task::new(&host, user, &order, &terms);
        for (chunk, (settled, failed)) in task.chunks.iter_mut().zip(chunks) {
            (chunk.cursor, chunk.failed) = (settled, failed);
        }
        task
    }

    fn at(from: Position, listed: u64) -> ItemCursor {
        ItemCursor { from, listed }
    }

    #[test]
    fn a_listing_begins_and_ends_where_there_is_something_to_list() {
        let task = task([(10, 0), (5, 2), (0, 0), (10, 10)]);
        for (outcome, begins, ends) in [
            (None, 0, 10),
            (Some(ItemOutcome::Failed), 10, 15),
            (Some(ItemOutcome::Done), 0, 10),
        ] {
            let listing = Listing {
                task: &task,
                outcome,
            };
            let begun = listing.go_on(ItemCursor::default());
            assert_eq!(begun, Some(at(begins, 0)), "{outcome:?}");
            assert_eq!(listing.rest(at(begins, 0)), begins..ends, "{outcome:?}");
        }
    }

    #[test]
    fn where_it_goes_on_is_told_by_how_many_a_chunk_has_and_how_many_of_them_were_listed() {
        let task = task([(10, 0), (5, 2), (0, 0), (10, 1)]);
        let failed = |position| ItemRow {
            position,
            index: position,
            name: String::new(),
            outcome: ItemOutcome::Failed,
            output: None,
            error: None,
        };
        let listing = Listing {
            task: &task,
            outcome: Some(ItemOutcome::Failed),
        };
        let behind = |began, listed: &[ItemRow], last| listing.behind(began, listed, last);
        let begun = ItemCursor::default();
        assert_eq!(behind(begun, &[], 5), Some(at(10, 0)));
        assert_eq!(behind(begun, &[failed(11)], 11), Some(at(12, 1)));
        assert_eq!(
            behind(begun, &[failed(11), failed(12)], 12),
            Some(at(30, 0))
        );
        // The first of them was listed by the page before.
        assert_eq!(behind(at(12, 1), &[failed(13)], 13), Some(at(30, 0)));
        assert_eq!(behind(at(12, 1), &[failed(13), failed(31)], 31), None);
        // A row that is not counted is no reason to look again for those that are.
        assert_eq!(behind(at(12, 1), &[], 17), Some(at(30, 0)));
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_whatever_stands_in_it_leads_to_items_or_to_the_end() {
        let task = task([(10, 3), (5, 2), (0, 0), (10, 1)]);
        assert_eq!(at(7, 2).to_string().parse(), Ok(at(7, 2)));
        for wrong in [
            "",
            "7",
            "-",
            "7-",
            "-2",
            "7-x",
            "7-2-1",
            "18446744073709551616-0",
        ] {
            assert_eq!(wrong.parse::<ItemCursor>(), Err(MalformedCursor), "{wrong}");
        }
        let mut of_single_items = self::task([(1, 0), (1, 1), (0, 0), (1, 0)]);
        (of_single_items.number_of_items, of_single_items.chunk_items) = (4, 1);
        for task in [&task, &of_single_items] {
            let listing = Listing {
                task,
                outcome: None,
            };
            for from in [0, 3, 9, 15, 39, 40, u64::MAX] {
                for listed in [0, 3, u64::MAX] {
                    if let Some(cursor) = listing.go_on(at(from, listed)) {
                        let rest = listing.rest(cursor);
                        assert!(task.is_settled(rest.start), "{from}-{listed}: {rest:?}");
                        assert_eq!(rest.end, {
                            let chunk = task.plan().chunk_of(cursor.from);
                            task.plan().range(chunk).start + task.chunks[chunk].cursor
                        });
                    }
                    let _ = listing.behind(at(from, listed), &[], from);
                }
            }
        }
    }
}
