//! The command line, and what each command does.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::aws::Aws;
use crate::deploy::{self, Parameters, Settings};
use crate::emulator::{self, Access, State};
use crate::functions::Build;
use crate::logs::{End, Since};
use crate::places::Places;
use crate::stack::{self, Outputs, Stack};
use crate::steps::{Steps, seconds};
use crate::template::Template;
use crate::{bench, checks, functions, fuzz, logs, openapi, page, process, simulate, tools, users};

/// The user that `up` makes.
pub(crate) const DEMO_USER: &str = "demo";

/// Runs, tests and looks after Longhaul on this machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    /// Where the local stack keeps its state; two stacks with two of these can run side by side
    #[arg(long, global = true, value_name = "DIRECTORY", env = "LONGHAUL_STATE")]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the stack on this machine, or bring a running one up to date
    Up(UpOptions),
    /// Stop the local stack and everything that belongs to it
    Down,
    /// Say what runs, where, and since when
    Status,
    /// Print what the functions wrote
    Logs {
        /// Go on until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// Make a user, or give an existing one a new password
    CreateUser {
        name: String,
        /// Default: a random one, which is printed
        #[arg(long)]
        password: Option<String>,
        /// A stack in your AWS account, with your credentials and region; default: the local stack
        #[arg(long, value_name = "STACK")]
        stack: Option<String>,
    },
    /// Print a bearer token for the local stack's API
    Token {
        #[arg(long, default_value = DEMO_USER)]
        user: String,
    },
    /// Upload frontend/ to a stack in your AWS account
    UploadPage {
        #[arg(long, value_name = "STACK")]
        stack: String,
    },
    /// Run the AWS CLI against the local stack
    Aws {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Run one function by `cargo lambda watch`, with the environment it has in the local stack
    Watch {
        #[arg(value_parser = functions::FUNCTIONS)]
        function: String,
        /// More options of `cargo lambda watch`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Run the real handlers under simulated faults: --seed N tells one run's story, --seeds N hunts through many
    Simulate {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write docs/openapi.json anew, after a change of the jobs
    Openapi,
    /// Feed what reads what others write with anything; needs `cargo install cargo-fuzz --locked` and a C++ compiler
    Fuzz {
        /// One of those in tests/fuzz/src/bin
        target: String,
        #[arg(long, default_value_t = 10)]
        minutes: u32,
    },
    /// Measure what is claimed to be fast and cheap, and compare it with docs/benchmarks.md
    Bench(bench::Options),
    /// Run every check and test; does all of its own set-up
    Test(checks::Options),
}

#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// Return when the stack is ready instead of following the functions' logs
    #[arg(long)]
    detach: bool,
    /// Deploy to a MiniStack that already runs on this machine instead of starting one
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    endpoint: Option<String>,
    /// Override a parameter of template.yaml
    #[arg(long = "set", value_name = "PARAMETER=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// Build the functions with optimisations; slower to build, and what AWS gets
    #[arg(long)]
    release: bool,
    /// Build the functions as the tests build them, which compiles nothing twice
    #[arg(long, hide = true)]
    along_with_tests: bool,
}

impl UpOptions {
    /// What the tests start: detached, with these parameters.
    pub(crate) fn for_tests(set: &[(&str, &str)]) -> Self {
        Self::detached(Build::AlongWithTests, set)
    }

    /// A stack that another command works with.
    pub(crate) fn detached(build: Build, set: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            detach: true,
            endpoint: None,
            set: set.iter().map(owned).collect(),
            release: build == Build::Release,
            along_with_tests: build == Build::AlongWithTests,
        }
    }

    fn build(&self) -> Build {
        match self {
            Self {
                along_with_tests: true,
                ..
            } => Build::AlongWithTests,
            Self { release: true, .. } => Build::Release,
            Self { .. } => Build::Debug,
        }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected Parameter=Value".to_owned()),
    }
}

/// On this machine: the template knows an emulator by its port on localhost and by nothing else.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let place = url
        .strip_prefix("http://")
        .and_then(|it| it.split_once(':'));
    match place {
        Some(("localhost" | "127.0.0.1", _)) if emulator::port_of(url).is_some() => {
            Ok(url.to_owned())
        }
        _ => Err("expected this machine and a port, as in http://localhost:4566".to_owned()),
    }
}

