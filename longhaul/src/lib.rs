//! Longhaul: long-running tasks with live progress on AWS Lambda, SQS and `DynamoDB`.
//!
//! Whoever adopts it writes one file for each kind of work: a [`Job`], which says what a client may ask for and which
//! items that means, and its [`Process`], which does one item. Validation, counting, recovery, progress, the API with
//! its description and the form on the page follow from it.
//!
//! ```
//! use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError, test_kit::TestKit};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! struct Squares;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Numbers {
//!     /// What to square.
//!     numbers: Vec<u64>,
//! }
//!
//! impl Job for Squares {
//!     const NAME: &'static str = "squares";
//!     type Request = Numbers;
//!     type Shared = ();
//!     type Input = u64;
//!     type Output = u64;
//!
//!     fn items(request: Numbers, _: &Limits) -> Result<Items<u64>, Invalid> {
//!         Ok(Items::list(request.numbers).of_field("numbers"))
//!     }
//! }
//!
//! impl Process for Squares {
//!     async fn start(_: &Setup) -> Result<Self, StartError> {
//!         Ok(Self)
//!     }
//!
//!     async fn process(&self, item: Item<u64>) -> Result<u64, ItemError> {
//!         let square = item.input.checked_mul(item.input);
//!         square.ok_or_else(|| ItemError::permanent("The square is too large."))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let kit = TestKit::new(Squares);
//! let items = kit.run(r#"{"numbers": [3, 4]}"#).await.unwrap();
//! assert_eq!(items[1].output, Some(16.into()));
//! # }
//! ```

// What an adopter writes against.
mod invalid;
mod item;
mod items;
mod job;
mod list;
mod setup;
pub mod test_kit;

// Hidden is how it is done, which functions and tests use, and adopters need not know.
//
// Jobs: reading requests, describing, running.
#[doc(hidden)]
pub mod describe;
#[doc(hidden)]
pub mod executor;
#[doc(hidden)]
pub mod order;
#[doc(hidden)]
pub mod request;
mod rules;
#[doc(hidden)]
pub mod runner;
mod shape;

// The protocol. Read [`task`] for what a task is and may become, then [`store`] for how `DynamoDB` is made to guarantee
// it. The rule that holds it together: *the conditional expression is the guard, the message is only a hint*. Losing,
// repeating, delaying or reordering messages, and crashing between any two calls, may cost time, never correctness.
#[doc(hidden)]
pub mod chunk;
#[doc(hidden)]
pub mod connection;
#[doc(hidden)]
pub mod forecast;
#[doc(hidden)]
pub mod listing;
#[doc(hidden)]
pub mod queue;
#[doc(hidden)]
pub mod quota;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod task;

// The functions.
pub mod authorizer;
pub mod cancel;
pub mod ended;
pub mod live;
pub mod notify;
pub mod status;
pub mod submit;
pub mod sweeper;
pub mod worker;

// The HTTP contract, and the processes around it.
#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod aws;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod cursor;
#[doc(hidden)]
pub mod exit;
#[doc(hidden)]
pub mod host;
#[doc(hidden)]
pub mod openapi;
#[doc(hidden)]
pub mod serve;
#[doc(hidden)]
pub mod sockets;
#[doc(hidden)]
pub mod stream;
#[doc(hidden)]
pub mod telemetry;

pub use aws_config::SdkConfig;
pub use chunk::ItemIndex;
pub use config::{ConfigError, Environment};
pub use invalid::Invalid;
pub use item::{Item, ItemError, PHASE_BYTES_MAX};
pub use items::{Items, Limits};
pub use job::{BLOCKING_ITEMS_MAX, BODY_BYTES_LIMIT, Job, Process};
pub use list::{JobList, ProcessList, ProcessVisitor, Visitor, check};
pub use runner::OUTPUT_BYTES_MAX;
pub use setup::{Setup, StartError};
pub use task::{MalformedTaskId, TaskId, UserId};
