//! The mail of a message as it has to be at the moment it is sent, or why it is not.

use super::Mailer;
use super::closing::Share;
use super::forms::{Known, Telling};
use super::plan::{Ready, Stop};
use super::standing::{is_active, is_owed, is_waiting, left};
use super::told::Prints;
use crate::domain::{
    Address, ArticleId, Category, Edition, Selection, Slug, Subscriber, Subscription, SubscriptionId, Time, hex,
};
use crate::services::newsroom::Newsroom;
use crate::store::{Batch, Correction, Counted, Delivery, LedgerKey, LedgerRow, Message, Told};
use crate::wire::mail;
use aws_lc_rs::digest;
use chrono::Duration;
use std::sync::Arc;

/// A message that has been written, and what its row will say of it.
pub(super) struct Made {
    pub(super) ready: Ready,
    /// Of the article that it is about.
    pub(super) revision: Option<u32>,
    pub(super) told: Option<Told>,
}

/// A message as it goes out, and what it tells.
pub(super) struct Written {
    data: mail::MailData,
    revision: Option<u32>,
    told: Option<Told>,
    prints: Option<Arc<Prints>>,
}

impl Written {
    /// It tells of no article.
    pub(super) fn plain(bytes: Vec<u8>) -> Self {
        Written { data: bytes.into(), revision: None, told: None, prints: None }
    }

    /// It tells of one article.
    fn of(data: mail::MailData, article: &Known) -> Self {
        let prints = Some(Arc::clone(&article.prints));
        Written { data, revision: Some(article.article.record.revision), told: None, prints }
    }
}

impl Mailer {
    /// The mail of `row`, which stands under `key`, as it has to be now; `batch` then requires the subscription that it was
    /// built from. `articles` have been looked at for the same commit, which requires them; the one that it is about is
    /// among them then.
    pub(super) fn ready(
        &self,
        key: &LedgerKey,
        row: &LedgerRow,
        now: Time,
        batch: &mut Batch,
        articles: &mut Vec<Arc<Known>>,
    ) -> Result<Made, Stop> {
        match &row.message {
            Message::Canary { number } => return self.canary(*number, row, now),
            Message::Test { .. } => return self.test(row, now),
            Message::Notice { .. }
            | Message::Correction { .. }
            | Message::Digest { .. }
            | Message::Farewell { .. }
            | Message::Preferences { .. }
            | Message::Confirmation { .. } => {}
        }
        let Some(subscription) = self.store.subscription(row.subscription)? else {
            return Err(Stop::Recall("there is no such subscription"));
        };
        self.store.require_subscription(batch, &subscription);
        let newsroom = self.newsroom.load();
        let secret = &self.store.identity().secret;
        let id = self.id(key);
        let (from, to) = (&self.settings.from, &subscription.record.address);
        let subscriber = self.store.subscriber(subscription.record.subscriber())?.map(|subscriber| subscriber.record);
        let language = subscriber.as_ref().and_then(|subscriber| subscriber.language);
        let zone = subscriber.as_ref().and_then(|subscriber| subscriber.zone.as_ref()).unwrap_or(&self.standard.zone);
        let frame = mail::Frame {
            site: &newsroom.site,
            from,
            to,
            language: language.unwrap_or_else(|| newsroom.site.spoken()),
            zone: &zone.time_zone(),
            templates: &self.templates.load(),
            returns: self.settings.return_address.as_ref(),
            id: &id,
            date: now,
            is_test: false,
        };
        let written = match &row.message {
            Message::Notice { article } => {
                let article = self.public(article, articles)?;
                is_owed(&subscription.record, row, &article.labels)?;
                self.told(&frame, &newsroom, &subscription.record, (key, row), &article, None)?
            }
            Message::Correction { article, revision, digest } => {
                is_active(&subscription.record, row)?;
                let asked = self.store.correction(article, *revision)?.map(|asked| asked.record);
                let asked = asked.ok_or(Stop::Recall("nobody asks for it any more"))?;
                let told_in = self.corrects(&asked, row.subscription, *digest, now)?;
                let thread = mail::message_id(&self.id(&told_in), &newsroom.site);
                let correction = mail::Correction { note: asked.note.as_deref(), thread: &thread };
                let article = self.public(article, articles)?;
                self.told(&frame, &newsroom, &subscription.record, (key, row), &article, Some(correction))?
            }
            Message::Digest { .. } => {
                is_active(&subscription.record, row)?;
                let (data, told, prints) =
                    self.digest(&frame, &newsroom, &subscription.record, row, zone.date(row.created_at))?;
                Written { data, revision: None, told: Some(told), prints: Some(prints) }
            }
            Message::Farewell { round } => {
                let left_at = left(&subscription.record, *round)?;
                let farewell = mail::Farewell {
                    wanted: &wanted(&frame, &newsroom, &subscription.record.selection),
                    undo: &mail::Token::undo(&subscription.record).seal(secret),
                    until: left_at + Duration::days(Subscription::UNDO_WITHIN_DAYS),
                };
                Written::plain(mail::farewell(&frame, &farewell)?)
            }
            Message::Preferences { round } => {
                let subscriber = subscriber.filter(|subscriber| subscriber.links == *round);
                let subscriber = subscriber.ok_or(Stop::Recall("a newer one was asked for"))?;
                let link = mail::Token::preferences(&subscriber).seal(secret);
                Written::plain(mail::preferences(&frame, &link, Subscriber::LINK_HOURS)?)
            }
            Message::Confirmation { round } => {
                is_waiting(&subscription.record, *round, now)?;
                let confirmation = mail::Confirmation {
                    wanted: &wanted(&frame, &newsroom, &subscription.record.selection),
                    cadence: subscription.record.cadence,
                    confirm: &mail::Token::confirm(&subscription.record).seal(secret),
                    never: &mail::Token::never(row.subscription, to, secret).seal(secret),
                    days: Subscription::CONFIRM_WITHIN_DAYS,
                };
                Written::plain(mail::confirmation(&frame, &confirmation)?)
            }
            Message::Canary { .. } | Message::Test { .. } => return Err(Stop::Recall("it has no subscription")),
        };
        let counted = Counted::of(&row.message, &subscription.record);
        self.enveloped(id, (row.subscription, to), written, counted, now)
    }

