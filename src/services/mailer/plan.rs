//! What is to be done with a message that is due, decided from what is stored at that moment: an article that was
//! retracted or a subscriber who left since then is not mailed.

use super::Mailer;
use super::closing::Share;
use super::forms::{Known, Telling};
use super::outcome::shortened;
use super::shaping::{Lane, Turn};
use super::told::Prints;
use crate::domain::{
    ArticleId, Category, Fault, Labels, Selection, Slug, Subscriber, Subscription, SubscriptionId, SubscriptionState,
    Time,
};
use crate::services::newsroom::Newsroom;
use crate::store::{Batch, Correction, Counted, Delivery, LedgerKey, LedgerRow, Message, StoreError, Told};
use crate::wire::mail;
use aws_lc_rs::digest;
use chrono::{Duration, NaiveDate};
use std::sync::Arc;

/// What is to be done.
pub(super) enum Plan {
    /// It is not this message's turn any more; the batch takes its due row out.
    Skip(Batch),
    /// It is closed without being sent.
    Close(Batch, Closed),
    /// Its destination takes it later; the batch says when.
    PutOff(Batch),
    /// Other connections carry as much to its destination as may be: it keeps its place.
    Wait,
    /// The batch puts it on the wire, if all it was built from is still the same: the article too, if it is about one.
    Send(Batch, Box<Ready>, Option<Arc<Known>>),
}

/// How a message ended without the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    Recalled,
    Failed,
}

/// A message as it goes out.
pub(super) struct Ready {
    /// First half of its message id.
    pub(super) id: String,
    /// Sender of the envelope: a checked address.
    pub(super) from: String,
    /// Its recipient: a checked address.
    pub(super) to: String,
    pub(super) bytes: Vec<u8>,
    /// Is every byte of it below 128?
    pub(super) is_ascii: bool,
    /// Its destination.
    pub(super) lane: Lane,
    /// What it counts for.
    pub(super) share: Share,
    /// What it tells, as far as that comes to be stored with it.
    pub(super) prints: Option<Arc<Prints>>,
}

/// A message that has been written, and what its row will say of it.
struct Made {
    ready: Ready,
    /// It is about.
    article: Option<Arc<Known>>,
    told: Option<Told>,
}

/// The bytes of a message, and what they tell.
struct Written {
    bytes: Vec<u8>,
    article: Option<Arc<Known>>,
    told: Option<Told>,
    prints: Option<Arc<Prints>>,
}

impl Written {
    /// They tell of no article.
    fn plain(bytes: Vec<u8>) -> Self {
        Written { bytes, article: None, told: None, prints: None }
    }

    /// They tell of one article.
    fn of(bytes: Vec<u8>, article: Arc<Known>) -> Self {
        let prints = Some(Arc::clone(&article.prints));
        Written { bytes, article: Some(article), told: None, prints }
    }
}

/// Why a message is not sent.
pub(super) enum Stop {
    Recall(&'static str),
    Fail(String),
    /// Not before this time.
    Later(Time),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            // One damaged record stops one message, not all mail.
            StoreError::Record { table, what, .. } => Stop::Fail(format!("damaged record in {}: {what}", table.name())),
            other @ (StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Damaged { .. }
            | StoreError::Engine(_)
            | StoreError::Stopped(_)) => Stop::Store(other),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fail(fault.to_string())
    }
}

