//! What a client does wrong gets the contract's envelope, says what is wrong, and leaves nothing behind.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Stack, TASKS, User};
use serde_json::{Value, json};

const REQUIRED: &str = "This field is required.";
const NO_INTEGER: &str = "A valid integer is required.";
const TOO_SMALL: &str = "Ensure this value is greater than or equal to 1.";
const TOO_LARGE: &str = "Ensure this value is less than or equal to 10000.";

#[test]
fn a_wrong_number_of_items_is_named_as_the_reference_application_names_it() -> Result<()> {
    let user = Stack::load()?.user()?;
    for (body, message) in [
        ("", REQUIRED),
        ("{}", REQUIRED),
        (r#"{"number": 5}"#, REQUIRED),
        (
            r#"{"number_of_items": null}"#,
            "This field may not be null.",
        ),
        (r#"{"number_of_items": "abc"}"#, NO_INTEGER),
        (r#"{"number_of_items": ""}"#, NO_INTEGER),
        (r#"{"number_of_items": 1.5}"#, NO_INTEGER),
        (r#"{"number_of_items": true}"#, NO_INTEGER),
        (r#"{"number_of_items": {}}"#, NO_INTEGER),
        (r#"{"number_of_items": [5]}"#, NO_INTEGER),
        (r#"{"number_of_items": 0}"#, TOO_SMALL),
        (r#"{"number_of_items": -1}"#, TOO_SMALL),
        (r#"{"number_of_items": 10001}"#, TOO_LARGE),
        (
            r#"{"number_of_items": 1000000000000000000000000000000}"#,
            TOO_LARGE,
        ),
    ] {
        expect_400(
            &user,
            body.as_bytes(),
            &json!({"number_of_items": [message]}),
        )?;
    }
    let nested = "[".repeat(5000) + &"]".repeat(5000);
    let nested_field = format!(r#"{{"number_of_items": {nested}}}"#);
    expect_400(
        &user,
        nested_field.as_bytes(),
        &json!({"number_of_items": [NO_INTEGER]}),
    )?;
    let list = json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]});
    expect_400(&user, b"[1, 2]", &list)?;
    expect_400(&user, nested.as_bytes(), &list)?;
    nothing_is_stored(&user)
}

#[test]
fn what_is_not_json_is_named_so() -> Result<()> {
    let user = Stack::load()?.user()?;
    for body in [
        b"{".as_slice(),
        b"number_of_items=5",
        b"{\"number_of_items\": 5} x",
        // Not inside a string: the emulator's gateway replaces what is not UTF-8, and that is a string again.
        b"{\"number_of_items\": \xff\xfe}",
        b"\xff",
    ] {
        let answer = user.post(TASKS, body)?;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let envelope = answer.json()?;
        assert_eq!(envelope["success"], false, "{shown}");
        let message = envelope["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with("JSON parse error - "),
            "{shown}: {envelope}"
        );
    }
    nothing_is_stored(&user)
}

#[test]
fn a_body_over_16_kib_is_too_large() -> Result<()> {
    let user = Stack::load()?.user()?;
    let fill = |bytes: usize| {
        let body = format!(
            r#"{{"fill": "{}"}}"#,
            "x".repeat(bytes - r#"{"fill": ""}"#.len())
        );
        assert_eq!(body.len(), bytes);
        body
    };
    expect_400(
        &user,
        fill(16 * 1024).as_bytes(),
        &json!({"number_of_items": [REQUIRED]}),
    )?;
    for bytes in [16 * 1024 + 1, 200 * 1024] {
        let answer = user.post(TASKS, fill(bytes).as_bytes())?;
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert_eq!(answer.json()?["success"], false);
    }
    nothing_is_stored(&user)
}

#[test]
fn a_body_of_another_type_is_not_supported() -> Result<()> {
    let user = Stack::load()?.user()?;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let answer = user.call(
            "POST",
            TASKS,
            &[("content-type", content_type)],
            br#"{"number_of_items": 5}"#,
        )?;
        assert_eq!(answer.status, 415, "{content_type}: {}", answer.text());
        let message = format!("Unsupported media type \"{content_type}\" in request.");
        assert_eq!(
            answer.json()?,
            json!({"success": false, "message": message})
        );
    }
    nothing_is_stored(&user)
}

#[test]
fn numbers_that_the_reference_application_accepts_are_accepted() -> Result<()> {
    let stack = Stack::load()?;
    for (number, items) in [(r#""5""#, 5), ("5.0", 5), ("1e2", 100), ("10000", 10_000)] {
        let user = stack.user()?;
        let body = format!(r#"{{"unknown": [1], "number_of_items": {number}}}"#);
        let answer = user.call(
            "POST",
            TASKS,
            &[("content-type", "application/json; charset=utf-8")],
            body.as_bytes(),
        )?;
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        let task_id = answer.task_id()?;
        assert_eq!(user.status(&task_id)?["number_of_items"], items);
        // Nobody waits for it.
        assert_eq!(user.cancel(&task_id)?.status, 200);
    }
    Ok(())
}

/// Clients that send what no URL may contain exist, and so do the headers that name protocol and host.
#[test]
fn a_malformed_url_protocol_or_host_is_no_error_of_the_server() -> Result<()> {
    let user = Stack::load()?.user()?;
    for (query, headers) in [
        ("limit=<5>", ""),
        ("limit=\"5\"", ""),
        ("limit=5%", ""),
        ("limit=%ff&x=|^`{}\\", ""),
        ("limit=0", "x-forwarded-proto: :// <\r\n"),
        ("limit=0", "host: a b\r\n"),
        ("limit=0", "host: [::1\r\n"),
    ] {
        let (status, body) = raw_get(&user, &format!("{TASKS}?{query}"), headers)?;
        let error: Value =
            serde_json::from_str(&body).with_context(|| format!("{query}: {status} {body}"))?;
        assert_eq!(status, 400, "{query} {headers}: {body}");
        assert!(error["message"]["limit"].is_array(), "{query}: {body}");
    }
    Ok(())
}

/// A request as no library would send it.
fn raw_get(user: &User, path: &str, headers: &str) -> Result<(u16, String)> {
    let url = Stack::load()?.api_url;
    let (host, base) = url
        .strip_prefix("http://")
        .and_then(|url| url.split_once('/'))
        .context("an emulator's URL is plain HTTP with a path")?;
    let own_host = if headers.contains("host:") {
        String::new()
    } else {
        format!("host: {host}\r\n")
    };
    let mut connection = TcpStream::connect(host)?;
    connection.set_read_timeout(Some(Duration::from_mins(1)))?;
    write!(
        connection,
        "GET /{base}{path} HTTP/1.1\r\n{own_host}authorization: {}\r\n{headers}connection: close\r\n\r\n",
        user.authorization
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

fn expect_400(user: &User, body: &[u8], message: &Value) -> Result<()> {
    let answer = user.post(TASKS, body)?;
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
    assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
    assert_eq!(
        answer.json()?,
        json!({"success": false, "message": message}),
        "{shown}"
    );
    assert_eq!(
        answer.headers["content-type"], "application/json",
        "{shown}"
    );
    Ok(())
}

fn nothing_is_stored(user: &User) -> Result<()> {
    assert_eq!(user.rows()?, Vec::<Value>::new());
    Ok(())
}
