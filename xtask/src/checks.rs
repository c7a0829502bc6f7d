//! `cargo xtask test`: every check and test there is, and what each needs.
//!
//! Two tiers. Without options every promise is tested, at some size, in minutes; `--long` adds what takes long to find:
//! more seeds, states and cases.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::artifacts::{self, Built};
use crate::aws::Aws;
use crate::commands::{self, UpOptions};
use crate::deploy::Settings;
use crate::dynamodb::ENDPOINT_VARIABLE;
use crate::emulator;
use crate::environment;
use crate::foreign_emulator;
use crate::functions::FUNCTIONS;
use crate::infrastructure;
use crate::logs;
use crate::mutants;
use crate::places::Places;
use crate::process;
use crate::schedule::{self, Lane, Output, at_lowest_priority};
use crate::schemathesis;
use crate::stack::Stack;
use crate::steps::Steps;
use crate::supply_chain;
use crate::tools;

/// How the template is deployed for tests: quick items, few at a time so that progress has steps to see; leases,
/// slices and timeouts so short that a test can wait for one to run out, and that a task outlives its functions.
const TEST_PARAMETERS: [(&str, &str); 5] = [
    ("ItemSeconds", "0.4"),
    ("ItemsInFlight", "2"),
    ("LeaseSeconds", "6"),
    ("SliceSeconds", "4"),
    ("WorkerTimeoutSeconds", "10"),
];

/// Where messages are delivered to in tests. Below the ports that outgoing connections get, and chosen before the stack is
/// deployed, so that it is still free when a test listens there.
fn delivery_url() -> Result<String> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = (first..first + 1000).find(is_free);
    let port = port.context("no port is free for the endpoint of the tests")?;
    Ok(format!("http://127.0.0.1:{port}/messages"))
}

type Check = schedule::Check<Run>;

/// What the emulator and the checks outside Rust need.
const TOOLS: &str = "tools";

/// What all tests in Rust need: Cargo runs none of them while one does not compile, and says so again for each.
const COMPILED: &str = "tests compile";

/// What the tests of the deployed whole need.
const STACK: &str = "local stack";

/// Has a stack of its own.
const FOREIGN_EMULATOR: &str = "somebody else's emulator";

/// The end-to-end tests of what the API promises to a client, however it says whose it is. They run once more with HTTP Basic.
const CONTRACT: [&str; 7] = [
    "bad_input::",
    "cancel::",
    "headers::",
    "idempotency::",
    "privacy::",
    "progress::",
    "retry::",
];

/// What runs in the long tier only.
const LONG: [&str; 2] = ["long tests", "mutants"];

/// What a check needs is listed before it. What the other lane waits for comes first, so that the stack is at work as soon as
/// it can be; clippy, which compiles everything once more in its own way, comes when the stack is.
const CHECKS: [Check; 16] = [
    Check {
        name: "format",
        lane: Lane::Code,
        needs: &[],
        work: format,
    },
    Check {
        name: COMPILED,
        lane: Lane::Code,
        needs: &[],
        work: tests_compile,
    },
    Check {
        name: TOOLS,
        lane: Lane::Stack,
        needs: &[],
        work: install_tools,
    },
    Check {
        name: "template",
        lane: Lane::Stack,
        needs: &[TOOLS],
        work: template,
    },
    Check {
        name: "supply chain",
        lane: Lane::Stack,
        needs: &[],
        work: supply_chain,
    },
    Check {
        name: STACK,
        lane: Lane::Stack,
        needs: &[TOOLS, COMPILED],
        work: local_stack,
    },
    Check {
        name: "end-to-end tests",
        lane: Lane::Stack,
        needs: &[STACK],
        work: end_to_end_tests,
    },
    Check {
        name: "page tests",
        lane: Lane::Stack,
        needs: &[STACK],
        work: page_tests,
    },
    Check {
        name: "made-up requests",
        lane: Lane::Stack,
        needs: &[STACK],
        work: made_up_requests,
    },
    // Last of those on the stack: it kills what the others use.
    Check {
        name: "recovery tests",
        lane: Lane::Stack,
        needs: &[STACK],
        work: recovery_tests,
    },
    Check {
        name: "unit and integration tests",
        lane: Lane::Code,
        needs: &[COMPILED],
        work: tests_without_stack,
    },
    Check {
        name: "tests on another DynamoDB",
        lane: Lane::Code,
        needs: &[TOOLS, COMPILED],
        work: tests_on_another_dynamodb,
    },
    Check {
        name: FOREIGN_EMULATOR,
        lane: Lane::Code,
        needs: &[TOOLS, COMPILED],
        work: foreign_emulator,
    },
    Check {
        name: "clippy",
        lane: Lane::Code,
        needs: &[],
        work: clippy,
    },
    Check {
        name: LONG[0],
        lane: Lane::Code,
        needs: &[COMPILED],
        work: long_tests,
    },
    Check {
        name: LONG[1],
        lane: Lane::Code,
        needs: &[COMPILED],
        work: mutants,
    },
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out what needs a local stack
    #[arg(long)]
    quick: bool,
    /// Run the long hunts, too: before a release, and after a change of what they test
    #[arg(long)]
    long: bool,
    /// Run only this check (give it more than once for several)
    #[arg(long = "only", value_name = "CHECK", value_parser = CHECKS.map(|check| check.name))]
    only: Vec<String>,
    /// Where the tests on another DynamoDB find it; default: MiniStack, started for them
    #[arg(long, value_name = "URL", env = ENDPOINT_VARIABLE, value_parser = commands::endpoint)]
    dynamodb: Option<String>,
}

