//! One block of rows, as bytes: short keys that share their beginnings, each with its value or what stands for it.

use super::pieces::Pieces;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

/// A value as it stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value<'a> {
    bytes: Cow<'a, [u8]>,
    is_in_pieces: bool,
    is_packed: bool,
}

/// Set in the length of a value that stands in pieces.
const IN_PIECES: usize = 1;
/// Set in the length of a value that is packed.
const PACKED: usize = 2;
/// The length itself is so many bits further up.
const MARK_BITS: u32 = 2;

impl<'a> Value<'a> {
    /// One that stands in the block itself.
    pub(super) fn here(bytes: impl Into<Cow<'a, [u8]>>, is_packed: bool) -> Self {
        Value { bytes: bytes.into(), is_in_pieces: false, is_packed }
    }

    /// One that stands elsewhere, in `pieces`.
    pub(super) fn in_pieces(pieces: &Pieces, is_packed: bool) -> Self {
        Value { bytes: pieces.to_bytes().to_vec().into(), is_in_pieces: true, is_packed }
    }

    /// Its length in the block.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Is it to be unpacked?
    pub(super) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// The pieces it stands in, if it does.
    pub(super) fn pieces(&self) -> Option<Pieces> {
        if self.is_in_pieces { Pieces::from_bytes(&self.bytes) } else { None }
    }

    /// Its bytes in the block.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// The same, without its block.
    pub(super) fn into_owned(self) -> Value<'static> {
        Value { bytes: Cow::Owned(self.bytes.into_owned()), ..self }
    }

    fn marked_length(&self) -> usize {
        let in_pieces = if self.is_in_pieces { IN_PIECES } else { 0 };
        let packed = if self.is_packed { PACKED } else { 0 };
        self.bytes.len() << MARK_BITS | in_pieces | packed
    }
}

/// A key with its value, in a block or on the way there.
pub(super) type Row<'a> = (&'a [u8], &'a Value<'a>);

/// The bytes of a block with `rows`, which are in the order of their keys.
///
/// A row is written as: how much of its key is that of the row before, how much follows, the length of its value
/// with its marks, the rest of the key, the value.
pub(super) fn encode(rows: &[Row<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.iter().map(|row| row_bytes(*row)).sum());
    let mut before: &[u8] = &[];
    for (key, value) in rows {
        let shared = before.iter().zip(*key).take_while(|(a, b)| a == b).count();
        put_number(&mut out, shared);
        put_number(&mut out, key.len() - shared);
        put_number(&mut out, value.marked_length());
        out.extend(&key[shared..]);
        out.extend(&*value.bytes);
        before = key;
    }
    out
}

/// About how long a row is in its block.
pub(super) fn row_bytes((key, value): Row<'_>) -> usize {
    key.len() + value.length()
}

/// Seven bits a byte, the lowest first; all but the last have the eighth set.
fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Goes through a block, row by row.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) key: Vec<u8>,
}

/// A block that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable;

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Reader { rest: block, key: Vec::new() }
    }

    /// One that goes on with `rest`, the end of a block, behind the row of `key`.
    pub(super) fn behind(key: Vec<u8>, rest: &'a [u8]) -> Self {
        Reader { rest, key }
    }

    /// Bytes of the block behind the last row that was read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next row's value; its key is in `self` then.
    pub(super) fn next(&mut self) -> Result<Option<Value<'a>>, Unreadable> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.row().map(Some).ok_or(Unreadable)
    }

    fn row(&mut self) -> Option<Value<'a>> {
        let (shared, own, value) = take_row(&mut self.rest, self.key.len())?;
        self.key.truncate(shared);
        self.key.extend(own);
        Some(value)
    }
}

/// A row: how much of its key is that of the row before, which had so many bytes; the rest of its key; its value.
fn take_row<'a>(bytes: &mut &'a [u8], before: usize) -> Option<(usize, &'a [u8], Value<'a>)> {
    let shared = take_number(bytes)?;
    let own = take_number(bytes)?;
    let length = take_number(bytes)?;
    let (own, rest) = bytes.split_at_checked(own)?;
    let (value, rest) = rest.split_at_checked(length >> MARK_BITS)?;
    let is_in_pieces = length & IN_PIECES != 0;
    if shared > before || (is_in_pieces && value.len() != Pieces::BYTES) {
        return None;
    }
    *bytes = rest;
    Some((shared, own, Value { bytes: value.into(), is_in_pieces, is_packed: length & PACKED != 0 }))
}

/// What came of looking for a row.
pub(super) enum Found<'a> {
    Here(Value<'a>),
    /// It is nowhere: one that comes behind it was met.
    Nowhere,
    /// All rows of the block come before it.
    Behind,
}

