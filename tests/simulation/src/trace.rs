//! The story of a run, a line for each thing that happened, the same to the byte for the same seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use embedded_aws::Call;
use longhaul::task::TaskId;
use serde_json::Value;

use crate::live::is_of_connections;
use crate::table::{Change, Row};
use crate::world::BEGINNING;

/// The lines, and short names for what has long ones.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Vec<String>,
    names: BTreeMap<String, String>,
    tasks: u32,
    owners: u32,
}

impl Trace {
    /// Adds a line.
    pub(crate) fn line(&mut self, now: Duration, who: &str, what: &str) {
        let seconds = now.as_secs();
        let line = format!(
            "{:02}:{:02}:{:02}.{:03}  {who:<11} {what}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            now.subsec_millis()
        );
        self.lines.push(line);
    }

    /// All lines.
    #[must_use]
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The task that a call concerns, if it is about one.
    #[must_use]
    pub(crate) fn task_concerned(call: &Call) -> Option<TaskId> {
        let key = |row: &Value| {
            let pk = row["pk"]["S"].as_str()?;
            let sk = row["sk"]["S"].as_str()?;
            let id = pk.strip_prefix("TASK#").or(sk.strip_prefix("TASK#"))?;
            id.parse().ok()
        };
        let message = |entry: &Value| {
            let body: Value = serde_json::from_str(entry["MessageBody"].as_str()?).ok()?;
            body["task_id"].as_str()?.parse().ok()
        };
        let body = &call.body;
        match call.operation.as_str() {
            "TransactWriteItems" => {
                let actions = body["TransactItems"].as_array()?;
                let mut keys = actions.iter().filter_map(|action| match action.get("Put") {
                    Some(put) => key(&put["Item"]),
                    None => key(&action["Update"]["Key"]),
                });
                keys.next_back()
            }
            "BatchExecuteStatement" => {
                let parameters = body["Statements"][0]["Parameters"].as_array()?;
                let texts = parameters.iter().filter_map(|value| value["S"].as_str());
                let mut ids = texts.filter_map(|text| text.strip_prefix("TASK#"));
                ids.next()?.parse().ok()
            }
            "SendMessage" => message(body),
            "SendMessageBatch" => message(&body["Entries"][0]),
            _ => key(&body["Key"]),
        }
    }

