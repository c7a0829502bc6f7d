//! Pages: they look on while tasks get on, as the page of the project does.
//!
//! A page asks when it is opened and when its connection is, then rarely as a check, and goes by what comes over the
//! connection. Without one it asks as often as it is told to. Of two things that it hears of a task it believes the one
//! with the higher version.

use std::time::Duration;

use longhaul::connection::Connection;
use longhaul::task::TaskId;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::Actor;
use crate::gateway::{Heard, Opened, Visitor};
use crate::live::{CHECKED_EVERY_MAX, Looking};
use crate::run::Run;
use crate::scenario::{Odds, Page};
use crate::site::Function;
use crate::watch::News;
use crate::world::World;

/// How long a page that cannot open a connection waits before it tries again: from, and up to.
const TRY_AGAIN: (u64, u64) = (2, 60);

/// How soon the page of the project expects news over its connection (`frontend/js/follower.js`).
const NEWS_WITHIN: Duration = Duration::from_secs(2);

/// What a page was busy with.
enum Done {
    Opened(Option<Opened>),
    Asked(Asked),
}

/// What was answered.
struct Asked {
    at: Duration,
    /// Whether all of it was.
    is_answered: bool,
    views: Vec<Value>,
    retry_after: Option<u64>,
    is_list: bool,
}

struct Visit {
    run: Run,
    name: String,
    script: Page,
    ear: UnboundedSender<Heard>,
    doing: JoinSet<Done>,
    connection: Option<Opened>,
    is_asking: bool,
    is_opening: bool,
    /// How often it has had no luck with connections.
    tries: u32,
    opened: usize,
    ask_at: Duration,
    listed_at: Option<Duration>,
    open_at: Duration,
}

/// Looks on, as the script says.
pub(crate) async fn look_on(run: Run, number: usize, script: Page) {
    tokio::time::sleep(script.at).await;
    let (ear, heard) = unbounded_channel();
    let now = run.world.now();
    let name = format!("page-{}", number + 1);
    let looking = Looking {
        user: script.user.clone(),
        since: Some(now),
        ..Looking::default()
    };
    run.world
        .state()
        .ledger
        .live
        .pages
        .insert(name.clone(), looking);
    let mut visit = Visit {
        run,
        name,
        script,
        ear,
        doing: JoinSet::new(),
        connection: None,
        is_asking: false,
        is_opening: false,
        tries: 0,
        opened: 0,
        ask_at: now,
        listed_at: None,
        open_at: now,
    };
    visit.stay(heard, now).await;
    visit.leave().await;
}

impl Visit {
    fn world(&self) -> &World {
        &self.run.world
    }

    fn looking<T>(&self, look: impl FnOnce(&mut Looking) -> T) -> T {
        let mut state = self.run.world.state();
        look(
            state
                .ledger
                .live
                .pages
                .entry(self.name.clone())
                .or_default(),
        )
    }

    fn odds(&self) -> Odds {
        let state = self.run.world.state();
        let live = state.scenario.live.as_ref();
        live.map(|live| live.odds).unwrap_or_default()
    }

