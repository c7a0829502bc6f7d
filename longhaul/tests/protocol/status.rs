//! The status handler, fed with API Gateway's own events.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(
    clippy::needless_pass_by_value,
    reason = "ids of several types are passed"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use embedded_aws::{Call, EmbeddedAws, Fault};
use lambda_http::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use lambda_http::{Body, Request, Response};
use longhaul::Limits;
use longhaul::chunk::Owner;
use longhaul::forecast::{Forecast, Reckoning};
use longhaul::host::Host;
use longhaul::order::Order;
use longhaul::queue::{JobQueues, Message};
use longhaul::quota::Quota;
use longhaul::status::StatusReader;
use longhaul::store::{Hold, ItemOutcome, ItemRow, SeenLock, Step, Store};
use longhaul::task::{Outcome, Task, Terms, Uniqueness, UserId};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::jobs::Jobs;

const STATUS: &str = include_str!("../../../events/status.json");
const LIST: &str = include_str!("../../../events/list.json");
const ITEMS: &str = include_str!("../../../events/items.json");
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

struct Bench {
    aws: EmbeddedAws,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let aws = EmbeddedAws::default();
        let store = Store::new(aws.dynamodb("status"), aws.table().name(), Host::system());
        Self { aws, store }
    }

    async fn submitted(&self, user: &str) -> Task {
        let terms = Terms {
            chunk_items: 100,
            lease: Duration::from_secs(60),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let order = Order::numbered("tuned-long-running-task", 4);
        let user = UserId::from_claim(user).unwrap();
        let task = Task::new(self.store.host(), user, &order, &terms);
        self.store
            .submit(&task, None, SeenLock::Free, Quota::default())
            .await
            .unwrap();
        task
    }

    /// Two of the four items are done and one has failed.
    async fn at_work(&self, user: &str) -> Task {
        let task = self.submitted(user).await;
        let (owner, until) = (Owner::new(1), self.store.host().now());
        let message = Message::to(&task, 0);
        let claim = self.store.claim(&message, 0, &owner, until);
        claim.await.unwrap();
        let outcomes = [ItemOutcome::Done, ItemOutcome::Failed, ItemOutcome::Done];
        let rows: Vec<_> = outcomes
            .into_iter()
            .zip(0..)
            .map(|(outcome, index)| ItemRow {
                position: index,
                index,
                name: format!("Item {index}"),
                outcome,
                output: (outcome == ItemOutcome::Done)
                    .then(|| format!(r#"{{"name":"Item {index}"}}"#)),
                error: (outcome == ItemOutcome::Failed).then(|| "no luck".into()),
            })
            .collect();
        let recorded = self.store.record_items(&task, &rows);
        recorded.await.unwrap();
        let step = Step {
            from: 0,
            to: 3,
            failed: 1,
            phase: None,
            reckoning: Some(Reckoning {
                ends_at: until.after(Duration::from_secs(30)),
                forecast: Forecast {
                    item: 10_000_000,
                    at: until,
                    patience: 60_000,
                    lease: 0,
                },
            }),
        };
        let hold = Hold::Until(until);
        let advance = self.store.advance(&task, 0, &owner, step, hold);
        advance.await.unwrap();
        task
    }

    async fn get(&self, request: &Request) -> Response<Body> {
        let limits = Limits::new(10_000);
        let status = StatusReader::new::<Jobs>(self.store.clone(), limits, &JobQueues::default());
        status.handle(request).await
    }
}

/// The sample event, but about this task.
fn about(event: &str, task_id: impl ToString) -> Request {
    let event = event.replace(SAMPLE_TASK, &task_id.to_string());
    longhaul::serve::request(&event).unwrap()
}

fn with_query(event: &str, task_id: impl ToString, query: &Value) -> Request {
    let mut event: Value = serde_json::from_str(event).unwrap();
    event["queryStringParameters"] = query.clone();
    let pairs = query.as_object().unwrap().iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect();
    event["rawQueryString"] = json!(pairs.join("&"));
    about(&event.to_string(), task_id)
}

fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn the_status_shows_what_is_counted() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let response = bench.get(&about(STATUS, task.task_id)).await;
    assert_eq!(response.status(), 200);
    let mut body = json_of(&response);
    let data = body["data"].as_object_mut().unwrap();
    for time in ["created_at", "started_at"] {
        let shown = data.remove(time).unwrap();
        assert!(shown.as_str().unwrap().ends_with('Z'), "{time}: {shown}");
    }
    let eta = data.remove("eta_seconds").unwrap().as_u64().unwrap();
    assert!((25..=30).contains(&eta), "{eta} s");
    let expected = json!({"success": true, "data": {
        "task_id": task.task_id,
        "job": "tuned-long-running-task",
        "retry_of": null,
        "task_status": "PROCESSING",
        "done_percentage": 50,
        "count_done_items": 2,
        "number_of_items": 4,
        "count_failed_items": 1,
        "finished_at": null,
        "phase": null,
        "resumes_at": null,
        "error": null,
        "version": 2,
    }});
    assert_eq!(body, expected);
    // 5.7 % of four items of ten seconds.
    assert_eq!(response.headers()[RETRY_AFTER], "2");
}

#[tokio::test]
async fn a_client_that_knows_the_state_is_told_so() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let first = bench.get(&about(STATUS, task.task_id)).await;
    let etag = first.headers()[ETAG].clone();
    let mut again = about(STATUS, task.task_id);
    again.headers_mut().insert(IF_NONE_MATCH, etag.clone());
    let response = bench.get(&again).await;
    assert_eq!(response.status(), 304);
    assert!(response.body().is_empty());
    assert_eq!(response.headers()[ETAG], etag);
    assert_eq!(response.headers()[RETRY_AFTER], "2");
    assert_eq!(response.headers()[CACHE_CONTROL], "private, no-cache");

    let failed = Outcome::failed("no luck");
    bench.store.finish(&task, &failed).await.unwrap();
    let response = bench.get(&again).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key(RETRY_AFTER));
    let data = &json_of(&response)["data"];
    assert_eq!(
        (&data["task_status"], &data["error"]),
        (&json!("FAILED"), &json!("no luck"))
    );
}

