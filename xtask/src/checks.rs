//! `cargo xtask test`: every check and test, in the order in which failures are cheapest to find. A failure ends none
//! but the checks that need what failed, so that one run tells all that is wrong.

use std::cell::OnceCell;
use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;

use crate::aws::Aws;
use crate::commands::{self, UpOptions};
use crate::deploy::Settings;
use crate::dynamodb::{self, ENDPOINT_VARIABLE};
use crate::functions::FUNCTIONS;
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
    /// The checks without whose success this one would say nothing, or only the same once more.
    needs: &'static [&'static str],
    way: Way,
}

impl Check {
    /// Left out by `--quick`.
    fn needs_stack(&self) -> bool {
        self.name == STACK || self.needs.contains(&STACK)
    }
}

/// What all tests in Rust need: Cargo runs none of them while one does not compile, and says so again for each.
const COMPILED: &str = "tests compile";

/// What the tests of the deployed whole need.
const STACK: &str = "local stack";

/// How a check is run.
enum Way {
    /// By itself, with its output shown as it comes.
    Alone(fn(&Run) -> Result<()>),
    /// While the checks after it run, which mostly wait; at the lowest priority, with its output shown at the end.
    Meanwhile(fn(&Run) -> Command),
}

const CHECKS: [Check; 11] = [
    Check {
        name: "format",
        needs: &[],
        way: Way::Alone(format),
    },
    Check {
        name: "clippy",
        needs: &[],
        way: Way::Alone(clippy),
    },
    Check {
        name: COMPILED,
        needs: &[],
        way: Way::Alone(tests_compile),
    },
    Check {
        name: "unit and integration tests",
        needs: &[COMPILED],
        way: Way::Alone(tests_without_stack),
    },
    Check {
        name: "long tests",
        needs: &[COMPILED],
        way: Way::Meanwhile(long_tests),
    },
    Check {
        name: "template",
        needs: &[],
        way: Way::Alone(template),
    },
    Check {
        name: "tests on another DynamoDB",
        needs: &[COMPILED],
        way: Way::Alone(tests_on_another_dynamodb),
    },
    Check {
        name: STACK,
        needs: &[],
        way: Way::Alone(local_stack),
    },
    Check {
        name: "end-to-end tests",
        needs: &[STACK],
        way: Way::Alone(end_to_end_tests),
    },
    Check {
        name: "page tests",
        needs: &[STACK],
        way: Way::Alone(page_tests),
    },
    // Last: it kills what the others use.
    Check {
        name: "recovery tests",
        needs: &[STACK],
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
    /// Where the tests on another DynamoDB find it; default: MiniStack, started for them
    #[arg(long, value_name = "URL", env = ENDPOINT_VARIABLE, value_parser = commands::endpoint)]
    dynamodb: Option<String>,
}

/// What the checks of one run share.
struct Run {
    places: Places,
    /// A state directory of its own: the developer's running stack is not touched.
    stack_places: Places,
    stack: OnceCell<Stack>,
    /// Another DynamoDB that already runs.
    dynamodb: Option<String>,
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
    let run = Run {
        places: places.clone(),
        stack_places,
        stack: OnceCell::new(),
        dynamodb: options.dynamodb.clone(),
    };
    let chosen = CHECKS.iter().filter(|check| {
        !(options.quick && check.needs_stack())
            && (options.only.is_empty() || options.only.iter().any(|name| name == check.name))
    });
    let outcomes = run.all(chosen);
    // Whatever happened: nothing that was started may outlive the run.
    let stopped = commands::stop_quietly(&run.stack_places);
    summary(&outcomes, started.elapsed());
    stopped?;
    exit_code(outcomes)
}

/// A failure if any check failed; an interrupt is one of its own.
fn exit_code(outcomes: Vec<Outcome>) -> Result<ExitCode> {
    let errors = outcomes
        .into_iter()
        .filter_map(|outcome| match outcome.end {
            End::Failed(error) => Some(error),
            End::Passed | End::Skipped { .. } => None,
        });
    let mut errors: Vec<_> = errors.collect();
    if let Some(at) = errors.iter().position(anyhow::Error::is::<Interrupted>) {
        return Err(errors.swap_remove(at));
    }
    Ok(if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What came of a check.
struct Outcome {
    name: &'static str,
    elapsed: Duration,
    end: End,
}

enum End {
    Passed,
    Failed(anyhow::Error),
    /// It needs this check, which did not pass.
    Skipped {
        need: &'static str,
    },
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
            end: result.map_or_else(End::Failed, |()| End::Passed),
        }
    }

    /// A check that would say nothing, because of the one that it needs.
    fn skipped(name: &'static str, need: &'static str) -> Self {
        println!("=== {name}: skipped, for it needs: {need} ===");
        Self {
            name,
            elapsed: Duration::ZERO,
            end: End::Skipped { need },
        }
    }

    fn is_interrupted(&self) -> bool {
        matches!(&self.end, End::Failed(error) if error.is::<Interrupted>())
    }
}

/// The first check that `check` needs and that has not passed. One that nobody asked for is not missed: whoever asks for
/// a single check has a reason.
fn missing_need(check: &Check, outcomes: &[Outcome]) -> Option<&'static str> {
    let spoilt = outcomes
        .iter()
        .filter(|outcome| !matches!(outcome.end, End::Passed));
    let mut names = spoilt.map(|outcome| outcome.name);
    names.find(|name| check.needs.contains(name))
}

