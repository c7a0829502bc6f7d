//! What a task is, what it may become, and what its numbers mean.
//!
//! Everything here is a pure function of a [`Task`] and a time that is passed in: no clock, no AWS.
//! This module *decides*; [`crate::store`] *guards* the decision with a condition, because between
//! reading a task and writing it anything may have happened.
//!
//! ```text
//!             claim            every chunk settled, none failed
//!  QUEUED ───────────► PROCESSING ───────────► SUCCESS
//!    │                     │  └──────────────► FAILED   items failed, or nobody could finish it
//!    └── cancel ───────────┴─────────────────► CANCELLED
//! ```
//!
//! The three states on the right are terminal and never change again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::chunk::{Chunk, ChunkIndex, Owner, Plan, Position};
use crate::forecast::Forecast;
use crate::host::{Host, Timestamp};
use crate::order::Order;
use crate::quota::Quota;

/// How long after its lease ran out a task may be taken over by a new one of the same user. It is
/// twice the sweeper's interval: the sweeper gets its chance to revive the task first, also when one of its runs
/// was dropped.
pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(120);

/// How often a chunk may be claimed without its cursor moving. One more, and the item at the cursor
/// is taken to be what kills its workers. Three allow for a deployment and a lost machine.
pub const ATTEMPTS_MAX: u32 = 3;

/// A waiting task's lease doubles with every dispatch, this many times at most: a queue that is
/// merely long must neither be flooded with copies nor have its tasks given up.
const LEASE_DOUBLINGS_MAX: u32 = 4;

/// After so many leases a message counts as lost that should have brought a worker to a chunk, although others work on
/// the same task. Long enough for a queue that is merely long, whose messages it would double.
const WAITING_LEASES: u32 = 4;

/// A stored error message has at most this many bytes: it is part of every later write.
const ERROR_BYTES_MAX: usize = 500;

/// Who a task belongs to: the `sub` claim of the caller's verified token, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// The user that an authorizer's `sub` claim names; `None` when it is empty.
    ///
    /// A claim may hold any character: it only ever becomes part of a key's value, never of an
    /// expression.
    #[must_use]
    pub fn from_claim(sub: &str) -> Option<Self> {
        (!sub.is_empty()).then(|| Self(sub.to_owned()))
    }

    /// The claim's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Identifies a task: a UUID of version 7, so that ids sort by the time of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

impl TaskId {
    /// A new id for a task that is created now.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&host.random().to_be_bytes());
        random[8..].copy_from_slice(&host.random().to_be_bytes()[..2]);
        Self(uuid::Builder::from_unix_timestamp_millis(host.now().0, &random).into_uuid())
    }
}

/// Reads the one textual form that a UUID has (RFC 9562, section 4): 36 characters with hyphens, in any case. It is
/// written in lower case. What else is called a UUID, without hyphens, in braces or as a URN, is of other systems.
impl FromStr for TaskId {
    type Err = MalformedTaskId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id: uuid::fmt::Hyphenated = text.parse().map_err(|_| MalformedTaskId)?;
        Ok(Self(id.into_uuid()))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a task id")]
pub struct MalformedTaskId;

/// Stands for a request wherever two have to be compared: requests for the same items of the same job have equal
/// digests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(String);

impl RequestDigest {
    /// The digest of a request whose canonical form is this text.
    #[must_use]
    pub fn of(canonical: &str) -> Self {
        Self(hex_of_sha256(canonical))
    }

    /// The digest in hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a client sends with a submit that it may have to repeat: the same key means the same submit.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// How long a key is remembered.
    pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

    /// How many characters a key may have.
    pub const LENGTH_MAX: usize = 255;

