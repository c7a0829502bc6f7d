//! What functions are asked: an event, the rows that it finds, and the answer that it must get.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use embedded_aws::EmbeddedAws;
use longhaul::chunk::Owner;
use longhaul::forecast::{Forecast, Reckoning};
use longhaul::host::Host;
use longhaul::order::Order;
use longhaul::queue::Message;
use longhaul::quota::Quota;
use longhaul::store::{Advance, Hold, SeenLock, Step, Store, Submission};
use longhaul::task::{Task, Terms, Uniqueness, UserId};
use serde_json::{Value, json};
use tokio::runtime::Builder;

const HELLO: &str = r#"{"firstName": "World"}"#;
const STATUS: &str = include_str!("../../../events/status.json");
const SUBMIT: &str = include_str!("../../../events/submit.json");
const INVALID: &str = include_str!("../../../events/submit-invalid.json");
const CANCEL: &str = include_str!("../../../events/cancel.json");
const WORK: &str = include_str!("../../../events/work.json");

/// Who sends the sample events, and which task they are about.
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

const JOB: &str = "tuned-long-running-task";

/// The items of a task that a worker is given at a time: ten chunks, which is a batch of messages.
pub const WORK_ITEMS: u64 = 1000;

/// What is asked of a function, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// To be greeted.
    Hello,
    /// The status of a task of 100 items of which 30 are done.
    Status,
    /// A task, by another user each time.
    Accepted,
    /// A task, by a user who has one.
    Busy,
    /// What is no request.
    Invalid,
    /// To cancel a task, another one each time.
    Cancel,
    /// To process all items of a task of [`WORK_ITEMS`], another one each time.
    Work,
}

impl Scenario {
    /// Puts into the table what is to be there, and returns so many events.
    ///
    /// # Errors
    ///
    /// When the table refuses.
    pub fn prepare(self, aws: &EmbeddedAws, events: usize) -> Result<Vec<String>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let rows = Rows::of(aws);
        let prepared = match self {
            Self::Hello => vec![HELLO.to_owned(); events],
            Self::Invalid => vec![INVALID.to_owned(); events],
            Self::Status => {
                let task = runtime.block_on(rows.at_work(SAMPLE_USER))?;
                let event = STATUS.replace(SAMPLE_TASK, &task.task_id.to_string());
                vec![event; events]
            }
            Self::Busy => {
                runtime.block_on(rows.at_work(SAMPLE_USER))?;
                vec![SUBMIT.to_owned(); events]
            }
            Self::Accepted => users(events)
                .map(|user| SUBMIT.replace(SAMPLE_USER, &user))
                .collect(),
            Self::Cancel => {
                let about = |user: String| {
                    let task = runtime.block_on(rows.at_work(&user))?;
                    let event = CANCEL.replace(SAMPLE_TASK, &task.task_id.to_string());
                    Ok(event.replace(SAMPLE_USER, &user))
                };
                users(events).map(about).collect::<Result<_>>()?
            }
            Self::Work => {
                let batch = |user: String| {
                    let task = runtime.block_on(rows.submitted(&user, WORK_ITEMS))?;
                    batch(&task)
                };
                users(events).map(batch).collect::<Result<_>>()?
            }
        };
        // What has been put there is not what the function did.
        let _ = (aws.take_calls(), aws.take_cost(), aws.take_sent());
        Ok(prepared)
    }

    /// Whether an answer is the one that there must be.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check(self, answer: &Value) -> Result<()> {
        let is_expected = match self {
            Self::Hello => answer["message"] == "Hello, World!",
            Self::Status | Self::Accepted | Self::Cancel => answer["statusCode"] == 200,
            Self::Busy => answer["statusCode"] == 201,
            Self::Invalid => answer["statusCode"] == 400,
            Self::Work => answer["batchItemFailures"] == json!([]),
        };
        ensure!(is_expected, "{self:?} is answered with {answer}");
        Ok(())
    }

    /// Whether the table has become what it must be, where no answer says so.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn check_table(self, aws: &EmbeddedAws) -> Result<()> {
        if self == Self::Work {
            let rows = aws.table().rows();
            let tasks: Vec<_> = rows.iter().filter_map(|row| row.get("status")).collect();
            let is_done = !tasks.is_empty() && tasks.iter().all(|status| *status == "SUCCESS");
            ensure!(is_done, "not all tasks are done: {tasks:?}");
        }
        Ok(())
    }
}

/// So many users, with names as long as those of Cognito.
fn users(number: usize) -> impl Iterator<Item = String> {
    (0..number).map(|n| format!("3f1c2b9e-7a54-4d0e-9b1a-{n:012x}"))
}

/// What the queue delivers of a task: a message for each chunk.
fn batch(task: &Task) -> Result<String> {
    let mut event: Value = serde_json::from_str(WORK)?;
    let sample = event["Records"][0].take();
    let record = |chunk| {
        let mut record = sample.clone();
        record["messageId"] = json!(format!("00000000-0000-4000-8000-{chunk:012}"));
        record["body"] = json!(serde_json::to_string(&Message::to(task, chunk))?);
        Ok(record)
    };
    let records: Result<Vec<_>> = (0..task.chunks.len()).map(record).collect();
    event["Records"] = json!(records?);
    Ok(event.to_string())
}

/// What stands in the table.
struct Rows {
    store: Store,
}

impl Rows {
    fn of(aws: &EmbeddedAws) -> Self {
        let store = Store::new(aws.dynamodb("bench"), aws.table().name(), Host::system());
        Self { store }
    }

    /// A task of so many items that nobody has begun.
    async fn submitted(&self, user: &str, items: u64) -> Result<Task> {
        let terms = Terms {
            chunk_items: 100,
            lease: Duration::from_secs(50),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(30 * 86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim(user).context("no user")?;
        let order = Order::numbered(JOB, items);
        let task = Task::new(self.store.host(), user, &order, &terms);
        let submit = self.store.submit(&task, None, SeenLock::Free, terms.quota);
        ensure!(submit.await? == Submission::Accepted, "not accepted");
        Ok(task)
    }

    /// A task of 100 items of which a worker has done 30, with an estimate of when it will be done.
    async fn at_work(&self, user: &str) -> Result<Task> {
        let task = self.submitted(user, 100).await?;
        let (owner, now) = (Owner::new(1), self.store.host().now());
        let until = now.after(Duration::from_secs(3600));
        let message = Message::to(&task, 0);
        self.store.claim(&message, 0, &owner, until).await?;
        let step = Step {
            from: 0,
            to: 30,
            failed: 0,
            phase: None,
            reckoning: Some(Reckoning {
                ends_at: now.after(Duration::from_secs(140)),
                forecast: Forecast {
                    item: 2_000_000,
                    at: now,
                    patience: 60_000,
                    lease: 0,
                },
            }),
        };
        let advance = self
            .store
            .advance(&task, 0, &owner, step, Hold::Until(until));
        ensure!(matches!(advance.await?, Advance::Saved(_)), "not saved");
        Ok(task)
    }
}
