//! The blocks that a thread saw last. Lookups mostly come in the order of keys, and finding a block takes sled several times
//! as long as it takes to find a row in it.
//!
//! A block that was seen holds as long as nothing was carried into sled since. While a turn is on its way, what it changes
//! is still read from memory; so the turn ends, here, before it is taken out of there.

use super::block::{Found, Unreadable, Value, search};
use crate::store::{StoreError, Table};
use sled::IVec;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Turns are numbered through all stores: a thread that reads several mistakes no block of one for that of another.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// Blocks of a table that a thread remembers. Mail goes out by many connections, each at a place of its own in the same
/// order, and what is looked up on the way stands in others.
const BLOCKS_MAX: usize = 64;
/// Keys behind all rows of a block before it is asked where the block ends, which takes as long as finding another.
const BEHIND_MAX: u8 = 2;

thread_local! {
    static SEEN: RefCell<[Seen; Table::ALL.len()]> = RefCell::default();
}

/// Blocks of one table, as they were in one turn.
#[derive(Debug, Default)]
struct Seen {
    turn: u64,
    /// Counts lookups.
    now: u64,
    /// By their keys.
    blocks: BTreeMap<IVec, Block>,
}

#[derive(Debug)]
struct Block {
    bytes: IVec,
    /// When it was looked at last.
    used: u64,
    /// How many keys were looked for that come behind all its rows.
    behind: u8,
    /// The key of the next block, once it has been asked for; none in it if there is no other.
    end: Option<Option<IVec>>,
}

/// What is known of a key without asking sled.
pub(super) enum Near {
    /// Its value, if there is such a key.
    Found(Option<Value<'static>>),
    /// Nothing: its block is none of those that were seen.
    Elsewhere,
}

/// The number of the turn that a store is in.
#[derive(Debug, Clone)]
pub(super) struct Turn(Arc<AtomicU64>);

impl Turn {
    pub(super) fn new() -> Self {
        Turn(Arc::new(AtomicU64::new(another())))
    }

    /// To be asked after what is recent has been looked at, and before sled is.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Sled has changed: nothing that was seen holds any more.
    pub(super) fn end(&self) {
        self.0.store(another(), Ordering::Release);
    }
}

fn another() -> u64 {
    TURNS.fetch_add(1, Ordering::Relaxed)
}

/// What a block that was seen says of `key`; `next` finds the key of the block behind one.
///
/// Errors: those of `next`.
pub(super) fn near(
    table: Table,
    turn: u64,
    key: &[u8],
    next: impl FnOnce(&[u8]) -> Result<Option<IVec>, StoreError>,
) -> Result<Near, StoreError> {
    SEEN.with_borrow_mut(|seen| {
        let seen = &mut seen[table as usize];
        if seen.turn != turn {
            return Ok(Near::Elsewhere);
        }
        seen.now += 1;
        let mut before = seen.blocks.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let Some((first, block)) = before.next_back() else { return Ok(Near::Elsewhere) };
        block.used = seen.now;
        match search(&block.bytes, key) {
            Ok(Found::Here(value)) => Ok(Near::Found(Some(value.into_owned()))),
            Ok(Found::Nowhere) => Ok(Near::Found(None)),
            Ok(Found::Behind) => {
                let end = match &block.end {
                    Some(end) => end,
                    None if block.behind < BEHIND_MAX => {
                        block.behind += 1;
                        return Ok(Near::Elsewhere);
                    }
                    None => block.end.insert(next(first)?),
                };
                let is_within = end.as_ref().is_none_or(|end| key < &**end);
                Ok(if is_within { Near::Found(None) } else { Near::Elsewhere })
            }
            // Whoever reads it from sled tells.
            Err(Unreadable) => Ok(Near::Elsewhere),
        }
    })
}

/// Remembers a block that sled had at `turn` or later.
pub(super) fn remember(table: Table, turn: u64, first: IVec, block: IVec) {
    SEEN.with_borrow_mut(|seen| {
        let seen = &mut seen[table as usize];
        if seen.turn != turn {
            seen.turn = turn;
            seen.blocks.clear();
        }
        let before = seen.blocks.get(&first);
        let behind = before.map_or(0, |before| before.behind);
        if before.is_none() && seen.blocks.len() >= BLOCKS_MAX {
            let oldest = seen.blocks.iter().min_by_key(|(_, block)| block.used).map(|(first, _)| first.clone());
            oldest.and_then(|oldest| seen.blocks.remove(&oldest));
        }
        seen.blocks.insert(first, Block { bytes: block, used: seen.now, behind, end: None });
    });
}
