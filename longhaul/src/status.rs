//! The three reads: a task, a user's tasks, and a task's items.
//!
//! The function may read and nothing else. A task is looked up under its user's key, so somebody
//! else's task is not found rather than refused, and costs what a missing one costs.

use crate::api::{self, ApiError, TaskView};
use crate::config::{ConfigError, Environment};
use crate::host::Host;
use crate::listing::{ItemCursor, Listing};
use crate::serve::serve;
use crate::store::{ItemOutcome, ItemRow, Page, Store};
use crate::task::{Task, TaskId, UserId};
use crate::{aws, exit};
use http::{Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response};
use serde_json::{Value, json};
use std::process::ExitCode;

const TASKS_DEFAULT: u16 = 20;
const TASKS_MAX: u16 = 100;
const ITEMS_DEFAULT: u16 = 100;
const ITEMS_MAX: u16 = 1000;

/// A page of items has at most so many bytes, unless a single item has more: a function may answer with 6 MB (AWS
/// Lambda quotas), in which the body is a string of JSON in JSON.
const PAGE_BYTES_MAX: usize = 5_000_000;

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = aws::config().await?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        let store = Store::new(dynamodb, config.table_name, Host::system());
        let function = &StatusReader::new(store);
        serve(|request| async move { function.handle(&request).await }).await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Environment::read(|environment| Self {
            table_name: environment.text("TABLE_NAME"),
        })
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct StatusReader {
    store: Store,
}

impl StatusReader {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
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
        let names_a_task = request
            .path_parameters_ref()
            .is_some_and(|parameters| parameters.first("task_id").is_some());
        if !names_a_task {
            return self.list(request, &user).await;
        }
        let task = self.find(&user, api::task_id(request)?).await?;
        let path = request.raw_http_path();
        if path.trim_end_matches('/').ends_with("/items") {
            self.items(request, &task).await
        } else {
            Ok(self.status(request, &task))
        }
    }

    async fn find(&self, user: &UserId, task_id: TaskId) -> Result<Task, ApiError> {
        let task = self.store.task(user, task_id).await?;
        task.ok_or(ApiError::NotFound)
    }

    fn status(&self, request: &Request, task: &Task) -> Response<Body> {
        let now = self.store.host().now();
        // Weak: the estimate may differ between two answers, what was counted cannot.
        let etag = format!("W/\"{}\"", task.version);
        let mut response = if is_known(request, &etag) {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            api::success(TaskView::new(task, now))
        };
        api::set(&mut response, header::ETAG, &etag);
        // May be kept, but must be asked about: that is what the tag is for.
        api::set(&mut response, header::CACHE_CONTROL, "private, no-cache");
        api::set_retry_after(&mut response, task, now);
        response
    }

    async fn list(&self, request: &Request, user: &UserId) -> Result<Response<Body>, ApiError> {
        let limit = api::limit(request, TASKS_DEFAULT, TASKS_MAX)?;
        let after = api::cursor::<TaskId>(request)?;
        let page = self.store.tasks(user, limit.into(), after).await?;
        let now = self.store.host().now();
        let tasks: Vec<_> = page
            .entries
            .iter()
            .map(|task| TaskView::new(task, now))
            .collect();
        Ok(api::success(json!({
            "tasks": tasks,
            "next_cursor": page.next.map(|task_id| task_id.to_string()),
        })))
    }

    async fn items(&self, request: &Request, task: &Task) -> Result<Response<Body>, ApiError> {
        let limit = api::limit(request, ITEMS_DEFAULT, ITEMS_MAX)?;
        let from = api::cursor::<ItemCursor>(request)?.unwrap_or_default();
        let outcome = match api::query(request, "outcome") {
            None => None,
            Some("done") => Some(ItemOutcome::Done),
            Some("failed") => Some(ItemOutcome::Failed),
            Some(other) => {
                let message = format!("\"{other}\" is not a valid choice.");
                return Err(ApiError::field("outcome", message));
            }
        };
        let listing = Listing { task, outcome };
        let Page { entries, mut next } = self.store.items(&listing, from, limit.into()).await?;
        let mut items: Vec<_> = entries.iter().map(view).collect();
        items.truncate(how_many_fit(&items));
        let shown = &entries[..items.len()];
        if let Some(last) = shown.last().filter(|_| shown.len() < entries.len()) {
            next = listing.behind(from, shown, last.index);
        }
        Ok(api::success(json!({
            "items": items,
            "next_cursor": next.map(|cursor| cursor.to_string()),
        })))
    }
}

/// An item as the contract shows it.
fn view(item: &ItemRow) -> Value {
    json!({
        "index": item.index,
        "name": item.name,
        "description": item.description,
        "outcome": item.outcome.as_str(),
        "error": item.error,
    })
}

/// How many of the items, from the first on, one answer may have: at least one, if there are any.
fn how_many_fit(items: &[Value]) -> usize {
    let mut bytes = 0;
    let fitting = items.iter().take_while(|item| {
        bytes += bytes_in_a_string(&item.to_string());
        bytes <= PAGE_BYTES_MAX
    });
    fitting.count().max(1).min(items.len())
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
