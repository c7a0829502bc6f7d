//! Runs other programs: their output captured or passed on, their whole process group ended when asked to stop.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt::{self, Interrupted};

/// How long a process group gets to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How long to go on reading the pipes of a program that has ended: a daemon it left behind may hold them open.
const DRAIN: Duration = Duration::from_millis(500);

/// What a captured program wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What happens while a program runs.
#[derive(Debug)]
pub(crate) enum Event {
    Stdout(String),
    Stderr(String),
    /// Nothing, for [`interrupt::NOTICE`].
    Idle,
}

/// Runs to the end and returns what was written; `on_line` sees every line as it comes, from either stream.
pub(crate) fn capture(command: &mut Command, on_line: impl FnMut(&str)) -> Result<Captured> {
    capture_from(command, Stdio::null(), on_line)
}

/// The same for work that must not be done twice at once: `lock` stays locked for as long as the program or one of its
/// children lives, even when this one is killed, because its standard input is the locked file.
pub(crate) fn capture_holding(
    command: &mut Command,
    lock: &File,
    on_line: impl FnMut(&str),
) -> Result<Captured> {
    capture_from(command, lock.try_clone()?.into(), on_line)
}

fn capture_from(
    command: &mut Command,
    stdin: Stdio,
    mut on_line: impl FnMut(&str),
) -> Result<Captured> {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let status = watch_from(command, stdin, |event| {
        let (line, text) = match event {
            Event::Stdout(line) => (line, &mut stdout),
            Event::Stderr(line) => (line, &mut stderr),
            Event::Idle => return Ok(()),
        };
        on_line(&line);
        text.push_str(&line);
        text.push('\n');
        Ok(())
    })?;
    Ok(Captured {
        status,
        stdout,
        stderr,
    })
}

/// Runs to the end and keeps nothing; an error from `on_event` ends the program.
pub(crate) fn watch(
    command: &mut Command,
    on_event: impl FnMut(Event) -> Result<()>,
) -> Result<ExitStatus> {
    watch_from(command, Stdio::null(), on_event)
}

fn watch_from(
    command: &mut Command,
    stdin: Stdio,
    mut on_event: impl FnMut(Event) -> Result<()>,
) -> Result<ExitStatus> {
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = start(command)?;
    // This program's own copy of what it handed on; a lock must not outlive the child because of it.
    command.stdin(Stdio::null());
    let (sender, events) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read_lines(stdout, sender.clone(), Event::Stdout);
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, sender, Event::Stderr);
    }
    let mut drain_until = None;
    loop {
        let event = match events.recv_timeout(interrupt::NOTICE) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::Idle,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let idle = matches!(event, Event::Idle);
        let go_on = interrupt::check()
            .map_err(Into::into)
            .and_then(|()| on_event(event));
        if let Err(error) = go_on {
            end_group(child.id(), &mut child);
            return Err(error);
        }
        if idle
            && child.try_wait()?.is_some()
            && *drain_until.get_or_insert_with(|| Instant::now() + DRAIN) < Instant::now()
        {
            break;
        }
    }
    wait(&mut child)
}

/// Runs to the end with this program's own output, so that the developer sees it as it comes.
pub(crate) fn show(command: &mut Command) -> Result<ExitStatus> {
    let mut child = start(command.stdin(Stdio::null()))?;
    wait(&mut child)
}

/// Whether a program succeeded, as what xtask ends with.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A cargo command as the developer would type it in the checkout, for this machine.
pub(crate) fn cargo(root: &Path) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = as_by_hand(cargo, root);
    command.env_remove("CARGO_BUILD_TARGET");
    command
}

/// A program with the developer's whole environment, in the checkout.
///
/// `cargo run` hands xtask variables that describe xtask's own package. Build scripts that watch them (ring's does)
/// would run again, and everything above them would be rebuilt, each time that xtask and the shell take turns.
pub(crate) fn as_by_hand(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CARGO_BIN_")
            || text == "CARGO_CRATE_NAME"
            || text == "CARGO_PRIMARY_PACKAGE"
        {
            command.env_remove(&name);
        }
    }
    command
}

