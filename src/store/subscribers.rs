//! Subscribers and subscriptions by id, with what is due of them, and subscribers by address.
//!
//! The subscriber of an address bears the id of its first subscription. So whoever goes through subscriptions in the order of
//! their ids, as all who mail do, finds nearly all subscribers in the same order: in the order of addresses, each would be on
//! a page of its own, and with a million of them sled would read one page for each and keep most of them in memory.

use super::articles::{Due, due};
use super::kv::{Batch, Range};
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::{Address, Subscriber, SubscriberId, Subscription, SubscriptionId};

impl Record for Subscriber {
    const KIND: u8 = b'B';
    const SCHEMA: u8 = 2;
}

/// A pointer: whose an address is.
impl Record for SubscriberId {
    const KIND: u8 = b'D';
    const SCHEMA: u8 = 1;
}

pub(super) fn id_key(id: SubscriptionId) -> Vec<u8> {
    [&b"s"[..], id.0.as_bytes()].concat()
}

pub(super) fn address_key(address: &Address) -> Vec<u8> {
    [b"m", address.folded().as_bytes()].concat()
}

pub(super) fn owner_key(id: SubscriberId) -> Vec<u8> {
    [&b"o"[..], id.0.as_bytes()].concat()
}

/// The due rows that `subscription` calls for.
pub(super) fn due_keys(subscription: &Subscription) -> impl Iterator<Item = Vec<u8>> {
    let id = *subscription.id.0.as_bytes();
    let digest = subscription.digests.next.as_ref().map(|next| due(Due::Digest, next.at, &id));
    let erasure = subscription.erase_at.map(|at| due(Due::Erasure, at, &id));
    digest.into_iter().chain(erasure)
}

impl Store {
    /// The subscription of this id.
    pub fn subscription(&self, id: SubscriptionId) -> Result<Option<Stored<Subscription>>, StoreError> {
        self.stored(Table::Subscribers, &id_key(id))
    }

    /// The subscriber of a mailbox, however its address is spelled.
    pub fn subscriber_of(&self, address: &Address) -> Result<Option<Stored<Subscriber>>, StoreError> {
        let id: Option<Stored<SubscriberId>> = self.stored(Table::Subscribers, &address_key(address))?;
        id.map_or(Ok(None), |id| self.subscriber(id.record))
    }

    /// The subscriber of this id.
    pub fn subscriber(&self, id: SubscriberId) -> Result<Option<Stored<Subscriber>>, StoreError> {
        self.stored(Table::Subscribers, &owner_key(id))
    }

    /// All subscriptions of `subscriber`, the oldest first.
    pub fn subscriptions_of(&self, subscriber: &Subscriber) -> Result<Vec<Stored<Subscription>>, StoreError> {
        let mut all = Vec::with_capacity(subscriber.subscriptions.len());
        for id in &subscriber.subscriptions {
            all.extend(self.subscription(*id)?);
        }
        Ok(all)
    }

    /// Puts `new` into `batch`, which then requires that it is still as `old` says, or that its address is still nobody's. The
    /// address of a stored subscriber stays.
    pub fn write_subscriber(&self, batch: &mut Batch, old: Option<&Stored<Subscriber>>, new: &Subscriber) {
        record::put_over(batch, Table::Subscribers, &owner_key(new.id), old, new);
        if old.is_none() {
            let key = address_key(&new.address);
            record::put_over(batch, Table::Subscribers, &key, None, &new.id);
        }
    }

    /// Takes a subscriber out, once its subscriptions are. The batch requires that it is still as it was read.
    pub fn delete_subscriber(&self, batch: &mut Batch, old: &Stored<Subscriber>) {
        let key = owner_key(old.record.id);
        batch.require_is(Table::Subscribers, key.clone(), old.raw.clone());
        batch.delete(Table::Subscribers, key);
        batch.delete(Table::Subscribers, address_key(&old.record.address));
    }

    /// Puts `new` and what is due of it into `batch`, which then requires that it is still as `old` says, or still
    /// unknown. Its subscriber has to be written to know a new one. The address of a stored one stays.
    pub fn write_subscription(&self, batch: &mut Batch, old: Option<&Stored<Subscription>>, new: &Subscription) {
        let key = id_key(new.id);
        record::put_over(batch, Table::Subscribers, &key, old, new);
        let before: Vec<_> = old.into_iter().flat_map(|old| due_keys(&old.record)).collect();
        let after: Vec<_> = due_keys(new).collect();
        for key in before.iter().filter(|key| !after.contains(key)) {
            batch.delete(Table::Due, key.as_slice());
        }
        for key in after.into_iter().filter(|key| !before.contains(key)) {
            batch.put(Table::Due, key, []);
        }
    }

    /// Takes a subscription out with what is due of it. The batch requires that it is still as it was read.
    pub fn delete_subscription(&self, batch: &mut Batch, old: &Stored<Subscription>) {
        self.require_subscription(batch, old);
        batch.delete(Table::Subscribers, id_key(old.record.id));
        due_keys(&old.record).for_each(|key| batch.delete(Table::Due, key));
    }

    /// Puts a subscription and its subscriber, both new, into `batch`.
    pub fn write_first_subscription(&self, batch: &mut Batch, new: &Subscription) {
        self.write_subscription(batch, None, new);
        self.write_subscriber(batch, None, &Subscriber::of(new));
    }

