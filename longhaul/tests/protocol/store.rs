//! The store against an embedded `DynamoDB`, through the SDK's real client: every expression is
//! evaluated, every condition can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_aws::{Call, EmbeddedAws, Fault};
use longhaul::chunk::Owner;
use longhaul::host::{Host, Timestamp};
use longhaul::listing::{ItemCursor, Listing};
use longhaul::order::Order;
use longhaul::queue::Message;
use longhaul::quota::Quota;
use longhaul::store::{
    Advance, Cancellation, Claim, Hold, ItemOutcome, ItemRow, OPEN_SHARDS, SeenLock, Step, Store,
    Submission,
};
use longhaul::task::{
    Diagnosis, IdempotencyKey, Outcome, Status, Task, TaskId, Terms, Uniqueness, UserId,
};
use tokio::time::Instant;

const LEASE: Duration = Duration::from_secs(60);
const START: u64 = 1_800_000_000_000;

/// A store whose clock the test turns.
struct Bench {
    aws: EmbeddedAws,
    store: Store,
    clock: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        Self::over(EmbeddedAws::default())
    }

    fn over(aws: EmbeddedAws) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let (time, drawn) = (Arc::clone(&clock), AtomicU64::new(0));
        let host = Host::new(
            move || Timestamp(time.load(Ordering::Relaxed)),
            move || drawn.fetch_add(1, Ordering::Relaxed) << 32,
        );
        let store = Store::new(aws.dynamodb("test"), aws.table().name(), host);
        Self { aws, store, clock }
    }

    fn wait(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    fn until(&self) -> Timestamp {
        self.store.host().now().after(LEASE)
    }

    fn new_task(&self, user: &str, number_of_items: u64) -> Task {
        let terms = Terms {
            chunk_items: 10,
            lease: LEASE,
            lifetime: Duration::from_secs(7 * 86_400),
            retention: Duration::from_secs(86_400),
            uniqueness: Uniqueness::User,
            quota: Quota::default(),
        };
        let user = UserId::from_claim(user).unwrap();
        Task::new(
            self.store.host(),
            user,
            &Order::numbered("tuned-long-running-task", number_of_items),
            &terms,
        )
    }

    async fn submit(&self, task: &Task, key: Option<&str>, seen: SeenLock<'_>) -> Submission {
        let key = key.map(|text| IdempotencyKey::from_header(text.as_bytes()).unwrap());
        self.store
            .submit(task, key.as_ref(), seen, Quota::default())
            .await
            .unwrap()
    }

    async fn submitted(&self, user: &str, number_of_items: u64) -> Task {
        let task = self.new_task(user, number_of_items);
        let submission = self.submit(&task, None, SeenLock::Free).await;
        assert_eq!(submission, Submission::Accepted);
        task
    }

    async fn claimed(&self, task: &Task, chunk: usize, owner: &Owner) -> Task {
        match self.claim(task, chunk, owner).await {
            Claim::Claimed(task) => task,
            other => panic!("{other:?}"),
        }
    }

    async fn claim(&self, task: &Task, chunk: usize, owner: &Owner) -> Claim {
        let message = Message::to(task, chunk);
        let claim = self.store.claim(&message, chunk, owner, self.until());
        claim.await.unwrap()
    }

    async fn advance(&self, task: &Task, chunk: usize, owner: &Owner, step: Step<'_>) -> Advance {
        let hold = Hold::Until(self.until());
        let advance = self.store.advance(task, chunk, owner, step, hold);
        advance.await.unwrap()
    }

    async fn stored(&self, task: &Task) -> Task {
        let stored = self.store.task(&task.user, task.task_id);
        stored.await.unwrap().unwrap()
    }

    fn locks(&self) -> usize {
        let rows = self.aws.table().rows();
        rows.iter().filter(|row| row["sk"] == "LOCK").count()
    }
}

fn step(from: u64, to: u64) -> Step<'static> {
    Step {
        from,
        to,
        failed: 0,
        reckoning: None,
        phase: None,
    }
}

fn row(index: u64, outcome: ItemOutcome) -> ItemRow {
    ItemRow {
        position: index,
        index,
        name: format!("Item {index}"),
        outcome,
        output: None,
        error: (outcome == ItemOutcome::Failed).then(|| "no luck".to_owned()),
    }
}

