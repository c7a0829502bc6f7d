//! The program: where it cannot start, and what is in it.

use embedded_aws::{WORDS_OF_PROCESSING, assert_unconfigured_start_is_reported, program_contains};

const PROGRAM: &str = env!("CARGO_BIN_EXE_worker");

#[test]
fn a_start_that_fails_is_reported_and_why_is_logged() {
    assert_unconfigured_start_is_reported(PROGRAM);
}

#[test]
fn it_knows_how_items_are_processed() {
    for text in WORDS_OF_PROCESSING {
        assert!(program_contains(PROGRAM, text), "{text}");
    }
}
