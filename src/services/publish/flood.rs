//! The flood guard. A reader knows an article by its id and sorts it by its date: a change that gives many known articles
//! another id or another date shows all of them as unread, to everybody. It comes from a migration that forgot the ids,
//! from a script that touched every file; hardly ever is it meant. A few such changes pass, the next one is refused,
//! whichever way it comes in, until somebody says that it is meant.

use crate::domain::{Article, ArticleId, Kind, Problem, Time};
use crate::store::{Order, Store, StoreError};
use chrono::Duration;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Articles that are recognised: more than any feed shows, so all that a reader may have seen lately.
const KNOWN_MAX: usize = 500;
/// Changes are counted over this long.
const WINDOW: Duration = Duration::hours(1);
/// An operator's word holds for as long.
const ACCEPTED_FOR: Duration = Duration::hours(1);

/// What readers would take for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A public article gets another date.
    Redated,
    /// A new article is one that is known under another id: it has the same address, or the same title and date.
    Reidentified,
}

/// A change that may pass. It counts from now on, so that of many at once no more pass than may; no longer if it is
/// dropped before it has passed.
pub(super) struct Slot {
    guard: Arc<Guard>,
    sort: Sort,
    at: Time,
    has_passed: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.has_passed {
            let mut state = self.guard.locked();
            let times = state.times(self.sort);
            if let Some(own) = times.iter().rposition(|at| *at == self.at) {
                times.remove(own);
            }
        }
    }
}

/// The guard. Its counts begin anew with the daemon.
pub(super) struct Guard {
    store: Arc<Store>,
    /// Changes of each sort that pass within the window; none are counted if it is 0.
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_read: bool,
    known: HashMap<Likeness, ArticleId>,
    /// The oldest first.
    order: VecDeque<Likeness>,
    redated: VecDeque<Time>,
    reidentified: VecDeque<Time>,
    accepted_until: Option<Time>,
}

impl Guard {
    pub(super) fn new(store: Arc<Store>, max: usize) -> Self {
        Guard { store, max, state: Mutex::default() }
    }

    /// May `old` become `new` at `now`? Returns its place in the count, if it counts.
    ///
    /// Errors: [`Kind::Conflict`] if it would be one too many.
    pub(super) fn judge(
        self: &Arc<Self>,
        old: Option<&Article>,
        new: &Article,
        now: Time,
    ) -> Result<Option<Slot>, Problem> {
        if self.max == 0 || !new.is_public() {
            return Ok(None);
        }
        let mut state = self.state()?;
        let sort = match old {
            Some(old) if old.is_public() && old.published_at != new.published_at => Sort::Redated,
            Some(_) => return Ok(None),
            None => match state.known.get(&likeness(new)) {
                Some(known) if *known != new.id => Sort::Reidentified,
                Some(_) | None => return Ok(None),
            },
        };
        let is_accepted = state.accepted_until.is_some_and(|until| now < until);
        let times = state.times(sort);
        // By a clock that was set back they would count for longer.
        while times.front().is_some_and(|at| (now - *at).abs() >= WINDOW) {
            times.pop_front();
        }
        if times.len() >= self.max && !is_accepted {
            return Err(refused(sort, new, self.max));
        }
        // As many as are ever looked at.
        if times.len() == self.max {
            times.pop_front();
        }
        times.push_back(now);
        Ok(Some(Slot { guard: Arc::clone(self), sort, at: now, has_passed: false }))
    }

    /// `article` is as it was judged, and everybody sees it.
    pub(super) fn passed(&self, article: &Article, slot: Option<Slot>) {
        if let Some(mut slot) = slot {
            slot.has_passed = true;
        }
        if self.max > 0 && article.is_public() {
            self.locked().learn(article);
        }
    }

    /// Lets everything pass for an hour from `now` on. Returns until when.
    pub(super) fn accept(&self, now: Time) -> Time {
        let until = now + ACCEPTED_FOR;
        self.locked().accepted_until = Some(until);
        until
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, which knows the newest articles.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.locked();
        if !state.is_read {
            let mut after = None;
            let mut newest = Vec::new();
            while newest.len() < KNOWN_MAX {
                let page = self.store.articles(Order::Public, after.as_ref(), (KNOWN_MAX - newest.len()).min(100))?;
                newest.extend(page.articles);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            newest.iter().rev().for_each(|article| state.learn(article));
            state.is_read = true;
        }
        Ok(state)
    }
}

impl State {
    fn times(&mut self, sort: Sort) -> &mut VecDeque<Time> {
        match sort {
            Sort::Redated => &mut self.redated,
            Sort::Reidentified => &mut self.reidentified,
        }
    }

    fn learn(&mut self, article: &Article) {
        let likeness = likeness(article);
        if self.known.insert(likeness, article.id.clone()).is_none() {
            self.order.push_back(likeness);
        }
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// By what a person would take two articles for one: the address; without one, title and date. Hashed: that two others
/// should come to the same is one in billions, and would count as one change too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Likeness(u64);

fn likeness(article: &Article) -> Likeness {
    let mut hash = DefaultHasher::new();
    match &article.content.url {
        Some(url) => url.as_str().hash(&mut hash),
        None => (article.dated().timestamp_millis(), &article.content.title).hash(&mut hash),
    }
    Likeness(hash.finish())
}

fn refused(sort: Sort, article: &Article, max: usize) -> Problem {
    let title = &article.content.title;
    let what = match sort {
        Sort::Redated => format!(
            "`published_at`: \"{title}\" would be one more than {max} public articles within an hour that get another date"
        ),
        Sort::Reidentified => format!(
            "`id`: \"{title}\" would be one more than {max} known articles within an hour that come again under another id"
        ),
    };
    let detail = format!(
        "{what}; readers would show all of them as unread. If that is meant, say `tidings flood accept` and send it again"
    );
    Problem::new(Kind::Conflict, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Content;

    #[test]
    fn what_is_on_its_way_counts_until_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Arc::new(Guard::new(Arc::new(Store::open(folder.path()).unwrap()), 3));
        let now = Time::UNIX_EPOCH + Duration::days(20_000);
        let old = Article::published(ArticleId::mint(), now, Content::default());
        let new = Article { published_at: Some(now + Duration::days(1)), ..old.clone() };
        let judge = || guard.judge(Some(&old), &new, now);
        let mut slots: Vec<_> = (0..3).map(|_| judge().unwrap().unwrap()).collect();
        assert_eq!(
            judge().err().map(|problem| problem.kind),
            Some(Kind::Conflict),
            "three at once are all there may be"
        );
        drop(slots.pop());
        guard.passed(&new, judge().unwrap());
        slots.drain(..).for_each(|slot| guard.passed(&new, Some(slot)));
        assert!(judge().is_err(), "and still are when they have passed");
        let back = |hours| guard.judge(Some(&old), &new, now - Duration::hours(hours)).is_ok();
        assert!(!back(0) && back(5), "they count for an hour, whichever way the clock is set");
    }
}
