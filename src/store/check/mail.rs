//! What subscribers and ledger have to agree on.

use super::Checked;
use crate::domain::{Subscriber, SubscriberId, Subscription, SubscriptionId};
use crate::store::articles::Due;
use crate::store::corrections::PREFIX;
use crate::store::ledger::LedgerRow;
use crate::store::record::{self, Record};
use crate::store::subscribers::{address_key, due_keys, id_key, owner_key};
use crate::store::{Correction, Message, Never, Spent, Table, Wording};
use uuid::Uuid;

impl Checked<'_> {
    /// Every subscription is its subscriber's, every subscriber is found by address and id, and what is due of them has
    /// its rows.
    pub(super) fn subscribers(&mut self) {
        let mut there = 0_usize;
        self.each(Table::Subscribers, |checked, key, value| match key.first() {
            Some(b's') => {
                let subscription = checked.decode::<Subscription>(Table::Subscribers, key, key, value);
                let Some(subscription) = subscription else { return };
                if id_key(subscription.id) != key {
                    let what = format!("holds the subscription {}", subscription.id);
                    return checked.report.add(Table::Subscribers, key, what);
                }
                let owner = owner_key(subscription.subscriber());
                let subscriber: Option<Subscriber> = checked.found(&owner);
                if !subscriber.is_some_and(|subscriber| subscriber.subscriptions.contains(&subscription.id)) {
                    checked.report.add(Table::Subscribers, &owner, format!("does not lead to {}", subscription.id));
                }
                for due in due_keys(&subscription) {
                    there += usize::from(checked.expect_row(Table::Due, &due, "a subscription", |_| true));
                }
            }
            Some(b'm') => {
                let Some(id) = checked.decode::<SubscriberId>(Table::Subscribers, key, key, value) else { return };
                let subscriber: Option<Subscriber> = checked.found(&owner_key(id));
                if subscriber.is_none_or(|subscriber| address_key(&subscriber.address) != key) {
                    checked.report.add(Table::Subscribers, key, format!("an extra row: {id} has another address"));
                }
            }
            Some(b'o') => {
                let Some(subscriber) = checked.decode::<Subscriber>(Table::Subscribers, key, key, value) else {
                    return;
                };
                if owner_key(subscriber.id) != key {
                    checked.report.add(Table::Subscribers, key, format!("holds the subscriber {}", subscriber.id));
                }
                let address = address_key(&subscriber.address);
                if checked.found::<SubscriberId>(&address) != Some(subscriber.id) {
                    let what = format!("does not lead to the subscriber {}", subscriber.id);
                    checked.report.add(Table::Subscribers, &address, what);
                }
                if subscriber.subscriptions.is_empty() {
                    checked.report.add(Table::Subscribers, key, "a subscriber without a subscription");
                }
                for id in subscriber.subscriptions {
                    if checked.subscription(id).is_none_or(|subscription| subscription.subscriber() != subscriber.id) {
                        checked.report.add(Table::Subscribers, key, format!("the subscription {id} is not its own"));
                    }
                }
            }
            Some(b'b') => drop(checked.decode::<Spent>(Table::Subscribers, key, key, value)),
            Some(b'n') => drop(checked.decode::<Never>(Table::Subscribers, key, key, value)),
            Some(b'w') => drop(checked.decode::<Wording>(Table::Subscribers, key, key, value)),
            Some(_) | None => checked.report.add(Table::Subscribers, key, "a row of no known kind"),
        });
        self.no_more_due(&[Due::Digest, Due::Erasure], there, |checked, key| {
            let id = key.get(9..).and_then(|id| id.try_into().ok()).map(|id| SubscriptionId(Uuid::from_bytes(id)));
            let subscription = id.and_then(|id| checked.subscription(id));
            if !subscription.is_some_and(|subscription| due_keys(&subscription).any(|due| due == key)) {
                checked.report.add(Table::Due, key, "an extra row: no subscription waits for it");
            }
        });
    }

    /// Every message has the due row that its state calls for, and belongs to a subscription, unless it is a test.
    pub(super) fn ledger(&mut self) {
        let mut there = 0_usize;
        self.each(Table::Ledger, |checked, key, value| {
            let Some(row) = checked.decode::<LedgerRow>(Table::Ledger, key, key, value) else { return };
            if row.key().as_bytes() != key {
                return checked.report.add(Table::Ledger, key, "holds the row of another message");
            }
            // These are to somebody without one.
            let is_free = matches!(row.message, Message::Canary { .. } | Message::Test { .. });
            if !is_free && checked.subscription(row.subscription).is_none() {
                checked.report.add(Table::Ledger, key, format!("there is no subscription {}", row.subscription));
            }
            if let Some(due) = row.due_key() {
                there += usize::from(checked.expect_row(Table::Due, &due, "a message", |_| true));
            }
        });
        self.no_more_due(&[Due::Message, Due::OnWire], there, |checked, key| {
            let message = key.get(9..).unwrap_or_default();
            let value = checked.snapshot.get(Table::Ledger, message).ok().flatten();
            let row: Option<LedgerRow> = value.and_then(|value| record::decode(Table::Ledger, message, &value).ok());
            if row.and_then(|row| row.due_key()).is_none_or(|due| due != key) {
                checked.report.add(Table::Due, key, "an extra row: no message waits for it");
            }
        });
    }

    /// Every correction is of an article, and has a due row until it is made out to all.
    pub(super) fn corrections(&mut self) {
        let mut there = 0_usize;
        self.each(Table::Meta, |checked, key, value| {
            if !key.starts_with(PREFIX) {
                return;
            }
            let Some(correction) = checked.decode::<Correction>(Table::Meta, key, key, value) else { return };
            if correction.key() != key {
                return checked.report.add(Table::Meta, key, "holds another correction");
            }
            if checked.article(&correction.article).is_none() {
                checked.report.add(Table::Meta, key, format!("there is no article {}", correction.article));
            }
            if let Some(due) = correction.due_key() {
                there += usize::from(checked.expect_row(Table::Due, &due, "a correction", |_| true));
            }
        });
        self.no_more_due(&[Due::Correction], there, |checked, key| {
            let key_of = [PREFIX, key.get(9..).unwrap_or_default()].concat();
            let value = checked.snapshot.get(Table::Meta, &key_of).ok().flatten();
            let found: Option<Correction> = value.and_then(|value| record::decode(Table::Meta, &key_of, &value).ok());
            if found.and_then(|correction| correction.due_key()).is_none_or(|due| due != key) {
                checked.report.add(Table::Due, key, "an extra row: no correction waits for it");
            }
        });
    }

    /// Hands the due rows of these kinds to `each` if there are more of them than `there`, which are those that are called
    /// for and were found: a table with just as many has no other.
    fn no_more_due(&mut self, kinds: &[Due], there: usize, each: impl Fn(&mut Self, &[u8])) {
        let is_ours = |key: &[u8]| kinds.iter().any(|kind| key.starts_with(kind.prefix()));
        let mut found = 0_usize;
        self.each(Table::Due, |_, key, _| found += usize::from(is_ours(key)));
        if found != there {
            self.each(Table::Due, |checked, key, _| {
                if is_ours(key) {
                    each(checked, key);
                }
            });
        }
    }

    fn subscription(&self, id: SubscriptionId) -> Option<Subscription> {
        self.found(&id_key(id))
    }

    fn found<R: Record>(&self, key: &[u8]) -> Option<R> {
        let value = self.snapshot.get(Table::Subscribers, key).ok().flatten()?;
        record::decode(Table::Subscribers, key, &value).ok()
    }
}
