//! A run from its beginning to its end: clients, the event source mapping, the schedule, the monitor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use embedded_aws::EmbeddedAws;
use longhaul::Job as _;
use longhaul::host::Timestamp;
use longhaul::sweeper::{Patience, Sweeper};
use longhaul::task::{ATTEMPTS_MAX, Status};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client;
use crate::jobs::Limited;
use crate::ledger::resting_until;
use crate::page;
use crate::process::Process;
use crate::queue::{Envelope, Order, QueueName};
use crate::scenario::{Profile, Scenario, Settings};
use crate::site::Function;
use crate::stream;
use crate::watch::{Watched, watch};
use crate::world::{BEGINNING, Figures, World};

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What kind of run it was.
    pub profile: Profile,
    /// The invariant that was violated, if one was.
    pub violation: Option<String>,
    /// The story, line by line.
    pub trace: Vec<String>,
    /// The numbers.
    pub figures: Figures,
    /// The tasks as they were in the end.
    pub tasks: Vec<longhaul::task::Task>,
    /// How they got there, if that was watched.
    pub watched: Watched,
}

/// A run may take so long in its own time.
const LONGEST: Duration = Duration::from_secs(4 * 86_400);

/// How long an invocation waits for items that nobody waits for any more, as the worker's does.
const ITEMS_GONE_WITHIN: Duration = Duration::from_secs(1);

/// The body of a message that is none of ours.
const STRAY: &str = "{}";

/// How soon a mapping tries again that cannot start a worker: it grows by one in 200 ms.
const MAPPING_TRIES_AGAIN: Duration = Duration::from_millis(200);

/// How often it is checked that the tasks get on.
const MONITOR_EVERY: Duration = Duration::from_secs(5);

/// How often it is checked that pages show what has ended.
const PAGES_WATCHED_EVERY: Duration = Duration::from_millis(500);

/// How long a sweep may take (the function's timeout).
const SWEEP_TIMEOUT: Duration = Duration::from_secs(50);

/// Runs a scenario.
///
/// # Panics
///
/// When the runtime cannot be made.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "nothing can be simulated without a runtime"
)]
pub fn run(scenario: &Scenario) -> Report {
    // The SDK draws its jitter from this thread's generator.
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // The world begins inside: outside, its first reading of the clock would be of the real one.
    runtime.block_on(async { Run::begin(scenario.clone()).until_it_ends().await })
}

/// What everybody in a run shares.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) aws: EmbeddedAws,
    idle: Arc<Mutex<BTreeMap<Function, Vec<Process>>>>,
}

impl Run {
    fn begin(scenario: Scenario) -> Self {
        let locks = scenario.left_locks.clone();
        let world = World::new(scenario);
        let aws = EmbeddedAws::with_faults(world.clone());
        let run = Self {
            world,
            aws,
            idle: Arc::default(),
        };
        for user in locks {
            run.leave_lock(&user);
        }
        run.put_strays();
        run
    }

    /// Puts messages into the queue that are none of ours.
    fn put_strays(&self) {
        let mut state = self.world.state();
        let state = &mut *state;
        for at in &state.scenario.strays {
            state.queues.put(QueueName::Shared, STRAY, "stray", *at);
        }
    }

    /// Puts a lock into the table whose task never was.
    fn leave_lock(&self, user: &str) {
        let key = (format!("USER#{user}"), "LOCK".to_owned());
        let item = json!({
            "pk": {"S": key.0},
            "sk": {"S": key.1},
            "task_id": {"S": "01890000-0000-7000-8000-000000000000"},
        });
        let body = json!({"TableName": self.aws.table().name(), "Item": item});
        let answer = self.aws.table().execute("PutItem", &body);
        let call = embedded_aws::Call {
            caller: String::new(),
            operation: "PutItem".into(),
            body,
        };
        let ledger = &mut self.world.state().ledger;
        ledger.planted.insert(key);
        let followed = ledger.mirror.follow(&call, &answer, self.aws.table());
        debug_assert!(followed.is_ok());
    }

    /// An idle process of a function, or a new one.
    pub(crate) fn borrow(&self, function: Function) -> Process {
        self.borrow_reading(function, QueueName::Shared)
    }

