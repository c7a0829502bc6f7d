//! A table of a server that speaks `DynamoDB`'s protocol.
//!
//! Its calls block their thread. That is on purpose: to a test on the paused clock they take no time, as those to the
//! database in process.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::Answer;

/// A server that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        // A server closes connections that nobody uses.
        .max_idle_age(Duration::from_secs(1))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
});

/// A table that no other test has. It is deleted with its last user.
pub(crate) struct ServedTable {
    endpoint: String,
    name: String,
    authorization: String,
}

impl ServedTable {
    pub(crate) fn of(endpoint: &str) -> Self {
        let drawn = RandomState::new().hash_one("a table");
        // A server remembers for an account which transactions it has seen, and tests draw the same tokens for theirs. To
        // MiniStack a key of twelve digits is an account.
        let key = drawn % 1_000_000_000_000;
        let scope = "20260101/us-east-1/dynamodb/aws4_request";
        Self {
            endpoint: endpoint.to_owned(),
            name: format!("tasks-{drawn:016x}"),
            // Nobody checks the signature.
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential={key:012}/{scope}, SignedHeaders=host, Signature=0"
            ),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// # Panics
    ///
    /// When the server does not answer. To pass that on as a broken connection would have the code under test deal with
    /// it, and the test say something else.
    pub(crate) fn call(&self, operation: &str, request: &Value) -> Answer {
        match self.ask(operation, request) {
            Ok(answer) => answer,
            Err(error) => panic!(
                "the DynamoDB at {} does not answer {operation}: {error}",
                self.endpoint
            ),
        }
    }

    fn ask(&self, operation: &str, request: &Value) -> Result<Answer, ureq::Error> {
        let mut response = AGENT
            .post(&self.endpoint)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("authorization", &self.authorization)
            .content_type("application/x-amz-json-1.0")
            .send(request.to_string())?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response.body_mut().read_json()?,
        })
    }
}

impl Drop for ServedTable {
    fn drop(&mut self) {
        // A thousand tables in one run would fill the server's memory.
        let deleted = self.ask("DeleteTable", &json!({"TableName": self.name}));
        if let (Err(error), false) = (deleted, thread::panicking()) {
            eprintln!("the table {} is left behind: {error}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        (listener, endpoint)
    }

    #[test]
    fn a_table_is_deleted_with_its_last_user() {
        let (listener, endpoint) = listener();
        let server = thread::spawn(move || {
            let connection = listener.accept().unwrap().0;
            let head = BufReader::new(&connection).lines().map(Result::unwrap);
            let head: Vec<_> = head.take_while(|line| !line.is_empty()).collect();
            (&connection)
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .unwrap();
            head
        });
        drop(ServedTable::of(&endpoint));
        let head = server.join().unwrap();
        let target = "x-amz-target: DynamoDB_20120810.DeleteTable";
        assert!(head.iter().any(|line| line == target), "{head:?}");
    }

    #[test]
    #[should_panic(expected = "does not answer GetItem")]
    fn a_server_that_is_gone_fails_the_test() {
        let (listener, endpoint) = listener();
        drop(listener);
        ServedTable::of(&endpoint).call("GetItem", &json!({}));
    }
}
