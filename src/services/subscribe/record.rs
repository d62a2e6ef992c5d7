//! All that is held about an address, for its owner and for the operator.

use super::{Preferences, Subscriptions, internal};
use crate::domain::{Address, Kind, Problem, Subscriber, Subscription, SubscriptionId, Time};
use crate::store::{LedgerKey, LedgerRow};
use crate::wire::mail::test_recipient;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// All that is held about an address.
#[derive(Debug, Clone, Serialize)]
pub struct PersonalRecord {
    /// The address and what holds for all its subscriptions; none where it has only got tests, or wants none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<Subscriber>,
    /// What was asked for, agreed to, and when.
    pub subscriptions: Vec<Subscription>,
    /// What was agreed to, by the version that the subscriptions name.
    pub wordings: BTreeMap<String, String>,
    /// The mails that are owed or were sent.
    pub messages: Vec<LedgerRow>,
    /// Since when its owner never wants to be asked again, if so; the address itself is not kept for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_asked_since: Option<Time>,
}

/// Mails that are told of; more than a person has ever got.
const MESSAGES_MAX: usize = 100_000;

impl Subscriptions {
    /// All that is held about whom `preferences` are of. Goes through the whole ledger.
    pub async fn record(&self, preferences: Preferences) -> Result<PersonalRecord, Problem> {
        let Preferences { subscriber, subscriptions } = preferences;
        let address = subscriber.address.clone();
        self.recorded(&address, Some(subscriber), subscriptions).await
    }

    /// All that is held about `address`. Errors: [`Kind::NotFound`] if that is nothing.
    pub async fn record_of(&self, address: &Address) -> Result<PersonalRecord, Problem> {
        if let Some(known) = self.known(address)? {
            return self.record(Preferences::from(known)).await;
        }
        let record = self.recorded(address, None, Vec::new()).await?;
        let is_held = !record.messages.is_empty() || record.never_asked_since.is_some();
        if is_held { Ok(record) } else { Err(nothing()) }
    }

    async fn recorded(
        &self,
        address: &Address,
        subscriber: Option<Subscriber>,
        subscriptions: Vec<Subscription>,
    ) -> Result<PersonalRecord, Problem> {
        let mut ids: HashSet<SubscriptionId> = subscriptions.iter().map(|one| one.id).collect();
        ids.insert(test_recipient(address, &self.store.identity().secret));
        let mut messages: Vec<LedgerRow> = Vec::new();
        let mut after: Option<LedgerKey> = None;
        while messages.len() < MESSAGES_MAX {
            let (of, from) = (ids.clone(), after.clone());
            let piece = self.store.scan(move |store| store.messages_of(&of, from.as_ref())).await;
            let (rows, last) = piece.map_err(internal)?;
            messages.extend(rows.into_iter().map(|row| row.record));
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        let mut wordings = BTreeMap::new();
        for version in subscriptions.iter().filter_map(|one| one.consent.wording.as_ref()) {
            let wording = self.store.wording(version).map_err(internal)?;
            wordings.extend(wording.map(|wording| (version.clone(), wording.text)));
        }
        let never_asked_since = self.never(address)?.map(|never| never.at);
        Ok(PersonalRecord { subscriber, subscriptions, wordings, messages, never_asked_since })
    }

    /// The preferences of an address. Errors: [`Kind::NotFound`].
    pub fn of_address(&self, address: &Address) -> Result<Preferences, Problem> {
        self.known(address)?.map(Preferences::from).ok_or_else(nothing)
    }
}

fn nothing() -> Problem {
    Problem::new(Kind::NotFound, "nothing is held about this address")
}
