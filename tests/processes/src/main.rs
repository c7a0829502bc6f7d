//! A worker whose jobs do what they should not: they keep their threads. Never deployed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};

fn main() -> ExitCode {
    longhaul::worker::run::<(Together, Careless, Obstinate)>()
}

/// Items that go on only ten at a time, each on a thread of its own.
struct Together(Barrier);

/// Items that keep the thread that they share until a file is there.
struct Careless(PathBuf);

/// Items of which the second never ends.
struct Obstinate;

macro_rules! numbered {
    ($job:ty, $name:literal, $is_blocking:literal) => {
        impl Job for $job {
            const NAME: &'static str = $name;
            const BLOCKING: bool = $is_blocking;
            type Request = u64;
            type Shared = ();
            type Input = ();
            type Output = ();

            fn items(number: u64, _: &Limits) -> Result<Items<()>, Invalid> {
                Ok(Items::numbered(number))
            }
        }
    };
}

numbered!(Together, "together", true);
numbered!(Careless, "careless", false);
numbered!(Obstinate, "obstinate", false);

impl Process for Together {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self(Barrier::new(10)))
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        self.0.wait();
        Ok(())
    }
}

impl Process for Careless {
    async fn start(setup: &Setup) -> Result<Self, StartError> {
        Ok(Self(
            setup
                .environment(|variables| variables.text("GATE"))?
                .into(),
        ))
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        while !self.0.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Process for Obstinate {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn process(&self, item: Item<()>) -> Result<(), ItemError> {
        if item.index == 1 {
            loop {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}