#[tokio::test]
async fn tags_are_compared_as_http_compares_them() {
    let bench = Bench::new();
    let task = bench.submitted(SAMPLE_USER).await;
    let status = async |tags: &str| {
        let mut request = about(STATUS, task.task_id);
        let tags = tags.parse().unwrap();
        request.headers_mut().insert(IF_NONE_MATCH, tags);
        bench.get(&request).await.status().as_u16()
    };
    for known in ["W/\"0\"", "\"0\"", "\"x\", W/\"0\"", "*"] {
        assert_eq!(status(known).await, 304, "{known}");
    }
    for unknown in ["W/\"1\"", "0", "\"\"", "nonsense"] {
        assert_eq!(status(unknown).await, 200, "{unknown}");
    }
}

#[tokio::test]
async fn items_that_are_not_counted_are_not_listed() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    // By a worker that has lost the chunk, say: nothing will count it.
    let rows = [ItemRow {
        position: 3,
        index: 3,
        name: "Item 3".into(),
        outcome: ItemOutcome::Done,
        output: None,
        error: None,
    }];
    let recorded = bench.store.record_items(&task, &rows);
    recorded.await.unwrap();
    let response = bench.get(&about(ITEMS, task.task_id)).await;
    let items = &json_of(&response)["data"]["items"];
    assert_eq!(items.as_array().unwrap().len(), 3, "{items}");
}

