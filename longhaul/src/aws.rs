//! The AWS clients: built once, at start, and tuned for a cold start.
//!
//! What decides a cold start is the first call. So: ring instead of AWS-LC (whose entropy check
//! costs tens of milliseconds of CPU), five fixed roots instead of the native store, credentials
//! from the environment, where Lambda puts them, instead of the provider chain, and connections that
//! are open before the first event comes.

mod trust;

use std::env;
use std::future::Future;
use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::endpoint::Endpoint;

use crate::telemetry;

/// How often a call is made in all. The SDK repeats what is safe to repeat: throttling, timeouts
/// and errors of the service, with exponential backoff and jitter.
pub const ATTEMPTS_MAX: u32 = 4;

/// The longest a call takes, with all its attempts. The worker reserves so much before its deadline
/// to save what it has: several calls, of which hardly ever even one takes long. A request that takes several calls has [`crate::api::ANSWER_SECONDS_MAX`].
pub const CALL_SECONDS_MAX: Duration = Duration::from_secs(6);

const ATTEMPT_SECONDS_MAX: Duration = Duration::from_secs(2);
const CONNECT_SECONDS_MAX: Duration = Duration::from_secs(1);

/// How long the start waits for a connection. It is worth a wait, and not worth a start.
const OPEN_SECONDS_MAX: Duration = Duration::from_secs(1);

/// Where the clients of one of the SDK's crates will find their service, as those resolve it.
macro_rules! endpoint {
    ($sdk:ident, $config:expr) => {
        async {
            use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
            let params = Params::builder()
                .set_region($config.region().map(ToString::to_string))
                .set_use_fips($config.use_fips())
                .set_use_dual_stack($config.use_dual_stack())
                .set_endpoint($config.endpoint_url().map(ToOwned::to_owned))
                .build()?;
            DefaultResolver::new().resolve_endpoint(&params).await
        }
    };
}

/// The SDK as a function's process uses it: what its clients share, connections included.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    connector: SharedHttpConnector,
}

impl Aws {
    /// The region, the credentials, more certificates to trust (`AWS_CA_BUNDLE`), whether endpoints are those of
    /// `AWS_USE_FIPS_ENDPOINT` or `AWS_USE_DUALSTACK_ENDPOINT` and, for a local stack, `AWS_ENDPOINT_URL` come from the
    /// environment.
    ///
    /// # Errors
    ///
    /// When the certificates cannot be read.
    pub async fn start() -> Result<Self, lambda_http::Error> {
        let tls = TlsContext::builder()
            .with_trust_store(trust::store()?)
            .build()?;
        let connecting = HttpConnectorSettings::builder().connect_timeout(CONNECT_SECONDS_MAX);
        let connector = Connector::builder()
            .connector_settings(connecting.build())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build();
        let connector = SharedHttpConnector::new(connector);
        let shared = connector.clone();
        let credentials = EnvironmentVariableCredentialsProvider::new();
        let region = EnvironmentVariableRegionProvider::new();
        let is_on = |name| env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        // By hand and not by `aws_config::load`, which looks for profiles first, and brings what a chain of providers
        // might need: a seventh of a bootstrap.
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.region().await)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
            .http_client(http_client_fn(move |_, _| shared.clone()))
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(retries())
            .timeout_config(timeouts())
            // An attempt that stalls is over after its two seconds.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let config = match env::var("AWS_ENDPOINT_URL") {
            Ok(url) if !url.is_empty() => config.endpoint_url(url),
            _ => config,
        };
        let config = config.build();
        Ok(Self { config, connector })
    }

    /// What the clients are made with that need no connection before the first event.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// A client of `DynamoDB`, whose connection is open.
    pub async fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.open(endpoint!(aws_sdk_dynamodb, self.config)).await;
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client of SQS, whose connection is open.
    pub async fn sqs(&self) -> aws_sdk_sqs::Client {
        self.open(endpoint!(aws_sdk_sqs, self.config)).await;
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// Opens the connection that the first call will find: Lambda starts a process with more power than it may have later,
    /// and before anybody waits for it.
    ///
    /// What is asked needs no signature and no permission: both services say at their root whether they are well. The
    /// answer does not matter, and if there is none the first call will open a connection as it would have.
    async fn open(&self, endpoint: impl Future<Output = Result<Endpoint, BoxError>>) {
        let asked = async {
            let mut request = HttpRequest::empty();
            request.set_uri(endpoint.await?.url())?;
            let answer = self.connector.call(request).await?;
            // A connection is free again when all of its answer has been read.
            ByteStream::new(answer.into_body()).collect().await?;
            Ok::<_, BoxError>(())
        };
        let opened = tokio::time::timeout(OPEN_SECONDS_MAX, asked).await;
        if let Err(error) = opened.map_err(BoxError::from).and_then(|asked| asked) {
            let error = telemetry::chain(&*error);
            tracing::debug!(error, "no connection is open at the start");
        }
    }
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
