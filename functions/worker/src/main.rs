//! The process around [`Worker`].

use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use longhaul::{aws, exit, host::Host, queue::Queue, store::Store, telemetry};
use worker::{Config, Process, Worker, item};

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
    let settings = Arc::new(config.items);
    let process: Process = Arc::new(move |item| {
        let settings = Arc::clone(&settings);
        Box::pin(async move { item::process_item(item, &settings).await })
    });
    let worker = &Worker::new(store, queue, config.pace, process);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, Error>(worker.handle(event.payload, config.timeout).await)
    }))
    .await
}
