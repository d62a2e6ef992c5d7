//! The change log: appended to inside the batch of the change, read by everything that follows from it.

use super::kv::{Batch, RANGE_ROWS_MAX, Range};
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::{Change, Selection, Seq, Slug, Time, changed, is_zero};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How far a reader has come. It moves only in the batch of what the reader did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything up to and with this one is done.
    pub seq: Seq,
    /// Within the next change: done up to and with this key. Empty at its beginning.
    /// Lets a reader take one change to very many recipients in pieces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<u8>,
    /// Counts who has settled meanwhile what lies behind it: [`Store::overtake`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overtaken: u32,
}

impl Record for Cursor {
    const KIND: u8 = b'R';
    const SCHEMA: u8 = 1;
}

/// When a feed last came to show something else, also where what changed is no longer in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The change's time.
    pub at: Time,
}

impl Record for Touched {
    const KIND: u8 = b'T';
    const SCHEMA: u8 = 1;
}

/// Entries that are looked at for the last change of a selection: a millisecond or two.
const LOOKED_MAX: usize = 512;

/// A piece of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// In order, each with its place.
    pub changes: Vec<(Seq, Change)>,
    /// The log no longer reaches back to where the reader stands: it has to start from the articles.
    pub truncated: bool,
}

/// A log entry's place is not known when it is written, so the checksum covers this instead of the key.
pub(super) const LOG_CHECK_KEY: &[u8] = b"log";

pub(super) fn touched_key(category: Option<&Slug>) -> Vec<u8> {
    format!("touched/{}", category.map_or("", Slug::as_str)).into_bytes()
}

fn cursor_key(reader: &str) -> Vec<u8> {
    format!("cursor/{reader}").into_bytes()
}

impl Store {
    /// Puts `change` into `batch`: its log entry, and the mark on every feed that it touches.
    pub fn log(&self, batch: &mut Batch, change: &Change) {
        batch.append(record::encode(LOG_CHECK_KEY, change));
        let touched = Touched { at: change.at };
        for category in std::iter::once(None).chain(change.categories().into_iter().map(Some)) {
            let key = touched_key(category);
            let value = record::encode(&key, &touched);
            batch.put(Table::Meta, key, value);
        }
    }

    /// When a change that is made at `now` is told to have happened: not before what the log tells already, even if the
    /// clock has been set back. Who reads the log backwards may stop at a time, and no feed becomes older by a change.
    pub fn change_time(&self, now: Time) -> Result<Time, StoreError> {
        Ok(changed(self.touched(&Selection::all())?, now))
    }

    /// The durable changes behind `seq`, at most `limit` of them.
    pub fn since(&self, seq: Seq, limit: usize) -> Result<Read, StoreError> {
        let head = self.head();
        let range = Range::prefix(*b"")
            .after(seq.0.to_be_bytes())
            .until(head.next().0.to_be_bytes())
            .limit(limit.min(RANGE_ROWS_MAX));
        let mut changes = Vec::new();
        if seq < head {
            for (key, value) in self.kv.range(Table::Log, range)? {
                let place = key.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Record {
                    table: Table::Log,
                    key: record::readable(&key),
                    what: "its place is not a number".into(),
                })?;
                changes.push((Seq(place), record::decode(Table::Log, LOG_CHECK_KEY, &value)?));
            }
        }
        let first = changes.first().map(|(first, _)| *first);
        let truncated = seq < head && first != Some(seq.next());
        Ok(Read { changes, truncated })
    }

    /// The last durable place.
    pub fn head(&self) -> Seq {
        *self.head.borrow()
    }

    /// Wakes up when the head moves. A hint: the log is the truth.
    pub fn head_watch(&self) -> watch::Receiver<Seq> {
        self.kv.head()
    }

    /// Where `reader` stands; none if it never read.
    pub fn cursor(&self, reader: &str) -> Result<Option<Stored<Cursor>>, StoreError> {
        self.stored(Table::Meta, &cursor_key(reader))
    }

    /// What `reader` has done with, as far as is stored: everything up to and with this place.
    pub fn read_to(&self, reader: &str) -> Result<Seq, StoreError> {
        Ok(self.cursor(reader)?.map(|stored| stored.record.seq).unwrap_or_default())
    }

    /// Puts the cursor of `reader` into the batch of what it did, which then requires that it still stands where it
    /// was read. Returns it as it will be stored.
    pub fn move_cursor(
        &self,
        batch: &mut Batch,
        reader: &str,
        old: Option<&Stored<Cursor>>,
        cursor: Cursor,
    ) -> Stored<Cursor> {
        let raw = record::put_over(batch, Table::Meta, &cursor_key(reader), old, &cursor);
        Stored { record: cursor, raw }
    }

    /// The place up to which `reader` is done with all changes for `key`, for somebody who settles in `batch` what follows
    /// for it from those behind: the batch requires that the reader has not gone on meanwhile, and makes it look again at
    /// what it is about to write.
    pub fn overtake(&self, batch: &mut Batch, reader: &str, key: &[u8]) -> Result<Seq, StoreError> {
        let old = self.cursor(reader)?;
        let stands = old.as_ref().map(|stored| stored.record.clone()).unwrap_or_default();
        // It goes through the keys of a change in their order, and stands within it at the last one that it has done.
        let done = if stands.within.as_slice() >= key { stands.seq.next() } else { stands.seq };
        let overtaken = stands.overtaken.wrapping_add(1);
        self.move_cursor(batch, reader, old.as_ref(), Cursor { overtaken, ..stands });
        Ok(done)
    }

    /// When feeds of `selection` last came to show something else; none if they never did. For the whole newsroom and
    /// for a category a row says so. For any other selection the log is read backwards for at most `LOOKED_MAX`
    /// entries; if none of them touched it, it is the time of the last one looked at: caches lose nothing by a date that
    /// is too late.
    pub fn touched(&self, selection: &Selection) -> Result<Option<Time>, StoreError> {
        if selection.is_all() || selection.as_category().is_some() {
            let row: Option<Stored<Touched>> = self.stored(Table::Meta, &touched_key(selection.as_category()))?;
            return Ok(row.map(|row| row.record.at));
        }
        let behind = self.head().next().0.to_be_bytes();
        let mut range = Range::prefix(*b"").reverse().until(behind).limit(RANGE_ROWS_MAX);
        let (mut looked, mut earliest) = (0, None);
        while looked < LOOKED_MAX {
            let rows = self.kv.range(Table::Log, range.clone())?;
            let Some((last, _)) = rows.last().cloned() else { return Ok(None) };
            looked += rows.len();
            for (_, value) in rows {
                let change: Change = record::decode(Table::Log, LOG_CHECK_KEY, &value)?;
                if change.touches(selection) {
                    return Ok(Some(change.at));
                }
                earliest = Some(change.at);
            }
            range = range.after(last);
        }
        Ok(earliest)
    }
}
