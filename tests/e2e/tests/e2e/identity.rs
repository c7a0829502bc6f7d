//! Who has no good access token gets no answer of the functions', on any route.

use anyhow::{Context as _, Result, bail};
use aws_smithy_types::base64;
use e2e::{Answer, Stack, User};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// An answer of API Gateway's own has no envelope: no function has seen the request.
pub(crate) fn is_refused_by_the_gateway(answer: &Answer) -> Result<bool> {
    let body = answer.json()?;
    Ok([401, 403].contains(&answer.status) && body["success"].is_null())
}

/// Method and path of every route that is deployed, of a task that may be there.
pub(crate) fn routes(stack: &Stack) -> Result<Vec<(String, String)>> {
    let api = stack.api_url.rsplit('/').next().unwrap_or_default();
    let listed = stack.rest(
        "GET",
        "apigateway",
        &format!("/v2/apis/{api}/routes"),
        &Value::Null,
    )?;
    let routes = listed["items"].as_array().context("no routes")?;
    let route = |route: &Value| {
        let key = route["routeKey"].as_str().context("no key")?;
        let (method, path) = key.split_once(' ').context("a route without a method")?;
        let path = path.replace("{job}", "tuned-long-running-task");
        let path = path.replace("{task_id}", "0198c0de-0000-7000-8000-000000000001");
        Ok((method.to_owned(), path))
    };
    routes.iter().map(route).collect()
}

fn encoded(value: &[u8]) -> String {
    let text = base64::encode(value);
    text.trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_")
}

fn decoded(part: &str) -> Result<Value> {
    let mut text = part.replace('-', "+").replace('_', "/");
    text.push_str(&"=".repeat((4 - text.len() % 4) % 4));
    Ok(serde_json::from_slice(&base64::decode(text)?)?)
}

/// A token with other claims, and the signature that it had.
fn tampered(token: &str, change: impl FnOnce(&mut Value)) -> Result<String> {
    let [header, payload, signature] = parts(token)?;
    let mut claims = decoded(payload)?;
    change(&mut claims);
    let payload = encoded(claims.to_string().as_bytes());
    Ok(format!("{header}.{payload}.{signature}"))
}

fn parts(token: &str) -> Result<[&str; 3]> {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().ok().context("no token of three parts")
}

/// A token that says that its signature is of this kind.
fn signed_as(
    token: &str,
    algorithm: &str,
    sign: impl FnOnce(&str) -> Result<String>,
) -> Result<String> {
    let [header, payload, _] = parts(token)?;
    let mut header = decoded(header)?;
    header["alg"] = json!(algorithm);
    let header = encoded(header.to_string().as_bytes());
    let signed = format!("{header}.{payload}");
    let signature = sign(&signed)?;
    Ok(format!("{signed}.{signature}"))
}

/// The public key of the pool, in the form in which it might be mistaken for a secret.
fn public_key(stack: &Stack, token: &str) -> Result<Vec<u8>> {
    let key_id = decoded(parts(token)?[0])?["kid"].clone();
    let path = format!("/{}/.well-known/jwks.json", stack.user_pool_id);
    let keys = stack.fetch(&path, &[])?.json()?;
    let keys = keys["keys"].as_array().context("no keys")?;
    let key = keys.iter().find(|key| key["kid"] == key_id);
    let modulus = key.context("no such key")?["n"]
        .as_str()
        .context("no modulus")?;
    Ok(modulus.as_bytes().to_vec())
}