#[tokio::test]
async fn a_second_task_of_the_same_user_is_refused_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let first = bench.submitted("ann", 5).await;
    let before = bench.aws.table().rows();
    let second = bench.new_task("ann", 5);
    let refused = bench.submit(&second, Some("k"), SeenLock::Free);
    assert_eq!(refused.await, Submission::Busy(first.task_id));
    assert_eq!(bench.aws.table().rows(), before);
    bench.submitted("bob", 5).await;
}

#[tokio::test]
async fn a_key_is_answered_with_its_first_task_even_while_another_one_is_active() {
    let bench = Bench::new();
    let first = bench.new_task("ann", 5);
    let submit = bench.submit(&first, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::Accepted);

    let again = bench.new_task("ann", 5);
    let submit = bench.submit(&again, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::Replayed(first.task_id));

    let other_body = bench.new_task("ann", 6);
    let submit = bench.submit(&other_body, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::KeyReused);

    // Another user's key of the same text is another key.
    let foreign = bench.new_task("bob", 6);
    let submit = bench.submit(&foreign, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::Accepted);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let bench = Bench::new();
    let first = bench.new_task("ann", 5);
    let submit = bench.submit(&first, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::Accepted);
    bench.store.finish(&first, &Outcome::Success).await.unwrap();
    bench.wait(IdempotencyKey::REMEMBERED + Duration::from_secs(1));
    let later = bench.new_task("ann", 6);
    let submit = bench.submit(&later, Some("k"), SeenLock::Free);
    assert_eq!(submit.await, Submission::Accepted);
}

#[tokio::test]
async fn an_abandoned_task_is_replaced_only_while_it_does_not_move() {
    let bench = Bench::new();
    let old = bench.submitted("ann", 20).await;
    let seen = bench.stored(&old).await;
    bench.claimed(&old, 0, &Owner::new(1)).await;
    let new = bench.new_task("ann", 5);
    let submit = bench.submit(&new, None, SeenLock::Abandoned(&seen));
    assert_eq!(submit.await, Submission::Raced);
    assert_eq!(bench.stored(&old).await.status, Status::Processing);

    let seen = bench.stored(&old).await;
    let submit = bench.submit(&new, None, SeenLock::Abandoned(&seen));
    assert_eq!(submit.await, Submission::Accepted);
    assert_eq!(bench.stored(&old).await.status, Status::Failed);
    assert_eq!(bench.stored(&new).await.status, Status::Queued);
    assert_eq!(bench.locks(), 1);
}

#[tokio::test]
async fn a_lock_that_changed_hands_is_not_taken_over() {
    let bench = Bench::new();
    let holder = bench.submitted("ann", 5).await;
    let gone = bench.new_task("ann", 5).task_id;
    let new = bench.new_task("ann", 5);
    let submit = bench.submit(&new, None, SeenLock::Left(gone));
    assert_eq!(submit.await, Submission::Busy(holder.task_id));
    bench
        .store
        .finish(&holder, &Outcome::Success)
        .await
        .unwrap();
    let submit = bench.submit(&new, None, SeenLock::Left(gone));
    assert_eq!(submit.await, Submission::Raced);
}

#[tokio::test]
async fn a_chunk_has_one_owner_until_its_lease_runs_out() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 20).await;
    let claimed = bench.claimed(&task, 0, &Owner::new(1)).await;
    assert_eq!(claimed.status, Status::Processing);
    assert_eq!(claimed.chunks[0].attempts, 1);
    assert!(claimed.started_at.is_some());
    let refused = bench.claim(&task, 0, &Owner::new(2)).await;
    assert!(matches!(refused, Claim::Refused(_)));
    // The other chunk is free, and so is this one a lease later.
    bench.claimed(&task, 1, &Owner::new(3)).await;
    bench.wait(LEASE + Duration::from_millis(1));
    let claimed = bench.claimed(&task, 0, &Owner::new(2)).await;
    assert_eq!(claimed.chunks[0].attempts, 2);
}

#[tokio::test]
async fn a_worker_that_lost_its_chunk_cannot_move_the_cursor() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    let (stale, next) = (Owner::new(1), Owner::new(2));
    bench.claimed(&task, 0, &stale).await;
    bench.wait(LEASE + Duration::from_millis(1));
    bench.claimed(&task, 0, &next).await;
    let lost = bench.advance(&task, 0, &stale, step(0, 5)).await;
    assert_eq!(lost, Advance::Lost);
    let saved = bench.advance(&task, 0, &next, step(0, 3)).await;
    assert!(matches!(saved, Advance::Saved(task) if task.chunks[0].cursor == 3));
}

