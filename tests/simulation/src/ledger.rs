//! What must always be true, judged after every single call that reached the table.
//!
//! The ledger sees each change with what was there before, who made it, and what that process's
//! clock showed. It knows nothing of how the store phrases its conditions: it judges what came of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longhaul::host::Timestamp;
use longhaul::quota::{Day, Quota};
use longhaul::task::{ATTEMPTS_MAX, Status, TAKE_OVER_AFTER, Task, TaskId, Uniqueness};
use serde_json::Value;

use crate::given::{given_of, judge_retry};
use crate::live::{LiveLedger, is_of_connections};
use crate::site::Function;
use crate::table::{Change, Key, Mirror};

/// Who made a call, and from what position.
pub(crate) struct Writer<'a> {
    /// The function that its process runs.
    pub(crate) function: Function,
    /// The store's method.
    pub(crate) method: &'static str,
    /// What the process's clock shows.
    pub(crate) clock: Timestamp,
    /// Its process.
    pub(crate) process: &'a str,
    /// Whether the process's clock is off.
    pub(crate) skewed: bool,
    /// The processes that something went wrong for: they died, met a fault, or have a wrong clock.
    pub(crate) troubled: &'a BTreeSet<String>,
    /// Whether an item takes its process down, or takes longer than any invocation has.
    pub(crate) kills: &'a dyn Fn(TaskId, u64) -> bool,
    /// The request.
    pub(crate) body: &'a Value,
    /// The versions of tasks as the process last read them.
    pub(crate) versions_read: &'a BTreeMap<Key, u64>,
}

/// What is known of a task beyond its row.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The key of its row.
    pub(crate) key: Key,
    /// When it came into being, in simulated time.
    pub(crate) created_at: Duration,
    /// When it last got on: a claim, a step, its end.
    pub(crate) moved_at: Duration,
    /// When one of its cursors last moved.
    pub(crate) settled_at: Duration,
    /// When a worker first claimed a part of it.
    begun_at: Option<Duration>,
    /// When it ended.
    pub(crate) ended_at: Option<Duration>,
    /// Its settled items: whether each failed.
    pub(crate) items: BTreeMap<u64, bool>,
    /// For each chunk the processes that claimed it since its cursor last moved, but for those that lost it to a
    /// wrong clock or gave it back.
    claimers: BTreeMap<usize, Vec<String>>,
    /// How often each chunk was claimed since its cursor last moved, but for claims that were given back.
    claims: BTreeMap<usize, u32>,
    /// For each chunk who claimed it last, and the items that had their rows by then and were not counted.
    known_settled: BTreeMap<usize, (String, BTreeSet<u64>)>,
    /// When each chunk first moved after the run's first fault.
    moved_after_fault: BTreeMap<usize, Duration>,
    /// Calls that concern it, without those of clients that look.
    pub(crate) calls: u64,
    /// What its items are called, by position.
    indexes: Vec<u64>,
}

/// The judge.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The table.
    pub(crate) mirror: Mirror,
    /// Every task that ever was.
    pub(crate) tasks: BTreeMap<TaskId, Record>,
    /// The same by user.
    of_users: BTreeMap<String, Vec<TaskId>>,
    /// The open tasks under each lock.
    open: BTreeMap<Key, BTreeSet<TaskId>>,
    /// What clients asked to cancel.
    pub(crate) cancels: BTreeSet<TaskId>,
    /// Locks whose holder never was: put there by a test.
    pub(crate) planted: BTreeSet<Key>,
    /// How often the sweeper may dispatch.
    pub(crate) dispatches_max: u32,
    /// Whether every message says that its work was handed on too often.
    pub(crate) hops_limited: bool,
    /// Whether a user may have an open task for each different request.
    pub(crate) one_per_request: bool,
    /// What a user may have accepted in a day.
    pub(crate) quota: Quota,
    /// When something first went wrong.
    pub(crate) fault_at: Option<Duration>,
    /// Live updates and events of ended tasks.
    pub(crate) live: LiveLedger,
    /// What clients were told of each task.
    shown: BTreeMap<(String, TaskId), (u64, u64, String)>,
}

/// An item fails for pauses when there have been an hour of them, but for the last one asked for, which no scenario
/// draws longer than 20 minutes, and for what a worker waited for in place and did not store.
const PAUSED_AT_LEAST: Duration = Duration::from_secs(35 * 60);

