//! API Gateway's side of connections: it asks the authorizer, tells the function of who comes and goes, hands messages on
//! and closes what has been open for too long.
//!
//! That ids do not come again is nowhere promised, so here they do: not before whatever went on when the old connection
//! was closed is over.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul::connection::{Connection, Ticket};
use longhaul::host::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::run::Run;
use crate::site::Function;
use crate::world::State;

/// So long after a connection was closed its id may come again: after one invocation of a function.
pub(crate) const ID_RESTS: Duration = Duration::from_secs(10);

/// A message is with its page so soon.
pub(crate) const ON_ITS_WAY_MAX: Duration = Duration::from_millis(200);

/// A call about a connection takes effect within this time, or never: API Gateway does not keep it for longer.
pub(crate) const CALL_KEPT_MAX: Duration = Duration::from_secs(5);

/// So much time a message takes on its way to somebody who reads slowly, longer than anybody waits.
pub(crate) const SLOW: Duration = Duration::from_secs(3);

/// API Gateway closes what has been idle for so long.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// The functions' timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a page hears over its connection.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// A text, which arrives at this time.
    Text(Duration, String),
    /// It is closed.
    Closed,
}

/// Who opens a connection, and what is special about it.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The page's name.
    pub(crate) page: String,
    /// Its user.
    pub(crate) user: String,
    /// The id that its connection is to have.
    pub(crate) id: Option<&'static str>,
    /// Whether it reads slowly.
    pub(crate) is_slow: bool,
    /// Who hears what comes.
    pub(crate) ear: UnboundedSender<Heard>,
}

/// A connection that is open.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Its id.
    pub(crate) id: String,
    /// When it began to be opened, as its events say it.
    pub(crate) connected_at: Timestamp,
    /// When it was open.
    pub(crate) since: Duration,
    /// What the authorizer said, which comes back with its end.
    authorizer: Value,
    /// Whether what is sent over it gets lost.
    pub(crate) is_deaf: bool,
}

#[derive(Debug)]
struct Line {
    visitor: Visitor,
    opened: Opened,
    arrives_at: Duration,
}

/// The connections.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    lines: BTreeMap<String, Line>,
    /// Ids, and when they were used last.
    used: Vec<(String, Duration)>,
    next: u64,
}

impl Gateway {
    /// Whether this connection reads slowly.
    pub(crate) fn is_slow(&self, id: &str) -> bool {
        self.lines.get(id).is_some_and(|line| line.visitor.is_slow)
    }

    /// Sends a text over a connection, which takes so long.
    pub(crate) fn send(&mut self, id: &str, text: &str, now: Duration, takes: Duration) {
        if let Some(line) = self.lines.get_mut(id).filter(|line| !line.opened.is_deaf) {
            line.arrives_at = line.arrives_at.max(now + takes);
            let text = Heard::Text(line.arrives_at, text.to_owned());
            // Who does not listen any more has gone without a word.
            let _ = line.visitor.ear.send(text);
        }
    }

    /// Has no connection of this id any more.
    fn close(&mut self, id: &str, now: Duration) {
        if let Some(line) = self.lines.remove(id) {
            self.used.push((id.to_owned(), now));
            let _ = line.visitor.ear.send(Heard::Closed);
        }
    }

    fn new_id(
        &mut self,
        wish: Option<&'static str>,
        reused: Option<usize>,
        now: Duration,
    ) -> String {
        if let Some(id) = wish {
            self.used.retain(|(used, _)| used != id);
            return id.to_owned();
        }
        let rested = self.used.iter().enumerate();
        let mut rested = rested.filter(|(_, (_, at))| *at + ID_RESTS <= now);
        let again = reused.and_then(|nth| {
            let count = rested.clone().count().max(1);
            rested.nth(nth % count).map(|(place, _)| place)
        });
        if let Some(place) = again {
            return self.used.remove(place).0;
        }
        self.next += 1;
        format!("connection-{}=", self.next)
    }
}

impl Run {
    /// Whether something happens by chance that happens so often of a thousand times.
    pub(crate) fn happens(&self, per_mille: u32) -> bool {
        let world = &self.world;
        per_mille > 0 && world.is_stormy() && world.chance(|random| random.u32(0..1000)) < per_mille
    }

    /// One invocation of the function behind connections; `None` if it died.
    pub(crate) async fn ask_live(&self, who: &str, what: &str, event: &Value) -> Option<Value> {
        let process = self.borrow(Function::Live);
        let live = process.live();
        let event = event.to_string();
        let answer = process.run(TIMEOUT, Box::pin(live.handle(&event))).await;
        self.give_back(Function::Live, process);
        let outcome = match &answer {
            Err(_) => "no answer".to_owned(),
            Ok(answer) if answer["statusCode"].is_null() => {
                let statement = &answer["policyDocument"]["Statement"][0];
                statement["Effect"].as_str().unwrap_or_default().to_owned()
            }
            Ok(answer) => answer["statusCode"].to_string(),
        };
        self.world.note(who, &format!("{what}: {outcome}"));
        answer.ok()
    }

