//! What is reported of what has been measured, and what it should be.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use figures::Section;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Deserialize;

use crate::ledger::Counts;
use crate::measure::{Phases, Run, Subject};
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
        let (of_init, of_first) = (format!("{name}: init"), format!("{name}: first invocation"));
        section.count(of_init, phases.init, "instructions");
        section.count(of_first, phases.first, "instructions");
        let warm = section.count(format!("{name}: warm"), phases.warm, "instructions");
        if title == PLAIN && name == "submit" {
            warm.at_most(700_000.0);
        }
    }
    section
}

const PLAIN: &str = "Instructions over plain HTTP";

fn instructions_plain(all: &[Measured]) -> Section {
    let mut section = instructions(PLAIN, all, |one| one.plain);
    let of = |name: &str| named(all, name)?.plain;
    if let (Some(status), Some(hello)) = (of("status"), of("hello")) {
        let (init, warm) = (status.init / hello.init, status.warm / hello.warm);
        section
            .count("status: init, of hello's", init, "×")
            .at_most(1.5);
        section
            .count("status: warm, of hello's", warm, "×")
            .at_most(4.0);
    }
    if let (Some(status), Some(boto3)) = (of("status"), of(BOTO3)) {
        let ratio = boto3.warm / status.warm;
        section
            .count("status in boto3: warm, of status's", ratio, "×")
            .at_least(15.0);
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
        let until = format!("{name}: until the first answer");
        let row = section.count(until, phases.init + phases.first, "instructions");
        row.at_most((name == "status").then_some(4_800_000.0));
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
        let (init, invocations) = one.run.counts.split_first().unwrap_or((&NOTHING, &[]));
        let sum: Counts = invocations.iter().sum();
        let opened = format!("{name}: connections opened after the first /next");
        let row = section.count(opened, sum.connections as f64, "connections");
        row.at_most(is_ours.then_some(0.0));
        let before = format!("{name}: before it");
        section.count(before, init.connections as f64, "connections");
        // Warm ones: the first may have had something to do that the others have not.
        let warm = invocations.last().unwrap_or(&NOTHING);
        let calls = warm.calls.values().sum::<u64>() as f64;
        section
            .count(format!("{name}: calls"), calls, "calls")
            .at_most(calls_max);
        let (sent, received) = (warm.bytes_sent as f64, warm.bytes_received as f64);
        section.count(format!("{name}: sent"), sent, "bytes");
        section.count(format!("{name}: received"), received, "bytes");
    }
    section
}

static NOTHING: Counts = Counts::nothing();

fn usage(all: &[Measured], reference: &Result<Reference, String>) -> Section {
    let mut section = Section::new("CPU time and memory");
    for one in all {
        let (name, cpu_time) = (&one.subject.name, one.run.cpu_time_phases());
        section.time(format!("{name}: init"), cpu_time.init * 1e3, "ms");
        let first = format!("{name}: first invocation");
        section.time(first, cpu_time.first * 1e3, "ms");
        section.time(format!("{name}: warm"), cpu_time.warm * 1e6, "µs");
        let memory = one.run.peak_memory_mebibytes();
        section.time(format!("{name}: peak memory"), memory, "MiB");
    }
    if let Err(why) = reference {
        section.note(format!("left out: the reference application: {why}"));
    }
    if let Ok(reference) = reference {
        let name = "reference application's status";
        let (cpu_time, memory) = (reference.cpu_microseconds, reference.memory_mebibytes);
        section.time(format!("{name}: a request"), cpu_time, "µs");
        section.time(format!("{name}: memory"), memory, "MiB");
        if let Some(status) = named(all, "status") {
            let ratio = cpu_time / (status.run.cpu_time_phases().warm * 1e6);
            section
                .time(format!("{name}: a request, of status's"), ratio, "×")
                .at_least(20.0);
        }
    }
    if let (Some(status), Some(boto3)) = (named(all, "status"), named(all, BOTO3)) {
        let ratio = boto3.run.peak_memory_mebibytes() / status.run.peak_memory_mebibytes();
        let name = "status in boto3: peak memory, of status's";
        section.time(name, ratio, "×").at_least(6.0);
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
        let row = section.count(format!("{name}: bootstrap"), megabytes(content.len()), "MB");
        let is_judged = ["status", "submit", "cancel"].contains(&name.as_str());
        row.at_most(is_judged.then_some(5.0));
        let zipped = megabytes(zip.finish()?.len());
        section.count(format!("{name}: zip"), zipped, "MB");
    }
    Ok(section)
}

fn named<'a>(all: &'a [Measured], name: &str) -> Option<&'a Measured> {
    all.iter().find(|one| one.subject.name == name)
}
