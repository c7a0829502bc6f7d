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

// Hidden is what functions do with jobs, and adopters need not know.
#[doc(hidden)]
pub mod describe;
#[doc(hidden)]
pub mod executor;
mod invalid;
mod item;
mod items;
mod job;
mod list;
#[doc(hidden)]
pub mod order;
#[doc(hidden)]
pub mod request;
mod rules;
#[doc(hidden)]
pub mod runner;
mod setup;
mod shape;
pub mod test_kit;

pub use aws_config::SdkConfig;
pub use invalid::Invalid;
pub use item::{Item, ItemError};
pub use items::{Items, Limits};
pub use job::{BLOCKING_ITEMS_MAX, BODY_BYTES_LIMIT, Job, Process};
pub use list::{JobList, ProcessList, ProcessVisitor, Visitor, check};
pub use runner::OUTPUT_BYTES_MAX;
pub use setup::{Setup, StartError};
pub use tasks::chunk::ItemIndex;
pub use tasks::config::{ConfigError, Environment};
pub use tasks::task::{MalformedTaskId, TaskId, UserId};
