//! A small client for tests of a deployed stack: its users, its HTTP API, and a look into its table and queues.
//!
//! It knows the stack only by its description, the file that the environment variable `LONGHAUL_STACK` names, and
//! shares no code with what it tests. Everything blocks; what must happen at the same time runs in threads.

mod aws;
pub mod endpoint;
pub mod live;
pub mod secrets;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use aws_smithy_types::base64;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// The collection of tasks; an id and a slash follow for a single one.
pub const TASKS: &str = "/api/tuned-long-running-task/";

/// Longer than any answer takes, even with a hundred cold functions on two cores.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// How often [`wait_until`] looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The stack under test, as `stack.json` describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Stack {
    /// Its name, with which those of its functions begin.
    #[serde(rename = "stack_name")]
    pub name: String,
    /// The emulator's URL.
    pub endpoint_url: String,
    /// The AWS region that it stands for.
    pub region: String,
    /// The API's URL, without a slash at the end.
    pub api_url: String,
    /// That of the API for HTTP Basic.
    pub basic_api_url: String,
    /// The page's URL, without a slash at the end.
    pub page_url: String,
    /// The Cognito user pool.
    pub user_pool_id: String,
    /// The app client that users sign in with.
    pub client_id: String,
    /// The `DynamoDB` table.
    pub table_name: String,
    /// The table of imported contacts.
    pub contacts_table_name: String,
    /// The worker's queue.
    pub queue_url: String,
    /// The queue of the messages that could not be processed.
    pub dlq_url: String,
    /// The WebSocket API.
    pub socket_api_id: String,
    /// As whose events it is told that tasks have ended.
    pub event_source: String,
    /// The queue of the ends that could not be told.
    pub ended_failures_url: String,
    /// How users say who they are.
    #[serde(skip)]
    authentication: Authentication,
}

/// How users say who they are. Each API takes one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Authentication {
    /// With an access token.
    #[default]
    Token,
    /// With name and password.
    Basic,
}

/// A signed-in user.
#[derive(Debug, Clone)]
pub struct User {
    stack: Stack,
    /// The name that the user signed in with.
    pub name: String,
    /// Cognito's immutable id, by which the stack knows the user.
    pub sub: String,
    /// The access token.
    pub token: String,
    /// The ID token, which says who somebody is and opens nothing.
    pub id_token: String,
    /// The token for new ones.
    pub refresh_token: String,
    password: String,
    /// What is sent as `Authorization`.
    pub authorization: String,
}

/// What the API answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// How often it took to ask.
    pub tries: u32,
}

/// How often a request is made that is answered 503. A busy machine has no time for it now and then, and whoever gets such an
/// answer tries again; one that is given for good is found all the same.
const TRIES_MAX: u32 = 5;

impl Stack {
    /// The stack that `LONGHAUL_STACK` describes; its API for HTTP Basic, where `LONGHAUL_AUTHENTICATION` is `basic`.
    ///
    /// # Errors
    ///
    /// When the variable is missing or names no readable description.
    pub fn load() -> Result<Self> {
        let path = env::var("LONGHAUL_STACK").ok().filter(|path| !path.is_empty()).context(
            "LONGHAUL_STACK is not set: these tests need a deployed stack. `cargo xtask test` starts one and runs them; \
             against a running one: LONGHAUL_STACK=.local/stack.json cargo test -p e2e",
        )?;
        // Tests run in their package's directory, developers type paths from the workspace's.
        let from_workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let text = fs::read(&path)
            .or_else(|_| fs::read(format!("{from_workspace}{path}")))
            .with_context(|| {
                format!("LONGHAUL_STACK={path} cannot be read; is the stack running?")
            })?;
        let stack: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{path} does not describe a stack"))?;
        let is_basic = env::var("LONGHAUL_AUTHENTICATION").is_ok_and(|it| it == "basic");
        Ok(if is_basic { stack.basic() } else { stack })
    }

    /// The same stack, by its API for HTTP Basic.
    #[must_use]
    pub fn basic(&self) -> Self {
        Self {
            api_url: self.basic_api_url.clone(),
            authentication: Authentication::Basic,
            ..self.clone()
        }
    }

