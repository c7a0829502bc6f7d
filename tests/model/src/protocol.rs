//! What can happen next, and what comes of it.

mod submits;

use stateright::{Model, Property};

use crate::Rules;
use crate::guard::Guard;
use crate::inputs::{self, Hand};
use crate::state::{LATE_MAX, Slice, State, Submit, Sweeper, WORKERS_MAX, Worker};
use crate::table::{
    Answer, Broken, ChunkIndex, End, GONE, Outcome, Release, Step, Task, TaskIndex, Write,
};

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A submit.
    Submit(TaskIndex),
    /// A worker.
    Worker(u8),
    /// The sweeper.
    Sweeper,
    /// A worker that does not know the job of the task. Has no state: it claims nothing, and sends the message on.
    /// Without the guard it claims a chunk and is gone, for there is nothing that it could do with it.
    Stranger,
    /// The user who calls a task off. Has no state: a repeated or delayed cancel is a later one.
    User,
}

/// What a caller does who learns nothing of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It makes the same call again.
    Yes,
    /// It gives up, or dies.
    No,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call takes effect and is answered.
    Call(Who, Write),
    /// A call stays under way without an answer.
    Delay(Who, Write, Repeat),
    /// A call arrives that nobody waits for any more.
    Arrive(Write),
    /// Somebody dies, or gives up after an error.
    Crash(Who),
    /// A submit that has inputs to store reads the lock, and next the key.
    Glance(TaskIndex),
    /// A retry reads the task that it is of.
    ReadOld(TaskIndex),
    /// A retry reads which items of that failed, and what they were given.
    ReadUndone(TaskIndex),
    /// A submit reads the task that holds the lock, and finds it abandoned or not, if it is open.
    Look(TaskIndex, Abandoned),
    /// A batch of rows is answered, but the row that a submit wants to be written is left.
    Unprocessed(TaskIndex),
    /// A submit sends its message and answers.
    Send(TaskIndex, Sent),
    /// A worker gets the message for all chunks of a task, and sends one for each that waits.
    FanOut(TaskIndex),
    /// A worker reads the rows and the inputs of the items that are left of its chunk.
    Read(u8),
    /// An item that a worker has in flight asks for a pause.
    Ask(u8, u8),
    /// The sweeper reads a task, whose time is over or is not, and decides what to do about it.
    Sweep(TaskIndex, Time),
    /// The lease on a chunk runs out.
    Expire(TaskIndex, ChunkIndex),
    /// The pause of a chunk is over.
    Resume(TaskIndex, ChunkIndex),
    /// The time to live of a row of inputs is over, and it vanishes.
    Vanish(TaskIndex, ChunkIndex, u8),
}

/// Whether a task that holds the lock seems abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Its lease ran out.
    Yes,
    /// It is alive.
    No,
}

/// Whether a task still has time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// It has.
    Left,
    /// It should have been done by now.
    Over,
}

/// Whether a message got to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It did.
    Yes,
    /// It did not.
    No,
}

/// The protocol, for [`stateright`].
#[derive(Clone, Copy, Debug)]
pub struct Longhaul(pub Rules);

