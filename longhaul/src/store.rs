//! The table: every key, every condition, every `DynamoDB` call.
//!
//! This is where the protocol is kept. A function may crash between any two calls, answers may be
//! lost and messages may come twice; whatever happens, a write takes effect only if its condition
//! holds *at that moment*, and the conditions are chosen so that this is enough. Each method says
//! what it relies on and what a crash before and after it leaves behind.
//!
//! One table, keyed by `pk` and `sk`:
//!
//! | item | `pk` | `sk` | holds |
//! |---|---|---|---|
//! | lock | `USER#<sub>` | `LOCK`, or `LOCK#` and the job or the request's digest | `task_id` of the open task |
//! | task | `USER#<sub>` | `TASK#<task id>` | [`Task`], field by field; while open also `open_shard`, `check_at` |
//! | key | `USER#<sub>` | `KEY#<digest>` | `task_id`, `digest` of the request, `expires_at` |
//! | shared | `TASK#<task id>` | `SHARED` | what all items need: `shared`, JSON; `expires_at` |
//! | inputs | `TASK#<task id>#<chunk>` | `INPUT#<position>` | the inputs up to this position: `inputs`, a list of JSON; `expires_at` |
//! | item | `TASK#<task id>#<chunk>` | `ITEM#<position>` | [`ItemRow`], `expires_at` |
//!
//! Who is told of changes, and what a user has used of a quota, is in rows of its own, in `store/connections.rs` and
//! `store/quota.rs`.
//!
//! What belongs to items has a partition for each chunk: a task is not held up by what one partition can take.
//!
//! The sparse index `open-tasks` (`open_shard`, `check_at`) lists the open tasks by when the sweeper
//! should look at them. Progress writes leave both attributes alone, but for the first one after a
//! dispatch, so they cost nothing there.
//!
//! In expressions `#name` stands for the attribute `name`: many of the names are reserved words.

mod between;
mod connections;
mod error;
mod inputs;
mod outcomes;
mod quota;
mod undone;
mod write;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum, BatchStatementRequest, Delete,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::chunk::{ChunkIndex, ItemIndex, Owner, Position};
use crate::forecast::Reckoning;
use crate::host::{Host, Timestamp, milliseconds};
use crate::listing::{ItemCursor, Listing};
use crate::queue::Message;
use crate::quota::{Exhausted, Quota};
use crate::task::{
    IdempotencyKey, Outcome, RequestDigest, Status, Task, TaskId, UserId, job_of_old,
};

use between::Between;
pub use error::StoreError;
pub use inputs::{Given, Glance};
#[cfg(feature = "drop-guards")]
pub use write::dropped;
use write::{
    Row, Transaction, Verdict, Write, address, expressions, guard, number, rejected, text,
};

/// The index of open tasks.
const OPEN_TASKS: &str = "open-tasks";

/// Over how many partitions the open tasks are spread in the index.
pub const OPEN_SHARDS: u32 = 8;

/// How many statements one `BatchExecuteStatement` takes (Amazon `DynamoDB` quotas).
const STATEMENTS_MAX: usize = 25;

/// How many pages of 1 MB a listing of one job's tasks reads at most.
const TASK_PAGES_MAX: usize = 4;

/// How many pages of 1 MB a listing of items reads at most, beside those that are smaller because their chunk is: so
/// that its answer stays below what a function may return, 6 MB (AWS Lambda quotas), and within the time it has.
const ITEM_PAGES_MAX: usize = 4;

/// What a submit saw of the lock when it last looked, and now bets on.
#[derive(Clone, Copy, Debug)]
pub enum SeenLock<'a> {
    /// There is none.
    Free,
    /// This task holds it, but does not exist or has ended.
    Left(TaskId),
    /// This task holds it and is open, but everybody has abandoned it.
    Abandoned(&'a Task),
}

/// How a submit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Lock, task and key are stored.
    Accepted,
    /// This task already answers the same request under the same key.
    Replayed(TaskId),
    /// The key belongs to another request.
    KeyReused,
    /// This task holds the lock.
    Busy(TaskId),
    /// It would be too much for the day.
    Exhausted(Exhausted),
    /// Something moved between looking and writing. Look again.
    Raced,
}

/// How an attempt to claim a chunk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The chunk is mine; the task as it is now.
    Claimed(Task),
    /// Somebody else holds the chunk, or the task has ended; the task as it is now.
    Refused(Task),
    /// There is no such task.
    Missing,
}

/// How an attempt to save progress ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It is saved; the task as it is now.
    Saved(Task),
    /// The chunk is no longer mine or the task has ended: stop.
    Lost,
}

/// How an attempt to cancel a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It is cancelled, now or already before.
    Cancelled(Task),
    /// It had ended otherwise.
    Ended(Status),
    /// There is no such task.
    Missing,
}

