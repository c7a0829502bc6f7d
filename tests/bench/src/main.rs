//! `bench`: measures the functions whose programs are in a folder.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use bench::measure::{Bench, Subject, Wire};
use bench::subjects;
use clap::Parser;

/// Measures functions phase by phase: start until the first question for an invocation, first invocation, warm one.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// The folder of the programs: status, submit, cancel, hello.
    #[arg(long, value_name = "FOLDER")]
    programs: PathBuf,
    /// Speak HTTP to AWS, without TLS.
    #[arg(long)]
    plain: bool,
    /// Keep files, valgrind's among them, in this folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// How many warm invocations to take the mean of under valgrind.
    #[arg(long, default_value_t = 20)]
    warm: usize,
    /// The same without valgrind.
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// What to measure; everything by default.
    subjects: Vec<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = match &options.keep {
        Some(folder) => std::path::absolute(folder)?,
        None => env::temp_dir().join(format!("longhaul-bench-{}", std::process::id())),
    };
    fs::create_dir_all(&folder)?;
    let wire = if options.plain {
        Wire::Plain
    } else {
        Wire::Tls
    };
    let bench = Bench::new(&folder, wire);
    let programs = std::path::absolute(&options.programs)?;
    let mut chosen = subjects::functions(&programs);
    if !options.subjects.is_empty() {
        chosen.retain(|subject| options.subjects.contains(&subject.name));
    }
    ensure!(!chosen.is_empty(), "there is nothing of that name");
    println!(
        "{:<16} {:>12} {:>12} {:>12}   {:>9} {:>9} {:>9}   {:>9}   calls, bytes, connections",
        "", "init instr.", "first", "warm", "init µs", "first µs", "warm µs", "peak KiB"
    );
    for subject in &chosen {
        measure(&bench, subject, &options)?;
    }
    if options.keep.is_none() {
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn measure(bench: &Bench, subject: &Subject, options: &Options) -> Result<()> {
    let instructions = bench.instructions(subject, options.warm)?;
    let run = bench.run(subject, 1 + options.requests)?;
    let micros = |n: usize| run.cpu_time[n].as_secs_f64() * 1e6;
    let last = run.cpu_time.len() - 1;
    let warm = (micros(last) - micros(1)) / (last - 1) as f64;
    println!(
        "{:<16} {:>12.0} {:>12.0} {:>12.0}   {:>9.0} {:>9.0} {:>9.1}   {:>9}",
        subject.name,
        instructions.init,
        instructions.first,
        instructions.warm,
        micros(0),
        micros(1) - micros(0),
        warm,
        run.peak_memory_bytes / 1024,
    );
    for (phase, n) in [("init", 0), ("first", 1), ("warm", last)] {
        let counts = &run.counts[n];
        println!(
            "    {phase:<6} {} connections, {:?}, {} bytes sent, {} received",
            counts.connections, counts.calls, counts.bytes_sent, counts.bytes_received
        );
    }
    Ok(())
}
