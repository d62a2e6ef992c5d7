//! How a table stands in sled: its rows in blocks, each under the first key that it may hold.
//!
//! A page of sled's has 16 rows at most, whatever their size, and each row that is written costs a copy of what its page
//! points to. Most rows here are short: alone, they would make up nine tenths of sled's work, and of its table of pages.
//!
//! A block holds every row of its table from its own key on and before the key of the next; the first block's key is
//! empty. So a row is in the last block whose key is not behind it. Keys of blocks never change: a block that grew too
//! large leaves its later rows to new ones, an empty one is removed.

use super::block::{Found, Reader, Unreadable, Value, search};
use super::seen::{self, Near};
use super::{Trees, engine, packed, pieces};
use crate::store::kv::Range;
use crate::store::record::readable;
use crate::store::{StoreError, Table};
use sled::IVec;
use std::collections::VecDeque;
use std::ops::Bound;

/// What is told of a block that cannot be read, by its key.
pub(super) fn unreadable(table: Table, block: &[u8]) -> StoreError {
    let what = "the block of rows that begins here cannot be read".into();
    StoreError::Record { table, key: readable(block), what }
}

/// The block that `key` stands in, if anywhere, with its own key.
pub(super) fn holding(trees: &Trees, table: Table, key: &[u8]) -> Result<Option<(IVec, IVec)>, StoreError> {
    trees.of(table).range::<&[u8], _>(..=key).next_back().transpose().map_err(engine)
}

/// The value of `key` as it stands in its block.
pub(super) fn get(trees: &Trees, table: Table, key: &[u8]) -> Result<Option<Value<'static>>, StoreError> {
    let Some((first, block)) = holding(trees, table, key)? else { return Ok(None) };
    found(search(&block, key), table, &first)
}

/// The same, out of a block that was seen lately where that is the one. `turn` is the one that the store is in.
pub(super) fn get_near(
    trees: &Trees,
    table: Table,
    key: &[u8],
    turn: u64,
) -> Result<Option<Value<'static>>, StoreError> {
    if let Near::Found(value) = seen::near(table, turn, key, |first| next(trees, table, first))? {
        return Ok(value);
    }
    let Some((first, block)) = holding(trees, table, key)? else { return Ok(None) };
    let value = found(search(&block, key), table, &first)?;
    seen::remember(table, turn, first, block);
    Ok(value)
}

/// The key of the block behind the one that begins with `first`.
pub(super) fn next(trees: &Trees, table: Table, first: &[u8]) -> Result<Option<IVec>, StoreError> {
    Ok(trees.of(table).get_gt(first).map_err(engine)?.map(|(key, _)| key))
}

fn found(
    searched: Result<Found<'_>, Unreadable>,
    table: Table,
    first: &[u8],
) -> Result<Option<Value<'static>>, StoreError> {
    match searched.map_err(|Unreadable| unreadable(table, first))? {
        Found::Here(value) => Ok(Some(value.into_owned())),
        Found::Nowhere | Found::Behind => Ok(None),
    }
}

/// The last key of a table.
pub(super) fn last_key(trees: &Trees, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(Cursor::new(trees, table, Range::prefix(*b"").reverse())?.next()?.map(|(key, _)| key))
}

