//! Name and password open the API for HTTP Basic to whom they belong, and to nobody else.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aws_smithy_types::base64;
use e2e::{Stack, TASKS, User, basic_authorization, secrets};
use serde_json::{Value, json};

use crate::identity::{expect_no_way_in, routes};

/// What belongs to nobody who may come in, by what it is. `user` may.
fn bad_credentials(
    stack: &Stack,
    user: &User,
    other: &User,
) -> Result<Vec<(&'static str, String)>> {
    let good = user.basic().authorization;
    let encoded = good.strip_prefix("Basic ").context("no scheme")?;
    let password = decoded(encoded)?.split_off(user.name.len() + 1);
    let of_other = decoded(&other.basic().authorization["Basic ".len()..])?;
    let password_of_other = &of_other[other.name.len() + 1..];
    let basic = |name: &str, password: &str| basic_authorization(name, password);
    let raw = |text: &str| format!("Basic {}", base64::encode(text));
    Ok(vec![
        ("an empty header", String::new()),
        ("a scheme alone", "Basic".into()),
        ("nothing", "Basic ".into()),
        ("no base64", "Basic ?".into()),
        (
            "half of it",
            format!("Basic {}", &encoded[..encoded.len() / 2]),
        ),
        ("no scheme", encoded.into()),
        ("another scheme", format!("Digest {encoded}")),
        ("a token", format!("Bearer {}", user.token)),
        (
            "a token as it were a password",
            basic(&user.name, &user.token),
        ),
        ("no colon", raw(&user.name)),
        ("no name", basic("", &password)),
        ("no password", basic(&user.name, "")),
        ("no text", format!("Basic {}", base64::encode(b"\xff:\xfe"))),
        ("a wrong password", basic(&user.name, "Wrong-password-1")),
        (
            "a password and more",
            basic(&user.name, &format!("{password}x")),
        ),
        (
            "a password but for its end",
            basic(&user.name, &password[..password.len() - 1]),
        ),
        (
            "somebody else's password",
            basic(&user.name, password_of_other),
        ),
        ("nobody", basic("nobody", &password)),
        (
            "something else than text",
            basic(&user.name, &format!("{password}\0")),
        ),
        ("what is far too long", basic(&user.name, &"x".repeat(5000))),
        ("both twice", format!("{good}, {good}")),
        ("who has to choose a password", has_to_choose(stack)?),
        ("who is disabled", is_disabled(stack)?),
    ])
}

fn decoded(encoded: &str) -> Result<String> {
    Ok(String::from_utf8(base64::decode(encoded)?)?)
}

/// Somebody whose password is the one that an administrator has thought of.
fn has_to_choose(stack: &Stack) -> Result<String> {
    let (name, password) = (format!("new-{}", uuid()), format!("{}-Aa1", uuid()));
    secrets::note(&password)?;
    stack.cognito(
        "AdminCreateUser",
        &json!({
            "UserPoolId": stack.user_pool_id,
            "Username": name,
            "TemporaryPassword": password,
            "MessageAction": "SUPPRESS",
        }),
    )?;
    let user = json!({"UserPoolId": stack.user_pool_id, "Username": name});
    let made = stack.cognito("AdminGetUser", &user)?;
    assert_eq!(made["UserStatus"], "FORCE_CHANGE_PASSWORD");
    Ok(basic_authorization(&name, &password))
}

