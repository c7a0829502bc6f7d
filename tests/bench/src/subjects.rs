//! The functions, as the template configures them, and what they are measured against.

use std::path::Path;

use embedded_aws::QUEUE_URL;

use crate::function::Program;
use crate::measure::Subject;
use crate::scenario::Scenario;

/// What the template sets by default, besides what says where AWS is.
const STATUS: [(&str, &str); 3] = [
    ("LOG_LEVEL", "info"),
    ("JOB_QUEUES", ""),
    ("MAX_ITEMS", "10000"),
];
const SUBMIT: [(&str, &str); 11] = [
    ("LOG_LEVEL", "info"),
    ("JOB_QUEUES", ""),
    ("QUEUE_URL", QUEUE_URL),
    ("MAX_ITEMS", "10000"),
    ("CHUNK_ITEMS", "100"),
    ("LEASE_SECONDS", "50"),
    ("UNIQUENESS", "user"),
    ("QUOTA_TASKS", "0"),
    ("QUOTA_ITEMS", "0"),
    ("MAX_TASK_DAYS", "7"),
    ("RETENTION_DAYS", "30"),
];
const CANCEL: [(&str, &str); 2] = [("LOG_LEVEL", "info"), ("JOB_QUEUES", "")];

/// The functions that answer requests, and the least that one can be, by the programs in this folder.
#[must_use]
pub fn functions(programs: &Path) -> Vec<Subject> {
    let subject = |name: &str, program: &str, scenario, variables: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Subject {
            name: name.to_owned(),
            program: Program {
                command: vec![programs.join(program).into()],
                variables: variables.iter().map(owned).collect(),
            },
            scenario,
        }
    };
    vec![
        subject("hello", "hello", Scenario::Hello, &[]),
        subject("status", "status", Scenario::Status, &STATUS),
        subject("submit", "submit", Scenario::Accepted, &SUBMIT),
        subject("submit busy", "submit", Scenario::Busy, &SUBMIT),
        subject("submit invalid", "submit", Scenario::Invalid, &SUBMIT),
        subject("cancel", "cancel", Scenario::Cancel, &CANCEL),
    ]
}