    /// What was written, in its envelope.
    pub(super) fn enveloped(
        &self,
        id: String,
        (subscription, to): (SubscriptionId, &Address),
        written: Written,
        counted: Counted,
        now: Time,
    ) -> Result<Made, Stop> {
        let secret = &self.store.identity().secret;
        let from = match &self.settings.return_address {
            // A bounce of what belongs to no subscription comes home like any, and is about nobody.
            Some(address) => mail::envelope_sender(address, subscription, now, secret),
            None => self.settings.from.address.clone(),
        };
        let Written { data, revision, told, prints } = written;
        let lane = self.lane(to)?;
        let share = Share { counted, provider: self.provider(to) };
        let to = to.as_str().to_owned();
        Ok(Made { ready: Ready { id, from, to, data, lane, share, prints }, revision, told })
    }

    /// A mail to ourselves, by the way that all mails go.
    fn canary(&self, number: u32, row: &LedgerRow, now: Time) -> Result<Made, Stop> {
        let canary = self.settings.canary.as_ref().ok_or(Stop::Recall("no canary is configured any more"))?;
        let (newsroom, secret, to) = (self.newsroom.load(), &self.store.identity().secret, &canary.address);
        let id = self.id(&row.key());
        let frame = mail::Frame {
            site: &newsroom.site,
            from: &self.settings.from,
            to,
            language: newsroom.site.spoken(),
            zone: &self.standard.zone.time_zone(),
            templates: &self.templates.load(),
            returns: self.settings.return_address.as_ref(),
            id: &id,
            date: now,
            is_test: false,
        };
        // Behind that, the next one should have come.
        let until = row.created_at + canary.every + canary.deadline;
        let bytes = mail::canary(&frame, &mail::Mark { number, until }.seal(secret))?;
        self.enveloped(id, (row.subscription, to), Written::plain(bytes), Counted::default(), now)
    }

