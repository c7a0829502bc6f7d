//! The cancel handler, fed with API Gateway's own events.

use std::time::Duration;

use embedded_aws::EmbeddedAws;
use lambda_http::Request;
use longhaul::cancel::Cancel;
use longhaul::host::Host;
use longhaul::order::Order;
use longhaul::quota::Quota;
use longhaul::store::{SeenLock, Store, Submission};
use longhaul::task::{Outcome, Task, Terms, Uniqueness, UserId};
use serde_json::{Value, json};

const CANCEL: &str = include_str!("../../../events/cancel.json");
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";

async fn submitted(store: &Store, user: &str) -> Task {
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
    let task = Task::new(store.host(), user, &order, &terms);
    let submission = store
        .submit(&task, None, SeenLock::Free, Quota::default())
        .await
        .unwrap();
    assert_eq!(submission, Submission::Accepted);
    task
}

async fn cancel(store: &Store, task_id: impl ToString) -> (u16, Value) {
    let event = CANCEL.replace(SAMPLE_TASK, &task_id.to_string());
    let request: Request = longhaul::serve::request(&event).unwrap();
    let response = Cancel::new(store.clone()).handle(&request).await;
    let body = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body)
}

#[tokio::test]
async fn cancelling_frees_the_user_at_once_and_may_be_repeated() {
    let aws = EmbeddedAws::default();
    let store = Store::new(aws.dynamodb("cancel"), aws.table().name(), Host::system());
    let task = submitted(&store, SAMPLE_USER).await;
    for _ in 0..2 {
        let (status, body) = cancel(&store, task.task_id).await;
        assert_eq!((status, &body["success"]), (200, &json!(true)));
        assert_eq!(body["data"]["task_status"], "CANCELLED");
        assert!(body["data"]["finished_at"].is_string());
    }
    submitted(&store, SAMPLE_USER).await;
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled() {
    let aws = EmbeddedAws::default();
    let store = Store::new(aws.dynamodb("cancel"), aws.table().name(), Host::system());
    let task = submitted(&store, SAMPLE_USER).await;
    store.finish(&task, &Outcome::Success).await.unwrap();
    let (status, body) = cancel(&store, task.task_id).await;
    assert_eq!(status, 409);
    let expected = json!({"success": false, "message": "Task is already finished"});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn somebody_elses_task_cannot_be_found() {
    let aws = EmbeddedAws::default();
    let store = Store::new(aws.dynamodb("cancel"), aws.table().name(), Host::system());
    let foreign = submitted(&store, "somebody else").await;
    let before = aws.table().rows();
    let expected = json!({"success": false, "message": "Task not found"});
    for id in [foreign.task_id.to_string(), SAMPLE_TASK.into(), "x".into()] {
        assert_eq!(cancel(&store, id).await, (404, expected.clone()));
    }
    assert_eq!(aws.table().rows(), before);
}
