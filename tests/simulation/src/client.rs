//! Clients: they submit, follow, cancel and pry, and hold the answers against what is true.

use std::time::Duration;

use lambda_http::Request;
use longhaul::cancel::Cancel;
use longhaul::status::StatusReader;
use longhaul::submit::Submit;
use longhaul::task::{Status, TaskId};
use longhaul::{Job as _, Limits};
use serde_json::{Value, json};

use crate::jobs::{Jobs, Limited, Listed, Numbered};
use crate::run::Run;
use crate::scaling::Load;
use crate::scenario::{Afterwards, Client, Scenario};
use crate::site::Function;
use crate::watch::Poll;
use crate::world::State;

/// How long API Gateway waits for a function (the functions' timeout).
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a client tries something that fails.
const TRIES: u32 = 12;

/// After so long a key must be forgotten: it is remembered for a day, by clocks that may be off by ten minutes.
const KEY_FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600 + 30 * 60);

const ITEMS_MAX: u64 = 1_000_000;

/// An answer as the client got it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    replayed: bool,
    pub(crate) retry_after: Option<u64>,
    headers: Vec<(String, String)>,
    text: String,
    pub(crate) body: Value,
}

impl Answer {
    /// Whether to look again is said exactly as long as there is something to wait for.
    fn judge_wait(&self, told: &str) -> Result<(), String> {
        let is_open = matches!(told, "QUEUED" | "PROCESSING");
        if self.retry_after.is_some() == is_open {
            return Ok(());
        }
        let wait = self.retry_after;
        Err(format!(
            "a client was told {told} and to look again in {wait:?} s"
        ))
    }
}

/// What a submit was answered.
struct Promise {
    /// The task.
    id: TaskId,
    /// When to look at it first.
    look_after: Duration,
}

pub(crate) struct Actor {
    pub(crate) run: Run,
    pub(crate) name: String,
    script: Client,
}

/// Does what the script says.
pub(crate) async fn follow_script(run: Run, number: usize, script: Client) {
    tokio::time::sleep(script.at).await;
    let name = format!("client-{}", number + 1);
    let actor = Actor { run, name, script };
    let Some(Promise { id, look_after }) = actor.submit(actor.script.items).await else {
        return;
    };
    // One whose polls are counted looks when it is told to. The others look at once: the task must be there.
    if actor.run.world.state().scenario.watched {
        tokio::time::sleep(look_after).await;
    }
    if !actor.script.follows {
        return;
    }
    if let Some(after) = actor.script.cancel_after {
        tokio::time::sleep(after).await;
        actor.cancel(id).await;
    }
    actor.follow(id).await;
    Box::pin(actor.look_around(id)).await;
    match actor.script.afterwards {
        Afterwards::Leave => {}
        Afterwards::Cancel => actor.cancel(id).await,
        Afterwards::Repeat => {
            actor.submit(actor.script.items).await;
        }
        Afterwards::Retry(times) => {
            let mut id = id;
            for _ in 0..times {
                let Some(retry) = actor.retry(id).await else {
                    return;
                };
                id = retry;
                actor.follow(id).await;
                Box::pin(actor.look_around(id)).await;
            }
        }
        Afterwards::ReuseKey => {
            actor.submit(actor.script.items + 1).await;
        }
        Afterwards::RepeatTomorrow => {
            // Clocks may be off by ten minutes: stay clear of the border.
            tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
            if let Some(Promise { id, .. }) = actor.submit(actor.script.items).await {
                actor.follow(id).await;
            }
        }
    }
}

impl Actor {
    /// Somebody who only looks.
    pub(crate) fn looking(run: &Run, name: &str, user: &str) -> Self {
        let script = Client {
            user: user.to_owned(),
            ..Scenario::client(0)
        };
        Self {
            run: run.clone(),
            name: name.to_owned(),
            script,
        }
    }

