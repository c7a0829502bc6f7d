//! What a request takes over a connection to `DynamoDB`: what it costs, and what a cold start waits for.

use bench::scenario::Scenario;
use bench::traffic;

const PROGRAM: &str = env!("CARGO_BIN_EXE_status");

#[test]
fn a_status_is_one_read() {
    let traffic = traffic::of(PROGRAM, Scenario::Status).unwrap();
    assert_eq!(
        traffic.to_string(),
        "1 GetItem, 161 bytes sent, 1031 received; 0 connections opened after the first /next"
    );
}
