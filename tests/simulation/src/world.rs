//! The world of a run: time, chance, processes that die, the queue, and the judge of it all.
//!
//! It stands between the clients of the real SDK and the embedded services as [`Faults`]: it sees
//! every call, decides what becomes of it, and has what came of it judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use embedded_aws::{Call, Cost, Fault, Faults, Reached};
use fastrand::Rng;
use longhaul::Job as _;
use longhaul::host::Timestamp;
use longhaul::task::TaskId;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::gateway::{CALL_KEPT_MAX, Gateway, ON_ITS_WAY_MAX, SLOW};
use crate::jobs::Limited;
use crate::ledger::{Ledger, Writer};
use crate::live::Count;
use crate::permission::{Permission, permissions};
use crate::queue::{QueueName, Queues};
use crate::scaling::{Load, Strain};
use crate::scenario::{Fate, Odds, Scenario, Settings, Slow, fault};
use crate::site::{Function, is_write, method};
use crate::stream::{Reader, SHARDS, Stream};
use crate::table::{Change, Key, Row};
use crate::trace::Trace;
use crate::watch::Watched;

/// The true time at which every run begins.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);

/// A run makes at most so many calls; one that makes more goes round in circles.
const CALLS_MAX: u64 = 60_000;

/// The same for each of its clients.
const CALLS_OF_USER_MAX: u64 = 100;

/// How long after a write an eventually consistent read may not see it.
const STALE: Duration = Duration::from_secs(2);

/// A signal that is given once and stays.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: AtomicBool,
    waiting: Notify,
}

impl Signal {
    /// Gives it.
    pub(crate) fn give(&self) {
        self.given.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Whether it was given.
    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::SeqCst)
    }

    /// Waits for it.
    pub(crate) async fn wait(&self) {
        let notified = self.waiting.notified();
        if !self.is_given() {
            notified.await;
        }
    }
}

/// A running process, as the world sees it.
#[derive(Debug)]
struct Life {
    function: Function,
    skew_milliseconds: i64,
    dead: Arc<Signal>,
    versions_read: BTreeMap<Key, u64>,
    /// Until when the connections are good, as the process last read it.
    connections_read: BTreeMap<String, u64>,
}

/// What a run came to, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// What calls cost, by function and method.
    pub costs: BTreeMap<(Function, &'static str), Cost>,
    /// What calls needed, by function.
    pub permissions: BTreeMap<Function, BTreeSet<Permission>>,
    /// Faults by what they did.
    pub faults: BTreeMap<&'static str, u64>,
    /// Tasks by how they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// From a single fault to the next progress.
    pub recovery: Option<Duration>,
    /// How long the run took in its own time.
    pub lasted: Duration,
    /// Each task's items and the calls that concern it.
    pub tasks: Vec<(u64, u64)>,
    /// Messages that ended in the dead-letter queue.
    pub dead_letters: usize,
    /// The most items of the job that has a worker of its own that were in flight at a time.
    pub limited_items_max: usize,
    /// Invocations by function.
    pub invocations: BTreeMap<Function, u64>,
    /// How long those took together, each to the millisecond begun.
    pub busy: BTreeMap<Function, Duration>,
    /// Requests with which mappings received messages, and those with which they deleted them.
    pub polled: Polled,
    /// What there was of live updates and events.
    pub live: Count,
    /// What limits were run into, where there are any.
    pub strain: Option<Strain>,
}

/// What the event source mappings ask of the queues when there is something in them. A batch is received by one request
/// and deleted by one: "Lambda polls the queue and invokes your function once for each batch. When your function
/// successfully processes a batch, Lambda deletes its messages from the queue" (AWS Lambda Developer Guide, "Using Lambda
/// with Amazon SQS"). Both requests take up to ten messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Requests that received a batch.
    pub receives: u64,
    /// Requests that deleted what was dealt with of one.
    pub deletes: u64,
}

/// An item in flight of the job that has a worker of its own.
pub(crate) struct LimitedItem {
    world: World,
    process: String,
}

impl Drop for LimitedItem {
    fn drop(&mut self) {
        if let Some(items) = self.world.state().limited_items.get_mut(&self.process) {
            *items -= 1;
        }
    }
}

