//! How long a task will still take, and when it is worth another look.
//!
//! A worker knows how long items take *now*, and reckons with each step when its chunk will be complete. What it
//! reckons is stored with the step: the end of the chunk beside its cursor, the rest with the task, as a [`Forecast`],
//! where whoever writes last wins; it is an estimate, and they all reckon alike. Whoever asks gets the end of the
//! chunk that will be the last. So between two steps an estimate counts down and does nothing else, whatever
//! claims, leases and signs of life there are; and a pause of the past is none of the future.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chunk::{Chunk, ChunkIndex};
use crate::host::{Timestamp, milliseconds};
use crate::task::{Progress, Status, Task};

/// How much of a task a client should miss between two looks, in thousandths. Whole percents are shown, and a lag of
/// 5.6 shows as 5 nearly always.
const MISSED: u32 = 57;

/// The same while a task gets on much faster than it will later: that is a small part of its whole time.
const MISSED_WHILE_FAST: u32 = 58;

/// The same while nobody gets on with it, which may change at any moment, or not for long.
const MISSED_WHILE_STILL: u32 = 85;

/// Nobody needs to look more often than this…
const SHORTEST: Duration = Duration::from_secs(1);

/// …or more rarely than this, whatever is expected: something else may happen…
const LONGEST: Duration = Duration::from_secs(60);

/// …or than this, as long as nothing is known.
const LONGEST_UNKNOWN: Duration = Duration::from_secs(5);

/// So long after the expected end it is looked for. Sooner costs a look in vain as often as not.
const ENDS_AFTER: Duration = Duration::from_millis(900);

/// What is expected of a task, as the worker sees it that last got on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// How many microseconds each item takes of its chunk's time: items that are processed side by side share it.
    pub item: u64,
    /// When this was reckoned.
    pub at: Timestamp,
    /// How many milliseconds later than expected something may happen before nothing can be said any more.
    pub patience: u64,
    /// For how many milliseconds that worker's writes hold a chunk.
    pub lease: u64,
}

/// What a worker reckons at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reckoning {
    /// When its chunk will be complete.
    pub ends_at: Timestamp,
    /// What that says of the task.
    pub forecast: Forecast,
}

impl Forecast {
    /// What a worker expects that has just got on with `chunk`, each of whose items takes `item` of its time.
    #[must_use]
    pub fn new(
        task: &Task,
        chunk: ChunkIndex,
        item: Duration,
        now: Timestamp,
        patience: Duration,
        lease: Duration,
    ) -> Self {
        let others = (0..task.chunks.len()).filter(|&other| other != chunk);
        let paces = others.filter_map(|other| task.pace_of(other)).chain([item]);
        Self {
            item: u64::try_from(mean(paces).as_micros()).unwrap_or(u64::MAX),
            at: now,
            patience: milliseconds(patience),
            lease: milliseconds(lease),
        }
    }

    fn patience(self) -> Duration {
        Duration::from_millis(self.patience)
    }

    /// How long so many items of a chunk take.
    #[must_use]
    pub fn items(self, number: u64) -> Duration {
        Duration::from_micros(self.item.saturating_mul(number))
    }
}

/// The mean pace of those who work side by side: the one at which all of them together would be as fast.
fn mean(paces: impl Iterator<Item = Duration>) -> Duration {
    let (mut workers, mut items_per_second) = (0.0, 0.0);
    for pace in paces {
        workers += 1.0;
        items_per_second += pace.as_secs_f64().max(1e-6).recip();
    }
    Duration::try_from_secs_f64(workers / items_per_second).unwrap_or_default()
}

impl Task {
    /// How much of its time an item of `chunk` takes, by what was reckoned of it last; `None` when nothing was, or it
    /// has nothing left to do.
    #[must_use]
    pub fn pace_of(&self, chunk: ChunkIndex) -> Option<Duration> {
        let forecast = self.forecast?;
        let stored = self.chunks.get(chunk)?;
        let open = self.plan().size(chunk).saturating_sub(stored.cursor);
        let left = stored.ends_at?.since(stored.reckoned_at(forecast)?);
        #[expect(clippy::cast_precision_loss, reason = "an estimate needs no 53 bits")]
        let pace = left.div_f64(open.max(1) as f64);
        (open > 0 && !pace.is_zero()).then_some(pace)
    }

