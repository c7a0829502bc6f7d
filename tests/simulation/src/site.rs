//! Which line of the store or the queue a call on the wire comes from.
//!
//! Faults are planned, and calls are counted and shown, by the name of the method of
//! [`Store`](longhaul::store::Store) or [`Queue`](longhaul::queue::Queue) that makes them.

use std::fmt;

use embedded_aws::Call;
use serde_json::Value;

/// The function that a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `POST`.
    Submit,
    /// `GET`.
    Status,
    /// `DELETE`.
    Cancel,
    /// Works on the queue's messages.
    Worker,
    /// Runs every minute.
    Sweeper,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Submit => "submit",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Worker => "worker",
            Self::Sweeper => "sweeper",
        })
    }
}

/// The method that made `call`, by its name in `store.rs` or `queue.rs`.
#[must_use]
pub(crate) fn method(call: &Call) -> &'static str {
    let body = &call.body;
    match call.operation.as_str() {
        "GetItem" => match &body["Key"]["sk"]["S"] {
            Value::String(key) if key.starts_with("ITEM#") => "item",
            Value::String(key) if key.starts_with("KEY#") || key.starts_with("LOCK") => {
                "look_before"
            }
            Value::String(key) if key == "SHARED" => "shared",
            _ => "task",
        },
        "Query" if body.get("IndexName").is_some() => "due_tasks",
        "Query" => {
            let value = |name| body["ExpressionAttributeValues"][name]["S"].as_str();
            match (value(":prefix"), value(":first")) {
                (Some("TASK#"), _) => "tasks",
                (_, Some(first)) if first.starts_with("INPUT#") => "given",
                _ if body.get("ProjectionExpression").is_some() => "outcomes",
                _ => "items",
            }
        }
        "UpdateItem" => {
            let update = body["UpdateExpression"].as_str().unwrap_or_default();
            if update.contains("#attempts + :one") {
                "claim"
            } else if update.contains("#cursor = :to") {
                "advance"
            } else if update.contains("#attempts = :attempts") {
                "give_back"
            } else if update.contains("#dispatches + :one") {
                "dispatch"
            } else {
                "look_again"
            }
        }
        "TransactWriteItems" => {
            let text = body.to_string();
            if text.contains("\"Put\"") {
                "submit"
            } else if text.contains("\":cancelled\"") {
                "cancel"
            } else if text.contains("#version = :seen") {
                "give_up"
            } else if text.contains("#owner = :owner") {
                "give_up_chunk"
            } else {
                "finish"
            }
        }
        "BatchExecuteStatement" => "record_items",
        "BatchWriteItem" => "put_inputs",
        "SendMessage" if body.get("DelaySeconds").is_some() => "send_later",
        "SendMessage" => "send",
        "SendMessageBatch" => "send_all",
        _ => "unknown",
    }
}

/// Whether the method changes the table.
#[must_use]
pub(crate) fn is_write(operation: &str) -> bool {
    matches!(
        operation,
        "UpdateItem"
            | "PutItem"
            | "DeleteItem"
            | "TransactWriteItems"
            | "BatchExecuteStatement"
            | "BatchWriteItem"
    )
}
