//! `bench`: measures the functions whose programs are in a folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, ensure};
use bench::measure::{Bench, Phases, Subject, Wire};
use bench::report::{self, Measured, Reference};
use bench::subjects;
use bench::worker;
use clap::Parser;

/// Measures functions phase by phase: start until the first question for an invocation, first invocation, warm one.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// The folder of the programs: status, submit, cancel, hello.
    #[arg(long, value_name = "FOLDER")]
    programs: PathBuf,
    /// Print a report as JSON.
    #[arg(long, conflicts_with = "plain")]
    report: bool,
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
    /// The folder of what is not Rust: tests/yardsticks.
    #[arg(long, value_name = "FOLDER", requires = "python")]
    yardsticks: Option<PathBuf>,
    /// A Python that has tools/bench.txt.
    #[arg(long, value_name = "PROGRAM", requires = "yardsticks")]
    python: Option<PathBuf>,
    /// What to measure; everything by default.
    subjects: Vec<String>,
}

impl Options {
    fn programs(&self) -> Result<PathBuf> {
        Ok(std::path::absolute(&self.programs)?)
    }

    fn python(&self) -> Option<(&Path, &Path)> {
        self.python.as_deref().zip(self.yardsticks.as_deref())
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = match &options.keep {
        Some(folder) => std::path::absolute(folder)?,
        None => env::temp_dir().join(format!("longhaul-bench-{}", std::process::id())),
    };
    fs::create_dir_all(&folder)?;
    let result = run(&options, &folder);
    if options.keep.is_none() {
        fs::remove_dir_all(&folder)?;
    }
    result
}

fn run(options: &Options, folder: &Path) -> Result<()> {
    let programs = options.programs()?;
    let mut chosen = subjects::functions(&programs);
    let with_defaults = programs.join("status-with-sdk-defaults");
    if with_defaults.exists() {
        chosen.push(subjects::status_with_sdk_defaults(with_defaults));
    }
    if let Some((python, yardsticks)) = options.python() {
        let handlers = std::path::absolute(yardsticks)?.join("boto3");
        chosen.push(subjects::status_in_boto3(
            &std::path::absolute(python)?,
            &handlers,
        ));
    }
    if !options.subjects.is_empty() {
        chosen.retain(|subject| options.subjects.contains(&subject.name));
    }
    ensure!(!chosen.is_empty(), "there is nothing of that name");
    if options.report {
        return report(options, folder, &chosen);
    }
    println!(
        "{:<16} {:>12} {:>12} {:>12}   {:>9} {:>9} {:>9}   {:>9}   calls, bytes, connections",
        "", "init instr.", "first", "warm", "init µs", "first µs", "warm µs", "peak KiB"
    );
    let wire = if options.plain {
        Wire::Plain
    } else {
        Wire::Tls
    };
    let bench = Bench::new(folder, wire);
    for subject in &chosen {
        print(&bench, subject, options)?;
    }
    Ok(())
}

fn report(options: &Options, folder: &Path, chosen: &[Subject]) -> Result<()> {
    let (plain, tls) = (
        Bench::new(folder, Wire::Plain),
        Bench::new(folder, Wire::Tls),
    );
    let has_valgrind = has_valgrind();
    let measure = |subject: &Subject| -> Result<Measured> {
        let instructions = |bench: &Bench| -> Result<Option<Phases<f64>>> {
            let counted = has_valgrind.then(|| bench.instructions(subject, options.warm));
            counted.transpose()
        };
        Ok(Measured {
            plain: instructions(&plain)?,
            tls: instructions(&tls)?,
            run: tls.run(subject, 1 + options.requests)?,
            subject: subject.clone(),
        })
    };
    let (mut all, mut left_out) = (vec![], vec![]);
    for subject in chosen {
        eprintln!("{}", subject.name);
        match measure(subject) {
            Ok(measured) => all.push(measured),
            // What the functions are measured against need not run everywhere.
            Err(error) if subjects::is_yardstick(subject) => {
                left_out.push(format!("left out: {}: {error:#}", subject.name));
            }
            Err(error) => return Err(error.context(subject.name.clone())),
        }
    }
    let reference = match options.python() {
        Some((python, yardsticks)) => reference(python, yardsticks, folder),
        None => Err(anyhow!("no Python with tools/bench.txt")),
    };
    let reference = reference.map_err(|error| format!("{error:#}"));
    let mut sections = report::sections(&all, &reference)?;
    sections.push(worker::section(&tls, &options.programs()?.join("worker"))?);
    if let Some(first) = sections.first_mut() {
        for why in left_out {
            first.note(why);
        }
    }
    println!("{}", serde_json::to_string(&sections)?);
    Ok(())
}

fn reference(python: &Path, yardsticks: &Path, folder: &Path) -> Result<Reference> {
    eprintln!("reference application");
    let mut measure = Command::new(python);
    measure.arg(yardsticks.join("reference/measure.py"));
    measure.arg(folder.join("reference")).arg("2000");
    let measured = measure.output()?;
    let said = String::from_utf8_lossy(&measured.stderr);
    ensure!(measured.status.success(), "{}", said.trim());
    Ok(serde_json::from_slice(&measured.stdout)?)
}

fn has_valgrind() -> bool {
    let mut valgrind = Command::new("valgrind");
    let asked = valgrind.arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn print(bench: &Bench, subject: &Subject, options: &Options) -> Result<()> {
    let instructions = bench.instructions(subject, options.warm)?;
    let run = bench.run(subject, 1 + options.requests)?;
    let cpu_time = run.cpu_time_phases();
    println!(
        "{:<16} {:>12.0} {:>12.0} {:>12.0}   {:>9.0} {:>9.0} {:>9.1}   {:>9}",
        subject.name,
        instructions.init,
        instructions.first,
        instructions.warm,
        cpu_time.init * 1e6,
        cpu_time.first * 1e6,
        cpu_time.warm * 1e6,
        run.peak_memory_bytes / 1024,
    );
    for (phase, n) in [("init", 0), ("first", 1), ("warm", run.counts.len() - 1)] {
        let counts = &run.counts[n];
        println!(
            "    {phase:<6} {} connections, {:?}, {} bytes sent, {} received",
            counts.connections, counts.calls, counts.bytes_sent, counts.bytes_received
        );
    }
    Ok(())
}
