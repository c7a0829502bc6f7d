//! How long tasks take, by the items that they have and by how many of them are in flight.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use e2e::{Stack, TASKS};
use figures::{Section, number};
use serde_json::{Value, json};

const SIZES: [u32; 4] = [10, 100, 1000, 10_000];

/// The worker's setting.
const IN_FLIGHT: [u32; 3] = [100, 10, 1];

/// The template's. Chunks of a task are worked off side by side.
const CHUNK_ITEMS: u32 = 100;

/// How long an item takes that takes time; no task can take less.
const ITEM_SECONDS: u32 = 2;

/// What should take no longer is measured three times, and the median counts: a busy machine's moment is not a figure.
const SHORT: Duration = Duration::from_secs(6);

/// Besides what the items take at the least. A message that fails comes again after three minutes, and a task that has waited
/// for that is no figure.
const PATIENCE: Duration = Duration::from_secs(100);

/// How long a task took, as its status tells.
#[derive(Debug, Clone, Copy)]
struct Took {
    /// From the submit to the end.
    in_all: f64,
    /// From the first worker's claim to the end.
    in_workers: f64,
}

pub(crate) fn measure(stack: &Stack) -> Result<Vec<Section>> {
    let mut of_two_seconds = Section::new("Time to finish, items of 2 s");
    let mut of_nothing = Section::new("Time to finish, items that take nothing");
    for in_flight in IN_FLIGHT {
        configure_worker(stack, ITEM_SECONDS, in_flight)?;
        for items in SIZES {
            let least = items.min(CHUNK_ITEMS).div_ceil(in_flight) * ITEM_SECONDS;
            match run(stack, items, Duration::from_secs(least.into()))? {
                Some(took) => add_ratios(&mut of_two_seconds, items, in_flight, took),
                None => of_two_seconds.note(given_up(items, in_flight)),
            }
        }
        configure_worker(stack, 0, in_flight)?;
        for items in SIZES {
            match run(stack, items, Duration::ZERO)? {
                Some(took) => add_seconds(&mut of_nothing, items, in_flight, took),
                None => of_nothing.note(given_up(items, in_flight)),
            }
        }
    }
    Ok(vec![of_two_seconds, of_nothing])
}

fn given_up(items: u32, in_flight: u32) -> String {
    let items = number(items.into());
    format!("left out: {items} at {in_flight} in flight were not done in time")
}

fn name(items: u32, in_flight: u32, what: &str) -> String {
    format!(
        "{} items, {in_flight} in flight: {what}",
        number(items.into())
    )
}

fn add_seconds(section: &mut Section, items: u32, in_flight: u32, took: Took) {
    section.time(name(items, in_flight, "in all"), took.in_all, "s");
    section.time(
        name(items, in_flight, "in the workers"),
        took.in_workers,
        "s",
    );
}

fn add_ratios(section: &mut Section, items: u32, in_flight: u32, took: Took) {
    let floor = f64::from(ITEM_SECONDS);
    section.time(name(items, in_flight, "in all"), took.in_all, "s");
    let to_the_floor = name(items, in_flight, "in the workers, to the floor");
    let near = (items == 100 && in_flight == 100).then_some(1.3);
    section
        .time(to_the_floor, took.in_workers / floor, "×")
        .at_most(near);
    let faster = name(items, in_flight, "faster than one after another");
    let times = f64::from(items) * floor / took.in_all;
    let goal = (items == 10_000 && in_flight == 100).then_some(1000.0);
    section.time(faster, times, "×").at_least(goal);
}

/// What tasks of so many items take, `None` if that is too long.
fn run(stack: &Stack, items: u32, least: Duration) -> Result<Option<Took>> {
    let times = if least <= SHORT { 3 } else { 1 };
    let mut took = Vec::new();
    for _ in 0..times {
        let Some(once) = run_once(stack, items, least + PATIENCE)? else {
            return Ok(None);
        };
        eprintln!("{items} items: {once:?}");
        took.push(once);
    }
    let median = |of: fn(&Took) -> f64| {
        let mut values: Vec<_> = took.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Some(Took {
        in_all: median(|took| took.in_all),
        in_workers: median(|took| took.in_workers),
    }))
}

/// A task from its submit to its end, which a client waits for that comes again when it is told to.
fn run_once(stack: &Stack, items: u32, patience: Duration) -> Result<Option<Took>> {
    let user = stack.user()?;
    let deadline = Instant::now() + patience;
    let task_id = user.submit(items)?.task_id()?;
    while Instant::now() < deadline {
        // An emulator that has no time to answer makes it late, and no more.
        let Ok(answer) = user.get(&format!("{TASKS}{task_id}/")) else {
            continue;
        };
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        let task = answer.json()?["data"].clone();
        if !task["finished_at"].is_null() {
            let all_are_done =
                task["task_status"] == "SUCCESS" && task["count_done_items"] == items;
            ensure!(all_are_done, "{task}");
            return took(&task).map(Some);
        }
        let seconds = answer.headers.get("retry-after");
        let seconds = seconds.context("no Retry-After")?.parse()?;
        thread::sleep(Duration::from_secs(seconds));
    }
    // What is left of it would be in the way of the next one.
    user.cancel(&task_id)?;
    Ok(None)
}

fn took(task: &Value) -> Result<Took> {
    let at = |name: &str| -> Result<f64> {
        let at = task[name].as_str();
        let at = at.with_context(|| format!("no {name}: {task}"))?;
        Ok(DateTime::from_str(at, Format::DateTime)?.as_secs_f64())
    };
    let finished = at("finished_at")?;
    Ok(Took {
        in_all: finished - at("created_at")?,
        in_workers: finished - at("started_at")?,
    })
}

/// Gives the worker other settings, which is quicker than another deployment.
fn configure_worker(stack: &Stack, item_seconds: u32, in_flight: u32) -> Result<()> {
    eprintln!("items of {item_seconds} s, {in_flight} in flight");
    let path = format!("/2015-03-31/functions/{}-worker/configuration", stack.name);
    let configuration = stack.rest("GET", "lambda", &path, &Value::Null)?;
    let mut variables = configuration["Environment"]["Variables"].clone();
    variables["ITEM_SECONDS"] = json!(item_seconds.to_string());
    variables["ITEMS_IN_FLIGHT"] = json!(in_flight.to_string());
    let request = json!({"Environment": {"Variables": variables}});
    stack.rest("PUT", "lambda", &path, &request)?;
    Ok(())
}