pub(crate) struct State {
    pub(crate) scenario: Scenario,
    chance: Rng,
    pub(crate) trace: Trace,
    lives: BTreeMap<String, Life>,
    next_process: BTreeMap<Function, u32>,
    faults_left: u32,
    seen: BTreeMap<(Function, &'static str), u32>,
    pub(crate) queues: Queues,
    pub(crate) stream: Stream,
    pub(crate) gateway: Gateway,
    sends: u64,
    pub(crate) ledger: Ledger,
    pub(crate) violation: Option<String>,
    pub(crate) figures: Figures,
    calls: u64,
    /// How many items of the job that has a worker of its own are in flight, by process.
    limited_items: BTreeMap<String, usize>,
    /// How often each item was processed.
    tries: BTreeMap<(TaskId, u64), u32>,
    /// How many items of each task were done, those that were done twice counted twice.
    pub(crate) processed: BTreeMap<TaskId, u64>,
    /// What is in use of what there is, where that is limited.
    pub(crate) load: Option<Load>,
    pub(crate) last_fault_at: Option<Duration>,
    /// The processes that died, met a fault, or have a wrong clock.
    troubled: BTreeSet<String>,
    invocations: u32,
    changed_at: BTreeMap<Key, (Duration, Option<Arc<Row>>)>,
    /// How the tasks get on, if that is watched.
    pub(crate) watched: Watched,
    /// What was promised under idempotency keys: the task, and when it came into being.
    pub(crate) promises: BTreeMap<(String, String), (TaskId, Duration)>,
}

/// The world of a run; clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    began: Instant,
    /// A queue has changed: the shared one, and the other.
    queues_changed: Arc<[Notify; 2]>,
    /// There is more to read for a reader of a shard.
    stream_changed: Arc<[[Notify; SHARDS]; 2]>,
    /// An invariant was violated.
    pub(crate) stopped: Arc<Signal>,
}

impl World {
    /// A new world; needs a runtime with paused time.
    pub(crate) fn new(scenario: Scenario) -> Self {
        let chance = Rng::with_seed(scenario.seed);
        let settings = &scenario.settings;
        let mut ledger = Ledger::new(settings.dispatches_max, settings.terms.uniqueness);
        ledger.hops_limited = scenario.hops.is_some();
        ledger.quota = settings.terms.quota;
        let load = scenario.scaling.clone().map(Load::new);
        let mut state = State {
            chance,
            faults_left: scenario.weather.budget,
            scenario,
            trace: Trace::default(),
            lives: BTreeMap::new(),
            next_process: BTreeMap::new(),
            seen: BTreeMap::new(),
            queues: Queues::default(),
            stream: Stream::default(),
            gateway: Gateway::default(),
            sends: 0,
            ledger,
            violation: None,
            figures: Figures::default(),
            calls: 0,
            limited_items: BTreeMap::new(),
            tries: BTreeMap::new(),
            processed: BTreeMap::new(),
            load,
            last_fault_at: None,
            troubled: BTreeSet::new(),
            invocations: 0,
            changed_at: BTreeMap::new(),
            watched: Watched::default(),
            promises: BTreeMap::new(),
        };
        state.stream.is_on = state.scenario.live.is_some();
        Self {
            state: Arc::new(Mutex::new(state)),
            began: Instant::now(),
            queues_changed: Arc::default(),
            stream_changed: Arc::default(),
            stopped: Arc::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that a queue has changed.
    pub(crate) fn queue_changed(&self, queue: QueueName) -> &Notify {
        &self.queues_changed[queue as usize]
    }

    /// Waits until the stream has changed for a reader of a shard.
    pub(crate) async fn stream_changed(&self, reader: Reader, shard: usize) {
        self.stream_changed[reader as usize][shard].notified().await;
    }

    /// Counts an invocation.
    pub(crate) fn is_invoked(&self, process: &str) {
        let mut state = self.state();
        let function = state.lives.get(process).map(|life| life.function);
        if let Some(function) = function {
            *state.figures.invocations.entry(function).or_default() += 1;
        }
    }

    /// Counts how long an invocation took, as it is billed.
    pub(crate) fn was_busy(&self, function: Function, since: Duration) {
        let took = self.now().saturating_sub(since);
        let milliseconds = took.as_micros().div_ceil(1000);
        let billed = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        *self.state().figures.busy.entry(function).or_default() += billed;
    }

    /// An item of the job that has a worker of its own begins in a process. It is in flight for as long as what is
    /// returned. No more of them may be, in all processes that are alive, than the workers of the job have together.
    pub(crate) fn limited_item(&self, process: &str) -> LimitedItem {
        let most = {
            let mut state = self.state();
            let state = &mut *state;
            *state.limited_items.entry(process.to_owned()).or_default() += 1;
            let lives = &state.lives;
            let is_alive =
                |name: &String| lives.get(name).is_some_and(|life| !life.dead.is_given());
            let alive = state
                .limited_items
                .iter()
                .filter(|(name, _)| is_alive(name));
            let in_flight = alive.map(|(_, items)| items).sum();
            let figures = &mut state.figures;
            figures.limited_items_max = figures.limited_items_max.max(in_flight);
            let limit = state.scenario.settings.limited_items_max();
            (in_flight > limit).then_some((in_flight, limit))
        };
        if let Some((in_flight, limit)) = most {
            self.complain(format!(
                "{in_flight} items are in flight where {limit} may be"
            ));
        }
        LimitedItem {
            world: self.clone(),
            process: process.to_owned(),
        }
    }

    /// The time since the run began.
    pub(crate) fn now(&self) -> Duration {
        Instant::now().duration_since(self.began)
    }

    /// The true time.
    pub(crate) fn true_time(&self) -> Timestamp {
        BEGINNING.after(self.now())
    }

    /// Draws from the world's one source of chance.
    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.state().chance)
    }

