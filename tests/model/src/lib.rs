//! A model of Longhaul's protocol, small enough to try everything that can happen.
//!
//! The simulator runs the real code through a great many random histories. This model is the
//! opposite: it is not the code, but within its bounds [`stateright`] visits *every* state that any
//! order of steps and faults can lead to, and in each of them the rules of the protocol must hold.
//! Its worth stands and falls with its likeness to the code, so it follows it call by call:
//!
//! | step here | call there |
//! |---|---|
//! | [`Action::Glance`] | `Store::look_before`: it reads the lock, then the key and the lock's task |
//! | [`Write::Put`] | `Store::put_inputs`, one row at a time; [`Action::Unprocessed`]: a batch that leaves it out |
//! | [`Action::ReadOld`], [`Action::ReadUndone`] | `Store::task` and `Store::undone`, by a retry |
//! | [`Write::Submit`] | `Store::submit`, the transaction of a submit |
//! | [`Action::Look`] | `Store::task` in `longhaul/src/submit.rs`, and whether the task seems abandoned |
//! | [`Action::Send`] | `Queue::send` in `longhaul/src/submit.rs`; it may fail, the answer is 200 |
//! | [`Action::FanOut`] | `Worker::fan_out`: a read and `Queue::send_all` |
//! | [`Write::Claim`] | `Store::claim`, on the delivery of a message for one chunk |
//! | [`Action::Read`] | `Store::outcomes` and `Store::given`, for the items that are left |
//! | [`Action::Ask`] | `ItemError::later`: an item asks for a pause |
//! | [`Write::Record`] | `Store::record_items`, one item at a time |
//! | [`Write::Advance`] | `Store::advance`: progress, sign of life and release |
//! | [`Write::GiveBack`] | `Store::give_back`, by a worker that got nowhere through no fault of an item |
//! | [`Write::Finish`] | `Store::finish`, by a worker or the sweeper |
//! | [`Action::Sweep`] | `Store::task` and `Task::diagnose` in `longhaul/src/sweeper.rs` |
//! | [`Write::Blame`] | `Store::give_up_chunk`, by a worker after too many attempts, or without inputs |
//! | [`Write::GiveUp`], [`Write::Dispatch`] | the sweeper's guarded writes; a dispatch includes its messages |
//! | [`Write::Cancel`] | `Store::cancel` |
//!
//! # Faults
//!
//! * *A crash* between any two calls: [`Action::Crash`], at any time, as often as it likes.
//! * *A call of which its caller learns nothing*: [`Action::Delay`]. The write stays under way; its
//!   caller repeats it, gives up or dies. [`Action::Arrive`] lets it take effect: at once, which is a
//!   lost answer, or much later, or after its repetition. So many writes may be under way at once as
//!   [`Rules::late_max`] says.
//! * *Messages* that were sent once may be delivered at any time, in any order and any number of
//!   times. A lost message is one that is never delivered.
//! * *Clocks*: there are none. A lease may run out at any moment ([`Action::Expire`]), a pause may be over
//!   ([`Action::Resume`]), a task may
//!   seem abandoned or stalled at any moment, and `ClientRequestToken`s, which `DynamoDB` remembers
//!   for ten minutes, are not relied upon. Clocks may cost time, never correctness. Where [`Rules::time_runs_out`],
//!   the time that a task has may be over at any moment, and rows of inputs may vanish at any moment
//!   ([`Action::Vanish`]): whoever wrote them may have been wrong about the time by days.
//!
//! # What is left out, and why
//!
//! * Versions and owners are numbers that are only compared for equality. Only that is kept, see
//!   [`State::canonical`].
//! * Which item of a batch: rows are stored one by one, an advance may pass one or more of them.
//! * `look_again`, which moves the time of the sweeper's next look: without clocks it is always
//!   time. Continuation messages, and the turn that a message is for: the message that brought the worker may always
//!   come again. The hop limit: no task of two chunks reaches it.
//! * A job, but for the lock that its tasks ask for and whether its items have inputs. A worker that does not know a
//!   task's job changes nothing: it sends the message on, which may come again anyway ([`Who::Stranger`]).
//! * The value that items share: it is one more row that has to be there, written and read like the first.
//!   The pages of a read: rows of a task do not change. Batches: each of their rows is written or not.
//! * Several users: nothing in the table is shared between them. A key with another body: a
//!   comparison of two stored texts. Expired keys: the table's time to live.
//! * The rounds of a submit are not counted: it may look again for ever, or give up at any time.

