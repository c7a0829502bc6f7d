//! The worker, fed with the queue's own events.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use embedded_aws::{Call, EmbeddedAws, Fault, QUEUE_URL};
use longhaul::chunk::Owner;
use longhaul::executor::Executor;
use longhaul::host::{Host, Timestamp};
use longhaul::order::Order;
use longhaul::queue::{Message, Queue};
use longhaul::quota::Quota;
use longhaul::runner::Runners;
use longhaul::store::{Claim, SeenLock, Store};
use longhaul::task::{Status, Task, Terms, Uniqueness, UserId};
use longhaul::worker::{Pace, Worker};
use longhaul::{Invalid, ItemError, Items, Job, Limits, OUTPUT_BYTES_MAX, Setup, StartError};
use serde_json::{Value, json};
use tokio::time::Instant;

const WORK: &str = include_str!("../../../events/work.json");
const WORK_WITH_POISON: &str = include_str!("../../../events/work-with-poison.json");
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";
pub(crate) const AMPLE: Duration = Duration::from_secs(600);

/// What is done with an item.
pub(crate) type Process = Arc<dyn Fn(Item) -> Processing + Send + Sync>;
pub(crate) type Item = longhaul::Item<()>;
pub(crate) type Processing = Pin<Box<dyn Future<Output = Result<String, ItemError>> + Send>>;

/// A job whose items are numbered, and do what a test wants.
pub(crate) struct Sample(Process);

impl Job for Sample {
    const NAME: &'static str = "tuned-long-running-task";
    type Request = u64;
    type Shared = ();
    type Input = ();
    type Output = String;

    fn items(number: u64, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(number))
    }
}

impl longhaul::Process for Sample {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("a test starts it"))
    }

    async fn process(&self, item: Item) -> Result<String, ItemError> {
        (self.0)(item).await
    }
}

/// The whole back end in process, on the paused clock.
pub(crate) struct Bench {
    pub(crate) aws: EmbeddedAws,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(EmbeddedAws::default())
    }

    pub(crate) fn over(aws: EmbeddedAws) -> Self {
        let started = Instant::now();
        let drawn = AtomicU64::new(1);
        let host = Host::new(
            move || Timestamp(1_800_000_000_000).after(started.elapsed()),
            move || drawn.fetch_add(1, Ordering::Relaxed) << 32,
        );
        let store = Store::new(aws.dynamodb("worker"), aws.table().name(), host);
        Self { aws, store }
    }

    pub(crate) fn worker(
        &self,
        items_in_flight: usize,
        slice: Duration,
        process: Process,
    ) -> Worker {
        let runners = Runners::default().with(Sample(process), &Executor::here());
        self.worker_of(runners, items_in_flight, slice)
    }

    pub(crate) fn worker_of(
        &self,
        runners: Runners,
        items_in_flight: usize,
        slice: Duration,
    ) -> Worker {
        let queue = Queue::new(self.aws.sqs("worker"), QUEUE_URL);
        let pace = Pace {
            items_in_flight,
            lease: Duration::from_secs(60),
            progress_interval: Duration::from_millis(500),
            slice,
        };
        Worker::new(self.store.clone(), queue, pace, runners)
    }

    pub(crate) async fn submitted(&self, number_of_items: u64, chunk_items: u64) -> Task {
        self.submitted_by(SAMPLE_USER, number_of_items, chunk_items)
            .await
    }

    pub(crate) async fn submitted_by(
        &self,
        user: &str,
        number_of_items: u64,
        chunk_items: u64,
    ) -> Task {
        let terms = Terms {
            chunk_items,
            lease: Duration::from_secs(60),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim(user).unwrap();
        let order = Order::numbered("tuned-long-running-task", number_of_items);
        let task = Task::new(self.store.host(), user, &order, &terms);
        self.store
            .submit(&task, None, SeenLock::Free, Quota::default())
            .await
            .unwrap();
        task
    }

    pub(crate) async fn stored(&self, task: &Task) -> Task {
        let stored = self.store.task(&task.user, task.task_id);
        stored.await.unwrap().unwrap()
    }

    /// The outcomes of the stored items, by index.
    pub(crate) fn outcomes(&self) -> BTreeMap<u64, String> {
        let rows = self.aws.table().rows();
        let items = rows
            .iter()
            .filter(|row| row["sk"].as_str().unwrap().starts_with("ITEM#"));
        items
            .map(|row| {
                let outcome = row["outcome"].as_str().unwrap();
                (row["index"].as_u64().unwrap(), outcome.to_owned())
            })
            .collect()
    }
}

