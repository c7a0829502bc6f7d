//! Nobody learns anything about somebody else's task, not even that there is one.

use anyhow::Result;
use e2e::{Answer, Stack, TASKS};
use serde_json::json;

#[test]
fn somebody_elses_task_and_a_missing_one_give_identical_answers() -> Result<()> {
    let stack = Stack::load()?;
    let (owner, stranger) = (stack.user()?, stack.user()?);
    let task_id = owner.submit(1)?.task_id()?;
    // Of the same form, so that not even the id's parsing differs; and one that is no id at all.
    let missing = task_id
        .chars()
        .rev()
        .map(|c| if c == '0' { '1' } else { c })
        .collect::<String>();
    for (method, suffix) in [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/items/"),
        ("DELETE", "/"),
        ("POST", "/retry/"),
    ] {
        let ask = |id: &str| stranger.call(method, &format!("{TASKS}{id}{suffix}"), &[], b"");
        let foreign = ask(&task_id)?;
        assert_eq!(foreign.status, 404, "{method} {suffix}: {}", foreign.text());
        assert_eq!(
            foreign.json()?,
            json!({"success": false, "message": "Task not found"})
        );
        for other in [ask(&missing)?, ask("not-an-id")?] {
            assert_eq!(
                comparable(&foreign),
                comparable(&other),
                "{method} {suffix}"
            );
        }
    }
    assert_eq!(stranger.get(TASKS)?.json()?["data"]["tasks"], json!([]));
    assert_eq!(owner.status(&task_id)?["number_of_items"], 1);
    Ok(())
}

#[test]
fn without_a_valid_token_there_is_no_answer() -> Result<()> {
    let stack = Stack::load()?;
    let user = stack.user()?;
    let forged = format!("Bearer {}x", user.token);
    for headers in [
        vec![],
        vec![("authorization", "Bearer x")],
        vec![("authorization", forged.as_str())],
    ] {
        for (method, path) in [
            ("GET", TASKS.to_owned()),
            ("POST", TASKS.to_owned()),
            ("GET", format!("{TASKS}x/")),
        ] {
            let answer = stack.call(method, &path, &headers, b"{}")?;
            assert_eq!(
                answer.status,
                401,
                "{method} {path} {headers:?}: {}",
                answer.text()
            );
        }
    }
    Ok(())
}

/// Everything that a client can see, except what differs from answer to answer.
fn comparable(answer: &Answer) -> (u16, impl PartialEq + std::fmt::Debug, &[u8]) {
    (answer.status, answer.stable_headers(), &answer.body)
}
