//! What a task costs in calls to AWS and in capacity, against the fewest calls that could do.

use embedded_aws::Cost;
use serde_json::Value;
use simulation::costs::{HEAD, TaskCost};
use simulation::naive::Naive;
use simulation::per_task::{Company, HEAD as HEAD_OF_TASKS, Kind, Pace, PerTask};
use simulation::prices::GIGABYTES;
use simulation::staleness::{HEAD as HEAD_OF_STALENESS, Span, Staleness};
use simulation::watching::{HEAD as HEAD_OF_WATCHING, SHAPES, WAYS, WatchingCost, Way};

/// The fewest calls that the protocol needs: accept and announce; if there are several chunks, read
/// the task once and announce them ten at a time; for each chunk a claim, its rows 25 at a time, and
/// one step of the cursor; end. With inputs: look first, store them 25 rows at a time, and read them for each chunk, and
/// what they share.
fn fewest(items: u64, listed: bool) -> u64 {
    let chunks = items.div_ceil(100);
    let sizes = (0..chunks).map(|chunk| 100.min(items - chunk * 100));
    let of_chunks: u64 = sizes.map(|size| 1 + size.div_ceil(25) + 1).sum();
    let fan_out = if chunks > 1 {
        1 + (chunks - 1).div_ceil(10)
    } else {
        0
    };
    // A row for each chunk's inputs, and one for what they share.
    let inputs = 1 + (chunks + 1).div_ceil(25) + chunks + 1;
    2 + fan_out + of_chunks + 1 + if listed { inputs } else { 0 }
}

#[test]
fn the_cost_of_a_task_is_known_and_small() {
    println!("{HEAD}");
    let known = [
        (1, false, "6 calls, 13 written, 0 read"),
        (100, false, "24 calls, 121 written, 0 read"),
        (10_000, false, "1114 calls, 14114 written, 2 read"),
        (1, true, "10 calls, 15 written, 3 read"),
        (100, true, "28 calls, 126 written, 3 read"),
        (10_000, true, "1320 calls, 14842 written, 302 read"),
    ];
    for (items, listed, expected) in known {
        let cost = TaskCost::measure(items, listed).unwrap();
        println!("{cost}\nat least {} calls needed", fewest(items, listed));
        let Cost {
            calls,
            write_units,
            read_units,
            ..
        } = cost.total();
        let found = format!("{calls} calls, {write_units} written, {read_units} read");
        assert_eq!(found, expected, "{items} items\n{cost}");
    }
}

#[test]
fn the_cost_of_looking_on_is_known() {
    println!("{HEAD_OF_WATCHING}");
    let mut found = vec![];
    for shape in SHAPES {
        for way in WAYS {
            let cost = WatchingCost::measure(shape, way).unwrap();
            println!("{cost}");
            let WatchingCost {
                requests,
                invocations,
                table,
                messages,
                minutes,
                events,
                ..
            } = &cost;
            let dollars = cost.dollars() * 1e6;
            found.push(format!(
                "{shape:?} {way:?}: {requests} requests, {invocations:?} invocations, {} read, {} written, \
                 {messages} messages, {minutes} minutes, {events} events, {dollars:.1}",
                table.read_units, table.write_units
            ));
        }
    }
    // Both are written every two seconds, and what is told is what is written.
    let asking = "20 requests, [20, 0, 0, 0] invocations, 20 read, 0 written, 0 messages, 0 minutes, 0 events, 27.8";
    let told = "7 requests, [6, 4, 101, 1] invocations, 108 read, 7 written, 101 messages, 4 minutes, 1 events, 157.7";
    let nobody = "0 requests, [0, 0, 101, 1] invocations, 101 read, 0 written, 0 messages, 0 minutes, 1 events, 40.8";
    let expected = ["Thousand", "Hundred"].map(|shape| {
        let ways = [("Asking", asking), ("Told", told), ("Nobody", nobody)];
        ways.map(|(way, cost)| format!("{shape} {way}: {cost}"))
    });
    assert_eq!(found, expected.concat());
}

