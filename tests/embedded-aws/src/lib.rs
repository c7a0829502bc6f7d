//! `DynamoDB`, SQS, `EventBridge`, API Gateway's connections and sign-in at Cognito in process, behind the AWS SDK's own HTTP connector. For tests only.
//!
//! The clients under test are the real `aws_sdk_*` clients: they serialise real requests, sign
//! them, retry them and parse real answers. Only the wire is replaced. `DynamoDB` is dynoxide, which
//! evaluates the very expressions that AWS will; SQS is a list of what was sent. So that the tests do
//! not prove what is true of dynoxide only, [`ENDPOINT_VARIABLE`] puts a server in its place.
//!
//! Between the two sits [`Faults`]: it sees every call before it is made and may have it crash its
//! caller, fail, time out, or take effect without the caller ever learning of it.

mod bus;
mod cognito;
mod cost;
mod dynamodb;
mod gateway;
mod lambda;
mod server;
mod sqs;

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use cognito::Accounts;
use gateway::Gateway;
use serde_json::{Value, json};

pub use cognito::{CLIENT_ID, Standing, USER_POOL_ID};
pub use cost::Cost;
pub use dynamodb::{ENDPOINT_VARIABLE, Table, plain};
pub use gateway::Posted;
pub use lambda::{
    Ended, Program, WORDS_OF_PROCESSING, assert_unconfigured_start_is_reported, program_contains,
};
pub use sqs::{QUEUE_URL, Sent};

/// How long `DynamoDB` recognises the repetition of a transaction by its token.
const TOKENS_REMEMBERED: Duration = Duration::from_secs(600);

/// A call as it leaves a client.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who makes it: the name given to [`EmbeddedAws::config`].
    pub caller: String,
    /// What it calls, such as `UpdateItem`.
    pub operation: String,
    /// The request's body.
    pub body: Value,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds, or fails on its own account.
    None,
    /// Its caller dies before making it: it has no effect, and never returns.
    CrashBefore,
    /// Its caller dies after making it: it takes effect, and never returns.
    CrashAfter,
    /// It takes effect, but the connection breaks before the answer arrives.
    LostAnswer,
    /// The connection cannot be made.
    Unreachable,
    /// It is refused because its caller, the table or the queue is over its limit.
    Throttled,
    /// It is refused because of a concurrent transaction; where that cannot be, throttled.
    Conflict,
    /// It does not return for the given time, and takes effect only then.
    Late(Duration),
    /// It is answered only after the given time, but takes effect at once.
    Slow(Duration),
    /// Of the entries or statements of a batch only every other one is accepted; the answer says so.
    /// A transaction is cancelled because one of its actions is throttled; any other call is throttled.
    Half,
    /// It succeeds or fails on its own account, but the answer leaves out the stored rows because of
    /// which conditions failed.
    Terse,
}

/// A call that reached its service.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "a database says nothing of use"
)]
pub struct Reached<'a> {
    /// The call.
    pub call: &'a Call,
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's body.
    pub body: &'a Value,
    /// What it cost.
    pub cost: Cost,
    /// The table after it.
    pub table: &'a Table,
}

/// Decides what happens to each call.
pub trait Faults: Send + Sync {
    /// The fate of `call`, which is about to be made.
    fn decide(&self, call: &Call) -> Fault;

    /// How long `call` is on its way to the service, and its answer on the way back. Both are
    /// nothing unless a test wants calls to overlap.
    fn latency(&self, call: &Call) -> (Duration, Duration) {
        let _ = call;
        (Duration::ZERO, Duration::ZERO)
    }

    /// What to answer to `call` instead of asking the table: an eventually consistent read may see
    /// what was.
    fn stale_answer(&self, call: &Call) -> Option<Value> {
        let _ = call;
        None
    }

    /// Told of every call that reached its service, right after it took effect or was refused there
    /// and before anybody else can see it.
    fn reached(&self, reached: &Reached<'_>) {
        let _ = reached;
    }
}

impl<F: Fn(&Call) -> Fault + Send + Sync> Faults for F {
    fn decide(&self, call: &Call) -> Fault {
        self(call)
    }
}

