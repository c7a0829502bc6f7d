//! The process, where it cannot start.

#[test]
fn a_start_that_fails_is_reported_and_why_is_logged() {
    embedded_aws::assert_unconfigured_start_is_reported(env!("CARGO_BIN_EXE_cancel"));
}
