//! The sweeper, on the paused clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_aws::{Call, EmbeddedAws, Fault, QUEUE_URL};
use longhaul::chunk::Owner;
use longhaul::host::{Host, Timestamp};
use longhaul::order::Order;
use longhaul::queue::{Message, Queue};
use longhaul::quota::Quota;
use longhaul::store::{Hold, SeenLock, Step, Store};
use longhaul::sweeper::{Patience, Sweeper, Swept};
use longhaul::task::{Status, Task, Terms, Uniqueness, UserId};
use tokio::time::Instant;

const LEASE: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
const TIMEOUT: Duration = Duration::from_secs(50);
const MINUTE: Duration = Duration::from_secs(61);

struct Bench {
    aws: EmbeddedAws,
    store: Store,
    sweeper: Sweeper,
}

impl Bench {
    fn new() -> Self {
        Self::over(EmbeddedAws::default())
    }

    fn over(aws: EmbeddedAws) -> Self {
        let started = Instant::now();
        let drawn = AtomicU64::new(1);
        let host = Host::new(
            move || Timestamp(1_800_000_000_000).after(started.elapsed()),
            // Spread over all bits, and so over the shards.
            move || {
                drawn
                    .fetch_add(1, Ordering::Relaxed)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            },
        );
        let store = Store::new(aws.dynamodb("sweeper"), aws.table().name(), host);
        let queue = Queue::new(aws.sqs("sweeper"), QUEUE_URL);
        let patience = Patience {
            lease: LEASE,
            dispatches_max: 3,
        };
        let sweeper = Sweeper::new(store.clone(), queue, patience);
        Self {
            aws,
            store,
            sweeper,
        }
    }

