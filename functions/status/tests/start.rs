//! The program: where it cannot start, and what is in it.

use embedded_aws::{
    EmbeddedAws, Ended, Program, WORDS_OF_PROCESSING, assert_unconfigured_start_is_reported,
    program_contains,
};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_status");

#[test]
fn a_start_that_fails_is_reported_and_why_is_logged() {
    assert_unconfigured_start_is_reported(PROGRAM);
}

#[test]
fn it_knows_the_jobs_but_not_how_items_are_processed() {
    assert!(program_contains(PROGRAM, "Adds people to your contacts"));
    for text in WORDS_OF_PROCESSING {
        assert!(!program_contains(PROGRAM, text), "{text}");
    }
}

#[test]
fn certificates_that_cannot_be_read_are_a_start_that_fails() {
    let variables = [
        ("TABLE_NAME", "tasks"),
        ("MAX_ITEMS", "1"),
        ("AWS_CA_BUNDLE", "/no/such/file"),
    ];
    let program = Program::start(PROGRAM, &EmbeddedAws::default(), &variables);
    assert!(program.invoke(&Value::Null).is_err());
    let Ended { exit_code, log } = program.ended();
    assert_eq!(exit_code, Some(1), "{log}");
    let expected = "AWS_CA_BUNDLE: /no/such/file cannot be read: No such file";
    assert!(log.contains(expected), "{log}");
}
