//! What is stored of the outcome of a chunk's items.

use std::ops::Range;

use super::between::Between;
use super::{ItemOutcome, Store, StoreError, item_key, position_of};
use crate::chunk::Position;
use crate::task::Task;

impl Store {
    /// The items at these positions, all of one chunk, whose outcome is stored: of this outcome, or of any.
    ///
    /// An item has a row before a cursor counts it, and keeps it whoever counts it: of those that are not counted some
    /// may have one, from a worker that let go of the chunk or died.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn outcomes(
        &self,
        task: &Task,
        positions: Range<Position>,
        outcome: Option<ItemOutcome>,
    ) -> Result<Vec<(Position, ItemOutcome)>, StoreError> {
        if positions.is_empty() {
            return Ok(vec![]);
        }
        let rows = Between {
            first: item_key(task, positions.start),
            last: item_key(task, positions.end - 1),
            outcome,
            projection: Some("#sk, #outcome"),
            ..Between::default()
        };
        let mut outcomes = vec![];
        let mut start = None;
        loop {
            let page;
            (page, start) = self.page_between(&rows, start).await?;
            for row in page {
                let position = position_of(&row, "ITEM#")?;
                let row: OutcomeRow = serde_dynamo::from_item(row)?;
                outcomes.push((position, row.outcome));
            }
            if start.is_none() {
                return Ok(outcomes);
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct OutcomeRow {
    outcome: ItemOutcome,
}
