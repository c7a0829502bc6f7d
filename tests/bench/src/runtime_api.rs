//! Lambda's runtime API: where a function asks for invocations and says what became of them.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::http::{self, Request, Response, Service};

const PATH: &str = "/2018-06-01/runtime/";

/// The API for one function.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    /// Functions that ask for an invocation, each with where it is to be sent.
    asked: Receiver<Sender<String>>,
    /// What became of invocations, and of starts that failed.
    told: Receiver<Told>,
}

/// What a function says.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// What it answers.
    Answer(Value),
    /// What it says of an invocation, or a start, that failed.
    Error(Value),
}

impl RuntimeApi {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn open() -> Result<Self> {
        let (asks, asked) = channel();
        let (tells, told) = channel();
        let desk = Desk {
            asks: Mutex::new(asks),
            tells: Mutex::new(tells),
        };
        Ok(Self {
            address: http::serve(desk, None)?,
            asked,
            told,
        })
    }

    /// Where it is, as a function is told.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The function's next question for an invocation; `None` if there is none for so long.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Sender<String>> {
        self.asked.recv_timeout(patience).ok()
    }

    /// What the function says next; `None` if it says nothing for so long.
    #[must_use]
    pub fn told(&self, patience: Duration) -> Option<Told> {
        self.told.recv_timeout(patience).ok()
    }
}

/// Where a function's requests arrive.
struct Desk {
    asks: Mutex<Sender<Sender<String>>>,
    tells: Mutex<Sender<Told>>,
}

impl Service for Desk {
    fn answer(&self, request: &Request) -> Option<Response> {
        let path = request.path.strip_prefix(PATH)?;
        let end = path.rsplit('/').next().unwrap_or_default();
        let accepted = |status, headers, body: &str| {
            Some(Response {
                status,
                headers,
                body: body.as_bytes().to_vec(),
            })
        };
        match (request.method.as_str(), end) {
            ("GET", "next") => {
                let (sends, event) = channel();
                send(&self.asks, sends);
                // Nobody has another invocation for it: the connection closes.
                let event = event.recv().ok()?;
                accepted(200, invocation(), &event)
            }
            ("POST", "response" | "error") => {
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                let told = if end == "error" {
                    Told::Error(body)
                } else {
                    Told::Answer(body)
                };
                send(&self.tells, told);
                accepted(202, json(), r#"{"status":"OK"}"#)
            }
            _ => accepted(404, json(), "{}"),
        }
    }
}

/// The run may be over.
fn send<T>(to: &Mutex<Sender<T>>, what: T) {
    let _ = to.lock().unwrap_or_else(PoisonError::into_inner).send(what);
}

fn json() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}

/// The headers of an invocation.
fn invocation() -> Vec<(&'static str, String)> {
    let mut headers = json();
    let of_lambda = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", "99999999999999"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:longhaul-function",
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        ),
    ];
    headers.extend(of_lambda.map(|(name, value)| (name, value.to_owned())));
    headers
}
