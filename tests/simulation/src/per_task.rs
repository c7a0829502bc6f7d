//! What a task comes to, all in all: its calls, its capacity, its workers' time, its client's polls, and the dollars.

use std::fmt;
use std::time::Duration;

use embedded_aws::Cost;

use crate::bill::Bill;
use crate::prices::{GIGABYTE_SECONDS_OF_INVOCATION, GIGABYTES};
use crate::scenario::{Client, Scenario};
use crate::{Figures, Function, Report, run};

/// How many items the tasks have.
pub const SIZES: [u64; 5] = [1, 10, 100, 1_000, 10_000];

/// How many of them are in flight at a time, of a chunk.
pub const IN_FLIGHT: [usize; 2] = [10, 100];

/// How many tasks wait together where they wait.
const WAITING: u16 = 10;

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How many items it has.
    pub items: u64,
    /// Whether they have inputs, of some 40 bytes each.
    pub listed: bool,
    /// How many are in flight at a time, of a chunk.
    pub in_flight: usize,
    /// How long they take.
    pub pace: Pace,
    /// Whether it finds a worker at once.
    pub company: Company,
}

/// How long items take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Two seconds each, so that those that begin together end together.
    Even,
    /// One and a half to two and a half seconds, so that hardly any two end together.
    Uneven,
}

/// What there is besides a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nothing: there is a worker for it at once, and it has that for itself.
    Alone,
    /// All workers are busy, and so many tasks wait that the next one that is free takes ten messages.
    Queue,
}

/// The head of the table whose lines they are.
pub const HEAD: &str = "\
items     kind      in flight  pace    company    took  calls  write units: rows  progress   other  read  queue  invoked  GB-s   polls  $ per million: work   polls     all";

/// What the benchmarks measure: all sizes in both kinds, and of one of them what becomes of it in other circumstances.
#[must_use]
pub fn measured_kinds() -> Vec<Kind> {
    let mut kinds = vec![];
    for items in SIZES {
        for listed in [false, true] {
            kinds.extend(IN_FLIGHT.map(|in_flight| Kind {
                listed,
                ..Kind::numbered(items, in_flight)
            }));
        }
    }
    for in_flight in IN_FLIGHT {
        let hundred = Kind::numbered(100, in_flight);
        let uneven = Kind {
            pace: Pace::Uneven,
            ..hundred
        };
        let queue = Kind {
            company: Company::Queue,
            ..hundred
        };
        kinds.extend([uneven, queue]);
    }
    kinds
}

impl Kind {
    /// So many items that are only numbered, of two seconds each, with nothing else going on.
    #[must_use]
    pub fn numbered(items: u64, in_flight: usize) -> Self {
        Self {
            items,
            listed: false,
            in_flight,
            pace: Pace::Even,
            company: Company::Alone,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.listed { "listed" } else { "numbered" };
        write!(f, "{} {kind}, {} in flight", self.items, self.in_flight)?;
        if self.pace == Pace::Uneven {
            f.write_str(", uneven")?;
        }
        if self.company == Company::Queue {
            f.write_str(", in a queue")?;
        }
        Ok(())
    }
}

/// What it comes to.
#[derive(Clone, Debug)]
pub struct PerTask {
    /// The task.
    pub kind: Kind,
    /// How long it took, from the submit on.
    pub took: Duration,
    /// Calls of the functions, polls aside.
    pub calls: f64,
    /// Write units for the rows of items.
    pub row_units: f64,
    /// Write units for moving the cursor, and with it the counts.
    pub progress_units: f64,
    /// All other write units: to accept it, to store its inputs, to claim its chunks, to end it.
    pub other_units: f64,
    /// What the work costs, the submit included.
    pub work: Bill,
    /// How often its client asked, which follows `Retry-After`, and what that costs.
    pub polls: Bill,
}

impl PerTask {
    /// Runs such a task.
    ///
    /// # Errors
    ///
    /// When that violates an invariant.
    pub fn measure(kind: Kind) -> Result<Self, String> {
        let alone = Measured::new(&run(&scenario(kind, 1)))?;
        let Company::Queue = kind.company else {
            return Ok(alone.of(kind));
        };
        // The first one has a worker of its own, and the others get the next one together.
        let all = Measured::new(&run(&scenario(kind, 1 + WAITING)))?;
        Ok(Measured {
            took: all.took,
            calls: all.calls - alone.calls,
            row_units: all.row_units - alone.row_units,
            progress_units: all.progress_units - alone.progress_units,
            other_units: all.other_units - alone.other_units,
            work: all.work - alone.work,
            polls: all.polls - alone.polls,
        }
        .shared_by(f64::from(WAITING))
        .of(kind))
    }

    /// Dollars for a million of them, polls included.
    #[must_use]
    pub fn dollars_per_million(&self) -> f64 {
        (self.work.dollars() + self.polls.dollars()) * 1e6
    }

    /// Write units for progress, per item.
    #[must_use]
    pub fn progress_units_per_item(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000")]
        let items = self.kind.items as f64;
        self.progress_units / items
    }
}

impl fmt::Display for PerTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind {
            items,
            listed,
            in_flight,
            pace,
            company,
        } = self.kind;
        let kind = if listed { "listed" } else { "numbered" };
        let pace = format!("{pace:?}").to_lowercase();
        let company = format!("{company:?}").to_lowercase();
        let (work, polls) = (self.work.dollars() * 1e6, self.polls.dollars() * 1e6);
        write!(
            f,
            "{items:<9} {kind:<9} {in_flight:>9}  {pace:<7} {company:<6} {:>6.1} s {:>6.0} {:>18.0} {:>9.1} {:>7.1} {:>5.0} \
             {:>6.1} {:>8.1} {:>5.2} {:>7.0} {work:>20.0} {polls:>7.0} {:>7.0}",
            self.took.as_secs_f64(),
            self.calls,
            self.row_units,
            self.progress_units,
            self.other_units,
            self.work.read_units,
            self.work.queue_requests,
            self.work.invocations,
            self.work.gigabyte_seconds,
            self.polls.invocations,
            work + polls,
        )
    }
}

