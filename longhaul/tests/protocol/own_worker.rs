//! A job that has a worker of its own: who offers it, where its messages go, and who works on them.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use embedded_aws::{Call, EmbeddedAws, Fault, QUEUE_URL};
use lambda_http::Request;
use longhaul::config::{ConfigError, Environment};
use longhaul::executor::Executor;
use longhaul::host::Host;
use longhaul::order::Order;
use longhaul::queue::{JobQueues, Message, Queue};
use longhaul::quota::Quota;
use longhaul::runner::Runners;
use longhaul::status::StatusReader;
use longhaul::store::{SeenLock, Store};
use longhaul::submit::Submit;
use longhaul::sweeper::{Patience, Sweeper};
use longhaul::task::{Status, Task, Terms, Uniqueness, UserId};
use longhaul::worker::{HOPS_MAX, Pace, Worker};
use longhaul::{
    Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError, status, submit,
    sweeper, worker,
};
use serde_json::{Value, json};

const SUBMIT: &str = include_str!("../../../events/submit.json");
const RETRY: &str = include_str!("../../../events/retry.json");
const STATUS: &str = include_str!("../../../events/status.json");
const LIST: &str = include_str!("../../../events/list.json");
const SAMPLE_USER: &str = "3f1c2b9e-7a54-4d0e-9b1a-5f7d6c8e9a10";
const SAMPLE_TASK: &str = "0198c0de-0000-7000-8000-000000000001";
const SAMPLE_JOB: &str = "tuned-long-running-task";
const OWN_QUEUE_URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/render";

/// A job whose items are numbered, with a worker of its own or without.
struct Numbered<const OWN: bool>;

impl<const OWN: bool> Job for Numbered<OWN> {
    const NAME: &'static str = if OWN { "render" } else { SAMPLE_JOB };
    const ITEMS_IN_FLIGHT: Option<u16> = Some(5);
    const OWN_WORKER: bool = OWN;
    type Request = Value;
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items(_: Value, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(3))
    }
}

impl<const OWN: bool> Process for Numbered<OWN> {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        Ok(())
    }
}

/// A job of which one item at a time is processed, and takes nearly as long as an invocation.
struct Slow;

impl Job for Slow {
    const NAME: &'static str = "slow";
    const ITEMS_IN_FLIGHT: Option<u16> = Some(1);
    type Request = Value;
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items(_: Value, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(1))
    }
}

impl Process for Slow {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        tokio::time::sleep(Duration::from_secs(100)).await;
        Ok(())
    }
}

type Jobs = (Numbered<false>, Numbered<true>);

/// Whether the environment names the queue of the job.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Yes,
    No,
}

struct Bench {
    aws: EmbeddedAws,
    store: Store,
    queue: Queue,
}

impl Bench {
    fn new(named: Named) -> Self {
        Self::over(EmbeddedAws::default(), named)
    }

    fn over(aws: EmbeddedAws, named: Named) -> Self {
        let mut own = JobQueues::default();
        if named == Named::Yes {
            own.add("render", OWN_QUEUE_URL).unwrap();
        }
        Self {
            store: Store::new(aws.dynamodb("test"), aws.table().name(), Host::system()),
            queue: Queue::new(aws.sqs("test"), QUEUE_URL).with_own(own),
            aws,
        }
    }

    fn terms() -> Terms {
        Terms {
            chunk_items: 2,
            lease: Duration::from_secs(60),
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        }
    }

    async fn stored(&self, job: &'static str) -> Task {
        let user = UserId::from_claim(SAMPLE_USER).unwrap();
        let order = Order::numbered(job, 3);
        let task = Task::new(self.store.host(), user, &order, &Self::terms());
        let submitted = self
            .store
            .submit(&task, None, SeenLock::Free, Quota::default());
        submitted.await.unwrap();
        task
    }

    async fn post(&self, event: &str) -> (u16, Value) {
        let limits = Limits::new(10_000);
        let (store, queue) = (self.store.clone(), self.queue.clone());
        let submit = Submit::new::<Jobs>(store, queue, limits, Self::terms());
        let response = submit.handle(&request(event)).await;
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    }

