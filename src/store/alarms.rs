//! Alarms that stand, kept so that a restart neither tells them again nor forgets to tell their end.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::config::MailClass;
use crate::domain::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the watchdog has told, and has not told the end of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alarms {
    /// What is late.
    #[serde(default)]
    pub late: BTreeMap<MailClass, Late>,
    /// Since when the canary has been waited for too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Time>,
    /// Mail was held by a quarantine until then: deadlines begin there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm_until: Option<Time>,
    /// Is it held by one?
    #[serde(default)]
    pub is_quarantined: bool,
}

/// Mails of a class that are not finished by their deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// When the alarm began.
    pub since: Time,
    /// When the oldest of them was first due.
    pub oldest: Time,
    /// How many there are; what is not even made counts as one.
    pub messages: u64,
}

impl Record for Alarms {
    const KIND: u8 = b'V';
    const SCHEMA: u8 = 1;
}

/// Its one key.
pub(super) const KEY: &[u8] = b"alarms";

impl Alarms {
    /// Does the same stand in both, whatever is late by how much now?
    pub fn are_as(&self, other: &Alarms) -> bool {
        let began = |alarms: &Alarms| alarms.late.iter().map(|(class, late)| (*class, late.since)).collect::<Vec<_>>();
        let rest = |alarms: &Alarms| (alarms.missing, alarms.is_quarantined);
        // In a quarantine that moment comes nearer all the time.
        let is_calm = self.is_quarantined || self.calm_until == other.calm_until;
        began(self) == began(other) && rest(self) == rest(other) && is_calm
    }
}

impl Store {
    /// The alarms that stand; none where there never was one.
    pub fn alarms(&self) -> Result<Option<Stored<Alarms>>, StoreError> {
        self.stored(Table::Meta, KEY)
    }

    /// Puts the alarms into `batch`, which then requires that they are still as `old` says.
    pub fn write_alarms(&self, batch: &mut Batch, old: Option<&Stored<Alarms>>, new: &Alarms) {
        record::put_over(batch, Table::Meta, KEY, old, new);
    }
}
