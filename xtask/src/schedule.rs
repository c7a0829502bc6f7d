//! Runs the checks of a test run: side by side in two lanes, each check once those that it needs have passed.
//!
//! Knows nothing of what a check does. A failure ends none but the checks that need what failed, so that one run tells
//! all that is wrong; an interrupt ends everything.

use std::process::{Command, ExitCode};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};

use crate::interrupt::Interrupted;
use crate::process;
use crate::steps::seconds;

/// The checks of a lane run one after another, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What keeps the processors busy: the compiler, and tests that only compute.
    Code,
    /// What mostly waits: for downloads, and for items and leases on the local stack.
    Stack,
}

impl Lane {
    const ALL: [Self; 2] = [Self::Code, Self::Stack];
}

/// A named part of a run.
pub(crate) struct Check<R> {
    pub(crate) name: &'static str,
    pub(crate) lane: Lane,
    /// The checks without whose success this one would say nothing, or only the same once more.
    pub(crate) needs: &'static [&'static str],
    pub(crate) work: fn(&R, &mut Output) -> Result<()>,
}

/// Where a check's words go: straight to the screen or, where two lanes would get into each other's, into one piece that
/// is shown when the check has ended.
#[derive(Debug)]
pub(crate) struct Output {
    kept: Option<String>,
}

impl Output {
    /// Nothing is shown before the end.
    pub(crate) fn kept() -> Self {
        Self {
            kept: Some(String::new()),
        }
    }

    pub(crate) fn line(&mut self, text: &str) {
        match &mut self.kept {
            Some(kept) => {
                kept.push_str(text);
                kept.push('\n');
            }
            None => println!("{text}"),
        }
    }

    /// Runs one command with its output shown; its failure is the check's.
    pub(crate) fn succeed(&mut self, command: &mut Command) -> Result<()> {
        let described = process::describe(command);
        self.line(&format!("$ {described}"));
        let status = match &self.kept {
            None => process::show(command)?,
            Some(_) => process::capture(command, |line| self.line(line))?.status,
        };
        if !status.success() {
            bail!("{described} failed ({status})");
        }
        Ok(())
    }

    /// The same for tests that were chosen by their names; a choice that no test answers to any more would otherwise
    /// pass.
    pub(crate) fn succeed_with_tests(&mut self, command: &mut Command) -> Result<()> {
        let described = process::describe(command);
        self.line(&format!("$ {described}"));
        let mut numbers = Vec::new();
        let captured = process::capture(command, |line| {
            self.line(line);
            numbers.extend(number_of_tests(line));
        })?;
        let status = captured.status;
        ensure!(status.success(), "{described} failed ({status})");
        ensure!(
            !numbers.is_empty() && !numbers.contains(&0),
            "{described} ran no test"
        );
        Ok(())
    }
}

/// What a test binary says when it begins.
fn number_of_tests(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("running ")?.split_once(' ')?;
    rest.starts_with("test").then(|| number.parse().ok())?
}

/// What came of a check.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) elapsed: Duration,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Passed,
    Failed(anyhow::Error),
    /// It needs this check, which did not pass.
    Skipped {
        need: &'static str,
    },
}

impl Outcome {
    fn is_interrupted(&self) -> bool {
        matches!(&self.end, End::Failed(error) if error.is::<Interrupted>())
    }
}

/// The outcomes so far. The lanes wait here for each other.
#[derive(Default)]
struct Board {
    outcomes: Mutex<Vec<Outcome>>,
    changed: Condvar,
}

