//! Many runs: a range of seeds over all processors, and what they came to together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::live::Count;
use crate::run::{Report, run};
use crate::scenario::{Profile, Scenario};

/// A search for violations.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// What kind of runs.
    pub profile: Profile,
    /// The guard of the store that is taken away, by its name.
    pub without: Option<&'static str>,
    /// Whether to stop at the first violation.
    pub stop_early: bool,
}

/// What many runs came to together.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many runs there were.
    pub runs: u64,
    /// The seeds that violated an invariant, and which.
    pub violations: BTreeMap<u64, String>,
    /// Calls to the services.
    pub calls: u64,
    /// Faults by what they did.
    pub faults: BTreeMap<&'static str, u64>,
    /// Tasks by how they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// From a single fault to the next progress, in ascending order once the hunt is over.
    pub recoveries: Vec<(Duration, u64)>,
    /// The time that the runs took in their own worlds, together.
    pub simulated: Duration,
    /// The time that the hunt took.
    pub took: Duration,
    /// Messages that ended in the dead-letter queue.
    pub dead_letters: usize,
    /// What there was of live updates and events.
    pub live: Count,
}

impl Hunt {
    /// Runs every seed, on all processors, and tells `progress` of each.
    pub fn run(&self, progress: impl Fn(&Report) + Sync) -> Summary {
        let began = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let summary = Mutex::new(Summary::default());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    longhaul::store::dropped::set(self.without);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.seeds.end {
                            return;
                        }
                        let report = run(&Scenario::drawn(seed, self.profile));
                        if report.violation.is_some() && self.stop_early {
                            next.store(self.seeds.end, Ordering::Relaxed);
                        }
                        progress(&report);
                        summary
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .add(report);
                    }
                });
            }
        });
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.recoveries.sort_unstable();
        summary.took = began.elapsed();
        summary
    }
}

impl Summary {
    fn add(&mut self, report: Report) {
        let figures = report.figures;
        self.runs += 1;
        if let Some(violation) = report.violation {
            self.violations.insert(report.seed, violation);
        }
        self.calls += figures.all_calls();
        for (fault, times) in figures.faults {
            *self.faults.entry(fault).or_default() += times;
        }
        for (status, tasks) in figures.ended {
            *self.ended.entry(status).or_default() += tasks;
        }
        if report.profile == Profile::Single
            && let Some(recovery) = figures.recovery
        {
            self.recoveries.push((recovery, report.seed));
        }
        self.simulated += figures.lasted;
        self.dead_letters += figures.dead_letters;
        self.live += figures.live;
    }

    /// The time within which so many of a hundred single faults were recovered from.
    #[must_use]
    pub fn recovery(&self, percentile: usize) -> Option<(Duration, u64)> {
        let last = self.recoveries.len().checked_sub(1)?;
        self.recoveries
            .get(last * percentile.min(100) / 100)
            .copied()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        let days = self.simulated.as_secs_f64() / 86_400.0;
        writeln!(
            f,
            "{} seeds in {took:.1} s, {} calls, {days:.1} simulated days, {} violations",
            self.runs,
            self.calls,
            self.violations.len()
        )?;
        let list = |counts: &BTreeMap<&str, u64>| {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, n)| format!("{n} {name}"))
                .collect();
            counts.join(", ")
        };
        writeln!(f, "faults: {}", list(&self.faults))?;
        writeln!(
            f,
            "tasks: {}; {} dead letters",
            list(&self.ended),
            self.dead_letters
        )?;
        let Count {
            opened,
            told,
            announced,
            put_aside,
            ..
        } = self.live;
        writeln!(
            f,
            "{opened} connections, {told} messages over them; {announced} events, {put_aside} records put aside"
        )?;
        let recovery = |percentile| {
            let (time, seed) = self.recovery(percentile).unwrap_or_default();
            format!("{:.1} s (seed {seed})", time.as_secs_f64())
        };
        write!(
            f,
            "from a single fault to progress, {} times: p50 {}, p99 {}, max {}",
            self.recoveries.len(),
            recovery(50),
            recovery(99),
            recovery(100)
        )
    }
}
