//! What a deployed stack survives. A test binary of its own, because these tests kill what the others use.
//!
//! They need the short leases with which `cargo xtask test` deploys the stack, and still take minutes: the sweeper
//! runs once a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::endpoint::Endpoint;
use e2e::{Stack, TASKS, User, wait_until};
use serde_json::{Value, json};

/// A lease, a sweep and some more for a slow machine.
const RECOVERY: Duration = Duration::from_mins(4);

/// Only one at a time meddles with the one worker function; then they wait together.
static MEDDLING: Mutex<()> = Mutex::new(());

/// The same for the workers of messages, and to the end: who looks into a queue receives what is there, and what was
/// received too often is set aside.
static DELIVERING: Mutex<()> = Mutex::new(());

fn meddling(with: &'static Mutex<()>) -> MutexGuard<'static, ()> {
    with.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_whose_worker_is_killed_is_finished_by_another() -> Result<()> {
    const ITEMS: u32 = 40;
    let stack = Stack::load()?;
    let user = stack.user()?;
    let meddling = meddling(&MEDDLING);
    let task_id = user.submit(ITEMS)?.task_id()?;
    wait_until("the task is in the middle", Duration::from_mins(1), || {
        let done = user.status(&task_id)?["count_done_items"].as_u64();
        Ok((done >= Some(4)).then_some(()))
    })?;
    let killed = kill_workers(&stack, "worker")?;
    ensure!(killed > 0, "there was no worker to kill");
    let at_death = user.status(&task_id)?;
    ensure!(
        at_death["task_status"] == "PROCESSING",
        "too late: {at_death}"
    );
    drop(meddling);

    succeeds(&user, &task_id)?;
    every_item_is_there_once(&stack, &user, &task_id, ITEMS)?;
    let next = user.submit(1)?;
    assert_eq!(next.status, 200, "locked out: {}", next.text());
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn workers_that_are_killed_and_their_successors_never_do_more_at_a_time_than_they_may() -> Result<()>
{
    const MESSAGES: usize = 200;
    const AT_A_TIME: usize = 20;
    let stack = Stack::load()?;
    let user = stack.user()?;
    let _meddling = meddling(&DELIVERING);
    let endpoint = Endpoint::listen(&stack, Duration::from_millis(300), AT_A_TIME)?;
    let message = json!({"to": "Ann", "text": "Hello"});
    let body = json!({ "messages": vec![message; MESSAGES] }).to_string();
    let deliver = "/api/deliver-messages/";
    let task_id = user.post(deliver, body.as_bytes())?.task_id()?;
    wait_until("messages are delivered", Duration::from_mins(1), || {
        Ok((endpoint.seen().taken.len() > MESSAGES / 4).then_some(()))
    })?;
    ensure!(kill_workers(&stack, "deliver-messages")? > 0);
    let at_death = user.status(&task_id)?;
    ensure!(
        at_death["task_status"] == "PROCESSING",
        "too late: {at_death}"
    );
    succeeds(&user, &task_id)?;
    let seen = endpoint.seen();
    assert_eq!((seen.refused, seen.taken.len()), (0, MESSAGES));
    // What they were at, and had not saved, is done once more, under the same key.
    assert!(seen.taken.values().all(|times| *times <= 2));
    Ok(())
}

#[test]
fn a_task_whose_message_is_lost_is_brought_back() -> Result<()> {
    const ITEMS: u32 = 3;
    let stack = Stack::load()?;
    let user = stack.user()?;
    let meddling = meddling(&MEDDLING);
    let deliveries = Deliveries::stop(&stack, "worker")?;
    let task_id = user.submit(ITEMS)?.task_id()?;
    take_message(&stack, &stack.queue_url, &task_id)?;
    deliveries.resume()?;
    drop(meddling);
    assert_eq!(user.status(&task_id)?["task_status"], "QUEUED");
    assert_eq!(user.submit(1)?.status, 201);

    succeeds(&user, &task_id)?;
    every_item_is_there_once(&stack, &user, &task_id, ITEMS)
}

#[test]
fn a_message_in_the_queue_of_another_worker_is_sent_on_to_the_one_that_it_is_for() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let _meddling = meddling(&DELIVERING);
    let deliveries = Deliveries::stop(&stack, "deliver-messages")?;
    let body = json!({"messages": [{"to": "Ann", "text": "Hello"}]}).to_string();
    let accepted = user.post("/api/deliver-messages/", body.as_bytes())?;
    let task_id = accepted.task_id()?;
    let message = take_message(&stack, &deliveries.queue_url, &task_id)?;
    stack.aws(
        "sqs",
        "AmazonSQS.SendMessage",
        &json!({"QueueUrl": stack.queue_url, "MessageBody": message}),
    )?;
    let sent_on = take_message(&stack, &deliveries.queue_url, &task_id)?;
    let hops = |message: &str| -> Result<Value> {
        Ok(serde_json::from_str::<Value>(message)?["hops"].clone())
    };
    assert_eq!((hops(&message)?, hops(&sent_on)?), (json!(0), json!(1)));
    assert_eq!(user.status(&task_id)?["task_status"], "QUEUED");
    user.cancel(&task_id)?;
    deliveries.resume()
}

#[test]
fn a_message_that_nobody_understands_ends_in_the_dead_letter_queue_alone() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let poison = format!("poison {}", user.name);
    stack.aws(
        "sqs",
        "AmazonSQS.SendMessage",
        &json!({"QueueUrl": stack.queue_url, "MessageBody": poison}),
    )?;
    // Good work goes on beside it.
    let task_id = user.submit(3)?.task_id()?;
    succeeds(&user, &task_id)?;
    wait_until("the poison is set aside", RECOVERY, || {
        let is_poison = |message: &Value| message["Body"] == json!(poison);
        // There may be any number of others before it: whatever an overloaded machine gave up.
        loop {
            let messages = messages(&stack, &stack.dlq_url, Duration::from_secs(10))?;
            if messages.is_empty() || messages.iter().any(is_poison) {
                return Ok((!messages.is_empty()).then_some(()));
            }
        }
    })
}

/// Some of a queue's messages, which nobody else gets for so long.
fn messages(stack: &Stack, queue_url: &str, hidden: Duration) -> Result<Vec<Value>> {
    let received = stack.aws(
        "sqs",
        "AmazonSQS.ReceiveMessage",
        &json!({"QueueUrl": queue_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": hidden.as_secs()}),
    )?;
    Ok(received["Messages"].as_array().cloned().unwrap_or_default())
}

/// Takes the task's message from a queue, whose deliveries must be stopped. Returns what it says.
fn take_message(stack: &Stack, queue_url: &str, task_id: &str) -> Result<String> {
    wait_until("the message is found", Duration::from_mins(1), || {
        let messages = messages(stack, queue_url, Duration::ZERO)?;
        let is_its = |message: &&Value| {
            let body = message["Body"].as_str();
            body.is_some_and(|body| body.contains(task_id))
        };
        let Some(message) = messages.iter().find(is_its) else {
            return Ok(None);
        };
        stack.aws(
            "sqs",
            "AmazonSQS.DeleteMessage",
            &json!({"QueueUrl": queue_url, "ReceiptHandle": message["ReceiptHandle"]}),
        )?;
        Ok(message["Body"].as_str().map(str::to_owned))
    })
}

fn succeeds(user: &User, task_id: &str) -> Result<()> {
    let mut done = 0;
    wait_until("the task succeeds", RECOVERY, || {
        let status = user.status(task_id)?;
        let now = status["count_done_items"].as_u64().context("no count")?;
        ensure!(now >= done, "progress went back from {done} to {now}");
        done = now;
        ensure!(status["task_status"] != "FAILED", "{status}");
        Ok((status["task_status"] == "SUCCESS").then_some(()))
    })
}

fn every_item_is_there_once(stack: &Stack, user: &User, task_id: &str, items: u32) -> Result<()> {
    let status = user.status(task_id)?;
    assert_eq!(status["count_done_items"], items);
    assert_eq!(
        stack.rows(&format!("TASK#{task_id}#0"))?.len(),
        items as usize
    );
    let listed = user
        .get(&format!("{TASKS}{task_id}/items/?limit=1000"))?
        .json()?;
    let listed = listed["data"]["items"].as_array().context("no items")?;
    let indexes: Vec<_> = listed.iter().map(|item| item["index"].as_u64()).collect();
    let expected: Vec<_> = (0..u64::from(items)).map(Some).collect();
    assert_eq!(indexes, expected);
    Ok(())
}

/// Kills the processes in which workers of this stack run, as a lost machine would: without a word. Returns how many.
#[cfg(target_os = "linux")]
fn kill_workers(stack: &Stack, function: &str) -> Result<usize> {
    let function = format!("AWS_LAMBDA_FUNCTION_NAME={}-{function}", stack.name);
    let endpoint = format!("AWS_ENDPOINT_URL={}", stack.endpoint_url);
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
            continue;
        };
        let mut variables = environment.split(|byte| *byte == 0);
        let is_worker = |variable: &[u8]| variable == function.as_bytes();
        let is_here = variables
            .clone()
            .any(|variable| variable == endpoint.as_bytes());
        if is_here && variables.any(is_worker) {
            let id = entry.file_name();
            let status = std::process::Command::new("kill")
                .arg("-9")
                .arg(&id)
                .status()?;
            ensure!(status.success(), "cannot kill {}", id.display());
            killed += 1;
        }
    }
    Ok(killed)
}

/// A queue's deliveries to its worker, stopped until they are resumed or this is dropped.
struct Deliveries<'a> {
    stack: &'a Stack,
    id: String,
    queue_url: String,
}

