//! What a subscriber sees and changes, by a link that was mailed freshly to the address; the API changes the same.

use super::{Known, Subscriptions, decide, internal, mint, unknown};
use crate::domain::{
    Address, Cadence, Consent, Given, Kind, Language, Problem, Reason, Selection, Seq, Subscriber, SubscriberId,
    Subscription, SubscriptionId, SubscriptionState, Time, Zone,
};
use crate::services::NOTIFY;
use crate::store::{Batch, Delivery, LedgerKey, LedgerRow, Message, StoreError};
use crate::wire::mail::{Purpose, Token};
use chrono::Duration;
use std::net::IpAddr;

/// A second link within this time is not mailed: whoever finds a mail must not fill its owner's mailbox.
const LINK_AGAIN: Duration = Duration::minutes(10);
/// Nor so many in a day (UTC).
const LINKS_A_DAY_MAX: u32 = 5;

/// All that holds for an address.
#[derive(Debug, Clone)]
pub struct Preferences {
    /// The address and what holds for all its subscriptions.
    pub subscriber: Subscriber,
    /// They, the oldest first.
    pub subscriptions: Vec<Subscription>,
}

/// One thing that is to be different.
#[derive(Debug, Clone)]
pub enum Amendment {
    /// What holds for all subscriptions; none stands for the publisher's.
    Settings {
        /// On whose clock.
        zone: Option<Zone>,
        /// Language of pages and mails.
        language: Option<Language>,
    },
    /// Another subscription.
    Add {
        /// What.
        selection: Selection,
        /// How often.
        cadence: Cadence,
        /// In which language the wording stood beside the button, if there was one.
        shown: Option<Language>,
    },
    /// What one subscription asks for, or how often; what is none stays.
    Edit {
        /// Which.
        id: SubscriptionId,
        /// What.
        selection: Option<Selection>,
        /// How often.
        cadence: Option<Cadence>,
        /// Is there to be a break? What comes out during one is not mailed later.
        is_paused: Option<bool>,
    },
    /// One subscription less.
    Remove {
        /// Which.
        id: SubscriptionId,
    },
    /// The private feed gets a new address; the old one leads nowhere from then on.
    NewFeed {
        /// Of which.
        id: SubscriptionId,
    },
}

impl Subscriptions {
    /// Mails a link to the preferences to the owner of the subscription of a leaving link. Says nothing of them.
    ///
    /// Errors: [`Kind::NotFound`] for a link that is not ours or for something else.
    pub async fn send_link(&self, token: &str) -> Result<(), Problem> {
        self.change_and_mail(|| {
            let (_, stored) = self.open_for(Purpose::Leave, token)?;
            let known = self.known(&stored.record.address)?.ok_or_else(unknown)?;
            let (mut batch, now) = (Batch::default(), self.clock.now());
            self.link(&mut batch, &known, now, now);
            Ok((batch, ()))
        })
        .await
    }

