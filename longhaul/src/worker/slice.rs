//! One worker's stay with one chunk: from the claim until the chunk is complete, or time is up, or
//! somebody else has taken over.
//!
//! Items run concurrently and finish in any order, but are committed in order: the rows of a run of
//! settled items first, then the cursor past them. So one number says how far the chunk is, and a
//! row always exists for what is counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::meter::{Meter, Running};
use super::{Invocation, Worker};
use crate::aws::CALL_SECONDS_MAX;
use crate::chunk::{ChunkIndex, ItemIndex, Owner, Position};
use crate::forecast::{Forecast, Reckoning};
use crate::host::Host;
use crate::runner::{AnyBatch, AnyJob, Attempt, Failure, StoredItem};
use crate::store::{Advance, Given, Hold, ItemOutcome, ItemRow, Step, StoreError};
use crate::task::{Task, shortened};
use crate::telemetry;

/// A longer wait between two workers is that of a wrong clock.
const USUAL_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long the first item that could be saved waits for others. Items that were started together
/// tend to end together, and are worth one write, not two.
const GATHERING: Duration = Duration::from_millis(50);

/// How many settled items may wait to be saved, beyond those in flight: an item that takes long must
/// not let the others run ahead without end, because whatever is not saved is lost in a crash.
const UNSAVED_MAX: usize = 200;

/// So many items in a row are saved without waiting for the progress interval, in a task of few chunks.
const SAVED_AT_ONCE: usize = 100;

/// How often an item is tried before a retryable error counts, if there is time for it.
const ITEM_ATTEMPTS_MAX: u32 = 3;

/// How long an item waits before it is tried again; doubles each time.
const ITEM_RETRY_WAIT: Duration = Duration::from_millis(200);

/// A task whose many chunks are at work at once writes its one row from many workers. Beyond this
/// number of chunks each saves less often, so that the row is written at most 20 times a second,
/// far below what one partition of the table takes.
const CHUNKS_AT_FULL_RATE: usize = 10;

/// What users read of an item that brought down whatever ran it.
const PANICKED: &str = "Processing the item panicked.";

/// How a stay ends.
pub(crate) enum End {
    /// Every item of the chunk is settled and saved.
    Complete,
    /// Time is up, or the job could not start and should be left alone for a while; what is done is saved and the
    /// chunk is free again.
    Released(Duration),
    /// What is stored of its items is not all there.
    Incomplete,
    /// The chunk is somebody else's now, or the task has ended.
    Lost,
}

pub(crate) struct Slice<'a> {
    worker: &'a Worker,
    job: Arc<dyn AnyJob>,
    /// The job's share in the task, and what the chunk's next items need; both are read first of all.
    batch: Option<Arc<dyn AnyBatch>>,
    given: VecDeque<Given>,
    /// The task as the last write returned it.
    task: Task,
    chunk: ChunkIndex,
    owner: Owner,
    /// The first item of the chunk, and the one after its last.
    start: Position,
    end: Position,
    /// How long the chunk had waited.
    waited: Duration,
    /// How long it will wait for the next worker: not longer than the last two times, one of which may have been odd.
    usual_wait: Duration,
    /// It began so early that an item which it does not get past takes too long for any invocation.
    is_whole: bool,
    /// How many items of the chunk are saved, and how many of those failed.
    cursor: u64,
    failed: u64,
    /// The next item to start.
    next: Position,
    in_flight: JoinSet<Settled>,
    running: HashMap<Id, (Which, Running)>,
    meter: Meter,
    /// Items that are settled but not saved.
    settled: BTreeMap<Position, ItemRow>,
    items_in_flight_max: usize,
    unsaved_max: usize,
    saved_at_once: usize,
    save_every: Duration,
    saved_at: Instant,
    /// Since when there is something to save.
    ready_since: Option<Instant>,
    /// No item is started any more from here on…
    stop_at: Instant,
    /// …and none is waited for from here on.
    leave_at: Instant,
    /// The job could not start: for how long to leave it alone.
    pause: Option<Duration>,
}

/// Which item, by where it stands and by what its user calls it.
#[derive(Clone, Copy)]
struct Which {
    position: Position,
    index: ItemIndex,
}

/// What became of an item.
enum Settled {
    /// It is done, or has failed for good.
    Row(ItemRow),
    /// Its job could not start, which says nothing about the item.
    NotStarted(Duration),
}

