//! What the mailer does while nothing is due.

use super::{IDLE_MAX, Mailer, locked};
use crate::store::Due;
use crate::telemetry;
use std::sync::Arc;
use std::time::Duration;

/// Nothing is overlooked for longer than this, whatever becomes of wake-ups.
const POLL_MAX: Duration = Duration::from_secs(30);
/// Counting the waiting messages for the gauge stops here.
const COUNTED_MAX: usize = 100_000;

impl Mailer {
    /// Nothing is due: brings the gauges up to date, and says how long to rest.
    pub(super) async fn rest(self: &Arc<Self>) -> Duration {
        let counted = self.store.scan(|store| store.count_due(Due::Message, COUNTED_MAX)).await;
        if let Ok(count) = counted {
            metrics::gauge!(telemetry::MAIL_PENDING).set(count as f64);
        }
        let now = self.clock.now();
        let not_before = locked(&self.server).not_before.unwrap_or(now);
        let next = self.store.next_due(Due::Message).ok().flatten().map(|at| at.max(not_before) - now);
        let next = next.map_or(POLL_MAX, |wait| wait.to_std().unwrap_or_default().min(POLL_MAX));
        if locked(&self.idle).is_empty() { next } else { next.min(IDLE_MAX) }
    }
}