/// What one that is alone comes to, in whole units.
fn in_words(task: &PerTask) -> String {
    format!(
        "{} calls, {} + {} + {} written, {} read, {} of the queue, {} polls",
        task.calls,
        task.row_units,
        task.progress_units,
        task.other_units,
        task.work.read_units,
        task.work.queue_requests,
        task.polls.http_requests
    )
}

#[test]
fn what_a_task_comes_to_is_known() {
    println!("{HEAD_OF_TASKS}");
    let uneven = |in_flight| Kind {
        pace: Pace::Uneven,
        ..Kind::numbered(100, in_flight)
    };
    let listed = Kind {
        listed: true,
        ..Kind::numbered(10, 10)
    };
    let kinds = [
        Kind::numbered(10, 10),
        listed,
        Kind::numbered(100, 10),
        Kind::numbered(100, 100),
        uneven(10),
        uneven(100),
        Kind::numbered(1000, 100),
    ];
    let tasks = kinds.map(|kind| PerTask::measure(kind).unwrap());
    let mut found = vec![];
    for task in &tasks {
        println!("{task}");
        let kind = task.kind;
        found.push(format!("{kind}: {}", in_words(task)));
        let most = if kind.in_flight == 10 { 0.5 } else { 0.1 };
        let units = task.progress_units_per_item();
        assert!(kind.items != 100 || units <= most, "{kind}: {units}");
    }
    // Written are rows of items, progress, and all else.
    let expected = [
        "10 numbered, 10 in flight: 6 calls, 10 + 1 + 11 written, 0 read, 3 of the queue, 2 polls",
        "10 listed, 10 in flight: 10 calls, 10 + 1 + 13 written, 3 read, 3 of the queue, 2 polls",
        "100 numbered, 10 in flight: 24 calls, 100 + 10 + 11 written, 0 read, 3 of the queue, 19 polls",
        "100 numbered, 100 in flight: 9 calls, 100 + 1 + 11 written, 0 read, 3 of the queue, 2 polls",
        "100 numbered, 10 in flight, uneven: 70 calls, 100 + 33 + 11 written, 0 read, 3 of the queue, 20 polls",
        "100 numbered, 100 in flight, uneven: 11 calls, 100 + 2 + 11 written, 0 read, 3 of the queue, 2 polls",
        "1000 numbered, 100 in flight: 65 calls, 1000 + 20 + 27 written, 1 read, 20 of the queue, 2 polls",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_task_costs_a_fraction_of_what_it_costs_in_a_naive_design() {
    let naive = Naive::measure(100).unwrap();
    println!("{HEAD_OF_TASKS}\n{naive}");
    let (work, polls) = (naive.work, naive.polls);
    let found = format!(
        "{} written, {} polls",
        work.write_units, polls.http_requests
    );
    assert_eq!(found, "101 written, 200 polls");
    for (in_flight, company, times) in [
        (10, Company::Alone, 5.5),
        (10, Company::Queue, 8.5),
        (100, Company::Alone, 12.0),
    ] {
        let kind = Kind {
            company,
            ..Kind::numbered(100, in_flight)
        };
        let task = PerTask::measure(kind).unwrap();
        println!("{task}");
        let found = naive.dollars_per_million() / task.dollars_per_million();
        assert!(found >= times, "{kind}: 1/{found:.1}");
    }
}

#[test]
fn functions_have_the_memory_that_is_reckoned_with() {
    const TEMPLATE: &str = include_str!("../../../../template.yaml");
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap();
    let memory = template["Globals"]["Function"]["MemorySize"].as_f64();
    assert_eq!(memory.map(|it| it / 1024.0), Some(GIGABYTES));
}

#[test]
fn who_looks_on_asks_seldom_and_is_shown_nearly_what_is_so() {
    println!("{HEAD_OF_STALENESS}");
    let [asking, told] = [Way::Asking, Way::Told].map(|way| {
        let measured = Staleness::measure(Span::Usual, way).unwrap();
        println!("{measured}");
        measured
    });
    assert!(asking.requests <= 20 && asking.known_of_saved.p95 <= 5.5);
    assert!(told.requests <= 8 && told.shown.p95 <= 2.0);
    // The bar is late by the time that it takes to arrive.
    assert!(asking.shown.p95 <= 6.5);
}
