//! Cognito, as far as one call asks for it: who may sign in with which name and password, and what else it may say.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use serde_json::{Value, json};

use crate::{Answer, Call};

/// The pool.
pub const USER_POOL_ID: &str = "us-east-1_embedded";

/// The app client that may ask by name and password.
pub const CLIENT_ID: &str = "embedded-client";

/// What is said of who signs in with the right password.
#[derive(Clone, Debug)]
pub enum Standing {
    /// They are in: this is their `sub`.
    Good(String),
    /// They have yet to answer a challenge of this name.
    Challenged(&'static str),
    /// An error of this kind.
    Refused(&'static str),
    /// They are in, with this for a token.
    Odd(Value),
}

#[derive(Default)]
pub(crate) struct Accounts {
    of: BTreeMap<(String, String), Standing>,
}

impl Accounts {
    pub(crate) fn add(&mut self, name: &str, password: &str, standing: Standing) {
        self.of.insert((name.into(), password.into()), standing);
    }

    /// The answer to an `AdminInitiateAuth`.
    pub(crate) fn sign_in(&self, call: &Call) -> Answer {
        let text = |at: &str| call.body.pointer(at).and_then(Value::as_str);
        let asked = ["/UserPoolId", "/ClientId", "/AuthFlow"].map(text);
        if asked != [USER_POOL_ID, CLIENT_ID, "ADMIN_USER_PASSWORD_AUTH"].map(Some) {
            return Answer::error("ResourceNotFoundException", "no such pool, client or flow");
        }
        let owned = |at: &str| text(at).unwrap_or_default().to_owned();
        let presented = (
            owned("/AuthParameters/USERNAME"),
            owned("/AuthParameters/PASSWORD"),
        );
        match self.of.get(&presented) {
            Some(Standing::Good(sub)) => signed_in(&json!(token(sub))),
            Some(Standing::Odd(token)) => signed_in(token),
            Some(Standing::Challenged(name)) => Answer::ok(json!({
                "ChallengeName": name,
                "Session": "session",
                "ChallengeParameters": {"USER_ID_FOR_SRP": presented.0},
            })),
            // It says more than is good for anybody.
            Some(Standing::Refused(kind)) => Answer::error(kind, &presented.1),
            None => Answer::error("NotAuthorizedException", "Incorrect username or password."),
        }
    }
}

fn signed_in(token: &Value) -> Answer {
    let mut answer = json!({"AuthenticationResult": {"ExpiresIn": 300, "TokenType": "Bearer"}});
    if !token.is_null() {
        answer["AuthenticationResult"]["AccessToken"] = token.clone();
    }
    Answer::ok(answer)
}

/// An access token, as far as somebody reads it who does not look at its signature.
fn token(sub: &str) -> String {
    let claims = json!({"sub": sub, "token_use": "access", "username": "somebody"}).to_string();
    let encoded = base64::encode(claims);
    let encoded = encoded.replace('+', "-").replace('/', "_");
    format!("e30.{}.c2ln", encoded.trim_end_matches('='))
}
