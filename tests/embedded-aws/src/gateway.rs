//! API Gateway's side of connections: which are open, and what was sent over them.

use std::collections::BTreeSet;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{Answer, Call};

/// How a path names a connection.
const CONNECTIONS: &str = "/@connections/";

/// The connections.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    pub(crate) open: BTreeSet<String>,
    pub(crate) posted: Vec<Posted>,
}

/// A text that was sent over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The connection's id.
    pub connection: String,
    /// The text.
    pub text: String,
}

/// The operation that a request of this method to this path asks for, and its parameters, if it is about a connection.
pub(crate) fn read(method: &str, path: &str, body: &[u8]) -> Option<(&'static str, Value)> {
    let (_, id) = path.split_once(CONNECTIONS)?;
    let id = percent_decode_str(id).decode_utf8_lossy();
    let text = String::from_utf8_lossy(body);
    let operation = match Method::from_bytes(method.as_bytes()).ok()? {
        Method::POST => "PostToConnection",
        Method::DELETE => "DeleteConnection",
        _ => return None,
    };
    Some((operation, json!({"ConnectionId": id, "Data": text})))
}

impl Gateway {
    pub(crate) fn carry_out(&mut self, call: &Call) -> Answer {
        let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
        let connection = text("ConnectionId");
        let is_open = self.open.contains(&connection);
        if !is_open {
            return gone();
        }
        if call.operation == "DeleteConnection" {
            self.open.remove(&connection);
        } else {
            self.posted.push(Posted {
                connection,
                text: text("Data"),
            });
        }
        Answer::ok(json!({}))
    }
}

fn gone() -> Answer {
    Answer {
        status: 410,
        ..Answer::error("GoneException", "The connection is closed.")
    }
}

/// The API is at its limit.
pub(crate) fn limited() -> Answer {
    Answer {
        status: 429,
        ..Answer::error("LimitExceededException", "over the limit")
    }
}
