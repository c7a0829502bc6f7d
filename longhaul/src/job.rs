//! What an adopter writes: a [`Job`], and how it is done, its [`Process`].
//!
//! They are two traits because two kinds of functions know them. `submit` and `status` know what may be asked for and
//! what comes out of it; only the worker knows how it is done. A function that is generic over [`Job`] cannot name
//! [`Process::process`], so the linker leaves it, and all that it depends on, out of that function's bootstrap.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chunk::ItemIndex;
use crate::invalid::Invalid;
use crate::item::{Item, ItemError};
use crate::items::{Items, Limits};
use crate::setup::{Setup, StartError};

/// The largest body that any job may allow, in bytes. Lambda refuses events of more than 6 MB (AWS Lambda quotas), and
/// a body that API Gateway hands on in Base64 is a third larger than it was.
pub const BODY_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// The most items of a [`BLOCKING`](Job::BLOCKING) job that a worker process has in flight: each has a thread.
pub const BLOCKING_ITEMS_MAX: u16 = 256;

/// A kind of work: what a client may ask for, and which items that means.
///
/// ```
/// use longhaul::{Invalid, Items, Job, Limits};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// struct RenderScene;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Request {
///     /// The scene's name.
///     #[schemars(length(min = 1, max = 100))]
///     scene: String,
///     /// How many frames to render.
///     #[schemars(range(min = 1, max = 5000))]
///     frames: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Scene(String);
///
/// #[derive(Serialize, JsonSchema)]
/// struct Frame {
///     /// Where the picture is.
///     url: String,
/// }
///
/// impl Job for RenderScene {
///     const NAME: &'static str = "render-scene";
///     const TITLE: &'static str = "Render a scene";
///     type Request = Request;
///     type Shared = Scene;
///     type Input = ();
///     type Output = Frame;
///
///     fn items(request: Request, _: &Limits) -> Result<Items<(), Scene>, Invalid> {
///         Ok(Items::numbered(request.frames).of_field("frames").sharing(Scene(request.scene)))
///     }
/// }
/// ```
pub trait Job: Sized + Send + Sync + 'static {
    /// The job's name in paths, `POST /api/{NAME}/`, and in stored tasks: small letters, digits and hyphens. It is
    /// for ever: a task that was accepted under it is found under it.
    const NAME: &'static str;

    /// The job's name for people.
    const TITLE: &'static str = Self::NAME;

    /// What the job does, in a sentence or two for people; may be empty.
    const DESCRIPTION: &'static str = "";

    /// The version of the stored form of `Shared` and `Input`, from 1. Raise it when a worker that is not yet deployed
    /// anew could not work on what is now stored: such a worker leaves the task alone until it is. A task that was
    /// stored under an older version is read with today's types, so these must be able to read it; the test kit's
    /// [`reads_old`](crate::test_kit::reads_old) holds that.
    const VERSION: u32 = 1;

    /// The largest body of a request, in bytes; at most [`BODY_BYTES_LIMIT`].
    const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

    /// How many items a worker *process* may have in flight, whatever the number of tasks it works on. `None` leaves
    /// it at the deployment's `ItemsInFlight` for each chunk.
    const ITEMS_IN_FLIGHT: Option<u16> = None;

    /// Whether items compute, or wait without `.await`. Each item then has a thread of its own, at most
    /// [`BLOCKING_ITEMS_MAX`] in a process. Otherwise items share a thread and must give it back within a moment.
    const BLOCKING: bool = false;

    /// Whether its items are processed by a function and a queue of their own, which the deployment declares: for an
    /// API that allows 20 calls at a time, for items that need 3 GB, for items that take ten minutes. The maximum
    /// concurrency of that function, at least 2, times [`ITEMS_IN_FLIGHT`](Self::ITEMS_IN_FLIGHT), which the job then
    /// has to say, is how many items the whole deployment has in flight. A deployment that does not declare it does
    /// not offer the job.
    const OWN_WORKER: bool = false;

    /// What a client sends. Its JSON Schema is what the page makes the form from, and what it says of numbers'
    /// `minimum` and `maximum`, of texts' length and of lists' length holds for every request before
    /// [`items`](Self::items) sees it. Unknown fields are ignored, and of a field that is given twice the last counts.
    type Request: DeserializeOwned + JsonSchema;

    /// What all items of a task need; stored once a task. `()` if there is nothing.
    type Shared: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What one item needs; stored until the task is gone. `()` for items that are only numbered.
    type Input: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    /// What one item yields: JSON of at most [`OUTPUT_BYTES_MAX`](crate::OUTPUT_BYTES_MAX), listed with the item.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Says which items a request means.
    ///
    /// It is a pure function: no clock, no network, no environment. Two requests that mean the same items are the same
    /// request, where a client repeats one and where a user may have one of each at a time.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, for the client to put right.
    fn items(
        request: Self::Request,
        limits: &Limits,
    ) -> Result<Items<Self::Input, Self::Shared>, Invalid>;

    /// What an item is called where people read it, in at most 200 bytes. It depends on nothing but its arguments: an
    /// item has the same name in every attempt and every retry.
    fn item_name(index: ItemIndex, input: &Self::Input) -> String {
        let _ = input;
        format!("Item {index}")
    }
}

