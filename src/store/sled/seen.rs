//! The blocks that a thread saw last. Lookups mostly come in the order of keys, and finding a block takes sled several times
//! as long as it takes to find a row in it.
//!
//! A block that was seen holds as long as nothing was carried into sled since. While a turn is on its way, what it changes
//! is still read from memory; so the turn ends, here, before it is taken out of there.

use super::block::{Found, Unreadable, Value, search};
use crate::store::{StoreError, Table};
use sled::IVec;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Turns are numbered through all stores: a thread that reads several mistakes no block of one for that of another.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// Blocks of a table that a thread remembers: who goes along one order looks things up in others on the way.
const SLOTS: usize = 4;
/// Keys behind all rows of a block before it is asked where the block ends, which takes as long as finding another.
const BEHIND_MAX: u8 = 2;

type Slots = [Option<Seen>; SLOTS];

thread_local! {
    static SEEN: RefCell<[Slots; Table::ALL.len()]> =
        const { RefCell::new([const { [const { None }; SLOTS] }; Table::ALL.len()]) };
}

#[derive(Debug)]
struct Seen {
    turn: u64,
    /// Its key.
    first: IVec,
    block: IVec,
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
        let before = seen[table as usize].iter_mut().flatten().filter(|seen| seen.turn == turn && &*seen.first <= key);
        let Some(seen) = before.max_by(|one, other| one.first.cmp(&other.first)) else { return Ok(Near::Elsewhere) };
        match search(&seen.block, key) {
            Ok(Found::Here(value)) => Ok(Near::Found(Some(value.into_owned()))),
            Ok(Found::Nowhere) => Ok(Near::Found(None)),
            Ok(Found::Behind) => {
                let end = match &seen.end {
                    Some(end) => end,
                    None if seen.behind < BEHIND_MAX => {
                        seen.behind += 1;
                        return Ok(Near::Elsewhere);
                    }
                    None => seen.end.insert(next(&seen.first)?),
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
        let slots = &mut seen[table as usize];
        slots.rotate_right(1);
        slots[0] = Some(Seen { turn, first, block, behind: 0, end: None });
    });
}
