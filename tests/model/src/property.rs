//! The rules that must hold in every state, and the states that must be possible.

use stateright::Property;

use crate::Rules;
use crate::inputs::Input;
use crate::protocol::Longhaul;
use crate::recovery;
use crate::state::{Slice, State, Submit, Worker};
use crate::table::{Broken, End, LOCKS, LockIndex, Status, Task, TaskIndex};

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Longhaul>> {
    let mut all = about_tasks();
    all.extend(about_chunks());
    all.extend(about_inputs());
    all.extend(sometimes());
    all
}

fn about_tasks() -> Vec<Property<Longhaul>> {
    vec![
        Property::always(
            "at most one task of a lock is open",
            |model, state: &State| {
                locks().all(|lock| open_tasks(&model.0, state, lock).count() <= 1)
            },
        ),
        Property::always(
            "the lock is that of the open task",
            |model, state: &State| {
                locks().all(|lock| {
                    let open = open_tasks(&model.0, state, lock).next();
                    open == state.table.locks[usize::from(lock)]
                })
            },
        ),
        Property::always("a key has at most one task", |model, state: &State| {
            let keyed = |index: u8| model.0.has_key(index);
            state
                .table
                .tasks()
                .filter(|(index, _)| keyed(*index))
                .count()
                <= 1
        }),
        Property::always("what was accepted is stored", |_, state: &State| {
            let is_stored = |submit: &Submit| match submit {
                Submit::Accepted(task) => state.table.task(*task).is_some(),
                _ => true,
            };
            state.submits.iter().all(is_stored)
        }),
        Property::always(
            "SUCCESS is complete and without failed items",
            |model, state: &State| {
                ended(state, End::Success).all(|task| task.outcome(&model.0) == Some(End::Success))
            },
        ),
        Property::always(
            "a task whose items are all done has not failed",
            |model, state: &State| {
                let is_done = |task: &Task| task.outcome(&model.0) == Some(End::Success);
                let not_failed = [Status::Ended(End::Success), Status::Ended(End::Cancelled)];
                let mut done = tasks(state).filter(|task| is_done(task));
                done.all(|task| task.is_open() || not_failed.contains(&task.status))
            },
        ),
        Property::always("an ended task is never written", |_, state: &State| {
            state.table.broken != Some(Broken::EndedTaskWritten)
        }),
        Property::always("an open task is never overwritten", |_, state: &State| {
            state.table.broken != Some(Broken::OpenTaskOverwritten)
        }),
        Property::always(
            "nobody is told that their own request is in the way",
            |_, state: &State| state.table.broken != Some(Broken::InItsOwnWay),
        ),
        Property::always(
            "a retry is of an ended task, and has exactly what that left undone",
            |_, state: &State| state.table.broken != Some(Broken::RetryIsWrong),
        ),
        Property::always(
            "if all were dead, sweeps alone would free the user",
            |model, state: &State| {
                state.table.broken.is_some() || recovery::frees_the_user(&model.0, state.table)
            },
        ),
    ]
}

fn about_chunks() -> Vec<Property<Longhaul>> {
    vec![
        Property::always(
            "what is counted has a row, and failed rows count as failed",
            |_, state: &State| {
                let mut chunks = tasks(state).flat_map(|task| &task.chunks);
                chunks.all(|chunk| chunk.failed_rows() == Some(chunk.failed))
            },
        ),
        Property::always("a cursor never goes back", |_, state: &State| {
            state.table.broken != Some(Broken::CursorWentBack)
        }),
        Property::always("an item is counted at most once", |_, state: &State| {
            state.table.broken != Some(Broken::CountedTwice)
        }),
        Property::always("a stale owner never writes", |_, state: &State| {
            state.table.broken != Some(Broken::StaleOwnerWrote)
        }),
        Property::always(
            "a chunk is nobody else's while its lease runs",
            |_, state: &State| state.table.broken != Some(Broken::LeaseIgnored),
        ),
        Property::always("only an unsettled item is blamed", |_, state: &State| {
            state.table.broken != Some(Broken::SettledItemBlamed)
        }),
        Property::always("nobody claims a chunk that pauses", |_, state: &State| {
            state.table.broken != Some(Broken::PauseIgnored)
        }),
        Property::always("no item is blamed for a pause", |_, state: &State| {
            state.table.broken != Some(Broken::PausedItemBlamed)
        }),
        Property::always(
            "who can know that an item is settled does not process it again",
            |_, state: &State| state.table.broken != Some(Broken::ProcessedAgain),
        ),
        Property::always(
            "no item is blamed for workers that do not know its job",
            |_, state: &State| state.table.broken != Some(Broken::UntriedItemBlamed),
        ),
    ]
}

