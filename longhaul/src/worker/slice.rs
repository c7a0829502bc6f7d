//! One worker's stay with one chunk: from the claim until the chunk is complete, or time is up, or
//! somebody else has taken over.
//!
//! Items run concurrently and finish in any order, but are committed in order: the rows of a run of
//! settled items first, then the cursor past them. So one number says how far the chunk is, and a
//! row always exists for what is counted.
//!
//! When it leaves, all that is settled is stored, and whoever comes next does not do it again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::meter::{Meter, Running};
use super::{Invocation, Worker};
use crate::aws::CALL_SECONDS_MAX;
use crate::chunk::{ChunkIndex, ItemIndex, Owner, Position};
use crate::forecast::{Forecast, Reckoning};
use crate::host::{Host, milliseconds};
use crate::item::{PAUSE_MIN, PAUSED_MAX};
use crate::runner::{AnyBatch, AnyJob, Attempt, Failure, Phase, Retry, StoredItem};
use crate::store::{Advance, Given, Hold, ItemOutcome, ItemRow, Pause, Step, StoreError};
use crate::task::{Task, shortened};
use crate::telemetry;

/// A longer wait between two workers is that of a wrong clock.
const USUAL_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long the first item that could be saved waits for others. Items that were started together
/// tend to end together, and are worth one write, not two.
const GATHERING: Duration = Duration::from_millis(50);

/// So many settled items are saved also when the cursor cannot move past them because one before them takes long:
/// whatever is not saved is lost in a crash.
const UNSAVED_MAX: usize = 200;

/// So many items in a row are saved without waiting for the progress interval, in a task of few chunks.
const SAVED_AT_ONCE: usize = 100;

/// How often an item is tried before a retryable error counts, if there is time for it.
const ITEM_ATTEMPTS_MAX: u32 = 3;

/// How long an item waits before it is tried again; doubles each time.
const ITEM_RETRY_WAIT: Duration = Duration::from_millis(200);

/// A pause that is no longer than this is waited for in place: handing the chunk on takes as long.
const PAUSE_IN_PLACE_MAX: Duration = Duration::from_secs(2);

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
    /// Time is up, or it pauses for so long; what is done is saved and the chunk is free again.
    Released(Duration),
    /// What is stored of its items is not all there.
    Incomplete,
    /// The chunk is somebody else's now, or the task has ended.
    Lost,
}

pub(crate) struct Slice<'a> {
    worker: &'a Worker,
    job: Arc<dyn AnyJob>,
    /// The job's share in the task, and the items that are still to be started; both are read first of all.
    batch: Option<Arc<dyn AnyBatch>>,
    waiting: VecDeque<Waiting>,
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
    /// An item that began before this and that it does not get past takes too long for any invocation.
    whole_until: Instant,
    /// How many items of the chunk are saved, and how many of those failed.
    cursor: u64,
    failed: u64,
    in_flight: JoinSet<Settled>,
    running: HashMap<Id, Started>,
    meter: Meter,
    /// What is being done, as the items say, and what of that is stored.
    phase: Phase,
    told: Option<String>,
    /// Items that are settled, and not counted yet.
    settled: BTreeMap<Position, Outcome>,
    /// How many of them are not saved.
    unsaved: usize,
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
    /// No item is started before this: it was asked for, or the job could not start.
    resume_at: Option<Instant>,
    /// For how long it was asked for that since an item last got through.
    paused: Duration,
}

/// An item that is to be started, or was.
struct Waiting {
    which: Which,
    /// How often it will have been tried then.
    attempt: u32,
    input: Option<Arc<RawValue>>,
}

/// An item that was started.
struct Started {
    item: Waiting,
    running: Running,
    /// Since when it is processed, if it need not wait for others of its job.
    begun: Arc<OnceLock<Instant>>,
    stop: AbortHandle,
}

/// Which item, by where it stands and by what its user calls it.
#[derive(Clone, Copy)]
struct Which {
    position: Position,
    index: ItemIndex,
}

/// What became of an item that was started.
enum Settled {
    /// It is done, or has failed for good.
    Row(ItemRow),
    /// Its job could not start, which says nothing about the item.
    NotStarted(Duration),
    /// It has asked for a pause of so long, to be tried for this time after that; or else it has failed like this.
    NotNow {
        attempt: u32,
        wait: Duration,
        failed: ItemRow,
    },
}

