//! What `docs/benchmarks.md` has from simulation.

use figures::Section;

use crate::bill::{Bill, idle_queue_dollars};
use crate::crowd::{self, Crowd, Deployment, Outcome};
use crate::naive::Naive;
use crate::per_task::{self, Kind, PerTask};
use crate::prices::AS_OF;
use crate::staleness::{self, Quantiles, SPANS, Span, Staleness};
use crate::watching::Way;

/// The size at which the goals are set, and at which it is said what the dollars are made of.
const JUDGED: u64 = 100;

/// The goals at ten and at a hundred items in flight: write units of progress an item, and the dollars as a share of those
/// of the naive design.
const GOALS: [(usize, f64, f64); 2] = [(10, 0.5, 1.0 / 25.0), (100, 0.1, 1.0 / 50.0)];

/// Measures what a task costs, and tells it line by line.
///
/// # Errors
///
/// When a task violates an invariant.
pub fn tasks(mut tell: impl FnMut(String)) -> Result<Vec<Section>, String> {
    tell(per_task::HEAD.to_owned());
    let mut ours = vec![];
    for kind in per_task::measured_kinds() {
        let measured = PerTask::measure(kind)?;
        tell(measured.to_string());
        ours.push(measured);
    }
    let mut naive = vec![];
    for items in per_task::SIZES {
        let measured = Naive::measure(items)?;
        tell(measured.to_string());
        naive.push(measured);
    }
    Ok(vec![costs(&ours), dollars(&ours, &naive)])
}

/// Measures how stale is what somebody is shown who looks on, and tells it line by line.
///
/// # Errors
///
/// When a task violates an invariant.
pub fn watching(mut tell: impl FnMut(String)) -> Result<Vec<Section>, String> {
    let mut section = Section::new("Polling and pushing");
    tell(staleness::HEAD.to_owned());
    for span in SPANS {
        for way in staleness::WAYS {
            let measured = Staleness::measure(span, way)?;
            tell(measured.to_string());
            add_staleness(&mut section, &measured);
        }
    }
    Ok(vec![section])
}

/// Measures what many users at once run into, as many as this and fewer, and tells it line by line.
///
/// # Errors
///
/// When a task violates an invariant.
pub fn scale(users_max: u64, mut tell: impl FnMut(String)) -> Result<Vec<Section>, String> {
    let mut section = Section::new("Many users at once");
    tell(crowd::HEAD.to_owned());
    crowd::measure(users_max, |outcome| {
        tell(outcome.to_string());
        add_outcome(&mut section, outcome);
    })?;
    Ok(vec![section])
}

fn add_outcome(section: &mut Section, outcome: &Outcome) {
    let Crowd {
        users,
        greedy,
        deployment,
    } = outcome.crowd;
    let mut name = if users == 1 {
        "1 user".to_owned()
    } else {
        format!("{users} users")
    };
    if greedy > 0 {
        name = format!("{name} beside {greedy} of 1,000 items");
    }
    if deployment == Deployment::Raised {
        name += ", limits raised";
    }
    section.count(
        format!("{name}: throughput"),
        outcome.throughput(),
        "tasks/s",
    );
    for (what, waits) in [
        ("accepted after", outcome.accepted),
        ("waits for a worker", outcome.started),
        ("done after", outcome.done),
    ] {
        for (quantile, wait) in [("p50", waits.p50), ("p95", waits.p95), ("max", waits.max)] {
            let name = format!("{name}: {what}, {quantile}");
            section.count(name, wait.as_secs_f64(), "s");
        }
    }
    section.count(format!("{name}: Jain's index"), outcome.fairness, "");
    if let Some(bill) = &outcome.bill {
        let dollars = bill.dollars() * 1e6;
        section.count(format!("{name}: a million tasks"), dollars, "$");
    }
    let hits = outcome.hits();
    section.note(format!("{name}; in the way: {hits}"));
}

