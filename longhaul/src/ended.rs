//! Hears of tasks that have ended, and says so on an event bus, for whatever wants to go on from there.
//!
//! At least once: what cannot be said yet is tried again for as long as the stream keeps it, by failing the batch. A record
//! that cannot be read would fail for ever, and what lies behind it would wait: it is put aside, where an alarm
//! watches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_eventbridge::error::SdkError;
use aws_sdk_eventbridge::operation::put_events::PutEventsError;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::host::Host;
use crate::stream::{NotABatch, Unreadable, changes};
use crate::task::{Task, TaskId};
use crate::{exit, telemetry};

/// What events of this kind are called; rules match it.
pub const DETAIL_TYPE: &str = "Task ended";

/// Of what an event says. It grows when something that was there changes its meaning, or goes.
const SCHEMA_VERSION: u32 = 1;

/// How many events one `PutEvents` takes (Amazon `EventBridge` quotas).
const ENTRIES_MAX: usize = 10;

/// How often what was refused of a call is tried, before the whole batch is left for later.
const ATTEMPTS_MAX: u32 = 3;
const ATTEMPT_WAIT: Duration = Duration::from_millis(100);

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let events = aws_sdk_eventbridge::Client::new(aws.config());
        let queue = aws_sdk_sqs::Client::new(aws.config());
        let function = &Announce::new(Host::system(), events, queue, config);
        lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
            let announced = function.handle(event.payload.get()).await;
            announced.map_err(|error| {
                let error = telemetry::chain(&error);
                tracing::error!(error, "the batch is left for later");
                Error::from("The batch is left for later. The log says why.")
            })
        }))
        .await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// As whose the events are: rules match it.
    pub source: String,
    /// The bus, by its name.
    pub bus: String,
    /// The address of the queue for what could not be read.
    pub failures_url: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Environment::read(Self::read)
    }

    /// The same of an environment that is read already.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            source: environment.text("EVENT_SOURCE"),
            bus: environment.text("EVENT_BUS"),
            failures_url: environment.text("FAILURES_URL"),
        }
    }
}