    /// A new user with a random name, signed in.
    ///
    /// # Errors
    ///
    /// When Cognito does not play along.
    pub fn user(&self) -> Result<User> {
        let name = format!("user-{}", uuid::Uuid::new_v4());
        let password = format!("{}-Aa1", uuid::Uuid::new_v4());
        let pool = &self.user_pool_id;
        let cognito = |operation: &str, request: Value| self.cognito(operation, &request);
        let created = cognito(
            "AdminCreateUser",
            json!({"UserPoolId": pool, "Username": name, "MessageAction": "SUPPRESS"}),
        )?;
        let attributes = created["User"]["Attributes"]
            .as_array()
            .context("the new user has no attributes")?;
        let sub = attributes
            .iter()
            .find(|attribute| attribute["Name"] == "sub")
            .context("the new user has no sub")?;
        let sub = sub["Value"]
            .as_str()
            .context("the sub is no text")?
            .to_owned();
        cognito(
            "AdminSetUserPassword",
            json!({"UserPoolId": pool, "Username": name, "Password": password, "Permanent": true}),
        )?;
        let tokens = self.sign_in(&self.client_id, &name, &password)?;
        let basic = basic_authorization(&name, &password);
        for secret in [&name, &password, &basic["Basic ".len()..]] {
            secrets::note(secret)?;
        }
        for token in ["AccessToken", "IdToken", "RefreshToken"] {
            // A part of it would be as bad; of those with three, the first is the same for all.
            let token = text_of(&tokens, token)?;
            let parts = token.split('.').skip(1).chain([token.as_str()]);
            parts
                .filter(|part| part.len() > 20)
                .try_for_each(secrets::note)?;
        }
        let token = text_of(&tokens, "AccessToken")?;
        let authorization = match self.authentication {
            Authentication::Token => format!("Bearer {token}"),
            Authentication::Basic => basic,
        };
        Ok(User {
            stack: self.clone(),
            sub,
            token,
            authorization,
            id_token: text_of(&tokens, "IdToken")?,
            refresh_token: text_of(&tokens, "RefreshToken")?,
            name,
            password,
        })
    }

    /// A call of Cognito.
    ///
    /// # Errors
    ///
    /// When the call fails.
    pub fn cognito(&self, operation: &str, request: &Value) -> Result<Value> {
        let target = format!("AWSCognitoIdentityProviderService.{operation}");
        self.aws("cognito-idp", &target, request)
    }

    /// The tokens that a client of the pool is given for a user.
    fn sign_in(&self, client_id: &str, name: &str, password: &str) -> Result<Value> {
        let session = self.cognito(
            "InitiateAuth",
            &json!({
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": client_id,
                "AuthParameters": {"USERNAME": name, "PASSWORD": password},
            }),
        )?;
        Ok(session["AuthenticationResult"].clone())
    }

    /// The user's access token, of a client that is not the page's.
    ///
    /// # Errors
    ///
    /// When Cognito does not play along.
    pub fn token_of_another_client(&self, user: &User) -> Result<String> {
        let client_id = self.make_client(&self.user_pool_id)?;
        let tokens = self.sign_in(&client_id, &user.name, &user.password)?;
        text_of(&tokens, "AccessToken")
    }

    /// An access token of a pool that has nothing to do with the stack.
    ///
    /// # Errors
    ///
    /// When Cognito does not play along.
    pub fn token_of_another_pool(&self) -> Result<String> {
        let made = self.cognito("CreateUserPool", &json!({"PoolName": "another"}))?;
        let pool = text_of(&made["UserPool"], "Id")?;
        let client_id = self.make_client(&pool)?;
        let another = Self {
            user_pool_id: pool,
            client_id,
            ..self.clone()
        };
        Ok(another.user()?.token)
    }

    fn make_client(&self, pool: &str) -> Result<String> {
        let made = self.cognito(
            "CreateUserPoolClient",
            &json!({
                "UserPoolId": pool,
                "ClientName": "another",
                "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
            }),
        )?;
        text_of(&made["UserPoolClient"], "ClientId")
    }