    async fn stay(&mut self, mut heard: UnboundedReceiver<Heard>, since: Duration) {
        let leaves_at = since + self.script.stays;
        let mut arriving: Vec<(Duration, String)> = vec![];
        loop {
            let now = self.world().now();
            if now >= leaves_at {
                return;
            }
            let is_old = |opened: &Opened| now >= opened.since + Connection::LIFETIME;
            if self.connection.as_ref().is_some_and(is_old) {
                self.is_cut_off();
            }
            if now >= self.ask_at && !self.is_asking {
                self.ask();
            }
            if now >= self.open_at && !self.is_opening && self.connection.is_none() {
                self.open();
            }
            let mut wake = leaves_at.min(now + CHECKED_EVERY_MAX);
            if !self.is_asking {
                wake = wake.min(self.ask_at);
            }
            if !self.is_opening && self.connection.is_none() {
                wake = wake.min(self.open_at);
            }
            if let Some((due, _)) = arriving.first() {
                wake = wake.min(*due);
            }
            tokio::select! {
                biased;
                heard = heard.recv() => match heard {
                    Some(Heard::Text(due, text)) => arriving.push((due, text)),
                    Some(Heard::Closed) => self.is_closed(),
                    None => {}
                },
                Some(done) = self.doing.join_next() => match done {
                    Ok(Done::Opened(opened)) => self.has_opened(opened),
                    Ok(Done::Asked(asked)) => self.is_answered(&asked),
                    Err(panic) => self.world().complain(format!("a page panicked: {panic}")),
                },
                () = tokio::time::sleep(wake.saturating_sub(now)) => {}
            }
            let now = self.world().now();
            while arriving.first().is_some_and(|(due, _)| *due <= now) {
                let (_, text) = arriving.remove(0);
                self.is_told(&text);
            }
        }
    }

    fn is_told(&self, text: &str) {
        let told: Value = serde_json::from_str(text).unwrap_or_default();
        self.show(&told["data"], NEWS_WITHIN);
    }

    /// Shows how a task is, unless it shows something later already. The next news of it are expected so soon.
    fn show(&self, view: &Value, next_after: Duration) {
        let id: Option<TaskId> = view["task_id"].as_str().and_then(|id| id.parse().ok());
        let (Some(id), Some(version)) = (id, view["version"].as_u64()) else {
            self.world()
                .complain(format!("a page is told what it cannot read: {view}"));
            return;
        };
        let has_ended = !is_open(view);
        let is_news = self.looking(|looking| {
            let shown = looking.shown.entry(id).or_default();
            let is_news = *shown < version;
            if is_news {
                *shown = version;
                if has_ended {
                    looking.ended.insert(id);
                }
            }
            is_news
        });
        if is_news {
            let at = self.world().now();
            let mut state = self.world().state();
            if state.scenario.watched {
                let done = view["count_done_items"].as_u64().unwrap_or_default();
                let next_after = (!has_ended).then_some(next_after);
                let news = News {
                    at,
                    done,
                    next_after,
                };
                state.watched.news.push(news);
            }
            let verdict = state.ledger.judge_view(&self.name, id, view);
            drop(state);
            self.world().judge(verdict);
        }
    }

    /// Asks, without waiting for the answer.
    fn ask(&mut self) {
        self.is_asking = true;
        let now = self.world().now();
        let is_due = self
            .listed_at
            .is_none_or(|at| now >= at + CHECKED_EVERY_MAX * 3 / 4);
        let open = self.looking(|looking| {
            let shown = looking.shown.keys();
            let open = shown.filter(|id| !looking.ended.contains(id));
            open.copied().collect::<Vec<_>>()
        });
        let is_list = is_due || self.connection.is_some() || open.is_empty();
        let actor = Actor::looking(&self.run, &self.name, &self.script.user);
        self.doing.spawn(async move {
            Done::Asked(if is_list {
                actor.list(now).await
            } else {
                actor.statuses(&open, now).await
            })
        });
    }

