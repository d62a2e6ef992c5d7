//! What is in the journal and not in sled yet: the newest value of each key, or that there is none.

use crate::store::Table;
use crate::store::kv::Range;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key with its value, or without one where it was removed.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// The writes of one turn of the journal, the last to each key.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    tables: [BTreeMap<Bytes, Newest>; Table::ALL.len()],
}

/// The value, and the number of the write, which no other has.
#[derive(Debug)]
struct Newest {
    value: Option<Bytes>,
    generation: u64,
}

/// A write as it is taken in: table, key, value or none where it removes the key, and number.
pub(super) type Written = (Table, Bytes, Option<Bytes>, u64);

/// One write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: Table,
    pub(super) key: &'a [u8],
    /// None removes the key.
    pub(super) value: Option<&'a [u8]>,
    /// The number of the write.
    pub(super) generation: u64,
}

impl<'a> Row<'a> {
    fn of(table: Table) -> impl Fn((&'a Bytes, &'a Newest)) -> Self {
        move |(key, newest)| Row { table, key, value: newest.value.as_deref(), generation: newest.generation }
    }
}

impl Memtable {
    /// Takes in a write.
    pub(super) fn insert(&mut self, (table, key, value, generation): Written) {
        self.tables[table as usize].insert(key, Newest { value, generation });
    }

    /// What `look` makes of what it says of `key`; none if it says nothing.
    pub(super) fn look<T>(&self, table: Table, key: &[u8], look: impl FnOnce(Option<&[u8]>) -> T) -> Option<T> {
        self.tables[table as usize].get(key).map(|newest| look(newest.value.as_deref()))
    }

    /// Every write, table by table in the order of their keys.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Table, Vec<Row<'_>>)> {
        Table::ALL.into_iter().zip(&self.tables).map(|(table, rows)| (table, rows.iter().map(Row::of(table)).collect()))
    }

    /// The first entries of a part of `table`, in its direction, at most as many as it has rows.
    fn entries(&self, table: Table, range: &Range) -> Vec<Entry> {
        let bounds = (range.from.as_ref().map(Vec::as_slice), range.to.as_ref().map(Vec::as_slice));
        let part = self.tables[table as usize].range::<[u8], _>(bounds);
        let entry = |(key, newest): (&Bytes, &Newest)| (key.to_vec(), newest.value.as_deref().map(<[u8]>::to_vec));
        if range.reverse {
            part.rev().take(range.limit).map(entry).collect()
        } else {
            part.take(range.limit).map(entry).collect()
        }
    }
}

/// What reads have to look at before sled.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The turn of the journal in use.
    pub(super) active: Memtable,
    /// The turn before, on its way into sled.
    pub(super) frozen: Option<Arc<Memtable>>,
}

impl Recent {
    /// What `look` makes of what it says of `key`; none if it says nothing, so that sled has to be asked.
    pub(super) fn look<T>(&self, table: Table, key: &[u8], look: impl Fn(Option<&[u8]>) -> T) -> Option<T> {
        self.active.look(table, key, &look).or_else(|| self.frozen.as_ref()?.look(table, key, &look))
    }

    /// The entries at the beginning of a part of `table`, in its direction, and the key up to which nothing was left
    /// out; none if that is its end. `range` is not empty.
    pub(super) fn entries(&self, table: Table, range: &Range) -> (Vec<Entry>, Option<Vec<u8>>) {
        let active = self.active.entries(table, range);
        let frozen = self.frozen.as_ref().map(|frozen| frozen.entries(table, range)).unwrap_or_default();
        let end = |entries: &[Entry]| match entries.last() {
            Some((last, _)) if entries.len() >= range.limit => Some(last.clone()),
            Some(_) | None => None,
        };
        let ends = [end(&active), end(&frozen)].into_iter().flatten();
        let end = if range.reverse { ends.max() } else { ends.min() };
        let is_before = |one: &[u8], other: &[u8]| if range.reverse { one > other } else { one < other };
        let mut entries = Vec::with_capacity(active.len() + frozen.len());
        let mut frozen = frozen.into_iter().peekable();
        for entry in active {
            entries.extend(std::iter::from_fn(|| frozen.next_if(|(old, _)| is_before(old, &entry.0))));
            frozen.next_if(|(old, _)| *old == entry.0);
            entries.push(entry);
        }
        entries.extend(frozen);
        if let Some(end) = &end {
            entries.truncate(entries.partition_point(|(key, _)| !is_before(end, key)));
        }
        (entries, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Bound;

    const TABLE: Table = Table::Ledger;

    fn turn(writes: &[(u8, bool)]) -> Memtable {
        let mut turn = Memtable::default();
        for (number, (key, is_put)) in (0..).zip(writes) {
            let value = is_put.then(|| Bytes::from(vec![*key]));
            turn.insert((TABLE, Bytes::from(vec![*key]), value, number));
        }
        turn
    }

    proptest::proptest! {
        #[test]
        fn two_turns_are_read_as_one_in_which_the_later_has_the_last_word(
            active: Vec<(u8, bool)>,
            frozen: Vec<(u8, bool)>,
            from: u8,
            reverse: bool,
            limit in 1_usize..300,
        ) {
            let all: BTreeMap<u8, bool> = frozen.iter().chain(&active).copied().collect();
            let recent = Recent { active: turn(&active), frozen: Some(Arc::new(turn(&frozen))) };
            let range = Range { from: Bound::Included(vec![from]), to: Bound::Unbounded, reverse, limit };
            let (entries, end) = recent.entries(TABLE, &range);
            let mut expected: Vec<u8> = all.range(from..).map(|(key, _)| *key).collect();
            if reverse {
                expected.reverse();
            }
            // As far as both turns were looked at, and no less than was asked for.
            if let Some(end) = end {
                let last = expected.iter().position(|key| vec![*key] == end).expect("a key that one of them has");
                expected.truncate(last + 1);
                proptest::prop_assert!(expected.len() >= limit);
            }
            let expected: Vec<Entry> =
                expected.into_iter().map(|key| (vec![key], all[&key].then(|| vec![key]))).collect();
            proptest::prop_assert_eq!(entries, expected);
        }
    }
}
