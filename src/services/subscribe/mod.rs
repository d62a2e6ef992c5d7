//! Asking for mail, confirming, leaving. Nobody gets mail who has not confirmed, and nobody can find out here who
//! gets it: asking answers the same for every address, in about the same time.

mod budget;
mod consent;
mod decide;
mod preferences;
mod record;

pub use preferences::{Amendment, Preferences};
pub use record::PersonalRecord;

use super::newsroom::SharedNewsroom;
use crate::config;
use crate::domain::{
    Address, Cadence, Clock, Consent, Given, Kind, Language, Problem, Reason, Selection, Subscriber, SubscriberId,
    Subscription, SubscriptionId, SubscriptionState, Time, Zone,
};
use crate::store::{Batch, Became, Counted, LedgerRow, Message, Store, StoreError, Stored, Tally};
use crate::wire::mail::{Purpose, Token};
use std::net::IpAddr;
use std::sync::Arc;

/// The subscriptions, for those who ask for them.
pub struct Subscriptions {
    store: Arc<Store>,
    clock: Clock,
    newsroom: SharedNewsroom,
    standard: config::Subscriptions,
    confirmations_per_hour_max: usize,
    hint: Arc<tokio::sync::Notify>,
    /// One asks at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What somebody asks for. What is left open is as the publisher has it.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Where to.
    pub address: Address,
    /// What.
    pub selection: Selection,
    /// How often.
    pub cadence: Option<Cadence>,
    /// On whose clock.
    pub zone: Option<Zone>,
    /// Language of pages and mails.
    pub language: Option<Language>,
    /// Who asks.
    pub from: Option<IpAddr>,
    /// Has the form's script done its work, or is it a program that has a key?
    pub is_proven: bool,
}

impl Asking {
    /// `selection` to `address`, all else left open.
    pub fn new(address: Address, selection: Selection) -> Self {
        Asking { address, selection, cadence: None, zone: None, language: None, from: None, is_proven: true }
    }
}

/// An address as it is stored.
#[derive(Debug)]
struct Known {
    subscriber: Stored<Subscriber>,
    subscriptions: Vec<Stored<Subscription>>,
}

impl Known {
    fn records(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter().map(|stored| &stored.record)
    }
}

