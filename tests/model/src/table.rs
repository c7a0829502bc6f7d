//! The table and the writes to it, each with its conditions: what `longhaul/src/store.rs` asks of
//! `DynamoDB`.
//!
//! A [`Write`] is one call. It is atomic: all of its conditions hold and all of it takes effect, or
//! nothing does. [`Table::apply`] is also where the rules are watched that are about a *change* and
//! cannot be seen in a state; the first one that is broken stays noted in [`Table::broken`].

use crate::Rules;
use crate::guard::Guard;
use crate::inputs::Inputs;

/// How many tasks there can be: one for each submit.
pub const TASKS_MAX: usize = 3;

/// How many chunks a task has.
pub const CHUNKS: usize = 2;

/// How many items a chunk has at most.
pub const ITEMS_MAX: usize = 2;

/// Which task, and which submit: the submit draws the task's id.
pub type TaskIndex = u8;

/// How many locks there can be.
pub const LOCKS: usize = 2;

/// Which lock.
pub type LockIndex = u8;

/// Which chunk of a task.
pub type ChunkIndex = u8;

/// Stands for the random number that a claim writes into a chunk. Two are compared for equality and
/// nothing else, so a model needs only as many as there are in use at a time.
pub type Owner = u8;

/// An owner that no longer exists, and so equals none.
pub const GONE: Owner = 0;

/// The number of a version, see [`Task::version`].
pub type Version = u8;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// SUCCESS.
    Success,
    /// FAILED, because items failed.
    ItemsFailed,
    /// FAILED, because the item at this chunk's cursor kills its workers.
    Poisoned(ChunkIndex),
    /// FAILED, because it was dispatched again and again.
    GivenUp,
    /// FAILED, because its user began another one.
    Replaced,
    /// FAILED, because what is stored of its items is not all there.
    Incomplete,
    /// FAILED, because it was not done in the time that a task has.
    Overdue,
    /// CANCELLED.
    Cancelled,
}

/// Which items of a task are to be tried again.
pub type Undone = [[bool; ITEMS_MAX]; CHUNKS];

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted; no worker has begun.
    Queued,
    /// At least one worker has begun.
    Processing,
    /// Terminal.
    Ended(End),
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was processed.
    Done,
    /// It was given up.
    Failed,
}

/// What the table knows of a chunk.
#[expect(clippy::struct_excessive_bools, reason = "what may be so or not")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// How many of its items are settled.
    pub cursor: u8,
    /// How many of those failed.
    pub failed: u8,
    /// The last claim.
    pub owner: Owner,
    /// Whether the owner's lease runs. There is no clock: it may end at any moment.
    pub held: bool,
    /// How often it was claimed since its cursor moved, up to one more than is allowed.
    pub attempts: u8,
    /// Whether it pauses. There is no clock: a pause may be over at any moment.
    pub pausing: bool,
    /// How often it has paused since one of its items got through.
    pub pauses: u8,
    /// Whether somebody has let go of it, as long as none of its items is counted: after that it does not matter.
    pub released: bool,
    /// The rows of its items.
    pub rows: [Option<Outcome>; ITEMS_MAX],
    /// Not in the table: one bit for each item that an advance has ever counted.
    pub counted: u8,
    /// Not in the table: one of the attempts was that of a worker that does not know the job.
    pub untried: bool,
    /// Not in the table: one of the attempts was one that ended with a pause.
    pub spared: bool,
}

impl Chunk {
    /// How many of the settled items have a row that says they failed; `None` if one of the settled
    /// items has no row.
    #[must_use]
    pub fn failed_rows(&self) -> Option<u8> {
        let settled = &self.rows[..usize::from(self.cursor)];
        settled.iter().try_fold(0, |failed, row| {
            row.map(|outcome| failed + u8::from(outcome == Outcome::Failed))
        })
    }

    /// Whether whoever has just claimed it is the first.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.cursor == 0 && self.attempts <= 1 && !self.released
    }
}

