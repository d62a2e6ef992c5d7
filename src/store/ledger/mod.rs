//! The ledger: one row for each message that is owed or was sent. Its key follows from what the message is about,
//! so the same message is never owed twice.
//!
//! | key | message |
//! |---|---|
//! | `a` article id `0` subscription id, 16 bytes | the notice of an article |
//! | `c` subscription id, 16 bytes; round, u32 | the confirmation mail of a round |
//! | `d` subscription id, 16 bytes; its edition | a digest |
//! | `f` subscription id, 16 bytes; round, u32 | the mail that tells of having left |
//! | `p` subscription id, 16 bytes; number, u32 | the mail with a link to the preferences |
//! | `q` number, u32 | a canary, until the next one |
//! | `r` article id `0` subscription id, 16 bytes; revision, u32 | the correction of an article to that revision |
//! | `t` keyed hash of the address, 16 bytes; time, i64; kind, language | a test that the operator sends |
//!
//! A row that waits and a row that is on the wire each have a row in [`Table::Due`]: what is to be sent, and what
//! was on the wire at a crash, is found without a scan.

mod already;
mod message;
mod of;
mod old;
mod place;
mod tag;

pub use message::Message;

use super::articles::{due, time_from_key};
use super::kv::{Batch, RANGE_ROWS_MAX, Range};
use super::record::{self, Record, Stored};
use super::{Due, Store, StoreError, Table};
use crate::domain::{Edition, Selection, Seq, Slug, SubscriptionId, Time};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// What a digest told, as far as its mail does not follow from its span: where an article is corrected later, this says
/// who was told of it, and in which of its revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Of the subscription at that time.
    pub selection: Selection,
    /// What came out before this place of the log it only counted: there was no room for more.
    pub from: Seq,
    /// Its articles are as they were at this place of the log.
    pub as_of: Seq,
}

/// What has become of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// To be sent.
    Pending {
        /// How often it was tried.
        attempts: u32,
        /// When it is to be tried next.
        #[serde(with = "crate::domain::millis")]
        due_at: Time,
        /// What the last try came to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<String>,
        /// Has it been given `due_at` as its turn at its destination? Then it needs no other.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        booked: bool,
    },
    /// Handed to a connection. Where no connection has it any more, it is doubtful: it may have been accepted.
    OnWire {
        /// Since when.
        #[serde(with = "crate::domain::millis")]
        since: Time,
        /// How often it was tried before.
        attempts: u32,
    },
    /// Accepted by the server.
    Sent {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
        /// The server's reply, with its own name of the message.
        reply: String,
    },
    /// Given up.
    Failed {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
        /// Why: the server's reply in most cases.
        reply: String,
    },
    /// Not sent, since it no longer holds.
    Recalled {
        /// When.
        #[serde(with = "crate::domain::millis")]
        at: Time,
        /// Why.
        why: String,
    },
}

/// What came back of a mail: it is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Back {
    /// The news that it was not delivered after all.
    Bounce,
    /// A complaint of its reader.
    Complaint,
}

/// A message and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// What it is about.
    pub message: Message,
    /// Whom it goes to.
    pub subscription: SubscriptionId,
    /// The category it goes out under: the first of the article's that the subscription asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Slug>,
    /// When it came to be owed.
    #[serde(with = "crate::domain::millis")]
    pub created_at: Time,
    /// When it was first to be sent, where that is later: its turn, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::millis::optional")]
    pub due_from: Option<Time>,
    /// The article's revision in the mail that went out, or is on the wire; none before, and of other messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The same of a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// What came back of it last, once it had been accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Back>,
    /// In which life of the store it came to be owed, if that was a copy by then; the store sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<NonZeroU32>,
    /// What has become of it.
    pub state: Delivery,
}

impl Record for LedgerRow {
    const KIND: u8 = b'L';
    const SCHEMA: u8 = 2;
}

/// Names a message for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKey(Vec<u8>);

