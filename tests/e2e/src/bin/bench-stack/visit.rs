//! What one of many users does, and what comes of it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::live::{Connection, Opened, open};
use e2e::{Answer, TASKS, User};
use serde_json::Value;

use crate::gate::Gate;

/// Of each task.
pub(crate) const ITEMS: u32 = 30;

/// From the first submit to the end, with 200 tasks on two processors.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long after the end the socket may tell of it.
const SOCKET_PATIENCE: Duration = Duration::from_secs(30);

/// How often a socket is tried to be opened: a busy machine refuses one now and then.
const OPENINGS_MAX: u32 = 5;

/// What a user met.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// As the first submit was answered.
    pub(crate) task_id: String,
    /// As the second one was, which came meanwhile.
    pub(crate) told_by_second: String,
    /// The last status.
    pub(crate) task: Value,
    /// The tasks that the user is told of, by the listing.
    pub(crate) listed: Vec<String>,
    /// The tasks that the table has for the user.
    pub(crate) stored: usize,
    /// The indexes of the items that are settled, as they are listed.
    pub(crate) items: Vec<u64>,
    /// Everything that the socket said.
    pub(crate) told: Vec<Value>,
    pub(crate) polls: usize,
    /// Answers 503 that were followed by another.
    pub(crate) busy: usize,
    /// Sockets that were refused before one was opened.
    pub(crate) refused: usize,
    /// How a neighbour's task was answered for.
    pub(crate) neighbours: u16,
    /// What is not as promised.
    pub(crate) errors: Vec<String>,
}

impl Visit {
    /// Listens, asks for a task, asks for another one, and looks again until the first has ended.
    pub(crate) fn pay(user: &User, gate: &Gate) -> Self {
        let mut visit = Self::default();
        if let Err(error) = visit.come_and_wait(user, gate) {
            visit.errors.push(format!("{error:#}"));
        }
        visit
    }

    fn come_and_wait(&mut self, user: &User, gate: &Gate) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut socket = self.listen(user, gate)?;
        // Both before anybody else has the place: the second has to come while the first is worked on.
        let (first, second) = gate.pass(|| (user.submit(ITEMS), user.submit(ITEMS + 1)));
        let (first, second) = (self.answered(first)?, self.answered(second)?);
        // Who was answered 503 may have been heard.
        let is_accepted = first.status == 200 || first.status == 201 && first.tries > 1;
        ensure!(is_accepted, "submit: {} {}", first.status, first.text());
        self.task_id = first.task_id()?;
        self.told_by_second = second.task_id()?;
        let path = format!("{TASKS}{}/", self.task_id);
        loop {
            let answer = gate.pass(|| user.get(&path));
            let answer = self.answered(answer)?;
            self.polls += 1;
            ensure!(
                answer.status == 200,
                "status: {} {}",
                answer.status,
                answer.text()
            );
            self.task = answer.json()?["data"].clone();
            if !self.task["finished_at"].is_null() {
                break;
            }
            ensure!(Instant::now() < deadline, "not done in time: {}", self.task);
            let seconds = answer
                .headers
                .get("retry-after")
                .context("no Retry-After")?;
            self.hear(&mut socket, Duration::from_secs(seconds.parse()?))?;
        }
        let until = Instant::now() + SOCKET_PATIENCE;
        while !self.is_told_of_the_end() && Instant::now() < until {
            self.hear(&mut socket, Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// What is seen of it all when everybody has ended.
    pub(crate) fn look_back(&mut self, user: &User, neighbours: &str, gate: &Gate) {
        if let Err(error) = gate.pass(|| self.see(user, neighbours)) {
            self.errors.push(format!("{error:#}"));
        }
    }

    fn see(&mut self, user: &User, neighbours: &str) -> Result<()> {
        let listed = self.answered(user.get("/api/tasks/"))?.json()?;
        let listed = listed["data"]["tasks"].as_array().context("no tasks")?;
        let ids = listed.iter().filter_map(|task| task["task_id"].as_str());
        self.listed = ids.map(str::to_owned).collect();
        let key = |row: &Value| row["sk"]["S"].as_str().map(str::to_owned);
        let keys = user.rows()?.iter().filter_map(key).collect::<Vec<_>>();
        self.stored = keys.iter().filter(|key| key.starts_with("TASK#")).count();
        let items = format!("{TASKS}{}/items/?limit=100", self.task_id);
        let items = self.answered(user.get(&items))?.json()?;
        let items = items["data"]["items"].as_array().context("no items")?;
        self.items = items
            .iter()
            .filter_map(|item| item["index"].as_u64())
            .collect();
        let of_neighbour = user.get(&format!("{TASKS}{neighbours}/"));
        self.neighbours = self.answered(of_neighbour)?.status;
        Ok(())
    }

    fn listen(&mut self, user: &User, gate: &Gate) -> Result<Connection> {
        for _ in 0..OPENINGS_MAX {
            let opened = gate.pass(|| {
                let url = self.answered(user.post("/api/live/", b""))?.json()?;
                let url = url["data"]["url"].as_str();
                open(url.with_context(|| format!("no URL: {url:?}"))?)
            })?;
            match opened {
                Opened::Open(connection) => return Ok(connection),
                Opened::Refused(_) => self.refused += 1,
            }
            thread::sleep(Duration::from_millis(500));
        }
        bail!("no socket was opened")
    }

    /// Listens for so long.
    fn hear(&mut self, socket: &mut Connection, how_long: Duration) -> Result<()> {
        let until = Instant::now() + how_long;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match socket.next(left) {
                Ok(message) => self.told.push(message.context("the socket was closed")?),
                // Nothing came, unless it is something else that went wrong.
                Err(error) => ensure!(Instant::now() >= until, "{error:#}"),
            }
        }
    }

    /// Counts how often it took to ask.
    fn answered(&mut self, answer: Result<Answer>) -> Result<Answer> {
        let answer = answer?;
        self.busy += usize::try_from(answer.tries - 1)?;
        Ok(answer)
    }

    pub(crate) fn is_told_of_the_end(&self) -> bool {
        self.told
            .iter()
            .any(|told| !told["data"]["finished_at"].is_null())
    }

    /// Whether the task has ended as it should, with each of its items counted.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.task["task_status"] == "SUCCESS"
            && self.task["count_done_items"] == ITEMS
            && self.task["number_of_items"] == ITEMS
    }

    /// Whether each item is there, and once.
    pub(crate) fn has_all_items_once(&self) -> bool {
        let mut items = self.items.clone();
        items.sort_unstable();
        items.into_iter().eq(0..u64::from(ITEMS))
    }

    /// How often the user was shown a task that is not theirs.
    pub(crate) fn of_others(&self) -> usize {
        let told = self
            .told
            .iter()
            .map(|told| told["data"]["task_id"].as_str());
        let listed = self.listed.iter().map(|id| Some(id.as_str()));
        let others = told.chain(listed).filter(|id| *id != Some(&self.task_id));
        others.count() + usize::from(self.neighbours != 404)
    }
}
