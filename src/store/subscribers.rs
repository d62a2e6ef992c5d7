//! Subscriptions by id and by address.

use super::kv::{Batch, Range};
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::{Address, Subscription, SubscriptionId};

/// A pointer: the id of the subscription of an address.
impl Record for SubscriptionId {
    const KIND: u8 = b'U';
    const SCHEMA: u8 = 1;
}

pub(super) fn id_key(id: SubscriptionId) -> Vec<u8> {
    [&b"s"[..], id.0.as_bytes()].concat()
}

pub(super) fn address_key(address: &Address) -> Vec<u8> {
    [b"m", address.folded().as_bytes()].concat()
}

impl Store {
    /// The subscription of this id.
    pub fn subscription(&self, id: SubscriptionId) -> Result<Option<Stored<Subscription>>, StoreError> {
        self.stored(Table::Subscribers, &id_key(id))
    }

    /// The subscription of a mailbox, however its address is spelled.
    pub fn subscription_of(&self, address: &Address) -> Result<Option<Stored<Subscription>>, StoreError> {
        let pointer: Option<Stored<SubscriptionId>> = self.stored(Table::Subscribers, &address_key(address))?;
        pointer.map_or(Ok(None), |pointer| self.subscription(pointer.record))
    }

    /// Puts `new` into `batch`, which then requires that it is still as `old` says, or that neither id nor address
    /// is known. The address of a stored subscription stays.
    pub fn write_subscription(&self, batch: &mut Batch, old: Option<&Stored<Subscription>>, new: &Subscription) {
        let key = id_key(new.id);
        match old {
            Some(old) => batch.require_is(Table::Subscribers, key.clone(), old.raw.clone()),
            None => {
                let address = address_key(&new.address);
                batch.require_absent(Table::Subscribers, key.clone());
                batch.require_absent(Table::Subscribers, address.clone());
                let value = record::encode(&address, &new.id);
                batch.put(Table::Subscribers, address, value);
            }
        }
        let value = record::encode(&key, new);
        batch.put(Table::Subscribers, key, value);
    }

    /// `batch` then applies only if the subscription is still as it was read.
    pub fn require_subscription(&self, batch: &mut Batch, read: &Stored<Subscription>) {
        batch.require_is(Table::Subscribers, id_key(read.record.id), read.raw.clone());
    }

    /// Up to `limit` subscriptions behind `after`, in the order of their ids, which is no order in time.
    pub fn subscriptions(
        &self,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Stored<Subscription>>, StoreError> {
        let mut range = Range::prefix(*b"s").limit(limit);
        if let Some(after) = after {
            range = range.after(id_key(after));
        }
        let rows = self.kv.range(Table::Subscribers, range)?;
        let read = |(key, raw): (Vec<u8>, Vec<u8>)| {
            Ok(Stored { record: record::decode(Table::Subscribers, &key, &raw)?, raw })
        };
        rows.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Selection, SubscriptionState, Time};
    use crate::store::{CommitError, wait};

    #[test]
    fn a_mailbox_has_one_subscription_however_its_address_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let subscription = |number: u128, address: &str| Subscription {
            id: SubscriptionId(uuid::Uuid::from_u128(number)),
            address: Address::parse("address", address).unwrap(),
            selection: Selection::all(),
            wished: None,
            state: SubscriptionState::Pending,
            round: 1,
            created_at: Time::UNIX_EPOCH,
            asked_at: Time::UNIX_EPOCH,
        };
        let add = |new: &Subscription| {
            let mut batch = Batch::default();
            store.write_subscription(&mut batch, None, new);
            wait(store.commit(batch))
        };
        let first = subscription(7, "Reader@example.org");
        add(&first).unwrap();
        assert!(matches!(add(&subscription(8, "reader@EXAMPLE.org")), Err(CommitError::Conflict { .. })));
        add(&subscription(3, "other@example.org")).unwrap();
        let found = store.subscription_of(&Address::parse("address", "READER@example.org").unwrap()).unwrap().unwrap();
        assert_eq!(found.record, first);
        let numbers = |after, limit| {
            let page = store.subscriptions(after, limit).unwrap();
            page.iter().map(|stored| stored.record.id.0.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(None, 1), [3]);
        assert_eq!(numbers(Some(SubscriptionId(uuid::Uuid::from_u128(3))), 10), [7]);
    }
}
