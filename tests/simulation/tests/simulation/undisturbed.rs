//! Runs to which nothing happens but what is in their script. They are quick, and `cargo xtask test` has them run on
//! another `DynamoDB` too, whose calls the faults of the others would only multiply.

use simulation::hunt::Hunt;
use simulation::run;
use simulation::scenario::{Profile, Scenario};

use crate::crash_points::{cases, check};

#[test]
fn every_scenario_takes_its_way_and_arrives() {
    for case in cases() {
        let report = run(&case.scenario);
        let story = || format!("{}:\n{}", case.name, report.trace.join("\n"));
        if let Err(complaint) = check(&case, &report) {
            panic!("{}\n{complaint}", story());
        }
        assert!((case.takes_its_way)(&report), "{}", story());
    }
}

#[test]
fn where_nothing_goes_wrong_no_seed_violates_an_invariant() {
    let hunt = Hunt {
        seeds: 0..30,
        profile: Profile::Calm,
        without: None,
        stop_early: false,
    };
    let summary = hunt.run(|_| {});
    println!("{summary}");
    if let Some((seed, violation)) = summary.violations.first_key_value() {
        let story = run(&Scenario::drawn(*seed, Profile::Calm)).trace.join("\n");
        panic!("{story}\nseed {seed}: {violation}");
    }
}
