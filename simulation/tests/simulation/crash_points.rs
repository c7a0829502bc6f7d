//! Every call that a handler makes, times everything that can become of it.
//!
//! Each scenario is run once as it is, which tells the calls that its handlers make. Then it is run
//! again for each of them and each fault, to its end. The ledger judges every step on the way: no
//! item is counted twice, nothing that ended changes. Here it is checked where the run arrives.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use embedded_aws::Fault;
use simulation::scenario::{Afterwards, Client, Fate, Planned, Scenario};
use simulation::{Function, Report, run};

/// What can become of a call.
const FAULTS: [(&str, Fault); 6] = [
    ("crash before", Fault::CrashBefore),
    ("crash after", Fault::CrashAfter),
    ("lost answer", Fault::LostAnswer),
    ("throttled", Fault::Throttled),
    ("timed out, never arrived", Fault::Unreachable),
    // The client gives an attempt two seconds.
    (
        "timed out, arrived late",
        Fault::Late(Duration::from_secs(30)),
    ),
];

/// Of the calls of one method in one scenario so many are tried, from the first on, and the last.
const CALLS_TRIED_MAX: u32 = 2;

struct Case {
    name: &'static str,
    scenario: Scenario,
    /// How a task may end; every one must end in one of these ways.
    ends: &'static [&'static str],
    /// At least one task ends like this.
    shows: &'static str,
}

const SUCCESS: &[&str] = &["SUCCESS"];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn small(items: u64) -> Scenario {
    let mut scenario = Scenario::one_task(7, items);
    scenario.settings.terms.chunk_items = 4;
    scenario.settings.items_in_flight = 2;
    scenario
}

fn case(name: &'static str, scenario: Scenario) -> Case {
    Case {
        name,
        scenario,
        ends: SUCCESS,
        shows: "SUCCESS",
    }
}

fn crash(function: Function, method: &'static str, nth: u32) -> Planned {
    Planned {
        function,
        method,
        nth,
        fault: Fault::CrashBefore,
    }
}

fn cases() -> Vec<Case> {
    let mut cases = submits();
    cases.extend(works());
    cases.extend(sweeps());
    cases
}

/// What clients do.
fn submits() -> Vec<Case> {
    let mut cases = vec![case("one chunk", small(3)), case("three chunks", small(10))];

    let mut busy = small(3);
    let second = Client {
        at: seconds(1),
        ..busy.clients[0].clone()
    };
    busy.clients.push(second);
    cases.push(case("submit while busy", busy));

    for (name, afterwards) in [
        ("submit again under the same key", Afterwards::Repeat),
        (
            "submit something else under the same key",
            Afterwards::ReuseKey,
        ),
    ] {
        let mut replay = small(1);
        replay.clients[0].key = Some("key".into());
        replay.clients[0].afterwards = afterwards;
        cases.push(case(name, replay));
    }

    let mut left = small(1);
    left.left_locks = vec!["ann".into()];
    cases.push(case("take over a lock that was left behind", left));

    // The first message is lost and the sweeper slow, so that the second client finds the task
    // abandoned.
    let mut abandoned = small(1);
    abandoned.lost = vec![0];
    abandoned.settings.sweep_every = seconds(600);
    let second = Client {
        at: seconds(140),
        ..abandoned.clients[0].clone()
    };
    abandoned.clients.push(second);
    cases.push(Case {
        ends: &["SUCCESS", "FAILED"],
        ..case("take over an abandoned task", abandoned)
    });

    let mut cancelled = small(3);
    cancelled.settings.item = (seconds(100), seconds(100));
    cancelled.clients[0].cancel_after = Some(seconds(3));
    cases.push(Case {
        ends: &["CANCELLED"],
        shows: "CANCELLED",
        ..case("cancel", cancelled)
    });

    let mut too_late = small(1);
    too_late.clients[0].afterwards = Afterwards::Cancel;
    cases.push(case("cancel too late", too_late));

    let mut curious = small(2);
    curious.curious = true;
    let second = Client {
        user: "bob".into(),
        ..curious.clients[0].clone()
    };
    curious.clients.push(second);
    cases.push(case("look at lists and items", curious));
    cases
}

/// What workers meet.
fn works() -> Vec<Case> {
    let mut cases = vec![];
    let mut long = small(4);
    long.settings.slice = seconds(1);
    cases.push(case("continue by message", long));

    let mut poison = small(3);
    poison.fates = vec![(1, Fate::Kill(u32::MAX))];
    cases.push(Case {
        ends: &["FAILED"],
        shows: "FAILED",
        ..case("an item kills its workers", poison)
    });

    let mut failing = small(3);
    failing.fates = vec![
        (0, Fate::Permanent),
        (1, Fate::Panic),
        (2, Fate::Retryable(2)),
    ];
    cases.push(Case {
        ends: &["FAILED"],
        shows: "FAILED",
        ..case("items fail", failing)
    });

    // The worker dies between the rows and the cursor, and its successor finds rows stored.
    let mut stored = small(2);
    stored.planned = vec![
        crash(Function::Worker, "advance", 0),
        Planned {
            fault: Fault::Terse,
            ..crash(Function::Worker, "record_items", 1)
        },
    ];
    cases.push(case("rows are stored already", stored));

    cases
}

