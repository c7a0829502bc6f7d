//! `simulate`: runs the simulator for one seed, and tells its story, or for many.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use simulation::bench;
use simulation::costs::{HEAD as HEAD_OF_COSTS, RETRIES, SIZES, TaskCost};
use simulation::estimates::{self, Course, Figures, HEAD};
use simulation::hunt::Hunt;
use simulation::run;
use simulation::scenario::{Profile, Scenario};
use simulation::watching::{HEAD as HEAD_OF_WATCHING, SHAPES, WAYS, WatchingCost};

/// How many violations are told at the end of a hunt; the rest is counted.
const TOLD_MAX: usize = 20;

/// Simulates the real handlers under faults, on a virtual clock, the same for the same seed.
#[derive(Parser)]
#[command(name = "simulate")]
struct Options {
    /// Run this seed and print its trace.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run so many seeds and print what they came to.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// What kind of runs; by default a mixture.
    #[arg(long, value_enum, default_value_t = Kind::Mixed)]
    profile: Kind,
    /// Take one of the store's conditions away, by its name, to see what it is for.
    #[arg(long, value_name = "GUARD", value_parser = guard)]
    without: Option<&'static str>,
    /// Stop at the first violation.
    #[arg(long)]
    stop_early: bool,
    /// Measure what clients are told of the time left, and how often they ask, over all courses or those of this name:
    /// the worst of three runs each, or with --seed one of them, answer by answer.
    #[arg(long, value_name = "COURSE", num_args = 0..=1, default_missing_value = "")]
    eta: Option<String>,
    /// Measure what tasks cost in calls, capacity and bytes, and what it costs to look on.
    #[arg(long)]
    costs: bool,
    /// Measure for `docs/benchmarks.md`.
    #[arg(long, value_enum, value_name = "WHAT")]
    bench: Option<Bench>,
    /// Have no more users than this at once; ten thousand take five minutes, a thousand half a minute.
    #[arg(
        long,
        requires = "bench",
        value_name = "NUMBER",
        default_value_t = 10_000
    )]
    users: u64,
    /// Print figures as JSON.
    #[arg(long, requires = "bench")]
    json: bool,
}

/// The runs of each course that are measured.
const MEASURED: u64 = 3;

/// What is measured for the benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Calls, capacity and dollars of a task.
    Tasks,
    /// Requests of who looks on, and how stale is what they are shown.
    Watching,
    /// What many users at once run into.
    Scale,
}

/// [`Profile`] for the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Mixed,
    Calm,
    Single,
    Storm,
    Late,
    Locks,
    Ghosts,
    Restless,
}

impl From<Kind> for Profile {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Mixed => Self::Mixed,
            Kind::Calm => Self::Calm,
            Kind::Single => Self::Single,
            Kind::Storm => Self::Storm,
            Kind::Late => Self::Late,
            Kind::Locks => Self::Locks,
            Kind::Ghosts => Self::Ghosts,
            Kind::Restless => Self::Restless,
        }
    }
}

fn guard(name: &str) -> Result<&'static str, String> {
    let guards = longhaul::store::dropped::GUARDS;
    let found = guards.into_iter().find(|guard| *guard == name);
    found.ok_or_else(|| format!("the guards are: {}", guards.join(", ")))
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(name) = &options.eta {
        return measure(name, options.seed);
    }
    if options.costs {
        return costs();
    }
    if let Some(what) = options.bench {
        return bench(what, &options);
    }
    match options.seed {
        Some(seed) => tell(seed, &options),
        None => hunt(&options),
    }
}

/// Prints how good the estimates are, for the courses whose name has this in it.
fn measure(name: &str, seed: Option<u64>) -> ExitCode {
    println!("{HEAD}");
    let named = |course: &Course| format!("{course:?}").contains(name);
    let courses: Vec<_> = Course::ALL.into_iter().filter(named).collect();
    let Some(seed) = seed else {
        for figures in estimates::measure(&courses, MEASURED) {
            println!("{figures}");
        }
        return ExitCode::SUCCESS;
    };
    for course in courses {
        let report = run(&course.scenario(seed));
        println!("{}", Figures::new(course, &report));
        for poll in &report.watched.polls {
            println!("{poll}");
        }
    }
    ExitCode::SUCCESS
}

/// Prints what tasks cost that nothing happens to.
fn costs() -> ExitCode {
    println!("{HEAD_OF_COSTS}");
    let numbered = SIZES.map(|items| TaskCost::measure(items, false));
    let listed = SIZES.map(|items| TaskCost::measure(items, true));
    let retries = RETRIES.map(|(items, failed)| TaskCost::measure_retry(items, failed));
    for measured in numbered.into_iter().chain(listed).chain(retries) {
        match measured {
            Ok(cost) => println!("{cost}\n"),
            Err(violation) => return refused(&violation),
        }
    }
    println!("{HEAD_OF_WATCHING}");
    for shape in SHAPES {
        for way in WAYS {
            match WatchingCost::measure(shape, way) {
                Ok(cost) => println!("{cost}"),
                Err(violation) => return refused(&violation),
            }
        }
    }
    ExitCode::SUCCESS
}

/// Measures for the benchmarks, and prints tables, or all figures as JSON.
fn bench(what: Bench, options: &Options) -> ExitCode {
    let is_json = options.json;
    let tell = |line: String| {
        if !is_json {
            println!("{line}");
        }
    };
    let measured = match what {
        Bench::Tasks => bench::tasks(tell),
        Bench::Watching => bench::watching(tell),
        Bench::Scale => bench::scale(options.users, tell),
    };
    match measured {
        Ok(sections) if is_json => match serde_json::to_string_pretty(&sections) {
            Ok(json) => println!("{json}"),
            Err(error) => return refused(&error.to_string()),
        },
        Ok(_) => {}
        Err(violation) => return refused(&violation),
    }
    ExitCode::SUCCESS
}

fn refused(violation: &str) -> ExitCode {
    eprintln!("a task violates an invariant: {violation}");
    ExitCode::FAILURE
}

/// Prints the whole story of one seed.
fn tell(seed: u64, options: &Options) -> ExitCode {
    longhaul::store::dropped::set(options.without);
    let report = run(&Scenario::drawn(seed, options.profile.into()));
    for line in &report.trace {
        println!("{line}");
    }
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("seed {seed} violates an invariant: {violation}");
            ExitCode::FAILURE
        }
    }
}

/// Runs many seeds.
fn hunt(options: &Options) -> ExitCode {
    let hunt = Hunt {
        seeds: options.from..options.from + options.seeds,
        profile: options.profile.into(),
        without: options.without,
        stop_early: options.stop_early,
    };
    let bar = ProgressBar::new(options.seeds);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left {msg}")
    {
        bar.set_style(style);
    }
    let summary = hunt.run(|report| {
        bar.inc(1);
        if report.violation.is_some() {
            bar.set_message(format!("(seed {} fails)", report.seed));
        }
    });
    bar.finish_and_clear();
    println!("{summary}");
    for (seed, violation) in summary.violations.iter().take(TOLD_MAX) {
        println!("seed {seed}: {violation}");
    }
    if let Some(seed) = summary.violations.keys().next() {
        let profile = options.profile.to_possible_value();
        let profile = profile.map_or(String::new(), |it| format!(" --profile {}", it.get_name()));
        let guard = options.without;
        let guard = guard.map_or(String::new(), |it| format!(" --without '{it}'"));
        println!("The whole story: cargo xtask simulate --seed {seed}{profile}{guard}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
