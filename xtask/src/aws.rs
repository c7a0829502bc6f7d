//! The AWS CLI of the virtual environment, pointed at the emulator or at the developer's AWS account.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment;
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
        let mut command = self.cli();
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

    /// The AWS CLI, which will talk to this place.
    pub(crate) fn cli(&self) -> Command {
        let mut command = self.python_module("awscli");
        if let Self::Local { endpoint, .. } = self {
            // `aws sqs` of the AWS CLI 1 pays no attention to the variable, and would call AWS.
            command.args(["--endpoint-url", endpoint]);
        }
        command
    }

    /// The SAM CLI, which will talk to this place.
    pub(crate) fn sam(&self) -> Command {
        self.python_module("samcli")
    }

    /// Python, with what its tools are made of.
    pub(crate) fn python(&self) -> Command {
        let python = self.places().tool("python");
        let mut command = match self {
            Self::Local { .. } => self.made_for_the_emulator(python),
            Self::Account { .. } => Command::new(python),
        };
        command.args(["-I", "-W", "ignore"]);
        command.current_dir(&self.places().root);
        command
    }

    /// As a module and not by its script, whose first line cannot hold every path; isolated (`-I`), so that not even
    /// the developer's own environment changes what Python runs.
    fn python_module(&self, module: &str) -> Command {
        let mut command = self.python();
        command
            .args(["-m", module])
            .env("AWS_PAGER", "")
            .env("SAM_CLI_TELEMETRY", "0");
        command
    }

    /// A program that knows no AWS but the emulator.
    fn made_for_the_emulator(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = environment::command(program);
        command.envs(self.variables());
        command
    }

    /// What leads the AWS tools and SDKs to the emulator. Nothing on AWS, where the developer's own settings do.
    pub(crate) fn variables(&self) -> Vec<(&'static str, &str)> {
        const LOOPBACK: &str = "127.0.0.1,localhost,.localhost";
        let Self::Local {
            endpoint, region, ..
        } = self
        else {
            return Vec::new();
        };
        vec![
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_ACCESS_KEY_ID", LOCAL_KEY),
            ("AWS_SECRET_ACCESS_KEY", LOCAL_KEY),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            // Not the developer's files: they may name another endpoint, output format or region.
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("NO_PROXY", LOOPBACK),
            ("no_proxy", LOOPBACK),
        ]
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
