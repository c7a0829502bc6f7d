//! What every answer says of itself, seen from outside: of the functions, of the gateway, and of the page.

use anyhow::{Context as _, Result};
use e2e::{Answer, Stack, TASKS, User};
use serde_json::json;

/// Not one that the stack knows.
const FOREIGN: &str = "https://example.com";

/// Answers of all kinds, each by what was asked.
fn answers(user: &User, origin: &str) -> Result<Vec<(String, Answer)>> {
    // Enough for it to be at work until it is cancelled.
    let task_id = user.submit(200)?.task_id()?;
    let task = format!("{TASKS}{task_id}");
    let items = |format: &str| format!("{task}/items/?format={format}");
    let asked = [
        ("GET", "/api/".to_owned(), ""),
        ("GET", "/api/tasks/?limit=1".to_owned(), ""),
        ("GET", "/api/tasks/?limit=many".to_owned(), ""),
        ("GET", "/api/no-such-job/".to_owned(), ""),
        ("GET", format!("{task}/"), ""),
        ("GET", format!("{TASKS}not-an-id/"), ""),
        ("GET", items("json"), ""),
        ("GET", items("csv"), ""),
        ("GET", items("jsonl"), ""),
        ("GET", items("xml"), ""),
        ("POST", TASKS.to_owned(), r#"{"number_of_items": 1}"#),
        ("POST", TASKS.to_owned(), r#"{"number_of_items": 0}"#),
        ("POST", TASKS.to_owned(), "{"),
        ("POST", format!("{task}/retry/"), ""),
        ("POST", "/api/live/".to_owned(), ""),
        ("DELETE", format!("{task}/"), ""),
        ("DELETE", format!("{TASKS}not-an-id/"), ""),
    ];
    let ask = |(method, path, body): &(&str, String, &str)| {
        let headers = [("content-type", "application/json"), ("origin", origin)];
        let answer = user.call(method, path, &headers, body.as_bytes())?;
        Ok((format!("{method} {path} {body}: {}", answer.status), answer))
    };
    let mut answers: Vec<_> = asked.iter().map(ask).collect::<Result<_>>()?;
    let known = answers[0].1.headers["etag"].clone();
    let headers = [("if-none-match", known.as_str()), ("origin", origin)];
    let unchanged = user.call("GET", "/api/", &headers, b"")?;
    assert_eq!(unchanged.status, 304);
    answers.push(("GET /api/, as it is known".into(), unchanged));
    Ok(answers)
}

#[test]
fn every_answer_says_what_it_is_and_who_may_keep_it() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let mut statuses = Vec::new();
    for (asked, answer) in answers(&user, &stack.page_url)? {
        let header = |name: &str| answer.headers.get(name).map_or("", String::as_str);
        assert_eq!(header("x-content-type-options"), "nosniff", "{asked}");
        assert!(
            ["no-store", "private, no-cache"].contains(&header("cache-control")),
            "{asked}: {}",
            header("cache-control")
        );
        let media_type = header("content-type").split(';').next().unwrap_or_default();
        let known = ["application/json", "text/csv", "application/x-ndjson"];
        assert!(
            known.contains(&media_type) || answer.status == 304,
            "{asked}: {media_type}"
        );
        for tells_too_much in ["server", "x-powered-by", "set-cookie"] {
            assert_eq!(header(tells_too_much), "", "{asked}");
        }
        statuses.push(answer.status);
    }
    for status in [200, 201, 304, 400, 404, 409] {
        assert!(statuses.contains(&status), "none is {status}: {statuses:?}");
    }
    Ok(())
}

#[test]
fn only_pages_of_known_origins_may_read_answers() -> Result<()> {
    let stack = Stack::load()?;
    for (origin, may_read) in [
        (stack.page_url.as_str(), true),
        (FOREIGN, false),
        ("null", false),
    ] {
        for (asked, answer) in answers(&stack.user()?, origin)? {
            let allowed = answer.headers.get("access-control-allow-origin");
            assert_eq!(
                allowed.map(String::as_str),
                may_read.then_some(origin),
                "{asked}"
            );
            // The token is in a header that the page sets, never in a cookie that a browser adds by itself.
            let header = answer.headers.get("access-control-allow-credentials");
            assert_eq!(header, None, "{asked}");
            if may_read {
                let vary = &answer.headers["vary"];
                assert!(vary.to_lowercase().contains("origin"), "{asked}: {vary}");
            }
        }
    }
    Ok(())
}

#[test]
fn only_pages_of_known_origins_may_ask_and_for_what_there_is() -> Result<()> {
    let stack = Stack::load()?;
    let preflight = |origin: &str, method: &str, header: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", header),
        ];
        stack.call("OPTIONS", TASKS, &headers, b"")
    };
    let list = |answer: &Answer, name: &str| -> Vec<String> {
        let listed = answer.headers.get(name).map_or("", String::as_str);
        listed
            .split(',')
            .map(|entry| entry.trim().to_lowercase())
            .collect()
    };
    let page = stack.page_url.as_str();
    let answer = preflight(page, "POST", "authorization,content-type,idempotency-key")?;
    assert!([200, 204].contains(&answer.status), "{}", answer.status);
    assert_eq!(answer.headers["access-control-allow-origin"], page);
    assert_eq!(
        list(&answer, "access-control-allow-methods"),
        ["get", "post", "delete"]
    );
    let allowed = list(&answer, "access-control-allow-headers");
    assert_eq!(
        allowed,
        [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match"
        ]
    );
    for origin in [FOREIGN, "null", &format!("{page}.example.com")] {
        let answer = preflight(origin, "POST", "authorization")?;
        let allowed = answer.headers.get("access-control-allow-origin");
        assert_eq!(allowed, None, "{origin}");
    }
    Ok(())
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_is_in_nobodys_frame() -> Result<()> {
    let stack = Stack::load()?;
    let host = stack.page_url.trim_start_matches("http://");
    for (path, status) in [("/", 200), ("/index.html", 200), ("/nowhere", 404)] {
        let answer = stack.fetch(path, &[("host", host)])?;
        assert_eq!(answer.status, status, "{path}");
        for (name, expected) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            (
                "strict-transport-security",
                "max-age=63072000; includeSubDomains",
            ),
        ] {
            assert_eq!(answer.headers[name], expected, "{path}");
        }
        let policy = &answer.headers["content-security-policy"];
        let directive = |name: &str| {
            let mut directives = policy.split(';').filter_map(|it| it.trim().split_once(' '));
            let found = directives.find(|(known, _)| *known == name);
            found.map(|(_, value)| value).context(name.to_owned())
        };
        assert_eq!(directive("default-src")?, "'none'");
        assert_eq!(directive("script-src")?, "'self'");
        assert_eq!(directive("style-src")?, "'self'");
        assert_eq!(directive("frame-ancestors")?, "'none'");
        assert_eq!(directive("base-uri")?, "'none'");
        assert_eq!(directive("form-action")?, "'none'");
        assert_eq!(directive("require-trusted-types-for")?, "'script'");
        // Its own, the API and sign-in, the socket: on this machine all of them have one port.
        let port = stack.endpoint_url.rsplit(':').next().unwrap_or_default();
        let expected = format!("'self' http://localhost:{port} ws://localhost:{port}");
        assert_eq!(directive("connect-src")?, expected);
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
    }
    let refused = stack.call("GET", "/api/", &[], b"")?;
    assert_eq!(refused.json()?, json!({"message": "Unauthorized"}));
    Ok(())
}
