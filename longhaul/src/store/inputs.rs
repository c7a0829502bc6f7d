//! What items need: their inputs, and the value that they share.
//!
//! It is written before the transaction that accepts the task, so that no worker can see a task whose inputs are not
//! complete. A crash in between leaves rows of a task that does not exist: nobody finds them, and they vanish by their
//! time to live. The rows need no condition: nobody else can have drawn the task's id, and whoever writes them twice
//! writes the same.

use std::time::Duration;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::write::{Row, address, expressions, number, rejected, text};
use super::{Key, KeyRow, LockRow, Store, StoreError, Submission, key_key, lock_key, part_pk};
use crate::chunk::{ChunkIndex, ItemIndex};
use crate::order::Order;
use crate::task::{IdempotencyKey, Task, TaskId};

/// A row holds inputs of so many bytes together, or a single one that is larger. A row may have 400 KB (Amazon
/// `DynamoDB` quotas); smaller ones fill batches better.
const PART_BYTES_MAX: usize = 64 * 1024;

/// How many rows one `BatchWriteItem` takes (Amazon `DynamoDB` quotas).
const BATCH_ROWS_MAX: usize = 25;

/// How many write units a submit spends in one call…
const BATCH_UNITS_MAX: u64 = 250;

/// …and in a second: what a partition can take (Amazon `DynamoDB` quotas). A table that is young has only one.
const UNITS_PER_SECOND: u32 = 1000;

/// Of a row, beside what it holds: its key and the names of its attributes.
const ROW_BYTES: usize = 160;

#[derive(Deserialize)]
struct InputsRow {
    sk: String,
    inputs: String,
}

#[derive(Deserialize)]
struct SharedRow {
    shared: String,
}

/// Before and after a task is accepted.
impl Store {
    /// What would become of a submit, as far as that can be told without writing anything: who is refused is refused
    /// before megabytes are written for nothing. `None` if it may be accepted, which [`Self::submit`] decides.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn look_before(
        &self,
        task: &Task,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Submission>, StoreError> {
        if let Some(key) = key
            && let Some(row) = self.get(key_key(&task.user, key)).await?
        {
            let stored: KeyRow = serde_dynamo::from_item(row)?;
            if stored.expires_at >= self.host.now().seconds() {
                return Ok(Some(stored.replayed(task)));
            }
        }
        let row = self.get(lock_key(&task.user, &task.lock)).await?;
        let holder: Option<LockRow> = row.map(serde_dynamo::from_item).transpose()?;
        Ok(holder.map(|holder| Submission::Busy(holder.task_id)))
    }

