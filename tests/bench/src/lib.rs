//! Runs functions as Lambda runs them, against `DynamoDB` and SQS in process behind real connections, and counts what they
//! do: instructions, CPU time, memory, connections, calls and bytes.
//!
//! By hand, with programs that are built already:
//!
//! ```text
//! cargo build --release --locked -p status -p submit -p cancel -p yardsticks
//! cargo build --workspace --exclude e2e --locked --bin bench      # as the tests build it
//! target/debug/bench --programs target/release                    # everything
//! target/debug/bench --programs target/release --plain status hello
//! target/debug/bench --programs target/release --plain --keep /tmp/profile status
//! callgrind_annotate /tmp/profile/callgrind.out                   # the last run, with 1 + 20 invocations
//! ```
//!
//! For a profile with names build the function with `CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1` and a
//! target directory of its own.

#![expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52")]

pub mod authority;
pub mod function;
pub mod http;
pub mod ledger;
pub mod measure;
pub mod report;
pub mod runtime_api;
pub mod scenario;
pub mod services;
pub mod subjects;
pub mod traffic;
pub mod usage;
pub mod worker;
