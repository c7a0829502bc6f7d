//! The authorizer of the API for HTTP Basic, and whom the handlers take the caller for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use embedded_aws::{CLIENT_ID, Call, EmbeddedAws, Fault, Standing, USER_POOL_ID};
use longhaul::api;
use longhaul::authorizer::{Authorizer, Config};
use longhaul::serve::request;
use serde_json::{Value, json};

const EVENT: &str = include_str!("../../../events/authorize-basic.json");
const NAME: &str = "demo";
/// With a colon in it: the first one of a header separates.
const PASSWORD: &str = "Sample-Password:1";
const SUB: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";

fn authorizer(aws: &EmbeddedAws) -> Authorizer {
    let config = Config {
        user_pool_id: USER_POOL_ID.into(),
        client_id: CLIENT_ID.into(),
    };
    Authorizer::new(&aws.config("authorizer"), config)
}

fn with_user() -> EmbeddedAws {
    let aws = EmbeddedAws::default();
    aws.add_account(NAME, PASSWORD, Standing::Good(SUB.into()));
    aws
}

/// The sample event with these identity sources.
fn event(identity_source: impl Into<Value>) -> String {
    let mut event: Value = serde_json::from_str(EVENT).unwrap();
    event["identitySource"] = identity_source.into();
    event.to_string()
}

fn of_text(text: impl AsRef<[u8]>) -> String {
    event(json!([format!("Basic {}", STANDARD.encode(text))]))
}

fn refused() -> Value {
    json!({"isAuthorized": false})
}

fn allowed() -> Value {
    json!({"isAuthorized": true, "context": {"sub": SUB}})
}

#[tokio::test]
async fn whose_name_and_password_are_right_is_let_in_by_one_call() {
    let aws = with_user();
    let answer = authorizer(&aws).handle(EVENT).await.unwrap();
    assert_eq!(answer, allowed());
    assert_eq!(aws.take_calls(), ["AdminInitiateAuth"]);
}

#[tokio::test]
async fn a_scheme_may_be_spelt_as_one_likes_and_letters_be_anybodys() {
    let aws = with_user();
    aws.add_account("jürgen", "pässwörd 🔑", Standing::Good(SUB.into()));
    let encoded = STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    for scheme in ["basic", "BASIC", "Basic "] {
        let event = event(json!([format!("{scheme} {encoded}")]));
        assert_eq!(authorizer(&aws).handle(&event).await.unwrap(), allowed());
    }
    let event = of_text("jürgen:pässwörd 🔑");
    assert_eq!(authorizer(&aws).handle(&event).await.unwrap(), allowed());
}

