//! What ends a wait for the next request, besides that request.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The end of one connection's patience, and the stop.
///
/// Both keep the waker of the task that asked them once, so they wake it without being asked again. Asking at each
/// request would cost more than parsing it: at the beginning of a wait it is only looked whether they have come.
pub(super) struct Idle {
    patience: Duration,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    timer: Pin<Box<Sleep>>,
    /// When this wait has been too long. The timer may ring before, and is then set to it.
    due: Instant,
    is_asked: bool,
}

impl Idle {
    pub(super) fn new(patience: Duration, stop: &CancellationToken) -> Self {
        let due = Instant::now() + patience;
        Idle {
            patience,
            stop: stop.clone(),
            stopped: Box::pin(stop.clone().cancelled_owned()),
            timer: Box::pin(sleep_until(due)),
            due,
            is_asked: false,
        }
    }

    /// A wait begins; to be called by the one task that calls [`Self::is_over`]. True if it is over already.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        self.due = now + self.patience;
        let has_come = now >= self.timer.deadline() || self.stop.is_cancelled();
        (has_come || !self.is_asked) && self.is_over(cx)
    }

    /// Is the wait over? If not, the task is woken when it is.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_asked = true;
        if self.stopped.as_mut().poll(cx).is_ready() {
            return true;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.due {
                return true;
            }
            self.timer.as_mut().reset(self.due);
        }
        false
    }
}