    /// Calls the API with exactly these headers.
    ///
    /// # Errors
    ///
    /// When there is no answer; an answer with an error status is an answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        send(method, &format!("{}{path}", self.api_url), headers, body)
    }

    /// Asks for anything that the emulator serves.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn fetch(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        send("GET", &format!("{}{path}", self.endpoint_url), headers, b"")
    }

    /// The items of a partition of the table: `USER#<sub>`, `TASK#<task id>` or `TASK#<task id>#<chunk>`.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn rows(&self, partition: &str) -> Result<Vec<Value>> {
        self.query(&self.table_name, "pk", partition)
    }

    /// The contacts of a user.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn contacts(&self, sub: &str) -> Result<Vec<Value>> {
        self.query(&self.contacts_table_name, "user", sub)
    }

    fn query(&self, table: &str, key: &str, partition: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut request = json!({
            "TableName": table,
            "ConsistentRead": true,
            "KeyConditionExpression": "#key = :partition",
            "ExpressionAttributeNames": {"#key": key},
            "ExpressionAttributeValues": {":partition": {"S": partition}},
        });
        loop {
            let page = self.aws("dynamodb", "DynamoDB_20120810.Query", &request)?;
            rows.extend(page["Items"].as_array().into_iter().flatten().cloned());
            if page["LastEvaluatedKey"].is_null() {
                return Ok(rows);
            }
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }

    /// A call of an operation such as `DynamoDB_20120810.Query`, with the emulator's root credentials.
    ///
    /// # Errors
    ///
    /// When the call fails.
    pub fn aws(&self, service: &str, target: &str, request: &Value) -> Result<Value> {
        let version = if service == "cognito-idp" {
            "application/x-amz-json-1.1"
        } else {
            "application/x-amz-json-1.0"
        };
        let headers = vec![
            ("content-type".to_owned(), version.to_owned()),
            ("x-amz-target".to_owned(), target.to_owned()),
        ];
        self.signed_call("POST", service, "", headers, request)
    }

    /// A call of a service that speaks REST, such as `lambda`.
    ///
    /// # Errors
    ///
    /// When the call fails.
    pub fn rest(&self, method: &str, service: &str, path: &str, request: &Value) -> Result<Value> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        self.signed_call(method, service, path, headers, request)
    }

    /// A call of SNS, which speaks forms and answers in XML.
    ///
    /// # Errors
    ///
    /// When the call fails.
    pub fn sns(&self, parameters: &[(&str, &str)]) -> Result<String> {
        let url = format!("{}/", self.endpoint_url);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .append_pair("Version", "2010-03-31")
            .finish();
        let form = "application/x-www-form-urlencoded".to_owned();
        let headers = vec![("content-type".to_owned(), form)];
        let headers = aws::sign("POST", &url, &self.region, "sns", headers, body.as_bytes())?;
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = send("POST", &url, &headers, body.as_bytes())?;
        ensure!(
            answer.status == 200,
            "sns: {} {}",
            answer.status,
            answer.text()
        );
        Ok(answer.text())
    }

    fn signed_call(
        &self,
        method: &str,
        service: &str,
        path: &str,
        headers: Vec<(String, String)>,
        request: &Value,
    ) -> Result<Value> {
        let url = format!("{}{path}", self.endpoint_url);
        let body = if request.is_null() {
            vec![]
        } else {
            request.to_string().into_bytes()
        };
        let headers = aws::sign(method, &url, &self.region, service, headers, &body)?;
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = send(method, &url, &headers, &body)?;
        ensure!(
            (200..300).contains(&answer.status),
            "{service} {method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        if answer.body.is_empty() {
            Ok(Value::Null)
        } else {
            answer.json()
        }
    }
}

impl User {
    /// The same user, who says so with name and password.
    #[must_use]
    pub fn basic(&self) -> Self {
        Self {
            stack: self.stack.basic(),
            authorization: basic_authorization(&self.name, &self.password),
            ..self.clone()
        }
    }

