//! What pages are told, of a batch of the table's stream.

use std::time::Duration;

use embedded_aws::{Call, Fault, Posted};
use longhaul::notify::{Notified, Notify};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::listeners::{
    Bench, CHANGES, SAMPLE_TASK, SAMPLE_USER, batch, odd_records, record, strange_records,
};

const OTHER_TASK: &str = "0198c0de-0000-7000-8000-000000000002";

impl Bench {
    async fn notify(&self, event: &str) -> Notified {
        let function = Notify::new(self.store.clone(), self.sockets());
        function.handle(event).await
    }

    /// What was sent since the last time: over which connection, of which task, in which version.
    fn told(&self) -> Vec<(String, String, u64)> {
        let read = |Posted { connection, text }| {
            let told: Value = serde_json::from_str(&text).unwrap();
            let task_id = told["data"]["task_id"].as_str().unwrap().to_owned();
            (connection, task_id, told["version"].as_u64().unwrap())
        };
        let mut told: Vec<_> = self.aws.take_posted().into_iter().map(read).collect();
        told.sort();
        told
    }
}

fn told(connection: &str, task: &str, version: u64) -> (String, String, u64) {
    (connection.to_owned(), task.to_owned(), version)
}

#[tokio::test]
async fn all_connections_of_the_user_are_told_the_last_of_several_changes() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "a=", 0).await;
    bench.connected(SAMPLE_USER, "b", 1).await;
    bench.connected("somebody else", "c", 0).await;
    let notified = bench.notify(CHANGES).await;
    let (tasks, delivered) = (notified.tasks, notified.delivered);
    assert_eq!((tasks, delivered), (1, 2));
    let posted = bench.aws.take_posted();
    let mut to: Vec<_> = posted.iter().map(|posted| &posted.connection).collect();
    to.sort();
    assert_eq!(to, ["a=", "b"]);
    let text: Value = serde_json::from_str(&posted[0].text).unwrap();
    let expected = json!({
        "type": "task",
        "version": 4,
        "data": {
            "task_id": SAMPLE_TASK,
            "job": "tuned-long-running-task",
            "retry_of": null,
            "task_status": "SUCCESS",
            "done_percentage": 100,
            "count_done_items": 20,
            "number_of_items": 20,
            "count_failed_items": 0,
            "created_at": "2026-11-23T18:00:00.000Z",
            "started_at": "2026-11-23T18:00:01.000Z",
            "finished_at": "2026-11-23T18:00:05.000Z",
            "eta_seconds": null,
            "phase": null,
            "resumes_at": null,
            "error": null,
            "version": 4,
        },
    });
    assert_eq!(text, expected);
}

#[tokio::test]
async fn each_is_told_of_their_own_tasks() {
    let bench = Bench::new();
    bench.connected("first", "a", 0).await;
    bench.connected("second", "b", 0).await;
    let records = [
        record(0, "first", SAMPLE_TASK, 2),
        record(0, "second", OTHER_TASK, 7),
        record(0, "third", "0198c0de-0000-7000-8000-000000000003", 1),
        record(1, "first", SAMPLE_TASK, 3),
        // Repeated, and so behind what came after it.
        record(0, "first", SAMPLE_TASK, 2),
    ];
    assert_eq!(bench.notify(&batch(&records)).await.tasks, 3);
    let expected = [told("a", SAMPLE_TASK, 3), told("b", OTHER_TASK, 7)];
    assert_eq!(bench.told(), expected);
}

#[tokio::test]
async fn a_closed_connection_is_forgotten_and_an_expired_one_not_tried() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "old", 0).await;
    bench.wait(2 * 3600);
    bench.connected(SAMPLE_USER, "gone", 7200).await;
    bench.connected(SAMPLE_USER, "open", 7201).await;
    bench.wait(60);
    bench.aws.break_connection("gone");
    let notified = bench.notify(CHANGES).await;
    let expected = Notified {
        tasks: 1,
        delivered: 1,
        gone: 1,
        dropped: 0,
    };
    assert_eq!(notified, expected);
    assert_eq!(bench.told(), [told("open", SAMPLE_TASK, 4)]);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["open"]);
}

