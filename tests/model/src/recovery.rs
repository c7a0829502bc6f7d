//! What becomes of a state when the faults stop.
//!
//! A search for "every task ends in the end" would have to assume that everybody gets their turn.
//! This shows more with less: take the table alone, let everybody who was at work be dead and every
//! message be lost, and let the sweeper run a few times, with a worker that comes when it is called.
//! Every task ends and its user is free.

use crate::Rules;
use crate::table::{
    Answer, ChunkIndex, End, Outcome, Owner, Release, Step, Table, TaskIndex, Write,
};

/// How many sweeps it takes at most: a dispatch whose worker does the work, and one more look.
const SWEEPS: usize = 2;

/// A worker that nobody has heard of before.
const OWNER: Owner = Owner::MAX;

/// Whether every task ends and the lock is free, once no more faults happen.
pub(crate) fn frees_the_user(rules: &Rules, mut table: Table) -> bool {
    let open = table.tasks().filter(|(_, task)| task.is_open());
    let open: Vec<_> = open.map(|(index, _)| index).collect();
    for index in open {
        for _ in 0..SWEEPS {
            sweep(rules, &mut table, index);
        }
    }
    let all_ended = table.tasks().all(|(_, task)| !task.is_open());
    all_ended && table.locks.iter().all(Option::is_none) && table.broken.is_none()
}

fn sweep(rules: &Rules, table: &mut Table, index: TaskIndex) -> Option<()> {
    let task = table.tasks[usize::from(index)].as_mut()?;
    if !task.is_open() {
        return None;
    }
    for chunk in &mut task.chunks {
        chunk.held = false;
        chunk.pausing = false;
    }
    let task = *task;
    if let Some(end) = task.outcome(rules) {
        table.apply(rules, Write::Finish(index, end));
    } else if task.dispatches >= rules.dispatches_max {
        table.apply(rules, Write::GiveUp(index, task.version, End::GivenUp));
    } else {
        table.apply(rules, Write::Dispatch(index, task.version));
        for chunk in task.claimable_chunks(rules) {
            work(rules, table, index, chunk)?;
        }
    }
    Some(())
}

/// Works on a chunk until it is complete, its item is blamed, or it turns out that its inputs are not all there.
fn work(rules: &Rules, table: &mut Table, index: TaskIndex, chunk: ChunkIndex) -> Option<()> {
    if table.apply(rules, Write::Claim(index, chunk, OWNER)) != Answer::Ok {
        return None;
    }
    let claimed = *table.task(index)?.chunk(chunk);
    if claimed.attempts > rules.attempts_max {
        table.apply(
            rules,
            Write::Blame(index, chunk, OWNER, End::Poisoned(chunk)),
        );
        return None;
    }
    if rules.has_inputs(index) {
        let inputs = table.inputs(rules, index);
        if inputs.read(rules, chunk, claimed.cursor).is_none() {
            table.apply(rules, Write::Blame(index, chunk, OWNER, End::Incomplete));
            return None;
        }
    }
    let to = rules.chunk_items[usize::from(chunk)];
    let mut failed = claimed.failed;
    for item in claimed.cursor..to {
        let write = Write::Record(index, chunk, item, Outcome::Done);
        failed += u8::from(table.apply(rules, write) == Answer::Stored(Outcome::Failed));
    }
    let step = Step {
        from: claimed.cursor,
        to,
        failed,
        release: Some(Release {
            pauses: 0,
            pause: None,
        }),
    };
    table.apply(rules, Write::Advance(index, chunk, OWNER, step));
    Some(())
}
