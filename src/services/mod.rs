//! Readers and writers of the log. A worker is a step and a loop around it; tests drive the step.

pub mod ageing;
pub mod corrections;
pub mod digest;
pub mod due;
pub mod erase;
pub mod feeds;
pub mod hub;
pub mod keys;
mod lead;
pub mod mailer;
pub mod newsroom;
pub mod notify;
pub mod numbers;
mod outbox;
pub mod publish;
pub mod quarantine;
pub mod returns;
pub mod sources;
pub mod subscribe;
mod suppression;
pub mod watchdog;

pub use lead::Lead;

use crate::domain::{Change, Seq};
use crate::store::{Batch, Cursor, Due, Store, StoreError, Stored, Table};
use crate::telemetry;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Something that follows the log with a durable cursor of its own.
pub trait Reader: Send + Sync + 'static {
    /// Its name for life: its cursor is stored under it.
    fn name(&self) -> &'static str;

    /// What follows from `changes`, the next ones behind `cursor`, and where the reader stands once that is
    /// committed. A reader may take fewer than it is given, or a part of one (`Cursor::within`). It may be given the
    /// same changes again after a crash: keys that are made of the change alone turn that into once.
    fn apply(
        &self,
        cursor: &Cursor,
        changes: Vec<(Seq, Change)>,
    ) -> impl Future<Output = Result<(Batch, Cursor), StoreError>> + Send;
}

/// The owner of one kind of row of the due table.
pub trait OnDue: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> Due;

    /// Does a piece of what is due now.
    fn step(self: &Arc<Self>) -> impl Future<Output = Result<Step, StoreError>> + Send;
}

/// Name of the reader that owes notices, for those who have to know how far it is.
pub const NOTIFY: &str = "notify";

/// What a step of a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something; there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
}

/// Changes that one step hands to a reader; its effects have to fit one batch.
const CHANGES_MAX: usize = 64;
/// A cursor that moved without an effect is stored behind this many changes: that many are read again after a crash.
const UNSAVED_MAX: u64 = 1_024;
/// It is stored as well once the log has been quiet for this long.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// And at this age, however busy the log is: others see by it how far the reader is.
const SAVE_WITHIN: Duration = Duration::from_secs(10);
/// What comes within this of a change is read together with it: whoever publishes would else share the processor with a
/// reader that wakes for each.
const GATHER_WAIT: Duration = Duration::from_millis(5);
/// A reader that fails waits this long before it tries again; its cursor stays, so nothing is passed over.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Nothing ever cuts the log, so a gap behind `at` is damage; to go on would be to pass over what is missing.
fn gap(at: Seq) -> StoreError {
    StoreError::Record { table: Table::Log, key: at.next().to_string(), what: "a gap in the log".to_owned() }
}

/// A reader on its way along the log.
///
/// What a reader does is committed together with its cursor. Where nothing follows from a change, the cursor moves in
/// memory alone: a durable commit for each would halve the rate of publishing.
pub struct Tail<R> {
    store: Arc<Store>,
    reader: R,
    at: Cursor,
    saved: Option<Stored<Cursor>>,
}

impl<R: Reader> Tail<R> {
    /// `reader`, standing where its stored cursor says. Errors: the store's.
    pub fn new(store: Arc<Store>, reader: R) -> Result<Self, StoreError> {
        let mut tail = Tail { store, reader, at: Cursor::default(), saved: None };
        tail.go_back()?;
        Ok(tail)
    }

    /// To where the stored cursor says.
    fn go_back(&mut self) -> Result<(), StoreError> {
        self.saved = self.store.cursor(self.reader.name())?;
        self.at = self.saved.as_ref().map(|saved| saved.record.clone()).unwrap_or_default();
        Ok(())
    }

    fn is_saved(&self) -> bool {
        self.saved.as_ref().map_or_else(|| self.at == Cursor::default(), |saved| saved.record == self.at)
    }

    /// One round: reads behind the cursor, and commits what follows together with the moved cursor.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        let read = self.store.since(self.at.seq, CHANGES_MAX)?;
        let behind = self.store.head().0 - self.at.seq.0;
        metrics::gauge!(telemetry::READER_LAG, "reader" => self.reader.name()).set(behind as f64);
        if read.truncated {
            return Err(gap(self.at.seq));
        }
        if read.changes.is_empty() {
            return Ok(Step::Idle);
        }
        let (batch, next) = self.reader.apply(&self.at, read.changes).await?;
        if !batch.is_empty() {
            self.commit(batch, next).await?;
        } else if next.seq.0 - self.saved.as_ref().map_or(0, |saved| saved.record.seq.0) >= UNSAVED_MAX {
            self.commit(Batch::default(), next).await?;
        } else {
            self.at = next;
        }
        Ok(Step::Worked)
    }

    async fn commit(&mut self, mut batch: Batch, next: Cursor) -> Result<(), StoreError> {
        let saved = self.store.move_cursor(&mut batch, self.reader.name(), self.saved.as_ref(), next);
        if self.store.try_commit(batch.patiently()).await? {
            self.at = saved.record.clone();
            self.saved = Some(saved);
            Ok(())
        } else {
            // What it was decided on has changed meanwhile, or the cursor itself: the next round decides anew.
            self.go_back()
        }
    }

    /// Stores a cursor that has moved in memory alone.
    pub async fn save(&mut self) -> Result<(), StoreError> {
        if self.is_saved() { Ok(()) } else { self.commit(Batch::default(), self.at.clone()).await }
    }

    /// Rounds until `stop`, each a moment after the head has moved.
    pub async fn run(mut self, stop: CancellationToken) {
        // Registered before reading, so that a publish between the two is not missed.
        let mut head = self.store.head_watch();
        let mut saved_at = tokio::time::Instant::now();
        while !stop.is_cancelled() {
            head.mark_unchanged();
            let wait = match self.step().await {
                Ok(Step::Worked) => {
                    if self.is_saved() {
                        saved_at = tokio::time::Instant::now();
                    } else if saved_at.elapsed() >= SAVE_WITHIN
                        && let Err(error) = self.save().await
                    {
                        self.tell(&error);
                    }
                    continue;
                }
                Ok(Step::Idle) if self.is_saved() => None,
                Ok(Step::Idle) => Some(SAVE_AFTER),
                Err(error) => {
                    self.tell(&error);
                    Some(RETRY_WAIT)
                }
            };
            let is_quiet = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => true,
                // An error means that the store is gone: then there is nothing more to read.
                moved = head.changed(), if wait != Some(RETRY_WAIT) => match moved {
                    Ok(()) => {
                        tokio::time::sleep(GATHER_WAIT).await;
                        false
                    }
                    Err(_) => return,
                },
            };
            if is_quiet && let Err(error) = self.save().await {
                self.tell(&error);
            }
        }
    }

    fn tell(&self, error: &StoreError) {
        let name = self.reader.name();
        tracing::error!(reader = name, %error, "the reader {name} failed and tries again: {error}");
    }
}
