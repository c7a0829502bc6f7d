//! Runs repeat themselves, and a few of them are run here.

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

#[test]
#[ignore = "takes long: run it with --ignored, as `cargo xtask test` does"]
fn a_seed_repeats_itself_to_the_byte() {
    for seed in 0..40 {
        let scenario = Scenario::drawn(seed, Profile::Mixed);
        let (first, second) = (run(&scenario), run(&scenario));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert!(!first.trace.is_empty(), "seed {seed}");
    }
}

#[test]
#[ignore = "takes long: run it with --ignored, as `cargo xtask test` does"]
fn no_seed_violates_an_invariant() {
    hunt(Profile::Mixed, 2_000);
}

#[test]
#[ignore = "takes long: run it with --ignored, as `cargo xtask test` does"]
fn work_goes_on_soon_after_any_single_fault() {
    let summary = hunt(Profile::Single, 400);
    let (recovery, seed) = summary.recovery(99).expect("faults do happen");
    assert!(recovery <= RECOVERY_GOAL, "seed {seed}: {recovery:?}");
}
