//! What may be read: the jobs that there are, a user's tasks, one of them, and its items.
//!
//! The function may read and nothing else. A task is looked up under its user's key, so somebody
//! else's task is not found rather than refused, and costs what a missing one costs.

mod formats;
mod items;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use http::{Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};

use crate::api::{self, ApiError, TaskView};
use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::cursor::seal;
use crate::describe::{Description, describe};
use crate::exit;
use crate::host::Host;
use crate::items::Limits;
use crate::list::{JobList, offered};
use crate::queue::JobQueues;
use crate::serve::serve;
use crate::store::Store;
use crate::task::{Task, TaskId, UserId, hex_of_sha256};

pub(crate) use items::{ITEMS_DEFAULT, ITEMS_MAX};

/// How many tasks a page has that does not say it.
pub(crate) const TASKS_DEFAULT: u16 = 20;
/// How many it may ask for.
pub(crate) const TASKS_MAX: u16 = 100;

/// Where the tasks of all jobs are listed: no job has this name.
const TASKS_OF_ALL_JOBS: &str = "tasks";

/// The function's process, which tells of these jobs.
#[must_use]
pub fn run<Jobs: JobList>() -> ExitCode {
    exit::run(async {
        let config = Config::from_env::<Jobs>()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let function = &StatusReader::new::<Jobs>(store, config.limits, &config.job_queues);
        serve(|request| async move { function.handle(&request).await }).await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
    /// What tasks are accepted.
    pub limits: Limits,
    /// The queues of jobs that have a worker of their own.
    pub job_queues: JobQueues,
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
            limits: Limits::read(environment),
            job_queues: environment.job_queues_of::<Jobs>("JOB_QUEUES"),
        }
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct StatusReader {
    store: Store,
    limits: Limits,
    /// All jobs, and those of them that the deployment offers.
    jobs: &'static [&'static str],
    offered: Vec<&'static str>,
    describe: fn() -> Vec<Description>,
    catalogue: Arc<OnceLock<Catalogue>>,
}

/// What `GET /api/` answers, which stays the same for as long as the function does.
#[derive(Debug)]
struct Catalogue {
    /// Of all jobs: there may be tasks of one that is not offered any more.
    descriptions: Vec<Description>,
    data: Value,
    etag: String,
}

impl StatusReader {
    /// The function with what it needs.
    #[must_use]
    pub fn new<Jobs: JobList>(store: Store, limits: Limits, queues: &JobQueues) -> Self {
        Self {
            offered: offered::<Jobs>(queues),
            store,
            limits,
            jobs: Jobs::NAMES,
            describe: describe::<Jobs>,
            catalogue: Arc::default(),
        }
    }

    /// Answers a request.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        api::answer(self.read(request)).await
    }

    async fn read(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let user = api::user(request)?;
        if request.method() != Method::GET {
            return Err(ApiError::NotFound);
        }
        let job = api::job(request);
        let names_a_task = api::names_a_task(request);
        match job {
            "" => return Ok(self.jobs(request)),
            TASKS_OF_ALL_JOBS if !names_a_task => return self.tasks(request, &user, None).await,
            job if !self.jobs.contains(&job) => {
                return Err(if names_a_task {
                    ApiError::NotFound
                } else {
                    ApiError::NoSuchJob
                });
            }
            job if !names_a_task => return self.tasks(request, &user, Some(job)).await,
            _ => {}
        }
        let task = self.store.task(&user, api::task_id(request)?).await?;
        let task = task.ok_or(ApiError::NotFound)?;
        if api::is_about(request, "items") {
            self.items(request, &task).await
        } else {
            Ok(self.status(request, &task))
        }
    }

    fn catalogue(&self) -> &Catalogue {
        self.catalogue.get_or_init(|| {
            let descriptions = (self.describe)();
            let is_offered = |job: &&Description| self.offered.contains(&job.name);
            let offered: Vec<_> = descriptions.iter().filter(is_offered).collect();
            let limits = json!({"items_max": self.limits.items_max});
            let data = json!({"jobs": offered, "limits": limits});
            let etag = format!("\"{}\"", hex_of_sha256(&data.to_string()));
            Catalogue {
                descriptions,
                data,
                etag,
            }
        })
    }

    fn jobs(&self, request: &Request) -> Response<Body> {
        let Catalogue { data, etag, .. } = self.catalogue();
        tagged(request, etag, || api::success(data))
    }

    fn status(&self, request: &Request, task: &Task) -> Response<Body> {
        let now = self.store.host().now();
        // Weak: the estimate may differ between two answers, what was counted cannot.
        // And a pause that is over is shown no more, although nobody has written that.
        let pausing = task.pauses_until(now).map_or("", |_| "-pausing");
        let etag = format!("W/\"{}{pausing}\"", task.version);
        let mut response = tagged(request, &etag, || api::success(TaskView::new(task, now)));
        api::set_retry_after(&mut response, task, now);
        if api::job(request) != task.job {
            let location = api::location(request, task);
            api::set(&mut response, header::CONTENT_LOCATION, &location);
        }
        response
    }

    async fn tasks(
        &self,
        request: &Request,
        user: &UserId,
        job: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        let limit = api::limit(request, TASKS_DEFAULT, TASKS_MAX)?;
        let listing = format!("tasks of {} by {}", job.unwrap_or_default(), user.as_str());
        let after = api::cursor::<TaskId>(request, &listing)?;
        let page = self.store.tasks(user, job, limit.into(), after).await?;
        let now = self.store.host().now();
        let tasks = page.entries.iter().map(|task| TaskView::new(task, now));
        Ok(api::success(json!({
            "tasks": tasks.collect::<Vec<_>>(),
            "next_cursor": page.next.map(|task_id| seal(&listing, task_id)),
        })))
    }
}

/// The answer, unless the client has what the tag stands for.
fn tagged(
    request: &Request,
    etag: &str,
    answer: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    let mut response = if is_known(request, etag) {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        answer()
    };
    api::set(&mut response, header::ETAG, etag);
    // May be kept, but must be asked about: that is what the tag is for.
    api::set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    response
}

/// Whether the client has what the tag stands for. Tags are compared weakly, and `*` is any (RFC 9110, section 13.1.2).
fn is_known(request: &Request, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let mut tags = known
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|tags| tags.split(','));
    tags.any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}
