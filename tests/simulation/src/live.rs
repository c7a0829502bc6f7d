//! What must be true of live updates and of the events of ended tasks.
//!
//! It is judged by what is in the table, by who is at the other end of a connection when something is sent over it, by
//! what pages show, and by what is on the event bus.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::time::Duration;

use longhaul::ended::DETAIL_TYPE;
use longhaul::host::Timestamp;
use longhaul::task::{Task, TaskId};
use serde_json::{Value, json};

use crate::gateway::{ON_ITS_WAY_MAX, SLOW};
use crate::ledger::Writer;
use crate::process::EVENT_SOURCE;
use crate::scenario::Scenario;
use crate::stream::{LAG_MAX, Record, Stream, WINDOW};
use crate::table::{Change, Key, Mirror};
use crate::world::BEGINNING;

/// A page asks at least this often, whatever it is told,
pub(crate) const CHECKED_EVERY_MAX: Duration = Duration::from_secs(60);
/// and has the answer within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What went wrong so long before a change has no part in how it is told: invocations are over by then.
const OVER_WITHIN: Duration = Duration::from_secs(15);

/// The longest that a call takes from when the clock was read for it, in seconds.
const CALL_SECONDS_MAX: u64 = longhaul::aws::CALL_SECONDS_MAX.as_secs() + 1;

/// A connection is open for so long at most.
const CONNECTED_FOR: Duration = Duration::from_secs(2 * 3600);

/// A ticket is good for so long, as the contract says it.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// From reading a list of connections to the last message to one of it, in seconds.
const TOLD_SECONDS_MAX: u64 = 10;

type Verdict = Result<(), String>;

/// A ticket.
#[derive(Debug)]
struct Issued {
    user: String,
    /// What the clock showed of who issued it.
    clock: Timestamp,
    expires_at: u64,
    presented: u32,
    allowed: u32,
    /// What the clock showed of whoever took it.
    taken_at: Option<Timestamp>,
}

/// A page that somebody looks at.
#[derive(Debug, Default)]
pub(crate) struct Looking {
    /// Whose it is.
    pub(crate) user: String,
    /// Since when it is open; `None` when it is not any more.
    pub(crate) since: Option<Duration>,
    /// Since when it has had a connection over which messages come without delay.
    pub(crate) told_since: Option<Duration>,
    /// When an answer last failed to come.
    pub(crate) unanswered_at: Duration,
    /// What it shows: versions.
    pub(crate) shown: BTreeMap<TaskId, u64>,
    /// What it shows that has ended.
    pub(crate) ended: BTreeSet<TaskId>,
}

/// The judge of it.
#[derive(Debug, Default)]
pub(crate) struct LiveLedger {
    /// Connections that are open, whose they are, since when, and over which page.
    open: BTreeMap<String, (String, Timestamp, String)>,
    /// Connections that were taken, by a wrong clock, for ones that should be open by then.
    misjudged: BTreeSet<(String, u64)>,
    /// In whose lists each connection is.
    listed: BTreeMap<String, BTreeSet<String>>,
    tickets: BTreeMap<String, Issued>,
    /// How often each end was said on the bus.
    announced: BTreeMap<TaskId, u64>,
    /// Records that were put aside, by the function or by the mapping.
    put_aside: BTreeSet<String>,
    given_up: BTreeSet<TaskId>,
    /// The pages.
    pub(crate) pages: BTreeMap<String, Looking>,
    /// What there was of it, for figures.
    pub(crate) count: Count,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Connections that were opened.
    pub opened: u64,
    /// Messages that were handed to API Gateway.
    pub told: u64,
    /// Events that were put on the bus.
    pub announced: u64,
    /// Records that were put aside.
    pub put_aside: u64,
    /// Ends that were given up after the time that they had.
    pub given_up: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, more: Self) {
        self.opened += more.opened;
        self.told += more.told;
        self.announced += more.announced;
        self.put_aside += more.put_aside;
        self.given_up += more.given_up;
    }
}

fn claim(holds: bool, complaint: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(complaint()) }
}

/// Whether the key is of a ticket or a connection.
pub(crate) fn is_of_connections((pk, _): &Key) -> bool {
    ["TICKET#", "CONNECTIONS#", "CONNECTION#"]
        .iter()
        .any(|prefix| pk.starts_with(prefix))
}

/// What becomes of tickets and connections.
impl LiveLedger {
    /// Judges a change of a row of connections.
    pub(crate) fn judge_row(&mut self, change: &Change, writer: &Writer) -> Verdict {
        let (pk, sk) = &change.key;
        if let Some(digest) = pk.strip_prefix("TICKET#") {
            self.judge_ticket(digest, change, writer)
        } else if let Some(user) = pk.strip_prefix("CONNECTIONS#") {
            let id = sk.strip_prefix("CONNECTION#").unwrap_or_default();
            self.judge_listed(user, id, change, writer)
        } else {
            judge_expiry(change, writer)
        }
    }

