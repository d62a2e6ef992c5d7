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
    open: Open,
}

/// The block that is being read.
enum Open {
    /// Row by row: as much of it is left behind the row of this key.
    Forwards {
        first: IVec,
        block: IVec,
        left: usize,
        key: Vec<u8>,
    },
    /// Its rows that have not been read yet; the next is the last.
    Backwards(Vec<(Vec<u8>, Value<'static>)>),
    None,
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
                // Only who reads on has sled look for the others.
                Some(block) => {
                    let others = tree.range::<IVec, _>((Bound::Excluded(block.0.clone()), Bound::Unbounded));
                    Box::new(std::iter::once(Ok(block)).chain(others))
                }
                None => Box::new(tree.iter()),
            },
            (false, Bound::Unbounded, _) => Box::new(tree.iter()),
        };
        Ok(Cursor { table, rest: part, blocks, open: Open::None })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Value<'static>)>, StoreError> {
        loop {
            if let Some(row) = self.row()? {
                return Ok(Some(row));
            }
            let Some(block) = self.blocks.next() else { return Ok(None) };
            let (first, block) = block.map_err(engine)?;
            if !self.take(first, block)? {
                return Ok(None);
            }
        }
    }

    /// The next row of the block that is being read.
    fn row(&mut self) -> Result<Option<(Vec<u8>, Value<'static>)>, StoreError> {
        match &mut self.open {
            Open::None => Ok(None),
            Open::Backwards(rows) => Ok(rows.pop()),
            Open::Forwards { first, block, left, key } => {
                let mut rows = Reader::behind(std::mem::take(key), &block[block.len() - *left..]);
                while let Some(value) = rows.next().map_err(|Unreadable| unreadable(self.table, first))? {
                    if self.rest.holds(&rows.key) {
                        *left = rows.left();
                        *key = rows.key;
                        return Ok(Some((key.clone(), value.into_owned())));
                    }
                }
                // A block that is split meanwhile shows its later rows once more in the next.
                let is_further = match &self.rest.from {
                    Bound::Included(from) | Bound::Excluded(from) => *from <= rows.key,
                    Bound::Unbounded => true,
                };
                if is_further {
                    self.rest.from = Bound::Excluded(rows.key);
                }
                self.open = Open::None;
                Ok(None)
            }
        }
    }

    /// Takes up a block; false if nothing of the part can be there or further on.
    fn take(&mut self, first: IVec, block: IVec) -> Result<bool, StoreError> {
        let is_behind = |end: &Bound<Vec<u8>>| match end {
            Bound::Included(key) => *first > **key,
            Bound::Excluded(key) => *first >= **key,
            Bound::Unbounded => false,
        };
        if !self.rest.reverse {
            if is_behind(&self.rest.to) {
                return Ok(false);
            }
            self.open = Open::Forwards { left: block.len(), first, block, key: Vec::new() };
            return Ok(true);
        }
        let (mut rows, mut taken) = (Reader::new(&block), Vec::new());
        while let Some(value) = rows.next().map_err(|Unreadable| unreadable(self.table, &first))? {
            if self.rest.holds(&rows.key) {
                taken.push((rows.key.clone(), value.into_owned()));
            }
        }
        self.open = Open::Backwards(taken);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sled::block::encode;
    use crate::store::sled::seen::Turn;
    use std::collections::BTreeMap;

    const TABLE: Table = Table::Index;

    /// Puts a block with a row for each letter of `rows`, of which the value is the letter as well.
    fn put(trees: &Trees, first: &str, rows: &str) {
        let rows: Vec<_> = rows.bytes().map(|letter| (vec![letter], Value::here(vec![letter], false))).collect();
        let rows: Vec<_> = rows.iter().map(|(key, value)| (key.as_slice(), value)).collect();
        trees.of(TABLE).insert(first, encode(&rows)).unwrap();
    }

    fn next(cursor: &mut Cursor<'_>) -> Option<char> {
        cursor.next().unwrap().map(|(key, _)| char::from(key[0]))
    }

    #[test]
    fn a_block_that_is_split_while_it_is_read_shows_no_row_twice() {
        let ends = [
            (Bound::Unbounded, "bcdefgh"),
            (Bound::Included(b"f".to_vec()), "bcdef"),
            (Bound::Excluded(b"f".to_vec()), "bcde"),
        ];
        for (to, whole) in &ends {
            for (read, reverse) in (0..whole.len()).flat_map(|read| [(read, false), (read, true)]) {
                let trees = Trees::temporary();
                put(&trees, "", "abcdefgh");
                let part = Range { from: Bound::Included(b"b".to_vec()), to: to.clone(), reverse, limit: 99 };
                let mut cursor = Cursor::new(&trees, TABLE, part).unwrap();
                let mut rows: String = (0..read).filter_map(|_| next(&mut cursor)).collect();
                put(&trees, "d", "defgh");
                put(&trees, "", "abc");
                rows.extend(std::iter::from_fn(|| next(&mut cursor)));
                let expected: String = if reverse { whole.chars().rev().collect() } else { (*whole).to_owned() };
                assert_eq!(rows, expected, "split behind {read} rows to {to:?}");
            }
        }
    }

    #[test]
    fn more_blocks_than_are_remembered_are_found_as_they_are() {
        let (trees, turn) = (Trees::temporary(), Turn::new());
        let mut all = BTreeMap::new();
        for number in 0..200_u8 {
            let value = Value::here(vec![number], false);
            let first = if number == 0 { Vec::new() } else { vec![number] };
            trees.of(TABLE).insert(&first, encode(&[(&[number, 1], &value), (&[number, 3], &value)])).unwrap();
            all.extend([([number, 1], number), ([number, 3], number)]);
        }
        for round in 0..3 {
            // Forwards, backwards, and to and fro.
            for step in 0..200_u8 {
                let number = [step, 199 - step, step.wrapping_mul(77) % 200][round];
                for tail in [0, 1, 2, 3, 4, 4, 4] {
                    let key = [number, tail];
                    let found = get_near(&trees, TABLE, &key, turn.now()).unwrap().map(|value| value.into_bytes());
                    assert_eq!(found, all.get(&key).map(|number| vec![*number]), "{key:?}");
                }
            }
        }
    }
}
