//! Many users at once are all served, and nearly alike; what is in their way is known.

use std::time::Duration;

use simulation::crowd::{Crowd, Deployment, HEAD};
use simulation::scaling::Limit;

fn crowd(users: u64, greedy: u64) -> Crowd {
    Crowd {
        users,
        greedy,
        deployment: Deployment::Template,
    }
}

#[test]
fn a_hundred_users_at_once_are_served_alike() {
    println!("{HEAD}");
    let outcome = crowd(100, 0).measure().unwrap();
    println!("{outcome}");
    // A task is done in 6 s.
    assert!(outcome.done.max <= Duration::from_secs(10), "{outcome}");
    assert!(outcome.fairness >= 0.98, "{outcome}");
    let (first, _) = outcome.strain.first().unwrap();
    assert_eq!(first, Limit::Ramp, "{outcome}");
    assert!(outcome.strain.workers_max <= 20, "{outcome}");
}

#[test]
fn who_asks_for_little_hardly_waits_for_who_asks_for_much() {
    let outcome = crowd(30, 10).measure().unwrap();
    println!("{HEAD}\n{outcome}");
    assert!(outcome.done.max <= Duration::from_secs(10), "{outcome}");
    assert!(outcome.fairness >= 0.98, "{outcome}");
}
