//! `DynamoDB` and SQS at endpoints of their own, answering from memory: [`EmbeddedAws`] behind real connections.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use embedded_aws::{Call, EmbeddedAws};
use rustls::ServerConfig;
use serde_json::Value;

use crate::http::{self, Request, Response, Service};
use crate::ledger::Ledger;

/// The endpoints of one run.
#[derive(Clone, Debug)]
pub struct Services {
    /// What is behind them.
    pub aws: EmbeddedAws,
    /// Where what reaches them is counted.
    pub ledger: Ledger,
    dynamodb: SocketAddr,
    sqs: SocketAddr,
    scheme: &'static str,
}

impl Services {
    /// Opens the endpoints, with TLS if there is a certificate to show.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn open(tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let (aws, ledger) = (EmbeddedAws::default(), Ledger::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        // Two, as AWS has: a client that has a connection to the one has none to the other.
        let open = |tls| {
            let endpoint = Endpoint {
                aws: aws.clone(),
                ledger: ledger.clone(),
            };
            http::serve(endpoint, tls)
        };
        Ok(Self {
            dynamodb: open(tls.clone())?,
            sqs: open(tls)?,
            aws,
            ledger,
            scheme,
        })
    }

    /// The variables that lead a client of any SDK here.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let url = |address| format!("{}://{address}", self.scheme);
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", url(self.dynamodb)),
            ("AWS_ENDPOINT_URL_SQS", url(self.sqs)),
        ]
    }
}

struct Endpoint {
    aws: EmbeddedAws,
    ledger: Ledger,
}

impl Service for Endpoint {
    fn connected(&self) {
        self.ledger.count(|counts| counts.connections += 1);
    }

    fn answer(&self, request: &Request) -> Option<Response> {
        let target = request.header("x-amz-target");
        // A client that only opens its connection asks nothing of a service, or nothing that it knows.
        let operation = target.rsplit('.').next().filter(|name| !name.is_empty());
        let (status, body) = match operation {
            None => (404, Vec::new()),
            Some(operation) => {
                let answer = self.aws.carry_out(&Call {
                    caller: "function".to_owned(),
                    operation: operation.to_owned(),
                    body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
                });
                (answer.status, answer.body.to_string().into_bytes())
            }
        };
        self.ledger.count(|counts| {
            let operation = operation.unwrap_or(&request.method);
            *counts.calls.entry(operation.to_owned()).or_default() += 1;
            counts.bytes_sent += request.body.len() as u64;
            counts.bytes_received += body.len() as u64;
        });
        let headers = vec![
            ("server", "Server".to_owned()),
            ("date", "Fri, 27 Nov 2026 10:00:00 GMT".to_owned()),
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("connection", "keep-alive".to_owned()),
            ("x-amzn-requestid", REQUEST_ID.to_owned()),
        ];
        Some(Response {
            status,
            headers,
            body,
        })
    }
}

/// As long as those of AWS.
const REQUEST_ID: &str = "H5T3V4O2MSBBFCG3K2ARP0BPHVVV4KQNSO5AEMVJF66Q9ASUAAJG";
