//! How the worker does jobs of which it knows the names only. Here, and nowhere else, jobs are trait objects.
//!
//! A `Runner` is one job in one process: started once, lazily, with its own limit of items in flight. A `Batch` is
//! one task's share of it: the shared value is read once for all items that a worker does of the task. What is stored
//! is read, processed and written where items run ([`Executor`]); whoever awaits it only waits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::chunk::ItemIndex;
use crate::executor::Executor;
use crate::item::{Item, ItemError};
use crate::job::{BLOCKING_ITEMS_MAX, Process};
use crate::list::{ProcessList, ProcessVisitor};
use crate::order::name_of;
use crate::setup::Setup;
use crate::task::{TaskId, UserId};
use crate::telemetry;

pub use crate::item::{Phase, Retry};

/// The largest output of an item, as JSON, in bytes. A page of a thousand items has to fit into one answer of a
/// function (6 MB, AWS Lambda quotas).
pub const OUTPUT_BYTES_MAX: usize = 4096;

/// How long a job that could not start is left alone, at first; doubles with each failure.
const START_PAUSE: Duration = Duration::from_secs(5);

/// …but not beyond this.
const START_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The jobs that a worker can do.
#[derive(Clone, Default)]
pub struct Runners {
    jobs: Arc<BTreeMap<&'static str, Arc<dyn AnyJob>>>,
}

impl Runners {
    /// The jobs of a list. None of them is started before its first item.
    #[must_use]
    pub fn new<Jobs: ProcessList>(setup: &Setup, executor: &Executor) -> Self {
        let jobs = Jobs::each_process(MakeRunner { setup, executor });
        let named = jobs.into_iter().map(|job| (job.name(), job));
        Self {
            jobs: Arc::new(named.collect()),
        }
    }

    /// These and this one, which is started already.
    #[must_use]
    pub fn with<J: Process>(mut self, job: J, executor: &Executor) -> Self {
        let runner = Runner::started(job, executor.clone());
        Arc::make_mut(&mut self.jobs).insert(J::NAME, Arc::new(runner));
        self
    }

    /// The job that did what is stored under this name and version; `None` when this worker is older than the task.
    #[must_use]
    pub fn get(&self, name: &str, version: u32) -> Option<Arc<dyn AnyJob>> {
        let job = self.jobs.get(name).filter(|job| job.version() >= version);
        job.cloned()
    }
}

impl std::fmt::Debug for Runners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.jobs.keys()).finish()
    }
}

#[derive(Clone)]
struct MakeRunner<'a> {
    setup: &'a Setup,
    executor: &'a Executor,
}

impl ProcessVisitor for MakeRunner<'_> {
    type Output = Arc<dyn AnyJob>;

    fn visit<J: Process>(self) -> Arc<dyn AnyJob> {
        Arc::new(Runner::<J>::new(self.setup.clone(), self.executor.clone()))
    }
}

/// A job whose types are forgotten.
pub trait AnyJob: Send + Sync {
    /// Its [`NAME`](crate::Job::NAME).
    fn name(&self) -> &'static str;

    /// Its [`VERSION`](crate::Job::VERSION).
    fn version(&self) -> u32;

    /// Whether it has a worker of its own ([`OWN_WORKER`](crate::Job::OWN_WORKER)).
    fn has_own_worker(&self) -> bool;

    /// How many items of it are worth starting at once, where it is `usual` otherwise.
    fn items_in_flight(&self, usual: usize) -> usize;

    /// Its share in a task, with the task's stored shared value.
    fn batch(self: Arc<Self>, shared: Option<&RawValue>) -> Arc<dyn AnyBatch>;
}

/// A task of a job whose types are forgotten.
pub trait AnyBatch: Send + Sync {
    /// Tries one item once. Dropping the future stops it at its next `.await`, or not at all: see [`Executor::empty`].
    fn attempt(self: Arc<Self>, item: StoredItem) -> Pin<Box<dyn Future<Output = Attempt> + Send>>;
}