    /// Notes something in the trace.
    pub(crate) fn note(&self, who: &str, what: &str) {
        let now = self.now();
        self.state().trace.line(now, who, what);
    }

    /// Ends the run with a complaint, unless it has ended already.
    pub(crate) fn complain(&self, complaint: String) {
        let now = self.now();
        let mut state = self.state();
        if state.violation.is_none() {
            state.trace.line(now, "JUDGE", &complaint);
            state.violation = Some(complaint);
        }
        drop(state);
        self.stopped.give();
    }

    /// Ends the run if the verdict is a complaint.
    pub(crate) fn judge(&self, verdict: Result<(), String>) {
        if let Err(complaint) = verdict {
            self.complain(complaint);
        }
    }

    /// Whether nothing has gone wrong since then, nor can: whoever asks now has a right to an answer.
    pub(crate) fn is_fair_since(&self, then: Duration) -> bool {
        let state = self.state();
        then >= state.scenario.weather.until && state.last_fault_at.is_none_or(|at| at < then)
    }

    /// Whether things may still go wrong.
    pub(crate) fn is_stormy(&self) -> bool {
        self.now() < self.state().scenario.weather.until
    }

    /// Brings a process into being: its name, its clock's error, and the signal of its death.
    pub(crate) fn begin(&self, function: Function) -> (String, i64, Arc<Signal>) {
        let stormy = self.is_stormy();
        let mut state = self.state();
        let number = state.next_process.entry(function).or_default();
        *number += 1;
        let name = format!("{function}-{number}");
        let bound = i64::try_from(state.scenario.weather.skew_max.as_millis()).unwrap_or(0);
        let skew_milliseconds = if stormy && bound > 0 && state.chance.bool() {
            state.chance.i64(-bound..=bound)
        } else {
            0
        };
        let dead = Arc::new(Signal::default());
        let life = Life {
            function,
            skew_milliseconds,
            dead: Arc::clone(&dead),
            versions_read: BTreeMap::new(),
            connections_read: BTreeMap::new(),
        };
        state.lives.insert(name.clone(), life);
        if skew_milliseconds != 0 {
            state.troubled.insert(name.clone());
            let now = self.now();
            let text = format!("starts with its clock off by {skew_milliseconds} ms");
            state.trace.line(now, &name, &text);
        }
        (name, skew_milliseconds, dead)
    }

    /// Whether nothing has gone wrong for a process: it lives, has met no fault, and its clock is right.
    pub(crate) fn is_untroubled(&self, name: &str) -> bool {
        !self.state().troubled.contains(name)
    }

