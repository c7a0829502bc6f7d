//! What Lambda hears of a function that cannot start.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

/// How the start of a function failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedStart {
    /// The call of Lambda's runtime API that it made: method and path.
    pub call: String,
    /// The call's body.
    pub told: Value,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Its log.
    pub log: String,
}

/// Starts a function's program as Lambda does, but without any configuration.
///
/// # Panics
///
/// When it cannot be started, or ends without calling the runtime API, which no test of it can do without.
#[must_use]
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn start_unconfigured(program: &str) -> FailedStart {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let heard = thread::spawn(move || listener.accept().map(|(caller, _)| hear(caller)));
    let output = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program runs");
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    // It waits for the answer, so whoever has not been heard by now has not called; then this call ends the waiting.
    drop(TcpStream::connect(address));
    let heard = heard.join().expect("it does not panic");
    let (call, told) = heard.expect("a caller").unwrap_or_default();
    FailedStart {
        call,
        told,
        exit_code: output.status.code(),
        log,
    }
}

/// Reads one call and accepts it: the first line without the protocol, and the body.
fn hear(caller: TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(caller);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length?.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    reader.get_mut().write_all(answer).ok()?;
    let call = head.first()?.strip_suffix(" http/1.1")?.to_owned();
    Some((call, serde_json::from_slice(&body).ok()?))
}