#[tokio::test]
async fn a_step_that_was_already_made_counts_once() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    let owner = Owner::new(1);
    bench.claimed(&task, 0, &owner).await;
    for _ in 0..2 {
        let saved = bench.advance(&task, 0, &owner, step(0, 5)).await;
        assert!(matches!(saved, Advance::Saved(task) if task.chunks[0].cursor == 5));
    }
    // A step that was held up on its way must not pull the cursor back.
    bench.advance(&task, 0, &owner, step(5, 9)).await;
    assert_eq!(
        bench.advance(&task, 0, &owner, step(0, 5)).await,
        Advance::Lost
    );
    assert_eq!(bench.stored(&task).await.chunks[0].cursor, 9);
}

#[tokio::test]
async fn progress_wipes_out_the_attempts_and_dispatches_and_a_renewal_does_not() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    assert!(bench.store.dispatch(&task, bench.until()).await.unwrap());
    let owner = Owner::new(1);
    bench.claimed(&task, 0, &owner).await;
    bench.advance(&task, 0, &owner, step(0, 0)).await;
    let renewed = bench.stored(&task).await;
    assert_eq!((renewed.dispatches, renewed.chunks[0].attempts), (1, 1));
    bench.advance(&task, 0, &owner, step(0, 1)).await;
    let moved = bench.stored(&task).await;
    assert_eq!((moved.dispatches, moved.chunks[0].attempts), (0, 0));
}

#[tokio::test]
async fn the_end_frees_the_user_and_is_final() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    let owner = Owner::new(1);
    bench.claimed(&task, 0, &owner).await;
    assert!(bench.store.finish(&task, &Outcome::Success).await.unwrap());
    assert_eq!(bench.locks(), 0);
    let ended = bench.stored(&task).await;
    assert_eq!(ended.status, Status::Success);
    assert!(ended.finished_at.is_some());
    let rows = bench.aws.table().rows();
    assert!(!rows[0].contains_key("open_shard") && !rows[0].contains_key("check_at"));
    assert_eq!(rows[0]["expires_at"], START / 1000 + 86_400);

    let failed = Outcome::failed("too late");
    assert!(!bench.store.finish(&task, &failed).await.unwrap());
    assert!(!bench.store.give_up(&task, &failed).await.unwrap());
    assert_eq!(
        bench.advance(&task, 0, &owner, step(0, 1)).await,
        Advance::Lost
    );
    assert!(matches!(
        bench.claim(&task, 0, &owner).await,
        Claim::Refused(_)
    ));
    let cancelled = bench.store.cancel(&task).await.unwrap();
    assert_eq!(cancelled, Cancellation::Ended(Status::Success));
    assert_eq!(bench.stored(&task).await, ended);
}

#[tokio::test]
async fn a_submit_that_arrives_twice_does_not_bring_its_task_back_to_life() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    bench.store.finish(&task, &Outcome::Success).await.unwrap();
    let again = bench.submit(&task, None, SeenLock::Free).await;
    assert_eq!(again, Submission::Accepted);
    assert_eq!(bench.stored(&task).await.status, Status::Success);
    assert_eq!(bench.locks(), 0);
}

#[tokio::test]
async fn an_item_is_blamed_only_by_its_chunks_owner() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    bench.claimed(&task, 0, &Owner::new(1)).await;
    let blame = Outcome::failed("it kills its workers");
    for (owner, ended) in [(Owner::new(2), false), (Owner::new(1), true)] {
        let given_up = bench.store.give_up_chunk(&task, 0, &owner, &blame);
        assert_eq!(given_up.await.unwrap(), ended);
    }
    assert_eq!(bench.stored(&task).await.status, Status::Failed);
}

#[tokio::test]
async fn a_cancelled_task_stays_cancelled_and_its_user_is_free() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    for _ in 0..2 {
        let cancelled = bench.store.cancel(&task).await.unwrap();
        assert!(
            matches!(cancelled, Cancellation::Cancelled(task) if task.status == Status::Cancelled)
        );
    }
    let next = bench.submitted("ann", 10).await;
    // Cancelling the old task once more must not free the lock of the new one.
    bench.store.cancel(&task).await.unwrap();
    assert_eq!(bench.locks(), 1);
    assert_eq!(bench.stored(&next).await.status, Status::Queued);
}