/// Prints for the developer. A closed pipe (`cargo xtask status | head -1`) is no reason to fail half-way.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Runs one command. `Err` is a message for the developer.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let places = Places::find(cli.state)?;
    match cli.command {
        Task::Up(options) => up_and_follow(&places, &options),
        Task::Down => down(&places),
        Task::Status => Ok(status(&places)),
        Task::Logs { follow } => {
            let stack = Stack::load(&places)?;
            logs::print(&places, &stack, Since::Beginning, follow)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::CreateUser {
            name,
            password,
            stack,
        } => create_user(&places, &name, password, stack.as_deref()),
        Task::Token { user } => {
            say(&users::token(&Stack::load(&places)?, &user)?);
            Ok(ExitCode::SUCCESS)
        }
        Task::UploadPage { stack } => upload_page(&places, &stack),
        Task::Aws { arguments } => {
            let aws = Stack::load(&places)?.aws(&places);
            let status = process::show(aws.cli().args(arguments))?;
            Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Task::Watch { function, options } => watch(&places, &function, &options),
        Task::Simulate { arguments } => simulate::run(&places, &arguments),
        Task::Openapi => openapi::write(&places),
        Task::Fuzz { target, minutes } => fuzz::run(&places, &target, minutes),
        Task::Bench(options) => bench::run(&places, &options),
        Task::Test(options) => checks::run(&places, &options),
    }
}

/// The function runs outside the emulator, so it can be rebuilt and debugged; its table and queue are the stack's.
fn watch(places: &Places, function: &str, options: &[String]) -> Result<ExitCode> {
    let stack = Stack::load(places)?;
    let aws = stack.aws(places);
    let name = format!("{}-{function}", stack.name);
    let query = ["--query", "Environment.Variables"];
    let call = [
        "lambda",
        "get-function-configuration",
        "--function-name",
        &name,
    ];
    let variables = aws.call(&[&call[..], &query[..]].concat())?;
    // It runs cargo, so it gets what cargo gets.
    let mut watch = process::as_by_hand(places.tool("cargo-lambda"), &places.root);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            watch.env_remove(&name);
        }
    }
    watch.envs(aws.variables());
    for (name, value) in variables.as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            watch.env(name, value);
        }
    }
    // By itself it would listen on every interface.
    watch.args([
        "lambda",
        "watch",
        "--invoke-address",
        "127.0.0.1",
        "--bin",
        function,
    ]);
    let status = process::show(watch.args(options))?;
    Ok(process::exit_code(status))
}

fn up_and_follow(places: &Places, options: &UpOptions) -> Result<ExitCode> {
    let (stack, started_here) = up(places, options)?;
    say(&welcome(&stack));
    if options.detach {
        say("\nIt goes on running. Logs: cargo xtask logs --follow   Stop: cargo xtask down");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "\nFollowing the functions' logs. Ctrl-C {}.",
        if started_here {
            "stops everything"
        } else {
            "ends this view; the stack goes on running"
        }
    ));
    let followed = logs::print(places, &stack, Since::Now, true);
    if started_here {
        let stopped = stop(places)?;
        say(&format!("\n{stopped}"));
    }
    match followed? {
        End::ByDeveloper | End::Printed => Ok(ExitCode::SUCCESS),
        End::StackGone => bail!(
            "the emulator has ended; its log is {}",
            places.emulator_log().display()
        ),
    }
}

/// Starts or updates the stack. The flag tells whether this call started the emulator, and so has to stop it.
///
/// When it fails or is interrupted, what this call started is stopped again.
pub(crate) fn up(places: &Places, options: &UpOptions) -> Result<(Stack, bool)> {
    places.make()?;
    let lock = File::create(places.state.join("up.lock"))?;
    if lock.try_lock().is_err() {
        bail!(
            "another `cargo xtask up` is at work for {}",
            places.state.display()
        );
    }
    let steps = Steps::new();
    let settings = Settings::read(places)?;
    // Before the minutes that the rest may take.
    let parameters = Parameters::new(&Template::read(places)?, &settings, &options.set)?;
    if let Some(endpoint) = &options.endpoint
        && !emulator::is_healthy(endpoint)
    {
        bail!("no emulator answers at {endpoint}");
    }
    if tools::install(places, &steps)? {
        // An emulator that runs from the environment of before has lost its files.
        stop_quietly(places)?;
    }
    functions::build(places, &steps, options.build())?;
    let (endpoint, started) = ensure_emulator(places, &steps, options, &settings)?;
    let stack = parameters
        .at(&endpoint)
        .and_then(|parameters| fill(places, &steps, &parameters, &settings, endpoint));
    if stack.is_err() && started {
        stop_quietly(places)?;
    }
    Ok((stack?, started))
}

/// The URL to deploy to, and whether its emulator was started just now.
fn ensure_emulator(
    places: &Places,
    steps: &Steps,
    options: &UpOptions,
    settings: &Settings,
) -> Result<(String, bool)> {
    if let Some(endpoint) = &options.endpoint {
        return Ok((endpoint.clone(), false));
    }
    steps.run("start the emulator", |step| {
        if let State::Running(running) = emulator::state(places) {
            step.result(format!("already running at {}", running.endpoint_url));
            return Ok((running.endpoint_url, false));
        }
        // Whatever a killed run left behind: processes that no longer answer, and the description of a stack that is gone.
        emulator::stop(places)?;
        Stack::forget(places);
        let emulator = emulator::start(places, step, &settings.region, Access::ByPolicy)?;
        step.result(format!("MiniStack at {}", emulator.endpoint_url));
        Ok((emulator.endpoint_url, true))
    })
}