    async fn get(&self, event: &str) -> (u16, Value) {
        let limits = Limits::new(10_000);
        let status = StatusReader::new::<Jobs>(self.store.clone(), limits, self.queue.own());
        let response = status.handle(&request(event)).await;
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    }

    fn worker(&self, own_job: Option<&str>) -> Worker {
        let pace = Pace {
            items_in_flight: 1,
            lease: Duration::from_secs(60),
            progress_interval: Duration::ZERO,
            slice: Duration::from_secs(60),
        };
        let runners = Runners::new::<Jobs>(&Setup::of(&[]), &Executor::here());
        let worker = Worker::new(self.store.clone(), self.queue.clone(), pace, runners);
        worker.only_for(own_job.map(str::to_owned))
    }

    /// Has a worker deal with a message; returns whether it did.
    async fn works(&self, own_job: Option<&str>, message: &Message) -> bool {
        let _ = (self.aws.take_calls(), self.aws.take_sent());
        let body = serde_json::to_string(message).unwrap();
        let record = json!({"messageId": "1", "body": body});
        let event: SqsEvent = serde_json::from_value(json!({ "Records": [record] })).unwrap();
        let worker = self.worker(own_job);
        let response = worker.handle(event, Duration::from_secs(600)).await;
        response.batch_item_failures.is_empty()
    }
}

fn request(event: &str) -> Request {
    longhaul::serve::request(event).unwrap()
}

/// The sample event, about this job.
fn about(event: &str, job: &str) -> String {
    event.replace(SAMPLE_JOB, job)
}

