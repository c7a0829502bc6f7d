//! The HTTP API in the words of OpenAPI 3.1, made from what it is itself made from: the jobs' schemas, the errors, the
//! limits.
//!
//! No function that is deployed calls this. `docs/openapi.json` is what it says of this deployment's jobs; tests hold it
//! to the code, to the routes of the template, and to what the deployed whole answers.
//!
//! What is asked of a job has a path for each job, for bodies differ. What is asked of a task has one path for all jobs,
//! for a task answers under any. Paths end with a slash here; each exists without one, too.

mod answers;
mod schemas;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::api::ApiError;
use crate::describe::{Description, describe};
use crate::job::Job;
use crate::list::{JobList, Visitor};
use crate::quota::Exhausted;
use crate::status::{ITEMS_DEFAULT, ITEMS_MAX, TASKS_DEFAULT, TASKS_MAX};
use crate::task::IdempotencyKey;
use answers::{Answers, success};
use schemas::{JOB_LIST, TASK, TASK_PAGE, part_of_job, reference};

/// What stands for the task of an answer in the links from it.
const ANSWERED_TASK: &str = "$response.body#/data/task_id";

/// What a link hands on of the request that it is in the answer of.
const ASKED_JOB: &str = "$request.path.job";
const ASKED_TASK: &str = "$request.path.task_id";

/// The description of an API that offers all these jobs.
#[must_use]
pub fn document<Jobs: JobList>() -> Value {
    let jobs = describe::<Jobs>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Longhaul",
            "summary": "Long-running tasks with live progress, one active task per user.",
            "description": "Every path exists with and without the slash at its end. A query parameter that is empty \
                counts as absent. Of a body, fields that are not described are ignored, and numbers may be written as \
                text. A task is its user's: somebody else's and one that does not exist give the same answer.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [
            {
                "url": "{api}",
                "description": "The output ApiUrl of the stack, for access tokens.",
                "variables": {"api": {"default": "https://api.example.com"}},
            },
            {
                "url": "{basic_api}",
                "description": "Its output BasicApiUrl, for names and passwords, with the parameter BasicAuth.",
                "variables": {"basic_api": {"default": "https://basic.example.com"}},
            },
        ],
        "security": [{"accessToken": []}, {"basic": []}],
        "paths": paths::<Jobs>(&jobs),
        "components": {
            "securitySchemes": security_schemes(),
            "parameters": parameters(&jobs),
            "headers": answers::headers(),
            "responses": answers::shared(),
            "schemas": schemas::all(&jobs),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of the stack's user pool, good for 15 minutes. An ID token is refused.",
        },
        "basic": {"type": "http", "scheme": "basic", "description": "A user's name and password."},
    })
}

fn paths<Jobs: JobList>(jobs: &[Description]) -> Map<String, Value> {
    let of_task = ["job", "task_id"].map(parameter);
    let mut paths = Map::new();
    let mut add = |path: String, operations: Value| paths.insert(path, operations);
    add("/api/".into(), json!({"get": list_jobs()}));
    add("/api/tasks/".into(), json!({"get": list_tasks(None)}));
    add("/api/live/".into(), json!({"post": open_live_updates()}));
    for (job, body_bytes_max) in jobs.iter().zip(Jobs::each(BodyBytesMax)) {
        let operations = json!({"get": list_tasks(Some(job)), "post": submit(job, body_bytes_max)});
        add(format!("/api/{}/", job.name), operations);
    }
    let task = json!({"parameters": of_task, "get": status(), "delete": cancel()});
    add("/api/{job}/{task_id}/".into(), task);
    let items = json!({"parameters": of_task, "get": items()});
    add("/api/{job}/{task_id}/items/".into(), items);
    let retry = json!({"parameters": of_task, "post": retry()});
    add("/api/{job}/{task_id}/retry/".into(), retry);
    paths
}

#[derive(Clone)]
struct BodyBytesMax;

impl Visitor for BodyBytesMax {
    type Output = usize;

