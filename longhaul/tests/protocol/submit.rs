//! The submit handler, fed with API Gateway's own events.

use embedded_aws::{Call, EmbeddedAws, Fault, QUEUE_URL};
use lambda_http::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use lambda_http::{Body, Request, Response};
use longhaul::api::ANSWER_SECONDS_MAX;
use longhaul::chunk::Owner;
use longhaul::host::Host;
use longhaul::queue::{Message, Queue};
use longhaul::quota::Quota;
use longhaul::store::{Claim, Store};
use longhaul::submit::Submit;
use longhaul::task::{Terms, Uniqueness};
use longhaul::{Job as _, Limits};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

use crate::jobs::{Jobs, Numbered};

const SUBMIT: &str = include_str!("../../../events/submit.json");
const SUBMIT_IDEMPOTENT: &str = include_str!("../../../events/submit-idempotent.json");
const SUBMIT_INVALID: &str = include_str!("../../../events/submit-invalid.json");

fn function(aws: &EmbeddedAws, uniqueness: Uniqueness) -> Submit {
    with_quota(aws, uniqueness, Quota::default())
}

fn with_quota(aws: &EmbeddedAws, uniqueness: Uniqueness, quota: Quota) -> Submit {
    let store = Store::new(aws.dynamodb("submit"), aws.table().name(), Host::system());
    let queue = Queue::new(aws.sqs("submit"), QUEUE_URL);
    let terms = Terms {
        chunk_items: 100,
        lease: Duration::from_secs(60),
        lifetime: Duration::from_secs(7 * 86_400),
        retention: Duration::from_secs(86_400),
        uniqueness,
        quota,
    };
    Submit::new::<Jobs>(store, queue, Limits::new(10_000), terms)
}

fn request(event: &str) -> Request {
    longhaul::serve::request(event).unwrap()
}

fn with_body(body: impl Into<Body>) -> Request {
    let mut request = request(SUBMIT);
    *request.body_mut() = body.into();
    request
}

fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

async fn answer(aws: &EmbeddedAws, request: &Request) -> (u16, Value) {
    let response = function(aws, Uniqueness::User).handle(request).await;
    (response.status().as_u16(), json_of(&response))
}

#[tokio::test]
async fn a_submit_stores_a_task_and_sends_one_message() {
    let aws = EmbeddedAws::default();
    let response = function(&aws, Uniqueness::User)
        .handle(&request(SUBMIT))
        .await;
    assert_eq!(response.status(), 200);
    let body = json_of(&response);
    let task_id = body["data"]["task_id"].as_str().unwrap();
    let expected = json!({"success": true, "data": {"task_id": task_id, "task_status": "QUEUED"}});
    assert_eq!(body, expected);
    assert_eq!(response.headers()[LOCATION], format!("{task_id}/"));
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(aws.take_calls(), ["TransactWriteItems", "SendMessage"]);
    let [sent] = &aws.take_sent()[..] else {
        panic!("not one message")
    };
    let message = Message::parse(&sent.body).unwrap();
    assert_eq!(message.task_id.to_string(), task_id);
    assert_eq!(
        message.user.as_str(),
        "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10"
    );
    assert_eq!(message.chunks, [0]);
}

#[tokio::test]
async fn a_second_submit_is_told_about_the_first() {
    let aws = EmbeddedAws::default();
    let (_, first) = answer(&aws, &request(SUBMIT)).await;
    let response = function(&aws, Uniqueness::User)
        .handle(&request(SUBMIT))
        .await;
    assert_eq!(response.status(), 201);
    let expected = json!({
        "success": true,
        "message": "There is an active request",
        "data": {"task_id": first["data"]["task_id"]},
    });
    assert_eq!(json_of(&response), expected);
    assert!(response.headers().contains_key(LOCATION));
    assert!(response.headers().contains_key(RETRY_AFTER));
}

