//! The jobs of the simulated deployment: one whose items are only numbered, one whose items have inputs, and one that has
//! a worker of its own.

use std::time::Duration;

use fastrand::Rng;
use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Fate;
use crate::world::World;

/// What the deployment can do.
pub type Jobs = (Numbered, Listed, Limited);

/// So large is an input that does not share its row.
const LARGE_INPUT_BYTES: usize = 40_000;

/// Items that are only numbered.
pub struct Numbered(pub(crate) Place);

/// Items that have inputs, and share a value.
pub struct Listed(pub(crate) Place);

/// Items that are only numbered, and of which only so many may be in flight.
pub struct Limited(pub(crate) Place);

/// Where a job is done: a process of the world.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) process: String,
}

/// How many items there are to be.
#[derive(Deserialize, JsonSchema)]
pub struct Count {
    number_of_items: u64,
}

/// Whose items there are to be, and how many.
#[derive(Deserialize, JsonSchema)]
pub struct CountOf {
    of: String,
    number_of_items: u64,
    large_inputs: u64,
}

/// An input: which one, and of whose request.
#[derive(Deserialize, Serialize, JsonSchema)]
pub struct Given {
    at: u64,
    of: String,
    padding: String,
}

impl Job for Numbered {
    const NAME: &'static str = "tuned-long-running-task";
    type Request = Count;
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items(request: Count, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(request.number_of_items))
    }
}

impl Job for Listed {
    const NAME: &'static str = "listed";
    type Request = CountOf;
    type Shared = String;
    type Input = Given;
    type Output = String;

    fn items(request: CountOf, _: &Limits) -> Result<Items<Given, String>, Invalid> {
        let CountOf {
            of,
            number_of_items,
            large_inputs,
        } = request;
        let of = format!("{of}/{number_of_items}");
        let given = |at| Given {
            at,
            of: of.clone(),
            padding: "x".repeat(if at < large_inputs {
                LARGE_INPUT_BYTES
            } else {
                0
            }),
        };
        Ok(Items::list((0..number_of_items).map(given).collect()).sharing(of))
    }
}

impl Job for Limited {
    const NAME: &'static str = "limited";
    const ITEMS_IN_FLIGHT: Option<u16> = Some(3);
    const OWN_WORKER: bool = true;
    type Request = Count;
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items(request: Count, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(request.number_of_items))
    }
}

impl Process for Numbered {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("the simulator starts it"))
    }

    async fn process(&self, item: Item<()>) -> Result<(), ItemError> {
        self.0.process(&item).await
    }
}

impl Process for Limited {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("the simulator starts it"))
    }

    async fn process(&self, item: Item<()>) -> Result<(), ItemError> {
        let _in_flight = self.0.world.limited_item(&self.0.process);
        self.0.process(&item).await
    }
}

impl Process for Listed {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("the simulator starts it"))
    }

    async fn process(&self, item: Item<Given, String>) -> Result<String, ItemError> {
        let (input, shared) = (&item.input, &*item.shared);
        let own = input.at == item.index && input.of == *shared;
        if !own || !shared.starts_with(item.user.as_str()) {
            let (at, of) = (input.at, &input.of);
            self.0.world.complain(format!(
                "item {} of {} was given input {at} of {of}, shared {shared}",
                item.index,
                item.user.as_str()
            ));
        }
        self.0.process(&item).await?;
        Ok(input.of.clone())
    }
}

impl Place {
    /// What the scenario has in store for an item.
    async fn process<Input, Shared>(&self, item: &Item<Input, Shared>) -> Result<(), ItemError> {
        let Self { world, process } = self;
        let (fate, tries, time) = world.process(process, item.task_id, item.index);
        if time > Duration::ZERO {
            tokio::time::sleep(time).await;
        }
        match fate {
            Fate::NotNow(times, wait) if tries <= times => Err(ItemError::later(wait)),
            Fate::Retryable(times) if tries <= times => Err(ItemError::retryable("not yet")),
            Fate::Permanent => Err(ItemError::permanent("never")),
            Fate::Coin if world.chance(Rng::bool) => Err(ItemError::permanent("tails")),
            // Past the panic hook, which would print it.
            Fate::Panic => std::panic::resume_unwind(Box::new("simulated")),
            Fate::Kill(times) if tries <= times => {
                world.note(process, &format!("is killed by item {}", item.index));
                world.wrong("item kills");
                world.kill(process);
                std::future::pending().await
            }
            _ => {
                world.is_processed(item.task_id);
                Ok(())
            }
        }
    }
}
