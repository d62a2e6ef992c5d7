//! What came out in the day before an article: from article to article only what is new is read.

use crate::domain::{Change, Seq};
use crate::store::{Store, StoreError};
use chrono::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A day has 25 hours at most where clocks are set back by one, and zones have set theirs back by more.
const DAY_MAX: Duration = Duration::hours(26);
/// Log entries that are looked at for what came out today.
const TODAY_MAX: usize = 10_000;

/// A window that goes along the log.
pub(super) struct Today {
    article_age_max: Duration,
    window: Mutex<Window>,
}

/// What was mailed, the last first, of the entries up to `until`.
#[derive(Default)]
struct Window {
    until: Seq,
    news: Arc<VecDeque<(Seq, Change)>>,
}

impl Today {
    /// Articles that are not fresh by `article_age_max` ([`Article::is_fresh`](crate::domain::Article::is_fresh)) do not
    /// count: they are not mailed.
    pub(super) fn new(article_age_max: Duration) -> Self {
        Today { article_age_max, window: Mutex::default() }
    }

    /// What came out in the day before `change`, which stands at `seq`: the last first.
    pub(super) fn before(
        &self,
        store: &Store,
        seq: Seq,
        change: &Change,
    ) -> Result<Arc<VecDeque<(Seq, Change)>>, StoreError> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, until) = (change.at - DAY_MAX, Seq(seq.0.saturating_sub(1)));
        // Only a reader that begins anew goes back.
        if until < window.until {
            *window = Window::default();
        }
        if window.until < until {
            let new = store.news_since(from, window.until, until, self.article_age_max, TODAY_MAX)?;
            let news = Arc::make_mut(&mut window.news);
            for entry in new.into_iter().rev() {
                news.push_front(entry);
            }
            news.truncate(TODAY_MAX);
            while news.back().is_some_and(|(_, change)| change.at < from) {
                news.pop_back();
            }
            window.until = until;
        }
        Ok(Arc::clone(&window.news))
    }
}