impl LedgerKey {
    /// The key of the message to this subscription.
    pub fn of(message: &Message, to: SubscriptionId) -> Self {
        let subscription = to.0.as_bytes();
        LedgerKey(match message {
            Message::Notice { article } => [b"a", article.as_str().as_bytes(), b"\0", subscription].concat(),
            Message::Confirmation { round } => [&b"c"[..], subscription, &round.to_be_bytes()].concat(),
            Message::Farewell { round } => [&b"f"[..], subscription, &round.to_be_bytes()].concat(),
            Message::Preferences { round } => [&b"p"[..], subscription, &round.to_be_bytes()].concat(),
            Message::Digest { edition, .. } => return LedgerKey::of_digest(*edition, to),
            Message::Correction { article, revision, .. } => {
                [b"r", article.as_str().as_bytes(), b"\0", subscription, &revision.to_be_bytes()].concat()
            }
            Message::Canary { number } => [&b"q"[..], &number.to_be_bytes()].concat(),
            Message::Test { kind, language, at, .. } => {
                let what = format!("{}.{}", kind.word(), language.tag());
                [b"t", &subscription[..], &at.timestamp_millis().to_be_bytes(), what.as_bytes()].concat()
            }
        })
    }

    /// The key of this digest of the subscription.
    pub fn of_digest(edition: Edition, subscription: SubscriptionId) -> Self {
        LedgerKey([&b"d"[..], subscription.0.as_bytes(), edition.to_string().as_bytes()].concat())
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Does somebody sit and wait for its message, or is it to prove that mail goes out? Told by the first byte, as
    /// [`LedgerKey::of`] sets it: a confirmation, a farewell, a link to preferences, a canary, a test.
    pub fn is_awaited(&self) -> bool {
        matches!(self.0.first(), Some(b'c' | b'f' | b'p' | b'q' | b't'))
    }
}

impl LedgerRow {
    /// A new row that is due at once.
    pub fn new(message: Message, subscription: SubscriptionId, list: Option<Slug>, created_at: Time) -> Self {
        let state = Delivery::Pending { attempts: 0, due_at: created_at, reply: None, booked: false };
        LedgerRow {
            message,
            subscription,
            list,
            created_at,
            due_from: None,
            revision: None,
            told: None,
            back: None,
            life: None,
            state,
        }
    }

    /// The same message, not tried yet and due at `due_at`.
    pub fn due_at(self, due_at: Time) -> Self {
        let state = Delivery::Pending { attempts: 0, due_at, reply: None, booked: false };
        let mut row = LedgerRow { state, ..self };
        row.set_due_from(due_at);
        row
    }

    /// It is not late as long as it would not be if it had come to be owed at `due_from`.
    pub fn set_due_from(&mut self, due_from: Time) {
        self.due_from = Some(due_from).filter(|due_from| *due_from > self.created_at);
    }

    /// When it was first to be sent, not counting what went wrong.
    pub fn first_due(&self) -> Time {
        self.due_from.unwrap_or(self.created_at)
    }

    /// Its key.
    pub fn key(&self) -> LedgerKey {
        LedgerKey::of(&self.message, self.subscription)
    }

    pub(super) fn due_key(&self) -> Option<Vec<u8>> {
        self.due_key_of(&self.key())
    }

    /// The same where its own key is at hand.
    fn due_key_of(&self, key: &LedgerKey) -> Option<Vec<u8>> {
        match &self.state {
            Delivery::Pending { due_at, .. } => Some(due(Due::Message, *due_at, &key.0)),
            Delivery::OnWire { since, .. } => Some(due(Due::OnWire, *since, &key.0)),
            Delivery::Sent { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => None,
        }
    }
}

impl Store {
    /// The row of this key.
    pub fn message(&self, key: &LedgerKey) -> Result<Option<Stored<LedgerRow>>, StoreError> {
        self.stored(Table::Ledger, &key.0)
    }

    /// `batch` then applies only if there is still no message of this key.
    pub fn require_no_message(&self, batch: &mut Batch, key: &LedgerKey) {
        batch.require_absent(Table::Ledger, key.0.clone());
    }

    /// Puts a new message into `batch` with its due row. The batch then requires that it is still unknown.
    pub fn write_message(&self, batch: &mut Batch, new: &LedgerRow) {
        match self.life() {
            None => self.put_message(batch, new.key(), None, new),
            life => self.put_message(batch, new.key(), None, &LedgerRow { life, ..new.clone() }),
        };
    }

    /// Puts `row` into `batch`, changed by `change` in what is not part of its key, with its due row in place of the one
    /// before. The batch then requires that it is still as it was read. Returns it as it will be stored.
    pub fn change_message(
        &self,
        batch: &mut Batch,
        row: Stored<LedgerRow>,
        change: impl FnOnce(&mut LedgerRow),
    ) -> Stored<LedgerRow> {
        let Stored { mut record, raw } = row;
        let key = record.key();
        let due = record.due_key_of(&key);
        change(&mut record);
        let raw = self.put_message(batch, key, Some((raw, due)), &record);
        Stored { record, raw }
    }

