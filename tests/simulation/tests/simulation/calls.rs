//! What a task costs in calls to AWS, against the fewest that could do.

use std::collections::BTreeMap;

use simulation::scenario::Scenario;
use simulation::{Function, run};

/// The calls of one task that nothing happens to, without those of its client's polls.
fn calls(items: u64) -> BTreeMap<(Function, &'static str), u64> {
    let report = run(&Scenario::one_task(1, items));
    assert_eq!(report.violation, None);
    let mut calls = report.figures.calls;
    calls
        .retain(|(function, _), _| *function != Function::Status && *function != Function::Sweeper);
    calls
}

/// The fewest calls that the protocol needs: accept and announce; if there are several chunks, read
/// the task once and announce them ten at a time; for each chunk a claim, its rows 25 at a time, and
/// one step of the cursor; end.
fn fewest(items: u64) -> u64 {
    let chunks = items.div_ceil(100);
    let sizes = (0..chunks).map(|chunk| 100.min(items - chunk * 100));
    let of_chunks: u64 = sizes.map(|size| 1 + size.div_ceil(25) + 1).sum();
    let fan_out = if chunks > 1 {
        1 + (chunks - 1).div_ceil(10)
    } else {
        0
    };
    2 + fan_out + of_chunks + 1
}

#[test]
fn the_calls_of_a_task_are_known_and_few() {
    for (items, expected) in [(1, 6), (100, 24), (10_000, 1114)] {
        let calls = calls(items);
        let made: u64 = calls.values().sum();
        println!(
            "{items} items: {made} calls, at least {} needed: {calls:?}",
            fewest(items)
        );
        assert_eq!(made, expected, "{items} items: {calls:?}");
    }
}
