//! What items need: their inputs, in a retry their indexes, and the value that they share.
//!
//! It is written before the transaction that accepts the task, so that no worker can see a task whose inputs are not
//! complete. A crash in between leaves rows of a task that does not exist: nobody finds them, and they vanish by their
//! time to live. The rows need no condition: nobody else can have drawn the task's id, and whoever writes them twice
//! writes the same.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::between::Between;
use super::quota::{exhausted, quota_key};
use super::write::{Row, address, number, rejected, text};
use super::{
    Key, KeyRow, LockRow, Store, StoreError, key_key, lock_key, part_pk, position_of, task_key,
};
use crate::chunk::{ChunkIndex, ItemIndex, Position};
use crate::order::Order;
use crate::quota::{Day, Exhausted, Quota};
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

/// What an item is given.
#[derive(Clone, Debug)]
pub struct Given {
    /// What its user calls it.
    pub index: ItemIndex,
    /// Its input, if it has one.
    pub input: Option<Box<RawValue>>,
}

/// A row of it, each a list of JSON; nothing of what items do not have.
#[derive(Deserialize)]
struct GivenRow {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    indexes: Option<String>,
}

#[derive(Deserialize)]
struct SharedRow {
    shared: String,
}

/// What becomes of a submit, where that can be told without writing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glance {
    /// This task already answers the same request under the same key.
    Replayed(TaskId),
    /// The key belongs to another request.
    KeyReused,
    /// This task holds the lock, and is alive.
    Busy(Task),
    /// It would be too much for the day.
    Exhausted(Exhausted),
}

