//! `cargo xtask test`: every check and test, in the order in which failures are cheapest to find.

use std::cell::OnceCell;
use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::aws::Aws;
use crate::commands::{self, UpOptions};
use crate::deploy::Settings;
use crate::interrupt::Interrupted;
use crate::places::Places;
use crate::process::{self, Captured};
use crate::stack::Stack;
use crate::steps::{Steps, seconds};
use crate::tools;

/// How the template is deployed for tests: quick items, few at a time so that progress has steps to see; leases,
/// slices and timeouts so short that a test can wait for one to run out, and that a task outlives its functions.
const TEST_PARAMETERS: [(&str, &str); 6] = [
    ("ItemSeconds", "0.4"),
    ("ItemsInFlight", "2"),
    ("LeaseSeconds", "6"),
    ("SliceSeconds", "4"),
    ("WorkerTimeoutSeconds", "10"),
    ("VisibilityTimeoutSeconds", "10"),
];

/// A named part of the run. To add one, add a line to [`CHECKS`].
struct Check {
    name: &'static str,
    /// Left out by `--quick`.
    needs_stack: bool,
    way: Way,
}

/// How a check is run.
enum Way {
    /// By itself, with its output shown as it comes.
    Alone(fn(&Run) -> Result<()>),
    /// While the checks after it run, which mostly wait; at the lowest priority, with its output shown at the end.
    Meanwhile(fn(&Run) -> Command),
}

const CHECKS: [Check; 9] = [
    Check {
        name: "format",
        needs_stack: false,
        way: Way::Alone(format),
    },
    Check {
        name: "clippy",
        needs_stack: false,
        way: Way::Alone(clippy),
    },
    Check {
        name: "unit and integration tests",
        needs_stack: false,
        way: Way::Alone(tests_without_stack),
    },
    Check {
        name: "long tests",
        needs_stack: false,
        way: Way::Meanwhile(long_tests),
    },
    Check {
        name: "template",
        needs_stack: false,
        way: Way::Alone(template),
    },
    Check {
        name: "local stack",
        needs_stack: true,
        way: Way::Alone(local_stack),
    },
    Check {
        name: "end-to-end tests",
        needs_stack: true,
        way: Way::Alone(end_to_end_tests),
    },
    Check {
        name: "page tests",
        needs_stack: true,
        way: Way::Alone(page_tests),
    },
    // Last: it kills what the others use.
    Check {
        name: "recovery tests",
        needs_stack: true,
        way: Way::Alone(recovery_tests),
    },
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out what needs a local stack
    #[arg(long)]
    quick: bool,
    /// Run only this check (give it more than once for several)
    #[arg(long = "only", value_name = "CHECK", value_parser = CHECKS.map(|check| check.name))]
    only: Vec<String>,
}

/// What the checks of one run share.
struct Run {
    places: Places,
    /// A state directory of its own: the developer's running stack is not touched.
    stack_places: Places,
    stack: OnceCell<Stack>,
}