impl<'a> Slice<'a> {
    pub(crate) fn new(
        worker: &'a Worker,
        job: Arc<dyn AnyJob>,
        task: Task,
        chunk: ChunkIndex,
        owner: Owner,
        waited: Duration,
        invocation: Invocation,
    ) -> Self {
        let now = Instant::now();
        let time_left = invocation.time_left();
        let range = task.plan().range(chunk);
        let stored = &task.chunks[chunk];
        let (cursor, failed) = (stored.cursor, stored.failed);
        // After a failed attempt, one item at a time and each saved before the next one starts: if
        // one of them kills the worker, the cursor points at it.
        let careful = stored.attempts > 1;
        let pace = worker.pace;
        let items_in_flight_max = if careful {
            1
        } else {
            job.items_in_flight(pace.items_in_flight)
        };
        let side_by_side = side_by_side(items_in_flight_max, range.end - range.start);
        let known = task
            .forecast
            .map(|forecast| forecast.items(1) * side_by_side);
        let rate = task.chunks.len().div_ceil(CHUNKS_AT_FULL_RATE).max(1);
        let save_every = pace.progress_interval * u32::try_from(rate).unwrap_or(u32::MAX);
        let leave_at = now + time_left.saturating_sub(CALL_SECONDS_MAX.min(time_left / 4));
        Self {
            worker,
            job,
            batch: None,
            given: VecDeque::new(),
            chunk,
            owner,
            start: range.start,
            end: range.end,
            waited,
            usual_wait: waited
                .min(Duration::from_millis(stored.waited_milliseconds))
                .min(USUAL_WAIT_MAX),
            is_whole: invocation.has_just_begun(),
            cursor,
            failed,
            next: range.start + cursor,
            in_flight: JoinSet::new(),
            running: HashMap::new(),
            meter: Meter::new(items_in_flight_max, known),
            settled: BTreeMap::new(),
            items_in_flight_max,
            unsaved_max: if careful { 1 } else { UNSAVED_MAX },
            saved_at_once: if rate > 1 { usize::MAX } else { SAVED_AT_ONCE },
            // Never so rarely that the lease could run out in between.
            save_every: if careful {
                Duration::ZERO
            } else {
                save_every.min(pace.lease / 3)
            },
            saved_at: now,
            ready_since: None,
            stop_at: leave_at.min(now + pace.slice),
            leave_at,
            pause: None,
            task,
        }
    }

