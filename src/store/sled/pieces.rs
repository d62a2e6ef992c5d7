//! A value that is too large for a block, as pieces in a tree of their own: sled puts large pages into files it never
//! syncs.

use super::{Trees, engine};
use crate::store::{StoreError, Table};
use std::fmt;

/// A page with 16 of twice this would come near what sled still keeps in its log (128 KiB).
const PIECE_BYTES: usize = 4_096;

/// What stands in place of a value that is in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces {
    /// No two values ever have the same, so a reader never mixes the pieces of two.
    generation: u64,
    count: u16,
}

/// Whose a piece is.
pub(super) struct Owner<'a> {
    pub(super) table: Table,
    pub(super) key: &'a [u8],
    generation: u64,
    piece: u16,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "piece {} (write {})", self.piece, self.generation)
    }
}

impl Pieces {
    /// How long it is as bytes.
    pub(super) const BYTES: usize = 10;

    /// Cuts up `value`; `generation` has never been used before for another value.
    pub(super) fn cut(generation: u64, value: &[u8]) -> (Self, impl Iterator<Item = &[u8]>) {
        let pieces = value.chunks(PIECE_BYTES);
        // Values are bounded far below this many pieces (VALUE_BYTES_MAX).
        let count = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        (Pieces { generation, count }, pieces)
    }

    pub(super) fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.generation.to_be_bytes());
        out[8..].copy_from_slice(&self.count.to_be_bytes());
        out
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, count) = bytes.split_first_chunk::<8>()?;
        let count = u16::from_be_bytes(count.try_into().ok()?);
        Some(Pieces { generation: u64::from_be_bytes(*generation), count })
    }

    /// The keys of the pieces of the value under `key`, in their order.
    pub(super) fn keys(&self, table: Table, key: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let start = [&[table as u8][..], key, &self.generation.to_be_bytes()].concat();
        (0..self.count).map(move |piece| [&start[..], &piece.to_be_bytes()].concat())
    }

    /// The value under `key`; none if a piece of it is missing.
    pub(super) fn read(&self, trees: &Trees, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = Vec::with_capacity(usize::from(self.count) * PIECE_BYTES);
        for piece in self.keys(table, key) {
            match trees.pieces().get(piece).map_err(engine)? {
                Some(bytes) => value.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    /// Is the piece with such an owner one of these?
    pub(super) fn has(&self, owner: &Owner<'_>) -> bool {
        self.generation == owner.generation && owner.piece < self.count
    }
}

/// Whose the piece under `key` is, as the key tells.
pub(super) fn owner(key: &[u8]) -> Option<Owner<'_>> {
    let (table, rest) = key.split_first()?;
    let (rest, piece) = rest.split_last_chunk::<2>()?;
    let (key, generation) = rest.split_last_chunk::<8>()?;
    let table = *Table::ALL.get(usize::from(*table))?;
    Some(Owner { table, key, generation: u64::from_be_bytes(*generation), piece: u16::from_be_bytes(*piece) })
}