    fn task(&self, id: &str) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| "T?".into())
    }

    /// A message's body in short.
    #[must_use]
    pub(crate) fn message(&self, body: &str) -> String {
        let Ok(body) = serde_json::from_str::<Value>(body) else {
            return "a message that is none".into();
        };
        let task = self.task(body["task_id"].as_str().unwrap_or_default());
        format!("{task} {}", body["chunks"])
    }

    /// A call and what came of it.
    #[must_use]
    pub(crate) fn call(
        &mut self,
        method: &str,
        call: &Call,
        status: u16,
        answer: &Value,
        changes: &[Change],
    ) -> String {
        for change in changes {
            self.learn(change);
        }
        let mut text = format!("{method:<14}");
        if let Some(id) = Self::task_concerned(call) {
            let _ = write!(text, "{} ", self.task(&id.to_string()));
        }
        if call.operation == "SendMessage" {
            let body = call.body["MessageBody"].as_str().unwrap_or_default();
            let _ = write!(text, "{} ", self.message(body));
        }
        if let Some(id) = call.body["ConnectionId"].as_str() {
            let told: Value = serde_json::from_str(call.body["Data"].as_str().unwrap_or_default())
                .unwrap_or_default();
            let task = self.task(told["data"]["task_id"].as_str().unwrap_or_default());
            let _ = write!(text, "{id} {task} {}", told["version"]);
        }
        for entry in call.body["Entries"].as_array().into_iter().flatten() {
            if let Some(detail) = entry["Detail"].as_str() {
                let detail: Value = serde_json::from_str(detail).unwrap_or_default();
                let task = self.task(detail["task_id"].as_str().unwrap_or_default());
                let _ = write!(text, "{task} {} ", detail["task_status"]);
                continue;
            }
            let body = entry["MessageBody"].as_str().unwrap_or_default();
            let _ = write!(text, "{} ", self.message(body));
        }
        if status != 200 {
            let kind = answer["__type"].as_str().unwrap_or_default();
            let kind = kind.split('#').next_back().unwrap_or_default();
            let _ = write!(text, "refused: {kind}");
            for reason in answer["CancellationReasons"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let _ = write!(text, " {}", reason["Code"].as_str().unwrap_or("None"));
            }
            if kind == "ValidationException" {
                let _ = write!(text, " {}", answer["message"]);
            }
        }
        if let Some(items) = answer["Items"].as_array() {
            let _ = write!(text, "found {}", items.len());
        }
        for response in answer["Responses"].as_array().into_iter().flatten() {
            if let Some(code) = response["Error"]["Code"].as_str() {
                let _ = write!(text, "{code} ");
            }
        }
        for (n, change) in changes.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            let _ = write!(text, "{separator}{}", self.change(change));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn learn(&mut self, change: &Change) {
        let Some(task) = change.after.as_ref().and_then(|row| row.task.as_ref()) else {
            return;
        };
        let id = task.task_id.to_string();
        if !self.names.contains_key(&id) {
            self.tasks += 1;
            self.names.insert(id, format!("T{}", self.tasks));
        }
        for chunk in &task.chunks {
            if let Some(owner) = &chunk.owner
                && !self.names.contains_key(owner.as_str())
            {
                self.owners += 1;
                let name = format!("o{}", self.owners);
                self.names.insert(owner.as_str().to_owned(), name);
            }
        }
    }

    fn change(&self, Change { key, before, after }: &Change) -> String {
        let (pk, sk) = key;
        let holder = |row: &Option<Arc<Row>>| {
            row.as_ref()
                .map_or("nobody".into(), |row| self.task(row.text("task_id")))
        };
        if is_of_connections(key) {
            let is_there = if after.is_some() { "is noted" } else { "goes" };
            // A ticket's digest says nothing to anybody.
            let row = if pk.starts_with("TICKET#") {
                "a ticket"
            } else {
                &format!("{pk} {sk}")
            };
            return format!("{row} {is_there}");
        }
        if sk.starts_with("LOCK") || sk.starts_with("KEY#") {
            let user = pk.trim_start_matches("USER#");
            let name = sk.get(..4).unwrap_or_default().trim_end_matches('#');
            let name = name.to_lowercase();
            return format!("{user}'s {name} {} → {}", holder(before), holder(after));
        }
        if let Some(last) = sk.strip_prefix("INPUT#") {
            return format!("inputs up to {}", last.parse().unwrap_or(0_u64));
        }
        if sk == "SHARED" {
            return "what they share".into();
        }
        if let Some(index) = sk.strip_prefix("ITEM#") {
            let outcome = after.as_ref().map_or("gone", |row| row.text("outcome"));
            let index = index.trim_start_matches('0');
            return format!(
                "item {}: {outcome}",
                if index.is_empty() { "0" } else { index }
            );
        }
        let Some(after) = after else {
            return format!("{sk} is gone");
        };
        let Some(before) = before else {
            return format!(
                "{} of {} items for {}",
                self.task(sk.trim_start_matches("TASK#")),
                after.number("number_of_items"),
                pk.trim_start_matches("USER#")
            );
        };
        let mut parts = Vec::new();
        let names: std::collections::BTreeSet<_> =
            before.fields.keys().chain(after.fields.keys()).collect();
        for name in names {
            let (old, new) = (before.fields.get(name), after.fields.get(name));
            if old == new || name == "open_shard" || name == "expires_at" {
                continue;
            }
            if name != "chunks" {
                parts.push(format!("{name} {}→{}", self.value(old), self.value(new)));
                continue;
            }
            let chunks = |chunks: Option<&Value>| {
                chunks
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default()
            };
            for (n, (old, new)) in chunks(old).iter().zip(chunks(new)).enumerate() {
                for field in ["owner", "cursor", "failed", "attempts", "lease_until"] {
                    let (old, new) = (old.get(field), new.get(field));
                    if old != new {
                        let (old, new) = (self.value(old), self.value(new));
                        parts.push(format!("[{n}].{field} {old}→{new}"));
                    }
                }
            }
        }
        parts.join(", ")
    }

    fn value(&self, value: Option<&Value>) -> String {
        match value {
            None => "∅".into(),
            Some(Value::String(text)) => self.names.get(text).unwrap_or(text).clone(),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(time) if time > BEGINNING.0 / 2 => {
                    let time = Duration::from_millis(time.saturating_sub(BEGINNING.0));
                    format!("{:.1}s", time.as_secs_f64())
                }
                _ => number.to_string(),
            },
            Some(other) => other.to_string(),
        }
    }
}
