//! The door to the live updates: hands out tickets, lets in who has one, and keeps the list of who is there.
//!
//! Four kinds of invocations come to one function, because they follow each other: a page that opens a connection needs
//! the first three within a second, and finds the function awake.

use std::process::ExitCode;

use http::{Method, StatusCode};
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerResponse,
};
use lambda_http::aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use lambda_http::{Body, Request, Response};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::{self, ApiError};
use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::connection::{Connection, Ticket};
use crate::host::{Host, Timestamp};
use crate::serve;
use crate::sockets::Sockets;
use crate::store::{Store, StoreError};
use crate::task::UserId;
use crate::{exit, telemetry};

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let sockets = Sockets::new(aws.config(), &config.socket_endpoint);
        let function = &Live::new(store, sockets, config.socket_url);
        lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
            Ok::<_, Error>(function.handle(event.payload.get()).await)
        }))
        .await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
    /// Where connections are opened.
    pub socket_url: String,
    /// Where connections are closed.
    pub socket_endpoint: String,
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
            table_name: environment.text("TABLE_NAME"),
            socket_url: environment.text("SOCKET_URL"),
            socket_endpoint: environment.text("SOCKET_ENDPOINT"),
        }
    }
}

/// What tells the kinds of invocations apart, none of which a client has a say in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    /// Of an authorizer: what is to be allowed.
    #[serde(default)]
    method_arn: Option<String>,
    #[serde(default)]
    query_string_parameters: Option<Query>,
    #[serde(default)]
    request_context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    ticket: Option<String>,
}

/// The context of a request of a WebSocket API (Amazon API Gateway Developer Guide, "Access logging variables").
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Context {
    event_type: Option<String>,
    connection_id: String,
    connected_at: u64,
    authorizer: Option<Authorized>,
}

/// What the authorizer said.
#[derive(Deserialize)]
struct Authorized {
    #[serde(default)]
    sub: String,
}

/// The function.
#[derive(Clone, Debug)]
pub struct Live {
    store: Store,
    sockets: Sockets,
    url: String,
}

impl Live {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store, sockets: Sockets, url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            store,
            sockets,
            url,
        }
    }

    /// Answers an invocation, whatever it is.
    pub async fn handle(&self, event: &str) -> Value {
        let invocation: Option<Invocation> = serde_json::from_str(event).ok();
        match invocation {
            Some(Invocation {
                method_arn: Some(arn),
                query_string_parameters,
                ..
            }) => {
                let ticket = query_string_parameters.and_then(|query| query.ticket);
                self.authorize(&arn, ticket).await
            }
            Some(Invocation {
                request_context: context,
                ..
            }) if context.event_type.is_some() => self.hear(&context).await,
            _ => {
                let request =
                    |request: Request| async move { api::answer(self.ticket(&request)).await };
                json!(serve::answer(request, event).await)
            }
        }
    }

    /// Hands a ticket to whoever is signed in.
    async fn ticket(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let user = api::user(request)?;
        if request.method() != Method::POST {
            return Err(ApiError::NotFound);
        }
        let ticket = Ticket::new(self.store.host());
        let good_to = self.store.add_ticket(&user, &ticket).await?;
        let url = format!("{}?ticket={}", self.url, ticket.as_str());
        Ok(api::success(
            json!({"url": url, "expires_at": good_to.to_string()}),
        ))
    }

    /// Lets in who has a ticket, as the user that was given it.
    async fn authorize(&self, arn: &str, ticket: Option<String>) -> Value {
        let user = match Ticket::presented(&ticket.unwrap_or_default()) {
            Some(ticket) => self.store.take_ticket(&ticket).await,
            None => Ok(None),
        };
        let user = user.unwrap_or_else(|error| {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "a ticket could not be looked at");
            None
        });
        let effect = match user {
            Some(_) => IamPolicyEffect::Allow,
            None => IamPolicyEffect::Deny,
        };
        let mut statement = IamPolicyStatement::default();
        statement.action = vec!["execute-api:Invoke".into()];
        statement.effect = effect;
        statement.resource = vec![arn.to_owned()];
        let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
        policy.version = Some("2012-10-17".into());
        policy.statement = vec![statement];
        let sub = user.as_ref().map(UserId::as_str);
        let mut answer = ApiGatewayCustomAuthorizerResponse::default();
        answer.principal_id = Some(sub.unwrap_or("nobody").to_owned());
        answer.policy_document = policy;
        answer.context = json!(sub.map(|sub| json!({"sub": sub})).unwrap_or_default());
        json!(answer)
    }

    /// Keeps the list of who is there.
    async fn hear(&self, context: &Context) -> Value {
        let status = match self.note(context).await {
            Ok(status) => status,
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::warn!(error, "a connection could not be noted");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        json!({"statusCode": status.as_u16()})
    }

    async fn note(&self, context: &Context) -> Result<StatusCode, StoreError> {
        let sub = context.authorizer.as_ref().map(|it| it.sub.as_str());
        let Some(user) = sub.and_then(UserId::from_claim) else {
            return Ok(StatusCode::FORBIDDEN);
        };
        let connection = Connection {
            id: context.connection_id.clone(),
            connected_at: Timestamp(context.connected_at),
        };
        match context.event_type.as_deref() {
            Some("CONNECT") => {
                if !self.store.connect(&user, &connection).await? {
                    return Ok(StatusCode::FORBIDDEN);
                }
                self.make_room(&user).await;
            }
            Some("DISCONNECT") => self.store.disconnect(&user, &connection).await?,
            // No other route leads here.
            _ => return Ok(StatusCode::NOT_FOUND),
        }
        Ok(StatusCode::OK)
    }

    /// Closes the user's oldest connections where there are too many. If it cannot, there are too many for a while.
    async fn make_room(&self, user: &UserId) {
        let connections = self.store.connections(user).await.unwrap_or_default();
        let too_many = connections.len().saturating_sub(Connection::OF_USER_MAX);
        for connection in &connections[..too_many] {
            let closed = self.sockets.close(connection).await;
            let is_opening = connection.may_be_opening(self.store.host().now());
            let forgotten = match &closed {
                Ok(was_open) if *was_open || !is_opening => {
                    self.store.forget(user, connection).await
                }
                _ => Ok(()),
            };
            if let Err(error) = closed {
                let error = telemetry::chain(&error);
                tracing::warn!(error, "a connection too many stays open");
            }
            if let Err(error) = forgotten {
                let error = telemetry::chain(&error);
                tracing::warn!(error, "a closed connection was not forgotten");
            }
        }
    }
}
