//! What is stored of items before they are processed, as it ought to be.

use longhaul::task::{Task, TaskId};
use serde_json::Value;

use crate::table::Mirror;

/// What a task's items are given, by position: their index and their input, `null` if they have none.
///
/// # Errors
///
/// When not all of it is there, or more than that.
pub(crate) fn given_of(mirror: &Mirror, task: &Task) -> Result<Vec<(u64, Value)>, String> {
    let id = task.task_id;
    let mut given = vec![];
    for chunk in 0..task.chunks.len() {
        let range = task.plan().range(chunk);
        let pk = format!("TASK#{id}#{chunk}");
        let rows = mirror.rows_of(&pk);
        let rows = rows.filter(|(key, _)| key.1.starts_with("INPUT#"));
        let mut of_chunk = vec![];
        for (key, row) in rows {
            let list = |name: &str| -> Result<Option<Vec<Value>>, String> {
                let text = row.fields.get(name).and_then(Value::as_str);
                text.map(serde_json::from_str)
                    .transpose()
                    .map_err(|error| format!("{key:?} has no {name}: {error}"))
            };
            let (inputs, indexes) = (list("inputs")?, list("indexes")?);
            let is_as_said =
                inputs.is_some() == task.has_inputs && indexes.is_some() == task.retry_of.is_some();
            let lengths = [&inputs, &indexes].map(|list| list.as_ref().map(Vec::len));
            let length = lengths.into_iter().flatten().min().unwrap_or_default();
            if !is_as_said || lengths.into_iter().flatten().any(|each| each != length) {
                return Err(format!("{key:?} is not what the items of {id} are given"));
            }
            let (inputs, indexes) = (inputs.unwrap_or_default(), indexes.unwrap_or_default());
            for at in 0..length {
                let position = range.start + of_chunk.len() as u64;
                let index = indexes.get(at).and_then(Value::as_u64).unwrap_or(position);
                of_chunk.push((index, inputs.get(at).cloned().unwrap_or_default()));
            }
            let behind = range.start + of_chunk.len() as u64;
            if key.1 != format!("INPUT#{:012}", behind.saturating_sub(1)) {
                return Err(format!("{key:?} is what items up to {behind} are given"));
            }
        }
        let items = range.end - range.start;
        let expected = if task.has_given_each() { items } else { 0 };
        if of_chunk.len() as u64 != expected {
            let found = of_chunk.len();
            return Err(format!("chunk {chunk} of {id} has inputs of {found} items"));
        }
        if expected == 0 {
            of_chunk = range.map(|position| (position, Value::Null)).collect();
        }
        given.extend(of_chunk);
    }
    Ok(given)
}

/// A retry has exactly what the task before it left undone, each item as it was.
///
/// # Errors
///
/// When it does not.
pub(crate) fn judge_retry(
    mirror: &Mirror,
    retry: &Task,
    given: &[(u64, Value)],
    old: &Task,
) -> Result<(), String> {
    let (id, old_id) = (retry.task_id, old.task_id);
    if old.status.is_open() || old.user != retry.user || old.job != retry.job {
        return Err(format!("{id} retries {old_id}, and must not"));
    }
    if retry.first_task_id() != old.first_task_id() {
        return Err(format!(
            "the items of {id} are not known as those of {old_id}"
        ));
    }
    let is_done = |position: u64| {
        let sk = format!("ITEM#{position:012}");
        let pk = format!("TASK#{old_id}#{}", old.plan().chunk_of(position));
        let row = mirror.get(&(pk, sk));
        old.is_settled(position) && row.is_some_and(|row| row.text("outcome") == "done")
    };
    let of_old = (0..).zip(given_of(mirror, old)?);
    let undone = of_old.filter(|(position, _)| !is_done(*position));
    let undone: Vec<_> = undone.map(|(_, given)| given).collect();
    if given != undone {
        return Err(format!("{id} does not try again what {old_id} left undone"));
    }
    let shared = |id: TaskId| {
        let row = mirror.get(&(format!("TASK#{id}"), "SHARED".into()));
        row.map(|row| row.text("shared").to_owned())
    };
    if shared(id) != shared(old_id) {
        return Err(format!("{id} does not share what {old_id} shared"));
    }
    Ok(())
}
