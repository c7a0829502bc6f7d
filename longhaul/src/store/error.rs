//! Why the table could not be read or written: SDK errors, sorted by what a caller can do about them.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others kept writing the same items. Nothing was written.
    #[error("concurrent transactions kept getting in the way")]
    Conflict(#[source] Cause),
    /// The table or the account is at its limit. Nothing was written.
    #[error("the table is throttled")]
    Throttled(#[source] Cause),
    /// No answer, or none that tells what happened. The write may or may not have taken effect.
    #[error("the table did not answer")]
    Unavailable(#[source] Cause),
    /// The call itself is wrong: a missing permission, a missing table, a malformed expression.
    #[error("the table refused the call")]
    Rejected(#[source] Cause),
    /// What is stored is not what this version of the code writes.
    #[error("a stored item is not understood")]
    Corrupt(#[source] Cause),
}

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Conflict(_) | Self::Throttled(_) | Self::Unavailable(_)
        )
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Corrupt(error.into())
    }
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        let kind = match &error {
            SdkError::ServiceError(service) => match service.err().code() {
                // Whatever it is called: something is wrong with the service, and not with the call.
                _ if service.raw().status().is_server_error() => Self::Unavailable,
                Some("TransactionConflictException" | "TransactionInProgressException") => {
                    Self::Conflict
                }
                Some(
                    "ProvisionedThroughputExceededException"
                    | "ThrottlingException"
                    | "RequestLimitExceeded",
                ) => Self::Throttled,
                None => Self::Unavailable,
                Some(_) => Self::Rejected,
            },
            SdkError::ConstructionFailure(_) => Self::Rejected,
            _ => Self::Unavailable,
        };
        kind(error.into())
    }
}
