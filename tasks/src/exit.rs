//! How the process of a function ends, which it does only when it cannot start or cannot go on.
//!
//! Why is for the log. Lambda is told *that* it failed, for what it is told, and what it finds in the output of a
//! process that ends without a word, may be handed on to whoever invoked the function.

use std::env;
use std::process::ExitCode;

use http::Request;
use lambda_http::Error;
use lambda_runtime_api_client::PooledClient;
use serde_json::json;

use crate::telemetry;

/// Where a function says that it could not start (Lambda runtime API).
const INIT_ERROR_PATH: &str = "/2018-06-01/runtime/init/error";

/// Logs why the process ends, and reports that it does.
pub async fn after(ran: Result<(), Error>) -> ExitCode {
    let Err(error) = ran else {
        return ExitCode::SUCCESS;
    };
    let cause = telemetry::chain(&*error);
    tracing::error!(error = cause, "the function cannot run");
    if let Err(error) = report().await {
        let error = telemetry::chain(&*error);
        tracing::warn!(error, "Lambda could not be told so");
    }
    ExitCode::FAILURE
}

async fn report() -> Result<(), Error> {
    let Ok(runtime_api) = env::var("AWS_LAMBDA_RUNTIME_API") else {
        return Ok(());
    };
    let error_type = "Runtime.CannotRun";
    let body = json!({
        "errorType": error_type,
        "errorMessage": "The function cannot run. Its log says why.",
    });
    let request = Request::post(INIT_ERROR_PATH)
        .header("lambda-runtime-function-error-type", error_type)
        .body(body.to_string().into())?;
    let client = PooledClient::builder().with_endpoint(runtime_api.parse()?);
    client.build().call(request).await?;
    Ok(())
}
