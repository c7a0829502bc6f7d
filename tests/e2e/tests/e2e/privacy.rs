//! Nobody learns anything about somebody else's task, not even that there is one.

use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use e2e::{Answer, Stack, TASKS, User, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

const JOBS: [&str; 2] = ["tuned-long-running-task", "import-contacts"];

/// Tasks in every state, of both jobs.
fn tasks_of(user: &User) -> Result<Vec<String>> {
    let import = |emails: &[&str]| {
        let contact = |email: &&str| json!({"name": "Somebody", "email": email});
        let contacts: Vec<_> = emails.iter().map(contact).collect();
        let body = json!({ "contacts": contacts }).to_string();
        user.post("/api/import-contacts/", body.as_bytes())?
            .task_id()
    };
    let until = |task_id: &str, status: &str| {
        wait_until(status, PATIENCE, || {
            Ok((user.status(task_id)?["task_status"] == status).then_some(()))
        })
    };
    let mut tasks = vec![user.submit(1)?.task_id()?];
    until(&tasks[0], "SUCCESS")?;
    tasks.push(import(&["nobody"])?);
    until(&tasks[1], "FAILED")?;
    tasks.push(import(&["somebody@example.com"])?);
    until(&tasks[2], "SUCCESS")?;
    tasks.push(user.submit(200)?.task_id()?);
    user.cancel(&tasks[3])?;
    until(&tasks[3], "CANCELLED")?;
    tasks.push(user.submit(300)?.task_id()?);
    until(&tasks[4], "PROCESSING")?;
    Ok(tasks)
}

/// An id of the same form, so that not even its parsing differs.
fn missing(task_id: &str) -> String {
    let other = |digit| if digit == '0' { '1' } else { digit };
    task_id.chars().rev().map(other).collect()
}

#[test]
fn somebody_elses_task_and_a_missing_one_give_identical_answers() -> Result<()> {
    let stack = Stack::load()?;
    let (owner, stranger) = (stack.user()?, stack.user()?);
    let tasks = tasks_of(&owner)?;
    for task_id in &tasks {
        for job in JOBS {
            for (method, suffix) in [
                ("GET", ""),
                ("GET", "/"),
                ("GET", "/items/"),
                ("GET", "/items/?format=csv"),
                ("GET", "/items/?outcome=failed&include=input"),
                ("DELETE", "/"),
                ("POST", "/retry/"),
            ] {
                let path = |id: &str| format!("/api/{job}/{id}{suffix}");
                let ask = |id: &str| stranger.call(method, &path(id), &[], b"");
                let foreign = ask(task_id)?;
                let expected = json!({"success": false, "message": "Task not found"});
                assert_eq!(foreign.json()?, expected, "{method} {}", path(task_id));
                assert_eq!(foreign.status, 404);
                for other in [ask(&missing(task_id))?, ask("not-an-id")?] {
                    assert_eq!(
                        comparable(&foreign),
                        comparable(&other),
                        "{method} {suffix}"
                    );
                }
            }
        }
    }
    for listing in ["/api/tasks/", TASKS, "/api/import-contacts/"] {
        assert_eq!(stranger.get(listing)?.json()?["data"]["tasks"], json!([]));
    }
    // Whatever was tried, nothing has come of it, but that what was at work may be done.
    let listed = owner.get("/api/tasks/")?.json()?["data"]["tasks"].clone();
    let listed = listed.as_array().context("no tasks")?;
    let statuses = listed.iter().rev().map(|task| task["task_status"].as_str());
    let statuses: Vec<_> = statuses.flatten().collect();
    assert_eq!(statuses[..4], ["SUCCESS", "FAILED", "SUCCESS", "CANCELLED"]);
    assert!(["PROCESSING", "SUCCESS"].contains(&statuses[4]) && statuses.len() == 5);
    assert_eq!(stranger.rows()?, [] as [Value; 0]);
    owner.cancel(&tasks[4])?;
    Ok(())
}

#[test]
fn a_cursor_is_good_for_what_gave_it_out() -> Result<()> {
    let stack = Stack::load()?;
    let (owner, stranger) = (stack.user()?, stack.user()?);
    let finished = |user: &User| {
        let task_id = user.submit(3)?.task_id()?;
        wait_until("the task ends", PATIENCE, || {
            let ended = user.status(&task_id)?["task_status"] == "SUCCESS";
            Ok(ended.then_some(()))
        })?;
        Ok::<_, Error>(task_id)
    };
    let (first, second) = (finished(&owner)?, finished(&owner)?);
    let foreign = finished(&stranger)?;
    let items = |task_id: &str| format!("{TASKS}{task_id}/items/?limit=1");
    let cursor_of = |user: &User, path: &str| {
        let page = user.get(path)?.json()?;
        let cursor = page["data"]["next_cursor"].as_str();
        Ok::<_, Error>(cursor.context("no cursor")?.to_owned())
    };
    let of_items = cursor_of(&owner, &items(&first))?;
    let of_tasks = cursor_of(&owner, "/api/tasks/?limit=1")?;
    let of_job = cursor_of(&owner, &format!("{TASKS}?limit=1"))?;
    let with = |path: String, cursor: &str| format!("{path}&cursor={cursor}");
    let listings = [
        (&owner, items(&first), &of_items),
        (&owner, items(&second), &of_items),
        (&stranger, items(&foreign), &of_items),
        (&owner, "/api/tasks/?limit=1".to_owned(), &of_tasks),
        (&stranger, "/api/tasks/?limit=1".to_owned(), &of_tasks),
        (&owner, format!("{TASKS}?limit=1"), &of_job),
        (&stranger, format!("{TASKS}?limit=1"), &of_job),
    ];
    for (user, path, own) in &listings {
        for cursor in [&of_items, &of_tasks, &of_job] {
            let is_theirs = user.sub == owner.sub && cursor == *own && !path.contains(&second);
            let answer = user.get(&with(path.clone(), cursor))?;
            let status = if is_theirs { 200 } else { 400 };
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    Ok(())
}

/// Everything that a client can see, except what differs from answer to answer.
fn comparable(answer: &Answer) -> (u16, impl PartialEq + std::fmt::Debug, &[u8]) {
    (answer.status, answer.stable_headers(), &answer.body)
}
