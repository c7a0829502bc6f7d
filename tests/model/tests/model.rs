//! What holds in the model, and what each guard is there for.

use model::Rules;
use model::guard::Guard;
use model::report::{Extent, Report, check, shortest_break};

const THREADS: usize = 2;

fn assert_rules_hold(rules: Rules, extent: Extent) -> Report {
    let report = check(rules, extent, THREADS);
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    report
}

fn assert_possible(report: &Report, names: &[&str]) {
    for name in names {
        assert!(report.possible.contains(name), "never: {name}");
    }
}

#[test]
fn whatever_happens_to_submits_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::SUBMITS, Extent::Everything);
    assert!(report.states >= 800_000, "{report}");
    let ends = ["CANCELLED", "FAILED: given up", "FAILED: taken over"];
    assert_possible(&report, &ends);
    assert_possible(&report, &["a submit is replayed"]);
}

#[test]
fn whatever_happens_to_workers_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::WORK, Extent::Everything);
    assert!(report.states >= 1_000_000, "{report}");
    assert_possible(
        &report,
        &[
            "SUCCESS",
            "FAILED: items failed",
            "FAILED: an item kills its workers",
            "FAILED: given up",
            "CANCELLED",
        ],
    );
}

#[test]
fn whatever_pauses_no_rule_is_broken() {
    for (rules, states) in [(Rules::PAUSES, 100_000), (Rules::LATE_PAUSES, 100_000)] {
        let report = assert_rules_hold(rules, Extent::Everything);
        assert!(report.states >= states, "{report}");
        assert_possible(&report, &["SUCCESS after a pause", "FAILED: items failed"]);
        assert_possible(&report, &["FAILED: an item kills its workers", "CANCELLED"]);
    }
}

#[test]
fn whatever_is_tried_again_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::RETRIES, Extent::Everything);
    assert!(report.states >= 60_000, "{report}");
    assert_possible(&report, &["FAILED: items failed", "a retry is accepted"]);
    let report = assert_rules_hold(Rules::RIVAL_RETRIES, Extent::Everything);
    assert!(report.states >= 100_000, "{report}");
    assert_possible(&report, &["a retry is refused, and one accepted"]);
}

#[test]
fn whatever_happens_to_tasks_of_several_locks_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::LOCKS, Extent::Everything);
    assert!(report.states >= 600_000, "{report}");
    assert_possible(&report, &["two tasks are open", "FAILED: taken over"]);
    assert_possible(&report, &["a submit is replayed"]);
}

#[test]
fn whatever_happens_to_inputs_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::INPUTS, Extent::Everything);
    assert!(report.states >= 60_000, "{report}");
    let orphaned = "rows are left of a task that never was";
    assert_possible(&report, &["SUCCESS", "a submit is replayed", orphaned]);
    let report = assert_rules_hold(Rules::LATE_INPUTS, Extent::Everything);
    assert!(report.states >= 130_000, "{report}");
    assert_possible(&report, &["SUCCESS", orphaned]);
    let report = assert_rules_hold(Rules::KEYLESS_INPUTS, Extent::Everything);
    assert!(report.states >= 90_000, "{report}");
    assert_possible(&report, &["FAILED: taken over", orphaned]);
    let report = assert_rules_hold(Rules::TWO_REQUESTS, Extent::Everything);
    assert!(report.states >= 400_000, "{report}");
    assert_possible(&report, &["SUCCESS", "FAILED: taken over"]);
}

#[test]
fn whenever_time_runs_out_no_rule_is_broken() {
    let report = assert_rules_hold(Rules::TIME, Extent::Everything);
    assert!(report.states >= 60_000, "{report}");
    let ends = ["FAILED: inputs are missing", "FAILED: not done in time"];
    assert_possible(&report, &ends);
    assert_possible(&report, &["SUCCESS"]);
}

