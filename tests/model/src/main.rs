//! Prints how many states the model has and what the checker found in them.
//!
//! `cargo run -p model --release` does what the tests do; with `--large` it goes as far as a machine
//! with 8 GB to spare can.

use std::process::ExitCode;

use model::Rules;
use model::guard::Guard;
use model::report::{Extent, check, shortest_break};

const THREADS: usize = 2;

fn main() -> ExitCode {
    let large = std::env::args().any(|argument| argument == "--large");
    let together = Extent::Steps(if large { 92_000_000 } else { 4_500_000 });
    let mut runs = vec![
        ("submits", Rules::SUBMITS, Extent::Everything),
        ("locks", Rules::LOCKS, Extent::Everything),
        ("work", Rules::WORK, Extent::Everything),
        ("inputs", Rules::INPUTS, Extent::Everything),
        ("late inputs", Rules::LATE_INPUTS, Extent::Everything),
        (
            "inputs without keys",
            Rules::KEYLESS_INPUTS,
            Extent::Everything,
        ),
        ("two requests", Rules::TWO_REQUESTS, Extent::Everything),
        ("time", Rules::TIME, Extent::Everything),
        ("pauses", Rules::PAUSES, Extent::Everything),
        ("retries", Rules::RETRIES, Extent::Everything),
        ("rival retries", Rules::RIVAL_RETRIES, Extent::Everything),
        ("late pauses", Rules::LATE_PAUSES, Extent::Everything),
        ("together", Rules::TOGETHER, together),
    ];
    if large {
        runs.push(("submits without keys", Rules::KEYLESS, Extent::Everything));
        runs.push(("late work", Rules::LATE_WORK, Extent::Everything));
        let two_workers = Rules {
            workers: 2,
            ..Rules::LATE_PAUSES
        };
        runs.push(("late pauses, two workers", two_workers, Extent::Everything));
        runs.push(("late time", Rules::LATE_TIME, Extent::Everything));
    }
    let mut all_kept = true;
    for (name, rules, extent) in runs {
        let report = check(rules, extent, THREADS);
        println!("{name}, {extent:?}: {report}");
        all_kept &= report.broken.is_empty();
    }
    for guard in Guard::ALL {
        let report = shortest_break(guard.shown_by().without(guard), None);
        all_kept &= report.is_some();
        let found = report.map_or("nothing is broken\n".into(), |report| report.to_string());
        println!("without \"{guard}\": {found}");
    }
    if all_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
