//! What a function must be allowed for a call, in the words of IAM.

use embedded_aws::Call;
use serde_json::Value;

use crate::stream::FAILURES_URL;

/// An action, and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// The template's resource, or a part of it.
    pub resource: &'static str,
    /// Of a row, what its partition key begins with.
    pub partition: Option<String>,
}

/// What `call` needs.
#[must_use]
pub fn permissions(call: &Call) -> Vec<Permission> {
    let of = |action: &str, resource, partition: Option<&str>| Permission {
        action: action.to_owned(),
        resource,
        partition: partition.map(kind_of).map(str::to_owned),
    };
    let body = &call.body;
    let key = |row: &Value| row["pk"]["S"].as_str().map(str::to_owned);
    let on_table = |action: &str, row: &Value| of(action, "Table", key(row).as_deref());
    match call.operation.as_str() {
        "Query" if body.get("IndexName").is_some() => {
            vec![of("dynamodb:Query", "Table/index/open-tasks", None)]
        }
        "Query" => {
            let partition = body["ExpressionAttributeValues"][":pk"]["S"].as_str();
            vec![of("dynamodb:Query", "Table", partition)]
        }
        "PutItem" => vec![on_table("dynamodb:PutItem", &body["Item"])],
        "GetItem" | "UpdateItem" | "DeleteItem" => {
            let action = format!("dynamodb:{}", call.operation);
            vec![on_table(&action, &body["Key"])]
        }
        // Of each part (Amazon DynamoDB Developer Guide, "Using IAM with DynamoDB transactions").
        "TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().into_iter().flatten();
            let parts = parts.flat_map(|part| part.as_object().into_iter().flatten());
            parts
                .map(|(kind, part)| match kind.as_str() {
                    "Put" => on_table("dynamodb:PutItem", &part["Item"]),
                    "ConditionCheck" => on_table("dynamodb:ConditionCheckItem", &part["Key"]),
                    kind => on_table(&format!("dynamodb:{kind}Item"), &part["Key"]),
                })
                .collect()
        }
        "BatchGetItem" => vec![of("dynamodb:BatchGetItem", "Table", Some("USER#"))],
        "BatchWriteItem" => vec![of("dynamodb:BatchWriteItem", "Table", Some("TASK#"))],
        "BatchExecuteStatement" => vec![of("dynamodb:PartiQLInsert", "Table", Some("TASK#"))],
        "SendMessage" if body["QueueUrl"] == FAILURES_URL => {
            vec![of("sqs:SendMessage", "EndedFailures", None)]
        }
        "SendMessage" | "SendMessageBatch" => vec![of("sqs:SendMessage", "Queue", None)],
        "PutEvents" => vec![of("events:PutEvents", "event-bus", None)],
        "PostToConnection" => {
            vec![of(
                "execute-api:ManageConnections",
                "POST/@connections",
                None,
            )]
        }
        "DeleteConnection" => {
            vec![of(
                "execute-api:ManageConnections",
                "DELETE/@connections",
                None,
            )]
        }
        "AdminInitiateAuth" => vec![of("cognito-idp:AdminInitiateAuth", "UserPool", None)],
        other => vec![of(other, "unknown", None)],
    }
}

/// A partition key up to the first `#`, that included.
fn kind_of(partition: &str) -> &str {
    let end = partition.find('#').map_or(partition.len(), |at| at + 1);
    &partition[..end]
}
