//! The flood guard. A reader knows an article by its id and sorts it by its date: a change that gives many known articles
//! another id or another date shows all of them as unread, to everybody. It comes from a migration that forgot the ids,
//! from a script that touched every file; hardly ever is it meant. A few such changes pass, the next one is refused,
//! whichever way it comes in, until somebody says that it is meant.

use crate::domain::{Article, ArticleId, Kind, Problem, Time};
use crate::store::{Order, Store, StoreError};
use chrono::Duration;
use std::collections::{HashMap, VecDeque};
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
    known: HashMap<String, ArticleId>,
    /// The oldest first.
    order: VecDeque<String>,
    redated: VecDeque<Time>,
    reidentified: VecDeque<Time>,
    accepted_until: Option<Time>,
}

impl Guard {
    pub(super) fn new(store: Arc<Store>, max: usize) -> Self {
        Guard { store, max, state: Mutex::default() }
    }

    /// May `old` become `new` at `now`? Returns what it counts as.
    ///
    /// Errors: [`Kind::Conflict`] if it would be one too many.
    pub(super) fn judge(&self, old: Option<&Article>, new: &Article, now: Time) -> Result<Option<Sort>, Problem> {
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
        while times.front().is_some_and(|at| now - *at >= WINDOW) {
            times.pop_front();
        }
        if times.len() >= self.max && !is_accepted {
            return Err(refused(sort, new, self.max));
        }
        Ok(Some(sort))
    }

    /// `article` is public now, by a change that counts as `sort`.
    pub(super) fn passed(&self, article: &Article, sort: Option<Sort>, now: Time) {
        if self.max == 0 || !article.is_public() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.learn(article);
        if let Some(sort) = sort {
            let times = state.times(sort);
            // As many as are ever looked at.
            if times.len() == self.max {
                times.pop_front();
            }
            times.push_back(now);
        }
    }

    /// Lets everything pass for an hour from `now` on. Returns until when.
    pub(super) fn accept(&self, now: Time) -> Time {
        let until = now + ACCEPTED_FOR;
        self.state.lock().unwrap_or_else(PoisonError::into_inner).accepted_until = Some(until);
        until
    }

    /// The state, which knows the newest articles.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        if self.known.insert(likeness.clone(), article.id.clone()).is_none() {
            self.order.push_back(likeness);
        }
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// By what a person would take two articles for one: the address; without one, title and date.
fn likeness(article: &Article) -> String {
    match &article.content.url {
        Some(url) => url.to_string(),
        None => format!("{}\n{}", article.dated().timestamp_millis(), article.content.title),
    }
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
