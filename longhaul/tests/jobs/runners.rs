//! Jobs as a worker does them: started once and late, items limited and apart, outcomes as they are stored.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longhaul::executor::Executor;
use longhaul::runner::{AnyBatch, Attempt, Failure, Phase, Retry, Runners, StoredItem};
use longhaul::test_kit::TestKit;
use longhaul::{
    Invalid, Item, ItemError, Items, Job, Limits, OUTPUT_BYTES_MAX, Process, Setup, StartError,
    UserId,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

/// What a job does with each of its items; the item says so.
#[derive(Clone, Copy)]
struct Does<const BLOCKING: bool>;

impl<const BLOCKING: bool> Job for Does<BLOCKING> {
    const NAME: &'static str = if BLOCKING { "does-blocking" } else { "does" };
    const VERSION: u32 = 2;
    const BLOCKING: bool = BLOCKING;
    type Request = Vec<String>;
    type Shared = Option<u32>;
    type Input = String;
    type Output = String;

    fn items(inputs: Vec<String>, _: &Limits) -> Result<Items<String, Option<u32>>, Invalid> {
        Ok(Items::list(inputs).sharing(None))
    }

    fn item_name(_: u64, input: &String) -> String {
        format!("to {input}")
    }
}

impl<const BLOCKING: bool> Process for Does<BLOCKING> {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn process(&self, item: Item<String, Option<u32>>) -> Result<String, ItemError> {
        match &*item.input {
            "panic" => panic!("on purpose"),
            "sleep" => std::thread::sleep(Duration::from_millis(50)),
            "fail" => return Err(ItemError::permanent("It cannot be done.")),
            "try again" => drop("x".parse::<u8>()?),
            "come later" => return Err(ItemError::later(Duration::from_secs(30))),
            "share" => return Ok(format!("{:?}", item.shared)),
            _ => {}
        }
        let bytes = item.input.parse().unwrap_or_default();
        Ok("x".repeat(bytes))
    }
}

fn stored(index: u64, input: Option<&str>) -> StoredItem {
    let task_id = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    StoredItem {
        user: UserId::from_claim("ann").unwrap(),
        task_id,
        first_task_id: task_id,
        index,
        attempt: 1,
        phase: Phase::default(),
        input: input.map(|json| Arc::from(RawValue::from_string(json.to_owned()).unwrap())),
        begun: Arc::default(),
        leave_at: Instant::now() + Duration::from_secs(60),
    }
}

fn batch(runners: &Runners, job: &str) -> Arc<dyn AnyBatch> {
    runners.get(job, 1).unwrap().batch(None)
}

async fn outcome(batch: &Arc<dyn AnyBatch>, input: &str) -> (String, Result<String, Failure>) {
    match Arc::clone(batch).attempt(stored(7, Some(input))).await {
        Attempt::Made { name, result } => (name, result.map(|json| json.get().to_owned())),
        Attempt::NotStarted(_) => unreachable!("it starts"),
    }
}

fn failure<T>(message: &str, retry: Retry) -> Result<T, Failure> {
    Err(Failure {
        message: message.to_owned(),
        retry,
    })
}

#[tokio::test]
async fn an_item_is_done_or_fails_with_a_sentence() {
    for executor in [Executor::here(), Executor::apart().unwrap()] {
        let runners = Runners::new::<(Does<false>, Does<true>)>(&Setup::of(&[]), &executor);
        for job in ["does", "does-blocking"] {
            let batch = batch(&runners, job);
            let outcome = async |input| outcome(&batch, input).await.1;
            assert_eq!(outcome("\"3\"").await, Ok("\"xxx\"".into()));
            assert_eq!(
                outcome("\"fail\"").await,
                failure("It cannot be done.", Retry::Never)
            );
            let hidden = "The item could not be processed.";
            assert_eq!(outcome("\"try again\"").await, failure(hidden, Retry::Soon));
            let unavailable =
                "What it takes was not available, and would not have been for more than an hour.";
            let later = Retry::Later(Duration::from_secs(30));
            assert_eq!(outcome("\"come later\"").await, failure(unavailable, later));
            let panicked = "Processing the item panicked.";
            assert_eq!(outcome("\"panic\"").await, failure(panicked, Retry::Never));
            let unreadable = "What is stored of the item cannot be read.";
            assert_eq!(outcome("5").await, failure(unreadable, Retry::Never));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_test_kit_waits_for_as_long_as_an_item_asks_but_no_longer_than_a_worker() {
    let began = Instant::now();
    let kit = TestKit::new(Does::<false>);
    let items = kit.run(r#"["come later", "3"]"#).await.unwrap();
    assert_eq!(items[1].output, Some("xxx".into()));
    assert!(items[0].error.as_ref().unwrap().contains("not available"));
    assert_eq!(items[0].attempts, 1);
    assert_eq!(began.elapsed(), Duration::from_secs(60 * 60));
}

#[tokio::test]
async fn an_output_that_is_too_large_fails_and_says_so() {
    let runners = Runners::new::<(Does<false>,)>(&Setup::of(&[]), &Executor::here());
    let batch = batch(&runners, "does");
    // With its quotes.
    let largest = OUTPUT_BYTES_MAX - 2;
    assert!(outcome(&batch, &format!("\"{largest}\"")).await.1.is_ok());
    let told = "The result is too large: 4097 bytes, where 4096 are allowed.";
    let larger = format!("\"{}\"", largest + 1);
    assert_eq!(
        outcome(&batch, &larger).await.1,
        failure(told, Retry::Never)
    );
}

#[tokio::test]
async fn an_item_has_its_name_whatever_becomes_of_it() {
    let runners = Runners::new::<(Does<false>,)>(&Setup::of(&[]), &Executor::here());
    let batch = batch(&runners, "does");
    assert_eq!(outcome(&batch, "\"fail\"").await.0, "to fail");
    assert_eq!(outcome(&batch, "\"panic\"").await.0, "to panic");
    assert_eq!(outcome(&batch, "5").await.0, "Item 7");
    let long = format!("\"{}\"", "ä".repeat(1000));
    assert_eq!(
        outcome(&batch, &long).await.0.chars().count(),
        "to ".len() + 98 + 1
    );
}

#[tokio::test]
async fn the_shared_value_is_what_was_stored_and_nothing_is_null() {
    let runners = Runners::new::<(Does<false>,)>(&Setup::of(&[]), &Executor::here());
    let job = || runners.get("does", 1).unwrap();
    let share = async |batch| outcome(&batch, "\"share\"").await.1;
    assert_eq!(share(job().batch(None)).await, Ok("\"None\"".into()));
    let shared = RawValue::from_string("5".into()).unwrap();
    assert_eq!(
        share(job().batch(Some(&shared))).await,
        Ok("\"Some(5)\"".into())
    );
    let shared = RawValue::from_string("{}".into()).unwrap();
    let unreadable = "What is stored of the item cannot be read.";
    assert_eq!(
        share(job().batch(Some(&shared))).await,
        failure(unreadable, Retry::Never)
    );
}

#[tokio::test]
async fn a_task_of_a_job_or_a_version_that_is_yet_to_come_is_not_for_this_worker() {
    let runners = Runners::new::<(Does<false>,)>(&Setup::of(&[]), &Executor::here());
    assert!(runners.get("does", 1).is_some());
    assert!(runners.get("does", 2).is_some());
    assert!(runners.get("does", 3).is_none());
    assert!(runners.get("does-blocking", 1).is_none());
}

#[tokio::test]
async fn items_that_block_run_side_by_side_if_the_job_says_that_they_do() {
    let executor = Executor::apart().unwrap();
    let runners = Runners::new::<(Does<true>,)>(&Setup::of(&[]), &executor);
    let batch = batch(&runners, "does-blocking");
    let began = std::time::Instant::now();
    let items: Vec<_> = (0..100)
        .map(|index| tokio::spawn(Arc::clone(&batch).attempt(stored(index, Some("\"sleep\"")))))
        .collect();
    for item in items {
        assert!(matches!(
            item.await.unwrap(),
            Attempt::Made { result: Ok(_), .. }
        ));
    }
    // One after another they take five seconds.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// How often something happened, and how often at once.
#[derive(Default)]
struct Counts {
    starts: AtomicU32,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
}

/// The counts of the one test that uses the job.
static STARTS: Mutex<Option<Arc<Counts>>> = Mutex::new(None);

/// Starts at the third attempt, and has few items in flight.
struct Fussy(Arc<Counts>);

impl Job for Fussy {
    const NAME: &'static str = "fussy";
    const ITEMS_IN_FLIGHT: Option<u16> = Some(3);
    type Request = ();
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items((): (), _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(1))
    }
}

impl Process for Fussy {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        let counts = STARTS.lock().unwrap().clone().unwrap();
        match counts.starts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StartError::new("there is no secret")),
            1 => panic!("on purpose"),
            _ => Ok(Self(counts)),
        }
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        let at_once = self.0.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most_at_once.fetch_max(at_once, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.at_once.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_starts_late_and_once_and_if_it_cannot_then_no_item_fails_and_no_other_job_waits() {
    let counts = Arc::new(Counts::default());
    *STARTS.lock().unwrap() = Some(Arc::clone(&counts));
    let starts = || counts.starts.load(Ordering::Relaxed);
    let runners = Runners::new::<(Fussy, Does<false>)>(&Setup::of(&[]), &Executor::here());
    let fussy = batch(&runners, "fussy");
    assert_eq!(starts(), 0);

    let attempt = async || Arc::clone(&fussy).attempt(stored(0, None)).await;
    let pause = async || match attempt().await {
        Attempt::NotStarted(pause) => Some(pause),
        Attempt::Made { .. } => None,
    };
    assert_eq!(pause().await, Some(Duration::from_secs(5)));
    assert_eq!(
        outcome(&batch(&runners, "does"), "\"1\"").await.1,
        Ok("\"x\"".into())
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(pause().await, Some(Duration::from_secs(3)));
    assert_eq!(starts(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(pause().await, Some(Duration::from_secs(10)));
    assert_eq!(starts(), 2);
    tokio::time::sleep(Duration::from_secs(10)).await;

    // Two tasks of the job have no more items in flight than one.
    let batches = [Arc::clone(&fussy), batch(&runners, "fussy")];
    let began = Instant::now();
    let items: Vec<_> = batches
        .iter()
        .cycle()
        .take(12)
        .map(|batch| tokio::spawn(Arc::clone(batch).attempt(stored(0, None))))
        .collect();
    for item in items {
        assert!(matches!(
            item.await.unwrap(),
            Attempt::Made { result: Ok(_), .. }
        ));
    }
    assert_eq!(starts(), 3);
    assert_eq!(counts.most_at_once.load(Ordering::Relaxed), 3);
    assert_eq!(began.elapsed(), Duration::from_secs(4));
}
