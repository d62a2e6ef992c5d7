//! The reader that turns a published article into one ledger row for each subscription that asks for it.
//!
//! An article goes to its subscriptions in pieces, each committed with the cursor that says how far it went. Only
//! what is public for the first time is mailed: no edit, and no return after a retraction. A retraction needs
//! nothing here, since the mailer looks at the article when it sends.

use super::Reader;
use crate::domain::{Article, Change, ChangeKind, Selection, Seq, Slug, SubscriptionId, SubscriptionState, Term};
use crate::store::{Batch, Cursor, LedgerRow, Message, Store, StoreError};
use chrono::Duration;
use std::sync::Arc;
use uuid::Uuid;

/// Ledger rows of one batch.
const PIECE_ROWS_MAX: usize = 200;
/// Subscriptions that one piece looks at where few ask for the article; keeps a reading short.
const PIECE_LOOKED_MAX: usize = 10_000;

/// The reader `notify`.
pub struct Notify {
    store: Arc<Store>,
    article_age_max: Duration,
    hint: Arc<tokio::sync::Notify>,
}

impl Notify {
    /// Nothing is mailed of articles that were dated longer than `article_age_max` before they came out, as an
    /// import brings them. `hint` wakes the mailer.
    pub fn new(store: Arc<Store>, article_age_max: Duration, hint: Arc<tokio::sync::Notify>) -> Self {
        Notify { store, article_age_max, hint }
    }

    /// The article of `change`, if its subscribers are to be told.
    fn news(&self, change: &Change) -> Result<Option<Article>, StoreError> {
        match change.kind {
            ChangeKind::Published => {}
            ChangeKind::Revised | ChangeKind::Retracted | ChangeKind::Restored => return Ok(None),
        }
        let article = self.store.article(&change.article)?.map(|stored| stored.record);
        Ok(article.filter(|article| article.is_public() && change.at - article.dated() <= self.article_age_max))
    }
}

impl Reader for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    async fn apply(&self, cursor: &Cursor, changes: Vec<(Seq, Change)>) -> Result<(Batch, Cursor), StoreError> {
        let mut done = cursor.clone();
        // What the round before this one wrote is durable now, and was not when it was written: an article is
        // finished in a round of its own, which finds nobody left.
        if !done.within.is_empty() {
            self.hint.notify_one();
        }
        for (seq, change) in changes {
            if let Some(article) = self.news(&change)? {
                let after = Uuid::from_slice(&done.within).ok().map(SubscriptionId);
                let piece = self.store.scan(move |store| piece(store, &change, &article, after)).await?;
                if let Some((batch, last)) = piece {
                    return Ok((batch, Cursor { seq: done.seq, within: last.0.as_bytes().to_vec() }));
                }
            }
            done = Cursor { seq, within: Vec::new() };
        }
        Ok((Batch::default(), done))
    }
}

/// The rows of the next subscriptions behind `after`, and the last one that was looked at; none at their end.
fn piece(
    store: &Store,
    change: &Change,
    article: &Article,
    mut after: Option<SubscriptionId>,
) -> Result<Option<(Batch, SubscriptionId)>, StoreError> {
    let mut batch = Batch::default();
    let (mut rows, mut looked) = (0, 0);
    let mut last = None;
    while rows < PIECE_ROWS_MAX && looked < PIECE_LOOKED_MAX {
        let page = store.subscriptions(after, PIECE_ROWS_MAX - rows)?;
        let Some(end) = page.last().map(|stored| stored.record.id) else { break };
        looked += page.len();
        (after, last) = (Some(end), Some(end));
        for subscription in page.into_iter().map(|stored| stored.record) {
            // Who confirmed later did not ask for what was out already.
            let is_owed = match subscription.state {
                SubscriptionState::Confirmed { at } => at <= change.at && change.touches(&subscription.selection),
                SubscriptionState::Pending
                | SubscriptionState::Unsubscribed { .. }
                | SubscriptionState::Refused { .. } => false,
            };
            if !is_owed {
                continue;
            }
            let message = Message::Notice { article: article.id.clone() };
            let row = LedgerRow::new(message, subscription.id, list(article, &subscription.selection), change.at);
            if store.message(&row.key())?.is_none() {
                store.write_message(&mut batch, None, &row);
                rows += 1;
            }
        }
    }
    Ok(last.map(|last| (batch, last)))
}

/// The first of the article's categories that the selection names; its home if it names none.
fn list(article: &Article, selection: &Selection) -> Option<Slug> {
    let own = &article.content.categories;
    let is_named = |slug: &&Slug| selection.terms().any(|term| *term == Term::Category((*slug).clone()));
    own.iter().find(is_named).or(own.first()).cloned()
}
