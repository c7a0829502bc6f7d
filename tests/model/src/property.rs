//! The rules that must hold in every state, and the states that must be possible.

use stateright::Property;

use crate::protocol::Longhaul;
use crate::recovery;
use crate::state::{State, Submit};
use crate::table::{Broken, End, Status, Task, TaskIndex};

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Longhaul>> {
    let mut all = always();
    all.extend(sometimes());
    all
}

fn always() -> Vec<Property<Longhaul>> {
    vec![
        Property::always("at most one task is open", |_, state: &State| {
            open_tasks(state).count() <= 1
        }),
        Property::always("the lock is that of the open task", |_, state: &State| {
            open_tasks(state).next() == state.table.lock
        }),
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
            "what is counted has a row, and failed rows count as failed",
            |_, state: &State| {
                let mut chunks = tasks(state).flat_map(|task| &task.chunks);
                chunks.all(|chunk| chunk.failed_rows() == Some(chunk.failed))
            },
        ),
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
        Property::always(
            "if all were dead, sweeps alone would free the user",
            |model, state: &State| {
                state.table.broken.is_some() || recovery::frees_the_user(&model.0, state.table)
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
        Property::sometimes("CANCELLED", |_, state: &State| {
            has_ended(state, End::Cancelled)
        }),
        Property::sometimes("a submit is replayed", |_, state: &State| {
            let mut submits = (0 as TaskIndex..).zip(&state.submits);
            submits
                .any(|(index, submit)| matches!(submit, Submit::Accepted(task) if *task != index))
        }),
        Property::sometimes("a second task succeeds", |_, state: &State| {
            ended(state, End::Success).count() > 1
        }),
    ]
}

fn tasks(state: &State) -> impl Iterator<Item = &Task> {
    state.table.tasks.iter().flatten()
}

fn open_tasks(state: &State) -> impl Iterator<Item = u8> {
    let open = state.table.tasks().filter(|(_, task)| task.is_open());
    open.map(|(index, _)| index)
}

fn ended(state: &State, end: End) -> impl Iterator<Item = &Task> {
    tasks(state).filter(move |task| task.status == Status::Ended(end))
}

fn has_ended(state: &State, end: End) -> bool {
    ended(state, end).next().is_some()
}
