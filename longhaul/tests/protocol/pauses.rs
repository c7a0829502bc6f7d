//! "Not now": an item asks for a pause, and its chunk gets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_aws::{Call, EmbeddedAws, Fault};
use longhaul::api::TaskView;
use longhaul::executor::Executor;
use longhaul::queue::Message;
use longhaul::runner::Runners;
use longhaul::task::{Diagnosis, Status, TAKE_OVER_AFTER, Task};
use longhaul::worker::Worker;
use longhaul::{Invalid, ItemError, Items, Job, Limits, Setup, StartError};
use serde_json::json;
use tokio::time::Instant;

use crate::worker::{AMPLE, Bench, Process, body, delivery, work};

const LEASE: Duration = Duration::from_secs(60);
const SLICE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// When items were started, by index.
type Starts = Arc<Mutex<BTreeMap<u64, Vec<Duration>>>>;

/// Takes two seconds for an item, unless `end` says at once that it ends otherwise, which knows the item's index and how
/// often it was started.
fn process(
    end: impl Fn(u64, usize) -> Result<(), ItemError> + Send + Sync + 'static,
) -> (Process, Starts) {
    let began = Instant::now();
    let starts = Starts::default();
    let (noted, end) = (Arc::clone(&starts), Arc::new(end));
    let process: Process = Arc::new(move |item| {
        let (noted, end) = (Arc::clone(&noted), Arc::clone(&end));
        Box::pin(async move {
            let times = {
                let mut all = noted.lock().unwrap();
                let times = all.entry(item.index).or_default();
                times.push(began.elapsed());
                times.len()
            };
            end(item.index, times)?;
            tokio::time::sleep(2 * SECOND).await;
            Ok(String::new())
        })
    });
    (process, starts)
}

/// How often each item was started.
fn counts(starts: &Starts) -> Vec<usize> {
    starts.lock().unwrap().values().map(Vec::len).collect()
}

fn chunk(task: &Task) -> &longhaul::chunk::Chunk {
    &task.chunks[0]
}

/// Delivers what was sent when it is due, until nothing is sent any more. Returns how many deliveries that took.
async fn work_to_the_end(bench: &Bench, worker: &Worker, task: &Task) -> usize {
    let mut next = Some(body(task, &[0]));
    let mut deliveries = 0;
    while let Some(body) = next {
        work(worker, &body, AMPLE).await;
        deliveries += 1;
        let mut sent = bench.aws.take_sent();
        assert!(sent.len() <= 1);
        next = None;
        if let Some(sent) = sent.pop() {
            tokio::time::sleep(Duration::from_secs(sent.delay_seconds)).await;
            next = Some(sent.body);
        }
    }
    deliveries
}

