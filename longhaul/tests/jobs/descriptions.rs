//! What `GET /api/` lists: the shape that a page makes forms from.

use longhaul::describe::describe;
use longhaul::{Invalid, Items, Job, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

struct Form;

/// How to send it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Speed {
    Slow,
    Fast,
}

#[derive(Deserialize, JsonSchema)]
enum Explained {
    /// Arrives next week.
    Slow,
    /// Arrives tomorrow.
    Fast,
}

/// Somebody.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Contact {
    /// As they write it.
    name: String,
    age: Option<u8>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Request {
    /// How many.
    #[schemars(title = "Count", range(min = 1, max = 9))]
    count: u64,
    #[serde(default)]
    ratio: f64,
    #[schemars(length(min = 1, max = 80))]
    text: String,
    #[serde(default)]
    yes: bool,
    speed: Speed,
    explained: Option<Explained>,
    tags: Vec<String>,
    #[schemars(length(min = 1))]
    contacts: Vec<Contact>,
}

impl Job for Form {
    const NAME: &'static str = "form";
    const TITLE: &'static str = "A form";
    type Request = Request;
    type Shared = ();
    type Input = Contact;
    type Output = Contact;

    fn items(request: Request, _: &Limits) -> Result<Items<Contact>, Invalid> {
        Ok(Items::list(request.contacts))
    }
}

#[test]
fn a_job_is_listed_with_schemas_that_need_no_look_up() {
    let listed = json!(describe::<(Form,)>());
    let contact = json!({
        "description": "Somebody.",
        "type": "object",
        "properties": {
            "name": {"description": "As they write it.", "type": "string"},
            "age": {"type": ["integer", "null"], "format": "uint8", "minimum": 0, "maximum": 255},
        },
        "required": ["name"],
    });
    let listed = &listed[0];
    println!("{listed:#}");
    assert_eq!(listed["name"], "form");
    assert_eq!(listed["title"], "A form");
    let properties = &listed["request"]["properties"];
    for (name, schema) in [
        (
            "count",
            json!({"title": "Count", "description": "How many.", "type": "integer", "format": "uint64", "minimum": 1, "maximum": 9}),
        ),
        (
            "ratio",
            json!({"type": "number", "format": "double", "default": 0.0}),
        ),
        (
            "text",
            json!({"type": "string", "minLength": 1, "maxLength": 80}),
        ),
        ("yes", json!({"type": "boolean", "default": false})),
        (
            "speed",
            json!({"description": "How to send it.", "type": "string", "enum": ["slow", "fast"]}),
        ),
        (
            "explained",
            json!({"anyOf": [
                {"oneOf": [
                    {"description": "Arrives next week.", "type": "string", "const": "Slow"},
                    {"description": "Arrives tomorrow.", "type": "string", "const": "Fast"},
                ]},
                {"type": "null"},
            ]}),
        ),
        (
            "tags",
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            "contacts",
            json!({"type": "array", "items": contact, "minItems": 1}),
        ),
    ] {
        assert_eq!(properties[name], schema, "{name}");
    }
    let required = json!(["count", "text", "speed", "tags", "contacts"]);
    assert_eq!(listed["request"]["required"], required);
}

#[test]
fn fields_come_in_the_order_in_which_the_job_names_them() {
    let listed = json!(describe::<(Form,)>());
    let fields = |schema: &serde_json::Value| -> Vec<String> {
        let properties = schema["properties"].as_object().unwrap();
        properties.keys().cloned().collect()
    };
    let request = fields(&listed[0]["request"]);
    let written = "count ratio text yes speed explained tags contacts";
    assert_eq!(request, written.split(' ').collect::<Vec<_>>());
    assert_eq!(fields(&listed[0]["output"]), ["name", "age"]);
}
