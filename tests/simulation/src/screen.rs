//! What the page shows of a task between two news, as `frontend/js/glide.js` and `task-view.js` have it: the bar moves from
//! what it shows to what has become known, and takes as long for it as the next news will take to come.

use std::time::Duration;

use crate::watch::News;

/// The last stretch to a result, and catching up after a pause.
const GLIDE_SHORT: Duration = Duration::from_millis(500);

/// On a very long task gliding does not fill the whole wait.
const GLIDE_MAX: Duration = Duration::from_secs(15);

/// The bar.
#[derive(Debug, Default)]
struct Glide {
    from: f64,
    to: f64,
    started_at: Duration,
    takes: Duration,
}

impl Glide {
    fn move_to(&mut self, truth: f64, takes: Duration, now: Duration) {
        let is_sooner = now + takes < self.started_at + self.takes;
        let is_again = (truth - self.to).abs() < f64::EPSILON;
        if truth < self.to || (is_again && !is_sooner) {
            return;
        }
        self.from = self.at(now);
        self.to = truth;
        self.started_at = now;
        self.takes = takes;
    }

    fn at(&self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.started_at);
        if since >= self.takes {
            return self.to;
        }
        self.from + (self.to - self.from) * since.div_duration_f64(self.takes)
    }
}

/// The screen of somebody who has begun a task, and hears of it.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    known: f64,
    glide: Glide,
    received_at: Duration,
    due_at: Duration,
}

impl Screen {
    /// Hears the news.
    pub(crate) fn hear(&mut self, news: &News) {
        let News {
            at,
            done,
            next_after,
        } = *news;
        #[expect(clippy::cast_precision_loss, reason = "a number of items")]
        let done = done as f64;
        let overdue = at.saturating_sub(self.due_at);
        let is_overdue = overdue > 2 * GLIDE_SHORT + (self.due_at.saturating_sub(self.received_at));
        let takes = match next_after {
            Some(next_after) if !is_overdue => next_after.min(GLIDE_MAX),
            _ => GLIDE_SHORT,
        };
        self.glide.move_to(done, takes, at);
        self.known = done;
        self.received_at = at;
        self.due_at = at + next_after.unwrap_or_default();
    }

    /// How many items it knows to be done.
    pub(crate) fn known(&self) -> f64 {
        self.known
    }

    /// How many it shows as done.
    pub(crate) fn shown(&self, now: Duration) -> f64 {
        self.glide.at(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn assert_shows(screen: &Screen, at: u64, expected: f64) {
        let shown = screen.shown(seconds(at));
        assert!((shown - expected).abs() < 1e-9, "{shown} at {at} s");
    }

    fn hear(screen: &mut Screen, at: u64, done: u64, next_after: Option<u64>) {
        let (at, next_after) = (seconds(at), next_after.map(seconds));
        screen.hear(&News {
            at,
            done,
            next_after,
        });
    }

    #[test]
    fn the_bar_moves_as_that_of_the_page() {
        let mut screen = Screen::default();
        hear(&mut screen, 1, 10, Some(10));
        hear(&mut screen, 11, 20, Some(40));
        // It is where it was known to be, and goes on for 15 s at most.
        assert_shows(&screen, 11, 10.0);
        assert_shows(&screen, 14, 12.0);
        assert_shows(&screen, 26, 20.0);
        // The same again does not slow it down, and an end is shown soon.
        hear(&mut screen, 14, 20, Some(60));
        hear(&mut screen, 40, 30, None);
        assert_shows(&screen, 26, 20.0);
        assert_shows(&screen, 41, 30.0);
    }
}
