//! The AWS clients: built once, at start, and tuned for a cold start.
//!
//! What decides a cold start is the first call. So: ring instead of AWS-LC (whose entropy check
//! costs tens of milliseconds of CPU), five fixed roots instead of the native store, credentials
//! from the environment, where Lambda puts them, instead of the provider chain.

mod trust;

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};

/// How often a call is made in all. The SDK repeats what is safe to repeat: throttling, timeouts
/// and errors of the service, with exponential backoff and jitter.
pub const ATTEMPTS_MAX: u32 = 4;

/// The longest a call takes, with all its attempts. The worker reserves so much before its deadline
/// to save what it has: several calls, of which hardly ever even one takes long. A request that takes several calls has [`crate::api::ANSWER_SECONDS_MAX`].
pub const CALL_SECONDS_MAX: Duration = Duration::from_secs(6);

const ATTEMPT_SECONDS_MAX: Duration = Duration::from_secs(2);
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(1);

/// The configuration that all clients share.
///
/// The region, the credentials, more certificates to trust (`AWS_CA_BUNDLE`) and, for a local stack, `AWS_ENDPOINT_URL` come
/// from the environment.
///
/// # Errors
///
/// When the certificates cannot be read.
pub async fn config() -> Result<SdkConfig, lambda_http::Error> {
    let tls = TlsContext::builder()
        .with_trust_store(trust::store()?)
        .build()?;
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .retry_config(retries())
        .timeout_config(timeouts())
        .load()
        .await;
    Ok(config)
}

/// How calls are repeated.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(1))
}

/// How long calls may take.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_SECONDS_MAX)
        .operation_attempt_timeout(ATTEMPT_SECONDS_MAX)
        .operation_timeout(CALL_SECONDS_MAX)
        .build()
}
