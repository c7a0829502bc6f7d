//! What a submit does: it looks, stores what the items need, stores the task and sends the first message.

use super::{Abandoned, Action, Longhaul, Sent, Who};
use crate::guard::Guard;
use crate::state::{State, Submit};
use crate::table::{Answer, Broken, SeenLock, Task, TaskIndex, Write};

/// The task that retries are of.
const OLD: TaskIndex = 0;

impl Longhaul {
    pub(super) fn calls_of_submits(&self, state: &State, calls: &mut impl FnMut(Who, Write)) {
        let Self(rules) = self;
        for (index, submit) in (0..rules.submits).zip(state.submits) {
            let write = match submit {
                Submit::Waiting
                    if self.is_next(state, index)
                        && !rules.has_inputs(index)
                        && !rules.is_retry(index) =>
                {
                    Write::Submit(index, SeenLock::Free)
                }
                Submit::Writing(seen) => Write::Submit(index, seen),
                Submit::Storing { part, .. } => match rules.part(part) {
                    Some((chunk, item)) => Write::Put(index, chunk, item),
                    None => continue,
                },
                _ => continue,
            };
            calls(Who::Submit(index), write);
        }
    }

    /// Everything that submits do but calls that write.
    pub(super) fn other_actions_of_submits(&self, state: &State, actions: &mut Vec<Action>) {
        let Self(rules) = self;
        for (index, submit) in (0..rules.submits).zip(state.submits) {
            match submit {
                Submit::Waiting => {
                    if self.is_next(state, index) && rules.has_inputs(index) {
                        actions.push(Action::Glance(index));
                    }
                    if self.is_next(state, index) && rules.is_retry(index) {
                        actions.push(Action::ReadOld(index));
                    }
                    continue;
                }
                Submit::Accepted(_) | Submit::Over => continue,
                Submit::Asking { .. } => actions.push(Action::Glance(index)),
                Submit::Glancing { .. } | Submit::Looking(_) => {
                    actions.push(Action::Look(index, Abandoned::Yes));
                    actions.push(Action::Look(index, Abandoned::No));
                }
                Submit::Storing { .. } => actions.push(Action::Unprocessed(index)),
                Submit::Retrying(_) => actions.push(Action::ReadUndone(index)),
                Submit::Writing(_) => {}
                Submit::Sending => {
                    actions.push(Action::Send(index, Sent::Yes));
                    actions.push(Action::Send(index, Sent::No));
                }
            }
            actions.push(Action::Crash(Who::Submit(index)));
        }
    }

    /// Submits that differ in nothing begin in order.
    fn is_next(&self, state: &State, index: TaskIndex) -> bool {
        let Self(rules) = self;
        let kind = |index| {
            let has_inputs = rules.has_inputs(index);
            let is_retry = rules.is_retry(index);
            (
                rules.has_key(index),
                has_inputs,
                is_retry,
                rules.lock(index),
            )
        };
        index == 0
            || kind(index) != kind(index - 1)
            || state.submits[usize::from(index - 1)] != Submit::Waiting
    }

    pub(super) fn after_submit_call(
        &self,
        submit: TaskIndex,
        place: Submit,
        write: Write,
        answer: Answer,
    ) -> Submit {
        match (write, place) {
            (Write::Put(..), Submit::Storing { part, in_vain }) => self.store_next(part, in_vain),
            _ => match answer {
                Answer::Ok => self.after_acceptance(submit),
                Answer::Replayed(task) => Submit::Accepted(task),
                Answer::Busy(holder) => Submit::Looking(holder),
                Answer::Refused | Answer::Stored(_) => Submit::Writing(SeenLock::Free),
            },
        }
    }

    /// The next read of the look that comes before any write.
    pub(super) fn glance(&self, state: &State, submit: TaskIndex) -> Submit {
        let Self(rules) = self;
        let lock = state.table.lock(rules, submit);
        let place = state.submits[usize::from(submit)];
        let in_vain = match place {
            Submit::Asking { in_vain, .. } => in_vain,
            _ => self.is_in_vain(state, submit),
        };
        if rules.holds(Guard::LookBefore, false) {
            return self.begin_to_store(in_vain);
        }
        if !rules.has_key(submit) {
            return self.after_glance(lock, in_vain);
        }
        let key_first = rules.holds(Guard::KeyAfterLock, false);
        let asking = |lock| Submit::Asking { lock, in_vain };
        match (place, state.table.key) {
            (Submit::Asking { .. }, _) if key_first => self.after_glance(lock, in_vain),
            (Submit::Asking { lock, .. }, None) => self.after_glance(lock, in_vain),
            (Submit::Waiting, None) if key_first => asking(None),
            (Submit::Waiting, _) if !key_first => asking(lock),
            (_, Some(task)) => Submit::Accepted(task),
            (place, None) => place,
        }
    }

