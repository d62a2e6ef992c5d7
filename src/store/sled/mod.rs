//! The embedded engine: sled 0.34.7 behind [`Kv`], with what it takes to make it durable, and a journal before it.
//!
//! What sled promises and what it does not was measured before this was written; the rules that follow from it:
//! - one thread commits; it writes what waits as one frame of the [`journal`], and syncs that: one short wait in place
//!   of sled's flush of whole pages. What is in the journal alone is read from memory ([`memtable`], [`tables`]);
//! - another carries it into sled ([`checkpoint`]), flushes, and then syncs the file `db` itself, since sled's flush
//!   is no barrier;
//! - a failed sync ends writing for good: what the disk holds is then unknown, and a retry would hide that;
//! - short rows stand together in blocks, since sled has 16 rows a page whatever their length ([`blocks`]);
//! - large values are cut into pieces, since sled puts large pages into files it never syncs ([`pieces`]);
//! - a store that is shorter than `HEAD` tells is refused ([`open`]);
//! - values are compressed when they are carried into sled, not when they are committed ([`packed`]);
//! - `flush_async` and `watch_prefix` are never called (both can stop all writers).

mod block;
mod blocks;
mod checkpoint;
mod group;
pub(super) mod journal;
mod memtable;
mod merge;
pub(super) mod open;
mod packed;
mod parcel;
mod pieces;
mod seen;
mod snapshot;
mod tables;
mod writer;

use super::kv::{
    Batch, Commit, CommitError, Kv, Meanwhile, RANGE_ROWS_MAX, Range, Row, Snapshot, VALUE_BYTES_MAX, Write,
};
use super::{StoreError, Table};
use crate::domain::Seq;
use parcel::Parcel;
use sled::Tree;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use tables::Tables;
use tokio::sync::{Semaphore, oneshot, watch};
use writer::{Job, Writer};

/// Commits that may wait for the writer; more wait outside, in the order they came.
const QUEUE_BATCHES_MAX: usize = 1_024;
/// What a caller does while the disk is at its batch takes no longer than that for a batch of up to so many bytes.
const MEANWHILE_BYTES_MAX: usize = 64 << 10;

/// The engine, open.
#[derive(Debug)]
pub(super) struct Sled {
    tables: Tables,
    writer: Arc<Mutex<Writer>>,
    queue: Mutex<Option<Sender<Job>>>,
    /// Commits that the thread was sent and has not done.
    waiting: Arc<AtomicUsize>,
    room: Arc<Semaphore>,
    head: watch::Receiver<Seq>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failed: Arc<OnceLock<StoreError>>,
}

#[derive(Debug, Clone)]
struct Trees {
    /// One a [`Table`], in the order of [`Table::ALL`]; then the pieces of large values, and the engine's own rows.
    all: Vec<Tree>,
}

impl Trees {
    /// The place of the tree of pieces.
    const PIECES: usize = Table::ALL.len();

    fn of(&self, table: Table) -> &Tree {
        &self.all[table as usize]
    }

    fn pieces(&self) -> &Tree {
        &self.all[Self::PIECES]
    }

    fn own(&self) -> &Tree {
        &self.all[Self::PIECES + 1]
    }

