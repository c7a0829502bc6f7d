//! Runs repeat themselves, and a few of them are run here.

use simulation::hunt::Hunt;
use simulation::run;
use simulation::scenario::{Profile, Scenario};

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
    let hunt = Hunt {
        seeds: 0..2_000,
        profile: Profile::Mixed,
        without: None,
        stop_early: false,
    };
    let summary = hunt.run(|_| {});
    println!("{summary}");
    assert!(summary.violations.is_empty(), "{:?}", summary.violations);
}
