//! The sample, which keeps the contract of the reference application to the letter.

use std::time::Duration;

use jobs::Sample;
use longhaul::request::{self, BadRequest};
use longhaul::test_kit::TestKit;
use longhaul::{Limits, Setup};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const REQUIRED: &str = "A valid integer is required.";
const AT_LEAST: &str = "Ensure this value is greater than or equal to 1.";
const AT_MOST: &str = "Ensure this value is less than or equal to 10000.";

fn number_of_items(body: &[u8]) -> Result<u64, Value> {
    match request::read::<Sample>(JSON, body, &Limits::new(10_000)) {
        Ok(order) => Ok(order.number_of_items),
        Err(BadRequest::Invalid(invalid)) => Err(json!(invalid)),
        Err(other) => Err(json!(other.to_string())),
    }
}

#[test]
fn integers_are_read_as_the_reference_reads_them() {
    for (json, expected) in [
        ("5", Ok(5)),
        ("10000", Ok(10_000)),
        ("5.0", Ok(5)),
        ("1e2", Ok(100)),
        ("1E+2", Ok(100)),
        (r#""5""#, Ok(5)),
        (r#"" 5 ""#, Ok(5)),
        (r#""+5""#, Ok(5)),
        (r#""5.000""#, Ok(5)),
        (r#""\u0035""#, Ok(5)),
        ("0", Err(AT_LEAST)),
        ("-0", Err(AT_LEAST)),
        ("-1", Err(AT_LEAST)),
        ("-1.0", Err(AT_LEAST)),
        ("-99999999999999999999999999999999", Err(AT_LEAST)),
        ("10001", Err(AT_MOST)),
        ("18446744073709551616", Err(AT_MOST)),
        ("1000000000000000000000000000000", Err(AT_MOST)),
        ("1e15", Err(AT_MOST)),
        ("1e30", Err(REQUIRED)),
        ("1e400", Err(REQUIRED)),
        ("1.5", Err(REQUIRED)),
        ("true", Err(REQUIRED)),
        ("false", Err(REQUIRED)),
        ("[]", Err(REQUIRED)),
        ("[5]", Err(REQUIRED)),
        ("{}", Err(REQUIRED)),
        (r#""abc""#, Err(REQUIRED)),
        (r#""""#, Err(REQUIRED)),
        (r#""1e2""#, Err(REQUIRED)),
        (r#""0x5""#, Err(REQUIRED)),
        (r#""-""#, Err(REQUIRED)),
        (r#""5\u0000""#, Err(REQUIRED)),
        (r#""\ud800""#, Err(REQUIRED)),
        ("null", Err("This field may not be null.")),
    ] {
        let body = format!("{{\"number_of_items\": {json}}}");
        let expected = expected.map_err(|message| json!({"number_of_items": [message]}));
        assert_eq!(number_of_items(body.as_bytes()), expected, "{json}");
    }
    for digit in ["1", "0"] {
        let number_of_items = |length| {
            let body = format!("{{\"number_of_items\": \"{}\"}}", digit.repeat(length));
            number_of_items(body.as_bytes()).unwrap_err()["number_of_items"][0].clone()
        };
        let out_of_bounds = if digit == "1" { AT_MOST } else { AT_LEAST };
        assert_eq!(number_of_items(1000), out_of_bounds);
        assert_eq!(number_of_items(1001), "String value too large.");
    }
}

#[test]
fn bad_input_is_named() {
    let field = |message: &str| json!({"number_of_items": [message]});
    let data = |message: &str| json!({"non_field_errors": [message]});
    let deep = format!("{{\"x\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for (body, message) in [
        ("", field("This field is required.")),
        ("{}", field("This field is required.")),
        (&deep, field("This field is required.")),
        (r#"{"other": 1}"#, field("This field is required.")),
        (
            "[]",
            data("Invalid data. Expected a dictionary, but got list."),
        ),
        (
            "5",
            data("Invalid data. Expected a dictionary, but got int."),
        ),
        (
            "1.5",
            data("Invalid data. Expected a dictionary, but got float."),
        ),
        (
            "\"x\"",
            data("Invalid data. Expected a dictionary, but got str."),
        ),
        (
            "true",
            data("Invalid data. Expected a dictionary, but got bool."),
        ),
        ("null", data("No data provided")),
    ] {
        let shown = &body[..body.len().min(40)];
        assert_eq!(number_of_items(body.as_bytes()), Err(message), "{shown}");
    }
    for body in [
        &b"{"[..],
        b"not json",
        b" ",
        b"{\"number_of_items\": 5",
        b"\xff\xfe",
        b"{\"number_of_items\": NaN}",
    ] {
        let message = number_of_items(body).unwrap_err();
        let message = message.as_str().unwrap();
        assert!(message.starts_with("JSON parse error - "), "{message}");
    }
}

#[test]
fn a_field_given_twice_counts_as_given_last() {
    let body = br#"{"number_of_items": "x", "number_of_items": 7}"#;
    assert_eq!(number_of_items(body), Ok(7));
}

#[test]
fn a_body_that_is_too_large_is_not_read() {
    let mut body = r#"{"number_of_items": 5}"#.to_owned();
    body.push_str(&" ".repeat(16 * 1024 - body.len()));
    assert_eq!(number_of_items(body.as_bytes()), Ok(5));
    body.push(' ');
    let message = number_of_items(body.as_bytes()).unwrap_err();
    assert_eq!(
        message,
        "Request body is too large. The limit is 16384 bytes."
    );
}

#[test]
fn numbers_that_are_written_differently_are_the_same_request() {
    let digest = |body: &str| {
        let order = request::read::<Sample>(JSON, body.as_bytes(), &Limits::new(10_000)).unwrap();
        assert!(
            order.inputs.is_empty() && order.shared.is_none(),
            "nothing is stored of it"
        );
        order.digest
    };
    let five = digest(r#"{"number_of_items": 5}"#);
    assert_eq!(digest(r#"{"x": [], "number_of_items": "5.0"}"#), five);
    assert_ne!(digest(r#"{"number_of_items": 6}"#), five);
}

#[tokio::test(start_paused = true)]
async fn its_items_wait_and_are_named_and_some_fail_if_they_are_to() {
    let setup = Setup::of(&[("ITEM_SECONDS", "2"), ("FAIL_EVERY", "3")]);
    let kit = TestKit::<Sample>::start(&setup).await.unwrap();
    let began = tokio::time::Instant::now();
    let items = kit.run(r#"{"number_of_items": 3}"#).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let output = json!({"name": "Item 0", "description": "Description 0"});
    assert_eq!(
        (&items[0].name[..], items[0].output.as_ref()),
        ("Item 0", Some(&output))
    );
    let error = "The sample fails one item in 3.";
    assert_eq!(
        (items[2].error.as_deref(), items[2].attempts),
        (Some(error), 1)
    );
}
