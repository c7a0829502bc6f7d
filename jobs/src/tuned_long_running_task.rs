//! The sample: items that are only numbered, and wait. It keeps the contract of the reference application.

use std::time::Duration;

use longhaul::{
    Environment, Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The job, with its settings.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How long an item takes.
    pub item_duration: Duration,
    /// One item in so many fails; none if it is 0.
    pub fail_every: u64,
}

/// What a client sends.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// How many items to process.
    #[schemars(
        title = "Number of items",
        range(min = 1),
        extend("default" = 100, "examples" = [10, 100, 1000])
    )]
    number_of_items: u64,
}

/// What an item yields.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Processed {
    /// A short name.
    name: String,
    /// Anything worth saying.
    description: String,
}

impl Job for Sample {
    const NAME: &'static str = "tuned-long-running-task";
    const TITLE: &'static str = "Tuned long-running task";
    const BODY_BYTES_MAX: usize = 16 * 1024;

    type Request = Request;
    type Shared = ();
    type Input = ();
    type Output = Processed;

    fn items(request: Request, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(request.number_of_items).of_field("number_of_items"))
    }
}

impl Process for Sample {
    async fn start(setup: &Setup) -> Result<Self, StartError> {
        let read = |environment: &mut Environment| Self {
            item_duration: environment.seconds("ITEM_SECONDS", 0.0..=600.0),
            fail_every: environment.number("FAIL_EVERY", 0..=1_000_000),
        };
        Ok(setup.environment(read)?)
    }

    async fn process(&self, item: Item<()>) -> Result<Processed, ItemError> {
        tokio::time::sleep(self.item_duration).await;
        if (item.index + 1).checked_rem(self.fail_every) == Some(0) {
            let reason = format!("The sample fails one item in {}.", self.fail_every);
            return Err(ItemError::permanent(reason));
        }
        Ok(Processed {
            name: format!("Item {}", item.index),
            description: format!("Description {}", item.index),
        })
    }
}
