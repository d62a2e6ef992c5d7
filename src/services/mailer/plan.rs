//! What is to be done with a message that is due, decided from what is stored at that moment: an article that was
//! retracted or a subscriber who left since then is not mailed.

use super::Mailer;
use super::forms::Known;
use super::outcome::shortened;
use super::shaping::{Lane, Turn};
use crate::domain::{Category, Fault, Labels, Selection, Slug, Subscriber, Subscription, SubscriptionState, Time};
use crate::services::newsroom::Newsroom;
use crate::store::{Batch, Delivery, LedgerKey, LedgerRow, Message, StoreError};
use crate::wire::mail;
use aws_lc_rs::digest;
use chrono::Duration;
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
}

/// Why a message is not sent.
pub(super) enum Stop {
    Recall(&'static str),
    Fail(String),
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
            Ok((ready, article)) => {
                // Somebody sits and waits for these.
                let is_awaited = match row.record.message {
                    Message::Confirmation { .. } | Message::Preferences { .. } | Message::Farewell { .. } => true,
                    Message::Notice { .. } | Message::Digest { .. } => false,
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
                self.store.write_message(&mut batch, Some(&row), &LedgerRow { state, ..row.record.clone() });
                return Ok(Plan::Send(batch, Box::new(ready), article));
            }
            Err(Stop::Recall(why)) => (Delivery::Recalled { at: now, why: why.into() }, Closed::Recalled),
            Err(Stop::Fail(why)) => (Delivery::Failed { at: now, reply: shortened(&why) }, Closed::Failed),
            Err(Stop::Store(error)) => return Err(error),
        };
        let mut batch = Batch::default();
        self.store.write_message(&mut batch, Some(&row), &LedgerRow { state, ..row.record.clone() });
        Ok(Plan::Close(batch, closed))
    }

    /// The mail of `row` as it has to be now; `batch` then requires the subscription that it was built from.
    fn ready(&self, row: &LedgerRow, now: Time, batch: &mut Batch) -> Result<(Ready, Option<Arc<Known>>), Stop> {
        let Some(subscription) = self.store.subscription(row.subscription)? else {
            return Err(Stop::Recall("there is no such subscription"));
        };
        self.store.require_subscription(batch, &subscription);
        let newsroom = self.newsroom.load();
        let secret = &self.store.identity().secret;
        let id = self.id(&row.key());
        let (from, to) = (&self.settings.from, &subscription.record.address);
        let returns = self.settings.return_address.as_ref();
        let frame = mail::Frame { site: &newsroom.site, from, to, returns, id: &id, date: now };
        let (bytes, article) = match &row.message {
            Message::Notice { article } => {
                let article = self.known(article)?.filter(|known| known.article.record.is_public());
                let article = article.ok_or(Stop::Recall("the article has been retracted"))?;
                is_owed(&subscription.record, row, &article.labels)?;
                let leave = mail::Token::leave(row.subscription).seal(secret);
                let wanted = wanted(&newsroom, &subscription.record.selection);
                let list = row.list.as_ref().and_then(|slug| category(&newsroom, slug));
                (self.notice(&frame, &article, list, wanted, &leave, newsroom.changed_at)?, Some(article))
            }
            Message::Digest { .. } => {
                is_active(&subscription.record, row)?;
                (self.digest(&frame, &newsroom, &subscription.record, row)?, None)
            }
            Message::Farewell { round } => {
                let left_at = left(&subscription.record, *round)?;
                let farewell = mail::Farewell {
                    wanted: &wanted(&newsroom, &subscription.record.selection),
                    undo: &mail::Token::undo(&subscription.record).seal(secret),
                    until: left_at + Duration::days(Subscription::UNDO_WITHIN_DAYS),
                };
                (mail::farewell(&frame, &farewell)?, None)
            }
            Message::Preferences { round } => {
                let subscriber = self.store.subscriber_of(to)?.map(|subscriber| subscriber.record);
                let subscriber = subscriber.filter(|subscriber| subscriber.links == *round);
                let subscriber = subscriber.ok_or(Stop::Recall("a newer one was asked for"))?;
                let link = mail::Token::preferences(&subscriber).seal(secret);
                (mail::preferences(&frame, &link, Subscriber::LINK_HOURS)?, None)
            }
            Message::Confirmation { round } => {
                let asked = asked_for(&subscription.record, *round, now)?;
                let confirmation = mail::Confirmation {
                    wanted: &wanted(&newsroom, asked),
                    is_change: subscription.record.wished.is_some(),
                    confirm: &mail::Token::confirm(&subscription.record).seal(secret),
                    never: &mail::Token::never(row.subscription).seal(secret),
                    days: Subscription::CONFIRM_WITHIN_DAYS,
                };
                (mail::confirmation(&frame, &confirmation)?, None)
            }
        };
        let from = match returns {
            Some(address) => mail::envelope_sender(address, row.subscription, now, secret),
            None => from.address.clone(),
        };
        let (is_ascii, lane) = (bytes.is_ascii(), self.lane(to)?);
        Ok((Ready { id, from, to: to.as_str().to_owned(), bytes, is_ascii, lane }, article))
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

pub(super) fn wanted(newsroom: &Newsroom, selection: &Selection) -> String {
    mail::wanted(selection, |slug| newsroom.categories.get(slug).map(|category| category.title.as_str()))
}
