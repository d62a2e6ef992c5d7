//! What was asked for at an address, how often it is mailed, and whether the address's owner has confirmed it.

mod address;
mod cadence;
mod consent;
mod misses;
mod subscriber;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use cadence::{Cadence, Edition, Hour, Weekdays, Window, Zone};
pub use consent::{Consent, Given};
pub use misses::Misses;
pub use subscriber::{Subscriber, SubscriberId};

use super::{Change, Selection, Seq, Time};
use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A subscription's name for life: random, so that it tells nothing about its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub Uuid);

impl std::fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether mail may go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Asked for, not confirmed: gets one confirmation mail and nothing else.
    Pending,
    /// Its owner has confirmed it.
    Confirmed {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
    },
    /// Its owner has left.
    Unsubscribed {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
    },
    /// Its mail server has said that there is no such mailbox.
    Refused {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
        /// The server's reply, for example `550 5.1.1 no such user`.
        reply: String,
    },
}

/// A selection that is mailed to an address at a cadence. An address holds many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// For life.
    pub id: SubscriptionId,
    /// Whose it is; none of the first of an address, whose id its subscriber bears as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SubscriberId>,
    /// Where mail goes.
    pub address: Address,
    /// What is mailed now. While pending: what will be.
    pub selection: Selection,
    /// How often.
    #[serde(default, skip_serializing_if = "Cadence::is_instant")]
    pub cadence: Cadence,
    /// Whether mail may go there.
    pub state: SubscriptionState,
    /// Since when its owner wants a break, if so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::millis::optional")]
    pub paused_at: Option<Time>,
    /// Counts the confirmation mails asked for, and the times it was left; a link works in the round it was sent in.
    pub round: u32,
    /// When it was first asked for.
    #[serde(with = "crate::domain::millis")]
    pub created_at: Time,
    /// When a confirmation mail was last asked for; limits how often one goes out.
    #[serde(with = "crate::domain::millis")]
    pub asked_at: Time,
    /// How far its digests have come.
    #[serde(default, skip_serializing_if = "Digests::is_unused")]
    pub digests: Digests,
    /// Counts the addresses that its private feed has had; only the last one works.
    #[serde(default, skip_serializing_if = "crate::domain::is_zero")]
    pub feed: u32,
    /// When it is to be erased, if nothing happens before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::millis::optional")]
    pub erase_at: Option<Time>,
    /// What its owner has agreed to.
    #[serde(default, skip_serializing_if = "Consent::is_unknown")]
    pub consent: Consent,
}

/// How far the digests of a subscription have come. One of instant mails has them too, on days with too many.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Digests {
    /// The next one. None where none is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Window>,
    /// What came out up to and with this place of the log is told of, or was before its time.
    #[serde(default)]
    pub since: Seq,
    /// The last one, sent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<PastDigest>,
    /// Is the next one what was too much for a day's instant mails?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fold: bool,
}

/// A digest that is behind us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastDigest {
    /// Its window.
    pub window: Window,
    /// The place in the log behind which it begins.
    pub since: Seq,
}

/// What one digest tells of: all that came out behind one place of the log and up to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Behind this place.
    pub since: Seq,
    /// Up to and with this one.
    pub until: Seq,
    /// What the same address gets in other digests of the same window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub besides: Vec<Besides>,
    /// What it has been told of already, or is about to be, by any other mail: places of the log, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Seq>,
}

/// What another subscription of the same address brings in the same window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Besides {
    /// This selection,
    pub selection: Selection,
    /// behind this place of the log.
    pub since: Seq,
}

impl Span {
    /// Does a digest of `selection` over this span tell of `change`, at the place `seq`? Only what is public for the
    /// first time is news.
    pub fn tells_of(&self, selection: &Selection, seq: Seq, change: &Change) -> bool {
        let is_elsewhere = |other: &Besides| seq > other.since && change.is_news_for(&other.selection);
        let is_within = self.since < seq && seq <= self.until && change.is_news_for(selection);
        is_within && self.without.binary_search(&seq).is_err() && !self.besides.iter().any(is_elsewhere)
    }
}

impl Digests {
    fn is_unused(&self) -> bool {
        *self == Digests::default()
    }

    /// What was too much for a day's instant mails comes at `now`.
    pub fn fold_at_once(&mut self, zone: &Zone, now: Time) {
        (self.next, self.is_fold) = (Some(self.at_once(zone, now)), true);
    }

    /// The window of a digest that comes at `now`, also on a day that has had one: the next day is not to miss its own for
    /// that.
    fn at_once(&self, zone: &Zone, now: Time) -> Window {
        let last = self.last.as_ref().map(|last| last.window.edition);
        Window { edition: Edition::behind(last, zone.date(now)), at: now }
    }

