//! How far AWS scales, and how fast: the limits that many users at once run into.
//!
//! - API Gateway: the stage's throttles, as the template sets them, a token bucket each.
//! - Lambda: the account's concurrent executions. ("By default, Lambda provides your account with a total concurrency limit
//!   of 1,000", AWS Lambda Developer Guide, "Understanding Lambda function scaling".) How fast one function may grow, 1,000
//!   environments every 10 s ("Lambda scaling behavior"), is more than a mapping asks for.
//! - The event source mapping: it "starts processing five batches at a time" and, while there are messages, grows "by up to
//!   300 more" a minute, to its maximum concurrency, at most 1,250 ("Configuring scaling behavior for SQS event source
//!   mappings").
//! - SQS: 120,000 messages in flight ("Amazon SQS standard queue quotas"); requests "nearly unlimited".
//! - `DynamoDB`: a partition's 1,000 write units a second ("Burst and adaptive capacity"; neither is counted on here), and
//!   the 4,000 of a table that is new ("On-demand capacity mode": later twice the peak of before).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use embedded_aws::Call;
use serde_json::Value;

use crate::table::{Change, written_keys};

/// How far AWS scales.
#[derive(Clone, Debug)]
pub struct Scaling {
    /// Requests a second that start work, and how many at once.
    pub starts: (f64, f64),
    /// All requests a second, and how many at once.
    pub requests: (f64, f64),
    /// The account's concurrent executions.
    pub executions: usize,
    /// Workers that a mapping starts with.
    pub workers_at_first: f64,
    /// By how many it grows in a minute.
    pub workers_a_minute: f64,
    /// Messages in flight of a queue.
    pub messages_in_flight: usize,
    /// Write units a second of a partition.
    pub partition_units: f64,
    /// Write units a second of the table.
    pub table_units: f64,
}

impl Default for Scaling {
    /// With the throttles of the template, and the quotas of a new account.
    fn default() -> Self {
        Self {
            starts: (50.0, 100.0),
            requests: (200.0, 400.0),
            executions: 1000,
            workers_at_first: 5.0,
            workers_a_minute: 300.0,
            messages_in_flight: 120_000,
            partition_units: 1000.0,
            table_units: 4000.0,
        }
    }
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Requests a second that start work.
    Starts,
    /// All requests a second.
    Requests,
    /// The account's concurrent executions.
    Executions,
    /// How fast a mapping grows.
    Ramp,
    /// Its maximum concurrency.
    Workers,
    /// Messages in flight.
    MessagesInFlight,
    /// Write units a second of a partition.
    Partition,
    /// Write units a second of the table.
    Table,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starts => "the stage's requests that start work",
            Self::Requests => "the stage's requests",
            Self::Executions => "the account's concurrent executions",
            Self::Ramp => "how fast the mapping grows",
            Self::Workers => "MaxWorkers",
            Self::MessagesInFlight => "messages in flight",
            Self::Partition => "a partition's write units",
            Self::Table => "the table's write units",
        })
    }
}

/// What was run into, and how much there was of everything at most.
#[derive(Clone, Debug, Default)]
pub struct Strain {
    /// Each limit that was in the way: when for the first time, and how often.
    pub hits: BTreeMap<Limit, (Duration, u64)>,
    /// Workers at a time.
    pub workers_max: usize,
    /// Executions at a time.
    pub executions_max: usize,
    /// Messages in flight at a time.
    pub messages_in_flight_max: usize,
    /// Write units of one partition within a second.
    pub partition_units_max: f64,
    /// Write units of one partition of the index within a second.
    pub index_units_max: f64,
    /// Write units of the table within a second.
    pub table_units_max: f64,
}

impl Strain {
    fn hits(&mut self, limit: Limit, now: Duration) {
        self.hits.entry(limit).or_insert((now, 0)).1 += 1;
    }

    /// The limit that was in the way first.
    #[must_use]
    pub fn first(&self) -> Option<(Limit, Duration)> {
        let hits = self.hits.iter().map(|(limit, (at, _))| (*limit, *at));
        hits.min_by_key(|(_, at)| *at)
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, (rate, burst): (f64, f64), now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + since * rate).min(burst);
        self.at = now;
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }
}

/// What is in use of what there is.
#[derive(Debug)]
pub(crate) struct Load {
    limits: Scaling,
    starts: Bucket,
    requests: Bucket,
    executions: usize,
    workers: usize,
    /// Workers that the mapping would start by now, and when that was reckoned.
    ramp: (f64, Duration),
    messages_in_flight: usize,
    /// The second that is under way, and the units that were written in it, by partition.
    second: u64,
    units: BTreeMap<String, f64>,
    table_units: f64,
    pub(crate) strain: Strain,
}

impl Load {
    pub(crate) fn new(limits: Scaling) -> Self {
        let full = |burst| Bucket {
            left: burst,
            at: Duration::ZERO,
        };
        Self {
            starts: full(limits.starts.1),
            requests: full(limits.requests.1),
            ramp: (limits.workers_at_first, Duration::ZERO),
            limits,
            executions: 0,
            workers: 0,
            messages_in_flight: 0,
            second: 0,
            units: BTreeMap::new(),
            table_units: 0.0,
            strain: Strain::default(),
        }
    }

    /// Whether API Gateway and Lambda take a request.
    pub(crate) fn admit(&mut self, is_start: bool, now: Duration) -> bool {
        let refused = if is_start && !self.starts.take(self.limits.starts, now) {
            Some(Limit::Starts)
        } else if !self.requests.take(self.limits.requests, now) {
            Some(Limit::Requests)
        } else if self.executions >= self.limits.executions {
            Some(Limit::Executions)
        } else {
            None
        };
        if let Some(limit) = refused {
            self.strain.hits(limit, now);
        }
        refused.is_none()
    }

