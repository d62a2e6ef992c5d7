//! The contract between the repositories and an engine: an ordered key-value store with one gap-free log.
//!
//! What every engine promises, and the contract tests hold it to:
//! - a [`Batch`] is applied whole or not at all, after all its requirements were found true;
//! - when [`Kv::commit`] returns, the batch is durable, and every read that starts then sees it;
//! - batches become visible in the order of their places in the log;
//! - [`Kv::head`] moves only when everything up to it is durable; so does what [`super::Store::since`] shows. Another
//!   engine than sled may let a plain read see a batch a moment before;
//! - a value is read whole: never half of one and half of another.
//!
//! Reads block for as long as the engine takes: microseconds for a key, more for a range.
//! A scan of more than [`RANGE_ROWS_MAX`] rows is done in pieces, off the async threads.

use super::numbers::Numbers;
use super::{StoreError, Table};
use crate::domain::Seq;
use std::future::Future;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use tokio::sync::watch;

/// Rows that one range read may ask for; short enough that writers get in between.
pub const RANGE_ROWS_MAX: usize = 256;

/// Bytes of one value; four times the largest body that is let in. A batch with a larger one is refused.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What must hold for a batch to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// There is no such key.
    Absent,
    /// The key holds just these bytes.
    Is(Vec<u8>),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets the key.
    Put(Vec<u8>),
    /// Removes the key; nothing happens where there is none.
    Delete,
    /// Adds to the sums under the key, whatever they are by then. Sums that cannot be read stay as they are.
    Add(Numbers),
}

/// What is committed together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) requires: Vec<(Table, Vec<u8>, Requirement)>,
    pub(super) writes: Vec<(Table, Vec<u8>, Write)>,
    pub(super) appends: Vec<Vec<u8>>,
    pub(super) is_patient: bool,
}

impl Batch {
    /// The same, for work behind the scenes: where several commit at the same time, nobody waits for its next one.
    pub fn patiently(mut self) -> Self {
        self.is_patient = true;
        self
    }

    /// Applies only if `key` is not there.
    pub fn require_absent(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.requires.push((table, key.into(), Requirement::Absent));
    }

    /// Applies only if `key` still holds `value`.
    pub fn require_is(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.requires.push((table, key.into(), Requirement::Is(value.into())));
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), Write::Put(value.into())));
    }

    /// Removes `key`.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), Write::Delete));
    }

    /// Adds `numbers` to the sums under `key`. It requires nothing, so batches that add to the same do not conflict.
    pub fn add(&mut self, table: Table, key: impl Into<Vec<u8>>, numbers: Numbers) {
        self.writes.push((table, key.into(), Write::Add(numbers)));
    }

    /// Appends `value` to the log; the engine gives it the next place.
    pub(super) fn append(&mut self, value: Vec<u8>) {
        self.appends.push(value);
    }

    /// Takes over all of `other`, behind what is here.
    pub fn extend(&mut self, other: Batch) {
        self.requires.extend(other.requires);
        self.writes.extend(other.writes);
        self.appends.extend(other.appends);
    }

    /// Does it do nothing?
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.appends.is_empty()
    }

    /// About how many bytes it writes: what the group limit counts.
    pub fn bytes(&self) -> usize {
        let writes = self.writes.iter().map(|(_, key, write)| match write {
            Write::Put(value) => key.len() + value.len(),
            Write::Delete => key.len(),
            Write::Add(_) => key.len() + size_of::<Numbers>(),
        });
        writes.sum::<usize>() + self.appends.iter().map(Vec::len).sum::<usize>()
    }
}