/// An item as it is stored.
#[derive(Clone, Debug)]
pub struct StoredItem {
    /// Whose task it is part of.
    pub user: UserId,
    /// The task it is part of.
    pub task_id: TaskId,
    /// The task that this one retries, or this one.
    pub first_task_id: TaskId,
    /// What the user calls it.
    pub index: ItemIndex,
    /// How often it is tried, from 1.
    pub attempt: u32,
    /// Its input, if it has one.
    pub input: Option<Arc<RawValue>>,
    /// Where it says what is being done.
    pub phase: Phase,
    /// Since when it is processed: it may have to wait until others of its job are through.
    pub begun: Arc<OnceLock<Instant>>,
    /// From here on nobody waits for it.
    pub leave_at: Instant,
}

/// What comes of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The item was processed, or was not.
    Made {
        /// What it is called.
        name: String,
        /// Its output as JSON, or why there is none.
        result: Result<Box<RawValue>, Failure>,
    },
    /// The job could not start. That says nothing about the item: leave it, and come back after this time.
    NotStarted(Duration),
}

/// Why an item could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In a sentence for its user.
    pub message: String,
    /// Whether to try again.
    pub retry: Retry,
}

impl Failure {
    fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: Retry::Never,
        }
    }
}

/// One job in one process.
pub(crate) struct Runner<J> {
    setup: Setup,
    executor: Executor,
    start: Mutex<Start<J>>,
    in_flight: Option<Arc<Semaphore>>,
}

enum Start<J> {
    NotYet,
    Done(Arc<J>),
    Failed { until: Instant, pause: Duration },
}

impl<J: Process> Runner<J> {
    fn new(setup: Setup, executor: Executor) -> Self {
        Self {
            setup,
            executor,
            start: Mutex::new(Start::NotYet),
            in_flight: J::ITEMS_IN_FLIGHT.map(|items| Arc::new(Semaphore::new(items.into()))),
        }
    }