    /// The task as the last write returned it.
    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Works until the chunk is complete, time is up or the chunk is lost.
    ///
    /// Dropping the slice ends all items in flight.
    pub(crate) async fn run(&mut self) -> Result<End, StoreError> {
        if !self.read_what_items_need().await? {
            return Ok(End::Incomplete);
        }
        loop {
            self.start_items();
            let complete = self.ready() == self.remaining();
            let now = Instant::now();
            let over = now >= self.leave_at || (now >= self.stop_at && self.in_flight.is_empty());
            if complete || over {
                return self.leave(complete).await;
            }
            if self.is_save_due(now) {
                if !self.save(self.keep()).await? {
                    return Ok(End::Lost);
                }
                // There may be room for further items now.
                continue;
            }
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                Some(ended) = self.in_flight.join_next_with_id() => self.settle(ended),
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }

    /// Reads what the items that are left are given, and what all share. Returns whether all of it is there.
    async fn read_what_items_need(&mut self) -> Result<bool, StoreError> {
        let store = &self.worker.store;
        let mut shared = None;
        if self.task.has_shared {
            shared = store.shared(self.task.task_id).await?;
            if shared.is_none() {
                return Ok(false);
            }
        }
        let given = store.given(&self.task, self.chunk, self.next, self.end);
        let Some(given) = given.await? else {
            return Ok(false);
        };
        self.given = given.into();
        let job = Arc::clone(&self.job);
        self.batch = Some(job.batch(shared.as_deref()));
        Ok(true)
    }

    fn start_items(&mut self) {
        let Some(batch) = &self.batch else {
            return;
        };
        let may_start = Instant::now() < self.stop_at;
        while may_start
            && self.in_flight.len() < self.items_in_flight_max
            && self.settled.len() < self.unsaved_max
            && let Some(Given { index, input }) = self.given.pop_front()
        {
            let which = Which {
                position: self.next,
                index,
            };
            let item = StoredItem {
                user: self.task.user.clone(),
                task_id: self.task.task_id,
                first_task_id: self.task.first_task_id(),
                index,
                attempt: 1,
                input,
                leave_at: self.leave_at,
            };
            let host = self.worker.store.host().clone();
            let handle = self
                .in_flight
                .spawn(settle_item(Arc::clone(batch), item, which, host));
            self.running
                .insert(handle.id(), (which, self.meter.begin()));
            self.next += 1;
        }
    }

    fn settle(&mut self, ended: Result<(Id, Settled), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        let Some((which, running)) = self.running.remove(&id) else {
            return;
        };
        self.meter.end(running);
        // Nothing aborts an item but the end of the slice, so an error is a panic. It says nothing about the others.
        let settled = ended.map_or_else(
            |_| Settled::Row(failed(which, format!("Item {}", which.index), PANICKED)),
            |(_, settled)| settled,
        );
        match settled {
            Settled::Row(row) => self.settled.insert(row.position, row),
            Settled::NotStarted(pause) => {
                self.pause = Some(pause);
                self.stop_at = Instant::now();
                return;
            }
        };
        if self.ready_since.is_none() && self.ready() > 0 {
            self.ready_since = Some(Instant::now());
        }
    }

    /// How many items are still to be saved.
    fn remaining(&self) -> usize {
        usize::try_from(self.end - self.start - self.cursor).unwrap_or(usize::MAX)
    }

    /// How many items could be saved now: the settled ones that follow the cursor without a gap.
    fn ready(&self) -> usize {
        let first = self.start + self.cursor;
        let in_order = self.settled.keys().zip(first..);
        in_order
            .take_while(|(settled, expected)| *settled == expected)
            .count()
    }

    /// When what is ready should be saved or, if nothing is, a sign of life be given.
    fn save_at(&self) -> Instant {
        let sign_of_life = self.saved_at + self.worker.pace.lease / 3;
        let Some(since) = self.ready_since else {
            return sign_of_life;
        };
        let gathered = since + GATHERING.min(self.save_every);
        let due = gathered.max(self.saved_at + self.save_every);
        due.min(sign_of_life)
    }

    fn is_save_due(&self, now: Instant) -> bool {
        now >= self.save_at() || self.ready() >= self.saved_at_once
    }

    /// When there is something to do even if no item ends before.
    fn wake_at(&self) -> Instant {
        let turn = if Instant::now() < self.stop_at {
            self.stop_at
        } else {
            self.leave_at
        };
        self.save_at().min(turn)
    }

    fn keep(&self) -> Hold {
        let now = self.worker.store.host().now();
        Hold::Until(now.after(self.worker.pace.lease))
    }

    fn let_go(&self, complete: bool) -> Hold {
        let now = self.worker.store.host().now();
        let alive_until = now.after(self.worker.pace.lease);
        if complete {
            return Hold::Complete(alive_until);
        }
        Hold::Released {
            alive_until,
            waited: self.waited,
        }
    }

    /// When the chunk will be complete if it goes on like this: what is done here, and what is left to the workers
    /// after this one, for whom it has to wait.
    fn reckon(&self, hold: Hold) -> Option<Reckoning> {
        let pace = self.worker.pace;
        let size = self.end - self.start;
        let own = self.meter.item(size)?;
        let side_by_side = |items_in_flight_max| side_by_side(items_in_flight_max, size);
        let together = side_by_side(self.items_in_flight_max);
        let typical = self.task.forecast.map(|forecast| forecast.items(1));
        let item = self.meter.likely(typical.map(|item| item * together));
        let waiting = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let running = self.running.values().map(|(_, running)| *running);
        let (mut left, spread) = self.meter.rest(item, running, waiting);
        let here = self.stop_at.saturating_duration_since(Instant::now());
        if waiting > 0 && left > here + item {
            // One worker processes one item at a time only if the one before it died.
            let rest = left.saturating_sub(here);
            let later = rest * together / side_by_side(pace.items_in_flight);
            let turns = later.div_duration_f64(pace.slice).ceil();
            left = here + later + (self.usual_wait + spread / 2).mul_f64(turns);
        }
        let now = self.worker.store.host().now();
        let patience = item.max(self.save_every) * 3 + Duration::from_secs(2);
        let patience = match hold {
            Hold::Released { .. } => patience + self.usual_wait * 2,
            _ => patience,
        };
        Some(Reckoning {
            ends_at: now.after(left),
            forecast: Forecast::new(
                &self.task,
                self.chunk,
                own / together,
                now,
                patience,
                pace.lease,
            ),
        })
    }

    async fn leave(&mut self, complete: bool) -> Result<End, StoreError> {
        // Nothing got done, but that says nothing about the item at the cursor.
        let says_nothing = !self.is_whole || self.pause.is_some();
        let is_no_attempt = says_nothing && self.ready() == 0 && !complete;
        let is_ours = if is_no_attempt {
            self.let_go_untouched().await?
        } else {
            self.save(self.let_go(complete)).await?
        };
        Ok(if !is_ours {
            End::Lost
        } else if complete {
            End::Complete
        } else {
            End::Released(self.pause.unwrap_or_default())
        })
    }

    /// After an error of the store: ends what is in flight and gives the chunk back. The attempt does not count, for
    /// it was not an item that failed. If the store fails at this, too, the lease runs out and it does count.
    pub(crate) async fn give_back(&mut self) {
        self.in_flight.shutdown().await;
        if let Err(error) = self.let_go_untouched().await {
            let error = telemetry::chain(&error);
            tracing::warn!(
                chunk = self.chunk,
                error,
                "the chunk is held until its lease runs out"
            );
        }
    }

    /// Lets go of the chunk as if it had not been claimed. Returns whether it was still ours.
    async fn let_go_untouched(&self) -> Result<bool, StoreError> {
        let attempts = self.task.chunks[self.chunk].attempts.saturating_sub(1);
        let store = &self.worker.store;
        store
            .give_back(&self.task, self.chunk, &self.owner, self.cursor, attempts)
            .await
    }

    /// Saves what is ready, rows first. Returns whether the chunk is still ours.
    async fn save(&mut self, hold: Hold) -> Result<bool, StoreError> {
        let first = self.start + self.cursor;
        let after = first + self.ready() as u64;
        let later = self.settled.split_off(&after);
        let rows: Vec<_> = std::mem::replace(&mut self.settled, later)
            .into_values()
            .collect();
        let store = &self.worker.store;
        let recorded = store.record_items(&self.task, &rows).await?;
        let is_failed = |row: &&ItemRow| row.outcome == ItemOutcome::Failed;
        let step = Step {
            from: self.cursor,
            to: self.cursor + recorded.len() as u64,
            failed: self.failed + recorded.iter().filter(is_failed).count() as u64,
            reckoning: self.reckon(hold).filter(|_| !recorded.is_empty()),
        };
        let advance = store
            .advance(&self.task, self.chunk, &self.owner, step, hold)
            .await?;
        match advance {
            Advance::Saved(task) => {
                self.task = task;
                self.cursor = step.to;
                self.failed = step.failed;
                self.saved_at = Instant::now();
                // More may have become ready while this was saved; it counts from now.
                self.ready_since = (self.ready() > 0).then_some(self.saved_at);
                Ok(true)
            }
            Advance::Lost => Ok(false),
        }
    }
}

/// How many of so many items are processed at a time.
fn side_by_side(items_in_flight_max: usize, items: u64) -> u32 {
    let items = u32::try_from(items).unwrap_or(u32::MAX);
    u32::try_from(items_in_flight_max)
        .unwrap_or(u32::MAX)
        .min(items)
        .max(1)
}

/// Processes an item, again if that may help and can be done in time, and says what became of it.
///
/// An attempt that is cut off counts for nothing and begins anew with the next slice. So one for which
/// there is no time is not made: an item that fails slowly would never be through.
async fn settle_item(
    batch: Arc<dyn AnyBatch>,
    mut item: StoredItem,
    which: Which,
    host: Host,
) -> Settled {
    let mut wait = ITEM_RETRY_WAIT;
    loop {
        let began = Instant::now();
        let (name, result) = match Arc::clone(&batch).attempt(item.clone()).await {
            Attempt::Made { name, result } => (name, result),
            Attempt::NotStarted(pause) => return Settled::NotStarted(pause),
        };
        let Failure {
            message,
            retry_after,
        } = match result {
            Ok(output) => return Settled::Row(done(which, name, &output)),
            Err(failure) => failure,
        };
        let pause = retry_after.map(|after| after.max(host.jitter(wait)));
        let in_time = |pause: &Duration| Instant::now() + *pause + began.elapsed() < item.leave_at;
        let Some(pause) = pause
            .filter(in_time)
            .filter(|_| item.attempt < ITEM_ATTEMPTS_MAX)
        else {
            return Settled::Row(failed(which, name, message));
        };
        tokio::time::sleep(pause).await;
        wait *= 2;
        item.attempt += 1;
    }
}

fn done(which: Which, name: String, output: &RawValue) -> ItemRow {
    ItemRow {
        position: which.position,
        index: which.index,
        name,
        outcome: ItemOutcome::Done,
        // What there is nothing to say of is not stored.
        output: Some(output.get())
            .filter(|output| *output != "null")
            .map(Into::into),
        error: None,
    }
}

fn failed(which: Which, name: String, reason: impl Into<String>) -> ItemRow {
    ItemRow {
        position: which.position,
        index: which.index,
        name,
        outcome: ItemOutcome::Failed,
        output: None,
        error: Some(shortened(reason.into())),
    }
}
