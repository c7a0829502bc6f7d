//! What happens in a run: who submits what, how the functions are set, and what goes wrong.
//!
//! A scenario is data. [`Scenario::drawn`] draws one from a seed; tests write their own.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use longhaul::quota::Quota;
use longhaul::task::{Terms, Uniqueness};

use crate::scaling::Scaling;
use crate::site::Function;

/// Inputs that do not share a row, where a scenario does not say otherwise.
const LARGE_INPUTS: u64 = 3;

/// How the functions and the queue are set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What new tasks are accepted on.
    pub terms: Terms,
    /// Items of a chunk that are processed at a time.
    pub items_in_flight: usize,
    /// How long progress waits to be saved together.
    pub progress_interval: Duration,
    /// How long a worker stays with a chunk.
    pub slice: Duration,
    /// The worker's timeout.
    pub worker_timeout: Duration,
    /// How long a received message stays hidden.
    pub visibility: Duration,
    /// How many workers run at a time.
    pub workers_max: usize,
    /// How many workers run at a time of the job that has a worker of its own.
    pub own_workers_max: usize,
    /// How many messages a worker is handed at a time.
    pub batch_max: usize,
    /// How often a message is received before it ends in the dead-letter queue.
    pub receives_max: u32,
    /// How often the sweeper dispatches a task.
    pub dispatches_max: u32,
    /// The time between two sweeps.
    pub sweep_every: Duration,
    /// Whether the queue prefers the groups with the fewest messages in flight, as fair queues do.
    pub fair: bool,
    /// How long an item takes: from, and up to.
    pub item: (Duration, Duration),
}

impl Default for Settings {
    /// What the template deploys.
    fn default() -> Self {
        Self {
            terms: Terms {
                chunk_items: 100,
                lease: Duration::from_secs(50),
                lifetime: Duration::from_secs(7 * 86_400),
                retention: Duration::from_secs(30 * 86_400),
                uniqueness: Uniqueness::User,
                quota: Quota::default(),
            },
            items_in_flight: 10,
            progress_interval: Duration::from_millis(500),
            slice: Duration::from_secs(60),
            worker_timeout: Duration::from_secs(150),
            visibility: Duration::from_secs(180),
            workers_max: 20,
            own_workers_max: 2,
            batch_max: 10,
            receives_max: 5,
            dispatches_max: 10,
            sweep_every: Duration::from_secs(60),
            fair: true,
            item: (Duration::from_secs(2), Duration::from_secs(2)),
        }
    }
}

/// What becomes of an item whenever it is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Done,
    /// It fails so many times and then works.
    Retryable(u32),
    /// It asks so many times for a pause of so long, and then works.
    NotNow(u32, Duration),
    /// It never works.
    Permanent,
    /// Processing it panics.
    Panic,
    /// It works or fails, as it happens.
    Coin,
    /// It takes its process down so many times.
    Kill(u32),
}

/// A kind of fault, before its details are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The caller dies before the call.
    CrashBefore,
    /// The caller dies after the call.
    CrashAfter,
    /// The call takes effect, and the answer is lost.
    LostAnswer,
    /// There is no connection.
    Unreachable,
    /// The caller is over a limit.
    Throttled,
    /// A concurrent transaction is in the way.
    Conflict,
    /// The call takes effect long after the caller gave it up.
    Late,
    /// The same, when nobody remembers that it is a repetition.
    Ghost,
    /// The call takes effect at once, and is answered after the caller gave it up.
    Slow,
    /// Half of a batch is refused.
    Half,
    /// The answer leaves out the stored rows.
    Terse,
}

/// All kinds of faults.
pub const KINDS: [Kind; 11] = [
    Kind::CrashBefore,
    Kind::CrashAfter,
    Kind::LostAnswer,
    Kind::Unreachable,
    Kind::Throttled,
    Kind::Conflict,
    Kind::Late,
    Kind::Ghost,
    Kind::Slow,
    Kind::Half,
    Kind::Terse,
];

/// A time in which no call gets through.
#[derive(Clone, Debug)]
pub struct Outage {
    /// From here on…
    pub from: Duration,
    /// …to here…
    pub until: Duration,
    /// …every call ends like this: longer than the SDK repeats it, so that the handlers learn of it.
    pub fault: embedded_aws::Fault,
    /// Whose calls; everybody's if it is nobody's.
    pub function: Option<Function>,
}

