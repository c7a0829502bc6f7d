//! The process of a function, and how it ends, which it does only when it cannot start or cannot go on.
//!
//! Why is for the log. Lambda is told *that* it failed, for what it is told, and what it finds in the output of a
//! process that ends without a word, may be handed on to whoever invoked the function.

use std::env;
use std::future::Future;
use std::panic;
use std::process::ExitCode;

use http::Request;
use lambda_http::Error;
use lambda_runtime_api_client::PooledClient;
use lambda_runtime_api_client::body::Body;
use serde_json::json;
use tokio::runtime::LocalOptions;

use crate::telemetry;

/// Where the process asks for an invocation (Lambda runtime API).
const INVOCATION: &str = "/2018-06-01/runtime/invocation";

/// Runs a function's process until it ends. Everything of the protocol happens on this one thread.
pub fn run(function: impl Future<Output = Result<(), Error>> + 'static) -> ExitCode {
    telemetry::init();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    match runtime.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => {
            // A task of its own: whenever the future that `block_on` has is woken, the runtime asks the kernel for news first.
            let ran = runtime.spawn_local(async { after(function.await).await });
            let ran = runtime.block_on(ran);
            ran.unwrap_or_else(|panicked| panic::resume_unwind(panicked.into_panic()))
        }
        Err(error) => {
            tracing::error!(error = telemetry::chain(&error), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Logs why the process ends, and lets the invocation that waits for it fail.
async fn after(ran: Result<(), Error>) -> ExitCode {
    let Err(error) = ran else {
        return ExitCode::SUCCESS;
    };
    let cause = telemetry::chain(&*error);
    tracing::error!(error = cause, "the function cannot run");
    if let Err(error) = fail_next_invocation().await {
        let error = telemetry::chain(&*error);
        tracing::warn!(error, "Lambda could not be told so");
    }
    ExitCode::FAILURE
}

/// An error of the start has an address of its own in the API. But it takes an invocation for the log to be kept
/// everywhere, and one is waiting. With this one the process ends, so that the next is a new start.
async fn fail_next_invocation() -> Result<(), Error> {
    let Ok(runtime_api) = env::var("AWS_LAMBDA_RUNTIME_API") else {
        return Ok(());
    };
    let client = PooledClient::builder().with_endpoint(runtime_api.parse()?);
    let client = client.build();
    let next = Request::get(format!("{INVOCATION}/next")).body(Body::empty())?;
    let next = client.call(next).await?;
    let id = next.headers().get("lambda-runtime-aws-request-id");
    let id = id.ok_or("an invocation without an id")?.to_str()?;

    let error_type = "Runtime.CannotRun";
    let error = json!({
        "errorType": error_type,
        "errorMessage": "The function cannot run. Its log says why.",
    });
    let failed = Request::post(format!("{INVOCATION}/{id}/error"))
        .header("lambda-runtime-function-error-type", error_type)
        .body(error.to_string().into())?;
    client.call(failed).await?;
    Ok(())
}
