//! Whatever stands in any field of an event that a client can reach, or that stands there for a client, the three
//! functions behind the HTTP API answer in the words of the contract, and never with a fault of their own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use embedded_aws::{EmbeddedAws, QUEUE_URL};
use fastrand::Rng;
use longhaul::Limits;
use longhaul::cancel::Cancel;
use longhaul::host::Host;
use longhaul::queue::{JobQueues, Queue};
use longhaul::quota::Quota;
use longhaul::serve;
use longhaul::status::StatusReader;
use longhaul::store::Store;
use longhaul::submit::Submit;
use longhaul::task::{Terms, Uniqueness};
use serde_json::{Value, json};
use simulation::jobs::Jobs;

const SAMPLES: [&str; 8] = [
    include_str!("../../../../events/submit.json"),
    include_str!("../../../../events/submit-idempotent.json"),
    include_str!("../../../../events/submit-invalid.json"),
    include_str!("../../../../events/status.json"),
    include_str!("../../../../events/list.json"),
    include_str!("../../../../events/items.json"),
    include_str!("../../../../events/cancel.json"),
    include_str!("../../../../events/retry.json"),
];

/// The task of the samples.
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

/// Where an event is changed: what it says of the request, and none of what the authorizer says of the caller.
const FIELDS: [&str; 27] = [
    "/rawPath",
    "/rawQueryString",
    "/queryStringParameters",
    "/queryStringParameters/limit",
    "/queryStringParameters/format",
    "/headers/accept",
    "/headers",
    "/headers/host",
    "/headers/x-forwarded-proto",
    "/headers/content-type",
    "/headers/idempotency-key",
    "/headers/if-none-match",
    "/headers/cookie",
    "/headers/x-amzn-trace-id",
    "/cookies",
    "/body",
    "/isBase64Encoded",
    "/pathParameters",
    "/pathParameters/task_id",
    "/pathParameters/job",
    "/routeKey",
    "/requestContext/domainName",
    "/requestContext/stage",
    "/requestContext/http/method",
    "/requestContext/http/path",
    "/requestContext/http/protocol",
    "/requestContext/http/userAgent",
];

/// What texts are made of: what breaks URLs, headers, numbers, identifiers, JSON and their encodings, and what is
/// right in one place and wrong in another.
const PIECES: [&str; 71] = [
    "",
    " ",
    "a b",
    "a",
    "/",
    "//",
    "..",
    "%2f",
    "%",
    "%zz",
    "%ff",
    "%00",
    "?",
    "#",
    "@",
    ":",
    "://",
    ":99999",
    "[",
    "[::1",
    "]",
    "\\",
    "{",
    "}",
    "<",
    ">",
    "\"",
    "|",
    "^",
    "`",
    "&",
    "=",
    ";",
    ",",
    "+",
    "-",
    "_",
    "*",
    "\0",
    "\u{1}",
    "\t",
    "\r\n",
    "\u{7f}",
    "\u{80}",
    "é",
    "\u{202e}",
    "\u{feff}",
    "😀",
    "\u{10ffff}",
    "0",
    "-1",
    "1e400",
    "18446744073709551616",
    "18446744073709551615-18446744073709551615",
    "NaN",
    "null",
    "W/\"0\"",
    "application/json",
    "limit=",
    "cursor=",
    "outcome=failed",
    "csv",
    "text/csv",
    "jsonl",
    "application/x-ndjson",
    "items",
    "retry",
    SAMPLE_TASK,
    "0198C0DE-0000-7000-8000-00000000000F",
    "{\"number_of_items\":",
    "eyJ4IjogMX0=",
];

pub(super) fn text(random: &mut Rng) -> String {
    let pieces = (0..random.usize(0..5)).map(|_| PIECES[random.usize(..PIECES.len())]);
    let text: String = pieces.collect();
    match random.u8(..50) {
        0 => text.repeat(random.usize(1..20_000)),
        _ => text,
    }
}

pub(super) fn value(random: &mut Rng) -> Value {
    match random.u8(..50) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(random.i64(..)),
        3 => json!([text(random), text(random)]),
        4 => json!({ text(random): text(random), text(random): text(random) }),
        _ => json!(text(random)),
    }
}

