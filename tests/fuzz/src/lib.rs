//! What reads what others write, each for itself: whatever the bytes are, it answers or refuses and never panics, and what
//! it takes keeps what is promised of it.
//!
//! A fuzzer makes up the bytes (`src/bin/`). Those to begin with, and what it once found, are in `seeds/`; the tests of
//! this package go through them.

use jobs::Jobs;
use longhaul::api::{self, TaskView};
use longhaul::host::Timestamp;
use longhaul::listing::{ItemCursor, Listing};
use longhaul::queue::Message;
use longhaul::request::{BadRequest, read_for};
use longhaul::store::ItemOutcome;
use longhaul::stream;
use longhaul::task::Task;
use longhaul::{Invalid, JobList as _, Limits, TaskId, cursor, serve};
use serde_json::Value;

/// Beside the last row in the seeds, so that some of what is compared with it differs.
const NOW: Timestamp = Timestamp(1_795_456_900_000);

const ITEMS_MAX: u64 = 1000;

/// What a target begins with.
type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("event", event),
    ("job_request", job_request),
    ("cursor", cursor),
    ("message", message),
    ("row", row),
    ("stream", stream),
];

/// An event of API Gateway, and what the handlers look at of the request that it is.
///
/// # Panics
///
/// When it breaks a promise.
pub fn event(input: &[u8]) {
    let Some(request) = text(input).and_then(|event| serve::request(event).ok()) else {
        return;
    };
    let task = a_task();
    let _ = (
        api::user(&request),
        api::task_id(&request),
        api::limit(&request, 1, 9),
    );
    let _ = api::cursor::<TaskId>(&request, "tasks");
    let _ = api::choice(&request, "format", &[("json", ()), ("csv", ())]);
    for part in ["items", "retry"] {
        assert!(!api::is_about(&request, part) || api::names_a_task(&request));
    }
    let location = api::location(&request, &task);
    assert!(
        location.ends_with(&format!("{}/", task.task_id)),
        "{location}"
    );
}

/// The body of a submit, for each job.
///
/// # Panics
///
/// When it breaks a promise.
pub fn job_request(input: &[u8]) {
    let limits = Limits::new(ITEMS_MAX);
    for job in Jobs::NAMES {
        let read = || read_for::<Jobs>(job, "application/json", input, &limits);
        match read() {
            Some(Ok(order)) => {
                assert!((1..=ITEMS_MAX).contains(&order.number_of_items));
                let again = read().and_then(Result::ok).map(|order| order.digest);
                assert_eq!(again.as_ref(), Some(&order.digest), "{job}");
            }
            Some(Err(BadRequest::Invalid(invalid))) => told(&invalid),
            Some(Err(BadRequest::NotJson(error))) => panic!("{job}: {error}"),
            Some(Err(_)) => {}
            None => panic!("there is a job {job}"),
        }
    }
}

/// Something is said, and not too much.
fn told(invalid: &Invalid) {
    assert!(!invalid.is_empty());
    let messages = serde_json::to_value(invalid).unwrap_or_default();
    let messages = messages
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.values());
    let count: usize = messages.filter_map(Value::as_array).map(Vec::len).sum();
    assert!(count <= Invalid::MESSAGES_MAX);
}

/// A cursor as a client sends it, and a place that it may lead to: anybody can write one for a listing of their own.
///
/// # Panics
///
/// When it breaks a promise.
pub fn cursor(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let _ = cursor::open::<TaskId>("tasks", text);
    let _ = cursor::open::<ItemCursor>("items", text);
    let Ok(place) = text.parse::<ItemCursor>() else {
        return;
    };
    let sealed = cursor::seal("items", place);
    assert_eq!(cursor::open("items", &sealed), Some(place));
    assert_eq!(cursor::open::<ItemCursor>("others", &sealed), None);
    let task = a_task();
    list(&task, place);
    let all = Listing {
        task: &task,
        outcome: None,
    };
    if let Some(next) = all.go_on(place) {
        assert!(!all.rest(next).is_empty(), "nothing is there");
    }
}

/// A task of three chunks that is at work.
#[expect(clippy::expect_used, reason = "the tests read it, too")]
fn a_task() -> Task {
    let row = include_str!("../seeds/row/chunks.json");
    let row: serde_dynamo::Item = serde_json::from_str(row).expect("a row");
    serde_dynamo::from_item(row).expect("a task")
}

/// Goes through what is left of a task's listings.
fn list(task: &Task, from: ItemCursor) {
    for outcome in [None, Some(ItemOutcome::Done), Some(ItemOutcome::Failed)] {
        let listing = Listing { task, outcome };
        if let Some(next) = listing.go_on(from) {
            let rest = listing.rest(next);
            let last = rest.end.saturating_sub(1);
            let _ = listing.behind(next, &[], last);
        }
    }
}

/// The body of a message of the queue.
///
/// # Panics
///
/// When it breaks a promise.
pub fn message(input: &[u8]) {
    let Some(Ok(message)) = text(input).map(Message::parse) else {
        return;
    };
    assert!(!message.chunks.is_empty());
    let written = serde_json::to_string(&message).unwrap_or_default();
    assert_eq!(Message::parse(&written).ok(), Some(message));
}

/// The row of a task, as JSON.
pub fn row(input: &[u8]) {
    let row = serde_json::from_slice::<serde_dynamo::Item>(input).ok();
    if let Some(Ok(task)) = row.map(serde_dynamo::from_item) {
        look_at(&task);
    }
}

/// What is done with a task that was read, before it is written.
fn look_at(task: &Task) {
    let view = TaskView::new(task, NOW);
    let _ = serde_json::to_string(&view);
    let _ = (task.progress(), task.polling_interval(NOW), task.outcome());
    let _ = (task.is_abandoned(NOW), task.claimable_chunks(NOW));
    let _ = (Message::first(task), task.is_settled(u64::MAX / 2));
    list(task, ItemCursor::default());
}

/// A batch of the table's stream.
pub fn stream(input: &[u8]) {
    let Some(Ok((tasks, _))) = text(input).map(stream::changes) else {
        return;
    };
    for task in stream::last_of_each(tasks) {
        look_at(&task);
    }
}

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}
