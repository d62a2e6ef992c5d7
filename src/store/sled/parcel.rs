//! A batch as the writer gets it, with what it writes in one piece of memory.
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
    /// Looked at and let go at once.
    pub(super) requires: Vec<(Table, Vec<u8>, Requirement)>,
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
        Parcel { requires: batch.requires, writes, appends, bytes, is_patient }
    }
}

/// `bytes` as the next part of `whole`.
fn part(whole: &mut BytesMut, bytes: &[u8]) -> Bytes {
    whole.extend_from_slice(bytes);
    whole.split().freeze()
}