/// What is no good access token, by what it is.
fn bad_credentials(
    stack: &Stack,
    user: &User,
    other: &User,
) -> Result<Vec<(&'static str, String)>> {
    let good = &user.token;
    let [header, payload, signature] = parts(good)?;
    let key = public_key(stack, good)?;
    // The first one: not all bits of the last one mean something.
    let broken = match signature.strip_prefix('A') {
        Some(rest) => format!("B{rest}"),
        None => format!("A{}", &signature[1..]),
    };
    let of_another_user = tampered(good, |claims| claims["sub"] = json!(other.sub))?;
    let longer = tampered(good, |claims| claims["exp"] = json!(9_999_999_999_u64))?;
    let expired = tampered(good, |claims| claims["exp"] = json!(1_000_000_000))?;
    let not_yet = tampered(good, |claims| claims["nbf"] = json!(9_999_999_999_u64))?;
    let of_another_issuer = tampered(good, |claims| claims["iss"] = json!("https://example.com"))?;
    let hs256 = signed_as(good, "HS256", |signed| {
        Ok(encoded(&hmac_sha256(&key, signed.as_bytes())?))
    })?;
    let bearer = |token: &str| format!("Bearer {token}");
    Ok(vec![
        ("an empty header", String::new()),
        ("a scheme alone", "Bearer".into()),
        ("no token", "Bearer ".into()),
        ("a text", bearer("x")),
        ("three texts", bearer("x.y.z")),
        ("two parts", bearer(&format!("{header}.{payload}"))),
        ("no signature", bearer(&format!("{header}.{payload}."))),
        (
            "another signature",
            bearer(&format!("{header}.{payload}.{broken}")),
        ),
        ("a part more", bearer(&format!("{good}.{signature}"))),
        ("another user's claims", bearer(&of_another_user)),
        ("more time", bearer(&longer)),
        ("no time left", bearer(&expired)),
        ("a time to come", bearer(&not_yet)),
        ("another issuer's claims", bearer(&of_another_issuer)),
        (
            "the algorithm none",
            bearer(&signed_as(good, "none", |_| Ok(String::new()))?),
        ),
        ("the public key for a secret", bearer(&hs256)),
        ("an ID token", bearer(&user.id_token)),
        ("a refresh token", bearer(&user.refresh_token)),
        (
            "another client's token",
            bearer(&stack.token_of_another_client(user)?),
        ),
        (
            "another pool's token",
            bearer(&stack.token_of_another_pool()?),
        ),
        ("name and password", user.basic().authorization),
        ("two tokens", format!("Bearer {good}, Bearer {good}")),
    ])
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).context("no key")?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Tries all routes without a header, with each of these queries, and with each of these headers: the gateway refuses all
/// of it. They are refused for what is bad about them: as `user` all routes answer.
pub(crate) fn expect_no_way_in(
    user: &User,
    stack: &Stack,
    bad: &[(&'static str, String)],
    queries: &[String],
) -> Result<()> {
    let routes = routes(stack)?;
    let mut through = Vec::new();
    for (method, path) in &routes {
        let mut try_with = |what: &str, headers: &[(&str, &str)], path: &str| -> Result<()> {
            let answer = stack.call(method, path, headers, b"{}")?;
            if !is_refused_by_the_gateway(&answer)? {
                let (status, text) = (answer.status, answer.text());
                through.push(format!("{method} {path}, {what}: {status} {text}"));
            }
            Ok(())
        };
        try_with("no header", &[], path)?;
        for query in queries {
            try_with("in the query", &[], &format!("{path}?{query}"))?;
        }
        for (what, value) in bad {
            try_with(what, &[("authorization", value)], path)?;
        }
    }
    let count = bad.len() + queries.len() + 1;
    println!("{count} bad credentials × {} routes", routes.len());
    if !through.is_empty() {
        bail!("not refused: {through:#?}");
    }
    for (method, path) in &routes {
        let answer = user.call(method, path, &[("content-type", "application/json")], b"{}")?;
        assert!(!is_refused_by_the_gateway(&answer)?, "{method} {path}");
    }
    Ok(())
}

#[test]
fn no_bad_credential_gets_an_answer_from_any_route() -> Result<()> {
    let stack = Stack::load()?;
    let (user, other) = (stack.user()?, stack.user()?);
    let bad = bad_credentials(&stack, &user, &other)?;
    let names = ["access_token", "token", "authorization", "Authorization"];
    let queries = names.map(|name| format!("{name}={}", user.token));
    expect_no_way_in(&user, &stack, &bad, &queries)
}