    /// The job as if it had been started.
    pub(crate) fn started(job: J, executor: Executor) -> Self {
        Self {
            start: Mutex::new(Start::Done(Arc::new(job))),
            ..Self::new(Setup::of(&[]), executor)
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let in_flight = Arc::clone(self.in_flight.as_ref()?);
        // It is never closed.
        in_flight.acquire_owned().await.ok()
    }

    /// The job, started if it is not; otherwise how long not to try it again.
    async fn start(&self) -> Result<Arc<J>, Duration> {
        let mut start = self.start.lock().await;
        let pause = match &*start {
            Start::Done(job) => return Ok(Arc::clone(job)),
            Start::NotYet => START_PAUSE,
            Start::Failed { until, pause } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                (*pause * 2).min(START_PAUSE_MAX)
            }
        };
        let setup = self.setup.clone();
        let starting = async move { J::start(&setup).await };
        let error = match self.executor.run(J::NAME, J::BLOCKING, starting).await {
            Ok(Ok(job)) => {
                let job = Arc::new(job);
                *start = Start::Done(Arc::clone(&job));
                return Ok(job);
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        tracing::error!(
            job = J::NAME,
            error,
            "a job could not start; its items wait"
        );
        let until = Instant::now() + pause;
        *start = Start::Failed { until, pause };
        Err(pause)
    }
}

impl<J: Process> AnyJob for Runner<J> {
    fn name(&self) -> &'static str {
        J::NAME
    }

    fn version(&self) -> u32 {
        J::VERSION
    }

    fn has_own_worker(&self) -> bool {
        J::OWN_WORKER
    }

    fn items_in_flight(&self, usual: usize) -> usize {
        let wanted = J::ITEMS_IN_FLIGHT.map_or(usual, usize::from);
        if J::BLOCKING {
            wanted.min(BLOCKING_ITEMS_MAX.into())
        } else {
            wanted
        }
    }

    fn batch(self: Arc<Self>, shared: Option<&RawValue>) -> Arc<dyn AnyBatch> {
        Arc::new(Batch {
            runner: self,
            shared: stored(shared).map(Arc::new),
        })
    }
}

/// A task's share in a job.
struct Batch<J: Process> {
    runner: Arc<Runner<J>>,
    shared: Result<Arc<J::Shared>, Unreadable>,
}

impl<J: Process> AnyBatch for Batch<J> {
    fn attempt(self: Arc<Self>, item: StoredItem) -> Pin<Box<dyn Future<Output = Attempt> + Send>> {
        Box::pin(async move {
            let permit = self.runner.permit().await;
            let job = match self.runner.start().await {
                Ok(job) => job,
                Err(pause) => return Attempt::NotStarted(pause),
            };
            // Of several attempts in a row, the first.
            let _ = item.begun.set(Instant::now());
            let index = item.index;
            let name = Arc::new(OnceLock::new());
            let processing = process(job, self.shared.clone(), item, Arc::clone(&name));
            let processing = async move {
                // Given back when the item is really over, and not when nobody waits for it any more.
                let _permit = permit;
                processing.await
            };
            let executor = &self.runner.executor;
            let result = match executor.run(J::NAME, J::BLOCKING, processing).await {
                Ok(result) => result,
                Err(panic) => {
                    let error = panic.to_string();
                    tracing::error!(job = J::NAME, index, error, "an item panicked");
                    Err(Failure::permanent("Processing the item panicked."))
                }
            };
            let name = name.get().cloned();
            Attempt::Made {
                name: name.unwrap_or_else(|| format!("Item {index}")),
                result,
            }
        })
    }
}

/// Reads what is stored, processes it, and writes what comes out; all of it may be a job's own code.
async fn process<J: Process>(
    job: Arc<J>,
    shared: Result<Arc<J::Shared>, Unreadable>,
    stored_item: StoredItem,
    name: Arc<OnceLock<String>>,
) -> Result<Box<RawValue>, Failure> {
    let (index, attempt) = (stored_item.index, stored_item.attempt);
    let read = shared.and_then(|shared| Ok((shared, stored(stored_item.input.as_deref())?)));
    let (shared, input) = read.map_err(|Unreadable(error)| {
        tracing::error!(
            job = J::NAME,
            index,
            error,
            "what is stored of an item cannot be read"
        );
        Failure::permanent("What is stored of the item cannot be read.")
    })?;
    // It is the first to be written, so it is not refused.
    let _ = name.set(name_of::<J>(index, &input));
    let item = Item {
        user: stored_item.user,
        task_id: stored_item.task_id,
        index,
        attempt,
        input,
        shared,
        phase: stored_item.phase,
        first_task_id: stored_item.first_task_id,
        leave_at: stored_item.leave_at,
    };
    let output = job.process(item).await.map_err(|error| {
        let failure = failure(&error);
        if let Some(cause) = error.cause {
            let cause = telemetry::chain(&*cause);
            tracing::warn!(job = J::NAME, index, attempt, cause, "an item failed");
        }
        failure
    })?;
    written(&output).map_err(|error| match error {
        Unwritable::TooLarge(bytes) => Failure::permanent(format!(
            "The result is too large: {bytes} bytes, where {OUTPUT_BYTES_MAX} are allowed."
        )),
        Unwritable::NotJson(error) => {
            let error = telemetry::chain(&error);
            tracing::error!(job = J::NAME, index, error, "an item's output has no JSON");
            Failure::permanent("The result cannot be written as JSON.")
        }
    })
}

fn failure(error: &ItemError) -> Failure {
    Failure {
        message: error.to_string(),
        retry: error.retry,
    }
}

/// What is stored is not what the job's types read.
#[derive(Clone, Debug)]
struct Unreadable(String);

/// What is not stored is `null`.
fn stored<T: DeserializeOwned>(json: Option<&RawValue>) -> Result<T, Unreadable> {
    let json = json.map_or("null", RawValue::get);
    serde_json::from_str(json).map_err(|error| Unreadable(error.to_string()))
}

enum Unwritable {
    TooLarge(usize),
    NotJson(serde_json::Error),
}

fn written(output: &impl serde::Serialize) -> Result<Box<RawValue>, Unwritable> {
    let json = serde_json::value::to_raw_value(output).map_err(Unwritable::NotJson)?;
    match json.get().len() {
        ..=OUTPUT_BYTES_MAX => Ok(json),
        bytes => Err(Unwritable::TooLarge(bytes)),
    }
}