    fn judge_ticket(&mut self, digest: &str, change: &Change, writer: &Writer) -> Verdict {
        match (&change.before, &change.after) {
            (None, Some(row)) => {
                let expires_at = row.number("expires_at");
                claim(writer.method == "add_ticket", || {
                    format!("{} made a ticket", writer.method)
                })?;
                // A write may be late; that makes no ticket good for longer.
                let latest = writer.clock.after(GOOD_FOR).seconds();
                claim(expires_at <= latest, || {
                    "a ticket is good for too long".into()
                })?;
                // The same write may come again.
                self.tickets
                    .entry(digest.to_owned())
                    .or_insert_with(|| Issued {
                        user: row.text("user").to_owned(),
                        clock: writer.clock,
                        expires_at,
                        presented: 0,
                        allowed: 0,
                        taken_at: None,
                    });
                Ok(())
            }
            (Some(_), None) => {
                if let Some(issued) = self.tickets.get_mut(digest) {
                    issued.taken_at = Some(writer.clock);
                }
                Ok(())
            }
            _ => Err("a ticket was changed".into()),
        }
    }

    fn judge_listed(&mut self, user: &str, id: &str, change: &Change, writer: &Writer) -> Verdict {
        let listed = self.listed.entry(id.to_owned()).or_default();
        let Some(after) = &change.after else {
            listed.remove(user);
            let was = change.before.as_ref().map(|row| row.number("connected_at"));
            let was = was.unwrap_or_default();
            let is_misjudged = writer.method == "forget" && writer.skewed;
            if is_misjudged {
                self.misjudged.insert((id.to_owned(), was));
            }
            let open = self.open.get(id);
            let open =
                open.filter(|(owner, connected_at, _)| owner == user && was == connected_at.0);
            if let Some((.., page)) = open
                && is_misjudged
                && let Some(page) = self.pages.get_mut(page)
            {
                page.told_since = None;
            }
            return claim(open.is_none() || is_misjudged, || {
                format!(
                    "{} took {id} off the list of {user}, and it is open",
                    writer.method
                )
            });
        };
        listed.insert(user.to_owned());
        claim(after.text("id") == id, || {
            format!("{id} is listed by another name")
        })?;
        judge_expiry(change, writer)
    }

    /// Judges what the rows of a connection say together.
    pub(crate) fn judge_lists(&self, mirror: &Mirror, (pk, sk): &Key) -> Verdict {
        let id = sk
            .strip_prefix("CONNECTION#")
            .or(pk.strip_prefix("CONNECTION#"));
        let id = id.unwrap_or_default();
        let Some(listed) = self.listed.get(id).filter(|listed| !listed.is_empty()) else {
            return Ok(());
        };
        claim(listed.len() == 1, || {
            format!("{id} is in the lists of {listed:?}")
        })?;
        let owner = mirror.get(&(format!("CONNECTION#{id}"), "OWNER".into()));
        let owner = owner.map(|row| row.text("user").to_owned());
        claim(
            owner.as_ref().is_some_and(|owner| listed.contains(owner)),
            || format!("{id} is in the list of {listed:?} and belongs to {owner:?}"),
        )
    }

    /// Notes that a ticket is presented. Returns whether it must be good.
    pub(crate) fn is_presented(&mut self, digest: &str, now: Duration) -> bool {
        let Some(issued) = self.tickets.get_mut(digest) else {
            return false;
        };
        issued.presented += 1;
        let later = BEGINNING.after(now).seconds() + CALL_SECONDS_MAX;
        issued.presented == 1 && later < issued.clock.after(GOOD_FOR).seconds()
    }

    /// Judges that somebody is let in with a ticket.
    pub(crate) fn judge_allowed(&mut self, digest: &str, sub: &str, user: &str) -> Verdict {
        let issued = self.tickets.get_mut(digest);
        let issued = issued.ok_or("a ticket is good that never was")?;
        issued.allowed += 1;
        claim(issued.allowed == 1, || "a ticket let in two".into())?;
        claim(issued.user == sub && sub == user, || {
            format!(
                "{user} was let in as {sub} with a ticket of {}",
                issued.user
            )
        })?;
        let is_in_time = issued
            .taken_at
            .is_some_and(|taken_at| taken_at.seconds() < issued.expires_at + CALL_SECONDS_MAX);
        claim(is_in_time, || "a ticket let in after its time".into())
    }

