//! The canary: a mail to ourselves whose coming back proves that mail is delivered.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// How the canary fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Canary {
    /// Number of the last one that was sent, from 1 on.
    #[serde(default)]
    pub sent: u32,
    /// When that came to be owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// Since when one is waited for: when the first one was owed that has not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_since: Option<Time>,
    /// Number of the last one that has come back.
    #[serde(default)]
    pub proven: u32,
    /// When it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Time>,
}

impl Record for Canary {
    const KIND: u8 = b'Q';
    const SCHEMA: u8 = 1;
}

/// Its one key.
pub(super) const KEY: &[u8] = b"canary";

impl Canary {
    /// The same once number `number` has come back at `now`; none where it proves nothing: it has never been sent, or it or
    /// a later one has come before.
    pub fn proven(&self, number: u32, now: Time) -> Option<Self> {
        let is_new = self.proven < number && number <= self.sent;
        // An older one that comes late proves that mail arrives; the last one is still waited for.
        let waited_since = self.sent_at.filter(|_| number < self.sent);
        is_new.then_some(Canary { proven: number, proven_at: Some(now), waited_since, ..*self })
    }

    /// The same once the next one is owed at `now`.
    pub fn next(&self, now: Time) -> Self {
        let waited_since = self.waited_since.or(Some(now));
        Canary { sent: self.sent.saturating_add(1), sent_at: Some(now), waited_since, ..*self }
    }
}

impl Store {
    /// How it fares; none where there never was one.
    pub fn canary(&self) -> Result<Option<Stored<Canary>>, StoreError> {
        self.stored(Table::Meta, KEY)
    }

    /// Puts how it fares into `batch`, which then requires that it is still as `old` says.
    pub fn write_canary(&self, batch: &mut Batch, old: Option<&Stored<Canary>>, new: &Canary) {
        record::put_over(batch, Table::Meta, KEY, old, new);
    }
}