    fn is_answered(&mut self, asked: &Asked) {
        self.is_asking = false;
        let now = self.world().now();
        if !asked.is_answered {
            self.looking(|looking| looking.unanswered_at = now);
            let wait = self.world().chance(|random| random.u64(500..4000));
            self.ask_at = now + Duration::from_millis(wait);
            return;
        }
        for view in &asked.views {
            let id = view["task_id"].as_str().and_then(|id| id.parse().ok());
            let told = view["task_status"].as_str().unwrap_or_default();
            if let Some(id) = id {
                let verdict = {
                    let state = self.world().state();
                    let task = state.ledger.task(&id);
                    let is_own = task.is_some_and(|task| task.user.as_str() == self.script.user);
                    if is_own {
                        state.ledger.judge_state(id, told, asked.at)
                    } else {
                        Err(format!("{} is shown somebody else's task", self.name))
                    }
                };
                self.world().judge(verdict);
            }
            // What comes over a connection is not waited for by asking.
            let asks_again = asked.retry_after.unwrap_or(1);
            let next_after = match &self.connection {
                Some(_) => NEWS_WITHIN,
                None => Duration::from_secs(asks_again),
            };
            self.show(view, next_after);
        }
        if asked.is_list {
            self.listed_at = Some(asked.at);
        }
        let rarely = self.world().chance(|random| random.u64(30_000..60_000));
        let rarely = asked.at + Duration::from_millis(rarely);
        let is_busy = asked.views.iter().any(is_open);
        self.ask_at = match (&self.connection, asked.retry_after) {
            (None, Some(seconds)) => rarely.min(now + Duration::from_secs(seconds)),
            // A list does not say when.
            (None, None) if is_busy => now + Duration::from_secs(1),
            _ => rarely,
        };
    }

    /// Has a connection opened, without waiting for it.
    fn open(&mut self) {
        self.is_opening = true;
        let (run, name, script) = (self.run.clone(), self.name.clone(), self.script.clone());
        let odds = self.odds();
        let visitor = Visitor {
            page: name.clone(),
            user: script.user.clone(),
            id: script.ids.get(self.opened).copied(),
            is_slow: script.is_slow,
            ear: self.ear.clone(),
        };
        self.opened += 1;
        self.doing.spawn(async move {
            let actor = Actor::looking(&run, &name, &script.user);
            let Some(ticket) = actor.ticket().await else {
                return Done::Opened(None);
            };
            let is_odd = run.happens(odds.odd_tickets);
            let way = if is_odd {
                run.world.chance(|random| random.u32(0..3))
            } else {
                3
            };
            let after = script.ticket_rests.unwrap_or_else(|| {
                let most = if way == 0 { 60_000 } else { 500 };
                Duration::from_millis(run.world.chance(|random| random.u64(10..most)))
            });
            tokio::time::sleep(after).await;
            let again = (way == 2).then(|| {
                let most = [100, 30_000][run.world.chance(|random| random.usize(0..2))];
                Duration::from_millis(run.world.chance(|random| random.u64(0..most)))
            });
            if let Some(after) = script.ticket_again.or(again) {
                let (run, visitor, ticket) = (run.clone(), visitor.clone(), ticket.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    run.open(visitor, &ticket).await
                });
            }
            Done::Opened(match way {
                1 => None,
                _ => Box::pin(run.open(visitor, &ticket)).await,
            })
        });
    }

    fn has_opened(&mut self, opened: Option<Opened>) {
        self.is_opening = false;
        let now = self.world().now();
        let is_line = |opened: &Opened| self.world().state().gateway.is_line(opened);
        let Some(opened) = opened.filter(is_line) else {
            return self.tries_again();
        };
        self.tries = 0;
        // What changed before is known by asking.
        self.ask_at = now;
        let (id, user) = (&opened.id, &self.script.user);
        let is_listed = self.world().state().ledger.live.is_listed(id, user);
        let is_told = is_listed && !opened.is_deaf && !self.script.is_slow;
        self.looking(|looking| looking.told_since = is_told.then_some(now));
        self.connection = Some(opened);
    }

    fn tries_again(&mut self) {
        let (least, most) = TRY_AGAIN;
        let wait = (least << self.tries.min(5)).min(most) * 1000;
        self.tries += 1;
        let wait = self.world().chance(|random| random.u64(wait / 2..wait));
        self.open_at = self.world().now() + Duration::from_millis(wait);
    }

    /// API Gateway closes its connection because it is old.
    fn is_cut_off(&mut self) {
        if let Some(opened) = &self.connection {
            self.run.close(opened);
        }
        self.is_closed();
    }

    /// One of its connections is closed, which may have been another.
    fn is_closed(&mut self) {
        let is_line = |opened: &mut Opened| self.run.world.state().gateway.is_line(opened);
        let Some(opened) = self.connection.take_if(|opened| !is_line(opened)) else {
            return;
        };
        let told = self.script.told_after(self.odds(), &self.run);
        self.run.lose(&self.name, &opened, true, told);
        self.looking(|looking| looking.told_since = None);
        self.ask_at = self.world().now();
        self.tries_again();
    }

    async fn leave(mut self) {
        self.looking(|looking| looking.since = None);
        self.world().note(&self.name, "leaves");
        self.doing.abort_all();
        if let Some(opened) = self.connection.take() {
            let told = self.script.told_after(self.odds(), &self.run);
            let is_noticed = !self.script.is_silent;
            let lost = self.run.lose(&self.name, &opened, is_noticed, told);
            if is_noticed && let Err(panic) = lost.await {
                self.world()
                    .complain(format!("a connection panicked: {panic}"));
            }
        }
    }
}

