//! How what was written comes into the blocks of a table: each block once for all its rows in a turn.

use super::block::{Row, Rows, Unreadable, Value, encode, row_bytes};
use super::blocks::{holding, next, unreadable};
use super::memtable;
use super::pieces::Pieces;
use super::{Trees, packed};
use crate::store::{StoreError, Table};
use std::borrow::Cow;

/// A block is no longer than this, but for one with a single row; a value that is longer stands in pieces.
///
/// A page with 16 of twice this would come near what sled still keeps in its log (128 KiB). With half of it sled's
/// file became a third larger, since more pages were written; the time that it took did not become less.
const BLOCK_BYTES_MAX: usize = 4_096;

/// Articles are read one by one, and each read takes a page: alone in their blocks, they leave pages half as long, and a
/// feed that was in nobody's memory is there a sixth sooner.
const ARTICLES_BYTES_MAX: usize = 1_024;

/// How long a block of a table with several rows may be.
fn full(table: Table) -> usize {
    if table == Table::Articles { ARTICLES_BYTES_MAX } else { BLOCK_BYTES_MAX }
}

/// What one block becomes.
pub(super) struct Change {
    pub(super) table: Table,
    /// Each block by its key; one without rows is removed.
    pub(super) blocks: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Each piece of a value by its key; one without bytes is removed.
    pub(super) pieces: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Puts as many of `writes` as the block of the first one takes into it; they are in the order of their keys. Returns
/// what that changes, none if nothing, and how many they were. To be asked while nobody else writes to sled.
pub(super) fn merge(
    trees: &Trees,
    table: Table,
    writes: &[memtable::Row<'_>],
) -> Result<(Option<Change>, usize), StoreError> {
    let Some(first) = writes.first() else { return Ok((None, 0)) };
    let (own, block) = holding(trees, table, first.key)?.unwrap_or_default();
    let next = next(trees, table, &own)?;
    let is_here = |write: &&memtable::Row<'_>| next.as_ref().is_none_or(|next| write.key < next.as_ref());
    let count = writes.iter().take_while(is_here).count();
    let writes = &writes[..count];
    let held = Rows::read(&block).map_err(|Unreadable| unreadable(table, &own))?;
    let mut change = Change { table, blocks: Vec::new(), pieces: Vec::new() };
    let new: Vec<_> = writes.iter().map(|write| write.value.map(|value| change.value(write, value))).collect();
    let (mut rows, mut rest, mut is_changed) = (Vec::with_capacity(count), held.iter().peekable(), false);
    for (write, new) in writes.iter().zip(&new) {
        while let Some(row) = rest.next_if(|(key, _)| *key < write.key) {
            rows.push(row);
        }
        let old = rest.next_if(|(key, _)| *key == write.key).map(|(_, value)| value);
        if old != new.as_ref() {
            is_changed = true;
            let pieces = old.and_then(Value::pieces);
            change.pieces.extend(pieces.iter().flat_map(|old| old.keys(table, write.key)).map(|key| (key, None)));
        }
        rows.extend(new.as_ref().map(|value| (write.key, value)));
    }
    rows.extend(rest);
    if is_changed {
        change.cut(&own, &block, &rows, Growth::of(&held, writes));
    }
    Ok((is_changed.then_some(change), count))
}

impl Change {
    /// How many bytes are written.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.blocks.iter().chain(&self.pieces);
        rows.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }

    /// `value` as it will stand in a block; the pieces of a large one are written beside it.
    fn value<'a>(&mut self, write: &memtable::Row<'_>, value: &'a [u8]) -> Value<'a> {
        let packed = packed::pack(value);
        let is_packed = packed.is_some();
        let value = packed.map_or(Cow::Borrowed(value), Cow::Owned);
        if value.len() <= BLOCK_BYTES_MAX {
            return Value::here(value, is_packed);
        }
        let (pieces, cut) = Pieces::cut(write.generation, &value);
        let keys = pieces.keys(write.table, write.key);
        self.pieces.extend(keys.zip(cut).map(|(key, piece)| (key, Some(piece.to_vec()))));
        Value::in_pieces(&pieces, is_packed)
    }

    /// Writes `rows` in place of the block `own`, which was `old`, and as new ones behind it if they are too many.
    fn cut(&mut self, own: &[u8], old: &[u8], rows: &[Row<'_>], growth: Growth) {
        let bytes = rows.iter().map(|row| row_bytes(*row));
        let full = full(self.table);
        let counts = match growth {
            Growth::AtEnd => counts(bytes, full),
            Growth::AtStart => counts(bytes.rev(), full).into_iter().rev().collect(),
            Growth::Within => {
                let all: usize = bytes.clone().sum();
                counts(bytes, all.div_ceil(all.div_ceil(full).max(1)))
            }
        };
        if counts.is_empty() {
            self.blocks.push((own.to_vec(), None));
        }
        let (mut rest, mut key) = (rows, own);
        for count in counts {
            let (block, behind) = rest.split_at(count);
            let bytes = encode(block);
            // One that is full stays as it is when others come behind it.
            if key != own || bytes != old {
                self.blocks.push((key.to_vec(), Some(bytes)));
            }
            rest = behind;
            key = rest.first().map_or(own, |(key, _)| key);
        }
    }
}

/// Where a block gets new rows. The next will come there as well, so what is cut off at the other end is full.
enum Growth {
    AtStart,
    AtEnd,
    /// Anywhere: the parts are of equal length.
    Within,
}

impl Growth {
    fn of(held: &Rows<'_>, writes: &[memtable::Row<'_>]) -> Self {
        let ends = held.iter().next().zip(held.iter().next_back()).zip(writes.first().zip(writes.last()));
        match ends {
            Some(((_, (held, _)), (first, _))) if first.key > held => Growth::AtEnd,
            Some((((held, _), _), (_, last))) if last.key < held => Growth::AtStart,
            Some(_) => Growth::Within,
            None => Growth::AtEnd,
        }
    }
}

/// How many rows of such lengths go into each block, if none is longer than `full` that has more than one.
fn counts(bytes: impl Iterator<Item = usize>, full: usize) -> Vec<usize> {
    let (mut counts, mut length) = (Vec::new(), 0);
    for bytes in bytes {
        length += bytes;
        match counts.last_mut() {
            Some(count) if length <= full => *count += 1,
            Some(_) | None => {
                counts.push(1);
                length = bytes;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::Range;
    use crate::store::sled::blocks::{Cursor, get_near, last_key, whole};
    use crate::store::sled::memtable::Memtable;
    use crate::store::sled::seen::Turn;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    const TABLE: Table = Table::Index;

    /// Numbers below what is asked, the same in every run.
    fn dice() -> impl FnMut(u64) -> u64 {
        let mut state = 7_u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        }
    }

    /// Carries a turn over, and returns how many blocks that changed.
    fn carry(trees: &Trees, turn: &Memtable) -> usize {
        let mut changed = 0;
        for (table, rows) in turn.rows() {
            let mut rest = rows.as_slice();
            while !rest.is_empty() {
                let (change, count) = merge(trees, table, rest).unwrap();
                rest = &rest[count..];
                for (tree, rows) in
                    change.iter().flat_map(|it| [(trees.of(table), &it.blocks), (trees.pieces(), &it.pieces)])
                {
                    for (key, value) in rows {
                        match value {
                            Some(value) => tree.insert(key, value.as_slice()).unwrap(),
                            None => tree.remove(key).unwrap(),
                        };
                    }
                }
                changed += usize::from(change.is_some());
            }
        }
        changed
    }

    fn rows(trees: &Trees, range: Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (mut cursor, mut out) = (Cursor::new(trees, TABLE, range).unwrap(), Vec::new());
        while let Some((key, value)) = cursor.next().unwrap() {
            let value = whole(trees, TABLE, &key, value).unwrap().unwrap();
            out.push((key, value));
        }
        out
    }

    /// A turn of so many puts and removals of short rows, which `map` takes part in.
    fn turn(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, dice: &mut impl FnMut(u64) -> u64, writes: u64) -> Memtable {
        let mut turn = Memtable::default();
        for generation in 0..writes {
            let key = format!("{:05}", dice(2_000)).into_bytes();
            let value = (dice(3) > 0).then(|| vec![7; dice(90) as usize]);
            match &value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(&key),
            };
            turn.insert((TABLE, key.into(), value.map(Into::into), generation));
        }
        turn
    }

    #[test]
    fn rows_in_blocks_are_those_of_a_map_and_blocks_stay_neither_too_long_nor_many() {
        let trees = Trees::temporary();
        let (mut map, mut dice, round) = (BTreeMap::new(), dice(), Turn::new());
        for _ in 0..60 {
            let writes = 1 + dice(400);
            carry(&trees, &turn(&mut map, &mut dice, writes));
            round.end();
            let [a, b] = [0; 2].map(|_| format!("{:05}", dice(2_100)).into_bytes());
            let (from, to) = (a.clone().min(b.clone()), a.max(b));
            let expected: Vec<_> = map.range(from.clone()..to.clone()).map(|(k, v)| (k.clone(), v.clone())).collect();
            let range =
                Range { from: Bound::Included(from.clone()), to: Bound::Excluded(to), reverse: false, limit: 0 };
            assert_eq!(rows(&trees, range.clone()), expected);
            assert_eq!(rows(&trees, range.reverse()), expected.into_iter().rev().collect::<Vec<_>>());
            for near in (0..10).flat_map(|_| {
                let start = dice(2_000);
                start..start + 20
            }) {
                let key = format!("{near:05}").into_bytes();
                let value = get_near(&trees, TABLE, &key, round.now()).unwrap();
                let value = value.and_then(|value| whole(&trees, TABLE, &key, value).unwrap());
                assert_eq!(value.as_ref(), map.get(&key), "{near}");
            }
            assert_eq!(last_key(&trees, TABLE).unwrap().as_ref(), map.keys().next_back());
        }
        let blocks: Vec<usize> = trees.of(TABLE).iter().map(|row| row.unwrap().1.len()).collect();
        assert!(blocks.iter().all(|bytes| *bytes <= BLOCK_BYTES_MAX + 200), "{blocks:?}");
        let mean = blocks.iter().sum::<usize>() / blocks.len();
        assert!(mean > BLOCK_BYTES_MAX / 3, "{} blocks of {mean} bytes", blocks.len());
    }

    #[test]
    fn a_row_that_leaves_its_block_as_it_was_alone_in_it_is_not_lost() {
        let trees = Trees::temporary();
        for (generation, key) in [(0, b"b"), (1, b"a")] {
            let mut turn = Memtable::default();
            let mut dice = dice();
            let noise: Vec<u8> = (0..BLOCK_BYTES_MAX).map(|_| dice(256) as u8).collect();
            turn.insert((TABLE, key.to_vec().into(), Some(noise.into()), generation));
            carry(&trees, &turn);
        }
        let keys: Vec<_> = rows(&trees, Range::prefix(*b"")).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"a", b"b"]);
    }

    #[test]
    fn a_turn_that_is_carried_twice_changes_nothing_and_one_that_removes_all_leaves_nothing() {
        let trees = Trees::temporary();
        let mut first = Memtable::default();
        let mut dice = dice();
        let noise: Vec<u8> = (0..9_000).map(|_| dice(256) as u8).collect();
        for number in 0..300_u64 {
            let value = if number % 50 == 0 { noise.clone() } else { vec![1; 40] };
            first.insert((TABLE, number.to_be_bytes().to_vec().into(), Some(value.into()), number));
        }
        assert!(carry(&trees, &first) > 0 && trees.of(TABLE).len() > 2 && trees.pieces().len() == 18);
        assert_eq!(carry(&trees, &first), 0, "as after a crash in between");
        let mut second = Memtable::default();
        for number in 0..300_u64 {
            second.insert((TABLE, number.to_be_bytes().to_vec().into(), None, 300 + number));
        }
        carry(&trees, &second);
        assert_eq!((trees.of(TABLE).len(), trees.pieces().len()), (0, 0));
        assert_eq!(last_key(&trees, TABLE).unwrap(), None);
    }
}
