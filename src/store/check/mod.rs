//! Is everything there that was written, and nothing else? Reads the whole store as of one moment, so it may run
//! beside the daemon's work and gives no false alarm.

mod mail;

use super::alarms::KEY as ALARMS;
use super::articles::{Due, Replay, due_key, id_from_key, id_key, name_key, order_keys};
use super::canary::KEY as CANARY;
use super::files::TakenFile;
use super::kv::Snapshot;
use super::log::{Cursor, LOG_CHECK_KEY, Touched, touched_key};
use super::numbers::PREFIX as NUMBERS;
use super::record::{self, Record, readable};
use super::{Alarms, Canary, Numbers, Print, Store, StoreError, Table};
use crate::domain::{Article, ArticleId, Change, Seq, Slug, Time};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// A store that is wrong in more places than this has one cause; the rest is counted.
const FINDINGS_MAX: usize = 1_000;

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its table.
    pub table: Table,
    /// Its key, readable; empty where it concerns the table as a whole.
    pub key: String,
    /// What was found, and what was expected.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Everything that is wrong, up to a limit; a store without any is whole.
    pub findings: Vec<Finding>,
    /// Further findings that are not listed.
    pub more: u64,
    /// Articles read.
    pub articles: u64,
    /// Log entries read.
    pub changes: u64,
}

impl Report {
    /// Was nothing found?
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, table: Table, key: &[u8], what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { table, key: readable(key), what: what.into() });
        } else {
            self.more += 1;
        }
    }
}

/// Checks every checksum, every index row against its record and back, the log's continuity and the counts.
/// Reads and decodes every article, so it is work for the background.
pub fn check(store: &Store) -> Report {
    match store.kv().snapshot() {
        Ok(snapshot) => inspect(&*snapshot),
        Err(error) => {
            let mut report = Report::default();
            report.add(Table::Meta, b"", error.to_string());
            report
        }
    }
}

/// As [`check`], of a snapshot.
pub(super) fn inspect(snapshot: &dyn Snapshot) -> Report {
    let mut checked = Checked { snapshot, report: Report::default(), rows: 0, waiting: 0 };
    checked.articles();
    checked.index();
    checked.due();
    let touched = checked.log();
    checked.meta(&touched);
    checked.subscribers();
    checked.ledger();
    checked.corrections();
    match snapshot.faults() {
        Ok(faults) => faults.into_iter().for_each(|(table, key, what)| checked.report.add(table, &key, what)),
        Err(error) => checked.report.add(Table::Meta, b"", format!("the pieces of large values: {error}")),
    }
    checked.report
}

struct Checked<'a> {
    snapshot: &'a dyn Snapshot,
    report: Report,
    /// Index rows that the articles call for, as far as they are there.
    rows: usize,
    /// Due rows that the articles call for, as far as they are there.
    waiting: usize,
}