#[tokio::test]
async fn who_has_the_longest_name_and_password_that_there_can_be_is_asked_for() {
    let aws = EmbeddedAws::default();
    let (name, password) = ("🔑".repeat(128), "🔑".repeat(256));
    aws.add_account(&name, &password, Standing::Good(SUB.into()));
    let of = |name: &str, password: &str| of_text(format!("{name}:{password}"));
    let ask = async |event: String| authorizer(&aws).handle(&event).await.unwrap();
    assert_eq!(ask(of(&name, &password)).await, allowed());
    assert_eq!(aws.take_calls(), ["AdminInitiateAuth"]);
    for (name, password) in [("x".repeat(129), "x".into()), ("x".into(), "x".repeat(257))] {
        assert_eq!(ask(of(&name, &password)).await, refused());
    }
    assert_eq!(aws.take_calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn what_can_belong_to_nobody_is_refused_without_a_call() {
    let aws = with_user();
    let good = STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    let unpadded = good.trim_end_matches('=');
    let of_header = |header: &str| event(json!([header]));
    for event in [
        of_header(""),
        of_header(" "),
        of_header("Basic"),
        of_header("Basic "),
        of_header(&good),
        of_header(&format!("Bearer {good}")),
        of_header(&format!("Basic{good}")),
        of_header(&format!("Basic {unpadded}")),
        of_header(&format!("Basic {good}{good}")),
        of_header(&format!("Basic {good}, Basic {good}")),
        of_header(&format!("Basic {}", "A".repeat(100_000))),
        of_text(""),
        of_text(":"),
        of_text(NAME),
        of_text(format!("{NAME}:")),
        of_text(format!(":{PASSWORD}")),
        of_text(format!("{NAME}:{PASSWORD}\0")),
        of_text(format!("{NAME}\n:{PASSWORD}")),
        of_text(b"\xff:\xfe"),
        // What API Gateway keeps the answer under is one header.
        event(json!([])),
        event(json!([format!("Basic {good}"), "x"])),
        event(json!([null])),
        event(Value::Null),
        EVENT.replace("identitySource", "other"),
        "{}".into(),
        "5".into(),
        String::new(),
    ] {
        let answer = authorizer(&aws).handle(&event).await.unwrap();
        assert_eq!(answer, refused(), "{event:.2000}");
    }
    assert_eq!(aws.take_calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn whom_cognito_does_not_let_in_is_refused() {
    let aws = with_user();
    for (name, standing) in [
        ("new", Standing::Challenged("NEW_PASSWORD_REQUIRED")),
        ("factor", Standing::Challenged("SOFTWARE_TOKEN_MFA")),
        ("message", Standing::Challenged("SMS_MFA")),
        ("setup", Standing::Challenged("MFA_SETUP")),
        ("locked", Standing::Refused("NotAuthorizedException")),
        ("unknown", Standing::Refused("UserNotFoundException")),
        (
            "unconfirmed",
            Standing::Refused("UserNotConfirmedException"),
        ),
        ("reset", Standing::Refused("PasswordResetRequiredException")),
        (
            "trigger",
            Standing::Refused("UserLambdaValidationException"),
        ),
        ("odd", Standing::Refused("InvalidParameterException")),
    ] {
        aws.add_account(name, PASSWORD, standing);
        let event = of_text(format!("{name}:{PASSWORD}"));
        let answer = authorizer(&aws).handle(&event).await.unwrap();
        assert_eq!(answer, refused(), "{name}");
    }
    for wrong in [format!("{NAME}:wrong"), format!("nobody:{PASSWORD}")] {
        let answer = authorizer(&aws).handle(&of_text(wrong)).await.unwrap();
        assert_eq!(answer, refused());
    }
}

#[tokio::test(start_paused = true)]
async fn where_cognito_does_not_say_there_is_no_answer_that_could_be_kept() {
    let of = |fault: Fault| {
        let aws = EmbeddedAws::with_faults(move |_: &Call| fault);
        aws.add_account(NAME, PASSWORD, Standing::Good(SUB.into()));
        aws
    };
    for fault in [
        Fault::Throttled,
        Fault::Unreachable,
        Fault::LostAnswer,
        Fault::CrashBefore,
    ] {
        let started = tokio::time::Instant::now();
        let answer = authorizer(&of(fault)).handle(EVENT).await;
        assert!(answer.is_err(), "{fault:?}: {answer:?}");
        // API Gateway and Lambda wait for ten seconds.
        assert!(started.elapsed().as_secs() < 8, "{fault:?}");
    }
    let aws = EmbeddedAws::default();
    for (name, standing) in [
        ("inside", Standing::Refused("InternalErrorException")),
        ("pool", Standing::Refused("ResourceNotFoundException")),
        ("denied", Standing::Refused("AccessDeniedException")),
        ("none", Standing::Odd(Value::Null)),
        ("text", Standing::Odd(json!("x"))),
        ("no payload", Standing::Odd(json!("e30.?.x"))),
        ("no sub", Standing::Odd(json!("e30.e30.x"))),
        ("nobody", Standing::Good(String::new())),
    ] {
        aws.add_account(name, PASSWORD, standing);
        let event = of_text(format!("{name}:{PASSWORD}"));
        let answer = authorizer(&aws).handle(&event).await;
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_tried_so_often_that_its_user_is_locked_out() {
    let aws = EmbeddedAws::with_faults(|_: &Call| Fault::LostAnswer);
    assert!(authorizer(&aws).handle(EVENT).await.is_err());
    assert_eq!(aws.take_calls().len(), 2);
}

/// As whom the handlers take who comes with this for an authorizer's context.
fn caller(authorizer: impl Into<Value>) -> Option<String> {
    let mut event: Value =
        serde_json::from_str(include_str!("../../../events/status.json")).unwrap();
    event["requestContext"]["authorizer"] = authorizer.into();
    // What a client can say of itself.
    event["headers"]["sub"] = "eve".into();
    event["queryStringParameters"] = json!({"sub": "eve"});
    let request = request(&event.to_string()).ok()?;
    api::user(&request)
        .ok()
        .map(|user| user.as_str().to_owned())
}

#[test]
fn the_caller_is_whom_one_authorizer_names_and_nobody_else() {
    let token = json!({"claims": {"sub": "ann"}, "scopes": []});
    assert_eq!(caller(json!({"jwt": token})).as_deref(), Some("ann"));
    assert_eq!(
        caller(json!({"lambda": {"sub": "bob"}})).as_deref(),
        Some("bob")
    );
    for nobody in [
        Value::Null,
        json!({}),
        json!({"jwt": token, "lambda": {"sub": "ann"}}),
        json!({"jwt": {"claims": {}, "scopes": []}, "lambda": {"sub": "bob"}}),
        json!({"jwt": {"claims": {"sub": ""}, "scopes": []}}),
        json!({"jwt": {"claims": {"username": "ann"}, "scopes": []}}),
        json!({"lambda": null}),
        json!({"lambda": {}}),
        json!({"lambda": {"sub": ""}}),
        json!({"lambda": {"sub": null}}),
        json!({"lambda": {"sub": 5}}),
        json!({"lambda": {"sub": ["bob"]}}),
        json!({"lambda": {"name": "bob"}}),
        json!({"iam": {"userId": "bob"}}),
        json!({"sub": "bob"}),
    ] {
        assert_eq!(caller(nobody.clone()), None, "{nobody}");
    }
}
