//! Users of a stack's Cognito pool, and their tokens.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::stack::Stack;

/// Long enough that guessing is out of the question; every character class is forced in below.
const PASSWORD_RANDOM_CHARACTERS: usize = 16;

/// No characters that look alike or that a shell would interpret.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

/// Makes a user with a permanent password, or gives an existing one this password.
pub(crate) fn create(aws: &Aws, user_pool_id: &str, name: &str, password: &str) -> Result<()> {
    let created = aws.call(&[
        "cognito-idp",
        "admin-create-user",
        "--user-pool-id",
        user_pool_id,
        "--username",
        name,
        "--message-action",
        "SUPPRESS",
    ]);
    if let Err(error) = created
        && !error.to_string().contains("UsernameExists")
    {
        return Err(error.context(format!("cannot create user {name}")));
    }
    aws.call_with_secret(
        &["cognito-idp", "admin-set-user-password"],
        &json!({
            "UserPoolId": user_pool_id,
            "Username": name,
            "Password": password,
            "Permanent": true,
        }),
    )
    .with_context(|| format!("cannot set the password of {name}"))?;
    Ok(())
}

/// A password that any sensible policy accepts.
pub(crate) fn random_password() -> Result<String> {
    let mut bytes = [0_u8; PASSWORD_RANDOM_CHARACTERS];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    let random: String = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    Ok(format!("{random}-Lh7"))
}

/// Signs in and returns the access token.
///
/// The call needs no AWS credentials, hence plain HTTP instead of a second's start of the AWS CLI.
pub(crate) fn token(stack: &Stack, name: &str) -> Result<String> {
    let password = stack.passwords.get(name).with_context(|| {
        format!("there is no user {name}; make one with: cargo xtask create-user {name}")
    })?;
    let request = json!({
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": stack.outputs.client_id,
        "AuthParameters": {"USERNAME": name, "PASSWORD": password},
    });
    let mut response = ureq::post(&stack.endpoint_url)
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .proxy(None)
        .build()
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "x-amz-target",
            "AWSCognitoIdentityProviderService.InitiateAuth",
        )
        .send(&request.to_string())
        .with_context(|| {
            format!(
                "{} does not answer; is the stack running? cargo xtask status",
                stack.endpoint_url
            )
        })?;
    let answer: Value = response
        .body_mut()
        .read_json()
        .context("Cognito answered something else than JSON")?;
    match answer
        .pointer("/AuthenticationResult/AccessToken")
        .and_then(Value::as_str)
    {
        Some(token) => Ok(token.to_owned()),
        None => bail!("{name} cannot sign in: {answer}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_hold_every_character_class() -> Result<()> {
        let password = random_password()?;
        assert_ne!(password, random_password()?);
        assert!(password.len() >= 16);
        for class in [
            char::is_lowercase as fn(char) -> bool,
            char::is_uppercase,
            char::is_numeric,
            |c| c == '-',
        ] {
            assert!(password.contains(class));
        }
        Ok(())
    }
}