    /// A connection is open now.
    pub(crate) fn opens(&mut self, id: &str, user: &str, page: &str, at: Timestamp) -> Verdict {
        self.count.opened += 1;
        let open = (user.to_owned(), at, page.to_owned());
        self.open.insert(id.to_owned(), open);
        let is_misjudged = self.misjudged.contains(&(id.to_owned(), at.0));
        claim(self.is_listed(id, user) || is_misjudged, || {
            format!("{id} is open and not in the list of {user}")
        })
    }

    /// Whether a connection is in a user's list.
    pub(crate) fn is_listed(&self, id: &str, user: &str) -> bool {
        let listed = self.listed.get(id);
        listed.is_some_and(|listed| listed.contains(user))
    }

    /// It is closed.
    pub(crate) fn closes(&mut self, id: &str) {
        self.open.remove(id);
    }
}

/// What is told.
impl LiveLedger {
    /// Judges a message that reaches API Gateway: it must say how the task was once, and the other end of an open
    /// connection be its user's.
    pub(crate) fn judge_post(
        &mut self,
        body: &Value,
        is_delivered: bool,
        stream: &Stream,
        read: Option<u64>,
        clock: Timestamp,
    ) -> Verdict {
        let id = body["ConnectionId"].as_str().unwrap_or_default();
        let told = body["Data"].as_str().unwrap_or_default();
        let told: Value = serde_json::from_str(told).unwrap_or_default();
        let data = &told["data"];
        let version = told["version"].as_u64().unwrap_or_default();
        let task_id: Option<TaskId> = data["task_id"].as_str().and_then(|id| id.parse().ok());
        let task = task_id.and_then(|id| stream.version(id, version));
        let task = task.ok_or_else(|| format!("{id} is told of what never was: {told}"))?;
        let is_so = told["type"] == "task" && data["version"] == version && is_as_told(task, data);
        claim(is_so, || {
            format!("{id} is told {told}, and it was {task:?}")
        })?;
        let user = task.user.as_str();
        let expires_at = read.ok_or_else(|| format!("{id} is told without being looked up"))?;
        claim(clock.seconds() <= expires_at + TOLD_SECONDS_MAX, || {
            format!("{id} of {user} is told after its time")
        })?;
        if !is_delivered {
            return Ok(());
        }
        self.count.told += 1;
        match self.open.get(id) {
            Some((owner, ..)) => claim(owner == user, || {
                format!("{owner} is told of a task of {user}")
            }),
            None => Err(format!("{id} is not open, and something was delivered")),
        }
    }

    /// When a page has to show at the latest that a task has ended that ended at this time, whatever it is told, and why.
    fn deadline(
        page: &Looking,
        ended_at: Duration,
        scenario: &Scenario,
        is_fair_since: impl Fn(Duration) -> bool,
    ) -> Option<(Duration, &'static str)> {
        let since = page.since?;
        let is_told = page
            .told_since
            .is_some_and(|told_since| told_since <= ended_at);
        if is_told && is_fair_since(ended_at.saturating_sub(OVER_WITHIN)) {
            return Some((
                ended_at + told_within(scenario),
                "is told over its connection",
            ));
        }
        let from = ended_at.max(since).max(page.unanswered_at);
        Some((from + CHECKED_EVERY_MAX + ANSWERED_WITHIN, "asks"))
    }

    /// Judges whether every page shows that a task has ended that ended at this time.
    pub(crate) fn judge_pages(
        &self,
        task: &Task,
        ended_at: Duration,
        now: Duration,
        scenario: &Scenario,
        is_fair_since: impl Fn(Duration) -> bool,
    ) -> Verdict {
        for (name, page) in &self.pages {
            if page.user != task.user.as_str() || page.ended.contains(&task.task_id) {
                continue;
            }
            if let Some((deadline, why)) = Self::deadline(page, ended_at, scenario, &is_fair_since)
                && now > deadline
            {
                let id = task.task_id;
                let late = now.saturating_sub(ended_at).as_secs_f64();
                return Err(format!(
                    "{name} {why} and does not show after {late:.1} s that {id} has ended"
                ));
            }
        }
        Ok(())
    }
}

/// How soon a page is told over its connection if nothing goes wrong: the write becomes visible, while the batch before it
/// is being told; the mapping waits for more; then it is told. A batch takes a look at the list, a message to each and,
/// where one is gone, another call. Who reads slowly holds up the batch behind its own.
pub(crate) fn told_within(scenario: &Scenario) -> Duration {
    let call = scenario.weather.latency_max * 2;
    let pages = scenario.live.iter().flat_map(|live| &live.pages);
    let slowest = if pages.into_iter().any(|page| page.is_slow) {
        SLOW
    } else {
        call
    };
    let batch = call + slowest.max(call) + call;
    LAG_MAX + batch + WINDOW + batch + ON_ITS_WAY_MAX
}

