//! Many clients, one clock: how many times something was done, and how long each took.

use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// When it ends: whichever comes first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) count: usize,
    pub(crate) time: Duration,
}

/// Hands out the numbers of what is to be done, to all clients, until the limit.
pub(crate) struct Turns {
    next: AtomicUsize,
    count: usize,
    end: Instant,
}

impl Turns {
    pub(crate) fn until(limit: Limit) -> Self {
        Turns { next: AtomicUsize::new(0), count: limit.count, end: Instant::now() + limit.time }
    }

    /// The next number; none once the limit is reached.
    pub(crate) fn take(&self) -> Option<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.count && Instant::now() < self.end).then_some(number)
    }
}

/// Runs `clients` side by side until `limit`; each gives back how long each of its turns took.
pub(crate) async fn side_by_side<F>(
    clients: usize,
    limit: Limit,
    mut client: impl FnMut(Arc<Turns>) -> F,
) -> anyhow::Result<Value>
where
    F: Future<Output = anyhow::Result<Vec<Duration>>> + Send + 'static,
{
    let turns = Arc::new(Turns::until(limit));
    let started = Instant::now();
    let running: Vec<_> = (0..clients).map(|_| tokio::spawn(client(Arc::clone(&turns)))).collect();
    let mut took = Vec::new();
    for task in running {
        took.extend(task.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let count = took.len();
    Ok(json!({
        "count": count, "seconds": seconds, "rate": count as f64 / seconds,
        "p50_us": percentile_us(&mut took, 0.50), "p99_us": percentile_us(&mut took, 0.99),
    }))
}

/// The value below which `share` of all lie, in microseconds; zero for none.
pub(crate) fn percentile_us(took: &mut [Duration], share: f64) -> f64 {
    took.sort_unstable();
    let at = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
    took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e6)
}