    async fn submitted(&self, user: &str) -> Task {
        let terms = Terms {
            chunk_items: 5,
            lease: LEASE,
            lifetime: LIFETIME,
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim(user).unwrap();
        let order = Order::numbered("tuned-long-running-task", 10);
        let task = Task::new(self.store.host(), user, &order, &terms);
        self.store
            .submit(&task, None, SeenLock::Free, Quota::default())
            .await
            .unwrap();
        task
    }

    async fn claim(&self, task: &Task, chunk: usize) {
        let until = self.store.host().now().after(LEASE);
        let owner = Owner::new(7);
        let message = Message::to(task, chunk);
        let claim = self.store.claim(&message, chunk, &owner, until);
        claim.await.unwrap();
    }

    async fn complete(&self, task: &Task, chunk: usize) {
        self.claim_and_settle(task, chunk, 5).await;
    }

    /// A worker claims the chunk and settles so many of its five items.
    async fn claim_and_settle(&self, task: &Task, chunk: usize, items: u64) {
        self.claim(task, chunk).await;
        let step = Step {
            from: 0,
            to: items,
            failed: 0,
            reckoning: None,
            phase: None,
        };
        let hold = Hold::Until(self.store.host().now().after(LEASE));
        let owner = Owner::new(7);
        let advance = self.store.advance(task, chunk, &owner, step, hold);
        advance.await.unwrap();
    }

    async fn stored(&self, task: &Task) -> Task {
        let stored = self.store.task(&task.user, task.task_id);
        stored.await.unwrap().unwrap()
    }

    fn sent(&self) -> Vec<Message> {
        let sent = self.aws.take_sent().into_iter();
        sent.map(|sent| Message::parse(&sent.body).unwrap())
            .collect()
    }

    fn dispatched(&self) -> Vec<Vec<usize>> {
        let sent = self.sent().into_iter();
        sent.map(|message| message.chunks).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_message_was_lost_is_dispatched_after_its_lease_and_not_before() {
    let bench = Bench::new();
    bench.submitted("ann").await;
    assert_eq!(bench.sweeper.sweep(TIMEOUT).await, Swept::default());
    tokio::time::sleep(MINUTE).await;
    let swept = bench.sweeper.sweep(TIMEOUT).await;
    assert_eq!((swept.seen, swept.dispatched), (1, 1));
    assert_eq!(bench.dispatched(), [[0], [1]]);
    // It gets a lease's time before it is dispatched once more.
    assert_eq!(bench.sweeper.sweep(TIMEOUT).await, Swept::default());
}

#[tokio::test(start_paused = true)]
async fn a_living_task_is_left_alone_and_a_dead_chunk_of_it_is_not() {
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    bench.claim(&task, 0).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.claim(&task, 1).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    // Chunk 1 has 29 s left; chunk 0 has been silent for 61.
    let swept = bench.sweeper.sweep(TIMEOUT).await;
    assert_eq!((swept.seen, swept.dispatched), (1, 1));
    assert_eq!(bench.dispatched(), [[0]]);

    let living = bench.submitted("bob").await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    bench.claim(&living, 0).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    bench.sweeper.sweep(TIMEOUT).await;
    assert_eq!(bench.stored(&living).await.dispatches, 0);
}

#[tokio::test(start_paused = true)]
async fn the_message_for_a_dead_workers_chunk_goes_alone_although_the_worker_had_got_somewhere() {
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    bench.claim_and_settle(&task, 0, 2).await;
    tokio::time::sleep(MINUTE).await;
    let stalled = bench.stored(&task).await;
    bench.sweeper.sweep(TIMEOUT).await;
    let message = |chunk, alone| Message {
        dispatched: true,
        alone,
        ..Message::to(&stalled, chunk)
    };
    assert_eq!(bench.sent(), [message(0, true), message(1, false)]);
}

#[tokio::test(start_paused = true)]
async fn the_message_for_a_chunk_that_a_worker_left_as_it_was_goes_alone_and_is_for_its_next_turn()
{
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    bench.claim(&task, 0).await;
    let nowhere = Step {
        from: 0,
        to: 0,
        failed: 0,
        reckoning: None,
        phase: None,
    };
    let released = Hold::Released {
        alive_until: bench.store.host().now().after(LEASE),
        waited: Duration::ZERO,
        paused: Duration::ZERO,
        pause: None,
    };
    let owner = Owner::new(7);
    let advance = bench.store.advance(&task, 0, &owner, nowhere, released);
    advance.await.unwrap();
    tokio::time::sleep(MINUTE).await;
    bench.sweeper.sweep(TIMEOUT).await;
    let sent = bench.sent();
    let sent = sent.iter().map(|message| (message.alone, message.turn));
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent, [(true, Some(1)), (false, Some(0))]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_moves_while_it_is_looked_at_is_looked_at_again() {
    let slow = |call: &Call| match call.operation.as_str() {
        "GetItem" => Fault::Slow(Duration::from_millis(200)),
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(slow));
    let task = bench.submitted("ann").await;
    tokio::time::sleep(MINUTE).await;
    let moves = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.claim(&task, 0).await;
    };
    let (swept, ()) = tokio::join!(bench.sweeper.sweep(TIMEOUT), moves);
    assert_eq!(swept.seen, 1);
    // Seen as it is now, its other chunk may wait for a while.
    let due = bench.aws.table().rows();
    let due = due.iter().find_map(|row| row.get("check_at")).unwrap();
    assert!(due.as_u64().unwrap() > bench.store.host().now().0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_done_but_open_is_ended() {
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    bench.complete(&task, 0).await;
    bench.complete(&task, 1).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(bench.sweeper.sweep(TIMEOUT).await.ended, 1);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    assert!(bench.dispatched().is_empty());
    bench.submitted("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_nobody_gets_on_with_is_given_up_and_its_user_is_free() {
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    let mut sweeps = 0;
    while bench.stored(&task).await.status.is_open() {
        tokio::time::sleep(MINUTE).await;
        bench.sweeper.sweep(TIMEOUT).await;
        sweeps += 1;
    }
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.error.unwrap().contains("4 times"));
    // Three times both chunks.
    assert_eq!(bench.dispatched().len(), 6);
    // The lease doubles with every dispatch: after 1, 2, 4 and 8 minutes or so.
    assert!((7..=9).contains(&sweeps), "{sweeps} sweeps");
    bench.submitted("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_done_in_its_time_is_ended() {
    let bench = Bench::new();
    let task = bench.submitted("ann").await;
    bench.complete(&task, 0).await;
    tokio::time::sleep(LIFETIME + MINUTE).await;
    assert_eq!(bench.sweeper.sweep(TIMEOUT).await.ended, 1);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(ended.error.unwrap(), "It was not done in time.");
    bench.submitted("ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_last_item_is_done_while_its_time_is_found_to_be_over_has_not_failed() {
    let slow = |call: &Call| match call.operation.as_str() {
        "GetItem" => Fault::Slow(Duration::from_millis(200)),
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(slow));
    let task = bench.submitted("ann").await;
    bench.complete(&task, 0).await;
    tokio::time::sleep(LIFETIME + MINUTE).await;
    let last = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.complete(&task, 1).await;
    };
    let (swept, ()) = tokio::join!(bench.sweeper.sweep(TIMEOUT), last);
    assert_eq!(swept.ended, 1);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_ends_before_its_function_does_and_the_next_one_goes_on() {
    const TASKS: u32 = 300;
    // So slow that a sweep sees to a few tasks of each shard and no more.
    let slow = |call: &Call| match call.operation.as_str() {
        "GetItem" => Fault::Slow(Duration::from_millis(1_900)),
        _ => Fault::None,
    };
    let bench = Bench::over(EmbeddedAws::with_faults(slow));
    for user in 0..TASKS {
        bench.submitted(&format!("user-{user}")).await;
    }
    tokio::time::sleep(MINUTE).await;
    let began = Instant::now();
    let first = bench.sweeper.sweep(TIMEOUT).await;
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    assert!(first.seen < TASKS, "{first:?}");
    // Those that were not seen are due longest, so they come first.
    let second = bench.sweeper.sweep(TIMEOUT).await;
    assert_eq!(second.seen, second.dispatched);
    assert!(second.seen > 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_cannot_be_listed_does_not_keep_the_others_from_being_swept() {
    let unlisted = |call: &Call| {
        let shard = &call.body["ExpressionAttributeValues"][":shard"]["S"];
        match shard.as_str() {
            Some("0") => Fault::Unreachable,
            _ => Fault::None,
        }
    };
    let bench = Bench::over(EmbeddedAws::with_faults(unlisted));
    for user in 0..100 {
        bench.submitted(&format!("user-{user}")).await;
    }
    tokio::time::sleep(MINUTE).await;
    let swept = bench.sweeper.sweep(TIMEOUT).await;
    assert_eq!(swept.errors, 1);
    assert!((50..100).contains(&swept.dispatched), "{swept:?}");
}