    /// The estimated time until the last item is settled. `None` when the task is not at work, when too little is
    /// settled to tell, and when nobody gets on with it as expected: no estimate is better than a wild one.
    #[must_use]
    pub fn time_left(&self, now: Timestamp) -> Option<Duration> {
        let forecast = self.forecast?;
        // There is no news from who pauses.
        let resumes_at = self.open_chunks().filter_map(|chunk| chunk.resumes_at);
        let news_at = resumes_at.fold(forecast.at, Timestamp::max);
        let is_current = now <= news_at.after(forecast.patience());
        if self.status != Status::Processing || !is_current {
            return None;
        }
        Some(self.ends_at(now, forecast)?.since(now))
    }

    /// When the last chunk will be complete. A chunk that still waits for its first worker gets the first one that is
    /// free. None of this depends on `now`, but for what is overdue or has no known beginning: that stands still.
    fn ends_at(&self, now: Timestamp, forecast: Forecast) -> Option<Timestamp> {
        let open = || (0..self.chunks.len()).filter(|&chunk| !self.is_chunk_complete(chunk));
        let begun = |&chunk: &ChunkIndex| self.chunks[chunk].ends_at.is_some();
        let mut free_at = BinaryHeap::new();
        for chunk in open().filter(begun) {
            let ends_at = self.chunks[chunk].expected_end(now, forecast)?;
            free_at.push(Reverse(ends_at.max(now)));
        }
        let waiting: Vec<_> = open().filter(|chunk| !begun(chunk)).collect();
        let lasts = |chunk: ChunkIndex| {
            let left = self.plan().size(chunk) - self.chunks[chunk].cursor;
            forecast.items(left)
        };
        // As long as no chunk is complete and some have been claimed just now, workers are still coming.
        let is_complete = |chunk| self.is_chunk_complete(chunk);
        let is_beginning = !(0..self.chunks.len()).any(is_complete)
            && waiting.iter().any(|&chunk| self.chunks[chunk].is_claimed());
        let (started, queued): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|&chunk| {
            let stored = &self.chunks[chunk];
            stored.is_claimed() || (is_beginning && stored.pauses_until(now).is_none())
        });
        for chunk in started {
            free_at.push(Reverse(now.after(lasts(chunk))));
        }
        for chunk in queued {
            let Reverse(free) = free_at.pop()?;
            let resumes_at = self.chunks[chunk].resumes_at;
            let begins_at = resumes_at.map_or(free, |resumes_at| resumes_at.max(free));
            free_at.push(Reverse(begins_at.after(lasts(chunk))));
        }
        // Where nothing is left to be done, only somebody has to say so.
        let last = free_at.into_iter().map(|Reverse(at)| at).max();
        Some(last.unwrap_or(now))
    }

    /// How long a client should wait before it looks again, in whole seconds; `None` once the task has ended.
    ///
    /// As long as it takes to get on by 5.6 %, so that a long task costs no more looks than a short one, and what is
    /// shown is at most 5 % old; just past the expected end; and soon, as long as the task is young and nothing is known.
    #[must_use]
    pub fn polling_interval(&self, now: Timestamp) -> Option<Duration> {
        if !self.status.is_open() {
            return None;
        }
        if let Some(resumes_at) = self.pauses_until(now) {
            let pause = rounded_up(resumes_at.since(now));
            return Some(pause.clamp(SHORTEST, LONGEST));
        }
        let Some(forecast) = self.forecast else {
            return Some(young_interval(now.since(self.created_at)));
        };
        // One that was let go of just now is about to be taken up again.
        let is_at_work = |&chunk: &ChunkIndex| {
            let stored = &self.chunks[chunk];
            let waits_since = stored.waits_since().unwrap_or_default();
            let is_between = now <= waits_since.after(forecast.patience());
            !self.is_chunk_complete(chunk) && (stored.is_claimed() || is_between)
        };
        let at_work = (0..self.chunks.len()).filter(is_at_work).count();
        let at_work = u32::try_from(at_work.max(1)).unwrap_or(u32::MAX);
        let rest = |items| forecast.items(items) / at_work;
        let left = self.time_left(now);
        let missed = match left {
            Some(left) if left > rest(self.open_items()) * 2 => MISSED_WHILE_FAST,
            Some(_) => MISSED,
            None => MISSED_WHILE_STILL,
        };
        let interval = rest(self.number_of_items) / 1000 * missed;
        let interval = interval.clamp(SHORTEST, LONGEST);
        let interval = match left {
            // One look at the end is enough, a little past it.
            Some(left) if left < interval * 5 / 4 => rounded(left + ENDS_AFTER).max(SHORTEST),
            _ => rounded(interval),
        };
        Some(interval.min(LONGEST))
    }

    fn open_items(&self) -> u64 {
        let Progress { done, failed, .. } = self.progress();
        self.number_of_items.saturating_sub(done + failed)
    }
}