impl Subscriptions {
    /// At most `confirmations_per_hour_max` confirmation mails go out in an hour, to all addresses together. `standard` holds for who does not say otherwise. `hint` wakes the mailer.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        newsroom: SharedNewsroom,
        standard: config::Subscriptions,
        confirmations_per_hour_max: usize,
        hint: Arc<tokio::sync::Notify>,
    ) -> Self {
        let turn = tokio::sync::Mutex::default();
        Subscriptions { store, clock, newsroom, standard, confirmations_per_hour_max, hint, turn }
    }

    /// What holds for who does not say otherwise.
    pub fn standard(&self) -> &config::Subscriptions {
        &self.standard
    }

    /// Asks for what `asking` says: a confirmation mail goes to the address, where one is needed. It waits a while where
    /// no work was proven.
    ///
    /// Errors: [`Kind::Invalid`] for a category that is not known; [`Kind::TooMany`] where too many asked within
    /// the hour, whatever the address. Nothing tells whether the address was known.
    pub async fn ask(&self, asking: Asking) -> Result<(), Problem> {
        self.check_selection(&asking.selection)?;
        // All of them change the same budget, so they would only be in each other's way.
        let _turn = self.turn.lock().await;
        self.change_and_mail(|| {
            let now = self.clock.now();
            let budgets = self.budgets(&asking.address, asking.is_proven, now)?;
            let known = self.known(&asking.address)?;
            let mut batch = Batch::default();
            let has_complained = known.as_ref().is_some_and(|known| known.subscriber.record.complained_at.is_some());
            let new = match self.never(&asking.address)? {
                None if !has_complained && !budgets.is_mailbox_full => self.asked(known.as_ref(), &asking, now)?,
                Some(_) | None => None,
            };
            budgets.write(self, &mut batch, asking.is_proven);
            if let Some((subscription, subscriber)) = &new {
                let mut old = known.iter().flat_map(|known| &known.subscriptions);
                let old = old.find(|old| old.record.id == subscription.id);
                self.store.write_subscription(&mut batch, old, subscription);
                self.store.write_subscriber(&mut batch, known.as_ref().map(|known| &known.subscriber), subscriber);
                let message = Message::Confirmation { round: subscription.round };
                let due_at = if asking.is_proven { now } else { now + self.standard.unproven_wait };
                let row = LedgerRow::new(message, subscription.id, None, now).due_at(due_at);
                self.store.write_message(&mut batch, &row);
            }
            Ok((batch, ()))
        })
        .await
    }

    /// What a link is for. Errors: [`Kind::NotFound`] for a link that is not ours.
    pub fn purpose(&self, token: &str) -> Result<Purpose, Problem> {
        Token::open(token, &self.store.identity().secret).map(|token| token.purpose).ok_or_else(unknown)
    }

    /// What a link is for and the subscription that it is of. Changes nothing, however often software opens the link.
    ///
    /// Errors: [`Kind::NotFound`] for a link that is not ours, or of no one subscription; [`Kind::Gone`] for one that is no
    /// longer good.
    pub fn look(&self, token: &str) -> Result<(Purpose, Subscription), Problem> {
        let (token, stored) = self.open(token)?;
        match token.purpose {
            Purpose::Confirm => decide::may_confirm(&stored.record, token.round, self.clock.now())?,
            Purpose::Undo => {
                let known = self.known(&stored.record.address)?.ok_or_else(unknown)?;
                decide::may_undo(&stored.record, known.records(), token.round)?;
            }
            Purpose::Leave => {}
            Purpose::Preferences | Purpose::Feed | Purpose::Never => return Err(unknown()),
        }
        Ok((token.purpose, stored.record))
    }

    /// Confirms what the link's mail asked about, at the wish of the client `from`, who saw the wording in `language`; a
    /// second time changes nothing.
    /// It takes the place of another subscription of the same address to the same selection: so one's owner, and nobody
    /// else, can have it at another cadence.
    ///
    /// Errors: as for [`Subscriptions::look`], and for a link that is for something else.
    pub async fn confirm(
        &self,
        token: &str,
        from: Option<IpAddr>,
        language: Language,
    ) -> Result<Subscription, Problem> {
        self.change(|| {
            let (token, old) = self.open_for(Purpose::Confirm, token)?;
            let (mut batch, now) = (Batch::default(), self.clock.now());
            decide::may_confirm(&old.record, token.round, now)?;
            if decide::is_confirmed(&old.record) {
                return Ok((batch, old.record));
            }
            let known = self.known(&old.record.address)?.ok_or_else(unknown)?;
            let wording = Some(self.keep_wording(&mut batch, language)?);
            let (confirmed, language) = (Some(Given { at: now, from }), Some(language));
            let consent = Consent { confirmed, wording, language, ..old.record.consent.clone() };
            let new = old.record.begun(now, self.store.head(), self.zone(&known.subscriber.record));
            let mut new = Subscription { consent, ..new };
            for other in &known.subscriptions {
                let is_same = other.record.selection == new.selection && other.record.id != new.id;
                if is_same && decide::is_confirmed(&other.record) {
                    decide::take_over(&mut new, &other.record);
                    self.store.write_subscription(&mut batch, Some(other), &other.record.left(now));
                }
            }
            self.store.write_subscription(&mut batch, Some(&old), &new);
            Ok((batch, new))
        })
        .await
    }

    /// Leaves, from any state; a second time changes nothing. Errors: as for [`Subscriptions::look`], and for a link
    /// that is for something else.
    pub async fn leave(&self, token: &str) -> Result<Subscription, Problem> {
        let by = self.left_by(token).await?;
        self.change_and_mail(|| {
            let (_, old) = self.open_for(Purpose::Leave, token)?;
            let mut batch = Batch::default();
            let left = self.end(&mut batch, &old, by.as_ref(), self.clock.now())?;
            Ok((batch, left))
        })
        .await
    }

    /// The message by whose link somebody leaves, if that can be known. Nothing is looked for where nothing is left.
    async fn left_by(&self, token: &str) -> Result<Option<Message>, Problem> {
        let (token, old) = self.open(token)?;
        if token.purpose != Purpose::Leave || !decide::is_confirmed(&old.record) {
            return Ok(None);
        }
        let found = self.store.scan(move |store| store.tagged(token.subscription, token.round)).await;
        Ok(found.map_err(internal)?.map(|row| row.record.message))
    }

    /// The subscription as it is once it has ended, by the link of a mail or otherwise. The owner of one that was confirmed
    /// is told so, since a mail may have been passed on, and it is counted; one that has ended before stays as it is.
    fn end(
        &self,
        batch: &mut Batch,
        old: &Stored<Subscription>,
        by: Option<&Message>,
        now: Time,
    ) -> Result<Subscription, Problem> {
        if matches!(old.record.state, SubscriptionState::Unsubscribed { .. }) {
            return Ok(old.record.clone());
        }
        let new = old.record.left(now);
        self.store.write_subscription(batch, Some(old), &new);
        if decide::is_confirmed(&old.record) {
            self.say_farewell(batch, &new, now);
            let mut tally = Tally::default();
            let counted = by.map_or_else(|| Counted::some(&old.record), |by| Counted::of(by, &old.record));
            tally.add(&counted, Became::Unsubscribed, now);
            self.store.write_tally(batch, &tally).map_err(internal)?;
        }
        Ok(new)
    }

    /// The owner of `left`, which was confirmed before, is told that it has ended.
    pub(super) fn say_farewell(&self, batch: &mut Batch, left: &Subscription, now: Time) {
        let row = LedgerRow::new(Message::Farewell { round: left.round }, left.id, None, now);
        self.store.write_message(batch, &row);
    }

    /// Up to `limit` subscriptions behind `after`, for the operator.
    pub fn list(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<Subscription>, Problem> {
        let page = self.store.subscriptions(after, limit).map_err(internal)?;
        Ok(page.into_iter().map(|stored| stored.record).collect())
    }

    /// The subscription and its subscriber as `asking` leaves them; none if nothing is to be mailed for that.
    fn asked(
        &self,
        known: Option<&Known>,
        asking: &Asking,
        now: Time,
    ) -> Result<Option<(Subscription, Subscriber)>, Problem> {
        let cadence = asking.cadence.unwrap_or_else(|| self.standard.cadence());
        let wanted = Subscription {
            cadence,
            consent: Consent { asked: Some(Given { at: now, from: asking.from }), ..Consent::default() },
            ..Subscription::asked(mint()?, asking.address.clone(), asking.selection.clone(), now)
        };
        let (subscription, subscriber) = match known {
            None => {
                let subscriber = Subscriber::of(&wanted);
                (wanted, subscriber)
            }
            Some(known) => {
                let records: Vec<_> = known.records().collect();
                let asks_max = self.standard.confirmations_per_address_per_day_max;
                match decide::asked(&known.subscriber.record, &records, wanted, asks_max, now) {
                    Some(asked) => asked,
                    None => return Ok(None),
                }
            }
        };
        // Whoever can write the address must not move the digests of its owner to another hour.
        let is_anybodys =
            known.is_none_or(|known| !known.subscriptions.iter().any(|s| decide::is_confirmed(&s.record)));
        let subscriber = match is_anybodys {
            true => Subscriber { zone: asking.zone.clone(), language: asking.language, ..subscriber },
            false => subscriber,
        };
        Ok(Some((subscription, subscriber)))
    }

    fn zone<'a>(&'a self, subscriber: &'a Subscriber) -> &'a Zone {
        subscriber.zone.as_ref().unwrap_or(&self.standard.zone)
    }

    /// The language of whom a link is of; none where it is not ours or they have chosen none.
    pub fn language(&self, token: &str) -> Result<Option<Language>, Problem> {
        let Some(token) = Token::open(token, &self.store.identity().secret) else { return Ok(None) };
        let subscriber = match token.purpose {
            Purpose::Preferences => self.store.subscriber(SubscriberId(token.subscription.0)),
            Purpose::Confirm | Purpose::Leave | Purpose::Undo | Purpose::Feed | Purpose::Never => {
                match self.store.subscription(token.subscription) {
                    Ok(Some(subscription)) => self.store.subscriber(subscription.record.subscriber()),
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        };
        Ok(subscriber.map_err(internal)?.and_then(|subscriber| subscriber.record.language))
    }

    fn known(&self, address: &Address) -> Result<Option<Known>, Problem> {
        let Some(subscriber) = self.store.subscriber_of(address).map_err(internal)? else { return Ok(None) };
        let subscriptions = self.store.subscriptions_of(&subscriber.record).map_err(internal)?;
        Ok(Some(Known { subscriber, subscriptions }))
    }

    fn open(&self, token: &str) -> Result<(Token, Stored<Subscription>), Problem> {
        let token = Token::open(token, &self.store.identity().secret).ok_or_else(unknown)?;
        let stored = self.store.subscription(token.subscription).map_err(internal)?.ok_or_else(unknown)?;
        Ok((token, stored))
    }

    /// As above, of a link that is for `purpose`; any other is none of ours here.
    fn open_for(&self, purpose: Purpose, token: &str) -> Result<(Token, Stored<Subscription>), Problem> {
        let (token, stored) = self.open(token)?;
        if token.purpose == purpose { Ok((token, stored)) } else { Err(unknown()) }
    }

    /// As [`Store::decide`], with errors that tell strangers nothing of what is stored.
    async fn change<T: Sync>(&self, mut decide: impl FnMut() -> Result<(Batch, T), Problem>) -> Result<T, Problem> {
        let decided = self.store.decide(|| match decide() {
            Ok((batch, value)) => Ok((batch, Ok(value))),
            Err(problem) => Ok((Batch::default(), Err(problem))),
        });
        decided.await.map_err(internal)?
    }

    /// As above; then the mailer looks for what it owes.
    async fn change_and_mail<T: Sync>(
        &self,
        decide: impl FnMut() -> Result<(Batch, T), Problem>,
    ) -> Result<T, Problem> {
        let value = self.change(decide).await?;
        self.wake();
        Ok(value)
    }

    /// The mailer looks for what it owes.
    pub(super) fn wake(&self) {
        self.hint.notify_one();
    }

    /// Do the categories of `selection` exist? Errors: [`Kind::Invalid`] names all that are unknown.
    fn check_selection(&self, selection: &Selection) -> Result<(), Problem> {
        let faults = self.newsroom.load().categories.unknown("categories", selection);
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}

fn mint() -> Result<SubscriptionId, Problem> {
    let mut random = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Problem::new(Kind::Internal, "no randomness"))?;
    Ok(SubscriptionId(uuid::Builder::from_random_bytes(random).into_uuid()))
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "this link is not one of ours, or not all of it has come along")
        .because(Reason::LinkUnknown)
}

fn internal(error: StoreError) -> Problem {
    match &error {
        StoreError::Busy => return error.into(),
        // Its key may be an address.
        StoreError::Record { table, what, .. } => tracing::error!("a record of {} is damaged: {what}", table.name()),
        StoreError::Locked { .. }
        | StoreError::Newer { .. }
        | StoreError::Older { .. }
        | StoreError::Damaged { .. }
        | StoreError::Engine(_)
        | StoreError::Stopped(_) => tracing::error!(%error, "a subscription could not be read or stored: {error}"),
    }
    if matches!(error, StoreError::Stopped(_)) {
        return Problem::new(Kind::Unavailable, "nothing can be stored at this moment; please try again later");
    }
    Problem::new(Kind::Internal, "the store failed; the operator's log says more")
}
