//! Who is where in its program, and what is under way.

use crate::inputs::Hand;
use crate::table::{
    CHUNKS, ChunkIndex, End, GONE, ITEMS_MAX, Outcome, Owner, SeenLock, TASKS_MAX, Table, Task,
    TaskIndex, Undone, Version, Write,
};

/// How many workers there can be at once.
pub const WORKERS_MAX: usize = 2;

/// How many writes can be under way that nobody waits for.
pub const LATE_MAX: usize = 2;

/// The largest number that stands for an owner: one for each worker and each late write, and one
/// more, which is new.
const OWNERS_MAX: Owner = 5;

/// A submit: one invocation of `longhaul/src/submit.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submit {
    /// Nobody has asked yet.
    Waiting,
    /// It looks before it writes: this task holds the lock, if one does. About to read the key.
    Asking {
        /// What it saw of the lock.
        lock: Option<TaskIndex>,
        /// As in [`Self::Storing`].
        in_vain: bool,
    },
    /// It looks before it writes. About to read the task that holds the lock.
    Glancing {
        /// That task.
        holder: TaskIndex,
        /// As in [`Self::Storing`].
        in_vain: bool,
    },
    /// About to write the row of this number.
    Storing {
        /// Which row.
        part: u8,
        /// Not known to it: whether its key was taken or its lock was held by an open task when it began to look, and
        /// it has not found since that the holder is gone.
        in_vain: bool,
    },
    /// It is a retry, and has read how many items of each chunk of the old task are settled. About to read which of those
    /// failed.
    Retrying([u8; CHUNKS]),
    /// About to write, betting on what it saw of the lock.
    Writing(SeenLock),
    /// About to read the task that holds the lock.
    Looking(TaskIndex),
    /// The task is stored; about to send the first message.
    Sending,
    /// It answered 200 with this task.
    Accepted(TaskIndex),
    /// It answered 201 or 503, or died.
    Over,
}

/// A worker: what one invocation of `longhaul/src/worker.rs` does with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worker {
    /// Has no message.
    Idle,
    /// About to repeat a claim that it got no answer to.
    Claiming(TaskIndex, ChunkIndex, Owner),
    /// Holds a chunk, as far as it knows, and is about to read the rows and the inputs of its items.
    Reading(Slice),
    /// Holds a chunk, as far as it knows, and has what the items need.
    Working(Slice),
    /// About to end a task.
    Finishing(TaskIndex, End),
    /// About to end a task because of this chunk: of the item at its cursor, or of inputs that are not there.
    Blaming(TaskIndex, ChunkIndex, Owner, End),
}

/// A worker's stay with a chunk: `longhaul/src/worker/slice.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    /// Which task.
    pub task: TaskIndex,
    /// Which chunk.
    pub chunk: ChunkIndex,
    /// Its claim.
    pub owner: Owner,
    /// How many items are saved, as far as it knows.
    pub cursor: u8,
    /// How many of those failed.
    pub failed: u8,
    /// The rows of the items after those, as far as it knows.
    pub rows: [Option<Outcome>; ITEMS_MAX],
    /// The inputs of the items after those that have their rows.
    pub inputs: Hand,
    /// The item that has asked for a pause, if one has.
    pub asked: Option<u8>,
    /// How many pauses there have been since an item got through.
    pub pauses: u8,
    /// How many attempts there had been before it.
    pub attempts: u8,
}

impl Slice {
    /// How many items after the cursor have their rows, without a gap.
    #[must_use]
    pub fn ready(&self) -> u8 {
        let rows = self.rows.iter().skip(usize::from(self.cursor));
        rows.take_while(|row| row.is_some())
            .fold(0, |ready, _| ready + 1)
    }

    /// How many of those failed.
    #[must_use]
    pub fn ready_failed(&self) -> u8 {
        let rows = self.rows.iter().skip(usize::from(self.cursor));
        let ready = rows.map_while(|row| *row);
        ready.fold(0, |failed, row| failed + u8::from(row == Outcome::Failed))
    }
}

/// The sweeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sweeper {
    /// Looks at nothing.
    Idle,
    /// Has read a task and is about to do this about it.
    Decided(Write),
}

/// The messages about a task. A message that was sent once can be delivered at any time and as
/// often as it likes; a lost message is one that never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Messages {
    /// The message that names every chunk.
    pub all: bool,
    /// The messages that name one chunk.
    pub chunk: [bool; 2],
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What is stored.
    pub table: Table,
    /// What was sent.
    pub messages: [Messages; TASKS_MAX],
    /// The submits.
    pub submits: [Submit; TASKS_MAX],
    /// What each submit wants to have tried again, if it is a retry.
    pub undone: [Undone; TASKS_MAX],
    /// The workers.
    pub workers: [Worker; WORKERS_MAX],
    /// The sweeper.
    pub sweeper: Sweeper,
    /// Writes that are under way, although nobody waits for their answer.
    pub late: [Option<Write>; LATE_MAX],
}

