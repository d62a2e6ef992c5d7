//! The reader that turns a published article into one ledger row for each subscription that asks for it at once.
//!
//! An article goes to its subscriptions in pieces, each committed with the cursor that says how far it went. Only
//! what is public for the first time is mailed: no edit, and no return after a retraction. A retraction needs
//! nothing here, since the mailer looks at the article when it sends.
//!
//! An address gets an article once, however many of its subscriptions ask for it; and above a number of mails in its day
//! none at once any more: the rest waits for a digest. How many there were is read off the log, which nobody has to count.

mod today;

use super::{Lead, Reader};
use crate::config;
use crate::domain::{
    Article, Cadence, Change, Digests, Selection, Seq, Slug, Subscriber, Subscription, SubscriptionId, Term, Time,
    Weekdays, Zone,
};
use crate::store::{Batch, Cursor, LedgerRow, Message, Store, StoreError, Stored};
use chrono::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use today::Today;
use uuid::Uuid;

/// Ledger rows of one batch.
const PIECE_ROWS_MAX: usize = 200;
/// Subscriptions that are read before the mailer, whose thread this is as well, gets a turn.
const READ_AT_ONCE: usize = 16;
/// Of those, the ones that are owed it: as many as the mailer plans before somebody else gets a turn.
const OWED_AT_ONCE: usize = 2;
/// Subscriptions that one piece looks at where few ask for the article; keeps a reading short.
const PIECE_LOOKED_MAX: usize = 10_000;

/// The reader `notify`.
pub struct Notify {
    store: Arc<Store>,
    standard: config::Subscriptions,
    article_age_max: Duration,
    grace: Duration,
    hint: Arc<tokio::sync::Notify>,
    lead: Arc<Lead>,
    today: Today,
}

impl Notify {
    /// Nothing is mailed of articles that are not fresh by `article_age_max` ([`Article::is_fresh`]), as an import brings
    /// them; of the others `grace` after they came out. `standard` says how many mails a day are too many.
    /// `hint` wakes the mailer, and `lead` says when it is too far behind.
    pub fn new(
        store: Arc<Store>,
        standard: config::Subscriptions,
        article_age_max: Duration,
        grace: Duration,
        hint: Arc<tokio::sync::Notify>,
        lead: Arc<Lead>,
    ) -> Self {
        Notify { store, standard, article_age_max, grace, hint, lead, today: Today::new(article_age_max) }
    }

    /// The article of `change`, if its subscribers are to be told.
    fn news(&self, seq: Seq, change: &Change) -> Result<Option<Article>, StoreError> {
        // The original of a copied store tells of what was in the log by then.
        let is_theirs = self.store.dropped()?.is_some_and(|dropped| seq <= dropped.head);
        if is_theirs || !change.is_news_for(&Selection::all()) {
            return Ok(None);
        }
        Ok(self.store.told_of(change, self.article_age_max)?.map(|stored| stored.record))
    }
}

impl Reader for Notify {
    fn name(&self) -> &'static str {
        super::NOTIFY
    }

    async fn apply(&self, cursor: &Cursor, changes: Vec<(Seq, Change)>) -> Result<(Batch, Cursor), StoreError> {
        if !self.store.has_subscriptions()? {
            let last = changes.last().map_or(cursor.seq, |(seq, _)| *seq);
            return Ok((Batch::default(), Cursor { seq: last, within: Vec::new(), overtaken: cursor.overtaken }));
        }
        let mut done = cursor.clone();
        // What the round before this one wrote is durable now, and was not when it was written: an article is
        // finished in a round of its own, which finds nobody left.
        if !done.within.is_empty() {
            self.hint.notify_one();
        }
        for (seq, change) in changes {
            if let Some(article) = self.news(seq, &change)? {
                let after = Uuid::from_slice(&done.within).ok().map(SubscriptionId);
                let news = News { notify: self, seq, change, article, counted: HashMap::new() };
                self.lead.wait().await;
                if let Some((batch, rows, last)) = news.piece(after).await? {
                    // With a grace they are made out long before they are due.
                    if self.grace.is_zero() {
                        self.lead.grow(rows);
                    }
                    return Ok((batch, Cursor { within: last.0.as_bytes().to_vec(), ..done }));
                }
            }
            done = Cursor { seq, within: Vec::new(), ..done };
        }
        Ok((Batch::default(), done))
    }
}

