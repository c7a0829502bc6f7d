//! Where items run: apart from the protocol, so that nothing that they do can keep a lease from being renewed or
//! progress from being saved.
//!
//! Items of a job that is not `BLOCKING` run on a runtime of their own, which has one thread; those of a `BLOCKING` job
//! each on a thread of that runtime's blocking pool. The thread of the protocol only waits for them.
//!
//! A future can be dropped between two polls, not within one. So it is known of each item since when it has been inside
//! a poll: a watchdog tells of items that keep the shared thread from the others, and whoever ends an invocation learns
//! whether there are some that cannot be stopped.
//!
//! In the simulator and in tests items run on the caller's runtime ([`Executor::here`]), so that its clock is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::job::BLOCKING_ITEMS_MAX;

/// Threads of the pool beyond those of items. Name look-ups and files need some, also those that an item waits for on
/// its own thread: without, a pool full of items would wait for itself.
const SPARE_THREADS: usize = 32;

/// An item that stays inside one poll for so long keeps others from running.
const KEPT_MAX: Duration = Duration::from_secs(1);

/// How often the watchdog looks.
const WATCHED_EVERY: Duration = Duration::from_millis(500);

/// Where items run.
#[derive(Clone)]
pub struct Executor {
    roster: Arc<Roster>,
    apart: Option<Arc<Apart>>,
}

/// Items are still inside a poll: they cannot be stopped, and the process should not outlive the invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// How many items, by the names of their jobs.
    pub items: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items that do not stop:")?;
        let mut items = self.items.iter();
        items.try_for_each(|(job, number)| write!(f, " {number} of {job}"))
    }
}

impl std::error::Error for Stuck {}

impl Executor {
    /// Items run on the runtime of whoever calls, as tasks of it.
    #[must_use]
    pub fn here() -> Self {
        Self {
            roster: Arc::new(Roster::new()),
            apart: None,
        }
    }

    /// Items run on a runtime of their own. The watchdog runs on the runtime of the caller, until the executor is gone.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn apart() -> std::io::Result<Self> {
        let executor = Self {
            roster: Arc::new(Roster::new()),
            apart: Some(Arc::new(Apart::start()?)),
        };
        tokio::spawn(watch(Arc::downgrade(&executor.roster)));
        Ok(executor)
    }

    /// Runs something of a job, an item or its start, and waits for what comes of it. Dropping the future stops what
    /// runs at its next `.await`.
    ///
    /// # Errors
    ///
    /// When it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: &'static str,
        is_blocking: bool,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let watched = |executor: &Self| Watched {
            future: Box::pin(future),
            entry: executor.roster.enter(job, is_blocking),
        };
        let Some(apart) = &self.apart else {
            return Running(tokio::spawn(watched(self))).await;
        };
        if !is_blocking {
            return Running(apart.handle.spawn(watched(self))).await;
        }
        // It is never closed. The thread has it until it is free, which may be long after nobody waits for it any more.
        let permit = Arc::clone(&apart.threads).acquire_owned().await.ok();
        let (_stop, stopped) = oneshot::channel::<()>();
        let watched = watched(self);
        let handle = apart.handle.clone();
        let thread = apart.handle.spawn_blocking(move || {
            let _permit = permit;
            handle.block_on(async {
                tokio::select! {
                    biased;
                    _ = stopped => None,
                    value = watched => Some(value),
                }
            })
        });
        match Running(thread).await {
            Ok(Some(value)) => Ok(value),
            // Only dropping this future stops it, so nobody is left to be told.
            Ok(None) => std::future::pending().await,
            Err(error) => Err(error),
        }
    }

    /// Waits until all items are gone that nobody waits for any more, which takes but a moment for those that can be
    /// stopped.
    ///
    /// Call it at the end of an invocation, when everything is saved and handed on.
    ///
    /// # Errors
    ///
    /// [`Stuck`] after `patience`. The process must then end itself once the invocation is answered: frozen with them
    /// it would wake up in the middle of what they do, in a later invocation, when others have long done it.
    pub async fn empty(&self, patience: Duration) -> Result<(), Stuck> {
        let emptied = async {
            loop {
                let left = self.roster.left.notified();
                if self.roster.entries().is_empty() {
                    return;
                }
                left.await;
            }
        };
        match tokio::time::timeout(patience, emptied).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.roster.stuck()),
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.apart.is_some() {
            "apart"
        } else {
            "here"
        };
        f.debug_tuple("Executor").field(&place).finish()
    }
}

