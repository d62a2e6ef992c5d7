//! Digests: when the hour of a subscription has come, one ledger row for all that came out since the last one.
//!
//! The row and the next hour are one batch, and the row's key is made of the window, so a digest is owed once whatever
//! breaks off. A row tells which stretch of the log it is about; the mailer makes the mail of it. All digests that are due
//! at the same instant end at the same place of the log, so those of equal selections are equal.

mod already;

use super::{OnDue, Step};
use crate::config;
use crate::domain::{
    Besides, Change, Clock, Digests, PastDigest, Selection, Seq, Span, Subscriber, Subscription, SubscriptionId, Time,
    Window,
};
use crate::store::{Batch, Due, LedgerRow, Message, Store, StoreError};
use chrono::Duration;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Subscriptions of one batch.
const PIECE_MAX: usize = 200;
/// Different selections and stretches of the log that are remembered to have news or not.
const REMEMBERED_MAX: usize = 4_096;

/// Makes digests due.
pub struct Digester {
    store: Arc<Store>,
    clock: Clock,
    standard: config::Subscriptions,
    article_age_max: Duration,
    hint: Arc<tokio::sync::Notify>,
    shared: Mutex<Shared>,
}

/// What digests of one instant have in common.
#[derive(Default)]
struct Shared {
    /// The instant, and the place in the log at which its digests end.
    end: Option<(Time, Seq)>,
    /// Is there anything for this selection in this stretch?
    has_news: HashMap<(Selection, Span), bool>,
    /// What came out of this selection in this stretch, for addresses with several subscriptions.
    published: HashMap<(Selection, Seq, Seq), Published>,
}

/// What came out, the first first.
type Published = Arc<Vec<(Seq, Change)>>;

/// What is due.
type Page = Vec<(Time, Vec<u8>)>;

impl Digester {
    /// Of articles that are not fresh by `article_age_max` ([`Article::is_fresh`](crate::domain::Article::is_fresh)) nothing
    /// is told. `hint` wakes the mailer.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        standard: config::Subscriptions,
        article_age_max: Duration,
        hint: Arc<tokio::sync::Notify>,
    ) -> Self {
        Digester { store, clock, standard, article_age_max, hint, shared: Mutex::default() }
    }

    /// The rows of `page`, and how many messages they make.
    fn piece(&self, now: Time, page: Page) -> Result<(Batch, usize), StoreError> {
        let (mut batch, mut owed) = (Batch::default(), 0);
        let dropped = self.store.dropped()?;
        // What this batch comes to hold cannot be read yet.
        let mut made: Vec<LedgerRow> = Vec::new();
        for (at, key) in page {
            let id = Uuid::from_slice(&key).map(SubscriptionId).unwrap_or(SubscriptionId(Uuid::nil()));
            let stored = self.store.subscription(id)?;
            let window = stored.as_ref().and_then(|stored| stored.record.digests.next);
            let (Some(stored), Some(window)) = (&stored, window.filter(|window| window.at == at)) else {
                if let Some(stored) = &stored {
                    self.store.require_subscription(&mut batch, stored);
                }
                self.store.drop_due(&mut batch, Due::Digest, at, &key);
                continue;
            };
            let old = &stored.record;
            let Some(subscriber) = self.store.subscriber(old.subscriber())? else {
                let digests = Digests { next: None, ..old.digests.clone() };
                self.store.write_subscription(&mut batch, Some(stored), &Subscription { digests, ..old.clone() });
                continue;
            };
            // The original of a copied store has sent it; what has come out since is for the next one.
            let theirs = dropped.filter(|dropped| at <= dropped.at);
            let until = theirs.map_or_else(|| self.end(at), |theirs| theirs.head).max(old.digests.since);
            let besides = self.besides(&subscriber.record, old, &window)?;
            let mut span = Span { since: old.digests.since, until, besides, without: Vec::new() };
            let new = told(old, window, until, self.next(&subscriber.record, old, window, now));
            self.store.write_subscription(&mut batch, Some(stored), &new);
            if theirs.is_some() || old.active_since().is_none() {
                continue;
            }
            let has_news = match subscriber.record.subscriptions.as_slice() {
                [_] => self.has_news(&old.selection, &span)?,
                _ => self.leave_out(&mut batch, &made, &subscriber.record, old, &mut span)?,
            };
            if has_news {
                let message = Message::Digest { edition: window.edition, span, is_fold: old.digests.is_fold };
                let list = old.selection.as_category().cloned();
                let row = LedgerRow::new(message, old.id, list, now);
                if self.store.message(&row.key())?.is_none() {
                    self.store.write_message(&mut batch, &row);
                    made.push(row);
                    owed += 1;
                }
            }
        }
        Ok((batch, owed))
    }

    fn next(&self, subscriber: &Subscriber, old: &Subscription, window: Window, now: Time) -> Option<Window> {
        old.active_since()?;
        let zone = subscriber.zone.as_ref().unwrap_or(&self.standard.zone);
        old.cadence.next(zone, Some(window.edition.date), now)
    }

    /// The place at which all digests of the instant `at` end: the head when the first of them was made.
    fn end(&self, at: Time) -> Seq {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.end {
            Some((known, end)) if known == at => end,
            Some(_) | None => {
                let end = self.store.head();
                *shared = Shared { end: Some((at, end)), ..Shared::default() };
                end
            }
        }
    }

    /// What the other digests of this window bring to the same address: the ones of its older subscriptions.
    fn besides(
        &self,
        subscriber: &Subscriber,
        own: &Subscription,
        window: &Window,
    ) -> Result<Vec<Besides>, StoreError> {
        let mut besides = Vec::new();
        for id in subscriber.subscriptions.iter().take_while(|id| **id != own.id) {
            let other = self.store.subscription(*id)?.map(|stored| stored.record);
            let Some(other) = other.filter(|other| other.active_since().is_some()) else { continue };
            let since = other.digests.began(window);
            besides.extend(since.map(|since| Besides { selection: other.selection, since }));
        }
        Ok(besides)
    }

    fn has_news(&self, selection: &Selection, span: &Span) -> Result<bool, StoreError> {
        let key = (selection.clone(), span.clone());
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).has_news.get(&key).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut has_news = false;
        self.store.news(selection, span, self.article_age_max, |_, _| {
            has_news = true;
            ControlFlow::Break(())
        })?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.has_news.len() < REMEMBERED_MAX {
            shared.has_news.insert(key, has_news);
        }
        Ok(has_news)
    }
}

impl OnDue for Digester {
    fn kind(&self) -> Due {
        Due::Digest
    }

    async fn step(self: &Arc<Self>) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let page = self.store.due(Due::Digest, now, PIECE_MAX)?;
        if page.is_empty() || self.store.quarantined_since()?.is_some() {
            return Ok(Step::Idle);
        }
        let this = Arc::clone(self);
        let (batch, owed) = self.store.scan(move |_| this.piece(now, page)).await?;
        // Where a subscription was changed meanwhile, what is due is still due.
        if self.store.try_commit(batch.patiently()).await? && owed > 0 {
            self.hint.notify_one();
        }
        Ok(Step::Worked)
    }
}

/// `old` once the digest of `window`, up to `until`, is made.
fn told(old: &Subscription, window: Window, until: Seq, next: Option<Window>) -> Subscription {
    let last = Some(PastDigest { window, since: old.digests.since });
    Subscription { digests: Digests { next, since: until, last, is_fold: false }, ..old.clone() }
}
