//! Who keeps the thread that all items share is told why they are slow.

use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use longhaul::executor::Executor;
use longhaul::runner::{Phase, Runners, StoredItem};
use longhaul::{Invalid, Item, ItemError, Items, Job, Limits, Process, Setup, StartError, UserId};

/// Waits, without `.await`, until it is told that it is enough.
struct Careless;

static ENOUGH: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

impl Job for Careless {
    const NAME: &'static str = "careless";
    type Request = ();
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items((): (), _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(1))
    }
}

impl Process for Careless {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn process(&self, _: Item<()>) -> Result<(), ItemError> {
        let enough = ENOUGH.lock().unwrap().take().unwrap();
        Ok(enough.recv()?)
    }
}

/// The log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_item_that_keeps_the_shared_thread_is_told_of_once_with_its_job_and_the_cure() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let (enough, waits) = mpsc::channel();
    *ENOUGH.lock().unwrap() = Some(waits);

    let executor = Executor::apart().unwrap();
    let runners = Runners::new::<(Careless,)>(&Setup::of(&[]), &executor);
    let task_id = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let item = StoredItem {
        user: UserId::from_claim("ann").unwrap(),
        task_id,
        first_task_id: task_id,
        index: 0,
        attempt: 1,
        input: None,
        phase: Phase::default(),
        begun: Arc::default(),
        leave_at: tokio::time::Instant::now() + Duration::from_secs(60),
    };
    let item = tokio::spawn(
        runners
            .get("careless", 1)
            .unwrap()
            .batch(None)
            .attempt(item),
    );
    let written = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    while written().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It does not say so again.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    enough.send(()).unwrap();
    item.await.unwrap();
    let written = written();
    assert_eq!(written.lines().count(), 1, "{written}");
    assert!(
        written.contains("careless") && written.contains("BLOCKING"),
        "{written}"
    );
}
