//! What a deployed stack survives. A test binary of its own, because these tests kill what the others use.
//!
//! They need the short leases with which `cargo xtask test` deploys the stack, and still take minutes: the sweeper
//! runs once a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Stack, TASKS, User, wait_until};
use serde_json::{Value, json};

/// A lease, a sweep and some more for a slow machine.
const RECOVERY: Duration = Duration::from_mins(4);

/// Only one at a time meddles with the one worker function; then they wait together.
static MEDDLING: Mutex<()> = Mutex::new(());

fn meddling() -> MutexGuard<'static, ()> {
    MEDDLING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_whose_worker_is_killed_is_finished_by_another() -> Result<()> {
    const ITEMS: u32 = 40;
    let stack = Stack::load()?;
    let user = stack.user()?;
    let meddling = meddling();
    let task_id = user.submit(ITEMS)?.task_id()?;
    wait_until("the task is in the middle", Duration::from_mins(1), || {
        let done = user.status(&task_id)?["count_done_items"].as_u64();
        Ok((done >= Some(4)).then_some(()))
    })?;
    let killed = kill_workers(&stack)?;
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

#[test]
fn a_task_whose_message_is_lost_is_brought_back() -> Result<()> {
    const ITEMS: u32 = 3;
    let stack = Stack::load()?;
    let user = stack.user()?;
    let meddling = meddling();
    let deliveries = Deliveries::stop(&stack)?;
    let task_id = user.submit(ITEMS)?.task_id()?;
    lose_message(&stack, &task_id)?;
    deliveries.resume()?;
    drop(meddling);
    assert_eq!(user.status(&task_id)?["task_status"], "QUEUED");
    assert_eq!(user.submit(1)?.status, 201);

    succeeds(&user, &task_id)?;
    every_item_is_there_once(&stack, &user, &task_id, ITEMS)
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
        let messages = messages(&stack, &stack.dlq_url)?;
        let is_poison = |message: &Value| message["Body"] == json!(poison);
        Ok(messages.iter().any(is_poison).then_some(()))
    })
}

/// Some of a queue's messages, which stay visible to others.
fn messages(stack: &Stack, queue_url: &str) -> Result<Vec<Value>> {
    let received = stack.aws(
        "sqs",
        "AmazonSQS.ReceiveMessage",
        &json!({"QueueUrl": queue_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}),
    )?;
    Ok(received["Messages"].as_array().cloned().unwrap_or_default())
}

/// Deletes the task's message from the queue, whose deliveries must be stopped.
fn lose_message(stack: &Stack, task_id: &str) -> Result<()> {
    wait_until("the message is found", Duration::from_mins(1), || {
        let messages = messages(stack, &stack.queue_url)?;
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
            &json!({"QueueUrl": stack.queue_url, "ReceiptHandle": message["ReceiptHandle"]}),
        )?;
        Ok(Some(()))
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

/// Kills the processes in which this stack's workers run, as a lost machine would: without a word. Returns how many.
#[cfg(target_os = "linux")]
fn kill_workers(stack: &Stack) -> Result<usize> {
    let endpoint = format!("AWS_ENDPOINT_URL={}", stack.endpoint_url);
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
            continue;
        };
        let mut variables = environment.split(|byte| *byte == 0);
        let is_worker = |variable: &[u8]| {
            variable.starts_with(b"AWS_LAMBDA_FUNCTION_NAME=") && variable.ends_with(b"-worker")
        };
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

/// The queue's deliveries to the worker, stopped until they are resumed or this is dropped.
struct Deliveries<'a> {
    stack: &'a Stack,
    id: String,
}

impl<'a> Deliveries<'a> {
    fn stop(stack: &'a Stack) -> Result<Self> {
        let mappings = stack.lambda("GET", "/2015-03-31/event-source-mappings", &Value::Null)?;
        let id = mappings["EventSourceMappings"][0]["UUID"].as_str();
        let id = id.context("no event source mapping")?.to_owned();
        let deliveries = Self { stack, id };
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
            .lambda("PUT", &path, &json!({"Enabled": enabled}))?;
        Ok(())
    }
}

impl Drop for Deliveries<'_> {
    fn drop(&mut self) {
        // The other tests need them, whatever became of this one.
        let _ = self.set(true);
    }
}
