//! What jobs depend on is for the worker alone.

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs};

/// The features of the packages that these are made of, built together as they are deployed.
fn features_of(packages: &[&str]) -> BTreeMap<String, String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap());
    cargo.args("tree --frozen --edges normal --prefix none --format {p}\t{f}".split(' '));
    for package in packages {
        cargo.args(["--package", package]);
    }
    let output = cargo.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let listed = String::from_utf8(output.stdout).unwrap();
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    // A package that is listed a second time is marked.
    let plain = |(package, features): (&str, &str)| {
        (
            package.to_owned(),
            features.trim_end_matches(" (*)").to_owned(),
        )
    };
    lines.map(plain).collect()
}

#[test]
fn what_jobs_depend_on_changes_nothing_of_what_other_functions_are_built_from() {
    let library = features_of(&["longhaul"]);
    assert!(library.len() > 100, "{library:?}");
    let folders = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions")).unwrap();
    let functions: Vec<_> = folders
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    let functions: Vec<_> = functions.iter().map(String::as_str).collect();
    let deployed = features_of(&functions);
    for (package, features) in &library {
        let given = &deployed[package];
        assert_eq!(
            given, features,
            "{package} is built with other features for all functions, because a job depends on it, or on something \
             that does: have that done without them, or give the library the same"
        );
    }
}
