//! A naive design of the same service, for comparison: one message a task, one item after the other, one update an item,
//! and a client that asks every second. Its calls go the same way, through the real clients to the same table, and are
//! recorded by the same recorder.
//!
//! It has no rows of items, no lock, no lease and no sweeper: whoever dies takes the task along. That is in its favour. So
//! is that nobody stops it after 900 s, as Lambda would: from 450 items on it could not be done like this at all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use embedded_aws::{Call, Cost, EmbeddedAws, Fault, Faults, QUEUE_URL, Reached};
use tokio::time::Instant;

use crate::bill::Bill;
use crate::prices::{GIGABYTE_SECONDS_OF_INVOCATION, GIGABYTES};

/// How long an item takes.
const ITEM: Duration = Duration::from_secs(2);

/// How often its client asks.
const POLLED_EVERY: Duration = Duration::from_secs(1);

/// How long a call takes there, and its answer back: what they take on average in the simulated world.
const LATENCY: Duration = Duration::from_millis(5);

/// What a task costs there.
#[derive(Clone, Debug)]
pub struct Naive {
    /// How many items it has.
    pub items: u64,
    /// How long it took.
    pub took: Duration,
    /// What the work costs.
    pub work: Bill,
    /// What asking costs.
    pub polls: Bill,
}

/// Writes down what calls cost, by caller.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeMap<String, Cost>>>);

impl Recorder {
    fn of(&self, caller: &str) -> Cost {
        let costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        costs.get(caller).copied().unwrap_or_default()
    }
}

impl Faults for Recorder {
    fn decide(&self, _: &Call) -> Fault {
        Fault::None
    }

    fn latency(&self, _: &Call) -> (Duration, Duration) {
        (LATENCY, LATENCY)
    }

    fn reached(&self, reached: &Reached<'_>) {
        let mut costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *costs.entry(reached.call.caller.clone()).or_default() += reached.cost;
    }
}

impl Naive {
    /// Runs such a task.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub fn measure(items: u64) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        runtime
            .block_on(run(items))
            .map_err(|error| error.to_string())
    }
}

impl Naive {
    /// Dollars for a million of them, polls included.
    #[must_use]
    pub fn dollars_per_million(&self) -> f64 {
        (self.work.dollars() + self.polls.dollars()) * 1e6
    }
}

impl fmt::Display for Naive {
    /// Under the head of what a task comes to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            items,
            took,
            work,
            polls,
        } = self;
        let (work_dollars, poll_dollars) = (work.dollars() * 1e6, polls.dollars() * 1e6);
        write!(
            f,
            "{items:<9} naive             1  even    alone  {:>6.0} s {:>6.0} {:>18.0} {:>9.1} {:>7.1} {:>5.0} \
             {:>6.1} {:>8.1} {:>5.2} {:>7.0} {work_dollars:>20.0} {poll_dollars:>7.0} {:>7.0}",
            took.as_secs_f64(),
            work.write_units + 1.0,
            0.0,
            work.write_units - 1.0,
            1.0,
            work.read_units,
            work.queue_requests,
            work.invocations,
            work.gigabyte_seconds,
            polls.invocations,
            self.dollars_per_million(),
        )
    }
}

async fn run(items: u64) -> Result<Naive, aws_sdk_dynamodb::Error> {
    let recorder = Recorder::default();
    let aws = EmbeddedAws::with_faults(recorder.clone());
    let table = aws.table().name().to_owned();
    submit(&aws, &table, items).await?;
    let worker = async {
        let began = Instant::now();
        work(&aws.dynamodb("worker"), &table, items).await?;
        Ok(began.elapsed())
    };
    let client = aws.dynamodb("status");
    let (took, polls) = tokio::try_join!(worker, follow(&client, &table))?;
    let [submit, worker, status] = ["submit", "worker", "status"].map(|it| recorder.of(it));
    let bill = |cost: Cost| Bill {
        write_units: cost.write_units,
        read_units: cost.read_units,
        ..Bill::default()
    };
    let mut work = bill(submit);
    work += bill(worker);
    Ok(Naive {
        items,
        took,
        work: Bill {
            http_requests: 1.0,
            invocations: 2.0,
            gigabyte_seconds: GIGABYTE_SECONDS_OF_INVOCATION + GIGABYTES * took.as_secs_f64(),
            // To send it, to receive it, to delete it.
            queue_requests: 3.0,
            ..work
        },
        polls: Bill {
            http_requests: polls,
            invocations: polls,
            gigabyte_seconds: polls * GIGABYTE_SECONDS_OF_INVOCATION,
            ..bill(status)
        },
    })
}

async fn submit(aws: &EmbeddedAws, table: &str, items: u64) -> Result<(), aws_sdk_dynamodb::Error> {
    let [pk, sk] = key();
    let put = aws.dynamodb("submit").put_item().table_name(table);
    put.item("pk", pk)
        .item("sk", sk)
        .item("task_status", text("QUEUED"))
        .item("number_of_items", number(items))
        .item("count_done_items", number(0))
        .send()
        .await?;
    let sent = aws.sqs("submit").send_message().queue_url(QUEUE_URL);
    let sent = sent.message_body("{\"task_id\":\"1\"}").send().await;
    debug_assert!(sent.is_ok(), "the queue takes everything");
    Ok(())
}

async fn work(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    items: u64,
) -> Result<(), aws_sdk_dynamodb::Error> {
    for item in 1..=items {
        tokio::time::sleep(ITEM).await;
        let status = if item == items {
            "SUCCESS"
        } else {
            "PROCESSING"
        };
        let [pk, sk] = key();
        let update = dynamodb.update_item().table_name(table);
        update
            .key("pk", pk)
            .key("sk", sk)
            .update_expression("SET task_status = :status ADD count_done_items :one")
            .expression_attribute_values(":status", text(status))
            .expression_attribute_values(":one", number(1))
            .send()
            .await?;
    }
    Ok(())
}

/// Asks until the task is done. Returns how often that was.
async fn follow(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
) -> Result<f64, aws_sdk_dynamodb::Error> {
    let mut polls = 0.0;
    loop {
        tokio::time::sleep(POLLED_EVERY).await;
        let [pk, sk] = key();
        let get = dynamodb.get_item().table_name(table);
        let row = get.key("pk", pk).key("sk", sk).send().await?.item;
        polls += 1.0;
        let status = row.and_then(|row| row.get("task_status").cloned());
        if status == Some(text("SUCCESS")) {
            return Ok(polls);
        }
    }
}

fn key() -> [AttributeValue; 2] {
    [text("USER#ann"), text("TASK#1")]
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
