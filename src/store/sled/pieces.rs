//! How a value stands in sled: whole behind a byte, or, if it is large, as pieces in a tree of their own.

use super::{Trees, engine};
use crate::store::record::readable;
use crate::store::{StoreError, Table};
use sled::IVec;
use sled::transaction::{TransactionalTree, UnabortableTransactionError};

/// Two such pages fit sled's limit for what it keeps in its log (128 KiB) with a wide margin.
const CHUNK_BYTES: usize = 4_096;
/// First byte of a value that stands here whole.
const WHOLE: u8 = 0;
/// First byte of a value in pieces: generation (u64) and number of pieces (u16) follow. No two values ever have
/// the same generation, so a reader never mixes the pieces of two.
const PIECES: u8 = 1;
const PIECES_HEAD_BYTES: usize = 11;
/// The place of their tree among all trees.
const PIECES_TREE: usize = Table::ALL.len();

type Tx = Result<(), UnabortableTransactionError>;

fn pieces_head(stored: &[u8]) -> Option<(u64, u16)> {
    match stored.split_first() {
        Some((&PIECES, rest)) if stored.len() == PIECES_HEAD_BYTES => {
            let (generation, count) = rest.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*generation), u16::from_be_bytes(count.try_into().ok()?)))
        }
        Some(_) | None => None,
    }
}

fn piece_key(table: Table, key: &[u8], generation: u64, piece: u16) -> Vec<u8> {
    let mut out = vec![table as u8];
    out.extend(key);
    out.extend(generation.to_be_bytes());
    out.extend(piece.to_be_bytes());
    out
}

/// Reads one key, whatever its size.
pub(super) fn read(trees: &Trees, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let stored = trees.of(table).get(key).map_err(engine)?;
    match stored {
        None => Ok(None),
        Some(stored) => finish(trees, table, key, stored),
    }
}

/// The value of `key`, which stood there as `stored` a moment ago.
pub(super) fn finish(trees: &Trees, table: Table, key: &[u8], stored: IVec) -> Result<Option<Vec<u8>>, StoreError> {
    let tree = trees.of(table);
    let mut stored = stored;
    loop {
        if let Some(value) = assemble(table, key, &stored, |piece| trees.pieces().get(piece).map_err(engine))? {
            return Ok(Some(value));
        }
        match tree.get(key).map_err(engine)? {
            None => return Ok(None),
            Some(now) if now == stored => {
                return Err(StoreError::Record { table, key: readable(key), what: "a piece of it is missing".into() });
            }
            // The pieces went while they were read: the value was replaced, so there is a newer one to read.
            Some(now) => stored = now,
        }
    }
}

/// The value whose first part is `stored`; none if a piece of it is missing.
fn assemble<E>(
    table: Table,
    key: &[u8],
    stored: &[u8],
    mut piece: impl FnMut(Vec<u8>) -> Result<Option<IVec>, E>,
) -> Result<Option<Vec<u8>>, E> {
    if let Some((&WHOLE, value)) = stored.split_first() {
        return Ok(Some(value.to_vec()));
    }
    let Some((generation, pieces)) = pieces_head(stored) else { return Ok(None) };
    let mut value = Vec::with_capacity(usize::from(pieces) * CHUNK_BYTES);
    for number in 0..pieces {
        match piece(piece_key(table, key, generation, number))? {
            Some(bytes) => value.extend_from_slice(&bytes),
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// All trees within a transaction.
type Transaction<'a> = &'a [TransactionalTree];

/// Sets `key`; `generation` has never been used before for another value.
pub(super) fn put(trees: Transaction<'_>, table: Table, key: &[u8], value: &[u8], generation: u64) -> Tx {
    let mut stored;
    if value.len() <= CHUNK_BYTES {
        stored = Vec::with_capacity(value.len() + 1);
        stored.push(WHOLE);
        stored.extend(value);
    } else {
        let mut count = 0_u16;
        for piece in value.chunks(CHUNK_BYTES) {
            trees[PIECES_TREE].insert(piece_key(table, key, generation, count), piece)?;
            // Values are bounded far below this many pieces (VALUE_BYTES_MAX).
            count = count.saturating_add(1);
        }
        stored = vec![PIECES];
        stored.extend(generation.to_be_bytes());
        stored.extend(count.to_be_bytes());
    }
    let old = trees[table as usize].insert(key, stored)?;
    remove_pieces(trees, table, key, old.as_deref().and_then(pieces_head).filter(|(old, _)| *old != generation))
}

/// Removes `key`.
pub(super) fn delete(trees: Transaction<'_>, table: Table, key: &[u8]) -> Tx {
    let old = trees[table as usize].remove(key)?;
    remove_pieces(trees, table, key, old.as_deref().and_then(pieces_head))
}

fn remove_pieces(trees: Transaction<'_>, table: Table, key: &[u8], pieces: Option<(u64, u16)>) -> Tx {
    if let Some((generation, count)) = pieces {
        for number in 0..count {
            trees[PIECES_TREE].remove(piece_key(table, key, generation, number))?;
        }
    }
    Ok(())
}

/// What is wrong with the piece that stands under `key` in the tree of pieces: it has no owner.
/// None if it has one. To be asked while nothing is carried into sled.
pub(super) fn orphan(trees: &Trees, key: &[u8]) -> Result<Option<(Table, Vec<u8>, String)>, StoreError> {
    let parts = || {
        let (table, rest) = key.split_first()?;
        let (rest, piece) = rest.split_last_chunk::<2>()?;
        let (owner, generation) = rest.split_last_chunk::<8>()?;
        let table = Table::ALL.get(usize::from(*table))?;
        Some((*table, owner, u64::from_be_bytes(*generation), u16::from_be_bytes(*piece)))
    };
    let Some((table, owner, generation, piece)) = parts() else {
        return Ok(Some((Table::Meta, key.to_vec(), "a piece whose key names no owner".into())));
    };
    let stored = trees.of(table).get(owner).map_err(engine)?;
    let owned = stored.as_deref().and_then(pieces_head).is_some_and(|(own, count)| own == generation && piece < count);
    // Nobody writes to sled meanwhile (the caller sees to that), so this is no race.
    if owned || !trees.pieces().contains_key(key).map_err(engine)? {
        return Ok(None);
    }
    Ok(Some((table, owner.to_vec(), format!("piece {piece} of a value (write {generation}) that is not there"))))
}