/// The rows of a part of a table, in its direction; the part's limit is the reader's to keep.
pub(super) struct Cursor<'a> {
    table: Table,
    /// What is left of the part.
    rest: Range,
    blocks: Box<dyn Iterator<Item = sled::Result<(IVec, IVec)>> + 'a>,
    /// What was taken out of a block and not read yet.
    rows: VecDeque<(Vec<u8>, Value<'static>)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(trees: &'a Trees, table: Table, part: Range) -> Result<Self, StoreError> {
        let tree = trees.of(table);
        let blocks: Box<dyn Iterator<Item = _>> = match (part.reverse, &part.from, &part.to) {
            (true, _, Bound::Included(to) | Bound::Excluded(to)) => {
                Box::new(tree.range::<&[u8], _>(..=to.as_slice()).rev())
            }
            (true, _, Bound::Unbounded) => Box::new(tree.iter().rev()),
            (false, Bound::Included(from) | Bound::Excluded(from), _) => match holding(trees, table, from)? {
                Some((first, _)) => Box::new(tree.range(first..)),
                None => Box::new(tree.iter()),
            },
            (false, Bound::Unbounded, _) => Box::new(tree.iter()),
        };
        Ok(Cursor { table, rest: part, blocks, rows: VecDeque::new() })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Value<'static>)>, StoreError> {
        while self.rows.is_empty() {
            let Some(block) = self.blocks.next() else { return Ok(None) };
            let (first, block) = block.map_err(engine)?;
            if !self.take(&first, &block).map_err(|Unreadable| unreadable(self.table, &first))? {
                return Ok(None);
            }
        }
        Ok(self.rows.pop_front())
    }

    /// Takes in what the part has of a block; false if nothing of it can be here or further on.
    fn take(&mut self, first: &[u8], block: &[u8]) -> Result<bool, Unreadable> {
        let is_behind = |end: &Bound<Vec<u8>>| match end {
            Bound::Included(key) => first > key.as_slice(),
            Bound::Excluded(key) => first >= key.as_slice(),
            Bound::Unbounded => false,
        };
        if !self.rest.reverse && is_behind(&self.rest.to) {
            return Ok(false);
        }
        let mut rows = Reader::new(block);
        while let Some(value) = rows.next()? {
            if self.rest.holds(&rows.key) {
                self.rows.push_back((rows.key.clone(), value.into_owned()));
            }
        }
        // A block that is split meanwhile shows its later rows once more in the next.
        if let Some((last, _)) = self.rows.back().filter(|_| !self.rest.reverse) {
            self.rest.from = Bound::Excluded(last.clone());
        }
        if self.rest.reverse {
            self.rows.make_contiguous().reverse();
        }
        Ok(true)
    }
}

/// What was written as `value`, which stood under `key` a moment ago; none if it is gone by now.
pub(super) fn whole(
    trees: &Trees,
    table: Table,
    key: &[u8],
    value: Value<'static>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let damaged = |what: String| StoreError::Record { table, key: readable(key), what };
    let unpacked = |bytes: Vec<u8>, is_packed| match is_packed {
        true => packed::unpack(&bytes).map(Some).map_err(damaged),
        false => Ok(Some(bytes)),
    };
    let mut value = value;
    while let Some(pieces) = value.pieces() {
        if let Some(bytes) = pieces.read(trees, table, key)? {
            return unpacked(bytes, value.is_packed());
        }
        // From sled itself: what was seen may still be as it was.
        match get(trees, table, key)? {
            None => return Ok(None),
            Some(now) if now == value => return Err(damaged("a piece of it is missing".into())),
            // The pieces went while they were read: the value was replaced, so there is a newer one to read.
            Some(now) => value = now,
        }
    }
    let is_packed = value.is_packed();
    unpacked(value.into_bytes(), is_packed)
}

/// What is wrong with the piece that stands under `piece` in the tree of pieces: it has no owner. None if it has one.
/// To be asked while nobody writes to sled.
pub(super) fn orphan(trees: &Trees, piece: &[u8]) -> Result<Option<(Table, Vec<u8>, String)>, StoreError> {
    let Some(owner) = pieces::owner(piece) else {
        return Ok(Some((Table::Meta, piece.to_vec(), "a piece whose key names no owner".into())));
    };
    let stands = get(trees, owner.table, owner.key)?;
    let is_owned = stands.and_then(|value| value.pieces()).is_some_and(|pieces| pieces.has(&owner));
    // It may have gone with its value before nobody wrote any more.
    if is_owned || !trees.pieces().contains_key(piece).map_err(engine)? {
        return Ok(None);
    }
    Ok(Some((owner.table, owner.key.to_vec(), format!("{owner} of a value that is not there"))))
}