impl Page {
    /// How long after it the function is told of a connection's end, if ever.
    fn told_after(&self, odds: Odds, run: &Run) -> Option<Duration> {
        if let Some(after) = self.told {
            return after;
        }
        if run.happens(odds.untold) {
            let after = run.world.chance(|random| random.u64(0..120));
            return (after > 30).then(|| Duration::from_secs(after));
        }
        Some(Duration::from_millis(
            run.world.chance(|random| random.u64(10..1000)),
        ))
    }
}

fn is_open(view: &Value) -> bool {
    matches!(view["task_status"].as_str(), Some("QUEUED" | "PROCESSING"))
}

/// What a page asks.
impl Actor {
    async fn list(&self, asked_at: Duration) -> Asked {
        let path = "/api/tasks/?limit=100";
        let answer = self
            .call(Function::Status, "GET", path, None, None, "")
            .await;
        let answer = answer.filter(|answer| answer.status == 200);
        let views = answer
            .as_ref()
            .and_then(|answer| answer.body["data"]["tasks"].as_array());
        Asked {
            at: asked_at,
            is_answered: answer.is_some(),
            views: views.cloned().unwrap_or_default(),
            retry_after: None,
            is_list: true,
        }
    }

    async fn statuses(&self, open: &[TaskId], asked_at: Duration) -> Asked {
        let mut asked = Asked {
            at: asked_at,
            is_answered: true,
            views: vec![],
            retry_after: None,
            is_list: false,
        };
        for id in open {
            let path = self.path(&format!("{id}/"));
            let answer = self
                .call(Function::Status, "GET", &path, Some(*id), None, "")
                .await;
            let Some(answer) = answer.filter(|answer| answer.status == 200) else {
                asked.is_answered = false;
                continue;
            };
            asked.views.push(answer.body["data"].clone());
            let waits = [asked.retry_after, answer.retry_after];
            asked.retry_after = waits.into_iter().flatten().min();
        }
        asked
    }

    /// Asks for a ticket.
    async fn ticket(&self) -> Option<String> {
        let world = &self.run.world;
        let asked_at = world.now();
        let event = self.event("POST", "/api/live/", None, None, "");
        let answer = self.run.ask_live(&self.name, "a ticket", &event).await;
        let body = answer.as_ref().and_then(|answer| answer["body"].as_str());
        let body: Value = body
            .and_then(|body| serde_json::from_str(body).ok())
            .unwrap_or_default();
        let url = body["data"]["url"].as_str().unwrap_or_default();
        let ticket = url
            .split_once("?ticket=")
            .map(|(_, ticket)| ticket.to_owned());
        if ticket.is_none() && world.is_fair_since(asked_at) {
            world.complain("there is no ticket, although nothing goes wrong".into());
        }
        ticket
    }
}