/// As clients do: against the URL that they sent the request to, of which the function knows the end at most.
#[tokio::test]
async fn the_location_leads_to_the_task_wherever_the_api_is_mounted_and_however_it_was_posted_to() {
    let aws = EmbeddedAws::default();
    let submit = function(&aws, Uniqueness::User);
    for (mount, raw_path_begins) in [
        ("https://abcdefghij.execute-api.us-east-1.amazonaws.com", ""),
        // A stage and a domain's mapping show in the raw path or do not, an emulator's mount does not.
        (
            "https://abcdefghij.execute-api.us-east-1.amazonaws.com/prod",
            "/prod",
        ),
        ("https://tasks.example.com/v1", "/v1"),
        ("https://tasks.example.com/v1", ""),
        ("http://localhost:4566/_aws/execute-api/abcdefghij", ""),
    ] {
        for path in [
            "/api/tuned-long-running-task",
            "/api/tuned-long-running-task/",
        ] {
            let mut event: Value = serde_json::from_str(SUBMIT).unwrap();
            event["rawPath"] = format!("{raw_path_begins}{path}").into();
            // The first time it is accepted, and then there is an active one.
            let response = submit.handle(&request(&event.to_string())).await;
            let body = json_of(&response);
            let task_id = body["data"]["task_id"].as_str().unwrap();
            let location = response.headers()[LOCATION].to_str().unwrap();
            let posted_to = Url::parse(&format!("{mount}{path}")).unwrap();
            let expected = format!("{mount}/api/tuned-long-running-task/{task_id}/");
            assert_eq!(posted_to.join(location).unwrap().as_str(), expected);
        }
    }
}

#[tokio::test]
async fn different_requests_may_run_side_by_side_if_the_stack_is_set_so() {
    let aws = EmbeddedAws::default();
    let submit = function(&aws, Uniqueness::Request);
    let ask = |items: u32| with_body(format!("{{\"number_of_items\": {items}}}"));
    assert_eq!(submit.handle(&ask(5)).await.status(), 200);
    assert_eq!(submit.handle(&ask(6)).await.status(), 200);
    assert_eq!(submit.handle(&ask(5)).await.status(), 201);
}

#[tokio::test]
async fn a_repeated_key_names_the_same_task_and_what_it_is_now() {
    let aws = EmbeddedAws::default();
    let submit = function(&aws, Uniqueness::User);
    let store = Store::new(aws.dynamodb("others"), aws.table().name(), Host::system());
    let first = submit.handle(&request(SUBMIT_IDEMPOTENT)).await;
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let [sent] = &aws.take_sent()[..] else {
        panic!("not one message")
    };
    let message = Message::parse(&sent.body).unwrap();
    let _ = aws.take_calls();

    let again = async |expected: &str| {
        let again = submit.handle(&request(SUBMIT_IDEMPOTENT)).await;
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.status(), 200);
        assert_eq!(again.headers()[LOCATION], first.headers()[LOCATION]);
        let mut body = json_of(&first);
        body["data"]["task_status"] = expected.into();
        assert_eq!(json_of(&again), body);
        again.headers().contains_key(RETRY_AFTER)
    };
    assert!(again("QUEUED").await);
    assert_eq!(aws.take_calls(), ["TransactWriteItems", "GetItem"]);
    let (owner, until) = (Owner::new(1), store.host().now());
    let Claim::Claimed(task) = store.claim(&message, 0, &owner, until).await.unwrap() else {
        panic!("not claimed")
    };
    assert!(again("PROCESSING").await);
    store.cancel(&task).await.unwrap();
    assert!(!again("CANCELLED").await, "there is nothing to wait for");
    assert!(aws.take_sent().is_empty());
}

#[tokio::test]
async fn a_key_is_refused_to_another_request() {
    let aws = EmbeddedAws::default();
    let submit = function(&aws, Uniqueness::User);
    submit.handle(&request(SUBMIT_IDEMPOTENT)).await;
    let mut other = request(SUBMIT_IDEMPOTENT);
    *other.body_mut() = r#"{"number_of_items": 6}"#.into();
    let refused = submit.handle(&other).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(json_of(&refused)["success"], false);
}

