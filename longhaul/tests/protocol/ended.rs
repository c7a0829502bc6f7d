//! What is said on the event bus of tasks that have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use embedded_aws::{Call, EmbeddedAws, Fault};
use longhaul::ended::{Announce, Config, EndedError};
use longhaul::host::Host;
use serde_json::{Value, json};

use crate::listeners::{
    CHANGES, SAMPLE_TASK, SAMPLE_USER, batch, odd_records, record, strange_records,
};

const BUS: &str = "arn:aws:events:us-east-1:123456789012:event-bus/default";
const FAILURES_URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/failures";

async fn announce(aws: &EmbeddedAws, event: &str) -> Result<usize, EndedError> {
    let config = Config {
        source: "longhaul.test".into(),
        bus: BUS.into(),
        failures_url: FAILURES_URL.into(),
    };
    let events = aws_sdk_eventbridge::Client::new(&aws.config("ended"));
    let function = Announce::new(Host::system(), events, aws.sqs("ended"), config);
    function.handle(event).await
}

/// So many tasks have ended.
fn ended(tasks: usize) -> Vec<Value> {
    let ids = (0..tasks).map(|n| format!("0198c0de-0000-7000-8000-{n:012}"));
    ids.map(|id| record(1, SAMPLE_USER, &id, 4)).collect()
}

/// The tasks of which something was said since the last time, in order.
fn announced(aws: &EmbeddedAws) -> Vec<String> {
    let id = |event: &Value| {
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        detail["deduplication_id"].as_str().unwrap().to_owned()
    };
    aws.take_events().iter().map(id).collect()
}

#[tokio::test]
async fn of_a_task_that_has_ended_it_is_said_how_and_of_others_nothing() {
    let aws = EmbeddedAws::default();
    assert_eq!(announce(&aws, CHANGES).await.unwrap(), 1);
    let events = aws.take_events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["Source"], "longhaul.test");
    assert_eq!(event["DetailType"], "Task ended");
    assert_eq!(event["EventBusName"], BUS);
    assert_eq!(event["Time"], 1_795_456_805);
    let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
    let expected = json!({
        "schema_version": 1,
        "deduplication_id": SAMPLE_TASK,
        "task_id": SAMPLE_TASK,
        "job": "tuned-long-running-task",
        "sub": SAMPLE_USER,
        "retry_of": null,
        "task_status": "SUCCESS",
        "number_of_items": 20,
        "count_done_items": 20,
        "count_failed_items": 0,
        "created_at": "2026-11-23T18:00:00.000Z",
        "started_at": "2026-11-23T18:00:01.000Z",
        "finished_at": "2026-11-23T18:00:05.000Z",
    });
    assert_eq!(detail, expected);
}