impl Model for Longhaul {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Nothing that follows from a broken rule is worth knowing.
        if state.table.broken.is_some() {
            return;
        }
        let mut calls = |who, write| {
            actions.push(Action::Call(who, write));
            if state.has_room_for_late(&self.0) && !matches!(who, Who::User | Who::Stranger) {
                actions.push(Action::Delay(who, write, Repeat::Yes));
                actions.push(Action::Delay(who, write, Repeat::No));
            }
        };
        self.calls_of_submits(state, &mut calls);
        self.calls_of_workers(state, &mut calls);
        if let Sweeper::Decided(write) = state.sweeper {
            calls(Who::Sweeper, write);
        }
        for (task, _) in state.table.tasks() {
            calls(Who::User, Write::Cancel(task));
        }
        if self.0.holds(Guard::JobIsKnown, false) {
            for (task, chunk) in state.sent_chunks() {
                calls(Who::Stranger, Write::Claim(task, chunk, GONE));
            }
        }
        self.other_actions(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Call(who, write) => {
                let answer = next.table.apply(&self.0, write);
                self.on_answer(&mut next, who, write, answer);
            }
            Action::Delay(who, write, repeat) => {
                *next.late.iter_mut().find(|late| late.is_none())? = Some(write);
                match (repeat, who, write) {
                    (Repeat::No, ..) => next.crash(who),
                    (Repeat::Yes, Who::Worker(worker), Write::Claim(task, chunk, owner)) => {
                        next.workers[usize::from(worker)] = Worker::Claiming(task, chunk, owner);
                    }
                    (Repeat::Yes, Who::Submit(submit), Write::Submit(_, seen)) => {
                        next.submits[usize::from(submit)] = Submit::Writing(seen);
                    }
                    (Repeat::Yes, ..) => {}
                }
            }
            Action::Arrive(write) => {
                *next.late.iter_mut().find(|late| **late == Some(write))? = None;
                next.table.apply(&self.0, write);
            }
            Action::Crash(who) => next.crash(who),
            Action::Glance(submit) => {
                next.submits[usize::from(submit)] = self.glance(state, submit);
            }
            Action::ReadOld(submit) => {
                next.submits[usize::from(submit)] = self.read_old(state);
            }
            Action::ReadUndone(submit) => self.read_undone(&mut next, submit)?,
            Action::Look(submit, abandoned) => self.look(&mut next, submit, abandoned)?,
            Action::Unprocessed(submit) => {
                let place = &mut next.submits[usize::from(submit)];
                *place = self.unprocessed(*place);
            }
            Action::Send(submit, sent) => {
                next.submits[usize::from(submit)] = Submit::Accepted(submit);
                if sent == Sent::Yes {
                    next.messages[usize::from(submit)].all = true;
                }
            }
            Action::FanOut(task) => self.fan_out(&mut next, task)?,
            Action::Read(worker) => {
                let place = usize::from(worker);
                next.workers[place] = self.read(&mut next, state.workers[place]);
            }
            Action::Ask(worker, item) => {
                if let Worker::Working(slice) = &mut next.workers[usize::from(worker)] {
                    slice.asked = Some(item);
                    slice.pauses += 1;
                }
            }
            Action::Sweep(task, time) => self.sweep(&mut next, task, time)?,
            Action::Expire(task, chunk) => {
                let task = next.table.tasks[usize::from(task)].as_mut()?;
                task.chunks[usize::from(chunk)].held = false;
            }
            Action::Resume(task, chunk) => {
                let task = next.table.tasks[usize::from(task)].as_mut()?;
                task.chunks[usize::from(chunk)].pausing = false;
            }
            Action::Vanish(task, chunk, item) => {
                next.table.inputs[usize::from(task)].remove(chunk, item);
            }
        }
        let next = next.canonical();
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::property::all()
    }
}

impl State {
    /// The chunks for which there is a message of their own.
    fn sent_chunks(&self) -> impl Iterator<Item = (TaskIndex, ChunkIndex)> {
        let messages = (0..).zip(&self.messages);
        messages.flat_map(|(task, messages)| {
            let sent = (0..).zip(messages.chunk).filter(|&(_, is_sent)| is_sent);
            sent.map(move |(chunk, _)| (task, chunk))
        })
    }

    fn has_room_for_late(&self, rules: &Rules) -> bool {
        let late = self.late.iter().flatten().count();
        late < usize::from(rules.late_max).min(LATE_MAX)
    }

    fn crash(&mut self, who: Who) {
        match who {
            Who::Submit(submit) => self.submits[usize::from(submit)] = Submit::Over,
            Who::Worker(worker) => self.workers[usize::from(worker)] = Worker::Idle,
            Who::Sweeper => self.sweeper = Sweeper::Idle,
            Who::Stranger | Who::User => {}
        }
    }
}

