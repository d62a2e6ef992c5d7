//! A batch as the writer gets it, in two pieces of memory: what it requires, and what it writes.
//!
//! Rows are made by the threads of many callers, and let go by another one, at the latest when sled has them. To give back
//! what another thread took is dear: so there is a piece to give back, and not each key and each value by itself. And keys
//! that are held against each other while they are sorted in lie together.

use crate::store::Table;
use crate::store::kv::{Batch, Requirement, Write};
use crate::store::numbers::Numbers;
use bytes::{Bytes, BytesMut};

/// A batch.
#[derive(Debug)]
pub(super) struct Parcel {
    /// What each key has to hold; none if there must be no such key.
    pub(super) requires: Vec<(Table, Bytes, Option<Bytes>)>,
    pub(super) writes: Vec<(Table, Bytes, Change)>,
    pub(super) appends: Vec<Bytes>,
    /// About how many it writes.
    pub(super) bytes: usize,
    /// As [`Batch::patiently`].
    pub(super) is_patient: bool,
}

/// One write.
#[derive(Debug)]
pub(super) enum Change {
    Put(Bytes),
    Delete,
    Add(Numbers),
}

impl From<Batch> for Parcel {
    fn from(batch: Batch) -> Self {
        let (bytes, is_patient) = (batch.bytes(), batch.is_patient);
        // Not in one with the writes, which are kept for longer.
        let mut whole = BytesMut::with_capacity(required_bytes(&batch));
        let mut requires = Vec::with_capacity(batch.requires.len());
        for (table, key, requirement) in batch.requires {
            let value = match requirement {
                Requirement::Absent => None,
                Requirement::Is(value) => Some(part(&mut whole, &value)),
            };
            requires.push((table, part(&mut whole, &key), value));
        }
        let mut whole = BytesMut::with_capacity(bytes);
        let mut writes = Vec::with_capacity(batch.writes.len());
        for (table, key, write) in batch.writes {
            let change = match write {
                Write::Put(value) => Change::Put(part(&mut whole, &value)),
                Write::Delete => Change::Delete,
                Write::Add(numbers) => Change::Add(numbers),
            };
            writes.push((table, part(&mut whole, &key), change));
        }
        let appends = batch.appends.iter().map(|entry| part(&mut whole, entry)).collect();
        Parcel { requires, writes, appends, bytes, is_patient }
    }
}

fn required_bytes(batch: &Batch) -> usize {
    let one = |(_, key, requirement): &(Table, Vec<u8>, Requirement)| match requirement {
        Requirement::Absent => key.len(),
        Requirement::Is(value) => key.len() + value.len(),
    };
    batch.requires.iter().map(one).sum()
}

/// `bytes` as the next part of `whole`.
fn part(whole: &mut BytesMut, bytes: &[u8]) -> Bytes {
    whole.extend_from_slice(bytes);
    whole.split().freeze()
}