    /// Whether a submit that begins to look now can find that it will be refused. Asks the table, not the submit.
    fn is_in_vain(&self, state: &State, submit: TaskIndex) -> bool {
        let Self(rules) = self;
        let holder = state.table.lock(rules, submit);
        let holder = holder.and_then(|holder| state.table.task(holder));
        let is_replayed = rules.has_key(submit) && state.table.key.is_some();
        is_replayed || holder.is_some_and(Task::is_open)
    }

    fn after_glance(&self, holder: Option<TaskIndex>, in_vain: bool) -> Submit {
        match holder {
            Some(holder) => Submit::Glancing { holder, in_vain },
            None => self.begin_to_store(in_vain),
        }
    }

    /// Reads the task that a retry is of. One that is open, or that there is not, is refused.
    pub(super) fn read_old(&self, state: &State) -> Submit {
        let Self(rules) = self;
        match state.table.task(OLD) {
            Some(old) if rules.holds(Guard::OldHasEnded, !old.is_open()) => {
                Submit::Retrying(old.settled())
            }
            _ => Submit::Over,
        }
    }

    /// Reads what the old task left undone, of the items that were settled when it was read and of those that were not.
    pub(super) fn read_undone(&self, state: &mut State, submit: TaskIndex) -> Option<()> {
        let Self(rules) = self;
        let place = &mut state.submits[usize::from(submit)];
        let Submit::Retrying(settled) = *place else {
            return None;
        };
        let counts_rows = rules.holds(Guard::UncountedIsUndone, false);
        let undone = state.table.task(OLD)?.undone(rules, settled, counts_rows);
        *place = if undone.as_flattened().contains(&true) {
            state.undone[usize::from(submit)] = undone;
            Submit::Writing(SeenLock::Free)
        } else {
            Submit::Over
        };
        Some(())
    }

    /// A retry is accepted: as the old task has ended, nothing of this will ever change.
    pub(super) fn judge_retry(&self, state: &mut State, submit: TaskIndex) {
        let Self(rules) = self;
        let wanted = std::mem::take(&mut state.undone[usize::from(submit)]);
        let old = state.table.task(OLD).filter(|old| !old.is_open());
        let left = old.map(|old| old.undone(rules, old.settled(), false));
        if left != Some(wanted) {
            state.table.note(Broken::RetryIsWrong);
        }
    }

    /// Reads the task that holds the lock, which is in the way or is not.
    pub(super) fn look(
        &self,
        state: &mut State,
        submit: TaskIndex,
        abandoned: Abandoned,
    ) -> Option<()> {
        let Self(rules) = self;
        let place = &mut state.submits[usize::from(submit)];
        let (Submit::Glancing { holder, .. } | Submit::Looking(holder)) = *place else {
            return None;
        };
        let open = state.table.task(holder).filter(|task| task.is_open());
        let seen = match open {
            Some(_) if abandoned == Abandoned::No => {
                *place = Submit::Over;
                if rules.has_key(submit) && rules.has_key(holder) {
                    state.table.note(Broken::InItsOwnWay);
                }
                return Some(());
            }
            Some(task) => SeenLock::Abandoned(holder, task.version),
            None => SeenLock::Left(holder),
        };
        *place = match *place {
            Submit::Glancing { .. } => self.begin_to_store(false),
            _ => Submit::Writing(seen),
        };
        Some(())
    }

    /// A batch is answered, but the row was not written.
    pub(super) fn unprocessed(&self, place: Submit) -> Submit {
        match place {
            Submit::Storing { part, in_vain } if self.0.holds(Guard::UnprocessedAgain, false) => {
                self.store_next(part, in_vain)
            }
            _ => place,
        }
    }

    fn begin_to_store(&self, in_vain: bool) -> Submit {
        if self.stores_inputs_last() {
            return Submit::Writing(SeenLock::Free);
        }
        Submit::Storing { part: 0, in_vain }
    }

    fn store_next(&self, part: u8, in_vain: bool) -> Submit {
        let part = part + 1;
        if self.0.part(part).is_some() {
            Submit::Storing { part, in_vain }
        } else if self.stores_inputs_last() {
            Submit::Sending
        } else {
            Submit::Writing(SeenLock::Free)
        }
    }

    fn after_acceptance(&self, submit: TaskIndex) -> Submit {
        if self.0.has_inputs(submit) && self.stores_inputs_last() {
            return Submit::Storing {
                part: 0,
                in_vain: false,
            };
        }
        Submit::Sending
    }

    fn stores_inputs_last(&self) -> bool {
        self.0.holds(Guard::InputsFirst, false)
    }
}
