//! What [`Process::start`](crate::Process::start) is given, and how it says that it could not start.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::config::{ConfigError, Environment};
use crate::telemetry;
use aws_config::{BehaviorVersion, Region, SdkConfig};

/// What a job is started with: the SDK's configuration and the function's environment.
#[derive(Clone)]
pub struct Setup {
    aws: SdkConfig,
    lookup: Lookup,
}

/// The value of an environment variable, if it is set.
type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Setup {
    /// The environment of this process, and the configuration with which the library's own clients are made.
    #[must_use]
    pub fn of_process(aws: SdkConfig) -> Self {
        Self::with(aws, |name| std::env::var(name).ok())
    }

    /// An environment of these variables and no others, and a configuration that leads nowhere, for tests.
    ///
    /// ```
    /// use longhaul::Setup;
    ///
    /// let setup = Setup::of(&[("CONTACTS_TABLE_NAME", "contacts")]);
    /// let name = setup.environment(|environment| environment.text("CONTACTS_TABLE_NAME"));
    /// assert_eq!(name.unwrap(), "contacts");
    /// ```
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .build();
        Self::with(aws, move |name| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    /// The setup with this configuration, such as that of a `DynamoDB` on this machine.
    #[must_use]
    pub fn with_aws(self, aws: SdkConfig) -> Self {
        Self { aws, ..self }
    }

    fn with(
        aws: SdkConfig,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            aws,
            lookup: Arc::new(lookup),
        }
    }

    /// The SDK's configuration: `aws_sdk_s3::Client::new(setup.aws())`.
    #[must_use]
    pub fn aws(&self) -> &SdkConfig {
        &self.aws
    }

    /// Reads variables into what `read` makes of them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming every variable that is missing or malformed.
    pub fn environment<T>(
        &self,
        read: impl FnOnce(&mut Environment) -> T,
    ) -> Result<T, ConfigError> {
        Environment::read_from(&*self.lookup, read)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

/// Why a function or a job could not start. Any error becomes one with `?`; all of it goes to the log and to nobody
/// else.
///
/// It is no [`std::error::Error`] itself, or else `?` could not take any.
pub struct StartError {
    message: Cow<'static, str>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl StartError {
    /// An error that says this.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            cause: None,
        }
    }

    /// Says what caused it.
    #[must_use]
    pub fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for StartError {
    fn from(error: E) -> Self {
        Self::new(telemetry::chain(&error))
    }
}

/// With all its causes, on one line.
impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {}", telemetry::chain(&**cause)),
            None => Ok(()),
        }
    }
}

/// As it is displayed, for this is what a `main` that returns it prints.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_failed_is_shown_with_all_its_causes() {
        let failing = || -> Result<(), StartError> {
            Setup::of(&[]).environment(|environment| environment.text("TABLE_NAME"))?;
            Ok(())
        };
        let expected = "the environment is incomplete or wrong: TABLE_NAME is missing";
        assert_eq!(format!("{:?}", failing().unwrap_err()), expected);
        let error = StartError::new("no secret").because("it was denied");
        assert_eq!(error.to_string(), "no secret: it was denied");
    }
}