    /// What becomes of somebody who presents a ticket: the connection, if it is opened.
    pub(crate) async fn open(&self, visitor: Visitor, ticket: &str) -> Option<Opened> {
        let world = &self.world;
        let asked_at = world.now();
        let digest = Ticket::presented(ticket)?.digest();
        let is_first = world.state().ledger.live.is_presented(&digest, asked_at);
        let event = json!({
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:us-east-1:000000000000:socket/live/$connect",
            "queryStringParameters": {"ticket": ticket},
            "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "apiId": "socket"},
        });
        let policy = self
            .ask_live(&visitor.page, "$connect, may it", &event)
            .await;
        let policy = policy.unwrap_or_default();
        let is_allowed = policy["policyDocument"]["Statement"][0]["Effect"] == "Allow";
        if !is_allowed {
            if is_first && world.is_fair_since(asked_at) {
                world.complain("a good ticket was refused, although nothing goes wrong".into());
            }
            return None;
        }
        let authorizer = policy["context"].clone();
        let sub = authorizer["sub"].as_str().unwrap_or_default();
        let verdict = world
            .state()
            .ledger
            .live
            .judge_allowed(&digest, sub, &visitor.user);
        world.judge(verdict);
        self.connect(visitor, authorizer, asked_at).await
    }

    async fn connect(
        &self,
        visitor: Visitor,
        authorizer: Value,
        asked_at: Duration,
    ) -> Option<Opened> {
        let world = &self.world;
        let odds = world.state().scenario.live.as_ref().map(|live| live.odds);
        let odds = odds.unwrap_or_default();
        let reused = self
            .happens(odds.reused)
            .then(|| world.chance(|random| random.usize(..)));
        let is_deaf = self.happens(odds.deaf);
        let wish = visitor.id;
        let id = world.state().gateway.new_id(wish, reused, world.now());
        let connected_at = world.true_time();
        let event = socket_event("CONNECT", &id, connected_at, &authorizer);
        let what = format!("opens {id}");
        let answer = self.ask_live(&visitor.page, &what, &event).await;
        let now = world.now();
        let status = answer.map(|answer| answer["statusCode"].clone());
        if status != Some(json!(200)) {
            world.state().gateway.used.push((id, now));
            let is_again = wish.is_some() || reused.is_some();
            if !is_again && world.is_fair_since(asked_at) {
                world.complain(format!(
                    "{status:?} for $connect, although nothing goes wrong"
                ));
            }
            return None;
        }
        self.aws.open_connection(&id);
        if is_deaf {
            world.wrong("deaf connection");
        }
        let opened = Opened {
            id: id.clone(),
            connected_at,
            since: now,
            authorizer,
            is_deaf,
        };
        let mut state = world.state();
        let (user, page) = (&visitor.user, &visitor.page);
        let verdict = state.ledger.live.opens(&id, user, page, connected_at);
        let line = Line {
            visitor,
            opened: opened.clone(),
            arrives_at: now,
        };
        state.gateway.lines.insert(id, line);
        drop(state);
        world.judge(verdict);
        Some(opened)
    }

    /// Closes this very connection.
    pub(crate) fn close(&self, opened: &Opened) {
        let mut state = self.world.state();
        if state.gateway.is_line(opened) {
            self.aws.break_connection(&opened.id);
            state.is_closed(&opened.id, self.world.now());
        }
    }

    /// The other end of a connection is gone: it is closed at once or, if that is not noticed, when it has been idle for
    /// too long. The function is told so long after that, if ever: what is returned ends then.
    pub(crate) fn lose(
        &self,
        page: &str,
        opened: &Opened,
        is_noticed: bool,
        told: Option<Duration>,
    ) -> JoinHandle<()> {
        let (run, page, opened) = (self.clone(), page.to_owned(), opened.clone());
        if is_noticed {
            run.close(&opened);
        }
        tokio::spawn(async move {
            if !is_noticed {
                let left = Connection::LIFETIME
                    .saturating_sub(run.world.now().saturating_sub(opened.since));
                tokio::time::sleep(IDLE_MAX.min(left)).await;
                run.close(&opened);
            }
            let Some(told) = told else { return };
            tokio::time::sleep(told).await;
            let Opened {
                id, connected_at, ..
            } = &opened;
            let event = socket_event("DISCONNECT", id, *connected_at, &opened.authorizer);
            run.ask_live(&page, &format!("is gone from {id}"), &event)
                .await;
        })
    }
}

impl Gateway {
    /// Whether this very connection is open.
    pub(crate) fn is_line(&self, opened: &Opened) -> bool {
        let line = self.lines.get(&opened.id);
        line.is_some_and(|line| line.opened.connected_at == opened.connected_at)
    }
}

impl State {
    /// Notes that a connection is closed.
    pub(crate) fn is_closed(&mut self, id: &str, now: Duration) {
        self.gateway.close(id, now);
        self.ledger.live.closes(id);
    }
}

fn socket_event(kind: &str, id: &str, connected_at: Timestamp, authorizer: &Value) -> Value {
    json!({
        "requestContext": {
            "routeKey": format!("${}", kind.to_lowercase()),
            "eventType": kind,
            "connectionId": id,
            "connectedAt": connected_at.0,
            "authorizer": authorizer,
            "stage": "live",
            "apiId": "socket",
        },
        "isBase64Encoded": false,
    })
}
