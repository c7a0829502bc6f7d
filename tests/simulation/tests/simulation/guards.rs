//! Every condition is needed: take one away, and the simulator finds what it was for.

use std::time::Duration;

use embedded_aws::Fault;
use simulation::hunt::Hunt;
use simulation::scenario::{Client, Fate, Live, Page, Planned, Profile, Scenario};
use simulation::{Function, Report, run};

/// How it is shown that a guard is needed.
enum Shown {
    /// By chance: it is missed in a few runs of this kind.
    Chance(Profile),
    /// By a plan: it takes a coincidence that chance hardly ever brings about.
    Plan(fn() -> Scenario),
    /// By the model, which has no clocks: it takes one that goes backwards.
    Model,
}
use Shown::{Chance, Model, Plan};

// What the judge complains of in more than one case.
const TWO: &str = "two tasks are open under one lock";
const ENDED: &str = "a task that had ended";
const NOT_MINE: &str = "somebody else wrote it";
const UNSEEN: &str = "the sweeper saw version";
const QUOTA: &str = "more than the day's quota";
const OPEN: &str = "and it is open";

/// A guard, how it is shown to be needed, and what is complained of without it.
const NEEDED: [(&str, Shown, &str); 29] = [
    ("submit: lock is free", Chance(Profile::Storm), TWO),
    ("submit: lock is as seen", Chance(Profile::Locks), TWO),
    ("submit: task is new", Chance(Profile::Ghosts), ENDED),
    (
        "submit: key is new",
        Chance(Profile::Storm),
        "one idempotency key, two tasks",
    ),
    ("submit: a task is left", Chance(Profile::Storm), QUOTA),
    ("submit: items are left", Chance(Profile::Storm), QUOTA),
    (
        "take over: seen",
        Plan(late_take_over),
        "a live task was overwritten",
    ),
    (
        "claim: open",
        Chance(Profile::Storm),
        "exactly while it is open",
    ),
    (
        "claim: chunk is free",
        Chance(Profile::Storm),
        "claimed while it was held",
    ),
    (
        "claim: turn",
        Chance(Profile::Storm),
        "on the word of an old message",
    ),
    (
        "claim: pause is over",
        Plan(early_return),
        "claimed in its pause",
    ),
    ("advance: processing", Chance(Profile::Restless), ENDED),
    ("advance: owner", Chance(Profile::Storm), NOT_MINE),
    (
        "advance: cursor",
        Chance(Profile::Late),
        "the cursor of chunk",
    ),
    (
        "give back: processing",
        Plan(late_give_back_of_a_cancelled_task),
        ENDED,
    ),
    ("give back: owner", Plan(late_give_back), NOT_MINE),
    (
        "give back: cursor",
        Plan(give_back_after_an_advance),
        "without a claim",
    ),
    ("finish: open", Chance(Profile::Storm), ENDED),
    (
        "give up chunk: open",
        Plan(late_blame_in_a_cancelled_task),
        ENDED,
    ),
    ("give up chunk: owner", Model, ""),
    ("give up: seen", Plan(late_give_up), UNSEEN),
    ("cancel: open", Chance(Profile::Storm), ENDED),
    ("look again: seen", Plan(late_look_again), UNSEEN),
    ("dispatch: seen", Plan(late_dispatch), UNSEEN),
    (
        "work: own worker",
        Chance(Profile::Storm),
        "items are in flight where",
    ),
    (
        "ticket: is good",
        Plan(old_ticket),
        "a ticket let in after its time",
    ),
    (
        "connect: id is free",
        Plan(late_connection),
        "is in the lists of",
    ),
    ("forget: as seen", Plan(late_forget), OPEN),
    ("disconnect: no later one", Plan(late_disconnect), OPEN),
];

/// So many runs are tried; most guards are missed within ten of them.
const SEEDS: u64 = 400;

