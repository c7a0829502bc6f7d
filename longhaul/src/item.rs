//! One item as [`Process::process`](crate::Process::process) gets it, and how it says that it could not be done.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use crate::chunk::ItemIndex;
use crate::task::{TaskId, UserId, cut};

/// What there is to process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item<Input, Shared = ()> {
    /// Whose task it is part of.
    pub user: UserId,
    /// The task it is part of.
    pub task_id: TaskId,
    /// Which item of the task, from 0. In a retry, which item of the first task.
    pub index: ItemIndex,
    /// How often it is tried in this stay of a worker, from 1. A worker that takes over begins anew.
    pub attempt: u32,
    /// What the request says of it.
    pub input: Input,
    /// What the request says of all items.
    pub shared: Arc<Shared>,
    /// What is being done at the moment.
    pub(crate) phase: Phase,
    /// The task that this one retries, or this one.
    pub(crate) first_task_id: TaskId,
    /// From here on nobody waits for it.
    pub(crate) leave_at: Instant,
}

impl<Input, Shared> Item<Input, Shared> {
    /// Stands for the item in every attempt and in every retry of its task, and for no other: 36 characters in the
    /// form of a UUID. Give it to what must not do a thing twice, as an idempotency key or as the key of a row.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.first_task_id.to_string());
        hash.update(self.index.to_be_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        let uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        Uuid::hyphenated(uuid).to_string()
    }

    /// Says in a few words, [`PHASE_BYTES_MAX`] bytes at most, what is being done: "Uploading the pictures". It is shown
    /// beside the progress of the task while this works, whichever item says it; the last to speak is heard.
    ///
    /// It costs no write: it is stored when progress is next saved. So a phase that is over in a moment may be seen by
    /// nobody, and it is no place for results.
    pub fn set_phase(&self, words: impl Into<Cow<'static, str>>) {
        self.phase.set(words.into());
    }

    /// How long the item may still take. Then its future is dropped and the item begins anew in a later invocation,
    /// or, if it had a whole invocation to itself, its task fails.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.leave_at.saturating_duration_since(Instant::now())
    }
}

/// The most bytes of what is said of a phase; the rest is cut off. It is part of every later write.
pub const PHASE_BYTES_MAX: usize = 60;

/// What is being done of a chunk, by the last of its items to say so.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<Mutex<Option<String>>>);

impl Phase {
    fn set(&self, words: Cow<'static, str>) {
        let words = cut(words.into_owned(), PHASE_BYTES_MAX);
        *self.words() = Some(words);
    }

    /// What was said last.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.words().clone()
    }

    /// Whoever panicked with it did not leave half of it.
    fn words(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an item could not be processed: a sentence that its user may read, whether to try again, and for the log what
/// caused it.
///
/// Any error becomes one with `?`. It is then retryable, and its user is told nothing but that it did not work: what
/// the error says is for the log. Say more where a person can do something about it.
///
/// ```
/// use longhaul::ItemError;
///
/// fn age(text: &str) -> Result<u8, ItemError> {
///     let bytes = std::fs::read("/settings")?;        // tried again; users do not learn the path
///     # let _ = bytes;
///     text.parse().map_err(|cause| ItemError::permanent("The age is not a number.").because(cause))
/// }
/// ```
///
/// It is no [`std::error::Error`] itself, or else `?` could not take any.
pub struct ItemError {
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry: Retry,
    pub(crate) cause: Option<Box<dyn Error + Send + Sync>>,
}

/// A pause is as long as this, at least.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// So long a chunk pauses in all without any of its items getting through.
pub(crate) const PAUSED_MAX: Duration = Duration::from_secs(60 * 60);

/// Whether an item that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It never will work.
    Never,
    /// It may work in a moment.
    Soon,
    /// It may work after this time, and nothing like it before.
    Later(Duration),
}

impl ItemError {
    /// What users read of an error that says nothing for them.
    pub(crate) const MESSAGE: &'static str = "The item could not be processed.";

    /// What users read when there was no time to wait for what says that it is not available.
    pub(crate) const UNAVAILABLE: &'static str =
        "What it takes was not available, and would not have been for more than an hour.";