/// A task that runs until this is dropped.
struct Running<T>(JoinHandle<T>);

impl<T> Future for Running<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.0).poll(context) {
            // Nobody aborts it before this is dropped, so its runtime has ended, and with it the process.
            Poll::Ready(Err(error)) if error.is_cancelled() => Poll::Pending,
            poll => poll,
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The items' own runtime, on a thread of its own, so that it also ends outside of the protocol's.
struct Apart {
    handle: Handle,
    /// One for each thread that an item may have, in the whole process.
    threads: Arc<Semaphore>,
    _stop: oneshot::Sender<()>,
}

impl Apart {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(usize::from(BLOCKING_ITEMS_MAX) + SPARE_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("items".into());
        thread.spawn(move || {
            // An error is how the other side says that it is gone.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self {
            handle,
            threads: Arc::new(Semaphore::new(BLOCKING_ITEMS_MAX.into())),
            _stop: stop,
        })
    }
}

/// Tells, once for each job, that its items keep the thread that they share.
async fn watch(roster: Weak<Roster>) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(WATCHED_EVERY).await;
        let Some(roster) = roster.upgrade() else {
            return;
        };
        for job in roster.jobs_that_keep_the_thread(roster.began.elapsed()) {
            if told.insert(job) {
                tracing::warn!(
                    job,
                    "an item keeps the thread that all items share for more than a second, and the others wait: \
                     let it wait with .await, or give the job `const BLOCKING: bool = true`"
                );
            }
        }
    }
}

/// Which items there are.
struct Roster {
    began: Instant,
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Presence>>>,
    /// An item is gone.
    left: Notify,
}

/// An item that is there: its future is not dropped yet.
struct Presence {
    job: &'static str,
    is_blocking: bool,
    /// Since when, in milliseconds after the roster began and one more, it is inside a poll; 0 when it is not.
    polled_since: AtomicU64,
}

impl Roster {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            next: AtomicU64::new(0),
            entries: Mutex::default(),
            left: Notify::new(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Presence>>> {
        // Nothing panics while it is locked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The milliseconds since it began, which no process reaches the end of.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn enter(self: &Arc<Self>, job: &'static str, is_blocking: bool) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let presence = Arc::new(Presence {
            job,
            is_blocking,
            polled_since: AtomicU64::new(0),
        });
        self.entries().insert(id, Arc::clone(&presence));
        Entry {
            roster: Arc::clone(self),
            presence,
            id,
        }
    }

    /// Whose items keep the thread that they share, when so much time has passed since the roster began.
    fn jobs_that_keep_the_thread(&self, now: Duration) -> BTreeSet<&'static str> {
        let keeps_it = |presence: &&Arc<Presence>| {
            let since = presence.polled_since.load(Ordering::Relaxed);
            let kept = now.saturating_sub(Duration::from_millis(since.saturating_sub(1)));
            !presence.is_blocking && since > 0 && kept >= KEPT_MAX
        };
        let entries = self.entries();
        let keepers = entries.values().filter(keeps_it);
        keepers.map(|presence| presence.job).collect()
    }

    fn stuck(&self) -> Stuck {
        let mut items = BTreeMap::new();
        for presence in self.entries().values() {
            *items.entry(presence.job).or_default() += 1;
        }
        Stuck { items }
    }
}

/// A place in the roster, given back when it is dropped.
struct Entry {
    roster: Arc<Roster>,
    presence: Arc<Presence>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.entries().remove(&self.id);
        self.roster.left.notify_waiters();
    }
}

/// A future of which it is known since when it is inside a poll. The future is dropped before the entry is.
struct Watched<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    entry: Entry,
}