    /// Reads a header's value; `None` unless it is 1 to [`Self::LENGTH_MAX`] visible ASCII
    /// characters.
    #[must_use]
    pub fn from_header(value: &[u8]) -> Option<Self> {
        let valid =
            (1..=Self::LENGTH_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(value).ok().filter(|_| valid)?;
        Some(Self(text.to_owned()))
    }

    /// What stands for the key in the table: its own text is the client's business.
    #[must_use]
    pub fn digest(&self) -> String {
        hex_of_sha256(&self.0)
    }
}

/// A key may be guessable from other requests of the client: it is not for logs.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

/// The first half of the SHA-256 of `text`, in hexadecimal: 128 bits keep what has to be told apart
/// apart, and keep keys short.
#[must_use]
pub fn hex_of_sha256(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The state of a task, under the names of the HTTP contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Accepted; no worker has begun.
    Queued,
    /// At least one worker has begun.
    Processing,
    /// Every item is done.
    Success,
    /// It ended, but not every item is done.
    Failed,
    /// Its user called it off.
    Cancelled,
}

impl Status {
    /// The states that may still change, which are the ones that hold the user's lock.
    pub const OPEN: [Self; 2] = [Self::Queued, Self::Processing];

    /// The name in the contract and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether the task may still change.
    #[must_use]
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }
}

/// How a task ends when its work ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every item is done.
    Success,
    /// Not every item is done; says why in a sentence for the user.
    Failed(String),
}

impl Outcome {
    /// A failure with this reason, cut to what is stored.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(shortened(reason.into()))
    }

    /// The terminal state.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Success => Status::Success,
            Self::Failed(_) => Status::Failed,
        }
    }

    /// The reason, for a failure.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Failed(reason) => Some(reason),
        }
    }
}

/// Cuts `text` to the size of a stored error.
#[must_use]
pub fn shortened(text: String) -> String {
    cut(text, ERROR_BYTES_MAX)
}

/// Cuts `text` to so many bytes, at a character's border, and shows that.
#[must_use]
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Items that are done.
    pub done: u64,
    /// Items that failed for good.
    pub failed: u64,
    /// `done` as a share of all items, rounded down: 100 only when every item is done.
    pub percentage: u64,
}

/// A task as the table holds it. The names of the fields are the names of the attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The task's id.
    pub task_id: TaskId,
    /// Whose task it is.
    pub user: UserId,
    /// The job that it is a run of, by name.
    #[serde(default = "job_of_old")]
    pub job: String,
    /// The version of the job in which inputs and shared value are stored.
    #[serde(default = "version_of_old")]
    pub job_version: u32,
    /// Whether its items have inputs, which are stored in rows of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_inputs: bool,
    /// Whether its items share a value, which is stored in a row of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_shared: bool,
    /// The task whose items it tries again, if it does. Then the indexes of its items are stored as inputs are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<TaskId>,
    /// The first task of those that were tried again, by which items are known wherever they are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_task_id: Option<TaskId>,
    /// Its state.
    pub status: Status,
    /// How many items it has.
    pub number_of_items: u64,
    /// How many items a chunk has; see [`Plan`].
    pub chunk_items: u64,
    /// The chunks, by index.
    pub chunks: Vec<Chunk>,
    /// Until when the task counts as alive without a further sign of life: only after that may its user have it
    /// replaced. Every worker's write moves it, and so does every dispatch.
    pub lease_until: Timestamp,
    /// How often the sweeper has sent it to the queue again since its cursors last moved.
    pub dispatches: u32,
    /// When the sweeper last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it is given up if it is still not done. What is stored of its items is kept beyond that for as long as the
    /// task itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<Timestamp>,
    /// When a worker first claimed a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What is expected of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What is being done of it, in a few words of its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why it failed, in a sentence for its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The digest of the request that it answers.
    pub digest: RequestDigest,
    /// The sort key of the lock that it holds while it is open.
    pub lock: String,
    /// For how many seconds the task is kept after its end.
    pub retention_seconds: u64,
    /// Grows with every write: "exactly what was seen" is a comparison of this one number, and so
    /// is "anything new?" of a client that polls.
    pub version: u64,
}

