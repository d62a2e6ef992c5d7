//! Which mail a link came in: a number of 32 bits that is part of the link's signed token, found again by looking for the
//! message that has it.

use super::{LedgerKey, LedgerRow, Message};
use crate::domain::{ArticleId, Edition, SubscriptionId};
use crate::store::articles::{Order, id_from_key};
use crate::store::corrections::PREFIX;
use crate::store::kv::Range;
use crate::store::{Store, StoreError, Stored, Table};
use chrono::{Duration, NaiveDate};

/// Says that the rest is the edition of a digest.
const DIGEST: u32 = 1 << 31;
/// So many bits of that are its date, in days since 1970, which is enough for 2,800 years; those above are its number.
const DAY_BITS: u32 = 20;
/// Articles that are looked at, the newest first: those of some months. Who leaves by an older mail is not known to have
/// left by it.
const ARTICLES_MAX: usize = 20_000;
/// The same of corrections.
const CORRECTIONS_MAX: usize = 10_000;

impl LedgerKey {
    /// The tag of the mail; 0 for one that is about neither articles nor a digest, whose links need none.
    pub fn tag(&self, message: &Message) -> u32 {
        match message {
            Message::Notice { .. } | Message::Correction { .. } => self.mark(),
            Message::Digest { edition, .. } => edition_bits(*edition).map_or(0, |bits| bits | DIGEST),
            Message::Confirmation { .. }
            | Message::Farewell { .. }
            | Message::Preferences { .. }
            | Message::Canary { .. }
            | Message::Test { .. } => 0,
        }
    }

    /// Of the mails of one subscription, hardly ever two have the same.
    fn mark(&self) -> u32 {
        (crc32fast::hash(&self.0) & !DIGEST).max(1)
    }
}

impl Store {
    /// The message to `subscription` whose links bear `tag`; none where it cannot be found any more. Reads many keys: use
    /// [`Store::scan`].
    pub fn tagged(&self, subscription: SubscriptionId, tag: u32) -> Result<Option<Stored<LedgerRow>>, StoreError> {
        if tag == 0 {
            return Ok(None);
        }
        if tag & DIGEST != 0 {
            let bits = tag & !DIGEST;
            let days = Duration::days(i64::from(bits & ((1 << DAY_BITS) - 1)));
            let date = NaiveDate::default().checked_add_signed(days);
            let edition = date.map(|date| Edition { date, extra: bits >> DAY_BITS });
            return edition.map_or(Ok(None), |edition| self.message(&LedgerKey::of_digest(edition, subscription)));
        }
        let (orders, tail) = (Order::All.prefix(), Order::All.prefix().len() + 8);
        let notice = |article: ArticleId| LedgerKey::of(&Message::Notice { article }, subscription);
        let found = self.marked(Table::Index, Range::prefix(orders), ARTICLES_MAX, tag, |key| {
            Some(notice(id_from_key(key.get(tail..)?)?))
        })?;
        if found.is_some() {
            return Ok(found);
        }
        self.marked(Table::Meta, Range::prefix(PREFIX).reverse(), CORRECTIONS_MAX, tag, |key| {
            let (name, revision) = key.get(PREFIX.len()..)?.split_last_chunk::<4>()?;
            let article = ArticleId::parse("id", std::str::from_utf8(name.strip_suffix(b"\0")?).ok()?).ok()?;
            let message = Message::Correction { article, revision: u32::from_be_bytes(*revision), digest: None };
            Some(LedgerKey::of(&message, subscription))
        })
    }

    /// The first message, of those that `key` makes of the keys of a range, that is there and bears `tag`.
    fn marked(
        &self,
        table: Table,
        mut range: Range,
        keys_max: usize,
        tag: u32,
        key: impl Fn(&[u8]) -> Option<LedgerKey>,
    ) -> Result<Option<Stored<LedgerRow>>, StoreError> {
        let mut looked = 0;
        while looked < keys_max {
            let rows = self.kv.range(table, range.clone())?;
            let Some((last, _)) = rows.last().cloned() else { break };
            looked += rows.len();
            for key in rows.iter().filter_map(|(name, _)| key(name)).filter(|key| key.mark() == tag) {
                if let Some(found) = self.message(&key)? {
                    return Ok(Some(found));
                }
            }
            range = range.after(last);
        }
        Ok(None)
    }
}

/// None where they are too many, as nobody's are.
fn edition_bits(edition: Edition) -> Option<u32> {
    let days = u32::try_from((edition.date - NaiveDate::default()).num_days()).ok();
    let days = days.filter(|days| *days < 1 << DAY_BITS)?;
    (edition.extra < DIGEST >> DAY_BITS).then_some(days | edition.extra << DAY_BITS)
}