    fn visit<J: Job>(self) -> usize {
        J::BODY_BYTES_MAX
    }
}

fn parameters(jobs: &[Description]) -> Value {
    let names: Vec<_> = jobs.iter().map(|job| job.name).collect();
    let text = json!({"type": "string"});
    let number = |default: u16, max: u16| json!({"type": "integer", "minimum": 1, "maximum": max, "default": default});
    let choice = |choices: &[&str]| json!({"type": "string", "enum": choices});
    let key = json!({"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": IdempotencyKey::LENGTH_MAX});
    let path = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema});
    let other = |place: &str, name: &str, schema: Value, description: &str| json!({"name": name, "in": place, "description": description, "schema": schema});
    let query =
        |name: &str, schema: Value, description: &str| other("query", name, schema, description);
    let header =
        |name: &str, schema: Value, description: &str| other("header", name, schema, description);
    json!({
        "job": path("job", json!({"type": "string", "enum": names}), "Any job; the answer tells which one the task is of."),
        "task_id": path("task_id", json!({"type": "string", "format": "uuid"}), "The task."),
        "cursor": query("cursor", text.clone(), "Where to go on: the next_cursor of a page of the same listing."),
        "tasks_limit": query("limit", number(TASKS_DEFAULT, TASKS_MAX), "The most tasks on the page."),
        "items_limit": query("limit", number(ITEMS_DEFAULT, ITEMS_MAX), "The most items on the page."),
        "outcome": query("outcome", choice(&["done", "failed"]), "Only items of this outcome."),
        "include": query("include", choice(&["input"]), "Items with their input."),
        "format": query("format", choice(&["json", "jsonl", "csv"]), "Rather than by the header Accept."),
        "if_none_match": header("If-None-Match", text, "The ETag that is known, or more of them."),
        "idempotency_key": header("Idempotency-Key", key, "The same key and body get the same task, for 24 hours."),
    })
}

fn parameter(name: &str) -> Value {
    reference("parameters", name)
}

fn list_jobs() -> Value {
    let known = Answers::with_known(success(
        "The jobs that are offered.",
        &["ETag", "Revalidated"],
        reference("schemas", JOB_LIST),
    ));
    json!({
        "operationId": "jobs",
        "summary": "The jobs, with the JSON Schemas of what each takes and yields",
        "parameters": [parameter("if_none_match")],
        "responses": known.or(vec![]),
    })
}

fn list_tasks(job: Option<&Description>) -> Value {
    let (id, of) = match job {
        Some(job) => (format!("tasks.{}", job.name), job.title),
        None => ("tasks".to_owned(), "all jobs"),
    };
    let mut page = success(
        "A page of tasks.",
        &["NoStore"],
        reference("schemas", TASK_PAGE),
    );
    let first = |field: &str| format!("$response.body#/data/tasks/0/{field}");
    page["links"] = links(&["status"], &first("job"), &first("task_id"));
    let cursor = json!({"cursor": "$response.body#/data/next_cursor"});
    page["links"]["next"] = json!({"operationId": id, "parameters": cursor});
    json!({
        "operationId": id,
        "summary": format!("Your tasks, newest first: {of}"),
        "parameters": [parameter("tasks_limit"), parameter("cursor")],
        "responses": Answers::with(200, page).or(vec![ApiError::field("", "")]),
    })
}

fn open_live_updates() -> Value {
    let url = success(
        "Where to open a WebSocket, once, within half a minute.",
        &["NoStore"],
        schemas::socket(),
    );
    json!({
        "operationId": "live",
        "summary": "Where to be told of changes instead of asking",
        "responses": Answers::with(200, url).or(vec![ApiError::NoSuchJob]),
    })
}

fn submit(job: &Description, limit_bytes: usize) -> Value {
    let body = part_of_job(job, "request");
    json!({
        "operationId": format!("submit.{}", job.name),
        "summary": job.title,
        "description": job.description,
        "parameters": [parameter("idempotency_key")],
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": submitted(job.name).or(vec![
            ApiError::field("", ""),
            bad_key(),
            ApiError::NoSuchJob,
            ApiError::NotFound,
            ApiError::TooLarge { limit_bytes },
            ApiError::UnsupportedMediaType("text/plain".into()),
            ApiError::KeyReused,
            exhausted(),
        ]),
    })
}

