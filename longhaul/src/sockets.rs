//! What is said over connections, and that it is not waited for.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_apigatewaymanagement::primitives::Blob;
use serde::Serialize;

use crate::api::TaskView;
use crate::connection::Connection;
use crate::host::Timestamp;
use crate::task::Task;
use crate::telemetry;

/// How long a message may take. What comes later is of no use: there is a newer one by then, or the page asks.
const POST_SECONDS_MAX: Duration = Duration::from_secs(1);

/// What a connection is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Told {
    /// How a task is.
    Task {
        /// Grows with every change: of two messages of a task the one with the higher version is the later.
        version: u64,
        /// As its status is told.
        data: TaskView,
    },
}

impl Told {
    /// How the task is at this time.
    #[must_use]
    pub fn of(task: &Task, now: Timestamp) -> Self {
        Self::Task {
            version: task.version,
            data: TaskView::new(task, now),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// API Gateway has it.
    Delivered,
    /// The connection is closed, for ever.
    Gone,
    /// It could not be delivered in the time it had.
    Dropped,
}

/// The connections of an API.
#[derive(Clone)]
pub struct Sockets {
    client: Client,
}

impl Sockets {
    /// The connections of the API whose `@connections` are at this address.
    #[must_use]
    pub fn new(aws: &SdkConfig, endpoint: &str) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(POST_SECONDS_MAX);
        let config = Builder::from(aws)
            .endpoint_url(endpoint)
            // A message that is repeated is late.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        Self {
            client: Client::from_conf(config.build()),
        }
    }

    /// Sends a text.
    pub async fn post(&self, connection: &Connection, text: &str) -> Delivery {
        let call = self.client.post_to_connection();
        let call = call.connection_id(&connection.id).data(Blob::new(text));
        let Err(error) = call.send().await else {
            return Delivery::Delivered;
        };
        if is_gone(&error) {
            return Delivery::Gone;
        }
        // Whose it was, and what it said, is for nobody.
        tracing::warn!(error = telemetry::chain(&error), "a message was dropped");
        Delivery::Dropped
    }

    /// Closes one. Says whether it was open.
    ///
    /// # Errors
    ///
    /// When it may still be open.
    pub async fn close(&self, connection: &Connection) -> Result<bool, SocketError> {
        let call = self.client.delete_connection();
        match call.connection_id(&connection.id).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(SocketError(error.into())),
        }
    }
}

/// API Gateway could not be told.
#[derive(Debug, thiserror::Error)]
#[error("the connections could not be reached")]
pub struct SocketError(#[source] Box<dyn std::error::Error + Send + Sync>);

fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    code == Some("GoneException")
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").finish_non_exhaustive()
    }
}