/// What is known of a settled item.
enum Outcome {
    /// All of it: it is not saved yet.
    Unsaved(ItemRow),
    /// It is saved.
    Saved(ItemOutcome),
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
            waiting: VecDeque::new(),
            chunk,
            owner,
            start: range.start,
            end: range.end,
            waited,
            usual_wait: waited
                .min(Duration::from_millis(stored.waited_milliseconds))
                .min(USUAL_WAIT_MAX),
            whole_until: invocation.whole_until(),
            cursor,
            failed,
            in_flight: JoinSet::new(),
            running: HashMap::new(),
            meter: Meter::new(items_in_flight_max, known),
            phase: Phase::default(),
            told: None,
            settled: BTreeMap::new(),
            unsaved: 0,
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
            resume_at: None,
            paused: Duration::from_millis(stored.paused_milliseconds),
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
            let is_done_here = now >= self.stop_at || self.is_long_pause(now);
            let over = now >= self.leave_at || (is_done_here && self.in_flight.is_empty());
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
        let first = self.start + self.cursor;
        let given = store.given(&self.task, self.chunk, first, self.end);
        let Some(given) = given.await? else {
            return Ok(false);
        };
        if !self.task.chunks[self.chunk].is_fresh() {
            let outcomes = store.outcomes(&self.task, first..self.end, None).await?;
            let saved = |(position, outcome)| (position, Outcome::Saved(outcome));
            self.settled = outcomes.into_iter().map(saved).collect();
            self.note_what_is_ready();
        }
        let items = (first..self.end).zip(given);
        let open = items.filter(|(position, _)| !self.settled.contains_key(position));
        self.waiting = open
            .map(|(position, Given { index, input })| Waiting {
                which: Which { position, index },
                attempt: 1,
                input: input.map(Arc::from),
            })
            .collect();
        let job = Arc::clone(&self.job);
        self.batch = Some(job.batch(shared.as_deref()));
        Ok(true)
    }

    fn start_items(&mut self) {
        let Some(batch) = &self.batch else {
            return;
        };
        let now = Instant::now();
        let may_start = now < self.stop_at && self.pause(now).is_zero();
        while may_start
            && self.in_flight.len() < self.items_in_flight_max
            && self.unsaved < self.unsaved_max
            && let Some(item) = self.waiting.pop_front()
        {
            let begun = Arc::default();
            let stored = StoredItem {
                user: self.task.user.clone(),
                task_id: self.task.task_id,
                first_task_id: self.task.first_task_id(),
                index: item.which.index,
                attempt: item.attempt,
                input: item.input.clone(),
                phase: self.phase.clone(),
                begun: Arc::clone(&begun),
                leave_at: self.leave_at,
            };
            let host = self.worker.store.host().clone();
            let handle =
                self.in_flight
                    .spawn(settle_item(Arc::clone(batch), stored, item.which, host));
            let started = Started {
                item,
                running: self.meter.begin(),
                begun,
                stop: handle.clone(),
            };
            self.running.insert(handle.id(), started);
        }
    }

    fn settle(&mut self, ended: Result<(Id, Settled), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        let Some(Started { item, running, .. }) = self.running.remove(&id) else {
            return;
        };
        let which = item.which;
        // What is recalled is not among these, so an error is a panic. It says nothing about the others.
        let settled = ended.map_or_else(
            |_| Settled::Row(failed(which, format!("Item {}", which.index), PANICKED)),
            |(_, settled)| settled,
        );
        match settled {
            Settled::Row(row) => {
                self.meter.end(running);
                self.paused = self.pause(Instant::now());
                self.keep_row(row);
            }
            Settled::NotStarted(pause) => {
                self.resume_at = Some(Instant::now() + pause);
                self.stop_at = Instant::now();
            }
            Settled::NotNow {
                attempt,
                wait,
                failed,
            } => self.not_now(Waiting { attempt, ..item }, wait, failed),
        }
    }

    fn keep_row(&mut self, row: ItemRow) {
        self.settled.insert(row.position, Outcome::Unsaved(row));
        self.unsaved += 1;
        self.note_what_is_ready();
    }

    fn note_what_is_ready(&mut self) {
        if self.ready_since.is_none() && self.ready() > 0 {
            self.ready_since = Some(Instant::now());
        }
    }

    /// An item asks for a pause. If there have been too many, or this one is too long, it fails instead.
    fn not_now(&mut self, item: Waiting, wait: Duration, failed: ItemRow) {
        let now = Instant::now();
        let pause = self.pause(now);
        let wait = wait.max(PAUSE_MIN);
        let more = wait.saturating_sub(pause);
        if self.paused.saturating_add(more) > PAUSED_MAX {
            self.keep_row(failed);
            return;
        }
        self.paused += more;
        self.resume_at = Some(now + wait.max(pause));
        // Others get their turn before it, for what holds it up may be its own; but those that come next and not all, or
        // the cursor would not move. If they are tried with care, one after the other, their order must stay.
        let is_careful = self.unsaved_max == 1;
        let others = if is_careful {
            0
        } else {
            self.items_in_flight_max
        };
        self.waiting.insert(others.min(self.waiting.len()), item);
        self.recall();
    }

    /// Takes back what was started and waits for others of its job: it would begin in the pause. Whether it has begun is
    /// noted on this thread, so none begins meanwhile.
    fn recall(&mut self) {
        let not_begun = self
            .running
            .extract_if(|_, started| started.begun.get().is_none());
        let mut recalled: Vec<_> = not_begun.map(|(_, started)| started).collect();
        recalled.sort_by_key(|started| Reverse(started.item.which.position));
        for started in recalled {
            started.stop.abort();
            self.waiting.push_front(started.item);
        }
    }

    /// Whether it pauses for so long that the chunk is better left.
    fn is_long_pause(&self, now: Instant) -> bool {
        let pause = self.pause(now);
        !self.waiting.is_empty()
            && (pause > PAUSE_IN_PLACE_MAX || (!pause.is_zero() && now + pause >= self.stop_at))
    }

    /// For how long no item may be started yet.
    fn pause(&self, now: Instant) -> Duration {
        let resume_at = self.resume_at.unwrap_or(now);
        resume_at.saturating_duration_since(now)
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
        now >= self.save_at() || self.ready() >= self.saved_at_once || self.is_full()
    }

    /// Whether so much is settled and not saved that nothing else may be started.
    fn is_full(&self) -> bool {
        self.unsaved >= self.unsaved_max
    }

    /// When there is something to do even if no item ends before.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let turn = if now < self.stop_at {
            self.stop_at
        } else {
            self.leave_at
        };
        let resume_at = self.resume_at.filter(|&resume_at| resume_at > now);
        let turn = turn.min(resume_at.unwrap_or(turn));
        self.save_at().min(turn)
    }

    fn keep(&self) -> Hold {
        let now = self.worker.store.host().now();
        Hold::Until(now.after(self.worker.pace.lease))
    }

    /// Lets go of the chunk, for as long as `pause` even of its next worker.
    fn let_go(&self, complete: bool, pause: Duration) -> Hold {
        let resumes_at = self.worker.store.host().now().after(pause);
        let alive_until = resumes_at.after(self.worker.pace.lease);
        if complete {
            return Hold::Complete(alive_until);
        }
        Hold::Released {
            alive_until,
            waited: self.waited,
            paused: self.paused,
            pause: (!pause.is_zero() || self.pauses_are_news()).then(|| Pause {
                resumes_at,
                attempts: self.attempts_if_nothing_moves(),
            }),
        }
    }

    /// Whether it is not stored yet for how long the chunk has paused.
    fn pauses_are_news(&self) -> bool {
        milliseconds(self.paused) != self.task.chunks[self.chunk].paused_milliseconds
    }

    /// How many attempts there have been at the item at the cursor, if the chunk is left now with it still there. This
    /// one was none unless it is still being tried, and has had all the time that any worker has: it did not begin late,
    /// nor wait for its turn among others of its job.
    fn attempts_if_nothing_moves(&self) -> u32 {
        let at_cursor = self.start + self.cursor;
        let was_attempt = self.running.values().any(|started| {
            let begun = started.begun.get();
            started.item.which.position == at_cursor
                && begun.is_some_and(|&at| at < self.whole_until)
        });
        let attempts = self.task.chunks[self.chunk].attempts;
        attempts.saturating_sub(u32::from(!was_attempt))
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
        let waiting = self.waiting.len();
        let running = self.running.values().map(|started| started.running);
        let (mut left, spread) = self.meter.rest(item, running, waiting);
        let now = Instant::now();
        let here = match hold {
            Hold::Released { .. } => Duration::ZERO,
            _ => self.stop_at.saturating_duration_since(now),
        };
        if waiting > 0 && left > here + item {
            // One worker processes one item at a time only if the one before it died.
            let rest = left.saturating_sub(here);
            let later = rest * together / side_by_side(pace.items_in_flight);
            let turns = later.div_duration_f64(pace.slice).ceil();
            left = here + later + (self.usual_wait + spread / 2).mul_f64(turns);
        }
        if waiting > 0 {
            left += self.pause(now);
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

    /// What was reckoned before, later by the pause: for a stay that was too short to tell anything.
    fn postpone(&self) -> Option<Reckoning> {
        let now = self.worker.store.host().now();
        let ends_at = self.task.chunks[self.chunk].ends_at?.max(now);
        Some(Reckoning {
            ends_at: ends_at.after(self.pause(Instant::now())),
            forecast: Forecast {
                at: now,
                ..self.task.forecast?
            },
        })
    }

    async fn leave(&mut self, complete: bool) -> Result<End, StoreError> {
        // Whoever comes next need not process again what the cursor cannot move past yet.
        self.record(self.end).await?;
        let pause = self.pause(Instant::now());
        let attempts = self.task.chunks[self.chunk].attempts;
        let is_no_attempt = self.attempts_if_nothing_moves() < attempts;
        // A pause that is over has to be remembered, too.
        let says_nothing = pause.is_zero() && !self.pauses_are_news();
        let is_ours = if is_no_attempt && self.ready() == 0 && !complete && says_nothing {
            self.let_go_untouched().await?
        } else {
            self.step(self.let_go(complete, pause)).await?
        };
        Ok(if !is_ours {
            End::Lost
        } else if complete {
            End::Complete
        } else {
            End::Released(pause)
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
        let ready = self.start + self.cursor + self.ready() as u64;
        let until = if self.is_full() { self.end } else { ready };
        self.record(until).await?;
        self.step(hold).await
    }

    /// Stores what became of the items before `until`. Of each, what was stored first is what counts.
    async fn record(&mut self, until: Position) -> Result<(), StoreError> {
        let settled = self.settled.range(..until);
        let unsaved = settled.filter_map(|(_, outcome)| outcome.unsaved());
        let rows: Vec<_> = unsaved.cloned().collect();
        let store = &self.worker.store;
        for row in store.record_items(&self.task, &rows).await? {
            let saved = Outcome::Saved(row.outcome);
            self.settled.insert(row.position, saved);
            self.unsaved -= 1;
        }
        Ok(())
    }

    /// Moves the cursor past what is saved. Returns whether the chunk is still ours.
    async fn step(&mut self, hold: Hold) -> Result<bool, StoreError> {
        let first = self.start + self.cursor;
        let saved = (first..).map_while(|position| self.settled.get(&position)?.saved());
        let passed: Vec<_> = saved.collect();
        let is_failed = |outcome: &&ItemOutcome| **outcome == ItemOutcome::Failed;
        let is_pause = matches!(hold, Hold::Released { pause: Some(_), .. });
        // Others may have said something since, and are heard.
        let phase = self
            .phase
            .get()
            .filter(|phase| self.told.as_ref() != Some(phase));
        let step = Step {
            from: self.cursor,
            to: self.cursor + passed.len() as u64,
            failed: self.failed + passed.iter().filter(is_failed).count() as u64,
            reckoning: if is_pause {
                self.reckon(hold).or_else(|| self.postpone())
            } else {
                self.reckon(hold).filter(|_| !passed.is_empty())
            },
            phase: phase.as_deref(),
        };
        let store = &self.worker.store;
        let advance = store
            .advance(&self.task, self.chunk, &self.owner, step, hold)
            .await?;
        match advance {
            Advance::Saved(task) => {
                self.task = task;
                self.cursor = step.to;
                self.failed = step.failed;
                self.told = phase.or(self.told.take());
                self.settled = self.settled.split_off(&(self.start + self.cursor));
                self.saved_at = Instant::now();
                // More may have become ready while this was saved; it counts from now.
                self.ready_since = (self.ready() > 0).then_some(self.saved_at);
                Ok(true)
            }
            Advance::Lost => Ok(false),
        }
    }
}

impl Outcome {
    fn unsaved(&self) -> Option<&ItemRow> {
        match self {
            Self::Unsaved(row) => Some(row),
            Self::Saved(_) => None,
        }
    }

    fn saved(&self) -> Option<ItemOutcome> {
        match self {
            Self::Unsaved(_) => None,
            Self::Saved(outcome) => Some(*outcome),
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
        let Failure { message, retry } = match result {
            Ok(output) => return Settled::Row(done(which, name, &output)),
            Err(failure) => failure,
        };
        let failed = failed(which, name, message);
        if let Retry::Later(wait) = retry {
            return Settled::NotNow {
                attempt: item.attempt,
                wait,
                failed,
            };
        }
        let pause = host.jitter(wait);
        let is_in_time = Instant::now() + pause + began.elapsed() < item.leave_at;
        if retry == Retry::Never || item.attempt >= ITEM_ATTEMPTS_MAX || !is_in_time {
            return Settled::Row(failed);
        }
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