/// A `DynamoDB` table and an SQS queue in process.
#[derive(Clone)]
pub struct EmbeddedAws {
    table: Table,
    sent: Arc<Mutex<Vec<Sent>>>,
    gateway: Arc<Mutex<Gateway>>,
    events: Arc<Mutex<Vec<Value>>>,
    accounts: Arc<Mutex<Accounts>>,
    calls: Arc<Mutex<Vec<String>>>,
    cost: Arc<Mutex<Cost>>,
    faults: Arc<dyn Faults>,
}

impl fmt::Debug for EmbeddedAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedAws").finish_non_exhaustive()
    }
}

impl Default for EmbeddedAws {
    fn default() -> Self {
        Self::with_faults(|_: &Call| Fault::None)
    }
}

impl EmbeddedAws {
    /// An empty table and an empty queue, whose callers suffer these faults.
    pub fn with_faults(faults: impl Faults + 'static) -> Self {
        Self {
            table: Table::new(),
            sent: Arc::default(),
            gateway: Arc::default(),
            events: Arc::default(),
            accounts: Arc::default(),
            calls: Arc::default(),
            cost: Arc::default(),
            faults: Arc::new(faults),
        }
    }

    /// The configuration of a client that calls this instead of AWS, under the name `caller`.
    /// Retries and timeouts are the SDK's until the caller sets its own.
    #[must_use]
    pub fn config(&self, caller: &str) -> SdkConfig {
        let connector = SharedHttpConnector::new(Connector {
            aws: self.clone(),
            caller: caller.to_owned(),
        });
        let credentials = Credentials::new("embedded", "embedded", None, None, "embedded");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }

