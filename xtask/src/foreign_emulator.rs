//! A check: `up --endpoint` to an emulator that this command did not start, typed in a shell that is full of settings for
//! other purposes, with the state under a path that has a blank, of a stack that tells nobody of tasks.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::commands::DEMO_USER;
use crate::interrupt;
use crate::places::Places;
use crate::schedule::Output;
use crate::stack::Stack;
use crate::users;

/// What shells have been seen to hold. Each of these breaks a tool that gets to see it.
const SHELL: [(&str, &str); 12] = [
    ("PYTHONHOME", "/nonexistent"),
    ("PYTHONPATH", "/nonexistent"),
    ("PIP_USER", "1"),
    ("AWS_PROFILE", "nobody"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("AWS_CONFIG_FILE", "/nonexistent"),
    ("SAM_CLI_POLL_DELAY", "soon"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NODE_OPTIONS", "--no-such-option"),
    ("CARGO_TERM_QUIET", "true"),
    ("CARGO_BUILD_TARGET", "no-such-target"),
];

/// Values that do not survive a command line of SAM's, and the switches.
const SET: [&str; 5] = [
    "AlarmEmail=",
    "AllowedOrigins=http://localhost:5173",
    "BasicAuth=off",
    "LiveUpdates=false",
    "EndEvents=false",
];

/// A task of three items, and a slow machine.
const TASK_SECONDS_MAX: Duration = Duration::from_mins(2);

/// Deploys to the emulator, and has a task worked off. `xtask` is this program.
pub(crate) fn check(places: &Places, xtask: &Path, url: &str, output: &mut Output) -> Result<()> {
    let mut up = Command::new(xtask);
    up.arg("--state").arg(&places.state);
    up.args(["up", "--detach", "--along-with-tests", "--endpoint", url]);
    up.args(SET.iter().flat_map(|value| ["--set", value]));
    up.envs(SHELL);
    output.succeed(&mut up)?;
    let stack = Stack::load(places)?;
    let token = users::token(&stack, DEMO_USER)?;
    expect_nothing_that_is_off(places, &stack, &token)?;
    let tasks = format!("{}/api/tuned-long-running-task/", stack.outputs.api_url);
    let accepted = call(&token, &tasks, Some(json!({"number_of_items": 3})))?;
    let task_id = accepted.pointer("/data/task_id").and_then(Value::as_str);
    let task_id = task_id.with_context(|| format!("no task was accepted: {accepted}"))?;
    let started = Instant::now();
    loop {
        let status = call(&token, &format!("{tasks}{task_id}/"), None)?;
        match status.pointer("/data/task_status").and_then(Value::as_str) {
            Some("SUCCESS") => return Ok(()),
            Some("QUEUED" | "PROCESSING") if started.elapsed() < TASK_SECONDS_MAX => {}
            _ => bail!("the task is not worked off: {status}"),
        }
        interrupt::sleep(Duration::from_millis(100))?;
    }
}

/// What is switched off is not there: no function, no stream, no route, and the page does not look for it.
fn expect_nothing_that_is_off(places: &Places, stack: &Stack, token: &str) -> Result<()> {
    let aws = Aws::Local {
        places: places.clone(),
        endpoint: stack.endpoint_url.clone(),
        region: stack.region.clone(),
    };
    let resources = aws.call(&[
        "cloudformation",
        "describe-stack-resources",
        "--stack-name",
        &stack.name,
    ])?;
    let resources = resources["StackResources"].as_array();
    let resources = resources.context("the stack has no resources")?;
    let names = resources
        .iter()
        .filter_map(|it| it["LogicalResourceId"].as_str());
    let off = [
        "Basic",
        "Authorizer",
        "Live",
        "Notify",
        "Ended",
        "Socket",
        "Connect",
        "Disconnect",
        "Ping",
        "Refusal",
        "Ticket",
    ];
    let left: Vec<_> = names
        .filter(|name| off.iter().any(|part| name.starts_with(part)))
        .collect();
    let table = &stack.outputs.table_name;
    let table = aws.call(&["dynamodb", "describe-table", "--table-name", table])?;
    let is_streamed = !table["Table"]["LatestStreamArn"].is_null();
    if !left.is_empty() || is_streamed {
        bail!("switched off, and there: {left:?}, a stream: {is_streamed}");
    }
    let ticket = format!("{}/api/live/", stack.outputs.api_url);
    let refused = call(token, &ticket, Some(json!({})))?;
    let expected = json!({"success": false, "message": "Job not found"});
    let config = places.page().join(&stack.page_version).join("config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(config)?)?;
    if refused != expected || config["live_updates"] != false {
        bail!("without live updates: {refused}, {config}");
    }
    Ok(())
}

/// What the API answers, whatever the status.
fn call(token: &str, url: &str, body: Option<Value>) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(1)))
        .proxy(None)
        .build()
        .into();
    let bearer = format!("Bearer {token}");
    let mut response = match body {
        Some(body) => agent
            .post(url)
            .header("authorization", bearer)
            .send_json(body)?,
        None => agent.get(url).header("authorization", bearer).call()?,
    };
    Ok(response.body_mut().read_json()?)
}
