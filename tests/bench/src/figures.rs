//! What is reported of what has been measured, and what it should be.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Deserialize;

use crate::ledger::Counts;
use crate::measure::{Phases, Run, Subject};
use crate::report::{Goal, Section};
use crate::subjects::BOTO3;

/// A subject with all that is known of it.
#[derive(Debug)]
pub struct Measured {
    /// What it is.
    pub subject: Subject,
    /// Instructions over HTTP; none without valgrind.
    pub plain: Option<Phases<f64>>,
    /// Instructions over TLS; none without valgrind.
    pub tls: Option<Phases<f64>>,
    /// A run over TLS by itself.
    pub run: Run,
}

/// The reference application's view of a status, in all its processes, as `tests/yardsticks/reference/measure.py` prints it.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    cpu_microseconds: f64,
    memory_mebibytes: f64,
}

/// Why there are no instructions.
const NO_VALGRIND: &str = "left out: valgrind is not installed (apt install valgrind)";

/// The report of these, and of the reference application, or why it was left out.
///
/// # Errors
///
/// When a program cannot be read.
pub fn sections(all: &[Measured], reference: &Result<Reference, String>) -> Result<Vec<Section>> {
    Ok(vec![
        instructions_plain(all),
        instructions_tls(all),
        traffic(all),
        usage(all, reference),
        sizes(all)?,
    ])
}

fn instructions(
    title: &str,
    all: &[Measured],
    of: fn(&Measured) -> Option<Phases<f64>>,
) -> Section {
    let mut section = Section::new(title);
    for one in all {
        let Some(phases) = of(one) else {
            section.note(NO_VALGRIND);
            return section;
        };
        let name = &one.subject.name;
        let goal = match name.as_str() {
            "submit" => Some(Goal::AtMost(700_000.0)).filter(|_| title == PLAIN),
            _ => None,
        };
        section.count(format!("{name}: init"), phases.init, "instructions", None);
        let first = format!("{name}: first invocation");
        section.count(first, phases.first, "instructions", None);
        section.count(format!("{name}: warm"), phases.warm, "instructions", goal);
    }
    section
}

const PLAIN: &str = "Instructions over plain HTTP";

fn instructions_plain(all: &[Measured]) -> Section {
    let mut section = instructions(PLAIN, all, |one| one.plain);
    let of = |name: &str| named(all, name)?.plain;
    if let (Some(status), Some(hello)) = (of("status"), of("hello")) {
        let ratio = status.init / hello.init;
        section.count(
            "status: init, of hello's",
            ratio,
            "×",
            Some(Goal::AtMost(1.5)),
        );
        let ratio = status.warm / hello.warm;
        section.count(
            "status: warm, of hello's",
            ratio,
            "×",
            Some(Goal::AtMost(4.0)),
        );
    }
    if let (Some(status), Some(boto3)) = (of("status"), of(BOTO3)) {
        let (ratio, goal) = (boto3.warm / status.warm, Some(Goal::AtLeast(15.0)));
        section.count("status in boto3: warm, of status's", ratio, "×", goal);
    }
    section
}

fn instructions_tls(all: &[Measured]) -> Section {
    let mut section = instructions("Instructions over TLS", all, |one| one.tls);
    for one in all {
        let name = &one.subject.name;
        let Some(phases) = one.tls.filter(|_| name.starts_with("status")) else {
            continue;
        };
        let goal = Some(Goal::AtMost(4_800_000.0)).filter(|_| name == "status");
        let until = format!("{name}: until the first answer");
        section.count(until, phases.init + phases.first, "instructions", goal);
    }
    section
}