    /// A `DynamoDB` client with the defaults of [`Self::config`].
    #[must_use]
    pub fn dynamodb(&self, caller: &str) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config(caller))
    }

    /// An SQS client with the defaults of [`Self::config`].
    #[must_use]
    pub fn sqs(&self, caller: &str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config(caller))
    }

    /// Opens a connection.
    pub fn open_connection(&self, id: &str) {
        lock(&self.gateway).open.insert(id.to_owned());
    }

    /// Closes one, of which nobody is told.
    pub fn break_connection(&self, id: &str) {
        lock(&self.gateway).open.remove(id);
    }

    /// Whether one is open.
    #[must_use]
    pub fn is_open(&self, connection: &str) -> bool {
        lock(&self.gateway).open.contains(connection)
    }

    /// Takes what was sent over connections since the last time.
    #[must_use]
    pub fn take_posted(&self) -> Vec<Posted> {
        std::mem::take(&mut lock(&self.gateway).posted)
    }

    /// Makes a user whom Cognito knows.
    pub fn add_account(&self, name: &str, password: &str, standing: Standing) {
        lock(&self.accounts).add(name, password, standing);
    }

    /// Takes what was put on the event bus since the last time.
    #[must_use]
    pub fn take_events(&self) -> Vec<Value> {
        std::mem::take(&mut *lock(&self.events))
    }

    /// The table, for looking at it and for preparing it.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Takes what was sent to the queue since the last time.
    #[must_use]
    pub fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *lock(&self.sent))
    }

    /// Takes the operations called since the last time, in order, the SDK's own retries included.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.calls))
    }

    /// Takes what the calls since the last time cost.
    #[must_use]
    pub fn take_cost(&self) -> Cost {
        std::mem::take(&mut *lock(&self.cost))
    }

    /// Lets the call take effect, whatever the faults: for callers that speak to it in another way than by
    /// [`Self::config`].
    #[must_use]
    pub fn carry_out(&self, call: &Call) -> Answer {
        lock(&self.calls).push(call.operation.clone());
        let answer = match call.operation.as_str() {
            "SendMessage" | "SendMessageBatch" => {
                let (answer, sent) = sqs::send(call);
                lock(&self.sent).extend(sent);
                answer
            }
            "PostToConnection" | "DeleteConnection" => lock(&self.gateway).carry_out(call),
            "PutEvents" => self.put_events(call, |_| false),
            "AdminInitiateAuth" => lock(&self.accounts).sign_in(call),
            _ => match self.faults.stale_answer(call) {
                Some(body) => Answer::ok(body),
                None => self.table.call(&call.operation, &Cost::ask(&call.body)),
            },
        };
        self.conclude(call, answer)
    }

    /// Has the call's cost counted and tells of it.
    fn conclude(&self, call: &Call, mut answer: Answer) -> Answer {
        let cost = Cost::take(call, &mut answer.body);
        *lock(&self.cost) += cost;
        self.faults.reached(&Reached {
            call,
            status: answer.status,
            body: &answer.body,
            cost,
            table: &self.table,
        });
        answer
    }

    fn put_events(&self, call: &Call, is_refused: impl Fn(usize) -> bool) -> Answer {
        let (answer, put) = bus::put(call, is_refused);
        lock(&self.events).extend(put);
        answer
    }

    /// Lets every other row of a batch be written, and hands the rest back.
    fn write_half(&self, call: &Call) -> Answer {
        let table = self.table.name();
        let rows = call.body["RequestItems"][table].as_array();
        let (mut written, mut left) = (vec![], vec![]);
        for (n, row) in rows.into_iter().flatten().enumerate() {
            let half = if n % 2 == 1 { &mut written } else { &mut left };
            half.push(row.clone());
        }
        let mut accepted = call.clone();
        accepted.body["RequestItems"] = json!({ table: written });
        let mut answer = if written.is_empty() {
            Answer::ok(json!({}))
        } else {
            self.carry_out(&accepted)
        };
        answer.body["UnprocessedItems"] = json!({ table: left });
        answer
    }

    /// Lets every other part of a batch take effect and refuses the rest.
    fn carry_out_half(&self, call: &Call) -> Answer {
        let (list, results) = match call.operation.as_str() {
            "SendMessageBatch" => ("Entries", "Successful"),
            "BatchExecuteStatement" => ("Statements", "Responses"),
            "TransactWriteItems" => return cancelled(call, "ThrottlingError"),
            "BatchWriteItem" => return self.write_half(call),
            "PutEvents" => {
                lock(&self.calls).push(call.operation.clone());
                let answer = self.put_events(call, |n| n % 2 == 0);
                return self.conclude(call, answer);
            }
            _ => return throttled(call),
        };
        let parts = call.body[list].as_array().cloned().unwrap_or_default();
        let every_other = |remainder| {
            let chosen = parts.iter().enumerate();
            chosen
                .filter(move |(n, _)| n % 2 == remainder)
                .map(|(_, part)| part.clone())
        };
        let mut accepted = call.clone();
        accepted.body[list] = every_other(1).collect();
        let mut answer = if parts.len() > 1 {
            self.carry_out(&accepted)
        } else {
            Answer::ok(json!({ results: [] }))
        };
        if call.operation == "SendMessageBatch" {
            let refused = every_other(0).map(|entry| {
                json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false, "Message": "refused"})
            });
            answer.body["Failed"] = refused.collect();
        } else {
            let refusal = |n| {
                let codes = ["ThrottlingError", "InternalServerError"];
                json!({"Error": {"Code": codes[n / 2 % 2], "Message": "refused"}})
            };
            let given = answer.body[results].as_array().cloned().unwrap_or_default();
            let mut given = given.into_iter();
            answer.body[results] = (0..parts.len())
                .map(|n| match n % 2 {
                    0 => refusal(n),
                    _ => given.next().unwrap_or_default(),
                })
                .collect();
        }
        answer
    }
}

/// A test that panicked with the lock held has failed already; the data is still good to look at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a service answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON.
    pub body: Value,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    pub(crate) fn error(kind: &str, message: &str) -> Self {
        Self {
            status: 400,
            body: json!({"__type": kind, "message": message}),
        }
    }
}

#[derive(Debug)]
struct Connector {
    aws: EmbeddedAws,
    caller: String,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let bytes = request.body().bytes().unwrap_or_default();
        let path = request.uri().split('?').next().unwrap_or_default();
        let (operation, body) = gateway::read(request.method(), path, bytes).unwrap_or_else(|| {
            // `DynamoDB_20120810.GetItem`, `AmazonSQS.SendMessage`, `AWSEvents.PutEvents`
            let target = request.headers().get("x-amz-target");
            let operation = target.and_then(|target| target.split('.').next_back());
            let body = serde_json::from_slice(bytes).unwrap_or_default();
            (operation.unwrap_or_default(), body)
        });
        let call = Call {
            caller: self.caller.clone(),
            operation: operation.to_owned(),
            body,
        };
        let aws = self.aws.clone();
        HttpConnectorFuture::new(async move { suffer(&aws, call).await })
    }
}