/// Tasks that were stored before there were jobs are of this one…
pub(crate) fn job_of_old() -> String {
    "tuned-long-running-task".into()
}

/// …in this version.
pub(crate) fn version_of_old() -> u32 {
    1
}

/// What a user may have one of at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// One open task.
    User,
    /// One open task of each job.
    Job,
    /// One open task for each different request.
    Request,
}

impl Uniqueness {
    /// The sort key of the lock that a task for `order` holds.
    #[must_use]
    pub fn lock(self, order: &Order) -> String {
        match self {
            Self::User => "LOCK".into(),
            Self::Job => format!("LOCK#{}", order.job),
            Self::Request => format!("LOCK#{}", order.digest.as_str()),
        }
    }
}

/// The terms on which new tasks are accepted. What a running task needs of them is stored with it,
/// so a change of configuration leaves running tasks alone.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many items a chunk has, unless that would make too many chunks.
    pub chunk_items: u64,
    /// Within what time a worker should have begun.
    pub lease: Duration,
    /// Within what time it must be done.
    pub lifetime: Duration,
    /// How long the task is kept after its end.
    pub retention: Duration,
    /// What a user may have one of at a time.
    pub uniqueness: Uniqueness,
    /// What a user may have accepted in a day.
    pub quota: Quota,
}

/// What the sweeper finds when it looks at a task, and thereby what it has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// It has ended. Nothing to do.
    Closed,
    /// All its work is done, but whoever did the last of it did not live to say so.
    Complete(Outcome),
    /// It has not been done in the time that a task has.
    Overdue(Outcome),
    /// Somebody is at work, or ought to be soon. Look again at the given time.
    Alive(Timestamp),
    /// These chunks have lost their worker, or the message that should bring one.
    Stalled(Vec<ChunkIndex>),
    /// It was dispatched again and again, and nobody got anywhere.
    Hopeless(Outcome),
}

impl Task {
    /// A task that is accepted now.
    #[must_use]
    pub fn new(host: &Host, user: UserId, order: &Order, terms: &Terms) -> Self {
        let now = host.now();
        let plan = Plan::new(order.number_of_items, terms.chunk_items);
        Self {
            task_id: TaskId::new(host),
            user,
            job: order.job.into(),
            job_version: order.version,
            has_inputs: !order.inputs.is_empty(),
            has_shared: order.shared.is_some(),
            retry_of: None,
            first_task_id: None,
            status: Status::Queued,
            number_of_items: order.number_of_items,
            chunk_items: plan.chunk_items(),
            chunks: vec![Chunk::default(); plan.chunks()],
            lease_until: now.after(terms.lease),
            dispatches: 0,
            dispatched_at: None,
            created_at: now,
            ends_by: Some(now.after(terms.lifetime)),
            started_at: None,
            finished_at: None,
            forecast: None,
            phase: None,
            error: None,
            lock: terms.uniqueness.lock(order),
            digest: order.digest.clone(),
            retention_seconds: terms.retention.as_secs(),
            version: 0,
        }
    }

    /// A task that tries again what `old` left undone.
    ///
    /// Its lock is the one that a submit of the same request has: two retries exclude each other as two submits do.
    #[must_use]
    pub fn retrying(host: &Host, old: &Self, job: &'static str, terms: &Terms) -> Self {
        let items = old.number_of_items - old.progress().done;
        let order = Order {
            version: old.job_version,
            digest: RequestDigest::of(&format!("retry of {}", old.task_id)),
            ..Order::numbered(job, items)
        };
        let lock = match terms.uniqueness {
            Uniqueness::Request if old.lock.starts_with("LOCK#") => old.lock.clone(),
            uniqueness => uniqueness.lock(&order),
        };
        Self {
            has_inputs: old.has_inputs,
            has_shared: old.has_shared,
            retry_of: Some(old.task_id),
            first_task_id: Some(old.first_task_id()),
            lock,
            ..Self::new(host, old.user.clone(), &order, terms)
        }
    }