    /// Those of a store that nobody has opened, for tests of what stands in them.
    #[cfg(test)]
    fn temporary() -> Self {
        let db = sled::Config::new().temporary(true).open().unwrap();
        Trees { all: (0..=Self::PIECES).map(|number| db.open_tree([number as u8]).unwrap()).collect() }
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
    /// Opens the engine below `folder`, holds it against the `HEAD` file, and starts the writer. Turns of the journal
    /// end behind `journal_bytes`.
    pub(super) fn open(folder: &Path, journal_bytes: u64) -> Result<Self, StoreError> {
        let opened = open::open(folder, journal_bytes)?;
        let tables = opened.target.tables.clone();
        let (head_out, head) = watch::channel(Seq(opened.head.seq));
        let (queue, jobs) = channel();
        let failed = Arc::default();
        let writer = Writer::new(opened, head_out, Arc::clone(&failed)).map_err(engine)?;
        let (writer, waiting) = (Arc::new(Mutex::new(writer)), Arc::new(AtomicUsize::new(0)));
        let work = {
            let (writer, waiting) = (Arc::clone(&writer), Arc::clone(&waiting));
            move || writer::run(&writer, &jobs, &waiting)
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(work).map_err(engine)?;
        Ok(Sled {
            tables,
            writer,
            queue: Mutex::new(Some(queue)),
            waiting,
            room: Arc::new(Semaphore::new(QUEUE_BATCHES_MAX)),
            head,
            thread: Mutex::new(Some(thread)),
            failed,
        })
    }

    /// Commits `batch` where the caller is, if nobody else is writing and the disk is quick; gives it back otherwise.
    fn commit_here<'a>(
        &self,
        batch: Parcel,
        meanwhile: &mut Option<Meanwhile<'a>>,
    ) -> Result<Result<Seq, CommitError>, Parcel> {
        // Who waits for the thread came before.
        if self.waiting.load(Ordering::Acquire) > 0 {
            return Err(batch);
        }
        let mut writer = match self.writer.try_lock() {
            Ok(writer) if writer.is_quick() => writer,
            Ok(_) | Err(_) => return Err(batch),
        };
        // Others wait for the lock: no longer than the disk takes anyway.
        let meanwhile = if batch.bytes <= MEANWHILE_BYTES_MAX { meanwhile.take() } else { None };
        let outcome = writer.write(vec![batch], meanwhile).pop();
        writer.announce();
        if writer.is_turn_over() {
            // A thread that is gone is told to whoever needs it next.
            let _ = self.send(Job::Turn);
        }
        Ok(outcome.unwrap_or_else(|| Err(StoreError::closing().into())))
    }

    /// sled answers nobody any more once a write has failed: then that is what a reader has to know.
    fn why(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Engine(_) => self.failed.get().cloned().unwrap_or(error),
            other => other,
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or_else(StoreError::closing)?;
        queue.send(job).map_err(|_| StoreError::Stopped("its writer broke off".into()))
    }
}

impl Kv for Sled {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.tables.get(table, key).map_err(|error| self.why(error))
    }

    fn range(&self, table: Table, range: Range) -> Result<Vec<Row>, StoreError> {
        let limit = range.limit.min(RANGE_ROWS_MAX);
        let rows = self.tables.scan(table, range.limit(limit)).map_err(|error| self.why(error))?;
        rows.into_iter().map(|(key, value)| value.map(|value| (key, value)).map_err(|error| self.why(error))).collect()
    }

    fn commit<'a>(&'a self, batch: Batch, mut meanwhile: Option<Meanwhile<'a>>) -> Commit<'a> {
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            if let Some((table, key, bytes)) = too_large(&batch) {
                let key = super::record::readable(&key);
                let what = format!("a value of {bytes} bytes, expected at most {VALUE_BYTES_MAX}");
                return Err(StoreError::Record { table, key, what }.into());
            }
            let batch = match self.commit_here(Parcel::from(batch), &mut meanwhile) {
                Ok(outcome) => return outcome,
                Err(batch) => batch,
            };
            let room = room.acquire_owned().await.map_err(engine)?;
            let (done, result) = oneshot::channel();
            self.waiting.fetch_add(1, Ordering::Release);
            self.send(Job::Commit { batch, done, _room: room })?;
            if let Some(meanwhile) = meanwhile {
                meanwhile();
            }
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
        Ok(Box::new(snapshot::View::new(self.tables.clone(), begun)))
    }

    fn failure(&self) -> Option<StoreError> {
        self.failed.get().cloned()
    }

    fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer has been told to everyone who waited on it.
            let _ = thread.join();
        }
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        self.close();
    }
}

fn too_large(batch: &Batch) -> Option<(Table, Vec<u8>, usize)> {
    let written = batch.writes.iter().filter_map(|(table, key, write)| match write {
        Write::Put(value) => Some((*table, key.as_slice(), value.len())),
        Write::Delete | Write::Add(_) => None,
    });
    let appended = batch.appends.iter().map(|entry| (Table::Log, &b"log"[..], entry.len()));
    let (table, key, bytes) = written.chain(appended).find(|(_, _, bytes)| *bytes > VALUE_BYTES_MAX)?;
    Some((table, key.to_vec(), bytes))
}
