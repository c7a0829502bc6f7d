//! Which line of the store, the queue or of what tells of tasks a call on the wire comes from.
//!
//! Faults are planned, and calls are counted and shown, by the name of the method of
//! [`Store`](longhaul::store::Store), [`Queue`](longhaul::queue::Queue), [`Sockets`](longhaul::sockets::Sockets) or
//! [`Announce`](longhaul::ended::Announce) that makes them.

use std::fmt;

use embedded_aws::Call;
use serde_json::Value;

use crate::stream::FAILURES_URL;

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
    /// Hands out tickets, and keeps the list of connections.
    Live,
    /// Tells pages of changes.
    Notify,
    /// Tells the event bus of tasks that have ended.
    Ended,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Submit => "submit",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Worker => "worker",
            Self::Sweeper => "sweeper",
            Self::Live => "live",
            Self::Notify => "notify",
            Self::Ended => "ended",
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
            Value::String(key) if key.starts_with("LOCK") => "look_before",
            Value::String(key) if key == "SHARED" => "shared",
            _ => "task",
        },
        "BatchGetItem" => "look_before",
        "Query" if body.get("IndexName").is_some() => "due_tasks",
        "Query" => {
            let value = |name| body["ExpressionAttributeValues"][name]["S"].as_str();
            if value(":pk").is_some_and(|pk| pk.starts_with("CONNECTIONS#")) {
                return "connections";
            }
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
            if text.contains("\"CONNECTION#") {
                "connect"
            } else if text.contains("\"Put\"") {
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
        "PutItem" => "add_ticket",
        "DeleteItem" => {
            let condition = body["ConditionExpression"].as_str().unwrap_or_default();
            if body["Key"]["sk"]["S"] == "TICKET" {
                "take_ticket"
            } else if condition.contains("#connected_at <=") {
                "disconnect"
            } else {
                "forget"
            }
        }
        "PostToConnection" => "post",
        "DeleteConnection" => "close",
        "PutEvents" => "announce",
        "SendMessage" if body["QueueUrl"] == FAILURES_URL => "put_aside",
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
