//! The HTTP contract: the envelope, the headers, and which error is which answer.
//!
//! Outside, an error is one of a few stable messages. What caused it goes to the log, here and
//! nowhere else.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, RequestExt, Response, request::RequestContext};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::cursor;
use crate::host::Timestamp;
use crate::invalid::Invalid;
use crate::quota::Exhausted;
use crate::request::BadRequest;
use crate::store::StoreError;
use crate::task::{Status, Task, TaskId, UserId};
use crate::telemetry;

/// What the routes call the part of a path that names a task.
const TASK_ID: &str = "task_id";

/// Within what time a request is answered, whatever the calls it takes do. The functions have 10 s.
pub const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(9);

/// Every way in which a request can fail.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A field is missing or has a wrong value.
    #[error("invalid request")]
    Invalid(Invalid),
    /// The request as such cannot be read; says why.
    #[error("{0}")]
    Malformed(String),
    /// The caller is not known. API Gateway refuses such requests itself.
    #[error("Authentication credentials were not provided.")]
    Unauthorized,
    /// There is no job of this name.
    #[error("Job not found")]
    NoSuchJob,
    /// There is no such task, or it is somebody else's: the answer is the same to the byte.
    #[error("Task not found")]
    NotFound,
    /// The task has ended in a way that cancelling cannot change.
    #[error("Task is already finished")]
    Finished,
    /// Only what a task left undone when it ended can be tried again.
    #[error("Task is not finished yet")]
    Unfinished,
    /// Every item of the task is done.
    #[error("Every item of the task is done")]
    NothingLeft,
    /// Not all of what the items need is stored any more, or the job is gone: nobody may be left out without a word.
    #[error("What is needed to try the items again is no longer there")]
    Gone,
    /// The body is larger than accepted.
    #[error("Request body is too large. The limit is {limit_bytes} bytes.")]
    TooLarge {
        /// How large it may be.
        limit_bytes: usize,
    },
    /// The body is not JSON by its own account.
    #[error("Unsupported media type \"{0}\" in request.")]
    UnsupportedMediaType(String),
    /// The idempotency key belongs to a request with another body.
    #[error("Idempotency-Key was already used with a different request body")]
    KeyReused,
    /// It would be more than a user may have in a day.
    #[error("{exhausted}")]
    Exhausted {
        /// Why.
        exhausted: Exhausted,
        /// How long until the next day begins.
        left: Duration,
    },
    /// A fault of ours, which the log describes.
    #[error("Internal server error")]
    Internal,
    /// The store could not do it, now or at all.
    #[error("Service temporarily unavailable, please try again")]
    Store(#[from] StoreError),
}

impl ApiError {
    /// An error of one field.
    #[must_use]
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        Self::Invalid(Invalid::field(name, message.into()))
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoSuchJob | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Finished | Self::Unfinished | Self::NothingLeft | Self::Gone => {
                StatusCode::CONFLICT
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Exhausted { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer; logs what the caller is not told.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let status = self.status();
        let message = match &self {
            Self::Invalid(fields) => json!(fields),
            other => json!(other.to_string()),
        };
        let body = json!({"success": false, "message": message});
        let mut response = respond(status, &body);
        if let Self::Exhausted { left, .. } = &self {
            // Rounded up: a second early would be for nothing.
            set(
                &mut response,
                header::RETRY_AFTER,
                &(left.as_secs() + 1).to_string(),
            );
        }
        if let Self::Store(error) = &self {
            if error.is_transient() {
                tracing::warn!(
                    error = telemetry::chain(error),
                    "the store is not available"
                );
            } else {
                tracing::error!(error = telemetry::chain(error), "the store refuses");
            }
            set(&mut response, header::RETRY_AFTER, "1");
        }
        response
    }
}

impl From<BadRequest> for ApiError {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            BadRequest::UnsupportedMediaType(named) => Self::UnsupportedMediaType(named),
            BadRequest::Malformed(_) => Self::Malformed(bad.to_string()),
            BadRequest::Invalid(invalid) => Self::Invalid(invalid),
            BadRequest::NotJson(error) => {
                tracing::error!(
                    error = telemetry::chain(&error),
                    "a job's inputs have no JSON"
                );
                Self::Internal
            }
        }
    }
}