#[tokio::test]
async fn a_task_goes_to_the_worker_of_its_job() {
    let bench = Bench::new(Named::Yes);
    for (job, url) in [(SAMPLE_JOB, QUEUE_URL), ("render", OWN_QUEUE_URL)] {
        let (status, body) = bench.post(&about(SUBMIT, job)).await;
        assert_eq!(status, 200, "{body}");
        let sent = bench.aws.take_sent();
        assert_eq!((sent.len(), sent[0].queue_url.as_str()), (1, url));
        let task_id = body["data"]["task_id"].as_str().unwrap();
        let user = UserId::from_claim(SAMPLE_USER).unwrap();
        let task = bench.store.task(&user, task_id.parse().unwrap()).await;
        bench.store.cancel(&task.unwrap().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_stalled_task_is_dispatched_to_the_worker_of_its_job() {
    let bench = Bench::new(Named::Yes);
    let task = bench.stored("render").await;
    // By a clock of three minutes later.
    let host = Host::new(
        || Host::system().now().after(Duration::from_secs(180)),
        || 0,
    );
    let store = Store::new(bench.aws.dynamodb("test"), bench.aws.table().name(), host);
    let patience = Patience {
        lease: Duration::from_secs(60),
        dispatches_max: 10,
    };
    let sweeper = Sweeper::new(store, bench.queue.clone(), patience);
    let swept = sweeper.sweep(Duration::from_secs(50)).await;
    assert_eq!((swept.dispatched, swept.errors), (1, 0));
    let sent = bench.aws.take_sent();
    assert_eq!(sent.len(), task.chunks.len());
    assert!(sent.iter().all(|sent| sent.queue_url == OWN_QUEUE_URL));
}

#[tokio::test]
async fn a_job_whose_worker_is_not_deployed_is_not_offered_and_its_tasks_are_still_there() {
    let listed = |body: &Value| -> Vec<String> {
        let jobs = body["data"]["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let jobs = LIST
        .replace(&format!("/api/{SAMPLE_JOB}/"), "/api/")
        .replace(&format!("\"job\": \"{SAMPLE_JOB}\""), "\"x\": \"\"");
    let named = Bench::new(Named::Yes);
    let (_, all) = named.get(&jobs).await;
    assert_eq!(listed(&all), [SAMPLE_JOB, "render"]);

    let bench = Bench::new(Named::No);
    let (_, offered) = bench.get(&jobs).await;
    assert_eq!(listed(&offered), [SAMPLE_JOB]);
    let (status, body) = bench.post(&about(SUBMIT, "render")).await;
    assert_eq!(
        (status, &body["message"]),
        (404, &json!("Job not found")),
        "{body}"
    );
    assert_eq!(bench.aws.take_sent(), []);

    let task = bench.stored("render").await;
    let of_task =
        |event: &str| about(event, "render").replace(SAMPLE_TASK, &task.task_id.to_string());
    let (status, body) = bench.get(&of_task(STATUS)).await;
    assert_eq!((status, &body["data"]["job"]), (200, &json!("render")));
    let (status, body) = bench.get(&about(LIST, "render")).await;
    assert_eq!(
        (status, &body["data"]["tasks"][0]["task_id"]),
        (200, &json!(task.task_id))
    );
    bench.store.cancel(&task).await.unwrap();
    let (status, body) = bench.post(&of_task(RETRY)).await;
    let gone = "What is needed to try the items again is no longer there";
    assert_eq!((status, &body["message"]), (409, &json!(gone)));
}

#[tokio::test]
async fn each_worker_works_on_what_it_is_for_and_sends_on_what_it_is_not_for() {
    for (job, own_job, url) in [
        ("render", None, OWN_QUEUE_URL),
        (SAMPLE_JOB, Some("render"), QUEUE_URL),
    ] {
        let bench = Bench::new(Named::Yes);
        let task = bench.stored(job).await;
        let mut message = Message::to(&task, 1);
        message.alone = true;
        assert!(bench.works(own_job, &message).await);
        assert_eq!(bench.aws.take_calls(), ["GetItem", "SendMessage"]);
        let [sent] = &bench.aws.take_sent()[..] else {
            panic!("one message");
        };
        assert_eq!(sent.queue_url, url);
        // Not at once: two deployments that do not agree must not toss it to and fro.
        assert_eq!(sent.delay_seconds, 5);
        let sent = Message::parse(&sent.body).unwrap();
        message.hops += 1;
        assert_eq!(sent, message);

        let other = match own_job {
            None => Some("render"),
            Some(_) => None,
        };
        for chunk in 0..task.chunks.len() {
            assert!(bench.works(other, &Message::to(&task, chunk)).await);
        }
        let ended = bench.store.task(&task.user, task.task_id).await;
        assert_eq!(ended.unwrap().unwrap().status, Status::Success);
    }
}

#[tokio::test]
async fn a_job_whose_worker_is_gone_waits_and_is_not_worked_on_by_the_one_that_the_others_share() {
    let bench = Bench::new(Named::No);
    let task = bench.stored("render").await;
    assert!(bench.works(None, &Message::to(&task, 0)).await);
    let sent = bench.aws.take_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].queue_url.as_str(), sent[0].delay_seconds),
        (QUEUE_URL, 60)
    );
}

#[tokio::test]
async fn what_is_sent_on_too_often_or_has_ended_goes_no_further() {
    let bench = Bench::new(Named::Yes);
    let task = bench.stored("render").await;
    let message = Message {
        hops: HOPS_MAX,
        ..Message::to(&task, 0)
    };
    assert!(bench.works(None, &message).await);
    assert_eq!(bench.aws.take_sent(), []);
    bench.store.cancel(&task).await.unwrap();
    assert!(bench.works(None, &Message::to(&task, 0)).await);
    assert_eq!(bench.aws.take_sent(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_could_not_be_sent_on_comes_again() {
    let unreachable = |call: &Call| match call.operation.as_str() {
        "SendMessage" => Fault::Unreachable,
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(unreachable), Named::Yes);
    let task = bench.stored("render").await;
    assert!(!bench.works(None, &Message::to(&task, 0)).await);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_waited_for_others_of_its_job_is_not_to_blame_for_that() {
    let bench = Bench::new(Named::No);
    let mut tasks = vec![];
    for user in ["ann", "bob"] {
        let user = UserId::from_claim(user).unwrap();
        let order = Order::numbered("slow", 1);
        let task = Task::new(bench.store.host(), user, &order, &Bench::terms());
        let submitted = bench
            .store
            .submit(&task, None, SeenLock::Free, Quota::default());
        submitted.await.unwrap();
        tasks.push(task);
    }
    let records = tasks.iter().map(|task| {
        let body = serde_json::to_string(&Message::to(task, 0)).unwrap();
        json!({"messageId": task.task_id, "body": body})
    });
    let event = json!({ "Records": records.collect::<Vec<_>>() });
    let runners = Runners::new::<(Slow,)>(&Setup::of(&[]), &Executor::here());
    let pace = Pace {
        items_in_flight: 1,
        lease: Duration::from_secs(60),
        progress_interval: Duration::ZERO,
        slice: Duration::from_secs(60),
    };
    let worker = Worker::new(bench.store.clone(), bench.queue.clone(), pace, runners);
    let event = serde_json::from_value(event).unwrap();
    worker.handle(event, Duration::from_secs(120)).await;
    let mut ended = vec![];
    for task in tasks {
        let task = bench.store.task(&task.user, task.task_id).await;
        let task = task.unwrap().unwrap();
        ended.push((task.status, task.chunks[0].attempts));
    }
    ended.sort_by_key(|(status, _)| status.as_str());
    assert_eq!(ended, [(Status::Processing, 0), (Status::Success, 0)]);
}

/// What the functions say of an environment with these variables.
fn read<T>(
    variables: &[(&str, &str)],
    read: impl FnOnce(&mut Environment) -> T,
) -> Result<T, ConfigError> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        let always = [
            "TABLE_NAME",
            "QUEUE_URL",
            "MAX_ITEMS",
            "QUOTA_TASKS",
            "QUOTA_ITEMS",
            "CHUNK_ITEMS",
            "LEASE_SECONDS",
            "MAX_TASK_DAYS",
            "RETENTION_DAYS",
            "ITEMS_IN_FLIGHT",
            "PROGRESS_INTERVAL_MS",
            "SLICE_SECONDS",
            "TIMEOUT_SECONDS",
            "MAX_DISPATCHES",
        ];
        let plain = || always.contains(&name).then(|| "5".to_owned());
        let plain = || plain().or_else(|| (name == "UNIQUENESS").then(|| "user".to_owned()));
        found.map(|(_, value)| (*value).to_owned()).or_else(plain)
    };
    Environment::read_from(&lookup, read)
}

#[test]
fn a_queue_of_a_job_that_has_no_worker_of_its_own_is_noticed_at_the_start() {
    for job in ["missing", SAMPLE_JOB] {
        let entry = format!("{job}=https://sqs/1");
        let variables = [("JOB_QUEUES", entry.as_str())];
        let problem =
            format!("JOB_QUEUES has a queue for {job:?}, which is no job with an OWN_WORKER");
        let problems = [
            read(&variables, submit::Config::read::<Jobs>).map(|_| ()),
            read(&variables, status::Config::read::<Jobs>).map(|_| ()),
            read(&variables, worker::Config::read::<Jobs>).map(|_| ()),
        ];
        for found in problems {
            let found = found.unwrap_err().to_string();
            assert!(found.ends_with(&problem), "{found}");
        }
        // It knows no jobs.
        assert!(read(&variables, sweeper::Config::read).is_ok());
    }
}

#[test]
fn a_worker_of_a_job_must_know_where_its_messages_come_from() {
    let queues = ("JOB_QUEUES", "render=https://sqs/1");
    let own = |own: Option<&'static str>, queues: &[(&str, &str)]| {
        let own = own.map(|own| ("OWN_JOB", own));
        let variables: Vec<_> = own.into_iter().chain(queues.iter().copied()).collect();
        read(&variables, worker::Config::read::<Jobs>).map(|config| config.own_job)
    };
    assert_eq!(own(Some("render"), &[queues]), Ok(Some("render".into())));
    for none in [None, Some("")] {
        assert_eq!(own(none, &[queues]), Ok(None));
    }
    for (job, queues) in [("render", &[][..]), (SAMPLE_JOB, &[queues][..])] {
        let problem = format!("OWN_JOB is {job:?}, which has no queue of its own");
        let found = own(Some(job), queues).unwrap_err().to_string();
        assert!(found.ends_with(&problem), "{found}");
    }
}