    /// An execution begins…
    pub(crate) fn begins(&mut self) {
        self.executions += 1;
        self.strain.executions_max = self.strain.executions_max.max(self.executions);
    }

    /// …and is over.
    pub(crate) fn ends(&mut self) {
        self.executions -= 1;
    }

    /// Whether the mapping may start one more worker, of so many at most, where there are messages.
    pub(crate) fn may_start(&mut self, workers_max: usize, now: Duration) -> bool {
        let (ramp, at) = self.ramp;
        let since = now.saturating_sub(at).as_secs_f64();
        self.ramp = (ramp + since * self.limits.workers_a_minute / 60.0, now);
        #[expect(clippy::cast_precision_loss, reason = "at most 1,250")]
        let next = self.workers as f64 + 1.0;
        let refused = if self.workers >= workers_max {
            Some(Limit::Workers)
        } else if next > self.ramp.0 {
            Some(Limit::Ramp)
        } else if self.executions >= self.limits.executions {
            Some(Limit::Executions)
        } else if self.messages_in_flight + 10 > self.limits.messages_in_flight {
            Some(Limit::MessagesInFlight)
        } else {
            None
        };
        if let Some(limit) = refused {
            self.strain.hits(limit, now);
        }
        refused.is_none()
    }

    /// The mapping finds nothing to do: what it has grown to stays, and does not grow.
    pub(crate) fn is_idle(&mut self, now: Duration) {
        self.ramp.1 = now;
    }

    pub(crate) fn worker_begins(&mut self, messages: usize) {
        self.workers += 1;
        self.messages_in_flight += messages;
        let strain = &mut self.strain;
        strain.workers_max = strain.workers_max.max(self.workers);
        strain.messages_in_flight_max = strain.messages_in_flight_max.max(self.messages_in_flight);
    }

    pub(crate) fn worker_ends(&mut self, messages: usize) {
        self.workers -= 1;
        self.messages_in_flight -= messages;
    }

    fn turn_to(&mut self, now: Duration) {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.units.clear();
            self.table_units = 0.0;
        }
    }

    /// Whether a write is refused because the table or a partition that it concerns has no units left in this second.
    pub(crate) fn is_throttled(&mut self, call: &Call, now: Duration) -> bool {
        self.turn_to(now);
        let is_over = |(pk, _): &(String, String)| {
            let units = self.units.get(pk).copied().unwrap_or_default();
            units >= self.limits.partition_units
        };
        let keys = written_keys(call);
        let refused = if keys.is_empty() {
            None
        } else if self.table_units >= self.limits.table_units {
            Some(Limit::Table)
        } else if keys.iter().any(is_over) {
            Some(Limit::Partition)
        } else {
            None
        };
        if let Some(limit) = refused {
            self.strain.hits(limit, now);
        }
        refused.is_some()
    }

    /// Counts what a call has written: to each row that it changed its share of the units.
    pub(crate) fn is_written(&mut self, units: f64, changes: &[Change], now: Duration) {
        self.turn_to(now);
        self.table_units += units;
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
        let share = units / changes.len().max(1) as f64;
        for change in changes {
            let strain = &mut self.strain;
            let of_row = self.units.entry(change.key.0.clone()).or_default();
            *of_row += share;
            strain.partition_units_max = strain.partition_units_max.max(*of_row);
            for shard in index_changes(change) {
                let of_shard = self.units.entry(format!("open-tasks/{shard}")).or_default();
                *of_shard += 1.0;
                strain.index_units_max = strain.index_units_max.max(*of_shard);
            }
        }
        let strain = &mut self.strain;
        strain.table_units_max = strain.table_units_max.max(self.table_units);
    }
}

/// The shards of the index in which a change puts or deletes an entry.
fn index_changes(change: &Change) -> Vec<String> {
    let entry = |row: Option<&Value>| {
        let row = row?;
        let shard = row["open_shard"]["S"].as_str()?.to_owned();
        Some((shard, row["check_at"]["N"].as_str()?.to_owned()))
    };
    let before = entry(change.before.as_ref().map(|row| &row.typed));
    let after = entry(change.after.as_ref().map(|row| &row.typed));
    if before == after {
        return vec![];
    }
    let entries = [before, after].into_iter().flatten();
    entries.map(|(shard, _)| shard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_starts_with_five_workers_and_grows_by_five_a_second_while_there_are_messages() {
        let mut load = Load::new(Scaling::default());
        let mut start_all = |seconds| {
            let now = Duration::from_secs(seconds);
            while load.may_start(20, now) {
                load.begins();
                load.worker_begins(10);
            }
            load.workers
        };
        assert_eq!([0, 1, 2, 60].map(&mut start_all), [5, 10, 15, 20]);
        assert_eq!(load.strain.first(), Some((Limit::Ramp, Duration::ZERO)));
        load.is_idle(Duration::from_secs(100));
        assert_eq!(load.strain.workers_max, 20);
        assert_eq!(load.strain.hits[&Limit::Workers].1, 1);
    }

    #[test]
    fn a_stage_takes_so_many_at_once_and_so_many_a_second() {
        let mut load = Load::new(Scaling::default());
        let mut taken = |milliseconds| {
            let now = Duration::from_millis(milliseconds);
            (0..1000).filter(|_| load.admit(true, now)).count()
        };
        assert_eq!([0, 0, 500, 60_000].map(&mut taken), [100, 0, 25, 100]);
    }
}