    /// Whether the calls with which a worker leaves, some five of them, are over within the least time that it reserves
    /// for them: a quarter of the last quarter of its invocation.
    pub(crate) fn is_quick(&self, invocation: Duration) -> bool {
        let call = self.state().scenario.weather.latency_max * 2;
        call * 5 <= invocation / 16
    }

    /// Ends a process.
    pub(crate) fn kill(&self, name: &str) {
        let mut state = self.state();
        state.troubled.insert(name.to_owned());
        if let Some(life) = state.lives.get(name) {
            life.dead.give();
        }
    }

    /// When, after its start, the next invocation of a worker is killed.
    pub(crate) fn next_kill(&self) -> Option<Duration> {
        let stormy = self.is_stormy();
        let mut state = self.state();
        let nth = state.invocations;
        state.invocations += 1;
        let certain = state.scenario.kills.iter().find(|(at, _)| *at == nth);
        if let Some((_, after)) = certain {
            return Some(*after);
        }
        let per_mille = state.scenario.weather.kills_per_mille;
        (stormy && state.chance.u32(0..1000) < per_mille)
            .then(|| Duration::from_millis(state.chance.u64(0..20_000)))
    }

    /// Notes that something went wrong now.
    pub(crate) fn wrong(&self, what: &'static str) {
        let now = self.now();
        let mut state = self.state();
        state.goes_wrong(what, now, now);
    }

    /// What becomes of an item this time, and how long it takes.
    pub(crate) fn process(&self, process: &str, id: TaskId, index: u64) -> (Fate, u32, Duration) {
        let mut state = self.state();
        if let Err(complaint) = state.ledger.judge_start(process, id, index) {
            drop(state);
            self.complain(complaint);
            state = self.state();
        }
        let tries = state.tries.entry((id, index)).or_default();
        *tries += 1;
        let tries = *tries;
        let fate = fate_of(&state.scenario, id, index);
        let (from, to) = state.scenario.settings.item;
        let spread = u64::try_from((to.saturating_sub(from)).as_millis()).unwrap_or(0);
        let extra = state.chance.u64(0..=spread);
        let time = from + Duration::from_millis(extra);
        (
            fate,
            tries,
            slowed(&state.scenario, index, self.now(), time),
        )
    }

    /// An item is done.
    pub(crate) fn is_processed(&self, id: TaskId) {
        *self.state().processed.entry(id).or_default() += 1;
    }

    /// What a call is about to suffer.
    fn suffer(&self, call: &Call) -> Fault {
        let method = method(call);
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        let Some(function) = state.lives.get(&call.caller).map(|life| life.function) else {
            return Fault::None;
        };
        let connection = call.body["ConnectionId"].as_str().unwrap_or_default();
        if method == "post" && state.gateway.is_slow(connection) {
            return Fault::Late(SLOW);
        }
        let nth = *state.seen.entry((function, method)).or_default();
        let nth_of_all = *state.seen.entry((function, "")).or_default();
        for name in [method, ""] {
            *state.seen.entry((function, name)).or_default() += 1;
        }
        let planned = state.scenario.planned.iter().find(|planned| {
            let nth = if planned.method.is_empty() {
                nth_of_all
            } else {
                nth
            };
            planned.function == function
                && (planned.method.is_empty() || planned.method == method)
                && (planned.nth..planned.nth + planned.lasts).contains(&nth)
        });
        let weather = &state.scenario.weather;
        let outage = weather.outages.iter().find(|outage| {
            (outage.from..outage.until.min(weather.until)).contains(&now)
                && outage.function.is_none_or(|whose| whose == function)
        });
        let is_throttled = state
            .load
            .as_mut()
            .is_some_and(|load| load.is_throttled(call, now));
        let fate = if is_throttled {
            Fault::Throttled
        } else if let Some(planned) = planned {
            planned.fault
        } else if let Some(outage) = outage {
            outage.fault
        } else if now < weather.until
            && state.faults_left > 0
            && !weather.kinds.is_empty()
            && state.chance.u32(0..1000) < weather.per_mille
        {
            let kind = weather.kinds[state.chance.usize(0..weather.kinds.len())];
            state.faults_left -= 1;
            fault(kind, &mut state.chance)
        } else {
            return Fault::None;
        };
        let is_about_connection = matches!(method, "post" | "close");
        let fate = match fate {
            Fault::Late(delay) if is_about_connection => Fault::Late(delay.min(CALL_KEPT_MAX)),
            fate => fate,
        };
        let (text, until) = match fate {
            Fault::None => return fate,
            Fault::CrashBefore => ("crash before", now),
            Fault::CrashAfter => ("crash after", now),
            Fault::LostAnswer => ("lost answer", now),
            Fault::Unreachable => ("unreachable", now),
            Fault::Throttled => ("throttled", now),
            Fault::Conflict => ("conflict", now),
            Fault::Late(delay) => ("late", now + delay),
            Fault::Slow(delay) => ("slow", now + delay),
            Fault::Half => ("half", now),
            Fault::Terse => ("terse", now),
        };
        state.goes_wrong(text, now, until);
        state.troubled.insert(call.caller.clone());
        let mut line = format!("{method:<14}suffers: {text}");
        if until > now {
            let _ = write!(line, " by {:.1} s", until.saturating_sub(now).as_secs_f64());
        }
        state.trace.line(now, &call.caller, &line);
        if matches!(fate, Fault::CrashBefore | Fault::CrashAfter)
            && let Some(life) = state.lives.get(&call.caller)
        {
            life.dead.give();
        }
        fate
    }