    /// Puts `new`, which stands under `key`, in place of what had these bytes and this due row; returns its bytes.
    fn put_message(
        &self,
        batch: &mut Batch,
        key: LedgerKey,
        old: Option<(Vec<u8>, Option<Vec<u8>>)>,
        new: &LedgerRow,
    ) -> Vec<u8> {
        let after = new.due_key_of(&key);
        let (old, before) = old.unzip();
        let before = before.flatten();
        let raw = record::put_over_raw(batch, Table::Ledger, key.0, old, new);
        if before != after {
            if let Some(key) = before {
                batch.delete(Table::Due, key);
            }
            if let Some(key) = after {
                batch.put(Table::Due, key, []);
            }
        }
        raw
    }

    /// Up to `limit` messages that are to be sent at `now`, behind `after`, the longest overdue first.
    pub fn messages_due(
        &self,
        now: Time,
        after: Option<&(Time, LedgerKey)>,
        limit: usize,
    ) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        let mut page = self.messages_in(Due::Message, after, limit)?;
        page.truncate(page.partition_point(|(at, _)| *at <= now));
        Ok(page)
    }

    /// What somebody waits for among the `looked` messages behind `after` that came to be due last, by `now`: the last
    /// first. However many are due before them, these need not wait for all of that.
    pub fn messages_awaited(
        &self,
        now: Time,
        (at, key): &(Time, LedgerKey),
        looked: usize,
    ) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        let until = due(Due::Message, now + chrono::Duration::milliseconds(1), b"");
        let behind = Range::prefix(Due::Message.prefix()).after(due(Due::Message, *at, &key.0));
        let range = behind.until(until).reverse().limit(looked);
        let mut last = self.due_rows(range)?;
        last.retain(|(_, key)| key.is_awaited());
        Ok(last)
    }

    /// Takes out a due row that its ledger row knows nothing of. The batch requires that it still does not.
    pub fn drop_due_message(&self, batch: &mut Batch, at: Time, key: &LedgerKey) -> Result<(), StoreError> {
        match self.kv.get(Table::Ledger, &key.0)? {
            Some(raw) => batch.require_is(Table::Ledger, key.0.clone(), raw),
            None => batch.require_absent(Table::Ledger, key.0.clone()),
        }
        batch.delete(Table::Due, due(Due::Message, at, &key.0));
        Ok(())
    }

    /// Up to `limit` messages that are on the wire, behind `after`, the oldest first.
    pub fn messages_on_wire(
        &self,
        after: Option<&(Time, LedgerKey)>,
        limit: usize,
    ) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        self.messages_in(Due::OnWire, after, limit)
    }

    /// Up to `limit` messages that have a due row of `kind`, due or not, behind `after`, the oldest first.
    pub fn messages_in(
        &self,
        kind: Due,
        after: Option<&(Time, LedgerKey)>,
        limit: usize,
    ) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        let mut range = Range::prefix(kind.prefix()).limit(limit);
        if let Some((at, key)) = after {
            range = range.after(due(kind, *at, &key.0));
        }
        self.due_rows(range)
    }

    fn due_rows(&self, range: Range) -> Result<Vec<(Time, LedgerKey)>, StoreError> {
        let rows = self.kv.range(Table::Due, range)?;
        let read = |(key, _): (Vec<u8>, Vec<u8>)| Some((time_from_key(&key[1..])?, LedgerKey(key.get(9..)?.to_vec())));
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Takes a message out with its due row. The batch requires that it is still as it was read.
    pub fn delete_message(&self, batch: &mut Batch, old: &Stored<LedgerRow>) {
        let key = old.record.key().0;
        batch.require_is(Table::Ledger, key.clone(), old.raw.clone());
        batch.delete(Table::Ledger, key);
        if let Some(due) = old.record.due_key() {
            batch.delete(Table::Due, due);
        }
    }

    /// How many due rows of `kind` there are, due or not; counts no further than `max`. Many rows: use [`Store::scan`].
    pub fn count_due(&self, kind: Due, max: usize) -> Result<usize, StoreError> {
        let mut range = Range::prefix(kind.prefix());
        let mut count = 0;
        loop {
            let rows = self.kv.range(Table::Due, range.clone())?;
            count += rows.len();
            match rows.into_iter().next_back() {
                Some((last, _)) if count < max && count % RANGE_ROWS_MAX == 0 => range = range.after(last),
                Some(_) | None => return Ok(count.min(max)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
