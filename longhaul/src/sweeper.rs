//! Runs every minute and finds the open tasks that nobody works on.
//!
//! Workers die, messages get lost and sends fail without a trace; none of it is compensated where it
//! happens. Here it is made good, in one place: whatever state a crash left behind, the task itself
//! shows it, and [`Task::diagnose`] says what to do. Every write is guarded by the version that was
//! read, so a sweep never overwrites a task that moved.

use crate::exit;
use crate::host::Host;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::Duration;

use crate::aws::{Aws, CALL_SECONDS_MAX};
use crate::chunk::ChunkIndex;
use crate::config::{ConfigError, Environment};
use crate::queue::{JobQueues, Message, Queue, QueueError};
use crate::store::{OPEN_SHARDS, Store, StoreError};
use crate::task::{Diagnosis, Task, TaskId, UserId};
use crate::telemetry;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

/// How many due tasks of a shard one sweep looks at, if it has the time. The rest is as due a minute
/// later, and comes first then.
const TASKS_PER_SHARD_MAX: i32 = 1000;

/// How often a task is looked at in one sweep that moves between being read and being written: a busy one is written
/// many times a second, and may have a chunk that nobody is at.
const LOOKS_MAX: u32 = 3;

/// How long it may take to see to one task: three calls. The messages for many chunks take some more, which are quick
/// unless the queue is in trouble, and then the first of them fails.
const LOOK_SECONDS_MAX: Duration = CALL_SECONDS_MAX.saturating_mul(3);

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let queue = Queue::new(aws_sdk_sqs::Client::new(aws.config()), config.queue_url);
        let queue = queue.with_own(config.job_queues);
        let sweeper = &Sweeper::new(store, queue, config.patience);
        // The event says only that it is time.
        lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredAny>| async move {
            let swept = sweeper.sweep(config.timeout).await;
            tracing::info!(?swept, "swept");
            // Whatever could be done is done; an alarm watches the function's errors.
            match swept.errors {
                0 => Ok(()),
                errors => Err(Error::from(format!("{errors} errors, see above"))),
            }
        }))
        .await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
    /// The address of the queue that jobs share.
    pub queue_url: String,
    /// The queues of jobs that have a worker of their own.
    pub job_queues: JobQueues,
    /// When a task counts as stalled, and as hopeless.
    pub patience: Patience,
    /// How long an invocation may take.
    pub timeout: Duration,
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
            table_name: environment.text("TABLE_NAME"),
            queue_url: environment.text("QUEUE_URL"),
            job_queues: environment.job_queues("JOB_QUEUES"),
            patience: Patience {
                lease: environment.seconds("LEASE_SECONDS", 1.0..=3600.0),
                dispatches_max: environment.number("MAX_DISPATCHES", 1..=1000),
            },
            timeout: environment.seconds("TIMEOUT_SECONDS", 1.0..=900.0),
        }
    }
}

/// When a task counts as stalled, and as hopeless.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a dispatched task has to show a sign of life; longer with every dispatch.
    pub lease: Duration,
    /// How often a task is dispatched again without getting anywhere.
    pub dispatches_max: u32,
}

/// A task could not be seen to; the next sweep will.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The table did not do what was asked of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task was noted as dispatched, but its message may not have been sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a sweep did, in tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Looked at.
    pub seen: u32,
    /// Sent to the queue again.
    pub dispatched: u32,
    /// Brought to an end: complete, or hopeless.
    pub ended: u32,
    /// Left for the next sweep because of an error.
    pub errors: u32,
}

impl Swept {
    /// Counts a task, and tells of it, if it was this sweep that ended it. Returns whether it was.
    fn count_end(&mut self, ended: bool, tell: impl FnOnce()) -> bool {
        if ended {
            tell();
            self.ended += 1;
        }
        ended
    }
}

impl AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.dispatched += other.dispatched;
        self.ended += other.ended;
        self.errors += other.errors;
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct Sweeper {
    store: Store,
    queue: Queue,
    patience: Patience,
}

