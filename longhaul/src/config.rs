//! Reads a function's configuration from its environment, once, at start.
//!
//! All missing and malformed variables are reported together: whoever deploys should not have to
//! mend them one by one.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::list::{HasOwnWorker, JobList};
use crate::queue::JobQueues;
use crate::task::Uniqueness;

/// A function cannot start with this environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment is incomplete or wrong: {}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

/// The environment while it is read.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Environment<'_> {
    /// Reads the process's environment into what `read` makes of it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming every variable that is missing or malformed.
    pub fn read<T>(read: impl FnOnce(&mut Environment) -> T) -> Result<T, ConfigError> {
        Self::read_from(&|name| std::env::var(name).ok(), read)
    }

    /// Reads variables that `lookup` knows into what `read` makes of them.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_from<T>(
        lookup: &dyn Fn(&str) -> Option<String>,
        read: impl FnOnce(&mut Environment) -> T,
    ) -> Result<T, ConfigError> {
        let mut environment = Environment {
            lookup,
            problems: vec![],
        };
        let value = read(&mut environment);
        if environment.problems.is_empty() {
            Ok(value)
        } else {
            Err(ConfigError(environment.problems))
        }
    }

    /// A variable that must not be empty.
    pub fn text(&mut self, name: &str) -> String {
        match self.optional(name) {
            Some(value) => value,
            None => self.problem(format!("{name} is missing")),
        }
    }

    /// A number within `range`, in any of the spellings that CloudFormation takes for one: `100000`, `1e5`, `10.0`. It
    /// hands on the text that it was given. Of a fraction, a whole number is the part before the point.
    pub fn number<T>(&mut self, name: &str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Default,
    {
        let text = self.text(name);
        match text.parse().ok().or_else(|| whole(&text)) {
            Some(value) if range.contains(&value) => value,
            _ if text.is_empty() => T::default(),
            _ => self.problem(format!(
                "{name} is {text:?}, not a number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    /// A duration in seconds, possibly a fraction.
    pub fn seconds(&mut self, name: &str, range: RangeInclusive<f64>) -> Duration {
        Duration::from_secs_f64(self.number(name, range))
    }

    /// A duration in whole milliseconds.
    pub fn milliseconds(&mut self, name: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(name, range))
    }

    /// A duration in whole days.
    pub fn days(&mut self, name: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, range) * 24 * 60 * 60)
    }

    /// What a user may have one of at a time: `user`, `job` or `request`.
    pub fn uniqueness(&mut self, name: &str) -> Uniqueness {
        match self.text(name).as_str() {
            "user" | "" => Uniqueness::User,
            "job" => Uniqueness::Job,
            "request" => Uniqueness::Request,
            other => {
                self.problem::<()>(format!(
                    "{name} is {other:?}, not \"user\", \"job\" or \"request\""
                ));
                Uniqueness::User
            }
        }
    }

    /// The queues of jobs that have a worker of their own, `job=URL` each, separated by white space. It may be missing,
    /// or empty.
    pub fn job_queues(&mut self, name: &str) -> JobQueues {
        let mut queues = JobQueues::default();
        for entry in self.optional(name).unwrap_or_default().split_whitespace() {
            let parts = entry.split_once('=');
            let Some((job, url)) = parts.filter(|(job, url)| !job.is_empty() && !url.is_empty())
            else {
                self.problem::<()>(format!("{name} has {entry:?}, not a job=URL"));
                continue;
            };
            if let Err(reason) = queues.add(job, url) {
                self.problem::<()>(format!("{name} has {reason}"));
            }
        }
        queues
    }

    /// The same for a function that knows the jobs: each must be one of the list that has a worker of its own.
    pub(crate) fn job_queues_of<Jobs: JobList>(&mut self, name: &str) -> JobQueues {
        let queues = self.job_queues(name);
        for job in queues.jobs() {
            if Jobs::with(job, HasOwnWorker) != Some(true) {
                self.problem::<()>(format!(
                    "{name} has a queue for {job:?}, which is no job with an OWN_WORKER"
                ));
            }
        }
        queues
    }

    /// The job whose own worker this is, if it is one's: it must have a queue.
    pub(crate) fn own_job(&mut self, name: &str, queues: &JobQueues) -> Option<String> {
        let job = self.optional(name)?;
        if !queues.has(&job) {
            self.problem::<()>(format!("{name} is {job:?}, which has no queue of its own"));
        }
        Some(job)
    }

    /// A variable that may be missing, which is the same as empty.
    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn problem<T: Default>(&mut self, problem: String) -> T {
        self.problems.push(problem);
        T::default()
    }
}

/// A whole number that is written as a fraction or with an exponent.
fn whole<T: FromStr>(text: &str) -> Option<T> {
    let value: f64 = text.parse().ok()?;
    // Adding nothing takes the sign from a zero.
    format!("{:.0}", value.trunc() + 0.0).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<(String, u64, Duration), ConfigError> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Environment::read_from(&lookup, |environment| {
            (
                environment.text("TABLE_NAME"),
                environment.number("MAX_ITEMS", 1..=1000),
                environment.seconds("ITEM_SECONDS", 0.0..=900.0),
            )
        })
    }

    #[test]
    fn a_complete_environment_is_read() {
        let variables = [
            ("TABLE_NAME", "tasks"),
            ("MAX_ITEMS", "10"),
            ("ITEM_SECONDS", "0.5"),
        ];
        let expected = ("tasks".into(), 10, Duration::from_millis(500));
        assert_eq!(read(&variables), Ok(expected));
    }

    #[test]
    fn a_whole_number_is_read_however_it_is_spelt() {
        for (text, number) in [
            ("1e2", 100),
            ("10.0", 10),
            ("+7", 7),
            ("1.5E1", 15),
            ("9.9", 9),
        ] {
            let variables = [
                ("TABLE_NAME", "tasks"),
                ("MAX_ITEMS", text),
                ("ITEM_SECONDS", "1e0"),
            ];
            let expected = ("tasks".into(), number, Duration::from_secs(1));
            assert_eq!(read(&variables), Ok(expected), "{text}");
        }
        for text in ["1e9", "-1", "NaN", "inf", "1e", "ten", "0.5"] {
            assert!(
                read(&[
                    ("TABLE_NAME", "tasks"),
                    ("MAX_ITEMS", text),
                    ("ITEM_SECONDS", "1")
                ])
                .is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_are_read_in_the_unit_that_they_are_given_in() {
        let lookup = |_: &str| Some("90".to_owned());
        let read = Environment::read_from(&lookup, |environment| {
            (
                environment.milliseconds("PROGRESS_INTERVAL_MS", 0..=100),
                environment.seconds("LEASE_SECONDS", 1.0..=100.0),
                environment.days("RETENTION_DAYS", 1..=100),
            )
        });
        let expected = (
            Duration::from_millis(90),
            Duration::from_secs(90),
            Duration::from_secs(7_776_000),
        );
        assert_eq!(read, Ok(expected));
        let days = |days| {
            Environment::read_from(&lookup, |environment| {
                environment.days("RETENTION_DAYS", days)
            })
        };
        assert!(days(1..=89).is_err() && days(91..=100).is_err());
    }

    #[test]
    fn uniqueness_is_read_by_its_name() {
        let read = |value: &str| {
            Environment::read_from(&|_| Some(value.to_owned()), |environment| {
                environment.uniqueness("UNIQUENESS")
            })
        };
        assert_eq!(read("user"), Ok(Uniqueness::User));
        assert_eq!(read("job"), Ok(Uniqueness::Job));
        assert_eq!(read("request"), Ok(Uniqueness::Request));
        let error = read("task").unwrap_err().to_string();
        assert!(error.ends_with("UNIQUENESS is \"task\", not \"user\", \"job\" or \"request\""));
    }

    fn job_queues(value: Option<&str>) -> Result<JobQueues, String> {
        let lookup = |_: &str| value.map(str::to_owned);
        let read = |environment: &mut Environment| environment.job_queues("JOB_QUEUES");
        Environment::read_from(&lookup, read).map_err(|error| error.to_string())
    }

    #[test]
    fn queues_of_jobs_are_read_and_there_may_be_none() {
        for none in [None, Some(""), Some(" \n ")] {
            assert_eq!(job_queues(none), Ok(JobQueues::default()));
        }
        let queues = job_queues(Some(" a=https://sqs/1/a?x=y\n  b=https://sqs/1/b ")).unwrap();
        assert_eq!(queues.jobs().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(queues.url("a"), Some("https://sqs/1/a?x=y"));
        assert!(queues.has("b") && !queues.has("c"));
    }

    #[test]
    fn queues_of_jobs_that_lead_nowhere_or_to_two_places_are_refused() {
        for (value, problem) in [
            ("a", "JOB_QUEUES has \"a\", not a job=URL"),
            ("a=", "JOB_QUEUES has \"a=\", not a job=URL"),
            ("a=u =v", "JOB_QUEUES has \"=v\", not a job=URL"),
            ("a=u a=v", "JOB_QUEUES has two queues for \"a\""),
            ("a=u b=u", "JOB_QUEUES has one queue for \"a\" and \"b\""),
        ] {
            let error = job_queues(Some(value)).unwrap_err();
            assert!(error.ends_with(problem), "{value}: {error}");
        }
    }

    #[test]
    fn all_problems_are_reported_together() {
        let error = read(&[("MAX_ITEMS", "0"), ("ITEM_SECONDS", "soon")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment is incomplete or wrong: TABLE_NAME is missing; \
             MAX_ITEMS is \"0\", not a number from 1 to 1000; \
             ITEM_SECONDS is \"soon\", not a number from 0 to 900"
        );
    }
}