    /// A panic of the judge must not pass for one of the handler that it interrupts, which may survive it.
    fn or_complain<T>(&self, judge: impl FnOnce() -> T) -> Option<T> {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge));
        if outcome.is_err() {
            self.complain("the judge panicked".into());
        }
        outcome.ok()
    }

    /// Takes the messages that a call has sent.
    fn take_messages(&self, call: &Call) {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        let url = call.body["QueueUrl"].as_str().unwrap_or_default();
        let addressed = QueueName::at(url);
        let single = [call.body.clone()];
        let entries = match call.body["Entries"].as_array() {
            Some(entries) => entries.as_slice(),
            None => &single,
        };
        for entry in entries {
            let body = entry["MessageBody"].as_str().unwrap_or_default();
            let group = entry["MessageGroupId"].as_str().unwrap_or_default();
            let nth = state.sends;
            state.sends += 1;
            let body = &match state.scenario.hops {
                Some(hops) => with_hops(body, hops),
                None => body.to_owned(),
            };
            let weather = state.scenario.weather.clone();
            let stormy = now < weather.until;
            let roll =
                |state: &mut State, per_mille| stormy && state.chance.u32(0..1000) < per_mille;
            let what = state.trace.message(body);
            let mut queue = addressed;
            let by_chance = weather.misplaced_per_mille > 0;
            if state.scenario.misplaced.contains(&nth)
                || by_chance && roll(state, weather.misplaced_per_mille)
            {
                queue = addressed.other();
                state.goes_wrong("misplaced message", now, now);
                let text = format!("finds {what} in the queue of another worker");
                state.trace.line(now, "queue", &text);
            }
            let planned = state.scenario.delivered.iter().find(|(it, _)| *it == nth);
            if let Some((_, delays)) = planned {
                for delay in delays {
                    state.queues.put(queue, body, group, now + *delay);
                }
                continue;
            }
            if state.scenario.lost.contains(&nth) || roll(state, weather.lost_per_mille) {
                state.goes_wrong("lost message", now, now);
                state.trace.line(now, "queue", &format!("loses {what}"));
                continue;
            }
            let mut copies = 1;
            if roll(state, weather.duplicated_per_mille) {
                copies += state.chance.u32(1..=4);
            }
            for copy in 0..copies {
                let asked_for = entry["DelaySeconds"].as_u64().unwrap_or_default();
                let mut delay =
                    Duration::from_secs(asked_for) + Duration::from_millis(state.chance.u64(5..50));
                if roll(state, weather.delayed_per_mille) {
                    delay = match state.chance.u32(0..3) {
                        0 => Duration::from_secs(state.chance.u64(1..60)),
                        1 => Duration::from_secs(state.chance.u64(60..900)),
                        _ => Duration::from_secs(state.chance.u64(900..43_200)),
                    };
                } else if copy > 0 {
                    delay = Duration::from_millis(state.chance.u64(0..90_000));
                }
                let id = state.queues.put(queue, body, group, now + delay);
                if copy > 0 || delay > Duration::from_secs(1) {
                    let text = format!("holds {what} as #{id} for {:.1} s", delay.as_secs_f64());
                    state.trace.line(now, "queue", &text);
                }
            }
        }
        for changed in &*self.queues_changed {
            changed.notify_one();
        }
    }

    fn observe(&self, reached: &Reached<'_>) {
        let Reached {
            call,
            status,
            body: answer,
            cost,
            table,
        } = *reached;
        let method = method(call);
        let now = self.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.calls += 1;
        let Some(life) = state.lives.get_mut(&call.caller) else {
            return;
        };
        let function = life.function;
        *state.figures.costs.entry((function, method)).or_default() += cost;
        let needed = state.figures.permissions.entry(function).or_default();
        needed.extend(permissions(call));
        if method == "task"
            && let Some(version) = answer["Item"]["version"]["N"].as_str()
        {
            let part = |name: &str| call.body["Key"][name]["S"].as_str().unwrap_or_default();
            let key = (part("pk").to_owned(), part("sk").to_owned());
            let version = version.parse().unwrap_or_default();
            life.versions_read.insert(key, version);
        }
        if method == "connections" {
            for row in answer["Items"].as_array().into_iter().flatten() {
                let id = row["id"]["S"].as_str().unwrap_or_default().to_owned();
                let expires_at = row["expires_at"]["N"].as_str().unwrap_or_default();
                let expires_at = expires_at.parse().unwrap_or_default();
                life.connections_read.insert(id, expires_at);
            }
        }
        let mut verdict = Ok(());
        let mut changes = Vec::new();
        if status == 200 && is_write(&call.operation) {
            match state.ledger.mirror.follow(call, answer, table) {
                Ok(followed) => changes = followed,
                Err(complaint) => verdict = Err(complaint),
            }
            let scenario = &state.scenario;
            let writer = Writer {
                function,
                method,
                process: &call.caller,
                skewed: life.skew_milliseconds != 0,
                troubled: &state.troubled,
                kills: &|id, index| kills(scenario, id, index),
                clock: shifted(BEGINNING.after(now), life.skew_milliseconds),
                body: &call.body,
                versions_read: &life.versions_read,
            };
            let judged = state.ledger.judge(&changes, &writer, now);
            verdict = verdict.and(judged);
        }
        verdict = verdict.and(state.judge_told(call, method, status, answer, now));
        if function != Function::Status {
            count_call(&mut state.ledger, call);
        }
        if let Some(load) = &mut state.load {
            load.is_written(cost.write_units, &changes, now);
        }
        for change in &changes {
            state.take_record(change, now);
        }
        let text = state.trace.call(method, call, status, answer, &changes);
        state.trace.line(now, &call.caller, &text);
        for change in changes {
            state.changed_at.insert(change.key, (now, change.before));
        }
        let users = state.scenario.clients.len() as u64;
        let circles = state.calls > CALLS_MAX + users * CALLS_OF_USER_MAX;
        drop(guard);
        for shard in self.stream_changed.iter().flatten() {
            shard.notify_one();
        }
        let is_of_queue = call.operation.starts_with("SendMessage") && method != "put_aside";
        if status == 200 && is_of_queue {
            self.take_messages(call);
        }
        self.judge(verdict);
        if circles {
            self.complain("there are calls without end".into());
        }
    }
}

