//! What the journal tells is carried into sled, a turn at a time, on a thread of its own.
//!
//! Many writes to one key have become one by then, and many commits share each wait for the disk. Nothing here has to
//! be atomic: until sled has all of a turn, durably, the journal has it, and opening carries it over again.

use super::memtable::Memtable;
use super::merge::{Change, merge};
use super::open::HEAD_KEY;
use super::tables::Tables;
use super::writer::fail;
use super::{Trees, engine, guarded};
use crate::store::StoreError;
use crate::store::head::Head;
use sled::Tree;
use sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional, TransactionalTree, UnabortableTransactionError,
};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// A turn is carried in stretches of about this length; reads wait while one is written. With half of it sled's file
/// became a twentieth larger, with twice of it not smaller.
const STRETCH_BYTES: usize = 512 << 10;

/// sled gives a half dead segment of its file back once all live pages have left it, and moves one of them each time it
/// writes a page whole. With few of those it falls behind, and the file grows to twice of what lives in it. So one
/// page more is moved for so many bytes: the file of 100,000 articles became 0.99 times what was sent, 1.62 times
/// without. With 6,000 it became 0.96 times, with 24,000 1.23 times; each page moved costs about 16 µs.
const SWEPT_BYTES: usize = 12_000;
/// A page is written whole after so many changes to it.
const CHANGES_A_PAGE: usize = 11;
/// Key in the engine's own tree that is changed for no other reason.
const SWEEP_KEY: &[u8] = b"sweep";

/// Where sled lies, to be written to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) db: sled::Db,
    pub(super) tables: Tables,
    /// The file that each flush of sled's has to be followed by a sync of.
    pub(super) file: Arc<File>,
}

impl Target {
    /// Carries `writes`, which lead to `head`.
    pub(super) fn carry(&self, writes: &Memtable, head: Head) -> Result<(), StoreError> {
        let _carrying = self.tables.carrying();
        let mut stretch = Vec::new();
        let mut bytes = 0;
        for (table, rows) in writes.rows() {
            let mut rest = rows.as_slice();
            while !rest.is_empty() {
                let (change, count) = merge(self.tables.trees(), table, rest)?;
                rest = &rest[count..];
                bytes += change.as_ref().map_or(0, Change::bytes);
                stretch.extend(change);
                if bytes >= STRETCH_BYTES {
                    self.write(&std::mem::take(&mut stretch), std::mem::take(&mut bytes))?;
                }
            }
        }
        self.write(&stretch, bytes)?;
        self.tables.trees().own().insert(HEAD_KEY, head.to_bytes()).map_err(engine)?;
        self.sync()
    }

    /// A stretch of so many bytes, in one transaction: what a reader finds in a block that is cut is in one of its
    /// parts.
    fn write(&self, stretch: &[Change], bytes: usize) -> Result<(), StoreError> {
        let trees: &[Tree] = &self.tables.trees().all;
        let written = trees.transaction(|within| {
            for change in stretch {
                put(&within[change.table as usize], &change.blocks)?;
                put(&within[Trees::PIECES], &change.pieces)?;
            }
            Ok::<_, ConflictableTransactionError<StoreError>>(())
        });
        written.map_err(|error| match error {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => StoreError::Stopped(format!("a write failed: {error}")),
        })?;
        self.sweep(bytes / SWEPT_BYTES)?;
        self.sync()
    }

    /// Has sled move so many pages out of half dead segments, by writing one of its smallest as often.
    fn sweep(&self, pages: usize) -> Result<(), StoreError> {
        for change in 0..pages * CHANGES_A_PAGE {
            // The same value twice would be no change to sled.
            self.tables.trees().own().insert(SWEEP_KEY, &[u8::from(change % 2 == 0)]).map_err(engine)?;
        }
        Ok(())
    }

    /// sled's flush is no barrier, so its file is synced as well.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let stopped = |what: &str, error: String| StoreError::Stopped(format!("{what}: {error}"));
        self.db.flush().map_err(|error| stopped("a flush failed", error.to_string()))?;
        self.file.sync_data().map_err(|error| stopped("a sync failed", error.to_string()))
    }
}

/// Sets each key, or removes it where it has nothing.
fn put(tree: &TransactionalTree, rows: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), UnabortableTransactionError> {
    for (key, value) in rows {
        match value {
            Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
            None => tree.remove(key.as_slice())?,
        };
    }
    Ok(())
}

/// The thread, and whether it is at work.
#[derive(Debug)]
pub(super) struct Checkpoints {
    turns: Option<Sender<(Arc<Memtable>, Head)>>,
    done: Receiver<Result<(), StoreError>>,
    is_busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// What goes wrong is set in `failed` at once: sled answers no reader from then on, and the next turn may end hours later.
    pub(super) fn start(target: Target, failed: Arc<OnceLock<StoreError>>) -> std::io::Result<Self> {
        let (turns, next) = channel::<(Arc<Memtable>, Head)>();
        let (tell, done) = channel();
        let work = move || {
            for (writes, head) in next {
                let carried = catch_unwind(AssertUnwindSafe(|| guarded(|| target.carry(&writes, head))))
                    .unwrap_or_else(|_| Err(StoreError::Stopped("a write broke off: its files are damaged".into())));
                match &carried {
                    Ok(()) => target.tables.thaw(),
                    Err(error) => fail(&failed, error.clone()),
                }
                // Who no longer waits is closing after a failure.
                let _ = tell.send(carried);
            }
        };
        let thread = Some(std::thread::Builder::new().name("store-carrier".into()).spawn(work)?);
        Ok(Checkpoints { turns: Some(turns), done, is_busy: false, thread })
    }

    /// Begins to carry what was frozen; the turn before has to be done, which [`Checkpoints::wait`] makes sure of.
    pub(super) fn begin(&mut self, writes: Arc<Memtable>, head: Head) {
        // A thread that is gone is told by the next wait.
        self.is_busy = self.turns.as_ref().is_some_and(|turns| turns.send((writes, head)).is_ok()) || self.is_busy;
    }

    /// Waits until nothing is being carried. Errors: why sled could not take it.
    pub(super) fn wait(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.is_busy) {
            let broke_off = |_| Err(StoreError::Stopped("its carrier broke off".into()));
            return self.done.recv().unwrap_or_else(broke_off);
        }
        Ok(())
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.turns.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been told to the writer.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Table;
    use crate::store::kv::{Batch, Kv as _};
    use crate::store::sled::Sled;

    /// As an archive comes in: large values one behind the other, and small ones all over the place.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_file_does_not_grow_to_twice_of_what_lives_in_it() {
        const VALUES: u64 = 16_000;
        const VALUE_BYTES: usize = 1_500;
        let folder = tempfile::tempdir().unwrap();
        let engine = Sled::open(folder.path(), 1 << 20).unwrap();
        let mut batch = Batch::default();
        for number in 0..VALUES {
            batch.put(Table::Articles, number.to_be_bytes(), vec![7; VALUE_BYTES]);
            for order in 0..6_u8 {
                let place = (number << 8 | u64::from(order)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                batch.put(Table::Index, [&place.to_be_bytes()[..], &[order; 24]].concat(), []);
            }
            if number % 100 == 99 {
                engine.commit(std::mem::take(&mut batch), None).await.unwrap();
            }
        }
        engine.close();
        let length = folder.path().join("sled/db").metadata().unwrap().len() as f64;
        let lives = (VALUES * (VALUE_BYTES as u64 + 8 + 6 * 33)) as f64;
        assert!(length < 1.85 * lives, "{:.2} times", length / lives);
    }
}