pub mod guard;
pub mod inputs;
pub mod property;
mod protocol;
mod recovery;
pub mod report;
pub mod state;
pub mod table;

pub use protocol::{Action, Longhaul, Repeat, Who};

#[cfg(doc)]
use state::State;
#[cfg(doc)]
use table::Write;

use guard::Guard;
use inputs::Request;
use table::{ChunkIndex, LockIndex, TaskIndex};

/// The bounds within which everything is tried, and the guard that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many submits there are; each draws the id of a task of its own.
    pub submits: u8,
    /// How many of them, from the first, carry the one idempotency key.
    pub submits_with_key: u8,
    /// How many of them, from the first, are for items that have inputs.
    pub submits_with_inputs: u8,
    /// How many of them, from the last, are retries of the first one's task.
    pub retries: u8,
    /// Which lock each of them asks for. By user it is the same for all, by job or by request it is another one for
    /// another job or request; and where the configuration has changed, for the same request.
    pub locks: [LockIndex; table::TASKS_MAX],
    /// How many workers there are.
    pub workers: u8,
    /// How many items each chunk has.
    pub chunk_items: [u8; table::CHUNKS],
    /// How often a chunk may be claimed without getting on.
    pub attempts_max: u8,
    /// How often a task may be dispatched without getting on.
    pub dispatches_max: u8,
    /// How many writes may be under way that nobody waits for.
    pub late_max: u8,
    /// Whether items may fail.
    pub items_fail: bool,
    /// How often a chunk may pause without an item getting through; then who still asks fails. None asks where it is 0.
    pub pauses_max: u8,
    /// Whether time runs out, at any moment: for an open task, which is ended, and for rows of inputs, which vanish.
    pub time_runs_out: bool,
    /// The guard that is taken away.
    pub dropped: Option<Guard>,
}

impl Rules {
    /// Three submits of one user, two of them with the same key, one write under way, no worker:
    /// everything about lock, key and take-over.
    pub const SUBMITS: Self = Self {
        submits: 3,
        submits_with_key: 2,
        submits_with_inputs: 0,
        retries: 0,
        locks: [0, 0, 0],
        workers: 0,
        chunk_items: [1, 1],
        attempts_max: 1,
        dispatches_max: 1,
        late_max: 1,
        items_fail: false,
        pauses_max: 0,
        time_runs_out: false,
        dropped: None,
    };

    /// The same without keys: a key keeps its submits apart where a lock ought to.
    pub const KEYLESS: Self = Self {
        submits_with_key: 0,
        ..Self::SUBMITS
    };

    /// One task, two workers, items that fail: everything about chunks, rows and counting.
    pub const WORK: Self = Self {
        submits: 1,
        submits_with_key: 0,
        workers: 2,
        chunk_items: [2, 1],
        late_max: 0,
        items_fail: true,
        ..Self::SUBMITS
    };

    /// One task, two workers, and one write under way.
    pub const LATE_WORK: Self = Self {
        chunk_items: [1, 1],
        late_max: 1,
        items_fail: false,
        ..Self::WORK
    };

    /// One task, two workers, items that ask for pauses.
    pub const PAUSES: Self = Self {
        chunk_items: [2, 0],
        pauses_max: 2,
        items_fail: false,
        ..Self::WORK
    };

    /// One task of one item that asks for pauses, a worker, and one write under way.
    pub const LATE_PAUSES: Self = Self {
        workers: 1,
        chunk_items: [1, 0],
        pauses_max: 1,
        late_max: 1,
        ..Self::PAUSES
    };

