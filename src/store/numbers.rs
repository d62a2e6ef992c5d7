//! What became of mails, added up: of each article, of each digest, and by day of each selection and of each domain.
//!
//! Sums are added in the commit that makes them true, by the engine itself ([`Batch::add`]): nobody reads one to write it, so
//! connections that count the same are not in each other's way, and a crash neither loses nor doubles anything. A
//! commit adds to each sum once, however many mails it closes.

use super::kv::{Batch, RANGE_ROWS_MAX, Range};
use super::record::{self, Record};
use super::{Message, Store, StoreError, Table};
use crate::domain::{Address, ArticleId, Subscription, Time};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

/// What became of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Mail servers took them over.
    #[serde(default)]
    pub accepted: u64,
    /// Tries that were refused for now.
    #[serde(default)]
    pub deferred: u64,
    /// Not delivered: refused for good, given up, or accepted and sent back.
    #[serde(default)]
    pub bounced: u64,
    /// Their readers called them unwanted.
    #[serde(default)]
    pub complained: u64,
    /// Their readers left by them.
    #[serde(default)]
    pub unsubscribed: u64,
}

/// One thing that can become of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// A mail server has taken it over.
    Accepted,
    /// It was refused for now.
    Deferred,
    /// It was not delivered, and will not be.
    Bounced,
    /// Its reader has called it unwanted.
    Complained,
    /// Its reader has left.
    Unsubscribed,
}

/// What a mail counts for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    about: Option<About>,
    /// Of a mail that comes regularly.
    selection: Option<String>,
    domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    Article(ArticleId),
    Digest(NaiveDate),
}

/// Sums in the making: what one commit adds. Mails of one commit have few different things that they count for.
#[derive(Debug, Default)]
pub struct Tally(Vec<(NaiveDate, Counted, Numbers)>);

/// By what sums are kept day by day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daily {
    /// By the selection of the subscription.
    Selection,
    /// By the domain of the recipient.
    Domain,
}

/// Sums of one digest: its window, its selection, and what became of its mails.
pub type DigestNumbers = (NaiveDate, String, Numbers);

/// Selections, and domains, that have sums of their own. Strangers choose both, so there is an end: the others have one sum
/// together.
const NAMES_MAX: usize = 1_000;
/// A longer name counts among the others; a domain has at most 253 bytes.
const NAME_BYTES_MAX: usize = 500;
/// What the others are called. No domain is, since it has a dot, and no selection, since it has a colon.
pub const OTHERS: &str = "other";
/// Who had a sum of its own in this many days keeps it.
const KEPT_DAYS: u64 = 8;

pub(super) const PREFIX: &[u8] = b"mail/";

/// Selections and domains that have sums of their own, as of a day.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<(Option<NaiveDate>, [HashSet<String>; 2])>);

impl Record for Numbers {
    const KIND: u8 = b'Z';
    const SCHEMA: u8 = 1;
}

impl Numbers {
    /// With `other` added.
    pub fn plus(self, other: Numbers) -> Self {
        Numbers {
            accepted: self.accepted.saturating_add(other.accepted),
            deferred: self.deferred.saturating_add(other.deferred),
            bounced: self.bounced.saturating_add(other.bounced),
            complained: self.complained.saturating_add(other.complained),
            unsubscribed: self.unsubscribed.saturating_add(other.unsubscribed),
        }
    }

    fn one(became: Became) -> Self {
        let mut one = Numbers::default();
        match became {
            Became::Accepted => one.accepted = 1,
            Became::Deferred => one.deferred = 1,
            Became::Bounced => one.bounced = 1,
            Became::Complained => one.complained = 1,
            Became::Unsubscribed => one.unsubscribed = 1,
        }
        one
    }
}

impl Counted {
    /// What the mail of `message` to `subscription` counts for. One that does not come regularly counts for its domain
    /// alone.
    pub fn of(message: &Message, subscription: &Subscription) -> Self {
        let about = match message {
            Message::Notice { article } | Message::Correction { article, .. } => About::Article(article.clone()),
            Message::Digest { edition, .. } => About::Digest(edition.date),
            Message::Confirmation { .. }
            | Message::Farewell { .. }
            | Message::Preferences { .. }
            | Message::Test { .. } => {
                return Counted { selection: None, ..Counted::some(subscription) };
            }
            Message::Canary { .. } => return Counted::default(),
        };
        Counted { about: Some(about), ..Counted::some(subscription) }
    }

