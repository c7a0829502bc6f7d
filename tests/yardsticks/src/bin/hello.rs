//! The least that a function can be: the example of `lambda_runtime` itself.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

/// One thread, as the functions that it is compared with.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(hello)).await
}

async fn hello(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let name = event.payload["firstName"].as_str().unwrap_or("nobody");
    Ok(json!({"message": format!("Hello, {name}!")}))
}