impl<T> Future for Watched<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let now = self.entry.roster.now();
        let presence = Arc::clone(&self.entry.presence);
        presence.polled_since.store(now + 1, Ordering::Relaxed);
        let poll = self.future.as_mut().poll(context);
        presence.polled_since.store(0, Ordering::Relaxed);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const AMPLE: Duration = Duration::from_secs(20);

    /// An item that stays inside a poll until it is told that it is enough, and has begun.
    async fn busy(
        executor: &Executor,
        is_blocking: bool,
    ) -> (JoinHandle<Result<(), JoinError>>, mpsc::Sender<()>) {
        let (enough, waits) = mpsc::channel::<()>();
        let (tell, told) = oneshot::channel();
        let executor = executor.clone();
        let item = tokio::spawn(async move {
            let item = async move {
                tell.send(()).unwrap();
                // An error says that it is enough, too.
                let _ = waits.recv();
            };
            executor.run("busy", is_blocking, item).await
        });
        told.await.unwrap();
        (item, enough)
    }

    #[tokio::test]
    async fn an_item_that_blocks_does_not_hold_up_the_protocol() {
        for is_blocking in [false, true] {
            let executor = Executor::apart().unwrap();
            let (item, enough) = busy(&executor, is_blocking).await;
            // Timers fire meanwhile.
            tokio::time::sleep(Duration::from_millis(1)).await;
            enough.send(()).unwrap();
            item.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn blocking_items_run_side_by_side_and_may_use_the_pool_and_the_clock() {
        let executor = Executor::apart().unwrap();
        let threads = Arc::new(std::sync::Barrier::new(BLOCKING_ITEMS_MAX.into()));
        // More than there are threads for: the others wait for their turn.
        let items: Vec<_> = (0..2 * BLOCKING_ITEMS_MAX)
            .map(|_| {
                let (executor, threads) = (executor.clone(), Arc::clone(&threads));
                tokio::spawn(async move {
                    let item = async move {
                        threads.wait();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        tokio::task::spawn_blocking(|| ()).await
                    };
                    executor.run("busy", true, item).await
                })
            })
            .collect();
        let all = async {
            for item in items {
                item.await.unwrap().unwrap().unwrap();
            }
        };
        tokio::time::timeout(AMPLE, all).await.unwrap();
    }

    #[tokio::test]
    async fn an_item_that_nobody_waits_for_is_stopped_where_it_waits() {
        for executor in [Executor::here(), Executor::apart().unwrap()] {
            for is_blocking in [false, true] {
                let (tell, told) = oneshot::channel();
                let item = executor.run("patient", is_blocking, async move {
                    tell.send(()).unwrap();
                    std::future::pending::<()>().await;
                });
                tokio::select! {
                    _ = item => unreachable!("it never ends"),
                    told = told => told.unwrap(),
                }
                assert_eq!(executor.empty(AMPLE).await, Ok(()));
            }
        }
    }

    #[tokio::test]
    async fn an_item_inside_a_poll_is_known_not_to_stop() {
        for is_blocking in [false, true] {
            let executor = Executor::apart().unwrap();
            let (item, enough) = busy(&executor, is_blocking).await;
            item.abort();
            let stuck = executor.empty(Duration::from_millis(20)).await.unwrap_err();
            assert_eq!(stuck.to_string(), "items that do not stop: 1 of busy");
            enough.send(()).unwrap();
            assert_eq!(executor.empty(AMPLE).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn who_keeps_the_shared_thread_is_found_out_and_who_has_one_of_its_own_is_not() {
        for is_blocking in [false, true] {
            let executor = Executor::apart().unwrap();
            let (item, enough) = busy(&executor, is_blocking).await;
            let keepers = |after: Duration| executor.roster.jobs_that_keep_the_thread(after);
            let now = executor.roster.began.elapsed();
            assert_eq!(keepers(now + KEPT_MAX / 2), BTreeSet::new());
            let expected = if is_blocking { vec![] } else { vec!["busy"] };
            assert_eq!(keepers(now + KEPT_MAX * 2), BTreeSet::from_iter(expected));
            enough.send(()).unwrap();
            item.await.unwrap().unwrap();
            assert_eq!(keepers(now + KEPT_MAX * 2), BTreeSet::new());
        }
    }

    #[tokio::test]
    async fn a_panic_is_the_items_own() {
        for executor in [Executor::here(), Executor::apart().unwrap()] {
            for is_blocking in [false, true] {
                let item = executor.run("clumsy", is_blocking, async { panic!("on purpose") });
                let ended: Result<(), _> = item.await;
                assert!(ended.unwrap_err().is_panic());
                assert_eq!(executor.empty(AMPLE).await, Ok(()));
            }
        }
    }
}