#[tokio::test]
async fn a_connection_that_is_not_open_yet_is_not_forgotten() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "a", 0).await;
    // It is noted before API Gateway opens it.
    bench.aws.break_connection("a");
    bench.wait(59);
    assert_eq!(bench.notify(CHANGES).await.gone, 1);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["a"]);
    bench.wait(1);
    assert_eq!(bench.notify(CHANGES).await.gone, 1);
    assert!(bench.connections_of(SAMPLE_USER).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_costs_the_others_nothing() {
    let bench = Bench::with_faults(|call: &Call| {
        let is_slow = call.body["ConnectionId"] == "slow";
        if call.operation == "PostToConnection" && is_slow {
            Fault::Late(Duration::from_secs(3600))
        } else {
            Fault::None
        }
    });
    for (n, id) in (0..).zip(["slow", "a", "b"]) {
        bench.connected(SAMPLE_USER, id, n).await;
    }
    let began = Instant::now();
    let notified = bench.notify(CHANGES).await;
    assert_eq!((notified.delivered, notified.dropped), (2, 1));
    assert!(began.elapsed() < Duration::from_secs(3));
    let expected = [told("a", SAMPLE_TASK, 4), told("b", SAMPLE_TASK, 4)];
    assert_eq!(bench.told(), expected);
    assert_eq!(bench.connections_of(SAMPLE_USER).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_no_longer_than_its_invocation_whatever_is_slow() {
    let bench = Bench::with_faults(|call: &Call| match call.operation.as_str() {
        "Query" => Fault::Late(Duration::from_secs(3600)),
        _ => Fault::None,
    });
    let ids = (0..200).map(|n| format!("0198c0de-0000-7000-8000-{n:012}"));
    let records: Vec<_> = ids.map(|id| record(0, SAMPLE_USER, &id, 1)).collect();
    let began = Instant::now();
    bench.notify(&batch(&records)).await;
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn of_too_many_connections_the_newest_are_told() {
    let bench = Bench::new();
    for n in 0..22 {
        bench.connected(SAMPLE_USER, &format!("id{n:02}"), n).await;
    }
    assert_eq!(bench.notify(CHANGES).await.delivered, 20);
    let told: Vec<_> = bench.told().into_iter().map(|(id, ..)| id).collect();
    assert_eq!((told.len(), &*told[0]), (20, "id02"));
}

#[tokio::test]
async fn what_is_dropped_is_not_repeated() {
    let bench = Bench::with_faults(|call: &Call| match call.operation.as_str() {
        "PostToConnection" => Fault::Throttled,
        _ => Fault::None,
    });
    bench.connected(SAMPLE_USER, "a", 0).await;
    let _ = bench.aws.take_calls();
    assert_eq!(bench.notify(CHANGES).await.dropped, 1);
    // One look at the list; the post was refused before it arrived.
    assert_eq!(bench.aws.take_calls(), ["Query"]);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["a"]);
}

#[tokio::test]
async fn no_batch_fails_however_odd_its_records_are() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "a", 0).await;
    for event in ["", "{}", "5", "{\"Records\": 5}", "{\"Records\": []}"] {
        assert_eq!(bench.notify(event).await, Notified::default(), "{event}");
    }
    let mut records = odd_records();
    let mut removed = record(1, SAMPLE_USER, OTHER_TASK, 9);
    removed["eventName"] = json!("REMOVE");
    records.push(removed);
    let odd = records.len() - 1;
    records.insert(odd / 2, record(0, SAMPLE_USER, SAMPLE_TASK, 3));
    bench.notify(&batch(&records)).await;
    assert_eq!(bench.told(), [told("a", SAMPLE_TASK, 3)]);
}

#[tokio::test]
async fn no_batch_fails_however_strange_a_task_is() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "a", 0).await;
    for record in strange_records() {
        let notified = bench.notify(&batch(std::slice::from_ref(&record))).await;
        assert_eq!((notified.delivered, notified.dropped), (1, 0), "{record}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_batch_fails_without_a_table() {
    let bench = Bench::with_faults(|_: &Call| Fault::Unreachable);
    assert_eq!(bench.notify(CHANGES).await.dropped, 1);
}