fn event(json: &str, task: &Task) -> SqsEvent {
    serde_json::from_str(&json.replace(SAMPLE_TASK, &task.task_id.to_string())).unwrap()
}

fn failures(response: &SqsBatchResponse) -> Vec<&str> {
    let failures = response.batch_item_failures.iter();
    let mut ids: Vec<_> = failures
        .map(|failure| &failure.item_identifier[35..])
        .collect();
    ids.sort_unstable();
    ids
}

/// Delivers these bodies in one batch, for the first time.
pub(crate) fn delivery<const N: usize>(bodies: [&str; N]) -> SqsEvent {
    let record = |(body, id): (&str, u32)| {
        json!({
            "messageId": id.to_string(),
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        })
    };
    let records: Vec<_> = bodies.into_iter().zip(1..).map(record).collect();
    serde_json::from_value(json!({"Records": records})).unwrap()
}

/// Deals with a message on its own, which must succeed.
pub(crate) async fn work(worker: &Worker, body: &str, time_left: Duration) {
    let response = worker.handle(delivery([body]), time_left).await;
    assert_eq!(response.batch_item_failures, []);
}

pub(crate) fn body(task: &Task, chunks: &[usize]) -> String {
    let message = Message {
        chunks: chunks.to_vec(),
        ..Message::first(task)
    };
    serde_json::to_string(&message).unwrap()
}

/// Takes two seconds per item and yields what the sample yields.
fn sample() -> Process {
    process(|_| Ok(()))
}

/// Takes two seconds per item and then ends as `end` says.
fn process(end: impl Fn(u64) -> Result<(), ItemError> + Send + Sync + 'static) -> Process {
    let end = Arc::new(end);
    Arc::new(move |item: Item| {
        let end = Arc::clone(&end);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            end(item.index)?;
            Ok(format!("Item {}", item.index))
        })
    })
}