/// The answer to a request: what `work` comes to or, if it takes longer than [`ANSWER_SECONDS_MAX`],
/// that the service is not available. Every call has its own limit, but their sum may be too much.
pub async fn answer(
    work: impl Future<Output = Result<Response<Body>, ApiError>>,
) -> Response<Body> {
    let in_time = tokio::time::timeout(ANSWER_SECONDS_MAX, Box::pin(work)).await;
    in_time
        .unwrap_or_else(|late| Err(StoreError::Unavailable(late.into()).into()))
        .unwrap_or_else(ApiError::into_response)
}

/// The caller: the `sub` that API Gateway's authorizer found, in the claims of a token that it verified or in what the
/// [authorizer of the API for HTTP Basic](crate::authorizer) says. Headers and bodies have no say in it.
///
/// # Errors
///
/// [`ApiError::Unauthorized`] when the request did not come through one of them, and one only.
pub fn user(request: &Request) -> Result<UserId, ApiError> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return Err(ApiError::Unauthorized);
    };
    let authorizer = context.authorizer.as_ref();
    let sub = authorizer.and_then(|it| match (&it.jwt, it.fields.get("sub")) {
        (Some(token), None) => token.claims.get("sub").map(String::as_str),
        (None, Some(sub)) => sub.as_str(),
        // An API has one authorizer.
        _ => None,
    });
    sub.and_then(UserId::from_claim)
        .ok_or(ApiError::Unauthorized)
}

/// The name of the job, as the path has it; empty where it has none.
#[must_use]
pub fn job(request: &Request) -> &str {
    path_parameter(request, "job").unwrap_or_default()
}

/// Whether the path is that of one task, or goes on from it.
#[must_use]
pub fn names_a_task(request: &Request) -> bool {
    path_parameter(request, TASK_ID).is_some()
}

/// Whether the path goes on with this from a task's.
#[must_use]
pub fn is_about(request: &Request, part: &str) -> bool {
    let path = request.raw_http_path().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    names_a_task(request) && last == part
}

/// The task that the path names.
///
/// # Errors
///
/// [`ApiError::NotFound`] when it cannot be an id: no task has it.
pub fn task_id(request: &Request) -> Result<TaskId, ApiError> {
    path_parameter(request, TASK_ID)
        .and_then(|text| text.parse().ok())
        .ok_or(ApiError::NotFound)
}

fn path_parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.path_parameters_ref()?.first(name)
}

/// A number from the query string: `default` when it is absent, an error of its field when it is
/// not a number from 1 to `max`.
///
/// # Errors
///
/// [`ApiError::Invalid`].
pub fn limit(request: &Request, default: u16, max: u16) -> Result<u16, ApiError> {
    let Some(text) = query(request, "limit") else {
        return Ok(default);
    };
    let message = match text.parse::<i64>() {
        Err(_) => "A valid integer is required.".to_owned(),
        Ok(..1) => "Ensure this value is greater than or equal to 1.".to_owned(),
        Ok(number) => match u16::try_from(number) {
            Ok(limit) if limit <= max => return Ok(limit),
            _ => format!("Ensure this value is less than or equal to {max}."),
        },
    };
    Err(ApiError::field("limit", message))
}

/// Where the listing of this name is to continue.
///
/// # Errors
///
/// [`ApiError::Invalid`] when it is not a cursor that this listing gave out.
pub fn cursor<T: std::str::FromStr>(
    request: &Request,
    listing: &str,
) -> Result<Option<T>, ApiError> {
    let open = |text: &str| {
        let place = cursor::open(listing, text);
        place.ok_or_else(|| ApiError::field("cursor", "Invalid cursor"))
    };
    query(request, "cursor").map(open).transpose()
}

/// A parameter of the query string. An empty one is an absent one, as in Django REST Framework: forms and many clients
/// send the names of what was left open.
#[must_use]
pub fn query<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let value = request.query_string_parameters_ref()?.first(name);
    value.filter(|value| !value.is_empty())
}

