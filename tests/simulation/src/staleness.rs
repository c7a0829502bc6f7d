//! How stale is what somebody is shown who looks on, and how many requests does it take?

use std::fmt;
use std::time::Duration;

use crate::scenario::{Live, Page, Scenario};
use crate::screen::Screen;
use crate::watch::{EVERY, News};
use crate::watching::Way;
use crate::{Function, Report, run};

/// How long a task takes that is looked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// 10 s: 50 items of about two seconds, ten at a time.
    Short,
    /// 200 s: a thousand of them, ten at a time.
    Usual,
    /// 3,000 s: 1,500 of them, one after the other.
    Long,
}

/// The tasks that are measured.
pub const SPANS: [Span; 3] = [Span::Short, Span::Usual, Span::Long];

/// The ways in which they are looked on.
pub const WAYS: [Way; 2] = [Way::Asking, Way::Told];

/// The head of the table whose lines they are.
pub const HEAD: &str = "\
looked on                 took  requests  messages   known, of what is saved: p50   p95   max   of what is done: p50   p95   max   the bar: p50   p95   max";

/// When the task is begun, where there is a page before.
const BEGINS: Duration = Duration::from_secs(2);

/// What it comes to.
#[derive(Clone, Copy, Debug)]
pub struct Staleness {
    /// The task.
    pub span: Span,
    /// How it is looked on.
    pub way: Way,
    /// How long it took.
    pub took: Duration,
    /// Requests to the HTTP API, the submit aside.
    pub requests: u64,
    /// Messages over a connection.
    pub messages: u64,
    /// By how many percent what is known differs from what is saved.
    pub known_of_saved: Quantiles,
    /// By how many percent what is known differs from what is done in truth.
    pub known: Quantiles,
    /// By how many percent the bar differs from it.
    pub shown: Quantiles,
}

/// Of values that were taken at regular intervals.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// What all but a twentieth do not exceed.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Span {
    /// So many items, so many at a time.
    fn items(self) -> (u64, usize) {
        match self {
            Self::Short => (50, 10),
            Self::Usual => (1000, 10),
            Self::Long => (1500, 1),
        }
    }

    /// How long it should take.
    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Short => 10,
            Self::Usual => 200,
            Self::Long => 3000,
        })
    }
}

impl Staleness {
    /// Looks on.
    ///
    /// # Errors
    ///
    /// When the task violates an invariant, or its end is not shown.
    pub fn measure(span: Span, way: Way) -> Result<Self, String> {
        let report = run(&scenario(span, way));
        if let Some(violation) = &report.violation {
            return Err(violation.clone());
        }
        let watched = &report.watched;
        let news: Vec<_> = match way {
            Way::Asking => watched.polls.iter().map(News::from).collect(),
            _ => watched.news.clone(),
        };
        let Differences {
            took,
            known_of_saved,
            known,
            shown,
        } = Differences::new(&report, &news)?;
        let figures = &report.figures;
        let asked = figures.invocations.get(&Function::Status).copied();
        Ok(Self {
            span,
            way,
            took,
            requests: asked.unwrap_or_default() + figures.calls(Function::Live, "add_ticket"),
            messages: figures.live.told,
            known_of_saved: Quantiles::of(known_of_saved),
            known: Quantiles::of(known),
            shown: Quantiles::of(shown),
        })
    }
}

/// By how many percent what is known and what is shown differ from what is so, moment by moment until the end is known.
struct Differences {
    took: Duration,
    known_of_saved: Vec<f64>,
    known: Vec<f64>,
    shown: Vec<f64>,
}

impl Differences {
    fn new(report: &Report, news: &[News]) -> Result<Self, String> {
        let task = report.tasks.first().ok_or("there is no task")?;
        let samples = &report.watched.samples;
        let ends = samples.first().zip(samples.last());
        let (first, last) = ends.ok_or("it is over at once")?;
        let end = news.iter().find(|news| news.next_after.is_none());
        let end = end.ok_or("the end is not shown")?.at;
        let all = task.number_of_items;
        let open = samples.iter().map(|it| (it.at, it.settled, it.processed));
        let mut at = last.at;
        let ended = std::iter::repeat_with(|| {
            at += EVERY;
            (at, all, all)
        });
        let percent = |items: f64| items.abs() * 100.0 / items_of(all);
        let mut screen = Screen::default();
        let mut news = news.iter().peekable();
        let mut found = Self {
            took: last.at.saturating_sub(first.at),
            known_of_saved: vec![],
            known: vec![],
            shown: vec![],
        };
        for (at, saved, processed) in open.chain(ended) {
            while let Some(news) = news.next_if(|news| news.at <= at) {
                screen.hear(news);
            }
            if at >= end {
                break;
            }
            let (saved, truth) = (items_of(saved), items_of(processed));
            let known = screen.known();
            found.known_of_saved.push(percent(saved - known));
            found.known.push(percent(truth - known));
            found.shown.push(percent(truth - screen.shown(at)));
        }
        Ok(found)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of items")]
fn items_of(items: u64) -> f64 {
    items as f64
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let last = values.len().saturating_sub(1);
            let value = values.get((values.len() * percent / 100).min(last));
            value.copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p95: at(95),
            max: at(100),
        }
    }
}

fn scenario(span: Span, way: Way) -> Scenario {
    let (items, in_flight) = span.items();
    let mut scenario = Scenario::one_task(1, items);
    let settings = &mut scenario.settings;
    settings.terms.chunk_items = items;
    settings.items_in_flight = in_flight;
    settings.item = (Duration::from_millis(1500), Duration::from_millis(2500));
    scenario.watched = true;
    if way == Way::Asking {
        return scenario;
    }
    for client in &mut scenario.clients {
        client.at = BEGINS;
        client.follows = false;
    }
    // A little longer than the task takes.
    let stays = BEGINS + span.length() * 11 / 10 + Duration::from_secs(5);
    scenario.live = Some(Live {
        pages: vec![Page::of("ann", Duration::ZERO, stays)],
        ..Live::default()
    });
    scenario
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            span,
            way,
            took,
            requests,
            messages,
            known_of_saved,
            known,
            shown,
        } = self;
        let name = format!("{span:?}, {way:?}").to_lowercase();
        let percents = |it: &Quantiles| format!("{:.1} {:>5.1} {:>5.1}", it.p50, it.p95, it.max);
        write!(
            f,
            "{name:<20} {:>7.1} s {requests:>9} {messages:>9} {:>41} {:>35} {:>27}",
            took.as_secs_f64(),
            percents(known_of_saved),
            percents(known),
            percents(shown),
        )
    }
}
