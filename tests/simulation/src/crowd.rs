//! Many users at once, each with a task: how long they wait, whether they get the same, and what is in their way.
//!
//! The handlers are the real ones, behind a model of how far AWS scales ([`scaling`](crate::scaling)).

use std::fmt;
use std::time::Duration;

use crate::bill::Bill;
use crate::scaling::{Scaling, Strain};
use crate::scenario::{Client, Scenario};
use crate::world::BEGINNING;
use crate::{per_task, run};

/// How the deployment is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// As the template has it.
    Template,
    /// With a thousand workers, and API Gateway's own throttles: 10,000 requests a second, 5,000 at once.
    Raised,
}

/// Who is there.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many users ask at once for a task of two items of 6 s.
    pub users: u64,
    /// How many more ask at the same time for one of 1,000 items of 6 s.
    pub greedy: u64,
    /// What they ask it of.
    pub deployment: Deployment,
}

/// The crowds that are measured.
pub const CROWDS: [Crowd; 7] = [
    Crowd::new(1, 0, Deployment::Template),
    Crowd::new(100, 0, Deployment::Template),
    Crowd::new(100, 20, Deployment::Template),
    Crowd::new(1000, 0, Deployment::Template),
    Crowd::new(1000, 0, Deployment::Raised),
    Crowd::new(10_000, 0, Deployment::Template),
    Crowd::new(10_000, 0, Deployment::Raised),
];

/// How many items those have who ask for many.
const MANY: u64 = 1000;

/// How many items the others have.
const FEW: u64 = 2;

/// How long an item takes.
const ITEM: Duration = Duration::from_secs(6);

/// Runs those of no more users than this, side by side, and tells of each.
///
/// # Errors
///
/// When one of them violates an invariant.
pub fn measure(users_max: u64, mut tell: impl FnMut(&Outcome)) -> Result<(), String> {
    let crowds = CROWDS.into_iter().filter(|it| it.users <= users_max);
    std::thread::scope(|scope| {
        let runs = crowds.map(|crowd| scope.spawn(move || crowd.measure()));
        for run in runs.collect::<Vec<_>>() {
            let outcome = run.join();
            tell(&outcome.unwrap_or_else(|_| Err("the simulator panicked".to_owned()))?);
        }
        Ok(())
    })
}

/// What it came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who was there.
    pub crowd: Crowd,
    /// From the first request to the end of the last task of two items.
    pub lasted: Duration,
    /// How long each of them waited until its task was accepted,
    pub accepted: Waits,
    /// from then until a worker had it,
    pub started: Waits,
    /// and from its request until it was done.
    pub done: Waits,
    /// Jain's index of the items that each user got done a second, from its request on: 1 where all get the same.
    pub fairness: f64,
    /// What was in the way.
    pub strain: Strain,
    /// What a task cost, polls aside and the sweeper included, where they were all alike.
    pub bill: Option<Bill>,
    /// Calls of the sweeper.
    pub sweeper_calls: u64,
    /// Messages that were sent again.
    pub dispatches: u64,
}

/// Of times that were waited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// The median.
    pub p50: Duration,
    /// What all but a twentieth did not exceed,
    pub p95: Duration,
    /// and all but a hundredth.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// The head of the table whose lines they are.
pub const HEAD: &str = "\
users                      lasted  tasks/s   accepted after p50  p95  p99  max   waits for a worker p50  p95  p99  max   done after p50  p95  p99  max  fairness";

