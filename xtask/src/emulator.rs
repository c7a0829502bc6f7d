//! MiniStack as a background process: started on a free loopback port, recognised later, ended with all its children.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::interrupt;
use crate::places::Places;
use crate::process;
use crate::steps::{Step, Steps};

/// It takes two seconds on a slow machine; this is for one that is busy compiling.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// One attempt per port: another program may take a port between our look and MiniStack's bind.
const PORT_ATTEMPTS: usize = 5;

/// An emulator that was started for a state directory.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(crate) struct Emulator {
    /// Also the id of its process group, which holds the functions' processes.
    pub(crate) process_group: u32,
    pub(crate) endpoint_url: String,
    pub(crate) started_at: u64,
}

/// Who may call an emulator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Access {
    /// Calls have to be signed, and every function has only what its policy in the template allows.
    ByPolicy,
    /// Anybody on this machine may call anything.
    Open,
}

/// What is known about the emulator of a state directory.
#[derive(Debug, PartialEq)]
pub(crate) enum State {
    /// It answers.
    Running(Emulator),
    /// Processes of it are left, but it does not answer.
    Broken(Emulator),
    /// Nothing runs.
    Stopped,
}

/// What is running for this state directory, whoever started it and however that ended.
pub(crate) fn state(places: &Places) -> State {
    let Some(emulator) = read_record(places) else {
        return State::Stopped;
    };
    if !has_processes(places, &emulator) {
        State::Stopped
    } else if is_healthy(&emulator.endpoint_url) {
        State::Running(emulator)
    } else {
        State::Broken(emulator)
    }
}

/// Whether none of its processes are left; asks the system and not the emulator, which may be busy.
pub(crate) fn is_gone(places: &Places) -> bool {
    read_record(places).is_none_or(|emulator| !has_processes(places, &emulator))
}

/// Starts MiniStack and waits until it answers.
pub(crate) fn start(
    places: &Places,
    step: &Step,
    region: &str,
    access: Access,
) -> Result<Emulator> {
    places.make()?;
    let mut port_before = read_record(places).and_then(|emulator| port_of(&emulator.endpoint_url));
    for _ in 0..PORT_ATTEMPTS {
        let port = free_port(port_before.take())?;
        step.busy_with(&format!("port {port}"));
        let mut child = spawn(places, port, region, access)?;
        let emulator = Emulator {
            process_group: child.id(),
            endpoint_url: url(port),
            started_at: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        // Before the wait: whatever happens to this program, `down` then knows what to end.
        fs::write(
            places.emulator_record(),
            serde_json::to_vec_pretty(&emulator)?,
        )?;
        match wait_until_healthy(&mut child, &emulator) {
            Ok(true) => return Ok(emulator),
            Ok(false) => {
                let log = fs::read_to_string(places.emulator_log()).unwrap_or_default();
                if !log.to_lowercase().contains("already in use") {
                    forget(places);
                    bail!(
                        "the emulator ended at once; its log, {}, says:\n{}",
                        places.emulator_log().display(),
                        process::tail(&log, 20)
                    );
                }
            }
            Err(error) => {
                end(places, &emulator, Some(&mut child))?;
                return Err(error);
            }
        }
    }
    forget(places);
    bail!("no free port found in {PORT_ATTEMPTS} attempts");
}

/// Starts MiniStack, as anybody might, for as long as `work` takes, which gets its URL. Whatever becomes of the work, nothing is left.
pub(crate) fn with_ministack(
    places: &Places,
    region: &str,
    work: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    // A run that was killed may have left one behind.
    stop(places)?;
    let emulator = Steps::new().run("start MiniStack", |step| {
        // Without policies: there is no stack that could have any.
        let emulator = start(places, step, region, Access::Open)?;
        step.result(emulator.endpoint_url.clone());
        Ok(emulator)
    })?;
    let result = work(&emulator.endpoint_url);
    let is_lost = result.is_err() && !matches!(state(places), State::Running(_));
    let log = fs::read_to_string(places.emulator_log()).unwrap_or_default();
    stop(places)?;
    match result {
        Err(error) if is_lost && !error.is::<interrupt::Interrupted>() => bail!(
            "{error:#}\nMiniStack did not live to the end of it; its log, {}, says:\n{}",
            places.emulator_log().display(),
            process::tail(&log, 20)
        ),
        result => result,
    }
}

/// Ends whatever is left of the recorded emulator. True when there was something to end.
pub(crate) fn stop(places: &Places) -> Result<bool> {
    match state(places) {
        State::Running(emulator) | State::Broken(emulator) => end(places, &emulator, None),
        State::Stopped => {
            forget(places);
            Ok(false)
        }
    }
}

/// Whether an emulator answers at this URL.
pub(crate) fn is_healthy(endpoint_url: &str) -> bool {
    ["_ministack/health", "_localstack/health"]
        .iter()
        .any(|path| {
            let request = ureq::get(format!("{endpoint_url}/{path}"))
                .config()
                .timeout_global(Some(Duration::from_secs(3)))
                .proxy(None)
                .build();
            request.call().is_ok()
        })
}

fn spawn(places: &Places, port: u16, region: &str, access: Access) -> Result<Child> {
    let files = places.emulator_files();
    if files.exists() {
        fs::remove_dir_all(&files).with_context(|| format!("cannot clear {}", files.display()))?;
    }
    let temporary = files.join("tmp");
    fs::create_dir_all(&temporary)?;
    let log = File::create(places.emulator_log())?;
    let mut command = Command::new(places.tool("python"));
    // Python takes no notice of the -X option; `has_processes` knows the process by it.
    let mark = format!("longhaul={}", files.display());
    command
        .args(["-X", &mark, "-m", "ministack"])
        .current_dir(&files);
    // The functions inherit this environment: nothing of the developer's (credentials, proxies) belongs in it.
    command.env_clear();
    for name in ["PATH", "LANG", "LC_ALL"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("HOME", &files)
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_REGION", region)
        .env("AWS_DEFAULT_REGION", region)
        .env("AUTH", (access == Access::ByPolicy).to_string())
        // On by default, and listens on every interface.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("STATE_DIR", files.join("state"))
        .env("S3_DATA_DIR", files.join("s3"))
        .env("TMPDIR", &temporary)
        .env("PYTHONUNBUFFERED", "1");
    // A group of its own: Ctrl-C on the terminal reaches only xtask, which ends the emulator in order.
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    command.spawn().context("cannot start the emulator")
}

/// False when it ended instead.
fn wait_until_healthy(child: &mut Child, emulator: &Emulator) -> Result<bool> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        if is_healthy(&emulator.endpoint_url) {
            // Another program on the port could have answered while ours is on its way out.
            return Ok(child.try_wait()?.is_none());
        }
        if Instant::now() > deadline {
            bail!(
                "the emulator did not answer within {} s",
                START_TIMEOUT.as_secs()
            );
        }
        interrupt::sleep(Duration::from_millis(100))?;
    }
}

