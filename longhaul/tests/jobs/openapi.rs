//! The description of the API is whole: what it refers to is there.

use std::collections::BTreeSet;

use longhaul::openapi::document;
use longhaul::{Invalid, Items, Job, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

struct Plant;

/// A type that contains itself, and so has a schema that refers to itself.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Tree {
    trees: Vec<Tree>,
}

#[derive(Deserialize, JsonSchema)]
struct Forest {
    trees: Vec<Tree>,
}

impl Job for Plant {
    const NAME: &'static str = "plant";
    const BODY_BYTES_MAX: usize = 1234;
    type Request = Forest;
    type Shared = ();
    type Input = Tree;
    type Output = ();

    fn items(forest: Forest, _: &Limits) -> Result<Items<Tree>, Invalid> {
        Ok(Items::list(forest.trees))
    }
}

/// All values of this name, wherever they are.
fn all<'d>(document: &'d Value, name: &str, found: &mut Vec<&'d Value>) {
    match document {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == name {
                    found.push(value);
                }
                all(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, name, found)),
        _ => {}
    }
}

fn named<'d>(document: &'d Value, name: &str) -> Vec<&'d Value> {
    let mut found = vec![];
    all(document, name, &mut found);
    found
}

#[test]
fn whatever_is_referred_to_is_there() {
    let document = document::<(Plant,)>();
    let references = named(&document, "$ref");
    assert!(references.len() > 50);
    for reference in references {
        let reference = reference.as_str().unwrap();
        let found = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference}");
    }
    let is_within = |text: &&Value| {
        text.as_str()
            .unwrap()
            .starts_with("#/components/schemas/plant.input")
    };
    assert!(
        named(&document, "$ref").iter().any(is_within),
        "no schema refers to itself"
    );
}

#[test]
fn links_lead_to_operations_that_there_are_by_parameters_that_these_have() {
    let document = document::<(Plant,)>();
    let mut operations = std::collections::BTreeMap::new();
    for path in document["paths"].as_object().unwrap().values() {
        for (method, operation) in path.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let mut parameters = vec![];
            for parameter in [&path["parameters"], &operation["parameters"]] {
                for one in parameter.as_array().into_iter().flatten() {
                    let place = one["$ref"].as_str().unwrap().trim_start_matches('#');
                    let name = document.pointer(place).unwrap()["name"].as_str().unwrap();
                    parameters.push(name);
                }
            }
            let id = operation["operationId"].as_str().unwrap();
            let before = operations.insert(id, parameters);
            assert_eq!(before, None, "{id} is there twice");
        }
    }
    let mut linked = BTreeSet::new();
    for links in named(&document, "links") {
        for link in links.as_object().unwrap().values() {
            let operation = link["operationId"].as_str().unwrap();
            linked.insert(operation);
            for parameter in link["parameters"].as_object().unwrap().keys() {
                let known = &operations[operation];
                assert!(
                    known.contains(&parameter.as_str()),
                    "{operation}: {parameter}"
                );
            }
        }
    }
    let all = ["cancel", "items", "retry", "status", "tasks", "tasks.plant"];
    assert_eq!(linked, BTreeSet::from(all));
}

#[test]
fn errors_are_told_in_the_words_of_the_code() {
    let document = document::<(Plant,)>();
    let message = |path: &str, method: &str, status: &str| {
        let answer = &document["paths"][path][method]["responses"][status];
        let schema = &answer["content"]["application/json"]["schema"];
        let schema = schema.pointer("/anyOf/0").unwrap_or(schema);
        schema["properties"]["message"]["enum"].clone()
    };
    let task = "/api/{job}/{task_id}/";
    let too_large = "Request body is too large. The limit is 1234 bytes.";
    for (path, method, status, said) in [
        (task, "get", "404", "Task not found"),
        (task, "delete", "409", "Task is already finished"),
        ("/api/plant/", "post", "413", too_large),
        (
            "/api/plant/",
            "post",
            "422",
            "Idempotency-Key was already used with a different request body",
        ),
    ] {
        assert_eq!(message(path, method, status)[0], said, "{method} {path}");
    }
}
