//! The last states of a feed, which readers come back from: of each item it is known in which of them it stood just as it
//! does now, so that a reader can be sent what is new to him and nothing else, whatever made it new.

use super::built::Kept;
use crate::wire::pieces::Digest;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// States of one feed that a reader may come back from and be sent the difference alone: a bit of [`Seen`] each.
const STATES_MAX: usize = 32;

/// Items that are gone and kept in mind; of more, one that comes back is sent once more.
const GONE_MAX: usize = 256;

/// In which states an item stood; the bits go round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen(u32);

impl Seen {
    fn bit(number: u64) -> Self {
        Seen(1 << (number % STATES_MAX as u64))
    }

    /// Was it there in state `number`, one of the last?
    pub(super) fn is_in(self, number: u64) -> bool {
        self.0 & Seen::bit(number).0 != 0
    }
}

/// The last states of a feed.
#[derive(Debug, Default)]
pub(super) struct States {
    /// Entity tags of the plain bytes, oldest first.
    tags: VecDeque<Bytes>,
    /// Number of the newest.
    newest: u64,
    /// Items of these states that are not in the newest, and may come back: a retraction lets an older one in again.
    gone: Vec<(Digest, Seen)>,
}

impl States {
    /// Takes note of the state with `tag`, whose `items` follow `before`; returns its number.
    pub(super) fn note(&mut self, tag: &Bytes, items: &mut [Kept], before: &[Kept]) -> u64 {
        if self.tags.back() != Some(tag) {
            if self.tags.len() == STATES_MAX {
                self.tags.pop_front();
            }
            self.tags.push_back(tag.clone());
            self.newest += 1;
        }
        let Seen(bit) = Seen::bit(self.newest);
        let before = before.iter().map(|item| (item.digest, item.seen));
        let mut known: HashMap<Digest, Seen> = std::mem::take(&mut self.gone).into_iter().chain(before).collect();
        for item in items {
            let Seen(seen) = known.remove(&item.digest).unwrap_or_default();
            item.seen = Seen((seen & !bit) | bit);
        }
        let gone = known.into_iter().map(|(digest, Seen(seen))| (digest, Seen(seen & !bit)));
        self.gone = gone.filter(|(_, seen)| *seen != Seen::default()).take(GONE_MAX).collect();
        self.newest
    }

    /// Number of the state that a reader with the entity tag `known` has, whatever its coding; none if it is forgotten.
    pub(super) fn number(&self, known: &[u8]) -> Option<u64> {
        let is_it = |tag: &Bytes| tag.len() > 2 && known.starts_with(&tag[..tag.len() - 1]);
        let back = self.tags.iter().rev().position(is_it)?;
        self.newest.checked_sub(back as u64)
    }
}

/// Does what is known of items in state `at` tell anything of state `number`?
pub(super) fn is_told_of(number: u64, at: u64) -> bool {
    number <= at && at - number < STATES_MAX as u64
}
