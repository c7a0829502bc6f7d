//! What a function does to the services behind it, counted.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// What has been counted since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Connections opened to the services.
    pub connections: u64,
    /// Calls, by operation.
    pub calls: BTreeMap<String, u64>,
    /// Bytes of the bodies of calls.
    pub bytes_sent: u64,
    /// Bytes of the bodies of answers.
    pub bytes_received: u64,
}

impl Counts {
    pub(crate) const fn nothing() -> Self {
        Self {
            connections: 0,
            calls: BTreeMap::new(),
            bytes_sent: 0,
            bytes_received: 0,
        }
    }
}

impl<'a> Sum<&'a Counts> for Counts {
    fn sum<All: Iterator<Item = &'a Counts>>(all: All) -> Self {
        let mut sum = Self::nothing();
        for more in all {
            sum.connections += more.connections;
            sum.bytes_sent += more.bytes_sent;
            sum.bytes_received += more.bytes_received;
            for (operation, count) in &more.calls {
                *sum.calls.entry(operation.clone()).or_default() += count;
            }
        }
        sum
    }
}

/// Where all endpoints of a run count.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Counts>>);

impl Ledger {
    /// Lets something be counted.
    pub fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What there has been since the last time.
    #[must_use]
    pub fn take(&self) -> Counts {
        let mut taken = Counts::default();
        self.count(|counts| taken = std::mem::take(counts));
        taken
    }
}