/// What becomes of a chunk when progress is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The worker keeps it until this time, unless it renews.
    Until(Timestamp),
    /// The worker lets go of it.
    Released {
        /// The task counts as alive until this time, in which a message has to bring the next worker.
        alive_until: Timestamp,
        /// How long the chunk waited for this worker.
        waited: Duration,
        /// How long it has paused, a pause that begins now included, since one of its items last got through.
        paused: Duration,
        /// Whether it pauses.
        pause: Option<Pause>,
    },
    /// Nothing is left to be done; the task counts as alive until this time, for whoever is to end it.
    Complete(Timestamp),
}

/// A time in which nobody may claim a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it is over.
    pub resumes_at: Timestamp,
    /// How many attempts there have been at the item at the cursor, unless the cursor moves.
    pub attempts: u32,
}

/// A new position of a chunk's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The cursor as this worker last saved or claimed it.
    pub from: u64,
    /// The cursor from now on.
    pub to: u64,
    /// How many of the items before `to` failed.
    pub failed: u64,
    /// How it will go on. `None` for a step that says nothing of that.
    pub reckoning: Option<Reckoning>,
    /// What is being done, if that is news.
    pub phase: Option<&'a str>,
}

/// A settled item: what became of it, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// Where it stands in its task: its key says so.
    #[serde(skip)]
    pub position: Position,
    /// What its user calls it.
    pub index: ItemIndex,
    /// What it is called.
    pub name: String,
    /// Done or failed.
    pub outcome: ItemOutcome,
    /// What it yielded, as JSON, if it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Why it failed, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether an item could be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemOutcome {
    /// It was processed.
    Done,
    /// It was given up.
    Failed,
}

impl ItemOutcome {
    /// The name in the contract and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// Where the next page begins. `None` on the last page.
    pub next: Option<C>,
}

#[derive(Deserialize)]
struct LockRow {
    task_id: TaskId,
}

#[derive(Deserialize)]
struct KeyRow {
    task_id: TaskId,
    digest: RequestDigest,
    expires_at: u64,
}

impl KeyRow {
    /// The task that answers a submit of `task`; `None` if the key is another request's.
    fn replayed(self, task: &Task) -> Option<TaskId> {
        (self.digest == task.digest).then_some(self.task_id)
    }
}

#[derive(Deserialize)]
struct KeyOfTask {
    pk: String,
    sk: String,
}

/// The table and how to use it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    host: Host,
}

/// Submitting: the lock, the task and the key come into being, and the task is counted, together or not at all.
impl Store {
    /// Stores a new task, the user's lock and the idempotency key, if the lock is as it was `seen`,
    /// the key is new, and the `quota` of the task's day is not used up.
    ///
    /// All of it is one transaction, so a crash before it leaves nothing and a crash after it leaves
    /// a task that the sweeper will dispatch. An abandoned task is failed in the same transaction,
    /// guarded by its version: if it moved at all since it was read, it is not abandoned.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] the task may exist.
    pub async fn submit(
        &self,
        task: &Task,
        key: Option<&IdempotencyKey>,
        seen: SeenLock<'_>,
        quota: Quota,
    ) -> Result<Submission, StoreError> {
        if let Some(exhausted) = quota::exhausted(None, task, quota)? {
            return Ok(Submission::Exhausted(exhausted));
        }
        let now = self.host.now();
        let holder = match seen {
            SeenLock::Free => None,
            SeenLock::Left(task_id) => Some(task_id),
            SeenLock::Abandoned(task) => Some(task.task_id),
        };
        let mut lock = address(&lock_key(&task.user, &task.lock));
        lock.insert("task_id".into(), text(task.task_id));
        let lock = match holder {
            None => self.put(
                lock,
                &[guard("submit: lock is free", "attribute_not_exists(#pk)")],
                vec![],
            ),
            Some(holder) => self.put(
                lock,
                &[guard("submit: lock is as seen", "#task_id = :holder")],
                vec![(":holder", text(holder))],
            ),
        };

        let mut row: Row = serde_dynamo::to_item(task)?;
        row.extend(address(&task_key(&task.user, task.task_id)));
        row.insert("open_shard".into(), text(open_shard(task.task_id)));
        row.insert("check_at".into(), number(task.lease_until.0));
        // Nobody else can have drawn the same id, but this very transaction may arrive twice, the
        // second time so late that the task has come to its end.
        let new = guard("submit: task is new", "attribute_not_exists(#pk)");
        let mut actions = vec![lock?, self.put(row, &[new], vec![])?];

        if let Some(key) = key {
            let mut row = address(&key_key(&task.user, key));
            row.insert("task_id".into(), text(task.task_id));
            row.insert("digest".into(), text(task.digest.as_str()));
            let expires_at = now.after(IdempotencyKey::REMEMBERED).seconds();
            row.insert("expires_at".into(), number(expires_at));
            // Time to live deletes late, up to days: an expired key counts as absent.
            let new = "(attribute_not_exists(#pk) OR #expires_at < :now_seconds)";
            actions.push(self.put(
                row,
                &[guard("submit: key is new", new)],
                vec![(":now_seconds", number(now.seconds()))],
            )?);
        }
        if let SeenLock::Abandoned(old) = seen {
            let outcome = old.outcome().unwrap_or_else(|| {
                Outcome::failed("The task stopped, and its user began another one.")
            });
            let end = Self::end(old, &outcome, now).only_if(guard("take over: seen", SEEN));
            actions.push(end.into_action(&self.table)?);
        }
        if quota.is_set() {
            actions.push(self.count(task, quota)?);
        }

        let verdicts = match self.transact(actions).await? {
            Transaction::Committed => return Ok(Submission::Accepted),
            Transaction::Refused(verdicts) => verdicts,
        };
        if let Some(Verdict::Refused(_)) = verdicts.get(1) {
            return Ok(Submission::Accepted);
        }
        // Then the key speaks: a repeated submit gets its first answer, whoever holds the lock now.
        if let (Some(_), Some(Verdict::Refused(Some(row)))) = (key, verdicts.get(2)) {
            let stored: KeyRow = serde_dynamo::from_item(row.clone())?;
            let replayed = stored.replayed(task);
            return Ok(replayed.map_or(Submission::KeyReused, Submission::Replayed));
        }
        if let Some(Verdict::Refused(Some(row))) = verdicts.first() {
            let stored: LockRow = serde_dynamo::from_item(row.clone())?;
            return Ok(Submission::Busy(stored.task_id));
        }
        let is_lock_ours = matches!(verdicts.first(), Some(Verdict::Passed));
        if let Some(Verdict::Refused(row)) = verdicts.last()
            && quota.is_set()
            && is_lock_ours
            && let Some(exhausted) = quota::exhausted(row.clone(), task, quota)?
        {
            return Ok(Submission::Exhausted(exhausted));
        }
        Ok(Submission::Raced)
    }
}