#[test]
fn without_any_one_guard_the_simulator_finds_a_violation() {
    let mut guards: Vec<_> = NEEDED.iter().map(|(name, ..)| *name).collect();
    let mut all = longhaul::store::dropped::GUARDS.to_vec();
    guards.sort_unstable();
    all.sort_unstable();
    assert_eq!(guards, all, "every guard has to be shown to be needed");

    for (name, shown, complaint) in NEEDED {
        // A run that needs no guard: taking this one away must not be what is noticed.
        let control = run_without(name, &one_chunk_after_the_other());
        assert_eq!(control.violation, None, "{name}");
        let violation = match shown {
            Chance(profile) => {
                let hunt = Hunt {
                    seeds: 0..SEEDS,
                    profile,
                    without: Some(name),
                    stop_early: true,
                };
                let violations = hunt.run(|_| {}).violations.into_iter();
                let found = violations.map(|(seed, text)| format!("seed {seed}: {text}"));
                found.collect::<Vec<_>>().join("; ")
            }
            Plan(scenario) => {
                let scenario = scenario();
                let guarded = run(&scenario);
                let story = guarded.trace.join("\n");
                assert_eq!(guarded.violation, None, "{name}:\n{story}");
                let report = run_without(name, &scenario);
                let story = report.trace.join("\n");
                let violation = report.violation;
                violation.unwrap_or_else(|| panic!("nobody misses \"{name}\":\n{story}"))
            }
            Model => continue,
        };
        println!("without \"{name}\": {violation}");
        assert!(violation.contains(complaint), "{name}: {violation}");
    }
}

#[test]
fn the_guard_that_the_readme_takes_away_exists() {
    let readme = include_str!("../../../../README.md");
    let mut named = readme.split("--without '").skip(1);
    let name = named.next().and_then(|rest| rest.split('\'').next());
    let is_known = name.is_some_and(|name| longhaul::store::dropped::GUARDS.contains(&name));
    assert!(is_known, "{name:?}");
}

fn run_without(guard: &'static str, scenario: &Scenario) -> Report {
    longhaul::store::dropped::set(Some(guard));
    let report = run(scenario);
    longhaul::store::dropped::set(None);
    report
}

