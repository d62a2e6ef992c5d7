//! What a digest leaves out: an address gets no article twice, neither at once and again in a digest, nor in two digests
//! of different hours.
//!
//! What it has got, or is about to, the ledger says. Who has one subscription needs no look: what it got at once ends where
//! its digest begins.

use super::{Digester, Published};
use crate::domain::{Change, Selection, Seq, Span, Subscriber, Subscription};
use crate::services::NOTIFY;
use crate::store::{Batch, LedgerKey, LedgerRow, Message, StoreError};
use std::sync::{Arc, PoisonError};

/// Articles of one digest that are looked up, the last ones: twice what a digest may tell. What came out before them is
/// not told.
const LOOKED_UP_MAX: usize = 1_000;
/// Different selections and stretches whose articles are remembered: some megabytes.
const REMEMBERED_MAX: usize = 64;

impl Digester {
    /// Takes out of `span` what the address gets by its other subscriptions; `made` are the digests of this batch. Is
    /// anything left? The batch then requires that no notice comes to be owed meanwhile.
    pub(super) fn leave_out(
        &self,
        batch: &mut Batch,
        made: &[LedgerRow],
        subscriber: &Subscriber,
        own: &Subscription,
        span: &mut Span,
    ) -> Result<bool, StoreError> {
        let published = self.published(&own.selection, (span.since, span.until))?;
        let Some((first, oldest)) = published.first() else { return Ok(false) };
        if published.len() == LOOKED_UP_MAX {
            span.since = Seq(first.0.saturating_sub(1));
        }
        // Behind this place notices may be owed that are not there yet.
        let owed_until = self.store.read_to(NOTIFY)?;
        let mut others = Vec::new();
        for stored in self.store.subscriptions_of(subscriber)? {
            let other = stored.record;
            if other.id != own.id {
                let mut digests = self.store.good_digests(&other, oldest)?;
                digests.extend(made.iter().filter(|row| row.subscription == other.id).cloned());
                others.push((other, digests));
            }
        }
        for (place, change) in published.iter() {
            for (other, digests) in &others {
                let key = LedgerKey::of(&Message::Notice { article: change.article.clone() }, other.id);
                let notice = self.store.message(&key)?;
                if notice.as_ref().is_some_and(|row| row.record.is_good())
                    || digests.iter().any(|row| row.tells_of(other, *place, change))
                {
                    span.without.push(*place);
                    break;
                }
                let may_come = *place > owed_until && other.cadence.is_instant();
                if notice.is_none() && may_come && change.is_news_for(&other.selection) {
                    self.store.require_no_message(batch, &key);
                }
            }
        }
        let is_left = |(place, change): &&(Seq, Change)| span.tells_of(&own.selection, *place, change);
        for (_, change) in published.iter().filter(is_left) {
            if self.store.told_of(change, self.article_age_max)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn published(&self, selection: &Selection, stretch: (Seq, Seq)) -> Result<Published, StoreError> {
        let key = (selection.clone(), stretch.0, stretch.1);
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).published.get(&key).map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let published = Arc::new(self.store.published(selection, stretch, LOOKED_UP_MAX)?);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.published.len() < REMEMBERED_MAX {
            shared.published.insert(key, Arc::clone(&published));
        }
        Ok(published)
    }
}
