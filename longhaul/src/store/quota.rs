//! What a user has had accepted on a day.
//!
//! | item | `pk` | `sk` | holds |
//! |---|---|---|---|
//! | quota | `USER#<sub>` | `QUOTA#<day>` | `tasks` and `items` accepted on it, `expires_at` |
//!
//! It is there only where a quota is set, from the first task of a day on. The time is that of the task's submit, by the
//! clock of the function that accepts it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};

use super::write::{Guard, Row, address, condition, expressions, guard, number, rejected};
use super::{Key, Store, StoreError, user_pk};
use crate::quota::{Day, Exhausted, Quota, Used};
use crate::task::{Task, UserId};

/// For how long after its end it is known what was used on a day.
const REMEMBERED: Duration = Duration::from_secs(86_400);

impl Store {
    /// Counts the task, if that is not too much.
    pub(super) fn count(&self, task: &Task, quota: Quota) -> Result<TransactWriteItem, StoreError> {
        let day = Day::of(task.created_at);
        let update = "SET #tasks = if_not_exists(#tasks, :zero) + :one, \
                      #items = if_not_exists(#items, :zero) + :items, #expires_at = :expires_at";
        let condition = condition(&guards(quota));
        let mentioned = format!("{update} {}", condition.as_deref().unwrap_or_default());
        // Nobody gets here with more items than there may be in a day.
        let items_before = quota.items.saturating_sub(task.number_of_items);
        let values = vec![
            (":zero", number(0)),
            (":one", number(1)),
            (":items", number(task.number_of_items)),
            (":expires_at", number(day.end().after(REMEMBERED).seconds())),
            (":tasks_max", number(quota.tasks)),
            (":items_before", number(items_before)),
        ];
        let (_, names, values) = expressions(&mentioned, values);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(address(&quota_key(&task.user, day))))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(rejected)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn guards(quota: Quota) -> Vec<Guard> {
    let mut guards = vec![];
    if quota.tasks > 0 {
        let is_left = "(attribute_not_exists(#tasks) OR #tasks < :tasks_max)";
        guards.push(guard("submit: a task is left", is_left));
    }
    if quota.items > 0 {
        let are_left = "(attribute_not_exists(#items) OR #items <= :items_before)";
        guards.push(guard("submit: items are left", are_left));
    }
    guards
}

/// Why the task is too much for its day, by the row of that day, if there is one.
pub(super) fn exhausted(
    row: Option<Row>,
    task: &Task,
    quota: Quota,
) -> Result<Option<Exhausted>, StoreError> {
    let used = row.map(serde_dynamo::from_item::<_, Used>).transpose()?;
    Ok(quota.refuses(used.unwrap_or_default(), task.number_of_items))
}

pub(super) fn quota_key(user: &UserId, day: Day) -> Key {
    (user_pk(user), format!("QUOTA#{day}"))
}