impl Options {
    fn choose(&self, check: &Check) -> bool {
        if !self.only.is_empty() {
            return self.only.iter().any(|name| name == check.name);
        }
        let needs_stack =
            [STACK, FOREIGN_EMULATOR].contains(&check.name) || check.needs.contains(&STACK);
        !(self.quick && needs_stack) && (self.long || !LONG.contains(&check.name))
    }
}

/// What the checks of one run share.
struct Run {
    places: Places,
    /// A state directory of its own: the developer's running stack is not touched.
    stack_places: Places,
    stack: OnceLock<Stack>,
    stack_tests: OnceLock<Vec<Built>>,
    /// A copy of this program: the compiler puts another one into the place of the one that runs.
    xtask: PathBuf,
    /// Another DynamoDB that already runs.
    dynamodb: Option<String>,
    long: bool,
}

/// Runs the checks. The last line printed is `N passed, N failed`, and `, N skipped` if some were.
pub(crate) fn run(places: &Places, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let stack_places = places.with_state(places.shared().join("test"));
    stack_places.make()?;
    let lock = File::create(stack_places.state.join("run.lock"))?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask test` is at work in this checkout");
    }
    let xtask = stack_places.state.join("xtask");
    fs::copy(env::current_exe()?, &xtask).context("cannot copy this program")?;
    let run = Run {
        places: places.clone(),
        stack_places,
        stack: OnceLock::new(),
        stack_tests: OnceLock::new(),
        xtask,
        dynamodb: options.dynamodb.clone(),
        long: options.long,
    };
    let chosen: Vec<_> = CHECKS.iter().filter(|it| options.choose(it)).collect();
    let outcomes = schedule::run(&chosen, &run);
    // Whatever happened: nothing that was started may outlive the run.
    let stopped = commands::stop_quietly(&run.stack_places);
    schedule::summary(&outcomes, started.elapsed());
    stopped?;
    schedule::exit_code(outcomes)
}

impl Run {
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = process::cargo(&self.places.root);
        command.args(arguments).env_remove(ENDPOINT_VARIABLE);
        command
    }

    /// The tests of the deployed whole; compiled by the check of that name, or here when only a later one was asked for.
    /// Chosen by the names of the tests and not by their package: that would compile the dependencies that they share
    /// again, with fewer features.
    fn stack_tests(&self) -> Result<&[Built]> {
        if self.stack_tests.get().is_none() {
            let tests = ["test", "--workspace", "--locked", "--no-run"];
            let mut cargo = self.cargo(&tests);
            let built =
                artifacts::build(cargo.args(["--test", "e2e", "--test", "recovery"]), |_| {})?;
            return Ok(self.stack_tests.get_or_init(|| built));
        }
        self.stack_tests
            .get()
            .map(Vec::as_slice)
            .context("they were just looked up")
    }

    /// The stack under test; started by the check of that name, or here when only a later check was asked for.
    fn stack(&self) -> Result<&Stack> {
        if self.stack.get().is_none() {
            // A run that was killed may have left one behind.
            commands::stop_quietly(&self.stack_places)?;
            let delivery_url = delivery_url()?;
            let mut parameters = TEST_PARAMETERS.to_vec();
            parameters.push(("DeliveryUrl", &delivery_url));
            let (stack, _) = commands::up(&self.stack_places, &UpOptions::for_tests(&parameters))?;
            return Ok(self.stack.get_or_init(|| stack));
        }
        self.stack.get().context("the stack was just looked up")
    }
}

fn format(run: &Run, output: &mut Output) -> Result<()> {
    output.succeed(&mut run.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(run: &Run, output: &mut Output) -> Result<()> {
    let mut clippy = run.cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
    clippy.args(["--", "-D", "warnings"]);
    output.succeed(&mut at_lowest_priority(&clippy))
}

/// The tests that need no stack, of all packages together: so their dependencies get the same features everywhere and are
/// compiled once. A binary whose tests fail does not keep the others from running.
const WITHOUT_STACK: [&str; 6] = [
    "test",
    "--workspace",
    "--exclude",
    "e2e",
    "--locked",
    "--no-fail-fast",
];

/// All of them, so that none has to wait for the compiler, which works for one command at a time.
fn tests_compile(run: &Run, output: &mut Output) -> Result<()> {
    output.succeed(run.cargo(&WITHOUT_STACK).arg("--no-run"))?;
    run.stack_tests().map(drop)
}

/// Others wait for items meanwhile, and must not be kept from noticing them in time.
fn tests_without_stack(run: &Run, output: &mut Output) -> Result<()> {
    output.succeed(&mut at_lowest_priority(&run.cargo(&WITHOUT_STACK)))
}

/// Those that are ignored by default because they keep all processors busy for minutes.
fn long_tests(run: &Run, output: &mut Output) -> Result<()> {
    let mut command = run.cargo(&WITHOUT_STACK);
    command.args(["--", "--ignored", "--nocapture"]);
    output.succeed(&mut at_lowest_priority(&command))
}

/// What the tests would not notice.
fn mutants(run: &Run, output: &mut Output) -> Result<()> {
    mutants::run(&run.places, output)
}

fn install_tools(run: &Run, _: &mut Output) -> Result<()> {
    tools::install(&run.places, &Steps::new()).map(drop)
}

/// What cfn-lint says of the template, and of the one that is an example; what our own rules do, and checkov.
fn template(run: &Run, output: &mut Output) -> Result<()> {
    tools::install(&run.places, &Steps::new())?;
    let settings = Settings::read(&run.places)?;
    // It looks up managed policies when it can; without an account it must not try.
    let nowhere = Aws::Local {
        places: run.places.clone(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        region: settings.region,
    };
    for template in [run.places.template(), run.places.on_end()] {
        let mut sam = nowhere.sam();
        sam.args(["validate", "--lint", "--template-file"]);
        output.succeed(sam.arg(template))?;
    }
    let translated = infrastructure::translated(&run.places, &nowhere)?;
    infrastructure::check(&translated)?;
    checkov(run, translated, output)
}

/// What checkov says of the template with everything switched on.
fn checkov(run: &Run, template: Value, output: &mut Output) -> Result<()> {
    let python = tools::install_checkov(&run.places, &Steps::new())?;
    let file = run.stack_places.state.join("template.json");
    infrastructure::write_with_all_on(template, &file)?;
    let mut checkov = environment::command(python);
    checkov.args(["-I", "-m", "checkov.main", "--config-file"]);
    checkov.arg(run.places.root.join("tools/checkov.yaml"));
    let checked = process::capture(checkov.arg("--file").arg(file), |line| {
        output.line(line);
    })?;
    ensure!(checked.status.success(), "checkov finds fault");
    // What it cannot read it has nothing against.
    let passed = checked.stdout.split("Passed checks: ").nth(1);
    let passed = passed.and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    ensure!(
        passed.is_some_and(|passed| passed > 0),
        "nothing is checked"
    );
    Ok(())
}

/// Those of the store and of all handlers, and the simulator's runs to which nothing happens: what they show must not be
/// true of one implementation only.
fn tests_on_another_dynamodb(run: &Run, output: &mut Output) -> Result<()> {
    let mut on = |endpoint: &str| {
        let mut handlers = run.cargo(&WITHOUT_STACK);
        handlers.args(["--test", "protocol"]);
        let mut simulator = run.cargo(&WITHOUT_STACK);
        simulator.args(["--test", "simulation", "--", "undisturbed::"]);
        let mut run = |tests: &mut Command| {
            let mut tests = at_lowest_priority(tests);
            output.succeed_with_tests(tests.env(ENDPOINT_VARIABLE, endpoint))
        };
        // Both, also when the first fails.
        let results = [run(&mut handlers), run(&mut simulator)];
        results.into_iter().collect()
    };
    if let Some(endpoint) = &run.dynamodb {
        return on(endpoint);
    }
    tools::install(&run.places, &Steps::new())?;
    let settings = Settings::read(&run.places)?;
    let state = run.places.shared().join("test-dynamodb");
    emulator::with_ministack(&run.places.with_state(state), &settings.region, on)
}

fn supply_chain(run: &Run, output: &mut Output) -> Result<()> {
    supply_chain::check(&run.places, output)
}

fn local_stack(run: &Run, output: &mut Output) -> Result<()> {
    let stack = run.stack()?;
    output.line(&format!("{} at {}", stack.name, stack.endpoint_url));
    Ok(())
}

fn foreign_emulator(run: &Run, output: &mut Output) -> Result<()> {
    let state = run.places.shared().join(format!("test {FOREIGN_EMULATOR}"));
    let settings = Settings::read(&run.places)?;
    let emulator = run.places.with_state(state.join("ministack"));
    emulator::with_ministack(&emulator, &settings.region, |url| {
        let places = run.places.with_state(state);
        let result = foreign_emulator::check(&places, &run.xtask, url, output);
        if result.is_err() {
            keep_log(output, &emulator.emulator_log());
        }
        result
    })
}

fn end_to_end_tests(run: &Run, output: &mut Output) -> Result<()> {
    let secrets = run.stack_places.state.join("secrets.txt");
    run.stack_places.write_private(&secrets, b"")?;
    let mut all = stack_tests(run, "e2e")?;
    with_stack(run, output, all.env("LONGHAUL_SECRETS", &secrets))?;
    let mut contract = stack_tests(run, "e2e")?;
    contract.args(CONTRACT).env("LONGHAUL_SECRETS", &secrets);
    with_stack(
        run,
        output,
        contract.env("LONGHAUL_AUTHENTICATION", "basic"),
    )?;
    expect_no_secrets(&secrets, &logged(run)?, output)
}

fn recovery_tests(run: &Run, output: &mut Output) -> Result<()> {
    with_stack(run, output, &mut stack_tests(run, "recovery")?)
}

/// Everything that the functions, API Gateway and Lambda have logged: each function into its group, some of it into the
/// emulator's own log as well.
fn logged(run: &Run) -> Result<String> {
    let stack = run.stack()?;
    let mut logged = fs::read_to_string(run.stack_places.emulator_log())?;
    let aws = stack.aws(&run.stack_places);
    let mut silent = BTreeSet::from(FUNCTIONS);
    for group in logs::groups(&aws, stack)? {
        let events = aws.call(&["logs", "filter-log-events", "--log-group-name", &group])?;
        let events = events["events"].as_array().context("no events")?;
        let messages = events.iter().filter_map(|it| it["message"].as_str());
        for message in messages {
            silent.retain(|function| !group.ends_with(&format!("-{function}")));
            logged.push_str(message.trim_end());
            logged.push('\n');
        }
    }
    ensure!(silent.is_empty(), "nothing is logged of {silent:?}");
    Ok(logged)
}

/// What was logged, looked through for what the tests noted: passwords, tokens, tickets, names, and what was asked for.
fn expect_no_secrets(secrets: &Path, log: &str, output: &mut Output) -> Result<()> {
    let noted = fs::read_to_string(secrets).context("nothing was noted")?;
    let secrets: BTreeSet<_> = noted.lines().filter(|secret| !secret.is_empty()).collect();
    // The emulator tells whom it has made a user; that is no log of the stack's.
    let is_cognitos = |line: &&str| line.contains(" [cognito] ");
    let log: Vec<_> = log.lines().filter(|line| !is_cognitos(line)).collect();
    let is_told = |secret: &&&str| log.iter().any(|line| line.contains(**secret));
    let told = secrets.iter().filter(is_told).count();
    let lines = log.iter().filter(|line| line.starts_with('{')).count();
    let of = secrets.len();
    // Not even here are they shown.
    if told > 0 || of < 100 || lines < 50 {
        bail!("of {of} secrets {told} are in {lines} lines of logs");
    }
    output.line(&format!("none of {of} secrets is in {lines} lines of logs"));
    Ok(())
}

/// The page in a real browser, and what can be tested of it without one.
fn page_tests(run: &Run, output: &mut Output) -> Result<()> {
    tools::install(&run.places, &Steps::new())?;
    let mut command = environment::command(run.places.root.join("tests/browser/run"));
    if run.long {
        command.arg("--long");
    }
    // Node.js is one of the tools.
    let mut path = run.places.venv().join("bin").into_os_string();
    if let Some(inherited) = env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    with_stack(run, output, command.env("PATH", path))
}

/// Whether the API keeps to its description, whatever it is asked.
fn made_up_requests(run: &Run, output: &mut Output) -> Result<()> {
    let result = schemathesis::check(&run.stack_places, run.stack()?, run.long, output);
    if result.is_err() {
        keep_log(output, &run.stack_places.emulator_log());
    }
    result
}

/// The tests of this name, without cargo: it would wait for whatever is being compiled meanwhile.
fn stack_tests(run: &Run, name: &str) -> Result<Command> {
    let found = run.stack_tests()?.iter().find(|one| one.name == name);
    let executable = &found
        .with_context(|| format!("no tests {name}"))?
        .executable;
    let mut tests = Command::new(executable);
    tests.current_dir(run.places.root.join("tests/e2e"));
    Ok(tests)
}

fn with_stack(run: &Run, output: &mut Output, command: &mut Command) -> Result<()> {
    run.stack()?;
    let result = output.succeed(command.env("LONGHAUL_STACK", run.stack_places.stack_file()));
    if result.is_err() {
        keep_log(output, &run.stack_places.emulator_log());
    }
    result
}

/// A failing end-to-end test is explained by the emulator's log as often as not.
fn keep_log(output: &mut Output, log: &Path) {
    if let Ok(text) = fs::read_to_string(log) {
        let (log, tail) = (log.display(), process::tail(&text, 40));
        output.line(&format!("\nThe end of the emulator's log, {log}:\n{tail}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_needs_is_listed_before_it() {
        for (n, check) in CHECKS.iter().enumerate() {
            for need in check.needs {
                let is_before = CHECKS[..n].iter().any(|before| before.name == *need);
                assert!(is_before, "{} needs {need}", check.name);
            }
        }
    }

    #[test]
    fn what_is_run_with_http_basic_is_there() -> Result<()> {
        let tests = Places::find(None)?.root.join("tests/e2e/tests/e2e");
        for module in CONTRACT {
            let file = format!("{}.rs", module.trim_end_matches("::"));
            assert!(tests.join(&file).is_file(), "{file}");
        }
        Ok(())
    }

    #[test]
    fn the_default_leaves_out_nothing_but_what_is_long() {
        let chosen = |quick, long| {
            let options = Options {
                quick,
                long,
                only: vec![],
                dynamodb: None,
            };
            let chosen = CHECKS.iter().filter(|check| options.choose(check));
            chosen.map(|check| check.name).collect::<Vec<_>>()
        };
        assert_eq!(chosen(false, true), CHECKS.map(|check| check.name));
        let mut default = chosen(false, true);
        default.retain(|name| !LONG.contains(name));
        assert_eq!(chosen(false, false), default);
        let quick = chosen(true, false);
        assert!(quick.contains(&"unit and integration tests") && quick.contains(&"template"));
        assert!(!quick.contains(&STACK) && !quick.contains(&"page tests"));
    }
}
