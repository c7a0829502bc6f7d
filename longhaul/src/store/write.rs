//! Conditional writes: how they are put together and carried out.
//!
//! Nothing here knows the protocol. [`super`] says which condition guards which write.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};

use super::{Key, Store, StoreError};
use crate::host::Timestamp;
use crate::task::{Status, Task};

/// How often a write is tried that was refused for a reason which the SDK does not repeat: it lost
/// against a concurrent transaction, or a part of it was throttled. The waits double from
/// [`REFUSAL_WAIT`], about 1.5 s in all.
const REFUSAL_ATTEMPTS_MAX: u32 = 7;
const REFUSAL_WAIT: Duration = Duration::from_millis(25);

/// An item as it is stored.
pub(super) type Row = HashMap<String, AttributeValue>;

/// A condition with a name: tests take one away by its name and expect a violation to be found.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    #[cfg_attr(
        not(feature = "drop-guards"),
        expect(dead_code, reason = "named for tests")
    )]
    pub(super) name: &'static str,
    pub(super) condition: std::borrow::Cow<'static, str>,
}

pub(super) fn guard(
    name: &'static str,
    condition: impl Into<std::borrow::Cow<'static, str>>,
) -> Guard {
    Guard {
        name,
        condition: condition.into(),
    }
}

/// The condition of a guard, unless a test has taken it away: then one that always holds. It still mentions what it
/// mentioned, so that the call is the same but for this.
fn in_force(guard: &Guard) -> String {
    #[cfg(feature = "drop-guards")]
    if dropped::is_dropped(guard.name) {
        return format!("({0} OR NOT {0})", guard.condition);
    }
    guard.condition.clone().into_owned()
}

/// For tests only: takes one guard away, to show that it is needed and that its absence is noticed.
#[cfg(feature = "drop-guards")]
pub mod dropped {
    use std::cell::Cell;

