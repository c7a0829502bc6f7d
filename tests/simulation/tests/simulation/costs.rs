//! What a task costs in calls to AWS and in capacity, against the fewest calls that could do.

use embedded_aws::Cost;
use simulation::costs::{HEAD, TaskCost};
use simulation::watching::{HEAD as HEAD_OF_WATCHING, SHAPES, WAYS, WatchingCost};

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
