//! Processes: the real handlers with the real clients, each with a clock and a life of its own.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use embedded_aws::{EmbeddedAws, QUEUE_URL};
use fastrand::Rng;
use longhaul::Job as _;
use longhaul::ended::Announce;
use longhaul::executor::Executor;
use longhaul::host::Host;
use longhaul::live::Live;
use longhaul::notify::Notify;
use longhaul::queue::{JobQueues, Queue};
use longhaul::runner::Runners;
use longhaul::sockets::Sockets;
use longhaul::store::Store;
use longhaul::worker::{Pace, Worker};

use crate::jobs::{Limited, Listed, Numbered, Place};
use crate::queue::{OWN_QUEUE_URL, QueueName};
use crate::site::Function;
use crate::stream::FAILURES_URL;
use crate::world::{Signal, World, shifted};

/// As whose the events of ended tasks are.
pub(crate) const EVENT_SOURCE: &str = "longhaul.simulation";

/// Where connections are opened, and where they are sent something and closed.
const SOCKET_URL: &str = "wss://socket.example/live";
const SOCKET_ENDPOINT: &str = "https://socket.example/live";

/// How a process ended before its handler did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Crashed,
    TimedOut,
}

/// One execution environment of a function.
pub(crate) struct Process {
    pub(crate) name: String,
    function: Function,
    pub(crate) skewed: bool,
    /// Of a worker, where its messages come from.
    pub(crate) reads: QueueName,
    world: World,
    dead: Arc<Signal>,
    config: SdkConfig,
    host: Host,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
}

impl Process {
    pub(crate) fn begin(
        world: &World,
        aws: &EmbeddedAws,
        function: Function,
        reads: QueueName,
    ) -> Self {
        let (name, skew, dead) = world.begin(function);
        let clock = world.clone();
        let seed = world.chance(|random| random.u64(..));
        let random = Mutex::new(Rng::with_seed(seed));
        let host = Host::new(
            move || shifted(clock.true_time(), skew),
            move || {
                let mut random = random
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                random.u64(..)
            },
        );
        let config = aws
            .config(&name)
            .into_builder()
            .retry_config(longhaul::aws::retries())
            .timeout_config(longhaul::aws::timeouts())
            .time_source(TimeSource(world.clone()))
            .build();
        // Processes on AWS do not share their budget of retries, and neither must two runs here.
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config)
            .retry_partition(RetryPartition::custom("dynamodb").build())
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(&config)
            .retry_partition(RetryPartition::custom("sqs").build())
            .build();
        let mut own = JobQueues::default();
        let added = own.add(Limited::NAME, OWN_QUEUE_URL);
        debug_assert!(added.is_ok());
        Self {
            store: Store::new(
                aws_sdk_dynamodb::Client::from_conf(dynamodb),
                aws.table().name(),
                host.clone(),
            ),
            queue: Queue::new(aws_sdk_sqs::Client::from_conf(sqs), QUEUE_URL).with_own(own),
            reads,
            function,
            world: world.clone(),
            skewed: skew != 0,
            dead,
            config,
            host,
            name,
        }
    }

    /// The handler of the function behind connections.
    pub(crate) fn live(&self) -> Live {
        Live::new(self.store.clone(), self.sockets(), SOCKET_URL)
    }

    /// The handler that tells pages.
    pub(crate) fn notify(&self) -> Notify {
        Notify::new(self.store.clone(), self.sockets())
    }

    fn sockets(&self) -> Sockets {
        Sockets::new(&self.config, SOCKET_ENDPOINT)
    }

    /// The handler that tells the event bus.
    pub(crate) fn announce(&self) -> Announce {
        let events = aws_sdk_eventbridge::config::Builder::from(&self.config)
            .retry_partition(RetryPartition::custom("events").build())
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(&self.config)
            .retry_partition(RetryPartition::custom("failures").build())
            .build();
        Announce::new(
            self.host.clone(),
            aws_sdk_eventbridge::Client::from_conf(events),
            aws_sdk_sqs::Client::from_conf(sqs),
            longhaul::ended::Config {
                source: EVENT_SOURCE.to_owned(),
                bus: "default".to_owned(),
                failures_url: FAILURES_URL.to_owned(),
            },
        )
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_given()
    }

    /// Runs a handler until it ends, or the process dies or is stopped after `limit`. A handler that
    /// does not end is dropped, and with it everything that it has started. It has to leave in time, whatever it is at,
    /// unless something goes wrong for it.
    pub(crate) async fn run<T>(
        &self,
        limit: Duration,
        handler: impl Future<Output = T>,
    ) -> Result<T, Death> {
        self.world.is_invoked(&self.name);
        let since = self.world.now();
        if let Some(load) = &mut self.world.state().load {
            load.begins();
        }
        let outcome = tokio::select! {
            biased;
            () = self.dead.wait() => {
                self.world.note(&self.name, "dies");
                Err(Death::Crashed)
            }
            output = handler => Ok(output),
            () = tokio::time::sleep(limit) => {
                self.world.note(&self.name, "is stopped at its timeout");
                if self.world.is_untroubled(&self.name) && self.world.is_quick(limit) {
                    let name = &self.name;
                    self.world.complain(format!(
                        "{name} ran into its timeout, although nothing went wrong for it"
                    ));
                }
                self.world.kill(&self.name);
                Err(Death::TimedOut)
            }
        };
        self.world.was_busy(self.function, since);
        if let Some(load) = &mut self.world.state().load {
            load.ends();
        }
        outcome
    }

    /// The worker's handler, whose items meet the fates of the scenario, and where they run.
    pub(crate) fn worker(&self) -> (Worker, Executor) {
        let pace = {
            let settings = &self.world.state().scenario.settings;
            Pace {
                items_in_flight: settings.items_in_flight,
                lease: settings.terms.lease,
                progress_interval: settings.progress_interval,
                slice: settings.slice,
            }
        };
        let at_work = || Place {
            world: self.world.clone(),
            process: self.name.clone(),
        };
        let executor = Executor::here();
        let mut runners = Runners::default()
            .with(Numbered(at_work()), &executor)
            .with(Limited(at_work()), &executor);
        if self.world.now() >= self.world.state().scenario.listed_known_from {
            runners = runners.with(Listed(at_work()), &executor);
        }
        let own_job = (self.reads == QueueName::Own).then(|| Limited::NAME.to_owned());
        let worker = Worker::new(self.store.clone(), self.queue.clone(), pace, runners);
        (worker.only_for(own_job), executor)
    }
}

/// The SDK's clock is the run's.
#[derive(Clone)]
struct TimeSource(World);

impl std::fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TimeSource")
    }
}

impl aws_smithy_async::time::TimeSource for TimeSource {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.true_time().0)
    }
}