/// What goes wrong by chance.
#[derive(Clone, Debug)]
pub struct Weather {
    /// From here on nothing goes wrong any more.
    pub until: Duration,
    /// At most so many calls go wrong.
    pub budget: u32,
    /// So many calls of a thousand go wrong…
    pub per_mille: u32,
    /// …in one of these ways, each as likely as the others.
    pub kinds: Vec<Kind>,
    /// When nothing gets through at all.
    pub outages: Vec<Outage>,
    /// How far a process's clock is off.
    pub skew_max: Duration,
    /// Of a thousand invocations of a worker so many are killed at some moment.
    pub kills_per_mille: u32,
    /// Of a thousand messages so many are lost,
    pub lost_per_mille: u32,
    /// duplicated up to five times,
    pub duplicated_per_mille: u32,
    /// or delayed up to 12 hours.
    pub delayed_per_mille: u32,
    /// Of a thousand messages so many get into the queue of a worker that they are not for, as if they had been sent by
    /// a deployment of other ideas.
    pub misplaced_per_mille: u32,
    /// Whether messages overtake each other.
    pub reordered: bool,
    /// Of a thousand eventually consistent reads that could be stale so many are.
    pub stale_per_mille: u32,
    /// The longest that a call takes on its way, and its answer back.
    pub latency_max: Duration,
}

impl Weather {
    /// Nothing goes wrong.
    #[must_use]
    pub fn fair() -> Self {
        Self {
            until: Duration::ZERO,
            budget: 0,
            per_mille: 0,
            kinds: vec![],
            outages: vec![],
            skew_max: Duration::ZERO,
            kills_per_mille: 0,
            lost_per_mille: 0,
            duplicated_per_mille: 0,
            delayed_per_mille: 0,
            misplaced_per_mille: 0,
            reordered: false,
            stale_per_mille: 0,
            latency_max: Duration::from_millis(10),
        }
    }
}

/// A fault at a certain call.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Whose call.
    pub function: Function,
    /// By which method of the store or the queue; any when empty.
    pub method: &'static str,
    /// The how-manieth such call, from 0.
    pub nth: u32,
    /// It happens to so many of them in a row. The SDK makes a call up to four times.
    pub lasts: u32,
    /// What happens to it.
    pub fault: embedded_aws::Fault,
}

/// What a client does.
#[derive(Clone, Debug)]
pub struct Client {
    /// Who it is.
    pub user: String,
    /// When it begins.
    pub at: Duration,
    /// How many items it asks for.
    pub items: u64,
    /// Whether they have inputs.
    pub listed: bool,
    /// Whether they are of the job that has a worker of its own, if they have none.
    pub limited: bool,
    /// How many of the first inputs are so large that they do not share a row.
    pub large_inputs: u64,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Whether it follows its task, or leaves that to pages.
    pub follows: bool,
    /// How long after its task is accepted it calls it off.
    pub cancel_after: Option<Duration>,
    /// What it does once its task has ended.
    pub afterwards: Afterwards,
}

/// Who looks on over a connection, and what goes wrong with that.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Who looks on.
    pub pages: Vec<Page>,
    /// What happens by chance, as long as the weather is bad.
    pub odds: Odds,
}

/// Of a thousand…
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    /// …records of the stream so many come late, by seconds or minutes, and hold up what lies behind them,
    pub late: u32,
    /// so many are such that nobody can read them,
    pub garbled: u32,
    /// of batches so many come again after they were dealt with,
    pub repeated: u32,
    /// of connections so many have the id of one that is closed,
    pub reused: u32,
    /// over so many nothing arrives,
    pub deaf: u32,
    /// of so many the function hears late that they are closed, or never,
    pub untold: u32,
    /// and so many tickets are presented late, twice or never.
    pub odd_tickets: u32,
}

/// A page that somebody looks at.
#[derive(Clone, Debug)]
pub struct Page {
    /// Who.
    pub user: String,
    /// When it is opened.
    pub at: Duration,
    /// For how long.
    pub stays: Duration,
    /// Whether it goes without a word, so that its connection seems to be open for a while.
    pub is_silent: bool,
    /// Whether it reads more slowly than anybody waits.
    pub is_slow: bool,
    /// The ids that its connections are given, one after the other.
    pub ids: Vec<&'static str>,
    /// How long it holds a ticket before it presents it, if that is certain.
    pub ticket_rests: Option<Duration>,
    /// How long after it has presented a ticket it presents it again, if it does for certain.
    pub ticket_again: Option<Duration>,
    /// How long after its connection is closed the function hears of that, or that it never does, if that is certain.
    pub told: Option<Option<Duration>>,
}

