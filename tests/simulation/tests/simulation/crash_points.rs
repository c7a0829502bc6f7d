//! Every call that a handler makes, times everything that can become of it.
//!
//! Each scenario is run once as it is, which tells the calls that its handlers make. Then it is run again for each of
//! them and each fault, to its end. The ledger judges every step on the way: no item is counted twice, nothing that
//! ended changes. Here it is checked where the run arrives, and that no call was left out that is in the source of a
//! handler.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use embedded_aws::Fault;
use simulation::scenario::{Afterwards, Client, Fate, Live, Odds, Page, Planned, Scenario};
use simulation::{Function, Report, run};

/// What can become of a call, and of how many like it in a row: of one, which the SDK repeats, or of all that it makes
/// before it gives up and its caller has to live with that.
const FAULTS: [(&str, Fault, u32); 8] = [
    ("crash before", Fault::CrashBefore, 1),
    ("crash after", Fault::CrashAfter, 1),
    ("lost answer", Fault::LostAnswer, 1),
    ("throttled", Fault::Throttled, 1),
    ("throttled throughout", Fault::Throttled, 4),
    ("timed out, never arrived", Fault::Unreachable, 4),
    // As often as the store tries it, which the SDK does not.
    ("conflicts throughout", Fault::Conflict, 7),
    // The client gives an attempt two seconds.
    (
        "timed out, arrived late",
        Fault::Late(Duration::from_secs(30)),
        1,
    ),
];

/// Of the calls of one method in one scenario so many are tried, from the first on, and the last.
const CALLS_TRIED_MAX: u32 = 2;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) scenario: Scenario,
    /// How a task may end; every one must end in one of these ways.
    ends: &'static [&'static str],
    /// At least one task ends like this, if that is certain.
    shows: Option<&'static str>,
    /// Undisturbed, it takes the way that it is there for.
    pub(super) takes_its_way: fn(&Report) -> bool,
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
        shows: Some("SUCCESS"),
        takes_its_way: |_| true,
    }
}

