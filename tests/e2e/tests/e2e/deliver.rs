//! A job with a worker of its own: an endpoint that takes 20 messages at a time is never sent more.

use std::time::Duration;

use anyhow::Result;
use e2e::endpoint::Endpoint;
use e2e::{Stack, have_the_machine, secrets, wait_until};
use serde_json::json;

const DELIVER: &str = "/api/deliver-messages/";

/// So many messages does the endpoint take at a time, and so long does each of them take.
const AT_A_TIME: usize = 20;
const TAKES: Duration = Duration::from_millis(300);

#[test]
fn an_endpoint_that_takes_twenty_at_a_time_is_kept_busy_and_never_sent_more() -> Result<()> {
    const MESSAGES: usize = 400;
    let _machine = have_the_machine();
    let stack = Stack::load()?;
    let user = stack.user()?;
    let endpoint = Endpoint::listen(&stack, TAKES, AT_A_TIME)?;
    let text = "A text that is nobody else's business";
    secrets::note(text)?;
    let message = |n: usize| json!({"to": format!("Person {n}"), "text": text});
    let messages: Vec<_> = (0..MESSAGES).map(message).collect();
    let body = json!({ "messages": messages }).to_string();
    let task_id = user.post(DELIVER, body.as_bytes())?.task_id()?;
    let path = format!("{DELIVER}{task_id}/");
    let ended = wait_until("the messages are delivered", Duration::from_mins(2), || {
        let task = user.get(&path)?.json()?["data"].clone();
        Ok((task["finished_at"] != json!(null)).then_some(task))
    })?;
    assert_eq!(ended["task_status"], "SUCCESS", "{ended}");
    assert_eq!(ended["count_done_items"], MESSAGES);

    let seen = endpoint.seen();
    let average = seen.at_work_on_average();
    println!("{average:.1} of {AT_A_TIME} were at work on average");
    assert_eq!((seen.refused, seen.taken.len()), (0, MESSAGES));
    assert!(seen.taken.values().all(|times| *times == 1));
    // All that may be are, and not by one worker alone; how many on average is for a quiet machine to say.
    assert_eq!(seen.at_work_max, AT_A_TIME);
    Ok(())
}
