//! The door to the live updates, fed with API Gateway's own events.

use embedded_aws::{Call, Fault};
use longhaul::live::Live;
use serde_json::{Value, json};

use crate::listeners::{Bench, SAMPLE_USER, connection, user_of};

const TICKET: &str = include_str!("../../../events/ticket.json");
const AUTHORIZE: &str = include_str!("../../../events/authorize.json");
const CONNECT: &str = include_str!("../../../events/connect.json");
const DISCONNECT: &str = include_str!("../../../events/disconnect.json");
const SAMPLE_TICKET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
const SAMPLE_CONNECTION: &str = "L0SM9cOFvHcCIhw=";
const SAMPLE_CONNECTED_AT: &str = "1795456800000";
const URL: &str = "wss://socket.test/live";

impl Bench {
    fn door(&self) -> Live {
        Live::new(self.store.clone(), self.sockets(), URL)
    }

    /// Asks for a ticket; returns it.
    async fn ticket(&self) -> String {
        let answer = self.door().handle(TICKET).await;
        assert_eq!(answer["statusCode"], 200);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let url = body["data"]["url"].as_str().unwrap();
        let ticket = url.strip_prefix(&format!("{URL}?ticket=")).unwrap();
        ticket.to_owned()
    }

    /// As whom a ticket lets in, if it does.
    async fn let_in(&self, ticket: &str) -> Option<String> {
        let event = AUTHORIZE.replace(SAMPLE_TICKET, ticket);
        let answer = self.door().handle(&event).await;
        let statement = &answer["policyDocument"]["Statement"][0];
        let arn = "arn:aws:execute-api:us-east-1:123456789012:klmnopqrst/live/$connect";
        assert_eq!(answer["policyDocument"]["Version"], "2012-10-17");
        assert_eq!(statement["Resource"], json!([arn]));
        assert_eq!(statement["Action"], json!(["execute-api:Invoke"]));
        let sub = answer["context"]["sub"].as_str();
        assert_eq!(statement["Effect"] == "Allow", sub.is_some());
        assert_eq!(answer["principalId"], sub.unwrap_or("nobody"));
        sub.map(str::to_owned)
    }

    /// Tells of a connection that opens or closes, as of one that was opened so many seconds after the beginning.
    async fn tell(&self, event: &str, user: &str, id: &str, opened_after: u64) -> Value {
        let at = connection(id, opened_after).connected_at.0.to_string();
        let event = event
            .replace(SAMPLE_USER, user)
            .replace(SAMPLE_CONNECTION, id)
            .replace(SAMPLE_CONNECTED_AT, &at);
        let answer = self.door().handle(&event).await;
        answer["statusCode"].clone()
    }
}

#[tokio::test]
async fn whoever_is_signed_in_gets_a_ticket_that_nobody_else_can_read() {
    let bench = Bench::new();
    let answer = bench.door().handle(TICKET).await;
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["headers"]["cache-control"], "no-store");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["success"], true);
    assert_eq!(body["data"]["expires_at"], "2026-11-23T18:00:30.000Z");
    let url = body["data"]["url"].as_str().unwrap();
    let ticket = url.rsplit('=').next().unwrap();
    let rows = bench.aws.table().rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["user"], SAMPLE_USER);
    assert!(!format!("{rows:?}").contains(ticket));
    assert_ne!(bench.ticket().await, ticket);
}

#[tokio::test]
async fn who_is_not_signed_in_or_asks_for_something_else_gets_none() {
    let bench = Bench::new();
    for (event, status, message) in [
        (
            TICKET.replace("\"authorizer\"", "\"other\""),
            401,
            "Authentication credentials were not provided.",
        ),
        (TICKET.replace("POST", "GET"), 404, "Task not found"),
        ("{}".into(), 400, "The request cannot be read."),
        ("5".into(), 400, "The request cannot be read."),
    ] {
        let answer = bench.door().handle(&event).await;
        assert_eq!(answer["statusCode"], status);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({"success": false, "message": message}));
    }
    assert!(bench.aws.table().rows().is_empty());
}

#[tokio::test]
async fn a_ticket_lets_in_once_and_as_who_asked_for_it() {
    let bench = Bench::new();
    let ticket = bench.ticket().await;
    assert_eq!(bench.let_in(&ticket).await.as_deref(), Some(SAMPLE_USER));
    assert_eq!(bench.let_in(&ticket).await, None);
    assert_eq!(bench.let_in(SAMPLE_TICKET).await, None);
    let _ = bench.aws.take_calls();
    for none in ["", "x", &"g".repeat(48)] {
        assert_eq!(bench.let_in(none).await, None);
    }
    assert_eq!(bench.aws.take_calls(), [] as [String; 0]);
    assert!(bench.aws.table().rows().is_empty());
}

#[tokio::test]
async fn a_ticket_is_good_for_half_a_minute() {
    let bench = Bench::new();
    let (early, late) = (bench.ticket().await, bench.ticket().await);
    bench.wait(29);
    assert!(bench.let_in(&early).await.is_some());
    bench.wait(1);
    assert_eq!(bench.let_in(&late).await, None);
}

#[tokio::test]
async fn a_ticket_is_not_written_twice_for_the_second_may_arrive_when_it_is_taken() {
    let bench = Bench::with_faults(|call: &Call| match call.operation.as_str() {
        "PutItem" => Fault::LostAnswer,
        _ => Fault::None,
    });
    assert_eq!(bench.door().handle(TICKET).await["statusCode"], 503);
    assert_eq!(bench.aws.take_calls(), ["PutItem"]);
}

