//! Tries a job in process: its request as it arrives, its items as they are stored, its outputs as they are listed; no
//! AWS, no network, no waiting when the test's clock is paused.
//!
//! ```
//! # use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};
//! # struct Shout;
//! # impl Job for Shout {
//! #     const NAME: &'static str = "shout";
//! #     type Request = Vec<String>;
//! #     type Shared = ();
//! #     type Input = String;
//! #     type Output = String;
//! #     fn items(words: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(words)) }
//! # }
//! # impl Process for Shout {
//! #     async fn start(_: &Setup) -> Result<Self, StartError> { Ok(Self) }
//! #     async fn process(&self, item: Item<String>) -> Result<String, ItemError> {
//! #         if item.input.is_empty() { return Err(ItemError::permanent("There is nothing to shout.")); }
//! #         Ok(item.input.to_uppercase())
//! #     }
//! # }
//! use longhaul::test_kit::TestKit;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let kit = TestKit::new(Shout);
//! let items = kit.run(r#"["hello", ""]"#).await.unwrap();
//! assert_eq!(items[0].output, Some("HELLO".into()));
//! assert_eq!(items[1].error.as_deref(), Some("There is nothing to shout."));
//!
//! let invalid = kit.run("[]").await.unwrap_err();
//! assert_eq!(invalid.at("non_field_errors"), ["This list may not be empty."]);
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::chunk::ItemIndex;
use crate::executor::Executor;
use crate::host::{Host, Timestamp};
use crate::invalid::Invalid;
use crate::item::{PAUSE_MIN, PAUSED_MAX};
use crate::items::Limits;
use crate::job::{Job, Process};
use crate::order::Order;
use crate::request::{self, BadRequest};
use crate::runner::{AnyBatch, AnyJob as _, Attempt, Phase, Retry, Runner, StoredItem};
use crate::setup::{Setup, StartError};
use crate::task::{TaskId, UserId};

/// How often an item is tried, as by a worker.
const ITEM_ATTEMPTS_MAX: u32 = 3;

/// What a body says that it is.
const JSON: &str = "application/json";

/// How long an item has.
const ITEM_TIME: Duration = Duration::from_secs(100);

/// A job that is started, and who asks for what.
pub struct TestKit<J: Process> {
    runner: Arc<Runner<J>>,
    limits: Limits,
    user: UserId,
    task_id: TaskId,
}

/// A settled item, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SettledItem {
    /// Which one, from 0.
    pub index: ItemIndex,
    /// What it is called.
    pub name: String,
    /// What it yielded, if it is done.
    pub output: Option<Value>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}

impl<J: Process> TestKit<J> {
    /// A kit for a job that a test has made itself.
    #[must_use]
    pub fn new(job: J) -> Self {
        Self {
            runner: Arc::new(Runner::started(job, Executor::here())),
            limits: Limits::new(10_000),
            user: somebody(),
            task_id: some_task(),
        }
    }

    /// A kit for a job that starts as in a worker.
    ///
    /// # Errors
    ///
    /// When it could not start.
    pub async fn start(setup: &Setup) -> Result<Self, StartError> {
        Ok(Self::new(J::start(setup).await?))
    }

    /// The kit with these limits; otherwise a task may have 10,000 items.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Accepts the body of a request, and works on its items until each is done or has failed. They are all in flight
    /// at once, and are returned in their order.
    ///
    /// # Errors
    ///
    /// What the client is told is wrong with the request.
    ///
    /// # Panics
    ///
    /// When the body is no JSON or too large, or the job's inputs cannot be written as JSON.
    pub async fn run(&self, body: &str) -> Result<Vec<SettledItem>, Invalid> {
        let order = accepted::<J>(body, &self.limits)?;
        let runner = Arc::clone(&self.runner);
        let batch = runner.batch(order.shared.as_deref());
        let mut running = vec![];
        for index in 0..order.number_of_items {
            let input = usize::try_from(index)
                .ok()
                .and_then(|at| order.inputs.get(at));
            running.push(tokio::spawn(settle(
                Arc::clone(&batch),
                StoredItem {
                    user: self.user.clone(),
                    task_id: self.task_id,
                    first_task_id: self.task_id,
                    index,
                    attempt: 1,
                    input: input.cloned().map(Arc::from),
                    phase: Phase::default(),
                    begun: Arc::default(),
                    leave_at: Instant::now() + ITEM_TIME,
                },
            )));
        }
        let mut settled = vec![];
        for item in running {
            match item.await {
                Ok(item) => settled.push(item),
                Err(error) => panic!("an item's task ended: {error}"),
            }
        }
        Ok(settled)
    }
}

