//! What keeps asking within limits and proves what was agreed to: budgets of confirmation mails, those who never want to
//! be asked again, and the wordings that there were.

use super::kv::Batch;
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::Time;
use serde::{Deserialize, Serialize};

/// Confirmation mails of an hour, or of the day that begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// The hour, counted from 1970.
    pub hour: i64,
    /// How many were asked for.
    pub count: u32,
    /// How many of them without a proof of work.
    pub unproven: u32,
}

impl Record for Spent {
    const KIND: u8 = b'J';
    const SCHEMA: u8 = 1;
}

/// What a budget is for. There are few, whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// All addresses together.
    All,
    /// The domains of this number: a keyed hash, so that nobody can choose whom to share one with.
    Domains(u16),
    /// The mailboxes of this number, a keyed hash as well, for addresses with something behind a `+`.
    Mailboxes(u16),
}

/// Somebody who never wants to be asked again. Its key is a keyed hash of the address, which itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Never {
    /// Since when.
    pub at: Time,
}

impl Record for Never {
    const KIND: u8 = b'N';
    const SCHEMA: u8 = 1;
}

/// What stood beside the button that confirms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// The text.
    pub text: String,
}

impl Record for Wording {
    const KIND: u8 = b'G';
    const SCHEMA: u8 = 1;
}

fn budget_key(budget: Budget) -> Vec<u8> {
    match budget {
        Budget::All => b"b*".to_vec(),
        Budget::Domains(number) => [&b"bd"[..], &number.to_be_bytes()].concat(),
        Budget::Mailboxes(number) => [&b"bm"[..], &number.to_be_bytes()].concat(),
    }
}

fn never_key(hash: &[u8; 32]) -> Vec<u8> {
    [&b"n"[..], hash].concat()
}

fn wording_key(version: &str) -> Vec<u8> {
    [b"w", version.as_bytes()].concat()
}

impl Store {
    /// What was spent of a budget.
    pub fn spent(&self, budget: Budget) -> Result<Option<Stored<Spent>>, StoreError> {
        self.stored(Table::Subscribers, &budget_key(budget))
    }

    /// Puts `new` into `batch`, which then requires that it is still as `old` says, or that nothing was spent yet.
    pub fn write_spent(&self, batch: &mut Batch, budget: Budget, old: Option<&Stored<Spent>>, new: &Spent) {
        let key = budget_key(budget);
        record::put_over(batch, Table::Subscribers, &key, old, new);
    }

    /// Does the address with this keyed hash never want to be asked again, and since when?
    pub fn never(&self, hash: &[u8; 32]) -> Result<Option<Never>, StoreError> {
        Ok(self.stored(Table::Subscribers, &never_key(hash))?.map(|stored| stored.record))
    }

    /// From now on the address with this keyed hash is not asked again.
    pub fn write_never(&self, batch: &mut Batch, hash: &[u8; 32], never: &Never) {
        let key = never_key(hash);
        let value = record::encode(&key, never);
        batch.put(Table::Subscribers, key, value);
    }

    /// It may be asked again.
    pub fn delete_never(&self, batch: &mut Batch, hash: &[u8; 32]) {
        batch.delete(Table::Subscribers, never_key(hash));
    }

    /// The wording of this version.
    pub fn wording(&self, version: &str) -> Result<Option<Wording>, StoreError> {
        Ok(self.stored(Table::Subscribers, &wording_key(version))?.map(|stored| stored.record))
    }

    /// Keeps a wording under its version.
    pub fn write_wording(&self, batch: &mut Batch, version: &str, wording: &Wording) {
        let key = wording_key(version);
        let value = record::encode(&key, wording);
        batch.put(Table::Subscribers, key, value);
    }
}