/// Working: a chunk is claimed, moved on step by step, and the last step ends the task.
impl Store {
    /// Takes a chunk for `owner` until `until` on the word of `message`, if the task is open, nobody holds the chunk, it
    /// does not pause, and the message is for its present turn.
    ///
    /// When it is the sweeper that has sent the message, it means to leave the task alone for a time that grows with
    /// each dispatch; now that there is a worker, a lease will do.
    ///
    /// A crash after this leaves the chunk held until the lease runs out; then anyone may claim it.
    /// If the answer is lost and the call repeated, the stored owner shows that the claim was mine.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] the chunk may be claimed.
    pub async fn claim(
        &self,
        message: &Message,
        chunk: ChunkIndex,
        owner: &Owner,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let mut write = Write::to(task_key(&message.user, message.task_id))
            .set("#status = :processing")
            .set("#started_at = if_not_exists(#started_at, :now)")
            .set(&format!("#chunks[{chunk}].#owner = :owner"))
            .set(&format!("#chunks[{chunk}].#lease_until = :until"))
            .set(&format!(
                "#chunks[{chunk}].#attempts = #chunks[{chunk}].#attempts + :one"
            ))
            .set("#lease_until = :until")
            .only_if(guard("claim: open", OPEN))
            .only_if(guard(
                "claim: chunk is free",
                format!("#chunks[{chunk}].#lease_until < :now"),
            ))
            .only_if(guard("claim: pause is over", pause_is_over(chunk)))
            .value(":processing", text(Status::Processing.as_str()))
            .value(":owner", text(owner.as_str()))
            .value(":until", number(until.0))
            .value(":now", number(self.host.now().0))
            .statuses();
        if let Some(turn) = message.turn {
            let present = format!("#chunks[{chunk}].#turn = :turn");
            write = write
                .only_if(guard("claim: turn", present))
                .value(":turn", number(turn.into()));
        }
        if message.dispatched {
            write = write.set("#check_at = :until");
        }
        match self.update(write).await? {
            Ok(task) => Ok(Claim::Claimed(task)),
            Err(Some(task)) if task.status.is_open() && task.is_held_by(chunk, owner) => {
                Ok(Claim::Claimed(task))
            }
            Err(Some(task)) => Ok(Claim::Refused(task)),
            Err(None) => Ok(Claim::Missing),
        }
    }

    /// Stores what became of items, first writer wins, and returns what is stored.
    ///
    /// An item may be processed twice, by a worker that lost its lease without noticing and by its
    /// successor. Whoever stores first decides; the other adopts it. So a row never changes, and
    /// counts made from what this returns agree with the rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; some of the rows may be stored.
    pub async fn record_items(
        &self,
        task: &Task,
        items: &[ItemRow],
    ) -> Result<Vec<ItemRow>, StoreError> {
        let mut recorded = Vec::with_capacity(items.len());
        for batch in items.chunks(STATEMENTS_MAX) {
            let mut pending: Vec<&ItemRow> = batch.iter().collect();
            let mut attempt = 0;
            while !pending.is_empty() {
                let mut refusal = None;
                let mut answers = self.insert(task, &pending).await?.into_iter();
                let mut refused = Vec::new();
                for item in pending {
                    match answers.next() {
                        Some(Ok(row)) => recorded.push(row.unwrap_or_else(|| item.clone())),
                        Some(Err(error)) if error.is_transient() => {
                            refused.push(item);
                            refusal = Some(error);
                        }
                        Some(Err(error)) => return Err(error),
                        None => {
                            let cause = "an answer is missing from the batch";
                            return Err(StoreError::Corrupt(cause.into()));
                        }
                    }
                }
                pending = refused;
                if let Some(error) = refusal {
                    self.wait_or_give_up(&mut attempt, error).await?;
                }
            }
        }
        recorded.sort_by_key(|item| item.position);
        Ok(recorded)
    }

