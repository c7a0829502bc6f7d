//! What items do to their threads, they do not do to the protocol: the worker's program with jobs that keep them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use embedded_aws::{EmbeddedAws, Ended, Fault, Faults, Program, QUEUE_URL, Reached};
use longhaul::host::Host;
use longhaul::order::Order;
use longhaul::queue::Message;
use longhaul::quota::Quota;
use longhaul::store::{SeenLock, Store};
use longhaul::task::{Status, Task, Terms, Uniqueness, UserId};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_obstinate-worker");

/// A worker's process, and the table that it works on.
struct Bench {
    aws: EmbeddedAws,
    store: Store,
    worker: Program,
}

impl Bench {
    fn new(aws: EmbeddedAws, gate: &str) -> Self {
        let store = Store::new(aws.dynamodb("test"), aws.table().name(), Host::system());
        let variables = [
            ("TABLE_NAME", aws.table().name()),
            ("QUEUE_URL", QUEUE_URL),
            ("ITEMS_IN_FLIGHT", "10"),
            ("LEASE_SECONDS", "1"),
            ("PROGRESS_INTERVAL_MS", "100"),
            ("SLICE_SECONDS", "3"),
            ("TIMEOUT_SECONDS", "8"),
            ("GATE", gate),
        ];
        let worker = Program::start(PROGRAM, &aws, &variables);
        Self { aws, store, worker }
    }

    async fn submitted(&self, job: &'static str, number_of_items: u64) -> Task {
        let terms = Terms {
            chunk_items: 100,
            lease: Duration::from_secs(1),
            lifetime: Duration::from_secs(86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim("ann").unwrap();
        let order = Order::numbered(job, number_of_items);
        let task = Task::new(self.store.host(), user, &order, &terms);
        let submitted = self
            .store
            .submit(&task, None, SeenLock::Free, Quota::default());
        submitted.await.unwrap();
        task
    }

    async fn stored(&self, task: &Task) -> Task {
        let stored = self.store.task(&task.user, task.task_id);
        stored.await.unwrap().unwrap()
    }

    /// Delivers the task's first message.
    fn deliver(&self, task: &Task) -> Value {
        let body = serde_json::to_string(&Message::first(task)).unwrap();
        let record = json!({
            "messageId": "1",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        });
        let response = self.worker.invoke(&json!({"Records": [record]}));
        response.unwrap()["batchItemFailures"].clone()
    }
}

#[tokio::test]
async fn items_of_a_blocking_job_have_a_thread_each() {
    let bench = Bench::new(EmbeddedAws::default(), "");
    let task = bench.submitted("together", 20).await;
    assert_eq!(bench.deliver(&task), json!([]));
    let stored = bench.stored(&task).await;
    assert_eq!(
        (stored.status, stored.progress().done),
        (Status::Success, 20)
    );
}

/// Opens a gate when a lease has been renewed for the second time.
struct Renewals {
    renewed: Mutex<u32>,
    gate: PathBuf,
}

impl Faults for Renewals {
    fn decide(&self, _: &embedded_aws::Call) -> Fault {
        Fault::None
    }

    fn reached(&self, reached: &Reached<'_>) {
        if reached.call.operation == "UpdateItem" {
            let mut renewed = self.renewed.lock().unwrap();
            *renewed += 1;
            // The first one is the claim.
            if *renewed == 3 {
                fs::write(&self.gate, "").unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_an_item_keeps_the_thread_that_all_items_share() {
    let gate = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gate");
    let _ = fs::remove_file(&gate);
    let renewals = Renewals {
        renewed: Mutex::new(0),
        gate: gate.clone(),
    };
    let bench = Bench::new(EmbeddedAws::with_faults(renewals), gate.to_str().unwrap());
    let task = bench.submitted("careless", 3).await;
    assert_eq!(bench.deliver(&task), json!([]));
    let stored = bench.stored(&task).await;
    assert_eq!(
        (stored.status, stored.progress().done),
        (Status::Success, 3)
    );
}

#[tokio::test]
async fn a_process_with_an_item_that_cannot_be_stopped_saves_hands_on_answers_and_ends() {
    let bench = Bench::new(EmbeddedAws::default(), "");
    let task = bench.submitted("obstinate", 2).await;
    assert_eq!(bench.deliver(&task), json!([]));

    let stored = bench.stored(&task).await;
    assert_eq!(
        (stored.status, stored.progress().done),
        (Status::Processing, 1)
    );
    assert_eq!(bench.aws.take_sent().len(), 1);
    let Ended { exit_code, log } = bench.worker.ended();
    assert_eq!(exit_code, Some(1), "{log}");
    assert!(
        log.contains("items that do not stop: 1 of obstinate"),
        "{log}"
    );
}