/// A parameter of the query string that is one of a few words.
///
/// # Errors
///
/// [`ApiError::Invalid`].
pub fn choice<T: Copy>(
    request: &Request,
    parameter: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, ApiError> {
    let Some(word) = query(request, parameter) else {
        return Ok(None);
    };
    let chosen = choices.iter().find(|(choice, _)| *choice == word);
    let message = || format!("\"{word}\" is not a valid choice.");
    let chosen = chosen.ok_or_else(|| ApiError::field(parameter, message()))?;
    Ok(Some(chosen.1))
}

/// A task as the contract shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TaskView {
    #[schemars(with = "String", extend("format" = "uuid"))]
    task_id: TaskId,
    /// The job that it is a run of.
    job: String,
    /// The task that it tries again.
    #[schemars(with = "Option<String>", extend("format" = "uuid"))]
    retry_of: Option<TaskId>,
    #[schemars(with = "Status")]
    task_status: &'static str,
    #[schemars(range(max = 100))]
    done_percentage: u64,
    count_done_items: u64,
    number_of_items: u64,
    count_failed_items: u64,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    started_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
    /// How long it will take from now on, where that can be said.
    eta_seconds: Option<u64>,
    /// What is being done at the moment, in the job's words.
    phase: Option<String>,
    /// When its work goes on, where all of it pauses.
    #[schemars(extend("format" = "date-time"))]
    resumes_at: Option<String>,
    /// Why it was given up.
    error: Option<String>,
    /// It grows with every change of the task.
    version: u64,
}

impl TaskView {
    /// The view of `task` at this time.
    #[must_use]
    pub fn new(task: &Task, now: Timestamp) -> Self {
        let progress = task.progress();
        let rounded_up = |left: Duration| left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Self {
            task_id: task.task_id,
            job: task.job.clone(),
            retry_of: task.retry_of,
            task_status: task.status.as_str(),
            done_percentage: progress.percentage,
            count_done_items: progress.done,
            number_of_items: task.number_of_items,
            count_failed_items: progress.failed,
            created_at: task.created_at.to_string(),
            started_at: task.started_at.map(|time| time.to_string()),
            finished_at: task.finished_at.map(|time| time.to_string()),
            eta_seconds: task.time_left(now).map(rounded_up),
            phase: task.phase.clone().filter(|_| task.status.is_open()),
            resumes_at: task.pauses_until(now).map(|time| time.to_string()),
            error: task.error.clone(),
            version: task.version,
        }
    }
}

/// Where the task is that a request of its job, or of another, led to: relative to the URL that it was sent to, and good
/// wherever the API is mounted. A function is told neither the path of an emulator's API nor, for certain, that of a
/// domain's mapping; but what it is told of the request's own path ends as that ends.
#[must_use]
pub fn location(request: &Request, task: &Task) -> String {
    let Task { job, task_id, .. } = task;
    let path = request.raw_http_path();
    let names_a_task = names_a_task(request);
    // Without the slash the last segment counts as a file, beside which a relative path begins (RFC 3986, section 5.2.3).
    let is_a_folder = usize::from(path.ends_with('/'));
    let up = is_a_folder + usize::from(names_a_task) + usize::from(is_about(request, "retry"));
    if up == 1 && !names_a_task && job == self::job(request) {
        return format!("{task_id}/");
    }
    format!("{}{job}/{task_id}/", "../".repeat(up))
}

/// Success with this data.
#[must_use]
pub fn success(data: impl Serialize) -> Response<Body> {
    #[derive(Serialize)]
    struct Success<T> {
        success: bool,
        data: T,
    }
    let success = true;
    respond(StatusCode::OK, &Success { success, data })
}

/// A JSON body with the headers that every answer has.
#[must_use]
pub fn respond(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // What is written here are texts, numbers and JSON, of which each has a JSON.
    let body = serde_json::to_string(body).unwrap_or_default();
    text(status, "application/json", body)
}

/// A body of this media type with the headers that every answer has.
#[must_use]
pub fn text(status: StatusCode, media_type: &str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, media_type);
    set(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// Says when to look again, in whole seconds, while there is something to wait for.
pub fn set_retry_after(response: &mut Response<Body>, task: &Task, now: Timestamp) {
    if let Some(interval) = task.polling_interval(now) {
        set(
            response,
            header::RETRY_AFTER,
            &interval.as_secs().max(1).to_string(),
        );
    }
}

/// Sets a header whose value is made of visible ASCII characters.
pub fn set(response: &mut Response<Body>, name: impl header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