impl Mailer {
    /// What is to be done with `key`, which was due at `at`. `held` are the destinations that the asking connection
    /// carries mail to.
    pub(super) fn plan(&self, at: Time, key: &LedgerKey, held: &mut Vec<Lane>) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let row = match self.store.message(key) {
            Ok(row) => row,
            Err(StoreError::Record { table, what, .. }) => {
                tracing::error!("a message cannot be sent, its row in {} is damaged: {what}", table.name());
                None
            }
            Err(error) => return Err(error),
        };
        let pending = row.as_ref().and_then(|row| match &row.record.state {
            Delivery::Pending { attempts, due_at, booked, .. } if *due_at == at => Some((*attempts, *booked)),
            Delivery::Pending { .. }
            | Delivery::OnWire { .. }
            | Delivery::Sent { .. }
            | Delivery::Failed { .. }
            | Delivery::Recalled { .. } => None,
        });
        let mut batch = Batch::default();
        let (Some(row), Some((attempts, is_booked))) = (row, pending) else {
            self.store.drop_due_message(&mut batch, at, key)?;
            return Ok(Plan::Skip(batch));
        };
        let (state, closed) = match self.ready(&row.record, now, &mut batch) {
            Ok(Made { ready, article, told }) => {
                // Somebody sits and waits for these.
                let is_awaited = match row.record.message {
                    Message::Confirmation { .. } | Message::Preferences { .. } | Message::Farewell { .. } => true,
                    Message::Notice { .. } | Message::Digest { .. } | Message::Correction { .. } => false,
                };
                match self.turn(&ready.lane, held, is_booked, is_awaited, now) {
                    Turn::Now => {}
                    Turn::Wait => return Ok(Plan::Wait),
                    Turn::At(due_at) => {
                        let Delivery::Pending { reply, .. } = row.record.state.clone() else { return Ok(Plan::Wait) };
                        let state = Delivery::Pending { attempts, due_at, reply, booked: true };
                        let mut batch = Batch::default();
                        self.store.write_message(&mut batch, Some(&row), &LedgerRow { state, ..row.record.clone() });
                        return Ok(Plan::PutOff(batch));
                    }
                }
                let state = Delivery::OnWire { since: now, attempts };
                let revision = article.as_ref().map(|known| known.article.record.revision);
                let next = LedgerRow { state, revision, told, ..row.record.clone() };
                self.store.write_message(&mut batch, Some(&row), &next);
                if let Some(prints) = &ready.prints {
                    self.write_prints(&mut batch, prints);
                }
                return Ok(Plan::Send(batch, Box::new(ready), article));
            }
            Err(Stop::Recall(why)) => (Delivery::Recalled { at: now, why: why.into() }, Closed::Recalled),
            Err(Stop::Fail(why)) => (Delivery::Failed { at: now, reply: shortened(&why) }, Closed::Failed),
            Err(Stop::Later(due_at)) => {
                let Delivery::Pending { reply, .. } = row.record.state.clone() else { return Ok(Plan::Wait) };
                let state = Delivery::Pending { attempts, due_at, reply, booked: is_booked };
                let mut batch = Batch::default();
                self.store.write_message(&mut batch, Some(&row), &LedgerRow { state, ..row.record.clone() });
                return Ok(Plan::PutOff(batch));
            }
            Err(Stop::Store(error)) => return Err(error),
        };
        let mut batch = Batch::default();
        self.store.write_message(&mut batch, Some(&row), &LedgerRow { state, ..row.record.clone() });
        Ok(Plan::Close(batch, closed))
    }

    /// The mail of `row` as it has to be now; `batch` then requires the subscription that it was built from.
    fn ready(&self, row: &LedgerRow, now: Time, batch: &mut Batch) -> Result<Made, Stop> {
        let Some(subscription) = self.store.subscription(row.subscription)? else {
            return Err(Stop::Recall("there is no such subscription"));
        };
        self.store.require_subscription(batch, &subscription);
        let newsroom = self.newsroom.load();
        let secret = &self.store.identity().secret;
        let id = self.id(&row.key());
        let (from, to) = (&self.settings.from, &subscription.record.address);
        let returns = self.settings.return_address.as_ref();
        let subscriber = self.store.subscriber_of(to)?.map(|subscriber| subscriber.record);
        let language = subscriber.as_ref().and_then(|subscriber| subscriber.language);
        let zone = subscriber.as_ref().and_then(|subscriber| subscriber.zone.as_ref());
        let frame = mail::Frame {
            site: &newsroom.site,
            from,
            to,
            language: language.unwrap_or_else(|| newsroom.site.spoken()),
            zone: &zone.unwrap_or(&self.standard.zone).time_zone(),
            templates: &self.templates.load(),
            returns,
            id: &id,
            date: now,
        };
        let written = match &row.message {
            Message::Notice { article } => {
                let article = self.public(article)?;
                is_owed(&subscription.record, row, &article.labels)?;
                self.told(&frame, &newsroom, &subscription.record, row, article, None)?
            }
            Message::Correction { article, revision, digest } => {
                is_active(&subscription.record, row)?;
                let asked = self.store.correction(article, *revision)?.map(|asked| asked.record);
                let asked = asked.ok_or(Stop::Recall("nobody asks for it any more"))?;
                let told_in = self.corrects(&asked, row.subscription, *digest, now)?;
                let thread = mail::message_id(&self.id(&told_in), &newsroom.site);
                let correction = mail::Correction { note: asked.note.as_deref(), thread: &thread };
                self.told(&frame, &newsroom, &subscription.record, row, self.public(article)?, Some(correction))?
            }
            Message::Digest { .. } => {
                is_active(&subscription.record, row)?;
                let (bytes, told, prints) = self.digest(&frame, &newsroom, &subscription.record, row)?;
                Written { bytes, article: None, told: Some(told), prints: Some(prints) }
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
                let asked = asked_for(&subscription.record, *round, now)?;
                let confirmation = mail::Confirmation {
                    wanted: &wanted(&frame, &newsroom, asked),
                    is_change: subscription.record.wished.is_some(),
                    confirm: &mail::Token::confirm(&subscription.record).seal(secret),
                    never: &mail::Token::never(row.subscription).seal(secret),
                    days: Subscription::CONFIRM_WITHIN_DAYS,
                };
                Written::plain(mail::confirmation(&frame, &confirmation)?)
            }
        };
        let from = match returns {
            Some(address) => mail::envelope_sender(address, row.subscription, now, secret),
            None => from.address.clone(),
        };
        let Written { bytes, article, told, prints } = written;
        let (is_ascii, lane) = (bytes.is_ascii(), self.lane(to)?);
        let prints = prints.filter(|prints| !prints.are_stored());
        let counted = Counted::of(&row.message, &subscription.record);
        let share = Share { counted, provider: self.provider(to) };
        let to = to.as_str().to_owned();
        Ok(Made { ready: Ready { id, from, to, bytes, is_ascii, lane, share, prints }, article, told })
    }

    /// The article, if mail may tell of it.
    fn public(&self, id: &ArticleId) -> Result<Arc<Known>, Stop> {
        let known = self.known(id)?.filter(|known| known.article.record.is_public());
        known.ok_or(Stop::Recall("the article has been retracted"))
    }

    /// The mail that tells of `article`, for the first time or as a correction.
    fn told(
        &self,
        frame: &mail::Frame<'_>,
        newsroom: &Newsroom,
        subscription: &Subscription,
        row: &LedgerRow,
        article: Arc<Known>,
        correction: Option<mail::Correction<'_>>,
    ) -> Result<Written, Stop> {
        let telling = Telling {
            list: row.list.as_ref().and_then(|slug| category(newsroom, slug)),
            wanted: wanted(frame, newsroom, &subscription.selection),
            leave: &mail::Token::leave_by(row.subscription, row.key().tag(&row.message))
                .seal(&self.store.identity().secret),
            newsroom_at: newsroom.changed_at,
            correction,
        };
        Ok(Written::of(self.notice(frame, &article, telling)?, article))
    }

    /// The mail that a correction is about, once it is certain that it has gone out.
    fn corrects(
        &self,
        asked: &Correction,
        subscription: SubscriptionId,
        digest: Option<NaiveDate>,
        now: Time,
    ) -> Result<LedgerKey, Stop> {
        /// Until the server answers, or a person decides what became of it.
        const WAIT: Duration = Duration::minutes(10);
        let key = match digest {
            None => LedgerKey::of(&Message::Notice { article: asked.article.clone() }, subscription),
            Some(window) => LedgerKey::of_digest(window, subscription),
        };
        let Some(row) = self.store.message(&key)?.map(|row| row.record) else { return Ok(key) };
        // One that was in doubt may have been sent once more meanwhile.
        let is_right = row.revision.is_some_and(|told| told >= asked.revision)
            || row.told.as_ref().is_some_and(|told| told.as_of >= asked.place);
        match row.state {
            Delivery::Sent { .. } if is_right => Err(Stop::Recall("what was mailed is right")),
            Delivery::Sent { .. } => Ok(key),
            Delivery::OnWire { .. } => Err(Stop::Later(now + WAIT)),
            Delivery::Pending { .. } => Err(Stop::Recall("the mail that it corrects goes out with what is right")),
            Delivery::Failed { .. } | Delivery::Recalled { .. } => {
                Err(Stop::Recall("the mail that it corrects was not delivered"))
            }
        }
    }

    /// First half of the message id: the same for the same message, and nobody can tell from it whose it is.
    fn id(&self, key: &LedgerKey) -> String {
        let digest = digest::digest(&digest::SHA256, key.as_bytes());
        let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}.{}", self.store.identity().instance)
    }
}

