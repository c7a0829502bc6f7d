//! How good is what clients are told of the time that a task will still take, and how well does `Retry-After` serve them?
//!
//! Each [`Course`] is a task that gets on in its own way. It is run by the real handlers, and what a client is told is
//! held, every tenth of a second, against what turned out to be true. The truth knows the future: before a pause that
//! nobody could foresee the estimate is wrong, and counts as wrong.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;

use crate::run::{Report, run};
use crate::scenario::{Fate, Outage, Scenario, Slow};
use crate::site::Function;
use crate::watch::{EVERY, Sample, Watched};
use crate::world::BEGINNING;

/// From this share of settled items on, in percent, estimates are judged.
const JUDGED_FROM: u64 = 10;

/// So many seconds are nothing, however little time is left.
const TOLERANCE: f64 = 2.0;

/// How a task gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// One item of two seconds after the other.
    Steady,
    /// Ten items of one and a half to two and a half seconds at a time.
    Uneven,
    /// Ten items of two seconds at a time, in steps of 10 %.
    BigSteps,
    /// The same, in steps of 1 %.
    SmallSteps,
    /// A hundred chunks that start within four seconds and take 20 s each.
    ManyChunks,
    /// A hundred chunks that start within four seconds and take 200 s each.
    ManyLongChunks,
    /// Ten chunks of 20 s, one of which takes three times as long.
    SlowChunk,
    /// Ten chunks of 67 s, one of which takes three times as long.
    SlowLongChunk,
    /// In the middle no item gets on for two minutes.
    Hang,
    /// In the middle the workers cannot reach the table for two minutes.
    Outage,
    /// In the middle the worker dies, and the sweeper has to find another.
    Death,
    /// In the second half every item takes twice as long.
    HalfPace,
    /// The same, with ten chunks.
    HalfPaceOfChunks,
    /// Of ten items one fails for good and three have to be tried again.
    Failures,
    /// The same, with ten chunks.
    FailuresOfChunks,
    /// Twenty-five chunks of which ten at a time find a worker.
    Waves,
}

/// What a course came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// How the task got on.
    pub course: Course,
    /// How long it took.
    pub took: Duration,
    /// The median of |estimate − truth| / (truth + 2 s).
    pub median_error: f64,
    /// The lowest estimate compared with the truth, two seconds in its favour.
    pub lowest: f64,
    /// The highest estimate compared with the truth, two seconds in its favour.
    pub highest: f64,
    /// How often an estimate rose although no item was settled.
    pub rises: usize,
    /// The share of the time in which there was an estimate.
    pub known: f64,
    /// How often its client asked.
    pub polls: usize,
    /// By how many percent what was shown differed from what was true, but for a twentieth of the time.
    pub staleness: u64,
    /// For which share of the time that was more than 5 %.
    pub stale: f64,
    /// How long after it the client saw the end.
    pub end_shown_after: Duration,
}