fn crash(function: Function, method: &'static str, nth: u32) -> Planned {
    Planned {
        function,
        method,
        nth,
        lasts: 1,
        fault: Fault::CrashBefore,
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = submits();
    cases.extend(quotas());
    cases.extend(retries());
    cases.extend(works());
    cases.extend(pauses());
    cases.extend(own_works());
    cases.extend(sweeps());
    cases.extend(lives());
    cases
}

/// What becomes of a task too much.
fn quotas() -> Vec<Case> {
    let mut cases = vec![];
    for (name, listed) in [
        ("the quota is used up", false),
        ("the same with inputs", true),
    ] {
        let mut used_up = small(3);
        used_up.settings.terms.quota.tasks = 1;
        used_up.clients[0].listed = listed;
        let second = Client {
            at: seconds(60),
            ..used_up.clients[0].clone()
        };
        used_up.clients.push(second);
        cases.push(Case {
            takes_its_way: |report| report.tasks.len() == 1,
            ..case(name, used_up)
        });
    }
    cases
}

/// What clients do.
fn submits() -> Vec<Case> {
    let mut cases = vec![case("one chunk", small(3)), case("three chunks", small(10))];

    // Inputs of three rows in the first chunk and one in the others, and a shared value.
    for (name, key) in [("inputs", None), ("inputs, with a key", Some("key".into()))] {
        let mut listed = small(6);
        listed.clients[0].listed = true;
        listed.clients[0].key = key;
        listed.curious = true;
        cases.push(case(name, listed));
    }
    let mut early = small(3);
    early.clients[0].listed = true;
    early.listed_known_from = seconds(90);
    cases.push(Case {
        // It is held back for a minute each time.
        takes_its_way: |report| {
            let task = &report.tasks[0];
            task.started_at
                .is_some_and(|start| start.since(task.created_at) > seconds(90))
        },
        ..case("a job that workers do not know yet", early)
    });
    let mut listed_while_busy = small(3);
    let second = Client {
        at: seconds(1),
        listed: true,
        ..listed_while_busy.clients[0].clone()
    };
    listed_while_busy.clients.push(second);
    cases.push(case("inputs while busy", listed_while_busy));

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
        shows: Some("CANCELLED"),
        ..case("cancel", cancelled)
    });

    let mut over = small(3);
    over.settings.item = (seconds(100), seconds(100));
    over.clients[0].cancel_after = Some(seconds(3));
    over.clients[0].key = Some("key".into());
    over.clients[0].afterwards = Afterwards::Repeat;
    cases.push(Case {
        ends: &["CANCELLED"],
        shows: Some("CANCELLED"),
        takes_its_way: |report| report.figures.calls(Function::Submit, "submit") == 2,
        ..case("submit again under the key of a cancelled task", over)
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

/// What clients have tried again.
fn retries() -> Vec<Case> {
    let mut cases = vec![];
    for (name, listed) in [("retry", false), ("retry of inputs", true)] {
        let mut retry = small(10);
        retry.curious = true;
        retry.clients[0].listed = listed;
        retry.clients[0].afterwards = Afterwards::Retry(2);
        retry.fates = [1, 4, 9].map(|item| (item, Fate::Permanent)).to_vec();
        cases.push(Case {
            ends: &["FAILED"],
            shows: Some("FAILED"),
            takes_its_way: |report| report.tasks.len() == 3,
            ..case(name, retry)
        });
    }
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
        shows: Some("FAILED"),
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
        shows: Some("FAILED"),
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

    let mut refused = small(2);
    refused.planned = vec![Planned {
        function: Function::Worker,
        method: "record_items",
        nth: 0,
        lasts: 4,
        fault: Fault::Throttled,
    }];
    cases.push(case("rows cannot be stored for a while", refused));

    // The worker that does the last item dies, and then the first message, which names all chunks, comes again.
    let mut complete = small(10);
    complete.planned = vec![crash(Function::Worker, "finish", 0)];
    complete.settings.sweep_every = seconds(600);
    complete.delivered = vec![(0, vec![Duration::ZERO, seconds(30)])];
    cases.push(Case {
        // Nobody else would end it so soon.
        takes_its_way: |report| {
            let task = &report.tasks[0];
            let took = task.finished_at.map(|end| end.since(task.created_at));
            took.is_some_and(|took| took < seconds(60))
        },
        ..case("a message for many chunks finds a complete task", complete)
    });

    // One worker at a time: while it is busy, a message comes that is none of ours, and after it Bob's.
    let mut stray = small(1);
    stray.settings.item = (seconds(10), seconds(10));
    stray.settings.workers_max = 1;
    stray.strays = vec![seconds(2)];
    let second = Client {
        user: "bob".into(),
        at: seconds(3),
        ..stray.clients[0].clone()
    };
    stray.clients.push(second);
    cases.push(Case {
        takes_its_way: |report| report.figures.dead_letters == 1,
        ..case("a message that is none of ours shares a batch", stray)
    });

    let mut endless = small(4);
    endless.settings.slice = seconds(1);
    endless.hops = Some(longhaul::worker::HOPS_MAX);
    cases.push(Case {
        // Whoever makes up for a fault has more time than a slice.
        ends: &["FAILED", "SUCCESS"],
        shows: None,
        takes_its_way: |report| {
            let error = report.tasks[0].error.as_deref();
            error.is_some_and(|error| error.contains("handed on"))
        },
        ..case("the work is handed on too often", endless)
    });

    cases.push(Case {
        // No slice is over in it, so what is sent is sent on.
        takes_its_way: |report| report.figures.calls(Function::Worker, "send") > 0,
        ..case(
            "a message that goes alone has to wait too long",
            late_turn(),
        )
    });
    cases
}

/// What the worker of a job meets that has one of its own.
fn own_works() -> Vec<Case> {
    let mut limited = small(10);
    limited.clients[0].limited = true;
    limited.settings.slice = seconds(1);
    // The message for all chunks, those of some of them, and one that is handed on.
    let misplaced = |scenario: &Scenario| Scenario {
        misplaced: vec![0, 2, 3, 6],
        ..scenario.clone()
    };
    let mut shared = limited.clone();
    shared.clients[0].limited = false;
    let is_sent_on: fn(&Report) -> bool =
        |report| report.figures.calls(Function::Worker, "send_later") >= 3;
    vec![
        Case {
            takes_its_way: |report| {
                let settings = Scenario::one_task(0, 0).settings;
                report.figures.limited_items_max == settings.limited_items_max()
            },
            ..case("a job that has a worker of its own", limited.clone())
        },
        Case {
            takes_its_way: is_sent_on,
            ..case("messages in the shared queue", misplaced(&limited))
        },
        Case {
            takes_its_way: is_sent_on,
            ..case("messages in the queue of one job", misplaced(&shared))
        },
    ]
}

/// One worker at a time, and items of two minutes. Ann's first worker is killed; the message that comes to her rescue
/// shares an invocation with Bob's and has to wait for it.
fn late_turn() -> Scenario {
    let mut scenario = small(1);
    scenario.settings.item = (seconds(120), seconds(120));
    scenario.settings.workers_max = 1;
    scenario.kills = vec![(0, seconds(1))];
    for (user, at) in [("eve", 50), ("bob", 100)] {
        let client = Client {
            user: user.into(),
            at: seconds(at),
            ..scenario.clients[0].clone()
        };
        scenario.clients.push(client);
    }
    scenario
}

/// What becomes of items that ask for a pause.
fn pauses() -> Vec<Case> {
    let mut cases = vec![];
    // In place, by a message, and by one that is sent on because no queue delays for so long.
    for (name, pause) in [
        ("a short pause", 1),
        ("a pause", 30),
        ("a long pause", 1000),
    ] {
        let mut paused = small(4);
        paused.fates = vec![(1, Fate::NotNow(1, seconds(pause)))];
        paused.clients[0].listed = true;
        cases.push(Case {
            takes_its_way: match pause {
                1 => |report| report.figures.calls(Function::Worker, "send_later") == 0,
                30 => |report| report.figures.calls(Function::Worker, "send_later") == 1,
                _ => |report| report.figures.calls(Function::Worker, "send_later") == 2,
            },
            ..case(name, paused)
        });
    }

    // Long after the lease that the other chunk's last write gives the task.
    let mut paused = small(8);
    paused.fates = vec![(1, Fate::NotNow(1, seconds(600)))];
    let second = Client {
        at: seconds(500),
        ..paused.clients[0].clone()
    };
    paused.clients.push(second);
    cases.push(Case {
        takes_its_way: |report| report.tasks.len() == 1,
        ..case("submit while the task pauses", paused)
    });
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
        shows: Some("FAILED"),
        ..case("the sweeper gives up", hopeless)
    });

    // The first chunk takes so long that in the meantime the second is dispatched as often as may be, in vain.
    let mut half_lost = small(8);
    half_lost.settings.item = (seconds(600), seconds(600));
    half_lost.settings.slice = seconds(700);
    half_lost.settings.worker_timeout = seconds(800);
    half_lost.settings.visibility = seconds(900);
    half_lost.settings.items_in_flight = 4;
    half_lost.settings.dispatches_max = 2;
    half_lost.lost = vec![1, 2, 3];
    cases.push(Case {
        // With the first chunk's worker gone as well, there is no hope indeed.
        ends: &["SUCCESS", "FAILED"],
        shows: None,
        takes_its_way: |report| {
            let dispatches = report.figures.calls(Function::Sweeper, "dispatch");
            report.figures.ended.contains_key("SUCCESS") && dispatches > 2
        },
        ..case(
            "the sweeper has no hope for the second of two chunks",
            half_lost,
        )
    });

    cases
}