/// Adds a call to the account of the task that it concerns.
fn count_call(ledger: &mut Ledger, call: &Call) {
    if let Some(id) = Trace::task_concerned(call)
        && let Some(record) = ledger.tasks.get_mut(&id)
    {
        record.calls += 1;
    }
}

impl Figures {
    /// How many calls there were of a function's method.
    #[must_use]
    pub fn calls(&self, function: Function, method: &'static str) -> u64 {
        let cost = self.costs.get(&(function, method));
        cost.map_or(0, |cost| cost.calls)
    }

    /// How many calls there were.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.costs.values().map(|cost| cost.calls).sum()
    }
}

impl State {
    /// Judges what is told over a connection, to the event bus, or to people, and hands it on.
    fn judge_told(
        &mut self,
        call: &Call,
        method: &str,
        status: u16,
        answer: &Value,
        now: Duration,
    ) -> Result<(), String> {
        let ledger = &mut self.ledger;
        match method {
            "post" => {
                let id = call.body["ConnectionId"].as_str().unwrap_or_default();
                let life = self.lives.get(&call.caller);
                let read = life.and_then(|life| life.connections_read.get(id).copied());
                let skew = life.map_or(0, |life| life.skew_milliseconds);
                let clock = shifted(BEGINNING.after(now), skew);
                if status == 200 {
                    let text = call.body["Data"].as_str().unwrap_or_default();
                    let most = u64::try_from(ON_ITS_WAY_MAX.as_millis()).unwrap_or_default();
                    let takes = Duration::from_millis(self.chance.u64(1..=most));
                    self.gateway.send(id, text, now, takes);
                }
                let is_delivered = status == 200;
                ledger
                    .live
                    .judge_post(&call.body, is_delivered, &self.stream, read, clock)
            }
            "close" if status == 200 => {
                let id = call.body["ConnectionId"].as_str().unwrap_or_default();
                self.is_closed(id, now);
                Ok(())
            }
            "announce" if status == 200 => {
                let Ledger {
                    live,
                    mirror,
                    tasks,
                    ..
                } = ledger;
                let task = |id: &TaskId| mirror.get(&tasks.get(id)?.key)?.task.as_ref();
                live.judge_events(&call.body, answer, task)
            }
            "put_aside" if status == 200 => ledger.live.judge_put_aside(&call.body, &self.stream),
            _ => Ok(()),
        }
    }

