//! The job whose items come with the request: contacts are imported, each with a row of its own.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Stack, secrets, wait_until};
use serde_json::{Value, json};

const IMPORT: &str = "/api/import-contacts/";

#[test]
fn contacts_are_imported_but_for_those_that_cannot_be() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    for content in ["Person 142", "nobody-142", "erson-7@example.com"] {
        secrets::note(content)?;
    }
    let email = |row: usize| match row % 100 {
        42 => format!("nobody-{row}"),
        _ => format!("Person-{row}@example.com"),
    };
    let contacts: Vec<_> = (0..300)
        .map(|row| json!({"name": format!("Person {row}"), "email": email(row)}))
        .collect();
    let body = json!({ "contacts": contacts }).to_string();
    let task_id = user.post(IMPORT, body.as_bytes())?.task_id()?;
    let path = format!("{IMPORT}{task_id}/");
    let ended = wait_until("the import ends", Duration::from_mins(1), || {
        let task = user.get(&path)?.json()?["data"].clone();
        Ok((task["finished_at"] != json!(null)).then_some(task))
    })?;
    assert_eq!(ended["task_status"], "FAILED");
    assert_eq!(ended["error"], "3 of 300 items failed.");

    let failed = user.get(&format!("{path}items/?outcome=failed&include=input"))?;
    let failed = failed.json()?["data"]["items"].clone();
    let failed = failed.as_array().context("no items")?;
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert_eq!(failed[1]["index"], 142);
    assert_eq!(failed[1]["name"], "nobody-142");
    assert_eq!(
        failed[1]["input"],
        json!({"name": "Person 142", "email": "nobody-142"})
    );
    let imported = stack.contacts(&user.sub)?;
    assert_eq!(imported.len(), 297);
    let row = |email: &str| imported.iter().find(|row| row["email"]["S"] == email);
    assert_eq!(
        row("person-7@example.com").context("no row")?["name"]["S"],
        "Person 7"
    );

    // Under another job's path it is the same task, and says where it belongs.
    let elsewhere = user.get(&format!("/api/tuned-long-running-task/{task_id}/"))?;
    assert_eq!(elsewhere.json()?["data"]["job"], "import-contacts");
    let location = format!("../../import-contacts/{task_id}/");
    assert_eq!(elsewhere.headers["content-location"], location);
    let listed =
        |path: &str| -> Result<Value> { Ok(user.get(path)?.json()?["data"]["tasks"].clone()) };
    assert_eq!(listed(IMPORT)?[0]["task_id"], json!(task_id));
    assert_eq!(listed("/api/tasks/")?[0]["task_id"], json!(task_id));
    assert_eq!(listed("/api/tuned-long-running-task/")?, json!([]));
    Ok(())
}

#[test]
fn what_is_wrong_with_contacts_is_said_by_row_and_nothing_is_stored() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    for (contacts, expected) in [
        (
            json!([]),
            json!({"contacts": ["This list may not be empty."]}),
        ),
        (
            json!([{"name": "A", "email": "a@b.c"}, {"name": "B", "email": "A@B.c"}]),
            json!({"contacts.1.email": ["Rows 1 and 2 have the same value here."]}),
        ),
        (
            json!([{"name": "A", "email": 5}]),
            json!({"contacts.0.email": ["Not a valid string."]}),
        ),
    ] {
        let body = json!({ "contacts": contacts }).to_string();
        let refused = user.post(IMPORT, body.as_bytes())?;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()?["message"], expected, "{body}");
    }
    let unknown = user.post("/api/no-such-job/", b"{}")?;
    assert_eq!(
        (unknown.status, unknown.json()?["message"].clone()),
        (404, json!("Job not found"))
    );
    assert_eq!(stack.rows(&format!("USER#{}", user.sub))?, [] as [Value; 0]);
    Ok(())
}

#[test]
fn the_jobs_are_listed_with_what_they_take_and_what_they_yield() -> Result<()> {
    let user = Stack::load()?.user()?;
    let listed = user.get("/api/")?;
    let jobs = listed.json()?["data"]["jobs"].clone();
    assert_eq!(jobs[0]["name"], "tuned-long-running-task");
    assert_eq!(jobs[1]["name"], "import-contacts");
    assert_eq!(jobs[1]["request"]["required"], json!(["contacts"]));
    Ok(())
}