/// What those meet who tell of tasks.
fn lives() -> Vec<Case> {
    let looked_on = |pages: Vec<Page>| {
        let mut scenario = small(6);
        scenario.live = Some(Live {
            pages,
            ..Live::default()
        });
        scenario
    };
    let pages = |of: u64, stay: u64| {
        let pages = (0..of).map(|n| Page::of("ann", Duration::from_millis(n * 200), seconds(stay)));
        pages.collect::<Vec<_>>()
    };
    let mut gone = looked_on(pages(1, 62));
    gone.settings.item = (seconds(35), seconds(35));
    for page in gone.live.iter_mut().flat_map(|live| &mut live.pages) {
        page.told = Some(None);
    }
    let mut garbled = looked_on(pages(1, 30));
    garbled.weather.until = seconds(60);
    garbled.live = garbled.live.map(|live| Live {
        odds: Odds {
            garbled: 1000,
            ..Odds::default()
        },
        ..live
    });
    vec![
        Case {
            takes_its_way: |report| report.figures.live.told > 4,
            ..case("pages look on", looked_on(pages(2, 90)))
        },
        Case {
            takes_its_way: |report| report.figures.calls(Function::Live, "close") > 0,
            ..case("a page too many looks on", looked_on(pages(11, 20)))
        },
        Case {
            takes_its_way: |report| report.figures.calls(Function::Notify, "forget") == 1,
            ..case("a page goes without a word", gone)
        },
        Case {
            takes_its_way: |report| report.figures.live.put_aside == 1,
            ..case("nobody can read what is in the stream", garbled)
        },
    ]
}