    /// One batch of inserts. For each: stored (`None`), stored before as this row, or refused.
    async fn insert(
        &self,
        task: &Task,
        items: &[&ItemRow],
    ) -> Result<Vec<Result<Option<ItemRow>, StoreError>>, StoreError> {
        // PartiQL, because its INSERT is conditional by itself and comes in batches: 25 conditional
        // writes for the price of a call, where `BatchWriteItem` cannot have conditions and a
        // transaction costs twice the capacity.
        let expires_at = self.expiry_of_items(task);
        let mut statements = Vec::with_capacity(items.len());
        for item in items {
            let mut row: Row = serde_dynamo::to_item(item)?;
            row.extend(address(&item_key(task, item.position)));
            row.insert("expires_at".into(), number(expires_at.seconds()));
            let (fields, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
            let fields: Vec<_> = fields.iter().map(|name| format!("'{name}': ?")).collect();
            let statement = BatchStatementRequest::builder()
                .statement(format!(
                    "INSERT INTO \"{}\" VALUE {{{}}}",
                    self.table,
                    fields.join(", ")
                ))
                .set_parameters(Some(values))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            statements.push(statement.build().map_err(rejected)?);
        }
        let answer = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements))
            .send()
            .await?;
        let mut results = Vec::with_capacity(items.len());
        for (item, response) in items.iter().zip(answer.responses()) {
            let Some(error) = response.error() else {
                results.push(Ok(None));
                continue;
            };
            let cause = format!(
                "{}: {}",
                error
                    .code()
                    .map_or("no code", BatchStatementErrorCodeEnum::as_str),
                error.message().unwrap_or_default()
            );
            results.push(match error.code() {
                Some(
                    BatchStatementErrorCodeEnum::DuplicateItem
                    | BatchStatementErrorCodeEnum::ConditionalCheckFailed,
                ) => match error.item() {
                    Some(row) => ItemRow::read(row.clone()).map(Some),
                    None => self.item(task, item.position).await,
                },
                Some(BatchStatementErrorCodeEnum::TransactionConflict) => {
                    Err(StoreError::Conflict(cause.into()))
                }
                Some(
                    BatchStatementErrorCodeEnum::ThrottlingError
                    | BatchStatementErrorCodeEnum::ProvisionedThroughputExceeded
                    | BatchStatementErrorCodeEnum::RequestLimitExceeded,
                ) => Err(StoreError::Throttled(cause.into())),
                Some(BatchStatementErrorCodeEnum::InternalServerError) => {
                    Err(StoreError::Unavailable(cause.into()))
                }
                _ => Err(StoreError::Rejected(cause.into())),
            });
        }
        Ok(results)
    }

    async fn item(&self, task: &Task, at: Position) -> Result<Option<ItemRow>, StoreError> {
        let row = self.get(item_key(task, at)).await?;
        row.map(ItemRow::read).transpose()
    }

    /// When what is stored of a task's items goes: when the task itself would, had it taken all the time it has. So it
    /// is there as long as anything needs it.
    fn expiry_of_items(&self, task: &Task) -> Timestamp {
        let retention = Duration::from_secs(task.retention_seconds);
        task.ends_by
            .unwrap_or_else(|| self.host.now())
            .after(retention)
    }

    /// Moves a chunk's cursor, if the task is at work, the chunk is still this owner's and the
    /// cursor is where the owner left it. A step that goes nowhere renews the lease.
    ///
    /// The condition on the cursor makes counting exact: of two writers that saw the same cursor one
    /// fails, and a write that was delayed on its way finds the cursor gone. The condition on the
    /// owner keeps a worker that lost its lease from moving it at all. If the answer is lost and the
    /// call repeated, the stored cursor shows that the step was mine.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] the step may be saved.
    pub async fn advance(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        owner: &Owner,
        step: Step<'_>,
        hold: Hold,
    ) -> Result<Advance, StoreError> {
        let (held_until, alive_until) = match hold {
            Hold::Until(time) => (time, time),
            Hold::Released { alive_until, .. } | Hold::Complete(alive_until) => {
                (Timestamp::default(), alive_until)
            }
        };
        let mut write = Write::to(task_key(&task.user, task.task_id))
            .set(&format!("#chunks[{chunk}].#cursor = :to"))
            .set(&format!("#chunks[{chunk}].#failed = :failed"))
            .set(&format!("#chunks[{chunk}].#lease_until = :held"))
            .set("#lease_until = :alive")
            .only_if(guard("advance: processing", PROCESSING))
            .only_if(guard("advance: owner", owner_is(chunk)))
            .only_if(guard("advance: cursor", cursor_is(chunk)))
            .value(":from", number(step.from))
            .value(":to", number(step.to))
            .value(":failed", number(step.failed))
            .value(":owner", text(owner.as_str()))
            .value(":held", number(held_until.0))
            .value(":alive", number(alive_until.0))
            .value(":now", number(self.host.now().0))
            .statuses();
        if let Hold::Released {
            waited,
            paused,
            pause,
            ..
        } = hold
        {
            // Turn and attempts are set and not counted: the write may arrive twice.
            let stored = &task.chunks[chunk];
            let next = stored.turn + 1;
            write = write
                .set(&format!("#chunks[{chunk}].#released_at = :now"))
                .set(&format!("#chunks[{chunk}].#turn = :next"))
                .set(&format!("#chunks[{chunk}].#waited_milliseconds = :waited"))
                .value(":next", number(next.into()))
                .value(":waited", number(milliseconds(waited)));
            if milliseconds(paused) != stored.paused_milliseconds {
                write = write
                    .set(&format!("#chunks[{chunk}].#paused_milliseconds = :paused"))
                    .value(":paused", number(milliseconds(paused)));
            }
            if let Some(Pause {
                resumes_at,
                attempts,
            }) = pause
            {
                write = write
                    .set(&format!("#chunks[{chunk}].#resumes_at = :resumes_at"))
                    .value(":resumes_at", number(resumes_at.0));
                if step.to == step.from {
                    write = write
                        .set(&format!("#chunks[{chunk}].#attempts = :attempts"))
                        .value(":attempts", number(attempts.into()));
                }
            }
        }
        let is_complete = matches!(hold, Hold::Complete(_));
        if let Some(Reckoning { ends_at, forecast }) = step.reckoning {
            write = write
                .set("#forecast = :forecast")
                .value(":forecast", serde_dynamo::to_attribute_value(forecast)?);
            if !is_complete {
                write = write
                    .set(&format!("#chunks[{chunk}].#ends_at = :ends_at"))
                    .value(":ends_at", number(ends_at.0));
            }
        }
        if let Some(phase) = step.phase {
            write = write.set("#phase = :phase").value(":phase", text(phase));
        }
        if is_complete && task.chunks[chunk].ends_at.is_some() {
            write = write.remove(&format!("#chunks[{chunk}].#ends_at"));
        }
        if step.to > step.from {
            // Getting somewhere is what attempts and dispatches are there to bring about.
            write = write
                .set(&format!("#chunks[{chunk}].#attempts = :zero"))
                .set("#dispatches = :zero");
            let is_released = matches!(hold, Hold::Released { .. });
            if !is_released && task.chunks[chunk].paused_milliseconds > 0 {
                // Something got through; who lets go knows better.
                write = write.set(&format!("#chunks[{chunk}].#paused_milliseconds = :zero"));
            }
            if task.dispatches > 0 {
                // The sweeper meant to give it longer with every dispatch; now a lease will do.
                write = write.set("#check_at = :alive");
            }
        }
        match self.update(write).await? {
            Ok(task) => Ok(Advance::Saved(task)),
            Err(Some(stored))
                if stored.status == Status::Processing
                    && stored.is_held_by(chunk, owner)
                    && stored.chunks[chunk].cursor == step.to =>
            {
                Ok(Advance::Saved(stored))
            }
            Err(_) => Ok(Advance::Lost),
        }
    }

    /// Lets go of a chunk as if it had not been claimed: for a worker that got nowhere through no fault of the
    /// item at the cursor, which must not be blamed for it. `attempts` is what there were without this one.
    ///
    /// The condition on the cursor is for a worker that did get somewhere and was not told: the attempts are those at
    /// another item, and would now be held against the next. Should it fail, the lease runs out; unless the cursor
    /// moved, the attempt counts.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn give_back(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        owner: &Owner,
        cursor: u64,
        attempts: u32,
    ) -> Result<bool, StoreError> {
        let write = Write::to(task_key(&task.user, task.task_id))
            .set(&format!("#chunks[{chunk}].#attempts = :attempts"))
            .set(&format!("#chunks[{chunk}].#lease_until = :zero"))
            .set(&format!("#chunks[{chunk}].#released_at = :now"))
            .only_if(guard("give back: processing", PROCESSING))
            .only_if(guard("give back: owner", owner_is(chunk)))
            .only_if(guard("give back: cursor", cursor_is(chunk)))
            .value(":from", number(cursor))
            .value(":attempts", number(attempts.into()))
            .value(":now", number(self.host.now().0))
            .value(":owner", text(owner.as_str()))
            .statuses();
        Ok(self.update(write).await?.is_ok())
    }

    /// Ends an open task and frees its user, if the task is still open.
    ///
    /// The lock needs no condition of its own: while a task is open the lock is its own, because
    /// whoever takes the lock over ends the task in the same transaction.
    ///
    /// Returns whether it was this call that ended the task.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] the task may have ended.
    pub async fn finish(&self, task: &Task, outcome: &Outcome) -> Result<bool, StoreError> {
        let end = Self::end(task, outcome, self.host.now()).only_if(guard("finish: open", OPEN));
        self.free_with(task, end).await
    }

    /// The same, only while `owner` holds `chunk`: for a worker that concludes from the attempts
    /// before it, or from what is not there, that the chunk cannot be done. As long as it is the owner, nobody else has.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`].
    pub async fn give_up_chunk(
        &self,
        task: &Task,
        chunk: ChunkIndex,
        owner: &Owner,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        let end = Self::end(task, outcome, self.host.now())
            .only_if(guard("give up chunk: open", OPEN))
            .only_if(guard("give up chunk: owner", owner_is(chunk)))
            .value(":owner", text(owner.as_str()));
        self.free_with(task, end).await
    }

    /// The same, only if the task is exactly as it was seen: for those who conclude from what they
    /// do *not* see that it is dead.
    ///
    /// # Errors
    ///
    /// As [`Self::finish`].
    pub async fn give_up(&self, task: &Task, outcome: &Outcome) -> Result<bool, StoreError> {
        let end = Self::end(task, outcome, self.host.now()).only_if(guard("give up: seen", SEEN));
        self.free_with(task, end).await
    }

    /// Ends the task with this write and deletes its lock, together or not at all.
    async fn free_with(&self, task: &Task, end: Write) -> Result<bool, StoreError> {
        let actions = vec![end.into_action(&self.table)?, self.delete_lock(task)?];
        Ok(matches!(
            self.transact(actions).await?,
            Transaction::Committed
        ))
    }

    fn end(task: &Task, outcome: &Outcome, now: Timestamp) -> Write {
        let mut write = Write::to(task_key(&task.user, task.task_id))
            .set("#status = :ended")
            .ended_at(now)
            .value(":ended", text(outcome.status().as_str()))
            .value(":seen", number(task.version))
            .statuses();
        if let Some(error) = outcome.error() {
            write = write.set("#error = :error").value(":error", text(error));
        }
        write
    }

    fn delete_lock(&self, task: &Task) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(address(&lock_key(&task.user, &task.lock))))
            .build()
            .map_err(rejected)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// Calling a task off.