/// Runs the checks up to the first failure. The last line printed is `N passed, N failed`.
pub(crate) fn run(places: &Places, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let stack_places = places.with_state(places.shared().join("test"));
    stack_places.make()?;
    let lock = File::create(stack_places.state.join("run.lock"))?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask test` is at work in this checkout");
    }
    let run = Run {
        places: places.clone(),
        stack_places,
        stack: OnceCell::new(),
    };
    let chosen = CHECKS.iter().filter(|check| {
        !(options.quick && check.needs_stack)
            && (options.only.is_empty() || options.only.iter().any(|name| name == check.name))
    });
    let outcomes = run.all(chosen);
    // Whatever happened: nothing that was started may outlive the run.
    let stopped = commands::stop_quietly(&run.stack_places);
    summary(&outcomes, started.elapsed());
    stopped?;
    match outcomes
        .into_iter()
        .find_map(|outcome| outcome.result.err())
    {
        None => Ok(ExitCode::SUCCESS),
        Some(error) if error.is::<Interrupted>() => Err(error),
        Some(_) => Ok(ExitCode::FAILURE),
    }
}

struct Outcome {
    name: &'static str,
    elapsed: Duration,
    result: Result<()>,
}

impl Outcome {
    /// Says how a check ended, and remembers it.
    fn of(name: &'static str, result: Result<()>, elapsed: Duration) -> Self {
        if let Err(error) = &result {
            println!("{error:#}");
        }
        let ended = if result.is_err() { "failed" } else { "passed" };
        println!("=== {name}: {ended} in {} ===", seconds(elapsed));
        Self {
            name,
            elapsed,
            result,
        }
    }
}

impl Run {
    fn all<'a>(&self, checks: impl Iterator<Item = &'a Check>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut meanwhile = Vec::new();
        for check in checks {
            println!("\n=== {} ===", check.name);
            let run = match check.way {
                Way::Alone(run) => run,
                Way::Meanwhile(command) => {
                    let mut command = at_lowest_priority(&command(self));
                    println!("$ {} (meanwhile)", process::describe(&command));
                    let started = Instant::now();
                    let thread = thread::spawn(move || {
                        let captured = process::capture(&mut command, |_| {});
                        (captured, started.elapsed())
                    });
                    meanwhile.push((check.name, thread));
                    continue;
                }
            };
            let started = Instant::now();
            let outcome = Outcome::of(check.name, run(self), started.elapsed());
            let failed = outcome.result.is_err();
            outcomes.push(outcome);
            if failed {
                break;
            }
        }
        for (name, thread) in meanwhile {
            println!("\n=== {name} ===");
            let (result, elapsed) = match thread.join() {
                Ok((captured, elapsed)) => (captured.and_then(|it| shown(&it)), elapsed),
                Err(_) => (Err(anyhow!("its thread panicked")), Duration::ZERO),
            };
            outcomes.push(Outcome::of(name, result, elapsed));
        }
        outcomes
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = process::cargo(&self.places.root);
        command.args(arguments);
        command
    }

    /// The stack under test; started by the check of that name, or here when only a later check was asked for.
    fn stack(&self) -> Result<&Stack> {
        if self.stack.get().is_none() {
            // A run that was killed may have left one behind.
            commands::stop_quietly(&self.stack_places)?;
            let (stack, _) =
                commands::up(&self.stack_places, &UpOptions::for_tests(&TEST_PARAMETERS))?;
            return Ok(self.stack.get_or_init(|| stack));
        }
        self.stack.get().context("the stack was just looked up")
    }
}

fn summary(outcomes: &[Outcome], elapsed: Duration) {
    println!();
    for Outcome {
        name,
        elapsed,
        result,
    } in outcomes
    {
        let mark = if result.is_ok() { "✓" } else { "✗" };
        println!("{mark} {name:<28} {:>12}", seconds(*elapsed));
    }
    println!("  {:<28} {:>12}\n", "all", seconds(elapsed));
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
}

/// Runs one command with its output shown; its failure is the check's.
fn succeed(command: &mut Command) -> Result<()> {
    println!("$ {}", process::describe(command));
    let status = process::show(command)?;
    if !status.success() {
        bail!("{} failed ({status})", process::describe(command));
    }
    Ok(())
}

/// The same command, which gets what others leave.
fn at_lowest_priority(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program());
    nice.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        nice.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice
}

/// Shows what a command wrote; its failure is the check's.
fn shown(captured: &Captured) -> Result<()> {
    print!("{}", captured.stdout);
    if !captured.status.success() {
        bail!("{}\nfailed ({})", captured.stderr, captured.status);
    }
    Ok(())
}

fn format(run: &Run) -> Result<()> {
    succeed(&mut run.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(run: &Run) -> Result<()> {
    succeed(&mut run.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn tests_without_stack(run: &Run) -> Result<()> {
    succeed(&mut run.cargo(&["test", "--workspace", "--exclude", "e2e", "--locked"]))
}

/// Those that are ignored by default because they keep all processors busy for minutes. Compiled already.
fn long_tests(run: &Run) -> Command {
    run.cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "e2e",
        "--locked",
        "--",
        "--ignored",
        "--nocapture",
    ])
}

/// Our own reading of the template, then that of cfn-lint.
fn template(run: &Run) -> Result<()> {
    tools::install(&run.places, &Steps::new())?;
    let settings = Settings::read(&run.places)?;
    // It looks up managed policies when it can; without an account it must not try.
    let nowhere = Aws::Local {
        places: run.places.clone(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        region: settings.region,
    };
    succeed(
        nowhere
            .tool("sam")
            .args(["validate", "--lint", "--template-file"])
            .arg(run.places.template()),
    )
}

fn local_stack(run: &Run) -> Result<()> {
    let stack = run.stack()?;
    println!("{} at {}", stack.name, stack.endpoint_url);
    Ok(())
}

fn end_to_end_tests(run: &Run) -> Result<()> {
    with_stack(run, &mut cargo_test(run, "e2e"))
}

fn recovery_tests(run: &Run) -> Result<()> {
    with_stack(run, &mut cargo_test(run, "recovery"))
}

/// The page in a real browser, and what can be tested of it without one.
fn page_tests(run: &Run) -> Result<()> {
    tools::install(&run.places, &Steps::new())?;
    let mut command = Command::new(run.places.root.join("browser-tests/run"));
    // Node.js is one of the tools.
    let mut path = run.places.venv().join("bin").into_os_string();
    if let Some(inherited) = env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    with_stack(run, command.env("PATH", path))
}

/// Chosen by the name of the test and not by its package: the latter would compile the dependencies that they share
/// again, with fewer features.
fn cargo_test(run: &Run, name: &str) -> Command {
    run.cargo(&["test", "--workspace", "--test", name, "--locked"])
}

fn with_stack(run: &Run, command: &mut Command) -> Result<()> {
    run.stack()?;
    let result = succeed(command.env("LONGHAUL_STACK", run.stack_places.stack_file()));
    if result.is_err() {
        keep_log(&run.stack_places.emulator_log());
    }
    result
}

/// A failing end-to-end test is explained by the emulator's log as often as not.
fn keep_log(log: &Path) {
    if let Ok(text) = fs::read_to_string(log) {
        println!(
            "\nThe end of the emulator's log, {}:\n{}",
            log.display(),
            process::tail(&text, 40)
        );
    }
}
