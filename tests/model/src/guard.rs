//! The conditions that keep the protocol, each of which can be taken away.

use std::fmt;

use crate::Rules;

/// A condition of a write. The names are those of `longhaul/src/store`, where it has them; a
/// test compares the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A submit that saw no lock: there is none.
    LockIsFree,
    /// A submit that takes a lock over: it still names the task that was seen.
    LockIsAsSeen,
    /// A submit: its task does not exist. It does when the same submit arrives a second time.
    TaskIsNew,
    /// A submit with an idempotency key: nobody used the key before.
    KeyIsNew,
    /// A claim, a finish, a cancel: the task has not ended.
    Open,
    /// A claim: nobody holds the chunk under a lease that has not run out.
    ChunkIsFree,
    /// A claim: the chunk does not pause.
    PauseIsOver,
    /// An advance, a return: the task is at work.
    Processing,
    /// An advance, a return: the chunk was not claimed by somebody else in the meantime.
    Owner,
    /// An advance, a return: the cursor is where this worker left it.
    Cursor,
    /// A dispatch, a give-up, a take-over: nothing was written since the task was read.
    Seen,
    /// A row of an item: there is none yet. Not a condition in the store, but what `INSERT` does.
    RowIsNew,
    /// Blaming the item at the cursor: there is one, the chunk is not complete. Not a condition of a
    /// write, but a decision in `longhaul/src/worker.rs`.
    ChunkIsIncomplete,
    /// Ending a task because of one chunk: nobody else has claimed the chunk in the meantime, so nobody
    /// can have settled its items. The store calls this "owner" too; here it can be taken away alone.
    BlamersOwner,
    /// The end of a task: the lock that goes is the one that the task names, not the one that it would get today. Not a
    /// condition, but the key of what is deleted.
    OwnLock,
    /// A submit: its inputs are stored before its task is. Not a condition, but the order in `longhaul/src/submit.rs`.
    InputsFirst,
    /// A batch of inputs: what was not written is written again. Not a condition, but what an answer means.
    UnprocessedAgain,
    /// A row of inputs: it stands under an id that nobody else has. Not a condition, but the reason why none is needed.
    OwnRows,
    /// A worker that has read inputs: all that it asked for are there. Not a condition, but a decision in
    /// `longhaul/src/store/inputs.rs`.
    InputsAreAll,
    /// A submit with inputs: it looks whether it is refused before it writes them. Not a condition, but the order in
    /// `longhaul/src/submit.rs`.
    LookBefore,
    /// Who looks before writing: it reads the lock first and the key afterwards. Not a condition, but the order in
    /// `longhaul/src/store/inputs.rs`.
    KeyAfterLock,
    /// A worker that is not the first to claim a chunk: it reads which items have their rows. Not a condition, but a decision
    /// in `longhaul/src/worker/slice.rs`.
    RowsAreRead,
    /// A release for a pause in which no cursor moved: the attempts are those that there were before. Not a condition, but what
    /// `Store::advance` writes.
    PauseIsNoAttempt,
    /// A retry: the task has ended when it is read. Not a condition, but a decision in `longhaul/src/submit.rs`.
    OldHasEnded,
    /// A retry: what has a row and is not counted is tried again. Not a condition, but a decision in
    /// `longhaul/src/store/undone.rs`.
    UncountedIsUndone,
    /// A worker that gets a message: it knows the task's job. Not a condition, but a decision in
    /// `longhaul/src/worker.rs`.
    JobIsKnown,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::LockIsFree,
        Self::LockIsAsSeen,
        Self::TaskIsNew,
        Self::KeyIsNew,
        Self::Open,
        Self::ChunkIsFree,
        Self::PauseIsOver,
        Self::Processing,
        Self::Owner,
        Self::Cursor,
        Self::Seen,
        Self::RowIsNew,
        Self::ChunkIsIncomplete,
        Self::BlamersOwner,
        Self::OwnLock,
        Self::InputsFirst,
        Self::UnprocessedAgain,
        Self::OwnRows,
        Self::InputsAreAll,
        Self::LookBefore,
        Self::KeyAfterLock,
        Self::RowsAreRead,
        Self::PauseIsNoAttempt,
        Self::OldHasEnded,
        Self::UncountedIsUndone,
        Self::JobIsKnown,
    ];

    /// Rules under which its absence shows.
    #[must_use]
    pub fn shown_by(self) -> Rules {
        match self {
            Self::LockIsFree | Self::TaskIsNew | Self::KeyIsNew => Rules::SUBMITS,
            Self::LockIsAsSeen => Rules::KEYLESS,
            Self::Open
            | Self::ChunkIsFree
            | Self::Processing
            | Self::Owner
            | Self::Seen
            | Self::RowIsNew
            | Self::ChunkIsIncomplete
            | Self::RowsAreRead
            | Self::JobIsKnown => Rules::WORK,
            Self::PauseIsOver | Self::PauseIsNoAttempt => Rules::PAUSES,
            Self::OldHasEnded | Self::UncountedIsUndone => Rules::RETRIES,
            Self::Cursor | Self::BlamersOwner => Rules::LATE_WORK,
            Self::OwnLock => Rules::LOCKS,
            Self::InputsFirst | Self::UnprocessedAgain | Self::LookBefore | Self::KeyAfterLock => {
                Rules::INPUTS
            }
            Self::OwnRows => Rules::KEYLESS_INPUTS,
            Self::InputsAreAll => Rules::TIME,
        }
    }

    /// The name that the store gives it, if it is one of the store's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LockIsFree => "lock is free",
            Self::LockIsAsSeen => "lock is as seen",
            Self::TaskIsNew => "task is new",
            Self::KeyIsNew => "key is new",
            Self::Open => "open",
            Self::ChunkIsFree => "chunk is free",
            Self::PauseIsOver => "pause is over",
            Self::Processing => "processing",
            Self::Owner => "owner",
            Self::Cursor => "cursor",
            Self::Seen => "seen",
            Self::RowIsNew => "row is new",
            Self::ChunkIsIncomplete => "chunk is incomplete",
            Self::BlamersOwner => "blamer's owner",
            Self::OwnLock => "own lock",
            Self::InputsFirst => "inputs first",
            Self::UnprocessedAgain => "unprocessed again",
            Self::OwnRows => "own rows",
            Self::InputsAreAll => "inputs are all",
            Self::LookBefore => "look before",
            Self::KeyAfterLock => "key after lock",
            Self::RowsAreRead => "rows are read",
            Self::PauseIsNoAttempt => "pause is no attempt",
            Self::OldHasEnded => "old has ended",
            Self::UncountedIsUndone => "uncounted is undone",
            Self::JobIsKnown => "job is known",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