/// Deploys, makes the demo user, uploads the page, describes it all in `stack.json`.
fn fill(
    places: &Places,
    steps: &Steps,
    parameters: &Parameters,
    settings: &Settings,
    endpoint: String,
) -> Result<Stack> {
    let aws = Aws::Local {
        places: places.clone(),
        endpoint: endpoint.clone(),
        region: settings.region.clone(),
    };
    let before = Stack::load(places)
        .ok()
        .filter(|stack| stack.endpoint_url == endpoint);
    let outputs = deploy::deploy(places, steps, &aws, settings, parameters)?;
    let kept = before.filter(|stack| stack.outputs.user_pool_id == outputs.user_pool_id);
    let password = match &kept {
        Some(stack) => stack.password.clone(),
        None => users::random_password()?,
    };
    let page = steps.run("make the user, upload the page", |step| {
        std::thread::scope(|scope| {
            let cors = scope.spawn(|| deploy::apply_cors(places, &aws, &outputs, parameters));
            let answers = scope.spawn(|| deploy::apply_answers(places, &aws, &outputs));
            let user = scope.spawn(|| {
                if kept.is_some() {
                    Ok(())
                } else {
                    users::create(&aws, &outputs.user_pool_id, DEMO_USER, &password)
                }
            });
            let page = page::upload(places, &aws, &outputs, &settings.region)?;
            for work in [cors, answers, user] {
                work.join()
                    .unwrap_or_else(|_| bail!("a set-up step panicked"))?;
            }
            step.result(format!("user {DEMO_USER}, {} files", page.files));
            Ok(page)
        })
    })?;
    let passwords = kept.map(|stack| stack.passwords).unwrap_or_default();
    let stack = Stack {
        name: settings.stack_name.clone(),
        region: settings.region.clone(),
        username: DEMO_USER.to_owned(),
        passwords: passwords
            .into_iter()
            .chain([(DEMO_USER.to_owned(), password.clone())])
            .collect::<BTreeMap<_, _>>(),
        password,
        process_group: match emulator::state(places) {
            State::Running(emulator) if emulator.endpoint_url == endpoint => {
                Some(emulator.process_group)
            }
            _ => None,
        },
        endpoint_url: endpoint,
        page_version: page.version,
        outputs,
    };
    stack.save(places)?;
    Ok(stack)
}

fn welcome(stack: &Stack) -> String {
    format!(
        "\nLonghaul is ready.\n\n  page      {}\n            {WHO_FINDS_THE_PAGE}\n  user      {}\n  password  {}\n\n\
         Or with curl:\n\n  curl -H \"authorization: Bearer $(cargo xtask token)\" -H 'content-type: application/json' \\\n       \
         -d '{{\"number_of_items\": 20}}' {}/api/tuned-long-running-task/",
        stack.outputs.page_url, stack.username, stack.password, stack.outputs.api_url
    )
}

/// Names under `.localhost` are this machine by RFC 6761, but not everybody knows.
const WHO_FINDS_THE_PAGE: &str = "(in Chrome, Edge, Firefox and curl; Safari, wget and Python do not find names under .localhost)";