/// What a lane may do about its next check.
enum Turn {
    Begin,
    Skip(&'static str),
    Stop,
}

impl Board {
    /// A check that panicked has been recorded as failed; what is on the board is whole.
    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what the check needs has ended. What nobody asked for is not waited for, nor missed: whoever asks for
    /// a single check has a reason.
    fn turn_of<R>(&self, check: &Check<R>, chosen: &[&Check<R>]) -> Turn {
        let is_chosen = |need: &&str| chosen.iter().any(|other| other.name == *need);
        let mut outcomes = self.outcomes();
        loop {
            if outcomes.iter().any(Outcome::is_interrupted) {
                return Turn::Stop;
            }
            let end_of = |need: &&str| {
                let outcome = outcomes.iter().find(|outcome| outcome.name == *need);
                outcome.map(|outcome| &outcome.end)
            };
            let mut needs = check.needs.iter().filter(|need| is_chosen(need));
            let spoilt = needs
                .clone()
                .find(|need| matches!(end_of(need), Some(End::Failed(_) | End::Skipped { .. })));
            if let Some(need) = spoilt {
                return Turn::Skip(need);
            }
            if needs.all(|need| end_of(need).is_some()) {
                return Turn::Begin;
            }
            outcomes = self
                .changed
                .wait(outcomes)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_up(&self, outcome: Outcome) {
        self.outcomes().push(outcome);
        self.changed.notify_all();
    }
}

/// Runs the chosen checks and says how each ended. The outcomes come in the order in which the checks ended.
pub(crate) fn run<R: Sync>(chosen: &[&Check<R>], context: &R) -> Vec<Outcome> {
    let board = Board::default();
    let used = |lane: &Lane| chosen.iter().any(|check| check.lane == *lane);
    let is_alone = Lane::ALL.iter().filter(|lane| used(lane)).count() < 2;
    thread::scope(|scope| {
        for lane in Lane::ALL {
            let board = &board;
            scope.spawn(move || {
                for check in chosen.iter().filter(|check| check.lane == lane) {
                    match board.turn_of(check, chosen) {
                        Turn::Begin => board.put_up(one(check, context, is_alone)),
                        Turn::Skip(need) => board.put_up(skipped(check.name, need)),
                        Turn::Stop => break,
                    }
                }
            });
        }
    });
    board
        .outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn one<R: Sync>(check: &Check<R>, context: &R, is_alone: bool) -> Outcome {
    let name = check.name;
    println!("\n=== {name} ===");
    let mut output = if is_alone {
        Output { kept: None }
    } else {
        Output::kept()
    };
    let started = Instant::now();
    // On a thread of its own, so that one that panics is a check that failed.
    let result = thread::scope(|scope| {
        let work = scope.spawn(|| (check.work)(context, &mut output));
        work.join().unwrap_or_else(|_| Err(anyhow!("it panicked")))
    });
    let elapsed = started.elapsed();
    if let Err(error) = &result {
        output.line(&format!("{error:#}"));
    }
    let ended = if result.is_err() { "failed" } else { "passed" };
    output.line(&format!("=== {name}: {ended} in {} ===", seconds(elapsed)));
    if let Some(kept) = output.kept {
        print!("\n{kept}");
    }
    Outcome {
        name,
        elapsed,
        end: result.map_or_else(End::Failed, |()| End::Passed),
    }
}

fn skipped(name: &'static str, need: &'static str) -> Outcome {
    println!("\n=== {name}: skipped, for it needs: {need} ===");
    Outcome {
        name,
        elapsed: Duration::ZERO,
        end: End::Skipped { need },
    }
}

/// The same command, which gets what others leave of the processors.
pub(crate) fn at_lowest_priority(command: &Command) -> Command {
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

/// Says what became of all checks. The last line is for a machine: `N passed, N failed`, and `, N skipped` if some were.
pub(crate) fn summary(outcomes: &[Outcome], elapsed: Duration) {
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

/// A failure if any check failed; an interrupt is one of its own.
pub(crate) fn exit_code(outcomes: Vec<Outcome>) -> Result<ExitCode> {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Two checks of different lanes that are to meet.
    struct Meeting {
        arrived: Mutex<Sender<()>>,
        awaited: Mutex<Receiver<()>>,
    }

    fn meeting() -> Meeting {
        let (arrived, awaited) = channel();
        Meeting {
            arrived: arrived.into(),
            awaited: awaited.into(),
        }
    }

    fn check(
        name: &'static str,
        needs: &'static [&'static str],
        work: fn(&Meeting, &mut Output) -> Result<()>,
    ) -> Check<Meeting> {
        Check {
            name,
            lane: Lane::Code,
            needs,
            work,
        }
    }

    fn passing(name: &'static str, needs: &'static [&'static str]) -> Check<Meeting> {
        check(name, needs, |_, _| Ok(()))
    }

    fn failing(name: &'static str, needs: &'static [&'static str]) -> Check<Meeting> {
        check(name, needs, |_, _| bail!("as it should"))
    }

    fn interrupted(name: &'static str) -> Check<Meeting> {
        check(name, &[], |_, _| bail!(Interrupted))
    }

    fn on_the_stack(mut check: Check<Meeting>) -> Check<Meeting> {
        check.lane = Lane::Stack;
        check
    }

    fn outcomes(checks: &[Check<Meeting>]) -> Vec<Outcome> {
        run(&checks.iter().collect::<Vec<_>>(), &meeting())
    }

    /// How each check ended, and the line that a machine reads.
    fn ends(checks: &[Check<Meeting>]) -> (Vec<(&'static str, String)>, String) {
        let outcomes = outcomes(checks);
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
    fn a_check_waits_for_what_it_needs_of_the_other_lane() {
        let (ends, _) = ends(&[
            on_the_stack(passing("c", &["b"])),
            on_the_stack(passing("d", &["a", "b"])),
            passing("a", &[]),
            failing("b", &[]),
        ]);
        let expected = [
            ("a", "passed"),
            ("b", "failed: as it should"),
            ("c", "skipped: b"),
            ("d", "skipped: b"),
        ];
        assert_eq!(ends, expected.map(|(name, end)| (name, end.to_owned())));
    }

    #[test]
    fn the_lanes_run_side_by_side() {
        let outcomes = outcomes(&[
            check("arrives", &[], |meeting, _| {
                Ok(meeting.arrived.lock().unwrap().send(())?)
            }),
            on_the_stack(check("waits", &[], |meeting, _| {
                let patience = Duration::from_secs(20);
                Ok(meeting.awaited.lock().unwrap().recv_timeout(patience)?)
            })),
        ]);
        assert_eq!(tally(&outcomes), "2 passed, 0 failed");
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
    fn a_check_that_panics_has_failed_and_keeps_no_other_waiting() {
        let panics = check("a", &[], |_, _| panic!("as it should"));
        let (ends, _) = ends(&[
            panics,
            on_the_stack(passing("b", &["a"])),
            passing("c", &[]),
        ]);
        let end_of = |name| ends.iter().find(|end| end.0 == name).unwrap().1.as_str();
        assert_eq!(end_of("a"), "failed: it panicked");
        assert_eq!(end_of("b"), "skipped: a");
        assert_eq!(end_of("c"), "passed");
    }

    #[test]
    fn what_a_check_writes_is_kept_together_while_two_lanes_write() {
        let mut output = Output::kept();
        output.line("first");
        let command = &mut Command::new("sh");
        let result = output.succeed(command.args(["-c", "echo second; exit 3"]));
        assert!(result.unwrap_err().to_string().contains("exit status: 3"));
        let kept = output.kept.unwrap();
        assert_eq!(kept, "first\n$ sh -c echo second; exit 3\nsecond\n");
    }

    #[test]
    fn a_choice_of_tests_that_matches_none_fails() {
        let run = |text: &str| {
            let mut output = Output::kept();
            output.succeed_with_tests(Command::new("printf").arg(text))
        };
        assert!(run("running 3 tests\nrunning 1 test").is_ok());
        assert!(run("running 3 tests\nrunning 0 tests").is_err());
        assert!(run("Finished").is_err());
    }

    #[test]
    fn one_failure_is_enough_for_the_run_to_fail_and_an_interrupt_is_no_failure() {
        let checks = [failing("a", &[]), passing("b", &[]), interrupted("c")];
        let end_of = |checks: &[Check<Meeting>]| exit_code(outcomes(checks));
        assert_eq!(end_of(&checks[1..2]).ok(), Some(ExitCode::SUCCESS));
        assert_eq!(end_of(&checks[..2]).ok(), Some(ExitCode::FAILURE));
        let error = end_of(&checks).err();
        assert!(error.is_some_and(|error| error.is::<Interrupted>()));
    }
}
