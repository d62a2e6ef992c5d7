//! One moment of the store, read while it goes on: the writer keeps what it overwrites, and a reader that finds
//! something kept for a key takes that in place of what stands there now.

use super::tables::Tables;
use super::{blocks, engine, guarded};
use crate::domain::Seq;
use crate::store::head::Head;
use crate::store::kv::{RANGE_ROWS_MAX, Range, Scanned, Snapshot};
use crate::store::{StoreError, Table};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

/// An export of a million articles takes a minute or two; this holds what a busy newsroom overwrites in an hour.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// What a kept row costs beside its bytes.
const KEPT_ROW_BYTES: usize = 96;

/// What stood under a key at the snapshot's moment.
type Before = Result<Option<Vec<u8>>, StoreError>;

/// What was overwritten since the snapshot's moment.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<(Table, Vec<u8>), Before>,
    bytes: usize,
    is_full: bool,
}

impl Kept {
    /// Keeps what stands under `key`, unless that was kept before. Called before the key is overwritten, so that
    /// a reader who sees the new value finds the old one here.
    pub(super) fn keep(&self, table: Table, key: &[u8], read: impl FnOnce() -> Before) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_full || kept.rows.contains_key(&(table, key.to_vec())) {
            return;
        }
        let before = read();
        let value_bytes = before.as_ref().ok().and_then(Option::as_ref).map_or(0, Vec::len);
        kept.bytes += KEPT_ROW_BYTES + key.len() + value_bytes;
        kept.rows.insert((table, key.to_vec()), before);
        if kept.bytes > KEPT_BYTES_MAX {
            kept.is_full = true;
            kept.rows = BTreeMap::new();
        }
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<(Table, Vec<u8>), Before>) -> T) -> Result<T, StoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_full {
            let mib = KEPT_BYTES_MAX >> 20;
            return Err(engine(format!(
                "more than {mib} MiB were overwritten while it was read; try at a quieter time"
            )));
        }
        Ok(read(&kept.rows))
    }
}

/// A snapshot as the writer begins it.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) kept: Arc<Kept>,
    pub(super) head: Head,
}

/// A snapshot as it is read.
#[derive(Debug)]
pub(super) struct View {
    tables: Tables,
    begun: Begun,
}

impl View {
    pub(super) fn new(tables: Tables, begun: Begun) -> Self {
        View { tables, begun }
    }

    /// The log is only ever appended to, so nothing of it needs to be kept.
    fn is_later(&self, table: Table, key: &[u8]) -> bool {
        table == Table::Log && key > &self.begun.head.seq.to_be_bytes()[..]
    }
}

impl Snapshot for View {
    fn head(&self) -> Seq {
        Seq(self.begun.head.seq)
    }

    fn articles(&self) -> u64 {
        self.begun.head.articles
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.is_later(table, key) {
            return Ok(None);
        }
        let now = self.tables.get(table, key);
        self.begun.kept.read(|kept| kept.get(&(table, key.to_vec())).cloned())?.unwrap_or(now)
    }

    fn rows(&self, table: Table, after: Option<&[u8]>) -> Result<Vec<Scanned>, StoreError> {
        let mut from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
        loop {
            let mut range = Range::prefix(*b"");
            range.from = from.clone();
            let stored = self.tables.scan(table, range)?;
            let last = stored.last().map(|(key, _)| key.clone()).filter(|_| stored.len() == RANGE_ROWS_MAX);
            let mut rows: BTreeMap<Vec<u8>, Result<Vec<u8>, StoreError>> =
                stored.into_iter().filter(|(key, _)| !self.is_later(table, key)).collect();
            // Looked up after reading: what was overwritten up to then has been kept before it was.
            self.begun.kept.read(|kept| {
                let from = match &from {
                    Bound::Excluded(key) => Bound::Excluded((table, key.clone())),
                    Bound::Included(_) | Bound::Unbounded => Bound::Included((table, Vec::new())),
                };
                for ((_, key), before) in kept
                    .range((from, Bound::Unbounded))
                    .take_while(|((of, key), _)| *of == table && last.as_ref().is_none_or(|last| key <= last))
                {
                    match before.clone().transpose() {
                        Some(value) => rows.insert(key.clone(), value),
                        None => rows.remove(key),
                    };
                }
            })?;
            // A stretch of nothing but later rows is passed over.
            match last {
                Some(last) if rows.is_empty() => from = Bound::Excluded(last),
                Some(_) | None => return Ok(rows.into_iter().collect()),
            }
        }
    }

    fn faults(&self) -> Result<Vec<(Table, Vec<u8>, String)>, StoreError> {
        guarded(|| {
            let trees = self.tables.trees();
            let mut faults = Vec::new();
            for row in trees.pieces().iter() {
                let (key, _) = row.map_err(engine)?;
                // Held for each alone: commits wait for who carries them, once they are far enough ahead.
                let _carrying = self.tables.carrying();
                faults.extend(blocks::orphan(trees, &key)?);
            }
            Ok(faults)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_would_take_too_much_memory_says_so_and_lets_go() {
        let kept = Kept::default();
        for n in 0..70_u8 {
            kept.keep(Table::Ledger, &[n], || Ok(Some(vec![0; 1 << 20])));
        }
        let told = kept.read(|_| ()).unwrap_err().to_string();
        assert!(told.contains("more than 64 MiB were overwritten"), "{told}");
        assert!(kept.0.lock().unwrap().rows.is_empty());
    }
}
