//! Hears of every change of a task, and tells its user's pages.
//!
//! A promise is made to nobody: what cannot be delivered is dropped, for the page asks now and then. So a batch never
//! fails. One that did would come again, and whatever lies behind it in the stream would wait.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::Aws;
use crate::config::{ConfigError, Environment};
use crate::connection::Connection;
use crate::host::Host;
use crate::sockets::{Delivery, Sockets, Told};
use crate::store::{Store, StoreError};
use crate::stream::{changes, last_of_each};
use crate::task::{Task, UserId};
use crate::{exit, telemetry};

/// So many tasks at a time are told of. A slow connection then holds up nobody but those of its own task.
const TASKS_AT_ONCE: usize = 50;

/// So many connections of a user are told. Opened together, there are more than there may be for a while; what they cost is
/// not to be without bounds.
const CONNECTIONS_TOLD_MAX: usize = 2 * Connection::OF_USER_MAX;

/// How long a batch may take. The function has 10 s.
const BATCH_SECONDS_MAX: Duration = Duration::from_secs(8);

/// The function's process.
#[must_use]
pub fn run() -> ExitCode {
    exit::run(async {
        let config = Config::from_env()?;
        let aws = Aws::start().await?;
        let store = Store::new(aws.dynamodb().await, config.table_name, Host::system());
        let function = &Notify::new(store, Sockets::new(aws.config(), &config.socket_endpoint));
        lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
            let notified = function.handle(event.payload.get()).await;
            tracing::debug!(?notified, "told of changes");
            Ok::<_, Error>(())
        }))
        .await
    })
}

/// What the function is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table's name.
    pub table_name: String,
    /// Where the connections are.
    pub socket_endpoint: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// When a variable is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Environment::read(Self::read)
    }

    /// The same of an environment that is read already.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            table_name: environment.text("TABLE_NAME"),
            socket_endpoint: environment.text("SOCKET_ENDPOINT"),
        }
    }
}

/// What became of a batch, in messages, but for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// Tasks that had changed.
    pub tasks: u32,
    /// Delivered.
    pub delivered: u32,
    /// Of connections that were closed.
    pub gone: u32,
    /// Not delivered.
    pub dropped: u32,
}

/// The function.
#[derive(Clone, Debug)]
pub struct Notify {
    store: Store,
    sockets: Sockets,
}

impl Notify {
    /// The function with what it needs.
    #[must_use]
    pub fn new(store: Store, sockets: Sockets) -> Self {
        Self { store, sockets }
    }

    /// Tells of what has changed, as far as the time goes.
    pub async fn handle(&self, event: &str) -> Notified {
        let (tasks, unreadable) = changes(event).unwrap_or_else(|error| {
            tracing::error!(error = telemetry::chain(&error), "a batch cannot be read");
            Default::default()
        });
        for record in unreadable {
            let reason = record.reason;
            tracing::error!(reason, "a record of the stream cannot be read");
        }
        let mut notified = Notified::default();
        let telling = self.tell_of_all(last_of_each(tasks), &mut notified);
        if tokio::time::timeout(BATCH_SECONDS_MAX, telling)
            .await
            .is_err()
        {
            tracing::warn!("no time for all that changed; pages will ask");
        }
        notified
    }

    async fn tell_of_all(&self, tasks: Vec<Task>, notified: &mut Notified) {
        let turns = Arc::new(Semaphore::new(TASKS_AT_ONCE));
        let mut telling = JoinSet::new();
        for task in tasks {
            notified.tasks += 1;
            let (function, turns) = (self.clone(), Arc::clone(&turns));
            telling.spawn(async move {
                // It is never closed.
                let _turn = turns.acquire_owned().await.ok();
                let told = function.tell_of(&task).await;
                told.unwrap_or_else(|error| {
                    let error = telemetry::chain(&error);
                    tracing::warn!(task_id = %task.task_id, error, "a change was told to nobody");
                    vec![Delivery::Dropped]
                })
            });
        }
        while let Some(told) = telling.join_next().await {
            for delivery in told.unwrap_or_else(|_| vec![Delivery::Dropped]) {
                *match delivery {
                    Delivery::Delivered => &mut notified.delivered,
                    Delivery::Gone => &mut notified.gone,
                    Delivery::Dropped => &mut notified.dropped,
                } += 1;
            }
        }
    }

    /// Tells all connections of the task's user, side by side.
    async fn tell_of(&self, task: &Task) -> Result<Vec<Delivery>, StoreError> {
        let connections = self.store.connections(&task.user).await?;
        if connections.is_empty() {
            return Ok(vec![]);
        }
        let told = Told::of(task, self.store.host().now());
        let text: Arc<str> = serde_json::to_string(&told).unwrap_or_default().into();
        let mut posting = JoinSet::new();
        let newest = connections.into_iter().rev();
        for connection in newest.take(CONNECTIONS_TOLD_MAX) {
            let (function, text) = (self.clone(), Arc::clone(&text));
            let user = task.user.clone();
            posting.spawn(async move {
                let delivery = function.sockets.post(&connection, &text).await;
                if delivery == Delivery::Gone {
                    function.forget(&user, &connection).await;
                }
                delivery
            });
        }
        Ok(posting.join_all().await)
    }

    async fn forget(&self, user: &UserId, connection: &Connection) {
        if connection.may_be_opening(self.store.host().now()) {
            return;
        }
        // Else the next message finds out again.
        if let Err(error) = self.store.forget(user, connection).await {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "a closed connection was not forgotten");
        }
    }
}