/// Before and after a task is accepted.
impl Store {
    /// What would become of a submit: who is refused is refused before megabytes are written for nothing, and by two
    /// calls at most. `None` if it may be accepted, which [`Self::submit`] decides.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn look_before(
        &self,
        task: &Task,
        key: Option<&IdempotencyKey>,
        quota: Quota,
    ) -> Result<Option<Glance>, StoreError> {
        let row = self.get(lock_key(&task.user, &task.lock)).await?;
        let holder: Option<LockRow> = row.map(serde_dynamo::from_item).transpose()?;
        // After the lock: if it is this very submit that was accepted the first time and is in the way, its key is there.
        let key = key.map(|key| key_key(&task.user, key));
        let holder = holder.map(|holder| task_key(&task.user, holder.task_id));
        let day = quota_key(&task.user, Day::of(task.created_at));
        let wanted = [
            key.as_ref(),
            holder.as_ref(),
            quota.is_set().then_some(&day),
        ];
        let mut rows = self.get_all(wanted.into_iter().flatten()).await?;

        let now = self.host.now();
        if let Some(row) = key.and_then(|key| rows.remove(&key)) {
            let stored: KeyRow = serde_dynamo::from_item(row)?;
            if stored.expires_at >= now.seconds() {
                let replayed = stored.replayed(task);
                return Ok(Some(replayed.map_or(Glance::KeyReused, Glance::Replayed)));
            }
        }
        if let Some(row) = holder.and_then(|holder| rows.remove(&holder)) {
            let holder: Task = serde_dynamo::from_item(row)?;
            if holder.status.is_open() && !holder.is_abandoned(now) {
                return Ok(Some(Glance::Busy(holder)));
            }
        }
        let exhausted = exhausted(rows.remove(&day), task, quota)?;
        Ok(exhausted.map(Glance::Exhausted))
    }

    /// Of a few rows those that there are.
    async fn get_all(
        &self,
        keys: impl Iterator<Item = &Key>,
    ) -> Result<HashMap<Key, Row>, StoreError> {
        let mut wanted: Vec<_> = keys.map(address).collect();
        let mut found = HashMap::new();
        let mut attempt = 0;
        while !wanted.is_empty() {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(rejected)?;
            let call = self.client.batch_get_item();
            let answer = call.request_items(&self.table, keys).send().await?;
            let rows = answer.responses.unwrap_or_default().into_values();
            for row in rows.flatten() {
                found.insert(key_of(&row), row);
            }
            let left = answer.unprocessed_keys.unwrap_or_default().into_values();
            wanted = left.flat_map(|left| left.keys).collect();
            if !wanted.is_empty() {
                let cause = format!("{} rows were not read", wanted.len());
                self.wait_or_give_up(&mut attempt, StoreError::Throttled(cause.into()))
                    .await?;
            }
        }
        Ok(found)
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
        let has_rows = !(order.inputs.is_empty() && order.indexes.is_empty());
        for chunk in (0..task.chunks.len()).filter(|_| has_rows) {
            let range = task.plan().range(chunk);
            let mut first = range.start;
            while first < range.end {
                let part = Part::of(order, first, range.end);
                let mut row = address(&given_key(task.task_id, chunk, part.end - 1));
                let bytes = part.bytes();
                first = part.end;
                row.extend(part.into_row());
                rows.push((bytes, row));
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

    /// What a chunk's items are given, from the position `first` on to before `end`; `None` if not all of it is there,
    /// which is to be refused loudly. Makes no call for items that are given nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn given(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        first: Position,
        end: Position,
    ) -> Result<Option<Vec<Given>>, StoreError> {
        if !task.has_given_each() {
            let nothing = |index| Given { index, input: None };
            return Ok(Some((first..end).map(nothing).collect()));
        }
        let rows = Between {
            first: given_key(task.task_id, chunk, first),
            last: given_key(task.task_id, chunk, task.plan().range(chunk).end),
            ..Between::default()
        };
        let mut given = vec![];
        let mut start = None;
        let wanted = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX);
        while given.len() < wanted {
            let page;
            (page, start) = self.page_between(&rows, start).await?;
            for row in &page {
                let (begins, part) = read_part(task, row)?;
                let expected = first + given.len() as u64;
                if begins > expected {
                    return Ok(None);
                }
                let known = usize::try_from(expected - begins).unwrap_or(usize::MAX);
                given.extend(part.into_iter().skip(known));
            }
            if start.is_none() {
                break;
            }
        }
        given.truncate(wanted);
        Ok(Some(given).filter(|given| given.len() == wanted))
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

/// What is written into one row: of the items from some position on to before `end`.
struct Part {
    inputs: String,
    indexes: String,
    end: Position,
}

impl Part {
    /// From `first` on, as many as fit. Whoever has less for his items than they are gets less, and is refused by whoever
    /// reads it.
    fn of(order: &Order, first: Position, end: Position) -> Self {
        let mut part = Self {
            inputs: String::new(),
            indexes: String::new(),
            end: first,
        };
        while part.end < end {
            let at = usize::try_from(part.end).unwrap_or(usize::MAX);
            let input = order.inputs.get(at).map_or("", |input| input.get());
            let index = order.indexes.get(at).map(ToString::to_string);
            let index = index.unwrap_or_default();
            let is_full = part.bytes() + input.len() + index.len() > PART_BYTES_MAX;
            if part.end > first && is_full {
                break;
            }
            add(&mut part.inputs, input);
            add(&mut part.indexes, &index);
            part.end += 1;
        }
        part
    }

    fn bytes(&self) -> usize {
        self.inputs.len() + self.indexes.len()
    }

    fn into_row(self) -> Row {
        let lists = [("inputs", self.inputs), ("indexes", self.indexes)];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        lists
            .map(|(name, list)| (name.into(), text(format!("[{list}]"))))
            .collect()
    }
}

/// Adds JSON to a list of it that has no brackets yet.
fn add(list: &mut String, json: &str) {
    if !list.is_empty() && !json.is_empty() {
        list.push(',');
    }
    list.push_str(json);
}

/// What a row holds of a task's items, and the position that it begins at.
fn read_part(task: &Task, row: &Row) -> Result<(Position, Vec<Given>), StoreError> {
    let last = position_of(row, "INPUT#")?;
    let GivenRow { inputs, indexes } = serde_dynamo::from_item(row.clone())?;
    let corrupt = |error: serde_json::Error| StoreError::Corrupt(error.into());
    let inputs: Option<Vec<Box<RawValue>>> = inputs
        .map(|inputs| serde_json::from_str(&inputs))
        .transpose()
        .map_err(corrupt)?;
    let indexes: Option<Vec<ItemIndex>> = indexes
        .map(|indexes| serde_json::from_str(&indexes))
        .transpose()
        .map_err(corrupt)?;
    let lengths = [
        inputs.as_ref().map(Vec::len),
        indexes.as_ref().map(Vec::len),
    ];
    let length = lengths.into_iter().flatten().min().unwrap_or_default();
    let begins = (last + 1).saturating_sub(length as u64);
    let is_whole = lengths.into_iter().flatten().all(|each| each == length)
        && inputs.is_some() == task.has_inputs
        && indexes.is_some() == task.has_indexes();
    if !is_whole {
        let cause = format!("up to {last} there is not what items are given");
        return Err(StoreError::Corrupt(cause.into()));
    }
    let mut inputs = inputs.into_iter().flatten();
    let mut indexes = indexes.into_iter().flatten();
    let given = (begins..=last).map(|position| Given {
        index: indexes.next().unwrap_or(position),
        input: inputs.next(),
    });
    Ok((begins, given.collect()))
}

/// What it costs to write a row that holds so many bytes: a unit for each KB.
fn units_of(bytes: usize) -> u64 {
    (bytes + ROW_BYTES).div_ceil(1024) as u64
}

fn shared_key(task_id: TaskId) -> Key {
    (format!("TASK#{task_id}"), "SHARED".into())
}

/// What items are given is found by the position of the last one in the row: whoever wants it from some position on
/// begins with the first row that has some of it.
fn given_key(task_id: TaskId, chunk: ChunkIndex, last: Position) -> Key {
    (part_pk(task_id, chunk), format!("INPUT#{last:012}"))
}

fn key_of(row: &Row) -> Key {
    let part = |name: &str| row.get(name).and_then(|value| value.as_s().ok().cloned());
    (
        part("pk").unwrap_or_default(),
        part("sk").unwrap_or_default(),
    )
}