/// A task in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Its state.
    pub status: Status,
    /// Its chunks.
    pub chunks: [Chunk; CHUNKS],
    /// How often it was dispatched again since a cursor moved, up to what is allowed.
    pub dispatches: u8,
    /// Grows with every write. Versions are compared for equality only, so between two steps of the
    /// model the current one is always called [`Self::CURRENT`], and every other one
    /// [`Self::BYGONE`].
    pub version: Version,
}

impl Task {
    /// The version that a task has between two steps.
    pub const CURRENT: Version = 1;

    /// A version that no task has any more.
    pub const BYGONE: Version = 0;

    /// A task as a submit puts it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            status: Status::Queued,
            chunks: Default::default(),
            dispatches: 0,
            version: Self::CURRENT,
        }
    }

    /// Whether it may still change.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.status, Status::Ended(_))
    }

    /// Which of its items failed or were not settled, if so many are settled of each chunk. `counts_rows` takes what has a
    /// row for done although it is not counted.
    #[must_use]
    pub fn undone(&self, rules: &Rules, settled: [u8; CHUNKS], counts_rows: bool) -> Undone {
        let mut undone = Undone::default();
        for (chunk, stored) in self.chunks.iter().enumerate() {
            let items = usize::from(rules.chunk_items[chunk]);
            for (item, row) in stored.rows.iter().enumerate().take(items) {
                let is_settled = item < usize::from(settled[chunk]);
                let is_done = *row == Some(Outcome::Done) && (is_settled || counts_rows);
                undone[chunk][item] = !is_done;
            }
        }
        undone
    }

    /// How many items of each chunk are settled.
    #[must_use]
    pub fn settled(&self) -> [u8; CHUNKS] {
        self.chunks.map(|chunk| chunk.cursor)
    }

    /// Whether every item of `chunk` is settled.
    #[must_use]
    pub fn is_chunk_complete(&self, rules: &Rules, chunk: ChunkIndex) -> bool {
        self.chunk(chunk).cursor >= rules.chunk_items[usize::from(chunk)]
    }

    /// How it ends, once every item is settled.
    #[must_use]
    pub fn outcome(&self, rules: &Rules) -> Option<End> {
        if !(0..).take(CHUNKS).all(|c| self.is_chunk_complete(rules, c)) {
            return None;
        }
        let failed = self.chunks.iter().any(|chunk| chunk.failed > 0);
        Some(if failed {
            End::ItemsFailed
        } else {
            End::Success
        })
    }

    /// The chunks that a worker could take on now.
    pub fn claimable_chunks(&self, rules: &Rules) -> impl Iterator<Item = ChunkIndex> {
        let incomplete = (0..)
            .take(CHUNKS)
            .filter(|&chunk| !self.is_chunk_complete(rules, chunk));
        incomplete.filter(|&chunk| !self.chunk(chunk).held && !self.chunk(chunk).pausing)
    }

    /// One of its chunks.
    #[must_use]
    pub fn chunk(&self, chunk: ChunkIndex) -> &Chunk {
        &self.chunks[usize::from(chunk)]
    }

    fn chunk_mut(&mut self, chunk: ChunkIndex) -> &mut Chunk {
        &mut self.chunks[usize::from(chunk)]
    }
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

/// What a submit saw of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeenLock {
    /// There was none.
    Free,
    /// A task that had ended held it.
    Left(TaskIndex),
    /// A task held it that was at this version, and nobody seemed to work on it.
    Abandoned(TaskIndex, Version),
}

