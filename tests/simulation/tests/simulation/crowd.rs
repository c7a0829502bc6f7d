//! Many users at once are served alike, and what is in their way is known.

use std::time::Duration;

use simulation::crowd::{Crowd, Deployment, HEAD};
use simulation::scaling::Limit;

#[test]
fn a_hundred_users_at_once_are_served_alike() {
    println!("{HEAD}");
    let crowd = Crowd {
        users: 100,
        greedy: 0,
        deployment: Deployment::Template,
    };
    let outcome = crowd.measure().unwrap();
    println!("{outcome}");
    // A task is done in 6 s.
    assert!(outcome.done.max <= Duration::from_secs(10), "{outcome}");
    assert!(outcome.fairness >= 0.98, "{outcome}");
    let (first, _) = outcome.strain.first().unwrap();
    assert_eq!(first, Limit::Ramp, "{outcome}");
    assert!(outcome.strain.workers_max <= 20, "{outcome}");
}