/// One user, one worker, and nothing goes wrong.
fn one_chunk_after_the_other() -> Scenario {
    let mut scenario = Scenario::one_task(1, 25);
    scenario.settings.terms.chunk_items = 10;
    scenario.settings.workers_max = 1;
    scenario.settings.batch_max = 1;
    scenario
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One task of one item that takes so long.
fn one_item(seconds: u64) -> Scenario {
    let mut scenario = Scenario::one_task(1, 1);
    let duration = Duration::from_secs(seconds);
    scenario.settings.item = (duration, duration);
    scenario
}

/// Somebody else comes much later, so that the run goes on until then.
fn goes_on(mut scenario: Scenario) -> Scenario {
    let somebody_else = Client {
        user: "eve".into(),
        at: seconds(300),
        cancel_after: None,
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(somebody_else);
    scenario
}

/// Every attempt of a call takes effect so late that its caller has given up.
fn late(function: Function, method: &'static str, nth: u32, delay: u64) -> Planned {
    Planned {
        function,
        method,
        nth,
        lasts: 4,
        fault: Fault::Late(seconds(delay)),
    }
}

/// The first message is late and there is no sweeper. A second submit finds the task abandoned; but before it takes
/// over, the message does arrive.
fn late_take_over() -> Scenario {
    let mut scenario = one_item(60);
    scenario.settings.sweep_every = seconds(3600);
    scenario.delivered = vec![(0, vec![seconds(245)])];
    let second = Client {
        at: seconds(240),
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(second);
    // Its first transaction finds the lock.
    scenario.planned = vec![late(Function::Submit, "submit", 2, 20)];
    scenario
}

/// A worker lets go of a chunk that pauses, and dies before it can send the message for afterwards. Its own returns.
fn early_return() -> Scenario {
    let mut scenario = Scenario::one_task(1, 5);
    scenario.fates = vec![(0, Fate::NotNow(1, seconds(600)))];
    scenario.planned = vec![Planned {
        function: Function::Worker,
        method: "send_later",
        nth: 0,
        lasts: 1,
        fault: Fault::CrashBefore,
    }];
    scenario
}

/// The worker cannot store its row. Before it gives the chunk back, its lease has run out, and another one is at it.
fn late_give_back() -> Scenario {
    let mut scenario = one_item(20);
    scenario.planned = vec![
        Planned {
            function: Function::Worker,
            method: "record_items",
            nth: 0,
            lasts: 30,
            fault: Fault::Throttled,
        },
        late(Function::Worker, "give_back", 0, 110),
    ];
    scenario
}

/// The same, but its user has cancelled the task.
fn late_give_back_of_a_cancelled_task() -> Scenario {
    let mut scenario = late_give_back();
    scenario.clients[0].cancel_after = Some(seconds(60));
    goes_on(scenario)
}

/// The first three workers die. The fourth gets past an item and is not told: no answer arrives.
fn give_back_after_an_advance() -> Scenario {
    let mut scenario = Scenario::one_task(1, 4);
    scenario.settings.item = (seconds(5), seconds(5));
    scenario.settings.items_in_flight = 1;
    scenario.kills = vec![(0, seconds(1)), (1, seconds(1)), (3, seconds(1))];
    scenario.planned = vec![Planned {
        function: Function::Worker,
        method: "advance",
        nth: 0,
        lasts: 4,
        fault: Fault::LostAnswer,
    }];
    scenario
}

/// An item kills its workers. The last one is about to say so when the task is cancelled.
fn late_blame_in_a_cancelled_task() -> Scenario {
    let mut scenario = one_item(2);
    scenario.fates = vec![(0, Fate::Kill(u32::MAX))];
    scenario.clients[0].cancel_after = Some(seconds(200));
    scenario.planned = vec![late(Function::Worker, "give_up_chunk", 0, 60)];
    goes_on(scenario)
}

/// A task whose first message is late, and which the sweeper dispatches once, in vain.
fn slow_start() -> Scenario {
    let mut scenario = one_item(60);
    scenario.settings.dispatches_max = 1;
    scenario.lost = vec![1];
    scenario
}

/// The sweeper is about to give the task up when the first message does arrive.
fn late_give_up() -> Scenario {
    let mut scenario = slow_start();
    scenario.delivered = vec![(0, vec![seconds(130)])];
    scenario.planned = vec![late(Function::Sweeper, "give_up", 0, 30)];
    scenario
}

/// The sweeper is about to dispatch the task when the first message does arrive.
fn late_dispatch() -> Scenario {
    let mut scenario = slow_start();
    scenario.delivered = vec![(0, vec![seconds(70)])];
    scenario.planned = vec![late(Function::Sweeper, "dispatch", 0, 30)];
    scenario
}

/// The sweeper finds a worker at work, who then shows another sign of life.
fn late_look_again() -> Scenario {
    let mut scenario = one_item(140);
    scenario.settings.slice = seconds(150);
    scenario.settings.worker_timeout = seconds(600);
    scenario.settings.visibility = seconds(600);
    scenario.planned = vec![late(Function::Sweeper, "look_again", 0, 30)];
    scenario
}

/// A task of ann's that goes on for so long, and pages that look on. All of their connections have the same id.
fn watched(seconds: u64, pages: Vec<Page>) -> Scenario {
    let mut scenario = one_item(seconds);
    let pages = pages.into_iter().map(|page| Page {
        ids: vec![ID; 10],
        ..page
    });
    let pages = pages.collect();
    scenario.live = Some(Live {
        pages,
        ..Live::default()
    });
    scenario
}

const ID: &str = "again=";

/// A ticket is presented ten seconds after its time.
fn old_ticket() -> Scenario {
    let page = Page {
        ticket_rests: Some(seconds(40)),
        ..Page::of("ann", Duration::ZERO, seconds(60))
    };
    watched(60, vec![page])
}

/// What ann's connection is noted with is late, and it is refused. By the time it is noted, bob's has its id.
fn late_connection() -> Scenario {
    let ann = Page::of("ann", Duration::ZERO, seconds(7));
    let bob = Page::of("bob", seconds(18), seconds(60));
    let mut scenario = watched(60, vec![ann, bob]);
    scenario.planned = vec![late(Function::Live, "connect", 0, 30)];
    scenario
}

/// One page goes without a word, and its connection is found to be closed. Before that is written down, another one of
/// the same user's has its id.
fn late_forget() -> Scenario {
    let gone = Page {
        told: Some(None),
        ..Page::of("ann", Duration::ZERO, seconds(62))
    };
    let next = Page::of("ann", seconds(85), seconds(60));
    let mut scenario = watched(70, vec![gone, next]);
    scenario.planned = vec![late(Function::Notify, "forget", 0, 30)];
    scenario
}

/// It is said so late that a connection is closed that another one of the same user's has its id.
fn late_disconnect() -> Scenario {
    let gone = Page {
        told: Some(Some(seconds(30))),
        ..Page::of("ann", Duration::ZERO, seconds(5))
    };
    let next = Page::of("ann", seconds(20), seconds(60));
    watched(60, vec![gone, next])
}
