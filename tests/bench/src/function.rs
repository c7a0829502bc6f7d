//! A function's process: started in the environment that Lambda and the template give it, by itself or under valgrind.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::runtime_api::{RuntimeApi, Told};

/// A program that says nothing for so long hangs. Under valgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often to look whether it still runs.
const NOTICE: Duration = Duration::from_millis(100);

/// How to start a function.
#[derive(Clone, Debug)]
pub struct Program {
    /// What is run.
    pub command: Vec<OsString>,
    /// Its environment besides Lambda's own.
    pub variables: Vec<(String, String)>,
}

/// Who runs it.
#[derive(Clone, Copy, Debug)]
pub enum Under<'a> {
    /// The machine.
    Nothing,
    /// Valgrind, which counts instructions into a file of this folder.
    Callgrind(&'a Path),
}

/// A function that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    child: Child,
    api: RuntimeApi,
    /// Its question for an invocation, if that has come.
    asked: Option<Sender<String>>,
    log: PathBuf,
}

impl Function {
    /// Starts it; its output goes to a file in `folder`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(program: &Program, under: Under<'_>, folder: &Path) -> Result<Self> {
        let api = RuntimeApi::open()?;
        let log = folder.join("function.log");
        let output = fs::File::create(&log)?;
        let mut words = match under {
            Under::Nothing => vec![],
            Under::Callgrind(folder) => callgrind(folder),
        };
        words.extend(program.command.iter().cloned());
        let (first, rest) = words.split_first().context("no command")?;
        let mut command = Command::new(first);
        command.args(rest).env_clear().envs(of_lambda());
        command
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", first.display()))?;
        Ok(Self {
            child,
            api,
            asked: None,
            log,
        })
    }

    /// Waits until it asks for an invocation.
    ///
    /// # Errors
    ///
    /// When it ends or says that it cannot start.
    pub fn ready(&mut self) -> Result<()> {
        if self.asked.is_none() {
            self.asked = Some(self.wait(|api| api.next(NOTICE))?);
        }
        Ok(())
    }

    /// Has it deal with an event, and waits until it asks for another one. Returns what it answers.
    ///
    /// # Errors
    ///
    /// When it says that it failed, or says nothing.
    pub fn invoke(&mut self, event: &str) -> Result<Value> {
        self.ready()?;
        let asked = self.asked.take().context("it is ready")?;
        asked
            .send(event.to_owned())
            .context("its connection is gone")?;
        let told = self.wait(|api| api.told(NOTICE))?;
        self.ready()?;
        match told {
            Told::Answer(answer) => Ok(answer),
            Told::Error(error) => bail!("the invocation failed: {error}"),
        }
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives it time to do what it does after it has asked for an invocation, and before it waits for that.
    pub fn settle(&self) {
        thread::sleep(NOTICE);
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.id())?), Signal::SIGTERM)?;
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < until, "it does not end");
            thread::sleep(NOTICE / 10);
        }
        Ok(())
    }

    fn wait<T>(&mut self, step: impl Fn(&RuntimeApi) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = step(&self.api) {
                return Ok(found);
            }
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("it has ended ({status}): {}", log());
            }
            ensure!(Instant::now() < until, "it says nothing: {}", log());
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn callgrind(folder: &Path) -> Vec<OsString> {
    let file = |option: &str, name: &str| {
        let mut option = OsString::from(option);
        option.push(folder.join(name));
        option
    };
    vec![
        "valgrind".into(),
        "--tool=callgrind".into(),
        file("--callgrind-out-file=", "callgrind.out"),
        file("--log-file=", VALGRINDS_LOG),
    ]
}

/// Where valgrind says what it has counted.
pub(crate) const VALGRINDS_LOG: &str = "valgrind.log";

/// What Lambda sets for every function.
fn of_lambda() -> Vec<(&'static str, String)> {
    let variables = [
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_LAMBDA_FUNCTION_NAME", "longhaul-function"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/longhaul-function"),
        (
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "2026/11/27/[$LATEST]0123456789abcdef",
        ),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("_HANDLER", "bootstrap"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
    ];
    let owned = variables.map(|(name, value)| (name, value.to_owned()));
    let mut variables = Vec::from(owned);
    // As long as that of a role's session. It is signed and sent with every call.
    variables.push(("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjE".repeat(50)));
    variables
}
