//! What may be answered: by a function as the contract has it, and by API Gateway on its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schemas::{self, reference};
use crate::api::ApiError;
use crate::store::StoreError;

/// What API Gateway answers whatever is asked for (Amazon API Gateway Developer Guide, "Quotas for HTTP APIs",
/// "Control access with JWT authorizers").
const OF_THE_GATEWAY: [(u16, &str); 7] = [
    (400, "It is no HTTP request."),
    (401, "There are no credentials, or no good access token."),
    (
        403,
        "The token does not have the scope, or name and password are wrong.",
    ),
    (413, "The request has more than 10 MB."),
    (429, "There are too many requests."),
    (500, "The service is at fault."),
    (503, "The service does not answer."),
];

/// The answers of an operation.
pub(super) struct Answers(Map<String, Value>);

impl Answers {
    pub(super) fn with(status: u16, answer: Value) -> Self {
        Self(Map::new()).and(status, answer)
    }

    pub(super) fn and(mut self, status: u16, answer: Value) -> Self {
        self.0.insert(status.to_string(), answer);
        self
    }

    /// This one, or that it is as the client knows it.
    pub(super) fn with_known(answer: Value) -> Self {
        let mut headers = answer["headers"].clone();
        let headers = headers.as_object_mut().map(std::mem::take);
        let known = json!({"description": "It is as you know it.", "headers": headers});
        Self::with(200, answer).and(304, known)
    }

    /// With these errors, and those that every operation may end in.
    pub(super) fn or(mut self, errors: Vec<ApiError>) -> Map<String, Value> {
        let mut own: BTreeMap<u16, Vec<ApiError>> = BTreeMap::new();
        for error in errors {
            own.entry(error.status().as_u16()).or_default().push(error);
        }
        for (status, shared) in of_every_operation() {
            if let Some(own) = own.get_mut(&status) {
                own.extend(shared);
            } else {
                let shared = reference("responses", &status.to_string());
                self.0.insert(status.to_string(), shared);
            }
        }
        let own = own
            .iter()
            .map(|(status, errors)| (status.to_string(), refusal(*status, errors)));
        self.0.extend(own);
        self.0.sort_keys();
        self.0
    }
}

/// What every operation may end in, by status.
fn of_every_operation() -> BTreeMap<u16, Vec<ApiError>> {
    let mut errors: BTreeMap<u16, Vec<ApiError>> = BTreeMap::new();
    for error in [
        ApiError::Malformed("The request cannot be read.".into()),
        ApiError::Unauthorized,
        ApiError::Internal,
        ApiError::Store(StoreError::Unavailable("".into())),
    ] {
        errors
            .entry(error.status().as_u16())
            .or_default()
            .push(error);
    }
    for (status, _) in OF_THE_GATEWAY {
        errors.entry(status).or_default();
    }
    errors
}

/// The answers that operations share, by status.
pub(super) fn shared() -> Map<String, Value> {
    let shared = of_every_operation();
    let shared = shared
        .iter()
        .map(|(status, errors)| (status.to_string(), refusal(*status, errors)));
    shared.collect()
}

/// The answer of this status, which stands for these errors of ours and perhaps for one of the gateway.
fn refusal(status: u16, errors: &[ApiError]) -> Value {
    let of_gateway = OF_THE_GATEWAY.iter().find(|(code, _)| *code == status);
    let mut reasons: Vec<_> = errors.iter().map(reason).collect();
    reasons.extend(of_gateway.map(|(_, reason)| (*reason).to_owned()));
    let mut kinds = Vec::new();
    if !errors.is_empty() {
        kinds.push(schemas::error(errors));
    }
    let mut headers = vec![];
    match of_gateway {
        Some(_) => kinds.push(reference("schemas", schemas::GATEWAY_ERROR)),
        // The gateway's own answers do not have them.
        None => headers.extend(["NoStore", NOSNIFF]),
    }
    match status {
        401 => headers.push("WwwAuthenticate"),
        429 | 503 => headers.push("RetryAfter"),
        _ => {}
    }
    let schema = match &kinds[..] {
        [kind] => kind.clone(),
        _ => json!({"anyOf": kinds}),
    };
    json!({
        "description": reasons.join("\n\n"),
        "headers": headers.into_iter().map(header).collect::<Map<_, _>>(),
        "content": {"application/json": {"schema": schema}},
    })
}

fn reason(error: &ApiError) -> String {
    match error {
        ApiError::Invalid(_) => "A parameter or a field is missing or wrong.".into(),
        ApiError::Exhausted { .. } => "The day's quota of tasks, or of items, is used up.".into(),
        other => other.to_string(),
    }
}

/// The answer 200 with this data.
pub(super) fn success(description: &str, headers: &[&str], data: Value) -> Value {
    json!({
        "description": description,
        "headers": named(headers),
        "content": {"application/json": {"schema": schemas::success(data)}},
    })
}

/// What every answer of a function has, whatever else it has.
const NOSNIFF: &str = "Nosniff";

/// These headers, and what every answer of a function has.
pub(super) fn named(headers: &[&str]) -> Map<String, Value> {
    headers
        .iter()
        .copied()
        .chain([NOSNIFF])
        .map(header)
        .collect()
}

/// A header by its name, as a reference to what is said of it.
fn header(component: &str) -> (String, Value) {
    let known = all_headers();
    let found = known.iter().find(|(known, ..)| *known == component);
    let name = found.map_or(component, |(_, name, _)| name);
    (name.to_owned(), reference("headers", component))
}

/// What is said of headers.
pub(super) fn headers() -> Map<String, Value> {
    let said = |(component, _, said): (&str, &str, Value)| (component.to_owned(), said);
    all_headers().into_iter().map(said).collect()
}

/// All headers: as what they are referred to, their names, and what is said of them.
fn all_headers() -> [(&'static str, &'static str, Value); 10] {
    let always = |value: &str| {
        let schema = json!({"type": "string", "const": value});
        json!({"required": true, "schema": schema})
    };
    let sometimes =
        |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let text = |description: &str| sometimes(description, json!({"type": "string"}));
    let mut etag = text("Stands for what is answered: send it back in If-None-Match.");
    let mut location = text("Where the task is, relative to the URL that was asked.");
    for header in [&mut etag, &mut location] {
        header["required"] = true.into();
    }
    let seconds = json!({"type": "integer", "minimum": 1});
    let replayed = json!({"type": "string", "const": "true"});
    [
        (NOSNIFF, "X-Content-Type-Options", always("nosniff")),
        ("NoStore", "Cache-Control", always("no-store")),
        ("Revalidated", "Cache-Control", always("private, no-cache")),
        ("ETag", "ETag", etag),
        ("Location", "Location", location),
        (
            "ContentLocation",
            "Content-Location",
            text("Where a task of another job belongs."),
        ),
        (
            "Link",
            "Link",
            text("Where the next page is, as rel=\"next\"."),
        ),
        (
            "RetryAfter",
            "Retry-After",
            sometimes("When to ask again, in seconds.", seconds),
        ),
        (
            "IdempotencyReplayed",
            "Idempotency-Replayed",
            sometimes("The key was used before.", replayed),
        ),
        (
            "WwwAuthenticate",
            "WWW-Authenticate",
            text("What is wrong with the token."),
        ),
    ]
}
