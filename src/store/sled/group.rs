//! What the batches of a group come to, one behind the other: each is held against the store and those before it.

use super::journal::Frame;
use super::memtable::{Memtable, Written};
use super::parcel::{Change, Parcel};
use super::tables::Tables;
use crate::store::head::Head;
use crate::store::kv::{CommitError, Requirement};
use crate::store::numbers::added;
use crate::store::{StoreError, Table};
use bytes::Bytes;

/// A group while it is looked at: what its batches so far come to.
pub(super) struct Decided<'a> {
    tables: &'a Tables,
    /// All that they write, in its order.
    pub(super) writes: Vec<Written>,
    /// The same by its keys, for the batches behind the first. What a batch that is alone has written is looked at for its
    /// sums and articles only, and found without.
    by_key: Option<Memtable>,
    /// How far the store has come with them.
    pub(super) head: Head,
}

impl<'a> Decided<'a> {
    /// Nothing yet, of a group of `batches`, in a store that is at `head`.
    pub(super) fn new(tables: &'a Tables, head: Head, batches: usize) -> Self {
        Decided { tables, writes: Vec::new(), by_key: (batches > 1).then(Memtable::default), head }
    }

    /// What `look` makes of what the group writes to `key`; none if it does not.
    fn look<T>(&self, table: Table, key: &[u8], look: impl FnOnce(Option<&[u8]>) -> T) -> Option<T> {
        match &self.by_key {
            Some(by_key) => by_key.look(table, key, look),
            None => {
                let is_it = |(of, own, ..): &&Written| *of == table && own == key;
                self.writes.iter().rfind(is_it).map(|(_, _, value, _)| look(value.as_deref()))
            }
        }
    }

    /// A value of which a piece is missing is as good as none: it stops whoever needs it, and nobody else.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let decided = self.look(table, key, |value| value.map(<[u8]>::to_vec));
        match decided.map_or_else(|| self.tables.get(table, key), Ok) {
            Err(StoreError::Record { .. }) => Ok(None),
            found => found,
        }
    }

    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let decided = self.look(table, key, |value| value.is_some());
        decided.map_or_else(|| self.tables.contains(table, key), Ok)
    }

    fn holds(&self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let decided = self.look(table, key, |found| found == Some(value));
        match decided.map_or_else(|| self.tables.holds(table, key, value), Ok) {
            Err(StoreError::Record { .. }) => Ok(false),
            held => held,
        }
    }

    /// The first requirement of `batch` that does not hold.
    pub(super) fn unmet(&self, batch: &Parcel) -> Result<Option<CommitError>, StoreError> {
        for (table, key, requirement) in &batch.requires {
            let holds = match requirement {
                Requirement::Absent => !self.contains(*table, key)?,
                Requirement::Is(value) => self.holds(*table, key, value)?,
            };
            if !holds {
                return Ok(Some(CommitError::Conflict { table: *table, key: key.clone() }));
            }
        }
        Ok(None)
    }

    /// Adds `batch`, of which every requirement holds, and its part of `frame`.
    pub(super) fn take(&mut self, batch: Parcel, frame: &mut Frame) -> Result<(), StoreError> {
        self.writes.reserve(batch.writes.len() + batch.appends.len());
        for (table, key, change) in batch.writes {
            let value = match change {
                Change::Put(value) => Some(value),
                Change::Delete => None,
                Change::Add(numbers) => match added(table, &key, self.get(table, &key)?.as_deref(), numbers) {
                    Some(sum) => Some(sum.into()),
                    None => continue,
                },
            };
            if table == Table::Articles {
                match (&value, self.contains(table, &key)?) {
                    (Some(_), false) => self.head.articles += 1,
                    // A damaged store may count fewer than it has; `check` tells.
                    (None, true) => self.head.articles = self.head.articles.saturating_sub(1),
                    (Some(_), true) | (None, false) => {}
                }
            }
            self.write(table, key, value, frame);
        }
        for entry in batch.appends {
            self.head.seq += 1;
            let place = Bytes::copy_from_slice(&self.head.seq.to_be_bytes());
            self.write(Table::Log, place, Some(entry), frame);
        }
        Ok(())
    }

    fn write(&mut self, table: Table, key: Bytes, value: Option<Bytes>, frame: &mut Frame) {
        self.head.writes += 1;
        frame.push(table, &key, value.as_deref(), self.head.writes);
        let write = (table, key, value, self.head.writes);
        if let Some(by_key) = &mut self.by_key {
            by_key.insert(write.clone());
        }
        self.writes.push(write);
    }
}
