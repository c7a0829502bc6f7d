//! Reads and validates a submit, with the messages of Django REST Framework.
//!
//! The API began as a Django application, and its clients show these messages to people. What is
//! accepted and what is said are therefore what that framework's `IntegerField` and `JSONParser`
//! accept and say, down to `"5"`, `5.0` and `1e2` being integers and `true` not being one. But what only Python
//! takes for a number, as `"1_000"` and digits of other scripts, is none here.

use std::collections::BTreeMap;

use crate::api::ApiError;
use crate::task::{IdempotencyKey, Request};
use http::header::CONTENT_TYPE;
use serde_json::value::RawValue;

/// The largest body that is read. A valid one has some 30 bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

const FIELD: &str = "number_of_items";

/// Reads the body of a submit.
///
/// # Errors
///
/// What the client did wrong.
pub fn parse(request: &lambda_http::Request, items_max: u64) -> Result<Request, ApiError> {
    let body: &[u8] = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(ApiError::TooLarge {
            limit_bytes: BODY_BYTES_MAX,
        });
    }
    if body.is_empty() {
        return Err(ApiError::field(FIELD, "This field is required."));
    }
    let media_type = request.headers().get(CONTENT_TYPE);
    let media_type = media_type.map_or("", |value| value.to_str().unwrap_or_default());
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::UnsupportedMediaType(media_type.to_owned()));
    }

    let parse_error = |detail: String| ApiError::Malformed(format!("JSON parse error - {detail}"));
    let text = std::str::from_utf8(body).map_err(|error| parse_error(error.to_string()))?;
    let whole: &RawValue =
        serde_json::from_str(text).map_err(|error| parse_error(error.to_string()))?;
    let kind = python_type(whole.get());
    match kind {
        "dict" => {}
        "NoneType" => return Err(ApiError::field("non_field_errors", "No data provided")),
        other => {
            let message = format!("Invalid data. Expected a dictionary, but got {other}.");
            return Err(ApiError::field("non_field_errors", message));
        }
    }
    // Of a field that is given twice the last one counts, and unknown fields are ignored, unread.
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| parse_error(error.to_string()))?;
    let field = fields
        .get(FIELD)
        .ok_or_else(|| ApiError::field(FIELD, "This field is required."))?;
    let number_of_items = number_of_items(field.get(), items_max)
        .map_err(|message| ApiError::field(FIELD, message))?;
    Ok(Request { number_of_items })
}

/// Reads the `Idempotency-Key` header, if there is one.
///
/// # Errors
///
/// When it is not a key.
pub fn idempotency_key(request: &lambda_http::Request) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    IdempotencyKey::from_header(value.as_bytes())
        .map(Some)
        .ok_or_else(|| {
            ApiError::Malformed(format!(
                "Idempotency-Key must be 1 to {} visible ASCII characters.",
                IdempotencyKey::LENGTH_MAX
            ))
        })
}

/// The name that Python has for the type of a JSON value.
fn python_type(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "dict",
        Some(b'[') => "list",
        Some(b'"') => "str",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "NoneType",
        _ if json.contains(['.', 'e', 'E']) => "float",
        _ => "int",
    }
}

/// The integer that the raw JSON of the field stands for, if it is within bounds.
fn number_of_items(json: &str, items_max: u64) -> Result<u64, String> {
    const NOT_AN_INTEGER: &str = "A valid integer is required.";
    let integer = match python_type(json) {
        "NoneType" => return Err("This field may not be null.".into()),
        "int" => Integer::parse(json),
        "float" => float(json).and_then(|digits| Integer::parse(&digits)),
        "str" => {
            let text: String = serde_json::from_str(json).unwrap_or_default();
            if text.chars().count() > 1000 {
                return Err("String value too large.".into());
            }
            Integer::parse(without_zero_decimals(text.trim()))
        }
        _ => None,
    };
    match integer.ok_or(NOT_AN_INTEGER)? {
        Integer::BelowOne => Err("Ensure this value is greater than or equal to 1.".into()),
        Integer::Number(number) if number <= items_max => Ok(number),
        Integer::Number(_) | Integer::Huge => Err(format!(
            "Ensure this value is less than or equal to {items_max}."
        )),
    }
}

/// An integer, as exactly as the bounds need it.
enum Integer {
    BelowOne,
    Number(u64),
    /// Larger than any limit.
    Huge,
}

impl Integer {
    /// Reads an optional sign and decimal digits, as many as there are.
    fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(match digits.parse() {
            _ if negative => Self::BelowOne,
            Ok(0) => Self::BelowOne,
            Ok(number) => Self::Number(number),
            // All digits, so it can only be too large.
            Err(_) => Self::Huge,
        })
    }
}

/// A float's digits if it is whole. From 10¹⁶ on Python writes floats with an exponent, which its
/// integers do not read.
fn float(json: &str) -> Option<String> {
    let value: f64 = json.parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 1e16).then(|| format!("{value:.0}"))
}

/// `"5.00"` without its `.00`.
fn without_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: &str = "A valid integer is required.";
    const AT_LEAST: &str = "Ensure this value is greater than or equal to 1.";
    const AT_MOST: &str = "Ensure this value is less than or equal to 10000.";

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
            ("null", Err("This field may not be null.")),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(number_of_items(json, 10_000), expected, "{json}");
        }
        let long = format!("\"{}\"", "1".repeat(1001));
        let expected = Err("String value too large.".to_owned());
        assert_eq!(number_of_items(&long, 10_000), expected);
    }
}
