//! The queue: what was sent, in order. Who receives it, when and how often is the test's to decide.

use serde_json::{Value, json};

use crate::{Answer, Call};

/// The queue's address.
pub const QUEUE_URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/tasks";

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The address of the queue.
    pub queue_url: String,
    /// The message's body.
    pub body: String,
    /// The message's group.
    pub group: String,
    /// For how many seconds it is held back.
    pub delay_seconds: u64,
}

/// What a call sends, and its answer.
pub(crate) fn send(call: &Call) -> (Answer, Vec<Sent>) {
    let message = |entry: &Value| Sent {
        queue_url: call.body["QueueUrl"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        body: entry["MessageBody"].as_str().unwrap_or_default().to_owned(),
        group: entry["MessageGroupId"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        delay_seconds: entry["DelaySeconds"].as_u64().unwrap_or_default(),
    };
    if call.operation == "SendMessage" {
        let answer = json!({"MessageId": "1", "MD5OfMessageBody": ""});
        return (Answer::ok(answer), vec![message(&call.body)]);
    }
    let no_entries = vec![];
    let entries = call.body["Entries"].as_array().unwrap_or(&no_entries);
    if entries.is_empty() || entries.len() > 10 {
        let kind = "com.amazonaws.sqs#TooManyEntriesInBatchRequest";
        return (Answer::error(kind, "1 to 10 entries"), vec![]);
    }
    let successful: Vec<_> = entries
        .iter()
        .map(|entry| json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": ""}))
        .collect();
    let answer = json!({"Successful": successful, "Failed": []});
    (Answer::ok(answer), entries.iter().map(message).collect())
}