    /// The same of those whose messages come from this queue.
    fn borrow_reading(&self, function: Function, queue: QueueName) -> Process {
        let stormy = self.world.is_stormy();
        let mut idle = self
            .idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let processes = idle.entry(function).or_default();
        // Once the weather is fair, the clocks are right.
        processes.retain(|process| stormy || !process.skewed);
        let found = processes.iter().rposition(|process| process.reads == queue);
        let process = found.map(|at| processes.remove(at));
        drop(idle);
        process.unwrap_or_else(|| Process::begin(&self.world, &self.aws, function, queue))
    }

    /// Gives a process back; a dead one is gone.
    pub(crate) fn give_back(&self, function: Function, process: Process) {
        if !process.is_dead() {
            let mut idle = self
                .idle
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            idle.entry(function).or_default().push(process);
        }
    }

    async fn until_it_ends(self) -> Report {
        let seed = self.world.state().scenario.seed;
        let mut background = JoinSet::new();
        background.spawn(self.clone().deliver(QueueName::Shared));
        background.spawn(self.clone().deliver(QueueName::Own));
        background.spawn(self.clone().sweep_on_schedule());
        background.spawn(self.clone().monitor());
        if self.world.state().scenario.watched {
            background.spawn(watch(self.world.clone()));
        }
        let live = self.world.state().scenario.live.clone();
        let mut clients = JoinSet::new();
        if let Some(live) = live {
            background.spawn(stream::deliver(self.clone()));
            background.spawn(self.clone().watch_pages());
            for (n, page) in live.pages.into_iter().enumerate() {
                clients.spawn(page::look_on(self.clone(), n, page));
            }
        }
        let scripts = self.world.state().scenario.clients.clone();
        for (n, script) in scripts.into_iter().enumerate() {
            clients.spawn(client::follow_script(self.clone(), n, script));
        }
        let world = self.world.clone();
        let stopped = Arc::clone(&world.stopped);
        let everything = async {
            while let Some(ended) = clients.join_next().await {
                if let Err(panic) = ended {
                    self.world.complain(format!("a client panicked: {panic}"));
                }
            }
            self.settle().await;
        };
        let ends_at = self.world.state().scenario.ends_at.unwrap_or(LONGEST * 2);
        tokio::select! {
            biased;
            () = stopped.wait() => {}
            () = tokio::time::sleep(ends_at) => {}
            () = everything => {}
            () = tokio::time::sleep(LONGEST) => {
                self.world.complain("the run does not come to an end".into());
            }
        }
        drop(clients);
        self.expect_no_panic(&mut background);
        drop(background);
        if self.world.state().violation.is_none() {
            let verdict = self.world.state().ledger.mirror.check(self.aws.table());
            let verdict = verdict
                .and(self.judge_costs())
                .and(self.judge_strays())
                .and(self.judge_ends())
                .and(self.judge_told());
            self.world.judge(verdict);
        }
        self.report(seed)
    }

    /// Whoever does the work of the services goes on for ever, unless it panics.
    fn expect_no_panic(&self, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.try_join_next() {
            if let Err(panic) = ended {
                self.world
                    .complain(format!("the simulator panicked: {panic}"));
            }
        }
    }