impl Store {
    /// Ends an open task as cancelled and frees its user at once. Workers notice at their next
    /// write, whose condition then fails.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::Unavailable`] the task may be cancelled.
    pub async fn cancel(&self, task: &Task) -> Result<Cancellation, StoreError> {
        let write = Write::to(task_key(&task.user, task.task_id))
            .set("#status = :cancelled")
            .ended_at(self.host.now())
            .only_if(guard("cancel: open", OPEN))
            .value(":cancelled", text(Status::Cancelled.as_str()))
            .statuses();
        self.free_with(task, write).await?;
        // Committed or refused: the task has ended now, and reading it tells how.
        let stored = self.task(&task.user, task.task_id).await?;
        Ok(match stored {
            None => Cancellation::Missing,
            Some(task) if task.status == Status::Cancelled => Cancellation::Cancelled(task),
            Some(task) => Cancellation::Ended(task.status),
        })
    }
}

/// Sweeping: finding what nobody works on.
impl Store {
    /// Open tasks of one shard that are due for a look, the longest overdue first, as the index
    /// shows them: possibly moved or ended since.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn due_tasks(
        &self,
        shard: u32,
        limit: i32,
    ) -> Result<Vec<(UserId, TaskId)>, StoreError> {
        let (condition, names, values) = expressions(
            "#open_shard = :shard AND #check_at <= :now",
            vec![(":shard", text(shard)), (":now", number(self.host.now().0))],
        );
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(OPEN_TASKS)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .limit(limit)
            .send()
            .await?;
        let mut due = Vec::new();
        for row in answer.items() {
            let key: KeyOfTask = serde_dynamo::from_item(row.clone())?;
            due.push(key.parse().ok_or_else(|| {
                StoreError::Corrupt(format!("not the key of a task: {} {}", key.pk, key.sk).into())
            })?);
        }
        Ok(due)
    }

    /// Moves the time of the next look, if the task is exactly as it was seen.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn look_again(&self, task: &Task, at: Timestamp) -> Result<bool, StoreError> {
        let write = Write::to(task_key(&task.user, task.task_id))
            .set("#check_at = :at")
            .only_if(guard("look again: seen", SEEN))
            .value(":at", number(at.0))
            .value(":seen", number(task.version));
        Ok(self.update(write).await?.is_ok())
    }

    /// Notes that a stalled task is about to be sent to the queue again and counts as alive until
    /// `until`, if the task is exactly as it was seen.
    ///
    /// This comes before the message is sent: a sweeper that crashes in between has cost the task
    /// one lease, one that sent first could send without end. If the answer is lost and the call repeated, what is
    /// stored shows that the dispatch was mine.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn dispatch(&self, task: &Task, until: Timestamp) -> Result<bool, StoreError> {
        let now = self.host.now();
        let write = Write::to(task_key(&task.user, task.task_id))
            .set("#dispatches = #dispatches + :one")
            .set("#dispatched_at = :now")
            .set("#lease_until = :until")
            .set("#check_at = :until")
            .only_if(guard("dispatch: seen", SEEN))
            .value(":now", number(now.0))
            .value(":until", number(until.0))
            .value(":seen", number(task.version));
        Ok(match self.update(write).await? {
            Ok(_) => true,
            Err(stored) => stored.is_some_and(|stored| {
                stored.version == task.version + 1 && stored.dispatched_at == Some(now)
            }),
        })
    }
}