#[tokio::test]
async fn why_a_task_failed_is_for_its_user() {
    let aws = EmbeddedAws::default();
    let mut failed = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
    failed["dynamodb"]["NewImage"]["status"] = json!({"S": "FAILED"});
    failed["dynamodb"]["NewImage"]["error"] = json!({"S": "somebody@example.com is unknown"});
    announce(&aws, &batch(&[failed])).await.unwrap();
    let events = aws.take_events();
    let detail = events[0]["Detail"].as_str().unwrap();
    assert!(detail.contains(r#""task_status":"FAILED""#));
    assert!(!detail.contains("somebody"), "{detail}");
}

#[tokio::test]
async fn a_large_batch_takes_a_call_for_every_ten() {
    let aws = EmbeddedAws::default();
    assert_eq!(announce(&aws, &batch(&ended(23))).await.unwrap(), 23);
    assert_eq!(aws.take_calls(), ["PutEvents"; 3]);
    assert_eq!(announced(&aws).len(), 23);
}

#[tokio::test]
async fn what_is_removed_has_not_ended() {
    let aws = EmbeddedAws::default();
    let mut removed = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
    removed["eventName"] = json!("REMOVE");
    assert_eq!(announce(&aws, &batch(&[removed])).await.unwrap(), 0);
    assert!(aws.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_of_a_call_is_said_again_and_the_rest_is_not() {
    let first = AtomicBool::new(true);
    let aws = EmbeddedAws::with_faults(move |_: &Call| {
        if first.swap(false, Ordering::Relaxed) {
            Fault::Half
        } else {
            Fault::None
        }
    });
    announce(&aws, &batch(&ended(4))).await.unwrap();
    assert_eq!(aws.take_calls(), ["PutEvents", "PutEvents"]);
    let mut announced = announced(&aws);
    announced.sort();
    announced.dedup();
    assert_eq!(announced.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_said_leaves_the_batch_for_later() {
    let refuses = EmbeddedAws::with_faults(|_: &Call| Fault::Half);
    let error = announce(&refuses, &batch(&ended(1))).await.unwrap_err();
    let expected = "the bus refused an event: ThrottlingException";
    assert_eq!(error.to_string(), expected);
    for fault in [Fault::Unreachable, Fault::Throttled] {
        let aws = EmbeddedAws::with_faults(move |_: &Call| fault);
        let error = announce(&aws, CHANGES).await.unwrap_err();
        assert_eq!(error.to_string(), "the events could not be put");
    }
    let aws = EmbeddedAws::default();
    for event in ["{}", "5", ""] {
        let error = announce(&aws, event).await.unwrap_err();
        assert_eq!(error.to_string(), "not a batch of a stream");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_put_aside_and_holds_up_nobody() {
    let aws = EmbeddedAws::default();
    let mut records = odd_records();
    let odd = records.len();
    records.insert(odd / 2, record(1, SAMPLE_USER, SAMPLE_TASK, 4));
    assert_eq!(announce(&aws, &batch(&records)).await.unwrap(), 1);
    assert_eq!(announced(&aws), [SAMPLE_TASK]);
    let sent = aws.take_sent();
    assert_eq!(sent.len(), odd);
    let (mut with_place, mut known) = (0, 0);
    for message in sent {
        assert_eq!(message.queue_url, FAILURES_URL);
        let body: Value = serde_json::from_str(&message.body).unwrap();
        with_place += usize::from(body["sequence_number"] != "");
        known += usize::from(body["keys"]["sk"]["S"] == format!("TASK#{SAMPLE_TASK}"));
        assert!(body["reason"].is_string());
    }
    assert_eq!((with_place, known), (odd - 5, odd - 5));
}

#[tokio::test]
async fn however_strange_a_task_is_its_end_is_told() {
    let aws = EmbeddedAws::default();
    let records = strange_records();
    let strange = records.len();
    assert_eq!(announce(&aws, &batch(&records)).await.unwrap(), strange);
    assert_eq!(announced(&aws).len(), strange);
}

#[tokio::test]
async fn what_cannot_be_told_of_a_task_is_put_aside_and_holds_up_nobody() {
    let aws = EmbeddedAws::default();
    let mut endless = record(1, SAMPLE_USER, SAMPLE_TASK, 4);
    let chunks = &mut endless["dynamodb"]["NewImage"]["chunks"]["L"];
    chunks[0]["M"]["cursor"] = json!({"N": u64::MAX.to_string()});
    *chunks = json!([chunks[0], chunks[0]]);
    let other = "0198c0de-0000-7000-8000-000000000002";
    let records = [endless, record(1, SAMPLE_USER, other, 4)];
    announce(&aws, &batch(&records)).await.unwrap();
    let announced = announced(&aws);
    assert!(announced.contains(&other.to_owned()));
    // A sum that is too large panics where overflows are checked.
    assert_eq!(announced.len() + aws.take_sent().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_put_aside_either_leaves_the_batch_for_later() {
    let full = Arc::new(AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    let aws = EmbeddedAws::with_faults(move |call: &Call| {
        if call.operation == "SendMessage" && is_full.load(Ordering::Relaxed) {
            Fault::Unreachable
        } else {
            Fault::None
        }
    });
    let records = [record(1, SAMPLE_USER, SAMPLE_TASK, 4), json!({})];
    let error = announce(&aws, &batch(&records)).await.unwrap_err();
    let expected = "an unreadable record could not be put aside";
    assert_eq!(error.to_string(), expected);
    full.store(false, Ordering::Relaxed);
    announce(&aws, &batch(&records)).await.unwrap();
    // At least once.
    assert_eq!(announced(&aws), [SAMPLE_TASK; 2]);
    assert_eq!(aws.take_sent().len(), 1);
}