/// What a run came to.
struct Measured {
    took: Duration,
    calls: f64,
    row_units: f64,
    progress_units: f64,
    other_units: f64,
    work: Bill,
    polls: Bill,
}

impl Measured {
    fn new(report: &Report) -> Result<Self, String> {
        if let Some(violation) = &report.violation {
            return Err(violation.clone());
        }
        let figures = &report.figures;
        let (mut calls, mut row_units, mut progress_units) = (0, 0.0, 0.0);
        for ((function, method), cost) in &figures.costs {
            // The sweeper comes with time, and not with tasks.
            if matches!(function, Function::Status | Function::Sweeper) {
                continue;
            }
            calls += cost.calls;
            match *method {
                "record_items" => row_units += cost.write_units,
                "advance" => progress_units += cost.write_units,
                _ => {}
            }
        }
        let work = of_functions(figures, |it| {
            !matches!(it, Function::Status | Function::Sweeper)
        });
        let mut polls = requests(figures, Function::Status);
        let status = figures.costs.iter();
        let status = status.filter(|((function, _), _)| *function == Function::Status);
        status.for_each(|(_, cost)| polls += capacity(cost));
        let times = report.tasks.iter().filter_map(|task| {
            let ended = task.finished_at?;
            Some(ended.since(task.created_at))
        });
        Ok(Self {
            took: times.max().unwrap_or_default(),
            calls: count(calls),
            row_units,
            progress_units,
            other_units: work.write_units - row_units - progress_units,
            work,
            polls,
        })
    }

    fn shared_by(self, tasks: f64) -> Self {
        Self {
            took: self.took,
            calls: self.calls / tasks,
            row_units: self.row_units / tasks,
            progress_units: self.progress_units / tasks,
            other_units: self.other_units / tasks,
            work: self.work / tasks,
            polls: self.polls / tasks,
        }
    }

    fn of(self, kind: Kind) -> PerTask {
        PerTask {
            kind,
            took: self.took,
            calls: self.calls,
            row_units: self.row_units,
            progress_units: self.progress_units,
            other_units: self.other_units,
            work: self.work,
            polls: self.polls,
        }
    }
}

/// The task, or several like it at once, each of a user's own.
fn scenario(kind: Kind, tasks: u16) -> Scenario {
    let mut scenario = Scenario::one_task(1, kind.items);
    let settings = &mut scenario.settings;
    settings.items_in_flight = kind.in_flight;
    if kind.pace == Pace::Uneven {
        settings.item = (Duration::from_millis(1500), Duration::from_millis(2500));
    }
    // A client whose polls are counted looks when it is told to.
    scenario.watched = true;
    let first = Client {
        listed: kind.listed,
        large_inputs: 0,
        ..scenario.clients[0].clone()
    };
    scenario.clients[0] = first.clone();
    if kind.company == Company::Queue {
        scenario.settings.workers_max = 1;
        let others = (1..tasks).map(|n| Client {
            user: format!("user-{n}"),
            at: Duration::from_secs(1),
            ..first.clone()
        });
        scenario.clients.extend(others);
    }
    scenario
}

/// What a run cost, polls aside.
pub(crate) fn all_of(figures: &Figures) -> Bill {
    of_functions(figures, |function| function != Function::Status)
}

/// What the work of these functions cost, and that of the poller of the queue.
fn of_functions(figures: &Figures, is_counted: impl Fn(Function) -> bool) -> Bill {
    let mut bill = requests(figures, Function::Submit);
    let costs = figures.costs.iter();
    for ((_, method), cost) in costs.filter(|((function, _), _)| is_counted(*function)) {
        bill += capacity(cost);
        if method.starts_with("send") {
            // Of less than 64 KB each, which is one request.
            bill.queue_requests += count(cost.calls);
        }
    }
    let polled = figures.polled;
    bill.queue_requests += count(polled.receives + polled.deletes);
    for function in [Function::Worker, Function::Sweeper] {
        if is_counted(function) {
            bill.invocations += invocations(figures, function);
            let busy = figures.busy.get(&function).copied();
            bill.gigabyte_seconds += busy.unwrap_or_default().as_secs_f64() * GIGABYTES;
        }
    }
    bill
}

/// Requests to the API that end at a function, and its invocations for them.
fn requests(figures: &Figures, function: Function) -> Bill {
    let invocations = invocations(figures, function);
    Bill {
        http_requests: invocations,
        invocations,
        gigabyte_seconds: invocations * GIGABYTE_SECONDS_OF_INVOCATION,
        ..Bill::default()
    }
}

fn invocations(figures: &Figures, function: Function) -> f64 {
    let invocations = figures.invocations.get(&function).copied();
    count(invocations.unwrap_or_default())
}

fn capacity(cost: &Cost) -> Bill {
    Bill {
        write_units: cost.write_units,
        read_units: cost.read_units,
        ..Bill::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn count(count: u64) -> f64 {
    count as f64
}
