//! What it costs to look on while a task gets on, over what the task itself costs: by asking, and by being told.

use std::fmt;
use std::time::Duration;

use embedded_aws::Cost;

use crate::bill::Bill;
use crate::prices::GIGABYTE_SECONDS_OF_INVOCATION;
use crate::scenario::{Live, Page, Scenario};
use crate::{Function, run};

/// How a task is looked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its page asks as often as it is told to. There are no live updates, and no events.
    Asking,
    /// Its page is told over a connection.
    Told,
    /// Nobody looks on, and it could be told.
    Nobody,
}

/// A task that takes 200 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A thousand items of two seconds, ten at a time.
    Thousand,
    /// A hundred items of two seconds, one at a time.
    Hundred,
}

/// The ways that are measured.
pub const WAYS: [Way; 3] = [Way::Asking, Way::Told, Way::Nobody];

/// The tasks that are measured.
pub const SHAPES: [Shape; 2] = [Shape::Thousand, Shape::Hundred];

/// What the lines of a measurement say.
pub const HEAD: &str = "200 s, looked on by      requests  invocations of status, live, notify, ended  read units  write units  messages  minutes  events  $ per million";

/// The functions that are there for whoever looks on, or is told.
const FUNCTIONS: [Function; 4] = [
    Function::Status,
    Function::Live,
    Function::Notify,
    Function::Ended,
];

/// When the task is begun that a page looks on, which is there by then.
const BEGINS: Duration = Duration::from_secs(2);

/// How long the page stays: a moment longer than the task takes.
const STAYS: Duration = Duration::from_secs(205);

/// What it costs to look on while one task gets on.
#[derive(Clone, Debug)]
pub struct WatchingCost {
    /// The task.
    pub shape: Shape,
    /// How it is looked on.
    pub way: Way,
    /// Requests to the HTTP API.
    pub requests: u64,
    /// Invocations of `status`, `live`, `notify` and `ended`.
    pub invocations: [u64; 4],
    /// What their calls to the table cost.
    pub table: Cost,
    /// Messages over connections.
    pub messages: u64,
    /// Minutes that connections were open.
    pub minutes: u64,
    /// Events.
    pub events: u64,
    /// What was put aside.
    pub put_aside: u64,
}

impl WatchingCost {
    /// Runs such a task.
    ///
    /// # Errors
    ///
    /// When that violates an invariant.
    pub fn measure(shape: Shape, way: Way) -> Result<Self, String> {
        let report = run(&scenario(shape, way));
        if let Some(violation) = report.violation {
            return Err(violation);
        }
        let figures = report.figures;
        let mut table = Cost::default();
        for ((function, _), cost) in &figures.costs {
            if FUNCTIONS.contains(function) {
                table += *cost;
            }
        }
        let invocations = FUNCTIONS.map(|it| figures.invocations.get(&it).copied());
        let invocations = invocations.map(Option::unwrap_or_default);
        let tickets = figures.calls(Function::Live, "add_ticket");
        Ok(Self {
            shape,
            way,
            requests: invocations[0] + tickets,
            invocations,
            table,
            messages: figures.live.told,
            minutes: figures.live.opened * STAYS.as_secs().div_ceil(60),
            events: figures.live.announced,
            put_aside: figures.live.put_aside,
        })
    }

    /// What that is in dollars.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let count = |count: u64| count as f64;
        let invocations = count(self.invocations.iter().sum());
        let bill = Bill {
            http_requests: count(self.requests),
            invocations,
            gigabyte_seconds: invocations * GIGABYTE_SECONDS_OF_INVOCATION,
            write_units: self.table.write_units,
            read_units: self.table.read_units,
            queue_requests: count(self.put_aside),
            socket_messages: count(self.messages),
            socket_minutes: count(self.minutes),
            events: count(self.events),
        };
        bill.dollars()
    }
}

impl fmt::Display for WatchingCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = match self.shape {
            Shape::Thousand => "1,000 items",
            Shape::Hundred => "100 items",
        };
        let way = match self.way {
            Way::Asking => "asking",
            Way::Told => "told",
            Way::Nobody => "nobody",
        };
        let [status, live, notify, ended] = self.invocations;
        let Cost {
            read_units,
            write_units,
            ..
        } = self.table;
        let name = format!("{items}, {way}");
        write!(
            f,
            "{name:<24} {:>8}  {status:>21} {live:>5} {notify:>7} {ended:>6}  {read_units:>10}  {write_units:>11}  {:>8}  {:>7}  {:>6}  {:>13.0}",
            self.requests,
            self.messages,
            self.minutes,
            self.events,
            self.dollars() * 1e6
        )
    }
}

fn scenario(shape: Shape, way: Way) -> Scenario {
    let (items, in_flight) = match shape {
        Shape::Thousand => (1000, 10),
        Shape::Hundred => (100, 1),
    };
    let mut scenario = Scenario::one_task(1, items);
    scenario.settings.terms.chunk_items = items;
    scenario.settings.items_in_flight = in_flight;
    scenario.watched = way == Way::Asking;
    for client in &mut scenario.clients {
        client.at = BEGINS;
        client.follows = way == Way::Asking;
    }
    let page = || Page::of("ann", Duration::ZERO, STAYS);
    scenario.live = match way {
        Way::Asking => None,
        Way::Told => Some(vec![page()]),
        Way::Nobody => Some(vec![]),
    }
    .map(|pages| Live {
        pages,
        ..Live::default()
    });
    scenario
}