    /// Takes a change into the stream.
    fn take_record(&mut self, change: &Change, now: Duration) {
        let live = self.scenario.live.as_ref();
        let odds = live.map(|live| live.odds).unwrap_or_default();
        let odds = if now < self.scenario.weather.until {
            odds
        } else {
            Odds::default()
        };
        let (late, is_garbled) = self.stream.take(change, now, &odds, &mut self.chance);
        if let Some(until) = late {
            self.goes_wrong("late record", now, until);
        }
        if is_garbled {
            self.goes_wrong("garbled record", now, now);
        }
    }

    /// Notes that something goes wrong from `now` on `until` then.
    fn goes_wrong(&mut self, what: &'static str, now: Duration, until: Duration) {
        *self.figures.faults.entry(what).or_default() += 1;
        self.ledger.fault_at.get_or_insert(now);
        self.last_fault_at = self.last_fault_at.max(Some(until));
    }
}

/// How long an item takes that begins now and would take `time` if nothing slowed it down.
fn slowed(scenario: &Scenario, index: u64, now: Duration, time: Duration) -> Duration {
    let slow = scenario.slow.iter();
    let is_slowed = |slow: &&Slow| slow.items.contains(&index) && now >= slow.from;
    let time = slow
        .filter(is_slowed)
        .fold(time, |time, slow| time * slow.times);
    let Some((from, lasts)) = scenario.hang else {
        return time;
    };
    let until = from + lasts;
    if now >= until || now + time <= from {
        time
    } else {
        time + until.saturating_sub(now.max(from))
    }
}

/// The message, as if it had been handed on so often.
fn with_hops(message: &str, hops: u32) -> String {
    let mut message: Value = serde_json::from_str(message).unwrap_or_default();
    message["hops"] = json!(hops);
    message.to_string()
}

/// What becomes of an item whenever it is processed: the same for the same item, however often it is asked.
fn fate_of(scenario: &Scenario, id: TaskId, index: u64) -> Fate {
    let certain = scenario.fates.iter().find(|(item, _)| *item == index);
    let seed = scenario.seed ^ (u64::from(id_bits(id)) << 20) ^ index;
    certain.map_or_else(
        || odd_fate(seed, scenario.odd_items_per_mille),
        |(_, fate)| *fate,
    )
}

/// Whether an item takes its workers down, or may take longer than they have.
fn kills(scenario: &Scenario, id: TaskId, index: u64) -> bool {
    let settings = &scenario.settings;
    matches!(fate_of(scenario, id, index), Fate::Kill(_))
        || settings.item.1 > settings.worker_timeout * 11 / 16
}

