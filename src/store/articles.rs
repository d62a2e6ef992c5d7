//! Articles with their orders and names, the idempotency keys of pushes, and the hours of scheduled ones.

use super::kv::{Batch, Range};
use super::record::{self, Record, Stored};
use super::{Store, StoreError, Table};
use crate::domain::{Article, ArticleId, ExternalId, Labels, State, Term, Time, hex};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which articles, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// Every one, in any state.
    All,
    /// The public ones.
    Public,
    /// The public ones that bear a term.
    Term(&'a Term),
}

impl Order<'_> {
    pub(super) fn prefix(self) -> Vec<u8> {
        let of = |kind: &[u8; 1], term: &Term| [kind, term.value().as_bytes(), b"\0"].concat();
        match self {
            Order::All => b"a".to_vec(),
            Order::Public => b"p".to_vec(),
            // No value has a zero in it, so none is the beginning of another.
            Order::Term(term @ Term::Category(_)) => of(b"c", term),
            Order::Term(term @ Term::Tag(_)) => of(b"t", term),
            Order::Term(term @ Term::Author(_)) => of(b"u", term),
            Order::Term(term @ Term::Language(_)) => of(b"l", term),
        }
    }

    fn shows(self, article: &Article) -> bool {
        match self {
            Order::All => true,
            Order::Public => article.is_public(),
            Order::Term(term) => article.is_public() && Labels::of(&article.content).has(term),
        }
    }
}

/// A place between two articles, or two messages, of an order; as text it is hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    pub(super) fn of(tail: Vec<u8>) -> Self {
        Place(tail)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A time, and the key of a message about an article: that and a subscription, a revision and what parts them.
    const BYTES_MAX: usize = 8 + ArticleId::BYTES_MAX + 32;

    /// Reads what its `to_string` gave out.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let pairs = digits.chunks_exact(2);
        if digits.len() > 2 * Self::BYTES_MAX || !pairs.remainder().is_empty() {
            return None;
        }
        let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        pairs.map(hex).collect::<Option<_>>().map(Place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A part of an order.
#[derive(Debug, Clone)]
pub struct Page {
    /// Newest first.
    pub articles: Vec<Article>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Place>,
}

/// Prefix of the rows of what was retracted, the last first.
const RETRACTED: &[u8] = b"r";

/// What was answered to a push that carried an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// SHA-256 of the request: the same key with another request is a mistake of the caller.
    pub request: Vec<u8>,
    /// The article it made.
    pub article: ArticleId,
    /// When.
    pub at: Time,
}

impl Record for Replay {
    const KIND: u8 = b'Y';
    const SCHEMA: u8 = 1;
}

/// `time` so that bytes sort as instants do.
pub(super) fn time_key(time: Time) -> [u8; 8] {
    (time.timestamp_millis().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(super) fn time_from_key(key: &[u8]) -> Option<Time> {
    let sortable = u64::from_be_bytes(key.get(..8)?.try_into().ok()?);
    Time::from_timestamp_millis((sortable ^ (1 << 63)).cast_signed())
}

pub(super) fn newest_first(time: Time) -> [u8; 8] {
    time_key(time).map(|byte| !byte)
}

/// First byte of a minted id in a key: no text begins with it.
const MINTED: u8 = 0;

/// An id as it stands in keys: of a minted one its 16 bytes, which make up for less than half of its text, behind
/// [`MINTED`]; of any other its text.
pub(super) fn id_key(id: &ArticleId) -> Vec<u8> {
    match Uuid::try_parse(id.as_str()) {
        // The other spellings of a UUID are other ids.
        Ok(uuid) if id.as_str() == uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) => {
            [&[MINTED], &uuid.as_bytes()[..]].concat()
        }
        Ok(_) | Err(_) => id.as_str().as_bytes().to_vec(),
    }
}

/// The article that a key, or the tail of one, ends in.
pub fn id_from_key(key: &[u8]) -> Option<ArticleId> {
    let text = match key.split_first() {
        Some((&MINTED, bytes)) => Uuid::from_slice(bytes).ok()?.hyphenated().to_string(),
        Some(_) | None => String::from_utf8(key.to_vec()).ok()?,
    };
    ArticleId::parse("id", &text).ok()
}

/// The index rows that `article` stands in; each is a key without a value.
pub(super) fn order_keys(article: &Article) -> Vec<Vec<u8>> {
    let tail = [&newest_first(article.dated())[..], &id_key(&article.id)].concat();
    let mut orders = vec![Order::All];
    if article.is_public() {
        orders.push(Order::Public);
    }
    let labels = Labels::of(&article.content);
    orders.extend(labels.iter().filter(|_| article.is_public()).map(Order::Term));
    let orders = orders.into_iter().map(|order| [&order.prefix()[..], &tail].concat());
    orders.chain(retracted_key(article)).collect()
}

/// The row that tells of a retraction, if the public has seen `article` and sees it no more.
fn retracted_key(article: &Article) -> Option<Vec<u8>> {
    let is_missed = article.state == State::Retracted && article.first_public_at.is_some();
    let tail = || [RETRACTED, &newest_first(article.updated_at), &id_key(&article.id)].concat();
    is_missed.then(tail)
}

/// The row of the due table that publishes `article`, if it waits for its hour.
pub(super) fn due_key(article: &Article) -> Option<Vec<u8>> {
    match (article.state, article.published_at) {
        (State::Scheduled, Some(at)) => Some(due(Due::Article, at, &id_key(&article.id))),
        (State::Scheduled | State::Draft | State::Published | State::Retracted, _) => None,
    }
}

/// The key under which an article's name of the publisher's stands.
pub(super) fn name_key(id: &ExternalId) -> Vec<u8> {
    [b"x", id.as_str().as_bytes()].concat()
}

fn replay_key(digest: &[u8; 32]) -> Vec<u8> {
    [&b"i"[..], digest].concat()
}

/// What a row of the due table is about. The row's tail is the key of what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A scheduled article.
    Article,
    /// An idempotency key that may be forgotten.
    Replay,
    /// A message of the ledger that is to be sent.
    Message,
    /// A message of the ledger that is on the wire, since the row's time.
    OnWire,
    /// A digest of a subscription.
    Digest,
    /// A subscription that is to be erased.
    Erasure,
    /// A correction that is being made out to those who are to get it.
    Correction,
}