#[test]
fn submits_and_workers_together_break_no_rule_in_their_first_steps() {
    let report = assert_rules_hold(Rules::TOGETHER, Extent::Steps(600_000));
    assert!(report.states >= 100_000, "{report}");
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn submits_and_workers_together_break_no_rule_within_a_million_states() {
    let report = assert_rules_hold(Rules::TOGETHER, Extent::Steps(4_500_000));
    assert!(report.states >= 1_000_000, "{report}");
}

/// The checker finds a history that breaks `rule` once `guard` is gone.
fn assert_needed(guard: Guard, rule: &'static str) {
    let Some(report) = shortest_break(guard.shown_by().without(guard), Some(rule)) else {
        panic!("without \"{guard}\" it is not broken that {rule}");
    };
    println!("without \"{guard}\": {report}");
}

macro_rules! needed {
    ($($test:ident: $guard:ident, $rule:literal;)*) => {$(
        #[test]
        fn $test() {
            assert_needed(Guard::$guard, $rule);
        }
    )*
        #[test]
        fn every_guard_is_shown_to_be_needed() {
            let shown = [$(Guard::$guard),*];
            for guard in Guard::ALL {
                assert!(shown.contains(&guard), "{guard}");
            }
        }
    };
}

needed! {
    without_a_free_lock_two_tasks_are_open: LockIsFree, "at most one task of a lock is open";
    without_the_lock_as_seen_two_tasks_are_open: LockIsAsSeen, "at most one task of a lock is open";
    without_a_new_task_an_ended_one_comes_back: TaskIsNew, "an ended task is never written";
    without_a_new_key_it_has_two_tasks: KeyIsNew, "a key has at most one task";
    without_an_open_task_an_ended_one_is_written: Open, "an ended task is never written";
    without_a_free_chunk_a_live_worker_is_robbed: ChunkIsFree,
        "a chunk is nobody else's while its lease runs";
    without_processing_an_ended_task_advances: Processing, "an ended task is never written";
    without_the_owner_a_stale_one_writes: Owner, "a stale owner never writes";
    without_the_cursor_it_goes_back: Cursor, "a cursor never goes back";
    without_the_version_seen_an_ended_task_is_written: Seen, "an ended task is never written";
    without_a_new_row_the_counts_are_wrong: RowIsNew,
        "what is counted has a row, and failed rows count as failed";
    without_an_incomplete_chunk_a_settled_item_is_blamed: ChunkIsIncomplete,
        "only an unsettled item is blamed";
    without_the_blamers_owner_a_settled_item_is_blamed: BlamersOwner,
        "only an unsettled item is blamed";
    without_its_own_lock_another_task_loses_its: OwnLock, "the lock is that of the open task";
    without_inputs_first_a_task_lacks_them: InputsFirst,
        "inputs are complete before their task is, and while it is open";
    without_writing_unprocessed_rows_again_a_task_lacks_them: UnprocessedAgain,
        "inputs are complete before their task is, and while it is open";
    without_its_own_rows_a_task_has_inputs_of_another: OwnRows,
        "inputs are complete before their task is, and while it is open";
    without_all_inputs_an_item_gets_that_of_another: InputsAreAll,
        "an item is processed with its own input and no other";
    without_a_look_before_who_is_refused_has_written: LookBefore,
        "who can be told that it is refused has written nothing";
    without_the_key_after_the_lock_a_submit_is_in_its_own_way: KeyAfterLock,
        "nobody is told that their own request is in the way";
    without_the_end_of_a_pause_it_is_ignored: PauseIsOver, "nobody claims a chunk that pauses";
    without_sparing_the_attempt_a_pause_is_blamed: PauseIsNoAttempt, "no item is blamed for a pause";
    without_reading_the_rows_items_are_processed_again: RowsAreRead,
        "who can know that an item is settled does not process it again";
    without_an_end_of_the_old_a_retry_is_of_too_much: OldHasEnded,
        "a retry is of an ended task, and has exactly what that left undone";
    without_what_is_not_counted_a_retry_is_of_too_little: UncountedIsUndone,
        "a retry is of an ended task, and has exactly what that left undone";
    without_knowing_the_job_an_untried_item_is_blamed: JobIsKnown,
        "no item is blamed for workers that do not know its job";
}

/// So that a guard that is added to the code is added here.
#[test]
fn every_guard_of_the_store_is_in_the_model() {
    let store = include_str!("../../../longhaul/src/store/write.rs");
    let (_, list) = store.split_once("pub const GUARDS").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let names: Vec<_> = list.split('"').skip(1).step_by(2).collect();
    assert!(!names.is_empty());
    for name in names {
        // Who has a message is not modelled: every message may come again at any time, whatever its turn.
        // A worker that is not for a job does what one does that does not know it ("job is known"), and how many items
        // there are at work at a time is for the simulator.
        // Connections have no part in the protocol: pages that are told nothing ask. Whom a connection tells is for the
        // simulator, which has them come and go.
        // What is used of a quota is one counter, which is changed where the task is written or not at all: no order matters.
        let of_a_day = [": a task is left", ": items are left"];
        let of_connections = ["ticket: ", "connect: ", "forget: ", "disconnect: "];
        if name == "claim: turn"
            || name == "work: own worker"
            || of_a_day.iter().any(|of| name.ends_with(of))
            || of_connections.iter().any(|of| name.starts_with(of))
        {
            continue;
        }
        // The store tells apart which write is guarded; here one guard serves all writes that ask the same.
        let (_, condition) = name.split_once(": ").unwrap();
        let known = Guard::ALL.iter().any(|guard| guard.name() == condition);
        assert!(known, "the model has no guard \"{condition}\"");
    }
}