/// Looks for a row. No key is put together for that: what a row has in common with the row before tells most of them.
pub(super) fn search<'a>(block: &'a [u8], key: &[u8]) -> Result<Found<'a>, Unreadable> {
    let mut rest = block;
    // The row before comes before `key`, and begins with so many bytes of it.
    let (mut common, mut before) = (0, 0);
    while !rest.is_empty() {
        let (shared, own, value) = take_row(&mut rest, before).ok_or(Unreadable)?;
        before = shared + own.len();
        match shared.cmp(&common) {
            // It differs from `key` where the row before does, and in the same way.
            Ordering::Greater => {}
            // It is greater than the row before in a byte which that one has of `key`.
            Ordering::Less => return Ok(Found::Nowhere),
            Ordering::Equal => {
                let wanted = &key[common..];
                match own.cmp(wanted) {
                    Ordering::Less => common += own.iter().zip(wanted).take_while(|(a, b)| a == b).count(),
                    Ordering::Equal => return Ok(Found::Here(value)),
                    Ordering::Greater => return Ok(Found::Nowhere),
                }
            }
        }
    }
    Ok(Found::Behind)
}

/// All rows of a block.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// One behind the other: a block has many, and each of its own would cost more than all else.
    keys: Vec<u8>,
    rows: Vec<(Range<usize>, Value<'a>)>,
}

impl<'a> Rows<'a> {
    pub(super) fn read(block: &'a [u8]) -> Result<Self, Unreadable> {
        let (mut reader, mut rows) = (Reader::new(block), Rows::default());
        while let Some(value) = reader.next()? {
            let start = rows.keys.len();
            rows.keys.extend(&reader.key);
            rows.rows.push((start..rows.keys.len(), value));
        }
        Ok(rows)
    }

    /// Each, in the order of their keys.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Row<'_>> {
        self.rows.iter().map(|(key, value)| (&self.keys[key.clone()], value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> Vec<(Vec<u8>, Value<'static>)> {
        let here = |value: &[u8], is_packed| Value::here(value.to_vec(), is_packed);
        let (pieces, _) = Pieces::cut(7, &[0; 9_000]);
        vec![
            (b"".to_vec(), here(b"empty", false)),
            (b"author/a".to_vec(), here(b"", false)),
            (b"author/ab".to_vec(), here(&[3; 300], true)),
            (b"b".to_vec(), Value::in_pieces(&pieces, true)),
            (vec![0xFF; 200], here(&[1], false)),
        ]
    }

    fn written(rows: &[(Vec<u8>, Value<'static>)]) -> Vec<u8> {
        encode(&rows.iter().map(|(key, value)| (key.as_slice(), value)).collect::<Vec<_>>())
    }

    fn read(block: &[u8]) -> Result<Vec<(Vec<u8>, Value<'static>)>, Unreadable> {
        let rows = Rows::read(block)?;
        Ok(rows.iter().map(|(key, value)| (key.to_vec(), value.clone().into_owned())).collect())
    }

    #[test]
    fn what_is_written_is_read_and_shared_beginnings_stand_once() {
        let rows = rows();
        let block = written(&rows);
        assert_eq!(read(&block).unwrap(), rows);
        assert_eq!(block.windows(6).filter(|part| part == b"author").count(), 1);
        assert_eq!(encode(&[]), b"");
    }

    #[test]
    fn a_block_that_was_cut_short_is_unreadable_or_ends_with_a_whole_row() {
        let rows = rows();
        let block = written(&rows);
        let mut whole = 0;
        for end in 0..block.len() {
            if let Ok(found) = read(&block[..end]) {
                assert_eq!(found, rows[..found.len()], "cut at {end}");
                whole += 1;
            }
        }
        assert_eq!(whole, rows.len(), "before the first row, and behind each but the last");
        for wrong in [&[1, 0, 0][..], &[0xFF; 12], &[0, 200, 1, 0], &[0, 0, 0x25, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_row_is_found_where_reading_all_rows_finds_it(
            keys in prop::collection::btree_set(prop::collection::vec(0_u8..3, 0..6), 0..20),
            wanted in prop::collection::vec(0_u8..3, 0..7),
        ) {
            let values: Vec<_> = (0..keys.len()).map(|number| Value::here(vec![number as u8], false)).collect();
            let rows: Vec<Row<'_>> = keys.iter().map(Vec::as_slice).zip(&values).collect();
            let block = encode(&rows);
            let here = rows.iter().find(|(key, _)| *key == wanted).map(|(_, value)| (*value).clone());
            let is_behind = keys.last().is_none_or(|last| *last < wanted);
            match search(&block, &wanted).unwrap() {
                Found::Here(value) => prop_assert_eq!(Some(value), here),
                Found::Nowhere => prop_assert!(here.is_none() && !is_behind),
                Found::Behind => prop_assert!(is_behind),
            }
        }
    }
}