/// Reading.
impl Store {
    /// The table `table`, through this client.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, host: Host) -> Self {
        Self {
            client,
            table: table.into(),
            host,
        }
    }

    /// The machine this store reads the time from.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// One of the user's tasks; `None` when the user has no task of this id, whoever else may.
    ///
    /// The read is consistent: of two polls in a row the second must not show less than the first,
    /// and right after a submit the task must be there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn task(&self, user: &UserId, task_id: TaskId) -> Result<Option<Task>, StoreError> {
        let row = self.get(task_key(user, task_id)).await?;
        Ok(row.map(serde_dynamo::from_item).transpose()?)
    }

    /// The user's tasks, of this job or of any, newest first, from after `after` on.
    ///
    /// One more is read than is asked for: that there are more is known only once one of them is seen. Of one job's
    /// tasks a page may be short, or even empty, and still not be the last: no more than 4 (`TASK_PAGES_MAX`) of the
    /// table's pages are read for it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tasks(
        &self,
        user: &UserId,
        job: Option<&str>,
        limit: usize,
        after: Option<TaskId>,
    ) -> Result<Page<Task, TaskId>, StoreError> {
        let condition = "#pk = :pk AND begins_with(#sk, :prefix)";
        // Tasks that were stored before there were jobs do not say of which they are.
        let filter = job.map(|job| {
            if job == job_of_old() {
                "(#job = :job OR attribute_not_exists(#job))"
            } else {
                "#job = :job"
            }
        });
        let (_, names, values) = expressions(
            &format!("{condition} {}", filter.unwrap_or_default()),
            vec![
                (":pk", text(user_pk(user))),
                (":prefix", text("TASK#")),
                (":job", text(job.unwrap_or_default())),
            ],
        );
        let mut entries: Vec<Task> = Vec::new();
        let mut start = after.map(|task_id| address(&task_key(user, task_id)));
        let mut pages = 0;
        while entries.len() <= limit {
            if filter.is_some() && pages > TASK_PAGES_MAX {
                let read_to: KeyOfTask = serde_dynamo::from_item(start.unwrap_or_default())?;
                let next = read_to.parse().map(|(_, task_id)| task_id);
                return Ok(Page { entries, next });
            }
            pages += 1;
            let left = at_most(limit + 1 - entries.len());
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(condition)
                .set_filter_expression(filter.map(Into::into))
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .scan_index_forward(false)
                .consistent_read(true)
                // A filter applies after the limit. Most users have tasks of one job only, and then as many do as without
                // a filter; where that did not do, read whole pages of 1 MB.
                .set_limit((filter.is_none() || pages == 1).then_some(left))
                .set_exclusive_start_key(start)
                .send()
                .await?;
            let page: Vec<Task> = serde_dynamo::from_items(answer.items().to_vec())?;
            entries.extend(page);
            // A page of the table ends at 1 MB, which a hundred large tasks have.
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more);
        Ok(Page {
            next: next.map(|task| task.task_id),
            entries,
        })
    }

    /// The settled items of a task in order, from the cursor on, of one outcome or of any.
    ///
    /// Reads no more than 4 (`ITEM_PAGES_MAX`) of the table's whole pages, no chunk of which the task knows that it has
    /// nothing to list, and no further chunk after `until`: small chunks take a call each, and a page has to be answered
    /// with. So a page of this listing may be short, or even empty, and still not be the last; but what it says of where
    /// to go on leads to something.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn items(
        &self,
        listing: &Listing<'_>,
        from: ItemCursor,
        limit: usize,
        until: Instant,
    ) -> Result<Page<ItemRow, ItemCursor>, StoreError> {
        let mut entries: Vec<ItemRow> = Vec::new();
        let mut next = listing.go_on(from);
        let mut pages = 0;
        let mut is_late = false;
        while let Some(cursor) =
            next.filter(|_| entries.len() < limit && pages < ITEM_PAGES_MAX && !is_late)
        {
            let (rows, mut read_to) = self
                .items_of(listing, cursor, limit - entries.len())
                .await?;
            pages += usize::from(read_to.is_some());
            // A row that no cursor has passed is not counted yet, or never will be: its worker lost the chunk.
            let mut rows = rows
                .into_iter()
                .filter(|item| listing.task.is_settled(item.position));
            entries.extend(rows.by_ref().take(limit - entries.len()));
            if rows.next().is_some() {
                read_to = entries.last().map(|item| item.position);
            }
            // The whole chunk, if nothing else is said.
            let last = read_to.unwrap_or(listing.rest(cursor).end.saturating_sub(1));
            next = listing.behind(from, &entries, last);
            is_late = Instant::now() >= until;
        }
        Ok(Page { entries, next })
    }

    /// The rows of one chunk on one of the table's pages, and as far as it goes; `None` for all that there are.
    async fn items_of(
        &self,
        listing: &Listing<'_>,
        cursor: ItemCursor,
        limit: usize,
    ) -> Result<(Vec<ItemRow>, Option<Position>), StoreError> {
        let Listing { task, outcome } = *listing;
        let rest = listing.rest(cursor);
        let rows = Between {
            first: item_key(task, rest.start),
            last: item_key(task, rest.end.saturating_sub(1)),
            outcome,
            // A filter applies after the limit: with one, read whole pages of 1 MB.
            limit: outcome.is_none().then(|| at_most(limit)),
            ..Between::default()
        };
        let (rows, last) = self.page_between(&rows, None).await?;
        let rows = rows.into_iter().map(ItemRow::read);
        let last = last.map(|key| position_of(&key, "ITEM#")).transpose()?;
        Ok((rows.collect::<Result<_, _>>()?, last))
    }

    async fn get(&self, key: Key) -> Result<Option<Row>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(address(&key)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item)
    }
}