fn between(from: u64, to: u64) -> (Duration, Duration) {
    (Duration::from_millis(from), Duration::from_millis(to))
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Steady,
        Self::Uneven,
        Self::BigSteps,
        Self::SmallSteps,
        Self::ManyChunks,
        Self::ManyLongChunks,
        Self::SlowChunk,
        Self::SlowLongChunk,
        Self::Hang,
        Self::Outage,
        Self::Death,
        Self::HalfPace,
        Self::HalfPaceOfChunks,
        Self::Failures,
        Self::FailuresOfChunks,
        Self::Waves,
    ];

    /// Whether nothing happens that nobody could foresee, so that an estimate has no excuse.
    #[must_use]
    pub fn is_even(self) -> bool {
        matches!(
            self,
            Self::Steady
                | Self::Uneven
                | Self::BigSteps
                | Self::SmallSteps
                | Self::ManyChunks
                | Self::ManyLongChunks
        )
    }

    /// The run that goes so.
    #[must_use]
    pub fn scenario(self, seed: u64) -> Scenario {
        let items = match self {
            Self::Steady | Self::BigSteps | Self::Waves => 100,
            Self::ManyChunks => 2000,
            Self::ManyLongChunks => 5000,
            Self::Uneven => 970,
            _ => 1000,
        };
        let mut scenario = Scenario::one_task(seed, items);
        scenario.watched = true;
        self.set(&mut scenario);
        scenario.seed ^= self as u64 * 1000;
        scenario
    }

    fn set(self, scenario: &mut Scenario) {
        let seconds = Duration::from_secs;
        let middle = seconds(100);
        let pause = seconds(120);
        let settings = &mut scenario.settings;
        let is_one_chunk = !matches!(
            self,
            Self::ManyChunks
                | Self::ManyLongChunks
                | Self::SlowChunk
                | Self::SlowLongChunk
                | Self::HalfPaceOfChunks
                | Self::FailuresOfChunks
        );
        if is_one_chunk {
            settings.terms.chunk_items = 1000;
        }
        match self {
            Self::BigSteps | Self::SmallSteps => {}
            Self::Steady => settings.items_in_flight = 1,
            Self::Uneven => settings.item = between(1500, 2500),
            Self::ManyChunks => {
                settings.items_in_flight = 2;
                start_hundred_chunks(scenario);
            }
            Self::ManyLongChunks => {
                settings.items_in_flight = 1;
                settings.item = between(3_500, 4_500);
                start_hundred_chunks(scenario);
                scenario.settings.terms.chunk_items = 50;
            }
            Self::SlowChunk => scenario.slow.push(slow(300, 400, Duration::ZERO, 3)),
            Self::SlowLongChunk => {
                settings.items_in_flight = 3;
                settings.item = between(1500, 2500);
                scenario.slow.push(slow(300, 400, Duration::ZERO, 3));
            }
            Self::Hang => scenario.hang = Some((middle, pause)),
            Self::Outage => {
                scenario.weather.until = middle + pause;
                scenario.weather.outages.push(Outage {
                    from: middle,
                    until: middle + pause,
                    fault: embedded_aws::Fault::Unreachable,
                    function: Some(Function::Worker),
                });
            }
            // The second worker, which begins after a slice.
            Self::Death => scenario
                .kills
                .push((1, middle.saturating_sub(settings.slice))),
            Self::HalfPace => scenario.slow.push(slow(500, 1000, Duration::ZERO, 2)),
            Self::HalfPaceOfChunks => {
                settings.items_in_flight = 1;
                settings.item = between(1500, 2500);
                scenario.slow.push(slow(0, 1000, middle, 2));
            }
            Self::Failures => {
                settings.item = between(1000, 3000);
                scenario.fates = fates();
            }
            Self::FailuresOfChunks => {
                settings.items_in_flight = 1;
                settings.item = between(1000, 3000);
                scenario.fates = fates();
            }
            Self::Waves => {
                settings.terms.chunk_items = 4;
                settings.items_in_flight = 1;
                settings.workers_max = 1;
            }
        }
    }
}

/// What each course comes to, in the worst of so many runs.
///
/// # Panics
///
/// When one of them violates an invariant.
#[must_use]
pub fn measure(courses: &[Course], seeds: u64) -> Vec<Figures> {
    let runs: Vec<_> = courses
        .iter()
        .flat_map(|course| (0..seeds).map(move |seed| (*course, seed)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| runs.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.map(|(course, seed)| Figures::new(*course, &run(&course.scenario(*seed))))
            .collect::<Vec<_>>()
    };
    let figures: Vec<_> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let worst = |course: &Course| {
        let runs = figures.iter().filter(|figures| figures.course == *course);
        runs.copied().reduce(Figures::or_worse)
    };
    courses.iter().filter_map(worst).collect()
}

fn slow(from: u64, to: u64, after: Duration, times: u32) -> Slow {
    Slow {
        items: from..to,
        from: after,
        times,
    }
}

fn fates() -> Vec<(u64, Fate)> {
    let fate = |index: u64| match index % 10 {
        2 => Some((index, Fate::Permanent)),
        3 | 6 | 9 => Some((index, Fate::Retryable(1))),
        _ => None,
    };
    (0..1000).filter_map(fate).collect()
}

/// Makes a hundred chunks and delays the messages that announce them. The first of all announces the task.
fn start_hundred_chunks(scenario: &mut Scenario) {
    scenario.settings.terms.chunk_items = 20;
    scenario.settings.workers_max = 100;
    let mut random = Rng::with_seed(scenario.seed);
    scenario.delivered = (1..100)
        .map(|nth| (nth, vec![Duration::from_millis(random.u64(5..4000))]))
        .collect();
}

impl Figures {
    /// What a run of this course came to.
    ///
    /// # Panics
    ///
    /// When it violates an invariant.
    #[must_use]
    pub fn new(course: Course, report: &Report) -> Self {
        let seed = report.seed;
        assert_eq!(report.violation, None, "{course:?}, seed {seed}");
        let task = &report.tasks[0];
        let ended_at = task.finished_at.unwrap_or_default().since(BEGINNING);
        let Watched { samples, polls, .. } = &report.watched;
        let judged: Vec<_> = samples
            .iter()
            .filter(|sample| sample.settled * 100 >= task.number_of_items * JUDGED_FROM)
            .collect();
        let known: Vec<_> = judged
            .iter()
            .filter_map(|sample| {
                let truth = ended_at.saturating_sub(sample.at).as_secs_f64();
                #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
                sample.eta_seconds.map(|eta| (eta as f64, truth))
            })
            .collect();
        let errors = known
            .iter()
            .map(|(eta, truth)| (eta - truth).abs() / (truth + TOLERANCE));
        let lowest = known.iter().map(|(eta, truth)| (eta + TOLERANCE) / truth);
        let highest = known.iter().map(|(eta, truth)| (eta - TOLERANCE) / truth);
        let last_seen_at = polls.last().map_or(Duration::MAX, |poll| poll.at);
        let (staleness, stale) = staleness(&report.watched, task.progress().percentage);
        Self {
            course,
            took: ended_at.saturating_sub(samples.first().map_or(ended_at, |first| first.at)),
            median_error: quantile(errors.collect(), 50).unwrap_or(f64::INFINITY),
            lowest: lowest.reduce(f64::min).unwrap_or(1.0),
            highest: highest.reduce(f64::max).unwrap_or(1.0),
            rises: rises(samples),
            known: share(&judged, |sample| sample.eta_seconds.is_some()),
            polls: polls.len(),
            staleness,
            stale,
            end_shown_after: last_seen_at.saturating_sub(ended_at),
        }
    }

    fn or_worse(self, other: Self) -> Self {
        Self {
            course: self.course,
            took: self.took.max(other.took),
            median_error: self.median_error.max(other.median_error),
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
            rises: self.rises + other.rises,
            known: self.known.min(other.known),
            polls: self.polls.max(other.polls),
            staleness: self.staleness.max(other.staleness),
            stale: self.stale.max(other.stale),
            end_shown_after: self.end_shown_after.max(other.end_shown_after),
        }
    }

    /// The polls of a task that takes 200 s; a longer one may be looked at as often in the same time.
    #[must_use]
    pub fn polls_in_200_seconds(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let polls = self.polls as f64;
        polls / (self.took.as_secs_f64() / 200.0).max(1.0)
    }
}

/// The value below which so many percent of the others are.
fn quantile<T: PartialOrd + Copy>(mut values: Vec<T>, percent: usize) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
}