#[tokio::test]
async fn a_key_whose_task_was_deleted_by_hand_promises_nothing() {
    let aws = EmbeddedAws::default();
    let (_, first) = answer(&aws, &request(SUBMIT_IDEMPOTENT)).await;
    let task_id = first["data"]["task_id"].as_str().unwrap();
    let key = json!({
        "pk": {"S": "USER#3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10"},
        "sk": {"S": format!("TASK#{task_id}")},
    });
    let delete = json!({"TableName": aws.table().name(), "Key": key});
    let _ = aws.table().execute("DeleteItem", &delete);
    let (status, body) = answer(&aws, &request(SUBMIT_IDEMPOTENT)).await;
    assert_eq!((status, &body["success"]), (404, &json!(false)));
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let aws = EmbeddedAws::default();
    for key in [String::new(), " ".into(), "a b".into(), "k".repeat(256)] {
        let mut request = request(SUBMIT);
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        let (status, body) = answer(&aws, &request).await;
        assert_eq!((status, &body["success"]), (400, &json!(false)), "{key}");
    }
    assert!(aws.take_calls().is_empty());
}

#[tokio::test]
async fn bad_input_is_named_and_costs_no_call() {
    let field = |message: &str| json!({"number_of_items": [message]});
    let data = |message: &str| json!({"non_field_errors": [message]});
    let deep = format!("{{\"x\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let aws = EmbeddedAws::default();
    for (body, message) in [
        ("", field("This field is required.")),
        ("{}", field("This field is required.")),
        (&deep, field("This field is required.")),
        (r#"{"other": 1}"#, field("This field is required.")),
        (
            r#"{"number_of_items": null}"#,
            field("This field may not be null."),
        ),
        (
            r#"{"number_of_items": "abc"}"#,
            field("A valid integer is required."),
        ),
        (
            r#"{"number_of_items": 1.5}"#,
            field("A valid integer is required."),
        ),
        (
            r#"{"number_of_items": true}"#,
            field("A valid integer is required."),
        ),
        (
            r#"{"number_of_items": 0}"#,
            field("Ensure this value is greater than or equal to 1."),
        ),
        (
            r#"{"number_of_items": 10001}"#,
            field("Ensure this value is less than or equal to 10000."),
        ),
        (
            "[]",
            data("Invalid data. Expected a dictionary, but got list."),
        ),
        (
            "5",
            data("Invalid data. Expected a dictionary, but got int."),
        ),
        (
            "1.5",
            data("Invalid data. Expected a dictionary, but got float."),
        ),
        (
            "\"x\"",
            data("Invalid data. Expected a dictionary, but got str."),
        ),
        (
            "true",
            data("Invalid data. Expected a dictionary, but got bool."),
        ),
        ("null", data("No data provided")),
    ] {
        let (status, answer) = answer(&aws, &with_body(body)).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(status, 400, "{shown}");
        assert_eq!(
            answer,
            json!({"success": false, "message": message}),
            "{shown}"
        );
    }
    for body in [
        &b"{"[..],
        b"not json",
        b" ",
        b"{\"number_of_items\": 5",
        b"\xff\xfe",
        b"{\"number_of_items\": NaN}",
    ] {
        let (status, answer) = answer(&aws, &with_body(body)).await;
        assert_eq!(status, 400);
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with("JSON parse error - "), "{message}");
    }
    let (status, _) = answer(&aws, &request(SUBMIT_INVALID)).await;
    assert_eq!(status, 400);
    assert!(aws.take_calls().is_empty());
    assert!(aws.table().rows().is_empty());
}

#[tokio::test]
async fn a_field_given_twice_counts_as_given_last() {
    let aws = EmbeddedAws::default();
    let body = r#"{"number_of_items": "x", "number_of_items": 7}"#;
    let (status, _) = answer(&aws, &with_body(body)).await;
    assert_eq!(status, 200);
    assert_eq!(aws.table().rows()[1]["number_of_items"], 7);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let aws = EmbeddedAws::default();
    let mut body = r#"{"number_of_items": 5}"#.to_owned();
    body.push_str(&" ".repeat(Numbered::BODY_BYTES_MAX - body.len()));
    let (status, _) = answer(&aws, &with_body(format!("{body} "))).await;
    assert_eq!(status, 413);
    assert!(aws.take_calls().is_empty());
    let (status, _) = answer(&aws, &with_body(body)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn only_json_is_read() {
    let aws = EmbeddedAws::default();
    for (media_type, expected) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        ("Application/JSON; charset=utf-8", 200),
    ] {
        let mut request = request(SUBMIT);
        request
            .headers_mut()
            .insert(CONTENT_TYPE, media_type.parse().unwrap());
        let (status, body) = answer(&aws, &request).await;
        assert_eq!(status, expected, "{media_type}: {body}");
    }
}

#[tokio::test]
async fn a_request_that_passed_no_authorizer_is_refused() {
    let aws = EmbeddedAws::default();
    let mut event: Value = serde_json::from_str(SUBMIT).unwrap();
    event["requestContext"]
        .as_object_mut()
        .unwrap()
        .remove("authorizer");
    event["headers"]["x-user"] = json!("3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10");
    let (status, body) = answer(&aws, &request(&event.to_string())).await;
    assert_eq!((status, &body["success"]), (401, &json!(false)));
    assert!(aws.take_calls().is_empty());
}

/// Fails one kind of call, always.
fn failing(operation: &'static str, fault: Fault) -> EmbeddedAws {
    EmbeddedAws::with_faults(move |call: &Call| {
        if call.operation == operation {
            fault
        } else {
            Fault::None
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_does_not_undo_the_task() {
    let aws = failing("SendMessage", Fault::Unreachable);
    let (status, body) = answer(&aws, &request(SUBMIT)).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    assert_eq!(aws.table().rows().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_write_is_a_503_that_tells_nothing() {
    for fault in [Fault::Unreachable, Fault::Throttled, Fault::Conflict] {
        let aws = failing("TransactWriteItems", fault);
        let response = function(&aws, Uniqueness::User)
            .handle(&request(SUBMIT))
            .await;
        assert_eq!(response.status(), 503, "{fault:?}");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let message = "Service temporarily unavailable, please try again";
        let expected = json!({"success": false, "message": message});
        assert_eq!(json_of(&response), expected);
        assert!(aws.table().rows().is_empty() && aws.take_sent().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_in_time_however_slow_the_table_and_the_queue_are() {
    let forever = Fault::Slow(Duration::from_secs(3600));
    for (slow, expected) in [("SendMessage", 200), ("TransactWriteItems", 503)] {
        let aws = failing(slow, forever);
        let began = Instant::now();
        let (status, body) = answer(&aws, &request(SUBMIT)).await;
        assert_eq!(status, expected, "{slow}: {body}");
        assert!(began.elapsed() <= ANSWER_SECONDS_MAX);
    }
}

fn words(words: &[&str]) -> Request {
    let event = SUBMIT.replace("tuned-long-running-task", "translate");
    let mut request = request(&event);
    *request.body_mut() = json!({"words": words, "language": "la"}).to_string().into();
    request
}

fn rows(aws: &EmbeddedAws, sk: &str) -> Vec<serde_json::Map<String, Value>> {
    let rows = aws.table().rows();
    let rows = rows.into_iter().map(|row| row.into_iter().collect());
    rows.filter(|row: &serde_json::Map<_, _>| row["sk"].as_str().unwrap().starts_with(sk))
        .collect()
}

#[tokio::test]
async fn what_items_need_is_stored_before_their_task() {
    let aws = EmbeddedAws::default();
    let (status, _) = answer(&aws, &words(&["one", "two"])).await;
    assert_eq!(status, 200);
    let calls = aws.take_calls();
    let expected = [
        "GetItem",
        "BatchWriteItem",
        "TransactWriteItems",
        "SendMessage",
    ];
    assert_eq!(calls, expected);
    let inputs = rows(&aws, "INPUT#");
    assert_eq!(inputs[0]["inputs"], r#"["one","two"]"#);
    assert_eq!(rows(&aws, "SHARED")[0]["shared"], r#""la""#);
    let task = &rows(&aws, "TASK#")[0];
    let created = task["created_at"].as_u64().unwrap() / 1000;
    let kept = (7 + 1) * 86_400;
    assert_eq!(inputs[0]["expires_at"].as_u64().unwrap(), created + kept);
}

#[tokio::test]
async fn whoever_is_refused_writes_nothing() {
    let aws = EmbeddedAws::default();
    assert_eq!(
        answer(&aws, &with_body(r#"{"number_of_items": 2}"#))
            .await
            .0,
        200
    );
    let before = aws.table().rows().len();
    let _ = aws.take_calls();
    assert_eq!(answer(&aws, &words(&["one"])).await.0, 201);
    assert_eq!(aws.table().rows().len(), before);
    assert_eq!(aws.take_calls(), ["GetItem", "BatchGetItem"]);
    for bad in [vec![], vec!["x"; 10_001]] {
        assert_eq!(answer(&aws, &words(&bad)).await.0, 400);
        assert_eq!(aws.take_calls().len(), 0);
    }
}

#[tokio::test]
async fn a_repeated_submit_with_inputs_is_told_of_the_first_before_it_writes_any() {
    let aws = EmbeddedAws::default();
    let mut request = words(&["one"]);
    request
        .headers_mut()
        .insert("idempotency-key", "k".parse().unwrap());
    let first = answer(&aws, &request).await;
    let _ = aws.take_calls();
    assert_eq!(answer(&aws, &request).await, first);
    // The lock, the key, and the task that it names.
    assert_eq!(aws.take_calls(), ["GetItem", "BatchGetItem", "GetItem"]);
    *request.body_mut() = json!({"words": ["two"], "language": "la"})
        .to_string()
        .into();
    assert_eq!(answer(&aws, &request).await.0, 422);
    assert_eq!(aws.take_calls(), ["GetItem", "BatchGetItem"]);
    assert_eq!(rows(&aws, "INPUT#").len(), 1);
}

fn items(count: u64) -> Request {
    with_body(json!({"number_of_items": count}).to_string())
}

#[tokio::test]
async fn what_is_accepted_counts_against_the_quota_of_its_day_and_what_is_refused_does_not() {
    let aws = EmbeddedAws::default();
    let quota = Quota {
        tasks: 2,
        items: 10,
    };
    let submit = with_quota(&aws, Uniqueness::Request, quota);
    let status = async |request: &Request| submit.handle(request).await.status().as_u16();
    assert_eq!(status(&items(4)).await, 200);
    // Refused for other reasons: it is active already, it is too much, it makes no sense.
    for (refused, expected) in [(4, 201), (7, 429), (11, 429), (0, 400)] {
        assert_eq!(status(&items(refused)).await, expected, "{refused}");
    }
    assert_eq!(status(&items(6)).await, 200);
    let [day] = &rows(&aws, "QUOTA#")[..] else {
        panic!("not one day")
    };
    assert_eq!((&day["tasks"], &day["items"]), (&json!(2), &json!(10)));
    let created = rows(&aws, "TASK#")[0]["created_at"].as_u64().unwrap() / 1000;
    let midnight = (created / 86_400 + 1) * 86_400;
    assert_eq!(day["expires_at"], midnight + 86_400);
    // Whoever has a task is told of it, and not of the quota.
    assert_eq!(status(&items(6)).await, 201);
    assert_eq!(status(&items(1)).await, 429);
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_with_when_it_is_renewed_and_costs_two_calls_at_most() {
    let aws = EmbeddedAws::default();
    let tasks = Quota { tasks: 1, items: 0 };
    let submit = with_quota(&aws, Uniqueness::Request, tasks);
    assert_eq!(submit.handle(&items(4)).await.status(), 200);
    let before = aws.table().rows();
    let _ = aws.take_calls();
    let refused = submit.handle(&items(5)).await;
    assert_eq!(refused.status(), 429);
    let message = "Today's quota of 1 task is used up. It is renewed at midnight (UTC).";
    assert_eq!(
        json_of(&refused),
        json!({"success": false, "message": message})
    );
    let wait: u64 = refused.headers()[RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert_eq!(aws.take_calls(), ["TransactWriteItems"]);
    // With inputs nothing is written for it, also where there is a key.
    let mut listed = words(&["one"]);
    assert_eq!(submit.handle(&listed).await.status(), 429);
    assert_eq!(aws.take_calls(), ["GetItem", "BatchGetItem"]);
    let key = "k".parse().unwrap();
    listed.headers_mut().insert("idempotency-key", key);
    assert_eq!(submit.handle(&listed).await.status(), 429);
    assert_eq!(aws.take_calls(), ["GetItem", "BatchGetItem"]);
    // More than a day can have costs no call.
    let submit = with_quota(&aws, Uniqueness::Request, Quota { tasks: 0, items: 3 });
    let refused = submit.handle(&items(4)).await;
    assert_eq!(refused.status(), 429);
    let message = "The task has 4 items, more than is left of today's quota of 3. It is renewed at midnight (UTC).";
    assert_eq!(json_of(&refused)["message"], message);
    assert!(aws.take_calls().is_empty());
    assert_eq!(aws.table().rows(), before);
}

#[tokio::test]
async fn a_submit_that_is_repeated_counts_once() {
    let aws = EmbeddedAws::default();
    let submit = with_quota(&aws, Uniqueness::User, Quota { tasks: 1, items: 5 });
    let mut request = items(5);
    request
        .headers_mut()
        .insert("idempotency-key", "k".parse().unwrap());
    for _ in 0..3 {
        assert_eq!(submit.handle(&request).await.status(), 200);
    }
    let day = &rows(&aws, "QUOTA#")[0];
    assert_eq!((&day["tasks"], &day["items"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_are_accepted_as_the_quota_has() {
    let aws = EmbeddedAws::default();
    let quota = Quota { tasks: 3, items: 0 };
    let submit = with_quota(&aws, Uniqueness::Request, quota);
    let mut submits = tokio::task::JoinSet::new();
    for count in 1..=12 {
        let submit = submit.clone();
        submits.spawn(async move { submit.handle(&items(count)).await });
    }
    let answers = submits.join_all().await;
    let accepted = answers.iter().filter(|answer| answer.status() == 200);
    assert_eq!(accepted.count(), 3);
    let refused = answers.iter().filter(|answer| answer.status() == 429);
    assert_eq!(refused.count(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_is_repeated_while_it_is_being_accepted_is_not_told_that_it_is_in_its_own_way()
 {
    let slow = |call: &Call| match call.operation.as_str() {
        "GetItem" => Fault::Slow(Duration::from_millis(200)),
        _ => Fault::None,
    };
    let aws = EmbeddedAws::with_faults(slow);
    let mut request = words(&["one"]);
    let key = "k".parse().unwrap();
    request.headers_mut().insert("idempotency-key", key);
    // It is accepted after two reads; its repetition has made one of its own by then.
    let repeated = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        answer(&aws, &request).await
    };
    let (first, repeated) = tokio::join!(answer(&aws, &request), repeated);
    assert_eq!(first.0, 200);
    assert_eq!(repeated, first);
}

#[tokio::test(start_paused = true)]
async fn inputs_are_written_no_faster_than_a_partition_takes_them() {
    let aws = EmbeddedAws::default();
    let large = "x".repeat(60_000);
    let began = Instant::now();
    assert_eq!(answer(&aws, &words(&vec![large.as_str(); 30])).await.0, 200);
    // 30 rows of 60 write units; the last batch begins when those before it are paid for.
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1_500) && took < Duration::from_secs(3),
        "{took:?}"
    );
    assert_eq!(rows(&aws, "INPUT#").len(), 30);
}

#[tokio::test(start_paused = true)]
async fn rows_that_a_batch_hands_back_are_written_again_or_nothing_is_accepted() {
    let half = |call: &Call| match call.operation.as_str() {
        "BatchWriteItem" => Fault::Half,
        _ => Fault::None,
    };
    let aws = EmbeddedAws::with_faults(half);
    let large = "x".repeat(60_000);
    assert_eq!(answer(&aws, &words(&[large.as_str(); 3])).await.0, 503);
    assert_eq!(rows(&aws, "TASK#").len(), 0);
    let seen = std::sync::atomic::AtomicBool::new(false);
    let once = move |call: &Call| match call.operation.as_str() {
        "BatchWriteItem" if !seen.swap(true, std::sync::atomic::Ordering::Relaxed) => Fault::Half,
        _ => Fault::None,
    };
    let aws = EmbeddedAws::with_faults(once);
    assert_eq!(answer(&aws, &words(&[large.as_str(); 3])).await.0, 200);
    assert_eq!(rows(&aws, "INPUT#").len(), 3);
}