    /// Submits until there is an answer; returns what it says.
    async fn submit(&self, items: u64) -> Option<Promise> {
        let world = &self.run.world;
        let Client {
            user, large_inputs, ..
        } = &self.script;
        let body = json!({"number_of_items": items, "of": user, "large_inputs": large_inputs});
        let body = body.to_string();
        let path = self.path("");
        let key = self.script.key.as_deref();
        self.is_admitted().await;
        for _ in 0..TRIES {
            let asked_at = world.now();
            let answer = self
                .call(Function::Submit, "POST", &path, None, key, &body)
                .await;
            let Some(answer) = answer else {
                self.pause().await;
                continue;
            };
            let id = answer.body["data"]["task_id"].as_str();
            let id: Option<TaskId> = id.and_then(|id| id.parse().ok());
            match (answer.status, id) {
                (200 | 201, Some(id)) => {
                    let verdict =
                        self.judge_submit(&mut world.state(), &answer, id, items, asked_at);
                    world.judge(verdict);
                    let seconds = answer.retry_after.unwrap_or_default();
                    return Some(Promise {
                        id,
                        look_after: Duration::from_secs(seconds),
                    });
                }
                (422, _) => {
                    self.judge_refusal(items);
                    return None;
                }
                (429, _) => {
                    self.judge_exhausted(&answer, items);
                    return None;
                }
                (503, _) => self.pause().await,
                _ => {
                    world.complain(format!(
                        "a submit was answered {}: {}",
                        answer.status, answer.text
                    ));
                    return None;
                }
            }
        }
        None
    }

    /// Waits until API Gateway lets a submit pass: as the page does, twice as long each time, up to 30 s, half of it by
    /// chance.
    async fn is_admitted(&self) {
        let world = &self.run.world;
        let mut wait = 1000;
        loop {
            let now = world.now();
            let admits = |load: &mut Load| load.admit(true, now);
            if world.state().load.as_mut().is_none_or(admits) {
                return;
            }
            let wait_now = world.chance(|random| random.u64(wait / 2..wait));
            tokio::time::sleep(Duration::from_millis(wait_now)).await;
            wait = (wait * 2).min(30_000);
        }
    }

    /// Has what a task left undone tried again, until there is an answer; returns the task that does so.
    async fn retry(&self, id: TaskId) -> Option<TaskId> {
        let world = &self.run.world;
        let path = self.path(&format!("{id}/retry/"));
        for _ in 0..TRIES {
            let old = world.state().ledger.task(&id).cloned();
            let call = self.call(Function::Submit, "POST", &path, Some(id), None, "");
            let Some(answer) = call.await else {
                self.pause().await;
                continue;
            };
            let told = answer.body["data"]["task_id"].as_str();
            let told: Option<TaskId> = told.and_then(|id| id.parse().ok());
            match (answer.status, told) {
                // A retry whose answer was lost is in the way of the next one.
                (200 | 201, Some(told)) => {
                    let retry = world.state().ledger.task(&told).cloned();
                    let is_of_user = retry.as_ref().is_some_and(|retry| {
                        retry.user.as_str() == self.script.user
                            && (answer.status == 201 || retry.retry_of == Some(id))
                    });
                    if !is_of_user {
                        world.complain(format!("{id} was promised to be retried by {told}"));
                    }
                    return Some(told);
                }
                (503, _) => self.pause().await,
                (429, _) => {
                    let left = old.map(|task| task.number_of_items - task.progress().done);
                    self.judge_exhausted(&answer, left.unwrap_or_default());
                    return None;
                }
                (409, _) => {
                    let progress =
                        old.map(|task| (task.status, task.progress().done, task.number_of_items));
                    if progress.is_none_or(|(status, done, all)| !status.is_open() && done < all) {
                        world.complain(format!("a retry of {id} was refused: {}", answer.text));
                    }
                    return None;
                }
                _ => {
                    world.complain(format!(
                        "a retry was answered {}: {}",
                        answer.status, answer.text
                    ));
                    return None;
                }
            }
        }
        None
    }