    /// The task by which its items are known wherever they are tried.
    #[must_use]
    pub fn first_task_id(&self) -> TaskId {
        self.first_task_id.unwrap_or(self.task_id)
    }

    /// Whether something of its items is stored before they are processed.
    #[must_use]
    pub fn has_given(&self) -> bool {
        self.has_given_each() || self.has_shared
    }

    /// Whether something is stored of each of its items before it is processed.
    #[must_use]
    pub fn has_given_each(&self) -> bool {
        self.has_inputs || self.has_indexes()
    }

    /// Whether the indexes of its items are not their positions.
    #[must_use]
    pub fn has_indexes(&self) -> bool {
        self.retry_of.is_some()
    }

    /// How the items are spread over the chunks.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::new(self.number_of_items, self.chunk_items)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let sum =
            |count: fn(&Chunk) -> u64| self.chunks.iter().map(count).fold(0, u64::saturating_add);
        let settled = sum(|chunk| chunk.cursor);
        let failed = sum(|chunk| chunk.failed);
        let done = settled.saturating_sub(failed);
        // 128 bits: a hundred times the number of items may not fit in 64.
        let percentage = u128::from(done) * 100 / u128::from(self.number_of_items.max(1));
        Progress {
            done,
            failed,
            percentage: u64::try_from(percentage).unwrap_or(100),
        }
    }

    /// Whether every item of `chunk` is settled.
    #[must_use]
    pub fn is_chunk_complete(&self, chunk: ChunkIndex) -> bool {
        self.chunks
            .get(chunk)
            .is_none_or(|stored| stored.cursor >= self.plan().size(chunk))
    }

    /// Whether the item is counted as done or failed.
    #[must_use]
    pub fn is_settled(&self, item: Position) -> bool {
        let chunk = self.plan().chunk_of(item);
        let cursor = self.chunks.get(chunk).map_or(0, |stored| stored.cursor);
        item < self.plan().range(chunk).start.saturating_add(cursor)
    }

    /// How the task ends, once every item is settled; `None` before.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        if !(0..self.chunks.len()).all(|chunk| self.is_chunk_complete(chunk)) {
            return None;
        }
        let failed = self.progress().failed;
        Some(if failed == 0 {
            Outcome::Success
        } else {
            Outcome::failed(format!(
                "{failed} of {} items failed.",
                self.number_of_items
            ))
        })
    }

    /// Whether `owner` holds `chunk`.
    #[must_use]
    pub fn is_held_by(&self, chunk: ChunkIndex, owner: &Owner) -> bool {
        self.chunks
            .get(chunk)
            .is_some_and(|stored| stored.owner.as_ref() == Some(owner))
    }

    /// The chunks that a worker could take on now: not complete, held by nobody, and not pausing.
    #[must_use]
    pub fn claimable_chunks(&self, now: Timestamp) -> Vec<ChunkIndex> {
        (0..self.chunks.len())
            .filter(|&chunk| !self.is_chunk_complete(chunk))
            .filter(|&chunk| self.chunks[chunk].lease_until < now)
            .filter(|&chunk| self.chunks[chunk].pauses_until(now).is_none())
            .collect()
    }

    /// Whether the task's user may have it replaced: it is open, but its lease ran out and the
    /// sweeper did not revive it either.
    ///
    /// A chunk that pauses is none of the sweeper's business before its pause is over, and then has a lease's time,
    /// whatever the others have written since.
    #[must_use]
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        let resumes_at = self.open_chunks().filter_map(|chunk| chunk.resumes_at);
        let alive_until = resumes_at
            .map(|resumes_at| resumes_at.after(TAKE_OVER_AFTER))
            .fold(self.lease_until, Timestamp::max);
        self.status.is_open() && now > alive_until.after(TAKE_OVER_AFTER)
    }

    /// When it goes on, if all that is left of it pauses at `now`.
    #[must_use]
    pub fn pauses_until(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.status.is_open() {
            return None;
        }
        let mut first = None;
        for chunk in self.open_chunks() {
            let resumes_at = chunk.pauses_until(now).filter(|_| !chunk.is_claimed())?;
            first = Some(first.map_or(resumes_at, |first| resumes_at.min(first)));
        }
        first
    }

    /// The chunks of which something is left to be done.
    pub fn open_chunks(&self) -> impl Iterator<Item = &Chunk> {
        let chunks = self.chunks.iter().enumerate();
        let open = chunks.filter(|(index, _)| !self.is_chunk_complete(*index));
        open.map(|(_, chunk)| chunk)
    }

    /// How long the task may be left alone after it is dispatched once more.
    #[must_use]
    pub fn dispatch_lease(&self, lease: Duration) -> Duration {
        dispatch_lease(lease, self.dispatches)
    }

    /// What the sweeper has to do about the task. `lease` is how long a worker may be silent, and
    /// `dispatches_max` how often the task may be sent to the queue again without its cursors moving.
    #[must_use]
    pub fn diagnose(&self, now: Timestamp, lease: Duration, dispatches_max: u32) -> Diagnosis {
        if !self.status.is_open() {
            return Diagnosis::Closed;
        }
        if let Some(outcome) = self.outcome() {
            return Diagnosis::Complete(outcome);
        }
        if self.ends_by.is_some_and(|ends_by| ends_by < now) {
            return Diagnosis::Overdue(Outcome::failed("It was not done in time."));
        }
        let stalled: Vec<_> = self
            .claimable_chunks(now)
            .into_iter()
            .filter(|&chunk| self.due_at(chunk, now, lease) < now)
            .collect();
        if stalled.is_empty() {
            return Diagnosis::Alive(self.next_look(now, lease));
        }
        if self.dispatches >= dispatches_max {
            // Somebody who came after all, or will after a pause, may yet get somewhere.
            let pauses = self
                .open_chunks()
                .filter_map(|chunk| chunk.pauses_until(now));
            if let Some(until) = self.running_leases(now).chain(pauses).min() {
                return Diagnosis::Alive(until);
            }
            return Diagnosis::Hopeless(Outcome::failed(format!(
                "No worker made progress, although the task was dispatched {} times.",
                self.dispatches + 1
            )));
        }
        Diagnosis::Stalled(stalled)
    }

    /// Until when the chunk is none of the sweeper's business: its lease, or the time within which a message should
    /// have brought it a worker; the message that was sent after its worker had died, if one was.
    fn due_at(&self, chunk: ChunkIndex, now: Timestamp, lease: Duration) -> Timestamp {
        let chunk = &self.chunks[chunk];
        let is_unsent_for = self.dispatched_at.is_none_or(|at| at <= chunk.lease_until);
        if chunk.is_claimed() && is_unsent_for {
            return chunk.lease_until;
        }
        let sent = [chunk.waits_since(), self.dispatched_at]
            .into_iter()
            .flatten();
        let waiting_since = sent.fold(self.created_at, Timestamp::max);
        // A queue is about as long as it was, and must not be filled with copies of what is in it.
        let usual = Duration::from_millis(chunk.waited_milliseconds.saturating_mul(2));
        let patience = dispatch_lease(lease, self.dispatches.saturating_sub(1))
            .max(usual.min(dispatch_lease(lease, LEASE_DOUBLINGS_MAX)));
        let is_at_work = self.running_leases(now).next().is_some();
        waiting_since.after(if is_at_work {
            patience.max(lease * WAITING_LEASES)
        } else {
            patience
        })
    }

    /// The leases on incomplete chunks that have not run out.
    fn running_leases(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        (0..self.chunks.len())
            .filter(|&chunk| !self.is_chunk_complete(chunk))
            .map(|chunk| self.chunks[chunk].lease_until)
            .filter(move |&lease_until| lease_until > now)
    }

    /// When the first of the chunks is due that are not yet.
    fn next_look(&self, now: Timestamp, lease: Duration) -> Timestamp {
        (0..self.chunks.len())
            .filter(|&chunk| !self.is_chunk_complete(chunk))
            .map(|chunk| self.due_at(chunk, now, lease))
            .filter(|&due_at| due_at > now)
            .min()
            .unwrap_or(now)
    }
}