    /// The date of the last one.
    pub fn last_date(&self) -> Option<NaiveDate> {
        self.last.as_ref().map(|last| last.window.edition.date)
    }

    /// The place behind which the digest of `window` begins or began, if there is one of just this window.
    pub fn began(&self, window: &Window) -> Option<Seq> {
        let last = self.last.as_ref().filter(|last| last.window == *window).map(|last| last.since);
        last.or_else(|| self.next.as_ref().filter(|next| *next == window).map(|_| self.since))
    }
}

impl Subscription {
    /// Days for which a confirming link works: a holiday is covered, an old mailbox that somebody else reads is not.
    pub const CONFIRM_WITHIN_DAYS: i64 = 14;
    /// Days for which somebody who left can take that back; then what is known of them is erased.
    pub const UNDO_WITHIN_DAYS: i64 = 28;

    /// The first of an address, asked for at `now`, which waits for its confirmation.
    pub fn asked(id: SubscriptionId, address: Address, selection: Selection, now: Time) -> Self {
        Subscription {
            id,
            owner: None,
            address,
            selection,
            cadence: Cadence::Instant,
            state: SubscriptionState::Pending,
            paused_at: None,
            round: 1,
            created_at: now,
            asked_at: now,
            digests: Digests::default(),
            feed: 0,
            erase_at: Some(now + Duration::days(Self::CONFIRM_WITHIN_DAYS)),
            consent: Consent::default(),
        }
    }

    /// The same of a subscriber who has had others.
    pub fn of(self, subscriber: &Subscriber) -> Self {
        let owner = Some(subscriber.id).filter(|owner| owner.0 != self.id.0);
        Subscription { owner, address: subscriber.address.clone(), ..self }
    }

    /// Whose it is.
    pub fn subscriber(&self) -> SubscriberId {
        self.owner.unwrap_or(SubscriberId(self.id.0))
    }

    /// Has the link of the last confirmation mail lapsed?
    pub fn has_lapsed(&self, now: Time) -> bool {
        now - self.asked_at > Duration::days(Self::CONFIRM_WITHIN_DAYS)
    }

    /// Since when it gets mail, if it does.
    pub fn active_since(&self) -> Option<Time> {
        match self.state {
            SubscriptionState::Confirmed { at } if self.paused_at.is_none() => Some(at),
            SubscriptionState::Confirmed { .. }
            | SubscriptionState::Pending
            | SubscriptionState::Unsubscribed { .. }
            | SubscriptionState::Refused { .. } => None,
        }
    }

    /// The same, getting mail from `now` on: what comes out behind `head` is news to it.
    pub fn begun(&self, now: Time, head: Seq, zone: &Zone) -> Self {
        // An undone break or an undone leave must not bring the digest of a day a second time.
        let last = self.digests.last.clone();
        let next = self.cadence.next(zone, self.digests.last_date(), now);
        let digests = Digests { next, since: head, last, is_fold: false };
        let state = SubscriptionState::Confirmed { at: now };
        Subscription { state, paused_at: None, digests, erase_at: None, ..self.clone() }
    }

    /// The same at another cadence or in another zone, from `now` on. What its next digest begins with stays.
    pub fn paced(&self, cadence: Cadence, zone: &Zone, now: Time) -> Self {
        let digests = self.digests.clone();
        let next = match (cadence, digests.next) {
            _ if self.active_since().is_none() => None,
            (Cadence::Instant, Some(next)) if next.at <= now => Some(next),
            // What has gathered so far comes now, and then each by itself.
            (Cadence::Instant, Some(_)) => Some(digests.at_once(zone, now)),
            (Cadence::Instant, None) => None,
            (Cadence::Daily { .. } | Cadence::Weekly { .. }, _) => cadence.next(zone, digests.last_date(), now),
        };
        let is_fold = digests.is_fold && cadence.is_instant();
        Subscription { cadence, digests: Digests { next, is_fold, ..digests }, ..self.clone() }
    }

    /// The same, once its mail server has said `reply`: there is no such mailbox.
    pub fn refused(&self, now: Time, reply: &str) -> Self {
        Subscription {
            state: SubscriptionState::Refused { at: now, reply: reply.to_owned() },
            digests: Digests { next: None, ..self.digests.clone() },
            ..self.clone()
        }
    }

    /// The same, left at `now`.
    pub fn left(&self, now: Time) -> Self {
        Subscription {
            state: SubscriptionState::Unsubscribed { at: now },
            digests: Digests { next: None, ..self.digests.clone() },
            round: self.round.saturating_add(1),
            erase_at: Some(now + Duration::days(Self::UNDO_WITHIN_DAYS)),
            ..self.clone()
        }
    }
}
