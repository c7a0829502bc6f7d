//! Uploads `frontend/`, with the `config.json` that tells the page where its API is, so that nobody ever sees a mixture
//! of two versions.
//!
//! All that the page consists of goes into a folder that is named after its content, and stays as it is for good:
//! browsers may keep it, and modules, which import each other relatively, find those of their own version. Only then
//! the document that names the folder takes the place of the one before. The folder of before stays for those who have
//! its document still.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::aws::Aws;
use crate::functions::write_if_changed;
use crate::places::Places;
use crate::process;
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

/// Where the versions are, each in a folder.
const VERSIONS: &str = "v/";

/// Of a version: its name says what is in it, so nobody has to ask again.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Of a document: keep it, but ask whether it has changed.
const ASK: &str = "no-cache";

/// How long a version stays when another has taken its place: far longer than it takes to load, and than a browser
/// that restores its tabs takes the document of before.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is uploaded, as it lies on this machine.
struct Page {
    /// Where it lies: `documents/`, and the version's folder.
    directory: PathBuf,
    /// The version's folder, here and in the bucket.
    version: String,
    /// The files that have an address of their own.
    documents: Vec<PathBuf>,
    /// The files of the version.
    files: Vec<PathBuf>,
}

/// What came of an upload.
pub(crate) struct Uploaded {
    /// The folder of the page's files, below its address.
    pub(crate) version: String,
    /// How many files the page has.
    pub(crate) files: usize,
}

/// Puts the page into the stack's bucket, and removes the versions whose time is over.
pub(crate) fn upload(
    places: &Places,
    aws: &Aws,
    outputs: &Outputs,
    region: &str,
) -> Result<Uploaded> {
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
        // The emulator knows no rotation; see UserPoolClient in the template.
        "rotates_refresh_tokens": aws.endpoint().is_none(),
        "live_updates": outputs.socket_api_id.is_some(),
    });
    let frontend = places.root.join("frontend");
    let page = prepare(&frontend, &places.page(), &format!("{config:#}\n"))?;
    thread::scope(|scope| {
        let before = scope.spawn(|| objects(aws, &outputs.bucket));
        for calls in uploads(&page, &outputs.bucket)? {
            all_at_once(aws, &calls)?;
        }
        let before = before
            .join()
            .map_err(|_| anyhow!("the listing panicked"))??;
        remove(
            aws,
            &outputs.bucket,
            &outdated(&before, &page.version, Timestamp::now()),
        )
    })?;
    Ok(Uploaded {
        files: page.documents.len() + page.files.len(),
        version: page.version,
    })
}

/// Makes CloudFront forget the documents of before.
pub(crate) fn invalidate(aws: &Aws, outputs: &Outputs) -> Result<()> {
    aws.call(&[
        "cloudfront",
        "create-invalidation",
        "--distribution-id",
        &outputs.distribution_id,
        "--paths",
        "/",
        "/*.html",
    ])?;
    Ok(())
}

/// Lays out what is to be uploaded: the documents with their links into the version's folder, and the folder.
fn prepare(frontend: &Path, directory: &Path, config: &str) -> Result<Page> {
    let mut contents = BTreeMap::from([(PathBuf::from("config.json"), config.into())]);
    for file in
        files_below(frontend).with_context(|| format!("cannot read {}", frontend.display()))?
    {
        let content = fs::read(frontend.join(&file))?;
        // A configuration that somebody left there for trying things out is not this stack's.
        contents.entry(file).or_insert(content);
    }
    let version = version_of(&contents);
    let (documents, files): (BTreeMap<_, _>, BTreeMap<_, _>) = contents
        .into_iter()
        .partition(|(file, _)| is_document(file));
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot clear {}", directory.display()))?;
    }
    for (file, content) in &files {
        write_if_changed(&directory.join(&version).join(file), content)?;
    }
    for (file, content) in &documents {
        let text =
            str::from_utf8(content).with_context(|| format!("{} is no text", file.display()))?;
        let linked = with_links_into(&version, text, |name| files.contains_key(Path::new(name)))
            .with_context(|| format!("frontend/{}", file.display()))?;
        write_if_changed(&directory.join("documents").join(file), linked.as_bytes())?;
    }
    Ok(Page {
        directory: directory.to_owned(),
        version,
        documents: documents.into_keys().collect(),
        files: files.into_keys().collect(),
    })
}

/// Whether a file keeps its address through all versions.
fn is_document(file: &Path) -> bool {
    file.components().count() == 1
        && file
            .extension()
            .is_some_and(|extension| extension == "html")
}

/// The folder of a version: another one with each change of a name or of a content.
fn version_of(contents: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let mut digest = Sha256::new();
    for (file, content) in contents {
        digest.update(file.to_string_lossy().as_bytes());
        digest.update([0]);
        digest.update(Sha256::digest(content));
    }
    format!("{VERSIONS}{:.16}", format!("{:x}", digest.finalize()))
}