fn is_disabled(stack: &Stack) -> Result<String> {
    let user = stack.user()?;
    let request = json!({"UserPoolId": stack.user_pool_id, "Username": user.name});
    stack.cognito("AdminDisableUser", &request)?;
    Ok(user.basic().authorization)
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

#[test]
fn no_bad_name_or_password_gets_an_answer_from_any_route() -> Result<()> {
    let stack = Stack::load()?;
    let (user, other) = (stack.user()?, stack.user()?);
    let bad = bad_credentials(&stack, &user, &other)?;
    let (stack, user) = (stack.basic(), user.basic());
    let query = format!("authorization={}", user.authorization).replace(' ', "%20");
    expect_no_way_in(&user, &stack, &bad, &[query])?;
    // However the scheme is spelt.
    let spelt = user.authorization.replace("Basic", "BASIC");
    let answer = stack.call("GET", "/api/", &[("authorization", &spelt)], b"")?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[test]
fn both_apis_have_the_same_routes() -> Result<()> {
    let stack = Stack::load()?;
    let of = |stack: &Stack| Ok::<BTreeSet<_>, anyhow::Error>(routes(stack)?.into_iter().collect());
    assert_eq!(of(&stack.basic())?, of(&stack)?);
    Ok(())
}

#[test]
fn nobody_learns_whether_there_is_a_user() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let ask = |name: &str, password: &str| {
        let header = basic_authorization(name, password);
        let answer = stack
            .basic()
            .call("GET", "/api/", &[("authorization", &header)], b"");
        let answer = answer?;
        let headers = answer.stable_headers();
        Ok::<_, anyhow::Error>((answer.status, headers, answer.body))
    };
    let wrong = ask(&user.name, "Wrong-password-1")?;
    assert_eq!(wrong.0, 403);
    assert_eq!(wrong, ask("nobody", "Wrong-password-1")?);
    Ok(())
}

#[test]
fn who_comes_with_a_password_is_who_comes_with_a_token() -> Result<()> {
    let stack = Stack::load()?;
    let (user, stranger) = (stack.user()?, stack.user()?.basic());
    let tasks =
        |user: &User| Ok::<_, anyhow::Error>(user.get("/api/tasks/")?.json()?["data"].clone());
    let task_id = user.submit(300)?.task_id()?;
    // There is one active task for each user, not for each way in.
    let again = user.basic().submit(5)?;
    assert_eq!((again.status, again.task_id()?), (201, task_id.clone()));
    let path = format!("{TASKS}{task_id}/");
    assert_eq!(user.basic().get(&path)?.task_id()?, task_id);
    let missing = format!("{TASKS}{}/", uuid());
    for method in ["GET", "DELETE"] {
        let ask = |path: &str| stranger.call(method, path, &[], b"");
        let (foreign, missing) = (ask(&path)?, ask(&missing)?);
        assert_eq!(foreign.status, 404);
        assert_eq!(foreign.body, missing.body);
        assert_eq!(foreign.stable_headers(), missing.stable_headers());
    }
    assert_eq!(tasks(&stranger)?["tasks"], json!([]));
    assert_eq!(user.basic().cancel(&task_id)?.status, 200);
    assert_eq!(tasks(&user)?["tasks"][0]["task_status"], "CANCELLED");
    assert_eq!(tasks(&user)?, tasks(&user.basic())?);
    assert_eq!(stranger.rows()?, [] as [Value; 0]);
    Ok(())
}

#[test]
fn an_answer_is_kept_and_so_a_changed_password_good_for_a_while() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?.basic();
    assert_eq!(user.get("/api/")?.status, 200);
    let password = format!("{}-Aa1", uuid());
    secrets::note(&password)?;
    stack.cognito(
        "AdminSetUserPassword",
        &json!({
            "UserPoolId": stack.user_pool_id,
            "Username": user.name,
            "Password": password,
            "Permanent": true,
        }),
    )?;
    assert_eq!(user.get("/api/")?.status, 200);
    let changed = basic_authorization(&user.name, &password);
    let headers = [("authorization", changed.as_str())];
    assert_eq!(
        stack.basic().call("GET", "/api/", &headers, b"")?.status,
        200
    );
    Ok(())
}

#[test]
fn nobody_signs_in_by_the_authorizers_client() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let pool = json!({"UserPoolId": stack.user_pool_id, "MaxResults": 60});
    let clients = stack.cognito("ListUserPoolClients", &pool)?;
    let clients = clients["UserPoolClients"]
        .as_array()
        .context("no clients")?;
    let client = clients.iter().find(|it| it["ClientName"] == "basic");
    let client = &client.context("no such client")?["ClientId"];
    let password = decoded(&user.basic().authorization["Basic ".len()..])?;
    let password = &password[user.name.len() + 1..];
    for (flow, parameters) in [
        (
            "USER_PASSWORD_AUTH",
            json!({"USERNAME": user.name, "PASSWORD": password}),
        ),
        (
            "REFRESH_TOKEN_AUTH",
            json!({"REFRESH_TOKEN": user.refresh_token}),
        ),
    ] {
        let request = json!({"ClientId": client, "AuthFlow": flow, "AuthParameters": parameters});
        assert!(stack.cognito("InitiateAuth", &request).is_err(), "{flow}");
    }
    Ok(())
}