fn end(places: &Places, emulator: &Emulator, mut child: Option<&mut Child>) -> Result<bool> {
    let ended = process::end(emulator.process_group, || {
        if let Some(child) = child.as_deref_mut() {
            // Reaps it, if it is ours.
            let _ = child.try_wait();
        }
        !process::group_members(emulator.process_group).is_empty()
    })?;
    forget(places);
    Ok(ended)
}

/// Removes what only a running emulator needs. The record stays: it holds the port to try first next time.
fn forget(places: &Places) {
    // Not there is as good as removed.
    let _ = fs::remove_dir_all(places.emulator_files());
}

fn read_record(places: &Places) -> Option<Emulator> {
    serde_json::from_slice(&fs::read(places.emulator_record()).ok()?).ok()
}

/// Whether the group is alive **and ours**: its number may long belong to somebody else's processes, as numbers come
/// round within the hour on a busy machine. The command lines of ours all name this state directory.
fn has_processes(places: &Places, emulator: &Emulator) -> bool {
    let files = places.emulator_files();
    process::group_members(emulator.process_group)
        .iter()
        .any(|line| line.contains(files.to_string_lossy().as_ref()))
}

/// The port that was used before, if it is free: the page keeps its address and the browser its tab.
fn free_port(before: Option<u16>) -> Result<u16> {
    let bind = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr())
    };
    let address = before
        .and_then(|port| bind(port).ok())
        .map_or_else(|| bind(0), Ok)
        .context("no free port on 127.0.0.1")?;
    Ok(address.port())
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The port of a URL without a path.
pub(crate) fn port_of(endpoint_url: &str) -> Option<u16> {
    endpoint_url.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_before_is_taken_again_only_when_it_is_free() -> Result<()> {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let taken = holder.local_addr()?.port();
        assert_ne!(free_port(Some(taken))?, taken);
        drop(holder);
        assert_eq!(free_port(Some(taken))?, taken);
        assert_eq!(port_of(&format!("http://127.0.0.1:{taken}")), Some(taken));
        Ok(())
    }
}
