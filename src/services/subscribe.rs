//! Asking for mail, confirming, leaving. Nobody gets mail who has not confirmed, and nobody can find out here who
//! gets it: asking answers the same for every address, in about the same time.

use super::newsroom::SharedNewsroom;
use crate::domain::{
    Address, Clock, Kind, Problem, Selection, Subscription, SubscriptionId, SubscriptionState, Term, Time,
};
use crate::store::{Batch, CommitError, LedgerRow, Message, Store, StoreError, Stored};
use crate::wire::mail::{Purpose, Token};
use chrono::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What is asked again sooner makes no second mail: a form that is sent in a loop must not fill a mailbox.
const ASK_AGAIN: Duration = Duration::minutes(10);
/// Rounds against somebody who changes the same subscription all the time.
const CONFLICTS_MAX: usize = 8;

/// The subscriptions, for those who ask for them.
pub struct Subscriptions {
    store: Arc<Store>,
    clock: Clock,
    newsroom: SharedNewsroom,
    confirmations_per_hour_max: usize,
    hint: Arc<tokio::sync::Notify>,
    /// When the confirmation mails of the last hour were asked for, oldest first.
    recent: Mutex<VecDeque<Time>>,
}

impl Subscriptions {
    /// At most `confirmations_per_hour_max` confirmation mails go out in an hour, to all addresses together, counted
    /// from the start of the daemon. `hint` wakes the mailer.
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        newsroom: SharedNewsroom,
        confirmations_per_hour_max: usize,
        hint: Arc<tokio::sync::Notify>,
    ) -> Self {
        Subscriptions { store, clock, newsroom, confirmations_per_hour_max, hint, recent: Mutex::default() }
    }

    /// Asks for `selection` to be mailed to `address`: a confirmation mail goes there, where one is needed.
    ///
    /// Errors: [`Kind::Invalid`] for a category that is not known; [`Kind::TooMany`] where too many asked within
    /// the hour, whatever the address. Nothing tells whether the address was known.
    pub async fn ask(&self, address: Address, selection: Selection) -> Result<(), Problem> {
        let selection = self.known(selection)?;
        let slot = self.slot()?;
        for _ in 0..CONFLICTS_MAX {
            let now = self.clock.now();
            let old = self.store.subscription_of(&address).map_err(internal)?;
            let new = asked(old.as_ref().map(|old| &old.record), &address, &selection, now)?;
            let mut batch = Batch::default();
            if let Some(new) = &new {
                self.store.write_subscription(&mut batch, old.as_ref(), new);
                let row = LedgerRow::new(Message::Confirmation { round: new.round }, new.id, None, now);
                self.store.write_message(&mut batch, None, &row);
            }
            if let (None, Some(old)) = (&new, &old) {
                // Written as it is: only a batch that writes waits for the disk, and the time it takes must not tell
                // who is subscribed.
                self.store.write_subscription(&mut batch, Some(old), &old.record);
            }
            match self.store.commit(batch).await {
                Ok(_) => {
                    if new.is_some() {
                        slot.keep();
                        self.hint.notify_one();
                    }
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(internal(error)),
            }
        }
        Err(busy())
    }

    /// What a link is for and whose it is. Changes nothing, however often software opens the link.
    ///
    /// Errors: [`Kind::NotFound`] for a link that is not ours; [`Kind::Gone`] for one that is no longer good.
    pub fn look(&self, token: &str) -> Result<(Purpose, Subscription), Problem> {
        let (token, stored) = self.open(token)?;
        if token.purpose == Purpose::Confirm {
            confirmed(&stored.record, token.round, self.clock.now())?;
        }
        Ok((token.purpose, stored.record))
    }

    /// Confirms what the link's mail asked about; a second time changes nothing. Errors: as for
    /// [`Subscriptions::look`], and for a link that is for leaving.
    pub async fn confirm(&self, token: &str) -> Result<Subscription, Problem> {
        self.change(token, Purpose::Confirm, confirmed).await
    }

    /// Leaves, from any state; a second time changes nothing. Errors: as for [`Subscriptions::look`], and for a link
    /// that is for confirming.
    pub async fn leave(&self, token: &str) -> Result<Subscription, Problem> {
        self.change(token, Purpose::Leave, |old, _, now| {
            let state = match &old.state {
                SubscriptionState::Unsubscribed { .. } => old.state.clone(),
                SubscriptionState::Pending
                | SubscriptionState::Confirmed { .. }
                | SubscriptionState::Refused { .. } => SubscriptionState::Unsubscribed { at: now },
            };
            Ok(Subscription { state, wished: None, ..old.clone() })
        })
        .await
    }

    /// Up to `limit` subscriptions behind `after`, for the operator.
    pub fn list(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<Subscription>, Problem> {
        let page = self.store.subscriptions(after, limit).map_err(internal)?;
        Ok(page.into_iter().map(|stored| stored.record).collect())
    }

    async fn change(
        &self,
        token: &str,
        purpose: Purpose,
        next: impl Fn(&Subscription, u32, Time) -> Result<Subscription, Problem>,
    ) -> Result<Subscription, Problem> {
        for _ in 0..CONFLICTS_MAX {
            let (token, old) = self.open(token)?;
            if token.purpose != purpose {
                return Err(unknown());
            }
            let new = next(&old.record, token.round, self.clock.now())?;
            if new == old.record {
                return Ok(new);
            }
            let mut batch = Batch::default();
            self.store.write_subscription(&mut batch, Some(&old), &new);
            match self.store.commit(batch).await {
                Ok(_) => return Ok(new),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(internal(error)),
            }
        }
        Err(busy())
    }

    fn open(&self, token: &str) -> Result<(Token, Stored<Subscription>), Problem> {
        let token = Token::open(token, &self.store.identity().secret).ok_or_else(unknown)?;
        let stored = self.store.subscription(token.subscription).map_err(internal)?.ok_or_else(unknown)?;
        Ok((token, stored))
    }

    /// The selection, if its categories exist. Errors: [`Kind::Invalid`] names all that are unknown.
    fn known(&self, selection: Selection) -> Result<Selection, Problem> {
        let newsroom = self.newsroom.load();
        let unknown = selection.terms().filter_map(|term| match term {
            Term::Category(slug) => newsroom.categories.find("categories", slug.as_str()).err(),
            Term::Tag(_) | Term::Author(_) | Term::Language(_) => None,
        });
        let faults: Vec<_> = unknown.collect();
        if faults.is_empty() { Ok(selection) } else { Err(Problem::invalid(faults)) }
    }

    /// Takes a place among the confirmation mails of this hour, before anything is known about the address.
    fn slot(&self) -> Result<Slot<'_>, Problem> {
        let now = self.clock.now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.front().is_some_and(|at| now - *at >= Duration::hours(1)) {
            recent.pop_front();
        }
        if recent.len() >= self.confirmations_per_hour_max {
            return Err(Problem::new(Kind::TooMany, "too many have asked within the hour; please try again later"));
        }
        recent.push_back(now);
        Ok(Slot { recent: &self.recent, at: now, is_kept: false })
    }
}