/// The command line, for an error message.
pub(crate) fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines of a long output: the part with the reason, as a rule.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Ends every process of a group: asks first, kills after a grace period. True when there was something to end.
///
/// `still_there` tells whether the group has members left; a leader that is our own child counts until it is reaped.
pub(crate) fn end(group: u32, mut still_there: impl FnMut() -> bool) -> Result<bool> {
    // Not left to the signal: it also "succeeds" on zombies that nobody has collected yet.
    if !still_there() {
        return Ok(false);
    }
    let pid = Pid::from_raw(i32::try_from(group).context("not a process id")?);
    for (signal, patience) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, GRACE)] {
        match killpg(pid, signal) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(true),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot end process group {group}"));
            }
        }
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !still_there() {
                return Ok(true);
            }
            thread::sleep(interrupt::NOTICE);
        }
    }
    bail!("process group {group} does not end, not even when killed")
}

/// The command lines of a process group's living members.
pub(crate) fn group_members(group: u32) -> Vec<String> {
    if cfg!(target_os = "linux") {
        members_from_proc(group)
    } else {
        members_from_ps(group)
    }
}

/// Linux, without needing `ps`: slim images do not have it.
fn members_from_proc(group: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // pid (name) state ppid pgrp …; the name may hold spaces and parentheses, so count from its end.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let state = fields.next()?;
            let pgrp: u32 = fields.nth(1)?.parse().ok()?;
            if pgrp != group || state == "Z" {
                return None;
            }
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

fn members_from_ps(group: u32) -> Vec<String> {
    let Ok(output) = Command::new("ps")
        .args(["-A", "-o", "pgid=,stat=,args="])
        .output()
    else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let pgid: u32 = fields.next()?.parse().ok()?;
            let state = fields.next()?;
            (pgid == group && !state.starts_with('Z')).then(|| fields.collect::<Vec<_>>().join(" "))
        })
        .collect()
}

fn start(command: &mut Command) -> Result<Child> {
    interrupt::check()?;
    // A group of its own: an interrupt then ends its children too, and only when this program says so.
    command
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", describe(command)))
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() {
            end_group(child.id(), child);
            bail!(Interrupted);
        }
        thread::sleep(interrupt::NOTICE);
    }
}

fn end_group(group: u32, leader: &mut Child) {
    if let Err(error) = end(group, || {
        matches!(leader.try_wait(), Ok(None)) || !group_members(group).is_empty()
    }) {
        eprintln!("warning: {error:#}");
    }
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: Sender<Event>,
    wrap: fn(String) -> Event,
) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
            let line = String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            if sender.send(wrap(line)).is_err() {
                break;
            }
            bytes.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_and_the_exit_code_are_captured() -> Result<()> {
        let mut seen = 0;
        let captured = capture(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            |_| seen += 1,
        )?;
        assert_eq!(
            (captured.stdout.as_str(), captured.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!((captured.status.code(), seen), (Some(3), 2));
        Ok(())
    }

    #[test]
    fn a_daemon_that_holds_the_pipe_open_does_not_hold_us_up() -> Result<()> {
        let started = Instant::now();
        let captured = capture(
            Command::new("sh").args(["-c", "sleep 20 & echo done"]),
            |_| {},
        )?;
        assert_eq!(captured.stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
        Ok(())
    }

    #[test]
    fn ending_a_group_ends_the_children_that_ignore_the_leader() -> Result<()> {
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 60 & sleep 60"])
            .process_group(0)
            .spawn()?;
        let group = leader.id();
        while group_members(group).len() < 3 {
            thread::sleep(interrupt::NOTICE);
        }
        assert!(end(group, || matches!(leader.try_wait(), Ok(None))
            || !group_members(group).is_empty())?);
        assert_eq!(group_members(group), Vec::<String>::new());
        assert!(!end(group, || false)?);
        Ok(())
    }

    #[test]
    fn the_tail_of_a_short_text_is_the_text() {
        assert_eq!(tail("a\nb\n", 5), "a\nb");
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
    }
}
