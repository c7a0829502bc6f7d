//! The delivery of messages, to a server on this machine.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use jobs::DeliverMessages;
use longhaul::test_kit::{SettledItem, TestKit, fixture, reads_old};
use longhaul::{Job as _, Setup};
use serde_json::{Value, json};
use tiny_http::{Header, Response, Server};

/// What the server was sent.
#[derive(Debug, PartialEq)]
struct Call {
    key: String,
    content_type: String,
    body: Value,
}

/// A server that gives these answers, one after the other and the last of them for ever, and a kit that delivers to it.
async fn kit(answers: &[(u16, &str)]) -> (Receiver<Call>, TestKit<DeliverMessages>) {
    let server = Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}/inbox?from=tests", server.server_addr());
    let mut answers: VecDeque<_> = answers
        .iter()
        .map(|(status, retry_after)| (*status, (*retry_after).to_owned()))
        .collect();
    let (tell, told) = channel();
    // It ends with the test's process.
    thread::spawn(move || {
        for mut call in server.incoming_requests() {
            let header = |name: &'static str| {
                let header = call.headers().iter().find(|it| it.field.equiv(name));
                header.map_or(String::new(), |it| it.value.to_string())
            };
            let (key, content_type) = (header("idempotency-key"), header("content-type"));
            assert_eq!(
                (call.method().as_str(), call.url()),
                ("POST", "/inbox?from=tests")
            );
            let body = serde_json::from_reader(call.as_reader()).unwrap();
            let _ = tell.send(Call {
                key,
                content_type,
                body,
            });
            let (status, retry_after) = answers[0].clone();
            if answers.len() > 1 {
                answers.pop_front();
            }
            let mut answer = Response::from_string("secret").with_status_code(status);
            if !retry_after.is_empty() {
                answer.add_header(Header::from_bytes("retry-after", retry_after).unwrap());
            }
            let _ = call.respond(answer);
        }
    });
    let setup = Setup::of(&[("DELIVERY_URL", &url)]);
    (told, TestKit::start(&setup).await.unwrap())
}

async fn delivered(kit: &TestKit<DeliverMessages>) -> SettledItem {
    let request = json!({"messages": [{"to": "Ann", "text": "Hello"}]});
    let mut items = kit.run(&request.to_string()).await.unwrap();
    items.remove(0)
}

#[tokio::test]
async fn a_message_is_posted_as_it_was_given_with_the_key_of_its_item() {
    let (calls, kit) = kit(&[(500, ""), (202, "")]).await;
    let item = delivered(&kit).await;
    assert_eq!(item.output, Some(json!({"status": 202})));
    assert_eq!((item.name.as_str(), item.attempts), ("Ann", 2));
    let (first, again) = (calls.recv().unwrap(), calls.recv().unwrap());
    assert_eq!(first.body, json!({"to": "Ann", "text": "Hello"}));
    assert_eq!(first.content_type, "application/json");
    assert_eq!(first.key.len(), 36);
    // An endpoint that knows the key delivers once.
    assert_eq!(first, again);
}

#[tokio::test]
async fn what_the_endpoint_refuses_fails_at_once_and_says_so() {
    for (status, words) in [(400, "400 Bad Request"), (422, "422 Unprocessable Entity")] {
        let (_, kit) = kit(&[(status, "")]).await;
        let item = delivered(&kit).await;
        let error = format!("The message was refused ({words}): correct it and try again.");
        assert_eq!((item.error, item.attempts), (Some(error), 1));
    }
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_tried_again_and_nothing_that_it_says_is_shown() {
    for (status, words) in [(500, "500 Internal Server Error"), (302, "302 Found")] {
        let (_, kit) = kit(&[(status, "")]).await;
        let item = delivered(&kit).await;
        let error = format!("The service cannot take messages ({words}).");
        assert_eq!((item.error, item.attempts), (Some(error), 3));
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is_left_alone_for_as_long() {
    for status in [429, 503] {
        let (_, kit) = kit(&[(status, "1"), (200, "")]).await;
        let began = Instant::now();
        let item = delivered(&kit).await;
        assert_eq!(item.output, Some(json!({"status": 200})));
        assert!(began.elapsed() >= Duration::from_secs(1));
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_say_for_how_long_is_left_alone_for_a_while() {
    for wait in ["", "Wed, 21 Oct 2099 07:28:00 GMT"] {
        let (calls, kit) = kit(&[(429, wait), (200, "")]).await;
        // Where nobody waits, three attempts take a few milliseconds.
        let soon = tokio::time::timeout(Duration::from_millis(500), delivered(&kit));
        assert!(soon.await.is_err());
        assert_eq!(calls.try_iter().count(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_tried_again_and_its_address_is_not_shown() {
    let setup = Setup::of(&[("DELIVERY_URL", "http://127.0.0.1:9/inbox")]);
    let kit = TestKit::start(&setup).await.unwrap();
    let item = delivered(&kit).await;
    let error = "The item could not be processed.".to_owned();
    assert_eq!((item.error, item.attempts), (Some(error), 3));
}

#[tokio::test]
async fn without_an_endpoint_it_does_not_start() {
    for variables in [&[][..], &[("DELIVERY_URL", "not a url")]] {
        assert!(
            TestKit::<DeliverMessages>::start(&Setup::of(variables))
                .await
                .is_err()
        );
    }
}

#[test]
fn what_the_first_version_stored_is_read() {
    let stored = include_str!("fixtures/deliver_messages_1.json");
    let ((), messages) = reads_old::<DeliverMessages>(stored).unwrap();
    let messages = json!({ "messages": messages }).to_string();
    assert_eq!(
        fixture::<DeliverMessages>(&messages).unwrap(),
        stored.trim_end()
    );
}

#[test]
fn all_its_workers_together_have_twenty_items_in_flight() {
    let template = include_str!("../../../template.yaml");
    let (_, function) = template
        .split_once("\n  DeliverMessagesFunction:\n")
        .unwrap();
    let mut lines = function.lines();
    let workers = lines.find_map(|line| line.trim().strip_prefix("MaximumConcurrency: "));
    let workers: u16 = workers.unwrap().parse().unwrap();
    assert_eq!(workers * DeliverMessages::ITEMS_IN_FLIGHT.unwrap(), 20);
}
