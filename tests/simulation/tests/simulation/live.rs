//! Live updates and events of ended tasks, where it takes a plan to show what must not be.

use std::time::Duration;

use embedded_aws::Fault;
use simulation::scenario::{Client, Live, Odds, Page, Planned, Profile, Scenario};
use simulation::{Function, Report, run};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A task of ann's of one item that takes so long, which pages look on.
fn watched(item: Duration, pages: Vec<Page>) -> Scenario {
    let mut scenario = Scenario::one_task(1, 1);
    scenario.settings.item = (item, item);
    scenario.live = Some(Live {
        pages,
        ..Live::default()
    });
    scenario
}

fn planned(function: Function, method: &'static str, lasts: u32, fault: Fault) -> Planned {
    Planned {
        function,
        method,
        nth: 0,
        lasts,
        fault,
    }
}

fn assert_clean(scenario: &Scenario) -> Report {
    let report = run(scenario);
    let story = report.trace.join("\n");
    assert_eq!(report.violation, None, "{story}");
    report
}

/// Ann's page goes. Her connection is looked up when her task ends, and before she is told, bob's page comes, and its
/// connection has the same id. So long after ann's was closed the function is told of that, if ever.
fn assert_that_nobody_is_told_of_a_task_of_somebody_else(told: Option<Duration>) {
    let ids = vec!["again=", "other="];
    let ann = Page {
        ids: ids.clone(),
        told: Some(told),
        ..Page::of("ann", Duration::ZERO, seconds(2))
    };
    let bob = Page {
        ids,
        ticket_rests: Some(Duration::from_millis(10)),
        ..Page::of("bob", Duration::from_millis(15_550), seconds(60))
    };
    let mut scenario = watched(seconds(14), vec![ann, bob]);
    let slowly = Fault::Slow(Duration::from_millis(1500));
    scenario.planned = vec![Planned {
        // The first is of the task's beginning.
        nth: 1,
        ..planned(Function::Notify, "connections", 1, slowly)
    }];
    let report = assert_clean(&scenario);
    let story = report.trace.join("\n");
    assert_eq!(report.figures.calls(Function::Notify, "post"), 2, "{story}");
    let connects = report.figures.calls(Function::Live, "connect");
    assert!(connects >= 3, "bob was not refused:\n{story}");
}

#[test]
fn nobody_is_told_of_a_task_of_whoever_had_the_connection_before() {
    assert_that_nobody_is_told_of_a_task_of_somebody_else(None);
}

#[test]
fn nor_where_the_connection_before_is_forgotten_by_then() {
    let told = Duration::from_millis(13_250);
    assert_that_nobody_is_told_of_a_task_of_somebody_else(Some(told));
}