impl Page {
    /// A page of a user's, opened at this time for so long.
    #[must_use]
    pub fn of(user: &str, at: Duration, stays: Duration) -> Self {
        Self {
            user: user.to_owned(),
            at,
            stays,
            is_silent: false,
            is_slow: false,
            ids: vec![],
            ticket_rests: None,
            ticket_again: None,
            told: None,
        }
    }
}

/// What a client does once its task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Nothing more.
    Leave,
    /// It submits the same again, under the same key.
    Repeat,
    /// It has what was left undone tried again, and what that leaves undone, so many times.
    Retry(u32),
    /// It submits something else under the same key.
    ReuseKey,
    /// It waits until the key is forgotten and submits the same again.
    RepeatTomorrow,
    /// It cancels, too late.
    Cancel,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// From which everything random is drawn.
    pub seed: u64,
    /// What kind of run it is.
    pub profile: Profile,
    /// Whether it was drawn from the seed, or written for a test.
    pub is_drawn: bool,
    /// How the functions and the queue are set.
    pub settings: Settings,
    /// What goes wrong by chance.
    pub weather: Weather,
    /// What goes wrong for certain.
    pub planned: Vec<Planned>,
    /// The messages that get lost for certain, by the order in which they are sent.
    pub lost: Vec<u64>,
    /// The messages that for certain get into the queue of a worker that they are not for, by the order in which they are
    /// sent.
    pub misplaced: Vec<u64>,
    /// The messages that are delivered for certain so long after they were sent, and how often.
    pub delivered: Vec<(u64, Vec<Duration>)>,
    /// How often the work has been handed on, by the account of every message.
    pub hops: Option<u32>,
    /// Kills worker invocations: the how-manieth, and how long after its start.
    pub kills: Vec<(u32, Duration)>,
    /// Who does what.
    pub clients: Vec<Client>,
    /// Of a thousand items so many have a fate other than [`Fate::Done`].
    pub odd_items_per_mille: u32,
    /// The fate of certain items, whatever chance says.
    pub fates: Vec<(u64, Fate)>,
    /// Users whose lock is held by a task that never was.
    pub left_locks: Vec<String>,
    /// When messages come that are none of ours.
    pub strays: Vec<Duration>,
    /// When the run ends, whatever is still going on.
    pub ends_at: Option<Duration>,
    /// Whether clients also look at lists, items and other people's tasks.
    pub curious: bool,
    /// The items that take longer than the settings say.
    pub slow: Vec<Slow>,
    /// From when on, and for how long, no item gets on: what it depends on does not answer.
    pub hang: Option<(Duration, Duration)>,
    /// From when on workers know the job whose items have inputs: before, they are of an older deployment.
    pub listed_known_from: Duration,
    /// Whether it is written down how a task gets on and what its client is shown of that.
    pub watched: bool,
    /// Live updates and events of ended tasks, if there are any.
    pub live: Option<Live>,
    /// How far AWS scales, where that is not without end.
    pub scaling: Option<Scaling>,
}

/// Items that take longer than the settings say.
#[derive(Clone, Debug)]
pub struct Slow {
    /// Which items…
    pub items: Range<u64>,
    /// …that begin from here on…
    pub from: Duration,
    /// …take so many times as long.
    pub times: u32,
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One of the others, by seed.
    Mixed,
    /// Nothing goes wrong.
    Calm,
    /// One thing goes wrong, under the settings of the template: shows how long recovery takes.
    Single,
    /// Everything goes wrong at once.
    Storm,
    /// Calls take effect late, again and again.
    Late,
    /// Locks are left behind, and several clients go for them at once.
    Locks,
    /// Calls take effect so late that DynamoDB has forgotten that they are repetitions.
    Ghosts,
    /// Clients call their tasks off while they are worked on.
    Restless,
}

fn seconds(random: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.u64(from * 1000..=to * 1000))
}

