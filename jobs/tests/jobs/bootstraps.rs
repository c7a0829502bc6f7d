//! Functions that take requests do not contain how jobs are done.

/// Whether the executable of an example contains `text`. Cargo builds examples before it runs all tests of a package, but
/// not before it runs those that are named with `--test`.
fn contains(example: &str, text: &str) -> bool {
    let this = std::env::current_exe().unwrap();
    let built = this.ancestors().nth(2).unwrap().join("examples");
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let path = built.join(name);
    let executable = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("build the examples first: {}: {error}", path.display()));
    let text = text.as_bytes();
    executable.windows(text.len()).any(|window| window == text)
}

#[test]
fn what_takes_requests_does_not_contain_how_items_are_processed() {
    assert!(contains("submits", "Adds people to your contacts"));
    // The job's own words, and those of the libraries that it judges addresses with and stores them.
    for in_process in [
        "is no e-mail address",
        "Domain is empty.",
        "DynamoDB_20120810.PutItem",
    ] {
        assert!(contains("works", in_process), "{in_process}");
        assert!(!contains("submits", in_process), "{in_process}");
    }
}