/// How often there is a higher estimate than before although nothing was settled since.
fn rises(samples: &[Sample]) -> usize {
    let mut lowest = u64::MAX;
    let mut settled = 0;
    let mut rises = 0;
    for sample in samples {
        if sample.settled != settled {
            (settled, lowest) = (sample.settled, u64::MAX);
        }
        if let Some(eta) = sample.eta_seconds {
            rises += usize::from(eta > lowest);
            lowest = eta;
        }
    }
    rises
}

/// By how many percent what was shown last differs from what is true, in all but a twentieth of the moments until the
/// end is shown, and in which share of them by more than 5.
fn staleness(Watched { samples, polls, .. }: &Watched, percentage_in_the_end: u64) -> (u64, f64) {
    let mut polls = polls.iter().peekable();
    let mut shown = 0;
    let mut differences = Vec::new();
    let open = samples.iter().map(|sample| (sample.at, sample.percentage));
    let mut ended_at = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let ended = std::iter::repeat_with(|| {
        ended_at += EVERY;
        (ended_at, percentage_in_the_end)
    });
    for (at, percentage) in open.chain(ended) {
        while let Some(poll) = polls.next_if(|poll| poll.at <= at) {
            shown = poll.percentage;
        }
        differences.push(percentage.abs_diff(shown));
        if polls.peek().is_none() {
            break;
        }
    }
    let stale = share(&differences, |difference| **difference > 5);
    (quantile(differences, 95).unwrap_or_default(), stale)
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share<T>(values: &[T], is_counted: impl Fn(&&T) -> bool) -> f64 {
    values.iter().filter(is_counted).count() as f64 / values.len().max(1) as f64
}

/// The head of the table whose lines figures are.
pub const HEAD: &str = "\
course              took   median   lowest  highest   known  rises  polls  per 200 s  stale p95  > 5 %  end after";

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            course,
            took,
            median_error,
            lowest,
            highest,
            rises,
            known,
            polls,
            staleness,
            stale,
            end_shown_after,
        } = self;
        write!(
            f,
            "{:<17} {:>4.0} s {:>6.1} % {lowest:>8.2} {highest:>8.2} {:>5.0} % {rises:>6} {polls:>6} {:>10.1} {staleness:>8} % {:>5.1}% {:>8.1} s",
            format!("{course:?}"),
            took.as_secs_f64(),
            median_error * 100.0,
            known * 100.0,
            self.polls_in_200_seconds(),
            stale * 100.0,
            end_shown_after.as_secs_f64(),
        )
    }
}