/// How long to wait for the first news of a task of this age.
fn young_interval(age: Duration) -> Duration {
    let soon = age.min(Duration::from_secs(3)).max(age / 2);
    rounded_up(soon).clamp(SHORTEST, LONGEST_UNKNOWN)
}

fn rounded(duration: Duration) -> Duration {
    Duration::from_secs((duration + Duration::from_millis(500)).as_secs())
}

fn rounded_up(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

impl Chunk {
    /// When it will be complete, as its worker reckoned; `None` when that is long past, and when nobody knows.
    ///
    /// That worker's clock may be fast. It has also written until when it holds the chunk, and no more can be left
    /// now than was then.
    fn expected_end(&self, now: Timestamp, forecast: Forecast) -> Option<Timestamp> {
        let ends_at = self.ends_at?;
        if now > ends_at.after(forecast.patience()) {
            return None;
        }
        if !self.is_claimed() || self.attempts > 0 {
            return Some(ends_at);
        }
        let left = ends_at.since(self.written_at(forecast));
        Some(ends_at.min(now.after(left)))
    }

    /// When whoever holds it last wrote it, by its own clock.
    fn written_at(&self, forecast: Forecast) -> Timestamp {
        Timestamp(self.lease_until.0.saturating_sub(forecast.lease))
    }

    /// When its end was reckoned last, or soon after that, its pause left out: since then it may have been claimed, and
    /// nothing else.
    fn reckoned_at(&self, forecast: Forecast) -> Option<Timestamp> {
        if self.is_claimed() && self.attempts == 0 {
            return Some(self.written_at(forecast));
        }
        self.waits_since()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::order::Order;
    use crate::quota::Quota;
    use crate::task::{Terms, Uniqueness, UserId};

    const LEASE: u64 = 50;

    /// What is expected when an item takes two seconds of its chunk's time, as reckoned at the beginning.
    const FORECAST: Forecast = Forecast {
        item: 2_000_000,
        at: Timestamp(1_000_000),
        patience: 8_000,
        lease: LEASE * 1000,
    };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A task of chunks of ten items.
    fn task(chunks: u64) -> Task {
        let terms = Terms {
            chunk_items: 10,
            lease: Duration::from_secs(LEASE),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim("user").unwrap();
        let host = Host::new(|| FORECAST.at, || 7);
        let number_of_items = chunks * 10;
        let mut task = Task::new(
            &host,
            user,
            &Order::numbered("tuned-long-running-task", number_of_items),
            &terms,
        );
        task.status = Status::Processing;
        task.forecast = Some(FORECAST);
        task
    }

    fn at(time: f64) -> Timestamp {
        FORECAST.at.after(seconds(time))
    }

    /// The chunk was written at that time, when so many of its items were settled and so much time was left.
    fn reckoned(task: &mut Task, chunk: usize, time: f64, cursor: u64, left: f64) {
        task.chunks[chunk] = Chunk {
            cursor,
            lease_until: at(time).after(Duration::from_secs(LEASE)),
            ends_at: Some(at(time + left)),
            ..Chunk::default()
        };
    }

    fn left(task: &Task, time: f64) -> Option<f64> {
        task.time_left(at(time)).map(|left| left.as_secs_f64())
    }

    #[test]
    fn between_two_steps_an_estimate_counts_down_whatever_else_is_written() {
        let mut task = task(2);
        reckoned(&mut task, 0, 0.0, 5, 10.0);
        reckoned(&mut task, 1, 0.0, 5, 9.0);
        assert_eq!(left(&task, 1.0), Some(9.0));
        // A sign of life.
        task.chunks[0].lease_until = at(2.0).after(Duration::from_secs(LEASE));
        assert_eq!(left(&task, 2.0), Some(8.0));
        // The worker lets go of it, and another one claims it.
        task.chunks[0].lease_until = Timestamp::default();
        task.chunks[0].released_at = Some(at(3.0));
        assert_eq!(left(&task, 3.0), Some(7.0));
        task.chunks[0].lease_until = at(6.0).after(Duration::from_secs(LEASE));
        task.chunks[0].attempts = 1;
        assert_eq!(left(&task, 6.0), Some(4.0));
    }

    #[test]
    fn a_task_ends_with_its_slowest_chunk() {
        let mut task = task(3);
        reckoned(&mut task, 0, 0.0, 10, 0.0);
        reckoned(&mut task, 1, 0.0, 5, 10.0);
        reckoned(&mut task, 2, 0.0, 1, 55.0);
        assert_eq!(left(&task, 5.0), Some(50.0));
    }

    #[test]
    fn chunks_that_wait_get_the_first_worker_that_is_free() {
        let mut task = task(6);
        reckoned(&mut task, 0, 0.0, 10, 0.0);
        reckoned(&mut task, 1, 0.0, 5, 10.0);
        reckoned(&mut task, 2, 0.0, 2, 16.0);
        // Twenty seconds each: from 10 to 30, from 16 to 36, from 30 to 50.
        assert_eq!(left(&task, 0.0), Some(50.0));
        assert_eq!(left(&task, 5.0), Some(45.0));
        // A worker comes, and takes one of them.
        task.chunks[3].lease_until = at(5.0).after(Duration::from_secs(LEASE));
        assert_eq!(left(&task, 5.0), Some(36.0 - 5.0));
        // Half of the last one is done already: from 10 to 30, from 16 to 26.
        task.chunks[5].cursor = 5;
        assert_eq!(left(&task, 5.0), Some(30.0 - 5.0));
    }

    #[test]
    fn as_long_as_workers_are_coming_none_is_waited_for() {
        let mut task = task(6);
        reckoned(&mut task, 0, 0.0, 1, 18.0);
        task.chunks[1].lease_until = at(1.0).after(Duration::from_secs(LEASE));
        assert_eq!(left(&task, 1.0), Some(20.0));
        // No more have come when the last of those that did has got on.
        reckoned(&mut task, 1, 3.0, 1, 18.0);
        assert_eq!(left(&task, 3.0), Some(21.0 + 40.0 - 3.0));
    }

    #[test]
    fn nothing_is_estimated_while_nobody_gets_on() {
        let mut task = task(2);
        reckoned(&mut task, 0, 0.0, 5, 100.0);
        reckoned(&mut task, 1, 0.0, 5, 10.0);
        assert_eq!(left(&task, 8.0), Some(92.0));
        assert_eq!(left(&task, 8.1), None);
        // One of them does, and the other one ought to be done.
        task.forecast = Some(Forecast {
            at: at(15.0),
            ..FORECAST
        });
        assert_eq!(left(&task, 18.0), Some(82.0));
        assert_eq!(left(&task, 18.1), None);
    }

    #[test]
    fn nothing_is_estimated_before_there_is_something_to_go_by_or_after_the_end() {
        let mut task = task(1);
        assert_eq!(left(&task, 0.0), None, "nobody is at work");
        reckoned(&mut task, 0, 0.0, 5, 10.0);
        assert_eq!(left(&task, 0.0), Some(10.0));
        task.status = Status::Cancelled;
        assert_eq!(left(&task, 0.0), None);
        task.status = Status::Processing;
        task.forecast = None;
        assert_eq!(
            left(&task, 0.0),
            None,
            "written by a worker that reckons nothing"
        );
    }

    #[test]
    fn once_all_is_settled_no_time_is_left() {
        let mut task = task(1);
        reckoned(&mut task, 0, 0.0, 10, 0.0);
        task.chunks[0].ends_at = None;
        assert_eq!(left(&task, 1.0), Some(0.0));
        assert_eq!(task.polling_interval(at(1.0)), Some(SHORTEST));
    }

    #[test]
    fn a_fast_clock_makes_no_estimate_longer_than_what_its_worker_reckoned() {
        let mut task = task(1);
        reckoned(&mut task, 0, 300.0, 5, 10.0);
        task.forecast = Some(Forecast {
            at: at(300.0),
            ..FORECAST
        });
        assert_eq!(left(&task, 0.0), Some(10.0));
        assert_eq!(left(&task, 5.0), Some(10.0));
    }

    #[test]
    fn the_pace_of_a_task_is_that_of_all_its_workers() {
        let mut task = task(3);
        reckoned(&mut task, 0, 0.0, 5, 5.0);
        reckoned(&mut task, 1, 0.0, 5, 15.0);
        assert_eq!(task.pace_of(0), Some(seconds(1.0)));
        assert_eq!(task.pace_of(1), Some(seconds(3.0)));
        assert_eq!(task.pace_of(2), None);
        // It is known as well when the worker has let go of it, and when the next one has just come.
        task.chunks[1].lease_until = Timestamp::default();
        task.chunks[1].released_at = Some(at(0.0));
        assert_eq!(task.pace_of(1), Some(seconds(3.0)));
        task.chunks[1].lease_until = at(9.0).after(Duration::from_secs(LEASE));
        task.chunks[1].attempts = 1;
        assert_eq!(task.pace_of(1), Some(seconds(3.0)));
        // Items at 1 s, at 3 s and at 6 s: one and a half in a second, by three workers.
        let (patience, lease) = (Duration::ZERO, Duration::ZERO);
        let forecast = Forecast::new(&task, 2, seconds(6.0), at(0.0), patience, lease);
        assert_eq!(forecast.item, 2_000_000);
    }

    /// The looks of a client at a task of one chunk that takes 200 s, each with the time that it was told to wait.
    fn looks(lasts: f64) -> Vec<(f64, f64)> {
        let mut task = task(10);
        task.chunk_items = 100;
        task.chunks.truncate(1);
        let (mut now, mut looks) = (0.0, vec![]);
        while now < lasts {
            let settled_at = f64::floor(now / 2.0) * 2.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let settled = (settled_at / 2.0) as u64;
            task.forecast = (settled > 0).then_some(Forecast {
                at: at(settled_at),
                ..FORECAST
            });
            reckoned(&mut task, 0, settled_at, settled, lasts - settled_at);
            task.version = settled;
            let wait = task.polling_interval(at(now)).unwrap().as_secs_f64();
            looks.push((now, wait));
            now += wait;
        }
        looks
    }

    #[test]
    fn a_task_of_200_seconds_is_polled_at_most_20_times_and_is_shown_at_most_5_percent_late() {
        let looks = looks(200.0);
        assert!(looks.len() <= 20, "{looks:?}");
        let (&(last, wait), others) = looks.split_last().unwrap();
        assert!(others.iter().all(|(_, wait)| *wait < 12.0), "{looks:?}");
        assert!((200.0..202.0).contains(&(last + wait)), "{looks:?}");
    }

    #[test]
    fn a_task_that_stands_still_is_looked_at_more_rarely_but_not_much() {
        let mut task = task(1);
        task.forecast = Some(Forecast {
            item: 20_000_000,
            ..FORECAST
        });
        reckoned(&mut task, 0, 0.0, 5, 100.0);
        assert_eq!(task.polling_interval(at(0.0)), Some(seconds(11.0)));
        let still = task.polling_interval(at(3600.0)).unwrap();
        assert!(
            (seconds(12.0)..=seconds(20.0)).contains(&still),
            "{still:?}"
        );
    }

    #[test]
    fn a_task_that_gets_on_much_faster_than_it_will_is_looked_at_a_little_more_rarely() {
        let interval = |ends_at| {
            let mut task = task(1);
            task.number_of_items = 500;
            reckoned(&mut task, 0, 0.0, 5, ends_at);
            task.polling_interval(at(0.0))
        };
        // Of 1,000 s in all 990 are left, and twice as many are much.
        assert_eq!(interval(2.0 * 990.0), Some(seconds(57.0)));
        assert_eq!(interval(2.0 * 990.0 + 1.0), Some(seconds(58.0)));
    }

    #[test]
    fn a_task_of_which_nothing_is_known_is_looked_at_soon() {
        let mut task = task(1);
        task.forecast = None;
        let wait = |age: f64| task.polling_interval(at(age)).unwrap().as_secs();
        let waits = [0.0, 0.1, 1.0, 1.1, 3.0, 6.0, 3600.0].map(wait);
        assert_eq!(waits, [1, 1, 1, 2, 3, 3, 5]);
    }

    #[test]
    fn a_finished_task_needs_no_polling() {
        let mut task = task(1);
        task.status = Status::Success;
        assert_eq!(task.polling_interval(at(1.0)), None);
    }

    #[test]
    fn a_row_that_says_nothing_of_this_is_read_as_before() {
        let mut row = serde_json::to_value(task(1)).unwrap();
        row.as_object_mut().unwrap().remove("forecast");
        let read: Task = serde_json::from_value(row).unwrap();
        assert_eq!((read.forecast, read.chunks[0].ends_at), (None, None));
    }
}
