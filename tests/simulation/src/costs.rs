//! What a task costs, in calls to AWS, capacity and bytes.

use std::collections::BTreeMap;
use std::fmt;

use embedded_aws::Cost;

use crate::scenario::{Afterwards, Fate, Scenario};
use crate::{Function, run};

/// How many items the tasks have that are measured.
pub const SIZES: [u64; 3] = [1, 100, 10_000];

/// Of how many items how many are tried again, in the retries that are measured.
pub const RETRIES: [(u64, u64); 2] = [(10_000, 37), (10_000, 10_000)];

/// What the lines of a measurement say.
pub const HEAD: &str = "items           calls  write units  read units  bytes sent  received";

/// The cost of one task that nothing happens to. Polls and the sweeper's looks are not in it: those come with time, and
/// not with tasks.
#[derive(Clone, Debug)]
pub struct TaskCost {
    /// How many items it has.
    pub items: u64,
    /// Whether they have inputs, of some 40 bytes each.
    pub listed: bool,
    /// Of how many it is a retry, if it is one.
    pub retry_of: Option<u64>,
    /// By the function and the method of the store or the queue.
    pub by_method: BTreeMap<(Function, &'static str), Cost>,
}

impl TaskCost {
    /// Runs such a task.
    ///
    /// # Errors
    ///
    /// When that violates an invariant.
    pub fn measure(items: u64, listed: bool) -> Result<Self, String> {
        Ok(Self {
            items,
            listed,
            retry_of: None,
            by_method: costs(&scenario(items, listed))?,
        })
    }

    /// Runs a task of listed items of which so many fail, and has them tried again: what the retry costs.
    ///
    /// # Errors
    ///
    /// When that violates an invariant.
    pub fn measure_retry(items: u64, failed: u64) -> Result<Self, String> {
        let mut scenario = scenario(items, true);
        // All over the task.
        let fails = (0..failed).map(|n| (n * (items / failed), Fate::Permanent));
        scenario.fates = fails.collect();
        let without = costs(&scenario)?;
        for client in &mut scenario.clients {
            client.afterwards = Afterwards::Retry(1);
        }
        let mut by_method = costs(&scenario)?;
        for (method, cost) in without {
            *by_method.entry(method).or_default() -= cost;
        }
        by_method.retain(|_, cost| cost.calls > 0);
        Ok(Self {
            items: failed,
            listed: true,
            retry_of: Some(items),
            by_method,
        })
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Cost {
        let mut total = Cost::default();
        for cost in self.by_method.values() {
            total += *cost;
        }
        total
    }
}

impl fmt::Display for TaskCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.listed, self.retry_of) {
            (_, Some(all)) => format!("of {all} again"),
            (true, None) => "listed".into(),
            (false, None) => "numbered".into(),
        };
        line(f, &format!("{} {kind}", self.items), &self.total())?;
        for ((function, method), cost) in &self.by_method {
            writeln!(f)?;
            line(f, &format!("  {function} {method}"), cost)?;
        }
        Ok(())
    }
}

/// A task to which nothing happens.
fn scenario(items: u64, listed: bool) -> Scenario {
    let mut scenario = Scenario::one_task(1, items);
    for client in &mut scenario.clients {
        client.listed = listed;
        client.large_inputs = 0;
    }
    scenario
}

fn costs(scenario: &Scenario) -> Result<BTreeMap<(Function, &'static str), Cost>, String> {
    let report = run(scenario);
    if let Some(violation) = report.violation {
        return Err(violation);
    }
    let mut costs = report.figures.costs;
    costs.retain(|(function, _), _| !matches!(function, Function::Status | Function::Sweeper));
    Ok(costs)
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, cost: &Cost) -> fmt::Result {
    let Cost {
        calls,
        write_units,
        read_units,
        bytes_sent,
        bytes_received,
    } = cost;
    write!(
        f,
        "{name:<22} {calls:>6} {write_units:>12} {read_units:>11} {bytes_sent:>11} {bytes_received:>9}"
    )
}
