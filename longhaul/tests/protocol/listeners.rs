//! What the tests of whoever is told of tasks share: connections, and records of the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use embedded_aws::{EmbeddedAws, Faults};
use longhaul::connection::Connection;
use longhaul::host::{Host, Timestamp};
use longhaul::sockets::Sockets;
use longhaul::store::Store;
use longhaul::task::UserId;
use serde_json::{Value, json};

/// A batch of a stream with two changes of one task: it is at work, and it has succeeded.
pub(crate) const CHANGES: &str = include_str!("../../../events/changes.json");
pub(crate) const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
pub(crate) const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

/// When everything begins.
pub(crate) const NOW: Timestamp = Timestamp(1_795_456_800_000);

/// A table, connections, and a clock that is set.
pub(crate) struct Bench {
    pub(crate) aws: EmbeddedAws,
    pub(crate) store: Store,
    clock: Arc<AtomicU64>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(EmbeddedAws::default())
    }

    pub(crate) fn with_faults(faults: impl Faults + 'static) -> Self {
        Self::of(EmbeddedAws::with_faults(faults))
    }

    fn of(aws: EmbeddedAws) -> Self {
        let clock = Arc::new(AtomicU64::new(NOW.0));
        let (now, random) = (Arc::clone(&clock), Host::system());
        let host = Host::new(
            move || Timestamp(now.load(Ordering::Relaxed)),
            move || random.random(),
        );
        let store = Store::new(aws.dynamodb("function"), aws.table().name(), host);
        Self { aws, store, clock }
    }

    pub(crate) fn sockets(&self) -> Sockets {
        Sockets::new(&self.aws.config("function"), "https://socket.test/live")
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Has the user connected over this, so many seconds after the beginning.
    pub(crate) async fn connected(&self, user: &str, id: &str, after: u64) -> Connection {
        self.aws.open_connection(id);
        let connection = connection(id, after);
        let entered = self.store.connect(&user_of(user), &connection).await;
        assert!(entered.unwrap());
        connection
    }

    /// The ids of the user's connections, the oldest first.
    pub(crate) async fn connections_of(&self, user: &str) -> Vec<String> {
        let listed = self.store.connections(&user_of(user)).await.unwrap();
        listed.into_iter().map(|connection| connection.id).collect()
    }
}

pub(crate) fn user_of(sub: &str) -> UserId {
    UserId::from_claim(sub).unwrap()
}

pub(crate) fn connection(id: &str, after: u64) -> Connection {
    Connection {
        id: id.to_owned(),
        connected_at: Timestamp(NOW.0 + after * 1000),
    }
}

/// One of the two sample records, of another user, task or version.
pub(crate) fn record(which: usize, user: &str, task_id: &str, version: u64) -> Value {
    let batch = CHANGES
        .replace(SAMPLE_USER, user)
        .replace(SAMPLE_TASK, task_id);
    let batch: Value = serde_json::from_str(&batch).unwrap();
    let mut record = batch["Records"][which].clone();
    record["dynamodb"]["NewImage"]["version"] = json!({"N": version.to_string()});
    record
}

pub(crate) fn batch(records: &[Value]) -> String {
    json!({"Records": records}).to_string()
}

/// Records that can be read, and say what no task ever does.
pub(crate) fn strange_records() -> Vec<Value> {
    let places = [
        "/created_at",
        "/started_at",
        "/finished_at",
        "/number_of_items",
        "/chunk_items",
        "/version",
        "/lease_until",
        "/chunks/L/0/M/cursor",
        "/chunks/L/0/M/failed",
        "/retention_seconds",
    ];
    let mut records = Vec::new();
    for place in places {
        for number in ["0", "18446744073709551615"] {
            let mut record = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
            let place = format!("/dynamodb/NewImage{place}");
            *record.pointer_mut(&place).unwrap() = json!({"N": number});
            records.push(record);
        }
    }
    let mut no_chunks = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
    no_chunks["dynamodb"]["NewImage"]["chunks"] = json!({"L": []});
    records.push(no_chunks);
    records
}

/// Records of which nobody can make anything, and one that needs nothing made of it.
pub(crate) fn odd_records() -> Vec<Value> {
    let good = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
    let with = |at: &str, value: Value| {
        let mut record = good.clone();
        *record.pointer_mut(at).unwrap() = value;
        record
    };
    vec![
        json!(null),
        json!(5),
        json!({}),
        json!({"eventName": "MODIFY"}),
        with("/eventName", json!(7)),
        with("/dynamodb/NewImage", json!(null)),
        with("/dynamodb/NewImage", json!({})),
        with("/dynamodb/NewImage/status", json!({"S": "LOST"})),
        with("/dynamodb/NewImage/status", json!({"X": "SUCCESS"})),
        with("/dynamodb/NewImage/chunks", json!({"N": "1"})),
        with("/dynamodb/NewImage/task_id", json!({"S": "no id"})),
        with("/dynamodb/NewImage/number_of_items", json!({"N": "-1"})),
        with("/dynamodb", json!("text")),
    ]
}
