//! What failed is taken away as a file, and tried again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Stack, User, wait_until};
use serde_json::{Value, json};

const IMPORT: &str = "/api/import-contacts/";

fn ended(user: &User, path: &str) -> Result<Value> {
    wait_until("the task ends", Duration::from_mins(1), || {
        let task = user.get(path)?.json()?["data"].clone();
        Ok((task["finished_at"] != json!(null)).then_some(task))
    })
}

#[test]
fn what_failed_is_had_as_a_file_and_tried_again() -> Result<()> {
    let user = Stack::load()?.user()?;
    let contact = |row: usize| match row {
        70 | 130 | 131 => json!({"name": "=cmd()", "email": format!("nobody-{row}")}),
        _ => json!({"name": "Ann", "email": format!("person-{row}@example.com")}),
    };
    let contacts: Vec<_> = (0..150).map(contact).collect();
    let body = json!({ "contacts": contacts }).to_string();
    let task_id = user.post(IMPORT, body.as_bytes())?.task_id()?;
    let path = format!("{IMPORT}{task_id}/");
    assert_eq!(ended(&user, &path)?["count_failed_items"], 3);

    let mut file = String::new();
    let mut next = Some("?format=csv&outcome=failed&include=input&limit=2".to_owned());
    while let Some(query) = next {
        let page = user.get(&format!("{path}items/{query}"))?;
        assert_eq!(page.status, 200, "{}", page.text());
        file += &page.text();
        let link = page.headers.get("link");
        next = link.map(|link| link[1..link.len() - ">; rel=\"next\"".len()].to_owned());
    }
    let lines: Vec<_> = file.split_terminator("\r\n").collect();
    let head = "index,name,outcome,input.name,input.email,output.name,output.email,error";
    assert_eq!(lines[0], head);
    assert_eq!(lines.len(), 4, "{file}");
    let starts = "70,nobody-70,failed,'=cmd(),nobody-70,,,";
    assert!(lines[1].starts_with(starts), "{file}");

    let retry_path = format!("{path}retry/");
    let accepted = user.post(&retry_path, b"")?;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    let retry = user.follow(&retry_path, &accepted)?.json()?["data"].clone();
    assert_eq!(retry["task_id"], json!(accepted.task_id()?));
    assert_eq!(
        (&retry["retry_of"], &retry["number_of_items"]),
        (&json!(task_id), &json!(3))
    );
    let retry_path = format!("{IMPORT}{}/", accepted.task_id()?);
    assert_eq!(ended(&user, &retry_path)?["count_failed_items"], 3);
    let items = user
        .get(&format!("{retry_path}items/?include=input"))?
        .json()?["data"]["items"]
        .clone();
    let items = items.as_array().context("no items")?;
    let indexes: Vec<_> = items.iter().map(|item| item["index"].clone()).collect();
    assert_eq!(indexes, [70, 130, 131]);
    assert_eq!(items[2]["input"], contact(131));

    // Where nothing is left, nothing is tried again.
    let done = json!({"contacts": [contact(0)]}).to_string();
    let done = user.post(IMPORT, done.as_bytes())?.task_id()?;
    let path = format!("{IMPORT}{done}/");
    assert_eq!(ended(&user, &path)?["task_status"], "SUCCESS");
    let refused = user.post(&format!("{path}retry"), b"")?;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()?["message"], "Every item of the task is done");
    Ok(())
}