#[test]
fn a_row_of_a_connection_is_of_no_use_after_its_time() {
    // Ann's page goes without a word and nothing happens, until long after her next task begins.
    let ann = Page {
        told: Some(None),
        ..Page::of("ann", seconds(30), seconds(5))
    };
    let mut scenario = watched(seconds(2), vec![ann]);
    let later = Client {
        at: seconds(3 * 3600),
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(later);
    let report = assert_clean(&scenario);
    assert_eq!(report.figures.live.opened, 1);
    assert_eq!(report.figures.calls(Function::Notify, "post"), 0);
}

#[test]
fn an_end_that_cannot_be_told_for_a_day_is_left_to_people() {
    let mut scenario = watched(seconds(2), vec![]);
    scenario.planned = vec![planned(
        Function::Ended,
        "announce",
        u32::MAX,
        Fault::Unreachable,
    )];
    let report = assert_clean(&scenario);
    assert_eq!(report.figures.live.announced, 0);
    assert_eq!(report.figures.live.given_up, 1);
    assert!(report.figures.lasted > seconds(23 * 3600));
    assert!(report.figures.lasted < seconds(24 * 3600));
}

#[test]
fn an_end_is_told_however_long_the_bus_refuses_half_of_it() {
    let mut scenario = watched(seconds(2), vec![]);
    for user in ["bob", "cas", "dan", "eve"] {
        let client = Client {
            user: user.into(),
            ..scenario.clients[0].clone()
        };
        scenario.clients.push(client);
    }
    scenario.planned = vec![planned(Function::Ended, "announce", 40, Fault::Half)];
    let report = assert_clean(&scenario);
    assert!(report.figures.live.announced >= 5);
}

#[test]
fn what_nobody_can_read_is_put_aside_and_holds_nothing_up() {
    let page = Page::of("ann", Duration::ZERO, seconds(180));
    let mut scenario = watched(seconds(10), vec![page]);
    scenario.profile = Profile::Storm;
    scenario.weather.until = seconds(3600);
    if let Some(live) = &mut scenario.live {
        live.odds = Odds {
            garbled: 1000,
            ..Odds::default()
        };
    }
    let report = assert_clean(&scenario);
    assert_eq!(report.figures.live.put_aside, 1);
    assert_eq!(report.figures.live.told, 0);
}

#[test]
fn of_many_pages_the_oldest_make_room_for_the_newest() {
    let pages = (0..13).map(|n| Page::of("ann", seconds(n), seconds(300)));
    let scenario = watched(seconds(60), pages.collect());
    let report = assert_clean(&scenario);
    assert!(report.figures.calls(Function::Live, "close") >= 3);
}

#[test]
fn a_ticket_lets_in_once_although_the_write_of_it_comes_again() {
    let page = Page {
        ticket_again: Some(seconds(12)),
        ..Page::of("ann", Duration::ZERO, seconds(60))
    };
    let mut scenario = watched(seconds(2), vec![page]);
    // The function gives it up after two seconds. Nobody has that ticket.
    scenario.planned = vec![planned(
        Function::Live,
        "add_ticket",
        1,
        Fault::Late(seconds(10)),
    )];
    let report = assert_clean(&scenario);
    assert!(report.figures.live.opened >= 1);
}

#[test]
fn a_page_that_stays_for_hours_is_told_over_one_connection_after_the_other() {
    let page = Page::of("ann", Duration::ZERO, seconds(2 * 3600 + 900));
    let mut scenario = watched(seconds(30), vec![page]);
    let later = Client {
        at: seconds(2 * 3600 + 600),
        ..scenario.clients[0].clone()
    };
    scenario.clients.push(later);
    let report = assert_clean(&scenario);
    assert_eq!(report.figures.live.opened, 2);
    // When it is stored, when it is begun, two signs of life, and when it has ended, some of them together.
    assert!(report.figures.live.told >= 6);
}

#[test]
fn a_batch_is_over_in_its_time_whatever_is_slow() {
    // Ann's page went without a word. To look it up takes two tries, and to forget it as long as it may.
    let page = Page {
        told: Some(None),
        ..Page::of("ann", Duration::ZERO, seconds(2))
    };
    let mut scenario = watched(seconds(30), vec![page]);
    scenario.clients[0].at = seconds(70);
    let slow = Fault::Late(seconds(60));
    scenario.planned = vec![
        planned(Function::Notify, "connections", 2, slow),
        planned(Function::Notify, "forget", 4, slow),
    ];
    let report = assert_clean(&scenario);
    assert!(report.figures.calls(Function::Notify, "forget") > 0);
}

#[test]
fn one_page_too_many_does_not_have_one_forgotten_that_is_not_open_yet() {
    // The first of eleven is noted, and is not open before the last one is.
    let pages = (0..11).map(|n| Page {
        ticket_rests: Some(Duration::from_millis(10)),
        ..Page::of("ann", Duration::from_millis(n * 50), seconds(60))
    });
    let mut scenario = watched(seconds(30), pages.collect());
    scenario.planned = vec![planned(
        Function::Live,
        "connections",
        1,
        Fault::Slow(Duration::from_millis(1500)),
    )];
    let report = assert_clean(&scenario);
    assert_eq!(report.figures.calls(Function::Live, "close"), 1);
    assert_eq!(report.figures.live.opened, 11);
}