/// Takes as long for an item as `time` says.
pub(crate) fn taking(time: impl Fn(&Item) -> Duration + Send + Sync + 'static) -> Process {
    Arc::new(move |item: Item| {
        let time = time(&item);
        Box::pin(async move {
            tokio::time::sleep(time).await;
            Ok(String::new())
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_task_is_worked_on_ten_items_at_a_time_and_ends() {
    let bench = Bench::new();
    let task = bench.submitted(100, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let started = Instant::now();
    let response = worker.handle(event(WORK, &task), AMPLE).await;
    assert!(failures(&response).is_empty());
    let taken = started.elapsed();
    assert!(
        taken >= Duration::from_secs(20) && taken < Duration::from_secs(22),
        "{taken:?}"
    );
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Success);
    assert_eq!(ended.progress().percentage, 100);
    assert_eq!(bench.outcomes().len(), 100);
    let locks = bench.aws.table().rows();
    assert!(locks.iter().all(|row| row["sk"] != "LOCK"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_does_not_count_twice() {
    let bench = Bench::new();
    let task = bench.submitted(5, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let body = body(&task, &[0]);
    tokio::join!(work(&worker, &body, AMPLE), work(&worker, &body, AMPLE));
    work(&worker, &body, AMPLE).await;
    let ended = bench.stored(&task).await;
    assert_eq!((ended.status, ended.progress().done), (Status::Success, 5));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_understood_fails_alone() {
    let bench = Bench::new();
    let task = bench.submitted(5, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let response = worker.handle(event(WORK_WITH_POISON, &task), AMPLE).await;
    assert_eq!(failures(&response), ["1", "3"]);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn a_task_of_many_chunks_is_spread_over_messages() {
    let bench = Bench::new();
    let task = bench.submitted(250, 10).await;
    let chunks: Vec<_> = (0..25).collect();
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    work(&worker, &body(&task, &chunks), AMPLE).await;
    let sent = bench.aws.take_sent();
    assert_eq!(sent.len(), 24);
    let calls = bench.aws.take_calls();
    assert_eq!(
        calls
            .iter()
            .filter(|call| *call == "SendMessageBatch")
            .count(),
        3
    );
    assert_eq!(bench.stored(&task).await.status, Status::Processing);
    for message in sent {
        work(&worker, &message.body, AMPLE).await;
    }
    let ended = bench.stored(&task).await;
    assert_eq!(
        (ended.status, ended.progress().done),
        (Status::Success, 250)
    );
    // The first message again, late: everything is done, nothing is sent.
    work(&worker, &body(&task, &chunks), AMPLE).await;
    assert!(bench.aws.take_sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_chunks_that_a_message_names_are_announced() {
    let bench = Bench::new();
    let task = bench.submitted(40, 10).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    work(&worker, &body(&task, &[0, 2]), AMPLE).await;
    let sent = bench.aws.take_sent();
    let sent = sent.iter().map(|sent| Message::parse(&sent.body).unwrap());
    let chunks: Vec<_> = sent.flat_map(|message| message.chunks).collect();
    assert_eq!(chunks, [2]);

    // Nor those whose turn has come otherwise.
    let late = Message {
        chunks: vec![1, 3],
        turn: Some(7),
        ..Message::first(&task)
    };
    let late = serde_json::to_string(&late).unwrap();
    work(&worker, &late, AMPLE).await;
    assert!(bench.aws.take_sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_hands_on_when_its_slice_is_over_and_nothing_is_done_twice() {
    let bench = Bench::new();
    let task = bench.submitted(50, 100).await;
    let runs = Arc::new(Mutex::new(BTreeMap::<u64, u32>::new()));
    let counted = Arc::clone(&runs);
    let process = process(move |index| {
        *counted.lock().unwrap().entry(index).or_default() += 1;
        Ok(())
    });
    let worker = bench.worker(10, Duration::from_secs(5), process);
    let mut body = body(&task, &[0]);
    let mut slices = 1;
    loop {
        work(&worker, &body, AMPLE).await;
        let Some(next) = bench.aws.take_sent().pop() else {
            break;
        };
        assert_eq!(Message::parse(&next.body).unwrap().hops, slices);
        body = next.body;
        slices += 1;
    }
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    assert_eq!(slices, 2);
    assert!(runs.lock().unwrap().values().all(|&runs| runs == 1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_leaves_before_its_deadline_even_if_an_item_hangs() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let process = taking(|item| Duration::from_secs(if item.index == 1 { 10_000 } else { 1 }));
    let worker = bench.worker(10, Duration::from_secs(60), process);
    let time_left = Duration::from_secs(20);
    let started = Instant::now();
    work(&worker, &body(&task, &[0]), time_left).await;
    assert!(started.elapsed() < time_left);
    let stored = bench.stored(&task).await;
    assert_eq!(
        (stored.status, stored.chunks[0].cursor),
        (Status::Processing, 1)
    );
    assert_eq!(stored.chunks[0].lease_until, Timestamp(0));
    assert_eq!(bench.aws.take_sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn items_that_fail_are_recorded_and_the_task_goes_on() {
    let bench = Bench::new();
    let task = bench.submitted(6, 100).await;
    let tries = Arc::new(Mutex::new(BTreeMap::<u64, u32>::new()));
    let counted = Arc::clone(&tries);
    let process = process(move |index| {
        let tries = {
            let mut all = counted.lock().unwrap();
            let tries = all.entry(index).or_default();
            *tries += 1;
            *tries
        };
        match index {
            1 => Err(ItemError::permanent("Never.")),
            2 if tries < 3 => Err(ItemError::retryable("Not yet.")),
            3 => Err(ItemError::retryable("Not ever.")),
            4 => panic!("oh"),
            _ => Ok(()),
        }
    });
    let worker = bench.worker(2, Duration::from_secs(60), process);
    work(&worker, &body(&task, &[0]), AMPLE).await;
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(ended.error.as_deref(), Some("3 of 6 items failed."));
    let expected = ["done", "failed", "done", "failed", "failed", "done"];
    assert_eq!(bench.outcomes().into_values().collect::<Vec<_>>(), expected);
    let tries: Vec<_> = tries.lock().unwrap().values().copied().collect();
    assert_eq!(tries, [1, 1, 3, 3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_table_is_not_blamed_on_an_item() {
    let refuse = |call: &Call| match call.operation.as_str() {
        "BatchExecuteStatement" => Fault::Throttled,
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(refuse));
    let task = bench.submitted(5, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let body = body(&task, &[0]);
    for _ in 0..10 {
        let response = worker.handle(delivery([&body]), AMPLE).await;
        assert_eq!(response.batch_item_failures.len(), 1);
        let stored = bench.stored(&task).await;
        assert_eq!(stored.status, Status::Processing);
        let chunk = &stored.chunks[0];
        assert_eq!((chunk.attempts, chunk.lease_until), (0, Timestamp(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_began_late_does_not_count() {
    let bench = Bench::new();
    let quick = bench.submitted_by("bob", 1, 100).await;
    let slow = bench.submitted_by("ann", 1, 100).await;
    let process = taking(|item| {
        let seconds = if item.user.as_str() == "bob" { 60 } else { 100 };
        Duration::from_secs(seconds)
    });
    let worker = bench.worker(1, Duration::from_secs(60), process);
    let mut message = Message::parse(&body(&slow, &[0])).unwrap();
    message.alone = true;
    let alone = serde_json::to_string(&message).unwrap();
    let batch = delivery([&body(&quick, &[0]), &alone]);
    let response = worker.handle(batch, Duration::from_secs(150)).await;
    assert_eq!(response.batch_item_failures, []);
    assert_eq!(bench.stored(&quick).await.status, Status::Success);
    // There were 90 s left for an item of 100 s.
    let stored = bench.stored(&slow).await;
    let chunk = &stored.chunks[0];
    assert_eq!((chunk.cursor, chunk.attempts), (0, 0));
    let next = bench.aws.take_sent().pop().unwrap();
    work(&worker, &next.body, Duration::from_secs(150)).await;
    assert_eq!(bench.stored(&slow).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_kills_its_workers_is_found_and_named() {
    let slow = |_: &Call| Fault::Slow(Duration::from_millis(5));
    let bench = Bench::over(EmbeddedAws::with_faults(slow));
    let task = bench.submitted(6, 100).await;
    // Where the stored cursor is when an item starts.
    let cursors: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let table = bench.aws.table().clone();
    let seen = Arc::clone(&cursors);
    // The fourth item never returns; its worker is killed with it.
    let process: Process = Arc::new(move |item: Item| {
        let rows = table.rows();
        let row = rows.iter().find(|row| row.contains_key("chunks")).unwrap();
        let cursor = row["chunks"][0]["cursor"].as_u64().unwrap();
        seen.lock().unwrap().push((item.index, cursor));
        Box::pin(async move {
            if item.index == 3 {
                std::future::pending::<()>().await;
            }
            Ok(String::new())
        })
    });
    let worker = bench.worker(10, Duration::from_secs(60), process);
    let mut lives = 0;
    while bench.stored(&task).await.status.is_open() {
        cursors.lock().unwrap().clear();
        let body = body(&task, &[0]);
        let life = tokio::time::timeout(Duration::from_millis(100), work(&worker, &body, AMPLE));
        let _ = life.await;
        // Until the lease of the dead worker has run out.
        tokio::time::sleep(Duration::from_secs(61)).await;
        lives += 1;
        if lives == 2 {
            // However fast an item kills: nothing before it is left unsaved, so the cursor names it.
            let expected: Vec<_> = (0..=3).map(|item| (item, item)).collect();
            assert_eq!(*cursors.lock().unwrap(), expected);
        }
    }
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Failed);
    assert!(
        ended
            .error
            .unwrap()
            .starts_with("Item 3 could not be processed")
    );
    assert_eq!(lives, 6);
}

#[tokio::test(start_paused = true)]
async fn messages_that_go_alone_share_an_invocation_only_as_long_as_there_is_time() {
    const TIME_LEFT: Duration = Duration::from_secs(150);
    let bench = Bench::new();
    let mut messages = vec![];
    for user in ["ann", "bob", "eve"] {
        // Each takes longer than a slice.
        let task = bench.submitted_by(user, 100, 100).await;
        let mut message = Message::parse(&body(&task, &[0])).unwrap();
        message.alone = user != "eve";
        messages.push(message);
    }
    let bodies: Vec<_> = messages
        .iter()
        .map(|message| serde_json::to_string(message).unwrap())
        .collect();
    let worker = bench.worker(1, Duration::from_secs(60), sample());
    let began = Instant::now();
    let mut event = delivery([&bodies[0], &bodies[1], &bodies[2]]);
    // The third has only come back, and says so no more once it is sent on.
    let returned = &mut event.records[2].attributes;
    returned.insert("ApproximateReceiveCount".into(), "2".into());
    let response = worker.handle(event, TIME_LEFT).await;
    assert!(failures(&response).is_empty());
    assert!(began.elapsed() < TIME_LEFT, "{:?}", began.elapsed());
    let sent = bench.aws.take_sent();
    let sent: Vec<_> = sent
        .iter()
        .map(|sent| Message::parse(&sent.body).unwrap())
        .collect();
    // The first two have worked for a slice; the third has not begun.
    messages[2].passed_on = 1;
    messages[2].alone = true;
    messages[2].turn = None;
    assert_eq!(sent[2], messages[2]);
    let alone: Vec<_> = sent.iter().map(|message| message.alone).collect();
    assert_eq!(alone, [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_passed_on_often_goes_first_and_still_alone() {
    let bench = Bench::new();
    let deadly = bench.submitted_by("killer", 100, 100).await;
    let innocent = bench.submitted_by("ann", 30, 100).await;
    let worker = bench.worker(1, Duration::from_secs(20), sample());
    let often = Message {
        alone: true,
        passed_on: 3,
        ..Message::to(&deadly, 0)
    };
    let often = serde_json::to_string(&often).unwrap();
    let event = delivery([&body(&innocent, &[0]), &often]);
    let watch = async {
        tokio::time::sleep(Duration::from_secs(19)).await;
        assert_eq!(bench.stored(&innocent).await.status, Status::Queued);
        assert_eq!(bench.stored(&deadly).await.status, Status::Processing);
    };
    tokio::join!(worker.handle(event, AMPLE), watch);
    assert!(bench.stored(&innocent).await.chunks[0].cursor > 0);
    let sent = bench.aws.take_sent();
    let passed_on = sent.iter().map(|sent| Message::parse(&sent.body).unwrap());
    assert!(passed_on.into_iter().all(|message| message.passed_on == 0));
}

#[tokio::test(start_paused = true)]
async fn a_copy_brings_its_chunk_no_second_turn_but_a_message_that_returns_does() {
    let bench = Bench::new();
    let task = bench.submitted(100, 100).await;
    let worker = bench.worker(1, Duration::from_secs(10), sample());
    let message = body(&task, &[0]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    work(&worker, &message, AMPLE).await;
    let once = bench.stored(&task).await;
    assert_eq!(once.chunks[0].waited_milliseconds / 1000, 5);
    assert_eq!(bench.aws.take_sent().len(), 1);
    work(&worker, &message, AMPLE).await;
    assert_eq!(bench.stored(&task).await, once);
    assert!(bench.aws.take_sent().is_empty());
    // Its worker may have died before it could hand on.
    let mut returned = delivery([&message]);
    let attributes = &mut returned.records[0].attributes;
    attributes.insert("ApproximateReceiveCount".into(), "2".into());
    worker.handle(returned, AMPLE).await;
    assert!(bench.stored(&task).await.chunks[0].cursor > once.chunks[0].cursor);
    assert_eq!(bench.aws.take_sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_behind_an_item_that_takes_long_is_not_done_again_after_a_crash() {
    let bench = Bench::new();
    let task = bench.submitted(1000, 1000).await;
    let runs = Arc::new(Mutex::new(BTreeMap::<u64, u32>::new()));
    let counted = Arc::clone(&runs);
    let process = taking(move |item| {
        *counted.lock().unwrap().entry(item.index).or_default() += 1;
        Duration::from_millis(if item.index == 0 { 50_000 } else { 40 })
    });
    let worker = bench.worker(10, Duration::from_secs(60), process);
    let message = body(&task, &[0]);
    // The process is gone after 3 s, when some 670 are settled.
    let dies = tokio::time::timeout(Duration::from_secs(3), work(&worker, &message, AMPLE));
    assert!(dies.await.is_err());
    assert!(runs.lock().unwrap().len() > 500);
    assert_eq!(bench.stored(&task).await.chunks[0].cursor, 0);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let mut next = Some(message);
    while let Some(message) = next {
        work(&worker, &message, AMPLE).await;
        next = bench.aws.take_sent().pop().map(|sent| sent.body);
    }
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    let twice = runs
        .lock()
        .unwrap()
        .values()
        .filter(|&&runs| runs > 1)
        .count();
    // Those that were not saved: 200 (`UNSAVED_MAX`) and those in flight.
    assert!((1..=210).contains(&twice), "{twice} were done twice");
}

#[tokio::test(start_paused = true)]
async fn of_a_task_of_many_chunks_each_is_saved_less_often() {
    let bench = Bench::new();
    let task = bench.submitted(5_000, 50).await;
    let worker = bench.worker(1, Duration::from_secs(60), sample());
    work(&worker, &body(&task, &[0]), AMPLE).await;
    let calls = bench.aws.take_calls();
    let updates = calls.iter().filter(|call| *call == "UpdateItem").count();
    // 100 chunks: the claim, and one step in five seconds instead of one for every item.
    assert!((12..=16).contains(&updates), "{updates} in a minute");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_slowly_is_not_tried_again_when_there_is_no_time_for_it() {
    let bench = Bench::new();
    let task = bench.submitted(2, 100).await;
    let slow: Process = Arc::new(|item: Item| {
        Box::pin(async move {
            if item.index == 0 {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Err(ItemError::retryable("No answer."));
            }
            Ok(String::new())
        })
    });
    let worker = bench.worker(2, Duration::from_secs(60), slow);
    // Two attempts fit into the invocation, three do not.
    work(&worker, &body(&task, &[0]), Duration::from_secs(150)).await;
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("1 of 2 items failed."));
    let outcomes: Vec<_> = bench.outcomes().into_values().collect();
    assert_eq!(outcomes, ["failed", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_fails_its_item_and_no_other() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let process: Process = Arc::new(|item: Item| {
        let excess = usize::from(item.index == 1);
        Box::pin(async move {
            // With its quotation marks.
            Ok("x".repeat(OUTPUT_BYTES_MAX - 2 + excess))
        })
    });
    let worker = bench.worker(3, Duration::from_secs(60), process);
    work(&worker, &body(&task, &[0]), AMPLE).await;
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("1 of 3 items failed."));
    let outcomes: Vec<_> = bench.outcomes().into_values().collect();
    assert_eq!(outcomes, ["done", "failed", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_killed_a_worker_waits_until_it_can_harm_nobody() {
    for (returned, alone) in [(true, false), (false, true)] {
        let bench = Bench::new();
        let deadly = bench.submitted_by("killer", 3, 100).await;
        let innocent = bench.submitted_by("ann", 30, 100).await;
        let process: Process = Arc::new(|item: Item| {
            Box::pin(async move {
                assert_ne!(item.user.as_str(), "killer", "dead");
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(String::new())
            })
        });
        let worker = bench.worker(10, Duration::from_secs(60), process);
        let mut message = Message::parse(&body(&deadly, &[0])).unwrap();
        message.alone = alone;
        let deadly_body = serde_json::to_string(&message).unwrap();
        let mut event = delivery([&deadly_body, &body(&innocent, &[0])]);
        if returned {
            let attributes = &mut event.records[0].attributes;
            attributes.insert("ApproximateReceiveCount".into(), "2".into());
        }
        let watch = async {
            tokio::time::sleep(Duration::from_millis(5900)).await;
            assert_eq!(bench.stored(&deadly).await.status, Status::Queued);
        };
        tokio::join!(worker.handle(event, AMPLE), watch);
        assert_eq!(bench.stored(&innocent).await.status, Status::Success);
        assert_ne!(bench.stored(&deadly).await.status, Status::Queued);
    }
}

#[tokio::test(start_paused = true)]
async fn a_complete_chunk_whose_message_keeps_coming_is_not_blamed() {
    let bench = Bench::new();
    let task = bench.submitted(10, 5).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    for _ in 0..10 {
        work(&worker, &body(&task, &[0]), AMPLE).await;
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    assert_eq!(bench.stored(&task).await.status, Status::Processing);
    work(&worker, &body(&task, &[1]), AMPLE).await;
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_left_alone_at_the_next_write() {
    let bench = Bench::new();
    let task = bench.submitted(100, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let body = body(&task, &[0]);
    let cancelled = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        bench.store.cancel(&task).await.unwrap();
    };
    let started = Instant::now();
    tokio::join!(work(&worker, &body, AMPLE), cancelled);
    assert!(started.elapsed() < Duration::from_secs(7));
    let stored = bench.stored(&task).await;
    assert_eq!(
        (stored.status, stored.progress().done),
        (Status::Cancelled, 20)
    );
}

#[tokio::test]
async fn the_sample_event_is_what_the_queue_sends() {
    let bench = Bench::new();
    let task = bench.submitted(1, 100).await;
    let sample = WORK.replace(SAMPLE_TASK, &task.task_id.to_string());
    let event: Value = serde_json::from_str(&sample).unwrap();
    let body: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, serde_json::to_value(Message::first(&task)).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_job_that_is_not_known_yet_is_held_back_and_claims_nothing() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let mut message = Message::parse(&body(&task, &[0])).unwrap();
    for (job, version) in [("of-tomorrow", 1), ("tuned-long-running-task", 2)] {
        (message.job, message.job_version) = (job.into(), version);
        let _ = bench.aws.take_calls();
        work(&worker, &serde_json::to_string(&message).unwrap(), AMPLE).await;
        assert_eq!(bench.aws.take_calls(), ["GetItem", "SendMessage"]);
        let [sent] = &bench.aws.take_sent()[..] else {
            panic!("one message");
        };
        assert_eq!(sent.delay_seconds, 60);
        let sent = Message::parse(&sent.body).unwrap();
        assert_eq!(
            (sent.job.as_str(), sent.job_version, sent.hops),
            (job, version, 1)
        );
    }
    assert_eq!(bench.stored(&task).await.status, Status::Queued);
    bench.store.cancel(&task).await.unwrap();
    let _ = bench.aws.take_sent();
    work(&worker, &serde_json::to_string(&message).unwrap(), AMPLE).await;
    assert_eq!(bench.aws.take_sent(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_and_a_row_from_before_there_were_jobs_are_the_samples() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let table = bench.aws.table();
    let key = json!({"pk": {"S": format!("USER#{SAMPLE_USER}")}, "sk": {"S": format!("TASK#{}", task.task_id)}});
    let mut row =
        table.execute("GetItem", &json!({"TableName": table.name(), "Key": key}))["Item"].clone();
    for younger in ["job", "job_version", "ends_by"] {
        row.as_object_mut().unwrap().remove(younger).unwrap();
    }
    let _ = table.execute("PutItem", &json!({"TableName": table.name(), "Item": row}));
    let mut message: Value = serde_json::from_str(&body(&task, &[0])).unwrap();
    for younger in ["job", "job_version"] {
        message.as_object_mut().unwrap().remove(younger).unwrap();
    }
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    work(&worker, &message.to_string(), AMPLE).await;
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_start_leaves_its_items_alone_for_a_while() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    // A test that processes items gives the sample started; by itself it cannot start.
    let runners = Runners::new::<(Sample,)>(&Setup::of(&[]), &Executor::here());
    let worker = bench.worker_of(runners, 2, Duration::from_secs(60));
    let mut body = body(&task, &[0]);
    for _ in 0..10 {
        let _ = bench.aws.take_calls();
        work(&worker, &body, AMPLE).await;
        let sent = bench.aws.take_sent().pop().unwrap();
        let delay = sent.delay_seconds;
        body = sent.body;
        assert!((1..=60).contains(&delay), "{delay} s");
        // However often: no item is blamed, and no attempt is held against it.
        let stored = bench.stored(&task).await;
        assert_eq!(
            (stored.status, stored.chunks[0].attempts),
            (Status::Processing, 0)
        );
        tokio::time::sleep(Duration::from_secs(delay)).await;
    }
}

/// A task of which it says that its items have inputs, and has none.
async fn submitted_without_inputs(bench: &Bench) -> Task {
    let task = bench.submitted(3, 100).await;
    let table = bench.aws.table();
    let key = json!({"pk": {"S": format!("USER#{SAMPLE_USER}")}, "sk": {"S": format!("TASK#{}", task.task_id)}});
    let _ = table.execute(
        "UpdateItem",
        &json!({
            "TableName": table.name(), "Key": key, "UpdateExpression": "SET has_inputs = :true",
            "ExpressionAttributeValues": {":true": {"BOOL": true}},
        }),
    );
    task
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_inputs_are_not_all_there_fails_and_says_so() {
    let bench = Bench::new();
    let mut task = submitted_without_inputs(&bench).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    work(&worker, &body(&task, &[0]), AMPLE).await;
    task = bench.stored(&task).await;
    assert_eq!(task.status, Status::Failed);
    assert_eq!(
        task.error.as_deref(),
        Some("What was stored of its items is not all there.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_chunk_while_it_read_does_not_end_the_task() {
    let slow = |call: &Call| match call.operation.as_str() {
        "Query" => Fault::Slow(Duration::from_millis(200)),
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(slow));
    let task = submitted_without_inputs(&bench).await;
    let worker = bench.worker(10, Duration::from_secs(60), sample());
    let body = body(&task, &[0]);
    let robbed = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Bench { store, .. } = &bench;
        let held = bench.stored(&task).await;
        let first = held.chunks[0].owner.clone().unwrap();
        store.give_back(&held, 0, &first, 0, 0).await.unwrap();
        let until = store.host().now().after(Duration::from_secs(60));
        let (message, other) = (Message::to(&held, 0), Owner::new(7));
        let claim = store.claim(&message, 0, &other, until);
        assert!(matches!(claim.await.unwrap(), Claim::Claimed(_)));
    };
    tokio::join!(work(&worker, &body, AMPLE), robbed);
    assert_eq!(bench.stored(&task).await.status, Status::Processing);
}
