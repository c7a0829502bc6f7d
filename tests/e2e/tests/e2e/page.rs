//! What the page's address serves.

use anyhow::{Context, Result};
use e2e::{Answer, Stack};

#[test]
fn what_the_document_names_is_there_and_may_be_kept_for_good() -> Result<()> {
    let stack = Stack::load()?;
    let document = get(&stack, "/")?;
    assert_eq!(document.status, 200);
    assert_eq!(document.headers["cache-control"], "no-cache");
    let text = document.text();
    let links: Vec<&str> = [" href=\"/v/", " src=\"/v/"]
        .iter()
        .flat_map(|attribute| text.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let module = links.iter().find(|link| link.ends_with("/js/main.js"));
    let (version, _) = module
        .and_then(|link| link.split_once('/'))
        .context("no module is named")?;
    for file in links
        .iter()
        .copied()
        .chain([format!("{version}/config.json").as_str()])
    {
        let answer = get(&stack, &format!("/v/{file}"))?;
        assert_eq!(answer.status, 200, "{file}");
        assert!(
            answer.headers["cache-control"].contains("immutable"),
            "{file}"
        );
        assert!(file.starts_with(version), "{file} is of another version");
    }
    Ok(())
}

/// By the page's name, which is not looked up: not every machine knows that it is its own.
fn get(stack: &Stack, path: &str) -> Result<Answer> {
    let host = stack.page_url.trim_start_matches("http://");
    stack.fetch(path, &[("host", host)])
}
