//! `GET /api/…` as `functions/status` answers it, with what the SDK and `aws-config` do by default: their TLS, the machine's
//! certificates, the whole chain of credentials, retries and timeouts.

use std::env;
use std::process::ExitCode;

use aws_config::BehaviorVersion;
use http::StatusCode;
use longhaul::Limits;
use longhaul::exit;
use longhaul::host::Host;
use longhaul::queue::JobQueues;
use longhaul::serve::serve;
use longhaul::status::StatusReader;
use longhaul::store::Store;

fn main() -> ExitCode {
    exit::run(async {
        let table_name = env::var("TABLE_NAME")?;
        let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let store = Store::new(
            aws_sdk_dynamodb::Client::new(&aws),
            table_name,
            Host::system(),
        );
        let (limits, queues) = (Limits::new(10_000), JobQueues::default());
        let function = &StatusReader::new::<jobs::Jobs>(store, limits, &queues);
        serve(|request| async move {
            // Under valgrind what its TLS does at first takes longer than a request may.
            loop {
                let response = function.handle(&request).await;
                if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                    return response;
                }
            }
        })
        .await
    })
}
