//! Huge tasks must not keep others waiting, and in a long queue everybody gets the same.

use std::time::Duration;

use simulation::scenario::{Client, Scenario};
use simulation::{Function, run};

/// When the fifth user comes, the others have been at it for so long.
const LATER: Duration = Duration::from_secs(10);

/// Users with 10,000 items each keep all workers busy, with chunks that take much longer than a slice; then one more
/// comes with five items. Returns how long those take, if they are done within a slice of the default length.
fn wait_of_the_last(busy: &Scenario, slice: Duration) -> Option<Duration> {
    let mut scenario = busy.clone();
    let users = scenario.clients.len();
    let last = Client {
        user: "eve".into(),
        at: LATER,
        items: 5,
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(last);
    let patience = scenario.settings.slice;
    scenario.settings.slice = slice;
    scenario.settings.worker_timeout = slice + Duration::from_secs(90);
    scenario.settings.visibility = scenario.settings.worker_timeout + Duration::from_secs(30);
    scenario.ends_at = Some(LATER + patience);
    let report = run(&scenario);
    assert_eq!(report.violation, None);
    let (small, huge): (Vec<_>, Vec<_>) = report
        .tasks
        .iter()
        .partition(|task| task.number_of_items == 5);
    let chunks = huge.iter().flat_map(|task| &task.chunks);
    let waiting = chunks.filter(|chunk| chunk.cursor == 0).count();
    assert!(
        huge.len() == users && waiting > 0,
        "not all workers were busy"
    );
    let done_at = small.first()?.finished_at?;
    Some(done_at.since(small.first()?.created_at))
}

/// These users with ten chunks each, which take 200 s at ten items of two seconds at a time.
fn busy(users: &[&str]) -> Scenario {
    let mut scenario = Scenario::one_task(1, 10_000);
    let ann = scenario.clients.remove(0);
    let with_name = |user: &&str| Client {
        user: (*user).into(),
        ..ann.clone()
    };
    scenario.clients = users.iter().map(with_name).collect();
    scenario.settings.terms.chunk_items = 1000;
    scenario
}

fn assert_that_the_last_has_its_turn_within_one_slice(busy: &Scenario) {
    let slice = busy.settings.slice;
    let wait = wait_of_the_last(busy, slice).expect("the last user's task is done");
    println!("done {:.1} s after it was submitted", wait.as_secs_f64());
    assert!(wait <= slice, "{wait:?}");
    assert_eq!(
        wait_of_the_last(busy, slice * 10),
        None,
        "without slices the last user would wait"
    );
}

#[test]
fn a_small_task_gets_its_turn_within_one_slice_while_huge_ones_fill_all_workers() {
    let mut busy = busy(&["ann", "bob", "cas", "dan"]);
    busy.settings.workers_max = 4;
    assert_that_the_last_has_its_turn_within_one_slice(&busy);
}

#[test]
fn a_small_task_gets_its_turn_from_the_own_workers_of_its_job_too() {
    let mut busy = busy(&["ann"]);
    busy.clients[0].limited = true;
    // As the template has it.
    busy.settings.batch_max = 1;
    assert_that_the_last_has_its_turn_within_one_slice(&busy);
}

#[test]
fn in_a_long_queue_every_task_has_as_many_turns_as_the_others_and_few_copies_of_its_messages() {
    // Twelve users ask for five slices' work each, of two workers that take one message at a time.
    let mut scenario = Scenario::one_task(1, 1500);
    for user in 1..12 {
        let client = Client {
            user: format!("user-{user}"),
            at: Duration::from_secs(user),
            ..scenario.clients[0].clone()
        };
        scenario.clients.push(client);
    }
    scenario.settings.terms.chunk_items = 1500;
    scenario.settings.workers_max = 2;
    scenario.settings.batch_max = 1;
    // A turn comes every six minutes. A message that has not arrived by then could as well be lost.
    scenario.ends_at = Some(Duration::from_secs(20 * 60));
    let report = run(&scenario);
    assert_eq!(report.violation, None);
    let turns: Vec<_> = report
        .tasks
        .iter()
        .map(|task| task.chunks[0].turn)
        .collect();
    assert_eq!(turns.len(), 12);
    assert!(turns.iter().all(|turn| (3..=4).contains(turn)), "{turns:?}");
    // Once it is known how long the queue is, there are none.
    let dispatches = report.figures.calls(Function::Sweeper, "dispatch");
    assert!((12..=36).contains(&dispatches), "{dispatches} dispatches");
}