/// A call that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    /// One of the rows of `Store::put_inputs`, for the item at this place in the chunk.
    Put(TaskIndex, ChunkIndex, u8),
    /// `Store::submit`
    Submit(TaskIndex, SeenLock),
    /// `Store::claim`
    Claim(TaskIndex, ChunkIndex, Owner),
    /// `Store::record_items`, for the item at this place in the chunk.
    Record(TaskIndex, ChunkIndex, u8, Outcome),
    /// `Store::advance`
    Advance(TaskIndex, ChunkIndex, Owner, Step),
    /// `Store::give_back`
    GiveBack(TaskIndex, ChunkIndex, Owner, u8),
    /// `Store::finish`
    Finish(TaskIndex, End),
    /// `Store::give_up_chunk`
    Blame(TaskIndex, ChunkIndex, Owner, End),
    /// `Store::give_up`
    GiveUp(TaskIndex, Version, End),
    /// `Store::dispatch`
    Dispatch(TaskIndex, Version),
    /// `Store::cancel`
    Cancel(TaskIndex),
}

/// A new position of a chunk's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// The cursor as this worker last saved or claimed it.
    pub from: u8,
    /// The cursor from now on.
    pub to: u8,
    /// How many of the items before `to` failed.
    pub failed: u8,
    /// Whether the worker lets go of the chunk, and how.
    pub release: Option<Release>,
}

/// How a worker lets go of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// How often the chunk has paused.
    pub pauses: u8,
    /// Whether it pauses now: then, how many attempts there have been if the cursor does not move.
    pub pause: Option<u8>,
}

/// What a call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took effect, or had taken effect before. Whoever wants to know more looks at the table:
    /// the answer carries it.
    Ok,
    /// A submit: this task already answers under the key.
    Replayed(TaskIndex),
    /// A submit: this task holds the lock.
    Busy(TaskIndex),
    /// A row: what is stored.
    Stored(Outcome),
    /// A condition failed.
    Refused,
}

/// A rule about changes that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A task that had ended was written.
    EndedTaskWritten,
    /// A task was put in the place of an open one.
    OpenTaskOverwritten,
    /// A cursor went back.
    CursorWentBack,
    /// An item was counted a second time.
    CountedTwice,
    /// Somebody advanced or gave back a chunk that was claimed by somebody else in the meantime.
    StaleOwnerWrote,
    /// A chunk was claimed away from an owner whose lease still ran.
    LeaseIgnored,
    /// A task was failed because of an item that is settled.
    SettledItemBlamed,
    /// A task was failed because of an item that its workers could not even try.
    UntriedItemBlamed,
    /// A task was failed because of an item that had asked for a pause.
    PausedItemBlamed,
    /// A chunk was claimed while it paused.
    PauseIgnored,
    /// A worker that could know that an item has its row is about to process it again.
    ProcessedAgain,
    /// A submit was told that its own task is in its way.
    InItsOwnWay,
    /// A retry was accepted of a task that is open, or of something else than what that left undone.
    RetryIsWrong,
}

/// Everything that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// The user's locks: the tasks they name.
    pub locks: [Option<TaskIndex>; LOCKS],
    /// The shared idempotency key: the task it names.
    pub key: Option<TaskIndex>,
    /// The tasks.
    pub tasks: [Option<Task>; TASKS_MAX],
    /// The inputs of the tasks' items, which may be there before the tasks are.
    pub inputs: [Inputs; TASKS_MAX],
    /// Not in the table: the first rule that was broken. The model goes no further then.
    pub broken: Option<Broken>,
}