#[tokio::test]
async fn what_became_of_an_item_is_decided_once() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 60).await;
    let rows: Vec<_> = (0..30).map(|index| row(index, ItemOutcome::Done)).collect();
    let recorded = bench.store.record_items(&task, &rows);
    assert_eq!(recorded.await.unwrap(), rows);

    let later: Vec<_> = (20..40)
        .map(|index| row(index, ItemOutcome::Failed))
        .collect();
    let recorded = bench.store.record_items(&task, &later);
    let recorded = recorded.await.unwrap();
    assert_eq!(recorded.len(), 20);
    for item in recorded {
        let expected = if item.index < 30 {
            ItemOutcome::Done
        } else {
            ItemOutcome::Failed
        };
        assert_eq!(item.outcome, expected, "{}", item.index);
    }
}

/// A task whose items are settled as the rows say, which are stored.
async fn settled(bench: &Bench, mut task: Task, rows: &[ItemRow]) -> Task {
    let recorded = bench.store.record_items(&task, rows);
    recorded.await.unwrap();
    let plan = task.plan();
    for row in rows {
        let chunk = &mut task.chunks[plan.chunk_of(row.index)];
        chunk.cursor += 1;
        chunk.failed += u64::from(row.outcome == ItemOutcome::Failed);
    }
    let _ = bench.aws.take_calls();
    task
}

/// Every page of a listing.
async fn pages(bench: &Bench, listing: &Listing<'_>, limit: usize) -> Vec<Vec<ItemRow>> {
    let mut pages = Vec::new();
    let mut next = Some(ItemCursor::default());
    while let Some(from) = next {
        let page = bench
            .store
            .items(listing, from, limit, ample())
            .await
            .unwrap();
        // As it goes to the client and comes back.
        next = page.next.map(|cursor| cursor.to_string().parse().unwrap());
        pages.push(page.entries);
    }
    pages
}

#[tokio::test]
async fn items_are_listed_in_order_and_by_outcome_and_no_page_is_empty() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 60).await;
    // Of the six chunks of ten the second has no failures, the fourth nothing else, and the last is not begun.
    let failed = |index: u64| match index / 10 {
        1 => false,
        3 => true,
        _ => index.is_multiple_of(7),
    };
    let rows: Vec<_> = (0..50)
        .map(|index| {
            let outcome = if failed(index) {
                ItemOutcome::Failed
            } else {
                ItemOutcome::Done
            };
            row(index, outcome)
        })
        .collect();
    let task = settled(&bench, task, &rows).await;
    for outcome in [None, Some(ItemOutcome::Done), Some(ItemOutcome::Failed)] {
        let is_meant = |row: &&ItemRow| outcome.is_none_or(|outcome| row.outcome == outcome);
        let expected: Vec<_> = rows.iter().filter(is_meant).cloned().collect();
        for limit in [1, 2, 5, 10, 16, 25, 33, 49, 50, 51] {
            let listing = Listing {
                task: &task,
                outcome,
            };
            let pages = pages(&bench, &listing, limit).await;
            assert_eq!(
                pages.len(),
                expected.len().div_ceil(limit),
                "{outcome:?} {limit}"
            );
            assert_eq!(pages.concat(), expected, "{outcome:?} {limit}");
        }
    }
}

#[tokio::test]
async fn where_nothing_is_to_be_listed_nothing_is_read() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 30).await;
    let begun = Listing {
        task: &task,
        outcome: None,
    };
    assert_eq!(pages(&bench, &begun, 5).await, [vec![]]);
    let rows: Vec<_> = (0..30).map(|index| row(index, ItemOutcome::Done)).collect();
    let task = settled(&bench, task, &rows).await;
    let failed = Listing {
        task: &task,
        outcome: Some(ItemOutcome::Failed),
    };
    assert_eq!(pages(&bench, &failed, 5).await, [vec![]]);
    assert!(bench.aws.take_calls().is_empty());
}