/// Why a batch has to come again.
#[derive(Debug, thiserror::Error)]
pub enum EndedError {
    /// It is none.
    #[error(transparent)]
    NotABatch(#[from] NotABatch),
    /// The bus could not be reached, or refused the call.
    #[error("the events could not be put")]
    Bus(#[source] Box<SdkError<PutEventsError>>),
    /// The bus did not take some of the events.
    #[error("the bus refused an event: {0}")]
    Refused(String),
    /// What cannot be read could not be put aside.
    #[error("an unreadable record could not be put aside")]
    Failures(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What an event says. Whose task it was is said as a pseudonym; why it failed is not, for that may tell of its items.
#[derive(Debug, Serialize)]
struct Detail<'a> {
    schema_version: u32,
    /// Of two events with the same, one may be left alone. A task ends once.
    deduplication_id: TaskId,
    task_id: TaskId,
    job: &'a str,
    sub: &'a str,
    retry_of: Option<TaskId>,
    task_status: &'static str,
    number_of_items: u64,
    count_done_items: u64,
    count_failed_items: u64,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl<'a> Detail<'a> {
    fn of(task: &'a Task) -> Self {
        let progress = task.progress();
        Self {
            schema_version: SCHEMA_VERSION,
            deduplication_id: task.task_id,
            task_id: task.task_id,
            job: &task.job,
            sub: task.user.as_str(),
            retry_of: task.retry_of,
            task_status: task.status.as_str(),
            number_of_items: task.number_of_items,
            count_done_items: progress.done,
            count_failed_items: progress.failed,
            created_at: task.created_at.to_string(),
            started_at: task.started_at.map(|time| time.to_string()),
            finished_at: task.finished_at.map(|time| time.to_string()),
        }
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct Announce {
    host: Host,
    events: aws_sdk_eventbridge::Client,
    queue: aws_sdk_sqs::Client,
    config: Config,
}

impl Announce {
    /// The function with what it needs.
    #[must_use]
    pub fn new(
        host: Host,
        events: aws_sdk_eventbridge::Client,
        queue: aws_sdk_sqs::Client,
        config: Config,
    ) -> Self {
        Self {
            host,
            events,
            queue,
            config,
        }
    }

    /// Says of each task that has ended that it has. Returns of how many.
    ///
    /// # Errors
    ///
    /// [`EndedError`]: then the batch has to come again. What was said already is said again.
    pub async fn handle(&self, event: &str) -> Result<usize, EndedError> {
        let (tasks, unreadable) = changes(event)?;
        // The mapping's filter leaves no others; where it is not there, this does.
        let ended = tasks.iter().filter(|task| !task.status.is_open());
        let (mut entries, mut unreadable) = (vec![], unreadable);
        for task in ended {
            // What a task of nobody's making comes to must not hold up the others, for a day.
            match catch_unwind(AssertUnwindSafe(|| self.entry(task))) {
                Ok(entry) => entries.push(entry),
                Err(_) => unreadable.push(Unreadable {
                    keys: json!({"task_id": task.task_id, "sub": task.user}),
                    sequence_number: String::new(),
                    reason: "it cannot be told",
                }),
            }
        }
        for entries in entries.chunks(ENTRIES_MAX) {
            self.announce(entries.to_vec()).await?;
        }
        for record in &unreadable {
            self.put_aside(record).await?;
        }
        Ok(entries.len())
    }

    async fn announce(&self, entries: Vec<PutEventsRequestEntry>) -> Result<(), EndedError> {
        let mut left = entries;
        let mut attempt = 1;
        loop {
            let call = self.events.put_events();
            let call = call.set_entries(Some(left.clone()));
            let answer = call.send().await;
            let answer = answer.map_err(|error| EndedError::Bus(error.into()))?;
            let mut refusal = None;
            // The answer has one for each, in their order (Amazon EventBridge API Reference, "PutEvents").
            let mut answered = answer.entries().iter();
            left.retain(|_| match answered.next() {
                Some(taken) if taken.error_code().is_none() => false,
                refused => {
                    refusal = refused.and_then(|refused| refused.error_code());
                    true
                }
            });
            if left.is_empty() {
                return Ok(());
            }
            if attempt == ATTEMPTS_MAX {
                let refusal = refusal.unwrap_or("without a word").to_owned();
                return Err(EndedError::Refused(refusal));
            }
            tokio::time::sleep(self.host.jitter(ATTEMPT_WAIT * attempt)).await;
            attempt += 1;
        }
    }

    fn entry(&self, task: &Task) -> PutEventsRequestEntry {
        let detail = serde_json::to_string(&Detail::of(task)).unwrap_or_default();
        let seconds = task.finished_at.map(crate::host::Timestamp::seconds);
        let time = seconds.and_then(|seconds| i64::try_from(seconds).ok());
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.config.bus)
            .source(&self.config.source)
            .detail_type(DETAIL_TYPE)
            .detail(detail)
            .set_time(time.map(DateTime::from_secs))
            .build()
    }

    /// Leaves a record to people, with where to find it and without what it holds.
    async fn put_aside(&self, record: &Unreadable) -> Result<(), EndedError> {
        let Unreadable {
            keys,
            sequence_number,
            reason,
        } = record;
        tracing::error!(
            sequence_number,
            reason,
            "a record of the stream is put aside"
        );
        let body = json!({"keys": keys, "sequence_number": sequence_number, "reason": reason});
        let call = self.queue.send_message();
        let call = call.queue_url(&self.config.failures_url);
        let sent = call.message_body(body.to_string()).send().await;
        sent.map_err(|error| EndedError::Failures(error.into()))?;
        Ok(())
    }
}