/// Makes the call suffer its fate.
async fn suffer(aws: &EmbeddedAws, call: Call) -> Result<HttpResponse, ConnectorError> {
    let broken = |what: &str| Err(ConnectorError::io(what.to_owned().into()));
    let (there, back) = aws.faults.latency(&call);
    if !there.is_zero() {
        tokio::time::sleep(there).await;
    }
    let result = match aws.faults.decide(&call) {
        Fault::None => respond(&aws.carry_out(&call)),
        Fault::CrashBefore => pending().await,
        Fault::CrashAfter => {
            let _ = aws.carry_out(&call);
            pending().await
        }
        Fault::LostAnswer => {
            let _ = aws.carry_out(&call);
            broken("the answer was lost")
        }
        Fault::Unreachable => broken("unreachable"),
        Fault::Throttled => respond(&throttled(&call)),
        Fault::Conflict => respond(&conflict(&call)),
        Fault::Late(delay) => {
            // The request is on its way whether or not the client still waits for the answer.
            let aws = aws.clone();
            let mut call = call;
            if delay > TOKENS_REMEMBERED
                && let Some(fields) = call.body.as_object_mut()
            {
                fields.remove("ClientRequestToken");
            }
            let on_its_way = tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                aws.carry_out(&call)
            });
            match on_its_way.await {
                Ok(answer) => respond(&answer),
                Err(_) => broken("the request was lost"),
            }
        }
        Fault::Slow(delay) => {
            let answer = aws.carry_out(&call);
            tokio::time::sleep(delay).await;
            respond(&answer)
        }
        Fault::Half => respond(&aws.carry_out_half(&call)),
        Fault::Terse => {
            let mut answer = aws.carry_out(&call);
            leave_out_rows(&mut answer.body);
            respond(&answer)
        }
    };
    if !back.is_zero() {
        tokio::time::sleep(back).await;
    }
    result
}

/// Takes the stored rows out of an answer that says which conditions failed.
fn leave_out_rows(body: &mut Value) {
    let refused = |part: &mut Value| {
        let fields = part.as_object_mut();
        fields.and_then(|fields| fields.remove("Item"));
    };
    for list in ["CancellationReasons", "Responses"] {
        let parts = body.get_mut(list).and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten() {
            match part.get_mut("Error") {
                Some(error) => refused(error),
                None if list == "CancellationReasons" => refused(part),
                None => {}
            }
        }
    }
    if body.get("__type").is_some() {
        refused(body);
    }
}

fn throttled(call: &Call) -> Answer {
    let kind = match call.operation.as_str() {
        "SendMessage" | "SendMessageBatch" => "com.amazonaws.sqs#RequestThrottled",
        "PutEvents" => "com.amazonaws.events#ThrottlingException",
        "AdminInitiateAuth" => "TooManyRequestsException",
        "PostToConnection" | "DeleteConnection" => return gateway::limited(),
        _ => "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    };
    Answer::error(kind, "over the limit")
}

fn conflict(call: &Call) -> Answer {
    match call.operation.as_str() {
        "TransactWriteItems" => cancelled(call, "TransactionConflict"),
        "UpdateItem" | "PutItem" | "DeleteItem" => Answer::error(
            "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
            "Transaction is ongoing for the item",
        ),
        _ => throttled(call),
    }
}

/// A transaction that was cancelled on account of its first action.
fn cancelled(call: &Call, code: &str) -> Answer {
    let actions = call.body["TransactItems"].as_array().map_or(0, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); actions];
    reasons[0] = json!({"Code": code, "Message": "refused"});
    let mut answer = Answer::error(
        "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Transaction cancelled",
    );
    answer.body["CancellationReasons"] = Value::Array(reasons);
    answer
}

fn respond(answer: &Answer) -> Result<HttpResponse, ConnectorError> {
    let response = http::Response::builder()
        .status(answer.status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(SdkBody::from(answer.body.to_string()))
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}