    /// What a successful submit says must be so, and stay so.
    fn judge_submit(
        &self,
        state: &mut State,
        answer: &Answer,
        id: TaskId,
        items: u64,
        asked_at: Duration,
    ) -> Result<(), String> {
        let task = state.ledger.task(&id);
        let task = task.ok_or_else(|| format!("{id} was promised and is not stored"))?;
        let record = state.ledger.tasks.get(&id);
        let user = &self.script.user;
        if task.user.as_str() != user {
            return Err(format!("{user} was shown somebody else's task"));
        }
        let ended_at = record.and_then(|record| record.ended_at);
        if answer.status == 201 && ended_at.is_some_and(|at| at < asked_at) {
            return Err(format!("{id} was called active and had ended before"));
        }
        let is_the_same = task.number_of_items == items && task.job == self.job();
        // A retry has the lock of the request that it goes back to.
        let first = state.ledger.task(&task.first_task_id());
        let is_of_it =
            first.is_some_and(|first| first.number_of_items == items && first.job == self.job());
        let has_its_own_lock = state.ledger.one_per_request && !is_the_same && !is_of_it;
        if answer.status == 201 && has_its_own_lock {
            return Err(format!("{id} is in the way of a different request"));
        }
        if answer.status == 200 && !is_the_same {
            return Err(format!("{id} is not the task that was asked for"));
        }
        let created_at = record.map_or(Duration::ZERO, |record| record.created_at);
        // Whatever became of the answers before, this request cannot have begun a task that was there already.
        if answer.status == 200 && created_at < asked_at && !answer.replayed {
            return Err(format!("{id} was promised again without saying so"));
        }
        let has_key = self.script.key.is_some() && answer.status == 200;
        if answer.replayed && !has_key {
            return Err(format!("{id} is called a repetition of nothing"));
        }
        if answer.replayed {
            let told = answer.body["data"]["task_status"].as_str();
            let told = told.unwrap_or_default();
            state.ledger.judge_state(id, told, asked_at)?;
            answer.judge_wait(told)?;
        }
        let Some(key) = self.script.key.clone().filter(|_| has_key) else {
            return Ok(());
        };
        if asked_at.saturating_sub(created_at) > KEY_FORGOTTEN_AFTER {
            return Err(format!("the key of {id} is remembered for too long"));
        }
        let promises = state.promises.entry((user.clone(), key));
        let promise = promises.or_insert((id, created_at));
        if promise.0 != id {
            // Another task under the same key is right only after the key is forgotten.
            if created_at.saturating_sub(promise.1) < Duration::from_secs(23 * 3600) {
                let first = promise.0;
                return Err(format!("one idempotency key, two tasks: {first} and {id}"));
            }
            *promise = (id, created_at);
        }
        Ok(())
    }

    /// A key may be refused only if it stands for another request.
    fn judge_refusal(&self, items: u64) {
        let world = &self.run.world;
        let complaint = {
            let state = world.state();
            let key = self.script.key.clone().unwrap_or_default();
            let promise = state.promises.get(&(self.script.user.clone(), key));
            let same = promise.and_then(|(id, _)| state.ledger.task(id));
            same.filter(|task| task.number_of_items == items && task.job == self.job())
                .map(|task| {
                    format!(
                        "the key of {} was refused to the same request",
                        task.task_id
                    )
                })
        };
        if let Some(complaint) = complaint {
            world.complain(complaint);
        }
    }

    /// A day may be over only if it is, and another one is never further away than that.
    fn judge_exhausted(&self, answer: &Answer, items: u64) {
        let world = &self.run.world;
        let user = &self.script.user;
        let verdict = world.state().ledger.judge_exhausted(user, items);
        world.judge(verdict);
        let wait = answer.retry_after;
        if !wait.is_some_and(|seconds| (1..=86_401).contains(&seconds)) {
            world.complain(format!("a day is over, and the next begins in {wait:?} s"));
        }
    }

    async fn cancel(&self, id: TaskId) {
        let world = &self.run.world;
        world.state().ledger.cancels.insert(id);
        let path = self.path(&format!("{id}/"));
        for _ in 0..TRIES {
            let answer = self
                .call(Function::Cancel, "DELETE", &path, Some(id), None, "")
                .await;
            let Some(answer) = answer else {
                self.pause().await;
                continue;
            };
            let status = world.state().ledger.task(&id).map(|task| task.status);
            let right = match answer.status {
                200 => status == Some(Status::Cancelled),
                409 => matches!(status, Some(Status::Success | Status::Failed)),
                503 => true,
                _ => false,
            };
            if !right {
                world.complain(format!(
                    "a cancel of a task that is {status:?} was answered {}",
                    answer.status
                ));
            }
            if answer.status != 503 {
                return;
            }
            self.pause().await;
        }
    }

    /// Polls until the task has ended, as often as it is told to.
    async fn follow(&self, id: TaskId) {
        let world = &self.run.world;
        let path = self.path(&format!("{id}/"));
        loop {
            let asked_at = world.now();
            let answer = self
                .call(Function::Status, "GET", &path, Some(id), None, "")
                .await;
            let Some(answer) = answer.filter(|answer| answer.status != 503) else {
                self.pause().await;
                continue;
            };
            if answer.status != 200 {
                world.complain(format!(
                    "{} asked for its own task and was told {}",
                    self.script.user, answer.status
                ));
                return;
            }
            let view = &answer.body["data"];
            let told = view["task_status"].as_str().unwrap_or_default();
            let verdict = {
                let ledger = &mut world.state().ledger;
                ledger
                    .judge_view(&self.name, id, view)
                    .and_then(|()| ledger.judge_state(id, told, asked_at))
                    .and_then(|()| answer.judge_wait(told))
            };
            world.judge(verdict);
            if world.state().scenario.watched {
                let poll = Poll::new(world.now(), view, answer.retry_after);
                world.state().watched.polls.push(poll);
            }
            match answer.retry_after {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => return,
            }
        }
    }

