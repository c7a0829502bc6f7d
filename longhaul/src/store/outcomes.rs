//! What is stored of the outcome of a chunk's items.

use std::ops::Range;

use super::write::{expressions, text};
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
        let (pk, first) = item_key(task, positions.start);
        let (_, last) = item_key(task, positions.end - 1);
        let condition = "#pk = :pk AND #sk BETWEEN :first AND :last";
        let filter = outcome.map(|_| "#outcome = :outcome");
        let projection = "#sk, #outcome";
        let (_, names, values) = expressions(
            &format!("{condition} {} {projection}", filter.unwrap_or_default()),
            vec![
                (":pk", text(pk)),
                (":first", text(first)),
                (":last", text(last)),
                (":outcome", text(outcome.map_or("", ItemOutcome::as_str))),
            ],
        );
        let mut outcomes = vec![];
        let mut start = None;
        loop {
            let call = self.client.query().table_name(&self.table);
            let answer = call
                .key_condition_expression(condition)
                .set_filter_expression(filter.map(Into::into))
                .projection_expression(projection)
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for row in answer.items() {
                let outcome: OutcomeRow = serde_dynamo::from_item(row.clone())?;
                outcomes.push((position_of(row, "ITEM#")?, outcome.outcome));
            }
            start = answer.last_evaluated_key;
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