impl<'a> Deliveries<'a> {
    fn stop(stack: &'a Stack, function: &str) -> Result<Self> {
        let mappings = stack.rest(
            "GET",
            "lambda",
            "/2015-03-31/event-source-mappings",
            &Value::Null,
        )?;
        let mappings = mappings["EventSourceMappings"].as_array();
        let is_its = |mapping: &&Value| {
            let arn = mapping["FunctionArn"].as_str().unwrap_or_default();
            arn.ends_with(&format!(":{}-{function}", stack.name))
        };
        let mapping = mappings.and_then(|mappings| mappings.iter().find(is_its));
        let text = |name: &str| mapping.and_then(|mapping| mapping[name].as_str());
        let queue = text("EventSourceArn").and_then(|arn| arn.rsplit(':').next());
        let request = json!({"QueueName": queue.context("no queue")?});
        let queue = stack.aws("sqs", "AmazonSQS.GetQueueUrl", &request)?;
        let queue_url = queue["QueueUrl"].as_str().context("no address")?.to_owned();
        let id = text("UUID");
        let id = id.context("no event source mapping")?.to_owned();
        let deliveries = Self {
            stack,
            id,
            queue_url,
        };
        deliveries.set(false)?;
        // A poll that is under way still delivers what comes in its time.
        std::thread::sleep(Duration::from_secs(3));
        Ok(deliveries)
    }

    fn resume(self) -> Result<()> {
        self.set(true)
    }

    fn set(&self, enabled: bool) -> Result<()> {
        let path = format!("/2015-03-31/event-source-mappings/{}", self.id);
        self.stack
            .rest("PUT", "lambda", &path, &json!({"Enabled": enabled}))?;
        Ok(())
    }
}

impl Drop for Deliveries<'_> {
    fn drop(&mut self) {
        // The other tests need them, whatever became of this one.
        let _ = self.set(true);
    }
}
