//! The process around [`Sweeper`].

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use longhaul::{aws, exit, host::Host, queue::Queue, store::Store, telemetry};
use sweeper::{Config, Sweeper};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    exit::after(run().await).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let aws = aws::config().await?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let store = Store::new(dynamodb, config.table_name, Host::system());
    let queue = Queue::new(aws_sdk_sqs::Client::new(&aws), config.queue_url);
    let sweeper = &Sweeper::new(store, queue, config.patience);
    // The event says only that it is time.
    lambda_runtime::run(service_fn(|_: LambdaEvent<IgnoredEvent>| async move {
        let swept = sweeper.sweep(config.timeout).await;
        tracing::info!(?swept, "swept");
        // Whatever could be done is done; an alarm watches the function's errors.
        match swept.errors {
            0 => Ok(()),
            errors => Err(Error::from(format!("{errors} errors, see above"))),
        }
    }))
    .await
}

/// Any event at all.
#[derive(serde::Deserialize)]
struct IgnoredEvent {}
