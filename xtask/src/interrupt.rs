//! Ctrl-C, `kill` and a closed terminal: remembered here, acted upon by whoever is waiting.
//!
//! Nothing stops in the middle of a write. Every wait in this program looks at [`requested`] several times a
//! second and unwinds with [`Interrupted`], so what was started is stopped by the code that started it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What a shell expects of a program that Ctrl-C ended: 128 + SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

/// How long a wait may take to notice an interrupt.
pub(crate) const NOTICE: Duration = Duration::from_millis(50);

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The developer asked to stop; not a failure, so it is reported without the word "error".
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Starts to listen. Without it the default action of a signal would leave the emulator running.
pub(crate) fn watch() {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&REQUESTED)) {
            eprintln!("warning: cannot watch for signal {signal}: {error}");
        }
    }
}

/// Whether the developer has asked to stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// `Err(Interrupted)` once the developer has asked to stop.
pub(crate) fn check() -> Result<(), Interrupted> {
    if requested() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}

/// Sleeps, unless the developer asks to stop.
pub(crate) fn sleep(duration: Duration) -> Result<(), Interrupted> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        check()?;
        std::thread::sleep(NOTICE.min(end.saturating_duration_since(Instant::now())));
    }
    check()
}