impl State {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Table::new(),
            messages: Default::default(),
            submits: [Submit::Waiting; TASKS_MAX],
            undone: Default::default(),
            workers: [Worker::Idle; WORKERS_MAX],
            sweeper: Sweeper::Idle,
            late: [None; LATE_MAX],
        }
    }

    /// An owner that is not in use.
    #[must_use]
    pub fn new_owner(&self) -> Owner {
        let mut in_use = [false; OWNERS_MAX as usize + 1];
        let workers = self.workers.iter().filter_map(|worker| worker.owner());
        let late = self.late.iter().flatten().filter_map(|write| write.owner());
        for owner in workers.chain(late) {
            in_use[usize::from(owner)] = true;
        }
        // One is left: there are more numbers than there is room for claims.
        (GONE + 1..=OWNERS_MAX)
            .find(|&owner| !in_use[usize::from(owner)])
            .unwrap_or(GONE)
    }

    /// The same state with names forgotten that make no difference: which worker is which, which of
    /// the late writes is which, and what number stands for an owner or a version. What remains of
    /// those two is which are equal. This loses no behaviour, and makes the states finitely many.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.forget_versions();
        self.workers.sort_unstable_by_key(|worker| {
            let mut worker = *worker;
            if let Some(owner) = worker.owner_mut() {
                *owner = GONE;
            }
            worker
        });
        self.late.sort_unstable_by_key(|write| {
            let mut write = *write;
            if let Some(owner) = write.as_mut().and_then(Write::owner_mut) {
                *owner = GONE;
            }
            write
        });
        self.forget_owners();
        self
    }

    fn forget_versions(&mut self) {
        let versions = self.table.tasks.map(|task| task.map(|task| task.version));
        let forget = |seen: Option<(TaskIndex, &mut Version)>| {
            if let Some((task, version)) = seen {
                let is_current = versions[usize::from(task)] == Some(*version);
                *version = if is_current {
                    Task::CURRENT
                } else {
                    Task::BYGONE
                };
            }
        };
        for submit in &mut self.submits {
            if let Submit::Writing(SeenLock::Abandoned(task, version)) = submit {
                forget(Some((*task, version)));
            }
        }
        if let Sweeper::Decided(write) = &mut self.sweeper {
            forget(write.version_mut());
        }
        for write in self.late.iter_mut().flatten() {
            forget(write.version_mut());
        }
        for task in self.table.tasks.iter_mut().flatten() {
            task.version = Task::CURRENT;
        }
    }

    fn forget_owners(&mut self) {
        let mut names = [GONE; OWNERS_MAX as usize + 1];
        let mut next = GONE + 1;
        let workers = self.workers.iter_mut().filter_map(Worker::owner_mut);
        let late = self.late.iter_mut().flatten().filter_map(Write::owner_mut);
        for owner in workers.chain(late) {
            let name = &mut names[usize::from(*owner)];
            if *name == GONE {
                *name = next;
                next += 1;
            }
            *owner = *name;
        }
        for task in self.table.tasks.iter_mut().flatten() {
            for chunk in &mut task.chunks {
                chunk.owner = names[usize::from(chunk.owner)];
            }
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker {
    fn owner(self) -> Option<Owner> {
        match self {
            Self::Claiming(_, _, owner) | Self::Blaming(_, _, owner, _) => Some(owner),
            Self::Reading(slice) | Self::Working(slice) => Some(slice.owner),
            Self::Idle | Self::Finishing(..) => None,
        }
    }

    fn owner_mut(&mut self) -> Option<&mut Owner> {
        match self {
            Self::Claiming(_, _, owner) | Self::Blaming(_, _, owner, _) => Some(owner),
            Self::Reading(slice) | Self::Working(slice) => Some(&mut slice.owner),
            Self::Idle | Self::Finishing(..) => None,
        }
    }
}

impl Write {
    fn owner(self) -> Option<Owner> {
        match self {
            Self::Claim(_, _, owner)
            | Self::Advance(_, _, owner, _)
            | Self::GiveBack(_, _, owner, _)
            | Self::Blame(_, _, owner, _) => Some(owner),
            _ => None,
        }
    }

    fn owner_mut(&mut self) -> Option<&mut Owner> {
        match self {
            Self::Claim(_, _, owner)
            | Self::Advance(_, _, owner, _)
            | Self::GiveBack(_, _, owner, _)
            | Self::Blame(_, _, owner, _) => Some(owner),
            _ => None,
        }
    }

    fn version_mut(&mut self) -> Option<(TaskIndex, &mut Version)> {
        match self {
            Self::Submit(_, SeenLock::Abandoned(task, version))
            | Self::GiveUp(task, version, _)
            | Self::Dispatch(task, version) => Some((*task, version)),
            _ => None,
        }
    }
}
