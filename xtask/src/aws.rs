//! The AWS CLI of the virtual environment, pointed at the emulator or at the developer's AWS account.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::places::Places;
use crate::process;

/// The emulator accepts these; they are no secret and open nothing.
const LOCAL_KEY: &str = "test";

/// Where calls go.
#[derive(Debug, Clone)]
pub(crate) enum Aws {
    /// An emulator on this machine (or one that `--endpoint` names). The developer's AWS settings play no part.
    Local {
        places: Places,
        endpoint: String,
        region: String,
    },
    /// The developer's account, profile and region, as the AWS CLI finds them.
    Account { places: Places },
}

impl Aws {
    /// Runs the AWS CLI and reads its answer; `Value::Null` when it has none.
    pub(crate) fn call(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.tool("aws");
        let output = process::capture(command.args(arguments).args(["--output", "json"]), |_| {})?;
        // The service and the operation; what follows is long.
        let call = arguments[..arguments.len().min(2)].join(" ");
        if !output.status.success() {
            bail!("aws {call}: {}", process::tail(&output.stderr, 5).trim());
        }
        if output.stdout.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&output.stdout)
            .with_context(|| format!("aws {call} answered something else than JSON"))
    }

    /// The same with secret parameters: in a file that only the developer reads, and not on the command line, which
    /// everybody sees who lists this machine's processes.
    pub(crate) fn call_with_secret(&self, arguments: &[&str], secret: &Value) -> Result<Value> {
        let places = self.places();
        let file = format!("secret-{}.json", std::process::id());
        let file = places.state.join(file);
        places.write_private(&file, secret.to_string().as_bytes())?;
        let input = format!("file://{}", file.display());
        let answer = self.call(&[arguments, &["--cli-input-json", &input]].concat());
        fs::remove_file(&file)?;
        answer
    }

    /// A program of the virtual environment (`aws`, `sam`) that will talk to this place.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let places = self.places();
        let mut command = Command::new(places.tool(name));
        command
            .current_dir(&places.root)
            .env("AWS_PAGER", "")
            .env("SAM_CLI_TELEMETRY", "0")
            .env("PYTHONWARNINGS", "ignore");
        if let Self::Local {
            endpoint, region, ..
        } = self
        {
            if name == "aws" {
                // `aws sqs` of the AWS CLI 1 pays no attention to the variable below, and would call AWS.
                command.args(["--endpoint-url", endpoint]);
            }
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("AWS_") {
                    command.env_remove(name);
                }
            }
            command
                .env("AWS_PAGER", "")
                .env("AWS_ENDPOINT_URL", endpoint)
                .env("AWS_REGION", region)
                .env("AWS_DEFAULT_REGION", region)
                .env("AWS_ACCESS_KEY_ID", LOCAL_KEY)
                .env("AWS_SECRET_ACCESS_KEY", LOCAL_KEY)
                .env("AWS_EC2_METADATA_DISABLED", "true")
                // Not the developer's files: they may name another endpoint, output format or region.
                .env("AWS_CONFIG_FILE", "/dev/null")
                .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
                .env("NO_PROXY", "127.0.0.1,localhost,.localhost")
                .env("no_proxy", "127.0.0.1,localhost,.localhost");
        }
        command
    }

    fn places(&self) -> &Places {
        match self {
            Self::Local { places, .. } | Self::Account { places } => places,
        }
    }

    /// The emulator's URL, or `None` on AWS.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Local { endpoint, .. } => Some(endpoint),
            Self::Account { .. } => None,
        }
    }
}