/// Is the subscription mailed to, as it was when the message came to be owed?
fn is_active(subscription: &Subscription, row: &LedgerRow) -> Result<(), Stop> {
    match &subscription.state {
        SubscriptionState::Confirmed { at } if *at > row.created_at => {
            Err(Stop::Recall("the subscriber had left meanwhile"))
        }
        SubscriptionState::Confirmed { .. } if subscription.paused_at.is_some() => {
            Err(Stop::Recall("the subscriber wants a break"))
        }
        SubscriptionState::Confirmed { .. } => Ok(()),
        SubscriptionState::Pending => Err(Stop::Recall("the subscription is not confirmed")),
        SubscriptionState::Unsubscribed { .. } => Err(Stop::Recall("the subscriber has left")),
        SubscriptionState::Refused { .. } => Err(Stop::Recall("the mailbox does not exist")),
    }
}

/// When it was left, if it still is and has not been since.
fn left(subscription: &Subscription, round: u32) -> Result<Time, Stop> {
    match &subscription.state {
        SubscriptionState::Unsubscribed { at } if round == subscription.round => Ok(*at),
        SubscriptionState::Unsubscribed { .. }
        | SubscriptionState::Pending
        | SubscriptionState::Confirmed { .. }
        | SubscriptionState::Refused { .. } => Err(Stop::Recall("it was taken back")),
    }
}