    /// It never will work, for the reason that `message` gives its user.
    #[must_use]
    pub fn permanent(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(message.into(), Retry::Never)
    }

    /// It may work in a moment. It is tried three times in all, as long as there is time; then `message` tells its user
    /// why it failed.
    #[must_use]
    pub fn retryable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(message.into(), Retry::Soon)
    }

    /// Not now: whoever is needed for it asks not to be asked again for so long, as a limited API does with
    /// `Retry-After`.
    ///
    /// It is no failure and costs no attempt. The whole chunk *pauses*: none of its items is started any more, those in
    /// flight are finished, and no worker is kept waiting for longer than a moment. After `wait`, which is a second at
    /// least, it goes on where it was. Once a chunk has paused for an hour in all without any of its items getting
    /// through, or would have to, an item that says so fails, and can be tried again with what else failed.
    #[must_use]
    pub fn later(wait: Duration) -> Self {
        Self::new(Self::UNAVAILABLE.into(), Retry::Later(wait))
    }

    /// Says what caused it, to the log only.
    #[must_use]
    pub fn because(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }

    fn new(message: Cow<'static, str>, retry: Retry) -> Self {
        Self {
            message,
            retry,
            cause: None,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ItemError {
    fn from(cause: E) -> Self {
        Self::new(Self::MESSAGE.into(), Retry::Soon).because(cause)
    }
}

/// The sentence for users, and no more.
impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// With the causes, as a failed test shows it.
impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemError")
            .field("message", &self.message)
            .field("retry", &self.retry)
            .field("cause", &self.cause)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(first_task_id: &str, index: ItemIndex, attempt: u32) -> Item<()> {
        Item {
            user: UserId::from_claim("ann").unwrap(),
            task_id: "0198c0de-0000-7000-8000-00000000ffff".parse().unwrap(),
            index,
            attempt,
            input: (),
            shared: Arc::new(()),
            phase: Phase::default(),
            first_task_id: first_task_id.parse().unwrap(),
            leave_at: Instant::now() + Duration::from_secs(10),
        }
    }

    #[test]
    fn a_key_is_the_same_in_every_attempt_and_of_no_other_item() {
        let (one, other) = (
            "0198c0de-0000-7000-8000-000000000001",
            "0198c0de-0000-7000-8000-000000000002",
        );
        let key = item(one, 7, 1).key();
        assert_eq!(key, item(one, 7, 3).key());
        assert_ne!(key, item(one, 8, 1).key());
        assert_ne!(key, item(other, 7, 1).key());
        // It is stored by others: a new release must not give the same item another one.
        assert_eq!(key, "40d4b359-10b5-8223-997f-288404cb3f24");
    }

    #[test]
    fn what_an_error_says_is_not_for_users() {
        let failing = || -> Result<(), ItemError> {
            let _: u8 = "secret".parse()?;
            Ok(())
        };
        let error = failing().unwrap_err();
        assert_eq!(error.retry, Retry::Soon);
        assert_eq!(error.to_string(), ItemError::MESSAGE);
        assert!(error.cause.unwrap().to_string().contains("invalid digit"));
    }

    #[test]
    fn the_last_to_speak_is_heard_as_far_as_there_is_room() {
        let one = item("0198c0de-0000-7000-8000-000000000001", 0, 1);
        let other = Item {
            index: 1,
            ..one.clone()
        };
        assert_eq!(one.phase.get(), None);
        one.set_phase("Reading");
        other.set_phase(String::from("Writing"));
        assert_eq!(one.phase.get().as_deref(), Some("Writing"));
        one.set_phase("ä".repeat(31));
        let cut = format!("{}…", "ä".repeat(30));
        assert_eq!(other.phase.get(), Some(cut));
    }

    #[tokio::test(start_paused = true)]
    async fn time_left_ends_at_nothing() {
        let item = item("0198c0de-0000-7000-8000-000000000001", 0, 1);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(item.time_left(), Duration::from_secs(6));
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(item.time_left(), Duration::ZERO);
    }
}
