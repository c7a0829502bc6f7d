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
/// The same of submit.
pub const SUBMIT: [(&str, &str); 11] = [
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
const WORKER: [(&str, &str); 10] = [
    ("LOG_LEVEL", "info"),
    ("JOB_QUEUES", ""),
    ("QUEUE_URL", QUEUE_URL),
    ("FAIL_EVERY", "0"),
    ("CONTACTS_TABLE_NAME", "contacts"),
    // All of a chunk.
    ("ITEMS_IN_FLIGHT", "100"),
    ("LEASE_SECONDS", "50"),
    ("PROGRESS_INTERVAL_MS", "500"),
    ("SLICE_SECONDS", "60"),
    ("TIMEOUT_SECONDS", "150"),
];

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

/// The worker by its program, with items that take so long, all of a batch's chunks in flight at once.
#[must_use]
pub fn worker(program: impl Into<PathBuf>, item_seconds: &str) -> Subject {
    let mut subject = function(program, Scenario::Work);
    let item_seconds = ("ITEM_SECONDS".to_owned(), item_seconds.to_owned());
    subject.program.variables.push(item_seconds);
    subject
}

/// The same status with the SDK's defaults, by its program.
#[must_use]
pub fn status_with_sdk_defaults(program: impl Into<PathBuf>) -> Subject {
    Subject {
        name: WITH_DEFAULTS.to_owned(),
        ..function(program, Scenario::Status)
    }
}

/// The same in boto3, by a Python that has it and Lambda's runtime for Python, and the folder of the handler.
#[must_use]
pub fn status_in_boto3(python: &Path, handlers: &Path) -> Subject {
    let mut subject = Subject {
        name: BOTO3.to_owned(),
        ..function(python, Scenario::Status)
    };
    let command = &mut subject.program.command;
    command.extend(["-m", "awslambdaric", "status.handler"].map(Into::into));
    // The handler's folder; its bytecode would be in the checkout, and is part of no start that is measured.
    let folder = handlers.to_string_lossy().into_owned();
    subject.program.variables.extend([
        ("PYTHONPATH".to_owned(), folder.clone()),
        ("LAMBDA_TASK_ROOT".to_owned(), folder),
        ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        // The same in every run.
        ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
    ]);
    subject
}

/// Whether it is one that the functions are measured against, and needs what not every machine has.
#[must_use]
pub fn is_yardstick(subject: &Subject) -> bool {
    [WITH_DEFAULTS, BOTO3].contains(&subject.name.as_str())
}

const WITH_DEFAULTS: &str = "status with SDK defaults";

/// The same status, by boto3.
pub(crate) const BOTO3: &str = "status in boto3";

/// The program of the function that this is asked of.
#[must_use]
pub fn function(program: impl Into<PathBuf>, scenario: Scenario) -> Subject {
    let variables = match scenario {
        Scenario::Hello => &[][..],
        Scenario::Status => &STATUS,
        Scenario::Accepted | Scenario::Busy | Scenario::Invalid => &SUBMIT,
        Scenario::Cancel => &CANCEL,
        Scenario::Work => &WORKER,
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
