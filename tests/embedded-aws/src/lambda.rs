//! Functions' programs: what Lambda hears of one that cannot start, and what is in one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

/// The id of the only invocation.
const INVOCATION: &str = "invocation-1";

/// How the start of a function failed.
#[derive(Clone, Debug, PartialEq)]
struct FailedStart {
    /// What it told Lambda's runtime API of the invocation that waited for it.
    told: Value,
    /// Its exit code.
    exit_code: Option<i32>,
    /// Its log.
    log: String,
}

/// Starts a function's program as Lambda does, with an invocation waiting for it, but without any configuration: it must
/// say that it cannot run, and end, and tell its log why, and nobody else.
///
/// # Panics
///
/// When it does not.
pub fn assert_unconfigured_start_is_reported(program: &str) {
    let start = start_unconfigured(program);
    let told = json!({
        "errorType": "Runtime.CannotRun",
        "errorMessage": "The function cannot run. Its log says why.",
    });
    assert_eq!((start.told, start.exit_code), (told, Some(1)));
    assert!(start.log.contains("TABLE_NAME is missing"), "{}", start.log);
}

/// What only the processing of items says, of all that the job `import-contacts` can do: in its own words, and in those of
/// the libraries that it judges addresses with and stores them.
pub const WORDS_OF_PROCESSING: [&str; 3] = [
    "is no e-mail address",
    "Domain is empty.",
    "DynamoDB_20120810.PutItem",
];

/// Whether a program contains this text.
///
/// # Panics
///
/// When it cannot be read.
#[must_use]
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
pub fn program_contains(program: &str, text: &str) -> bool {
    let program = std::fs::read(program).expect("the program can be read");
    let text = text.as_bytes();
    program.windows(text.len()).any(|window| window == text)
}

#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
fn start_unconfigured(program: &str) -> FailedStart {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let runtime_api = thread::spawn(move || {
        let mut callers = listener.incoming();
        while let Some(Ok(caller)) = callers.next() {
            match hear(caller)? {
                Heard::Next => {}
                Heard::Error(told) => return Some(told),
            }
        }
        None
    });
    let output = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("the program runs");
    // It waits for answers, so what was not heard by now was not said; then this call ends the waiting.
    drop(TcpStream::connect(address));
    let told = runtime_api.join().expect("it does not panic");
    FailedStart {
        told: told.expect("a word about the invocation"),
        exit_code: output.status.code(),
        log: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

enum Heard {
    Next,
    Error(Value),
}

/// Answers one call; `None` when it is none of those that belong here.
fn hear(caller: TcpStream) -> Option<Heard> {
    let mut reader = BufReader::new(caller);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;

    let (method, path) = lines.first()?.split_once(" /2018-06-01/runtime/")?;
    let path = path.strip_suffix(" http/1.1")?;
    let error_of = path.strip_prefix("invocation/")?.strip_suffix("/error");
    let (heard, answer) = match (method, path) {
        ("get", "invocation/next") => {
            let id = format!("lambda-runtime-aws-request-id: {INVOCATION}\r\n");
            (Heard::Next, format!("200 OK\r\n{id}content-length: 2"))
        }
        ("post", _) if error_of == Some(INVOCATION) => {
            let told = serde_json::from_slice(&body).ok()?;
            let answer = "202 Accepted\r\ncontent-length: 0";
            (Heard::Error(told), answer.to_owned())
        }
        _ => return None,
    };
    let body = if matches!(heard, Heard::Next) {
        "{}"
    } else {
        ""
    };
    let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n{body}");
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some(heard)
}