    /// Waits until no task is open and no message is left.
    async fn settle(&self) {
        loop {
            let (open, is_read, next_at) = {
                let state = self.world.state();
                let open = state.ledger.open_tasks().count();
                let is_read = state.stream.is_read();
                (open, is_read, state.queues.next_at())
            };
            let now = self.world.now();
            match next_at {
                None if open == 0 && is_read => return,
                Some(at) if open == 0 && at > now => {
                    tokio::time::sleep(at.saturating_sub(now)).await;
                }
                _ => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// However much went wrong, a task must not have cost calls without end: so many for each item,
    /// chunk and fault, and for each lease of its life what looking after it takes: of each chunk, which may be held
    /// all the time, three signs of life and one more.
    fn judge_costs(&self) -> Result<(), String> {
        let now = self.world.now();
        let state = self.world.state();
        let faults: u64 = state.figures.faults.values().sum();
        let lease = state.scenario.settings.terms.lease;
        for (id, record) in &state.ledger.tasks {
            let Some(task) = state.ledger.task(id) else {
                continue;
            };
            let life = record
                .ended_at
                .unwrap_or(now)
                .saturating_sub(record.created_at);
            let leases = life.as_secs().div_ceil(lease.as_secs().max(1)) + 1;
            let chunks = task.chunks.len() as u64;
            let lease_bound = 10 + 4 * chunks;
            let bound =
                20 + 4 * task.number_of_items + 10 * chunks + 15 * faults + lease_bound * leases;
            if record.calls > bound {
                let calls = record.calls;
                return Err(format!("{id} cost {calls} calls, more than {bound}"));
            }
        }
        Ok(())
    }

    /// When nothing goes wrong, or one thing only, every task is done in the end that was not called off, and no message
    /// is a dead letter.
    fn judge_ends(&self) -> Result<(), String> {
        let state = self.world.state();
        let scenario = &state.scenario;
        let is_quiet = matches!(scenario.profile, Profile::Calm | Profile::Single);
        if !(is_quiet && scenario.is_drawn) {
            return Ok(());
        }
        for id in state.ledger.tasks.keys() {
            let status = state.ledger.task(id).map(|task| task.status);
            let is_right = status == Some(Status::Success) || state.ledger.cancels.contains(id);
            if !is_right {
                return Err(format!(
                    "{id} ended as {status:?}, although hardly anything went wrong"
                ));
            }
        }
        // Where messages come again while they are worked on, they may come too often.
        let settings = &scenario.settings;
        let mut dead = state.queues.dead.iter();
        match dead.find(|letter| letter.body != STRAY) {
            Some(letter) if settings.visibility > settings.worker_timeout => Err(format!(
                "#{} is a dead letter, although hardly anything went wrong",
                letter.id
            )),
            _ => Ok(()),
        }
    }

    /// Whatever has ended was told of.
    fn judge_told(&self) -> Result<(), String> {
        let state = self.world.state();
        if state.scenario.ends_at.is_some() {
            return Ok(());
        }
        state.ledger.live.judge_ends(&state.stream)
    }

    /// Watches that pages show in time which tasks have ended.
    async fn watch_pages(self) {
        loop {
            tokio::time::sleep(PAGES_WATCHED_EVERY).await;
            let now = self.world.now();
            let verdict = {
                let state = self.world.state();
                let ended = state.ledger.tasks.iter();
                let ended = ended.filter_map(|(id, record)| Some((id, record.ended_at?)));
                let is_fair_since = |then: Duration| {
                    then >= state.scenario.weather.until
                        && state.last_fault_at.is_none_or(|at| at < then)
                };
                let mut verdicts = ended.filter_map(|(id, ended_at)| {
                    let task = state.ledger.task(id)?;
                    let (live, scenario) = (&state.ledger.live, &state.scenario);
                    let verdict = live.judge_pages(task, ended_at, now, scenario, is_fair_since);
                    verdict.err()
                });
                verdicts.next().map_or(Ok(()), Err)
            };
            self.world.judge(verdict);
        }
    }

    /// What is none of ours must end as a dead letter.
    fn judge_strays(&self) -> Result<(), String> {
        let state = self.world.state();
        let dead = state
            .queues
            .dead
            .iter()
            .filter(|letter| letter.body == STRAY);
        let (found, sent) = (dead.count(), state.scenario.strays.len());
        if state.scenario.ends_at.is_some() || found == sent {
            Ok(())
        } else {
            Err(format!(
                "of {sent} messages that are none, {found} are dead letters"
            ))
        }
    }

    fn report(&self, seed: u64) -> Report {
        let now = self.world.now();
        let mut state = self.world.state();
        let state = &mut *state;
        let ids: Vec<_> = state.ledger.tasks.keys().copied().collect();
        let found = ids.iter().filter_map(|id| state.ledger.task(id).cloned());
        let tasks: Vec<_> = found.collect();
        let mut figures = std::mem::take(&mut state.figures);
        figures.lasted = now;
        figures.recovery = state.ledger.recovery();
        figures.dead_letters = state.queues.dead.len();
        figures.live = state.ledger.live.count;
        figures.strain = state.load.as_ref().map(|load| load.strain.clone());
        for task in &tasks {
            *figures.ended.entry(task.status.as_str()).or_default() += 1;
            let calls = state.ledger.tasks.get(&task.task_id);
            let calls = calls.map_or(0, |record| record.calls);
            figures.tasks.push((task.number_of_items, calls));
        }
        Report {
            seed,
            profile: state.scenario.profile,
            violation: state.violation.clone(),
            trace: state.trace.lines().to_vec(),
            figures,
            tasks,
            watched: std::mem::take(&mut state.watched),
        }
    }

    /// The event source mapping of a queue: hands messages to workers, as many at a time as there may be.
    async fn deliver(self, queue: QueueName) {
        let settings = self.world.state().scenario.settings.clone();
        let is_limited = self.world.state().load.is_some();
        let workers = Arc::new(Semaphore::new(match queue {
            // There the mapping says itself what keeps it.
            QueueName::Shared if is_limited => settings.workers_max + 1,
            QueueName::Shared => settings.workers_max,
            QueueName::Own => settings.own_workers_max,
        }));
        let mut invocations = JoinSet::new();
        loop {
            self.expect_no_panic(&mut invocations);
            let Ok(permit) = Arc::clone(&workers).acquire_owned().await else {
                return;
            };
            let may_receive = self.may_receive(queue, &settings);
            let batch = if may_receive {
                self.receive(queue)
            } else {
                vec![]
            };
            if batch.is_empty() {
                drop(permit);
                let next_at = self.world.state().queues.next_of(queue);
                let next_at = next_at.unwrap_or(LONGEST);
                let wait = if may_receive {
                    next_at.saturating_sub(self.world.now())
                } else {
                    MAPPING_TRIES_AGAIN
                };
                tokio::select! {
                    biased;
                    () = self.world.queue_changed(queue).notified() => {}
                    () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                }
                continue;
            }
            let run = self.clone();
            let messages = batch.len();
            if let Some(load) = &mut self.world.state().load {
                load.worker_begins(messages);
            }
            invocations.spawn(async move {
                run.work(queue, batch).await;
                if let Some(load) = &mut run.world.state().load {
                    load.worker_ends(messages);
                }
                drop(permit);
                run.world.queue_changed(queue).notify_one();
            });
        }
    }

    /// Whether the mapping can start one more worker, if there is anything for it. Without limits it can.
    fn may_receive(&self, queue: QueueName, settings: &Settings) -> bool {
        let now = self.world.now();
        let mut state = self.world.state();
        let state = &mut *state;
        let Some(load) = &mut state.load else {
            return true;
        };
        if queue == QueueName::Own {
            return true;
        }
        if state.queues.next_of(queue).is_none_or(|at| at > now) {
            load.is_idle(now);
            return true;
        }
        load.may_start(settings.workers_max, now)
    }

    fn receive(&self, queue: QueueName) -> Vec<Envelope> {
        let now = self.world.now();
        let next_at = self.world.state().queues.next_of(queue);
        if queue == QueueName::Own && next_at.is_none_or(|at| at > now) {
            // Without a word to chance: where nobody uses this queue, a seed stands for what it does without it.
            return vec![];
        }
        let random = self.world.chance(fastrand::Rng::fork);
        let mut state = self.world.state();
        let state = &mut *state;
        let settings = &state.scenario.settings;
        let weather = &state.scenario.weather;
        let order = if weather.reordered && now < weather.until {
            Order::Any(random)
        } else if settings.fair {
            Order::Fair
        } else {
            Order::Oldest
        };
        let dead_before = state.queues.dead.len();
        let batch = state.queues.receive(
            queue,
            now,
            settings.batch_max,
            settings.visibility,
            settings.receives_max,
            order,
        );
        for dead in &state.queues.dead[dead_before..] {
            let text = format!(
                "#{} {} is a dead letter",
                dead.id,
                state.trace.message(&dead.body)
            );
            state.trace.line(now, "queue", &text);
        }
        state.figures.polled.receives += u64::from(!batch.is_empty());
        batch
    }

    /// One invocation of a worker.
    async fn work(&self, queue: QueueName, batch: Vec<Envelope>) {
        let process = self.borrow_reading(Function::Worker, queue);
        let timeout = self.world.state().scenario.settings.worker_timeout;
        let messages: Vec<_> = {
            let state = self.world.state();
            let describe = |m: &Envelope| format!("#{} {}", m.id, state.trace.message(&m.body));
            batch.iter().map(describe).collect()
        };
        self.world
            .note(&process.name, &format!("receives {}", messages.join(", ")));
        let records: Vec<_> = batch
            .iter()
            .map(|message| {
                json!({
                    "messageId": message.id.to_string(),
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": message.receives.to_string()},
                })
            })
            .collect();
        let event: SqsEvent =
            serde_json::from_value(json!({ "Records": records })).unwrap_or_default();
        let (worker, executor) = process.worker();
        let kill = self.world.next_kill();
        let handled = async {
            let handler = async {
                let response = worker.handle(event, timeout).await;
                let emptied = executor.empty(ITEMS_GONE_WITHIN).await;
                debug_assert!(emptied.is_ok(), "items here can be stopped");
                response
            };
            match kill {
                None => handler.await,
                Some(after) => {
                    tokio::select! {
                        biased;
                        response = handler => response,
                        () = tokio::time::sleep(after) => {
                            self.world.note(&process.name, "is killed");
                            self.world.wrong("worker killed");
                            self.world.kill(&process.name);
                            std::future::pending().await
                        }
                    }
                }
            }
        };
        let outcome = process.run(timeout, handled).await;
        if let Ok(response) = &outcome {
            let is_untroubled = self.world.is_untroubled(&process.name);
            self.world
                .judge(judge_response(response, &batch, is_untroubled));
        }
        let now = self.world.now();
        // A mapping may make what failed visible again at once, or leave it to its timeout.
        let again_at = if self.world.chance(fastrand::Rng::bool) {
            now
        } else {
            LONGEST
        };
        let mut state = self.world.state();
        let mut is_any_done = false;
        for message in &batch {
            let again = match &outcome {
                Ok(response) => is_failed(response, message.id).then_some(again_at),
                Err(_) => Some(LONGEST),
            };
            if again.is_some() {
                let text = format!("keeps #{}", message.id);
                state.trace.line(now, "queue", &text);
            }
            is_any_done |= again.is_none();
            state.queues.settle(message, again);
        }
        state.figures.polled.deletes += u64::from(is_any_done);
        drop(state);
        self.give_back(Function::Worker, process);
    }

    /// The schedule: a sweep every minute. Without open tasks a sweep would find nothing, so then
    /// there is none.
    async fn sweep_on_schedule(self) {
        let settings = self.world.state().scenario.settings.clone();
        let patience = Patience {
            lease: settings.terms.lease,
            dispatches_max: settings.dispatches_max,
        };
        loop {
            tokio::time::sleep(settings.sweep_every).await;
            if self.world.state().ledger.open_tasks().next().is_none() {
                continue;
            }
            // A schedule may call twice.
            let twice = self.world.is_stormy() && self.world.chance(|random| random.u32(0..8) == 0);
            if twice {
                tokio::join!(self.sweep(patience), self.sweep(patience));
            } else {
                self.sweep(patience).await;
            }
        }
    }

    async fn sweep(&self, patience: Patience) {
        let process = self.borrow(Function::Sweeper);
        let (store, queue) = (process.store.clone(), process.queue.clone());
        let sweeper = Sweeper::new(store, queue, patience);
        let _ = Box::pin(process.run(SWEEP_TIMEOUT, sweeper.sweep(SWEEP_TIMEOUT))).await;
        self.give_back(Function::Sweeper, process);
    }

    /// Watches that every open task gets on, once nothing goes wrong any more.
    ///
    /// A task may rest while one of its leases runs or one of its messages is young. After that a sweep has to come,
    /// and a worker has to be free. Claims show that somebody tries; so many in a row may come to nothing.
    async fn monitor(self) {
        let settings = self.world.state().scenario.settings.clone();
        let weather = self.world.state().scenario.weather.clone();
        let mut calm = BTreeMap::new();
        loop {
            tokio::time::sleep(MONITOR_EVERY).await;
            let now = self.world.now();
            let mut late = None;
            {
                let state = self.world.state();
                let ledger = &state.ledger;
                let fair_since = state.last_fault_at.unwrap_or_default().max(weather.until);
                let open: Vec<_> = ledger.open_tasks().copied().collect();
                let chunks = |is_limited: bool| -> usize {
                    let open = open.iter().filter_map(|id| ledger.task(id));
                    let of_queue = open.filter(|task| (task.job == Limited::NAME) == is_limited);
                    of_queue.map(|task| task.chunks.len()).sum()
                };
                let rounds = chunks(false).div_ceil(settings.workers_max)
                    + chunks(true).div_ceil(settings.own_workers_max);
                let rounds = u32::try_from(rounds).unwrap_or(1);
                let turn = settings.slice + settings.item.1 * 4 + Duration::from_secs(15);
                let grace = settings.sweep_every * 2 + SWEEP_TIMEOUT + turn * (rounds + 1);
                // A message may be waited for this long, and a lease by a fast clock.
                let longest_rest = settings.terms.lease * 16 + weather.skew_max;
                let tries = (grace + longest_rest) * (ATTEMPTS_MAX + 2);
                for id in open {
                    let (Some(task), Some(record)) = (ledger.task(&id), ledger.tasks.get(&id))
                    else {
                        continue;
                    };
                    let since = record.moved_at.max(fair_since);
                    let check_at = ledger
                        .mirror
                        .get(&record.key)
                        .map(|row| row.number("check_at"));
                    // Where its times stood when the quiet began.
                    let quiet: &mut (Duration, Timestamp) = calm.entry(id).or_default();
                    if quiet.0 != since || now <= since + MONITOR_EVERY {
                        let resting_until = resting_until(task, settings.terms.lease);
                        let check_at = Timestamp(check_at.unwrap_or(0));
                        *quiet = (since, resting_until.max(check_at));
                    }
                    let quiet_until = quiet.1.since(BEGINNING).max(since);
                    // Who finds it pausing goes by its own clock, as did who had it pause.
                    let paused = task
                        .chunks
                        .iter()
                        .filter_map(|chunk| chunk.resumes_at)
                        .max();
                    let paused_until = paused.map_or(Duration::ZERO, |paused| {
                        paused.since(BEGINNING) + weather.skew_max * 2
                    });
                    let quiet_until = quiet_until.max(paused_until);
                    if now > fair_since && now > quiet_until + grace {
                        late = Some(format!(
                            "task {id} has not moved for {:.0} s, although nothing goes wrong",
                            now.saturating_sub(since).as_secs_f64()
                        ));
                    }
                    if now > record.settled_at.max(fair_since).max(paused_until) + tries {
                        late = Some(format!(
                            "task {id} is claimed again and again, and no item gets settled"
                        ));
                    }
                }
            }
            if let Some(complaint) = late {
                self.world.complain(complaint);
                return;
            }
        }
    }
}

/// A message fails alone, and one that is ours fails only if something goes wrong for its worker. Should a response name
/// a message that is not in the batch, the whole batch would come again.
fn judge_response(
    response: &SqsBatchResponse,
    batch: &[Envelope],
    is_untroubled: bool,
) -> Result<(), String> {
    for failure in &response.batch_item_failures {
        let id = &failure.item_identifier;
        let message = batch.iter().find(|message| message.id.to_string() == *id);
        let message = message.ok_or_else(|| format!("a message #{id} failed that never came"))?;
        if is_untroubled && message.body != STRAY {
            return Err(format!(
                "message #{id} failed, although nothing went wrong for its worker"
            ));
        }
    }
    Ok(())
}

fn is_failed(response: &SqsBatchResponse, id: u64) -> bool {
    let id = id.to_string();
    response
        .batch_item_failures
        .iter()
        .any(|failure| failure.item_identifier == id)
}
