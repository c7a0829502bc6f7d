//! What one request takes on the wire, for tests that hold it: in calls, bytes and connections, which are the same in every
//! run and in a debug build, too.

use std::env;
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};

use crate::ledger::Counts;
use crate::measure::{Bench, Wire};
use crate::scenario::Scenario;
use crate::subjects;

/// What a warm request takes, and what connections were opened once there was something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    warm: Counts,
    opened_late: u64,
}

/// Has a program asked this three times, over TLS.
///
/// # Errors
///
/// When it fails, or not all requests take the same calls.
pub fn of(program: &str, scenario: Scenario) -> Result<Traffic> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let folder = format!("longhaul-traffic-{}-{run}", std::process::id());
    let folder = env::temp_dir().join(folder);
    fs::create_dir_all(&folder)?;
    let bench = Bench::new(&folder, Wire::Tls);
    let measured = bench.counts(&subjects::function(program, scenario), 3);
    fs::remove_dir_all(&folder)?;
    let counts = measured?;
    let (warm, before) = (&counts[3], &counts[1..3]);
    let is_same = |other: &Counts| other.calls == warm.calls && other.bytes_sent == warm.bytes_sent;
    ensure!(before.iter().all(is_same), "not all the same: {counts:?}");
    Ok(Traffic {
        warm: warm.clone(),
        opened_late: counts[1..].iter().map(|counts| counts.connections).sum(),
    })
}

/// On a line: `1 GetItem, 153 bytes sent, 741 received; 0 connections opened after the first /next`.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (operation, count) in &self.warm.calls {
            write!(f, "{count} {operation}, ")?;
        }
        if self.warm.calls.is_empty() {
            f.write_str("no calls, ")?;
        }
        write!(
            f,
            "{} bytes sent, {} received; {} connections opened after the first /next",
            self.warm.bytes_sent, self.warm.bytes_received, self.opened_late
        )
    }
}
