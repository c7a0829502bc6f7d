//! A submit that is repeated with its key is the same submit.

use std::thread;

use anyhow::{Context as _, Result};
use e2e::{Answer, Stack, TASKS, User};

fn submit(user: &User, key: &str, number_of_items: u32) -> Result<Answer> {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let body = format!("{{\"number_of_items\": {number_of_items}}}");
    user.call("POST", TASKS, &headers, body.as_bytes())
}

#[test]
fn a_repeated_submit_names_the_same_task_and_what_it_is_now() -> Result<()> {
    let user = Stack::load()?.user()?;
    let first = submit(&user, "key", 100)?;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let task_id = first.task_id()?;

    let again = || -> Result<(String, bool)> {
        let again = submit(&user, "key", 100)?;
        assert_eq!((again.status, again.task_id()?), (200, task_id.clone()));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let status = again.json()?["data"]["task_status"].clone();
        let status = status.as_str().context("no status")?;
        Ok((status.to_owned(), again.headers.contains_key("retry-after")))
    };
    let (status, is_to_look_again) = again()?;
    assert!(
        ["QUEUED", "PROCESSING"].contains(&status.as_str()),
        "{status}"
    );
    assert!(is_to_look_again);
    assert_eq!(user.cancel(&task_id)?.status, 200);
    assert_eq!(again()?, ("CANCELLED".to_owned(), false));

    assert_eq!(submit(&user, "key", 3)?.status, 422);
    assert_eq!(submit(&user, "a key", 3)?.status, 400);
    Ok(())
}

#[test]
fn two_submits_with_one_key_at_once_are_one_task() -> Result<()> {
    let user = Stack::load()?.user()?;
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| submit(&user, "key", 2)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<Result<Answer>>| {
            thread.join().unwrap_or_else(|_| anyhow::bail!("panicked"))
        };
        threads.into_iter().map(join).collect::<Result<_>>()
    })?;
    let task_id = answers[0].task_id()?;
    for answer in &answers {
        assert_eq!((answer.status, answer.task_id()?), (200, task_id.clone()));
    }
    let tasks = user.rows()?;
    let is_task = |row: &&serde_json::Value| {
        let key = row["sk"]["S"].as_str();
        key.is_some_and(|key| key.starts_with("TASK#"))
    };
    assert_eq!(tasks.iter().filter(is_task).count(), 1);
    Ok(())
}
