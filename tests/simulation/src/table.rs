//! A copy of the table, kept up to date call by call, so that every change can be judged with what
//! was there before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use embedded_aws::{Call, Table, plain};
use longhaul::task::Task;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A partition key and a sort key.
pub(crate) type Key = (String, String);

/// A stored row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// As the wire has it, with typed values.
    pub(crate) typed: Value,
    /// The same with plain values.
    pub(crate) fields: Map<String, Value>,
    /// Read as a task, if that is what it is.
    pub(crate) task: Option<Task>,
}

impl Row {
    fn read(key: &Key, typed: Value) -> Result<Self, String> {
        let fields: Map<_, _> = typed
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect();
        let task = if key.0.starts_with("USER#") && key.1.starts_with("TASK#") {
            let task = Task::deserialize(&fields);
            Some(task.map_err(|error| format!("{key:?} is not a task: {error}"))?)
        } else {
            None
        };
        Ok(Self {
            typed,
            fields,
            task,
        })
    }

    /// A text attribute; empty when there is none.
    #[must_use]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A number; zero when there is none.
    #[must_use]
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.fields
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }
}

/// One row that a call changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Which row.
    pub(crate) key: Key,
    /// What was there.
    pub(crate) before: Option<Arc<Row>>,
    /// What is there now.
    pub(crate) after: Option<Arc<Row>>,
}

/// The copy.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    rows: BTreeMap<Key, Arc<Row>>,
}

impl Mirror {
    /// A row.
    #[must_use]
    pub(crate) fn get(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key).map(Arc::as_ref)
    }

    /// All rows, ordered by key.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.rows.iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// The rows of one partition, ordered by key.
    pub(crate) fn rows_of<'a>(&'a self, pk: &'a str) -> impl Iterator<Item = (&'a Key, &'a Row)> {
        let rows = self.rows.range((pk.to_owned(), String::new())..);
        rows.take_while(move |(key, _)| key.0 == pk)
            .map(|(key, row)| (key, row.as_ref()))
    }

    /// Brings the copy up to date after `call` was answered with success, and tells what changed.
    ///
    /// # Errors
    ///
    /// When a row is not what its key says.
    pub(crate) fn follow(
        &mut self,
        call: &Call,
        answer: &Value,
        table: &Table,
    ) -> Result<Vec<Change>, String> {
        let mut changes = Vec::new();
        for key in written_keys(call) {
            let item = match answer.get("Attributes") {
                // `ALL_NEW`: the answer is the row. Of what is deleted it is what was there.
                Some(row) if call.operation == "UpdateItem" => Some(row.clone()),
                _ => read(table, &key),
            };
            let after = item.map(|item| Row::read(&key, item)).transpose()?;
            let after = after.map(Arc::new);
            let before = match &after {
                Some(row) => self.rows.insert(key.clone(), Arc::clone(row)),
                None => self.rows.remove(&key),
            };
            if before != after {
                changes.push(Change { key, before, after });
            }
        }
        Ok(changes)
    }

    /// Whether the table holds what the copy holds and nothing else.
    ///
    /// # Errors
    ///
    /// Says what differs.
    pub(crate) fn check(&self, table: &Table) -> Result<(), String> {
        let stored = table.rows();
        if stored.len() != self.rows.len() {
            return Err(format!(
                "the table has {} rows, but {} were written",
                stored.len(),
                self.rows.len()
            ));
        }
        for ((key, row), stored) in self.rows.iter().zip(stored) {
            let stored: Map<_, _> = stored.into_iter().collect();
            if row.fields != stored {
                return Err(format!("{key:?} is not what was written: {stored:?}"));
            }
        }
        Ok(())
    }
}

fn read(table: &Table, (pk, sk): &Key) -> Option<Value> {
    let key = json!({"pk": {"S": pk}, "sk": {"S": sk}});
    let request = json!({"TableName": table.name(), "Key": key, "ConsistentRead": true});
    table.execute("GetItem", &request).get("Item").cloned()
}

/// The keys of the rows that a call may change.
pub(crate) fn written_keys(call: &Call) -> Vec<Key> {
    let key = |row: &Value| {
        let part = |name| row[name]["S"].as_str().unwrap_or_default().to_owned();
        (part("pk"), part("sk"))
    };
    let body = &call.body;
    match call.operation.as_str() {
        "UpdateItem" | "DeleteItem" => vec![key(&body["Key"])],
        "PutItem" => vec![key(&body["Item"])],
        "TransactWriteItems" => {
            let actions = body["TransactItems"].as_array().into_iter().flatten();
            actions
                .map(|action| match action.get("Put") {
                    Some(put) => key(&put["Item"]),
                    None if action.get("Update").is_some() => key(&action["Update"]["Key"]),
                    None => key(&action["Delete"]["Key"]),
                })
                .collect()
        }
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let rows = tables.flat_map(|(_, rows)| rows.as_array().into_iter().flatten());
            rows.map(|row| key(&row["PutRequest"]["Item"])).collect()
        }
        "BatchExecuteStatement" => {
            let statements = body["Statements"].as_array().into_iter().flatten();
            statements
                .map(|statement| {
                    // INSERT INTO "tasks" VALUE {'pk': ?, 'sk': ?, …}
                    let text = statement["Statement"].as_str().unwrap_or_default();
                    let names = text.split('\'').skip(1).step_by(2);
                    let parameters = statement["Parameters"].as_array().into_iter().flatten();
                    let row: Map<String, Value> = names
                        .zip(parameters)
                        .map(|(name, value)| (name.to_owned(), value.clone()))
                        .collect();
                    key(&Value::Object(row))
                })
                .collect()
        }
        _ => vec![],
    }
}
