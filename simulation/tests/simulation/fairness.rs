//! Huge tasks must not keep others waiting.

use std::time::Duration;

use simulation::run;
use simulation::scenario::{Client, Scenario};

/// When the fifth user comes, the others have been at it for so long.
const LATER: Duration = Duration::from_secs(10);

/// Four users with 10,000 items each keep all workers busy; then a fifth comes with five items.
/// Returns how long it takes until the first of those is done.
fn wait_of_the_fifth(fair: bool) -> Option<Duration> {
    let mut scenario = Scenario::one_task(1, 10_000);
    for user in ["bob", "cas", "dan"] {
        let client = Client {
            user: user.into(),
            ..scenario.clients[0].clone()
        };
        scenario.clients.push(client);
    }
    let fifth = Client {
        user: "eve".into(),
        at: LATER,
        items: 5,
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(fifth);
    scenario.settings.fair = fair;
    // A worker receives as many messages at a time as the queue holds, up to ten: 200 chunks.
    scenario.ends_at = Some(LATER + scenario.settings.slice);
    let report = run(&scenario);
    assert_eq!(report.violation, None);
    let small = report
        .tasks
        .iter()
        .position(|task| task.number_of_items == 5);
    let task = &report.tasks[small.expect("the fifth task is accepted")];
    let done_at = task.finished_at?;
    Some(done_at.since(task.created_at))
}

#[test]
#[ignore = "takes long: run it with --ignored, as `cargo xtask test` does"]
fn a_small_task_gets_its_turn_within_one_slice_while_huge_ones_fill_all_workers() {
    let slice = Scenario::one_task(0, 1).settings.slice;
    let wait = wait_of_the_fifth(true).expect("the fifth user's task is done");
    println!("a fair queue: done after {:.1} s", wait.as_secs_f64());
    assert!(wait <= slice, "{wait:?}");
}