/// A place in the window; given back unless a mail came of it.
struct Slot<'a> {
    recent: &'a Mutex<VecDeque<Time>>,
    at: Time,
    is_kept: bool,
}

impl Slot<'_> {
    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(own)) = (self.is_kept, recent.iter().rposition(|at| *at == self.at)) {
            recent.remove(own);
        }
    }
}

/// What the subscription becomes when `selection` is asked for at `now`; none if nothing is to be mailed for that.
fn asked(
    old: Option<&Subscription>,
    address: &Address,
    selection: &Selection,
    now: Time,
) -> Result<Option<Subscription>, Problem> {
    let Some(old) = old else {
        return Ok(Some(Subscription {
            id: mint()?,
            address: address.clone(),
            selection: selection.clone(),
            wished: None,
            state: SubscriptionState::Pending,
            round: 1,
            created_at: now,
            asked_at: now,
        }));
    };
    let round = old.round.saturating_add(1);
    let is_again = now - old.asked_at < ASK_AGAIN;
    let anew = Subscription {
        selection: selection.clone(),
        wished: None,
        state: SubscriptionState::Pending,
        round,
        asked_at: now,
        ..old.clone()
    };
    Ok(match &old.state {
        SubscriptionState::Pending | SubscriptionState::Refused { .. } => (!is_again).then_some(anew),
        // Only its owner can have left, so this is no loop.
        SubscriptionState::Unsubscribed { .. } => Some(anew),
        SubscriptionState::Confirmed { .. } if *selection == old.selection => None,
        SubscriptionState::Confirmed { .. } if is_again && old.wished.is_some() => None,
        SubscriptionState::Confirmed { .. } => {
            Some(Subscription { wished: Some(selection.clone()), round, asked_at: now, ..old.clone() })
        }
    })
}

/// What the subscription becomes when its owner confirms `round`.
fn confirmed(old: &Subscription, round: u32, now: Time) -> Result<Subscription, Problem> {
    if round != old.round {
        return Err(Problem::new(Kind::Gone, "a newer mail was sent after this one; please use the link in that"));
    }
    let has_lapsed = old.has_lapsed(now);
    let lapsed = || Problem::new(Kind::Gone, "this link was good for 14 days; please ask once more");
    match (&old.state, &old.wished) {
        (SubscriptionState::Confirmed { .. }, None) => Ok(old.clone()),
        (SubscriptionState::Pending | SubscriptionState::Confirmed { .. }, _) if has_lapsed => Err(lapsed()),
        (SubscriptionState::Confirmed { .. }, Some(wished)) => {
            Ok(Subscription { selection: wished.clone(), wished: None, ..old.clone() })
        }
        (SubscriptionState::Pending, _) => {
            Ok(Subscription { state: SubscriptionState::Confirmed { at: now }, ..old.clone() })
        }
        (SubscriptionState::Unsubscribed { .. } | SubscriptionState::Refused { .. }, _) => {
            Err(Problem::new(Kind::Gone, "this subscription has ended since; please ask once more"))
        }
    }
}

fn mint() -> Result<SubscriptionId, Problem> {
    let mut random = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Problem::new(Kind::Internal, "no randomness"))?;
    Ok(SubscriptionId(uuid::Builder::from_random_bytes(random).into_uuid()))
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "this link is not one of ours, or not all of it has come along")
}

fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "this subscription is being changed elsewhere; please try again")
}

fn internal(error: StoreError) -> Problem {
    match &error {
        // Its key may be an address.
        StoreError::Record { table, what, .. } => tracing::error!("a record of {} is damaged: {what}", table.name()),
        StoreError::Locked { .. }
        | StoreError::Newer { .. }
        | StoreError::Older { .. }
        | StoreError::Damaged { .. }
        | StoreError::Engine(_)
        | StoreError::Stopped(_) => tracing::error!(%error, "a subscription could not be read or stored: {error}"),
    }
    Problem::new(Kind::Internal, "the store failed; the operator's log says more")
}