/// The document with the links to files led into the version's folder, from the root: a document may be shown under
/// any path. Other links, to parts of the document and to other documents, stay.
fn with_links_into(
    version: &str,
    document: &str,
    is_file: impl Fn(&str) -> bool,
) -> Result<String> {
    let mut linked = String::new();
    let mut rest = document;
    while let Some((before, attribute)) = next_link(rest) {
        let (link, after) = rest[before + attribute.len()..]
            .split_once('"')
            .with_context(|| format!("{attribute} has no end"))?;
        linked += &rest[..before + attribute.len()];
        let name = link.trim_start_matches('/');
        if is_file(name) {
            linked.extend(["/", version, "/", name]);
        } else if link.starts_with('#')
            || link.contains(':')
            || link.ends_with('/')
            || is_document(Path::new(name))
        {
            linked += link;
        } else {
            bail!("there is no file {link}");
        }
        linked.push('"');
        rest = after;
    }
    Ok(linked + rest)
}

/// Where the next attribute stands that holds a link, and its beginning as it is written.
fn next_link(text: &str) -> Option<(usize, &'static str)> {
    [" href=\"", " src=\""]
        .into_iter()
        .filter_map(|attribute| Some((text.find(attribute)?, attribute)))
        .min()
}

/// The AWS CLI's arguments for each call: first those that may be made at once, for all that a document names, then
/// those for the documents. One call for each content type: the AWS CLI takes most of its second to start.
fn uploads(page: &Page, bucket: &str) -> Result<[Vec<Vec<String>>; 2]> {
    let calls = |files: &[PathBuf], from: &str, to: &str, cache: &str| {
        let extension = |file: &PathBuf| {
            let extension = file.extension().and_then(OsStr::to_str);
            Ok(extension
                .with_context(|| format!("{} has no extension", file.display()))?
                .to_owned())
        };
        let extensions: BTreeSet<String> = files.iter().map(extension).collect::<Result<_>>()?;
        let call = |extension: &String| {
            let from = page.directory.join(from).display().to_string();
            Ok([
                // All of it, each time: what is compared otherwise is sizes and times, and an upload of before may have
                // been newer. And a version's age is that of its last upload.
                "s3",
                "cp",
                "--recursive",
                "--only-show-errors",
                "--no-guess-mime-type",
                "--content-type",
                content_type(extension)?,
                "--cache-control",
                cache,
                "--exclude",
                "*",
                "--include",
                &format!("*.{extension}"),
                &from,
                &format!("s3://{bucket}/{to}"),
            ]
            .map(str::to_owned)
            .to_vec())
        };
        extensions.iter().map(call).collect::<Result<Vec<_>>>()
    };
    Ok([
        calls(&page.files, &page.version, &page.version, FOREVER)?,
        calls(&page.documents, "documents", "", ASK)?,
    ])
}

fn all_at_once(aws: &Aws, calls: &[Vec<String>]) -> Result<()> {
    let call = |arguments: &Vec<String>| {
        let output = process::capture(aws.cli().args(arguments), |_| {})?;
        if !output.status.success() {
            bail!("cannot upload the page: {}", output.stderr.trim());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let calls: Vec<_> = calls
            .iter()
            .map(|arguments| scope.spawn(move || call(arguments)))
            .collect();
        calls
            .into_iter()
            .try_for_each(|call| call.join().map_err(|_| anyhow!("an upload panicked"))?)
    })
}

/// A file in the bucket.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    last_modified: Timestamp,
}

fn objects(aws: &Aws, bucket: &str) -> Result<Vec<Object>> {
    let listed = aws.call(&[
        "s3api",
        "list-objects-v2",
        "--bucket",
        bucket,
        "--query",
        "Contents[].{Key: Key, LastModified: LastModified}",
    ])?;
    // An empty bucket has no contents, not even an empty list of them.
    Ok(serde_json::from_value::<Option<_>>(listed)?.unwrap_or_default())
}

/// The files of the versions whose place another one took long ago. What lies outside of all versions, and is no
/// document, is such a version too: pages were uploaded so.
fn outdated<'a>(objects: &'a [Object], current: &str, now: Timestamp) -> Vec<&'a str> {
    let mut versions: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in objects.iter().filter(|it| !is_document(Path::new(&it.key))) {
        let version = match object
            .key
            .strip_prefix(VERSIONS)
            .and_then(|rest| rest.split_once('/'))
        {
            Some((name, _)) => &object.key[..VERSIONS.len() + name.len()],
            None => "",
        };
        versions.entry(version).or_default().push(object);
    }
    versions.remove(current);
    let uploaded = |objects: &Vec<&Object>| objects.iter().map(|it| it.last_modified).max();
    let times: Vec<Timestamp> = versions
        .values()
        .filter_map(uploaded)
        .chain([now])
        .collect();
    versions
        .values()
        .filter(|objects| {
            let replaced = times
                .iter()
                .filter(|time| Some(**time) > uploaded(objects))
                .min();
            replaced.is_some_and(|replaced| now.duration_since(*replaced) > KEPT)
        })
        .flatten()
        .map(|object| object.key.as_str())
        .collect()
}

