//! The process around [`Submit`].

use std::process::ExitCode;

use lambda_http::Error;
use longhaul::host::Host;
use longhaul::queue::Queue;
use longhaul::serve::serve;
use longhaul::store::Store;
use longhaul::{aws, exit, telemetry};
use submit::{Config, Submit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init();
    exit::after(run().await).await
}

async fn run() -> Result<(), Error> {
    let config = Config::from_env()?;
    let aws = aws::config().await?;
    let store = Store::new(
        aws_sdk_dynamodb::Client::new(&aws),
        config.table_name,
        Host::system(),
    );
    let queue = Queue::new(aws_sdk_sqs::Client::new(&aws), config.queue_url);
    let submit = &Submit::new(store, queue, config.items_max, config.terms);
    serve(|request| async move { submit.handle(&request).await }).await
}