/// Who could call what.
impl Longhaul {
    fn calls_of_workers(&self, state: &State, calls: &mut impl FnMut(Who, Write)) {
        let Self(rules) = self;
        let mut is_first_idle = true;
        for (index, worker) in self.workers(state) {
            let who = Who::Worker(index);
            match worker {
                Worker::Idle if is_first_idle => {
                    is_first_idle = false;
                    let owner = state.new_owner();
                    for (task, chunk) in state.sent_chunks() {
                        calls(who, Write::Claim(task, chunk, owner));
                    }
                }
                Worker::Idle => {}
                Worker::Claiming(task, chunk, owner) => {
                    calls(who, Write::Claim(task, chunk, owner));
                }
                Worker::Finishing(task, end) => calls(who, Write::Finish(task, end)),
                Worker::Blaming(task, chunk, owner, end) => {
                    calls(who, Write::Blame(task, chunk, owner, end));
                }
                // The table does not answer.
                Worker::Reading(slice) => {
                    let Slice { task, chunk, .. } = slice;
                    calls(who, Write::GiveBack(task, chunk, slice.owner, slice.cursor));
                }
                Worker::Working(slice) => {
                    let Slice { task, chunk, .. } = slice;
                    let items = rules.chunk_items[usize::from(chunk)];
                    let to = slice.cursor + slice.ready();
                    for item in self.in_flight(&slice) {
                        calls(who, Write::Record(task, chunk, item, Outcome::Done));
                        let is_out_of_pauses =
                            rules.pauses_max > 0 && slice.pauses >= rules.pauses_max;
                        if rules.items_fail || is_out_of_pauses {
                            calls(who, Write::Record(task, chunk, item, Outcome::Failed));
                        }
                    }
                    let step = |release| Step {
                        from: slice.cursor,
                        to,
                        failed: slice.failed + slice.ready_failed(),
                        release,
                    };
                    // A complete chunk is always let go.
                    if to < items {
                        calls(who, Write::Advance(task, chunk, slice.owner, step(None)));
                    }
                    let pause = slice.asked.map(|_| slice.attempts);
                    let release = Some(Release {
                        pauses: slice.pauses,
                        pause: pause.filter(|_| to < items),
                    });
                    calls(who, Write::Advance(task, chunk, slice.owner, step(release)));
                    calls(who, Write::GiveBack(task, chunk, slice.owner, slice.cursor));
                }
            }
        }
    }

    /// The items that a worker may be at: the next one or, where pauses let others go first, any that it does not know to be
    /// settled and that has not asked for a pause.
    fn in_flight(&self, slice: &Slice) -> impl Iterator<Item = u8> {
        let Self(rules) = self;
        let next = slice.cursor + slice.ready();
        let items = rules.chunk_items[usize::from(slice.chunk)];
        let end = if rules.pauses_max > 0 {
            items
        } else {
            items.min(next + 1)
        };
        let (rows, asked) = (slice.rows, slice.asked);
        (next..end).filter(move |&item| rows[usize::from(item)].is_none() && asked != Some(item))
    }

    /// The workers there are. They are kept sorted with the idle ones first, so those that there
    /// are come last.
    fn workers(&self, state: &State) -> impl Iterator<Item = (u8, Worker)> {
        let skipped = WORKERS_MAX - usize::from(self.0.workers).min(WORKERS_MAX);
        (0..).zip(state.workers).skip(skipped)
    }

    /// Everything but calls that write.
    fn other_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut late: Vec<_> = state.late.iter().flatten().collect();
        late.dedup();
        actions.extend(late.into_iter().map(|&write| Action::Arrive(write)));
        self.other_actions_of_submits(state, actions);
        for (index, worker) in self.workers(state) {
            if worker != Worker::Idle {
                actions.push(Action::Crash(Who::Worker(index)));
            }
            if matches!(worker, Worker::Reading(_)) {
                actions.push(Action::Read(index));
            }
            if let Worker::Working(slice) = worker
                && slice.asked.is_none()
                && slice.pauses < self.0.pauses_max
            {
                let in_flight = self.in_flight(&slice);
                actions.extend(in_flight.map(|item| Action::Ask(index, item)));
            }
        }
        if state.sweeper != Sweeper::Idle {
            actions.push(Action::Crash(Who::Sweeper));
        }
        // What becomes of a retry is what becomes of any task: nobody works on it here.
        let tasks = state.table.tasks();
        for (index, task) in tasks.filter(|(index, _)| !self.0.is_retry(*index)) {
            if state.messages[usize::from(index)].all {
                actions.push(Action::FanOut(index));
            }
            if state.sweeper == Sweeper::Idle {
                actions.push(Action::Sweep(index, Time::Left));
                if self.0.time_runs_out {
                    actions.push(Action::Sweep(index, Time::Over));
                }
            }
            for (chunk, stored) in (0..).zip(&task.chunks) {
                if stored.held && task.is_open() {
                    actions.push(Action::Expire(index, chunk));
                }
                if stored.pausing && task.is_open() {
                    actions.push(Action::Resume(index, chunk));
                }
            }
        }
        if self.0.time_runs_out {
            for (index, inputs) in (0..).zip(&state.table.inputs) {
                let rows = inputs.rows();
                actions.extend(rows.map(|(chunk, item)| Action::Vanish(index, chunk, item)));
            }
        }
    }
}

