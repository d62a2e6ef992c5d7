//! The embedded engine: sled 0.34.7 behind [`Kv`], with what it takes to make it durable.
//!
//! What sled promises and what it does not was measured before this was written; the rules that follow from it:
//! - one thread writes; it takes what waits as one transaction over all trees, flushes, and then syncs the file `db`
//!   itself, since sled's flush is no barrier ([`writer`]);
//! - a failed sync ends writing for good: what the disk holds is then unknown, and a retry would hide that;
//! - large values are cut into pieces, since sled puts large pages into files it never syncs ([`pieces`]);
//! - a store that is shorter than `HEAD` tells is refused ([`open`]);
//! - `flush_async` and `watch_prefix` are never called (both can stop all writers).

pub(super) mod open;
mod pieces;
mod snapshot;
mod writer;

use super::kv::{Batch, Commit, Kv, RANGE_ROWS_MAX, Range, Row, Snapshot, VALUE_BYTES_MAX, Write};
use super::{StoreError, Table};
use crate::domain::Seq;
use sled::{IVec, Tree};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot, watch};
use writer::{Job, Writer};

/// Commits that may wait for the writer; more wait outside, in the order they came.
const QUEUE_BATCHES_MAX: usize = 1_024;

/// The engine, open.
#[derive(Debug)]
pub(super) struct Sled {
    trees: Trees,
    queue: Mutex<Option<Sender<Job>>>,
    room: Arc<Semaphore>,
    head: watch::Receiver<Seq>,
    writer: Mutex<Option<JoinHandle<()>>>,
    failed: Arc<OnceLock<StoreError>>,
}

#[derive(Debug, Clone)]
struct Trees {
    /// One a [`Table`], in the order of [`Table::ALL`]; then the pieces of large values, and the engine's own rows.
    all: Vec<Tree>,
}

impl Trees {
    fn of(&self, table: Table) -> &Tree {
        &self.all[table as usize]
    }

    fn pieces(&self) -> &Tree {
        &self.all[Table::ALL.len()]
    }

    fn own(&self) -> &Tree {
        &self.all[Table::ALL.len() + 1]
    }
}

fn engine(error: impl std::fmt::Display) -> StoreError {
    StoreError::Engine(message(error))
}

/// sled's own words, without the backtrace that it never has.
fn message(error: impl std::fmt::Display) -> String {
    error.to_string().trim_end_matches(" backtrace ()").to_owned()
}

/// sled panics at some kinds of damage; to a caller that is an error like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(engine("its files are damaged: sled broke off")))
}

impl Sled {
    /// Opens the engine below `folder`, holds it against the `HEAD` file, and starts the writer.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let opened = open::open(folder)?;
        let trees = opened.trees.clone();
        let (head_out, head) = watch::channel(Seq(opened.head.seq));
        let (queue, jobs) = channel();
        let failed = Arc::default();
        let writer = Writer::new(opened, head_out, Arc::clone(&failed));
        let writer =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&jobs)).map_err(engine)?;
        Ok(Sled {
            trees,
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BATCHES_MAX)),
            head,
            writer: Mutex::new(Some(writer)),
            failed,
        })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or_else(|| StoreError::Stopped("it is closing".into()))?;
        queue.send(job).map_err(|_| StoreError::Stopped("its writer broke off".into()))
    }
}

impl Kv for Sled {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| pieces::read(&self.trees, table, key))
    }

    fn range(&self, table: Table, range: Range) -> Result<Vec<Row>, StoreError> {
        guarded(|| {
            let limit = range.limit.min(RANGE_ROWS_MAX);
            if is_empty(&range) {
                return Ok(Vec::new());
            }
            let found = self.trees.of(table).range((range.from, range.to));
            let stored: Vec<(IVec, IVec)> = if range.reverse {
                found.rev().take(limit).collect::<Result<_, _>>().map_err(engine)?
            } else {
                found.take(limit).collect::<Result<_, _>>().map_err(engine)?
            };
            let mut rows = Vec::with_capacity(stored.len());
            for (key, stored) in stored {
                let value = pieces::finish(&self.trees, table, &key, stored)?;
                rows.extend(value.map(|value| (key.to_vec(), value)));
            }
            Ok(rows)
        })
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            if let Some((table, key, bytes)) = too_large(&batch) {
                let key = super::record::readable(&key);
                let what = format!("a value of {bytes} bytes, expected at most {VALUE_BYTES_MAX}");
                return Err(StoreError::Record { table, key, what }.into());
            }
            let room = room.acquire_owned().await.map_err(engine)?;
            let (done, result) = oneshot::channel();
            self.send(Job::Commit { batch, done, _room: room })?;
            result.await.unwrap_or_else(|_| Err(StoreError::Stopped("its writer broke off".into()).into()))
        })
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let (tell, begun) = channel();
        self.send(Job::Snapshot(tell))?;
        let begun = begun.recv().unwrap_or_else(|_| Err(StoreError::Stopped("its writer broke off".into())))?;
        Ok(Box::new(snapshot::View::new(self.trees.clone(), begun)))
    }

    fn failure(&self) -> Option<StoreError> {
        self.failed.get().cloned()
    }

    fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer has been told to everyone who waited on it.
            let _ = writer.join();
        }
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        self.close();
    }
}

/// A range that ends where it begins, or before: sled panics at some of these.
fn is_empty(range: &Range) -> bool {
    use std::ops::Bound::{Excluded, Included};
    match (&range.from, &range.to) {
        (Included(from), Included(to)) => from > to,
        (Included(from) | Excluded(from), Excluded(to)) | (Excluded(from), Included(to)) => from >= to,
        _ => false,
    }
}

fn too_large(batch: &Batch) -> Option<(Table, Vec<u8>, usize)> {
    let written = batch.writes.iter().filter_map(|(table, key, write)| match write {
        Write::Put(value) => Some((*table, key.as_slice(), value.len())),
        Write::Delete => None,
    });
    let appended = batch.appends.iter().map(|entry| (Table::Log, &b"log"[..], entry.len()));
    let (table, key, bytes) = written.chain(appended).find(|(_, _, bytes)| *bytes > VALUE_BYTES_MAX)?;
    Some((table, key.to_vec(), bytes))
}