fn about_inputs() -> Vec<Property<Longhaul>> {
    vec![
        Property::always(
            "inputs are complete before their task is, and while it is open",
            |model, state: &State| {
                let Longhaul(rules) = model;
                rules.time_runs_out
                    || tasks_with_inputs(rules, state).all(|(index, task)| {
                        !task.is_open() || state.table.inputs(rules, index).are_all_of(rules, index)
                    })
            },
        ),
        Property::always(
            "no task fails for want of inputs before their time is over",
            |model, state: &State| model.0.time_runs_out || !has_ended(state, End::Incomplete),
        ),
        Property::always(
            "an item is processed with its own input and no other",
            |model, state: &State| {
                let workers = state.workers.iter();
                let mut slices = workers.filter_map(|worker| match worker {
                    Worker::Working(slice) => Some(slice),
                    _ => None,
                });
                slices.all(|slice| has_own_input(&model.0, slice))
            },
        ),
        Property::always(
            "who can be told that it is refused has written nothing",
            |_, state: &State| {
                let wrote = |submit: &Submit| {
                    matches!(
                        submit,
                        Submit::Storing {
                            part: 1..,
                            in_vain: true
                        }
                    )
                };
                !state.submits.iter().any(wrote)
            },
        ),
    ]
}

fn sometimes() -> Vec<Property<Longhaul>> {
    vec![
        Property::sometimes("SUCCESS", |_, state: &State| has_ended(state, End::Success)),
        Property::sometimes("FAILED: items failed", |_, state: &State| {
            has_ended(state, End::ItemsFailed)
        }),
        Property::sometimes("FAILED: an item kills its workers", |_, state: &State| {
            has_ended(state, End::Poisoned(0))
        }),
        Property::sometimes("FAILED: given up", |_, state: &State| {
            has_ended(state, End::GivenUp)
        }),
        Property::sometimes("FAILED: taken over", |_, state: &State| {
            has_ended(state, End::Replaced)
        }),
        Property::sometimes("FAILED: inputs are missing", |_, state: &State| {
            has_ended(state, End::Incomplete)
        }),
        Property::sometimes("FAILED: not done in time", |_, state: &State| {
            has_ended(state, End::Overdue)
        }),
        Property::sometimes("CANCELLED", |_, state: &State| {
            has_ended(state, End::Cancelled)
        }),
        Property::sometimes("a submit is replayed", |_, state: &State| {
            let mut submits = (0 as TaskIndex..).zip(&state.submits);
            submits
                .any(|(index, submit)| matches!(submit, Submit::Accepted(task) if *task != index))
        }),
        Property::sometimes("two tasks are open", |_, state: &State| {
            tasks(state).filter(|task| task.is_open()).count() > 1
        }),
        Property::sometimes(
            "rows are left of a task that never was",
            |_, state: &State| {
                let mut submits = (0..).zip(&state.submits);
                submits.any(|(index, submit)| {
                    let inputs = &state.table.inputs[usize::from(index)];
                    let is_nobodys =
                        state.table.task(index).is_none() && inputs.rows().next().is_some();
                    is_nobodys && matches!(submit, Submit::Accepted(_) | Submit::Over)
                })
            },
        ),
        Property::sometimes("SUCCESS after a pause", |_, state: &State| {
            let mut tasks = ended(state, End::Success).flat_map(|task| &task.chunks);
            tasks.any(|chunk| chunk.pauses > 0)
        }),
        Property::sometimes("a retry is accepted", |model, state: &State| {
            accepted_retries(&model.0, state) > 0
        }),
        Property::sometimes(
            "a retry is refused, and one accepted",
            |model, state: &State| {
                let is_refused = |submit: &Submit| *submit == Submit::Over;
                accepted_retries(&model.0, state) > 0 && state.submits[1..].iter().any(is_refused)
            },
        ),
        Property::sometimes("a second task succeeds", |_, state: &State| {
            ended(state, End::Success).count() > 1
        }),
    ]
}

fn accepted_retries(rules: &Rules, state: &State) -> usize {
    let submits = (0..).zip(&state.submits);
    let accepted = submits.filter(|(index, submit)| {
        rules.is_retry(*index) && matches!(submit, Submit::Accepted(_) | Submit::Sending)
    });
    accepted.count()
}

fn tasks(state: &State) -> impl Iterator<Item = &Task> {
    state.table.tasks.iter().flatten()
}

fn tasks_with_inputs<'a>(
    rules: &'a Rules,
    state: &'a State,
) -> impl Iterator<Item = (TaskIndex, &'a Task)> {
    let tasks = state.table.tasks();
    tasks.filter(|(index, _)| rules.has_inputs(*index))
}

fn locks() -> impl Iterator<Item = LockIndex> {
    (0..).take(LOCKS)
}

fn open_tasks(rules: &Rules, state: &State, lock: LockIndex) -> impl Iterator<Item = TaskIndex> {
    let tasks = state.table.tasks();
    let open = tasks.filter(move |(index, task)| task.is_open() && rules.lock(*index) == lock);
    open.map(|(index, _)| index)
}

/// Whether the input that a worker will use next is that of the item which is next.
fn has_own_input(rules: &Rules, slice: &Slice) -> bool {
    let item = slice.cursor + slice.ready();
    let is_left = item < rules.chunk_items[usize::from(slice.chunk)];
    let request = rules.request(slice.task);
    let own = (is_left && rules.has_inputs(slice.task)).then_some(Input { request, item });
    slice.inputs[0] == own
}

fn ended(state: &State, end: End) -> impl Iterator<Item = &Task> {
    tasks(state).filter(move |task| task.status == Status::Ended(end))
}

fn has_ended(state: &State, end: End) -> bool {
    ended(state, end).next().is_some()
}
