//! All that is held about an address, for its owner and for the operator.

use super::{Preferences, Subscriptions, internal};
use crate::domain::{Address, Kind, Problem, SubscriptionId};
use crate::store::{LedgerKey, LedgerRow};
use crate::wire::mail::test_recipient;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// All that is held about an address.
#[derive(Debug, Clone, Serialize)]
pub struct PersonalRecord {
    /// The address and what holds for all its subscriptions.
    pub subscriber: crate::domain::Subscriber,
    /// What was asked for, agreed to, and when.
    pub subscriptions: Vec<crate::domain::Subscription>,
    /// What was agreed to, by the version that the subscriptions name.
    pub wordings: BTreeMap<String, String>,
    /// The mails that are owed or were sent.
    pub messages: Vec<LedgerRow>,
}

/// Mails that are told of; more than a person has ever got.
const MESSAGES_MAX: usize = 100_000;

impl Subscriptions {
    /// All that is held about whom `preferences` are of. Goes through the whole ledger.
    pub async fn record(&self, preferences: Preferences) -> Result<PersonalRecord, Problem> {
        let Preferences { subscriber, subscriptions } = preferences;
        let mut ids: HashSet<SubscriptionId> = subscriber.subscriptions.iter().copied().collect();
        ids.insert(test_recipient(&subscriber.address, &self.store.identity().secret));
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
        Ok(PersonalRecord { subscriber, subscriptions, wordings, messages })
    }

    /// The preferences of an address. Errors: [`Kind::NotFound`].
    pub fn of_address(&self, address: &Address) -> Result<Preferences, Problem> {
        let none = || Problem::new(Kind::NotFound, "nothing is held about this address");
        self.known(address)?.map(Preferences::from).ok_or_else(none)
    }
}
