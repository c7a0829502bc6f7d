//! The process around [`StatusReader`].

use lambda_http::{Error, Request, run, service_fn};
use status::{Config, StatusReader};
use tasks::host::Host;
use tasks::store::Store;
use tasks::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = aws::config().await?;
    let store = Store::new(
        aws_sdk_dynamodb::Client::new(&aws),
        config.table_name,
        Host::system(),
    );
    let status = &StatusReader::new(store);
    run(service_fn(|request: Request| async move {
        Ok::<_, Error>(status.handle(&request).await)
    }))
    .await
}
