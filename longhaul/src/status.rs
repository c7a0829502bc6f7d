//! What may be read: the jobs that there are, a user's tasks, one of them, and its items.
//!
//! The function may read and nothing else. A task is looked up under its user's key, so somebody
//! else's task is not found rather than refused, and costs what a missing one costs.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, ApiError, TaskView};
use crate::chunk::ItemIndex;
use crate::config::{ConfigError, Environment};
use crate::cursor::seal;
use crate::describe::{Description, describe};
use crate::host::Host;
use crate::items::Limits;
use crate::list::JobList;
use crate::listing::Listing;
use crate::serve::serve;
use crate::store::{ItemOutcome, ItemRow, Page, Store, StoreError};
use crate::task::{Task, TaskId, UserId, hex_of_sha256};
use crate::{aws, exit};

const TASKS_DEFAULT: u16 = 20;
const TASKS_MAX: u16 = 100;
const ITEMS_DEFAULT: u16 = 100;
const ITEMS_MAX: u16 = 1000;

/// A page of items has at most so many bytes, unless a single item has more: a function may answer with 6 MB (AWS
/// Lambda quotas), in which the body is a string of JSON in JSON.
const PAGE_BYTES_MAX: usize = 5_000_000;

/// How long after its request a page of items still goes on to the next chunk…
const ITEMS_SECONDS_MAX: Duration = Duration::from_secs(3);

/// …and how long with their inputs: those of a chunk take a call of their own.
const INPUTS_SECONDS_MAX: Duration = Duration::from_secs(6);

/// Where the tasks of all jobs are listed: no job has this name.
const TASKS_OF_ALL_JOBS: &str = "tasks";

/// The function's process, which tells of these jobs.
#[must_use]
pub fn run<Jobs: JobList>() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = aws::config().await?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        let store = Store::new(dynamodb, config.table_name, Host::system());
        let function = &StatusReader::new::<Jobs>(store, config.limits);
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
            limits: Limits::read(environment),
        }
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct StatusReader {
    store: Store,
    limits: Limits,
    jobs: &'static [&'static str],
    describe: fn() -> Vec<Description>,
    catalogue: Arc<OnceLock<Catalogue>>,
}

/// What `GET /api/` answers, which stays the same for as long as the function does.
#[derive(Debug)]
struct Catalogue {
    data: Value,
    etag: String,
}

impl StatusReader {
    /// The function with what it needs.
    #[must_use]
    pub fn new<Jobs: JobList>(store: Store, limits: Limits) -> Self {
        Self {
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
        let path = request.raw_http_path();
        if path.trim_end_matches('/').ends_with("/items") {
            self.items(request, &task).await
        } else {
            Ok(self.status(request, &task))
        }
    }

    fn jobs(&self, request: &Request) -> Response<Body> {
        let make = || {
            let limits = json!({"items_max": self.limits.items_max});
            let data = json!({"jobs": (self.describe)(), "limits": limits});
            let etag = format!("\"{}\"", hex_of_sha256(&data.to_string()));
            Catalogue { data, etag }
        };
        let Catalogue { data, etag } = self.catalogue.get_or_init(make);
        tagged(request, etag, || api::success(data))
    }

    fn status(&self, request: &Request, task: &Task) -> Response<Body> {
        let now = self.store.host().now();
        // Weak: the estimate may differ between two answers, what was counted cannot.
        let etag = format!("W/\"{}\"", task.version);
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

    async fn items(&self, request: &Request, task: &Task) -> Result<Response<Body>, ApiError> {
        let limit = api::limit(request, ITEMS_DEFAULT, ITEMS_MAX)?;
        let outcome = choice(
            request,
            "outcome",
            &[("done", ItemOutcome::Done), ("failed", ItemOutcome::Failed)],
        )?;
        let with_input = choice(request, "include", &[("input", ())])?.is_some();
        let name = outcome.map_or("all", ItemOutcome::as_str);
        let name = format!("{name} items of {}", task.task_id);
        let from = api::cursor(request, &name)?.unwrap_or_default();
        let listing = Listing { task, outcome };
        let began = Instant::now();
        let until = began + ITEMS_SECONDS_MAX;
        let page = self.store.items(&listing, from, limit.into(), until);
        let Page { entries, mut next } = page.await?;

        let mut inputs = VecDeque::new();
        if with_input {
            let until = began + INPUTS_SECONDS_MAX;
            inputs = self.inputs(task, &entries, until).await?;
        }
        let mut items = vec![];
        let mut bytes = 0;
        for row in &entries {
            let input = inputs.pop_front();
            if with_input && input.is_none() {
                break;
            }
            let item = to_raw_value(&view(row, input)?).map_err(|_| ApiError::Internal)?;
            bytes += bytes_in_a_string(item.get());
            if bytes > PAGE_BYTES_MAX && !items.is_empty() {
                break;
            }
            items.push(item);
        }
        let shown = &entries[..items.len()];
        if let Some(last) = shown.last().filter(|_| shown.len() < entries.len()) {
            next = listing.behind(from, shown, last.index);
        }
        Ok(api::success(Items {
            items,
            next_cursor: next.map(|cursor| seal(&name, cursor)),
        }))
    }

    /// The inputs of these items, in their order, as many as can be had until then; `null` where there are none.
    async fn inputs(
        &self,
        task: &Task,
        rows: &[ItemRow],
        until: Instant,
    ) -> Result<VecDeque<Box<RawValue>>, StoreError> {
        if !task.has_inputs {
            return Ok(rows.iter().map(|_| RawValue::NULL.to_owned()).collect());
        }
        let mut inputs = VecDeque::new();
        let plan = task.plan();
        for rows in rows.chunk_by(|one, next| plan.chunk_of(one.index) == plan.chunk_of(next.index))
        {
            let [first, last] =
                [rows.first(), rows.last()].map(|row| row.map_or(0, |row| row.index));
            let chunk = plan.chunk_of(first);
            let part = self.store.inputs(task, chunk, first, last + 1).await?;
            let part = part
                .ok_or_else(|| StoreError::Corrupt("inputs of settled items are missing".into()))?;
            for row in rows {
                let at = usize::try_from(row.index - first).unwrap_or(usize::MAX);
                inputs.extend(part.get(at).cloned());
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(inputs)
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

/// A parameter of the query string that is one of a few words.
fn choice<T: Copy>(
    request: &Request,
    parameter: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, ApiError> {
    let Some(word) = api::query(request, parameter) else {
        return Ok(None);
    };
    let chosen = choices.iter().find(|(choice, _)| *choice == word);
    let message = || format!("\"{word}\" is not a valid choice.");
    let chosen = chosen.ok_or_else(|| ApiError::field(parameter, message()))?;
    Ok(Some(chosen.1))
}

/// A page of items as the contract shows it.
#[derive(Serialize)]
struct Items {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// An item as the contract shows it.
#[derive(Serialize)]
struct ItemView<'a> {
    index: ItemIndex,
    name: &'a str,
    outcome: &'static str,
    /// Only for who asks for it; `null` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    error: Option<&'a str>,
}

fn view(row: &ItemRow, input: Option<Box<RawValue>>) -> Result<ItemView<'_>, StoreError> {
    let output = row.output.clone().map(RawValue::from_string).transpose();
    Ok(ItemView {
        index: row.index,
        name: &row.name,
        outcome: row.outcome.as_str(),
        input,
        output: output.map_err(|error| StoreError::Corrupt(error.into()))?,
        error: row.error.as_deref(),
    })
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

/// The size of a text of JSON once it is a string in JSON.
fn bytes_in_a_string(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    text.len() + escaped.count()
}
