//! However many requests arrive at once, a user has one task.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use anyhow::{Result, anyhow};
use e2e::{Answer, Stack, User, have_the_machine};

const ROUNDS: usize = 20;
const SIMULTANEOUS: usize = 100;
/// So many that the task cannot end before the last of the submits arrives, however slow the machine: the user would
/// then rightly get a second one.
const ITEMS: u32 = 100;

#[test]
fn a_hundred_simultaneous_submits_start_one_task() -> Result<()> {
    let _machine = have_the_machine();
    let stack = Stack::load()?;
    for round in 0..ROUNDS {
        // A new user each time: the lock of the round before must play no part.
        let user = stack.user()?;
        let answers = submit_at_once(&user)?;
        let mut statuses = BTreeMap::new();
        for answer in &answers {
            *statuses.entry(answer.status).or_insert(0) += 1;
        }
        // The one that is accepted may have to ask a second time, and is then told that there is a task.
        let has_asked_again = answers.iter().any(|answer| answer.tries > 1);
        let one_is_accepted = BTreeMap::from([(200, 1), (201, SIMULTANEOUS - 1)]);
        let nobody_is_told = BTreeMap::from([(201, SIMULTANEOUS)]);
        assert!(
            statuses == one_is_accepted || (has_asked_again && statuses == nobody_is_told),
            "round {round}: {statuses:?}"
        );

        let task_id = answers[0].task_id()?;
        for answer in &answers {
            assert_eq!(
                answer.task_id()?,
                task_id,
                "round {round}: {}",
                answer.text()
            );
            if answer.status == 201 {
                assert_eq!(answer.json()?["message"], "There is an active request");
            }
        }
        let tasks = user.rows()?.iter().filter(|row| is_task(row)).count();
        assert_eq!(tasks, 1, "round {round}");
        assert_eq!(user.cancel(&task_id)?.status, 200);
    }
    Ok(())
}

fn submit_at_once(user: &User) -> Result<Vec<Answer>> {
    let barrier = Barrier::new(SIMULTANEOUS);
    thread::scope(|scope| {
        let submits: Vec<_> = (0..SIMULTANEOUS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    user.submit(ITEMS)
                })
            })
            .collect();
        submits
            .into_iter()
            .map(|submit| submit.join().map_err(|_| anyhow!("a submit panicked"))?)
            .collect()
    })
}

fn is_task(row: &serde_json::Value) -> bool {
    row["sk"]["S"]
        .as_str()
        .is_some_and(|key| key.starts_with("TASK#"))
}
