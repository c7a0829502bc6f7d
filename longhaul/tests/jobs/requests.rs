//! What a client may send and what it is told, for a job that has every kind of field.

use longhaul::order::Order;
use longhaul::request::{self, BadRequest};
use longhaul::{Invalid, Items, Job, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const JSON: &str = "application/json";

struct Everything;

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Red,
    DarkBlue,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
enum Shape {
    Circle { radius: f64 },
    Point,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
struct Contact {
    #[schemars(length(min = 1, max = 10))]
    name: String,
    email: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
struct Tree {
    #[schemars(range(max = 9))]
    leaves: u64,
    branches: Vec<Tree>,
    beside: Option<Box<Tree>>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default)]
struct Request {
    best: Option<Contact>,
    tree: Option<Tree>,
    #[schemars(range(min = 1, max = 9))]
    count: u64,
    byte: u8,
    signed: i64,
    #[schemars(range(min = 0.5))]
    ratio: f64,
    yes: bool,
    colour: Colour,
    shape: Option<Shape>,
    #[schemars(length(max = 3))]
    tags: Vec<String>,
    contacts: Vec<Contact>,
    anything: Value,
    pair: (u8, u8),
    #[schemars(range(max = 5))]
    maybe: Option<u32>,
    huge: u128,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            best: None,
            tree: None,
            count: 1,
            byte: 0,
            signed: 0,
            ratio: 1.0,
            yes: false,
            colour: Colour::Red,
            shape: None,
            tags: vec![],
            contacts: vec![],
            anything: Value::Null,
            pair: (0, 0),
            maybe: None,
            huge: 0,
        }
    }
}

impl Job for Everything {
    const NAME: &'static str = "everything";
    type Request = Request;
    type Shared = ();
    type Input = Request;
    type Output = ();

    fn items(request: Request, _: &Limits) -> Result<Items<Request>, Invalid> {
        Ok(Items::list(vec![request]))
    }
}

fn read(body: &str) -> Result<Value, Value> {
    match request::read::<Everything>(JSON, body.as_bytes(), &Limits::new(10_000)) {
        Ok(order) => Ok(serde_json::from_str(order.inputs[0].get()).unwrap()),
        Err(BadRequest::Invalid(invalid)) => Err(json!(invalid)),
        Err(other) => Err(json!(other.to_string())),
    }
}

