//! What became of mails is kept for so long, and then goes: nobody asks for it any more, and there is a row of each mail, and
//! one of numbers for each day and each domain.

use super::Step;
use crate::domain::Clock;
use crate::store::{Batch, LedgerKey, Store, StoreError};
use chrono::TimeDelta;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is kept for months is in no hurry to go.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Between two pieces: readers and mails come first.
const REST: Duration = Duration::from_millis(10);

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// Numbers: of a day, a window or an article.
    pub numbers: TimeDelta,
    /// Messages that are over.
    pub messages: TimeDelta,
}

/// Takes out what is older.
pub struct Ageing {
    store: Arc<Store>,
    clock: Clock,
    ages: Ages,
    place: Mutex<Place>,
}

/// Where it goes on: all of one, then all of the next.
#[derive(Clone)]
enum Place {
    /// Numbers of days and windows.
    Days,
    /// Those of articles, behind this key.
    Articles(Option<Vec<u8>>),
    /// Messages, behind this one.
    Messages(Option<LedgerKey>),
}

impl Ageing {
    /// Of `store`, what is older than `ages`.
    pub fn new(store: Arc<Store>, clock: Clock, ages: Ages) -> Self {
        Ageing { store, clock, ages, place: Mutex::new(Place::Days) }
    }

    /// Looks at a piece, and takes out what is old in it. [`Step::Idle`] once all has been looked at; the next step begins
    /// anew.
    pub async fn step(&self) -> Result<Step, StoreError> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.clock.now();
        let day = (now - self.ages.numbers).date_naive();
        let mut batch = Batch::default();
        let (next, step) = match place {
            Place::Days => {
                let old = self.store.scan(move |store| store.numbers_before(day)).await?;
                let next = if old.is_empty() { Place::Articles(None) } else { Place::Days };
                self.store.delete_numbers(&mut batch, old);
                (next, Step::Worked)
            }
            Place::Articles(after) => {
                let piece = self.store.scan(move |store| store.article_numbers_before(day, after.as_deref())).await?;
                let next = match piece {
                    Some((old, last)) => {
                        self.store.delete_numbers(&mut batch, old);
                        Place::Articles(Some(last))
                    }
                    None => Place::Messages(None),
                };
                (next, Step::Worked)
            }
            Place::Messages(after) => {
                let before = now - self.ages.messages;
                let piece = self.store.scan(move |store| store.messages_before(before, after.as_ref()));
                let (old, last) = piece.await?;
                old.iter().for_each(|old| self.store.delete_message(&mut batch, old));
                match last {
                    Some(last) => (Place::Messages(Some(last)), Step::Worked),
                    None => (Place::Days, Step::Idle),
                }
            }
        };
        // What somebody changes at this moment is looked at again the next time round.
        if !batch.is_empty() {
            self.store.try_commit(batch.patiently()).await?;
        }
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(step)
    }

    /// Steps until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.step().await {
                Ok(Step::Worked) => REST,
                Ok(Step::Idle) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!(%error, "what is old could not be taken out: {error}");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
