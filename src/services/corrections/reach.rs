//! Whom a correction is for: what each was last told of the article, read off the ledger.

use crate::config::MailText;
use crate::domain::{Article, Change, ChangeKind, Edition, Seq, Slug, Subscription, SubscriptionId};
use crate::store::{Correction, Delivery, LedgerKey, LedgerRow, Message, Print, Revisions, Store, StoreError, Stored};
use crate::wire::mail;
use chrono::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Subscriptions that are read at once.
const PAGE_MAX: usize = 200;
/// The clock may have been set back between two entries of the log.
const CLOCK_SPREAD: Duration = Duration::hours(1);
/// A digest's edition is a local date, which may be behind that of the article by a day.
const DATE_SPREAD: Duration = Duration::days(2);

/// What it takes to know it.
pub(super) struct Reach {
    article: Article,
    /// What is right, and what mails tell of it.
    revision: u32,
    print: Print,
    of: Option<Revisions>,
    /// What has happened to the article, the first first.
    history: Vec<(Seq, Change)>,
    /// Did digests tell of it?
    is_news: bool,
    /// Of revisions that were looked up.
    prints: Mutex<HashMap<u32, Option<Print>>>,
}

/// One who is to get it.
pub(super) struct Owed {
    pub(super) subscription: SubscriptionId,
    /// The digest that told; none where a notice did.
    pub(super) digest: Option<Edition>,
    pub(super) list: Option<Slug>,
    /// Older corrections that have not gone out.
    pub(super) overtaken: Vec<Stored<LedgerRow>>,
}

impl Reach {
    /// Of a correction of `article` for `of`: one that was asked for, or would be now.
    pub(super) fn new(
        store: &Store,
        article: Article,
        of: Option<Revisions>,
        known: Option<&Correction>,
        (age_max, text): (Duration, MailText),
    ) -> Result<Self, StoreError> {
        let from = article.first_public_at.unwrap_or(article.created_at) - CLOCK_SPREAD;
        let history = store.history(&article.id, from)?;
        let is_news = published(&history).is_some_and(|(_, change)| article.is_fresh(change.at, age_max));
        let now = || Print(mail::print(&article, &mail::Said::of(&article.content, text)));
        let (revision, print) = known.map_or_else(|| (article.revision, now()), |known| (known.revision, known.print));
        Ok(Reach { article, revision, print, of, history, is_news, prints: Mutex::default() })
    }

    /// The revision that is right, and its print.
    pub(super) fn right(&self) -> (u32, Print) {
        (self.revision, self.print)
    }

    /// Is it of this correction?
    pub(super) fn is_of(&self, correction: &Correction) -> bool {
        (&self.article.id, self.revision, self.of) == (&correction.article, correction.revision, correction.of)
    }

    /// Who of the next subscriptions behind `after` is to get it, `owed_max` at most of some thousand, and the last one
    /// that was looked at; none behind the end. Reads many rows: use [`Store::scan`].
    ///
    /// All subscriptions are gone through, in pages: what one asks for now does not say what it was told, and of digests
    /// the ledger knows by subscription alone.
    pub(super) fn piece(
        &self,
        store: &Store,
        mut after: Option<SubscriptionId>,
        owed_max: usize,
        looked_max: usize,
    ) -> Result<Option<(Vec<Owed>, SubscriptionId)>, StoreError> {
        let (mut owed, mut looked, mut last) = (Vec::new(), 0, None);
        while owed.len() < owed_max && looked < looked_max {
            let page = store.subscriptions(after, PAGE_MAX.min(owed_max - owed.len()))?;
            let Some(end) = page.last().map(|stored| stored.record.id) else { break };
            looked += page.len();
            (after, last) = (Some(end), Some(end));
            for stored in page {
                owed.extend(self.look(store, &stored.record)?);
            }
        }
        Ok(last.map(|last| (owed, last)))
    }