fn one_of<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(0..choices.len())]
}

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn drawn(seed: u64, profile: Profile) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x4c6f_6e67_6861_756c);
        let profile = match profile {
            Profile::Mixed => match random.u32(0..20) {
                0 => Profile::Calm,
                1..=4 => Profile::Single,
                5 => Profile::Late,
                6 => Profile::Ghosts,
                7 => Profile::Locks,
                8 => Profile::Restless,
                _ => Profile::Storm,
            },
            other => other,
        };
        let mut scenario = Self {
            is_drawn: true,
            ..Self::plain(seed, profile)
        };
        match profile {
            Profile::Single => scenario.draw_single(&mut random),
            _ => scenario.draw(&mut random),
        }
        // Of its own, so that whatever else a seed stands for stays the same.
        scenario.draw_live(&mut Rng::with_seed(seed ^ 0x4c69_7665));
        scenario
    }

    /// A scenario in which nobody does anything, with the settings of the template.
    #[must_use]
    pub fn plain(seed: u64, profile: Profile) -> Self {
        Self {
            seed,
            profile,
            is_drawn: false,
            settings: Settings::default(),
            weather: Weather::fair(),
            planned: vec![],
            lost: vec![],
            misplaced: vec![],
            delivered: vec![],
            hops: None,
            kills: vec![],
            clients: vec![],
            odd_items_per_mille: 0,
            fates: vec![],
            left_locks: vec![],
            strays: vec![],
            ends_at: None,
            curious: false,
            slow: vec![],
            hang: None,
            listed_known_from: Duration::ZERO,
            watched: false,
            live: None,
            scaling: None,
        }
    }

    /// A client who submits a task and follows it.
    pub(crate) fn client(items: u64) -> Client {
        Client {
            user: "ann".into(),
            at: Duration::ZERO,
            items,
            listed: false,
            limited: false,
            large_inputs: LARGE_INPUTS,
            key: None,
            follows: true,
            cancel_after: None,
            afterwards: Afterwards::Leave,
        }
    }

    /// The same, with one client who submits a task.
    #[must_use]
    pub fn one_task(seed: u64, items: u64) -> Self {
        Self {
            clients: vec![Self::client(items)],
            ..Self::plain(seed, Profile::Calm)
        }
    }

    fn draw_single(&mut self, random: &mut Rng) {
        let items = one_of(random, &[1, 5, 30, 100, 150, 300]);
        self.clients = Self::one_task(0, items).clients;
        self.settings.terms.chunk_items = one_of(random, &[10, 50, 100]);
        let methods = [
            (Function::Submit, ""),
            (Function::Worker, "task"),
            (Function::Worker, "send_all"),
            (Function::Worker, "claim"),
            (Function::Worker, "record_items"),
            (Function::Worker, "advance"),
            (Function::Worker, "finish"),
            (Function::Worker, "send"),
            (Function::Worker, ""),
        ];
        match random.u32(0..4) {
            0 => self.lost.push(random.u64(0..3)),
            1 => self.kills.push((random.u32(0..3), seconds(random, 0, 20))),
            _ => {
                let (function, method) = one_of(random, &methods);
                let kind = one_of(random, &KINDS);
                self.planned.push(Planned {
                    function,
                    method,
                    nth: random.u32(0..6),
                    lasts: match kind {
                        // Either the SDK makes up for it, or the handler learns of it.
                        Kind::Unreachable | Kind::Throttled => one_of(random, &[1, 4]),
                        Kind::Conflict => one_of(random, &[1, 7]),
                        _ => 1,
                    },
                    fault: fault(kind, random),
                });
            }
        }
    }

    fn draw(&mut self, random: &mut Rng) {
        self.draw_settings(random);
        self.draw_clients(random);
        self.curious = random.u32(0..3) == 0;
        if self.profile == Profile::Calm {
            return;
        }
        self.odd_items_per_mille = one_of(random, &[0, 0, 0, 20, 100]);
        let all = KINDS.to_vec();
        let some: Vec<_> = KINDS
            .into_iter()
            .filter(|_| random.u32(0..3) == 0)
            .collect();
        let storm = self.profile == Profile::Storm;
        self.weather = Weather {
            until: seconds(random, 20, 600),
            budget: random.u32(1..=30),
            per_mille: one_of(random, &[10, 50, 100, 200]),
            kinds: if some.is_empty() { all } else { some },
            outages: Self::draw_outages(random),
            skew_max: one_of(random, &[0, 0, 1, 30, 600]).into_duration(),
            kills_per_mille: one_of(random, &[0, 0, 50, 200]),
            lost_per_mille: one_of(random, &[0, 0, 10, 100]),
            duplicated_per_mille: one_of(random, &[0, 50, 200]),
            delayed_per_mille: one_of(random, &[0, 0, 30, 100]),
            // Not drawn, so that whatever else a seed stands for stays the same.
            misplaced_per_mille: [0, 100, 300][usize::try_from(self.seed % 3).unwrap_or_default()],
            reordered: random.bool(),
            stale_per_mille: one_of(random, &[0, 0, 100]),
            latency_max: Duration::from_millis(one_of(random, &[5, 50, 500])),
        };
        if random.bool() {
            let strays = random.usize(1..=10);
            self.strays = (0..strays).map(|_| seconds(random, 0, 60)).collect();
        }
        if self.profile == Profile::Late {
            self.weather.kinds = vec![Kind::Late, Kind::Slow, Kind::LostAnswer];
            self.weather.per_mille = 200;
            self.weather.budget = 40;
        }
        if self.profile == Profile::Ghosts {
            self.weather.kinds = vec![Kind::Ghost];
            self.weather.per_mille = 200;
            self.weather.budget = 40;
        }
        if self.profile == Profile::Locks || (storm && random.u32(0..20) == 0) {
            self.left_locks = vec!["ann".into()];
        }
    }

    /// In every third run somebody looks on.
    fn draw_live(&mut self, random: &mut Rng) {
        if random.u32(0..3) > 0 {
            return;
        }
        let mut live = Live::default();
        let users: std::collections::BTreeSet<_> = self
            .clients
            .iter()
            .map(|client| client.user.clone())
            .collect();
        let is_rough = !matches!(self.profile, Profile::Calm | Profile::Single);
        for user in &users {
            let pages = match random.u32(0..20) {
                0 => 12,
                some => some % 3,
            };
            for _ in 0..pages {
                let at = match random.u32(0..3) {
                    0 => Duration::ZERO,
                    1 => seconds(random, 0, 20),
                    _ => seconds(random, 0, 300),
                };
                let stays = match random.u32(0..40) {
                    0 => seconds(random, 7000, 15_000),
                    1..10 => seconds(random, 5, 60),
                    _ => seconds(random, 60, 900),
                };
                live.pages.push(Page {
                    is_silent: is_rough && random.u32(0..3) == 0,
                    is_slow: random.u32(0..10) == 0,
                    ..Page::of(user, at, stays)
                });
            }
        }
        if is_rough {
            live.odds = Odds {
                late: one_of(random, &[0, 0, 20, 100]),
                garbled: one_of(random, &[0, 0, 20]),
                repeated: one_of(random, &[0, 50, 300]),
                reused: one_of(random, &[0, 300, 900]),
                deaf: one_of(random, &[0, 0, 200]),
                untold: one_of(random, &[0, 200, 800]),
                odd_tickets: one_of(random, &[0, 0, 300]),
            };
        }
        self.live = Some(live);
    }

    fn draw_outages(random: &mut Rng) -> Vec<Outage> {
        use embedded_aws::Fault;
        let outages = random.u32(0..6).saturating_sub(3);
        let outage = |_| {
            let from = seconds(random, 0, 200);
            Outage {
                until: from + seconds(random, 1, 30),
                from,
                fault: one_of(
                    random,
                    &[Fault::Unreachable, Fault::Throttled, Fault::Conflict],
                ),
                function: one_of(
                    random,
                    &[None, Some(Function::Worker), Some(Function::Submit)],
                ),
            }
        };
        (0..outages).map(outage).collect()
    }

    fn draw_settings(&mut self, random: &mut Rng) {
        let lease = one_of(random, &[5, 20, 60, 60]).into_duration();
        let slice = one_of(random, &[2, 10, 60]).into_duration();
        let item = one_of(random, &[0, 100, 500, 2000, 8000]);
        let settings = &mut self.settings;
        settings.terms = Terms {
            chunk_items: random.u64(1..=10),
            lease,
            uniqueness: one_of(random, &[Uniqueness::User, Uniqueness::Request]),
            // Not drawn, so that whatever else a seed stands for stays the same.
            quota: match self.seed % 5 {
                0 => Quota {
                    tasks: 1 + self.seed / 5 % 3,
                    items: 0,
                },
                1 => Quota {
                    tasks: 4,
                    items: 5 + self.seed / 5 % 30,
                },
                _ => Quota::default(),
            },
            ..settings.terms
        };
        settings.items_in_flight = random.usize(1..=10);
        settings.progress_interval = Duration::from_millis(one_of(random, &[0, 500, 2000]));
        settings.slice = slice;
        settings.worker_timeout = match random.u32(0..3) {
            // Shorter than most tasks: the worker has to hand on because its own end is near.
            0 => one_of(random, &[15, 25]).into_duration(),
            _ => slice + Duration::from_secs(40),
        };
        settings.visibility = match random.u32(0..4) {
            // Shorter than the work.
            0 => one_of(random, &[2, 10]).into_duration(),
            _ => settings.worker_timeout + Duration::from_secs(5),
        };
        settings.workers_max = random.usize(2..=6);
        settings.batch_max = one_of(random, &[1, 3, 10]);
        settings.dispatches_max = one_of(random, &[3, 10, 10]);
        settings.item = (
            Duration::from_millis(item / 2),
            Duration::from_millis(item + item / 4),
        );
    }

    fn draw_clients(&mut self, random: &mut Rng) {
        let users = ["ann", "bob", "eve"];
        let locks = self.profile == Profile::Locks;
        let restless = self.profile == Profile::Restless;
        let users = if locks {
            1
        } else {
            random.usize(1..=users.len())
        };
        let clients = random.usize(users.max(if locks { 3 } else { 1 })..=users + 2);
        let sizes = [1, 2, 3, 5, 8, 13, 25, 40];
        // Few sizes, so that requests are equal now and then.
        let sizes = [one_of(random, &sizes), one_of(random, &sizes)];
        for n in 0..clients {
            let key = (random.u32(0..3) == 0).then(|| one_of(random, &["k1", "k2"]).to_owned());
            let afterwards = match (&key, random.u32(0..8)) {
                (Some(_), 0..=2) => Afterwards::Repeat,
                (Some(_), 3) => Afterwards::ReuseKey,
                (Some(_), 4) => Afterwards::RepeatTomorrow,
                (_, 7) => Afterwards::Cancel,
                (_, 5 | 6) => Afterwards::Retry(2),
                _ => Afterwards::Leave,
            };
            self.clients.push(Client {
                user: ["ann", "bob", "eve"][n % users].into(),
                at: match random.u32(0..3) {
                    0 => Duration::from_millis(random.u64(0..20)),
                    1 => seconds(random, 0, 10),
                    _ => seconds(random, 0, 200),
                },
                items: one_of(random, &sizes),
                // Not drawn, so that whatever else a seed stands for stays the same.
                listed: n % 2 == 1,
                limited: (self.seed / 2 + n as u64 / 2).is_multiple_of(3),
                large_inputs: LARGE_INPUTS,
                key,
                follows: true,
                cancel_after: (restless || random.u32(0..5) == 0)
                    .then(|| seconds(random, 0, if restless { 5 } else { 30 })),
                afterwards,
            });
        }
    }
}

