//! Sums that are too old to be kept: what is by day goes by its day, what is about an article by the article's date.

use super::kv::{Batch, Range};
use super::numbers::{ARTICLES, DIGESTS, Daily};
use super::{Store, StoreError, Table};
use crate::domain::ArticleId;
use chrono::NaiveDate;

/// Keys of sums.
type OldNumbers = Vec<Vec<u8>>;

impl Store {
    /// Sums of days, and of digests of windows, before `day`: some hundred at most.
    pub fn numbers_before(&self, day: NaiveDate) -> Result<OldNumbers, StoreError> {
        for prefix in [DIGESTS, Daily::Selection.prefix(), Daily::Domain.prefix()] {
            let rows = self.kv.range(Table::Meta, Range::prefix(prefix).until(format!("{prefix}{day}")))?;
            if !rows.is_empty() {
                return Ok(rows.into_iter().map(|(key, _)| key).collect());
            }
        }
        Ok(Vec::new())
    }

    /// Of the next articles behind the key `after` that have sums, some hundred: those dated before `day`, or not there,
    /// and the last key that was looked at; none behind the end. Reads articles: use [`Store::scan`].
    pub fn article_numbers_before(
        &self,
        day: NaiveDate,
        after: Option<&[u8]>,
    ) -> Result<Option<(OldNumbers, Vec<u8>)>, StoreError> {
        let mut range = Range::prefix(ARTICLES);
        if let Some(after) = after {
            range = range.after(after);
        }
        let rows = self.kv.range(Table::Meta, range)?;
        let Some((last, _)) = rows.last().cloned() else { return Ok(None) };
        let mut old = Vec::new();
        for (key, _) in rows {
            let id = key.get(ARTICLES.len()..).and_then(|id| std::str::from_utf8(id).ok());
            let article = match id.and_then(|id| ArticleId::parse("id", id).ok()) {
                Some(id) => self.article(&id)?,
                None => None,
            };
            if article.is_none_or(|article| article.record.dated().date_naive() < day) {
                old.push(key);
            }
        }
        Ok(Some((old, last)))
    }

    /// Puts the end of these sums into `batch`. What is added to one at that moment goes with it.
    pub fn delete_numbers(&self, batch: &mut Batch, old: OldNumbers) {
        old.into_iter().for_each(|key| batch.delete(Table::Meta, key));
    }
}