/// Changes the event in one to three places.
fn changed(sample: &str, random: &mut Rng) -> Value {
    let mut event: Value = serde_json::from_str(sample).unwrap();
    for _ in 0..random.usize(1..4) {
        let field = FIELDS[random.usize(..FIELDS.len())];
        let (parent, name) = field.rsplit_once('/').unwrap();
        let Some(parent) = event.pointer_mut(parent).and_then(Value::as_object_mut) else {
            continue;
        };
        if random.u8(..10) == 0 {
            parent.remove(name);
        } else {
            parent.insert(name.to_owned(), value(random));
        }
    }
    event
}

/// What is wrong with an answer, if anything.
pub(super) fn complaint(answer: &Value) -> Option<&'static str> {
    let media_type = answer["headers"]["content-type"]
        .as_str()
        .unwrap_or_default();
    let is_file = ["text/csv", "application/x-ndjson"]
        .iter()
        .any(|file| media_type.starts_with(file));
    if is_file {
        return (answer["statusCode"] != 200).then_some("a refusal is a file");
    }
    let body = answer["body"].as_str().unwrap_or("null");
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return Some("the body is no JSON");
    };
    let is_success = match answer["statusCode"].as_u64() {
        Some(200 | 201) => true,
        Some(304) if body.is_null() => return None,
        Some(400 | 404 | 409 | 413 | 415 | 422) => false,
        _ => return Some("the status is none that a client can bring about"),
    };
    if body["success"] != is_success {
        return Some("the status and the body contradict each other");
    }
    let member = if is_success { "data" } else { "message" };
    body[member].is_null().then_some("the body says nothing")
}

#[tokio::test]
async fn whatever_an_event_says_the_answer_is_one_of_the_contract() {
    answers_are_of_the_contract(0..1_500).await;
}

#[tokio::test]
#[ignore = "long: part of `cargo xtask test --long`"]
async fn whatever_very_many_events_say_the_answers_are_of_the_contract() {
    answers_are_of_the_contract(1_500..60_000).await;
}

async fn answers_are_of_the_contract(seeds: Range<u64>) {
    let aws = EmbeddedAws::default();
    let store = Store::new(aws.dynamodb("test"), aws.table().name(), Host::system());
    let queue = Queue::new(aws.sqs("test"), QUEUE_URL);
    let terms = Terms {
        chunk_items: 100,
        lease: Duration::from_secs(60),
        lifetime: Duration::from_secs(7 * 86_400),
        retention: Duration::from_secs(86_400),
        uniqueness: Uniqueness::User,
        quota: Quota::default(),
    };
    let limits = Limits::new(10_000);
    let submit = &Submit::new::<Jobs>(store.clone(), queue, limits.clone(), terms);
    let status = &StatusReader::new::<Jobs>(store.clone(), limits, &JobQueues::default());
    let cancel = &Cancel::new(store);
    let first = serve::request(SAMPLES[0]).unwrap();
    let first: Value = serde_json::from_slice(submit.handle(&first).await.body()).unwrap();
    let task_id = first["data"]["task_id"].as_str().unwrap();
    let samples = SAMPLES.map(|sample| sample.replace(SAMPLE_TASK, task_id));

    let mut statuses = BTreeMap::new();
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let sample = &samples[random.usize(..samples.len())];
        let event = changed(sample, &mut random).to_string();
        let answer = match random.u8(..3) {
            0 => serve::answer(async |request| submit.handle(&request).await, &event).await,
            1 => serve::answer(async |request| status.handle(&request).await, &event).await,
            _ => serve::answer(async |request| cancel.handle(&request).await, &event).await,
        };
        let answer = serde_json::to_value(answer).unwrap();
        if let Some(complaint) = complaint(&answer) {
            panic!("seed {seed}: {complaint}\n{event:.2000}\n{answer}");
        }
        *statuses
            .entry(answer["statusCode"].to_string())
            .or_insert(0) += 1;
    }
    println!("{statuses:?}");
    // They get as far as the handlers, which do not refuse them all for the same reason.
    for status in ["200", "201", "400", "404", "409", "415"] {
        assert!(statuses.contains_key(status), "{statuses:?}");
    }
}