impl Table {
    /// A table with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            locks: [None; LOCKS],
            key: None,
            tasks: [None; TASKS_MAX],
            inputs: Default::default(),
            broken: None,
        }
    }

    /// One of the tasks.
    #[must_use]
    pub fn task(&self, task: TaskIndex) -> Option<&Task> {
        self.tasks[usize::from(task)].as_ref()
    }

    /// The tasks that exist.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskIndex, &Task)> {
        let numbered = (0..).zip(&self.tasks);
        numbered.filter_map(|(index, task)| Some((index, task.as_ref()?)))
    }

    /// The lock that a submit asks for: the task it names.
    #[must_use]
    pub fn lock(&self, rules: &Rules, submit: TaskIndex) -> Option<TaskIndex> {
        self.locks[usize::from(rules.lock(submit))]
    }

    /// The inputs of a task's items.
    #[must_use]
    pub fn inputs(&self, rules: &Rules, task: TaskIndex) -> &Inputs {
        &self.inputs[Self::place_of_inputs(rules, task)]
    }

    /// Under which id the rows are. Without the guard they are where anybody's are.
    fn place_of_inputs(rules: &Rules, task: TaskIndex) -> usize {
        usize::from(if rules.holds(Guard::OwnRows, false) {
            0
        } else {
            task
        })
    }

    /// Carries a write out, if its conditions hold.
    pub fn apply(&mut self, rules: &Rules, write: Write) -> Answer {
        match write {
            Write::Put(task, chunk, item) => self.put(rules, task, chunk, item),
            Write::Submit(task, seen) => self.submit(rules, task, seen),
            Write::Claim(task, chunk, owner) => self.claim(rules, task, chunk, owner),
            Write::Record(task, chunk, item, outcome) => {
                self.record(rules, task, chunk, item, outcome)
            }
            Write::Advance(task, chunk, owner, step) => {
                self.advance(rules, task, chunk, owner, step)
            }
            Write::GiveBack(task, chunk, owner, cursor) => {
                self.give_back(rules, task, chunk, owner, cursor)
            }
            Write::Finish(task, end) => self.finish(rules, task, end),
            Write::Cancel(task) => self.finish(rules, task, End::Cancelled),
            Write::Blame(task, chunk, owner, end) => self.blame(rules, task, chunk, owner, end),
            Write::GiveUp(task, seen, end) => self.give_up(rules, task, seen, end),
            Write::Dispatch(task, seen) => self.dispatch(rules, task, seen),
        }
    }

    fn put(&mut self, rules: &Rules, index: TaskIndex, chunk: ChunkIndex, item: u8) -> Answer {
        // No condition: nobody else can have drawn the id, and whoever puts a row twice puts the same.
        let inputs = &mut self.inputs[Self::place_of_inputs(rules, index)];
        inputs.put(chunk, item, rules.request(index));
        Answer::Ok
    }

    fn submit(&mut self, rules: &Rules, index: TaskIndex, seen: SeenLock) -> Answer {
        let keyed = rules.has_key(index);
        let lock = self.lock(rules, index);
        let lock_passes = match seen {
            SeenLock::Free => rules.holds(Guard::LockIsFree, lock.is_none()),
            SeenLock::Left(holder) | SeenLock::Abandoned(holder, _) => {
                rules.holds(Guard::LockIsAsSeen, lock == Some(holder))
            }
        };
        let task_passes = rules.holds(Guard::TaskIsNew, self.task(index).is_none());
        let key_passes = !keyed || rules.holds(Guard::KeyIsNew, self.key.is_none());
        let seen_passes = match seen {
            SeenLock::Abandoned(holder, version) => self.is_as_seen(rules, holder, version),
            SeenLock::Free | SeenLock::Left(_) => true,
        };
        if lock_passes && task_passes && key_passes && seen_passes {
            if let SeenLock::Abandoned(holder, _) = seen {
                let outcome = self.task(holder).and_then(|task| task.outcome(rules));
                self.end(holder, outcome.unwrap_or(End::Replaced));
            }
            let replaced = self.tasks[usize::from(index)].replace(Task::new());
            match replaced {
                Some(old) if old.is_open() => self.note(Broken::OpenTaskOverwritten),
                Some(_) => self.note(Broken::EndedTaskWritten),
                None => {}
            }
            self.locks[usize::from(rules.lock(index))] = Some(index);
            if keyed {
                self.key = Some(index);
            }
            return Answer::Ok;
        }
        // A submit that finds its own task was accepted before. Otherwise the key speaks first.
        match (self.key, lock) {
            _ if !task_passes => Answer::Ok,
            (Some(task), _) if !key_passes => Answer::Replayed(task),
            (_, Some(holder)) if !lock_passes => Answer::Busy(holder),
            _ => Answer::Refused,
        }
    }

    fn claim(&mut self, rules: &Rules, index: TaskIndex, c: ChunkIndex, owner: Owner) -> Answer {
        let Some(task) = self.task(index) else {
            return Answer::Refused;
        };
        let chunk = *task.chunk(c);
        let mine = chunk.owner == owner;
        let open = rules.holds(Guard::Open, task.is_open());
        let is_free = rules.holds(Guard::ChunkIsFree, !chunk.held)
            && rules.holds(Guard::PauseIsOver, !chunk.pausing);
        if !open || !is_free {
            // The answer to a repeated claim whose first copy took effect.
            return if task.is_open() && mine {
                Answer::Ok
            } else {
                Answer::Refused
            };
        }
        if chunk.held && !mine {
            self.note(Broken::LeaseIgnored);
        }
        if chunk.pausing {
            self.note(Broken::PauseIgnored);
        }
        self.update(index, |task| {
            task.status = Status::Processing;
            let chunk = task.chunk_mut(c);
            chunk.owner = owner;
            chunk.held = true;
            chunk.attempts = (chunk.attempts + 1).min(rules.attempts_max + 1);
            // Who claims a chunk and can do nothing with it is gone at once.
            chunk.untried |= owner == GONE;
        });
        Answer::Ok
    }

    fn record(
        &mut self,
        rules: &Rules,
        index: TaskIndex,
        c: ChunkIndex,
        item: u8,
        outcome: Outcome,
    ) -> Answer {
        // Rows are items of their own: no condition on the task, and no new version of it.
        let Some(task) = &mut self.tasks[usize::from(index)] else {
            return Answer::Refused;
        };
        let row = &mut task.chunk_mut(c).rows[usize::from(item)];
        match *row {
            Some(stored) if !rules.holds(Guard::RowIsNew, false) => return Answer::Stored(stored),
            _ => *row = Some(outcome),
        }
        Answer::Stored(outcome)
    }

    fn advance(
        &mut self,
        rules: &Rules,
        index: TaskIndex,
        c: ChunkIndex,
        owner: Owner,
        step: Step,
    ) -> Answer {
        let Some(task) = self.task(index) else {
            return Answer::Refused;
        };
        let chunk = *task.chunk(c);
        let processing = task.status == Status::Processing;
        let mine = chunk.owner == owner && owner != GONE;
        if !(rules.holds(Guard::Processing, processing)
            && rules.holds(Guard::Owner, mine)
            && rules.holds(Guard::Cursor, chunk.cursor == step.from))
        {
            // The answer to a repeated step whose first copy took effect.
            return if processing && mine && chunk.cursor == step.to {
                Answer::Ok
            } else {
                Answer::Refused
            };
        }
        if !mine {
            self.note(Broken::StaleOwnerWrote);
        }
        if step.to < chunk.cursor {
            self.note(Broken::CursorWentBack);
        }
        let counts = (step.from..step.to).fold(0, |bits, item| bits | 1 << item);
        if chunk.counted & counts != 0 {
            self.note(Broken::CountedTwice);
        }
        self.update(index, |task| {
            if step.to > step.from {
                task.dispatches = 0;
            }
            let chunk = task.chunk_mut(c);
            chunk.cursor = step.to;
            chunk.failed = step.failed;
            chunk.held = step.release.is_none();
            chunk.counted |= counts;
            if let Some(Release { pauses, pause }) = step.release {
                chunk.released = step.to == 0;
                chunk.pauses = pauses;
                chunk.pausing = pause.is_some();
                if let Some(attempts) = pause.filter(|_| step.to == step.from) {
                    if rules.holds(Guard::PauseIsNoAttempt, false) {
                        chunk.spared = true;
                    } else {
                        chunk.attempts = attempts;
                    }
                }
            }
            if step.to > step.from {
                chunk.attempts = 0;
                chunk.untried = false;
                chunk.spared = false;
                chunk.released = false;
            }
        });
        Answer::Ok
    }

    fn give_back(
        &mut self,
        rules: &Rules,
        index: TaskIndex,
        c: ChunkIndex,
        owner: Owner,
        cursor: u8,
    ) -> Answer {
        let Some(task) = self.task(index) else {
            return Answer::Refused;
        };
        let processing = task.status == Status::Processing;
        let mine = task.chunk(c).owner == owner && owner != GONE;
        let unmoved = task.chunk(c).cursor == cursor;
        if !(rules.holds(Guard::Processing, processing)
            && rules.holds(Guard::Owner, mine)
            && rules.holds(Guard::Cursor, unmoved))
        {
            return Answer::Refused;
        }
        if !mine {
            self.note(Broken::StaleOwnerWrote);
        }
        self.update(index, |task| {
            let chunk = task.chunk_mut(c);
            chunk.held = false;
            chunk.released = chunk.cursor == 0;
            chunk.attempts = chunk.attempts.saturating_sub(1);
        });
        Answer::Ok
    }

    fn finish(&mut self, rules: &Rules, index: TaskIndex, end: End) -> Answer {
        let open = self.task(index).is_some_and(Task::is_open);
        if !rules.holds(Guard::Open, open) {
            return Answer::Refused;
        }
        self.end(index, end);
        self.free(rules, index);
        Answer::Ok
    }

    fn blame(
        &mut self,
        rules: &Rules,
        index: TaskIndex,
        c: ChunkIndex,
        owner: Owner,
        end: End,
    ) -> Answer {
        let Some(task) = self.task(index) else {
            return Answer::Refused;
        };
        if !rules.holds(Guard::BlamersOwner, task.chunk(c).owner == owner) {
            return Answer::Refused;
        }
        let is_settled = task.is_open() && task.is_chunk_complete(rules, c);
        let is_blamed = task.is_open() && end == End::Poisoned(c);
        let is_untried = is_blamed && task.chunk(c).untried;
        let is_spared = is_blamed && task.chunk(c).spared;
        let answer = self.finish(rules, index, end);
        if is_settled {
            self.note(Broken::SettledItemBlamed);
        }
        if is_untried {
            self.note(Broken::UntriedItemBlamed);
        }
        if is_spared {
            self.note(Broken::PausedItemBlamed);
        }
        answer
    }

    fn give_up(&mut self, rules: &Rules, index: TaskIndex, seen: Version, end: End) -> Answer {
        if !self.is_as_seen(rules, index, seen) {
            return Answer::Refused;
        }
        self.end(index, end);
        self.free(rules, index);
        Answer::Ok
    }

    fn dispatch(&mut self, rules: &Rules, index: TaskIndex, seen: Version) -> Answer {
        if !self.is_as_seen(rules, index, seen) {
            return Answer::Refused;
        }
        self.update(index, |task| {
            task.dispatches = (task.dispatches + 1).min(rules.dispatches_max);
        });
        Answer::Ok
    }

    fn is_as_seen(&self, rules: &Rules, index: TaskIndex, seen: Version) -> bool {
        let is_as_seen = self.task(index).is_some_and(|task| task.version == seen);
        rules.holds(Guard::Seen, is_as_seen)
    }

    /// Deletes the lock that the task names, whoever has it: while the task is open, it is its own.
    fn free(&mut self, rules: &Rules, index: TaskIndex) {
        // Without the guard it is the lock that a task would get today.
        let today = rules.submits.saturating_sub(1);
        let lock = if rules.holds(Guard::OwnLock, false) {
            rules.lock(today)
        } else {
            rules.lock(index)
        };
        self.locks[usize::from(lock)] = None;
    }

    fn end(&mut self, index: TaskIndex, end: End) {
        self.update(index, |task| task.status = Status::Ended(end));
    }

    /// Writes a task, whatever the conditions were.
    fn update(&mut self, index: TaskIndex, change: impl FnOnce(&mut Task)) {
        let Some(task) = &mut self.tasks[usize::from(index)] else {
            return;
        };
        let was_open = task.is_open();
        change(task);
        task.version += 1;
        if !was_open {
            self.note(Broken::EndedTaskWritten);
        }
    }

    pub(crate) fn note(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}