/// What an address gets at once, and of each the part of the log that its last digest told, if it has had one.
type AtOnce = Vec<(Selection, Option<(Seq, Seq)>)>;

/// An article that has come out.
struct News<'a> {
    notify: &'a Notify,
    seq: Seq,
    change: Change,
    article: Article,
    /// How many of what else came out that day were mailed at once, since a time.
    counted: HashMap<(AtOnce, Time), usize>,
}

impl News<'_> {
    /// The rows of the next subscriptions behind `after`, how many they are, and the last one that was looked at; none at
    /// their end.
    async fn piece(
        mut self,
        mut after: Option<SubscriptionId>,
    ) -> Result<Option<(Batch, usize, SubscriptionId)>, StoreError> {
        let mut batch = Batch::default();
        let (mut rows, mut looked) = (0, 0);
        let mut last = None;
        while rows < PIECE_ROWS_MAX && looked < PIECE_LOOKED_MAX {
            let page = self.notify.store.subscriptions(after, READ_AT_ONCE.min(PIECE_ROWS_MAX - rows))?;
            let Some(end) = page.last().map(|stored| stored.record.id) else { break };
            looked += page.len();
            (after, last) = (Some(end), Some(end));
            let asking: Vec<_> = page.into_iter().filter(|stored| self.is_for(&stored.record)).collect();
            for few in asking.chunks(OWED_AT_ONCE) {
                for stored in few {
                    rows += usize::from(self.owe(&mut batch, stored)?);
                }
                tokio::task::yield_now().await;
            }
            if asking.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        Ok(last.map(|last| (batch, rows, last)))
    }

    /// Does the subscription ask for it at once? Who confirmed later did not ask for what was out already.
    fn is_for(&self, subscription: &Subscription) -> bool {
        subscription.cadence.is_instant()
            && subscription.active_since().is_some_and(|since| since <= self.change.at)
            && self.change.is_news_for(&subscription.selection)
    }

    /// Puts what is owed to a subscription that asks for it into `batch`, if there is anything.
    fn owe(&mut self, batch: &mut Batch, stored: &Stored<Subscription>) -> Result<bool, StoreError> {
        let (store, subscription) = (&*self.notify.store, &stored.record);
        // It will be in the digest that is on its way, or was in one.
        if subscription.digests.next.is_some() || self.seq <= subscription.digests.since {
            return Ok(false);
        }
        let Some(subscriber) = store.subscriber(subscription.subscriber())? else { return Ok(false) };
        let several: Vec<Subscription>;
        let own = match subscriber.record.subscriptions.as_slice() {
            [_] => std::slice::from_ref(subscription),
            _ => {
                let own = store.subscriptions_of(&subscriber.record)?;
                if self.is_told(batch, &own, subscription.id)? {
                    return Ok(false);
                }
                several = own.into_iter().map(|stored| stored.record).collect();
                &several
            }
        };
        if own.iter().find(|one| self.is_for(one)).is_some_and(|first| first.id != subscription.id) {
            return Ok(false);
        }
        let message = Message::Notice { article: self.article.id.clone() };
        let list = list(&self.article, &subscription.selection);
        // The log's time runs ahead of a clock that was set back; mail goes by the clock.
        let out_at = self.article.first_public_at.map_or(self.change.at, |at| at.min(self.change.at));
        let row = LedgerRow::new(message, subscription.id, list, self.change.at).due_at(out_at + self.notify.grace);
        if store.message(&row.key())?.is_some() {
            return Ok(false);
        }
        if let Some(folded) = self.folded(&subscriber.record, subscription, own)? {
            store.write_subscription(batch, Some(stored), &folded);
        } else {
            store.write_message(batch, &row);
        }
        Ok(true)
    }

    /// Has a digest of another subscription of the address told of it? One that is made this moment is asked again: it
    /// leaves out what is owed, and who is later has to see who was first.
    fn is_told(&self, batch: &mut Batch, own: &[Stored<Subscription>], id: SubscriptionId) -> Result<bool, StoreError> {
        let others = own.iter().filter(|other| other.record.id != id);
        for other in others.filter(|other| self.change.is_news_for(&other.record.selection)) {
            let digests = &other.record.digests;
            if self.seq <= digests.since {
                let told = self.notify.store.good_digests(&other.record, &self.change)?;
                if told.iter().any(|row| row.tells_of(&other.record, self.seq, &self.change)) {
                    return Ok(true);
                }
            } else if digests.next.is_some() {
                self.notify.store.require_subscription(batch, other);
            }
        }
        Ok(false)
    }

    /// The subscription with a digest to come that begins with this article, if its address has had enough mails today.
    fn folded(
        &mut self,
        subscriber: &Subscriber,
        subscription: &Subscription,
        own: &[Subscription],
    ) -> Result<Option<Subscription>, StoreError> {
        let Notify { store, standard, today, .. } = self.notify;
        let today = today.before(store, self.seq, &self.change)?;
        // So it is nearly always, and nothing has to be counted.
        if today.len() < standard.instant_per_day_max {
            return Ok(None);
        }
        let zone = subscriber.zone.as_ref().unwrap_or(&standard.zone);
        let Some(start) = zone.day_start(self.change.at) else { return Ok(None) };
        let instant = || own.iter().filter(|one| one.cadence.is_instant() && one.active_since().is_some());
        // What came in a digest was no mail of its own; what came before and behind it was.
        let digest = |one: &Subscription| one.digests.last.as_ref().map(|last| (last.since, one.digests.since));
        let asked: AtOnce = instant().map(|one| (one.selection.clone(), digest(one))).collect();
        let begun = instant().filter_map(Subscription::active_since).min().unwrap_or(start).max(start);
        let count = self.counted.entry((asked, begun)).or_insert_with_key(|(asked, begun)| {
            let is_counted = |(seq, change): &&(Seq, Change)| {
                let is_told = |(from, to): (Seq, Seq)| from < *seq && *seq <= to;
                let mut fits = asked.iter().filter(|(selection, _)| change.is_news_for(selection)).peekable();
                change.at >= *begun && fits.peek().is_some() && !fits.any(|(_, digest)| digest.is_some_and(is_told))
            };
            today.iter().filter(is_counted).count()
        });
        Ok((*count >= standard.instant_per_day_max).then(|| fold(subscription, zone, self, standard)))
    }
}

/// The subscription with a digest at the next standard hour that begins with this article.
fn fold(subscription: &Subscription, zone: &Zone, news: &News<'_>, standard: &config::Subscriptions) -> Subscription {
    let daily = Cadence::Daily { hour: standard.hour, days: Weekdays::ALL };
    let next = daily.next(zone, subscription.digests.last_date(), news.change.at);
    let since = Seq(news.seq.0.saturating_sub(1));
    let digests = Digests { next, since, last: subscription.digests.last.clone(), is_fold: true };
    Subscription { digests, ..subscription.clone() }
}

/// The first of the article's categories that the selection names; its home if it names none.
fn list(article: &Article, selection: &Selection) -> Option<Slug> {
    let own = &article.content.categories;
    let is_named = |slug: &&Slug| selection.terms().any(|term| *term == Term::Category((*slug).clone()));
    own.iter().find(is_named).or(own.first()).cloned()
}