#[tokio::test]
async fn rows_that_are_not_counted_are_not_listed_and_make_no_page_short() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 30).await;
    let rows: Vec<_> = [0..4, 10..20]
        .into_iter()
        .flatten()
        .map(|index| row(index, ItemOutcome::Done))
        .collect();
    let task = settled(&bench, task, &rows).await;
    // Of a worker that lost its chunk, say.
    let uncounted: Vec<_> = [4..9, 20..25]
        .into_iter()
        .flatten()
        .map(|index| row(index, ItemOutcome::Done))
        .collect();
    let recorded = bench.store.record_items(&task, &uncounted);
    recorded.await.unwrap();
    let listing = Listing {
        task: &task,
        outcome: None,
    };
    let pages = pages(&bench, &listing, 7).await;
    assert_eq!(pages, [rows[..7].to_vec(), rows[7..].to_vec()]);
}

#[tokio::test]
async fn a_listing_reads_only_so_far_and_says_where_to_go_on() {
    const ITEMS: u64 = 1_500;
    let bench = Bench::new();
    let mut task = bench.submitted("ann", ITEMS).await;
    task.chunk_items = ITEMS;
    task.chunks.truncate(1);
    let rows: Vec<_> = (0..ITEMS)
        .map(|index| ItemRow {
            output: Some("x".repeat(4_000)),
            ..row(
                index,
                if index + 1 == ITEMS {
                    ItemOutcome::Failed
                } else {
                    ItemOutcome::Done
                },
            )
        })
        .collect();
    let task = settled(&bench, task, &rows).await;

    // How much a table reads for one of its pages is not the same everywhere: 1 MB of rows here and on AWS. So it takes
    // two listings there, and elsewhere more or fewer; none reads to the end, however far that is.
    let listing = Listing {
        task: &task,
        outcome: Some(ItemOutcome::Failed),
    };
    let mut found = Vec::new();
    let mut next = Some(ItemCursor::default());
    while let Some(from) = next {
        let page = bench.store.items(&listing, from, 5, ample()).await.unwrap();
        let calls = bench.aws.take_calls().len();
        assert!(calls <= 4, "{calls} calls");
        found.extend(page.entries);
        next = page.next;
        assert!(next.is_none_or(|next| next.from > from.from));
    }
    assert_eq!(found, rows[rows.len() - 1..]);
}