#[test]
fn what_is_read_is_what_was_sent() {
    for (body, path, expected) in [
        (r#"{"count": 5}"#, "/count", json!(5)),
        (r#"{"count": "5"}"#, "/count", json!(5)),
        (r#"{"count": 5.0}"#, "/count", json!(5)),
        (r#"{"count": 0.5e1}"#, "/count", json!(5)),
        (
            r#"{"signed": -9223372036854775808}"#,
            "/signed",
            json!(i64::MIN),
        ),
        (
            r#"{"huge": 18446744073709551615}"#,
            "/huge",
            json!(u64::MAX),
        ),
        (r#"{"ratio": "1.5e1"}"#, "/ratio", json!(15.0)),
        (r#"{"ratio": 2}"#, "/ratio", json!(2.0)),
        (r#"{"yes": true}"#, "/yes", json!(true)),
        (r#"{"colour": "dark-blue"}"#, "/colour", json!("dark-blue")),
        (
            r#"{"shape": {"Circle": {"radius": 2}}}"#,
            "/shape/Circle/radius",
            json!(2.0),
        ),
        (r#"{"shape": "Point"}"#, "/shape", json!("Point")),
        (r#"{"shape": null}"#, "/shape", json!(null)),
        (r#"{"tags": ["a", "ä\n"]}"#, "/tags/1", json!("ä\n")),
        (
            r#"{"contacts": [{"name": "x"}]}"#,
            "/contacts/0/email",
            json!(null),
        ),
        (
            r#"{"anything": [1, -1, 0.5, {"a": [null]}]}"#,
            "/anything",
            json!([1, -1, 0.5, {"a": [null]}]),
        ),
        (r#"{"anything": 1e2}"#, "/anything", json!(100.0)),
        (r#"{"pair": [1, 2]}"#, "/pair/1", json!(2)),
        (r#"{"maybe": 5}"#, "/maybe", json!(5)),
        (r#"{"count": "x", "count": 7}"#, "/count", json!(7)),
    ] {
        let request = read(body).unwrap();
        assert_eq!(request.pointer(path), Some(&expected), "{body}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_wrong_is_said_where_it_is_and_in_the_frameworks_words() {
    for (body, path, message) in [
        (
            "[]",
            "non_field_errors",
            "Invalid data. Expected a dictionary, but got list.",
        ),
        (
            "1.5",
            "non_field_errors",
            "Invalid data. Expected a dictionary, but got float.",
        ),
        ("null", "non_field_errors", "No data provided"),
        (r#"{"count": null}"#, "count", "This field may not be null."),
        (
            r#"{"count": 0}"#,
            "count",
            "Ensure this value is greater than or equal to 1.",
        ),
        (
            r#"{"count": -1}"#,
            "count",
            "Ensure this value is greater than or equal to 1.",
        ),
        (
            r#"{"count": 10}"#,
            "count",
            "Ensure this value is less than or equal to 9.",
        ),
        (
            r#"{"count": 99999999999999999999999999999999999999999}"#,
            "count",
            "Ensure this value is less than or equal to 9.",
        ),
        (
            r#"{"byte": 256}"#,
            "byte",
            "Ensure this value is less than or equal to 255.",
        ),
        (
            r#"{"byte": "-1"}"#,
            "byte",
            "Ensure this value is greater than or equal to 0.",
        ),
        (
            r#"{"signed": 9223372036854775808}"#,
            "signed",
            "Ensure this value is less than or equal to 9223372036854775807.",
        ),
        (
            r#"{"signed": -99999999999999999999999999999999999999999}"#,
            "signed",
            "Ensure this value is greater than or equal to -9223372036854775808.",
        ),
        (
            r#"{"huge": 999999999999999999999999999999999999999999}"#,
            "huge",
            "Ensure this value is less than or equal to 170141183460469231731687303715884105727.",
        ),
        (r#"{"byte": [1]}"#, "byte", "A valid integer is required."),
        (r#"{"byte": 1.5}"#, "byte", "A valid integer is required."),
        (
            r#"{"ratio": "one"}"#,
            "ratio",
            "A valid number is required.",
        ),
        (
            r#"{"ratio": "inf"}"#,
            "ratio",
            "A valid number is required.",
        ),
        (
            r#"{"ratio": 1e999}"#,
            "ratio",
            "A valid number is required.",
        ),
        (
            r#"{"ratio": 0.25}"#,
            "ratio",
            "Ensure this value is greater than or equal to 0.5.",
        ),
        (r#"{"yes": "true"}"#, "yes", "Must be a valid boolean."),
        (
            r#"{"colour": "green"}"#,
            "colour",
            "\"green\" is not a valid choice.",
        ),
        (r#"{"colour": 7}"#, "colour", "\"7\" is not a valid choice."),
        (
            r#"{"shape": {"Circle": {}}}"#,
            "shape.Circle.radius",
            "This field is required.",
        ),
        (
            r#"{"tags": "a"}"#,
            "tags",
            "Expected a list of items but got type \"str\".",
        ),
        (
            r#"{"tags": {"0": "a"}}"#,
            "tags",
            "Expected a list of items but got type \"dict\".",
        ),
        (r#"{"tags": ["a", 5]}"#, "tags.1", "Not a valid string."),
        (
            r#"{"tags": ["a", null]}"#,
            "tags.1",
            "This field may not be null.",
        ),
        (
            r#"{"tags": ["a", "b", "c", "d"]}"#,
            "tags",
            "Ensure this field has no more than 3 elements.",
        ),
        (
            r#"{"tags": ["a\u0000"]}"#,
            "tags.0",
            "Null characters are not allowed.",
        ),
        (
            r#"{"contacts": [{"name": "x"}, {}]}"#,
            "contacts.1.name",
            "This field is required.",
        ),
        (
            r#"{"contacts": [{"name": ""}]}"#,
            "contacts.0.name",
            "This field may not be blank.",
        ),
        (
            r#"{"contacts": [{"name": "ääääääääääx"}]}"#,
            "contacts.0.name",
            "Ensure this field has no more than 10 characters.",
        ),
        (
            r#"{"contacts": [[]]}"#,
            "contacts.0",
            "Invalid data. Expected a dictionary, but got list.",
        ),
        (
            r#"{"pair": [1, 2, 3]}"#,
            "pair",
            "Ensure this field has no more than 2 elements.",
        ),
        (
            r#"{"tree": {"leaves": 1, "branches": [], "beside": {"leaves": 10, "branches": []}}}"#,
            "tree.beside.leaves",
            "Ensure this value is less than or equal to 9.",
        ),
        (
            r#"{"best": {"name": ""}}"#,
            "best.name",
            "This field may not be blank.",
        ),
        (
            r#"{"tree": {"leaves": 1, "branches": [{"leaves": 10, "branches": []}]}}"#,
            "tree.branches.0.leaves",
            "Ensure this value is less than or equal to 9.",
        ),
        (
            r#"{"maybe": 6}"#,
            "maybe",
            "Ensure this value is less than or equal to 5.",
        ),
    ] {
        assert_eq!(read(body), Err(json!({path: [message]})), "{body}");
    }
}

#[test]
fn all_bounds_that_are_broken_are_told_and_at_most_twenty() {
    let contacts = json!([{"name": ""}, {"name": "fine"}, {"name": "much too long"}]);
    let told = read(&json!({"count": 0, "contacts": contacts}).to_string()).unwrap_err();
    let expected = json!({
        "count": ["Ensure this value is greater than or equal to 1."],
        "contacts.0.name": ["This field may not be blank."],
        "contacts.2.name": ["Ensure this field has no more than 10 characters."],
    });
    assert_eq!(told, expected);
    let contacts = vec![json!({"name": ""}); 1000];
    let told = read(&json!({"contacts": contacts}).to_string()).unwrap_err();
    assert_eq!(told.as_object().unwrap().len(), 20);
}

#[test]
fn unknown_fields_are_not_read_however_deep_they_are() {
    let depth = 1_000_000;
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let request = read(&format!("{{\"count\": 3, \"x\": {open}{close}}}")).unwrap();
    assert_eq!(request["count"], 3);
}

#[test]
fn what_is_read_is_not_too_deep() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&format!("{{\"anything\": {}}}", nested(63))).is_ok());
    for depth in [64, 1_000_000] {
        let told = read(&format!("{{\"anything\": {}}}", nested(depth))).unwrap_err();
        let (path, message) = told.as_object().unwrap().iter().next().unwrap();
        assert!(path.starts_with("anything.0.0."), "{path}");
        assert_eq!(message, &json!(["This value is nested too deeply."]));
        // Where another type is asked for, the first level is one too many.
        let told = read(&format!("{{\"tags\": [{}]}}", nested(depth))).unwrap_err();
        assert_eq!(told, json!({"tags.0": ["Not a valid string."]}));
    }
    // What is large may not be as deep.
    let large = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let numbers = vec!["0"; 30_000].join(",");
        read(&format!("{{\"anything\": {open}{numbers}{close}}}"))
    };
    assert!(large(10).is_ok());
    let told = large(40).unwrap_err().to_string();
    assert!(told.contains("This value is nested too deeply."), "{told}");
    let told = read(&nested(1_000_000)).unwrap_err();
    let expected = "Invalid data. Expected a dictionary, but got list.";
    assert_eq!(told, json!({"non_field_errors": [expected]}));
}

#[test]
fn what_is_no_json_is_not_read() {
    for body in [
        "{",
        " ",
        "not json",
        "{\"count\": NaN}",
        "{\"tags\": [\"\\ud800\"]}",
        "{} {}",
    ] {
        let told = read(body).unwrap_err();
        let told = told.as_str().unwrap();
        assert!(told.starts_with("JSON parse error - "), "{body}: {told}");
    }
    let limits = Limits::new(1);
    let malformed =
        request::read::<Everything>(JSON, b"{\"x\": \"\xff\xfe\"}", &limits).unwrap_err();
    assert!(matches!(malformed, BadRequest::Malformed(_)));
}

#[test]
fn a_body_that_is_too_large_is_not_read() {
    let mut body = "{}".to_owned();
    body.push_str(&" ".repeat(Everything::BODY_BYTES_MAX - 2));
    assert!(read(&body).is_ok());
    body.push(' ');
    let told = read(&body).unwrap_err();
    assert_eq!(
        told,
        "Request body is too large. The limit is 2097152 bytes."
    );
}

#[test]
fn only_json_is_read() {
    let read = |media_type: &str, body: &str| {
        request::read::<Everything>(media_type, body.as_bytes(), &Limits::new(1))
    };
    assert!(read("Application/JSON; charset=utf-8", "{}").is_ok());
    assert!(read("", "").is_ok());
    for media_type in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let told = read(media_type, "{}").unwrap_err().to_string();
        let expected = format!("Unsupported media type \"{media_type}\" in request.");
        assert_eq!(told, expected);
    }
}

#[test]
fn inputs_that_are_too_large_or_too_many_are_named() {
    let told = |field: Value, number: usize| {
        let read = request::read::<Strings>(
            JSON,
            json!(vec![field; number]).to_string().as_bytes(),
            &Limits::new(100),
        );
        match read.unwrap_err() {
            BadRequest::Invalid(invalid) => json!(invalid),
            other => json!(other.to_string()),
        }
    };
    let larger = "x".repeat(Limits::INPUT_BYTES_MAX - 1);
    let expected = "Ensure this field has no more than 100 elements.";
    assert_eq!(told(json!("x"), 101), json!({"words": [expected]}));
    let expected = "Item 0 is too large: 65537 bytes, where 65536 are allowed.";
    let told_of_one = told(json!(larger), 1);
    assert_eq!(told_of_one, json!({"words.0": [expected]}));
    let expected =
        "What is to be stored of it is too large: 4259840 bytes, where 4194304 are allowed.";
    assert_eq!(told(json!("whole"), 65), json!({"words": [expected]}));
    let expected = "What all items share is too large: 262145 bytes, where 262144 are allowed.";
    assert_eq!(told(json!("share"), 1), json!({"words": [expected]}));
}

/// Shares too much if it is asked to.
struct Strings;

impl Job for Strings {
    const NAME: &'static str = "strings";
    const BODY_BYTES_MAX: usize = longhaul::BODY_BYTES_LIMIT;
    type Request = Vec<String>;
    type Shared = String;
    type Input = String;
    type Output = ();

    fn items(words: Vec<String>, _: &Limits) -> Result<Items<String, String>, Invalid> {
        let shared = if words[0] == "share" {
            Limits::SHARED_BYTES_MAX - 1
        } else {
            0
        };
        // What is stored may be larger than what was sent.
        let whole = |word: String| {
            if word == "whole" {
                "x".repeat(65_534)
            } else {
                word
            }
        };
        let words = words.into_iter().map(whole).collect();
        Ok(Items::list(words)
            .of_field("words")
            .sharing("x".repeat(shared)))
    }
}

#[test]
fn little_is_quoted_of_what_a_client_sent() {
    let long = "x".repeat(1_000_000);
    for body in [
        json!({"colour": long}),
        json!({"colour": [long]}),
        json!({"anything": {&long: "\0"}}),
    ] {
        let told = read(&body.to_string()).unwrap_err().to_string();
        assert!(told.len() < 500, "{} bytes", told.len());
    }
}

#[test]
fn requests_for_the_same_items_have_the_same_digest() {
    let digest = |body: &str| {
        let order = request::read::<Everything>(JSON, body.as_bytes(), &Limits::new(10));
        order.unwrap().digest
    };
    let one = digest(r#"{"count": 5, "anything": {"a": 1, "b": [2, 3]}}"#);
    assert_eq!(one.as_str().len(), 32);
    for same in [
        r#" { "anything" : {"b": [2,3], "a": 1}, "count": 5 } "#,
        r#"{"count": "5", "anything": {"a": 1, "b": [2, 3]}, "unknown": 1}"#,
        r#"{"count": 5.0, "byte": 0, "anything": {"a": 1, "b": [2, 3]}}"#,
    ] {
        assert_eq!(digest(same), one, "{same}");
    }
    for other in [
        r#"{"count": 6, "anything": {"a": 1, "b": [2, 3]}}"#,
        r#"{"count": 5, "anything": {"a": 1, "b": [3, 2]}}"#,
        r#"{"count": 5, "anything": {"a": 1, "b": ["2", 3]}}"#,
    ] {
        assert_ne!(digest(other), one, "{other}");
    }
}

/// Numbered items that share a number; one of two jobs.
struct Frames<const OTHER: bool>;

impl<const OTHER: bool> Job for Frames<OTHER> {
    const NAME: &'static str = if OTHER { "other-frames" } else { "frames" };
    type Request = (u64, u64);
    type Shared = u64;
    type Input = ();
    type Output = ();

    fn items((scene, frames): (u64, u64), _: &Limits) -> Result<Items<(), u64>, Invalid> {
        Ok(Items::numbered(frames).sharing(scene))
    }
}

#[test]
fn what_is_shared_and_how_many_share_it_and_of_which_job_is_told_apart() {
    fn order<const OTHER: bool>(body: &str) -> Order {
        let limits = Limits::new(100);
        request::read::<Frames<OTHER>>(JSON, body.as_bytes(), &limits).unwrap()
    }
    let one = order::<false>("[1, 23]");
    assert_eq!(one.digest, order::<false>("[1, 23]").digest);
    for other in [
        order::<false>("[1, 3]"),
        order::<false>("[12, 3]"),
        order::<true>("[1, 23]"),
    ] {
        assert_ne!(one.digest, other.digest, "{other:?}");
    }
    assert_eq!(one.number_of_items, 23);
    assert_eq!(one.shared.unwrap().get(), "1");
    assert!(one.inputs.is_empty());
}
