//! Runs repeat themselves, and a few of them are run here; many more in the long tier.

use std::time::Duration;

use simulation::hunt::{Hunt, Summary};
use simulation::run;
use simulation::scenario::{Profile, Scenario};

/// How soon work goes on after a single fault, 99 times out of a hundred, with the settings of the template.
const RECOVERY_GOAL: Duration = Duration::from_secs(120);

fn hunt(profile: Profile, seeds: u64) -> Summary {
    let hunt = Hunt {
        seeds: 0..seeds,
        profile,
        without: None,
        stop_early: false,
    };
    let summary = hunt.run(|_| {});
    println!("{summary}");
    if let Some((seed, violation)) = summary.violations.first_key_value() {
        let story = run(&Scenario::drawn(*seed, profile)).trace.join("\n");
        panic!("{story}\nseed {seed} of {profile:?}: {violation}");
    }
    summary
}

fn assert_repeats_itself(seeds: u64) {
    for seed in 0..seeds {
        let scenario = Scenario::drawn(seed, Profile::Mixed);
        let (first, second) = (run(&scenario), run(&scenario));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert!(!first.trace.is_empty(), "seed {seed}");
    }
}

fn assert_work_goes_on(seeds: u64) {
    let summary = hunt(Profile::Single, seeds);
    let (recovery, seed) = summary.recovery(99).expect("faults do happen");
    assert!(recovery <= RECOVERY_GOAL, "seed {seed}: {recovery:?}");
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    assert_repeats_itself(5);
}

#[test]
fn no_seed_violates_an_invariant() {
    hunt(Profile::Mixed, 200);
}

#[test]
fn work_goes_on_soon_after_any_single_fault() {
    assert_work_goes_on(60);
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn many_seeds_repeat_themselves_to_the_byte() {
    assert_repeats_itself(40);
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn none_of_many_seeds_violates_an_invariant() {
    hunt(Profile::Mixed, 10_000);
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn work_goes_on_soon_after_any_of_many_single_faults() {
    assert_work_goes_on(1_000);
}
