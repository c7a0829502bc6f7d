//! Delivers messages to an endpoint that takes only so many at a time: an item for each.

use std::time::Duration;

use http::{Request as HttpRequest, StatusCode, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};
use rustls::crypto::ring::default_provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The endpoint has so long to answer.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(10);

/// How long an endpoint is left alone that asks for it and does not say for how long.
const PAUSE: Duration = Duration::from_secs(5);

/// The job, with the endpoint: the deployment's, and never a request's.
pub struct DeliverMessages {
    client: Client<HttpsConnector<HttpConnector>, String>,
    endpoint: Uri,
}

#[derive(Deserialize, JsonSchema)]
pub struct Request {
    /// What to deliver.
    messages: Vec<Message>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Message {
    /// Whom it is for.
    #[schemars(title = "To", length(min = 1, max = 200))]
    to: String,
    /// What it says.
    #[schemars(title = "Text", length(min = 1, max = 2000))]
    text: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Delivered {
    /// The endpoint's answer.
    status: u16,
}

impl Job for DeliverMessages {
    const NAME: &'static str = "deliver-messages";
    const TITLE: &'static str = "Deliver messages";
    const DESCRIPTION: &'static str = "Hands them to the delivery service.";
    // With the two workers of `DeliverMessagesFunction`, 20 at a time in all.
    const ITEMS_IN_FLIGHT: Option<u16> = Some(10);
    const OWN_WORKER: bool = true;
    type Request = Request;
    type Shared = ();
    type Input = Message;
    type Output = Delivered;

    fn items(request: Request, _: &Limits) -> Result<Items<Message>, Invalid> {
        Ok(Items::list(request.messages).of_field("messages"))
    }

    fn item_name(_: u64, message: &Message) -> String {
        message.to.clone()
    }
}

impl Process for DeliverMessages {
    async fn start(setup: &Setup) -> Result<Self, StartError> {
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider())?;
        let connector = tls.https_or_http().enable_http1().build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: setup
                .environment(|variables| variables.text("DELIVERY_URL"))?
                .parse()?,
        })
    }

    async fn process(&self, item: Item<Message>) -> Result<Delivered, ItemError> {
        let request = HttpRequest::post(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/json")
            // It has seen the message before, or not: it may come again.
            .header("idempotency-key", item.key())
            .body(serde_json::to_string(&item.input)?)?;
        let in_time = ANSWER_SECONDS_MAX.min(item.time_left() / 2);
        let answer = tokio::time::timeout(in_time, self.client.request(request)).await??;
        match answer.status() {
            status if status.is_success() => Ok(Delivered {
                status: status.as_u16(),
            }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let wait = answer.headers().get(header::RETRY_AFTER);
                let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
                Err(ItemError::later(wait.map_or(PAUSE, Duration::from_secs)))
            }
            status if status.is_client_error() => Err(ItemError::permanent(format!(
                "The message was refused ({status}): correct it and try again."
            ))),
            status => Err(ItemError::retryable(format!(
                "The service cannot take messages ({status})."
            ))),
        }
    }
}
