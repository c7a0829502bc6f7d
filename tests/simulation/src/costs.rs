//! What a task costs, in calls to AWS, capacity and bytes.

use std::collections::BTreeMap;
use std::fmt;

use embedded_aws::Cost;

use crate::scenario::Scenario;
use crate::{Function, run};

/// How many items the tasks have that are measured.
pub const SIZES: [u64; 3] = [1, 100, 10_000];

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
        let mut scenario = Scenario::one_task(1, items);
        for client in &mut scenario.clients {
            client.listed = listed;
            client.large_inputs = 0;
        }
        let report = run(&scenario);
        if let Some(violation) = report.violation {
            return Err(violation);
        }
        let mut by_method = report.figures.costs;
        by_method
            .retain(|(function, _), _| !matches!(function, Function::Status | Function::Sweeper));
        Ok(Self {
            items,
            listed,
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
        let kind = if self.listed { "listed" } else { "numbered" };
        line(f, &format!("{} {kind}", self.items), &self.total())?;
        for ((function, method), cost) in &self.by_method {
            writeln!(f)?;
            line(f, &format!("  {function} {method}"), cost)?;
        }
        Ok(())
    }
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