/// Is the notice still owed?
fn is_owed(subscription: &Subscription, row: &LedgerRow, labels: &Labels) -> Result<(), Stop> {
    is_active(subscription, row)?;
    if subscription.selection.matches(labels) {
        Ok(())
    } else {
        Err(Stop::Recall("the subscription no longer asks for it"))
    }
}

/// What the confirmation of `round` asks about, if it is still to be asked.
fn asked_for(subscription: &Subscription, round: u32, now: Time) -> Result<&Selection, Stop> {
    if round != subscription.round {
        return Err(Stop::Recall("a newer one was asked for"));
    }
    if subscription.has_lapsed(now) {
        return Err(Stop::Recall("its link would no longer work"));
    }
    match (&subscription.state, &subscription.wished) {
        (SubscriptionState::Pending, _) => Ok(&subscription.selection),
        (SubscriptionState::Confirmed { .. }, Some(wished)) => Ok(wished),
        (SubscriptionState::Confirmed { .. }, None) => Err(Stop::Recall("it has been confirmed")),
        (SubscriptionState::Unsubscribed { .. }, _) => Err(Stop::Recall("the subscriber has left")),
        (SubscriptionState::Refused { .. }, _) => Err(Stop::Recall("the mailbox does not exist")),
    }
}

pub(super) fn category<'a>(newsroom: &'a Newsroom, slug: &Slug) -> Option<&'a Category> {
    newsroom.categories.get(slug.as_str())
}

pub(super) fn wanted(frame: &mail::Frame<'_>, newsroom: &Newsroom, selection: &Selection) -> String {
    let catalogue = frame.templates.catalogue(frame.language);
    mail::wanted(catalogue, selection, |slug| newsroom.categories.get(slug).map(|category| category.title.as_str()))
}
