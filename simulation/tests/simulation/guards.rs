//! Every condition in the store is needed: take one away, and the simulator finds what it was for.

use simulation::hunt::Hunt;
use simulation::scenario::Profile;

/// A guard, and the kind of runs that need it. Most are missed within ten of them; a few take a rare
/// coincidence, such as a write that is late by more than ten minutes.
const NEEDED: [(&str, Profile); 10] = [
    ("lock is free", Profile::Storm),
    ("lock is as seen", Profile::Locks),
    ("task is new", Profile::Ghosts),
    ("key is new", Profile::Storm),
    ("open", Profile::Storm),
    ("chunk is free", Profile::Storm),
    ("processing", Profile::Restless),
    ("owner", Profile::Storm),
    ("cursor", Profile::Late),
    ("seen", Profile::Storm),
];

/// So many runs are tried.
const SEEDS: u64 = 400;

#[test]
fn without_any_one_guard_the_simulator_finds_a_violation() {
    let mut guards: Vec<_> = NEEDED.iter().map(|(name, ..)| *name).collect();
    let mut all = tasks::store::dropped::GUARDS.to_vec();
    guards.sort_unstable();
    all.sort_unstable();
    assert_eq!(guards, all, "every guard has to be shown to be needed");

    for (name, profile) in NEEDED {
        let hunt = Hunt {
            seeds: 0..SEEDS,
            profile,
            without: Some(name),
            stop_early: true,
        };
        let summary = hunt.run(|_| {});
        let Some((seed, violation)) = summary.violations.first_key_value() else {
            panic!("nobody misses the guard \"{name}\" in {SEEDS} seeds");
        };
        println!("without \"{name}\", seed {seed}: {violation}");
    }
}
