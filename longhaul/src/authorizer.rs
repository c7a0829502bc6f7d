//! The door of the HTTP API for HTTP Basic (RFC 7617): whose a name and a password are, asked of Cognito.
//!
//! It decides by the identity source alone, the `Authorization` header as API Gateway read it, for under that its answer
//! is kept and given to whoever sends the same. An answer is yes or no. Where Cognito does not say, there is none, and the
//! invocation fails: a no would be kept, too, and right credentials be refused long after Cognito is back.
//!
//! Nothing of what it deals with is logged: not the header, name, password or tokens, and no text of Cognito's, which may
//! repeat them.

use std::fmt;
use std::process::ExitCode;

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::Builder;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::operation::admin_initiate_auth::AdminInitiateAuthError;
use aws_sdk_cognitoidentityprovider::types::{AuthFlowType, AuthenticationResultType};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::aws::{self, Aws};
use crate::config::{ConfigError, Environment};
use crate::task::UserId;
use crate::{exit, telemetry};

/// How often Cognito is asked. Each time that it is asked in vain with a wrong password counts as an attempt, of which it
/// takes five before it locks the user out for a while.
const ATTEMPTS_MAX: u32 = 2;

/// Cognito takes no longer ones (`CreateUser`'s and `PasswordType`'s constraints).
const NAME_CHARACTERS_MAX: usize = 128;
const PASSWORD_CHARACTERS_MAX: usize = 256;

/// The longest encoding of a name and a password, of four bytes a character.
const ENCODED_BYTES_MAX: usize =
    (4 * (NAME_CHARACTERS_MAX + PASSWORD_CHARACTERS_MAX) + 1).div_ceil(3) * 4;

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let function = &Authorizer::new(aws.config(), config);
        lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
            let answer = function.handle(event.payload.get()).await;
            answer.map_err(|unanswered| Error::from(unanswered.to_string()))
        }))
        .await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pool whose users these are.
    pub user_pool_id: String,
    /// The app client that may ask by name and password.
    pub client_id: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Environment::read(Self::read)
    }

    /// The same of an environment that is read already.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            user_pool_id: environment.text("USER_POOL_ID"),
            client_id: environment.text("CLIENT_ID"),
        }
    }
}

/// Cognito did not say whose they are. Why is in the log.
#[derive(Debug, thiserror::Error)]
#[error("Cognito could not be asked. The log says why.")]
pub struct Unanswered;

/// A request of an HTTP API's authorizer (payload format 2.0).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerRequest {
    identity_source: Vec<String>,
}

/// The function.
#[derive(Clone)]
pub struct Authorizer {
    cognito: Client,
    config: Config,
}

impl Authorizer {
    /// The function with what it needs.
    #[must_use]
    pub fn new(aws: &SdkConfig, config: Config) -> Self {
        let retries = aws::retries().with_max_attempts(ATTEMPTS_MAX);
        let cognito = Builder::from(aws)
            .retry_config(retries)
            .timeout_config(aws::timeouts());
        Self {
            cognito: Client::from_conf(cognito.build()),
            config,
        }
    }

    /// Says who is asking, in the form of a simple response, if anybody.
    ///
    /// # Errors
    ///
    /// When Cognito does not say.
    pub async fn handle(&self, event: &str) -> Result<Value, Unanswered> {
        let user = match Credentials::presented(event) {
            Some(credentials) => self.user_of(&credentials).await?,
            None => None,
        };
        Ok(match user {
            Some(user) => json!({"isAuthorized": true, "context": {"sub": user.as_str()}}),
            None => json!({"isAuthorized": false}),
        })
    }

    /// Whose they are. Who has yet to answer a challenge, a new password or a second factor, has not signed in.
    async fn user_of(&self, credentials: &Credentials) -> Result<Option<UserId>, Unanswered> {
        let call = self.cognito.admin_initiate_auth();
        let call = call
            .user_pool_id(&self.config.user_pool_id)
            .client_id(&self.config.client_id)
            .auth_flow(AuthFlowType::AdminUserPasswordAuth)
            .auth_parameters("USERNAME", &credentials.name)
            .auth_parameters("PASSWORD", &credentials.password);
        match call.send().await {
            Ok(answer) => answer.authentication_result().map(subject).transpose(),
            Err(error) if is_refusal(&error) => {
                let reason = cause(&error);
                tracing::info!(reason, "Cognito says no");
                Ok(None)
            }
            Err(error) => {
                let error = cause(&error);
                tracing::error!(error, "Cognito could not be asked");
                Err(Unanswered)
            }
        }
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

/// A name and a password. They have no `Debug`, so that nothing can show them.
struct Credentials {
    name: String,
    password: String,
}

impl Credentials {
    /// Those of an authorizer's request, if there can be a user who has them.
    fn presented(event: &str) -> Option<Self> {
        let request: AuthorizerRequest = serde_json::from_str(event).ok()?;
        let [header] = <[String; 1]>::try_from(request.identity_source).ok()?;
        Self::read(&header)
    }

    fn read(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.trim().split_once(' ')?;
        let encoded = encoded.trim_start();
        if !scheme.eq_ignore_ascii_case("Basic") || encoded.len() > ENCODED_BYTES_MAX {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        let is_possible = |text: &str, characters_max: usize| {
            let length = text.chars().count();
            (1..=characters_max).contains(&length) && !text.contains(char::is_control)
        };
        let are_possible = is_possible(name, NAME_CHARACTERS_MAX)
            && is_possible(password, PASSWORD_CHARACTERS_MAX);
        are_possible.then(|| Self {
            name: name.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Whom Cognito has signed in.
///
/// The token's signature is not looked at. It would show that the token is of this pool, made a moment ago and unchanged:
/// but nobody else has had it. Cognito has just handed it to this process, over TLS, in answer to a signed call that named
/// the pool. To ask for the user instead would be a second call, and a second permission.
fn subject(signed_in: &AuthenticationResultType) -> Result<UserId, Unanswered> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let claims = || {
        let payload = signed_in.access_token()?.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice::<Claims>(&payload).ok()
    };
    let user = claims().and_then(|claims| UserId::from_claim(&claims.sub));
    user.ok_or_else(|| {
        tracing::error!("Cognito's token does not say whose it is");
        Unanswered
    })
}

/// Whether Cognito has looked at them, and says no.
fn is_refusal(error: &SdkError<AdminInitiateAuthError>) -> bool {
    use AdminInitiateAuthError as Refused;
    matches!(
        error.as_service_error(),
        Some(
            // Also of a user who is disabled, or locked out for a while.
            Refused::NotAuthorizedException(_)
                | Refused::UserNotFoundException(_)
                | Refused::UserNotConfirmedException(_)
                | Refused::PasswordResetRequiredException(_)
                // What nobody can be called. Were it an outage, strangers could make them up.
                | Refused::InvalidParameterException(_)
                // Of a pool with a trigger that has a say.
                | Refused::UserLambdaValidationException(_)
        )
    )
}

/// What went wrong, without what Cognito says of it in words.
fn cause(error: &SdkError<AdminInitiateAuthError>) -> String {
    match error.as_service_error() {
        Some(said) => said.code().unwrap_or("an error without a code").to_owned(),
        None => telemetry::chain(error),
    }
}
