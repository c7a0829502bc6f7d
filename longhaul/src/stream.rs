//! The table's stream: what became of tasks, as the table tells whoever listens.
//!
//! The commit is the event. There is no second write that could get lost, and workers know nothing of it. A record comes
//! at least once, and those of one task in their order.

use serde::Deserialize;
use serde_dynamo::Item;
use serde_json::value::RawValue;

use crate::task::{Task, TaskId};

/// What Lambda hands over. Each record is read for itself: an odd one must not keep the others from being read.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// A record, as far as it matters (Amazon `DynamoDB` Streams API Reference, "Record").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    #[serde(default)]
    new_image: Option<Item>,
}

/// What is looked for in a record that cannot be read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sketch {
    dynamodb: Outline,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Outline {
    keys: serde_json::Value,
    sequence_number: String,
}

/// A record that says nothing that is understood here.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The keys of the row that it is about, if that much can be read.
    pub keys: serde_json::Value,
    /// Its place in the stream, if that much can be read.
    pub sequence_number: String,
    /// What is wrong. For logs and operators.
    pub reason: &'static str,
}

/// The whole batch is not one of a stream.
#[derive(Debug, thiserror::Error)]
#[error("not a batch of a stream")]
pub struct NotABatch(#[from] serde_json::Error);

/// Tasks as they were after each of the changes, in order, and what could not be read. What was removed is in neither.
///
/// # Errors
///
/// [`NotABatch`].
pub fn changes(event: &str) -> Result<(Vec<Task>, Vec<Unreadable>), NotABatch> {
    let batch: Batch = serde_json::from_str(event)?;
    let (mut tasks, mut unreadable) = (vec![], vec![]);
    for record in batch.records {
        match task(record.get()) {
            Ok(task) => tasks.extend(task),
            Err(reason) => {
                let sketch: Sketch = serde_json::from_str(record.get()).unwrap_or_default();
                unreadable.push(Unreadable {
                    keys: sketch.dynamodb.keys,
                    sequence_number: sketch.dynamodb.sequence_number,
                    reason,
                });
            }
        }
    }
    Ok((tasks, unreadable))
}

/// Of several changes of one task the last, in the order in which tasks first changed.
#[must_use]
pub fn last_of_each(tasks: Vec<Task>) -> Vec<Task> {
    let mut last: Vec<Task> = vec![];
    let position = |last: &[Task], id: TaskId| last.iter().position(|task| task.task_id == id);
    for task in tasks {
        match position(&last, task.task_id) {
            Some(at) if last[at].version <= task.version => last[at] = task,
            Some(_) => {}
            None => last.push(task),
        }
    }
    last
}

/// Why it is none is said without what it holds, which may be somebody's.
fn task(record: &str) -> Result<Option<Task>, &'static str> {
    let record: Record = serde_json::from_str(record).map_err(|_| "it is no record")?;
    if record.event_name == "REMOVE" {
        return Ok(None);
    }
    let image = record.dynamodb.new_image.ok_or("it has no image")?;
    let task = serde_dynamo::from_item(image).map_err(|_| "its image is no task")?;
    Ok(Some(task))
}
