//! The schemas of what is sent and answered.

use serde_json::{Map, Value, json};

use crate::api::{ApiError, TaskView};
use crate::describe::{self, Description};

pub(super) const TASK: &str = "Task";
pub(super) const TASK_PAGE: &str = "TaskPage";
pub(super) const JOB_LIST: &str = "JobList";
pub(super) const GATEWAY_ERROR: &str = "GatewayError";
const STATUS: &str = "TaskStatus";
const ITEM: &str = "Item";
const MESSAGES: &str = "Messages";

/// The parts of a job that have a schema.
const PARTS: [&str; 3] = ["request", "input", "output"];

/// What refers to a component.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn name_of(job: &Description, part: &str) -> String {
    format!("{}.{part}", job.name)
}

/// What refers to the schema of this part of a job.
pub(super) fn part_of_job(job: &Description, part: &str) -> Value {
    reference("schemas", &name_of(job, part))
}

/// All that are referred to.
pub(super) fn all(jobs: &[Description]) -> Map<String, Value> {
    let settings = describe::settings().for_serialize();
    let mut task = describe::schema::<TaskView>(settings);
    task["additionalProperties"] = false.into();
    let status = std::mem::replace(
        &mut task["properties"]["task_status"],
        reference("schemas", STATUS),
    );
    let tasks = json!({"type": "array", "items": reference("schemas", TASK)});
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add(JOB_LIST, job_list());
    add(TASK, task);
    add(STATUS, status);
    add(
        TASK_PAGE,
        object(json!({"tasks": tasks, "next_cursor": next_cursor()})),
    );
    add(ITEM, item(jobs));
    add(MESSAGES, messages());
    let gateway_error = object(json!({"message": {"type": ["string", "null"]}}));
    add(GATEWAY_ERROR, gateway_error);
    for job in jobs {
        for (part, schema) in PARTS.iter().zip([&job.request, &job.input, &job.output]) {
            let name = name_of(job, part);
            add(&name, moved(schema, &name));
        }
    }
    schemas
}

/// A schema of its own as one of many: what it refers to in itself is there now.
fn moved(schema: &Value, name: &str) -> Value {
    let mut schema = schema.clone();
    move_references(&mut schema, &format!("#/components/schemas/{name}"));
    schema
}

fn move_references(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(fields) => {
            for (keyword, value) in fields {
                match value {
                    Value::String(to) if keyword == "$ref" => {
                        if let Some(within) = to.strip_prefix('#') {
                            *to = format!("{place}{within}");
                        }
                    }
                    value => move_references(value, place),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                move_references(value, place);
            }
        }
        _ => {}
    }
}

/// An object with all of these fields and no others.
fn object(properties: Value) -> Value {
    let required: Vec<_> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    let mut object = json!({"type": "object", "required": required});
    object["properties"] = properties;
    object["additionalProperties"] = false.into();
    object
}

fn text() -> Value {
    json!({"type": "string"})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn boolean(value: bool) -> Value {
    json!({"type": "boolean", "const": value})
}

fn next_cursor() -> Value {
    json!({"type": ["string", "null"], "description": "Where the next page begins; null on the last one."})
}

fn job_list() -> Value {
    let schema = json!({"type": ["object", "boolean"], "description": "A JSON Schema (2020-12)."});
    let job = object(json!({
        "name": text(),
        "title": text(),
        "description": text(),
        "request": schema,
        "input": schema,
        "output": schema,
    }));
    let limits = object(json!({"items_max": {"type": "integer", "minimum": 1}}));
    object(json!({"jobs": {"type": "array", "items": job}, "limits": limits}))
}

fn item(jobs: &[Description]) -> Value {
    let of_any_job = |part: &str| {
        let parts = jobs.iter().map(|job| part_of_job(job, part));
        let parts: Vec<_> = parts.chain([json!({"type": "null"})]).collect();
        json!({"anyOf": parts})
    };
    let mut item = object(json!({
        "index": {"type": "integer", "minimum": 0},
        "name": text(),
        "outcome": {"type": "string", "enum": ["done", "failed"]},
        "output": of_any_job("output"),
        "error": {"type": ["string", "null"]},
    }));
    // For who asks for it, hence not required.
    item["properties"]["input"] = of_any_job("input");
    item
}

/// What is wrong, by the path of the field.
fn messages() -> Value {
    let of_field = json!({"type": "array", "items": text(), "minItems": 1});
    json!({"type": "object", "minProperties": 1, "additionalProperties": of_field})
}

/// The body that succeeds with this data.
pub(super) fn success(data: Value) -> Value {
    let mut body = json!({"success": boolean(true)});
    body["data"] = data;
    object(body)
}

pub(super) fn item_page() -> Value {
    let items = json!({"type": "array", "items": reference("schemas", ITEM)});
    object(json!({"items": items, "next_cursor": next_cursor()}))
}

pub(super) fn socket() -> Value {
    let url = json!({"type": "string", "pattern": "^wss?://"});
    object(json!({"url": url, "expires_at": {"type": "string", "format": "date-time"}}))
}

pub(super) fn accepted() -> Value {
    object(json!({"task_id": uuid(), "task_status": reference("schemas", STATUS)}))
}

/// The whole body of an answer that names the task that is in the way.
pub(super) fn busy() -> Value {
    object(json!({
        "success": boolean(true),
        "message": {"type": "string", "const": "There is an active request"},
        "data": object(json!({"task_id": uuid()})),
    }))
}

/// The body of an answer to one of these errors.
pub(super) fn error(errors: &[ApiError]) -> Value {
    let (mut said, mut is_free, mut is_of_fields) = (vec![], false, false);
    for error in errors {
        match error {
            ApiError::Invalid(_) => is_of_fields = true,
            ApiError::Malformed(_)
            | ApiError::UnsupportedMediaType(_)
            | ApiError::Exhausted { .. } => is_free = true,
            other => said.push(other.to_string()),
        }
    }
    let mut messages = vec![];
    if is_free {
        messages.push(text());
    } else if !said.is_empty() {
        messages.push(json!({"type": "string", "enum": said}));
    }
    if is_of_fields {
        messages.push(reference("schemas", MESSAGES));
    }
    let message = match &messages[..] {
        [message] => message.clone(),
        _ => json!({"anyOf": messages}),
    };
    object(json!({"success": boolean(false), "message": message}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_schema_refers_to_in_itself_is_found_where_it_has_moved_to() {
        let tree = json!({"properties": {"$ref": {"$ref": "#/$defs/Leaf"}, "left": {"items": [{"$ref": "#"}]}}});
        let moved = moved(&tree, "a-job.input");
        let place = "#/components/schemas/a-job.input";
        assert_eq!(
            moved.pointer("/properties/$ref/$ref").unwrap(),
            &json!(format!("{place}/$defs/Leaf"))
        );
        assert_eq!(
            moved.pointer("/properties/left/items/0/$ref").unwrap(),
            place
        );
    }
}
