//! What a task left undone, for a task that tries it again.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Given, ItemOutcome, Store, StoreError};
use crate::chunk::{ChunkIndex, Position};
use crate::task::Task;

/// Of so many chunks at a time it is read what they left undone: of a hundred one after the other it would take longer
/// than a request may.
const CHUNKS_AT_ONCE: usize = 25;

impl Store {
    /// What the items were given that an ended task left undone, in their order: those that failed, and those that were
    /// never settled. `None` if not all of it is there: nobody must be left out of a retry without a word.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn undone(&self, task: &Arc<Task>) -> Result<Option<Vec<Given>>, StoreError> {
        let turns = Arc::new(Semaphore::new(CHUNKS_AT_ONCE));
        let mut reading = JoinSet::new();
        for chunk in 0..task.chunks.len() {
            let (store, task, turns) = (self.clone(), Arc::clone(task), Arc::clone(&turns));
            reading.spawn(async move {
                // It is never closed.
                let _turn = turns.acquire_owned().await.ok();
                (chunk, store.undone_of(&task, chunk).await)
            });
        }
        let mut by_chunk = vec![vec![]; task.chunks.len()];
        while let Some(read) = reading.join_next().await {
            let (chunk, undone) = read.map_err(|error| StoreError::Unavailable(error.into()))?;
            match undone? {
                Some(undone) => by_chunk[chunk] = undone,
                None => return Ok(None),
            }
        }
        Ok(Some(by_chunk.concat()))
    }

    async fn undone_of(
        &self,
        task: &Task,
        chunk: ChunkIndex,
    ) -> Result<Option<Vec<Given>>, StoreError> {
        let stored = &task.chunks[chunk];
        let range = task.plan().range(chunk);
        let settled = range.start..range.start + stored.cursor;
        let mut undone = vec![];
        if stored.failed > 0 {
            let failed = Some(ItemOutcome::Failed);
            let failed = self.outcomes(task, settled.clone(), failed).await?;
            undone.extend(failed.into_iter().map(|(position, _)| position));
        }
        if undone.len() as u64 != stored.failed {
            return Ok(None);
        }
        undone.extend(settled.end..range.end);
        let (Some(&first), Some(&last)) = (undone.first(), undone.last()) else {
            return Ok(Some(vec![]));
        };
        let given = self.given(task, chunk, first, last + 1).await?;
        let Some(given) = given else {
            return Ok(None);
        };
        let at = |position: &Position| usize::try_from(position - first).ok();
        let wanted = undone.iter().filter_map(at);
        Ok(wanted.map(|at| given.get(at).cloned()).collect())
    }
}
