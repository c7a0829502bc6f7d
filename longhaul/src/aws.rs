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
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

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

/// What the environment says of one service only: the SDK asks for `AWS_ENDPOINT_URL_DYNAMODB` and the like.
#[derive(Debug)]
struct OfService;

impl LoadServiceConfig for OfService {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        variable(&format!("{}_{service}", key.env()))
    }
}

/// A variable that is not there says as little as one that is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the clients of one of the SDK's crates will find their service, as those resolve it.
macro_rules! endpoint {
    ($sdk:ident, $service:literal, $config:expr) => {
        async {
            use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
            let url = variable(concat!("AWS_ENDPOINT_URL_", $service));
            let url = url.or_else(|| $config.endpoint_url().map(ToOwned::to_owned));
            let params = Params::builder()
                .set_region($config.region().map(ToString::to_string))
                .set_use_fips($config.use_fips())
                .set_use_dual_stack($config.use_dual_stack())
                .set_endpoint(url)
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
    /// `AWS_USE_FIPS_ENDPOINT` or `AWS_USE_DUALSTACK_ENDPOINT` and, for a local stack, `AWS_ENDPOINT_URL`, of one service or of
    /// all, come from the environment.
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
        let is_on = |name| variable(name).is_some_and(|it| it.eq_ignore_ascii_case("true"));
        // By hand and not by `aws_config::load`, which looks for profiles first, and brings what a chain of providers
        // might need: a seventh of a bootstrap.
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.region().await)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(OfService)
            .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
            .http_client(http_client_fn(move |_, _| shared.clone()))
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .retry_config(retries())
            .timeout_config(timeouts())
            // An attempt that stalls is over after its two seconds.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let config = match variable("AWS_ENDPOINT_URL") {
            Some(url) => config.endpoint_url(url),
            None => config,
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
        self.open(endpoint!(aws_sdk_dynamodb, "DYNAMODB", self.config))
            .await;
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client of SQS, whose connection is open.
    pub async fn sqs(&self) -> aws_sdk_sqs::Client {
        self.open(endpoint!(aws_sdk_sqs, "SQS", self.config)).await;
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
