//! Many users at once: each has one task, it ends, and nobody sees another's.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use e2e::{Stack, User};
use figures::Section;

use crate::gate::Gate;
use crate::visit::{ITEMS, Visit};

const USERS: usize = 200;

/// Requests at a time, and sockets that are being opened. Each may start a process of the emulator's; the sockets stay open
/// all the while.
const AT_A_TIME: usize = 50;

pub(crate) fn measure(stack: &Stack) -> Result<Vec<Section>> {
    let gate = Gate::new(AT_A_TIME);
    let users = for_each(vec![(); USERS], |()| gate.pass(|| stack.user()))?;
    let users = users.into_iter().collect::<Result<Vec<_>>>()?;
    let start = Barrier::new(USERS);
    let began = Instant::now();
    let visits = for_each(users.iter().collect(), |user| {
        start.wait();
        Visit::pay(user, &gate)
    })?;
    let lasted = began.elapsed().as_secs_f64();
    let mut neighbours: Vec<_> = visits.iter().map(|visit| visit.task_id.clone()).collect();
    neighbours.rotate_left(1);
    let back: Vec<(&User, Visit, String)> = users
        .iter()
        .zip(visits)
        .zip(neighbours)
        .map(|((user, visit), neighbours)| (user, visit, neighbours))
        .collect();
    let visits = for_each(back, |(user, mut visit, neighbours)| {
        visit.look_back(user, &neighbours, &gate);
        visit
    })?;
    Ok(vec![section(&visits, lasted)])
}

/// Does it for all of them at the same time.
fn for_each<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> R + Sync) -> Result<Vec<R>> {
    let work = &work;
    thread::scope(|scope| {
        let started: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || work(one)))
            .collect();
        let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
        let ended = ended.map(|one| one.map_err(|_| anyhow!("a thread panicked")));
        ended.collect()
    })
}

fn section(visits: &[Visit], lasted: f64) -> Section {
    let mut section = Section::new("200 users at once, on the local stack");
    let of = |is: fn(&Visit) -> bool| visits.iter().filter(|visit| is(visit)).count();
    let sum = |of: fn(&Visit) -> usize| visits.iter().map(of).sum::<usize>();
    section.count("users", float(visits.len()), "users");
    for (name, found, unit) in [
        ("errors", sum(|visit| visit.errors.len()), "answers"),
        (
            "lost: not ended with all its items",
            of(|visit| !visit.has_succeeded()),
            "tasks",
        ),
        (
            "double: a user's second task",
            sum(|visit| visit.stored.max(visit.listed.len()).saturating_sub(1)),
            "tasks",
        ),
        (
            "without a task",
            of(|visit| visit.stored.min(visit.listed.len()) == 0),
            "users",
        ),
        (
            "second submits told of another task",
            of(|visit| visit.told_by_second != visit.task_id),
            "answers",
        ),
        (
            "items not stored exactly once",
            of(|visit| !visit.has_all_items_once()),
            "tasks",
        ),
        ("what is somebody else's", sum(Visit::of_others), "answers"),
        (
            "sockets not told of the end",
            of(|visit| !visit.is_told_of_the_end()),
            "sockets",
        ),
    ] {
        section.count(name, float(found), unit).at_most(0.0);
    }
    for (name, found) in [
        ("answered 503 and asked again", sum(|visit| visit.busy)),
        (
            "sockets refused and asked for again",
            sum(|visit| visit.refused),
        ),
        ("polls", sum(|visit| visit.polls)),
        ("messages by the socket", sum(|visit| visit.told.len())),
    ] {
        section.time(name, float(found) / float(visits.len()), "a user");
    }
    section.time("from the first request to the last end", lasted, "s");
    let errors = visits.iter().flat_map(|visit| &visit.errors);
    for error in errors.take(5) {
        section.note(format!("an error: {error}"));
    }
    section.note(format!(
        "{AT_A_TIME} requests at a time, {ITEMS} items a task"
    ));
    section
}

fn float(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
