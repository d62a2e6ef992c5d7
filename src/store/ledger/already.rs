//! What an address has been told of already, by whichever of its subscriptions.

use super::{Delivery, LedgerRow, Message};
use crate::domain::{Change, Seq, Subscription};
use crate::store::{Store, StoreError};
use chrono::{Duration, NaiveDate};

/// A digest's window is a local date, which may be behind that of an article by a day.
const DATE_SPREAD: Duration = Duration::days(2);

impl LedgerRow {
    /// Has its reader got it, or is about to?
    pub fn is_good(&self) -> bool {
        match self.state {
            Delivery::Pending { .. } | Delivery::OnWire { .. } | Delivery::Sent { .. } => true,
            Delivery::Failed { .. } | Delivery::Recalled { .. } => false,
        }
    }

    /// Does it, a digest to `subscription`, tell of `change` at `place`? What it only counts it does not tell.
    pub fn tells_of(&self, subscription: &Subscription, place: Seq, change: &Change) -> bool {
        let Message::Digest { span, .. } = &self.message else { return false };
        match &self.told {
            Some(told) => told.from <= place && span.tells_of(&told.selection, place, change),
            None => span.tells_of(&subscription.selection, place, change),
        }
    }
}

impl Store {
    /// The digests that `subscription` has got or is about to, of those that may tell of what came out with `first` or
    /// later.
    pub fn good_digests(&self, subscription: &Subscription, first: &Change) -> Result<Vec<LedgerRow>, StoreError> {
        // Most have never had one.
        if subscription.digests.last.is_none() {
            return Ok(Vec::new());
        }
        let date: NaiveDate = (first.at - DATE_SPREAD).date_naive();
        let rows = self.digests_since(subscription.id, date)?;
        Ok(rows.into_iter().map(|stored| stored.record).filter(LedgerRow::is_good).collect())
    }
}
