//! What clients are told of the time left is worth something, and so is when they are told to ask again.

use simulation::estimates::{Course, Figures, HEAD, measure};

/// Holds what the courses came to against what is promised of all of them, and of those without surprises.
fn assert_good(figures: &[Figures]) {
    println!("{HEAD}");
    for figures in figures {
        println!("{figures}");
    }
    for figures in figures {
        let Figures { course, rises, .. } = figures;
        assert_eq!(*rises, 0, "{course:?}: rises between two steps");
        assert!(figures.median_error <= 0.25, "{figures}");
        assert!(figures.polls_in_200_seconds() <= POLLS_MAX, "{figures}");
        if course.is_even() {
            assert!(figures.median_error <= 0.10, "{figures}");
            assert!(figures.lowest >= 0.5 && figures.highest <= 2.0, "{figures}");
            assert!(figures.known >= 0.95, "{figures}");
            assert!(figures.end_shown_after.as_secs_f64() <= 2.0, "{figures}");
        }
        // A task of less than a minute moves by more than 5 % within the second that a poll waits at least.
        if figures.took.as_secs() >= 100 {
            assert!(figures.staleness <= 5, "{figures}");
        }
    }
}

/// Twenty for a task whose pace stays as it is; a few more where it does not, and one cannot know.
const POLLS_MAX: f64 = 24.0;

#[test]
fn estimates_are_right_and_polls_few() {
    assert_good(&measure(
        &[
            Course::Steady,
            Course::BigSteps,
            Course::ManyChunks,
            Course::SlowChunk,
            Course::Outage,
            Course::HalfPaceOfChunks,
        ],
        1,
    ));
}

#[test]
#[ignore = "long: part of `cargo xtask test --long`"]
fn estimates_are_right_and_polls_few_however_a_task_gets_on() {
    assert_good(&measure(&Course::ALL, 3));
}
