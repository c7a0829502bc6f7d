//! The connections over which a user's pages are told of changes, and the tickets that open them.
//!
//! A page cannot send its token when it opens a WebSocket, and a token in a URL would end up in logs. So it asks the API
//! for a ticket, which opens one connection, soon, and then is worth nothing.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::{Host, Timestamp};
use crate::task::hex_of_sha256;

/// Opens one connection, as the user that asked for it. Whoever has it may use it: it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    /// For how long it is good.
    pub const GOOD_FOR: Duration = Duration::from_secs(30);

    /// How many hexadecimal digits one has.
    const LENGTH: usize = 48;

    /// A new one, of more random bits than can be guessed.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let parts = [host.random(), host.random(), host.random()];
        Self(parts.map(|part| format!("{part:016x}")).concat())
    }

    /// What somebody presents as one, if it can be one: what cannot is not worth a look into the table.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let can_be = text.len() == Self::LENGTH && text.bytes().all(is_digit);
        can_be.then(|| Self(text.to_owned()))
    }

    /// The text that opens the connection.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for it in the table, of which it cannot be made again.
    #[must_use]
    pub fn digest(&self) -> String {
        hex_of_sha256(&self.0)
    }
}

/// Not for logs.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// A connection, as API Gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id. That ids do not come again is nowhere promised.
    pub id: String,
    /// When it was opened, by API Gateway's clock. Of two connections of one id the later one is open.
    pub connected_at: Timestamp,
}

impl Connection {
    /// How long one is open at most (Amazon API Gateway quotas: "Connection duration for WebSocket API").
    pub const LIFETIME: Duration = Duration::from_hours(2);

    /// How many a user may have. The oldest is closed for one more.
    pub const OF_USER_MAX: usize = 10;

    /// Within this time it is open, or was refused. It is noted before: until it is open it is not found, although nothing
    /// is wrong with it. API Gateway waits 29 seconds for the function, and clocks differ.
    const OPENS_WITHIN: Duration = Duration::from_mins(1);

    /// Whether it may not be open yet at this time.
    #[must_use]
    pub fn may_be_opening(&self, now: Timestamp) -> bool {
        now < self.connected_at.after(Self::OPENS_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_long_and_is_shown_to_nobody() {
        let ticket = Ticket::new(&Host::system());
        assert_eq!(Ticket::presented(ticket.as_str()), Some(ticket.clone()));
        assert_ne!(ticket, Ticket::new(&Host::system()));
        assert_eq!(format!("{ticket:?}"), "Ticket(…)");
        assert!(!ticket.digest().contains(ticket.as_str()));
        for none in ["", "x", &"g".repeat(48), &"A".repeat(48), &"0".repeat(49)] {
            assert_eq!(Ticket::presented(none), None);
        }
    }
}
