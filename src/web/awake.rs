//! Whoever pushes articles one after another waits for each answer, and we wait for the next push: two cores that fall
//! asleep in turn, and to wake one takes as long as the work itself. So a thread that has answered a change stays awake for
//! a moment, if nobody else is changing anything: the next push mostly comes within it.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A client takes about half of that to read an answer and to send what is next.
const AWAKE: Duration = Duration::from_micros(250);

/// Requests that change something, at this moment.
#[derive(Debug, Default)]
pub(super) struct Changes(AtomicUsize);

/// One of them, until it is answered or breaks off.
pub(super) struct Change<'a>(&'a Changes);

impl Changes {
    /// One has come.
    pub(super) fn begin(&self) -> Change<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Change(self)
    }
}

impl Change<'_> {
    /// It has been answered.
    pub(super) fn answered(self) {
        if self.0.0.load(Ordering::Relaxed) == 1 {
            stay_awake();
        }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// This thread stays awake until then, and a task sees to that.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn stay_awake() {
    let until = Instant::now() + AWAKE;
    if UNTIL.replace(Some(until)).is_none() {
        tokio::spawn(async {
            while UNTIL.get().is_some_and(|until| Instant::now() < until) {
                // Whatever else this thread has to do comes first, and so does any other that wants its core.
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
            UNTIL.set(None);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_stays_awake_for_a_moment_behind_the_last_of_the_changes() {
        let changes = Changes::default();
        let (first, second, third) = (changes.begin(), changes.begin(), changes.begin());
        drop(first);
        second.answered();
        assert_eq!(UNTIL.get(), None, "others are under way");
        third.answered();
        assert!(UNTIL.get().is_some());
        while UNTIL.get().is_some() {
            tokio::task::yield_now().await;
        }
        changes.begin().answered();
        assert!(UNTIL.get().is_some(), "and so again");
    }
}