    thread_local! {
        static DROPPED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// The name of every guard: the write, or the work, that it guards, and what it asks.
    pub const GUARDS: [&str; 29] = [
        "submit: lock is free",
        "submit: lock is as seen",
        "submit: task is new",
        "submit: key is new",
        "submit: a task is left",
        "submit: items are left",
        "take over: seen",
        "claim: open",
        "claim: chunk is free",
        "claim: pause is over",
        "claim: turn",
        "advance: processing",
        "advance: owner",
        "advance: cursor",
        "give back: processing",
        "give back: owner",
        "give back: cursor",
        "finish: open",
        "give up chunk: open",
        "give up chunk: owner",
        "give up: seen",
        "cancel: open",
        "look again: seen",
        "dispatch: seen",
        "work: own worker",
        "ticket: is good",
        "connect: id is free",
        "forget: as seen",
        "disconnect: no later one",
    ];

    /// From now on, on this thread, conditions are made without the guard of this name.
    pub fn set(name: Option<&'static str>) {
        DROPPED.set(name);
    }

    pub(crate) fn is_dropped(name: &str) -> bool {
        assert!(GUARDS.contains(&name), "unlisted guard {name}");
        DROPPED.get() == Some(name)
    }
}

pub(super) fn condition(guards: &[Guard]) -> Option<String> {
    let conditions: Vec<_> = guards.iter().map(in_force).collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

/// A change of one task, before it is known whether it goes alone or in a transaction.
pub(super) struct Write {
    key: Key,
    set: Vec<String>,
    remove: Vec<String>,
    guards: Vec<Guard>,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Write {
    /// Every change of a task counts up its version.
    pub(super) fn to(key: Key) -> Self {
        Self {
            key,
            set: vec!["#version = #version + :one".into()],
            remove: vec![],
            guards: vec![],
            values: vec![(":one", number(1)), (":zero", number(0))],
        }
    }

    pub(super) fn set(mut self, assignment: &str) -> Self {
        self.set.push(assignment.into());
        self
    }

    pub(super) fn remove(mut self, path: &str) -> Self {
        self.remove.push(path.into());
        self
    }

    pub(super) fn only_if(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    pub(super) fn value(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.values.push((name, value));
        self
    }

    /// The values that [`super::OPEN`] and [`super::PROCESSING`] mention.
    pub(super) fn statuses(self) -> Self {
        self.value(":queued", text(Status::Queued.as_str()))
            .value(":processing", text(Status::Processing.as_str()))
    }

    /// What every end of a task brings: the time, the start of its retention, and that the sweeper
    /// need not look at it any more.
    pub(super) fn ended_at(self, now: Timestamp) -> Self {
        self.set("#finished_at = :now")
            .set("#expires_at = #retention_seconds + :now_seconds")
            .remove("#open_shard")
            .remove("#check_at")
            .value(":now", number(now.0))
            .value(":now_seconds", number(now.seconds()))
    }

    pub(super) fn update(&self) -> String {
        let mut update = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            update.push_str(" REMOVE ");
            update.push_str(&self.remove.join(", "));
        }
        update
    }

    pub(super) fn into_action(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        let update = self.update();
        let condition = condition(&self.guards);
        let mentioned = format!("{update} {}", condition.as_deref().unwrap_or_default());
        let (_, names, values) = expressions(&mentioned, self.values);
        let action = Update::builder()
            .table_name(table)
            .set_key(Some(address(&self.key)))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build()
            .map_err(rejected)?;
        Ok(TransactWriteItem::builder().update(action).build())
    }
}

/// How a transaction ended.
pub(super) enum Transaction {
    Committed,
    /// Nothing was written; for each action, what its condition said.
    Refused(Vec<Verdict>),
}

pub(super) enum Verdict {
    /// It would have been written.
    Passed,
    /// Its condition failed; the row as it was, if there was one.
    Refused(Option<Row>),
}

/// Carrying writes out.
impl Store {
    pub(super) fn put(
        &self,
        row: Row,
        guards: &[Guard],
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<TransactWriteItem, StoreError> {
        let condition = condition(guards);
        let (_, names, values) = expressions(condition.as_deref().unwrap_or_default(), values);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(row))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(rejected)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Updates a task: the task as it is now, or, when the condition failed, as it was.
    pub(super) async fn update(
        &self,
        write: Write,
    ) -> Result<Result<Task, Option<Task>>, StoreError> {
        let update = write.update();
        let condition = condition(&write.guards);
        let mentioned = format!("{update} {}", condition.as_deref().unwrap_or_default());
        let (_, names, values) = expressions(&mentioned, write.values);
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(address(&write.key)))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut attempt = 0;
        loop {
            let error = match call.clone().send().await {
                Ok(answer) => {
                    let row = answer.attributes.unwrap_or_default();
                    return Ok(Ok(serde_dynamo::from_item(row)?));
                }
                Err(error) => error,
            };
            if let Some(UpdateItemError::ConditionalCheckFailedException(failed)) =
                error.as_service_error()
            {
                let row = failed.item().cloned();
                return Ok(Err(row.map(serde_dynamo::from_item).transpose()?));
            }
            self.wait_after_conflict(&mut attempt, error.into()).await?;
        }
    }

    /// Carries actions out together or not at all.
    pub(super) async fn transact(
        &self,
        actions: Vec<TransactWriteItem>,
    ) -> Result<Transaction, StoreError> {
        let mut attempt = 0;
        loop {
            // A fresh token for each request of ours: if the SDK repeats it because the answer was
            // lost, DynamoDB recognises the repetition and does not write twice.
            let token = format!("{:016x}{:016x}", self.host.random(), self.host.random());
            let result = self
                .client
                .transact_write_items()
                .client_request_token(token)
                .set_transact_items(Some(actions.clone()))
                .send()
                .await;
            let Err(error) = result else {
                return Ok(Transaction::Committed);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                self.wait_after_conflict(&mut attempt, error.into()).await?;
                continue;
            };
            let reasons = cancelled.cancellation_reasons();
            let has = |code| reasons.iter().any(|reason| reason.code() == Some(code));
            if has("TransactionConflict") {
                let conflict = StoreError::Conflict(error.into());
                self.wait_or_give_up(&mut attempt, conflict).await?;
            } else if has("ThrottlingError") || has("ProvisionedThroughputExceeded") {
                // A cancellation, whatever its reasons: the SDK does not repeat it.
                let throttled = StoreError::Throttled(error.into());
                self.wait_or_give_up(&mut attempt, throttled).await?;
            } else if has("ConditionalCheckFailed") {
                let verdict = |reason: &aws_sdk_dynamodb::types::CancellationReason| {
                    if reason.code() == Some("ConditionalCheckFailed") {
                        Verdict::Refused(reason.item().cloned())
                    } else {
                        Verdict::Passed
                    }
                };
                return Ok(Transaction::Refused(reasons.iter().map(verdict).collect()));
            } else {
                return Err(StoreError::Rejected(error.into()));
            }
        }
    }

    /// After a conflict waits a while and lets the caller try again, a few times; hands any other
    /// error back at once, since the SDK has already repeated what is worth repeating.
    async fn wait_after_conflict(
        &self,
        attempt: &mut u32,
        error: StoreError,
    ) -> Result<(), StoreError> {
        match error {
            StoreError::Conflict(_) => self.wait_or_give_up(attempt, error).await,
            other => Err(other),
        }
    }

    /// Waits a while and lets the caller try again, a few times; then hands the error back.
    pub(super) async fn wait_or_give_up(
        &self,
        attempt: &mut u32,
        error: StoreError,
    ) -> Result<(), StoreError> {
        if *attempt + 1 >= REFUSAL_ATTEMPTS_MAX {
            return Err(error);
        }
        tokio::time::sleep(self.host.jitter(REFUSAL_WAIT * 2_u32.pow(*attempt))).await;
        *attempt += 1;
        Ok(())
    }
}

pub(super) fn address((pk, sk): &Key) -> Row {
    Row::from([("pk".into(), text(pk)), ("sk".into(), text(sk))])
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "references convert as well, and read better"
)]
pub(super) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn rejected(error: aws_smithy_types::error::operation::BuildError) -> StoreError {
    StoreError::Rejected(error.into())
}

type Names = Option<HashMap<String, String>>;
type Values = Option<HashMap<String, AttributeValue>>;

/// The names and values that `expression` mentions, and only those: `DynamoDB` refuses others.
pub(super) fn expressions(
    expression: &str,
    values: Vec<(&str, AttributeValue)>,
) -> (String, Names, Values) {
    let words = |sign: char| {
        expression
            .split(|c: char| !(c.is_ascii_alphanumeric() || "#:_".contains(c)))
            .filter(move |word| word.starts_with(sign))
    };
    let names: HashMap<_, _> = words('#')
        .map(|word| (word.to_owned(), word[1..].to_owned()))
        .collect();
    let values: HashMap<_, _> = values
        .into_iter()
        .filter(|(name, _)| words(':').any(|word| word == *name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    (
        expression.to_owned(),
        Some(names).filter(|names| !names.is_empty()),
        Some(values).filter(|values| !values.is_empty()),
    )
}
