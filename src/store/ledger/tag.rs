//! Which mail a link came in: a number of 32 bits that is part of the link's signed token, found again by looking for the
//! message that has it.

use super::{LedgerKey, LedgerRow, Message};
use crate::domain::{ArticleId, SubscriptionId};
use crate::store::articles::{Order, id_from_key};
use crate::store::corrections::PREFIX;
use crate::store::kv::Range;
use crate::store::{Store, StoreError, Stored, Table};
use chrono::{Duration, NaiveDate};

/// Says that the rest is the date of a digest's window, in days since 1970.
const DIGEST: u32 = 1 << 31;
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
            Message::Digest { window, .. } => days(*window).map_or(0, |days| days | DIGEST),
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
            let window = NaiveDate::from_ymd_opt(1970, 1, 1)
                .and_then(|first| first.checked_add_signed(Duration::days(i64::from(tag & !DIGEST))));
            return window.map_or(Ok(None), |window| self.message(&LedgerKey::of_digest(window, subscription)));
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

fn days(date: NaiveDate) -> Option<u32> {
    u32::try_from((date - NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days()).ok().filter(|days| *days < DIGEST)
}
