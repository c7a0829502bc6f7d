//! What is known about a deployed stack: its outputs, and for the local one `stack.json`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Aws;
use crate::places::Places;

/// The outputs of `template.yaml` that commands rely on.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(crate) struct Outputs {
    pub(crate) api_url: String,
    pub(crate) page_url: String,
    pub(crate) bucket: String,
    pub(crate) distribution_id: String,
    pub(crate) user_pool_id: String,
    pub(crate) client_id: String,
    pub(crate) table_name: String,
    pub(crate) contacts_table_name: String,
    pub(crate) queue_url: String,
    pub(crate) dlq_url: String,
    /// Where there is an API for HTTP Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basic_api_url: Option<String>,
    /// Where there are live updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) socket_api_id: Option<String>,
    /// Where there are events of ended tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_failures_url: Option<String>,
}

/// `stack.json`: everything that a test, a script or another command needs to use the local stack.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(crate) struct Stack {
    #[serde(rename = "stack_name")]
    pub(crate) name: String,
    pub(crate) endpoint_url: String,
    pub(crate) region: String,
    #[serde(flatten)]
    pub(crate) outputs: Outputs,
    /// The folder of the page's files, below its address.
    #[serde(default)]
    pub(crate) page_version: String,
    pub(crate) username: String,
    pub(crate) password: String,
    /// The users made with `create-user`, `username` included.
    pub(crate) passwords: BTreeMap<String, String>,
    /// The emulator's process group; `None` when it is somebody else's (`--endpoint`).
    pub(crate) process_group: Option<u32>,
}

impl Outputs {
    /// Asks CloudFormation.
    pub(crate) fn read(aws: &Aws, stack_name: &str) -> Result<Self> {
        Self::among(&describe(aws, stack_name)?, stack_name)
    }

    /// Those of a stack that is described already.
    pub(crate) fn among(description: &Value, stack_name: &str) -> Result<Self> {
        let outputs = description["Outputs"]
            .as_array()
            .with_context(|| format!("stack {stack_name} has no outputs"))?;
        let find = |key: &str| {
            let output = outputs.iter().find(|output| output["OutputKey"] == key);
            output
                .and_then(|output| output["OutputValue"].as_str())
                .map(str::to_owned)
        };
        let get = |key: &str| {
            find(key)
                .ok_or_else(|| anyhow!("stack {stack_name} has no output {key}: it is not a Longhaul stack, or an older one"))
        };
        Ok(Self {
            api_url: get("ApiUrl")?.trim_end_matches('/').to_owned(),
            page_url: get("PageUrl")?.trim_end_matches('/').to_owned(),
            bucket: get("PageBucketName")?,
            distribution_id: get("DistributionId")?,
            user_pool_id: get("UserPoolId")?,
            client_id: get("UserPoolClientId")?,
            table_name: get("TableName")?,
            contacts_table_name: get("ContactsTableName")?,
            queue_url: get("QueueUrl")?,
            dlq_url: get("DeadLetterQueueUrl")?,
            basic_api_url: find("BasicApiUrl").map(|url| url.trim_end_matches('/').to_owned()),
            socket_api_id: find("SocketApiId"),
            event_source: find("EventSource"),
            ended_failures_url: find("EndedFailuresUrl"),
        })
    }
}

/// What CloudFormation knows of a stack.
pub(crate) fn describe(aws: &Aws, stack_name: &str) -> Result<Value> {
    let mut answer = aws.call(&[
        "cloudformation",
        "describe-stacks",
        "--stack-name",
        stack_name,
    ])?;
    Ok(answer
        .pointer_mut("/Stacks/0")
        .map_or(Value::Null, Value::take))
}

/// Whether the table and the users cannot be deleted by mistake.
pub(crate) fn is_protected(description: &Value) -> bool {
    let parameters = description["Parameters"].as_array();
    parameters.into_iter().flatten().any(|parameter| {
        parameter["ParameterKey"] == "ProtectData" && parameter["ParameterValue"] == "true"
    })
}

impl Stack {
    /// The stack that was deployed last for this state directory.
    pub(crate) fn load(places: &Places) -> Result<Self> {
        let path = places.stack_file();
        let text = fs::read(&path)
            .map_err(|_| anyhow!("no local stack is running; start one with: cargo xtask up"))?;
        serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is not readable; run: cargo xtask down, then cargo xtask up",
                path.display()
            )
        })
    }

    /// Written at once and readable by its owner only: it holds passwords.
    pub(crate) fn save(&self, places: &Places) -> Result<()> {
        places.write_private(&places.stack_file(), &serde_json::to_vec_pretty(self)?)
    }

    /// Forgets the stack; not having one is fine.
    pub(crate) fn forget(places: &Places) {
        let _ = fs::remove_file(places.stack_file());
    }

    /// The AWS CLI for this stack.
    pub(crate) fn aws(&self, places: &Places) -> Aws {
        Aws::Local {
            places: places.clone(),
            endpoint: self.endpoint_url.clone(),
            region: self.region.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_stack_is_protected_only_when_it_says_so() {
        let description = |value: &str| {
            let name = json!({"ParameterKey": "LogLevel", "ParameterValue": "true"});
            json!({"Parameters": [name, {"ParameterKey": "ProtectData", "ParameterValue": value}]})
        };
        assert!(is_protected(&description("true")));
        assert!(!is_protected(&description("false")));
        assert!(!is_protected(&Value::Null));
    }

    #[test]
    fn only_its_owner_can_read_the_passwords() -> Result<()> {
        let state = std::env::temp_dir().join(format!("longhaul-stack-{}", std::process::id()));
        let places = Places::find(Some(state.clone()))?;
        places.make()?;
        let text = || "x".to_owned();
        let stack = Stack {
            name: text(),
            endpoint_url: text(),
            region: text(),
            outputs: Outputs {
                api_url: text(),
                page_url: text(),
                bucket: text(),
                distribution_id: text(),
                user_pool_id: text(),
                client_id: text(),
                table_name: text(),
                contacts_table_name: text(),
                queue_url: text(),
                dlq_url: text(),
                basic_api_url: Some(text()),
                socket_api_id: None,
                event_source: Some(text()),
                ended_failures_url: Some(text()),
            },
            page_version: text(),
            username: text(),
            password: text(),
            passwords: BTreeMap::new(),
            process_group: Some(1),
        };
        stack.save(&places)?;
        assert_eq!(Stack::load(&places)?, stack);
        assert_eq!(
            fs::metadata(places.stack_file())?.permissions().mode() & 0o777,
            0o600
        );
        fs::remove_dir_all(state)?;
        Ok(())
    }
}
