//! pip with the developer's settings as far as they say where packages come from and how to get there: a mirror, a
//! proxy, a certificate. What says where they go (`user`, `target`, `prefix`) or which they are (`constraint`,
//! `no-binary`) was set for other installs, and breaks this one.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::environment;
use crate::process;

/// The settings that are handed on.
const SOURCES: [&str; 15] = [
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "cert",
    "client-cert",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "keyring-provider",
    "cache-dir",
    "use-feature",
    "use-deprecated",
];

/// The pip of this Python.
pub(crate) fn command(python: &Path) -> Result<Command> {
    let mut list = isolated(python);
    // Only this once it reads the developer's files and variables.
    list.env_remove("PIP_CONFIG_FILE")
        .envs(env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PIP_")))
        .args(["config", "list"]);
    let listed = process::capture(&mut list, |_| {})?;
    ensure!(
        listed.status.success(),
        "pip cannot read its settings:\n{}",
        process::tail(&listed.stderr, 20)
    );
    let mut pip = isolated(python);
    pip.envs(sources(&listed.stdout));
    Ok(pip)
}

/// pip as it is when nobody has set anything.
fn isolated(python: &Path) -> Command {
    let mut pip = environment::command(python);
    pip.args(["-m", "pip", "--disable-pip-version-check"])
        .env("PIP_CONFIG_FILE", "/dev/null");
    pip
}

/// Reads lines of `pip config list`, such as `global.index-url='https://packages'`, into pip's environment variables.
fn sources(list: &str) -> Vec<(String, String)> {
    // In the order in which one overrides another; sections of other commands play no part.
    let sections = ["global.", "install.", ":env:."];
    let settings = sections.iter().flat_map(|section| {
        list.lines()
            .filter_map(move |line| line.strip_prefix(section)?.split_once('='))
    });
    settings
        .filter(|(name, _)| SOURCES.contains(name))
        .map(|(name, value)| {
            let variable = format!("PIP_{}", name.to_uppercase().replace('-', "_"));
            (variable, text_of(value))
        })
        .collect()
}

/// The text that Python shows as this literal. Of the escapes, those that can stand in a setting.
fn text_of(literal: &str) -> String {
    let mut characters = literal.trim().chars();
    // The quotes.
    characters.next();
    characters.next_back();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            other => other,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_told_where_packages_come_from_and_nothing_else() {
        let list = r#":env:.index-url='https://b'
:env:.user='1'
download.cert='/no'
global.index-url='https://a'
global.proxy="http://it's"
global.target='/elsewhere'
global.trusted-host='x\ny'
install.user='true'
"#;
        let expected = [
            ("PIP_INDEX_URL", "https://a"),
            ("PIP_PROXY", "http://it's"),
            ("PIP_TRUSTED_HOST", "x\ny"),
            // The later one takes effect.
            ("PIP_INDEX_URL", "https://b"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(sources(list), expected);
    }
}
