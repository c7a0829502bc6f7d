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
use serde_json::Value;
use tokio::runtime::Builder;

const HELLO: &str = r#"{"firstName": "World"}"#;
const STATUS: &str = include_str!("../../../events/status.json");
const SUBMIT: &str = include_str!("../../../events/submit.json");
const INVALID: &str = include_str!("../../../events/submit-invalid.json");
const CANCEL: &str = include_str!("../../../events/cancel.json");

/// Who sends the sample events, and which task they are about.
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

const JOB: &str = "tuned-long-running-task";

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
        };
        ensure!(is_expected, "{self:?} is answered with {answer}");
        Ok(())
    }
}

/// So many users, with names as long as those of Cognito.
fn users(number: usize) -> impl Iterator<Item = String> {
    (0..number).map(|n| format!("3f1c2b9e-7a54-4d0e-9b1a-{n:012x}"))
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

    /// A task of 100 items of which a worker has done 30, with an estimate of when it will be done.
    async fn at_work(&self, user: &str) -> Result<Task> {
        let terms = Terms {
            chunk_items: 100,
            lease: Duration::from_secs(50),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(30 * 86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim(user).context("no user")?;
        let task = Task::new(self.store.host(), user, &Order::numbered(JOB, 100), &terms);
        let submit = self.store.submit(&task, None, SeenLock::Free, terms.quota);
        ensure!(submit.await? == Submission::Accepted, "not accepted");

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
