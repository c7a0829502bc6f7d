//! How much a user may ask for in a day.
//!
//! A task counts when it is accepted, in the transaction that accepts it: whoever is refused has used nothing up, and of
//! two that are submitted at once the second is refused if there was room for one.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Environment;
use crate::host::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// What a user may have accepted in a day, retries included. 0 stands for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// So many tasks…
    pub tasks: u64,
    /// …and so many items, of all of them together.
    pub items: u64,
}

impl Quota {
    /// The deployment's.
    pub(crate) fn read(environment: &mut Environment) -> Self {
        Self {
            tasks: environment.number("QUOTA_TASKS", 0..=1_000_000_000),
            items: environment.number("QUOTA_ITEMS", 0..=1_000_000_000),
        }
    }

    /// Whether anything is to be counted.
    #[must_use]
    pub fn is_set(self) -> bool {
        self != Self::default()
    }

    /// Why another task of so many items is too much for a day on which so much is used; `None` if it is not.
    #[must_use]
    pub fn refuses(self, used: Used, items: u64) -> Option<Exhausted> {
        if self.tasks > 0 && used.tasks >= self.tasks {
            return Some(Exhausted::Tasks { quota: self.tasks });
        }
        let is_too_much = self.items > 0 && used.items.saturating_add(items) > self.items;
        let quota = self.items;
        is_too_much.then_some(Exhausted::Items { quota, items })
    }
}

/// What a user has used on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Used {
    /// So many tasks…
    pub tasks: u64,
    /// …and so many items.
    pub items: u64,
}

/// Why a task is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// As many tasks were accepted as may be.
    #[error("Today's quota of {} is used up. It is renewed at midnight (UTC).", counted(*.quota, "task"))]
    Tasks {
        /// How many may be accepted in a day.
        quota: u64,
    },
    /// Its items are too many, with those that were accepted.
    #[error(
        "The task has {}, more than is left of today's quota of {quota}. It is renewed at midnight (UTC).",
        counted(*.items, "item")
    )]
    Items {
        /// How many may be accepted in a day.
        quota: u64,
        /// How many it has.
        items: u64,
    },
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A day of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u64);

impl Day {
    /// The day on which this is.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.seconds() / SECONDS_PER_DAY)
    }

    /// When the next one begins.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp((self.0 + 1).saturating_mul(SECONDS_PER_DAY * 1000))
    }

    /// How long until then.
    #[must_use]
    pub fn left(self, now: Timestamp) -> Duration {
        self.end().since(now)
    }
}

/// Year, month and day, as RFC 3339 has them.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noon = Timestamp(self.end().0.saturating_sub(SECONDS_PER_DAY * 500)).to_string();
        let day = noon.split('T').next().unwrap_or_default();
        f.write_str(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tasks: u64, items: u64) -> Used {
        Used { tasks, items }
    }

    #[test]
    fn a_quota_is_used_up_to_the_last_and_no_further() {
        let quota = Quota {
            tasks: 2,
            items: 10,
        };
        assert_eq!(quota.refuses(used(0, 0), 10), None);
        assert_eq!(quota.refuses(used(1, 4), 6), None);
        let tasks = Exhausted::Tasks { quota: 2 };
        assert_eq!(quota.refuses(used(2, 2), 1), Some(tasks));
        let of = |items| Some(Exhausted::Items { quota: 10, items });
        assert_eq!(quota.refuses(used(1, 4), 7), of(7));
        assert_eq!(quota.refuses(used(0, 0), 11), of(11));
        assert_eq!(quota.refuses(used(0, 9), u64::MAX), of(u64::MAX));
    }

    #[test]
    fn what_is_not_set_is_not_counted() {
        assert!(!Quota::default().is_set());
        let any = used(u64::MAX, u64::MAX);
        assert_eq!(Quota::default().refuses(any, u64::MAX), None);
        let tasks = Quota { tasks: 1, items: 0 };
        assert!(tasks.is_set());
        assert_eq!(tasks.refuses(used(0, u64::MAX), u64::MAX), None);
        let items = Quota { tasks: 0, items: 1 };
        assert!(items.is_set());
        assert_eq!(items.refuses(used(u64::MAX, 0), 1), None);
    }

    #[test]
    fn a_day_begins_and_ends_at_midnight_utc() {
        let midnight = Timestamp(1_700_006_400_000); // 2023-11-15T00:00:00Z
        let day = Day::of(midnight);
        assert_eq!(day.to_string(), "2023-11-15");
        assert_eq!(Day::of(Timestamp(midnight.0 - 1)).to_string(), "2023-11-14");
        assert_eq!(Day::of(Timestamp(midnight.0 + 86_399_999)), day);
        assert_eq!(day.end(), Timestamp(midnight.0 + 86_400_000));
        assert_eq!(day.left(midnight), Duration::from_secs(86_400));
        assert_eq!(day.left(day.end()), Duration::ZERO);
        assert_eq!(Day::of(Timestamp(0)).to_string(), "1970-01-01");
        assert_eq!(Day::of(Timestamp(u64::MAX)).to_string(), "9999-12-31");
    }
}