/// A part of one table, in the order of its keys.
#[derive(Debug, Clone)]
pub struct Range {
    /// Where it begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
    /// From the end backwards?
    pub reverse: bool,
    /// At most this many rows, and at most [`RANGE_ROWS_MAX`].
    pub limit: usize,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        let to = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Range { from: Bound::Included(prefix), to, reverse: false, limit: RANGE_ROWS_MAX }
    }

    /// The same part, at most `limit` rows of it.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The same part, from its end.
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// Is `key` in it?
    pub fn holds(&self, key: &[u8]) -> bool {
        let bounds = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
        RangeBounds::<[u8]>::contains(&bounds, key)
    }

    /// What is left of it once `key` has been read: the rest behind it, or before it if reversed.
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        if self.reverse {
            self.to = Bound::Excluded(key.into());
        } else {
            self.from = Bound::Excluded(key.into());
        }
        self
    }

    /// The same part up to `key`, which does not belong to it.
    pub fn until(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.to = Bound::Excluded(key.into());
        self
    }
}

/// The first key behind all that begin with `prefix`; none if there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Why a batch was not applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A requirement did not hold: somebody else was first. Read again and decide anew.
    #[error("requirement not met for {} in {table:?}", String::from_utf8_lossy(key))]
    Conflict {
        /// Where.
        table: Table,
        /// Which key.
        key: Vec<u8>,
    },
    /// The engine has failed or is closing; nothing more will be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a caller has to do anyway, while the disk is at its batch: what needs the batch no longer than that, and does not
/// write to the store.
pub type Meanwhile<'a> = Box<dyn FnOnce() + Send + 'a>;

/// A commit under way: resolves when the batch is durable, to the head of the log as it left it.
pub type Commit<'a> = Pin<Box<dyn Future<Output = Result<Seq, CommitError>> + Send + 'a>>;

/// An engine.
pub trait Kv: Send + Sync + 'static {
    /// The value of one key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The rows of a part of a table, at most [`RANGE_ROWS_MAX`].
    fn range(&self, table: Table, range: Range) -> Result<Vec<Row>, StoreError>;

    /// Applies `batch` and waits until it is durable. Dropping the future does not take the batch back. `meanwhile` may be
    /// called while it waits, or not at all; where the commit fails as well as where it does not.
    fn commit<'a>(&'a self, batch: Batch, meanwhile: Option<Meanwhile<'a>>) -> Commit<'a>;

    /// The last place of the log that is durable. A hint to wake up on, which may come twice for one place; the log is
    /// the truth.
    fn head(&self) -> watch::Receiver<Seq>;

    /// Why nothing is written any more; none while all is well.
    fn failure(&self) -> Option<StoreError>;

    /// Everything as it stands between two commits, to be read while others go on writing. Waits for the commits
    /// that were begun before it. Drop it when it has been read: what is overwritten meanwhile is kept for it.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Writes what is queued, records the head beside the store, and takes no more batches.
    fn close(&self);
}

/// All tables as of one moment.
pub trait Snapshot: Send {
    /// The last place of the log at that moment.
    fn head(&self) -> Seq;

    /// The articles that the engine had counted then: what a count has to find.
    fn articles(&self) -> u64;

    /// The value of one key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The next rows of a table behind `after`, about [`RANGE_ROWS_MAX`] of them; none are left where it is empty.
    /// A row whose value cannot be read has its own error and does not hide the others.
    fn rows(&self, table: Table, after: Option<&[u8]>) -> Result<Vec<Scanned>, StoreError>;

    /// What the engine finds wrong below the tables: the key concerned, and what.
    fn faults(&self) -> Result<Vec<(Table, Vec<u8>, String)>, StoreError>;
}

/// A key and, where it can be read, its value.
pub type Scanned = (Vec<u8>, Result<Vec<u8>, StoreError>);

impl dyn Snapshot + '_ {
    /// Hands every row of `table` to `each`, in order, until one fails.
    pub fn each<E: From<StoreError>>(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8], Result<Vec<u8>, StoreError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rows = self.rows(table, None)?;
        while let Some((last, _)) = rows.last() {
            let last = last.clone();
            for (key, value) in rows {
                each(&key, value)?;
            }
            rows = self.rows(table, Some(&last))?;
        }
        Ok(())
    }
}