/// What is said of tasks that have ended.
impl LiveLedger {
    /// Judges the events that a call put on the bus.
    pub(crate) fn judge_events<'a>(
        &mut self,
        body: &Value,
        answer: &Value,
        task: impl Fn(&TaskId) -> Option<&'a Task>,
    ) -> Verdict {
        let entries = body["Entries"].as_array().into_iter().flatten();
        let answers = answer["Entries"].as_array().into_iter().flatten();
        for (entry, answer) in entries.zip(answers) {
            let detail = entry["Detail"].as_str().unwrap_or_default();
            let detail: Value = serde_json::from_str(detail).unwrap_or_default();
            let id: Option<TaskId> = detail["task_id"].as_str().and_then(|id| id.parse().ok());
            let task = id.and_then(|id| task(&id));
            let task = task.ok_or_else(|| format!("an event tells of no task: {entry}"))?;
            let is_so = entry["Source"] == EVENT_SOURCE
                && entry["DetailType"] == DETAIL_TYPE
                && !task.status.is_open()
                && detail == detail_of(task);
            claim(is_so, || format!("an event says {entry} of {task:?}"))?;
            if answer["ErrorCode"].is_null() {
                *self.announced.entry(task.task_id).or_default() += 1;
                self.count.announced += 1;
            }
        }
        Ok(())
    }

    /// Judges what the function puts aside: only what nobody can read.
    pub(crate) fn judge_put_aside(&mut self, body: &Value, stream: &Stream) -> Verdict {
        let message = body["MessageBody"].as_str().unwrap_or_default();
        let message: Value = serde_json::from_str(message).unwrap_or_default();
        let number = message["sequence_number"].as_str().unwrap_or_default();
        let record = stream
            .records()
            .find(|record| record.sequence_number() == number);
        claim(record.is_some_and(|record| record.is_garbled), || {
            format!("what can be read was put aside: {message}")
        })?;
        let is_known = message["keys"]["sk"]["S"].is_string();
        claim(is_known, || "what was put aside cannot be found".into())?;
        self.count.put_aside += 1;
        self.put_aside.insert(number.to_owned());
        Ok(())
    }

    /// The mapping gives records up, which are too old, and leaves word of where they are.
    pub(crate) fn given_up(&mut self, batch: &[Record]) {
        self.count.given_up += batch.len() as u64;
        self.given_up
            .extend(batch.iter().map(|record| record.task.task_id));
    }

    /// Judges, at the end, that all that has ended was told of.
    pub(crate) fn judge_ends(&self, stream: &Stream) -> Verdict {
        for record in stream
            .records()
            .filter(|record| !record.task.status.is_open())
        {
            let id = record.task.task_id;
            let is_told = if record.is_garbled {
                self.put_aside.contains(&record.sequence_number())
            } else {
                self.announced.contains_key(&id)
            };
            claim(is_told || self.given_up.contains(&id), || {
                format!("nobody was told that {id} has ended")
            })?;
        }
        Ok(())
    }
}

/// A row of a connection must go when the connection can be open no more.
fn judge_expiry(change: &Change, writer: &Writer) -> Verdict {
    let Some(after) = &change.after else {
        return Ok(());
    };
    let expires_at = after.number("expires_at");
    // Nobody is told anything because of who had an id.
    let longer = Duration::from_secs(if change.key.1 == "OWNER" { 3600 } else { 0 });
    let latest = writer.clock.after(CONNECTED_FOR + longer).seconds();
    // A late write says what it was meant to say.
    claim(expires_at <= latest, || {
        format!("{:?} outlives its connection", change.key)
    })?;
    claim(writer.method == "connect", || {
        format!("{} wrote {:?}", writer.method, change.key)
    })
}

fn is_as_told(task: &Task, data: &Value) -> bool {
    let progress = task.progress();
    data["task_status"] == task.status.as_str()
        && data["job"] == task.job
        && data["count_done_items"] == progress.done
        && data["count_failed_items"] == progress.failed
        && data["number_of_items"] == task.number_of_items
}

/// What an event has to say of a task, by the table.
fn detail_of(task: &Task) -> Value {
    let progress = task.progress();
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "schema_version": 1,
        "deduplication_id": task.task_id,
        "task_id": task.task_id,
        "job": task.job,
        "sub": task.user.as_str(),
        "retry_of": task.retry_of,
        "task_status": task.status.as_str(),
        "number_of_items": task.number_of_items,
        "count_done_items": progress.done,
        "count_failed_items": progress.failed,
        "created_at": task.created_at.to_string(),
        "started_at": time(task.started_at),
        "finished_at": time(task.finished_at),
    })
}