/// What comes of it.
impl Longhaul {
    fn on_answer(&self, state: &mut State, who: Who, write: Write, answer: Answer) {
        match who {
            Who::Stranger | Who::User => {}
            Who::Sweeper => {
                state.sweeper = Sweeper::Idle;
                if let (Write::Dispatch(task, _), Answer::Ok) = (write, answer) {
                    self.send_stalled(state, task);
                }
            }
            Who::Submit(submit) => {
                let place = &mut state.submits[usize::from(submit)];
                *place = self.after_submit_call(submit, *place, write, answer);
                if answer == Answer::Ok && self.0.is_retry(submit) {
                    self.judge_retry(state, submit);
                }
            }
            Who::Worker(worker) => {
                let worker = usize::from(worker);
                let now = state.workers[worker];
                state.workers[worker] = self.after_worker_call(state, now, write, answer);
            }
        }
    }

    fn after_worker_call(
        &self,
        state: &mut State,
        worker: Worker,
        write: Write,
        answer: Answer,
    ) -> Worker {
        let Self(rules) = self;
        match (write, worker) {
            (Write::Claim(index, chunk, owner), _) => {
                let Some(task) = state.table.task(index) else {
                    return Worker::Idle;
                };
                if answer != Answer::Ok {
                    return self.finish_if_complete(index, task);
                }
                let stored = task.chunk(chunk);
                let is_incomplete = !task.is_chunk_complete(rules, chunk);
                if !rules.holds(Guard::ChunkIsIncomplete, is_incomplete) {
                    return self.finish_if_complete(index, task);
                }
                if stored.attempts > rules.attempts_max {
                    return Worker::Blaming(index, chunk, owner, End::Poisoned(chunk));
                }
                let slice = Slice {
                    task: index,
                    chunk,
                    owner,
                    cursor: stored.cursor,
                    failed: stored.failed,
                    rows: Default::default(),
                    inputs: Hand::default(),
                    asked: None,
                    pauses: stored.pauses,
                    attempts: if rules.pauses_max > 0 {
                        stored.attempts.saturating_sub(1)
                    } else {
                        0
                    },
                };
                // Where neither inputs nor pauses matter, the rows are read in the same step.
                let reads_rows = !stored.is_fresh();
                if rules.has_inputs(index) || (reads_rows && rules.pauses_max > 0) {
                    Worker::Reading(slice)
                } else if reads_rows {
                    self.read(state, Worker::Reading(slice))
                } else {
                    Self::begin(state, slice)
                }
            }
            (Write::Record(..), Worker::Working(slice)) => match answer {
                Answer::Stored(outcome) => {
                    let Write::Record(_, _, item, _) = write else {
                        return Worker::Idle;
                    };
                    let mut rows = slice.rows;
                    rows[usize::from(item)] = Some(outcome);
                    Worker::Working(Slice {
                        rows,
                        inputs: inputs::without_first(slice.inputs),
                        pauses: u8::from(slice.asked.is_some()),
                        ..slice
                    })
                }
                _ => Worker::Idle,
            },
            (Write::Advance(index, chunk, _, step), Worker::Working(slice)) => {
                let Some(task) = state.table.task(index).filter(|_| answer == Answer::Ok) else {
                    return Worker::Idle;
                };
                if step.to >= rules.chunk_items[usize::from(chunk)] {
                    self.finish_if_complete(index, task)
                } else if step.release.is_some() {
                    Worker::Idle
                } else {
                    let mut rows = slice.rows;
                    rows[..usize::from(step.to)].fill(None);
                    let is_attempt = rules.pauses_max > 0 && step.to == step.from;
                    Worker::Working(Slice {
                        cursor: step.to,
                        failed: step.failed,
                        rows,
                        attempts: if is_attempt { slice.attempts } else { 0 },
                        ..slice
                    })
                }
            }
            _ => Worker::Idle,
        }
    }

