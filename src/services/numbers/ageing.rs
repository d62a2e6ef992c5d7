//! Numbers are kept for so long, and then go: nobody reads them any more, and there is a row of them for each day and each
//! domain.

use crate::domain::Clock;
use crate::services::Step;
use crate::store::{Batch, Store, StoreError};
use chrono::TimeDelta;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is kept for months is in no hurry to go.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Takes old numbers out.
pub struct Ageing {
    store: Arc<Store>,
    clock: Clock,
    age_max: TimeDelta,
    /// Articles were looked at up to this one's key.
    after: Mutex<Option<Vec<u8>>>,
}

impl Ageing {
    /// Of `store`, what is older than `age_max`: of a day, a window or an article before then.
    pub fn new(store: Arc<Store>, clock: Clock, age_max: TimeDelta) -> Self {
        Ageing { store, clock, age_max, after: Mutex::default() }
    }

    /// Takes some hundred out. [`Step::Idle`] once nothing old is left.
    pub async fn step(&self) -> Result<Step, StoreError> {
        let day = (self.clock.now() - self.age_max).date_naive();
        let mut old = self.store.scan(move |store| store.numbers_before(day)).await?;
        if old.is_empty() {
            let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).take();
            let piece = self.store.scan(move |store| store.article_numbers_before(day, after.as_deref())).await?;
            let Some((of_articles, last)) = piece else { return Ok(Step::Idle) };
            *self.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
            old = of_articles;
        }
        let mut batch = Batch::default();
        self.store.delete_numbers(&mut batch, old);
        if !batch.is_empty() {
            self.store.commit(batch).await?;
        }
        Ok(Step::Worked)
    }

    /// Steps until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(Step::Worked) => continue,
                Ok(Step::Idle) => {}
                Err(error) => tracing::error!(%error, "old numbers could not be taken out: {error}"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