    /// Lists a task's items, page by page. It has ended: a late worker may still store a row or two, which are not
    /// counted.
    async fn judge_items(&self, id: TaskId) {
        let world = &self.run.world;
        let mut listed = 0;
        let mut cursor = String::new();
        loop {
            let query = format!("include=input&cursor={cursor}");
            let path = self.path(&format!("{id}/items/?{query}"));
            let page = self.call(Function::Status, "GET", &path, Some(id), None, "");
            let Some(page) = page.await.filter(|page| page.status == 200) else {
                return;
            };
            let task = world.state().ledger.task(&id).cloned();
            // It may be a task of another job: the one that was in the way.
            let has_inputs = task.as_ref().is_some_and(|task| task.has_inputs);
            for item in page.body["data"]["items"].as_array().into_iter().flatten() {
                let own = if has_inputs {
                    item["input"]["at"] == item["index"]
                } else {
                    item["input"].is_null()
                };
                if !own {
                    world.complain(format!("an item is listed with another's input: {item}"));
                }
                listed += 1;
            }
            let counted = task.map(|task| task.chunks.iter().map(|chunk| chunk.cursor).sum());
            let Some(next) = page.body["data"]["next_cursor"].as_str() else {
                if counted != Some(listed) {
                    world.complain(format!(
                        "{listed} items are listed, {counted:?} are counted"
                    ));
                }
                return;
            };
            if counted <= Some(listed) {
                world.complain(format!(
                    "all items are listed, and more are promised at {next}"
                ));
                return;
            }
            next.clone_into(&mut cursor);
        }
    }

    /// Looks at what is the user's own, and tries to look at what is not.
    async fn look_around(&self, id: TaskId) {
        let world = &self.run.world;
        if !world.state().scenario.curious {
            return;
        }
        let list = self
            .call(Function::Status, "GET", "/api/tasks/", None, None, "")
            .await;
        if let Some(list) = list.filter(|list| list.status == 200) {
            let complaint = self.judge_list(&list.body, id);
            if let Some(complaint) = complaint {
                world.complain(complaint);
            }
        }
        self.judge_items(id).await;
        let foreign = {
            let state = world.state();
            let tasks = state
                .ledger
                .tasks
                .keys()
                .filter_map(|id| state.ledger.task(id));
            let mut foreign = tasks.filter(|task| task.user.as_str() != self.script.user);
            foreign.next().map(|task| task.task_id)
        };
        let Some(foreign) = foreign else { return };
        let nobody: Result<TaskId, _> = "01890000-0000-7000-8000-000000000000".parse();
        let Ok(nobody) = nobody else { return };
        for (function, verb, end) in [
            (Function::Status, "GET", ""),
            (Function::Status, "GET", "items/"),
            (Function::Cancel, "DELETE", ""),
        ] {
            let mut answers = Vec::new();
            for id in [foreign, nobody] {
                let path = self.path(&format!("{id}/{end}"));
                answers.push(self.call(function, verb, &path, Some(id), None, "").await);
            }
            let [Some(theirs), Some(nobodys)] = &answers[..] else {
                continue;
            };
            if theirs.status == 503 || nobodys.status == 503 {
                continue;
            }
            if theirs != nobodys || theirs.status != 404 {
                world.complain(format!(
                    "{verb} {end} tells somebody else's task from none: {theirs:?} {nobodys:?}"
                ));
            }
        }
    }

    fn judge_list(&self, body: &Value, id: TaskId) -> Option<String> {
        let state = self.run.world.state();
        let listed = body["data"]["tasks"].as_array().into_iter().flatten();
        let mut found = false;
        for view in listed {
            let listed: Option<TaskId> = view["task_id"].as_str().and_then(|id| id.parse().ok());
            let task = listed.and_then(|id| state.ledger.task(&id));
            if task.is_none_or(|task| task.user.as_str() != self.script.user) {
                return Some(format!(
                    "{} was listed somebody else's task",
                    self.script.user
                ));
            }
            found |= listed == Some(id);
        }
        if !found {
            return Some(format!("{id} is missing in its user's list"));
        }
        let (listed, next) = (&body["data"]["tasks"], &body["data"]["next_cursor"]);
        let owns = state.ledger.tasks.keys();
        let owns = owns.filter(|id| {
            let task = state.ledger.task(id);
            task.is_some_and(|task| task.user.as_str() == self.script.user)
        });
        let are_all = listed.as_array().map(Vec::len) == Some(owns.count());
        (are_all && !next.is_null())
            .then(|| format!("all tasks are listed, and more are promised at {next}"))
    }