fn retry() -> Value {
    json!({
        "operationId": "retry",
        "summary": "A new task of what this one left undone",
        "parameters": [parameter("idempotency_key")],
        "responses": submitted(ASKED_JOB).or(vec![
            bad_key(),
            ApiError::NotFound,
            ApiError::Unfinished,
            ApiError::NothingLeft,
            ApiError::Gone,
            ApiError::KeyReused,
            exhausted(),
        ]),
    })
}

/// Where there is a quota.
fn exhausted() -> ApiError {
    let exhausted = Exhausted::Tasks { quota: 1 };
    let left = Duration::default();
    ApiError::Exhausted { exhausted, left }
}

fn bad_key() -> ApiError {
    ApiError::Malformed("The Idempotency-Key is none.".into())
}

/// What becomes of a submit: a task that is accepted, or one that is in its way.
fn submitted(job: &str) -> Answers {
    let links = links(&["status", "items", "cancel", "retry"], job, ANSWERED_TASK);
    let mut accepted = success(
        "The task is accepted; with Idempotency-Replayed it was before.",
        &["NoStore", "Location", "RetryAfter", "IdempotencyReplayed"],
        schemas::accepted(),
    );
    let mut busy = json!({
        "description": "There is an active request: this one.",
        "headers": answers::named(&["NoStore", "Location", "RetryAfter"]),
        "content": {"application/json": {"schema": schemas::busy()}},
    });
    accepted["links"] = links.clone();
    busy["links"] = links;
    Answers::with(200, accepted).and(201, busy)
}

fn status() -> Value {
    let headers = ["ETag", "Revalidated", "RetryAfter", "ContentLocation"];
    let mut task = success(
        "The task as it is now.",
        &headers,
        reference("schemas", TASK),
    );
    task["links"] = links(
        &["items", "cancel", "retry"],
        "$response.body#/data/job",
        ANSWERED_TASK,
    );
    json!({
        "operationId": "status",
        "summary": "A task",
        "parameters": [parameter("if_none_match")],
        "responses": Answers::with_known(task).or(vec![ApiError::NotFound]),
    })
}

fn cancel() -> Value {
    let mut task = success(
        "The task as it ended.",
        &["NoStore"],
        reference("schemas", TASK),
    );
    task["links"] = links(
        &["status", "items", "cancel", "retry"],
        ASKED_JOB,
        ASKED_TASK,
    );
    json!({
        "operationId": "cancel",
        "summary": "Call a task off",
        "responses": Answers::with(200, task).or(vec![ApiError::NotFound, ApiError::Finished]),
    })
}

fn items() -> Value {
    let mut page = success(
        "A page of items.",
        &["NoStore", "Link"],
        schemas::item_page(),
    );
    let content = &mut page["content"];
    content["application/x-ndjson"] = json!({"schema": {"type": "string"}});
    content["text/csv"] = json!({"schema": {"type": "string"}});
    // No link leads to the next page: where that is stands in the body only where that is JSON.
    let parameters = ["items_limit", "cursor", "outcome", "include", "format"];
    json!({
        "operationId": "items",
        "summary": "Finished items of a task",
        "parameters": parameters.map(parameter),
        "responses": Answers::with(200, page).or(vec![ApiError::field("", ""), ApiError::NotFound]),
    })
}

/// Links to operations on the task that these expressions find.
fn links(operations: &[&str], job: &str, task_id: &str) -> Value {
    let parameters = json!({"job": job, "task_id": task_id});
    let link = |operation: &&str| {
        let link = json!({"operationId": operation, "parameters": parameters});
        ((*operation).to_owned(), link)
    };
    operations.iter().map(link).collect::<Map<_, _>>().into()
}
