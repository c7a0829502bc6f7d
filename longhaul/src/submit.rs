//! Accepts a task, if its user has none that is active: one that a client asks for, or one that tries again what an
//! earlier one left undone.
//!
//! Everything that can be decided without AWS is decided first. Then one conditional transaction
//! makes the task durable; from there on the answer is 200, whatever becomes of the message: a task
//! whose message was not sent is found and dispatched by the sweeper.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::api::{self, ANSWER_SECONDS_MAX, ApiError};
use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::host::Host;
use crate::items::Limits;
use crate::list::{JobList, offered};
use crate::order::Order;
use crate::queue::{JobQueues, Message, Queue};
use crate::quota::{Day, Exhausted, Quota};
use crate::request::{BadRequest, read_for};
use crate::serve::serve;
use crate::store::{Glance, SeenLock, Store, StoreError, Submission};
use crate::task::{IdempotencyKey, Task, TaskId, Terms, UserId};
use crate::{exit, telemetry};

/// How often a submit looks at the lock again because it moved between looking and writing.
const ROUNDS_MAX: usize = 4;

/// How long after its arrival a submit still waits for its message to be sent, so that there is time
/// to answer that it is accepted.
const SEND_SECONDS_MAX: Duration = ANSWER_SECONDS_MAX.saturating_sub(Duration::from_secs(1));

/// How long after its arrival a submit may still begin to accept, so that there is time to do so.
const STORE_INPUTS_SECONDS_MAX: Duration = Duration::from_secs(6);