    /// What this one is owed.
    fn look(&self, store: &Store, subscription: &Subscription) -> Result<Option<Owed>, StoreError> {
        if subscription.active_since().is_none() {
            return Ok(None);
        }
        let article = &self.article.id;
        let notice = store.message(&LedgerKey::of(&Message::Notice { article: article.clone() }, subscription.id))?;
        let told = notice.and_then(|row| Some((revision_of(&row.record)?, None, row.record.list)));
        let told = match told {
            Some(told) => Some(told),
            None => self.digest(store, subscription)?,
        };
        let Some((mut revision, digest, list)) = told else { return Ok(None) };
        let mut overtaken = Vec::new();
        for row in store.corrections_to(article, subscription.id)? {
            let Message::Correction { revision: to, .. } = row.record.message else { continue };
            if to == self.revision {
                return Ok(None);
            }
            match (&row.record.state, revision_of(&row.record)) {
                (_, Some(told)) => revision = told,
                // It goes out with the latest text.
                (Delivery::Pending { .. }, None) if to > self.revision => return Ok(None),
                (Delivery::Pending { .. }, None) => overtaken.push(row),
                (Delivery::OnWire { .. } | Delivery::Sent { .. }, None) => {}
                (Delivery::Failed { .. } | Delivery::Recalled { .. }, None) => {}
            }
        }
        let owed = Owed { subscription: subscription.id, digest, list, overtaken };
        Ok(self.is_wrong(store, revision)?.then_some(owed))
    }

    /// Is it what was told in this revision?
    fn is_wrong(&self, store: &Store, revision: u32) -> Result<bool, StoreError> {
        if revision >= self.revision {
            return Ok(false);
        }
        if let Some(of) = self.of {
            return Ok(of.has(revision));
        }
        let mut prints = self.prints.lock().unwrap_or_else(PoisonError::into_inner);
        let print = match prints.get(&revision) {
            Some(known) => *known,
            None => {
                let found = store.print(&self.article.id, revision)?;
                prints.insert(revision, found);
                found
            }
        };
        Ok(print != Some(self.print))
    }

    /// What a digest told. Only one can have: each begins where the last one ended.
    fn digest(&self, store: &Store, subscription: &Subscription) -> Result<Option<First>, StoreError> {
        let Some((place, change)) = published(&self.history).filter(|_| self.is_news) else { return Ok(None) };
        // Most have never had one.
        if subscription.digests.last.is_none() {
            return Ok(None);
        }
        let first = (change.at - DATE_SPREAD).date_naive();
        for row in store.digests_since(subscription.id, first)? {
            let Message::Digest { edition, span, .. } = &row.record.message else { continue };
            let is_out = matches!(row.record.state, Delivery::Sent { .. } | Delivery::OnWire { .. });
            let Some(told) = row.record.told.as_ref().filter(|_| is_out) else { continue };
            if told.from <= *place && span.tells_of(&told.selection, *place, change) {
                return Ok(self.as_of(told.as_of).map(|revision| (revision, Some(*edition), row.record.list.clone())));
            }
        }
        Ok(None)
    }

    /// The revision that was public at this place of the log.
    fn as_of(&self, place: Seq) -> Option<u32> {
        let (_, last) = self.history.iter().rev().find(|(seq, _)| *seq <= place)?;
        match last.kind {
            ChangeKind::Published | ChangeKind::Revised | ChangeKind::Restored => Some(last.revision),
            ChangeKind::Retracted => None,
        }
    }
}

/// In which revision somebody was first told of the article, by which digest if by one, and under which category.
type First = (u32, Option<Edition>, Option<Slug>);

/// The revision that the mail of a row told, if it has gone out or is on the wire.
fn revision_of(row: &LedgerRow) -> Option<u32> {
    match row.state {
        Delivery::Sent { .. } | Delivery::OnWire { .. } => row.revision,
        Delivery::Pending { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => None,
    }
}

fn published(history: &[(Seq, Change)]) -> Option<&(Seq, Change)> {
    history.iter().find(|(_, change)| change.kind == ChangeKind::Published)
}
