//! The functions, as the template configures them, and what they are measured against.

use std::path::{Path, PathBuf};

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
    let subject = |name: &str, scenario| {
        let program = name.split(' ').next().unwrap_or_default();
        Subject {
            name: name.to_owned(),
            ..function(programs.join(program), scenario)
        }
    };
    vec![
        subject("hello", Scenario::Hello),
        subject("status", Scenario::Status),
        subject("submit", Scenario::Accepted),
        subject("submit busy", Scenario::Busy),
        subject("submit invalid", Scenario::Invalid),
        subject("cancel", Scenario::Cancel),
    ]
}

/// The program of the function that this is asked of.
#[must_use]
pub fn function(program: impl Into<PathBuf>, scenario: Scenario) -> Subject {
    let variables = match scenario {
        Scenario::Hello => &[][..],
        Scenario::Status => &STATUS,
        Scenario::Accepted | Scenario::Busy | Scenario::Invalid => &SUBMIT,
        Scenario::Cancel => &CANCEL,
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Subject {
        name: format!("{scenario:?}"),
        program: Program {
            command: vec![program.into().into()],
            variables: variables.iter().map(owned).collect(),
        },
        scenario,
    }
}
