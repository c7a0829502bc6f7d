//! A function's program as Lambda runs it: with the runtime API that it asks for invocations, and AWS behind the same
//! loopback port.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::{Call, EmbeddedAws};

/// A program that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const RUNTIME_API: &str = "/2018-06-01/runtime/";

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// The calls that wait for an invocation.
    waiting: Receiver<Request>,
    /// What became of invocations.
    told: Receiver<Result<Value, Value>>,
    log: thread::JoinHandle<String>,
}

/// How a program ended by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its exit code, unless it was killed.
    pub exit_code: Option<i32>,
    /// Its log.
    pub log: String,
}

impl Program {
    /// Starts a program in the environment that Lambda gives it, and with these variables.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn start(path: &str, aws: &EmbeddedAws, variables: &[(&str, &str)]) -> Self {
        let server = Server::http("127.0.0.1:0").expect("a free port");
        let address = server.server_addr().to_string();
        let (waits, waiting) = channel();
        let (tells, told) = channel();
        let desk = Desk {
            aws: aws.clone(),
            waits,
            tells,
        };
        // It ends with the test's process.
        thread::spawn(move || server.incoming_requests().for_each(|call| desk.hear(call)));
        let mut child = Command::new(path)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "embedded")
            .env("AWS_SECRET_ACCESS_KEY", "embedded")
            .env("AWS_ENDPOINT_URL", format!("http://{address}"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program can be started");
        let mut output = child.stdout.take().expect("its output is piped");
        let log = thread::spawn(move || {
            let mut log = Vec::new();
            // What was read until then is what there is.
            let _ = output.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        });
        Self {
            child,
            waiting,
            told,
            log,
        }
    }

    /// Has it deal with an invocation, and returns what it answers.
    ///
    /// # Errors
    ///
    /// What it says of the invocation that failed.
    ///
    /// # Panics
    ///
    /// When it does not deal with it.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn invoke(&self, event: &Value) -> Result<Value, Value> {
        let next = self.waiting.recv_timeout(PATIENCE);
        let mut invocation = Response::from_string(event.to_string());
        for (name, value) in [
            ("lambda-runtime-aws-request-id", "invocation"),
            ("lambda-runtime-deadline-ms", "99999999999999"),
            ("lambda-runtime-invoked-function-arn", "arn"),
        ] {
            let header = Header::from_bytes(name, value).expect("a header");
            invocation.add_header(header);
        }
        let next = next.expect("it asks for an invocation");
        next.respond(invocation).expect("it hears of it");
        let told = self.told.recv_timeout(PATIENCE);
        told.expect("it says what became of it")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn ended(mut self) -> Ended {
        let mut patience = PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            assert!(!patience.is_zero(), "the program goes on");
            let pause = Duration::from_millis(20);
            thread::sleep(pause);
            patience = patience.saturating_sub(pause);
        };
        let log = std::mem::replace(&mut self.log, thread::spawn(String::new));
        Ended {
            exit_code: status.code(),
            log: log.join().expect("its log was read"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program's calls arrive.
struct Desk {
    aws: EmbeddedAws,
    waits: Sender<Request>,
    tells: Sender<Result<Value, Value>>,
}

impl Desk {
    /// Deals with one call. Who is gone by then, the program or the test, need not be told.
    fn hear(&self, mut request: Request) {
        let mut body = Vec::new();
        let _ = request.as_reader().read_to_end(&mut body);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let url = request.url().to_owned();
        let asked = url
            .strip_prefix(RUNTIME_API)
            .map(|path| path.rsplit_once('/'));
        let (status, answer) = match (request.method(), asked) {
            (Method::Get, Some(Some((_, "next")))) => {
                let _ = self.waits.send(request);
                return;
            }
            (Method::Post, Some(Some((_, end @ ("response" | "error"))))) => {
                let told = if end == "error" { Err(body) } else { Ok(body) };
                let _ = self.tells.send(told);
                (202, json!({}))
            }
            (Method::Post, None) => self.call(&request, body),
            _ => (404, json!({})),
        };
        let _ = request.respond(Response::from_string(answer.to_string()).with_status_code(status));
    }

    fn call(&self, request: &Request, body: Value) -> (u16, Value) {
        let is_target = |header: &&Header| header.field.equiv("x-amz-target");
        let target = request.headers().iter().find(is_target);
        let target = target.map_or("", |header| header.value.as_str());
        let answer = self.aws.carry_out(&Call {
            caller: "program".into(),
            operation: target.rsplit('.').next().unwrap_or_default().into(),
            body,
        });
        (answer.status, answer.body)
    }
}

/// Starts a function's program as Lambda does, with an invocation waiting for it, but without any configuration: it must
/// say that it cannot run, and end, and tell its log why, and nobody else.
///
/// # Panics
///
/// When it does not.
pub fn assert_unconfigured_start_is_reported(path: &str) {
    let program = Program::start(path, &EmbeddedAws::default(), &[]);
    let told = program.invoke(&json!({}));
    let expected = json!({
        "errorType": "Runtime.CannotRun",
        "errorMessage": "The function cannot run. Its log says why.",
    });
    assert_eq!(told, Err(expected));
    let Ended { exit_code, log } = program.ended();
    assert_eq!(exit_code, Some(1), "{log}");
    assert!(log.contains(" is missing"), "{log}");
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
pub fn program_contains(path: &str, text: &str) -> bool {
    let program = std::fs::read(path).expect("the program can be read");
    let text = text.as_bytes();
    program.windows(text.len()).any(|window| window == text)
}