    /// `batch` then applies only if the subscription is still as it was read.
    pub fn require_subscription(&self, batch: &mut Batch, read: &Stored<Subscription>) {
        batch.require_is(Table::Subscribers, id_key(read.record.id), read.raw.clone());
    }

    /// Is anybody subscribed, confirmed or not?
    pub fn has_subscriptions(&self) -> Result<bool, StoreError> {
        Ok(!self.kv.range(Table::Subscribers, Range::prefix(*b"s").limit(1))?.is_empty())
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
    use crate::domain::{Cadence, Digests, Edition, Hour, Selection, SubscriptionState, Time, Weekdays, Window};
    use crate::store::{CommitError, check, wait};
    use uuid::Uuid;

    fn subscription(number: u128, address: &str) -> Subscription {
        let address = Address::parse("address", address).unwrap();
        Subscription::asked(SubscriptionId(Uuid::from_u128(number)), address, Selection::all(), Time::UNIX_EPOCH)
    }

    #[test]
    fn a_mailbox_has_one_subscriber_however_its_address_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let add = |new: &Subscription| {
            let mut batch = Batch::default();
            store.write_first_subscription(&mut batch, new);
            wait(store.commit(batch))
        };
        let first = subscription(7, "Reader@example.org");
        add(&first).unwrap();
        let second = subscription(8, "reader@EXAMPLE.org");
        assert!(matches!(add(&second), Err(CommitError::Conflict { .. })));
        add(&subscription(3, "other@example.org")).unwrap();
        let found = || store.subscriber_of(&Address::parse("address", "READER@example.org").unwrap()).unwrap().unwrap();
        let reader = found();
        assert_eq!(store.subscriptions_of(&reader.record).unwrap()[0].record, first);
        let mut batch = Batch::default();
        store.write_subscription(&mut batch, None, &second.of(&reader.record));
        let both =
            Subscriber { subscriptions: vec![first.id, SubscriptionId(Uuid::from_u128(8))], ..reader.record.clone() };
        store.write_subscriber(&mut batch, Some(&reader), &both);
        wait(store.commit(batch)).unwrap();
        assert_eq!(found().record, both);
        assert_eq!(store.subscriber(both.id).unwrap().unwrap().record, both);
        let numbers = |after, limit| {
            let page = store.subscriptions(after, limit).unwrap();
            page.iter().map(|stored| stored.record.id.0.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(None, 1), [3]);
        assert_eq!(numbers(Some(SubscriptionId(Uuid::from_u128(3))), 10), [7, 8]);
        assert!(check(&store).is_clean());
    }

    #[test]
    fn a_subscriber_outlives_the_subscription_whose_id_it_bears() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = subscription(7, "reader@example.org");
        let mut batch = Batch::default();
        store.write_first_subscription(&mut batch, &first);
        wait(store.commit(batch)).unwrap();
        let reader = store.subscriber(first.subscriber()).unwrap().unwrap();
        let second = subscription(8, "reader@example.org").of(&reader.record);
        let only = Subscriber { subscriptions: vec![second.id], ..reader.record.clone() };
        let mut batch = Batch::default();
        store.write_subscription(&mut batch, None, &second);
        store.delete_subscription(&mut batch, &store.subscription(first.id).unwrap().unwrap());
        store.write_subscriber(&mut batch, Some(&reader), &only);
        wait(store.commit(batch)).unwrap();
        let stored = store.subscription(second.id).unwrap().unwrap().record;
        assert_eq!(store.subscriber(stored.subscriber()).unwrap().unwrap().record, only);
        assert_eq!(store.subscriber_of(&first.address).unwrap().unwrap().record, only);
        assert!(check(&store).is_clean());
    }

    #[test]
    fn the_due_rows_of_a_subscription_follow_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = subscription(7, "reader@example.org");
        let mut batch = Batch::default();
        store.write_first_subscription(&mut batch, &first);
        wait(store.commit(batch)).unwrap();
        let at = Time::UNIX_EPOCH + chrono::Duration::days(1);
        let window = Window { edition: Edition::of(at.date_naive()), at };
        let confirmed = Subscription {
            state: SubscriptionState::Confirmed { at },
            cadence: Cadence::Daily { hour: Hour::try_from(0).unwrap(), days: Weekdays::ALL },
            digests: Digests { next: Some(window), ..Digests::default() },
            erase_at: None,
            ..first.clone()
        };
        for (new, digests, erasures) in [(&first, 0, 1), (&confirmed, 1, 0), (&confirmed.left(at), 0, 1)] {
            let old = store.subscription(new.id).unwrap().unwrap();
            let mut batch = Batch::default();
            store.write_subscription(&mut batch, Some(&old), new);
            wait(store.commit(batch)).unwrap();
            assert_eq!(store.count_due(Due::Digest, 9).unwrap(), digests);
            assert_eq!(store.count_due(Due::Erasure, 9).unwrap(), erasures);
            assert!(check(&store).is_clean());
        }
        let mut batch = Batch::default();
        store.delete_subscription(&mut batch, &store.subscription(first.id).unwrap().unwrap());
        store.delete_subscriber(&mut batch, &store.subscriber_of(&first.address).unwrap().unwrap());
        wait(store.commit(batch)).unwrap();
        assert_eq!(store.count_due(Due::Erasure, 9).unwrap(), 0);
        assert!(store.subscriber(Subscriber::of(&first).id).unwrap().is_none());
        assert!(check(&store).is_clean());
    }
}
