//! The table, spoken to in `DynamoDB`'s own JSON: dynoxide's, or one of a server's.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::sync::Arc;

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Answer;
use crate::server::ServedTable;

/// The environment variable that names a server which speaks `DynamoDB`'s protocol, such as `http://127.0.0.1:8000`:
/// every table is then one of its own there.
pub const ENDPOINT_VARIABLE: &str = "LONGHAUL_DYNAMODB_ENDPOINT";

/// The table, as the template declares it.
#[derive(Clone)]
pub struct Table {
    name: String,
    engine: Engine,
}

/// What evaluates the expressions.
#[derive(Clone)]
enum Engine {
    Embedded(Database),
    Served(Arc<ServedTable>),
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// An empty table: in process, or of the server that [`ENDPOINT_VARIABLE`] names.
    ///
    /// # Panics
    ///
    /// When there is no such table to be had, which no test can do without.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test cannot go on without its database"
    )]
    pub fn new() -> Self {
        let table = match env::var(ENDPOINT_VARIABLE) {
            Ok(endpoint) => {
                let served = ServedTable::of(&endpoint);
                Self {
                    name: served.name().to_owned(),
                    engine: Engine::Served(Arc::new(served)),
                }
            }
            Err(_) => Self {
                name: "tasks".to_owned(),
                engine: Engine::Embedded(Database::memory().expect("an in-memory database")),
            },
        };
        let created = table.call(
            "CreateTable",
            &json!({
                "TableName": table.name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                    {"AttributeName": "open_shard", "AttributeType": "S"},
                    {"AttributeName": "check_at", "AttributeType": "N"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "open-tasks",
                    "KeySchema": [
                        {"AttributeName": "open_shard", "KeyType": "HASH"},
                        {"AttributeName": "check_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }],
            }),
        );
        assert_eq!(created.status, 200, "{}", created.body);
        table
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is stored, each row with plain values instead of typed ones, ordered by key.
    ///
    /// # Panics
    ///
    /// When the database fails.
    #[must_use]
    pub fn rows(&self) -> Vec<HashMap<String, Value>> {
        let mut rows = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut request = json!({"TableName": self.name, "ConsistentRead": true});
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let answer = self.call("Scan", &request);
            assert_eq!(answer.status, 200, "{}", answer.body);
            for item in answer.body["Items"].as_array().into_iter().flatten() {
                let fields = item.as_object().into_iter().flatten();
                rows.push(
                    fields
                        .map(|(name, value)| (name.clone(), plain(value)))
                        .collect(),
                );
            }
            start = answer.body["LastEvaluatedKey"].clone();
            if start.is_null() {
                break;
            }
        }
        rows.sort_by_key(|row: &HashMap<_, _>| {
            let part = |name| row.get(name).and_then(Value::as_str).unwrap_or_default();
            (part("pk").to_owned(), part("sk").to_owned())
        });
        rows
    }

    /// Makes a call of its own, past the clients and their faults, and returns the answer's body.
    ///
    /// # Panics
    ///
    /// When the call fails.
    #[must_use]
    pub fn execute(&self, operation: &str, request: &Value) -> Value {
        let answer = self.call(operation, request);
        assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
        answer.body
    }

    pub(crate) fn call(&self, operation: &str, request: &Value) -> Answer {
        let database = match &self.engine {
            Engine::Embedded(database) => database,
            Engine::Served(table) => return table.call(operation, request),
        };
        match operation {
            "CreateTable" => answer(request, |request| database.create_table(request)),
            "GetItem" => answer(request, |request| database.get_item(request)),
            "BatchGetItem" => answer(request, |request| database.batch_get_item(request)),
            "PutItem" => answer(request, |request| database.put_item(request)),
            "UpdateItem" => answer(request, |request| database.update_item(request)),
            "DeleteItem" => answer(request, |request| database.delete_item(request)),
            "Query" => answer(request, |request| database.query(request)),
            "Scan" => answer(request, |request| database.scan(request)),
            "TransactWriteItems" => {
                answer(request, |request| database.transact_write_items(request))
            }
            "BatchExecuteStatement" => {
                answer(request, |request| database.batch_execute_statement(request))
            }
            "BatchWriteItem" => answer(request, |request| database.batch_write_item(request)),
            other => Answer::error("UnknownOperationException", other),
        }
    }
}

fn answer<Request: DeserializeOwned, Response: Serialize>(
    request: &Value,
    call: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> Answer {
    let request = match Request::deserialize(request) {
        Ok(request) => request,
        Err(error) => return Answer::error("SerializationException", &error.to_string()),
    };
    match call(request) {
        Ok(response) => match serde_json::to_value(response) {
            Ok(body) => Answer::ok(body),
            Err(error) => Answer::error("InternalServerError", &error.to_string()),
        },
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &DynoxideError) -> Answer {
    Answer {
        status: error.status_code(),
        body: serde_json::from_str(&error.to_json()).unwrap_or_default(),
    }
}

/// A typed value, such as `{"N": "1"}`, as a plain one.
#[must_use]
pub fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(digits)) => serde_json::from_str(digits).unwrap_or_default(),
        ("L", Value::Array(values)) => values.iter().map(plain).collect(),
        ("M", Value::Object(fields)) => {
            // In an order that does not depend on the request's, which is random.
            let fields = fields.iter().map(|(name, value)| (name, plain(value)));
            json!(fields.collect::<BTreeMap<_, _>>())
        }
        ("NULL", _) => Value::Null,
        (_, other) => other.clone(),
    }
}