#[tokio::test]
async fn a_ticket_lets_nobody_in_while_it_cannot_be_looked_at() {
    let bench = Bench::with_faults(|call: &Call| match call.operation.as_str() {
        "DeleteItem" => Fault::Unreachable,
        _ => Fault::None,
    });
    let ticket = bench.ticket().await;
    assert_eq!(bench.let_in(&ticket).await, None);
}

#[tokio::test]
async fn who_is_connected_is_listed_until_the_connection_closes() {
    let bench = Bench::new();
    let told = bench.tell(CONNECT, SAMPLE_USER, "a=", 0).await;
    assert_eq!(told, 200);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["a="]);
    assert!(bench.connections_of("somebody else").await.is_empty());
    assert_eq!(bench.tell(DISCONNECT, SAMPLE_USER, "a=", 0).await, 200);
    assert!(bench.connections_of(SAMPLE_USER).await.is_empty());
}

#[tokio::test]
async fn a_connection_of_nobody_is_refused() {
    let bench = Bench::new();
    for event in [
        CONNECT.replace("\"authorizer\"", "\"other\""),
        CONNECT.replace(SAMPLE_USER, ""),
    ] {
        assert_eq!(bench.door().handle(&event).await["statusCode"], 403);
    }
    let message = CONNECT.replace("CONNECT", "MESSAGE");
    assert_eq!(bench.door().handle(&message).await["statusCode"], 404);
    assert!(bench.aws.table().rows().is_empty());
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused() {
    let unreachable = |call: &Call| match call.operation.as_str() {
        "TransactWriteItems" => Fault::Unreachable,
        _ => Fault::None,
    };
    let bench = Bench::with_faults(unreachable);
    tokio::time::pause();
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "a", 0).await, 503);
}

#[tokio::test]
async fn an_id_that_comes_again_is_refused_to_somebody_else() {
    let bench = Bench::new();
    assert_eq!(bench.tell(CONNECT, "first", "a", 0).await, 200);
    assert_eq!(bench.tell(CONNECT, "second", "a", 60).await, 403);
    assert_eq!(bench.connections_of("first").await, ["a"]);
    // A message of the first one's may be on its way.
    assert_eq!(bench.tell(DISCONNECT, "first", "a", 0).await, 200);
    assert_eq!(bench.tell(CONNECT, "second", "a", 120).await, 403);
    assert!(bench.connections_of("first").await.is_empty());
    assert!(bench.connections_of("second").await.is_empty());
}

#[tokio::test]
async fn what_is_late_of_a_connection_changes_nothing_of_one_whose_id_is_the_same() {
    let bench = Bench::new();
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "a", 60).await, 200);
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "a", 120).await, 200);
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "a", 60).await, 403);
    assert_eq!(bench.tell(DISCONNECT, SAMPLE_USER, "a", 60).await, 200);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["a"]);
}

#[tokio::test]
async fn what_was_found_closed_is_forgotten_but_not_one_that_came_after_it() {
    let bench = Bench::new();
    let first = bench.connected("user", "a", 0).await;
    bench.connected("user", "a", 60).await;
    bench.store.forget(&user_of("user"), &first).await.unwrap();
    assert_eq!(bench.connections_of("user").await, ["a"]);
    let second = connection("a", 60);
    bench.store.forget(&user_of("user"), &second).await.unwrap();
    assert!(bench.connections_of("user").await.is_empty());
}

#[tokio::test]
async fn one_connection_too_many_closes_the_oldest() {
    let bench = Bench::new();
    for n in (0..10).rev() {
        let id = format!("id{n}");
        bench.aws.open_connection(&id);
        assert_eq!(bench.tell(CONNECT, SAMPLE_USER, &id, n).await, 200);
    }
    assert_eq!(bench.connections_of(SAMPLE_USER).await.len(), 10);
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "new", 60).await, 200);
    let listed = bench.connections_of(SAMPLE_USER).await;
    assert_eq!(listed.len(), 10);
    assert_eq!(listed[0], "id1");
    assert!(!bench.aws.is_open("id0") && bench.aws.is_open("id1"));
}

#[tokio::test]
async fn a_connection_too_many_that_is_not_open_yet_is_not_forgotten() {
    let bench = Bench::new();
    for n in 0..11 {
        let id = format!("id{n}");
        assert_eq!(bench.tell(CONNECT, SAMPLE_USER, &id, n).await, 200);
    }
    assert_eq!(bench.connections_of(SAMPLE_USER).await.len(), 11);
    bench.wait(60);
    assert_eq!(bench.tell(CONNECT, SAMPLE_USER, "new", 60).await, 200);
    let listed = bench.connections_of(SAMPLE_USER).await;
    assert_eq!(listed[0], "id1");
}

#[tokio::test]
async fn a_connection_that_cannot_be_closed_does_not_keep_others_out() {
    let limited = |call: &Call| match call.operation.as_str() {
        "DeleteConnection" => Fault::Throttled,
        _ => Fault::None,
    };
    let bench = Bench::with_faults(limited);
    for n in 0..11 {
        let id = format!("id{n}");
        bench.aws.open_connection(&id);
        assert_eq!(bench.tell(CONNECT, SAMPLE_USER, &id, n).await, 200);
    }
    assert_eq!(bench.connections_of(SAMPLE_USER).await.len(), 11);
}

#[tokio::test]
async fn a_connection_is_not_listed_beyond_its_time() {
    let bench = Bench::new();
    bench.connected(SAMPLE_USER, "a", 0).await;
    bench.wait(2 * 3600 - 1);
    assert_eq!(bench.connections_of(SAMPLE_USER).await, ["a"]);
    bench.wait(1);
    assert!(bench.connections_of(SAMPLE_USER).await.is_empty());
    let rows = bench.aws.table().rows();
    assert!(rows.iter().all(|row| row.contains_key("expires_at")));
}