    /// The job that it asks for.
    fn job(&self) -> &'static str {
        if self.script.listed {
            Listed::NAME
        } else if self.script.limited {
            Limited::NAME
        } else {
            Numbered::NAME
        }
    }

    /// The path of the job's tasks, and what comes after it.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/{}/{rest}", self.job())
    }

    async fn pause(&self) {
        let wait = self.run.world.chance(|random| random.u64(500..4000));
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    /// Makes a request; `None` when the function died over it.
    pub(crate) async fn call(
        &self,
        function: Function,
        verb: &str,
        path: &str,
        id: Option<TaskId>,
        key: Option<&str>,
        body: &str,
    ) -> Option<Answer> {
        let request = self.request(verb, path, id, key, body)?;
        let asked_at = self.run.world.now();
        let process = self.run.borrow(function);
        let world = &self.run.world;
        let store = process.store.clone();
        let response = match function {
            Function::Submit => {
                let limits = Limits::new(ITEMS_MAX);
                let terms = world.state().scenario.settings.terms.clone();
                let submit = Submit::new::<Jobs>(store, process.queue.clone(), limits, terms);
                process
                    .run(TIMEOUT, Box::pin(submit.handle(&request)))
                    .await
            }
            Function::Cancel => {
                process
                    .run(TIMEOUT, Cancel::new(store).handle(&request))
                    .await
            }
            _ => {
                let status =
                    StatusReader::new::<Jobs>(store, Limits::new(ITEMS_MAX), process.queue.own());
                process
                    .run(TIMEOUT, Box::pin(status.handle(&request)))
                    .await
            }
        };
        let what = format!("{verb} by {}", self.script.user);
        self.run.give_back(function, process);
        let is_answered = response
            .as_ref()
            .is_ok_and(|response| response.status() != 503);
        if !is_answered && world.is_fair_since(asked_at) {
            world.complain(format!("{what} got no answer, although nothing goes wrong"));
        }
        let Ok(response) = response else {
            world.note(&self.name, &format!("{what}: no answer"));
            return None;
        };
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .collect();
        headers.sort();
        let answer = Answer {
            status: response.status().as_u16(),
            replayed: header("idempotency-replayed").as_deref() == Some("true"),
            retry_after: header("retry-after").and_then(|text| text.parse().ok()),
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        };
        let data = &answer.body["data"];
        let replayed = if answer.replayed { " again" } else { "" };
        let status = data["task_status"].as_str().unwrap_or_default();
        let share = data["done_percentage"].as_u64();
        let share = share.map_or(String::new(), |share| format!(" {share} %"));
        world.note(
            &self.name,
            &format!("{what}: {}{replayed} {status}{share}", answer.status),
        );
        Some(answer)
    }

    /// The request, read by the real deserialiser.
    fn request(
        &self,
        verb: &str,
        path: &str,
        id: Option<TaskId>,
        key: Option<&str>,
        body: &str,
    ) -> Option<Request> {
        let event = self.event(verb, path, id, key, body);
        let request = longhaul::serve::request(&event.to_string());
        if let Err(error) = &request {
            self.run
                .world
                .complain(format!("the request cannot be read: {error}"));
        }
        request.ok()
    }

    /// The event that API Gateway would make of the request.
    pub(crate) fn event(
        &self,
        verb: &str,
        path: &str,
        id: Option<TaskId>,
        key: Option<&str>,
        body: &str,
    ) -> Value {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "authorizer": {"jwt": {"claims": {"sub": self.script.user}, "scopes": []}},
                "http": {
                    "method": verb, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                    "userAgent": "simulation",
                },
                "accountId": "1", "apiId": "1", "stage": "$default", "requestId": "1",
                "routeKey": "$default", "time": "", "timeEpoch": 0, "domainName": "d",
                "domainPrefix": "d",
            },
            "isBase64Encoded": false,
        });
        let job = path.split('/').nth(2);
        event["pathParameters"] = match id {
            Some(id) => json!({"job": job, "task_id": id}),
            None => json!({ "job": job }),
        };
        if let Some(key) = key {
            event["headers"]["idempotency-key"] = json!(key);
        }
        if !body.is_empty() {
            event["body"] = json!(body);
        }
        event
    }
}