impl Run {
    fn all<'a>(&self, checks: impl Iterator<Item = &'a Check>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut meanwhile = Vec::new();
        for check in checks {
            println!("\n=== {} ===", check.name);
            if let Some(need) = missing_need(check, &outcomes) {
                outcomes.push(Outcome::skipped(check.name, need));
                continue;
            }
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
            let interrupted = outcome.is_interrupted();
            outcomes.push(outcome);
            if interrupted {
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
        command.args(arguments).env_remove(ENDPOINT_VARIABLE);
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
    for Outcome { name, elapsed, end } in outcomes {
        let (mark, remark) = match end {
            End::Passed => ("✓", seconds(*elapsed)),
            End::Failed(_) => ("✗", seconds(*elapsed)),
            End::Skipped { need } => ("-", format!("skipped, for it needs: {need}")),
        };
        println!("{mark} {name:<28} {remark:>12}");
    }
    println!("  {:<28} {:>12}\n", "all", seconds(elapsed));
    println!("{}", tally(outcomes));
}

/// The line that a machine reads.
fn tally(outcomes: &[Outcome]) -> String {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for outcome in outcomes {
        *match outcome.end {
            End::Passed => &mut passed,
            End::Failed(_) => &mut failed,
            End::Skipped { .. } => &mut skipped,
        } += 1;
    }
    match skipped {
        0 => format!("{passed} passed, {failed} failed"),
        _ => format!("{passed} passed, {failed} failed, {skipped} skipped"),
    }
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

/// Runs tests that were chosen by their names, with their output shown as it comes; a choice that no test answers to any
/// more would otherwise pass.
fn succeed_with_tests(command: &mut Command) -> Result<()> {
    println!("$ {}", process::describe(command));
    let mut numbers = Vec::new();
    let captured = process::capture(command, |line| {
        println!("{line}");
        numbers.extend(number_of_tests(line));
    })?;
    let (described, status) = (process::describe(command), captured.status);
    ensure!(status.success(), "{described} failed ({status})");
    ensure!(
        !numbers.is_empty() && !numbers.contains(&0),
        "{described} ran no test"
    );
    Ok(())
}

/// What a test binary says when it begins.
fn number_of_tests(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("running ")?.split_once(' ')?;
    rest.starts_with("test").then(|| number.parse().ok())?
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

fn tests_compile(run: &Run) -> Result<()> {
    succeed(run.cargo(&WITHOUT_STACK).arg("--no-run"))
}

fn tests_without_stack(run: &Run) -> Result<()> {
    succeed(&mut run.cargo(&WITHOUT_STACK))
}

/// Those that are ignored by default because they keep all processors busy for minutes. Compiled already.
fn long_tests(run: &Run) -> Command {
    let mut command = run.cargo(&WITHOUT_STACK);
    command.args(["--", "--ignored", "--nocapture"]);
    command
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

/// Those of the store and of all handlers, and the simulator's runs to which nothing happens: what they show must not be
/// true of one implementation only.
fn tests_on_another_dynamodb(run: &Run) -> Result<()> {
    let on = |endpoint: &str| {
        let mut handlers = run.cargo(&WITHOUT_STACK);
        for name in ["store"].into_iter().chain(FUNCTIONS) {
            handlers.args(["--test", name]);
        }
        let mut simulator = run.cargo(&WITHOUT_STACK);
        simulator.args(["--test", "simulation", "--", "undisturbed::"]);
        let run = |tests: &mut Command| succeed_with_tests(tests.env(ENDPOINT_VARIABLE, endpoint));
        // Both, also when the first fails.
        let results = [run(&mut handlers), run(&mut simulator)];
        results.into_iter().collect()
    };
    if let Some(endpoint) = &run.dynamodb {
        return on(endpoint);
    }
    tools::install(&run.places, &Steps::new())?;
    let settings = Settings::read(&run.places)?;
    let places = run
        .places
        .with_state(run.places.shared().join("test-dynamodb"));
    dynamodb::with_ministack(&places, &settings.region, on)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let nowhere = Places {
            root: "/nowhere".into(),
            state: "/nowhere".into(),
        };
        Run {
            places: nowhere.clone(),
            stack_places: nowhere,
            stack: OnceCell::new(),
            dynamodb: None,
        }
    }

    fn passing(name: &'static str, needs: &'static [&'static str]) -> Check {
        let way = Way::Alone(|_| Ok(()));
        Check { name, needs, way }
    }

    fn failing(name: &'static str, needs: &'static [&'static str]) -> Check {
        let way = Way::Alone(|_| bail!("as it should"));
        Check { name, needs, way }
    }

    fn interrupted(name: &'static str) -> Check {
        let (needs, way) = (&[], Way::Alone(|_| bail!(Interrupted)));
        Check { name, needs, way }
    }

    /// How each check ended, and the line that a machine reads.
    fn ends(checks: &[Check]) -> (Vec<(&'static str, String)>, String) {
        let outcomes = run().all(checks.iter());
        let ends = outcomes.iter().map(|outcome| {
            let end = match &outcome.end {
                End::Passed => "passed".to_owned(),
                End::Failed(error) => format!("failed: {error}"),
                End::Skipped { need } => format!("skipped: {need}"),
            };
            (outcome.name, end)
        });
        (ends.collect(), tally(&outcomes))
    }

    #[test]
    fn after_a_failure_all_checks_run_but_those_that_need_what_failed() {
        let (ends, tally) = ends(&[
            passing("a", &[]),
            failing("b", &["a"]),
            passing("c", &["b"]),
            passing("d", &["a", "c"]),
            passing("e", &["a"]),
            failing("f", &[]),
        ]);
        let expected = [
            ("a", "passed"),
            ("b", "failed: as it should"),
            ("c", "skipped: b"),
            ("d", "skipped: c"),
            ("e", "passed"),
            ("f", "failed: as it should"),
        ];
        assert_eq!(ends, expected.map(|(name, end)| (name, end.to_owned())));
        assert_eq!(tally, "2 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn a_need_that_nobody_asked_for_is_not_missed() {
        let (ends, tally) = ends(&[passing("b", &["a"])]);
        assert_eq!(ends, [("b", "passed".to_owned())]);
        assert_eq!(tally, "1 passed, 0 failed");
    }

    #[test]
    fn nothing_is_begun_after_an_interrupt() {
        let (ends, _) = ends(&[interrupted("a"), passing("b", &[])]);
        assert_eq!(ends, [("a", "failed: interrupted".to_owned())]);
    }

    #[test]
    fn one_failure_is_enough_for_the_run_to_fail_and_an_interrupt_is_no_failure() {
        let checks = [failing("a", &[]), passing("b", &[]), interrupted("c")];
        let end_of = |checks: &[Check]| exit_code(run().all(checks.iter()));
        assert_eq!(end_of(&checks[1..2]).ok(), Some(ExitCode::SUCCESS));
        assert_eq!(end_of(&checks[..2]).ok(), Some(ExitCode::FAILURE));
        let error = end_of(&checks).err();
        assert!(error.is_some_and(|error| error.is::<Interrupted>()));
    }

    #[test]
    fn a_choice_of_tests_that_matches_none_fails() {
        let run = |text: &str| succeed_with_tests(Command::new("printf").arg(text));
        assert!(run("running 3 tests\nrunning 1 test").is_ok());
        assert!(run("running 3 tests\nrunning 0 tests").is_err());
        assert!(run("Finished").is_err());
    }

    #[test]
    fn what_a_check_needs_is_run_before_it_and_to_its_end() {
        for (n, check) in CHECKS.iter().enumerate() {
            for need in check.needs {
                let found = CHECKS[..n].iter().find(|before| before.name == *need);
                let way = found.map(|before| &before.way);
                let name = check.name;
                assert!(matches!(way, Some(Way::Alone(_))), "{name} needs {need}");
            }
        }
    }
}