fn add_staleness(section: &mut Section, measured: &Staleness) {
    let span = match measured.span {
        Span::Short => "10 s",
        Span::Usual => "200 s",
        Span::Long => "3,000 s",
    };
    let is_asking = measured.way == Way::Asking;
    let name = format!("{span}, {}", if is_asking { "polled" } else { "socket" });
    let is_judged = measured.span == Span::Usual;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let requests = measured.requests as f64;
    let row = section.count(format!("{name}: requests"), requests, "requests");
    if is_judged {
        row.at_most(if is_asking { 20.0 } else { 8.0 });
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let messages = measured.messages as f64;
    if !is_asking {
        section.count(format!("{name}: pushes"), messages, "messages");
    }
    for (what, quantiles) in [
        ("known, of what is saved", measured.known_of_saved),
        ("known, of what is done", measured.known),
        ("bar, of what is done", measured.shown),
    ] {
        let Quantiles { p50, p95, max } = quantiles;
        section.count(format!("{name}: {what}, p50"), p50, "%");
        let row = section.count(format!("{name}: {what}, p95"), p95, "%");
        if is_judged {
            row.at_most(5.0);
        }
        section.count(format!("{name}: {what}, max"), max, "%");
    }
}

fn costs(tasks: &[PerTask]) -> Section {
    let mut section = Section::new("AWS calls and capacity of a task");
    for task in tasks {
        let (kind, work) = (task.kind, &task.work);
        let figures = [
            ("calls", task.calls, "calls"),
            ("written", work.write_units, "write units"),
            ("read", work.read_units, "read units"),
            ("queue", work.queue_requests, "requests"),
            ("functions", work.invocations, "invocations"),
            ("functions", work.gigabyte_seconds, "GB-seconds"),
            ("polls", task.polls.http_requests, "requests"),
        ];
        for (name, value, unit) in figures {
            section.count(format!("{kind}: {name}"), value, unit);
        }
    }
    for task in tasks {
        let kind = task.kind;
        let Some((_, most, _)) = goal_of(&kind) else {
            continue;
        };
        let name = format!("{kind}: progress, an item");
        let units = task.progress_units_per_item();
        section.count(name, units, "write units").at_most(most);
    }
    section
}

fn dollars(ours: &[PerTask], naive: &[Naive]) -> Section {
    let mut section = Section::new("Dollars for a million tasks");
    section.note(format!(
        "list prices of us-east-1, {AS_OF}; beside them a queue in which there is nothing costs ${:.2} a month",
        idle_queue_dollars()
    ));
    for task in naive {
        let name = format!("{} naive", task.items);
        section.count(name, task.dollars_per_million(), "$");
    }
    for task in ours {
        section.count(task.kind.to_string(), task.dollars_per_million(), "$");
    }
    let hundred = naive.iter().find(|naive| naive.items == JUDGED);
    if let Some(naive) = hundred {
        let name = format!("{JUDGED} naive");
        add_parts(&mut section, &name, &naive.work, &naive.polls, 0.0);
    }
    for task in ours {
        let (kind, work) = (task.kind, &task.work);
        let (Some((_, _, share)), Some(naive)) = (goal_of(&kind), hundred) else {
            continue;
        };
        let rows = task.row_units;
        add_parts(&mut section, &kind.to_string(), work, &task.polls, rows);
        let name = format!("{kind}: share of the naive design");
        let found = task.dollars_per_million() / naive.dollars_per_million();
        section.count(name, found, "").at_most(share);
    }
    section
}

fn goal_of(kind: &Kind) -> Option<(usize, f64, f64)> {
    let is_judged = kind.items == JUDGED && !kind.listed;
    let mut goals = GOALS.into_iter().filter(|_| is_judged);
    goals.find(|(in_flight, ..)| *in_flight == kind.in_flight)
}

/// What the dollars are made of.
fn add_parts(section: &mut Section, name: &str, work: &Bill, polls: &Bill, row_units: f64) {
    let rows = Bill {
        write_units: row_units,
        ..Bill::default()
    };
    let time = Bill {
        gigabyte_seconds: work.gigabyte_seconds,
        ..Bill::default()
    };
    let writes = Bill {
        write_units: work.write_units - row_units,
        ..Bill::default()
    };
    let rest = *work - rows - time - writes;
    for (part, bill) in [
        ("GB-seconds", time),
        ("rows of items", rows),
        ("other writes", writes),
        ("polls", *polls),
        ("all else", rest),
    ] {
        section.count(format!("{name}, {part}"), bill.dollars() * 1e6, "$");
    }
}
