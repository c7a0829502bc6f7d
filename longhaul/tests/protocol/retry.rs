//! What a task left undone, tried again: the submit handler, and the worker that does it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use embedded_aws::{EmbeddedAws, QUEUE_URL};
use lambda_http::http::header::LOCATION;
use lambda_http::{Body, Request, Response};
use longhaul::chunk::Owner;
use longhaul::executor::Executor;
use longhaul::host::{Host, Timestamp};
use longhaul::queue::{JobQueues, Message, Queue};
use longhaul::quota::Quota;
use longhaul::runner::Runners;
use longhaul::status::StatusReader;
use longhaul::store::{Claim, Store};
use longhaul::submit::Submit;
use longhaul::task::{Status, Task, TaskId, Terms, Uniqueness, UserId};
use longhaul::worker::{Pace, Worker};
use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};
use serde_json::{Value, json};
use url::Url;

use crate::jobs::{Numbered, Words};

const SUBMIT: &str = include_str!("../../../events/submit.json");
const RETRY: &str = include_str!("../../../events/retry.json");
const STATUS: &str = include_str!("../../../events/status.json");
const ITEMS: &str = include_str!("../../../events/items.json");
const USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";
const SAMPLE_JOB: &str = "tuned-long-running-task";

/// Translates words, if the day is good: otherwise those with an `x` in them fail.
#[derive(Clone, Default)]
struct Translate {
    is_good: Arc<AtomicBool>,
    /// The keys of the items that were processed, by their words.
    keys: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Job for Translate {
    const NAME: &'static str = "translate";
    type Request = Words;
    type Shared = String;
    type Input = String;
    type Output = String;

    fn items(request: Words, _: &Limits) -> Result<Items<String, String>, Invalid> {
        Ok(Items::list(request.words).sharing(request.language))
    }

    fn item_name(index: u64, word: &String) -> String {
        format!("{index} {word}")
    }
}

impl Process for Translate {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("a test starts it"))
    }

    async fn process(&self, item: Item<String, String>) -> Result<String, ItemError> {
        let mut keys = self.keys.lock().unwrap();
        keys.entry(item.input.clone()).or_default().push(item.key());
        if item.input.contains('x') && !self.is_good.load(Ordering::Relaxed) {
            return Err(ItemError::permanent("Not today."));
        }
        Ok(format!("{} in {}", item.input, item.shared))
    }
}

impl Process for Numbered {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("a test starts it"))
    }

    async fn process(&self, item: Item<()>) -> Result<String, ItemError> {
        if item.index.is_multiple_of(3) {
            return Err(ItemError::permanent("Not this one."));
        }
        Ok(format!("{}", item.index))
    }
}

type Jobs = (Numbered, Translate);

struct Bench {
    aws: EmbeddedAws,
    store: Store,
    translate: Translate,
    uniqueness: Uniqueness,
}

impl Bench {
    fn new() -> Self {
        let aws = EmbeddedAws::default();
        Self {
            store: Store::new(aws.dynamodb("test"), aws.table().name(), Host::system()),
            aws,
            translate: Translate::default(),
            uniqueness: Uniqueness::User,
        }
    }

    fn queue(&self) -> Queue {
        Queue::new(self.aws.sqs("test"), QUEUE_URL)
    }