/// The fate of an item, by chance.
fn odd_fate(seed: u64, odd_per_mille: u32) -> Fate {
    let mut random = Rng::with_seed(seed);
    if random.u32(0..1000) >= odd_per_mille {
        return Fate::Done;
    }
    match random.u32(0..12) {
        0 | 1 => Fate::Retryable(random.u32(1..=4)),
        2 | 3 => {
            // In place; by one message; by messages that are sent on.
            let seconds = [1, 3, 20, 90, 1200][random.usize(0..5)];
            Fate::NotNow(random.u32(1..=3), Duration::from_secs(seconds))
        }
        4 | 5 => Fate::Permanent,
        6 | 7 => Fate::Panic,
        8 | 9 => Fate::Coin,
        10 => Fate::Kill(1),
        _ => Fate::Kill(u32::MAX),
    }
}

impl Settings {
    /// How many items of the job that has a worker of its own may be in flight at a time.
    #[must_use]
    pub fn limited_items_max(&self) -> usize {
        self.own_workers_max * Limited::ITEMS_IN_FLIGHT.map_or(0, usize::from)
    }
}

/// The random end of an id.
fn id_bits(id: TaskId) -> u32 {
    let text = id.to_string();
    let digits = text.get(text.len() - 8..).unwrap_or_default();
    u32::from_str_radix(digits, 16).unwrap_or_default()
}

/// What a clock shows that is off by so much.
pub(crate) fn shifted(time: Timestamp, milliseconds: i64) -> Timestamp {
    Timestamp(time.0.saturating_add_signed(milliseconds))
}

impl Faults for World {
    fn decide(&self, call: &Call) -> Fault {
        self.or_complain(|| self.suffer(call))
            .unwrap_or(Fault::None)
    }

    fn latency(&self, _: &Call) -> (Duration, Duration) {
        let mut state = self.state();
        let max = state.scenario.weather.latency_max.as_millis();
        let max = u64::try_from(max).unwrap_or_default().max(1);
        let mut draw = || Duration::from_millis(state.chance.u64(1..=max));
        (draw(), draw())
    }

    fn stale_answer(&self, call: &Call) -> Option<Value> {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        if call.body["ConsistentRead"].as_bool() == Some(true)
            || now >= state.scenario.weather.until
            || state.chance.u32(0..1000) >= state.scenario.weather.stale_per_mille
        {
            return None;
        }
        let fresh = |(at, _): &&(Duration, Option<Arc<Row>>)| now.saturating_sub(*at) < STALE;
        let answer = match call.operation.as_str() {
            "GetItem" => {
                let part = |name: &str| call.body["Key"][name]["S"].as_str().unwrap_or_default();
                let key = (part("pk").to_owned(), part("sk").to_owned());
                let (_, before) = state.changed_at.get(&key).filter(fresh)?;
                match before {
                    Some(row) => json!({ "Item": row.typed }),
                    None => json!({}),
                }
            }
            "Query" if call.body.get("IndexName").is_some() => {
                let values = &call.body["ExpressionAttributeValues"];
                let shard = values[":shard"]["S"].as_str().unwrap_or_default();
                let due: u64 = values[":now"]["N"].as_str()?.parse().ok()?;
                let mut found = Vec::new();
                for (key, row) in state.ledger.mirror.rows() {
                    let row = match state.changed_at.get(key).filter(fresh) {
                        Some((_, before)) => before.as_ref().map(|row| &row.typed),
                        None => Some(&row.typed),
                    };
                    let Some(row) = row else { continue };
                    let check_at = row["check_at"]["N"].as_str().unwrap_or_default();
                    let check_at: u64 = check_at.parse().unwrap_or(u64::MAX);
                    if row["open_shard"]["S"] == shard && check_at <= due {
                        let names = ["pk", "sk", "open_shard", "check_at"];
                        let row: serde_json::Map<_, _> = names
                            .into_iter()
                            .map(|name| (name.to_owned(), row[name].clone()))
                            .collect();
                        found.push((check_at, Value::Object(row)));
                    }
                }
                found.sort_by_key(|(check_at, _)| *check_at);
                let found: Vec<_> = found.into_iter().map(|(_, row)| row).collect();
                json!({"Items": found, "Count": found.len()})
            }
            _ => return None,
        };
        let text = format!("{:<14}is stale", method(call));
        state.trace.line(now, &call.caller, &text);
        Some(answer)
    }

    fn reached(&self, reached: &Reached<'_>) {
        self.or_complain(|| self.observe(reached));
    }
}