/// How a [`Job`] is done.
///
/// What an item's code may rely on, and what not:
///
/// - It runs *at least* once for each item. A worker that dies, or loses its lease, leaves its unfinished items to
///   another, so processing an item twice must do no harm: [`Item::key`] is the same each time. What is stored and
///   counted is the result of one run, whichever stored its own first.
/// - Items run concurrently. Those of a job that is not [`BLOCKING`](Job::BLOCKING) share a thread with each other, but
///   with nothing else: while one of them keeps it the others wait, but progress is saved all the same.
/// - A panic fails the item and no other.
/// - When the task is cancelled, or the invocation's time is up, the future is dropped at an `.await`.
/// - It must finish well within the function's timeout; [`Item::time_left`] says how much of it there is.
///
/// ```
/// # use longhaul::{Invalid, Items, Job, Limits};
/// use longhaul::{Item, ItemError, Process, Setup, StartError};
/// # struct Greet { greeting: String }
/// # impl Job for Greet {
/// #     const NAME: &'static str = "greet";
/// #     type Request = Vec<String>;
/// #     type Shared = ();
/// #     type Input = String;
/// #     type Output = String;
/// #     fn items(names: Vec<String>, _: &Limits) -> Result<Items<String>, Invalid> { Ok(Items::list(names)) }
/// # }
///
/// impl Process for Greet {
///     async fn start(setup: &Setup) -> Result<Self, StartError> {
///         Ok(Self { greeting: setup.environment(|environment| environment.text("GREETING"))? })
///     }
///
///     async fn process(&self, item: Item<String>) -> Result<String, ItemError> {
///         if item.input.is_empty() {
///             return Err(ItemError::permanent("Somebody without a name cannot be greeted."));
///         }
///         Ok(format!("{}, {}!", self.greeting, item.input))
///     }
/// }
/// ```
pub trait Process: Job {
    /// Makes what all items of a process share, such as clients and settings. It runs when the job's first item does,
    /// once in a process; while it fails it is tried again after a pause, and items of this job wait for that, others
    /// do not.
    ///
    /// # Errors
    ///
    /// Whatever prevents the job from being done. It is logged, and no item fails for it.
    fn start(setup: &Setup) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Processes one item.
    ///
    /// # Errors
    ///
    /// Why the item could not be processed, and whether to try again. `?` on any error is retryable.
    fn process(
        &self,
        item: Item<Self::Input, Self::Shared>,
    ) -> impl Future<Output = Result<Self::Output, ItemError>> + Send;
}
