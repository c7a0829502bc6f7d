//! What requests take over connections to `DynamoDB` and SQS: what they cost, and what a cold start waits for.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use bench::scenario::Scenario;
use bench::traffic;

const PROGRAM: &str = env!("CARGO_BIN_EXE_submit");

fn of(scenario: Scenario) -> String {
    traffic::of(PROGRAM, scenario).unwrap().to_string()
}

#[test]
fn a_task_that_is_accepted_is_one_transaction_and_one_message() {
    assert_eq!(
        of(Scenario::Accepted),
        "1 SendMessage, 1 TransactWriteItems, 1696 bytes sent, 41 received; 0 connections opened after the first /next"
    );
}

#[test]
fn who_has_a_task_costs_a_refused_transaction_and_a_read() {
    assert_eq!(
        of(Scenario::Busy),
        "1 GetItem, 1 TransactWriteItems, 1508 bytes sent, 1480 received; 0 connections opened after the first /next"
    );
}

#[test]
fn what_is_no_request_costs_no_call() {
    assert_eq!(
        of(Scenario::Invalid),
        "no calls, 0 bytes sent, 0 received; 0 connections opened after the first /next"
    );
}
