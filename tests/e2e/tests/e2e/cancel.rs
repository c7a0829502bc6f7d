//! A task can be called off, and its user begins another at once.

use anyhow::Result;
use e2e::Stack;
use serde_json::json;

#[test]
fn a_cancelled_task_frees_its_user_at_once() -> Result<()> {
    let user = Stack::load()?.user()?;
    let task_id = user.submit(1000)?.task_id()?;
    for _ in 0..2 {
        let cancelled = user.cancel(&task_id)?;
        assert_eq!(cancelled.status, 200, "{}", cancelled.text());
        assert_eq!(cancelled.json()?["data"]["task_status"], "CANCELLED");
    }
    let next = user.submit(1)?;
    assert_eq!(next.status, 200, "{}", next.text());
    assert_eq!(user.status(&task_id)?["task_status"], "CANCELLED");
    let list = user.get(e2e::TASKS)?.json()?;
    assert_eq!(list["data"]["tasks"][1]["task_id"], json!(task_id));
    Ok(())
}