    /// The article, if mail may tell of it. What has been looked at for this commit is not looked at again.
    fn public(&self, id: &ArticleId, looked_at: &mut Vec<Arc<Known>>) -> Result<Arc<Known>, Stop> {
        if let Some(known) = looked_at.iter().find(|known| known.article.record.id == *id) {
            return Ok(Arc::clone(known));
        }
        let known = self.known(id)?.filter(|known| known.article.record.is_public());
        let known = known.ok_or(Stop::Recall("the article has been retracted"))?;
        looked_at.push(Arc::clone(&known));
        Ok(known)
    }

    /// The mail that tells of `article`, for the first time or as a correction.
    fn told(
        &self,
        frame: &mail::Frame<'_>,
        newsroom: &Newsroom,
        subscription: &Subscription,
        (key, row): (&LedgerKey, &LedgerRow),
        article: &Arc<Known>,
        correction: Option<mail::Correction<'_>>,
    ) -> Result<Written, Stop> {
        let telling = Telling {
            list: row.list.as_ref().and_then(|slug| category(newsroom, slug)),
            selection: &subscription.selection,
            leave: &mail::Token::leave_by(row.subscription, key.tag(&row.message)).seal(&self.store.identity().secret),
            newsroom,
            correction,
        };
        Ok(Written::of(self.notice(frame, article, telling)?, article))
    }

    /// The mail that a correction is about, once it is certain that it has gone out.
    fn corrects(
        &self,
        asked: &Correction,
        subscription: SubscriptionId,
        digest: Option<Edition>,
        now: Time,
    ) -> Result<LedgerKey, Stop> {
        /// Until the server answers, which it mostly does at once, or a person decides what became of it.
        const WAITS: [Duration; 2] = [Duration::seconds(5), Duration::minutes(10)];
        let key = match digest {
            None => LedgerKey::of(&Message::Notice { article: asked.article.clone() }, subscription),
            Some(edition) => LedgerKey::of_digest(edition, subscription),
        };
        let Some(row) = self.store.message(&key)?.map(|row| row.record) else { return Ok(key) };
        // One that was in doubt may have been sent once more meanwhile.
        let is_right = row.revision.is_some_and(|told| told >= asked.revision)
            || row.told.as_ref().is_some_and(|told| told.as_of >= asked.place);
        match row.state {
            Delivery::Sent { .. } if is_right => Err(Stop::Recall("what was mailed is right")),
            Delivery::Sent { .. } => Ok(key),
            // As long as it has been there.
            Delivery::OnWire { since, .. } => Err(Stop::Later(now + (now - since).clamp(WAITS[0], WAITS[1]))),
            Delivery::Pending { .. } => Err(Stop::Recall("the mail that it corrects goes out with what is right")),
            Delivery::Failed { .. } | Delivery::Recalled { .. } => {
                Err(Stop::Recall("the mail that it corrects was not delivered"))
            }
        }
    }

    /// First half of the message id: the same for the same message, and nobody can tell from it whose it is.
    pub(super) fn id(&self, key: &LedgerKey) -> String {
        let digest = digest::digest(&digest::SHA256, key.as_bytes());
        [&hex(&digest.as_ref()[..16]), ".", self.store.identity().instance.as_str()].concat()
    }
}

pub(super) fn category<'a>(newsroom: &'a Newsroom, slug: &Slug) -> Option<&'a Category> {
    newsroom.categories.get(slug.as_str())
}

pub(super) fn wanted(frame: &mail::Frame<'_>, newsroom: &Newsroom, selection: &Selection) -> String {
    let catalogue = frame.templates.catalogue(frame.language);
    mail::wanted(catalogue, selection, &newsroom.categories)
}
