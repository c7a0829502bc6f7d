//! What is wrong with a request, in words for whoever sent it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;

/// What is wrong with a request: messages by the path of the field that they are about, such as `contacts.3.email`.
///
/// The first [`MESSAGES_MAX`](Self::MESSAGES_MAX) are kept, so that an answer stays readable whatever was sent.
///
/// ```
/// use longhaul::Invalid;
///
/// fn check(ages: &[u8]) -> Result<(), Invalid> {
///     let mut invalid = Invalid::default();
///     for (row, age) in ages.iter().enumerate() {
///         if *age < 18 {
///             invalid.add(format_args!("people.{row}.age"), "Must be of age.");
///         }
///     }
///     invalid.check()
/// }
///
/// assert!(check(&[18, 44]).is_ok());
/// let messages = check(&[18, 17]).unwrap_err();
/// assert_eq!(messages.at("people.1.age"), ["Must be of age."]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Invalid {
    messages: BTreeMap<String, Vec<Cow<'static, str>>>,
}

impl Invalid {
    /// So many messages are kept.
    pub const MESSAGES_MAX: usize = 20;

    /// Where messages stand that are about the request as a whole.
    pub const WHOLE: &'static str = "non_field_errors";

    /// One message about the field at `path`.
    #[must_use]
    pub fn field(path: impl Display, message: impl Into<Cow<'static, str>>) -> Self {
        let mut invalid = Self::default();
        invalid.add(path, message);
        invalid
    }

    /// Adds a message about the field at `path`, unless there are enough already.
    pub fn add(&mut self, path: impl Display, message: impl Into<Cow<'static, str>>) {
        if self.messages.values().map(Vec::len).sum::<usize>() < Self::MESSAGES_MAX {
            let messages = self.messages.entry(path.to_string()).or_default();
            messages.push(message.into());
        }
    }

    /// Whether there is nothing to complain about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Turns messages, if there are any, into an error.
    ///
    /// # Errors
    ///
    /// The messages.
    pub fn check(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The messages about the field at `path`.
    #[must_use]
    pub fn at(&self, path: &str) -> &[Cow<'static, str>] {
        self.messages.get(path).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_messages_are_kept() {
        let mut invalid = Invalid::default();
        for row in 0..1000 {
            invalid.add(format_args!("rows.{row}"), "This field is required.");
        }
        assert_eq!(invalid.at("rows.19").len(), 1);
        assert_eq!(invalid.at("rows.20").len(), 0);
    }

    #[test]
    fn it_reads_as_messages_by_path() {
        let invalid = Invalid::field("contacts.3.email", "This field is required.");
        let json = serde_json::to_string(&invalid).unwrap();
        assert_eq!(json, r#"{"contacts.3.email":["This field is required."]}"#);
        assert_eq!(Invalid::default().check(), Ok(()));
    }
}
