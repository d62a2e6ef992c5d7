//! Readers and writers of the log. A worker is a step and a loop around it; tests drive the step.

pub mod due;
pub mod feeds;
pub mod keys;
pub mod mailer;
pub mod newsroom;
pub mod notify;
pub mod publish;
pub mod sources;
pub mod subscribe;

use crate::domain::{Change, Seq};
use crate::store::{Batch, CommitError, Cursor, Store, StoreError};
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
    /// committed. A reader may take fewer than it is given, or a part of one (`Cursor::within`).
    fn apply(
        &self,
        cursor: &Cursor,
        changes: Vec<(Seq, Change)>,
    ) -> impl Future<Output = Result<(Batch, Cursor), StoreError>> + Send;
}

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

/// One round of a reader: reads behind its cursor, and commits what follows together with the moved cursor.
pub async fn tail_once<R: Reader>(store: &Arc<Store>, reader: &R) -> Result<Step, StoreError> {
    let cursor = store.cursor(reader.name())?.unwrap_or_default();
    let read = store.since(cursor.seq, CHANGES_MAX)?;
    metrics::gauge!(telemetry::READER_LAG, "reader" => reader.name()).set((store.head().0 - cursor.seq.0) as f64);
    if read.changes.is_empty() {
        return Ok(Step::Idle);
    }
    let (mut batch, next) = reader.apply(&cursor, read.changes).await?;
    store.set_cursor(&mut batch, reader.name(), &next);
    match store.commit(batch).await {
        Ok(_) => Ok(Step::Worked),
        // What it was decided on has changed meanwhile: the cursor has not moved, the next round decides anew.
        Err(CommitError::Conflict { .. }) => Ok(Step::Worked),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// A reader that fails waits this long before it tries again; its cursor stays, so nothing is passed over.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Rounds until `stop`, each as soon as the head moves.
pub async fn tail<R: Reader>(store: Arc<Store>, reader: R, stop: CancellationToken) {
    // Registered before reading, so that a publish between the two is not missed.
    let mut head = store.head_watch();
    loop {
        head.mark_unchanged();
        let failed = match tail_once(&store, &reader).await {
            Ok(Step::Worked) if stop.is_cancelled() => return,
            Ok(Step::Worked) => continue,
            Ok(Step::Idle) => false,
            Err(error) => {
                let name = reader.name();
                tracing::error!(reader = name, %error, "the reader {name} failed and tries again: {error}");
                true
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY_WAIT), if failed => {}
            // An error means that the store is gone: then there is nothing more to read.
            moved = head.changed(), if !failed => if moved.is_err() { return },
        }
    }
}
