//! What a function asks of the machine it runs on: the time and random numbers.
//!
//! Nothing else that is deployed reads the time of day or draws a random number, so a test that supplies
//! its own [`Host`] decides both and every run of it is the same.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch, as this machine's clock shows it.
///
/// Clocks differ between machines. Longhaul uses them to decide *when to look again*, never to
/// decide *who may write*: that is what the store's conditions are for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// The end of the year 9999: RFC 3339 has no later one.
const LAST_SHOWN: Timestamp = Timestamp(253_402_300_799_999);

impl Timestamp {
    /// The time that lies `duration` later; saturates instead of overflowing.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the Unix epoch, the unit of `DynamoDB`'s time to live.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// RFC 3339 in UTC, as the contract shows times.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What cannot be told is told as the last that can: who displays a time must not panic.
        let shown = self.0.min(LAST_SHOWN.0);
        let seconds = i64::try_from(Self(shown).seconds()).unwrap_or_default();
        let text = aws_smithy_types::DateTime::from_secs(seconds)
            .fmt(aws_smithy_types::date_time::Format::DateTime)
            .map_err(|_| fmt::Error)?;
        // Always milliseconds, so that times have one length and sort as text.
        write!(f, "{}.{:03}Z", text.trim_end_matches('Z'), shown % 1000)
    }
}

/// A duration as whole milliseconds, saturating.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The clock and the source of randomness of the machine, passed to whatever needs them.
#[derive(Clone)]
pub struct Host {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Host {
    /// The real clock and the operating system's random numbers.
    #[must_use]
    pub fn system() -> Self {
        Self::new(
            || {
                // A clock set before 1970 reads as 1970: leases then look expired, which costs
                // work and not correctness.
                let since_epoch = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(milliseconds(since_epoch))
            },
            || uuid::Uuid::new_v4().as_u64_pair().1,
        )
    }

    /// A host made of the given clock and random numbers, for tests that decide both.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Arc::new(now),
            random: Arc::new(random),
        }
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// A random number; never twice the same in any practical sense.
    #[must_use]
    pub fn random(&self) -> u64 {
        (self.random)()
    }

    /// A random duration between half of `duration` and `duration`: machines that failed together
    /// must not try again together.
    #[must_use]
    pub fn jitter(&self, duration: Duration) -> Duration {
        let half = duration / 2;
        let spread = milliseconds(half).max(1);
        half + Duration::from_millis(self.random() % spread)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339_in_utc() {
        assert_eq!(
            Timestamp(1_700_000_000_250).to_string(),
            "2023-11-14T22:13:20.250Z"
        );
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        for beyond in [LAST_SHOWN.0, LAST_SHOWN.0 + 1, u64::MAX] {
            let last = "9999-12-31T23:59:59.999Z";
            assert_eq!(Timestamp(beyond).to_string(), last);
        }
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let host = Host::new(Timestamp::default, || u64::MAX);
        let drawn = host.jitter(Duration::from_millis(100));
        assert!(drawn >= Duration::from_millis(50) && drawn < Duration::from_millis(100));
    }

    #[test]
    fn the_system_host_does_not_repeat_itself() {
        let host = Host::system();
        assert_ne!(host.random(), host.random());
        assert!(host.now() > Timestamp(1_600_000_000_000));
    }
}
