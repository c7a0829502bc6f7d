//! What a process has used, as the kernel counts it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The CPU time of a process so far, in user and system mode, of the threads that it has: of those that have ended the
/// kernel keeps no more than hundredths of a second.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(line) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let first = line.split(' ').next().unwrap_or_default();
        nanoseconds += first.parse::<u64>().context("no time in schedstat")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory that a process has had, resident, in bytes.
///
/// # Errors
///
/// When there is no such process.
pub fn peak_memory_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.context("no VmHWM")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

/// The instructions that valgrind has counted, by its log.
///
/// # Errors
///
/// When it says nothing of them.
pub fn instructions(log: &Path) -> Result<u64> {
    let log = fs::read_to_string(log).with_context(|| format!("no {}", log.display()))?;
    let line = log
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let count = line.with_context(|| format!("valgrind has counted nothing:\n{log}"))?;
    Ok(count.trim().parse()?)
}