impl Due {
    pub(super) const ALL: [Due; 7] =
        [Due::Article, Due::Replay, Due::Message, Due::OnWire, Due::Digest, Due::Erasure, Due::Correction];

    pub(super) fn prefix(self) -> &'static [u8] {
        match self {
            Due::Article => b"a",
            Due::Replay => b"i",
            Due::Message => b"m",
            Due::OnWire => b"w",
            Due::Digest => b"d",
            Due::Erasure => b"e",
            Due::Correction => b"c",
        }
    }
}

/// The key of a due row.
pub(super) fn due(kind: Due, at: Time, tail: &[u8]) -> Vec<u8> {
    [kind.prefix(), &time_key(at), tail].concat()
}

impl Store {
    /// One article, in whatever state.
    pub fn article(&self, id: &ArticleId) -> Result<Option<Stored<Article>>, StoreError> {
        self.stored(Table::Articles, &id_key(id))
    }

    /// The article that the publisher calls `name`.
    pub fn article_named(&self, name: &ExternalId) -> Result<Option<ArticleId>, StoreError> {
        Ok(self.stored(Table::Index, &name_key(name))?.map(|stored| stored.record))
    }

    /// All names of the publisher's that begin with `prefix`, each with its article, behind the name `after`.
    pub fn names(&self, prefix: &str, after: Option<&ExternalId>) -> Result<Vec<(ExternalId, ArticleId)>, StoreError> {
        let mut range = Range::prefix([b"x", prefix.as_bytes()].concat());
        if let Some(after) = after {
            range = range.after(name_key(after));
        }
        let rows = self.kv.range(Table::Index, range)?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let text = std::str::from_utf8(&key[1..]).unwrap_or_default();
            let name = ExternalId::parse("external_id", text).map_err(|fault| StoreError::Record {
                table: Table::Index,
                key: record::readable(&key),
                what: fault.to_string(),
            })?;
            Ok((name, record::decode(Table::Index, &key, &value)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Is the article still as it was read?
    pub fn is_article(&self, read: &Stored<Article>) -> Result<bool, StoreError> {
        Ok(self.kv.get(Table::Articles, &id_key(&read.record.id))?.is_some_and(|raw| raw == read.raw))
    }

    /// `batch` then applies only if the article is still as it was read.
    pub fn require_article(&self, batch: &mut Batch, read: &Stored<Article>) {
        batch.require_is(Table::Articles, id_key(&read.record.id), read.raw.clone());
    }

    /// Puts `new` and all its rows into `batch`, and takes out the rows of `old` that no longer hold.
    /// The batch then requires that the article is still as `old` says, or still unknown.
    pub fn write_article(&self, batch: &mut Batch, old: Option<&Stored<Article>>, new: &Article) {
        let key = id_key(&new.id);
        match old {
            Some(old) => batch.require_is(Table::Articles, key.as_slice(), old.raw.clone()),
            None => {
                batch.require_absent(Table::Articles, key.as_slice());
                if let Some(name) = &new.external_id {
                    let name = name_key(name);
                    batch.require_absent(Table::Index, name.clone());
                    let value = record::encode(&name, &new.id);
                    batch.put(Table::Index, name, value);
                }
            }
        }
        let value = record::encode(&key, new);
        batch.put(Table::Articles, key, value);
        let rows = |article: &Article| {
            let orders = order_keys(article).into_iter().map(|key| (Table::Index, key));
            orders.chain(due_key(article).map(|key| (Table::Due, key))).collect::<Vec<_>>()
        };
        let (before, after) = (old.map(|old| rows(&old.record)).unwrap_or_default(), rows(new));
        for (table, key) in before.iter().filter(|row| !after.contains(row)) {
            batch.delete(*table, key.as_slice());
        }
        for (table, key) in after.into_iter().filter(|row| !before.contains(row)) {
            batch.put(table, key, []);
        }
    }

    /// Up to `limit` articles of an order, behind `after`.
    pub fn articles(&self, order: Order<'_>, after: Option<&Place>, limit: usize) -> Result<Page, StoreError> {
        let prefix = order.prefix();
        let mut range = Range::prefix(prefix.clone()).limit(limit);
        if let Some(after) = after {
            range = range.after([&prefix[..], &after.0].concat());
        }
        let rows = self.kv.range(Table::Index, range)?;
        let next =
            (rows.len() == limit).then(|| rows.last().map(|(key, _)| Place(key[prefix.len()..].to_vec()))).flatten();
        let mut articles = Vec::with_capacity(rows.len());
        for (key, _) in &rows {
            let id = &key[prefix.len() + 8..];
            let stored: Option<Stored<Article>> = self.stored(Table::Articles, id)?;
            // An edit may have come between the two reads: what no longer belongs here is left out.
            articles.extend(stored.map(|stored| stored.record).filter(|article| order.shows(article)));
        }
        Ok(Page { articles, next })
    }

    /// What was retracted after the public had seen it, the last first: since `since`, at most `limit` articles.
    pub fn retracted(&self, since: Time, limit: usize) -> Result<Vec<Article>, StoreError> {
        let end = [RETRACTED, &newest_first(since - chrono::Duration::milliseconds(1))].concat();
        let rows = self.kv.range(Table::Index, Range::prefix(RETRACTED).until(end).limit(limit))?;
        let mut articles = Vec::with_capacity(rows.len());
        for (key, _) in rows {
            let stored: Option<Stored<Article>> = self.stored(Table::Articles, key.get(9..).unwrap_or_default())?;
            articles.extend(stored.map(|stored| stored.record).filter(|article| article.state == State::Retracted));
        }
        Ok(articles)
    }

    /// What was answered under an idempotency key, given as its digest.
    pub fn replay(&self, digest: &[u8; 32]) -> Result<Option<Replay>, StoreError> {
        Ok(self.stored(Table::Index, &replay_key(digest))?.map(|stored| stored.record))
    }

    /// Remembers an answer until `forget_at`; the batch then requires that the key is new.
    pub fn remember_replay(&self, batch: &mut Batch, digest: &[u8; 32], replay: &Replay, forget_at: Time) {
        let key = replay_key(digest);
        batch.require_absent(Table::Index, key.clone());
        let value = record::encode(&key, replay);
        batch.put(Table::Index, key, value);
        batch.put(Table::Due, due(Due::Replay, forget_at, digest), []);
    }

    /// Forgets the idempotency key of a due row.
    pub fn forget_replay(&self, batch: &mut Batch, at: Time, digest: &[u8]) {
        batch.delete(Table::Index, [b"i", digest].concat());
        batch.delete(Table::Due, due(Due::Replay, at, digest));
    }

    /// What of `kind` is due at `now`, the longest overdue first: its hour and the key of what it is about.
    pub fn due(&self, kind: Due, now: Time, limit: usize) -> Result<Vec<(Time, Vec<u8>)>, StoreError> {
        let until = [kind.prefix(), &time_key(now + chrono::Duration::milliseconds(1))].concat();
        let rows = self.kv.range(Table::Due, Range::prefix(kind.prefix()).until(until).limit(limit))?;
        Ok(rows.into_iter().filter_map(|(key, _)| Some((time_from_key(&key[1..])?, key.get(9..)?.to_vec()))).collect())
    }

    /// Takes a due row out.
    pub fn drop_due(&self, batch: &mut Batch, kind: Due, at: Time, tail: &[u8]) {
        batch.delete(Table::Due, due(kind, at, tail));
    }

    /// The hour of the next row of `kind`, due or not.
    pub fn next_due(&self, kind: Due) -> Result<Option<Time>, StoreError> {
        let rows = self.kv.range(Table::Due, Range::prefix(kind.prefix()).limit(1))?;
        Ok(rows.first().and_then(|(key, _)| time_from_key(&key[1..])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_takes_17_bytes_in_a_key_and_every_other_spelling_stays_what_it_is() {
        let minted = "01890c0d-e000-7000-8000-00000000a0b1";
        for (text, bytes) in [
            (minted, 17),
            ("01890C0D-E000-7000-8000-00000000A0B1", 36),
            ("01890c0de0007000800000000000a0b1", 32),
            ("urn:uuid:01890c0d-e000-7000-8000-00000000a0b1", 45),
            ("https://old.example/?p=12", 25),
            ("7", 1),
        ] {
            let id = ArticleId::parse("id", text).unwrap();
            let key = id_key(&id);
            assert_eq!((key.len(), id_from_key(&key)), (bytes, Some(id)), "{text}");
        }
        let newest_first =
            ["018f", "018e"].map(|start| ArticleId::parse("id", &minted.replacen("0189", start, 1)).unwrap());
        assert!(id_key(&newest_first[0]) > id_key(&newest_first[1]), "ids sort as they were minted");
        for wrong in [&b"\0"[..], b"\x00short", b"\xff", b""] {
            assert_eq!(id_from_key(wrong), None, "{wrong:?}");
        }
    }
}
