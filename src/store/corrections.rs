//! Corrections that were asked for, and what makes it known who was told something else: a print of what mails told, kept
//! for each revision of an article that any mail told of.

use super::articles::due;
use super::kv::{Batch, Range};
use super::record::{self, Record, Stored};
use super::{Due, LedgerRow, Store, StoreError, Table};
use crate::domain::{ArticleId, Seq, SubscriptionId, Time};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// A correction of an article: asked for once, and then made out to reader after reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Of which article.
    pub article: ArticleId,
    /// Its revision when this was asked for: what is right.
    pub revision: u32,
    /// What mails tell of that revision.
    pub print: Print,
    /// What the editors say about it: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// It goes to those who were told of one of these revisions; where none are named, to all who were told something
    /// else than what is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Revisions>,
    /// When it was asked for.
    pub asked_at: Time,
    /// The head of the log then: a digest as of this place told what is right.
    pub place: Seq,
    /// All subscriptions up to and with this one have been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SubscriptionId>,
    /// Mails that came to be owed so far.
    #[serde(default)]
    pub owed: u64,
    /// When it was over: all subscriptions had been looked at, or the article was retracted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// Revisions of an article, from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revisions {
    /// The first.
    pub from: u32,
    /// The last.
    pub to: u32,
}

impl Revisions {
    /// Is `revision` one of them?
    pub fn has(self, revision: u32) -> bool {
        (self.from..=self.to).contains(&revision)
    }
}

impl Record for Correction {
    const KIND: u8 = b'X';
    const SCHEMA: u8 = 1;
}

/// What mails told of one revision of an article: two revisions with the same one told the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Print(pub u64);

impl Record for Print {
    const KIND: u8 = b'M';
    const SCHEMA: u8 = 1;
}

/// In front of the keys of corrections.
pub(super) const PREFIX: &[u8] = b"correction/";

fn name(article: &ArticleId, revision: u32) -> Vec<u8> {
    [article.as_str().as_bytes(), b"\0", &revision.to_be_bytes()].concat()
}

fn print_key(article: &ArticleId, revision: u32) -> Vec<u8> {
    [&b"m"[..], &name(article, revision)].concat()
}

impl Correction {
    pub(super) fn key(&self) -> Vec<u8> {
        [PREFIX, &name(&self.article, self.revision)].concat()
    }

    pub(super) fn due_key(&self) -> Option<Vec<u8>> {
        let tail = name(&self.article, self.revision);
        self.ended_at.is_none().then(|| due(Due::Correction, self.asked_at, &tail))
    }
}

impl Store {
    /// The correction of `article` to `revision`.
    pub fn correction(&self, article: &ArticleId, revision: u32) -> Result<Option<Stored<Correction>>, StoreError> {
        self.stored(Table::Meta, &[PREFIX, &name(article, revision)].concat())
    }

    /// The corrections of `article`, the latest first, some hundred at most.
    pub fn corrections_of(&self, article: &ArticleId) -> Result<Vec<Correction>, StoreError> {
        let prefix = [PREFIX, article.as_str().as_bytes(), b"\0"].concat();
        let rows = self.kv.range(Table::Meta, Range::prefix(prefix).reverse())?;
        rows.into_iter().map(|(key, raw)| record::decode(Table::Meta, &key, &raw)).collect()
    }

    /// The correction that was asked for first of those that are not made out to all; none where all are.
    pub fn next_correction(&self) -> Result<Option<Stored<Correction>>, StoreError> {
        let rows = self.kv.range(Table::Due, Range::prefix(Due::Correction.prefix()).limit(1))?;
        let Some((key, _)) = rows.into_iter().next() else { return Ok(None) };
        self.stored(Table::Meta, &[PREFIX, key.get(9..).unwrap_or_default()].concat())
    }

    /// Puts `new` into `batch`, with the due row that it calls for. The batch then requires that it is still as `old`
    /// says, or still unknown.
    pub fn write_correction(&self, batch: &mut Batch, old: Option<&Stored<Correction>>, new: &Correction) {
        let key = new.key();
        record::put_over(batch, Table::Meta, &key, old, new);
        let (before, after) = (old.and_then(|old| old.record.due_key()), new.due_key());
        if before != after {
            before.into_iter().for_each(|key| batch.delete(Table::Due, key));
            after.into_iter().for_each(|key| batch.put(Table::Due, key, []));
        }
    }

    /// The digests to `subscription` whose windows are on `date` or later, the oldest first, some hundred at most.
    pub fn digests_since(
        &self,
        subscription: SubscriptionId,
        date: NaiveDate,
    ) -> Result<Vec<Stored<LedgerRow>>, StoreError> {
        let own = [&b"d"[..], subscription.0.as_bytes()].concat();
        let mut range = Range::prefix(own.clone());
        range.from = Bound::Included([&own[..], date.to_string().as_bytes()].concat());
        self.rows(range)
    }

    /// The corrections of `article` to `subscription`, the oldest first, some hundred at most.
    pub fn corrections_to(
        &self,
        article: &ArticleId,
        subscription: SubscriptionId,
    ) -> Result<Vec<Stored<LedgerRow>>, StoreError> {
        let own = [b"r", article.as_str().as_bytes(), b"\0", subscription.0.as_bytes()].concat();
        self.rows(Range::prefix(own))
    }

    fn rows(&self, range: Range) -> Result<Vec<Stored<LedgerRow>>, StoreError> {
        let rows = self.kv.range(Table::Ledger, range)?;
        let read =
            |(key, raw): (Vec<u8>, Vec<u8>)| Ok(Stored { record: record::decode(Table::Ledger, &key, &raw)?, raw });
        rows.into_iter().map(read).collect()
    }

    /// What mails told of a revision; none where none did.
    pub fn print(&self, article: &ArticleId, revision: u32) -> Result<Option<Print>, StoreError> {
        Ok(self.stored(Table::Index, &print_key(article, revision))?.map(|stored| stored.record))
    }

    /// Puts into `batch` what mails tell of a revision. It is always the same, so nothing is required.
    pub fn write_print(&self, batch: &mut Batch, article: &ArticleId, revision: u32, print: Print) {
        let key = print_key(article, revision);
        let value = record::encode(&key, &print);
        batch.put(Table::Index, key, value);
    }
}