    /// Calls the API as the user.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut all = vec![("authorization", self.authorization.as_str())];
        all.extend_from_slice(headers);
        let mut tries = 1;
        loop {
            let answer = self.stack.call(method, path, &all, body)?;
            if answer.status != 503 || tries == TRIES_MAX {
                return Ok(Answer { tries, ..answer });
            }
            thread::sleep(Duration::from_millis(500) * tries);
            tries += 1;
        }
    }

    /// `GET`.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.call("GET", path, &[], b"")
    }

    /// `POST` of a JSON body that is sent as it is.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        // What is longer than a few numbers is content.
        if let Ok(body) = std::str::from_utf8(body)
            && (40..1000).contains(&body.len())
            && !body.contains('\n')
        {
            secrets::note(body)?;
        }
        self.call("POST", path, &[("content-type", "application/json")], body)
    }

    /// Follows the `Location` of an answer to a request that was sent to this path, as a client would.
    ///
    /// # Errors
    ///
    /// When there is none, when it leads out of the API, or when there is no answer.
    pub fn follow(&self, sent_to: &str, answer: &Answer) -> Result<Answer> {
        let api_url = &self.stack.api_url;
        let location = answer.headers.get("location").context("no location")?;
        let url = Url::parse(&format!("{api_url}{sent_to}"))?.join(location)?;
        let path = url.as_str().strip_prefix(api_url.as_str());
        self.get(path.with_context(|| format!("{location} leads to {url}"))?)
    }

    /// Asks for a task of so many items.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn submit(&self, number_of_items: u32) -> Result<Answer> {
        self.post(
            TASKS,
            json!({"number_of_items": number_of_items})
                .to_string()
                .as_bytes(),
        )
    }

    /// Cancels a task.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub fn cancel(&self, task_id: &str) -> Result<Answer> {
        self.call("DELETE", &format!("{TASKS}{task_id}/"), &[], b"")
    }

    /// The `data` of a task's status.
    ///
    /// # Errors
    ///
    /// When the answer is not a status.
    pub fn status(&self, task_id: &str) -> Result<Value> {
        let answer = self.get(&format!("{TASKS}{task_id}/"))?;
        ensure!(
            answer.status == 200,
            "status of {task_id}: {} {}",
            answer.status,
            answer.text()
        );
        Ok(answer.json()?["data"].clone())
    }

    /// What the table holds for this user: lock, tasks, idempotency keys.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn rows(&self) -> Result<Vec<Value>> {
        self.stack.rows(&format!("USER#{}", self.sub))
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON: {} {}", self.status, self.text()))
    }

    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `task_id` of an accepted or refused submit.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn task_id(&self) -> Result<String> {
        let body = self.json()?;
        let task_id = body.pointer("/data/task_id").and_then(Value::as_str);
        Ok(task_id
            .with_context(|| format!("no task id: {} {}", self.status, self.text()))?
            .to_owned())
    }

    /// The headers without those that differ from answer to answer.
    #[must_use]
    pub fn stable_headers(&self) -> BTreeMap<String, String> {
        let mut headers = self.headers.clone();
        headers.retain(|name, _| name != "date" && name != "apigw-requestid");
        headers
    }
}

/// What says this name and this password (RFC 7617).
#[must_use]
pub fn basic_authorization(name: &str, password: &str) -> String {
    format!("Basic {}", base64::encode(format!("{name}:{password}")))
}

fn text_of(object: &Value, name: &str) -> Result<String> {
    let text = object[name].as_str();
    Ok(text
        .with_context(|| format!("no {name}: {object}"))?
        .to_owned())
}

/// Waits for other tests that take all of the machine. For as long as what is returned is kept, they wait.
pub fn have_the_machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks again and again until there is something to see.
///
/// # Errors
///
/// When looking fails, or when there is nothing to see before the timeout.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain: {what}", timeout.as_secs());
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // Not a word more than the caller says, as far as that can be prevented: no proxy, no redirect, no user agent.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_TIMEOUT))
        .max_redirects(0)
        .proxy(None)
        .user_agent("")
        .build()
        .into();
    let sent = if method == "GET" || (method == "DELETE" && body.is_empty()) {
        agent.run(request.body(())?)
    } else {
        agent.run(request.body(body)?)
    };
    let mut response = sent.with_context(|| format!("{method} {url}: no answer"))?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_vec()?;
    Ok(Answer {
        status,
        headers,
        body,
        tries: 1,
    })
}
