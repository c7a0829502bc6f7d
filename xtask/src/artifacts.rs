//! The executables that cargo builds, asked of cargo itself: it knows where they are, whatever the target directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;

/// An executable as cargo built it.
#[derive(Debug, PartialEq)]
pub(crate) struct Built {
    /// The target's name.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) executable: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Program,
    /// Tests under `tests/`.
    Tests,
    /// What lies in the source of another target: unit tests, for instance, whose executable has its name.
    Other,
}

/// The one message of `--message-format=json` that matters here.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Runs a cargo command that builds; `on_line` sees every line as it comes.
pub(crate) fn build(cargo: &mut Command, on_line: impl FnMut(&str)) -> Result<Vec<Built>> {
    // The lines are read, so they must be there and without colours, whatever the developer likes to see.
    cargo
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_QUIET", "false");
    let output = process::capture(cargo, on_line)?;
    if !output.status.success() {
        bail!("it does not build:\n{}", output.stderr.trim_end());
    }
    Ok(output.stdout.lines().filter_map(built).collect())
}

/// The program of that name among what was built.
pub(crate) fn program(built: Vec<Built>, name: &str) -> Result<PathBuf> {
    let mut programs = built.into_iter().filter(|one| one.kind == Kind::Program);
    let found = programs.find(|one| one.name == name);
    let found = found.with_context(|| format!("cargo built no {name}"))?;
    Ok(found.executable)
}

fn built(line: &str) -> Option<Built> {
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    let is = |kind: &str| artifact.target.kind.iter().any(|it| it == kind);
    let kind = match artifact.profile.test {
        false if is("bin") => Kind::Program,
        true if is("test") => Kind::Tests,
        _ => Kind::Other,
    };
    Some(Built {
        kind,
        executable: artifact.executable?,
        name: artifact.target.name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_their_unit_tests_and_both_from_other_messages() {
        let kind_of = |kind: &str, test: bool| {
            let target = format!(r#"{{"name":"submit","kind":["{kind}"]}}"#);
            let line = format!(
                r#"{{"reason":"compiler-artifact","target":{target},"profile":{{"test":{test}}},"executable":"/t/submit"}}"#
            );
            built(&line).map(|built| built.kind)
        };
        assert_eq!(kind_of("bin", false), Some(Kind::Program));
        assert_eq!(kind_of("bin", true), Some(Kind::Other));
        assert_eq!(kind_of("test", true), Some(Kind::Tests));
        assert_eq!(kind_of("lib", true), Some(Kind::Other));
        assert_eq!(built(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(built("Compiling submit"), None);
    }
}
