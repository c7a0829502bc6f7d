//! Rows of one partition in the order of their keys, from one key to another: how everything is read that belongs to
//! the items of a chunk.

use super::write::{Row, expressions, text};
use super::{ItemOutcome, Key, Store, StoreError};

/// Which rows, and what of them.
#[derive(Default)]
pub(super) struct Between {
    /// The key of the first row, or one before it…
    pub(super) first: Key,
    /// …and that of the last, or one after it.
    pub(super) last: Key,
    /// Only items of this outcome.
    pub(super) outcome: Option<ItemOutcome>,
    /// The attributes, as an expression; all of them if it is nothing.
    pub(super) projection: Option<&'static str>,
    /// At most so many rows are read at a time. A filter applies after it.
    pub(super) limit: Option<i32>,
}

impl Store {
    /// One of the table's pages of them, and where the next begins; there is none after the last.
    ///
    /// The read is consistent: what is counted must be there, also in the moment after.
    pub(super) async fn page_between(
        &self,
        rows: &Between,
        start: Option<Row>,
    ) -> Result<(Vec<Row>, Option<Row>), StoreError> {
        let condition = "#pk = :pk AND #sk BETWEEN :first AND :last";
        let filter = rows.outcome.map(|_| "#outcome = :outcome");
        let mentioned = [Some(condition), filter, rows.projection];
        let mentioned: Vec<_> = mentioned.into_iter().flatten().collect();
        let (_, names, values) = expressions(
            &mentioned.join(" "),
            vec![
                (":pk", text(&rows.first.0)),
                (":first", text(&rows.first.1)),
                (":last", text(&rows.last.1)),
                (
                    ":outcome",
                    text(rows.outcome.map_or("", ItemOutcome::as_str)),
                ),
            ],
        );
        let call = self.client.query().table_name(&self.table);
        let answer = call
            .key_condition_expression(condition)
            .set_filter_expression(filter.map(Into::into))
            .set_projection_expression(rows.projection.map(Into::into))
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .consistent_read(true)
            .set_limit(rows.limit)
            .set_exclusive_start_key(start)
            .send()
            .await?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}