#[tokio::test]
async fn a_page_of_large_items_ends_before_a_function_could_not_answer_with_it() {
    let bench = Bench::new();
    let terms = Terms {
        chunk_items: 1000,
        lease: Duration::from_secs(60),
        lifetime: Duration::from_secs(7 * 86_400),
        retention: Duration::from_secs(86_400),
        uniqueness: Uniqueness::User,
        quota: Quota::default(),
    };
    let order = Order::numbered("tuned-long-running-task", 1000);
    let user = UserId::from_claim(SAMPLE_USER).unwrap();
    let task = Task::new(bench.store.host(), user, &order, &terms);
    let submission = bench
        .store
        .submit(&task, None, SeenLock::Free, Quota::default());
    submission.await.unwrap();
    let (owner, until) = (Owner::new(1), bench.store.host().now());
    let message = Message::to(&task, 0);
    let claim = bench.store.claim(&message, 0, &owner, until);
    claim.await.unwrap();
    // Quotes: each takes four bytes as JSON in JSON.
    let rows: Vec<_> = (0..1000)
        .map(|index| ItemRow {
            position: index,
            index,
            name: String::new(),
            outcome: ItemOutcome::Done,
            output: Some(format!("\"{}\"", "\\\"".repeat(2000))),
            error: None,
        })
        .collect();
    let recorded = bench.store.record_items(&task, &rows);
    recorded.await.unwrap();
    let step = Step {
        from: 0,
        to: 1000,
        failed: 0,
        reckoning: None,
        phase: None,
    };
    let advance = bench
        .store
        .advance(&task, 0, &owner, step, Hold::Until(until));
    advance.await.unwrap();

    let mut listed = Vec::new();
    let mut query = json!({"limit": "1000"});
    loop {
        let response = bench.get(&with_query(ITEMS, task.task_id, &query)).await;
        let answer = serde_json::to_string(std::str::from_utf8(response.body()).unwrap()).unwrap();
        assert!(answer.len() < 6_000_000, "{} bytes", answer.len());
        let data = &json_of(&response)["data"];
        let items = data["items"].as_array().unwrap().iter();
        listed.extend(items.map(|item| item["index"].as_u64().unwrap()));
        if data["next_cursor"].is_null() {
            break;
        }
        query["cursor"] = data["next_cursor"].clone();
    }
    assert_eq!(listed, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn somebody_elses_task_a_missing_one_and_no_id_at_all_look_the_same() {
    let bench = Bench::new();
    let foreign = bench.at_work("somebody else").await;
    for event in [STATUS, ITEMS] {
        let mut answers = vec![];
        for id in [
            foreign.task_id.to_string(),
            SAMPLE_TASK.into(),
            "x".into(),
            "..%2f".into(),
        ] {
            let response = bench.get(&about(event, id)).await;
            assert_eq!(response.status(), 404);
            let headers = format!("{:?}", response.headers());
            answers.push((headers, response.body().to_vec()));
        }
        answers.dedup();
        let body = br#"{"success":false,"message":"Task not found"}"#;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].1, body);
    }
}

#[tokio::test]
async fn a_status_costs_one_read_and_a_malformed_id_none() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let _ = bench.aws.take_calls();
    bench.get(&about(STATUS, task.task_id)).await;
    assert_eq!(bench.aws.take_calls(), ["GetItem"]);
    bench.get(&about(STATUS, SAMPLE_TASK)).await;
    assert_eq!(bench.aws.take_calls(), ["GetItem"]);
    bench.get(&about(STATUS, "malformed")).await;
    assert!(bench.aws.take_calls().is_empty());
}

#[tokio::test]
async fn tasks_are_listed_page_by_page() {
    let bench = Bench::new();
    for _ in 0..3 {
        let task = bench.submitted(SAMPLE_USER).await;
        bench.store.finish(&task, &Outcome::Success).await.unwrap();
    }
    bench.submitted("somebody else").await;
    let first = bench
        .get(&with_query(LIST, "", &json!({"limit": "2"})))
        .await;
    let first = json_of(&first);
    assert_eq!(first["data"]["tasks"].as_array().unwrap().len(), 2);
    let query = json!({"limit": "2", "cursor": first["data"]["next_cursor"]});
    let second = json_of(&bench.get(&with_query(LIST, "", &query)).await);
    assert_eq!(second["data"]["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(second["data"]["next_cursor"], json!(null));
    assert_eq!(second["data"]["tasks"][0]["task_status"], "SUCCESS");
}

#[tokio::test]
async fn the_last_page_says_that_it_is_the_last() {
    let bench = Bench::new();
    for _ in 0..2 {
        let task = bench.submitted(SAMPLE_USER).await;
        bench.store.finish(&task, &Outcome::Success).await.unwrap();
    }
    // Of its four items two are done and one has failed.
    let task = bench.at_work(SAMPLE_USER).await;
    for (event, query) in [
        (LIST, json!({"limit": "3"})),
        (ITEMS, json!({"limit": "3"})),
        (ITEMS, json!({"limit": "2", "outcome": "done"})),
        (ITEMS, json!({"limit": "1", "outcome": "failed"})),
    ] {
        let response = bench.get(&with_query(event, task.task_id, &query)).await;
        let data = &json_of(&response)["data"];
        assert_eq!(data["next_cursor"], json!(null), "{query}: {data}");
    }
}

#[tokio::test]
async fn a_task_without_failures_lists_them_at_the_cost_of_its_status() {
    let bench = Bench::new();
    let task = bench.submitted(SAMPLE_USER).await;
    let _ = bench.aws.take_calls();
    let query = json!({"outcome": "failed"});
    let response = bench.get(&with_query(ITEMS, task.task_id, &query)).await;
    let expected = json!({"items": [], "next_cursor": null});
    assert_eq!(json_of(&response)["data"], expected);
    assert_eq!(bench.aws.take_calls(), ["GetItem"]);
}

#[tokio::test]
async fn items_are_listed_page_by_page_and_by_outcome() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let page = async |query: Value| {
        let response = bench.get(&with_query(ITEMS, task.task_id, &query)).await;
        json_of(&response)["data"].clone()
    };
    let first = page(json!({"limit": "2"})).await;
    let expected = json!([
        {"index": 0, "name": "Item 0", "outcome": "done", "output": {"name": "Item 0"}, "error": null},
        {"index": 1, "name": "Item 1", "outcome": "failed", "output": null, "error": "no luck"},
    ]);
    assert_eq!(first["items"], expected);
    let second = page(json!({"limit": "2", "cursor": first["next_cursor"]})).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_cursor"], json!(null));
    let failed = page(json!({"outcome": "failed"})).await;
    assert_eq!(failed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_parameter_is_an_absent_one() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let of_items = ["limit=", "limit=&cursor=&outcome=", "cursor&outcome", "&&="];
    let queries = of_items.map(|query| (ITEMS, query));
    for (event, query) in [(LIST, "limit=2&cursor=")].into_iter().chain(queries) {
        let mut event: Value = serde_json::from_str(event).unwrap();
        let mut answers = vec![];
        for query in ["", query] {
            event["rawQueryString"] = query.into();
            let response = bench.get(&about(&event.to_string(), task.task_id)).await;
            assert_eq!(response.status(), 200, "{query}");
            let mut data = json_of(&response)["data"].clone();
            // Estimated from the time that has passed since.
            if let Some(task) = data["tasks"].get_mut(0) {
                task["eta_seconds"].take();
            }
            answers.push(data);
        }
        assert_eq!(answers[0], answers[1], "{query}");
    }
}

#[tokio::test]
async fn a_task_is_found_by_its_id_in_any_case() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    let id = task.task_id.to_string();
    let status = bench.get(&about(STATUS, id.to_uppercase())).await;
    assert_eq!(status.status(), 200);
    assert_eq!(json_of(&status)["data"]["task_id"], id);
    let items = bench.get(&about(ITEMS, id.to_uppercase())).await;
    assert_eq!(items.status(), 200);
    for other_form in [
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
    ] {
        let response = bench.get(&about(STATUS, &other_form)).await;
        assert_eq!(response.status(), 404, "{other_form}");
    }
}

#[tokio::test]
async fn a_wrong_query_is_named() {
    let bench = Bench::new();
    let task = bench.at_work(SAMPLE_USER).await;
    for (event, query, field) in [
        (LIST, json!({"limit": "0"}), "limit"),
        (LIST, json!({"limit": "101"}), "limit"),
        (LIST, json!({"limit": "99999999999999999999"}), "limit"),
        (LIST, json!({"limit": "x"}), "limit"),
        (LIST, json!({"cursor": "x"}), "cursor"),
        (ITEMS, json!({"limit": "1001"}), "limit"),
        (ITEMS, json!({"cursor": "-1"}), "cursor"),
        (ITEMS, json!({"outcome": "maybe"}), "outcome"),
    ] {
        let response = bench.get(&with_query(event, task.task_id, &query)).await;
        assert_eq!(response.status(), 400, "{query}");
        let body = json_of(&response);
        assert!(body["message"][field][0].is_string(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_many_calls_is_answered_in_time_and_the_next_one_goes_on() {
    const ITEMS_IN_ALL: u64 = 30;
    let is_slow = Arc::new(AtomicBool::new(false));
    let slow = Arc::clone(&is_slow);
    let aws = EmbeddedAws::with_faults(move |call: &Call| {
        let is_for_inputs = call.body.to_string().contains("INPUT#");
        if slow.load(Ordering::Relaxed) {
            Fault::Slow(Duration::from_secs(if is_for_inputs { 3 } else { 1 }))
        } else {
            Fault::None
        }
    });
    let store = Store::new(aws.dynamodb("status"), aws.table().name(), Host::system());
    let bench = Bench { aws, store };
    let terms = Terms {
        chunk_items: 1,
        lease: Duration::from_secs(60),
        lifetime: Duration::from_secs(7 * 86_400),
        retention: Duration::from_secs(86_400),
        uniqueness: Uniqueness::User,
        quota: Quota::default(),
    };
    let mut order = Order::numbered("translate", ITEMS_IN_ALL);
    let inputs = (0..ITEMS_IN_ALL).map(|index| to_raw_value(&index).unwrap());
    order.inputs = inputs.collect();
    let user = UserId::from_claim(SAMPLE_USER).unwrap();
    let task = Task::new(bench.store.host(), user, &order, &terms);
    bench.store.put_inputs(&task, &order).await.unwrap();
    let submission = bench
        .store
        .submit(&task, None, SeenLock::Free, Quota::default());
    submission.await.unwrap();
    for (index, chunk) in (0..ITEMS_IN_ALL).zip(0..) {
        let (owner, until) = (Owner::new(1), bench.store.host().now());
        let message = Message::to(&task, chunk);
        let claim = bench.store.claim(&message, chunk, &owner, until);
        claim.await.unwrap();
        let rows = [ItemRow {
            position: index,
            index,
            name: String::new(),
            outcome: ItemOutcome::Done,
            output: None,
            error: None,
        }];
        let recorded = bench.store.record_items(&task, &rows);
        recorded.await.unwrap();
        let step = Step {
            from: 0,
            to: 1,
            failed: 0,
            reckoning: None,
            phase: None,
        };
        let hold = Hold::Until(until);
        let advance = bench.store.advance(&task, chunk, &owner, step, hold);
        advance.await.unwrap();
    }
    is_slow.store(true, Ordering::Relaxed);
    for include in ["", "input"] {
        let mut listed = vec![];
        let mut query = json!({"include": include});
        loop {
            let response = bench.get(&with_query(ITEMS, task.task_id, &query)).await;
            assert_eq!(response.status(), 200, "{:?}", response.body());
            let data = &json_of(&response)["data"];
            for item in data["items"].as_array().unwrap() {
                let index = &item["index"];
                assert!(include.is_empty() || item["input"] == *index, "{item}");
                listed.extend(index.as_u64());
            }
            if data["next_cursor"].is_null() {
                break;
            }
            query["cursor"] = data["next_cursor"].clone();
        }
        assert_eq!(listed, (0..ITEMS_IN_ALL).collect::<Vec<_>>());
    }
}