/// How long a task may be left alone after it was dispatched, having been dispatched so often before.
fn dispatch_lease(lease: Duration, dispatches: u32) -> Duration {
    lease * 2_u32.pow(dispatches.min(LEASE_DOUBLINGS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn host() -> Host {
        Host::new(|| Timestamp(1_000_000), || 7)
    }

    fn task(number_of_items: u64) -> Task {
        let terms = Terms {
            chunk_items: 100,
            lease: LEASE,
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim("user").unwrap();
        Task::new(
            &host(),
            user,
            &Order::numbered("tuned-long-running-task", number_of_items),
            &terms,
        )
    }

    fn at_work(number_of_items: u64, cursors: &[u64]) -> Task {
        let mut task = task(number_of_items);
        task.status = Status::Processing;
        task.started_at = Some(task.created_at);
        for (chunk, cursor) in task.chunks.iter_mut().zip(cursors) {
            chunk.cursor = *cursor;
            chunk.lease_until = task.lease_until;
        }
        task
    }

    fn later(task: &Task, seconds: u64) -> Timestamp {
        task.created_at.after(Duration::from_secs(seconds))
    }

    #[test]
    fn the_percentage_is_100_only_when_every_item_is_done() {
        assert_eq!(at_work(1000, &[100, 99]).progress().percentage, 19);
        let mut nearly = at_work(200, &[100, 99]);
        assert_eq!(nearly.progress().percentage, 99);
        nearly.chunks[1].cursor = 100;
        assert_eq!(nearly.progress().percentage, 100);
        nearly.chunks[1].failed = 1;
        assert_eq!(nearly.progress().percentage, 99);
        assert_eq!(nearly.progress().failed, 1);
    }

    #[test]
    fn a_task_ends_only_when_every_chunk_is_complete() {
        assert_eq!(at_work(200, &[100, 99]).outcome(), None);
        assert_eq!(at_work(200, &[100, 100]).outcome(), Some(Outcome::Success));
        let mut failing = at_work(200, &[100, 100]);
        failing.chunks[0].failed = 3;
        let expected = Outcome::failed("3 of 200 items failed.");
        assert_eq!(failing.outcome(), Some(expected));
    }

    #[test]
    fn an_id_is_read_in_any_case_and_written_in_lower_case() {
        let id = TaskId::new(&host());
        assert_eq!(id.to_string().parse(), Ok(id));
        let written = "0192f0c1-abcd-7000-8000-0000000000ef";
        for read in [
            written,
            &written.to_uppercase(),
            "0192f0C1-aBcD-7000-8000-0000000000Ef",
        ] {
            let id: TaskId = read.parse().unwrap();
            assert_eq!(id.to_string(), written, "{read}");
        }
        for wrong in [
            "",
            "x",
            " 0192f0c1-0000-7000-8000-000000000000",
            "{0192f0c1-0000-7000-8000-000000000000}",
            "urn:uuid:0192f0c1-0000-7000-8000-000000000000",
            "0192f0c1000070008000000000000000",
        ] {
            assert_eq!(wrong.parse::<TaskId>(), Err(MalformedTaskId), "{wrong}");
        }
    }

    #[test]
    fn a_dead_worker_is_found_when_its_lease_ends_and_not_before() {
        let task = at_work(200, &[50, 60]);
        let diagnosis = task.diagnose(later(&task, 59), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Alive(task.lease_until));
        let diagnosis = task.diagnose(later(&task, 61), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Stalled(vec![0, 1]));
    }

    #[test]
    fn one_dead_worker_is_found_while_the_others_live() {
        let mut task = at_work(300, &[50, 60, 0]);
        task.lease_until = later(&task, 100);
        task.chunks[1].lease_until = later(&task, 100);
        task.chunks[2].lease_until = Timestamp::default();
        let diagnosis = task.diagnose(later(&task, 61), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Stalled(vec![0]));
    }

    #[test]
    fn chunks_that_wait_in_the_queue_are_left_there_until_the_whole_task_stalls() {
        let mut task = at_work(300, &[50, 60, 0]);
        task.chunks[2].lease_until = Timestamp::default();
        let diagnosis = task.diagnose(later(&task, 30), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Alive(task.lease_until));
        let waiting = self::task(300);
        let diagnosis = waiting.diagnose(later(&waiting, 61), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Stalled(vec![0, 1, 2]));
    }

    #[test]
    fn a_chunk_whose_message_is_lost_is_found_while_others_work() {
        let mut task = at_work(300, &[50, 60, 0]);
        task.chunks[2].lease_until = Timestamp::default();
        for chunk in [0, 1] {
            task.chunks[chunk].lease_until = later(&task, 1000);
        }
        task.lease_until = later(&task, 1000);
        let diagnose = |task: &Task, seconds| task.diagnose(later(task, seconds), LEASE, 10);
        let alive_until = |task: &Task, seconds| Diagnosis::Alive(later(task, seconds));
        assert_eq!(diagnose(&task, 239), alive_until(&task, 240));
        assert_eq!(diagnose(&task, 241), Diagnosis::Stalled(vec![2]));
        // It waits anew after it was released, and after it was dispatched.
        task.chunks[2].released_at = Some(later(&task, 100));
        assert_eq!(diagnose(&task, 339), alive_until(&task, 340));
        assert_eq!(diagnose(&task, 341), Diagnosis::Stalled(vec![2]));
        task.dispatched_at = Some(later(&task, 341));
        assert_eq!(diagnose(&task, 580), alive_until(&task, 581));
        // With nobody at work any more, a lease is long enough.
        task.chunks[0].cursor = 100;
        task.chunks[1].cursor = 100;
        assert_eq!(diagnose(&task, 400), alive_until(&task, 401));
        assert_eq!(diagnose(&task, 402), Diagnosis::Stalled(vec![2]));
    }

    #[test]
    fn a_chunk_that_is_used_to_long_queues_is_given_time() {
        let mut task = at_work(100, &[50]);
        task.chunks[0].lease_until = Timestamp::default();
        task.chunks[0].released_at = Some(later(&task, 100));
        task.chunks[0].waited_milliseconds = 150_000;
        let diagnose = |task: &Task, seconds| task.diagnose(later(task, seconds), LEASE, 10);
        let waiting = Diagnosis::Alive(later(&task, 400));
        assert_eq!(diagnose(&task, 399), waiting);
        assert_eq!(diagnose(&task, 401), Diagnosis::Stalled(vec![0]));
        // Whatever a wrong clock made of it, there is an end.
        task.chunks[0].waited_milliseconds = u64::MAX;
        let waiting = Diagnosis::Alive(later(&task, 100 + 16 * 60));
        assert_eq!(diagnose(&task, 399), waiting);
    }

    #[test]
    fn a_dead_workers_chunk_is_sent_for_once_and_then_waited_for() {
        let mut task = at_work(200, &[50, 60]);
        task.chunks[1].lease_until = later(&task, 1000);
        task.dispatches = 1;
        task.dispatched_at = Some(later(&task, 70));
        let diagnose = |task: &Task, seconds| task.diagnose(later(task, seconds), LEASE, 10);
        let waiting = Diagnosis::Alive(later(&task, 310));
        assert_eq!(diagnose(&task, 130), waiting);
        assert_eq!(diagnose(&task, 311), Diagnosis::Stalled(vec![0]));
        // Who came then has died, too.
        task.chunks[0].lease_until = later(&task, 200);
        assert_eq!(diagnose(&task, 201), Diagnosis::Stalled(vec![0]));
    }

    #[test]
    fn a_task_that_somebody_is_at_work_on_is_not_given_up() {
        let mut task = at_work(200, &[0, 0]);
        task.dispatches = 10;
        task.chunks[1].lease_until = later(&task, 2000);
        let alive = Diagnosis::Alive(later(&task, 2000));
        assert_eq!(task.diagnose(later(&task, 1999), LEASE, 10), alive);
        let diagnosis = task.diagnose(later(&task, 2001), LEASE, 10);
        assert!(matches!(diagnosis, Diagnosis::Hopeless(_)));
    }

    #[test]
    fn a_task_that_pauses_is_not_given_up() {
        let mut task = at_work(200, &[0, 0]);
        task.dispatches = 10;
        task.chunks[1].lease_until = Timestamp::default();
        task.chunks[1].released_at = Some(later(&task, 10));
        task.chunks[1].resumes_at = Some(later(&task, 2000));
        let alive = Diagnosis::Alive(later(&task, 2000));
        assert_eq!(task.diagnose(later(&task, 1999), LEASE, 10), alive);
        let diagnosis = task.diagnose(later(&task, 2001), LEASE, 10);
        assert!(matches!(diagnosis, Diagnosis::Hopeless(_)));
    }

    #[test]
    fn the_sweeper_looks_again_when_the_first_lease_runs_out() {
        let mut task = at_work(200, &[50, 60]);
        task.lease_until = later(&task, 500);
        task.chunks[0].lease_until = later(&task, 300);
        task.chunks[1].lease_until = later(&task, 400);
        let diagnosis = task.diagnose(later(&task, 10), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Alive(later(&task, 300)));
    }

    #[test]
    fn an_item_is_settled_once_its_chunks_cursor_has_passed_it() {
        let task = at_work(250, &[50, 0, 50]);
        let settled = [0, 49, 200, 249];
        let open = [50, 99, 100, 199, 250, 1000];
        assert!(settled.iter().all(|&item| task.is_settled(item)));
        assert!(open.iter().all(|&item| !task.is_settled(item)));
    }

    #[test]
    fn a_task_that_nobody_gets_on_with_is_given_up() {
        let mut task = task(10);
        task.dispatches = 10;
        // The lease has doubled four times.
        let diagnosis = task.diagnose(later(&task, 959), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Alive(later(&task, 960)));
        let diagnosis = task.diagnose(later(&task, 961), LEASE, 10);
        assert!(matches!(diagnosis, Diagnosis::Hopeless(_)));
    }

    #[test]
    fn work_that_is_done_is_finished_even_if_its_worker_died() {
        let task = at_work(100, &[100]);
        let diagnosis = task.diagnose(later(&task, 1), LEASE, 10);
        assert_eq!(diagnosis, Diagnosis::Complete(Outcome::Success));
    }

    #[test]
    fn a_task_is_abandoned_only_after_the_sweeper_had_its_chance() {
        let mut task = at_work(100, &[1]);
        assert!(!task.is_abandoned(later(&task, 179)));
        assert!(task.is_abandoned(later(&task, 181)));
        task.status = Status::Failed;
        assert!(!task.is_abandoned(later(&task, 1000)));
    }

    #[test]
    fn a_long_error_is_cut_at_a_characters_border() {
        let long = "ä".repeat(1000);
        let Outcome::Failed(reason) = Outcome::failed(long) else {
            unreachable!()
        };
        assert!(reason.len() <= ERROR_BYTES_MAX + '…'.len_utf8());
    }
}
