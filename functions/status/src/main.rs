//! The process around [`StatusReader`].

use std::process::ExitCode;

use lambda_http::Error;
use status::{Config, StatusReader};
use tasks::host::Host;
use tasks::serve::serve;
use tasks::store::Store;
use tasks::{aws, exit, telemetry};

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
    let status = &StatusReader::new(store);
    serve(|request| async move { status.handle(&request).await }).await
}
