//! As much of the worker as knows of jobs.

use longhaul::executor::Executor;
use longhaul::runner::Runners;
use longhaul::{Setup, StartError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let executor = Executor::apart()?;
    let runners = Runners::new::<jobs::Jobs>(&Setup::of(&[]), &executor);
    println!("{runners:?}");
    Ok(())
}