fn down(places: &Places) -> Result<ExitCode> {
    say(&stop(places)?);
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack and says what that meant; not having one is fine.
fn stop(places: &Places) -> Result<String> {
    let started = Instant::now();
    let foreign = Stack::load(places).is_ok_and(|stack| stack.process_group.is_none());
    Ok(if stop_quietly(places)? {
        format!("Stopped in {}.", seconds(started.elapsed()))
    } else if foreign {
        "Forgot the stack; its emulator was not started here and goes on running.".to_owned()
    } else {
        "Nothing was running.".to_owned()
    })
}

/// Stops the stack. True when there was one to stop.
pub(crate) fn stop_quietly(places: &Places) -> Result<bool> {
    let stopped = emulator::stop(places)?;
    Stack::forget(places);
    Ok(stopped)
}

/// Prints what runs; the exit code tells a script the same: 0 for a stack that is up.
fn status(places: &Places) -> ExitCode {
    let stack = Stack::load(places).ok();
    let (text, code) = match (emulator::state(places), stack) {
        (State::Running(emulator), Some(stack)) => {
            let started = UNIX_EPOCH + Duration::from_secs(emulator.started_at);
            let since = SystemTime::now()
                .duration_since(started)
                .unwrap_or_default();
            let group = emulator.process_group;
            (
                format!(
                    "Running for {} (process group {group}).\n\n{}",
                    seconds(since),
                    describe(&stack)
                ),
                ExitCode::SUCCESS,
            )
        }
        (State::Running(emulator), None) => (
            format!(
                "The emulator runs at {}, but nothing is deployed on it yet.",
                emulator.endpoint_url
            ),
            ExitCode::FAILURE,
        ),
        (State::Broken(emulator), _) => (
            format!(
                "The emulator's processes (group {}) run, but {} does not answer. Clean up with: cargo xtask down",
                emulator.process_group, emulator.endpoint_url
            ),
            ExitCode::FAILURE,
        ),
        (State::Stopped, Some(stack))
            if stack.process_group.is_none() && emulator::is_healthy(&stack.endpoint_url) =>
        {
            (
                format!(
                    "Deployed on an emulator that was not started here.\n\n{}",
                    describe(&stack)
                ),
                ExitCode::SUCCESS,
            )
        }
        (State::Stopped, _) => (
            "Nothing runs. Start with: cargo xtask up".to_owned(),
            ExitCode::FAILURE,
        ),
    };
    say(&text);
    code
}

fn describe(stack: &Stack) -> String {
    let fields = [
        ("page", Some(&stack.outputs.page_url)),
        ("user", Some(&stack.username)),
        ("password", Some(&stack.password)),
        ("API", Some(&stack.outputs.api_url)),
        ("for Basic", stack.outputs.basic_api_url.as_ref()),
        ("emulator", Some(&stack.endpoint_url)),
        ("table", Some(&stack.outputs.table_name)),
        ("queue", Some(&stack.outputs.queue_url)),
    ];
    let fields = fields.into_iter();
    let fields = fields.filter_map(|(name, value)| Some(format!("  {name:<9} {}", value?)));
    let fields: Vec<_> = fields.collect();
    format!("{}\n\nThe page: {WHO_FINDS_THE_PAGE}", fields.join("\n"))
}

fn create_user(
    places: &Places,
    name: &str,
    password: Option<String>,
    stack_on_aws: Option<&str>,
) -> Result<ExitCode> {
    let generated = password.is_none();
    let password = match password {
        Some(password) => password,
        None => users::random_password()?,
    };
    if let Some(stack_name) = stack_on_aws {
        tools::install(places, &Steps::new())?;
        let aws = Aws::Account {
            places: places.clone(),
        };
        users::create(
            &aws,
            &Outputs::read(&aws, stack_name)?.user_pool_id,
            name,
            &password,
        )?;
    } else {
        let mut stack = Stack::load(places)?;
        users::create(
            &stack.aws(places),
            &stack.outputs.user_pool_id,
            name,
            &password,
        )?;
        stack.passwords.insert(name.to_owned(), password.clone());
        stack.save(places)?;
    }
    say(&format!(
        "User {name} can sign in{}",
        if generated {
            format!(" with password {password}")
        } else {
            ".".to_owned()
        }
    ));
    Ok(ExitCode::SUCCESS)
}

fn upload_page(places: &Places, stack_name: &str) -> Result<ExitCode> {
    let steps = Steps::new();
    tools::install(places, &steps)?;
    let aws = Aws::Account {
        places: places.clone(),
    };
    let (page_url, is_protected) = steps.run("upload the page", |step| {
        let description = stack::describe(&aws, stack_name)?;
        let outputs = Outputs::among(&description, stack_name)?;
        // A user pool's id begins with its region: no need to ask which one the AWS CLI is set to.
        let region = outputs
            .user_pool_id
            .split_once('_')
            .context("the user pool's id names no region")?
            .0;
        let page = page::upload(
            &places.with_state(places.state.join(format!("aws-{stack_name}"))),
            &aws,
            &outputs,
            region,
        )?;
        page::invalidate(&aws, &outputs)?;
        step.result(format!("{} files", page.files));
        Ok((outputs.page_url, stack::is_protected(&description)))
    })?;
    say(&format!("\nThe page is at {page_url}"));
    if !is_protected {
        say(
            "\nThe table and the users can be deleted by mistake. When the stack works, protect them:\n\n  \
             sam deploy --parameter-overrides ProtectData=true",
        );
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_emulator_is_on_this_machine_and_has_a_port() {
        for good in ["http://localhost:4566", "http://127.0.0.1:4566/"] {
            assert_eq!(endpoint(good), Ok(good.trim_end_matches('/').to_owned()));
        }
        for bad in [
            "localhost:4566",
            "http://localhost",
            "http://localhost:4566/path",
            "http://localhost:no",
            "http://192.168.0.5:4566",
            "https://localhost:4566",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_parameter_needs_a_name_and_may_hold_any_value() {
        assert_eq!(name_and_value("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(name_and_value("A="), Ok(("A".into(), String::new())));
        assert!(name_and_value("A").is_err());
        assert!(name_and_value("=b").is_err());
    }
}
