//! What becomes of a task while it runs, and what its client is shown of it, moment by moment.

use std::fmt;
use std::time::Duration;

use longhaul::api::TaskView;
use serde_json::Value;

use crate::world::World;

/// How often the task is looked at.
pub(crate) const EVERY: Duration = Duration::from_millis(100);

/// A task at one moment, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The moment.
    pub at: Duration,
    /// How many of its items are settled.
    pub settled: u64,
    /// How many of them are done in truth, whether that is saved by now or not.
    pub processed: u64,
    /// How many percent of them are done, as the contract shows it.
    pub percentage: u64,
    /// The estimate that whoever asks now is given.
    pub eta_seconds: Option<u64>,
}

/// An answer to a client that follows a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// When it came.
    pub at: Duration,
    /// How many percent it says are done.
    pub percentage: u64,
    /// How many items it says are done.
    pub done: u64,
    /// What it says of the time left.
    pub eta_seconds: Option<u64>,
    /// When it says to look again; `None` once the task has ended.
    pub retry_after: Option<u64>,
}

impl fmt::Display for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        let seconds = |time: Option<u64>| time.map_or("–".into(), |time| format!("{time} s"));
        let (eta, retry_after) = (seconds(self.eta_seconds), seconds(self.retry_after));
        let percentage = self.percentage;
        write!(
            f,
            "{at:>8.1} s {percentage:>4} %   left {eta:>6}   again after {retry_after:>5}"
        )
    }
}

/// A task from the submit to its end.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Moment by moment, as long as it is open.
    pub samples: Vec<Sample>,
    /// The answers to its client.
    pub polls: Vec<Poll>,
    /// What a page that looks on has heard.
    pub news: Vec<News>,
}

/// Something about the task that a page did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// When it came.
    pub at: Duration,
    /// How many items are done.
    pub done: u64,
    /// How soon the next news are expected; `None` once the task has ended.
    pub next_after: Option<Duration>,
}

impl From<&Poll> for News {
    fn from(poll: &Poll) -> Self {
        Self {
            at: poll.at,
            done: poll.done,
            next_after: poll.retry_after.map(Duration::from_secs),
        }
    }
}

/// Writes down how the one task of the run gets on. It looks into the table past all handlers, so it changes nothing.
pub(crate) async fn watch(world: World) {
    loop {
        let at = world.now();
        {
            let mut state = world.state();
            let state = &mut *state;
            let open = state.ledger.open_tasks().next();
            if let Some(task) = open.and_then(|id| state.ledger.task(id)) {
                let processed = state.processed.get(&task.task_id).copied();
                let view = serde_json::to_value(TaskView::new(task, world.true_time()));
                let view = view.unwrap_or_default();
                let number = |name: &str| view[name].as_u64();
                let done = number("count_done_items").unwrap_or_default();
                let failed = number("count_failed_items").unwrap_or_default();
                state.watched.samples.push(Sample {
                    at,
                    settled: done + failed,
                    processed: processed.unwrap_or_default(),
                    percentage: number("done_percentage").unwrap_or_default(),
                    eta_seconds: number("eta_seconds"),
                });
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl Poll {
    /// What a status says.
    pub(crate) fn new(at: Duration, view: &Value, retry_after: Option<u64>) -> Self {
        Self {
            at,
            percentage: view["done_percentage"].as_u64().unwrap_or_default(),
            done: view["count_done_items"].as_u64().unwrap_or_default(),
            eta_seconds: view["eta_seconds"].as_u64(),
            retry_after,
        }
    }
}
