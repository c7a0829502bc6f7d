//! A task runs from submit to success, visibly.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Stack, TASKS, wait_until};
use serde_json::{Value, json};

/// Enough of them, two at a time, for a slow machine to see some done and some not.
const ITEMS: u32 = 12;

#[test]
fn a_task_rises_to_success_and_frees_its_user() -> Result<()> {
    let user = Stack::load()?.user()?;

    let submitted = user.submit(ITEMS)?;
    assert_eq!(submitted.status, 200, "{}", submitted.text());
    let task_id = submitted.task_id()?;
    assert_eq!(
        submitted.json()?,
        json!({"success": true, "data": {"task_id": task_id, "task_status": "QUEUED"}})
    );
    let followed = user.follow(TASKS, &submitted)?;
    assert_eq!(followed.task_id()?, task_id);

    let mut seen: Vec<Value> = Vec::new();
    wait_until("the task succeeds", Duration::from_mins(1), || {
        let status = user.status(&task_id)?;
        let ended = status["task_status"] == "SUCCESS";
        seen.push(status);
        Ok(ended.then_some(()))
    })?;
    progress_is_monotonic_and_visible(&seen)?;

    let last = seen.last().context("nothing was seen")?;
    assert_eq!(last["count_done_items"], ITEMS);
    assert_eq!(last["count_failed_items"], 0);
    assert_eq!(last["done_percentage"], 100);

    let again = user.submit(1)?;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_ne!(again.task_id()?, task_id);
    Ok(())
}

#[test]
fn the_location_of_a_task_leads_to_it_however_it_was_posted_to() -> Result<()> {
    for path in [TASKS, TASKS.trim_end_matches('/')] {
        let user = Stack::load()?.user()?;
        // The first is accepted, the second told that there is an active one.
        for status in [200, 201] {
            let submitted = user.post(path, br#"{"number_of_items": 5}"#)?;
            assert_eq!(submitted.status, status, "{path}: {}", submitted.text());
            let followed = user.follow(path, &submitted)?;
            assert_eq!(followed.status, 200, "{path}: {}", followed.text());
            assert_eq!(followed.task_id()?, submitted.task_id()?);
        }
        user.cancel(&user.post(path, br#"{"number_of_items": 5}"#)?.task_id()?)?;
    }
    Ok(())
}

fn progress_is_monotonic_and_visible(seen: &[Value]) -> Result<()> {
    let order = ["QUEUED", "PROCESSING", "SUCCESS"];
    let mut before = (0, 0, 0);
    for status in seen {
        assert_eq!(status["number_of_items"], ITEMS);
        let task_status = status["task_status"].as_str().context("no status")?;
        let stage = order.iter().position(|known| *known == task_status);
        let stage = stage.with_context(|| format!("unexpected: {status}"))?;
        let done = status["count_done_items"].as_u64().context("no count")?;
        let percentage = status["done_percentage"]
            .as_u64()
            .context("no percentage")?;
        let now = (stage, done, percentage);
        assert!(
            now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2,
            "progress went back from {before:?} to {now:?}"
        );
        assert_eq!(percentage == 100, done == u64::from(ITEMS), "{status}");
        before = now;
    }
    let between = |status: &Value| {
        (1..u64::from(ITEMS)).contains(&status["count_done_items"].as_u64().unwrap_or(0))
    };
    assert!(
        seen.iter().any(between),
        "no count between nothing and all was ever seen: {seen:?}"
    );
    Ok(())
}

#[test]
fn every_item_has_one_row() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let task_id = user.submit(ITEMS)?.task_id()?;
    wait_until("the task succeeds", Duration::from_mins(1), || {
        Ok((user.status(&task_id)?["task_status"] == "SUCCESS").then_some(()))
    })?;

    let items = user.get(&format!("{TASKS}{task_id}/items/"))?.json()?;
    let items = items["data"]["items"].as_array().context("no items")?;
    let shown: Vec<_> = items
        .iter()
        .map(|item| (&item["index"], &item["name"], &item["output"]))
        .collect();
    let expected: Vec<_> = (0..ITEMS)
        .map(|i| {
            (
                json!(i),
                json!(format!("Item {i}")),
                json!({"name": format!("Item {i}"), "description": format!("Description {i}")}),
            )
        })
        .collect();
    assert_eq!(
        shown,
        expected
            .iter()
            .map(|(index, name, text)| (index, name, text))
            .collect::<Vec<_>>()
    );
    assert_eq!(
        stack.rows(&format!("TASK#{task_id}#0"))?.len(),
        ITEMS as usize
    );
    Ok(())
}

#[test]
fn a_task_that_outlives_its_functions_is_handed_on_and_ends() -> Result<()> {
    // Two at a time and 0.4 s each: 24 s, where a function has 10.
    const MANY: u32 = 120;
    let user = Stack::load()?.user()?;
    let task_id = user.submit(MANY)?.task_id()?;
    wait_until("the task succeeds", Duration::from_mins(3), || {
        let status = user.status(&task_id)?;
        assert_ne!(status["task_status"], "FAILED", "{status}");
        Ok((status["task_status"] == "SUCCESS").then_some(()))
    })?;
    let status = user.status(&task_id)?;
    assert_eq!(status["count_done_items"], MANY);
    Ok(())
}
