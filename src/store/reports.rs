//! Reports that a mailbox is not there (RFC 3464), counted for a day: many at once are likelier a server's fault.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use chrono::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Those of a day, each about a reader who would lose something by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// When the first of them came.
    pub since: Time,
    /// How many.
    pub count: u64,
    /// How many of them by domain of the recipient.
    pub domains: BTreeMap<String, u64>,
    /// Were there more than are believed? The log says so once a day.
    pub is_told: bool,
}

impl Record for Reports {
    const KIND: u8 = b'H';
    const SCHEMA: u8 = 1;
}

/// Their one key.
const KEY: &[u8] = b"reports";
/// Domains that are counted by themselves; a day with more of them has too many reports over all.
const DOMAINS_MAX: usize = 1_000;

impl Reports {
    /// `old` and one more about a mailbox at `domain` that came at `now`; a day after the first the count begins anew.
    pub fn and(old: Option<&Reports>, domain: &str, now: Time) -> Self {
        let new = Reports { since: now, count: 0, domains: BTreeMap::new(), is_told: false };
        let mut reports = old.filter(|old| now - old.since < Duration::days(1)).cloned().unwrap_or(new);
        reports.count = reports.count.saturating_add(1);
        if let Some(count) = reports.domains.get_mut(domain) {
            *count = count.saturating_add(1);
        } else if reports.domains.len() < DOMAINS_MAX {
            reports.domains.insert(domain.to_owned(), 1);
        }
        reports
    }

    /// How many were about mailboxes at `domain`, as far as that is counted.
    pub fn at(&self, domain: &str) -> u64 {
        self.domains.get(domain).copied().unwrap_or_default()
    }
}

impl Store {
    /// The reports of the last day that had any; none where there never was one.
    pub fn reports(&self) -> Result<Option<Stored<Reports>>, StoreError> {
        self.stored(Table::Meta, KEY)
    }

    /// Puts them into `batch`, which then requires that they are still as `old` says.
    pub fn write_reports(&self, batch: &mut Batch, old: Option<&Stored<Reports>>, new: &Reports) {
        record::put_over(batch, Table::Meta, KEY, old, new);
    }
}
