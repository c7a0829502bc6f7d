//! A check of the deployed API by what its description makes one expect: schemathesis makes up requests from
//! `docs/openapi.json`, good ones and bad ones, one after the other by links, and holds the answers to it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use crate::environment;
use crate::places::Places;
use crate::schedule::Output;
use crate::stack::Stack;
use crate::steps::Steps;
use crate::{tools, users};

/// Of its own: it has a task all the time.
const USER: &str = "schemathesis";

/// How many requests are made up in each way for an operation, and how many there must have been in all: a run that was cut
/// short, or asked nothing, would find nothing either.
struct Tier {
    examples: u32,
    cases_min: u64,
    /// After so many seconds it ends. Until then requests are made up anew.
    seconds: Option<u32>,
}

const SHORT: Tier = Tier {
    examples: 10,
    cases_min: 500,
    seconds: None,
};

/// Examples lead from one to the next, and nobody knows how far: an hour of that. One user comes to have thousands of tasks,
/// with more of which listing the few of one job takes longer than anybody waits for an emulator in Python.
const LONG: Tier = Tier {
    examples: 200,
    cases_min: 10_000,
    seconds: Some(3600),
};

/// How often each operation was answered with each status.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Tries the API of a stack; `of_stack` has its state.
pub(crate) fn check(
    of_stack: &Places,
    stack: &Stack,
    long: bool,
    output: &mut Output,
) -> Result<()> {
    tools::install_schemathesis(of_stack, &Steps::new())?;
    let tier = if long { LONG } else { SHORT };
    let counts = of_stack.state.join("schemathesis.json");
    if counts.exists() {
        fs::remove_file(&counts)?;
    }
    let folder = of_stack.root.join("tests/schemathesis");
    let mut run = environment::command(of_stack.schemathesis().join("bin/st"));
    // Wherever it runs it may leave something.
    run.current_dir(&of_stack.state)
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("LONGHAUL_SIGN_IN", sign_in(of_stack, stack)?)
        .env("LONGHAUL_COUNTS", &counts)
        // A proxy is for what is not on this machine.
        .env("NO_PROXY", "*")
        // Bytecode beside the sources would be in the checkout.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(of_stack.openapi())
        .args(["--no-color", "--url", &stack.outputs.api_url])
        .args(["--max-examples", &tier.examples.to_string()]);
    if let Some(seconds) = tier.seconds {
        run.args(["--max-time", &seconds.to_string()]);
    }
    output.succeed(&mut run)?;
    let counts = fs::read(&counts).context("nothing was counted")?;
    judge(
        &serde_json::from_slice(&counts)?,
        &operations(of_stack)?,
        tier.cases_min,
        output,
    )
}

/// A user who can sign in, and how.
fn sign_in(of_stack: &Places, stack: &Stack) -> Result<String> {
    let password = users::random_password()?;
    let pool = &stack.outputs.user_pool_id;
    users::create(&stack.aws(of_stack), pool, USER, &password)?;
    let sign_in = json!({
        "url": stack.endpoint_url,
        "client_id": stack.outputs.client_id,
        "username": USER,
        "password": password,
    });
    Ok(sign_in.to_string())
}

/// All operations that are described.
fn operations(places: &Places) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Description {
        paths: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    }
    let description: Description = serde_json::from_slice(&fs::read(places.openapi())?)?;
    let described = description.paths.values().flat_map(BTreeMap::values);
    let ids = described.filter_map(|operation| operation["operationId"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// Whether enough was asked: every operation, in a way that it could be done, and often.
fn judge(
    counts: &Counts,
    operations: &[String],
    cases_min: u64,
    output: &mut Output,
) -> Result<()> {
    let mut cases = 0;
    let mut undone = Vec::new();
    for operation in operations {
        let answers = counts.get(operation).cloned().unwrap_or_default();
        cases += answers.values().sum::<u64>();
        let said = answers
            .iter()
            .map(|(status, count)| format!("{count} × {status}"));
        output.line(&format!(
            "{operation:<36} {}",
            said.collect::<Vec<_>>().join(", ")
        ));
        if !answers.keys().any(|status| status.starts_with('2')) {
            undone.push(operation.as_str());
        }
    }
    output.line(&format!("{cases} requests"));
    if !undone.is_empty() || cases < cases_min {
        bail!("{cases} requests are too few, or these were never done: {undone:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_asks_too_little_is_no_success() {
        let operations = ["status", "cancel"].map(str::to_owned);
        let judge = |counts: serde_json::Value| {
            let counts = serde_json::from_value(counts).unwrap();
            judge(&counts, &operations, 10, &mut Output::kept()).is_ok()
        };
        assert!(judge(
            json!({"status": {"200": 8, "404": 1}, "cancel": {"200": 1}})
        ));
        assert!(!judge(json!({"status": {"200": 8}, "cancel": {"200": 1}})));
        assert!(!judge(json!({"status": {"200": 8}, "cancel": {"404": 9}})));
        assert!(!judge(json!({"status": {"200": 20}})));
    }
}