    /// Mails a link to the preferences to `address`, if it is known. Answers the same for every address.
    ///
    /// Errors: [`Kind::TooMany`] where too many asked within the hour, whatever the address.
    pub async fn send_link_to(&self, address: &Address, is_proven: bool) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        self.change_and_mail(|| {
            let now = self.clock.now();
            let budgets = self.budgets(address, is_proven, now)?;
            let known = self.known(address)?;
            let is_confirmed = |known: &Known| known.subscriptions.iter().any(|one| decide::is_confirmed(&one.record));
            let mut batch = Batch::default();
            let due_at = if is_proven { now } else { now + self.standard.unproven_wait };
            if let Some(known) = known.filter(is_confirmed) {
                self.link(&mut batch, &known, now, due_at);
            }
            budgets.write(self, &mut batch, is_proven);
            Ok((batch, ()))
        })
        .await
    }

    /// Puts the mail with a link to the preferences into `batch`, unless one went out just now.
    fn link(&self, batch: &mut Batch, known: &Known, now: Time, due_at: Time) {
        let old = &known.subscriber.record;
        let is_again = old.link_at.is_some_and(|at| now - at < LINK_AGAIN);
        let is_same_day = old.link_at.is_some_and(|at| at.date_naive() == now.date_naive());
        let links_today = if is_same_day { old.links_today.saturating_add(1) } else { 1 };
        let may_be = !is_again && links_today <= LINKS_A_DAY_MAX;
        let Some(one) = known.subscriptions.first().filter(|_| may_be) else {
            return self.store.write_subscriber(batch, Some(&known.subscriber), old);
        };
        let links = old.links.saturating_add(1);
        let new = Subscriber { links, link_at: Some(now), links_today, ..old.clone() };
        self.store.write_subscriber(batch, Some(&known.subscriber), &new);
        let message = Message::Preferences { round: new.links };
        let row = LedgerRow::new(message, one.record.id, None, now).due_at(due_at);
        self.store.write_message(batch, &row);
    }

    /// What the bearer of a link to the preferences may see.
    ///
    /// Errors: [`Kind::NotFound`] for a link that is not ours; [`Kind::Gone`] for one that is too old.
    pub fn preferences(&self, token: &str) -> Result<Preferences, Problem> {
        self.owned(token).map(Preferences::from)
    }

    /// The zone on whose clock the digests of `subscription` come. Errors: the store's.
    pub fn zone_of(&self, subscription: &Subscription) -> Result<Zone, Problem> {
        let subscriber = self.store.subscriber(subscription.subscriber()).map_err(internal)?;
        Ok(subscriber.map_or_else(|| self.standard.zone.clone(), |known| self.zone(&known.record).clone()))
    }

    /// The preferences of whoever has the subscription `id`, for the API. Errors: [`Kind::NotFound`].
    pub fn preferences_of(&self, id: SubscriptionId) -> Result<Preferences, Problem> {
        self.known_by(id).map(Preferences::from)
    }

    /// Changes what the bearer of a link to the preferences may change, at the wish of the client `from`.
    ///
    /// Errors: as for [`Subscriptions::preferences`]; [`Kind::Invalid`] for what there cannot be.
    pub async fn amend(
        &self,
        token: &str,
        amendment: &Amendment,
        from: Option<IpAddr>,
    ) -> Result<Preferences, Problem> {
        self.amend_known(|| self.owned(token), amendment, from).await
    }

    /// The same of whoever has the subscription `id`, for the API.
    pub async fn amend_of(&self, id: SubscriptionId, amendment: &Amendment) -> Result<Preferences, Problem> {
        self.amend_known(|| self.known_by(id), amendment, None).await
    }

    /// Takes back that a subscription was left. A second time changes nothing.
    ///
    /// Errors: as for [`Subscriptions::look`], and for a link that is for something else.
    pub async fn undo(&self, token: &str) -> Result<Subscription, Problem> {
        self.change(|| {
            let (token, old) = self.open_for(Purpose::Undo, token)?;
            let known = self.known(&old.record.address)?.ok_or_else(unknown)?;
            decide::may_undo(&old.record, known.records(), token.round)?;
            let mut batch = Batch::default();
            if decide::is_confirmed(&old.record) {
                return Ok((batch, old.record));
            }
            let zone = self.zone(&known.subscriber.record);
            // A digest still tells of what came out meanwhile; mails that come one by one are not sent late.
            let (is_fold, now) = (old.record.digests.is_fold, self.clock.now());
            let is_late = old.record.cadence.is_instant() && !is_fold;
            let head = if is_late { self.store.head() } else { self.told_to(&mut batch, &old.record, now)? };
            let mut new = old.record.begun(now, head, zone);
            if is_fold {
                new.digests.fold_at_once(zone, now);
            }
            self.store.write_subscription(&mut batch, Some(&old), &new);
            Ok((batch, new))
        })
        .await
    }

    /// The place up to which digests have told what there was. One that was made and never went out has told nothing: it is
    /// recalled, and the next one begins where it did.
    fn told_to(&self, batch: &mut Batch, old: &Subscription, now: Time) -> Result<Seq, StoreError> {
        let Some(last) = &old.digests.last else { return Ok(old.digests.since) };
        let Some(row) = self.store.message(&LedgerKey::of_digest(last.window.edition, old.id))? else {
            return Ok(old.digests.since);
        };
        match row.record.state {
            Delivery::Sent { .. } | Delivery::OnWire { .. } | Delivery::Failed { .. } => Ok(old.digests.since),
            Delivery::Recalled { .. } => Ok(last.since),
            Delivery::Pending { .. } => {
                let why = "the subscriber had left meanwhile".to_owned();
                self.store.change_message(batch, row, |row| row.state = Delivery::Recalled { at: now, why });
                Ok(last.since)
            }
        }
    }

    /// The subscription of a private feed's address. Errors: [`Kind::NotFound`] for an address that is not ours or not
    /// in use any more; [`Kind::Gone`] for a subscription that has ended.
    pub fn feed(&self, token: &str) -> Result<Subscription, Problem> {
        let (token, stored) = self.open_for(Purpose::Feed, token)?;
        if token.round != stored.record.feed {
            return Err(unknown());
        }
        match stored.record.state {
            SubscriptionState::Confirmed { .. } | SubscriptionState::Refused { .. } => Ok(stored.record),
            SubscriptionState::Pending | SubscriptionState::Unsubscribed { .. } => {
                Err(Problem::new(Kind::Gone, "this subscription has ended").because(Reason::LinkEnded))
            }
        }
    }

    /// Sealed token of the private feed of `subscription`.
    pub fn feed_token(&self, subscription: &Subscription) -> String {
        Token::feed(subscription).seal(&self.store.identity().secret)
    }

    async fn amend_known(
        &self,
        known: impl Fn() -> Result<Known, Problem>,
        amendment: &Amendment,
        from: Option<IpAddr>,
    ) -> Result<Preferences, Problem> {
        if let Amendment::Add { selection, .. } | Amendment::Edit { selection: Some(selection), .. } = amendment {
            self.check_selection(selection)?;
        }
        let amended = self.change_and_mail(|| {
            let known = known()?;
            Ok((self.amended(&known, amendment, from)?, known.subscriber.record.address))
        });
        self.known(&amended.await?)?.map(Preferences::from).ok_or_else(unknown)
    }

    fn amended(&self, known: &Known, amendment: &Amendment, from: Option<IpAddr>) -> Result<Batch, Problem> {
        let (now, head) = (self.clock.now(), self.store.head());
        let subscriber = &known.subscriber.record;
        let zone = self.zone(subscriber);
        let mut batch = Batch::default();
        match amendment {
            Amendment::Settings { zone, language } => {
                let new = Subscriber { zone: zone.clone(), language: *language, ..subscriber.clone() };
                self.store.write_subscriber(&mut batch, Some(&known.subscriber), &new);
                for old in &known.subscriptions {
                    let paced = old.record.paced(old.record.cadence, self.zone(&new), now);
                    if !paced.cadence.is_instant() && paced != old.record {
                        self.store.write_subscription(&mut batch, Some(old), &paced);
                    }
                }
            }
            Amendment::Add { selection, cadence, shown } => {
                if known.subscriptions.len() >= Subscriber::SUBSCRIPTIONS_MAX {
                    let expected = format!("at most {} subscriptions of an address", Subscriber::SUBSCRIPTIONS_MAX);
                    return Err(Problem::field("selection", "one more", expected));
                }
                let given = Some(Given { at: now, from });
                let wording = shown.map(|shown| self.keep_wording(&mut batch, shown)).transpose()?;
                let asked = Subscription {
                    cadence: *cadence,
                    consent: Consent { asked: given.clone(), confirmed: given, wording, language: *shown },
                    ..Subscription::asked(mint()?, subscriber.address.clone(), selection.clone(), now).of(subscriber)
                };
                let mut new = subscriber.clone();
                new.subscriptions.push(asked.id);
                self.store.write_subscription(&mut batch, None, &asked.begun(now, head, zone));
                self.store.write_subscriber(&mut batch, Some(&known.subscriber), &new);
            }
            Amendment::Edit { id, selection, cadence, is_paused } => {
                let old = known.find(*id)?;
                if !decide::is_confirmed(&old.record) {
                    return Err(Problem::new(Kind::Conflict, "this subscription is not confirmed, or has ended"));
                }
                let mut new = old.record.clone();
                new.selection = selection.clone().unwrap_or(new.selection);
                if let Some(cadence) = cadence.filter(|cadence| *cadence != new.cadence) {
                    if new.cadence.is_instant() && new.digests.next.is_none() {
                        let told = self.store.overtake(&mut batch, NOTIFY, new.id.0.as_bytes()).map_err(internal)?;
                        new.digests.since = new.digests.since.max(told);
                    }
                    new = new.paced(cadence, zone, now);
                }
                match (is_paused, new.paused_at) {
                    (Some(true), None) => {
                        new.paused_at = Some(now);
                        new.digests.next = None;
                    }
                    (Some(false), Some(_)) => new = new.begun(now, head, zone),
                    (Some(true), Some(_)) | (Some(false), None) | (None, _) => {}
                }
                self.store.write_subscription(&mut batch, Some(old), &new);
            }
            Amendment::Remove { id } => drop(self.end(&mut batch, known.find(*id)?, None, now)?),
            Amendment::NewFeed { id } => {
                let old = known.find(*id)?;
                let new = Subscription { feed: old.record.feed.saturating_add(1), ..old.record.clone() };
                self.store.write_subscription(&mut batch, Some(old), &new);
            }
        }
        Ok(batch)
    }

    fn owned(&self, token: &str) -> Result<Known, Problem> {
        let token = Token::open(token, &self.store.identity().secret).ok_or_else(unknown)?;
        if token.purpose != Purpose::Preferences {
            return Err(unknown());
        }
        let id = SubscriberId(token.subscription.0);
        let subscriber = self.store.subscriber(id).map_err(internal)?.ok_or_else(unknown)?;
        if token.round != subscriber.record.links {
            return Err(Problem::new(Kind::Gone, "a newer mail was sent after this one; please use the link in that")
                .because(Reason::LinkNewer));
        }
        let lasts = Duration::hours(Subscriber::LINK_HOURS);
        if subscriber.record.link_at.is_none_or(|at| self.clock.now() - at > lasts) {
            return Err(Problem::new(Kind::Gone, "this link was good for a day; please ask for another one")
                .because(Reason::LinkLapsed));
        }
        let subscriptions = self.store.subscriptions_of(&subscriber.record).map_err(internal)?;
        Ok(Known { subscriber, subscriptions })
    }

    fn known_by(&self, id: SubscriptionId) -> Result<Known, Problem> {
        let none = || Problem::new(Kind::NotFound, format!("there is no subscription {id}"));
        let stored = self.store.subscription(id).map_err(internal)?.ok_or_else(none)?;
        self.known(&stored.record.address)?.ok_or_else(none)
    }
}

impl Known {
    fn find(&self, id: SubscriptionId) -> Result<&crate::store::Stored<Subscription>, Problem> {
        let none = || Problem::new(Kind::NotFound, format!("there is no subscription {id} of this address"));
        self.subscriptions.iter().find(|stored| stored.record.id == id).ok_or_else(none)
    }
}

impl From<Known> for Preferences {
    fn from(known: Known) -> Self {
        let subscriptions = known.subscriptions.into_iter().map(|stored| stored.record).collect();
        Preferences { subscriber: known.subscriber.record, subscriptions }
    }
}