/// The function's process, which accepts tasks of these jobs.
#[must_use]
pub fn run<Jobs: JobList>() -> ExitCode {
    exit::run(async {
        let config = Config::from_env::<Jobs>()?;
        let aws = Aws::start().await?;
        let (dynamodb, sqs) = tokio::join!(aws.dynamodb(), aws.sqs());
        let store = Store::new(dynamodb, config.table_name, Host::system());
        let queue = Queue::new(sqs, config.queue_url);
        let queue = queue.with_own(config.job_queues);
        let function = &Submit::new::<Jobs>(store, queue, config.limits, config.terms);
        serve(|request| async move { function.handle(&request).await }).await
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
    /// What tasks are accepted.
    pub limits: Limits,
    /// The terms of every new task.
    pub terms: Terms,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env<Jobs: JobList>() -> Result<Self, ConfigError> {
        Environment::read(Self::read::<Jobs>)
    }

    /// The same of an environment that is read already.
    pub fn read<Jobs: JobList>(environment: &mut Environment) -> Self {
        Self {
            table_name: environment.text("TABLE_NAME"),
            queue_url: environment.text("QUEUE_URL"),
            job_queues: environment.job_queues_of::<Jobs>("JOB_QUEUES"),
            limits: Limits::read(environment),
            terms: Terms {
                chunk_items: environment.number("CHUNK_ITEMS", 1..=1_000_000),
                lease: environment.seconds("LEASE_SECONDS", 1.0..=3600.0),
                lifetime: environment.days("MAX_TASK_DAYS", 1..=365),
                retention: environment.days("RETENTION_DAYS", 1..=3650),
                uniqueness: environment.uniqueness("UNIQUENESS"),
                quota: Quota::read(environment),
            },
        }
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct Submit {
    store: Store,
    queue: Queue,
    limits: Limits,
    terms: Terms,
    /// All jobs, and those of them that the deployment offers.
    jobs: &'static [&'static str],
    offered: Vec<&'static str>,
    read: Read,
}

/// Reads a request of the job of this name; `None` if there is none. All that the function knows of jobs.
type Read = fn(&str, &str, &[u8], &Limits) -> Option<Result<Order, BadRequest>>;

impl Submit {
    /// The function with what it needs.
    #[must_use]
    pub fn new<Jobs: JobList>(store: Store, queue: Queue, limits: Limits, terms: Terms) -> Self {
        Self {
            offered: offered::<Jobs>(queue.own()),
            store,
            queue,
            limits,
            terms,
            jobs: Jobs::NAMES,
            read: read_for::<Jobs>,
        }
    }

    /// Answers a request.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        api::answer(self.submit(request)).await
    }

    async fn submit(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let began = Instant::now();
        let user = api::user(request)?;
        let key = idempotency_key(request)?;
        let (task, work) = if api::names_a_task(request) {
            let (job, old) = self.undone_task(request, &user).await?;
            let task = Task::retrying(self.store.host(), &old, job, &self.terms);
            (task, Work::Retry(job, Arc::new(old)))
        } else {
            let order = self.order(request)?;
            let task = Task::new(self.store.host(), user, &order, &self.terms);
            (task, Work::Order(order))
        };

        let store_by = began + STORE_INPUTS_SECONDS_MAX;
        match self.decide(&task, &work, key.as_ref(), store_by).await? {
            Decision::Accepted => {
                self.dispatch(&task, began + SEND_SECONDS_MAX).await;
                Ok(self.accepted(request, &task))
            }
            Decision::Replayed(task_id) => {
                // What became of it since: a key must not claim that something runs that does not. It is found: a key
                // is forgotten a day after its task was accepted, a task is kept for a day after its end, or longer.
                let task = self.store.task(&task.user, task_id).await?;
                let task = task.ok_or(ApiError::NotFound)?;
                let mut response = self.accepted(request, &task);
                api::set(&mut response, "idempotency-replayed", "true");
                Ok(response)
            }
            Decision::KeyReused => Err(ApiError::KeyReused),
            Decision::Exhausted(exhausted) => Err(ApiError::Exhausted {
                exhausted,
                left: Day::of(task.created_at).left(self.store.host().now()),
            }),
            Decision::Busy(holder) => Ok(self.busy(request, &holder)),
        }
    }

    /// What the client asks for.
    fn order(&self, request: &Request) -> Result<Order, ApiError> {
        let media_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.map_or("", |value| value.to_str().unwrap_or_default());
        let job = api::job(request);
        if !self.offered.contains(&job) {
            return Err(ApiError::NoSuchJob);
        }
        let order = (self.read)(job, media_type, request.body(), &self.limits);
        Ok(order.ok_or(ApiError::NoSuchJob)??)
    }

    /// The task that is to be tried again, and its job.
    async fn undone_task(
        &self,
        request: &Request,
        user: &UserId,
    ) -> Result<(&'static str, Task), ApiError> {
        if !api::is_about(request, "retry") || !self.jobs.contains(&api::job(request)) {
            return Err(ApiError::NotFound);
        }
        let task = self.store.task(user, api::task_id(request)?).await?;
        let task = task.ok_or(ApiError::NotFound)?;
        if task.status.is_open() {
            return Err(ApiError::Unfinished);
        }
        if task.progress().done == task.number_of_items {
            return Err(ApiError::NothingLeft);
        }
        let job = self.offered.iter().find(|job| **job == task.job);
        Ok((job.ok_or(ApiError::Gone)?, task))
    }

    /// Stores the task, if it may be: what its items need first, so that nobody sees a task without it.
    async fn decide(
        &self,
        task: &Task,
        work: &Work,
        key: Option<&IdempotencyKey>,
        store_by: Instant,
    ) -> Result<Decision, ApiError> {
        if task.has_given() {
            // Who is refused is refused before megabytes are written for nothing.
            let glance = self.store.look_before(task, key, self.terms.quota).await?;
            if let Some(glance) = glance {
                return Ok(glance.into());
            }
            let stored = timeout_at(store_by, self.put_given(task, work)).await;
            stored.map_err(|late| StoreError::Unavailable(late.into()))??;
        }
        Ok(self.store_task(task, key).await?)
    }

    async fn put_given(&self, task: &Task, work: &Work) -> Result<(), ApiError> {
        let again;
        let order = match work {
            Work::Order(order) => order,
            Work::Retry(job, old) => {
                again = self.order_again(job, old).await?;
                again.as_ref().ok_or(ApiError::Gone)?
            }
        };
        Ok(self.store.put_inputs(task, order).await?)
    }

    /// What an ended task left undone, as an order; `None` if not all of it is there.
    async fn order_again(
        &self,
        job: &'static str,
        old: &Arc<Task>,
    ) -> Result<Option<Order>, StoreError> {
        let Some(undone) = self.store.undone(old).await? else {
            return Ok(None);
        };
        let mut shared = None;
        if old.has_shared {
            shared = self.store.shared(old.task_id).await?;
        }
        let is_all = shared.is_some() == old.has_shared;
        let (indexes, inputs): (Vec<_>, Vec<_>) = undone
            .into_iter()
            .map(|given| (given.index, given.input))
            .unzip();
        let order = Order {
            inputs: inputs.into_iter().flatten().collect(),
            shared,
            ..Order::numbered(job, indexes.len() as u64)
        };
        Ok(Some(Order { indexes, ..order }).filter(|_| is_all))
    }

    /// Stores the task, taking over a lock that nobody alive holds.
    async fn store_task(
        &self,
        task: &Task,
        key: Option<&IdempotencyKey>,
    ) -> Result<Decision, StoreError> {
        let mut holder;
        let mut seen = SeenLock::Free;
        for _ in 0..ROUNDS_MAX {
            let quota = self.terms.quota;
            let holder_id = match self.store.submit(task, key, seen, quota).await? {
                Submission::Accepted => return Ok(Decision::Accepted),
                Submission::Replayed(task_id) => return Ok(Decision::Replayed(task_id)),
                Submission::KeyReused => return Ok(Decision::KeyReused),
                Submission::Exhausted(exhausted) => return Ok(Decision::Exhausted(exhausted)),
                Submission::Busy(holder_id) => holder_id,
                Submission::Raced => {
                    seen = SeenLock::Free;
                    continue;
                }
            };
            holder = self.store.task(&task.user, holder_id).await?;
            seen = match holder {
                Some(ref holder) if holder.is_abandoned(self.store.host().now()) => {
                    SeenLock::Abandoned(holder)
                }
                Some(holder) if holder.status.is_open() => return Ok(Decision::Busy(holder)),
                _ => SeenLock::Left(holder_id),
            };
            tracing::warn!(task_id = %holder_id, "the lock's task is gone; trying to take it over");
        }
        let cause = "the lock kept moving while it was looked at";
        Err(StoreError::Conflict(cause.into()))
    }

    /// Sends the task to the workers. A failure is logged and nothing else: the task is durable, and
    /// the sweeper dispatches what nobody works on.
    async fn dispatch(&self, task: &Task, send_by: Instant) {
        let message = Message::first(task);
        let error = match timeout_at(send_by, self.queue.send(&message)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => telemetry::chain(&error),
            Err(late) => late.to_string(),
        };
        tracing::warn!(
            task_id = %task.task_id,
            error,
            "the first message may not have been sent; the sweeper will see to it"
        );
    }

    fn accepted(&self, request: &Request, task: &Task) -> Response<Body> {
        let data = json!({"task_id": task.task_id, "task_status": task.status.as_str()});
        self.pointing_to(task, request, api::success(data))
    }

    fn busy(&self, request: &Request, holder: &Task) -> Response<Body> {
        let body = json!({
            "success": true,
            "message": "There is an active request",
            "data": {"task_id": holder.task_id},
        });
        self.pointing_to(holder, request, api::respond(StatusCode::CREATED, &body))
    }

    /// The response with where the task is and when to look.
    fn pointing_to(
        &self,
        task: &Task,
        request: &Request,
        mut response: Response<Body>,
    ) -> Response<Body> {
        let location = api::location(request, task);
        api::set(&mut response, header::LOCATION, &location);
        api::set_retry_after(&mut response, task, self.store.host().now());
        response
    }
}

/// Reads the `Idempotency-Key` header, if there is one.
fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = IdempotencyKey::from_header(value.as_bytes());
    let key = key.ok_or_else(|| {
        ApiError::Malformed(format!(
            "Idempotency-Key must be 1 to {} visible ASCII characters.",
            IdempotencyKey::LENGTH_MAX
        ))
    })?;
    Ok(Some(key))
}

/// What is to be done.
enum Work {
    /// What a client asks for.
    Order(Order),
    /// What this task of this job left undone.
    Retry(&'static str, Arc<Task>),
}

/// What becomes of a submit.
enum Decision {
    Accepted,
    Replayed(TaskId),
    KeyReused,
    /// This task is active.
    Busy(Task),
    /// It would be too much for the day.
    Exhausted(Exhausted),
}

impl From<Glance> for Decision {
    fn from(glance: Glance) -> Self {
        match glance {
            Glance::Replayed(task_id) => Self::Replayed(task_id),
            Glance::KeyReused => Self::KeyReused,
            Glance::Busy(task) => Self::Busy(task),
            Glance::Exhausted(exhausted) => Self::Exhausted(exhausted),
        }
    }
}
