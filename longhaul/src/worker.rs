//! Takes messages from the queue and works on the chunks they name.
//!
//! A message says where there may be work; the table says whether there is. So a message that comes
//! twice, late, or for a task that has ended costs one conditional write and does nothing.
//!
//! Why each step is safe to crash in:
//!
//! 1. *Leave* what is for another worker: send the message to the queue of its job. A crash lets it return. Only what
//!    this worker is for does it go on with, for nothing else keeps the limit of a job that has a worker of its own.
//! 2. *Fan out* (a message for many chunks): read the task, send one message for each chunk that
//!    waits, go on with the first. A crash lets the message return; its copies find chunks claimed.
//! 3. *Claim* one chunk. A crash leaves it held until its lease runs out; the sweeper sees that.
//! 4. *Work* ([`slice`](mod@slice)): settle items, store their rows, move the cursor. A crash loses what has no
//!    row yet and no more.
//! 5. *Finish*, if the stored task shows every chunk complete. A crash leaves a complete task that is
//!    still open; whoever looks at it next, a returning message or the sweeper, finishes it.
//! 6. *Continue*, if time is up or the chunk pauses: let go of the chunk, **then** send the next message, **then**
//!    acknowledge this one. A crash in between lets this message return and claim the chunk. While it pauses nobody can:
//!    a message that comes too early is sent on.
//!
//! The sweeper cannot tell a lost message from one in a long queue, so there are copies. Each is for one turn of its
//! chunk; once the chunk has had that turn, the others find that it is over.

mod meter;
mod slice;

use std::collections::HashMap;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::tower::util::MapResponse;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use self::slice::{End, Slice};
use crate::aws::Aws;
use crate::chunk::{ChunkIndex, Owner};
use crate::config::{ConfigError, Environment};
use crate::executor::Executor;
use crate::host::{Host, Timestamp};
use crate::list::ProcessList;
use crate::queue::{JobQueues, MalformedMessage, Message, Queue, QueueError};
use crate::runner::{AnyJob, Runners};
use crate::setup::Setup;
use crate::store::{Claim, Store, StoreError};
use crate::task::{ATTEMPTS_MAX, Outcome, Task};
use crate::{exit, telemetry};

/// How often a task's work may be handed on from message to message: at a slice of 60 s, 69 days of
/// one chunk. Lambda's own recursion detection is off for this function, so this is the brake.
pub const HOPS_MAX: u32 = 100_000;

/// How often a message that goes alone is passed on before it goes first.
const PASSED_ON_MAX: u32 = 3;

/// How long a message for a job that this worker does not know is held back.
const UNKNOWN_JOB_WAIT: Duration = Duration::from_secs(60);

/// How long a message is held back that goes on to another queue. There it should find its worker; but two deployments
/// may for a while have different ideas of where that is, and must not toss it to and fro as fast as they can.
const OTHER_QUEUE_WAIT: Duration = Duration::from_secs(5);

/// How long an invocation waits for items that nobody waits for any more. Those that can be stopped stop at once.
const ITEMS_GONE_WITHIN: Duration = Duration::from_secs(1);

