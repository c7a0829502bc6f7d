//! The program: where it cannot start, and what is in it.

use embedded_aws::{assert_unconfigured_start_is_reported, program_contains};

const PROGRAM: &str = env!("CARGO_BIN_EXE_authorizer");

#[test]
fn a_start_that_fails_is_reported_and_why_is_logged() {
    assert_unconfigured_start_is_reported(PROGRAM);
}

#[test]
fn it_knows_no_job() {
    assert!(!program_contains(PROGRAM, "import-contacts"));
}