    fn finish_if_complete(&self, index: TaskIndex, task: &Task) -> Worker {
        match task.outcome(&self.0).filter(|_| task.is_open()) {
            Some(end) => Worker::Finishing(index, end),
            None => Worker::Idle,
        }
    }

    fn read(&self, state: &mut State, worker: Worker) -> Worker {
        let Self(rules) = self;
        let Worker::Reading(mut slice) = worker else {
            return worker;
        };
        let stored = state.table.task(slice.task);
        let stored = stored.map(|task| *task.chunk(slice.chunk));
        if let Some(stored) = stored.filter(|_| !rules.holds(Guard::RowsAreRead, false)) {
            slice.rows = stored.rows;
            slice.rows[..usize::from(slice.cursor)].fill(None);
        }
        if rules.has_inputs(slice.task) {
            let inputs = state.table.inputs(rules, slice.task);
            let next = slice.cursor + slice.ready();
            match inputs.read(rules, slice.chunk, next) {
                Some(inputs) => slice.inputs = inputs,
                None => {
                    return Worker::Blaming(slice.task, slice.chunk, slice.owner, End::Incomplete);
                }
            }
        }
        Self::begin(state, slice)
    }

    /// A worker begins with what it does not know to be settled.
    fn begin(state: &mut State, slice: Slice) -> Worker {
        let task = state.table.task(slice.task);
        let rows = task.map(|task| task.chunk(slice.chunk).rows);
        let stored = rows.into_iter().flatten().skip(usize::from(slice.cursor));
        let known = slice.rows.iter().skip(usize::from(slice.cursor));
        let is_unknown = |(stored, known): (Option<Outcome>, &Option<Outcome>)| {
            stored.is_some() && known.is_none()
        };
        if stored.zip(known).any(is_unknown) {
            state.table.note(Broken::ProcessedAgain);
        }
        Worker::Working(slice)
    }

    fn fan_out(&self, state: &mut State, index: TaskIndex) -> Option<()> {
        let task = state.table.task(index).filter(|task| task.is_open())?;
        if let Some(end) = task.outcome(&self.0) {
            let (worker, _) = self
                .workers(state)
                .find(|(_, worker)| *worker == Worker::Idle)?;
            state.workers[usize::from(worker)] = Worker::Finishing(index, end);
        } else {
            for chunk in task.claimable_chunks(&self.0) {
                state.messages[usize::from(index)].chunk[usize::from(chunk)] = true;
            }
        }
        Some(())
    }

    fn sweep(&self, state: &mut State, index: TaskIndex, time: Time) -> Option<()> {
        let Self(rules) = self;
        let task = state.table.task(index).filter(|task| task.is_open())?;
        let write = if let Some(end) = task.outcome(rules) {
            Write::Finish(index, end)
        } else if time == Time::Over {
            Write::GiveUp(index, task.version, End::Overdue)
        } else {
            // Somebody holds every chunk that is not complete: the task is alive.
            task.claimable_chunks(rules).next()?;
            if task.dispatches >= rules.dispatches_max {
                Write::GiveUp(index, task.version, End::GivenUp)
            } else {
                Write::Dispatch(index, task.version)
            }
        };
        state.sweeper = Sweeper::Decided(write);
        Some(())
    }

    fn send_stalled(&self, state: &mut State, index: TaskIndex) {
        let Some(task) = state.table.task(index) else {
            return;
        };
        let messages = &mut state.messages[usize::from(index)];
        for chunk in task.claimable_chunks(&self.0) {
            messages.chunk[usize::from(chunk)] = true;
        }
    }
}
