//! Runs a function and counts, phase by phase: from its start until it asks for an invocation, the first invocation, and a
//! warm one, which is the mean of several.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::authority::Authority;
use crate::function::{Function, Program, Under, VALGRINDS_LOG};
use crate::ledger::Counts;
use crate::scenario::Scenario;
use crate::services::Services;
use crate::usage;

/// How often a run under valgrind is repeated: on a busy machine it is so slow that the function's own timeouts run out,
/// and it calls again, or gives up.
const TRIES: usize = 4;

/// A figure for each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases<T> {
    /// Until it asks for the first invocation.
    pub init: T,
    /// The first one.
    pub first: T,
    /// One of those after it.
    pub warm: T,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called in reports.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// What it is asked.
    pub scenario: Scenario,
}

/// Over what the function speaks to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP.
    Plain,
    /// HTTPS, with certificates of an authority made for the run.
    Tls,
}

/// Where and how it is measured.
#[derive(Debug)]
pub struct Bench {
    folder: PathBuf,
    wire: Wire,
}

/// What happened in one run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What reached the services until the first question for an invocation, then for each invocation.
    pub counts: Vec<Counts>,
    /// The CPU time at the same points, from the start on.
    pub cpu_time: Vec<Duration>,
    /// The peak of memory.
    pub peak_memory_bytes: u64,
}

impl Run {
    /// The CPU time of each phase, in seconds; warm is the mean.
    #[must_use]
    pub fn cpu_time_phases(&self) -> Phases<f64> {
        let at = |n: usize| self.cpu_time.get(n).map_or(0.0, Duration::as_secs_f64);
        let last = self.cpu_time.len().saturating_sub(1);
        Phases {
            init: at(0),
            first: at(1) - at(0),
            warm: (at(last) - at(1)) / last.saturating_sub(1).max(1) as f64,
        }
    }

    /// The peak of memory, in MiB.
    #[must_use]
    pub fn peak_memory_mebibytes(&self) -> f64 {
        self.peak_memory_bytes as f64 / f64::from(1 << 20)
    }
}

impl Bench {
    /// A bench that keeps its files in this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, wire: Wire) -> Self {
        Self {
            folder: folder.into(),
            wire,
        }
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the function with so many invocations.
    ///
    /// # Errors
    ///
    /// When it fails, or answers as it must not.
    pub fn run(&self, subject: &Subject, invocations: usize) -> Result<Run> {
        let mut run = Run::default();
        self.watch(subject, Under::Nothing, invocations, |process, counts| {
            run.counts.push(counts);
            run.cpu_time.push(usage::cpu_time(process)?);
            run.peak_memory_bytes = usage::peak_memory_bytes(process)?;
            Ok(())
        })?;
        Ok(run)
    }

    /// The same, but for what only Linux tells of a process.
    ///
    /// # Errors
    ///
    /// When it fails, or answers as it must not.
    pub fn counts(&self, subject: &Subject, invocations: usize) -> Result<Vec<Counts>> {
        let mut all = Vec::new();
        self.watch(subject, Under::Nothing, invocations, |_, counts| {
            all.push(counts);
            Ok(())
        })?;
        Ok(all)
    }

    /// The instructions of each phase; warm is the mean of so many invocations.
    ///
    /// Each is the difference between two runs, for valgrind tells only how many there were in all.
    ///
    /// # Errors
    ///
    /// When it fails, answers as it must not, or valgrind is not there.
    pub fn instructions(&self, subject: &Subject, warm: usize) -> Result<Phases<f64>> {
        let until = |invocations| {
            let mut tries = (0..TRIES).map(|_| self.instructions_until(subject, invocations));
            let found = tries.find(Result::is_ok);
            found.unwrap_or_else(|| self.instructions_until(subject, invocations))
        };
        let (none, one, all) = (until(0)?, until(1)?, until(1 + warm)?);
        let difference = |more: u64, less: u64| more as f64 - less as f64;
        Ok(Phases {
            init: none as f64,
            first: difference(one, none),
            warm: difference(all, one) / warm as f64,
        })
    }

    /// The instructions of a run with so many invocations.
    fn instructions_until(&self, subject: &Subject, invocations: usize) -> Result<u64> {
        let mut calls = Vec::new();
        let callgrind = Under::Callgrind(&self.folder);
        self.watch(subject, callgrind, invocations, |_, counts| {
            calls.push(counts.calls);
            Ok(())
        })?;
        let is_same = calls.iter().skip(1).all(|of_one| *of_one == calls[1]);
        ensure!(
            is_same,
            "not all invocations took the same calls: {calls:?}"
        );
        usage::instructions(&self.folder.join(VALGRINDS_LOG))
    }

    /// Runs the function, and lets its process be looked at whenever it asks for an invocation.
    fn watch(
        &self,
        subject: &Subject,
        under: Under<'_>,
        invocations: usize,
        mut look: impl FnMut(u32, Counts) -> Result<()>,
    ) -> Result<()> {
        let (services, program) = self.connected(&subject.program)?;
        let events = subject.scenario.prepare(&services.aws, invocations)?;
        let mut function = Function::start(&program, under, &self.folder)?;
        function.ready()?;
        look(function.id(), services.ledger.take())?;
        for event in &events {
            let answer = function.invoke(event)?;
            subject.scenario.check(&answer)?;
            look(function.id(), services.ledger.take())?;
        }
        function.settle();
        function.end()?;
        subject.scenario.check_table(&services.aws)
    }

    /// The services, and the program with the variables that lead it there.
    fn connected(&self, program: &Program) -> Result<(Services, Program)> {
        let mut program = program.clone();
        let tls = match self.wire {
            Wire::Plain => None,
            Wire::Tls => {
                let authority = Authority::new()?;
                let bundle = self.folder.join("authority.pem");
                std::fs::write(&bundle, &authority.pem)?;
                let bundle = bundle.to_str().context("a path that is no text")?;
                // The SDKs' variable, and that of the libraries of their defaults.
                for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
                    program.variables.push((name.to_owned(), bundle.to_owned()));
                }
                Some(authority.tls)
            }
        };
        let services = Services::open(tls)?;
        let lead = services.variables();
        let lead = lead.map(|(name, value)| (name.to_owned(), value));
        program.variables.extend(lead);
        let table = services.aws.table().name().to_owned();
        program.variables.push(("TABLE_NAME".to_owned(), table));
        Ok((services, program))
    }
}
