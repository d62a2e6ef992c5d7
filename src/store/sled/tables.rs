//! The tables as they are read: what is recent over what stands in sled.

use super::block::Value;
use super::blocks::{self, Cursor};
use super::memtable::{Entry, Memtable, Recent, Written};
use super::seen::Turn;
use super::{Trees, guarded};
use crate::store::kv::{Range, Scanned};
use crate::store::{StoreError, Table};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Shared by all who read, the writer, and who carries what is recent into sled.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    trees: Trees,
    recent: Arc<RwLock<Recent>>,
    /// Held while sled is written to.
    carrying: Arc<Mutex<()>>,
    turn: Turn,
}

impl Tables {
    pub(super) fn new(trees: Trees) -> Self {
        Tables { trees, recent: Arc::default(), carrying: Arc::default(), turn: Turn::new() }
    }

    pub(super) fn trees(&self) -> &Trees {
        &self.trees
    }

    fn recent<T>(&self, read: impl FnOnce(&Recent) -> T) -> T {
        read(&self.recent.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Recent) -> T) -> T {
        change(&mut self.recent.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The value of `key`, whatever its size.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.recent(|recent| recent.look(table, key, |value| value.map(<[u8]>::to_vec))) {
            Some(value) => Ok(value),
            None => self.carried(table, key),
        }
    }

    /// The value of `key` in sled, for who has looked at what is recent.
    fn carried(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| match blocks::get_near(&self.trees, table, key, self.turn.now())? {
            Some(value) => blocks::whole(&self.trees, table, key, value),
            None => Ok(None),
        })
    }

    /// Is there such a key?
    pub(super) fn contains(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        match self.recent(|recent| recent.look(table, key, |value| value.is_some())) {
            Some(is_there) => Ok(is_there),
            None => guarded(|| Ok(blocks::get_near(&self.trees, table, key, self.turn.now())?.is_some())),
        }
    }

    /// Does `key` hold just `value`?
    pub(super) fn holds(&self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        match self.recent(|recent| recent.look(table, key, |found| found == Some(value))) {
            Some(is_value) => Ok(is_value),
            None => Ok(self.carried(table, key)?.as_deref() == Some(value)),
        }
    }

    /// The rows at the beginning of a part of `table`, in its direction, as many as it may have. A value that cannot
    /// be read has its own error and does not hide the others.
    pub(super) fn scan(&self, table: Table, mut range: Range) -> Result<Vec<Scanned>, StoreError> {
        let mut rows = Vec::new();
        while !is_empty(&range) && range.limit > 0 {
            // Looked at before sled: what goes over meanwhile is then seen twice and not missed.
            let (entries, end) = self.recent(|recent| recent.entries(table, &range));
            let part = match &end {
                Some(end) => up_to(range.clone(), end),
                None => range.clone(),
            };
            let before = rows.len();
            guarded(|| self.merge(table, &part, entries, &mut rows))?;
            range.limit -= rows.len() - before;
            match end {
                Some(end) => range = range.after(end),
                None => break,
            }
        }
        Ok(rows)
    }

    /// Adds the rows of `part` to `rows`, at most its limit, with `entries` over those in sled.
    fn merge(
        &self,
        table: Table,
        part: &Range,
        entries: Vec<Entry>,
        rows: &mut Vec<Scanned>,
    ) -> Result<(), StoreError> {
        let full = rows.len() + part.limit;
        let mut stored = Cursor::new(&self.trees, table, part.clone())?;
        let is_before = |a: &[u8], b: &[u8]| if part.reverse { a > b } else { a < b };
        let mut next = stored.next()?;
        for (key, value) in entries {
            while rows.len() < full
                && let Some((stored_key, stored_value)) = next.take_if(|(stored, _)| is_before(stored, &key))
            {
                rows.extend(self.finished(table, stored_key, stored_value));
                next = stored.next()?;
            }
            if rows.len() == full {
                return Ok(());
            }
            if next.take_if(|(stored, _)| *stored == key).is_some() {
                next = stored.next()?;
            }
            rows.extend(value.map(|value| (key, Ok(value))));
        }
        while rows.len() < full
            && let Some((key, value)) = next.take()
        {
            rows.extend(self.finished(table, key, value));
            next = stored.next()?;
        }
        Ok(())
    }

    fn finished(&self, table: Table, key: Vec<u8>, stored: Value<'static>) -> Option<Scanned> {
        let value = guarded(|| blocks::whole(&self.trees, table, &key, stored)).transpose();
        value.map(|value| (key, value))
    }

    /// Shows what was committed.
    pub(super) fn show(&self, group: Vec<Written>) {
        self.change(|recent| group.into_iter().for_each(|write| recent.active.insert(write)));
    }

    /// Ends a turn: what is active is frozen, to be carried into sled. What was frozen before must be there.
    pub(super) fn freeze(&self) -> Arc<Memtable> {
        self.change(|recent| {
            let frozen = Arc::new(std::mem::take(&mut recent.active));
            recent.frozen = Some(Arc::clone(&frozen));
            frozen
        })
    }

    /// What was frozen stands in sled.
    pub(super) fn thaw(&self) {
        // First: who no longer finds it here must not find what was seen before.
        self.turn.end();
        // Freed behind the lock.
        let _frozen = self.change(|recent| recent.frozen.take());
    }

    /// Keeps everybody else from writing to sled.
    pub(super) fn carrying(&self) -> MutexGuard<'_, ()> {
        self.carrying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of `range` that ends with `key`.
fn up_to(mut range: Range, key: &[u8]) -> Range {
    let end = Bound::Included(key.to_vec());
    if range.reverse {
        range.from = end;
    } else {
        range.to = end;
    }
    range
}

/// A range that ends where it begins, or before: sled panics at some of these.
fn is_empty(range: &Range) -> bool {
    use Bound::{Excluded, Included};
    match (&range.from, &range.to) {
        (Included(from), Included(to)) => from > to,
        (Included(from) | Excluded(from), Excluded(to)) | (Excluded(from), Included(to)) => from >= to,
        _ => false,
    }
}