/// A moment that no listing reaches.
fn ample() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// The ids of the user's tasks, page by page.
async fn pages_of_tasks(bench: &Bench, user: &str, limit: usize) -> Vec<Vec<TaskId>> {
    let user = UserId::from_claim(user).unwrap();
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = bench.store.tasks(&user, None, limit, after).await.unwrap();
        pages.push(page.entries.iter().map(|task| task.task_id).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn the_tasks_of_one_job_are_listed_however_many_others_are_between_them() {
    const OTHER: &str = "translate";
    let bench = Bench::new();
    let user = UserId::from_claim("ann").unwrap();
    let mut expected = Vec::new();
    for n in 0..20 {
        let mut task = bench.new_task("ann", 5);
        if n % 7 != 0 {
            task.job = OTHER.into();
        }
        bench.submit(&task, None, SeenLock::Free).await;
        bench.store.finish(&task, &Outcome::Success).await.unwrap();
        if task.job != OTHER {
            expected.insert(0, task.task_id);
        }
        bench.wait(Duration::from_millis(5));
    }
    for limit in [1, 2, 3, 20] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let job = Some("tuned-long-running-task");
            let page = bench.store.tasks(&user, job, limit, after).await.unwrap();
            assert!(page.entries.len() <= limit);
            listed.extend(page.entries.iter().map(|task| task.task_id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{limit}");
    }
}

#[tokio::test]
async fn tasks_are_listed_newest_first_and_only_ones_own_and_no_page_is_empty() {
    let bench = Bench::new();
    let mut expected = Vec::new();
    for _ in 0..6 {
        let task = bench.submitted("ann", 5).await;
        bench.store.finish(&task, &Outcome::Success).await.unwrap();
        expected.insert(0, task.task_id);
        bench.wait(Duration::from_millis(5));
    }
    bench.submitted("bob", 5).await;
    for limit in 1..8 {
        let pages = pages_of_tasks(&bench, "ann", limit).await;
        assert_eq!(pages.len(), expected.len().div_ceil(limit), "{limit}");
        assert_eq!(pages.concat(), expected, "{limit}");
    }
}

#[tokio::test]
async fn tasks_that_fill_more_than_one_page_of_the_table_make_one_of_the_listing() {
    let bench = Bench::new();
    let mut expected = Vec::new();
    for _ in 0..4 {
        let mut task = bench.new_task("ann", 5);
        task.error = Some("x".repeat(380_000));
        let submission = bench.submit(&task, None, SeenLock::Free).await;
        assert_eq!(submission, Submission::Accepted);
        bench.store.finish(&task, &Outcome::Success).await.unwrap();
        expected.insert(0, task.task_id);
        bench.wait(Duration::from_millis(5));
    }
    assert_eq!(pages_of_tasks(&bench, "ann", 4).await, [expected]);
}

#[tokio::test]
async fn a_stalled_task_is_due_and_moves_out_of_the_way_when_it_was_seen_to() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 5).await;
    let due = async || {
        let mut due = Vec::new();
        for shard in 0..longhaul::store::OPEN_SHARDS {
            due.extend(bench.store.due_tasks(shard, 10).await.unwrap());
        }
        due
    };
    assert_eq!(due().await, vec![]);
    bench.wait(LEASE);
    assert_eq!(due().await, vec![(task.user.clone(), task.task_id)]);
    let seen = bench.stored(&task).await;
    bench.wait(Duration::from_millis(1));
    let diagnosis = seen.diagnose(bench.store.host().now(), LEASE, 10);
    assert_eq!(diagnosis, Diagnosis::Stalled(vec![0]));

    assert!(bench.store.dispatch(&seen, bench.until()).await.unwrap());
    assert_eq!(due().await, vec![]);
    // Two sweepers that saw the same stall send one message between them.
    bench.wait(Duration::from_millis(1));
    assert!(!bench.store.dispatch(&seen, bench.until()).await.unwrap());
    assert!(!bench.store.look_again(&seen, bench.until()).await.unwrap());
}

#[tokio::test]
async fn a_worker_that_the_sweeper_sent_for_brings_the_next_look_back_to_its_lease() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 5).await;
    bench.wait(LEASE);
    let seen = bench.stored(&task).await;
    let far = bench.store.host().now().after(LEASE * 16);
    assert!(bench.store.dispatch(&seen, far).await.unwrap());
    let (owner, until) = (Owner::new(1), bench.until());
    let message = Message {
        dispatched: true,
        ..Message::to(&task, 0)
    };
    let claim = bench.store.claim(&message, 0, &owner, until);
    assert!(matches!(claim.await.unwrap(), Claim::Claimed(_)));
    let rows = bench.aws.table().rows();
    let row = rows.iter().find(|row| row.contains_key("check_at"));
    assert_eq!(row.unwrap()["check_at"], until.0);
}

#[tokio::test]
async fn a_message_is_for_one_turn_of_its_chunk() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    let (owner, copy) = (Owner::new(1), Message::to(&task, 0));
    let claimed = bench.claimed(&task, 0, &owner).await;
    let released = Hold::Released {
        alive_until: bench.until(),
        waited: Duration::from_secs(7),
        paused: Duration::ZERO,
        pause: None,
    };
    let advance = async || {
        let advance = bench
            .store
            .advance(&claimed, 0, &owner, step(0, 0), released);
        match advance.await.unwrap() {
            Advance::Saved(task) => task,
            Advance::Lost => panic!("lost"),
        }
    };
    advance().await;
    // The same write once more, late: it is the same turn.
    let released = advance().await;
    let chunk = &released.chunks[0];
    assert_eq!((chunk.turn, chunk.waited_milliseconds), (1, 7000));

    let claim = async |message: &Message| {
        let owner = Owner::new(2);
        let claim = bench.store.claim(message, 0, &owner, bench.until());
        claim.await.unwrap()
    };
    assert!(matches!(claim(&copy).await, Claim::Refused(_)));
    let returned = Message {
        turn: None,
        ..copy.clone()
    };
    assert!(matches!(claim(&returned).await, Claim::Claimed(_)));
    bench.wait(LEASE + Duration::from_millis(1));
    let next = Message::to(&released, 0);
    assert!(matches!(claim(&next).await, Claim::Claimed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_whose_answer_is_lost_is_recognised() {
    let lost = std::sync::atomic::AtomicBool::new(false);
    let lose_once = move |call: &Call| {
        if call.operation == "UpdateItem" && !lost.swap(true, Ordering::Relaxed) {
            Fault::LostAnswer
        } else {
            Fault::None
        }
    };
    let bench = Bench::over(EmbeddedAws::with_faults(lose_once));
    let task = bench.submitted("ann", 10).await;
    assert!(bench.store.dispatch(&task, bench.until()).await.unwrap());
    assert_eq!(bench.stored(&task).await.dispatches, 1);
}

#[tokio::test]
async fn only_its_owner_gives_a_chunk_back() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 5).await;
    let owner = Owner::new(1);
    let claimed = bench.claimed(&task, 0, &owner).await;
    assert_eq!(claimed.chunks[0].attempts, 1);
    let give_back = async |owner: &Owner, cursor| {
        let give_back = bench.store.give_back(&task, 0, owner, cursor, 0);
        give_back.await.unwrap()
    };
    assert!(!give_back(&Owner::new(2), 0).await);
    // Whose step was saved without its being told is at another item now.
    assert!(!give_back(&owner, 1).await);
    assert_eq!(bench.stored(&task).await, claimed);
    assert!(give_back(&owner, 0).await);
    let stored = bench.stored(&task).await;
    let chunk = &stored.chunks[0];
    assert_eq!((chunk.attempts, chunk.lease_until), (0, Timestamp(0)));
    assert_eq!(chunk.released_at, Some(bench.store.host().now()));
    bench.claimed(&task, 0, &Owner::new(3)).await;
}