/// The task has not ended.
const OPEN: &str = "#status IN (:queued, :processing)";

/// The task is at work.
const PROCESSING: &str = "#status = :processing";

/// The task is open and exactly as it was seen; an ended task never has the version of an open one.
const SEEN: &str = "#version = :seen";

/// The chunk is held by the owner who asks.
fn owner_is(chunk: ChunkIndex) -> String {
    format!("#chunks[{chunk}].#owner = :owner")
}

/// The chunk does not pause, or not any more.
fn pause_is_over(chunk: ChunkIndex) -> String {
    let resumes_at = format!("#chunks[{chunk}].#resumes_at");
    format!("(attribute_not_exists({resumes_at}) OR {resumes_at} <= :now)")
}

/// The chunk's cursor is where the owner left it.
fn cursor_is(chunk: ChunkIndex) -> String {
    format!("#chunks[{chunk}].#cursor = :from")
}

/// A partition key and a sort key.
type Key = (String, String);

fn user_pk(user: &UserId) -> String {
    format!("USER#{}", user.as_str())
}

fn lock_key(user: &UserId, lock: &str) -> Key {
    (user_pk(user), lock.to_owned())
}

fn task_key(user: &UserId, task_id: TaskId) -> Key {
    (user_pk(user), format!("TASK#{task_id}"))
}

