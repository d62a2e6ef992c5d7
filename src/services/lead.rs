//! How far the notices that are made out are ahead of those that have been sent.
//!
//! The row of a message is written three times. If it is sent soon after it was made out, all three are in memory
//! together, and one of them reaches the file; of a hundred thousand that were made out at once each was carried there,
//! read again to be sent, and carried once more. So whoever makes them out waits for the mailer, but only while that gets
//! on: a mail server that takes nothing holds up nobody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Messages. With their due rows they are about a third of a megabyte, and a turn of the store's journal has four.
const AHEAD_MAX: usize = 1_000;
/// Where nothing was sent for so long, nobody waits until something is.
const STALL: Duration = Duration::from_millis(100);

/// Shared by the reader that makes notices out and the mailer. Only a measure of speed: it may be wrong by some messages,
/// and begins anew at a start.
#[derive(Debug)]
pub struct Lead {
    max: usize,
    ahead: AtomicUsize,
    /// How often the mailer has got on.
    moves: AtomicUsize,
    is_stalled: AtomicBool,
    /// Rung when no more messages than may be are ahead.
    is_near: Notify,
}

impl Default for Lead {
    fn default() -> Self {
        Lead::of(AHEAD_MAX)
    }
}

impl Lead {
    /// One of `max` messages.
    pub fn of(max: usize) -> Self {
        let (ahead, moves) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Lead { max, ahead, moves, is_stalled: AtomicBool::new(false), is_near: Notify::new() }
    }

    /// `count` messages are made out that are to be sent at once.
    pub(super) fn grow(&self, count: usize) {
        self.ahead.fetch_add(count, Ordering::Relaxed);
    }

    /// The mailer has dealt with `count` messages, whichever they were.
    pub(super) fn shrink(&self, count: usize) {
        let left = |ahead: usize| Some(ahead.saturating_sub(count));
        let before = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).unwrap_or_default();
        self.moved(before.saturating_sub(count));
    }

    /// The mailer finds nothing that is due: whatever became of the others, nobody is ahead of it.
    pub(super) fn close(&self) {
        self.ahead.store(0, Ordering::Relaxed);
        self.moved(0);
    }

    fn moved(&self, ahead: usize) {
        self.moves.fetch_add(1, Ordering::Relaxed);
        self.is_stalled.store(false, Ordering::Relaxed);
        // Who would only wait on is not woken: that takes time on two threads. Kept for who is about to wait; who is woken
        // looks for itself.
        if ahead < self.max {
            self.is_near.notify_one();
        }
    }

    /// Until more may be made out.
    pub(super) async fn wait(&self) {
        while self.ahead.load(Ordering::Relaxed) >= self.max && !self.is_stalled.load(Ordering::Relaxed) {
            let moves = self.moves.load(Ordering::Relaxed);
            if tokio::time::timeout(STALL, self.is_near.notified()).await.is_err()
                && self.moves.load(Ordering::Relaxed) == moves
            {
                self.is_stalled.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;

    async fn waits(lead: &Lead) -> bool {
        let mut wait = pin!(lead.wait());
        std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_far_ahead_waits_until_the_mailer_has_come_closer() {
        let lead = Lead::of(10);
        lead.grow(9);
        assert!(!waits(&lead).await);
        lead.grow(1);
        assert!(waits(&lead).await);
        let started = tokio::time::Instant::now();
        let (_, ()) = tokio::join!(lead.wait(), async { lead.shrink(1) });
        assert!(started.elapsed().is_zero(), "it was woken");
        lead.grow(90);
        assert!(waits(&lead).await);
        lead.close();
        assert!(!waits(&lead).await, "there was nothing to send");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailer_that_does_not_get_on_holds_up_nobody_until_it_does() {
        let lead = Lead::of(10);
        lead.grow(1_000);
        lead.wait().await;
        lead.grow(1_000);
        assert!(!waits(&lead).await, "it stands still");
        lead.shrink(5);
        assert!(waits(&lead).await, "it gets on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailer_that_gets_on_slowly_is_waited_for() {
        let lead = Lead::of(10);
        lead.grow(30);
        let mut wait = pin!(lead.wait());
        for number in 0..20 {
            // Woken by the clock alone.
            assert!(tokio::time::timeout(STALL / 2, wait.as_mut()).await.is_err(), "{number}");
            lead.shrink(1);
        }
        assert!(waits(&lead).await, "ten are ahead");
        lead.shrink(1);
        let started = tokio::time::Instant::now();
        wait.await;
        assert!(started.elapsed().is_zero(), "it was woken");
    }
}