/// The function's process, which can do these jobs.
#[must_use]
pub fn run<Jobs: ProcessList>() -> ExitCode {
    exit::run(async {
        let config = Config::from_env::<Jobs>()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let queue = Queue::new(aws_sdk_sqs::Client::new(aws.config()), config.queue_url);
        let queue = queue.with_own(config.job_queues);
        let executor = &Executor::apart()?;
        let runners = Runners::new::<Jobs>(&Setup::of_process(aws.config().clone()), executor);
        let worker = &Worker::new(store, queue, config.pace, runners).only_for(config.own_job);
        let is_stuck = &AtomicBool::new(false);
        let handler = service_fn(|event: LambdaEvent<SqsEvent>| async move {
            let response = worker.handle(event.payload, config.timeout).await;
            if let Err(stuck) = executor.empty(ITEMS_GONE_WITHIN).await {
                tracing::error!(%stuck, "the process ends, for frozen with them it would wake up in the middle of what they do");
                is_stuck.store(true, Ordering::Relaxed);
            }
            Ok::<_, Error>(response)
        });
        // What is layered around the handler is done when its response has been sent.
        let end_if_stuck = layer_fn(|service| {
            MapResponse::new(service, |()| {
                if is_stuck.load(Ordering::Relaxed) {
                    process::exit(1);
                }
            })
        });
        let runtime = Runtime::new(handler).layer(TracingLayer::new());
        runtime.layer(end_if_stuck).run().await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
    /// The address of the queue that jobs share.
    pub queue_url: String,
    /// The queues of jobs that have a worker of their own…
    pub job_queues: JobQueues,
    /// …and the job whose own worker this is; `None` if it is the one that the others share.
    pub own_job: Option<String>,
    /// How the work is done.
    pub pace: Pace,
    /// How long an invocation may take. Not read from the event's deadline: that is a time of day, and with a clock
    /// that is fast no invocation would have any time, and items would be blamed that nobody had time for.
    pub timeout: Duration,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env<Jobs: ProcessList>() -> Result<Self, ConfigError> {
        Environment::read(Self::read::<Jobs>)
    }

    /// The same of an environment that is read already.
    pub fn read<Jobs: ProcessList>(environment: &mut Environment) -> Self {
        let job_queues = environment.job_queues_of::<Jobs>("JOB_QUEUES");
        Self {
            own_job: environment.own_job("OWN_JOB", &job_queues),
            job_queues,
            table_name: environment.text("TABLE_NAME"),
            queue_url: environment.text("QUEUE_URL"),
            pace: Pace {
                items_in_flight: environment.number("ITEMS_IN_FLIGHT", 1..=10_000),
                lease: environment.seconds("LEASE_SECONDS", 1.0..=3600.0),
                progress_interval: environment.milliseconds("PROGRESS_INTERVAL_MS", 0..=60_000),
                slice: environment.seconds("SLICE_SECONDS", 1.0..=840.0),
            },
            timeout: environment.seconds("TIMEOUT_SECONDS", 1.0..=900.0),
        }
    }
}

/// How the work is done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many items of a chunk are processed at a time.
    pub items_in_flight: usize,
    /// How long a worker may be silent before it counts as dead.
    pub lease: Duration,
    /// How long progress waits to be saved together.
    pub progress_interval: Duration,
    /// How long a worker stays with a chunk before others get their turn.
    pub slice: Duration,
}

/// A message could not be dealt with; it is reported as failed and comes again.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Not a message of ours.
    #[error(transparent)]
    Malformed(#[from] MalformedMessage),
    /// The table did not do what was asked of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The next message could not be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The function.
#[derive(Clone, Debug)]
pub struct Worker {
    store: Store,
    queue: Queue,
    pace: Pace,
    runners: Runners,
    own_job: Option<String>,
}

impl Worker {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store, queue: Queue, pace: Pace, runners: Runners) -> Self {
        Self {
            store,
            queue,
            pace,
            runners,
            own_job: None,
        }
    }

    /// The same as the own worker of this job, if it is one's, and not the one that the others share.
    #[must_use]
    pub fn only_for(self, own_job: Option<String>) -> Self {
        Self { own_job, ..self }
    }

    /// Deals with a batch of messages, all at once and each on its own: one that fails, even one
    /// whose handling panics, is reported alone and does not take the others with it.
    ///
    /// But for a message that killed a worker before: it might do so again, so it waits until the
    /// others are through and then has the process to itself. Otherwise an item that kills its
    /// workers would, before it is found out, fail the tasks that happen to share its batches. One
    /// whose turn comes late in the invocation is passed on, for there must be time to leave in order; but not for
    /// ever: after a few times it goes before the others.
    ///
    /// `time_left` is how long the invocation may still take.
    pub async fn handle(&self, event: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let invocation = Invocation::new(time_left);
        let turns = Arc::new(RwLock::new(()));
        let mut running = JoinSet::new();
        let mut message_ids = HashMap::new();
        let mut deliveries: Vec<_> = event.records.into_iter().map(Delivery::new).collect();
        // Turns are given in the order in which they are asked for.
        deliveries.sort_by_key(|delivery| delivery.place);
        for delivery in deliveries {
            let worker = self.clone();
            let turns = Arc::clone(&turns);
            let handle = running.spawn(async move {
                let message = delivery.message?;
                if delivery.place == Place::BesideOthers {
                    let _turn = turns.read().await;
                    return worker.work(&message, invocation).await;
                }
                let _turn = turns.write().await;
                if invocation.is_nearly_over() {
                    return worker.pass_on(&message).await;
                }
                worker.work(&message, invocation).await
            });
            message_ids.insert(handle.id(), delivery.message_id);
        }
        let mut response = SqsBatchResponse::default();
        while let Some(ended) = running.join_next_with_id().await {
            let (id, error) = match ended {
                Ok((_, Ok(()))) => continue,
                Ok((id, Err(error))) => (id, telemetry::chain(&error)),
                Err(panic) => (panic.id(), panic.to_string()),
            };
            let message_id = message_ids.remove(&id).unwrap_or_default();
            tracing::error!(message_id, error, "a message failed and will come again");
            response.add_failure(message_id);
        }
        response
    }

    /// Leaves a message that has to be dealt with alone to another invocation.
    async fn pass_on(&self, message: &Message) -> Result<(), WorkError> {
        let message = Message {
            alone: true,
            passed_on: message.passed_on + 1,
            ..message.clone()
        };
        self.queue.send(&message).await?;
        Ok(())
    }

    /// Deals with one message. `Ok` acknowledges it.
    async fn work(&self, message: &Message, invocation: Invocation) -> Result<(), WorkError> {
        let span = tracing::info_span!("work", task_id = %message.task_id);
        async {
            let known = self.runners.get(&message.job, message.job_version);
            let Some(job) = known.filter(|job| self.is_for(&**job)) else {
                return self.leave_to_another_worker(message).await;
            };
            let Some(chunk) = self.fan_out(message).await? else {
                return Ok(());
            };
            self.work_on(message, job, chunk, invocation).await
        }
        .instrument(span)
        .await
    }

    /// Whether items of a job may be processed here. Where a message comes from does not say so: it may have been under
    /// way when the job was given a worker of its own, or lost it.
    fn is_for(&self, job: &dyn AnyJob) -> bool {
        #[cfg(feature = "drop-guards")]
        if crate::store::dropped::is_dropped("work: own worker") {
            return true;
        }
        match &self.own_job {
            Some(own) => job.name() == own,
            None => !job.has_own_worker(),
        }
    }

    /// Leaves a task to the worker that it is for: one that reads another queue or, if the job is not known here, or not
    /// in this version, that of a deployment that must be under way. Nothing is claimed.
    async fn leave_to_another_worker(&self, message: &Message) -> Result<(), WorkError> {
        let task = self.store.task(&message.user, message.task_id).await?;
        if task.is_none_or(|task| !task.status.is_open()) || message.hops >= HOPS_MAX {
            return Ok(());
        }
        let goes_to = Some(message.job.as_str()).filter(|job| self.queue.own().has(job));
        let goes_elsewhere = goes_to != self.own_job.as_deref();
        tracing::warn!(
            job = message.job,
            version = message.job_version,
            goes_elsewhere,
            "this worker is not for the job, or does not know it, or not in this version"
        );
        let message = Message {
            hops: message.hops + 1,
            ..message.clone()
        };
        let wait = if goes_elsewhere {
            OTHER_QUEUE_WAIT
        } else {
            UNKNOWN_JOB_WAIT
        };
        self.queue.send_later(&message, wait).await?;
        Ok(())
    }

    /// Sends the message's chunks on, one message each, but for the first that waits for a worker:
    /// that one is returned.
    async fn fan_out(&self, message: &Message) -> Result<Option<ChunkIndex>, WorkError> {
        if let [only] = message.chunks[..] {
            return Ok(Some(only));
        }
        let task = self.store.task(&message.user, message.task_id).await?;
        let Some(task) = task.filter(|task| task.status.is_open()) else {
            return Ok(None);
        };
        if let Some(outcome) = task.outcome() {
            self.store.finish(&task, &outcome).await?;
            return Ok(None);
        }
        let turn = |chunk: ChunkIndex| task.chunks[chunk].turn;
        // One that pauses would lose this message, if it is the one that returned because no other could be sent.
        for &chunk in &message.chunks {
            if let Some(pause) = self.pause_of(message, &task, chunk) {
                self.hand_on(message, &task, chunk, pause).await?;
            }
        }
        let mut waiting = task.claimable_chunks(self.store.host().now());
        waiting.retain(|chunk| message.chunks.contains(chunk) && message.is_for(turn(*chunk)));
        let Some((&first, rest)) = waiting.split_first() else {
            return Ok(None);
        };
        let messages: Vec<_> = rest
            .iter()
            .map(|&chunk| message.for_chunk(chunk, turn(chunk)))
            .collect();
        self.queue.send_all(&messages).await?;
        Ok(Some(first))
    }

    async fn work_on(
        &self,
        message: &Message,
        job: Arc<dyn AnyJob>,
        chunk: ChunkIndex,
        invocation: Invocation,
    ) -> Result<(), WorkError> {
        let host = self.store.host();
        let owner = Owner::new(host.random());
        let until = host.now().after(self.pace.lease);
        let task = match self.store.claim(message, chunk, &owner, until).await? {
            Claim::Claimed(task) => task,
            Claim::Refused(task) => return self.leave(message, &task, chunk).await,
            Claim::Missing => return Ok(()),
        };
        if task.is_chunk_complete(chunk) {
            return self.finish_if_complete(&task).await;
        }
        if task.chunks[chunk].attempts > ATTEMPTS_MAX {
            return self.give_up_on_item(&task, chunk, &owner).await;
        }

        let waited = waited(&task, chunk, message, host.now());
        let mut slice = Slice::new(self, job, task, chunk, owner.clone(), waited, invocation);
        match slice.run().await {
            Ok(End::Complete) => self.finish_if_complete(slice.task()).await,
            Ok(End::Lost) => {
                tracing::info!(chunk, "the chunk is no longer ours, or the task has ended");
                Ok(())
            }
            Ok(End::Released(pause)) => {
                if !pause.is_zero() {
                    tracing::info!(chunk, seconds = pause.as_secs(), "the chunk pauses");
                }
                self.hand_on(message, slice.task(), chunk, pause).await
            }
            Ok(End::Incomplete) => {
                tracing::error!(chunk, "what is stored of the items is not all there");
                let outcome = Outcome::failed("What was stored of its items is not all there.");
                // Who has the chunk by now may have found it all there, and be through with it.
                let given_up = self
                    .store
                    .give_up_chunk(slice.task(), chunk, &owner, &outcome);
                given_up.await?;
                Ok(())
            }
            Err(error) => {
                slice.give_back().await;
                Err(error.into())
            }
        }
    }

    /// Leaves a chunk that could not be claimed to whoever has it. While it pauses nobody has it but the message.
    async fn leave(
        &self,
        message: &Message,
        task: &Task,
        chunk: ChunkIndex,
    ) -> Result<(), WorkError> {
        if let Some(pause) = self.pause_of(message, task, chunk) {
            return self.hand_on(message, task, chunk, pause).await;
        }
        tracing::debug!(chunk, "nothing to do");
        self.finish_if_complete(task).await
    }

    /// For how long a chunk still pauses that the message is for.
    fn pause_of(&self, message: &Message, task: &Task, chunk: ChunkIndex) -> Option<Duration> {
        let now = self.store.host().now();
        let stored = task.chunks.get(chunk)?;
        let is_its = task.status.is_open() && message.is_for(stored.turn) && !stored.is_claimed();
        let resumes_at = stored.pauses_until(now).filter(|_| is_its)?;
        Some(resumes_at.since(now))
    }

    async fn finish_if_complete(&self, task: &Task) -> Result<(), WorkError> {
        if let Some(outcome) = task.outcome().filter(|_| task.status.is_open())
            && self.store.finish(task, &outcome).await?
        {
            tracing::info!(status = outcome.status().as_str(), "the task has ended");
        }
        Ok(())
    }

    /// Lets the next message carry the work on, now that the chunk is free for whoever gets it.
    async fn hand_on(
        &self,
        message: &Message,
        task: &Task,
        chunk: ChunkIndex,
        pause: Duration,
    ) -> Result<(), WorkError> {
        if message.hops >= HOPS_MAX {
            let reason = format!("The work was handed on {HOPS_MAX} times and is still not done.");
            self.store.finish(task, &Outcome::failed(reason)).await?;
            return Ok(());
        }
        // The worker lives to send this, so the next one need not go alone.
        let next = Message {
            hops: message.hops + 1,
            ..Message::to(task, chunk)
        };
        if pause.is_zero() {
            self.queue.send(&next).await?;
        } else {
            self.queue.send_later(&next, pause).await?;
        }
        Ok(())
    }

    /// Ends a task one of whose items takes down every worker that tries it, or takes longer than any of
    /// them has. After the first attempt a chunk is worked on one item at a time, so the item at the
    /// cursor is the one.
    async fn give_up_on_item(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        owner: &Owner,
    ) -> Result<(), WorkError> {
        let at = task.plan().range(chunk).start + task.chunks[chunk].cursor;
        let given = self.store.given(task, chunk, at, at + 1).await?;
        // Whoever reads on without it finds out that it is not there.
        let index = given
            .and_then(|given| Some(given.first()?.index))
            .unwrap_or(at);
        let outcome = Outcome::failed(format!(
            "Item {index} could not be processed: {ATTEMPTS_MAX} workers in a row did not get past it."
        ));
        tracing::error!(
            chunk,
            index,
            "no worker gets past an item; giving the task up"
        );
        self.store
            .give_up_chunk(task, chunk, owner, &outcome)
            .await?;
        Ok(())
    }
}

/// How long the chunk waited for the worker that has just claimed it; as long as the last time, when that cannot be
/// told because its message was lost, or a worker before this one.
fn waited(task: &Task, chunk: ChunkIndex, message: &Message, now: Timestamp) -> Duration {
    let stored = &task.chunks[chunk];
    if message.dispatched || stored.attempts > 1 {
        return Duration::from_millis(stored.waited_milliseconds);
    }
    now.since(stored.waits_since().unwrap_or(task.created_at))
}

/// The time that an invocation has. It is measured, not read off a clock.
#[derive(Clone, Copy, Debug)]
struct Invocation {
    began: Instant,
    takes_at_most: Duration,
}

impl Invocation {
    fn new(time_left: Duration) -> Self {
        Self {
            began: Instant::now(),
            takes_at_most: time_left,
        }
    }

    fn time_left(self) -> Duration {
        self.takes_at_most.saturating_sub(self.began.elapsed())
    }

    /// What begins before this has nearly the whole time.
    fn whole_until(self) -> Instant {
        self.began + self.takes_at_most / 16
    }

    /// Whether what begins now has so little time that it is better left to another invocation.
    fn is_nearly_over(self) -> bool {
        self.time_left() <= self.takes_at_most / 4
    }
}

/// A message as the queue delivered it.
struct Delivery {
    message_id: String,
    message: Result<Message, MalformedMessage>,
    place: Place,
}

/// Where a message comes among those that are delivered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Alone, and first: it was passed on so often.
    First,
    /// With all that are like it.
    BesideOthers,
    /// Alone: it may have killed a worker, for it has been delivered before and was not acknowledged, or says so.
    Last,
}

impl Delivery {
    fn new(record: SqsMessage) -> Self {
        let mut message = Message::parse(&record.body.unwrap_or_default());
        let deliveries = record.attributes.get("ApproximateReceiveCount");
        let returned = deliveries.is_some_and(|count| count != "1");
        if let Ok(message) = &mut message
            && returned
        {
            message.turn = None;
        }
        Self {
            message_id: record.message_id.unwrap_or_default(),
            place: match &message {
                Ok(message) if message.passed_on >= PASSED_ON_MAX => Place::First,
                Ok(message) if message.alone || returned => Place::Last,
                _ => Place::BesideOthers,
            },
            message,
        }
    }
}