    /// Stores what the items of a task need that is about to be accepted, no faster than a partition can take it.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; some of it may be stored.
    pub async fn put_inputs(&self, task: &Task, order: &Order) -> Result<(), StoreError> {
        let expires_at = number(self.expiry_of_items(task).seconds());
        let mut rows = vec![];
        if let Some(shared) = &order.shared {
            let mut row = address(&shared_key(task.task_id));
            row.insert("shared".into(), text(shared.get()));
            rows.push((shared.get().len(), row));
        }
        for chunk in 0..task.chunks.len() {
            let range = task.plan().range(chunk);
            let mut first = range.start;
            while first < range.end {
                let (part, after) = part(&order.inputs, first, range.end);
                let mut row = address(&inputs_key(task.task_id, chunk, after - 1));
                let bytes = part.len();
                row.insert("inputs".into(), text(part));
                rows.push((bytes, row));
                first = after;
            }
        }
        let began = Instant::now();
        let mut spent = 0;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut batch = vec![];
            let mut units = 0;
            while let Some((bytes, mut row)) = rows.next_if(|(bytes, _)| {
                batch.len() < BATCH_ROWS_MAX
                    && (batch.is_empty() || units + units_of(*bytes) <= BATCH_UNITS_MAX)
            }) {
                units += units_of(bytes);
                row.insert("expires_at".into(), expires_at.clone());
                batch.push(row);
            }
            sleep_until(began + Duration::from_secs(spent) / UNITS_PER_SECOND).await;
            self.write_batch(batch).await?;
            spent += units;
        }
        Ok(())
    }

    async fn write_batch(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut pending = Vec::with_capacity(rows.len());
        for row in rows {
            let put = PutRequest::builder().set_item(Some(row));
            let put = put.build().map_err(rejected)?;
            pending.push(WriteRequest::builder().put_request(put).build());
        }
        let mut attempt = 0;
        loop {
            let call = self.client.batch_write_item();
            let answer = call.request_items(&self.table, pending).send().await?;
            let left = answer.unprocessed_items.unwrap_or_default();
            pending = left.into_values().flatten().collect();
            if pending.is_empty() {
                return Ok(());
            }
            let cause = format!("{} rows were not written", pending.len());
            self.wait_or_give_up(&mut attempt, StoreError::Throttled(cause.into()))
                .await?;
        }
    }

    /// The inputs of a chunk's items from `first` on to before `end`; `None` if not all of them are there, which is to
    /// be refused loudly.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn inputs(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        first: ItemIndex,
        end: ItemIndex,
    ) -> Result<Option<Vec<Box<RawValue>>>, StoreError> {
        let (pk, first_sk) = inputs_key(task.task_id, chunk, first);
        let (_, last_sk) = inputs_key(task.task_id, chunk, task.plan().range(chunk).end);
        let (condition, names, values) = expressions(
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            vec![
                (":pk", text(pk)),
                (":first", text(first_sk)),
                (":last", text(last_sk)),
            ],
        );
        let mut inputs = vec![];
        let mut start = None;
        let wanted = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX);
        while inputs.len() < wanted {
            let call = self.client.query().table_name(&self.table);
            let answer = call
                .key_condition_expression(condition.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for row in answer.items() {
                let row: InputsRow = serde_dynamo::from_item(row.clone())?;
                let (part, last) = row.read()?;
                let begins = (last + 1).saturating_sub(part.len() as u64);
                let expected = first + inputs.len() as u64;
                if begins > expected {
                    return Ok(None);
                }
                let known = usize::try_from(expected - begins).unwrap_or(usize::MAX);
                inputs.extend(part.into_iter().skip(known));
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        inputs.truncate(wanted);
        Ok(Some(inputs).filter(|inputs| inputs.len() == wanted))
    }

    /// The value that a task's items share; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn shared(&self, task_id: TaskId) -> Result<Option<Box<RawValue>>, StoreError> {
        let Some(row) = self.get(shared_key(task_id)).await? else {
            return Ok(None);
        };
        let row: SharedRow = serde_dynamo::from_item(row)?;
        let shared = RawValue::from_string(row.shared);
        Ok(Some(
            shared.map_err(|error| StoreError::Corrupt(error.into()))?,
        ))
    }
}

/// The inputs from `first` on, as many as fit into a row, as a list of JSON, and the position behind them.
fn part(inputs: &[Box<RawValue>], first: ItemIndex, end: ItemIndex) -> (String, ItemIndex) {
    let mut part = String::from("[");
    let mut position = first;
    while position < end {
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let Some(input) = inputs.get(at).map(|input| input.get()) else {
            break;
        };
        if position > first {
            if part.len() + input.len() > PART_BYTES_MAX {
                break;
            }
            part.push(',');
        }
        part.push_str(input);
        position += 1;
    }
    part.push(']');
    // Whoever has too few inputs for his items gets fewer, and is refused by whoever reads them.
    (part, position.max(first + 1))
}

/// What it costs to write a row that holds so many bytes: a unit for each KB.
fn units_of(bytes: usize) -> u64 {
    (bytes + ROW_BYTES).div_ceil(1024) as u64
}

impl InputsRow {
    /// The inputs, and the position of the last of them.
    fn read(&self) -> Result<(Vec<Box<RawValue>>, ItemIndex), StoreError> {
        let corrupt = |cause: String| StoreError::Corrupt(cause.into());
        let last = self
            .sk
            .strip_prefix("INPUT#")
            .and_then(|at| at.parse().ok());
        let last = last.ok_or_else(|| corrupt(format!("not the key of inputs: {}", self.sk)))?;
        let inputs = serde_json::from_str(&self.inputs);
        Ok((inputs.map_err(|error| corrupt(error.to_string()))?, last))
    }
}

fn shared_key(task_id: TaskId) -> Key {
    (format!("TASK#{task_id}"), "SHARED".into())
}

/// Inputs are found by the position of the last one in the row: whoever wants those from some position on begins with
/// the first row that has one of them.
fn inputs_key(task_id: TaskId, chunk: ChunkIndex, last: ItemIndex) -> Key {
    (part_pk(task_id, chunk), format!("INPUT#{last:012}"))
}