#[expect(clippy::expect_used, reason = "it is not empty")]
fn somebody() -> UserId {
    UserId::from_claim("3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10").expect("a claim")
}

/// The same each time, and so are the keys of its items.
fn some_task() -> TaskId {
    const BEGINNING_OF_2026: Timestamp = Timestamp(1_767_225_600_000);
    TaskId::new(&Host::new(|| BEGINNING_OF_2026, || 0))
}

async fn settle(batch: Arc<dyn AnyBatch>, item: StoredItem) -> SettledItem {
    let mut attempts = 0;
    let mut paused = Duration::ZERO;
    loop {
        attempts += 1;
        let attempt = StoredItem {
            attempt: attempts,
            ..item.clone()
        };
        let (name, result) = match Arc::clone(&batch).attempt(attempt).await {
            Attempt::Made { name, result } => (name, result),
            Attempt::NotStarted(pause) => unreachable!("it is started, and yet waits {pause:?}"),
        };
        let (output, error) = match result {
            Ok(output) => (serde_json::from_str(output.get()).ok(), None),
            Err(failure) => match failure.retry {
                Retry::Soon if attempts < ITEM_ATTEMPTS_MAX => continue,
                Retry::Later(wait) if paused.saturating_add(wait) <= PAUSED_MAX => {
                    let wait = wait.max(PAUSE_MIN);
                    tokio::time::sleep(wait).await;
                    paused += wait;
                    // It costs none.
                    attempts -= 1;
                    continue;
                }
                _ => (None, Some(failure.message)),
            },
        };
        return SettledItem {
            index: item.index,
            name,
            output,
            error,
            attempts,
        };
    }
}

/// The items that a request means.
fn accepted<J: Job>(body: &str, limits: &Limits) -> Result<Order, Invalid> {
    match request::read::<J>(JSON, body.as_bytes(), limits) {
        Ok(order) => Ok(order),
        Err(BadRequest::Invalid(invalid)) => Err(invalid),
        Err(other) => panic!("{other}"),
    }
}

/// What is stored of a request, as a fixture for [`reads_old`]. Keep a file when a version of the job is released.
///
/// # Errors
///
/// What the client is told is wrong with the request.
///
/// # Panics
///
/// As [`TestKit::run`].
pub fn fixture<J: Job>(body: &str) -> Result<String, Invalid> {
    let order = accepted::<J>(body, &Limits::new(10_000))?;
    Ok(serde_json::to_string_pretty(&order).unwrap_or_default())
}

/// Reads a [`fixture`] that an older version of the job has written, as a worker of today reads a task that was
/// accepted before it was deployed. Returns the inputs, so that a test can look at what became of them.
///
/// # Errors
///
/// When something cannot be read.
pub fn reads_old<J: Job>(fixture: &str) -> Result<(J::Shared, Vec<J::Input>), OldFixtureError> {
    let fixture: Fixture = serde_json::from_str(fixture).map_err(OldFixtureError::Fixture)?;
    if fixture.job != J::NAME || fixture.version > J::VERSION {
        return Err(OldFixtureError::Other {
            job: fixture.job,
            version: fixture.version,
        });
    }
    let shared = fixture.shared.as_deref().map_or("null", RawValue::get);
    let shared = serde_json::from_str(shared).map_err(OldFixtureError::Shared)?;
    let mut inputs = vec![];
    for (index, input) in fixture.inputs.iter().enumerate() {
        let input = serde_json::from_str(input.get());
        inputs.push(input.map_err(|error| OldFixtureError::Input(index, error))?);
    }
    Ok((shared, inputs))
}

#[derive(Deserialize)]
struct Fixture {
    job: String,
    version: u32,
    #[serde(default)]
    inputs: Vec<Box<RawValue>>,
    #[serde(default)]
    shared: Option<Box<RawValue>>,
}

/// A fixture is none that the job reads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OldFixtureError {
    /// It is no fixture.
    #[error("the fixture is none of the test kit's")]
    Fixture(#[source] serde_json::Error),
    /// It is of another job, or of a version that is yet to come.
    #[error("the fixture is version {version} of {job}")]
    Other {
        /// The job's name.
        job: String,
        /// The version under which it was stored.
        version: u32,
    },
    /// The shared value cannot be read.
    #[error("the shared value cannot be read")]
    Shared(#[source] serde_json::Error),
    /// An input cannot be read.
    #[error("the input of item {0} cannot be read")]
    Input(usize, #[source] serde_json::Error),
}