#[tokio::test]
async fn one_users_task_does_not_exist_for_another() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 5).await;
    let bob = UserId::from_claim("bob").unwrap();
    let found = bench.store.task(&bob, task.task_id).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_recognised_as_ones_own_write() {
    // The first answer to every kind of write is lost; the SDK repeats the call.
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let lose_once = move |call: &Call| {
        let is_write = call.operation.starts_with("Update") || call.operation.starts_with("Trans");
        // The claim and the step are told apart by what they set.
        let kind = call.body["UpdateExpression"]
            .as_str()
            .unwrap_or("-")
            .contains("attempts +");
        if is_write && seen.lock().unwrap().insert((call.operation.clone(), kind)) {
            Fault::LostAnswer
        } else {
            Fault::None
        }
    };
    let bench = Bench::over(EmbeddedAws::with_faults(lose_once));
    let task = bench.submitted("ann", 10).await;
    let owner = Owner::new(1);
    let claimed = bench.claimed(&task, 0, &owner).await;
    assert_eq!(claimed.chunks[0].attempts, 1);
    let saved = bench.advance(&task, 0, &owner, step(0, 5)).await;
    assert!(matches!(saved, Advance::Saved(task) if task.chunks[0].cursor == 5));
    assert_eq!(bench.aws.take_calls().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_the_sdk_does_not_repeat_is_repeated_here() {
    // The first call of every kind is refused in part: a transaction is cancelled because an action is
    // throttled, statements of a batch fail for reasons that pass.
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let refuse_once = move |call: &Call| {
        if seen.lock().unwrap().insert(call.operation.clone()) {
            Fault::Half
        } else {
            Fault::None
        }
    };
    let bench = Bench::over(EmbeddedAws::with_faults(refuse_once));
    let task = bench.submitted("ann", 10).await;
    let rows: Vec<_> = (0..5).map(|index| row(index, ItemOutcome::Done)).collect();
    let recorded = bench.store.record_items(&task, &rows);
    assert_eq!(recorded.await.unwrap(), rows);
}

#[tokio::test]
async fn a_task_that_moves_again_after_dispatches_is_looked_after_as_before() {
    let bench = Bench::new();
    let task = bench.submitted("ann", 10).await;
    let long = bench.store.host().now().after(LEASE * 16);
    assert!(bench.store.dispatch(&task, long).await.unwrap());
    let owner = Owner::new(1);
    let claimed = bench.claimed(&task, 0, &owner).await;
    bench.advance(&claimed, 0, &owner, step(0, 5)).await;
    // Its worker dies, and is missed after a lease, not after sixteen.
    bench.wait(LEASE + Duration::from_secs(1));
    let mut due = vec![];
    for shard in 0..OPEN_SHARDS {
        due.extend(bench.store.due_tasks(shard, 10).await.unwrap());
    }
    assert_eq!(due, [(task.user, task.task_id)]);
}