    /// What a mail to `subscription` counts for of which no more is known.
    pub fn some(subscription: &Subscription) -> Self {
        Counted { selection: Some(subscription.selection.to_string()), ..Counted::only(&subscription.address) }
    }

    /// What a mail to `address` counts for that no subscription brings: its domain.
    pub fn only(address: &Address) -> Self {
        Counted { about: None, selection: None, domain: address.domain().to_owned() }
    }
}

impl Tally {
    /// A mail has become this at `at`.
    pub fn add(&mut self, counted: &Counted, became: Became, at: Time) {
        // One of our own is not counted.
        if counted.domain.is_empty() {
            return;
        }
        let (day, one) = (at.date_naive(), Numbers::one(became));
        match self.0.iter_mut().find(|(other, like, _)| *other == day && like == counted) {
            Some((.., numbers)) => *numbers = numbers.plus(one),
            None => self.0.push((day, counted.clone(), one)),
        }
    }
}

impl Daily {
    fn place(self) -> usize {
        match self {
            Daily::Selection => 0,
            Daily::Domain => 1,
        }
    }

    pub(super) fn prefix(self) -> &'static str {
        match self {
            Daily::Selection => "mail/s/",
            Daily::Domain => "mail/m/",
        }
    }

    fn key(self, day: NaiveDate, name: &str) -> Vec<u8> {
        format!("{}{day}/{name}", self.prefix()).into_bytes()
    }
}

pub(super) const DIGESTS: &str = "mail/d/";
pub(super) const ARTICLES: &str = "mail/a/";

fn article_key(article: &ArticleId) -> Vec<u8> {
    [ARTICLES, article.as_str()].concat().into_bytes()
}

/// The day and the name behind a prefix.
fn day_and_name(key: &[u8], prefix: &str) -> Option<(NaiveDate, String)> {
    let (day, name) = std::str::from_utf8(key.get(prefix.len()..)?).ok()?.split_once('/')?;
    Some((day.parse().ok()?, name.to_owned()))
}

/// The sum under `key` once `numbers` are added, for the engine; none where what stands there cannot be read, and stays.
pub(super) fn added(table: Table, key: &[u8], old: Option<&[u8]>, numbers: Numbers) -> Option<Vec<u8>> {
    let old = old.map_or(Ok(Numbers::default()), |old| record::decode(table, key, old)).ok()?;
    Some(record::encode(key, &old.plus(numbers)))
}

impl Store {
    /// Puts the sums into `batch`. Errors: the store's, where it has to look which names have sums.
    pub fn write_tally(&self, batch: &mut Batch, tally: &Tally) -> Result<(), StoreError> {
        let mut sums: BTreeMap<Vec<u8>, Numbers> = BTreeMap::new();
        for (day, counted, numbers) in &tally.0 {
            let mut add = |key: Vec<u8>| {
                let sum = sums.entry(key).or_default();
                *sum = sum.plus(*numbers);
            };
            // Whoever asks for a subscription names a domain: that alone gives it no sum of its own.
            let is_regular = counted.selection.is_some();
            add(Daily::Domain.key(*day, self.named(Daily::Domain, *day, &counted.domain, is_regular)?));
            let Some(selection) = &counted.selection else { continue };
            let selection = self.named(Daily::Selection, *day, selection, true)?;
            add(Daily::Selection.key(*day, selection));
            match &counted.about {
                Some(About::Article(article)) => add(article_key(article)),
                Some(About::Digest(window)) => add(format!("{DIGESTS}{window}/{selection}").into_bytes()),
                None => {}
            }
        }
        sums.into_iter().for_each(|(key, numbers)| batch.add(Table::Meta, key, numbers));
        Ok(())
    }

