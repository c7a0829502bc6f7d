//! What a request takes over a connection to `DynamoDB`: what it costs, and what a cold start waits for.

use bench::scenario::Scenario;
use bench::traffic;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cancel");

#[test]
fn a_cancel_is_a_transaction_between_two_reads() {
    let traffic = traffic::of(PROGRAM, Scenario::Cancel).unwrap();
    assert_eq!(
        traffic.to_string(),
        "2 GetItem, 1 TransactWriteItems, 1309 bytes sent, 2075 received; 0 connections opened after the first /next"
    );
}
