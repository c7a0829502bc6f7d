//! Lets so many in at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// What is left of so many places.
#[derive(Debug)]
pub(crate) struct Gate {
    free: Mutex<usize>,
    one_is_free: Condvar,
}

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            free: Mutex::new(places),
            one_is_free: Condvar::new(),
        }
    }

    /// Waits for a place, and has it for as long as this takes.
    pub(crate) fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .one_is_free
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let came_of_it = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.one_is_free.notify_one();
        came_of_it
    }
}
