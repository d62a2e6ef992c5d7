//! What came out in a stretch of the log: the contents of digests.

use super::kv::{RANGE_ROWS_MAX, Range};
use super::log::LOG_CHECK_KEY;
use super::record::{self, Stored};
use super::{Store, StoreError, Table};
use crate::domain::{Article, ArticleId, Change, Selection, Seq, Span, Time};
use chrono::Duration;
use std::ops::ControlFlow;

/// Entries that are looked at for one digest: a week of the busiest newsroom many times over. What is older is not told.
const LOOKED_MAX: usize = 50_000;

impl Store {
    /// Hands the public articles that a digest of `selection` over `span` tells of to `each`, each with the place at which
    /// it came out, the last published first, until it has enough; which of them are told, [`Store::told_of`] decides.
    pub fn news(
        &self,
        selection: &Selection,
        span: &Span,
        age_max: Duration,
        mut each: impl FnMut(Seq, Stored<Article>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.log_backwards(span.until, span.since, LOOKED_MAX, |seq, change| {
            if !span.tells_of(selection, seq, &change) {
                return Ok(ControlFlow::Continue(()));
            }
            let article = self.told_of(&change, age_max)?;
            Ok(article.map_or(ControlFlow::Continue(()), |article| each(seq, article)))
        })
    }

    /// What came out of `selection` behind `since` and up to `until`, public by now or not: the first first. If there is
    /// more than `limit`, the last of it.
    pub fn published(
        &self,
        selection: &Selection,
        (since, until): (Seq, Seq),
        limit: usize,
    ) -> Result<Vec<(Seq, Change)>, StoreError> {
        let mut published = Vec::new();
        self.log_backwards(until, since, LOOKED_MAX, |seq, change| {
            if change.is_news_for(selection) {
                published.push((seq, change));
            }
            Ok(if published.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        published.reverse();
        Ok(published)
    }

    /// The article whose coming out is `change`, if mails tell of it now: it is public, and was fresh.
    pub fn told_of(&self, change: &Change, age_max: Duration) -> Result<Option<Stored<Article>>, StoreError> {
        let article = self.article(&change.article)?;
        Ok(article.filter(|stored| stored.record.is_public() && stored.record.is_fresh(change.at, age_max)))
    }

    /// What was mailed of, or would have been, since `from`, behind the place `behind` and up to `until`: the last first,
    /// at most `limit`.
    pub fn news_since(
        &self,
        from: Time,
        behind: Seq,
        until: Seq,
        age_max: Duration,
        limit: usize,
    ) -> Result<Vec<(Seq, Change)>, StoreError> {
        let mut news = Vec::new();
        self.log_backwards(until, behind, limit, |seq, change| {
            if change.at < from {
                return Ok(ControlFlow::Break(()));
            }
            if change.is_news_for(&Selection::all())
                && self.article(&change.article)?.is_some_and(|article| article.record.is_fresh(change.at, age_max))
            {
                news.push((seq, change));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(news)
    }

    /// All that happened to `article`, which was not public before `from`: the first first. Reads the log that far back:
    /// use [`Store::scan`].
    pub fn history(&self, article: &ArticleId, from: Time) -> Result<Vec<(Seq, Change)>, StoreError> {
        let mut history = Vec::new();
        self.log_backwards(self.head(), Seq::default(), usize::MAX, |seq, change| {
            if change.at < from {
                return Ok(ControlFlow::Break(()));
            }
            if change.article == *article {
                history.push((seq, change));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        history.reverse();
        Ok(history)
    }

    /// Hands the entries from `until` down to the one behind `since` to `each`, at most `limit` of them.
    fn log_backwards(
        &self,
        until: Seq,
        since: Seq,
        limit: usize,
        mut each: impl FnMut(Seq, Change) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let (behind, until) = (since.next().0.to_be_bytes(), until.next().0.to_be_bytes());
        let mut range = Range::prefix(*b"").until(until).reverse().limit(RANGE_ROWS_MAX);
        range.from = std::ops::Bound::Included(behind.to_vec());
        let mut looked = 0;
        while looked < limit {
            let rows = self.kv.range(Table::Log, range.clone())?;
            let Some((last, _)) = rows.last().cloned() else { return Ok(()) };
            looked += rows.len();
            for (key, value) in rows {
                let seq = key.as_slice().try_into().map(u64::from_be_bytes).map(Seq).unwrap_or_default();
                let change = record::decode(Table::Log, LOG_CHECK_KEY, &value)?;
                if each(seq, change)?.is_break() {
                    return Ok(());
                }
            }
            range = range.after(last);
        }
        Ok(())
    }
}