fn remove(aws: &Aws, bucket: &str, keys: &[&str]) -> Result<()> {
    // S3 takes a thousand at a time.
    for keys in keys.chunks(1000) {
        let objects: Vec<_> = keys.iter().map(|key| json!({"Key": key})).collect();
        let delete = json!({"Objects": objects, "Quiet": true}).to_string();
        aws.call(&[
            "s3api",
            "delete-objects",
            "--bucket",
            bucket,
            "--delete",
            &delete,
        ])?;
    }
    Ok(())
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

    const DOCUMENT: &str = r##"<link rel="icon" href="icon.svg"><script src="js/main.js"></script><a href="#top"><a href="/">"##;

    /// A page with a document, an icon and a module, laid out anew.
    fn page(name: &str, config: &str, module: &[u8]) -> Result<(Page, PathBuf)> {
        let base =
            std::env::temp_dir().join(format!("longhaul-page-{}-{name}", std::process::id()));
        let frontend = base.join("frontend");
        write_if_changed(&frontend.join("index.html"), DOCUMENT.as_bytes())?;
        write_if_changed(&frontend.join("icon.svg"), b"<svg>")?;
        write_if_changed(&frontend.join("js/main.js"), module)?;
        write_if_changed(&frontend.join(".DS_Store"), b"")?;
        Ok((prepare(&frontend, &base.join("page"), config)?, base))
    }

    #[test]
    fn a_document_names_files_of_its_own_version_alone() -> Result<()> {
        let (page, base) = page("links", "{}", b"1")?;
        let version = &page.version;
        let document = fs::read_to_string(page.directory.join("documents/index.html"))?;
        let expected = DOCUMENT
            .replace("icon.svg", &format!("/{version}/icon.svg"))
            .replace("js/main.js", &format!("/{version}/js/main.js"));
        assert_eq!(document, expected);
        for file in ["icon.svg", "js/main.js", "config.json"] {
            assert!(page.files.contains(&file.into()));
            assert!(page.directory.join(version).join(file).exists(), "{file}");
        }
        assert_eq!(page.files.len(), 3);
        fs::remove_dir_all(base)?;
        Ok(())
    }

    #[test]
    fn another_content_or_configuration_is_another_version() -> Result<()> {
        let (first, base) = page("versions", "{}", b"1")?;
        let again = page("versions", "{}", b"1")?.0.version;
        assert_eq!(again, first.version);
        // As long as the other, which is all that some look at.
        let changed = page("versions", "{}", b"2")?.0;
        assert_ne!(changed.version, first.version);
        assert!(!first.directory.join(&first.version).exists());
        assert_ne!(page("versions", "[]", b"2")?.0.version, changed.version);
        fs::remove_dir_all(base)?;
        Ok(())
    }

    #[test]
    fn a_document_is_uploaded_after_all_that_it_names() -> Result<()> {
        let (page, base) = page("order", "{}", b"1")?;
        let [first, then] = uploads(&page, "bucket")?;
        let includes = |calls: &[Vec<String>]| -> Vec<String> {
            let include = |call: &Vec<String>| {
                call[call.iter().position(|it| it == "--include").unwrap() + 1].clone()
            };
            calls.iter().map(include).collect()
        };
        assert_eq!(includes(&first), ["*.js", "*.json", "*.svg"]);
        assert_eq!(includes(&then), ["*.html"]);
        assert!(first.iter().all(|call| call.iter().any(|it| it == FOREVER)));
        assert!(then.iter().all(|call| call.iter().any(|it| it == ASK)));
        fs::remove_dir_all(base)?;
        Ok(())
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_uploaded() {
        for (document, is_good) in [
            (r#"<script src="js/main.js">"#, true),
            (r#"<script src="/js/main.js">"#, true),
            (
                r#"<a href="404.html"><a href="https://example.com/x">"#,
                true,
            ),
            (r#"<script src="js/other.js">"#, false),
            (r#"<script src="js/main.js"#, false),
        ] {
            let linked = with_links_into("v/1", document, |name| name == "js/main.js");
            assert_eq!(linked.is_ok(), is_good, "{document}");
        }
    }

    #[test]
    fn a_version_stays_a_week_after_another_took_its_place() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let object = |key: &str, days_ago: i64| Object {
            key: key.to_owned(),
            last_modified: now - SignedDuration::from_hours(24 * days_ago),
        };
        let objects = [
            object("index.html", 40),
            object("js/main.js", 40),
            object("v/old/a.js", 30),
            object("v/old/b.js", 30),
            // Took the place of the one above long ago, and lost it two days ago.
            object("v/recent/a.js", 20),
            object("v/last/a.js", 2),
        ];
        assert_eq!(
            outdated(&objects, "v/new", now),
            ["js/main.js", "v/old/a.js", "v/old/b.js"]
        );
        // Uploaded once more, the oldest is the newest.
        assert_eq!(outdated(&objects, "v/old", now), ["js/main.js"]);
        assert_eq!(outdated(&objects[3..4], "v/new", now), Vec::<&str>::new());
    }

    #[test]
    fn an_unknown_kind_of_file_is_an_error_and_not_a_guess() {
        assert!(content_type("html").is_ok());
        assert!(content_type("exe").is_err());
    }
}