    /// A task and a retry of it; a worker, and items that fail.
    pub const RETRIES: Self = Self {
        submits: 2,
        submits_with_key: 0,
        retries: 1,
        workers: 1,
        chunk_items: [2, 0],
        late_max: 0,
        items_fail: true,
        ..Self::SUBMITS
    };

    /// A task and two retries of it; no worker, and one write under way.
    pub const RIVAL_RETRIES: Self = Self {
        submits: 3,
        submits_with_key: 0,
        retries: 2,
        chunk_items: [1, 0],
        ..Self::SUBMITS
    };

    /// Three submits for two locks: the first two carry the same key, and the configuration has changed between them; the
    /// last two ask for the same lock.
    pub const LOCKS: Self = Self {
        locks: [0, 1, 1],
        ..Self::SUBMITS
    };

    /// A submit and its repetition, for items that have inputs, and a worker.
    pub const INPUTS: Self = Self {
        submits: 2,
        submits_with_inputs: 2,
        workers: 1,
        chunk_items: [2, 0],
        late_max: 0,
        ..Self::SUBMITS
    };

    /// One submit for items that have inputs, a worker, and one write under way.
    pub const LATE_INPUTS: Self = Self {
        submits: 1,
        late_max: 1,
        ..Self::INPUTS
    };

    /// Two different submits for items that have inputs, one write under way, and no worker.
    pub const KEYLESS_INPUTS: Self = Self {
        submits_with_key: 0,
        workers: 0,
        late_max: 1,
        ..Self::INPUTS
    };

    /// Two different submits for items that have inputs, and a worker.
    pub const TWO_REQUESTS: Self = Self {
        workers: 1,
        chunk_items: [1, 0],
        late_max: 0,
        ..Self::KEYLESS_INPUTS
    };

    /// One task whose items have inputs, two workers, and time that runs out.
    pub const TIME: Self = Self {
        submits: 1,
        workers: 2,
        time_runs_out: true,
        ..Self::INPUTS
    };

    /// The same, with one write under way.
    pub const LATE_TIME: Self = Self {
        late_max: 1,
        ..Self::TIME
    };

    /// All of it at once, while there is time: more than can be visited to the end.
    pub const TOGETHER: Self = Self {
        submits: 3,
        submits_with_key: 2,
        submits_with_inputs: 2,
        locks: [0, 1, 1],
        late_max: 1,
        ..Self::WORK
    };

    /// The same rules without one of the guards.
    #[must_use]
    pub fn without(self, guard: Guard) -> Self {
        Self {
            dropped: Some(guard),
            ..self
        }
    }

    /// Whether a submit carries the idempotency key.
    #[must_use]
    pub fn has_key(&self, submit: TaskIndex) -> bool {
        submit < self.submits_with_key
    }

    /// Whether a submit is for items that have inputs.
    #[must_use]
    pub fn has_inputs(&self, submit: TaskIndex) -> bool {
        submit < self.submits_with_inputs
    }

    /// Whether a submit is a retry.
    #[must_use]
    pub fn is_retry(&self, submit: TaskIndex) -> bool {
        submit >= self.submits - self.retries
    }

    /// The request that a submit makes: under the one key it is always the same.
    #[must_use]
    pub fn request(&self, submit: TaskIndex) -> Request {
        if self.has_key(submit) { 0 } else { submit }
    }

    /// The lock that a submit asks for, and that its task holds while it is open.
    #[must_use]
    pub fn lock(&self, submit: TaskIndex) -> LockIndex {
        self.locks[usize::from(submit)]
    }

    /// For which chunk and which of its items the row of this number is, in the order in which a submit writes them.
    #[must_use]
    pub fn part(&self, mut part: u8) -> Option<(ChunkIndex, u8)> {
        for (chunk, items) in (0..).zip(self.chunk_items) {
            if part < items {
                return Some((chunk, part));
            }
            part -= items;
        }
        None
    }

    /// Whether a guard lets a write pass.
    #[must_use]
    pub fn holds(&self, guard: Guard, condition: bool) -> bool {
        condition || self.dropped == Some(guard)
    }
}