impl Checked<'_> {
    /// Every article has all its rows.
    fn articles(&mut self) {
        self.each(Table::Articles, |checked, key, value| {
            checked.report.articles += 1;
            let Some(article) = checked.decode::<Article>(Table::Articles, key, key, value) else { return };
            // The rows that it calls for are those of another one, which calls for them itself.
            if id_key(&article.id) != key {
                return checked.report.add(Table::Articles, key, format!("holds the article {}", article.id));
            }
            let mut rows = order_keys(&article);
            rows.sort_unstable();
            rows.dedup();
            rows.extend(article.external_id.as_ref().map(name_key));
            let whose = format!("the article {}", article.id);
            for row in rows {
                let names_it = |value: &[u8]| match row.first() {
                    Some(b'x') => {
                        record::decode::<ArticleId>(Table::Index, &row, value).is_ok_and(|id| id == article.id)
                    }
                    Some(_) | None => true,
                };
                checked.rows += usize::from(checked.expect_row(Table::Index, &row, &whose, names_it));
            }
            if let Some(row) = due_key(&article) {
                checked.waiting += usize::from(checked.expect_row(Table::Due, &row, &whose, |_| true));
            }
        });
        let (read, counted) = (self.report.articles, self.snapshot.articles());
        if read != counted {
            self.report.add(Table::Articles, b"", format!("{read} articles are there, {counted} were counted"));
        }
    }

    /// Every row of the index can be read, and belongs to what it says.
    fn index(&mut self) {
        let mut rows = 0;
        self.each(Table::Index, |checked, key, value| match key.first() {
            Some(b'a' | b'p' | b'c' | b't' | b'u' | b'l' | b'r') => {
                rows += 1;
                checked.expect_empty(Table::Index, key, &value);
            }
            Some(b'x') => {
                rows += 1;
                checked.decode::<ArticleId>(Table::Index, key, key, value);
            }
            Some(b'i') => {
                checked.decode::<Replay>(Table::Index, key, key, value);
            }
            Some(b'm') => drop(checked.decode::<Print>(Table::Index, key, key, value)),
            Some(b'f') => {
                let file = checked.decode::<TakenFile>(Table::Index, key, key, value);
                if file.is_some_and(|file| checked.article(&file.article).is_none()) {
                    checked.report.add(Table::Index, key, "the article that this file became is not there");
                }
            }
            Some(_) | None => checked.report.add(Table::Index, key, "a row of no known kind"),
        });
        // All that the articles call for were looked up, so a store with just as many as were found has no other.
        if rows != self.rows {
            self.each(Table::Index, |checked, key, value| match key.first() {
                Some(b'x') => checked.names(key, value),
                Some(b'a' | b'p' | b'c' | b't' | b'u' | b'l' | b'r') => checked.belongs(Table::Index, key, order_keys),
                Some(_) | None => {}
            });
        }
    }

    fn names(&mut self, key: &[u8], value: Result<Vec<u8>, StoreError>) {
        let id: Option<ArticleId> = value.ok().and_then(|value| record::decode(Table::Index, key, &value).ok());
        let Some(id) = id else { return };
        let name = self.article(&id).and_then(|article| article.external_id);
        if name.is_none_or(|name| name_key(&name) != key) {
            self.report.add(Table::Index, key, format!("an extra row: {id} does not bear this name"));
        }
    }

    /// Every row of the due table belongs to what it says; every idempotency key is to be forgotten one day.
    fn due(&mut self) {
        let mut forgotten = HashSet::new();
        let mut waiting = 0;
        self.each(Table::Due, |checked, key, value| {
            let kind = Due::ALL.into_iter().find(|kind| key.starts_with(kind.prefix()));
            match kind {
                Some(Due::Article) => {
                    waiting += 1;
                    checked.expect_empty(Table::Due, key, &value);
                }
                Some(Due::Replay) => {
                    let digest = key.get(9..).unwrap_or_default();
                    forgotten.insert(digest.to_vec());
                    checked.expect_empty(Table::Due, key, &value);
                    let row = [b"i", digest].concat();
                    if !matches!(checked.snapshot.get(Table::Index, &row), Ok(Some(_))) {
                        checked.report.add(Table::Due, key, "the idempotency key that it forgets is not there");
                    }
                }
                // The checks of ledger and subscribers hold these against their rows.
                Some(Due::Message | Due::OnWire | Due::Digest | Due::Erasure | Due::Correction) => {
                    checked.expect_empty(Table::Due, key, &value)
                }
                None => checked.report.add(Table::Due, key, "a row of no known kind"),
            }
        });
        if waiting != self.waiting {
            self.each(Table::Due, |checked, key, _| {
                if key.starts_with(Due::Article.prefix()) {
                    checked.belongs(Table::Due, key, |article| due_key(article).into_iter().collect());
                }
            });
        }
        self.each(Table::Index, |checked, key, _| {
            if key.first() == Some(&b'i') && !forgotten.contains(&key[1..]) {
                checked.report.add(Table::Index, key, "an idempotency key that would never be forgotten");
            }
        });
    }

    /// The log goes from 1 to its head without a gap and speaks of articles that exist. Returns when each feed was
    /// last touched, as the log has it.
    fn log(&mut self) -> HashMap<Option<Slug>, Time> {
        let mut touched = HashMap::new();
        let mut expected = Seq(1);
        self.each(Table::Log, |checked, key, value| {
            checked.report.changes += 1;
            let Some(place) = key.try_into().ok().map(u64::from_be_bytes) else {
                return checked.report.add(Table::Log, key, "its place is not a number");
            };
            if Seq(place) != expected {
                checked.report.add(Table::Log, key, format!("place {place} of the log, expected {expected}"));
            }
            expected = Seq(place).next();
            let Some(change) = checked.decode::<Change>(Table::Log, key, LOG_CHECK_KEY, value) else { return };
            match checked.article(&change.article) {
                None => checked.report.add(Table::Log, key, format!("no article {}", change.article)),
                Some(article) if article.revision < change.revision => {
                    let (now, then) = (article.revision, change.revision);
                    let what = format!("revision {then} of {}, which is at revision {now}", change.article);
                    checked.report.add(Table::Log, key, what);
                }
                Some(_) => {}
            }
            for category in change.categories().into_iter().map(Some).chain([None]) {
                touched.insert(category.cloned(), change.at);
            }
        });
        let head = self.snapshot.head();
        if expected != head.next() {
            self.report.add(Table::Log, b"", format!("the log ends before place {expected}, its head is {head}"));
        }
        touched
    }

    fn meta(&mut self, touched: &HashMap<Option<Slug>, Time>) {
        let head = self.snapshot.head();
        let mut marks: HashMap<Vec<u8>, Time> =
            touched.iter().map(|(category, at)| (touched_key(category.as_ref()), *at)).collect();
        self.each(Table::Meta, |checked, key, value| {
            if key.starts_with(b"cursor/") {
                let cursor = checked.decode::<Cursor>(Table::Meta, key, key, value);
                if let Some(cursor) = cursor.filter(|cursor| cursor.seq > head) {
                    checked.report.add(Table::Meta, key, format!("stands at {}, the log ends at {head}", cursor.seq));
                }
            } else if key.starts_with(b"touched/") {
                let expected = marks.remove(key);
                let found = checked.decode::<Touched>(Table::Meta, key, key, value);
                if let Some(found) = found.filter(|found| Some(found.at) != expected) {
                    let expected = expected.map_or("no such mark".to_owned(), |at| at.to_rfc3339());
                    let what = format!("found {}, expected by the log: {expected}", found.at.to_rfc3339());
                    checked.report.add(Table::Meta, key, what);
                }
            } else if key == CANARY {
                checked.decode::<Canary>(Table::Meta, key, key, value);
            } else if key == ALARMS {
                checked.decode::<Alarms>(Table::Meta, key, key, value);
            } else if key.starts_with(NUMBERS) {
                checked.decode::<Numbers>(Table::Meta, key, key, value);
            } else {
                checked.expect_record(Table::Meta, key, value);
            }
        });
        for key in marks.into_keys() {
            self.report.add(Table::Meta, &key, "missing, though the log touches this feed");
        }
        if !matches!(self.snapshot.get(Table::Meta, b"identity"), Ok(Some(_))) {
            self.report.add(Table::Meta, b"identity", "missing");
        }
    }

    fn expect_record(&mut self, table: Table, key: &[u8], value: Result<Vec<u8>, StoreError>) {
        let read = value.map_err(|error| error.to_string()).and_then(|value| record::kind(key, &value));
        if let Err(what) = read {
            self.report.add(table, key, what);
        }
    }

    fn expect_empty(&mut self, table: Table, key: &[u8], value: &Result<Vec<u8>, StoreError>) {
        match value {
            Ok(value) if value.is_empty() => {}
            Ok(value) => self.report.add(table, key, format!("{} bytes, expected none", value.len())),
            Err(error) => self.report.add(table, key, error.to_string()),
        }
    }

    /// Is the row there that a record calls for, and does its value name it? The record is `whose`, for people.
    fn expect_row(&mut self, table: Table, key: &[u8], whose: &str, names_it: impl Fn(&[u8]) -> bool) -> bool {
        let what = match self.snapshot.get(table, key) {
            Ok(Some(value)) if names_it(&value) => return true,
            Ok(Some(_)) => format!("does not name {whose}"),
            Ok(None) => format!("missing, though {whose} calls for it"),
            Err(error) => error.to_string(),
        };
        self.report.add(table, key, what);
        false
    }

    /// A row without a value, whose article, named at its end, has it among its `rows`.
    fn belongs(&mut self, table: Table, key: &[u8], rows: impl Fn(&Article) -> Vec<Vec<u8>>) {
        // Behind the kind, and for a term its value and a zero, come eight bytes of time and the id.
        let is_term = table == Table::Index && matches!(key.first(), Some(b'c' | b't' | b'u' | b'l'));
        let name = if is_term { key.iter().position(|byte| *byte == 0) } else { Some(0) };
        let id = name.and_then(|end| key.get(end + 9..));
        let article = id.and_then(id_from_key).and_then(|id| self.article(&id));
        match article {
            None => self.report.add(table, key, "an extra row: there is no such article"),
            Some(article) if !rows(&article).iter().any(|row| row == key) => {
                self.report.add(table, key, format!("an extra row: the article {} does not stand here", article.id));
            }
            Some(_) => {}
        }
    }

    /// An article that some row speaks of; one that cannot be read is told where the articles are gone through.
    fn article(&self, id: &ArticleId) -> Option<Article> {
        let key = id_key(id);
        let value = self.snapshot.get(Table::Articles, &key).ok().flatten()?;
        record::decode(Table::Articles, &key, &value).ok()
    }

    fn decode<R: Record>(
        &mut self,
        table: Table,
        key: &[u8],
        check_key: &[u8],
        value: Result<Vec<u8>, StoreError>,
    ) -> Option<R> {
        match value.and_then(|value| record::decode(table, check_key, &value)) {
            Ok(record) => Some(record),
            Err(StoreError::Record { what, .. }) => {
                self.report.add(table, key, what);
                None
            }
            Err(error) => {
                self.report.add(table, key, error.to_string());
                None
            }
        }
    }

    fn each(&mut self, table: Table, mut each: impl FnMut(&mut Self, &[u8], Result<Vec<u8>, StoreError>)) {
        let snapshot = self.snapshot;
        let read = snapshot.each(table, |key, value| {
            each(self, key, value);
            Ok::<_, StoreError>(())
        });
        if let Err(error) = read {
            self.report.add(table, b"", format!("it cannot be read to its end: {error}"));
        }
    }
}