impl Crowd {
    const fn new(users: u64, greedy: u64, deployment: Deployment) -> Self {
        Self {
            users,
            greedy,
            deployment,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// When that violates an invariant.
    pub fn measure(self) -> Result<Outcome, String> {
        let report = run(&self.scenario());
        if let Some(violation) = report.violation {
            return Err(violation);
        }
        let few = report.tasks.iter();
        let few: Vec<_> = few.filter(|it| it.number_of_items == FEW).collect();
        if few.len() as u64 != self.users {
            return Err(format!("of {} users {} had a task", self.users, few.len()));
        }
        let times = |from_to: &dyn Fn(&longhaul::task::Task) -> Option<Duration>| {
            let times = few.iter().filter_map(|task| from_to(task));
            times.collect::<Vec<_>>()
        };
        let accepted = times(&|task| Some(task.created_at.since(BEGINNING)));
        let started = times(&|task| Some(task.started_at?.since(task.created_at)));
        let done = times(&|task| Some(task.finished_at?.since(BEGINNING)));
        if done.len() != few.len() {
            return Err("some tasks have not ended".into());
        }
        let figures = report.figures;
        let by_sweeper = figures.costs.iter();
        let by_sweeper =
            by_sweeper.filter(|((function, _), _)| *function == crate::Function::Sweeper);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let bill = (self.greedy == 0).then(|| per_task::all_of(&figures) / self.users as f64);
        Ok(Outcome {
            crowd: self,
            lasted: done.iter().max().copied().unwrap_or_default(),
            fairness: jain(done.iter().map(|done| 1.0 / done.as_secs_f64())),
            accepted: Waits::of(accepted),
            started: Waits::of(started),
            done: Waits::of(done),
            bill,
            sweeper_calls: by_sweeper.map(|(_, cost)| cost.calls).sum(),
            dispatches: figures.calls(crate::Function::Sweeper, "dispatch"),
            strain: figures.strain.unwrap_or_default(),
        })
    }

    fn scenario(self) -> Scenario {
        let mut scenario = Scenario::one_task(1, FEW);
        let settings = &mut scenario.settings;
        settings.item = (ITEM, ITEM);
        let mut scaling = Scaling::default();
        if self.deployment == Deployment::Raised {
            settings.workers_max = 1000;
            scaling.starts = (10_000.0, 5_000.0);
            scaling.requests = scaling.starts;
        }
        scenario.scaling = Some(scaling);
        let one = Client {
            // What they would ask is left out: the throttle of what starts work is the narrower one.
            follows: false,
            ..scenario.clients[0].clone()
        };
        let of = |n: u64, items: u64| Client {
            user: format!("user-{items}-{n}"),
            items,
            ..one.clone()
        };
        let greedy = (0..self.greedy).map(|n| of(n, MANY));
        scenario.clients = greedy.chain((0..self.users).map(|n| of(n, FEW))).collect();
        scenario
    }
}

impl Waits {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let at = |percent: usize| {
            let last = waits.len().saturating_sub(1);
            let wait = waits.get((waits.len() * percent / 100).min(last));
            wait.copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }
}

/// Jain's index of fairness: 1 where all have the same, and one divided by their number where one has all.
fn jain(shares: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for share in shares {
        count += 1.0;
        sum += share;
        squares += share * share;
    }
    sum * sum / (count * squares)
}

impl Outcome {
    /// Tasks of two items a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let users = self.crowd.users as f64;
        users / self.lasted.as_secs_f64()
    }

    /// What was in the way, in the order in which it was.
    #[must_use]
    pub fn hits(&self) -> String {
        let mut hits: Vec<_> = self.strain.hits.iter().collect();
        hits.sort_by_key(|(_, (at, _))| *at);
        let hits = hits.into_iter().map(|(limit, (at, _))| {
            let at = at.as_secs_f64();
            format!("{limit} from {at:.1} s on")
        });
        let hits: Vec<_> = hits.collect();
        if hits.is_empty() {
            "nothing".into()
        } else {
            hits.join(", ")
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crowd {
            users,
            greedy,
            deployment,
        } = self.crowd;
        let name = format!("{users} + {greedy}, {deployment:?}").to_lowercase();
        let waits = |it: &Waits| {
            let [p50, p95, p99, max] = [it.p50, it.p95, it.p99, it.max].map(|it| it.as_secs_f64());
            format!("{p50:.1} {p95:.1} {p99:.1} {max:.1}")
        };
        writeln!(
            f,
            "{name:<24} {:>6.1} s {:>8.1} {:>38} {:>42} {:>34} {:>9.3}",
            self.lasted.as_secs_f64(),
            self.throughput(),
            waits(&self.accepted),
            waits(&self.started),
            waits(&self.done),
            self.fairness,
        )?;
        let strain = &self.strain;
        write!(
            f,
            "  in the way: {}; at most {} workers, {} executions, {} messages in flight, {:.0} write units of a partition, \
             {:.0} of one of the index, {:.0} of the table; {} calls of the sweeper, {} messages again",
            self.hits(),
            strain.workers_max,
            strain.executions_max,
            strain.messages_in_flight_max,
            strain.partition_units_max,
            strain.index_units_max,
            strain.table_units_max,
            self.sweeper_calls,
            self.dispatches,
        )?;
        match &self.bill {
            Some(bill) => write!(f, "; $ {:.0} for a million", bill.dollars() * 1e6),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_where_all_have_the_same() {
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(near(jain([2.0; 8].into_iter()), 1.0));
        assert!(near(jain([1.0, 0.0, 0.0, 0.0].into_iter()), 0.25));
    }
}