    async fn post(&self, request: &Request) -> (u16, Value, Response<Body>) {
        let terms = Terms {
            chunk_items: 3,
            lease: Duration::from_secs(60),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: self.uniqueness,
            quota: Quota::default(),
        };
        let limits = Limits::new(10_000);
        let submit = Submit::new::<Jobs>(self.store.clone(), self.queue(), limits, terms);
        let response = submit.handle(request).await;
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body, response)
    }

    async fn submitted(&self, job: &str, body: &Value) -> TaskId {
        let mut request = event(&SUBMIT.replace(SAMPLE_JOB, job));
        *request.body_mut() = body.to_string().into();
        let (status, body, _) = self.post(&request).await;
        assert_eq!(status, 200, "{body}");
        id_of(&body)
    }

    /// Translates these words on a bad day.
    async fn translated(&self, words: &[&str]) -> TaskId {
        let request = json!({"words": words, "language": "German"});
        let task_id = self.submitted("translate", &request).await;
        self.work().await;
        task_id
    }

    async fn retried(&self, task_id: TaskId) -> TaskId {
        let (status, body, _) = self.post(&retry(task_id)).await;
        assert_eq!(status, 200, "{body}");
        id_of(&body)
    }

    /// Works on all messages until there are none.
    async fn work(&self) {
        let executor = Executor::here();
        let runners = Runners::default().with(Numbered, &executor);
        let runners = runners.with(self.translate.clone(), &executor);
        let pace = Pace {
            items_in_flight: 10,
            lease: Duration::from_secs(60),
            progress_interval: Duration::from_millis(500),
            slice: Duration::from_secs(60),
        };
        let worker = Worker::new(self.store.clone(), self.queue(), pace, runners);
        loop {
            let sent = self.aws.take_sent();
            if sent.is_empty() {
                return;
            }
            for message in sent {
                let record = json!({
                    "messageId": "1",
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": "1"},
                });
                let event: SqsEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
                let response = worker.handle(event, Duration::from_secs(600)).await;
                assert_eq!(response.batch_item_failures, []);
            }
        }
    }

    async fn task(&self, task_id: TaskId) -> Task {
        let user = UserId::from_claim(USER).unwrap();
        self.store.task(&user, task_id).await.unwrap().unwrap()
    }

    async fn get(&self, sample: &str, task_id: TaskId) -> Value {
        let status = StatusReader::new::<Jobs>(
            self.store.clone(),
            Limits::new(10_000),
            &JobQueues::default(),
        );
        let request = event(&sample.replace(SAMPLE_TASK, &task_id.to_string()));
        let response = status.handle(&request).await;
        assert_eq!(response.status(), 200);
        let mut body: Value = serde_json::from_slice(response.body()).unwrap();
        body["data"].take()
    }

    /// Index, name, and output or error of its items.
    async fn items(&self, task_id: TaskId) -> Vec<(u64, String, String)> {
        let items = self.get(ITEMS, task_id).await["items"].take();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let item = |item: &Value| {
            let end = text(&item["output"]) + &text(&item["error"]);
            (item["index"].as_u64().unwrap(), text(&item["name"]), end)
        };
        items.as_array().unwrap().iter().map(item).collect()
    }

    fn delete(&self, pk: &str, sk: &str) {
        let key = json!({"pk": {"S": pk}, "sk": {"S": sk}});
        let request = json!({"TableName": self.aws.table().name(), "Key": key});
        let _ = self.aws.table().execute("DeleteItem", &request);
    }
}

fn event(json: &str) -> Request {
    longhaul::serve::request(json).unwrap()
}

fn retry(task_id: TaskId) -> Request {
    event(&RETRY.replace(SAMPLE_TASK, &task_id.to_string()))
}

fn id_of(body: &Value) -> TaskId {
    body["data"]["task_id"].as_str().unwrap().parse().unwrap()
}