/// What the sweeper finds.
fn sweeps() -> Vec<Case> {
    let mut cases = vec![];
    let mut lost = small(6);
    lost.lost = vec![0];
    cases.push(case("the sweeper finds a stalled task", lost));

    let mut slow = small(1);
    slow.settings.item = (seconds(70), seconds(70));
    cases.push(case("the sweeper finds a task alive", slow));

    let mut unfinished = small(1);
    unfinished.planned = vec![crash(Function::Worker, "finish", 0)];
    cases.push(case("the sweeper finds a complete task", unfinished));

    let mut hopeless = small(1);
    hopeless.lost = (0..40).collect();
    hopeless.settings.dispatches_max = 2;
    cases.push(Case {
        ends: &["FAILED"],
        shows: "FAILED",
        ..case("the sweeper gives up", hopeless)
    });

    cases
}

type Site = (Function, &'static str, u32);

/// The calls to try in a scenario, from a run of it without further faults.
fn sites(report: &Report) -> Vec<Site> {
    let mut sites = Vec::new();
    for (&(function, method), &calls) in &report.figures.calls {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let first = 0..calls.min(CALLS_TRIED_MAX);
        let last = (calls > CALLS_TRIED_MAX).then(|| calls - 1);
        // Polls are all the same.
        let last = last.filter(|_| function != Function::Status && method != "due_tasks");
        sites.extend(first.chain(last).map(|nth| (function, method, nth)));
    }
    sites
}

fn check(case: &Case, report: &Report) -> Result<(), String> {
    if let Some(violation) = &report.violation {
        return Err(violation.clone());
    }
    let mut shown = false;
    for task in &report.tasks {
        let status = task.status.as_str();
        shown |= status == case.shows;
        if !case.ends.contains(&status) {
            return Err(format!("a task ended {status}: {:?}", task.error));
        }
        if status == "SUCCESS" && task.progress().done != task.number_of_items {
            return Err(format!(
                "{:?} of {} done",
                task.progress(),
                task.number_of_items
            ));
        }
    }
    if shown {
        Ok(())
    } else {
        Err(format!("no task ended {}", case.shows))
    }
}

/// Does something with every element, on all processors.
fn for_each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
}

#[test]
#[ignore = "takes long: run it with --ignored, as `cargo xtask test` does"]
fn whatever_becomes_of_any_call_the_task_arrives_where_it_should() {
    let cases = cases();
    let mut reached = BTreeSet::new();
    let mut runs = Vec::new();
    let mut call_sites = 0;
    for case in &cases {
        let report = run(&case.scenario);
        if let Err(complaint) = check(case, &report) {
            panic!("{}: {complaint}\n{}", case.name, report.trace.join("\n"));
        }
        let sites = sites(&report);
        reached.extend(
            sites
                .iter()
                .map(|(function, method, _)| (*function, *method)),
        );
        call_sites += sites.len();
        for (function, method, nth) in sites {
            for (name, fault) in FAULTS {
                let mut scenario = case.scenario.clone();
                let planned = Planned {
                    function,
                    method,
                    nth,
                    fault,
                };
                // First, so that it goes before what the scenario has planned for the same call.
                scenario.planned.insert(0, planned);
                runs.push((case, scenario, name));
            }
        }
    }
    every_method_is_reached(&reached);

    let failures = Mutex::new(Vec::new());
    for_each(&runs, |(case, scenario, fault)| {
        let report = run(scenario);
        assert!(
            !report.figures.faults.is_empty(),
            "{}: nothing went wrong",
            case.name
        );
        if let Err(complaint) = check(case, &report) {
            let Planned {
                function,
                method,
                nth,
                ..
            } = &scenario.planned[0];
            let which = format!(
                "{}: {function} {method} #{nth} {fault}: {complaint}",
                case.name
            );
            failures.lock().unwrap().push((which, report.trace));
        }
    });
    let failures = failures.into_inner().unwrap();
    println!(
        "{} scenarios, {} kinds of calls, {call_sites} calls × {} faults = {} runs, {} failures",
        cases.len(),
        reached.len(),
        FAULTS.len(),
        runs.len(),
        failures.len()
    );
    for (which, _) in &failures {
        println!("{which}");
    }
    if let Some((which, trace)) = failures.first() {
        panic!("{which}\n{}", trace.join("\n"));
    }
}

/// Every method of the store and the queue that makes a call has to be among those that were tried.
fn every_method_is_reached(reached: &BTreeSet<(Function, &str)>) {
    let sources = [
        include_str!("../../../tasks/src/store.rs"),
        include_str!("../../../tasks/src/queue.rs"),
    ];
    let methods = sources.iter().flat_map(|source| {
        let after = source.split("pub async fn ").skip(1);
        after.filter_map(|text| text.split('(').next())
    });
    let mut methods: BTreeSet<_> = methods.collect();
    assert!(methods.len() > 10, "{methods:?}");
    // Reads one row that a batch did not return.
    methods.insert("item");
    let tried: BTreeSet<_> = reached.iter().map(|(_, method)| *method).collect();
    let missing: Vec<_> = methods.difference(&tried).collect();
    assert!(missing.is_empty(), "no scenario reaches {missing:?}");
}
