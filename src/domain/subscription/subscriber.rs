//! An address and what holds for all its subscriptions.

use super::{Address, Misses, Subscription, SubscriptionId, Zone};
use crate::domain::{Language, Time, language};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A subscriber's name for life: random, so that it tells nothing about the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriberId(pub Uuid);

impl std::fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A mailbox. It has at least one subscription, be it one that waits to be confirmed or to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// For life.
    pub id: SubscriberId,
    /// The mailbox, as it was first written.
    pub address: Address,
    /// Its subscriptions, the oldest first.
    pub subscriptions: Vec<SubscriptionId>,
    /// Language of pages and mails to it; the newsroom's where it has chosen none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "language::if_known")]
    pub language: Option<Language>,
    /// On whose clock its digests come; the publisher's standard where it has chosen none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// When it was first heard of.
    #[serde(with = "crate::domain::millis")]
    pub created_at: Time,
    /// When a confirmation mail was last asked for.
    #[serde(with = "crate::domain::millis")]
    pub asked_at: Time,
    /// How many were asked for on the day (UTC) of the last one.
    #[serde(default)]
    pub asks: u32,
    /// Counts the links to its preferences that were asked for; only the last one works.
    #[serde(default)]
    pub links: u32,
    /// When the last of them was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::millis::optional")]
    pub link_at: Option<Time>,
    /// How many were asked for on the day (UTC) of the last one.
    #[serde(default, skip_serializing_if = "crate::domain::is_zero")]
    pub links_today: u32,
    /// How often it took no mail of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<Misses>,
    /// When its owner said that our mail is unwanted: then nobody can have them asked, as long as they are known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::millis::optional")]
    pub complained_at: Option<Time>,
}

impl Subscriber {
    /// Subscriptions of one address. More are somebody's experiment, and each costs a look at every article.
    pub const SUBSCRIPTIONS_MAX: usize = 20;

    /// Hours for which a link to the preferences works: long enough for a slow mail, and not for who finds it later.
    pub const LINK_HOURS: i64 = 24;

    /// The subscriber of a first subscription.
    pub fn of(subscription: &Subscription) -> Self {
        Subscriber {
            // The first subscription's id is as random as any other.
            id: subscription.subscriber(),
            address: subscription.address.clone(),
            subscriptions: vec![subscription.id],
            language: None,
            zone: None,
            created_at: subscription.created_at,
            asked_at: subscription.asked_at,
            asks: 1,
            links: 0,
            link_at: None,
            links_today: 0,
            misses: None,
            complained_at: None,
        }
    }
}
