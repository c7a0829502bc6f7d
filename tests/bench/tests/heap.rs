//! How often a warm request asks the allocator for memory: the same in every run, and the first to tell that something
//! is copied, parsed or looked up once more than it was.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, PoisonError};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bench::scenario::Scenario;
use embedded_aws::{Call, EmbeddedAws, QUEUE_URL};
use longhaul::Limits;
use longhaul::config::Environment;
use longhaul::host::Host;
use longhaul::queue::{JobQueues, Queue};
use longhaul::serve::answer;
use longhaul::status::StatusReader;
use longhaul::store::Store;
use longhaul::submit::{Config, Submit};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// After so many requests everything is there that the others find.
const FIRST: usize = 5;

const WARM: usize = 10;

/// One test, for one can count at a time.
#[test]
fn warm_requests_allocate_as_often_as_they_did() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let allocated = [Scenario::Status, Scenario::Accepted, Scenario::Invalid].map(blocks);
    let allocated_max = [567, 1065, 166];
    let is_within = allocated
        .iter()
        .zip(allocated_max)
        .all(|(now, max)| *now <= max);
    assert!(is_within, "{allocated:?}, not {allocated_max:?}");
}

/// Blocks that are allocated for one warm request.
fn blocks(scenario: Scenario) -> u64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let aws = EmbeddedAws::default();
    let mut events = scenario.prepare(&aws, FIRST + WARM).unwrap().into_iter();
    let function = Function::of(scenario, &aws);
    for event in events.by_ref().take(FIRST) {
        function.answer(&runtime, scenario, &event);
    }
    let before = dhat::HeapStats::get().total_blocks;
    for event in events {
        function.answer(&runtime, scenario, &event);
    }
    (dhat::HeapStats::get().total_blocks - before) / WARM as u64
}

enum Function {
    Status(StatusReader),
    Submit(Submit),
}

impl Function {
    fn of(scenario: Scenario, aws: &EmbeddedAws) -> Self {
        let config = config(aws);
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let store = Store::new(dynamodb, aws.table().name(), Host::system());
        let limits = Limits::new(10_000);
        if scenario == Scenario::Status {
            let queues = JobQueues::default();
            return Self::Status(StatusReader::new::<jobs::Jobs>(store, limits, &queues));
        }
        let queue = Queue::new(aws_sdk_sqs::Client::new(&config), QUEUE_URL);
        let lookup = |name: &str| variables(name).map(str::to_owned);
        let read = Environment::read_from(&lookup, Config::read::<jobs::Jobs>);
        let terms = read.unwrap().terms;
        Self::Submit(Submit::new::<jobs::Jobs>(store, queue, limits, terms))
    }

    fn answer(&self, runtime: &Runtime, scenario: Scenario, event: &str) {
        let answered = runtime.block_on(answer(
            async |request| match self {
                Self::Status(status) => status.handle(&request).await,
                Self::Submit(submit) => submit.handle(&request).await,
            },
            event,
        ));
        let answered = serde_json::to_value(answered).unwrap();
        scenario.check(&answered).unwrap();
    }
}

/// What a submit is configured with.
fn variables(name: &str) -> Option<&'static str> {
    let variables = bench::subjects::SUBMIT.iter();
    let mut variables = variables.chain(&[("TABLE_NAME", "tasks")]);
    let found = variables.find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// A configuration like that of the functions, with which a call is made once and its answer given again: what the
/// services do is not what is counted.
fn config(aws: &EmbeddedAws) -> SdkConfig {
    let replay = SharedHttpConnector::new(Replay {
        aws: aws.clone(),
        answers: Mutex::default(),
    });
    let token = Some("token".to_owned());
    let credentials = Credentials::new("embedded", "embedded", token, None, "embedded");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(longhaul::aws::retries())
        .timeout_config(longhaul::aws::timeouts())
        .http_client(http_client_fn(move |_, _| replay.clone()))
        .build()
}

/// The answers that there have been, by operation.
#[derive(Debug)]
struct Replay {
    aws: EmbeddedAws,
    answers: Mutex<BTreeMap<String, String>>,
}

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if !answers.contains_key(target) {
            let answer = self.aws.carry_out(&Call {
                caller: "function".to_owned(),
                operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
                body: serde_json::from_slice(request.body().bytes().unwrap()).unwrap(),
            });
            answers.insert(target.to_owned(), answer.body.to_string());
        }
        let response = http::Response::new(SdkBody::from(answers[target].as_str()));
        HttpConnectorFuture::new(ready(Ok(HttpResponse::try_from(response).unwrap())))
    }
}