/// Draws the details of a fault.
#[must_use]
pub fn fault(kind: Kind, random: &mut Rng) -> embedded_aws::Fault {
    use embedded_aws::Fault;
    match kind {
        Kind::CrashBefore => Fault::CrashBefore,
        Kind::CrashAfter => Fault::CrashAfter,
        Kind::LostAnswer => Fault::LostAnswer,
        Kind::Unreachable => Fault::Unreachable,
        Kind::Throttled => Fault::Throttled,
        Kind::Conflict => Fault::Conflict,
        Kind::Late => Fault::Late(match random.u32(0..4) {
            0 => Duration::from_millis(random.u64(100..2000)),
            1 | 2 => seconds(random, 2, 20),
            _ => seconds(random, 20, 900),
        }),
        // DynamoDB recognises the repetition of a transaction for ten minutes.
        Kind::Ghost => Fault::Late(seconds(random, 601, 1500)),
        Kind::Slow => Fault::Slow(seconds(random, 1, 5)),
        Kind::Half => Fault::Half,
        Kind::Terse => Fault::Terse,
    }
}

trait IntoDuration {
    fn into_duration(self) -> Duration;
}

impl IntoDuration for u64 {
    fn into_duration(self) -> Duration {
        Duration::from_secs(self)
    }
}