fn traffic(all: &[Measured]) -> Section {
    let mut section = Section::new("Connections, calls and bytes");
    for one in all {
        let name = &one.subject.name;
        let calls_max = match name.as_str() {
            "hello" => continue,
            "status" => Some(1.0),
            "submit" | "submit busy" => Some(2.0),
            "submit invalid" => Some(0.0),
            _ => None,
        };
        let is_ours = calls_max.is_some() || name == "cancel";
        let none = Some(Goal::AtMost(0.0)).filter(|_| is_ours);
        let (init, invocations) = one.run.counts.split_first().unwrap_or((&NOTHING, &[]));
        let mut sum = Counts::default();
        for counts in invocations {
            sum += counts;
        }
        let opened = format!("{name}: connections opened after the first /next");
        section.count(opened, sum.connections as f64, "connections", none);
        let before = format!("{name}: before it");
        section.count(before, init.connections as f64, "connections", None);
        // Warm ones: the first may have had something to do that the others have not.
        let warm = invocations.last().unwrap_or(&NOTHING);
        let calls = warm.calls.values().sum::<u64>() as f64;
        section.count(
            format!("{name}: calls"),
            calls,
            "calls",
            calls_max.map(Goal::AtMost),
        );
        let (sent, received) = (warm.bytes_sent as f64, warm.bytes_received as f64);
        section.count(format!("{name}: sent"), sent, "bytes", None);
        section.count(format!("{name}: received"), received, "bytes", None);
    }
    section
}

static NOTHING: Counts = Counts::nothing();

fn usage(all: &[Measured], reference: &Result<Reference, String>) -> Section {
    let mut section = Section::new("CPU time and memory");
    for one in all {
        let (name, cpu_time) = (&one.subject.name, one.run.cpu_time_phases());
        let milliseconds = cpu_time.init * 1e3;
        section.time(format!("{name}: init"), milliseconds, "ms", None);
        let milliseconds = cpu_time.first * 1e3;
        section.time(
            format!("{name}: first invocation"),
            milliseconds,
            "ms",
            None,
        );
        section.time(format!("{name}: warm"), cpu_time.warm * 1e6, "µs", None);
        let memory = one.run.peak_memory_mebibytes();
        section.time(format!("{name}: peak memory"), memory, "MiB", None);
    }
    if let Err(why) = reference {
        section.note(format!("left out: the reference application: {why}"));
    }
    if let Ok(reference) = reference {
        let name = "reference application's status";
        let (cpu_time, memory) = (reference.cpu_microseconds, reference.memory_mebibytes);
        section.time(format!("{name}: a request"), cpu_time, "µs", None);
        section.time(format!("{name}: memory"), memory, "MiB", None);
        if let Some(status) = named(all, "status") {
            let ratio = cpu_time / (status.run.cpu_time_phases().warm * 1e6);
            let (name, goal) = (
                format!("{name}: a request, of status's"),
                Goal::AtLeast(20.0),
            );
            section.time(name, ratio, "×", Some(goal));
        }
    }
    if let (Some(status), Some(boto3)) = (named(all, "status"), named(all, BOTO3)) {
        let ratio = boto3.run.peak_memory_mebibytes() / status.run.peak_memory_mebibytes();
        let name = "status in boto3: peak memory, of status's";
        section.time(name, ratio, "×", Some(Goal::AtLeast(6.0)));
    }
    section
}

fn sizes(all: &[Measured]) -> Result<Section> {
    let mut section = Section::new("Size");
    let mut seen = vec![];
    for one in all {
        // A program of somebody else's, or one that has been weighed.
        let program = &one.subject.program.command[0];
        if one.subject.program.command.len() > 1 || seen.contains(&program) {
            continue;
        }
        seen.push(program);
        let content = fs::read(program).with_context(|| program.display().to_string())?;
        let mut zip = DeflateEncoder::new(Vec::new(), Compression::default());
        zip.write_all(&content)?;
        let name = &one.subject.name;
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let goal = Some(Goal::AtMost(5.0));
        let goal = goal.filter(|_| ["status", "submit", "cancel"].contains(&name.as_str()));
        section.count(
            format!("{name}: bootstrap"),
            megabytes(content.len()),
            "MB",
            goal,
        );
        let zipped = megabytes(zip.finish()?.len());
        section.count(format!("{name}: zip"), zipped, "MB", None);
    }
    Ok(section)
}

fn named<'a>(all: &'a [Measured], name: &str) -> Option<&'a Measured> {
    all.iter().find(|one| one.subject.name == name)
}
