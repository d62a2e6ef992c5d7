//! What subscribers and ledger have to agree on.

use super::Checked;
use crate::domain::{Subscription, SubscriptionId};
use crate::store::Table;
use crate::store::articles::Due;
use crate::store::ledger::LedgerRow;
use crate::store::record;
use crate::store::subscribers::{address_key, id_key};

impl Checked<'_> {
    /// Every subscription is found by its address, and every address leads to its subscription.
    pub(super) fn subscribers(&mut self) {
        self.each(Table::Subscribers, |checked, key, value| match key.first() {
            Some(b's') => {
                let subscription = checked.decode::<Subscription>(Table::Subscribers, key, key, value);
                let Some(subscription) = subscription else { return };
                if id_key(subscription.id) != key {
                    checked.report.add(Table::Subscribers, key, format!("holds the subscription {}", subscription.id));
                }
                let address = address_key(&subscription.address);
                if checked.pointer(&address) != Some(subscription.id) {
                    checked.report.add(Table::Subscribers, &address, format!("does not lead to {}", subscription.id));
                }
            }
            Some(b'm') => {
                let id = checked.decode::<SubscriptionId>(Table::Subscribers, key, key, value);
                let Some(id) = id else { return };
                if checked.subscription(id).is_none_or(|subscription| address_key(&subscription.address) != key) {
                    checked.report.add(Table::Subscribers, key, format!("an extra row: {id} has another address"));
                }
            }
            Some(_) | None => checked.report.add(Table::Subscribers, key, "a row of no known kind"),
        });
    }

    /// Every message has the due row that its state calls for, and belongs to a subscription.
    pub(super) fn ledger(&mut self) {
        let mut called_for = 0_usize;
        self.each(Table::Ledger, |checked, key, value| {
            let Some(row) = checked.decode::<LedgerRow>(Table::Ledger, key, key, value) else { return };
            if row.key().as_bytes() != key {
                checked.report.add(Table::Ledger, key, "holds the row of another message");
            }
            if checked.subscription(row.subscription).is_none() {
                checked.report.add(Table::Ledger, key, format!("there is no subscription {}", row.subscription));
            }
            if let Some(due) = row.due_key() {
                called_for += 1;
                if !matches!(checked.snapshot.get(Table::Due, &due), Ok(Some(_))) {
                    checked.report.add(Table::Due, &due, "missing, though a message waits for it");
                }
            }
        });
        // All that the messages call for were looked up, so a table with just as many has no other.
        let is_mail = |key: &[u8]| key.starts_with(Due::Message.prefix()) || key.starts_with(Due::OnWire.prefix());
        let mut found = 0_usize;
        self.each(Table::Due, |_, key, _| found += usize::from(is_mail(key)));
        if found == called_for {
            return;
        }
        self.each(Table::Due, |checked, key, _| {
            if !is_mail(key) {
                return;
            }
            let message = key.get(9..).unwrap_or_default();
            let value = checked.snapshot.get(Table::Ledger, message).ok().flatten();
            let row: Option<LedgerRow> = value.and_then(|value| record::decode(Table::Ledger, message, &value).ok());
            if row.and_then(|row| row.due_key()).is_none_or(|due| due != key) {
                checked.report.add(Table::Due, key, "an extra row: no message waits for it");
            }
        });
    }

    fn subscription(&self, id: SubscriptionId) -> Option<Subscription> {
        let key = id_key(id);
        let value = self.snapshot.get(Table::Subscribers, &key).ok().flatten()?;
        record::decode(Table::Subscribers, &key, &value).ok()
    }

    fn pointer(&self, key: &[u8]) -> Option<SubscriptionId> {
        let value = self.snapshot.get(Table::Subscribers, key).ok().flatten()?;
        record::decode(Table::Subscribers, key, &value).ok()
    }
}
