//! One timer over the due table: wakes the owner of each kind of row, at its hour and not before.

use super::publish::Publisher;
use super::{OnDue, Step};
use crate::domain::Clock;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Looks at least this often, whatever it believes to be next: a machine's clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// What was due and could not be done is still due: it is tried again after this, and not at once for ever.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Publishes what is due until `stop`.
pub async fn run(publisher: Publisher, clock: Clock, stop: CancellationToken) {
    loop {
        // Registered before looking, so that an article scheduled between the look and the wait is not missed.
        let scheduled = publisher.scheduled();
        tokio::pin!(scheduled);
        scheduled.as_mut().enable();
        let released = publisher.release_due().await;
        if let Err(problem) = &released {
            tracing::error!(%problem, "scheduled articles could not be published; trying again: {problem}");
        }
        let wait = match (released, publisher.next_due()) {
            (Err(_), _) => RETRY_WAIT,
            (Ok(_), Ok(Some(at))) => (at - clock.now()).to_std().unwrap_or_default().min(LOOK_EVERY),
            (Ok(_), Ok(None) | Err(_)) => LOOK_EVERY,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = scheduled => {}
        }
    }
}

/// Lets `owner` do what is due of its kind until `stop`.
pub async fn run_each<O: OnDue>(owner: Arc<O>, store: Arc<Store>, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let wait = match owner.step().await {
            Ok(Step::Worked) => continue,
            Ok(Step::Idle) => match store.next_due(owner.kind()) {
                // One that is due already and waits is its owner's decision.
                Ok(Some(at)) => (at - clock.now()).to_std().map_or(LOOK_EVERY, |wait| wait.min(LOOK_EVERY)),
                Ok(None) | Err(_) => LOOK_EVERY,
            },
            Err(error) => {
                tracing::error!(%error, "what is due could not be done; trying again: {error}");
                RETRY_WAIT
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