type Verdict = Result<(), String>;

fn claim(holds: bool, complaint: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(complaint()) }
}

impl Ledger {
    /// An empty one, for a sweeper that dispatches so often, and what a user may have one of.
    pub(crate) fn new(dispatches_max: u32, uniqueness: Uniqueness) -> Self {
        Self {
            dispatches_max,
            one_per_request: uniqueness == Uniqueness::Request,
            ..Self::default()
        }
    }

    /// The row of a task.
    #[must_use]
    pub(crate) fn task(&self, id: &TaskId) -> Option<&Task> {
        let record = self.tasks.get(id)?;
        self.mirror.get(&record.key)?.task.as_ref()
    }

    /// The open tasks.
    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.open.values().flatten()
    }

    /// Judges the changes that one call made together.
    ///
    /// # Errors
    ///
    /// The invariant that is violated, in a sentence.
    pub(crate) fn judge(&mut self, changes: &[Change], writer: &Writer, now: Duration) -> Verdict {
        let allowed = match writer.function {
            Function::Submit => matches!(writer.method, "submit" | "put_inputs"),
            Function::Status | Function::Ended => false,
            Function::Cancel => writer.method == "cancel",
            Function::Worker => {
                matches!(
                    writer.method,
                    "claim" | "record_items" | "advance" | "give_back" | "finish" | "give_up_chunk"
                )
            }
            Function::Sweeper => {
                matches!(
                    writer.method,
                    "look_again" | "dispatch" | "finish" | "give_up"
                )
            }
            Function::Live => {
                matches!(
                    writer.method,
                    "add_ticket" | "take_ticket" | "connect" | "forget" | "disconnect"
                )
            }
            Function::Notify => writer.method == "forget",
        };
        claim(allowed || changes.is_empty(), || {
            format!("the {} must not {}", writer.function, writer.method)
        })?;
        // Rows of items first: a step in the same call would be judged by them.
        for change in changes {
            if change.key.0.starts_with("TASK#") {
                if change.key.1.starts_with("ITEM#") {
                    self.judge_item(change)?;
                } else {
                    self.judge_needed(change, writer)?;
                }
            }
        }
        for change in changes {
            let (pk, sk) = &change.key;
            if pk.starts_with("TASK#") {
            } else if is_of_connections(&change.key) {
                self.live.judge_row(change, writer)?;
            } else if sk.starts_with("TASK#") {
                self.judge_task(change, writer, now)?;
            } else if sk.starts_with("KEY#") {
                Self::judge_key(change, writer)?;
            } else if sk.starts_with("LOCK") {
                self.planted.remove(&change.key);
            } else if sk.starts_with("QUOTA#") {
                claim(self.quota.is_set(), || {
                    format!("{:?} counts for nothing", change.key)
                })?;
            } else {
                return Err(format!("{:?} is no key of ours", change.key));
            }
        }
        for change in changes {
            if is_of_connections(&change.key) {
                self.live.judge_lists(&self.mirror, &change.key)?;
            }
            if let Some(lock) = Self::lock_concerned(change) {
                self.judge_lock(&lock)?;
            }
            if let Some(task) = change.after.as_ref().and_then(|row| row.task.as_ref()) {
                self.judge_uniqueness(task)?;
                if change.before.is_none() {
                    self.judge_day(task)?;
                }
            }
        }
        Ok(())
    }

    /// What items need is written once, before there is the task, and goes by itself.
    fn judge_needed(&mut self, Change { key, before, after }: &Change, writer: &Writer) -> Verdict {
        let (None, Some(after)) = (before, after) else {
            return Err(format!("what items need, {key:?}, was changed or deleted"));
        };
        let id = key.0.split('#').nth(1).and_then(|id| id.parse().ok());
        let id: TaskId = id.ok_or_else(|| format!("{key:?} names no task"))?;
        claim(!self.tasks.contains_key(&id), || {
            format!("{key:?} came after its task")
        })?;
        // The task may take a week and is kept for longer.
        claim(
            after.number("expires_at") > writer.clock.seconds() + 7 * 86_400,
            || format!("{key:?} is kept for too short a time, or for ever"),
        )
    }

    /// Whatever a worker may come to need is there before the task is. What its items are called, by position.
    fn judge_needs(&self, task: &Task) -> Result<Vec<u64>, String> {
        let id = task.task_id;
        let shared = self.mirror.get(&(format!("TASK#{id}"), "SHARED".into()));
        claim(task.has_shared == shared.is_some(), || {
            format!("{id} has a shared value, or there is none")
        })?;
        let given = given_of(&self.mirror, task)?;
        if let Some(old_id) = task.retry_of {
            let old = self.task(&old_id);
            let old = old.ok_or_else(|| format!("{id} retries {old_id}, which there is not"))?;
            judge_retry(&self.mirror, task, &given, old)?;
        }
        Ok(given.into_iter().map(|(index, _)| index).collect())
    }

    fn judge_item(&mut self, Change { key, before, after }: &Change) -> Verdict {
        let (None, Some(after)) = (before, after) else {
            return Err(format!("the stored item {key:?} was changed or deleted"));
        };
        let (id, chunk) = key
            .0
            .strip_prefix("TASK#")
            .and_then(|pk| pk.split_once('#'))
            .ok_or_else(|| format!("{key:?} is no key of an item"))?;
        let record = id
            .parse()
            .ok()
            .and_then(|id: TaskId| self.tasks.get_mut(&id));
        let record = record.ok_or_else(|| format!("{key:?} is an item of no task"))?;
        let at = key.1.strip_prefix("ITEM#").and_then(|at| at.parse().ok());
        let at: u64 = at.ok_or_else(|| format!("{key:?} is no key of an item"))?;
        let row = self.mirror.get(&record.key);
        let task = row.and_then(|row| row.task.as_ref());
        let task = task.ok_or_else(|| format!("{key:?} is an item of no task"))?;
        claim(at < task.number_of_items, || {
            format!("the task has no item at {at}")
        })?;
        claim(task.plan().chunk_of(at).to_string() == chunk, || {
            format!("the item at {at} is stored in chunk {chunk}")
        })?;
        let index = after.number("index");
        let called = record
            .indexes
            .get(usize::try_from(at).unwrap_or(usize::MAX));
        claim(called == Some(&index), || {
            format!("{key:?} is called {index}")
        })?;
        let chunk = &task.chunks[task.plan().chunk_of(at)];
        let paused = Duration::from_millis(chunk.paused_milliseconds);
        let is_unavailable =
            after.fields.contains_key("error") && after.text("error").contains("not available");
        claim(!is_unavailable || paused > PAUSED_AT_LEAST, || {
            format!("{key:?} failed for pauses of {paused:?} in all")
        })?;
        record.items.insert(at, after.text("outcome") == "failed");
        Ok(())
    }

    /// Judges that a process begins with an item.
    ///
    /// # Errors
    ///
    /// When the item had its row before the process claimed the chunk that it still has.
    pub(crate) fn judge_start(&self, process: &str, id: TaskId, index: u64) -> Verdict {
        let record = self.tasks.get(&id);
        let record =
            record.ok_or_else(|| format!("an item is processed of {id}, which is not stored"))?;
        let mut known = record.known_settled.iter();
        let Some(chunk) = known.find_map(|(chunk, (claimer, rows))| {
            let is_known = |at: &u64| {
                let at = usize::try_from(*at).unwrap_or(usize::MAX);
                record.indexes.get(at) == Some(&index)
            };
            (claimer == process && rows.iter().any(is_known)).then_some(chunk)
        }) else {
            return Ok(());
        };
        Err(format!(
            "item {index} of chunk {chunk} is processed by {process}, which could know that it is settled"
        ))
    }

    fn judge_key(Change { key, before, after }: &Change, writer: &Writer) -> Verdict {
        let Some(after) = after else {
            return Err(format!("the idempotency key {key:?} was deleted"));
        };
        let Some(before) = before else { return Ok(()) };
        claim(
            before.text("task_id") == after.text("task_id")
                || before.number("expires_at") < writer.clock.seconds(),
            || {
                format!(
                    "one idempotency key, two tasks: {} and {}",
                    before.text("task_id"),
                    after.text("task_id")
                )
            },
        )
    }

    fn judge_task(&mut self, change: &Change, writer: &Writer, now: Duration) -> Verdict {
        let Some(row) = &change.after else {
            return Err(format!("the task {:?} was deleted", change.key));
        };
        let Some(after) = &row.task else {
            return Err(format!("{:?} is not a task", change.key));
        };
        let indexed = row.fields.contains_key("open_shard") && row.fields.contains_key("check_at");
        claim(indexed == after.status.is_open(), || {
            "a task must be in the sweeper's index exactly while it is open".into()
        })?;
        let before = change.before.as_ref();
        match before.and_then(|row| row.task.as_ref()) {
            None => self.judge_new(&change.key, after, writer, now)?,
            Some(before) => self.judge_moved(&change.key, before, after, writer, now)?,
        }
        let lock = (change.key.0.clone(), after.lock.clone());
        let open = self.open.entry(lock).or_default();
        if after.status.is_open() {
            open.insert(after.task_id);
        } else {
            open.remove(&after.task_id);
        }
        Ok(())
    }

    fn judge_new(&mut self, key: &Key, task: &Task, writer: &Writer, now: Duration) -> Verdict {
        claim(writer.method == "submit", || {
            format!("{} created a task", writer.method)
        })?;
        claim(task.status == Status::Queued, || {
            "a new task is not queued".into()
        })?;
        claim(!self.tasks.contains_key(&task.task_id), || {
            format!("the id {} was drawn twice", task.task_id)
        })?;
        let indexes = self.judge_needs(task)?;
        let record = Record {
            key: key.clone(),
            indexes,
            created_at: now,
            moved_at: now,
            settled_at: now,
            begun_at: None,
            ended_at: None,
            items: BTreeMap::new(),
            claimers: BTreeMap::new(),
            claims: BTreeMap::new(),
            known_settled: BTreeMap::new(),
            moved_after_fault: BTreeMap::new(),
            calls: 0,
        };
        self.tasks.insert(task.task_id, record);
        let of_user = self.of_users.entry(task.user.as_str().to_owned());
        of_user.or_default().push(task.task_id);
        Ok(())
    }

    fn judge_moved(
        &mut self,
        key: &Key,
        before: &Task,
        after: &Task,
        writer: &Writer,
        now: Duration,
    ) -> Verdict {
        claim(before.status.is_open(), || {
            format!(
                "a task that had ended as {} was changed",
                before.status.as_str()
            )
        })?;
        claim(after.version == before.version + 1, || {
            format!(
                "the version went from {} to {}",
                before.version, after.version
            )
        })?;
        let fixed = |task: &Task| {
            let text = (task.lock.clone(), task.digest.clone(), task.user.clone());
            let numbers = (task.number_of_items, task.chunk_items, task.chunks.len());
            (text, numbers, task.created_at, task.task_id)
        };
        claim(fixed(before) == fixed(after), || {
            "what is fixed changed".into()
        })?;
        claim(
            !(before.status == Status::Processing && after.status == Status::Queued),
            || "the status went back".into(),
        )?;
        // Both act on what they do not see: a sign of life.
        if matches!(writer.function, Function::Sweeper | Function::Submit)
            && (after.status.is_open() || after.outcome().is_none())
        {
            let read = writer.versions_read.get(key);
            claim(read == Some(&before.version), || {
                format!(
                    "the {} saw version {read:?} and overwrote version {}",
                    writer.function, before.version
                )
            })?;
        }
        let mut moved = before.status != after.status;
        for chunk in 0..after.chunks.len() {
            let step = self.judge_chunk(before, after, chunk, writer)?;
            moved |= step != Step::None;
            self.note_step(after, chunk, step, writer, now);
        }
        if !after.status.is_open() {
            self.judge_end(before, after, writer)?;
        }
        if let Some(record) = self.tasks.get_mut(&after.task_id) {
            if moved {
                record.moved_at = now;
            }
            if after.status == Status::Processing {
                record.begun_at.get_or_insert(now);
            }
            if !after.status.is_open() {
                record.ended_at = Some(now);
            }
        }
        Ok(())
    }

    fn note_step(&mut self, task: &Task, chunk: usize, step: Step, writer: &Writer, now: Duration) {
        let after_fault = self.fault_at.is_some_and(|at| at < now);
        let Some(record) = self.tasks.get_mut(&task.task_id) else {
            return;
        };
        let claimers = record.claimers.entry(chunk).or_default();
        let claims = record.claims.entry(chunk).or_default();
        match step {
            Step::None => {}
            Step::Claimed => {
                if writer.skewed {
                    claimers.pop();
                }
                claimers.push(writer.process.to_owned());
                let range = task.plan().range(chunk);
                let open = range.start + task.chunks[chunk].cursor..range.end;
                let rows = record.items.range(open).map(|(at, _)| *at).collect();
                let known = (writer.process.to_owned(), rows);
                record.known_settled.insert(chunk, known);
                *claims += 1;
            }
            Step::GivenBack => {
                claimers.pop();
                *claims = claims.saturating_sub(1);
            }
            Step::On => {
                claimers.clear();
                *claims = 0;
                record.settled_at = now;
                if after_fault {
                    record.moved_after_fault.entry(chunk).or_insert(now);
                }
            }
        }
    }

    /// How long it took from the first fault until every chunk of every task that was not complete then had got
    /// nearer to its end or, where only the end was missing, the task had ended. `None` when nothing was to be done.
    pub(crate) fn recovery(&self) -> Option<Duration> {
        let fault_at = self.fault_at?;
        let moved_at = |record: &Record| {
            let ended_at = record.ended_at.filter(|at| *at > fault_at)?;
            let chunks = record.moved_after_fault.values().copied();
            Some(chunks.max().unwrap_or(ended_at))
        };
        let last = self.tasks.values().filter_map(moved_at).max()?;
        Some(last.saturating_sub(fault_at))
    }

    fn judge_chunk(
        &mut self,
        before: &Task,
        after: &Task,
        chunk: usize,
        writer: &Writer,
    ) -> Result<Step, String> {
        let (old, new) = (&before.chunks[chunk], &after.chunks[chunk]);
        if old == new {
            return Ok(Step::None);
        }
        let Some(record) = self.tasks.get_mut(&after.task_id) else {
            return Err("a task that never was changed".into());
        };
        // A claim that takes effect a second time, late, finds its own owner there.
        if old.owner != new.owner || writer.method == "claim" {
            claim(old.lease_until < writer.clock, || {
                format!("chunk {chunk} was claimed while it was held")
            })?;
            claim((old.cursor, old.failed) == (new.cursor, new.failed), || {
                "a claim moved the cursor".into()
            })?;
            claim(old.pauses_until(writer.clock).is_none(), || {
                format!("chunk {chunk} was claimed in its pause")
            })?;
            let turn = writer.body["ExpressionAttributeValues"][":turn"]["N"].as_str();
            claim(turn.is_none_or(|turn| turn == old.turn.to_string()), || {
                format!("chunk {chunk} was claimed on the word of an old message")
            })?;
            claim(after.status == Status::Processing, || {
                "a claimed task is not at work".into()
            })?;
            claim(new.attempts == old.attempts + 1, || {
                format!(
                    "a claim took the attempts at chunk {chunk} from {} to {}",
                    old.attempts, new.attempts
                )
            })?;
            return Ok(Step::Claimed);
        }
        let owner = old.owner.as_ref().map(longhaul::chunk::Owner::as_str);
        let owner = owner.unwrap_or("nobody");
        claim(writer.body.to_string().contains(owner), || {
            format!("chunk {chunk} belongs to {owner}, and somebody else wrote it")
        })?;
        claim(new.attempts <= old.attempts, || {
            format!(
                "the attempts at chunk {chunk} went from {} to {} without a claim",
                old.attempts, new.attempts
            )
        })?;
        // One that comes a second time finds that it has let go.
        let gives_back = writer.method == "give_back" && old.lease_until > Timestamp::default();
        claim(
            !gives_back || new.attempts == old.attempts.saturating_sub(1),
            || format!("chunk {chunk} was given back, and the attempt still counts"),
        )?;
        let size = after.plan().size(chunk);
        claim(new.cursor >= old.cursor, || {
            format!(
                "the cursor of chunk {chunk} went back from {} to {}",
                old.cursor, new.cursor
            )
        })?;
        claim(new.cursor <= size, || {
            format!("the cursor of chunk {chunk} is past its end")
        })?;
        claim(
            new.failed >= old.failed && new.failed - old.failed <= new.cursor - old.cursor,
            || format!("of chunk {chunk} more failed than were settled, or fewer than before"),
        )?;
        if new.cursor == old.cursor {
            return Ok(if new.attempts < old.attempts {
                Step::GivenBack
            } else {
                Step::None
            });
        }
        let start = after.plan().range(chunk).start;
        let mut failed = 0;
        for index in start..start + new.cursor {
            match record.items.get(&index) {
                Some(item) => failed += u64::from(*item),
                None => return Err(format!("item {index} is counted, but not stored")),
            }
        }
        claim(failed == new.failed, || {
            format!(
                "of chunk {chunk} {failed} rows below the cursor say failed, {} are counted",
                new.failed
            )
        })?;
        Ok(Step::On)
    }

    fn judge_end(&self, before: &Task, after: &Task, writer: &Writer) -> Verdict {
        let outcome = after.outcome();
        let clock = writer.clock;
        claim(after.finished_at.is_some(), || {
            "a task ended without saying when".into()
        })?;
        match (after.status, writer.method) {
            (Status::Cancelled, _) => claim(
                writer.function == Function::Cancel && self.cancels.contains(&after.task_id),
                || "a task was cancelled that nobody wanted cancelled".into(),
            ),
            (Status::Success, _) => {
                // Counted anew, and not as the task itself counts.
                let settled: u64 = after.chunks.iter().map(|chunk| chunk.cursor).sum();
                let record = self.tasks.get(&after.task_id);
                let done = record.map(|record| record.items.values().filter(|failed| !**failed));
                let done = done.map_or(0, |done| done.count() as u64);
                let all = after.number_of_items;
                claim(settled == all && done == all, || {
                    format!(
                        "a task of {all} items succeeded with {settled} settled and {done} done"
                    )
                })
            }
            (Status::Failed, "submit") => {
                claim(clock > before.lease_until.after(TAKE_OVER_AFTER), || {
                    "a live task was overwritten by a new one".into()
                })?;
                let pauses = before
                    .open_chunks()
                    .any(|chunk| chunk.pauses_until(clock).is_some());
                claim(!pauses, || {
                    "a task was overwritten by a new one in its pause".into()
                })
            }
            (Status::Failed, _) if outcome.is_some() => {
                let failed: u64 = after.chunks.iter().map(|chunk| chunk.failed).sum();
                claim(failed > 0, || {
                    "a task failed of which nothing failed".into()
                })
            }
            (Status::Failed, "give_up_chunk") => self.judge_blame(before, writer),
            (Status::Failed, _) => {
                let justified = match writer.function {
                    Function::Worker => self.hops_limited,
                    _ => before.dispatches >= self.dispatches_max,
                };
                claim(justified, || {
                    format!(
                        "the {} gave up a task that is not hopeless: {}",
                        writer.function,
                        after.error.as_deref().unwrap_or_default()
                    )
                })?;
                // A worker that hands on too often has let go of its chunk, and says nothing of the others.
                let held = (0..before.chunks.len())
                    .filter(|_| writer.function == Function::Sweeper)
                    .filter(|&chunk| !before.is_chunk_complete(chunk))
                    .find(|&chunk| before.chunks[chunk].lease_until > clock);
                match held {
                    Some(chunk) => Err(format!(
                        "a task was given up while somebody held chunk {chunk} of it"
                    )),
                    None => Ok(()),
                }
            }
            (Status::Queued | Status::Processing, _) => Ok(()),
        }
    }

    /// An item is to blame only if it takes its workers down. One that does not may be blamed by mistake, but only if
    /// every single worker that tried it met with something else.
    fn judge_blame(&self, before: &Task, writer: &Writer) -> Verdict {
        let record = self.tasks.get(&before.task_id);
        let claimers = record.map(|record| &record.claimers);
        let blamed = |chunk: &usize| {
            let claimers = claimers.and_then(|claimers| claimers.get(chunk));
            let last = claimers.and_then(|claimers| claimers.last());
            before.chunks[*chunk].attempts > ATTEMPTS_MAX
                && !before.is_chunk_complete(*chunk)
                && last.is_some_and(|last| last == writer.process)
        };
        let Some(chunk) = (0..before.chunks.len()).find(blamed) else {
            return Err("an item was blamed by somebody who did not just claim its chunk".into());
        };
        let item = before.plan().range(chunk).start + before.chunks[chunk].cursor;
        // Counted anew, and not as the chunk itself counts.
        let claims = record.and_then(|record| record.claims.get(&chunk));
        let claims = claims.copied().unwrap_or_default();
        claim(claims > ATTEMPTS_MAX, || {
            format!("item {item} was blamed after {claims} claims")
        })?;
        if (writer.kills)(before.task_id, item) {
            return Ok(());
        }
        let claimers = claimers.and_then(|claimers| claimers.get(&chunk));
        let before_it = claimers.into_iter().flatten().rev().skip(1);
        let healthy: Vec<_> = before_it
            .filter(|claimer| !writer.troubled.contains(*claimer))
            .collect();
        claim(healthy.is_empty(), || {
            format!("item {item} was blamed, although nothing was wrong with it or {healthy:?}")
        })
    }

    fn lock_concerned(change: &Change) -> Option<Key> {
        if change.key.1.starts_with("LOCK") {
            return Some(change.key.clone());
        }
        let row = change.after.as_ref();
        let task = row?.task.as_ref()?;
        Some((change.key.0.clone(), task.lock.clone()))
    }

    fn judge_lock(&self, lock: &Key) -> Verdict {
        let none = BTreeSet::new();
        let open = self.open.get(lock).unwrap_or(&none);
        claim(open.len() <= 1, || {
            format!("two tasks are open under one lock: {open:?}")
        })?;
        let holder = self
            .mirror
            .get(lock)
            .map(|row| row.text("task_id").to_owned());
        match (open.first(), holder) {
            (Some(open), Some(holder)) if open.to_string() == holder => Ok(()),
            (Some(open), Some(holder)) => {
                Err(format!("{open} is open, but {holder} holds its lock"))
            }
            (Some(open), None) => Err(format!("{open} is open, but its lock is gone")),
            (None, Some(_)) if self.planted.contains(lock) => Ok(()),
            (None, Some(holder)) => Err(format!("{holder} has ended and still holds the lock")),
            (None, None) => Ok(()),
        }
    }

    /// Which lock a task holds is its own word: here the open tasks are compared by what was asked for.
    fn judge_uniqueness(&self, task: &Task) -> Verdict {
        let of_user = self.of_users.get(task.user.as_str());
        let of_user = of_user.into_iter().flatten();
        let open = of_user.filter_map(|id| self.task(id));
        let alike: Vec<_> = open
            .filter(|open| open.status.is_open())
            .filter(|open| {
                let is_the_same =
                    (&open.job, open.number_of_items) == (&task.job, task.number_of_items);
                !self.one_per_request || is_the_same
            })
            .map(|open| open.task_id)
            .collect();
        claim(alike.len() <= 1, || {
            format!("a user has several open tasks of which there may be one: {alike:?}")
        })
    }

    /// What was accepted of the user's on the day of this task is what is counted, and no more than may be.
    fn judge_day(&self, task: &Task) -> Verdict {
        if !self.quota.is_set() {
            return Ok(());
        }
        let day = Day::of(task.created_at);
        let of_day = self.tasks.keys().filter_map(|id| self.task(id));
        let of_day = of_day
            .filter(|other| other.user == task.user && Day::of(other.created_at) == day)
            .map(|other| other.number_of_items);
        let (tasks, items) = of_day.fold((0, 0), |(tasks, items), more| (tasks + 1, items + more));
        let Quota {
            tasks: most,
            items: most_items,
        } = self.quota;
        let is_within = (most == 0 || tasks <= most) && (most_items == 0 || items <= most_items);
        claim(is_within, || {
            format!("{tasks} tasks of {items} items were accepted, more than the day's quota")
        })?;
        let key = (
            format!("USER#{}", task.user.as_str()),
            format!("QUOTA#{day}"),
        );
        let row = self.mirror.get(&key);
        let counted = row.map(|row| (row.number("tasks"), row.number("items")));
        claim(counted == Some((tasks, items)), || {
            format!("{tasks} tasks of {items} items were accepted, {counted:?} are counted")
        })?;
        let expires_at = row.map_or(0, |row| row.number("expires_at"));
        claim(expires_at >= day.end().seconds(), || {
            format!("what is used on {day} is forgotten on {day}")
        })
    }

    /// Judges that a task of so many items is refused to the user.
    ///
    /// # Errors
    ///
    /// When there was no day on which it would have been too much.
    pub(crate) fn judge_exhausted(&self, user: &str, items: u64) -> Verdict {
        let pk = format!("USER#{user}");
        let mut days = self.mirror.rows_of(&pk);
        let Quota {
            tasks: most,
            items: most_items,
        } = self.quota;
        let is_too_much = |tasks: u64, used: u64| {
            (most > 0 && tasks >= most) || (most_items > 0 && used + items > most_items)
        };
        let was_too_much = days.any(|((_, sk), row)| {
            sk.starts_with("QUOTA#") && is_too_much(row.number("tasks"), row.number("items"))
        });
        claim(was_too_much || is_too_much(0, 0), || {
            format!("{user} was refused {items} items although they were within the quota")
        })
    }

    /// Judges the state that a client is told a task is in, which it asked for at this time: at some moment since then
    /// the task must have been in it.
    ///
    /// # Errors
    ///
    /// When it was not.
    pub(crate) fn judge_state(&self, id: TaskId, told: &str, asked_at: Duration) -> Verdict {
        let (Some(task), Some(record)) = (self.task(&id), self.tasks.get(&id)) else {
            return Err(format!("{id} is said to be {told} and is not stored"));
        };
        let left_at = match told {
            "QUEUED" => record.begun_at.or(record.ended_at),
            "PROCESSING" => record.begun_at.and(record.ended_at),
            _ => None,
        };
        let is = task.status.as_str();
        let was_so = left_at.is_some_and(|left_at| left_at >= asked_at);
        claim(is == told || was_so, || {
            format!("{id} is said to be {told} and is {is}")
        })
    }

    /// Judges what a client is shown of a task, after what was shown before.
    ///
    /// # Errors
    ///
    /// When progress goes down, or a terminal state changes.
    pub(crate) fn judge_view(&mut self, client: &str, id: TaskId, view: &Value) -> Verdict {
        let number = |name: &str| view[name].as_u64().unwrap_or_default();
        let status = view["task_status"].as_str().unwrap_or_default().to_owned();
        let (percentage, done) = (number("done_percentage"), number("count_done_items"));
        let seen = (client.to_owned(), id);
        let ended = |status: &str| matches!(status, "SUCCESS" | "FAILED" | "CANCELLED");
        if let Some((percentage_before, done_before, status_before)) = self.shown.get(&seen) {
            claim(
                percentage >= *percentage_before && done >= *done_before,
                || {
                    format!(
                        "a client saw progress go from {percentage_before} % ({done_before}) to {percentage} % ({done})"
                    )
                },
            )?;
            claim(!ended(status_before) || *status_before == status, || {
                format!("a client saw {status_before} and then {status}")
            })?;
            claim(status_before != "PROCESSING" || status != "QUEUED", || {
                "a client saw the status go back".into()
            })?;
        }
        claim(
            (percentage == 100) == (done == number("number_of_items")),
            || format!("{percentage} % is shown for {done} items"),
        )?;
        claim(
            status != "SUCCESS" || done == number("number_of_items"),
            || "success is shown before every item is done".into(),
        )?;
        self.shown.insert(seen, (percentage, done, status));
        Ok(())
    }
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    None,
    Claimed,
    GivenBack,
    On,
}

/// Until when the task may rest by what is written in it: one of its leases runs, or one of its messages has the time
/// that it is given, which doubles with every dispatch. Who wrote it may have had a fast clock.
#[must_use]
pub(crate) fn resting_until(task: &Task, lease: Duration) -> Timestamp {
    let incomplete = (0..task.chunks.len()).filter(|&chunk| !task.is_chunk_complete(chunk));
    let chunks = incomplete.map(|chunk| &task.chunks[chunk]);
    let wait = lease * 2_u32.pow(task.dispatches.saturating_sub(1).min(4));
    // As long again as it is used to, within bounds.
    let usual = chunks
        .clone()
        .map(|chunk| chunk.waited_milliseconds * 2)
        .max();
    let usual = Duration::from_millis(usual.unwrap_or_default()).min(lease * 16);
    let wait = wait.max(usual);
    let sent = chunks
        .clone()
        .filter_map(longhaul::chunk::Chunk::waits_since);
    chunks
        .map(|chunk| chunk.lease_until)
        .chain(sent.chain(task.dispatched_at).map(|at| at.after(wait)))
        .fold(task.lease_until, Timestamp::max)
}