    /// `name`, if it has or gets a sum of its own; else that of the others.
    fn named<'a>(&self, by: Daily, day: NaiveDate, name: &'a str, may_be_new: bool) -> Result<&'a str, StoreError> {
        let mut names = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.0 != Some(day) {
            let since = day.checked_sub_days(Days::new(KEPT_DAYS)).unwrap_or(day);
            let known = |by| Ok::<_, StoreError>(self.numbers_by(by, since)?.into_keys().collect());
            *names = (Some(day), [known(Daily::Selection)?, known(Daily::Domain)?]);
        }
        let Some(known) = names.1.get_mut(by.place()) else { return Ok(OTHERS) };
        if known.contains(name) {
            return Ok(name);
        }
        if !may_be_new || known.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX {
            return Ok(OTHERS);
        }
        known.insert(name.to_owned());
        Ok(name)
    }

    /// What became of the mails about an article, corrections among them.
    pub fn numbers_of(&self, article: &ArticleId) -> Result<Numbers, StoreError> {
        Ok(self.stored(Table::Meta, &article_key(article))?.map(|stored| stored.record).unwrap_or_default())
    }

    /// What became of mails since a day, by name. Reads many rows: use [`Store::scan`].
    pub fn numbers_by(&self, by: Daily, since: NaiveDate) -> Result<BTreeMap<String, Numbers>, StoreError> {
        let mut sums: BTreeMap<String, Numbers> = BTreeMap::new();
        let mut range = Range::prefix(by.prefix());
        range.from = Bound::Included(by.key(since, ""));
        loop {
            let rows = self.kv.range(Table::Meta, range.clone())?;
            let Some((last, _)) = rows.last().cloned() else { return Ok(sums) };
            for (key, value) in rows {
                let Some((_, name)) = day_and_name(&key, by.prefix()) else { continue };
                let sum = sums.entry(name).or_default();
                *sum = sum.plus(record::decode(Table::Meta, &key, &value)?);
            }
            range = range.after(last);
        }
    }

    /// What became of the digests whose windows are on `since` or later, the last first, behind `after`: at most `limit`.
    pub fn numbers_of_digests(
        &self,
        since: NaiveDate,
        after: Option<&(NaiveDate, String)>,
        limit: usize,
    ) -> Result<Vec<DigestNumbers>, StoreError> {
        let mut range = Range::prefix(DIGESTS).reverse().limit(limit.min(RANGE_ROWS_MAX));
        range.from = Bound::Included(format!("{DIGESTS}{since}/").into_bytes());
        if let Some((window, selection)) = after {
            range = range.after(format!("{DIGESTS}{window}/{selection}"));
        }
        let rows = self.kv.range(Table::Meta, range)?;
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let (window, selection) = day_and_name(&key, DIGESTS)?;
            Some(record::decode(Table::Meta, &key, &value).map(|numbers| (window, selection, numbers)))
        };
        rows.into_iter().filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Address, Selection, SubscriptionId};
    use crate::store::{check, wait};
    use uuid::Uuid;

    #[test]
    fn domains_without_end_have_one_sum_together_and_who_only_asks_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let at = Time::UNIX_EPOCH + chrono::Duration::days(20_000);
        let to = |domain: &str| {
            let address = Address::parse("address", &format!("reader@{domain}")).unwrap();
            Subscription::asked(SubscriptionId(Uuid::from_u128(1)), address, Selection::all(), at)
        };
        let count = |store: &Store, message: &Message, domain: &str, at: Time| {
            let (mut tally, mut batch) = (Tally::default(), Batch::default());
            tally.add(&Counted::of(message, &to(domain)), Became::Accepted, at);
            store.write_tally(&mut batch, &tally).unwrap();
            wait(store.commit(batch)).unwrap();
        };
        let notice = Message::Notice { article: ArticleId::parse("id", "a").unwrap() };
        count(&store, &Message::Confirmation { round: 1 }, "asked.example", at);
        count(&store, &notice, "kept.example", at);
        let (mut tally, mut batch) = (Tally::default(), Batch::default());
        for number in 0..NAMES_MAX + 5 {
            let counted = Counted::of(&notice, &to(&format!("d{number}.example")));
            tally.add(&counted, Became::Accepted, at);
        }
        store.write_tally(&mut batch, &tally).unwrap();
        wait(store.commit(batch)).unwrap();
        let late = at + chrono::Duration::days(7);
        // Another process finds those that had one.
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        count(&store, &notice, "kept.example", late);
        count(&store, &notice, "new.example", late);
        let sums = store.numbers_by(Daily::Domain, at.date_naive()).unwrap();
        assert_eq!(sums.len(), NAMES_MAX + 1);
        assert_eq!((sums["kept.example"].accepted, sums[OTHERS].accepted), (2, 1 + 6 + 1));
        assert!(!sums.contains_key("asked.example") && !sums.contains_key("new.example"));
        assert_eq!(store.numbers_by(Daily::Domain, late.date_naive()).unwrap().len(), 2);
        let whole = NAMES_MAX as u64 + 5 + 3;
        assert_eq!(store.numbers_of(&ArticleId::parse("id", "a").unwrap()).unwrap().accepted, whole);
        assert!(check(&store).is_clean());
    }
}