impl Sweeper {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store, queue: Queue, patience: Patience) -> Self {
        Self {
            store,
            queue,
            patience,
        }
    }

    /// Looks at the tasks that are due, the shards side by side, as far as `time_left` goes. An error
    /// with one task does not keep it from the others.
    pub async fn sweep(&self, time_left: Duration) -> Swept {
        let reserve = LOOK_SECONDS_MAX.min(time_left / 2);
        let stop_at = Instant::now() + time_left.saturating_sub(reserve);
        let mut shards = JoinSet::new();
        for shard in 0..OPEN_SHARDS {
            let sweeper = self.clone();
            let sweep = async move { sweeper.sweep_shard(shard, stop_at).await };
            shards.spawn(sweep.in_current_span());
        }
        let mut swept = Swept::default();
        while let Some(ended) = shards.join_next().await {
            swept += ended.unwrap_or_else(|panic| {
                tracing::error!(error = panic.to_string(), "a shard could not be swept");
                Swept {
                    errors: 1,
                    ..Swept::default()
                }
            });
        }
        swept
    }

    async fn sweep_shard(&self, shard: u32, stop_at: Instant) -> Swept {
        let mut swept = Swept::default();
        let due = match self.store.due_tasks(shard, TASKS_PER_SHARD_MAX).await {
            Ok(due) => due,
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::error!(shard, error, "the open tasks cannot be listed");
                swept.errors += 1;
                return swept;
            }
        };
        for (user, task_id) in due {
            if Instant::now() >= stop_at {
                tracing::warn!(
                    shard,
                    "no time for all tasks; the rest is left for the next sweep"
                );
                break;
            }
            swept.seen += 1;
            if let Err(error) = self.look_at(&user, task_id, stop_at, &mut swept).await {
                let error = telemetry::chain(&error);
                tracing::error!(%task_id, error, "the task is left for the next sweep");
                swept.errors += 1;
            }
        }
        swept
    }

    async fn look_at(
        &self,
        user: &UserId,
        task_id: TaskId,
        stop_at: Instant,
        swept: &mut Swept,
    ) -> Result<(), SweepError> {
        for _ in 0..LOOKS_MAX {
            let Some(task) = self.store.task(user, task_id).await? else {
                return Ok(());
            };
            if self.see_to(&task, swept).await? || Instant::now() >= stop_at {
                return Ok(());
            }
        }
        // It keeps moving, and is as due in a minute.
        Ok(())
    }

    /// Does what has to be done about the task, if it is still as it was read. Returns whether it was.
    async fn see_to(&self, task: &Task, swept: &mut Swept) -> Result<bool, SweepError> {
        let now = self.store.host().now();
        let Patience {
            lease,
            dispatches_max,
        } = self.patience;
        let task_id = task.task_id;
        Ok(match task.diagnose(now, lease, dispatches_max) {
            Diagnosis::Closed => true,
            Diagnosis::Alive(until) => self.store.look_again(task, until).await?,
            // As it was seen, and else looked at again: its last item may be done at this moment.
            Diagnosis::Overdue(outcome) => {
                let ended = self.store.give_up(task, &outcome).await?;
                swept.count_end(ended, || {
                    tracing::error!(%task_id, "ended a task that was not done in the time it has");
                })
            }
            Diagnosis::Complete(outcome) => {
                let ended = self.store.finish(task, &outcome).await?;
                swept.count_end(ended, || {
                    tracing::warn!(%task_id, "finished a complete task for a worker that did not");
                })
            }
            Diagnosis::Hopeless(outcome) => {
                let ended = self.store.give_up(task, &outcome).await?;
                swept.count_end(ended, || tracing::error!(%task_id, "gave up a task"))
            }
            Diagnosis::Stalled(chunks) => {
                let dispatched = self.dispatch(task, chunks).await?;
                swept.dispatched += u32::from(dispatched);
                dispatched
            }
        })
    }

    async fn dispatch(&self, task: &Task, chunks: Vec<ChunkIndex>) -> Result<bool, SweepError> {
        let lease = task.dispatch_lease(self.patience.lease);
        let until = self.store.host().now().after(lease);
        if !self.store.dispatch(task, until).await? {
            return Ok(false);
        }
        tracing::warn!(
            task_id = %task.task_id,
            dispatches = task.dispatches + 1,
            chunks = chunks.len(),
            "a task has stalled; dispatching it again"
        );
        let message = |chunk: ChunkIndex| {
            let stored = &task.chunks[chunk];
            Message {
                dispatched: true,
                // Its worker died: a living one lets go of what it leaves.
                alone: stored.attempts > 0 || stored.is_claimed(),
                ..Message::to(task, chunk)
            }
        };
        let messages: Vec<_> = chunks.into_iter().map(message).collect();
        self.queue.send_all(&messages).await?;
        Ok(true)
    }
}
