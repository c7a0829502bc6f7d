//! Uploads `frontend/` and the `config.json` that tells the page where its API is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use crate::aws::Aws;
use crate::functions::write_if_changed;
use crate::places::Places;
use crate::stack::Outputs;

/// The AWS CLI would guess from the machine's tables, which differ; with `nosniff` a wrong guess breaks the page.
const CONTENT_TYPES: [(&str, &str); 9] = [
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("txt", "text/plain; charset=utf-8"),
    ("woff2", "font/woff2"),
];

/// Puts the page into the stack's bucket and removes what is no longer part of it.
pub(crate) fn upload(places: &Places, aws: &Aws, outputs: &Outputs, region: &str) -> Result<usize> {
    let cognito_url = match aws.endpoint() {
        // By this name the page's content security policy allows it.
        Some(endpoint) => endpoint.replace("//127.0.0.1:", "//localhost:"),
        None => format!("https://cognito-idp.{region}.amazonaws.com"),
    };
    let config = json!({
        "api_url": outputs.api_url,
        "region": region,
        "user_pool_id": outputs.user_pool_id,
        "client_id": outputs.client_id,
        "cognito_url": cognito_url,
    });
    let page = places.page();
    let files = prepare(
        &places.root.join("frontend"),
        &page,
        &format!("{config:#}\n"),
    )?;
    let extensions: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.extension()?.to_str())
        .collect();
    let content_types = extensions
        .iter()
        .map(|extension| Ok((*extension, content_type(extension)?)))
        .collect::<Result<Vec<_>>>()?;
    // One call per type, all at once: the AWS CLI takes most of its second to start.
    thread::scope(|scope| {
        let uploads: Vec<_> = content_types
            .into_iter()
            .map(|(extension, content_type)| {
                scope.spawn({
                    let page = &page;
                    move || sync(aws, page, &outputs.bucket, extension, content_type)
                })
            })
            .collect();
        uploads
            .into_iter()
            .try_for_each(|upload| upload.join().map_err(|_| anyhow!("an upload panicked"))?)
    })?;
    Ok(files.len())
}

/// Makes CloudFront forget the old page.
pub(crate) fn invalidate(aws: &Aws, outputs: &Outputs) -> Result<()> {
    aws.call(&[
        "cloudfront",
        "create-invalidation",
        "--distribution-id",
        &outputs.distribution_id,
        "--paths",
        "/*",
    ])?;
    Ok(())
}

fn sync(aws: &Aws, page: &Path, bucket: &str, extension: &str, content_type: &str) -> Result<()> {
    let mut command = aws.cli();
    command
        .args([
            "s3",
            "sync",
            "--delete",
            "--only-show-errors",
            "--no-guess-mime-type",
            "--content-type",
            content_type,
        ])
        // The page is small and must be current after a deploy: let browsers keep it but ask whether it changed.
        .args([
            "--cache-control",
            "no-cache",
            "--exclude",
            "*",
            "--include",
            &format!("*.{extension}"),
        ])
        .arg(page)
        .arg(format!("s3://{bucket}"));
    let output = crate::process::capture(&mut command, |_| {})?;
    if !output.status.success() {
        bail!("cannot upload the page: {}", output.stderr.trim());
    }
    Ok(())
}

/// Mirrors `frontend/` with `config.json` added. An unchanged file keeps its time stamp and is not uploaded again.
fn prepare(frontend: &Path, page: &Path, config: &str) -> Result<Vec<PathBuf>> {
    let mut wanted =
        files_below(frontend).with_context(|| format!("cannot read {}", frontend.display()))?;
    let config_file = PathBuf::from("config.json");
    wanted.retain(|file| *file != config_file);
    for file in &wanted {
        write_if_changed(&page.join(file), &fs::read(frontend.join(file))?)?;
    }
    write_if_changed(&page.join(&config_file), config.as_bytes())?;
    wanted.push(config_file);
    for stale in files_below(page)?
        .iter()
        .filter(|file| !wanted.contains(file))
    {
        fs::remove_file(page.join(stale))?;
    }
    Ok(wanted)
}

/// Paths relative to `directory`; dot files are no part of a page.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for entry in fs::read_dir(directory.join(&relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn content_type(extension: &str) -> Result<&'static str> {
    CONTENT_TYPES
        .iter()
        .find(|(known, _)| *known == extension)
        .map(|(_, content_type)| *content_type)
        .with_context(|| format!("no content type is known for .{extension}; add it to CONTENT_TYPES in xtask/src/page.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prepared_page_is_the_frontend_and_its_configuration_and_nothing_stale() -> Result<()> {
        let base = std::env::temp_dir().join(format!("longhaul-page-{}", std::process::id()));
        let (frontend, page) = (base.join("frontend"), base.join("page"));
        write_if_changed(&frontend.join("index.html"), b"<html>")?;
        write_if_changed(&frontend.join("parts/app.js"), b"1")?;
        write_if_changed(&frontend.join(".DS_Store"), b"")?;
        write_if_changed(&page.join("old.js"), b"0")?;
        let mut files = prepare(&frontend, &page, "{}")?;
        files.sort();
        assert_eq!(
            files,
            [
                PathBuf::from("config.json"),
                PathBuf::from("index.html"),
                PathBuf::from("parts/app.js")
            ]
        );
        let mut found = files_below(&page)?;
        found.sort();
        assert_eq!(found, files);
        fs::remove_dir_all(base)?;
        Ok(())
    }

    #[test]
    fn an_unknown_kind_of_file_is_an_error_and_not_a_guess() {
        assert!(content_type("html").is_ok());
        assert!(content_type("exe").is_err());
    }
}