fn key_key(user: &UserId, key: &IdempotencyKey) -> Key {
    (user_pk(user), format!("KEY#{}", key.digest()))
}

/// Where everything is that belongs to the items of a chunk.
fn part_pk(task_id: TaskId, chunk: ChunkIndex) -> String {
    format!("TASK#{task_id}#{chunk}")
}

fn item_key(task: &Task, at: Position) -> Key {
    let chunk = task.plan().chunk_of(at);
    // Padded, so that the order of the keys is the order of the items.
    (part_pk(task.task_id, chunk), format!("ITEM#{at:012}"))
}

/// A limit as the calls take it.
fn at_most(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

impl ItemRow {
    fn read(row: Row) -> Result<Self, StoreError> {
        let position = position_of(&row, "ITEM#")?;
        let read: Self = serde_dynamo::from_item(row)?;
        Ok(Self { position, ..read })
    }
}

/// The position in the key of a row that belongs to one.
fn position_of(row: &Row, prefix: &str) -> Result<Position, StoreError> {
    let sk = row.get("sk").and_then(|sk| sk.as_s().ok());
    let position = sk.and_then(|sk| sk.strip_prefix(prefix)?.parse().ok());
    position.ok_or_else(|| StoreError::Corrupt(format!("not a key of {prefix}: {sk:?}").into()))
}

impl KeyOfTask {
    fn parse(&self) -> Option<(UserId, TaskId)> {
        let user = UserId::from_claim(self.pk.strip_prefix("USER#")?)?;
        Some((user, self.sk.strip_prefix("TASK#")?.parse().ok()?))
    }
}

/// Spreads the open tasks evenly: the last digit of an id is random.
fn open_shard(task_id: TaskId) -> u32 {
    let last = task_id.to_string().chars().last();
    last.and_then(|digit| digit.to_digit(16))
        .unwrap_or_default()
        % OPEN_SHARDS
}
