//! The event bus: what was put on it, in order.

use serde_json::{Value, json};

use crate::{Answer, Call};

/// What a call puts on the bus, and its answer. Of the entries those are refused of which `is_refused` says so, by their
/// place.
pub(crate) fn put(call: &Call, is_refused: impl Fn(usize) -> bool) -> (Answer, Vec<Value>) {
    let entries = call.body["Entries"].as_array().cloned();
    let entries = entries.unwrap_or_default();
    if entries.is_empty() || entries.len() > 10 {
        let kind = "com.amazonaws.events#ValidationException";
        return (Answer::error(kind, "1 to 10 entries"), vec![]);
    }
    let answers = (0..entries.len()).map(|n| {
        if is_refused(n) {
            json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "refused"})
        } else {
            json!({"EventId": n.to_string()})
        }
    });
    let answers: Vec<_> = answers.collect();
    let failed = (0..entries.len()).filter(|n| is_refused(*n)).count();
    let answer = json!({"FailedEntryCount": failed, "Entries": answers});
    let put = entries.into_iter().enumerate();
    let put = put.filter(|(n, _)| !is_refused(*n));
    (Answer::ok(answer), put.map(|(_, entry)| entry).collect())
}