type Site = (Function, &'static str, u32);

/// The calls to try in a scenario, from a run of it without further faults.
fn sites(report: &Report) -> Vec<Site> {
    let mut sites = Vec::new();
    for (&(function, method), cost) in &report.figures.costs {
        let calls = u32::try_from(cost.calls).unwrap_or(u32::MAX);
        let first = 0..calls.min(CALLS_TRIED_MAX);
        let last = (calls > CALLS_TRIED_MAX).then(|| calls - 1);
        // Polls are all the same.
        let last = last.filter(|_| function != Function::Status && method != "due_tasks");
        sites.extend(first.chain(last).map(|nth| (function, method, nth)));
    }
    sites
}

pub(super) fn check(case: &Case, report: &Report) -> Result<(), String> {
    if let Some(violation) = &report.violation {
        return Err(violation.clone());
    }
    let mut shown = case.shows.is_none();
    for task in &report.tasks {
        let status = task.status.as_str();
        shown |= case.shows == Some(status);
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
        Err(format!("no task ended {:?}", case.shows))
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
fn whatever_becomes_of_any_call_the_task_arrives_where_it_should() {
    // Each call with one of the faults, a different one for each.
    try_faults(1);
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn whatever_becomes_of_any_call_in_any_way_the_task_arrives_where_it_should() {
    try_faults(FAULTS.len());
}

/// Every call of every case with so many of the faults.
fn try_faults(faults_of_each: usize) {
    let cases = cases();
    let mut reached = BTreeSet::new();
    let mut runs = Vec::new();
    let mut calls = 0;
    for case in &cases {
        let report = run(&case.scenario);
        if let Err(complaint) = check(case, &report) {
            panic!("{}: {complaint}\n{}", case.name, report.trace.join("\n"));
        }
        let story = || format!("{}:\n{}", case.name, report.trace.join("\n"));
        assert!((case.takes_its_way)(&report), "{}", story());
        let sites = sites(&report);
        for (function, method, nth) in sites {
            calls += 1;
            let faults = FAULTS.into_iter().cycle().skip(calls);
            for (name, fault, lasts) in faults.take(faults_of_each) {
                let mut scenario = case.scenario.clone();
                let planned = Planned {
                    function,
                    method,
                    nth,
                    lasts,
                    fault,
                };
                // First, so that it goes before what the scenario has planned for the same call.
                scenario.planned.insert(0, planned);
                runs.push((case, scenario, name));
            }
            reached.insert((function, method));
        }
    }
    every_call_is_reached(&reached);

    let failures = Mutex::new(Vec::new());
    for_each(&runs, |(case, scenario, fault)| {
        let report = run(scenario);
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
        "{} scenarios, {} kinds of calls, {calls} calls × {faults_of_each} faults = {} runs, {} failures",
        cases.len(),
        reached.len(),
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

/// Every call of the store, the queue or connections that a handler makes has to be among those that were tried.
fn every_call_is_reached(reached: &BTreeSet<(Function, &'static str)>) {
    let tried: BTreeSet<_> = reached
        .iter()
        // Reads one row that a batch did not return: no handler calls it.
        .filter(|(_, method)| *method != "item")
        .map(|(function, method)| (function.to_string(), *method))
        .collect();
    // A method of the store that calls others.
    let undone = include_str!("../../../../longhaul/src/store/undone.rs").replace("self", "store");
    // It makes none itself.
    let of_undone = calls_in(&undone).map(|method| ("submit".to_owned(), method));
    // Its methods are calls of their own.
    let of_ended = include_str!("../../../../longhaul/src/ended.rs")
        .split("self.")
        .skip(1)
        .filter_map(|text| {
            ["announce", "put_aside"]
                .into_iter()
                .find(|it| text.starts_with(it))
        })
        .map(|method| ("ended".to_owned(), method));
    let written: BTreeSet<_> = HANDLERS
        .iter()
        .flat_map(|(function, source)| {
            calls_in(source).map(|method| ((*function).to_owned(), method))
        })
        .chain(of_undone)
        .filter(|(_, method)| *method != "undone")
        .chain(of_ended)
        .collect();
    assert!(written.len() > 20, "{written:?}");
    let missing: Vec<_> = written.difference(&tried).collect();
    assert!(missing.is_empty(), "no scenario reaches {missing:?}");
    let unknown: Vec<_> = tried.difference(&written).collect();
    assert!(unknown.is_empty(), "not found in the sources: {unknown:?}");
}

/// The code that calls the store, the queue and connections.
const HANDLERS: [(&str, &str); 9] = [
    ("submit", include_str!("../../../../longhaul/src/submit.rs")),
    ("status", include_str!("../../../../longhaul/src/status.rs")),
    (
        "status",
        include_str!("../../../../longhaul/src/status/items.rs"),
    ),
    ("cancel", include_str!("../../../../longhaul/src/cancel.rs")),
    ("worker", include_str!("../../../../longhaul/src/worker.rs")),
    (
        "worker",
        include_str!("../../../../longhaul/src/worker/slice.rs"),
    ),
    (
        "sweeper",
        include_str!("../../../../longhaul/src/sweeper.rs"),
    ),
    ("live", include_str!("../../../../longhaul/src/live.rs")),
    ("notify", include_str!("../../../../longhaul/src/notify.rs")),
];

/// The methods of the store, the queue and connections that a source calls.
fn calls_in(source: &str) -> impl Iterator<Item = &'static str> {
    let sources = [
        include_str!("../../../../longhaul/src/store.rs"),
        include_str!("../../../../longhaul/src/store/inputs.rs"),
        include_str!("../../../../longhaul/src/store/outcomes.rs"),
        include_str!("../../../../longhaul/src/store/undone.rs"),
        include_str!("../../../../longhaul/src/queue.rs"),
        include_str!("../../../../longhaul/src/store/connections.rs"),
        include_str!("../../../../longhaul/src/sockets.rs"),
    ];
    let methods: BTreeSet<_> = sources
        .into_iter()
        .flat_map(|source| source.split("pub async fn ").skip(1))
        .filter_map(|text| text.split('(').next())
        .collect();
    let after = ["store", "queue", "sockets"]
        .into_iter()
        .flat_map(|receiver| source.split(receiver).skip(1));
    after.filter_map(move |text| {
        let method = text.trim_start().strip_prefix('.')?.split('(').next()?;
        methods.get(method).copied()
    })
}
