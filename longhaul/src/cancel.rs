//! `DELETE /api/tuned-long-running-task/{task_id}/`: calls a task off.
//!
//! One transaction ends the task and frees its user, who can submit again at once. The workers are
//! not told; their next write fails, and they stop.

use crate::api::{self, ApiError, TaskView};
use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::exit;
use crate::host::Host;
use crate::serve::serve;
use crate::store::{Cancellation, Store};
use lambda_http::{Body, Request, Response};
use std::process::ExitCode;

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let function = &Cancel::new(store);
        serve(|request| async move { function.handle(&request).await }).await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Environment::read(|environment| Self {
            table_name: environment.text("TABLE_NAME"),
        })
    }
}

/// The function.
#[derive(Clone, Debug)]
pub struct Cancel {
    store: Store,
}

impl Cancel {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Answers a request.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        api::answer(self.cancel(request)).await
    }

    async fn cancel(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        let user = api::user(request)?;
        let task_id = api::task_id(request)?;
        let task = self.store.task(&user, task_id).await?;
        let task = task.ok_or(ApiError::NotFound)?;
        match self.store.cancel(&task).await? {
            Cancellation::Cancelled(task) => {
                let view = TaskView::new(&task, self.store.host().now());
                Ok(api::success(view))
            }
            Cancellation::Ended(_) => Err(ApiError::Finished),
            Cancellation::Missing => Err(ApiError::NotFound),
        }
    }
}