fn items(expected: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    let owned = |(index, name, end): &(u64, &str, &str)| (*index, (*name).into(), (*end).into());
    expected.iter().map(owned).collect()
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_with_its_inputs_under_its_indexes_and_its_keys() {
    let bench = Bench::new();
    let old = bench
        .translated(&["a", "bx", "c", "d", "e", "fx", "gx", "h"])
        .await;
    assert_eq!(bench.task(old).await.status, Status::Failed);
    bench.translate.is_good.store(true, Ordering::Relaxed);
    let (status, body, response) = bench.post(&retry(old)).await;
    assert_eq!(status, 200, "{body}");
    let new = id_of(&body);
    let base = Url::parse(&format!("https://h/api/{SAMPLE_JOB}/{old}/retry/")).unwrap();
    let location = response.headers()[LOCATION].to_str().unwrap();
    let location = base.join(location).unwrap();
    assert_eq!(location.path(), format!("/api/translate/{new}/"));

    bench.work().await;
    let shown = bench.get(STATUS, new).await;
    assert_eq!(shown["task_status"], "SUCCESS");
    assert_eq!(shown["retry_of"], old.to_string());
    assert_eq!(shown["number_of_items"], 3);
    assert_eq!(bench.get(STATUS, old).await["retry_of"], Value::Null);
    let expected = items(&[
        (1, "1 bx", "bx in German"),
        (5, "5 fx", "fx in German"),
        (6, "6 gx", "gx in German"),
    ]);
    assert_eq!(bench.items(new).await, expected);
    let keys = bench.translate.keys.lock().unwrap();
    for (word, keys) in &*keys {
        assert_eq!(keys.len(), if word.contains('x') { 2 } else { 1 });
        assert!(keys.iter().all(|key| *key == keys[0]), "{word}: {keys:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_can_be_retried() {
    let bench = Bench::new();
    let first = bench.translated(&["ax", "b", "cx", "d", "ex"]).await;
    let second = bench.retried(first).await;
    bench.work().await;
    let expected = items(&[
        (0, "0 ax", "Not today."),
        (2, "2 cx", "Not today."),
        (4, "4 ex", "Not today."),
    ]);
    assert_eq!(bench.items(second).await, expected);
    bench.translate.is_good.store(true, Ordering::Relaxed);
    let third = bench.retried(second).await;
    bench.work().await;
    let expected = items(&[
        (0, "0 ax", "ax in German"),
        (2, "2 cx", "cx in German"),
        (4, "4 ex", "ex in German"),
    ]);
    assert_eq!(bench.items(third).await, expected);
    assert_eq!(bench.task(third).await.retry_of, Some(second));
    let keys = bench.translate.keys.lock().unwrap();
    assert!(keys["ax"].iter().all(|key| *key == keys["ax"][0]));
}

#[tokio::test(start_paused = true)]
async fn of_a_cancelled_task_what_was_never_settled_is_tried_too() {
    let bench = Bench::new();
    let request = json!({"words": ["a", "bx", "c", "d", "e"], "language": "German"});
    let old = bench.submitted("translate", &request).await;
    // Only the first chunk is worked on.
    let first = bench.aws.take_sent().remove(0);
    let message = Message::parse(&first.body).unwrap();
    let queue = bench.queue();
    queue.send(&message.for_chunk(0, 0)).await.unwrap();
    bench.work().await;
    let task = bench.task(old).await;
    assert_eq!((task.progress().done, task.progress().failed), (2, 1));
    bench.store.cancel(&task).await.unwrap();

    bench.translate.is_good.store(true, Ordering::Relaxed);
    let new = bench.retried(old).await;
    bench.work().await;
    let expected = items(&[
        (1, "1 bx", "bx in German"),
        (3, "3 d", "d in German"),
        (4, "4 e", "e in German"),
    ]);
    assert_eq!(bench.items(new).await, expected);
}

#[tokio::test(start_paused = true)]
async fn items_that_are_only_numbered_keep_their_numbers() {
    let bench = Bench::new();
    let request = json!({"number_of_items": 8});
    let old = bench.submitted(SAMPLE_JOB, &request).await;
    bench.work().await;
    let new = bench.retried(old).await;
    bench.work().await;
    let expected = items(&[
        (0, "Item 0", "Not this one."),
        (3, "Item 3", "Not this one."),
        (6, "Item 6", "Not this one."),
    ]);
    assert_eq!(bench.items(new).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_a_submit_like_any_other() {
    let bench = Bench::new();
    let old = bench.translated(&["ax", "b"]).await;
    let mut keyed = retry(old);
    keyed
        .headers_mut()
        .insert("idempotency-key", "1".parse().unwrap());
    let (status, body, _) = bench.post(&keyed).await;
    assert_eq!(status, 200);
    let new = id_of(&body);
    let (status, body, response) = bench.post(&keyed).await;
    assert_eq!((status, id_of(&body)), (200, new));
    assert_eq!(response.headers()["idempotency-replayed"], "true");

    // Who is in the way is told of, at the cost of a read besides that of the task to retry and of the lock.
    let _ = bench.aws.take_calls();
    let rows = bench.aws.table().rows().len();
    let (status, body, _) = bench.post(&retry(old)).await;
    assert_eq!((status, id_of(&body)), (201, new));
    assert_eq!(
        bench.aws.take_calls(),
        ["GetItem", "GetItem", "BatchGetItem"]
    );
    assert_eq!(bench.aws.table().rows().len(), rows);
    // The key of another retry, and of another request.
    bench.work().await;
    let mut other = retry(new);
    other
        .headers_mut()
        .insert("idempotency-key", "1".parse().unwrap());
    assert_eq!(bench.post(&other).await.0, 422);
}

#[tokio::test(start_paused = true)]
async fn two_retries_of_a_task_are_never_open_at_once_whatever_excludes_tasks() {
    for uniqueness in [Uniqueness::User, Uniqueness::Job, Uniqueness::Request] {
        let bench = Bench {
            uniqueness,
            ..Bench::new()
        };
        let old = bench.translated(&["ax", "b"]).await;
        let new = bench.retried(old).await;
        let (status, body, _) = bench.post(&retry(old)).await;
        assert_eq!((status, id_of(&body)), (201, new), "{uniqueness:?}");
        bench.work().await;
        // Nor is one of them beside a retry of it, or beside the request itself.
        let newest = bench.retried(new).await;
        let (status, body, _) = bench.post(&retry(old)).await;
        assert_eq!((status, id_of(&body)), (201, newest), "{uniqueness:?}");
        let mut again = event(&SUBMIT.replace(SAMPLE_JOB, "translate"));
        *again.body_mut() = json!({"words": ["ax", "b"], "language": "German"})
            .to_string()
            .into();
        let (status, body, _) = bench.post(&again).await;
        assert_eq!((status, id_of(&body)), (201, newest), "{uniqueness:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_to_be_tried_again_that_is_said() {
    let bench = Bench::new();
    let request = json!({"words": ["a", "bx"], "language": "German"});
    let old = bench.submitted("translate", &request).await;
    let message = |text: &str| json!({"success": false, "message": text});
    let (status, body, _) = bench.post(&retry(old)).await;
    assert_eq!((status, body), (409, message("Task is not finished yet")));
    bench.translate.is_good.store(true, Ordering::Relaxed);
    bench.work().await;
    let (status, body, _) = bench.post(&retry(old)).await;
    assert_eq!(
        (status, body),
        (409, message("Every item of the task is done"))
    );

    let missing = "0198c0de-0000-7000-8000-000000000009".parse().unwrap();
    let (status, body, _) = bench.post(&retry(missing)).await;
    assert_eq!((status, &body), (404, &message("Task not found")));
    let foreign = RETRY
        .replace(SAMPLE_TASK, &old.to_string())
        .replace(USER, "somebody-else");
    let (status, foreign, _) = bench.post(&event(&foreign)).await;
    assert_eq!((status, &foreign), (404, &body));
    let nowhere = RETRY
        .replace(SAMPLE_TASK, &old.to_string())
        .replace(SAMPLE_JOB, "nothing");
    assert_eq!(bench.post(&event(&nowhere)).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_never_smaller_than_it_should_be() {
    // What is lost: a row of an item that failed, of inputs, of what is shared.
    for (pk, sk) in [
        ("TASK#{id}#1", "ITEM#000000000004"),
        ("TASK#{id}#1", "INPUT#000000000004"),
        ("TASK#{id}", "SHARED"),
    ] {
        let bench = Bench::new();
        let old = bench.translated(&["ax", "b", "c", "d", "ex"]).await;
        bench.delete(&pk.replace("{id}", &old.to_string()), sk);
        let rows = bench.aws.table().rows();
        let (status, body, _) = bench.post(&retry(old)).await;
        let message = "What is needed to try the items again is no longer there";
        assert_eq!(status, 409, "{sk}: {body}");
        assert_eq!(body["message"], message);
        assert_eq!(bench.aws.table().rows(), rows, "{sk}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_kills_the_workers_of_a_retry_is_named_as_its_user_knows_it() {
    let bench = Bench::new();
    let old = bench.translated(&["a", "b", "cx"]).await;
    let new = bench.retried(old).await;
    let task = bench.task(new).await;
    // Four workers took it on, and were never heard of again.
    for worker in 1..=4 {
        let (message, owner) = (Message::to(&task, 0), Owner::new(worker));
        let long_ago = Timestamp(1);
        let claim = bench.store.claim(&message, 0, &owner, long_ago);
        assert!(matches!(claim.await.unwrap(), Claim::Claimed(_)));
    }
    bench.work().await;
    let ended = bench.task(new).await;
    assert_eq!(ended.status, Status::Failed);
    let error = ended.error.unwrap();
    assert!(
        error.starts_with("Item 2 could not be processed"),
        "{error}"
    );
}
