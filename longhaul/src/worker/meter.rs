//! How long items take *now*, and so when the rest of a chunk will be done.
//!
//! Measured with the machine's steady clock: times of day may be wrong.

use std::time::Duration;

use tokio::time::Instant;

/// The mean is that of the items of the last few rounds: as many times as items are processed side by side…
const ROUNDS: usize = 5;

/// …and of as many as this, at least.
const ITEMS_MIN: usize = 10;

/// When nothing ends for so many times as long as an item takes, it is not the items: something stands still.
const STANDSTILL: u32 = 4;

/// What is known from before counts as much as so many items.
const KNOWN_BEFORE: f64 = 2.0;

/// An item that is being processed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    since: Instant,
    /// How long everything had stood still by then.
    stood_still: Duration,
}

/// Learns from each item that ends how long items take.
#[derive(Debug)]
pub(crate) struct Meter {
    items_in_flight_max: usize,
    /// How long an item takes.
    mean: Duration,
    /// By how much they differ from that, in the mean.
    deviation: Duration,
    /// How many items that is the mean of.
    weight: f64,
    /// How many items have ended.
    items: usize,
    /// When an item last ended, or the first began.
    ended_at: Instant,
    /// How long everything has stood still, all in all.
    stood_still: Duration,
    /// How many items have ended since it last did. What happens again so soon is no standstill, but their way.
    since_standstill: usize,
}

impl Meter {
    /// For a chunk of whose items so many are processed side by side. `known` is how long items took before.
    pub(crate) fn new(items_in_flight_max: usize, known: Option<Duration>) -> Self {
        Self {
            items_in_flight_max,
            mean: known.unwrap_or_default(),
            deviation: Duration::ZERO,
            weight: known.map_or(0.0, |_| KNOWN_BEFORE),
            items: 0,
            ended_at: Instant::now(),
            stood_still: Duration::ZERO,
            since_standstill: usize::MAX,
        }
    }

    /// An item begins.
    pub(crate) fn begin(&self) -> Running {
        Running {
            since: Instant::now(),
            stood_still: self.stood_still,
        }
    }

    /// An item has ended.
    pub(crate) fn end(&mut self, running: Running) {
        let now = Instant::now();
        let window = (ROUNDS * self.items_in_flight_max).max(ITEMS_MIN);
        let silence = now - self.ended_at;
        if self.weight > 0.0 && silence > self.mean * STANDSTILL && self.since_standstill >= window
        {
            self.stood_still += silence.saturating_sub(self.mean);
            self.since_standstill = 0;
        }
        self.ended_at = now;
        self.items += 1;
        self.since_standstill = self.since_standstill.saturating_add(1);
        #[expect(clippy::cast_precision_loss, reason = "some ten")]
        let weight_max = window as f64;
        self.weight = (self.weight + 1.0).min(weight_max);
        let took = self.age(running, now);
        let mean_with = |before: Duration, value: Duration| {
            before.mul_f64(1.0 - 1.0 / self.weight) + value.div_f64(self.weight)
        };
        let differs = took.abs_diff(self.mean);
        (self.mean, self.deviation) = (
            mean_with(self.mean, took),
            mean_with(self.deviation, differs),
        );
    }

    /// How long the item has been processed, without standstills.
    fn age(&self, running: Running, now: Instant) -> Duration {
        let stood_still = self.stood_still.saturating_sub(running.stood_still);
        (now - running.since).saturating_sub(stood_still)
    }

    /// How long an item takes; `None` until enough of the `items` of the chunk have ended to tell: the first of
    /// several that began together says nothing about all of them.
    pub(crate) fn item(&self, items: u64) -> Option<Duration> {
        let few = usize::try_from(items / 20).unwrap_or(usize::MAX);
        let telling = (self.items_in_flight_max / 2).min(few).max(1);
        #[expect(clippy::cast_precision_loss, reason = "some ten")]
        let is_telling = self.weight >= telling as f64;
        is_telling.then_some(self.mean)
    }

    /// How long the next items will take if all those that are like them took `typical`. As long as few items have
    /// ended, that theirs took longer is chance as much as anything (of a hundred chunks one always seems slow); but
    /// three times as long is no chance. The chance that is allowed for is half of an item's time.
    pub(crate) fn likely(&self, typical: Option<Duration>) -> Duration {
        let Some(typical) = typical.filter(|typical| !typical.is_zero()) else {
            return self.mean;
        };
        let differs = 2.0 * (self.mean.div_duration_f64(typical) - 1.0);
        let evidence = self.weight * differs * differs;
        let own = evidence / (evidence + 1.0);
        self.mean.mul_f64(own) + typical.mul_f64(1.0 - own)
    }

    /// How long it takes until `running` and as many more as `waiting` have ended that take `item` each, and how far
    /// apart those that run are: so long the last ones will be without company.
    pub(crate) fn rest(
        &self,
        item: Duration,
        running: impl Iterator<Item = Running>,
        waiting: usize,
    ) -> (Duration, Duration) {
        let now = Instant::now();
        let left = |running| item.saturating_sub(self.age(running, now));
        let mut free_in: Vec<_> = running.map(left).collect();
        let spread = match (free_in.iter().min(), free_in.iter().max()) {
            (Some(min), Some(max)) => max.saturating_sub(*min),
            _ => Duration::ZERO,
        };
        let free = self.items_in_flight_max.saturating_sub(free_in.len());
        free_in.resize(free_in.len() + free.min(waiting), Duration::ZERO);
        free_in.sort_unstable();
        if free_in.is_empty() {
            return (Duration::ZERO, spread);
        }
        // Each place takes the same number of items, and the first to be free one more.
        let (rounds, more) = (waiting / free_in.len(), waiting % free_in.len());
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let last = free_in.last().copied().unwrap_or_default() + item * rounds;
        let one_more = more
            .checked_sub(1)
            .map(|place| free_in[place] + item * (rounds + 1));
        // Of the last ones some take longer than the mean, and they all are waited for.
        #[expect(clippy::cast_precision_loss, reason = "an estimate needs no 53 bits")]
        let longest = self.deviation.mul_f64(0.7 * (free_in.len() as f64).ln());
        (last.max(one_more.unwrap_or_default()) + longest, spread)
    }
}