#[tokio::test(start_paused = true)]
async fn a_chunk_pauses_and_then_does_what_is_left_and_nothing_twice() {
    let bench = Bench::new();
    let task = bench.submitted(20, 100).await;
    let (process, starts) = process(|index, times| match (index, times) {
        (3, 1) => Err(ItemError::later(5 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    work(&worker, &body(&task, &[0]), AMPLE).await;

    // What was in flight beside it is finished, nothing else is begun, and no worker waits.
    assert_eq!(counts(&starts), [1, 1, 1, 1, 1]);
    let paused = bench.stored(&task).await;
    let now = bench.store.host().now();
    let left = chunk(&paused).pauses_until(now).unwrap().since(now);
    assert!(left > 4 * MINUTE && left <= 5 * MINUTE, "{left:?}");
    assert_eq!((chunk(&paused).cursor, chunk(&paused).attempts), (3, 0));
    assert!(!chunk(&paused).is_claimed());
    // The one behind it has its row, although no cursor counts it.
    assert_eq!(bench.outcomes().len(), 4);
    assert_eq!(paused.progress().done, 3);

    let sent = bench.aws.take_sent().pop().unwrap();
    let delay = Duration::from_secs(sent.delay_seconds);
    assert!(delay >= left && delay <= left + SECOND);
    tokio::time::sleep(delay).await;
    work(&worker, &sent.body, AMPLE).await;
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    let mut expected = vec![1; 20];
    expected[3] = 2;
    assert_eq!(counts(&starts), expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_claims_a_chunk_that_pauses_and_whoever_tries_sends_the_message_on() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let (process, starts) = process(|_, times| match times {
        1 => Err(ItemError::later(40 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    let first = body(&task, &[0]);
    work(&worker, &first, AMPLE).await;
    let mut next = bench.aws.take_sent().pop().unwrap();

    // A copy of the message that was dealt with is for a turn that is over.
    work(&worker, &first, AMPLE).await;
    assert_eq!(bench.aws.take_sent(), []);
    // Had the worker died before it could send the next, its own would return, and take the place of it.
    let mut returned = delivery([&*first]);
    let attributes = &mut returned.records[0].attributes;
    attributes.insert("ApproximateReceiveCount".into(), "2".into());
    worker.handle(returned, AMPLE).await;
    let in_place = bench.aws.take_sent().pop().unwrap();
    let message = |body: &str| Message::parse(body).unwrap();
    assert_eq!(message(&in_place.body).turn, message(&next.body).turn);

    // A queue delays by 15 minutes at most (Amazon SQS quotas).
    for expected in [900..=900, 900..=900, 595..=600] {
        let delay = next.delay_seconds;
        assert!(expected.contains(&delay), "{delay} s");
        assert_eq!(counts(&starts), [1, 1, 1]);
        tokio::time::sleep(Duration::from_secs(delay)).await;
        work(&worker, &next.body, AMPLE).await;
        next = bench.aws.take_sent().pop().unwrap_or(next);
    }
    assert_eq!(counts(&starts), [2, 2, 2]);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_is_waited_for_in_place() {
    let bench = Bench::new();
    let task = bench.submitted(20, 100).await;
    let (process, starts) = process(|index, times| match (index, times) {
        (3, 1..=2) => Err(ItemError::later(SECOND)),
        (4, 1) => Err(ItemError::later(Duration::ZERO)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    assert_eq!(work_to_the_end(&bench, &worker, &task).await, 1);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    let starts = starts.lock().unwrap();
    // Two ask for a second. There is room for two then, and for two more at 3 s: others go before those who asked.
    let at = |index| {
        starts[&index]
            .iter()
            .map(Duration::as_secs)
            .collect::<Vec<_>>()
    };
    assert_eq!([at(5), at(6)], [[1], [1]]);
    assert_eq!(at(4), [0, 3]);
    assert_eq!(at(3)[..2], [0, 3]);
    assert_eq!(at(3).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_no_attempt_however_often_it_is_asked_for() {
    let bench = Bench::new();
    let task = bench.submitted(2, 100).await;
    let (process, starts) = process(|_, times| match times {
        1..=9 => Err(ItemError::later(6 * MINUTE)),
        10..=12 => Err(ItemError::retryable("Not yet.")),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    assert_eq!(work_to_the_end(&bench, &worker, &task).await, 10);
    // Nine pauses cost no attempt of three.
    assert_eq!(counts(&starts), [12, 12]);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("2 of 2 items failed."));
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_of_pauses_items_fail_and_say_why() {
    let bench = Bench::new();
    let task = bench.submitted(8, 100).await;
    let (process, starts) = process(|index, _| match index {
        6.. => Ok(()),
        _ => Err(ItemError::later(20 * MINUTE)),
    });
    let worker = bench.worker(2, SLICE, process);
    let began = Instant::now();
    let deliveries = work_to_the_end(&bench, &worker, &task).await;
    // Three pauses, each with two deliveries more because a message is delayed by 15 minutes at most; then all of them
    // fail, and none asks for another hour.
    assert_eq!(deliveries, 1 + 3 * 2);
    assert!(began.elapsed() < 61 * MINUTE, "{:?}", began.elapsed());
    assert_eq!(counts(&starts), [4, 4, 1, 1, 1, 1, 1, 1]);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("6 of 8 items failed."));
    let rows = bench.aws.table().rows();
    let reasons: Vec<_> = rows
        .iter()
        .filter_map(|row| row.get("error")?.as_str())
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("not available"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_more_than_an_hour_is_not_waited_for() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let (process, starts) = process(|index, _| match index {
        1 => Err(ItemError::later(61 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    assert_eq!(work_to_the_end(&bench, &worker, &task).await, 1);
    assert_eq!(counts(&starts), [1, 1, 1]);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("1 of 3 items failed."));
}

#[tokio::test(start_paused = true)]
async fn the_hour_begins_anew_when_something_gets_through() {
    let bench = Bench::new();
    let task = bench.submitted(6, 100).await;
    // Each item waits for 50 minutes, one after the other.
    let (process, _) = process(|_, times| match times {
        1 => Err(ItemError::later(50 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(1, SLICE, process);
    let began = Instant::now();
    work_to_the_end(&bench, &worker, &task).await;
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    assert!(began.elapsed() > 3 * 60 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_takes_all_the_time_there_is_is_blamed_whatever_others_ask_for() {
    let bench = Bench::new();
    let task = bench.submitted(2, 100).await;
    let process: Process = Arc::new(|item| {
        Box::pin(async move {
            if item.index == 0 {
                std::future::pending::<()>().await;
            }
            Err(ItemError::later(5 * MINUTE))
        })
    });
    let worker = bench.worker(5, SLICE, process);
    work_to_the_end(&bench, &worker, &task).await;
    let ended = bench.stored(&task).await;
    let reason = "Item 0 could not be processed: 3 workers in a row did not get past it.";
    assert_eq!(ended.error.as_deref(), Some(reason));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_stored_is_nobodys_fault() {
    let refuse = |call: &Call| match call.operation.as_str() {
        "BatchExecuteStatement" => Fault::Throttled,
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(refuse));
    let task = bench.submitted(5, 100).await;
    let (process, _) = process(|index, _| match index {
        1 => Err(ItemError::later(5 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    let body = body(&task, &[0]);
    let response = worker.handle(delivery([&*body]), AMPLE).await;
    assert_eq!(response.batch_item_failures.len(), 1);
    let stored = bench.stored(&task).await;
    assert_eq!((chunk(&stored).attempts, chunk(&stored).cursor), (0, 0));
    assert_eq!(chunk(&stored).resumes_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_pauses_is_neither_stalled_nor_abandoned_and_its_end_is_foreseen() {
    let bench = Bench::new();
    let task = bench.submitted(20, 10).await;
    let (process, _) = process(|index, times| match (index, times) {
        (8, 1) => Err(ItemError::later(14 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(2, SLICE, process);
    for chunk in [0, 1] {
        work(&worker, &body(&task, &[chunk]), AMPLE).await;
    }
    // The other chunk's last write says that the task is alive for another lease, and knows nothing of the pause.
    let paused = bench.stored(&task).await;
    let resumes_at = chunk(&paused).resumes_at.unwrap();
    let now = bench.store.host().now();
    assert!(paused.lease_until < resumes_at);
    assert_eq!(paused.pauses_until(now), Some(resumes_at));
    let patient = |at| paused.diagnose(at, LEASE, 10);
    let until = resumes_at.after(LEASE);
    assert_eq!(patient(now), Diagnosis::Alive(until));
    assert_eq!(patient(until), Diagnosis::Alive(until));
    assert_eq!(patient(until.after(SECOND)), Diagnosis::Stalled(vec![0]));
    assert!(!paused.is_abandoned(until.after(TAKE_OVER_AFTER)));
    assert!(paused.is_abandoned(until.after(2 * TAKE_OVER_AFTER)));

    // One item, or two one after the other, is left for the time after it.
    let left = resumes_at.since(now);
    let estimate = |at| paused.time_left(at).unwrap();
    assert!(
        (left..left + 10 * SECOND).contains(&estimate(now)),
        "{:?}",
        estimate(now)
    );
    let later = now.after(10 * MINUTE);
    assert_eq!(estimate(now), estimate(later) + 10 * MINUTE);
    assert_eq!(paused.polling_interval(now), Some(MINUTE));
    let soon = now.after(left.saturating_sub(20 * SECOND));
    assert_eq!(paused.polling_interval(soon), Some(20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_foreseen_also_after_a_turn_in_which_nothing_got_through() {
    let bench = Bench::new();
    let task = bench.submitted(20, 100).await;
    let (process, _) = process(|index, times| match (index, times) {
        (10.., ..=2) => Err(ItemError::later(10 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    let mut next = body(&task, &[0]);
    for _ in 0..2 {
        work(&worker, &next, AMPLE).await;
        let paused = bench.stored(&task).await;
        let now = bench.store.host().now();
        let left = paused.time_left(now).unwrap();
        assert!(left > 10 * MINUTE && left < 12 * MINUTE, "{left:?}");
        let sent = bench.aws.take_sent().pop().unwrap();
        tokio::time::sleep(Duration::from_secs(sent.delay_seconds)).await;
        next = sent.body;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_done_is_told_while_it_is_and_costs_no_write() {
    let calls = async |process: Process| {
        let bench = Bench::new();
        let task = bench.submitted(30, 100).await;
        let worker = bench.worker(5, SLICE, process);
        let message = body(&task, &[0]);
        let watch = async {
            tokio::time::sleep(7 * SECOND).await;
            bench.stored(&task).await
        };
        let (at_work, ()) = tokio::join!(watch, work(&worker, &message, AMPLE));
        let view = |task: &Task| {
            let view = TaskView::new(task, bench.store.host().now());
            serde_json::to_value(view).unwrap()["phase"].clone()
        };
        let shown = [view(&at_work), view(&bench.stored(&task).await)];
        (bench.aws.take_calls().len(), shown)
    };
    let (silent, _) = process(|_, _| Ok(()));
    let speaking: Process = Arc::new(|item| {
        Box::pin(async move {
            item.set_phase(format!("Item {}", item.index / 10 * 10));
            tokio::time::sleep(2 * SECOND).await;
            Ok(String::new())
        })
    });
    let (silent, shown) = calls(silent).await;
    assert_eq!(shown, [json!(null), json!(null)]);
    let (speaking, shown) = calls(speaking).await;
    assert_eq!(shown, [json!("Item 10"), json!(null)]);
    assert_eq!(speaking, silent);
}

#[tokio::test(start_paused = true)]
async fn what_failed_behind_the_cursor_counts_as_failed() {
    let bench = Bench::new();
    let task = bench.submitted(4, 100).await;
    let (process, starts) = process(|index, times| match (index, times) {
        (0, 1) => Err(ItemError::later(5 * MINUTE)),
        (2, _) => Err(ItemError::permanent("Never.")),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    assert_eq!(work_to_the_end(&bench, &worker, &task).await, 2);
    assert_eq!(counts(&starts), [2, 1, 1, 1]);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("1 of 4 items failed."));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_all_the_time_there_is_fails_and_harms_nobody() {
    let bench = Bench::new();
    let task = bench.submitted(2, 100).await;
    let (process, _) = process(|index, times| match (index, times) {
        (0, 1) => Err(ItemError::later(5 * MINUTE)),
        (0, _) => Err(ItemError::later(Duration::MAX)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    assert_eq!(work_to_the_end(&bench, &worker, &task).await, 2);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.error.as_deref(), Some("1 of 2 items failed."));
}

#[tokio::test(start_paused = true)]
async fn pauses_that_are_over_when_the_chunk_is_left_count_as_well() {
    let bench = Bench::new();
    let task = bench.submitted(2, 100).await;
    let process: Process = Arc::new(|item| {
        Box::pin(async move {
            if item.index == 1 {
                std::future::pending::<()>().await;
            }
            Err(ItemError::later(5 * SECOND))
        })
    });
    let worker = bench.worker(5, SLICE, process);
    let in_time = tokio::time::timeout(24 * 60 * MINUTE, work_to_the_end(&bench, &worker, &task));
    in_time.await.unwrap();
    // The first fails after an hour of pauses, and then it is the other's turn to be blamed.
    let ended = bench.stored(&task).await;
    let reason = "Item 1 could not be processed: 3 workers in a row did not get past it.";
    assert_eq!(ended.error.as_deref(), Some(reason));
}

#[tokio::test(start_paused = true)]
async fn what_got_through_begins_the_hour_anew_also_if_the_worker_dies_then() {
    let bench = Bench::new();
    let task = bench.submitted(3, 100).await;
    let (process, _) = process(|index, times| match (index, times) {
        (0, 1) => Err(ItemError::later(55 * MINUTE)),
        (1, 2) => Err(ItemError::later(10 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(1, SLICE, process);
    work(&worker, &body(&task, &[0]), AMPLE).await;
    tokio::time::sleep(56 * MINUTE).await;
    let at_present = |task: &Task| serde_json::to_string(&Message::to(task, 0)).unwrap();
    let next = at_present(&bench.stored(&task).await);
    let dies = tokio::time::timeout(3 * SECOND, work(&worker, &next, AMPLE));
    dies.await.unwrap_err();
    let left = bench.stored(&task).await;
    assert_eq!(chunk(&left).cursor, 1);
    tokio::time::sleep(2 * LEASE).await;
    let _ = bench.aws.take_sent();
    work(&worker, &at_present(&left), AMPLE).await;
    let paused = bench.stored(&task).await;
    assert!(
        chunk(&paused)
            .pauses_until(bench.store.host().now())
            .is_some()
    );
    assert_eq!(paused.progress().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_could_begin_only_late_for_pauses_is_not_blamed() {
    let bench = Bench::new();
    let task = bench.submitted(1, 100).await;
    let began = Instant::now();
    // For an hour and a half what it takes is available only after 50 seconds of each turn, and then there is not
    // enough time for the item.
    let process: Process = Arc::new(move |item| {
        Box::pin(async move {
            let is_busy = began.elapsed() < 90 * MINUTE;
            if is_busy && item.time_left() + MINUTE > AMPLE {
                return Err(ItemError::later(SECOND));
            }
            tokio::time::sleep(AMPLE.saturating_sub(MINUTE / 2)).await;
            Ok(String::new())
        })
    });
    let worker = bench.worker(5, SLICE, process);
    work_to_the_end(&bench, &worker, &task).await;
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_last_is_shown_whoever_saves_last() {
    let bench = Bench::new();
    let task = bench.submitted(40, 20).await;
    let process: Process = Arc::new(|item| {
        Box::pin(async move {
            match item.index {
                0 => item.set_phase("First"),
                22 => item.set_phase("Second"),
                _ => {}
            }
            tokio::time::sleep(2 * SECOND).await;
            Ok(String::new())
        })
    });
    let worker = bench.worker(1, SLICE, process);
    let (one, other) = (body(&task, &[0]), body(&task, &[1]));
    let watch = async {
        let mut seen = vec![];
        for _ in 0..30 {
            tokio::time::sleep(SECOND).await;
            let phase = bench.stored(&task).await.phase;
            if seen.last() != Some(&phase) {
                seen.push(phase);
            }
        }
        seen
    };
    let work = async { worker.handle(delivery([&*one, &*other]), AMPLE).await };
    let (seen, _) = tokio::join!(watch, work);
    let said = |words: &str| Some(words.to_owned());
    assert_eq!(seen, [None, said("First"), said("Second")]);
}

#[tokio::test(start_paused = true)]
async fn a_message_for_many_chunks_that_returns_is_sent_on_for_those_that_pause() {
    let bench = Bench::new();
    let task = bench.submitted(4, 2).await;
    let (process, starts) = process(|index, times| match (index, times) {
        (0, 1) => Err(ItemError::later(5 * MINUTE)),
        _ => Ok(()),
    });
    let worker = bench.worker(5, SLICE, process);
    let first = body(&task, &[0, 1]);
    work(&worker, &first, AMPLE).await;
    // The worker died before it could send the message for afterwards; the one that it had comes again.
    let _ = bench.aws.take_sent();
    let mut returned = delivery([&*first]);
    let attributes = &mut returned.records[0].attributes;
    attributes.insert("ApproximateReceiveCount".into(), "2".into());
    worker.handle(returned, AMPLE).await;
    let sent = bench.aws.take_sent();
    let delayed = sent.iter().find(|sent| sent.delay_seconds > 0).unwrap();
    assert_eq!(Message::parse(&delayed.body).unwrap().chunks, [0]);
    tokio::time::sleep(Duration::from_secs(delayed.delay_seconds)).await;
    work(&worker, &delayed.body, AMPLE).await;
    assert_eq!(counts(&starts), [2, 1, 1, 1]);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

/// Three items of it at a time, in a process, two of which take long; those of the second chunk ask for a pause.
struct ThreeAtATime(Arc<Mutex<Vec<u64>>>);

impl Job for ThreeAtATime {
    const NAME: &'static str = "tuned-long-running-task";
    const ITEMS_IN_FLIGHT: Option<u16> = Some(3);
    type Request = u64;
    type Shared = ();
    type Input = ();
    type Output = ();

    fn items(number: u64, _: &Limits) -> Result<Items<()>, Invalid> {
        Ok(Items::numbered(number))
    }
}

impl longhaul::Process for ThreeAtATime {
    async fn start(_: &Setup) -> Result<Self, StartError> {
        Err(StartError::new("a test starts it"))
    }

    async fn process(&self, item: longhaul::Item<()>) -> Result<(), ItemError> {
        self.0.lock().unwrap().push(item.index);
        let seconds = match item.index {
            1 | 2 => 30,
            10.. => 1,
            _ => 2,
        };
        tokio::time::sleep(seconds * SECOND).await;
        match item.index {
            10.. => Err(ItemError::later(5 * MINUTE)),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_others_of_its_job_does_not_begin_in_the_pause() {
    let bench = Bench::new();
    let task = bench.submitted(20, 10).await;
    let begun = Arc::new(Mutex::new(vec![]));
    let job = ThreeAtATime(Arc::clone(&begun));
    let runners = Runners::default().with(job, &Executor::here());
    let worker = bench.worker_of(runners, 10, SLICE);
    let batch = delivery([&*body(&task, &[0]), &*body(&task, &[1])]);
    worker.handle(batch, AMPLE).await;
    let begun = begun.lock().unwrap().clone();
    let of_the_second = begun.iter().filter(|index| **index >= 10).count();
    // The first asks, its place is the second's in the same moment, and the third would have that one's a second later.
    assert_eq!((begun.len() - of_the_second, of_the_second), (10, 2));
    let paused = bench.stored(&task).await;
    assert_eq!(
        (paused.chunks[0].cursor, paused.chunks[1].attempts),
        (10, 0)
    );
}
