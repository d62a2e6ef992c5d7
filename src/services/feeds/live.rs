//! What the log does to the selections that feeds are asked for by: each change marks those that it touches, found by
//! the terms they need and not by looking at every one.

use crate::domain::{ArticleId, Change, Selection, Term, Time};
use crate::store::{Store, StoreError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes that a selection keeps in mind: what a feed writes anew at its next build. Behind that many it writes all.
const RECENT_MAX: usize = 256;

/// A selection that at least one feed is asked for by.
pub(super) struct Selected {
    pub(super) selection: Selection,
    /// Place of the last change that touched it.
    touched: AtomicU64,
    recent: Mutex<Recent>,
}

struct Recent {
    /// The changes that touched it, oldest first.
    changes: VecDeque<(u64, ArticleId)>,
    /// Nothing is missing of what came behind this place.
    since: u64,
    /// Time of the last change that touched it; unknown until it is first asked for.
    changed_at: Option<Option<Time>>,
}

impl Selected {
    fn new(selection: Selection, marked: u64) -> Self {
        let recent = Recent { changes: VecDeque::new(), since: marked, changed_at: None };
        Selected { selection, touched: AtomicU64::new(0), recent: Mutex::new(recent) }
    }

    pub(super) fn touched(&self) -> u64 {
        self.touched.load(Ordering::Acquire)
    }

    /// The articles that changed behind `seq`, in the order of their changes; none if that is no longer known.
    pub(super) fn changed_since(&self, seq: u64) -> Option<HashSet<ArticleId>> {
        let recent = self.recent();
        let behind = |(at, article): &(u64, ArticleId)| (*at > seq).then(|| article.clone());
        (recent.since <= seq).then(|| recent.changes.iter().filter_map(behind).collect())
    }

    /// When it last came to show something else; looked up in `store` once, then kept by the marks.
    pub(super) fn changed_at(&self, store: &Store) -> Result<Option<Time>, StoreError> {
        if let Some(known) = self.recent().changed_at {
            return Ok(known);
        }
        let stored = store.touched(&self.selection)?;
        let mut recent = self.recent();
        // A mark may have come meanwhile.
        let known = recent.changed_at.flatten().max(stored);
        recent.changed_at = Some(known);
        Ok(known)
    }

    fn touch(&self, seq: u64, change: &Change) {
        let mut recent = self.recent();
        if recent.changes.len() == RECENT_MAX
            && let Some((first, _)) = recent.changes.pop_front()
        {
            recent.since = first;
        }
        recent.changes.push_back((seq, change.article.clone()));
        if let Some(changed_at) = &mut recent.changed_at {
            *changed_at = (*changed_at).max(Some(change.at));
        }
        drop(recent);
        self.touched.fetch_max(seq, Ordering::AcqRel);
    }

    /// The log no longer says what happened up to `seq`.
    fn forget(&self, seq: u64) {
        let mut recent = self.recent();
        *recent = Recent { changes: VecDeque::new(), since: seq, changed_at: None };
        drop(recent);
        self.touched.fetch_max(seq, Ordering::AcqRel);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All selections that feeds are asked for by.
#[derive(Default)]
pub(super) struct Live {
    /// Each with the number of feeds that are made of it.
    all: HashMap<Selection, (Arc<Selected>, usize)>,
    /// Those that take in nothing without one of these terms.
    by_term: HashMap<Term, Vec<Arc<Selected>>>,
    /// Those that may take in anything.
    rest: Vec<Arc<Selected>>,
}

impl Live {
    /// `selection` for one more feed; of the log it knows what comes behind `marked`.
    pub(super) fn join(&mut self, selection: &Selection, marked: u64) -> Arc<Selected> {
        if let Some((selected, feeds)) = self.all.get_mut(selection) {
            *feeds += 1;
            return Arc::clone(selected);
        }
        let selected = Arc::new(Selected::new(selection.clone(), marked));
        match selection.anchors() {
            Some(terms) => {
                for term in terms {
                    self.by_term.entry(term).or_default().push(Arc::clone(&selected));
                }
            }
            None => self.rest.push(Arc::clone(&selected)),
        }
        self.all.insert(selection.clone(), (Arc::clone(&selected), 1));
        selected
    }

    /// One feed of `selection` is gone; with the last one the selection is no longer followed.
    pub(super) fn leave(&mut self, selection: &Selection) {
        let Some((selected, feeds)) = self.all.get_mut(selection) else { return };
        *feeds -= 1;
        if *feeds > 0 {
            return;
        }
        let selected = Arc::clone(selected);
        let is_other = |other: &Arc<Selected>| !Arc::ptr_eq(other, &selected);
        for term in selection.anchors().into_iter().flatten() {
            if let Some(row) = self.by_term.get_mut(&term) {
                row.retain(is_other);
                if row.is_empty() {
                    self.by_term.remove(&term);
                }
            }
        }
        self.rest.retain(is_other);
        self.all.remove(selection);
    }

    /// Marks what the change at `seq` touches.
    pub(super) fn mark(&self, seq: u64, change: &Change) {
        let labels = change.labels.iter().chain(change.before.iter().flat_map(|before| before.iter()));
        let anchored = labels.filter_map(|term| self.by_term.get(term)).flatten();
        for selected in self.rest.iter().chain(anchored) {
            // By two of its terms a selection is met twice.
            if selected.touched() < seq && change.touches(&selected.selection) {
                selected.touch(seq, change);
            }
        }
    }

    /// Selections that are followed.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Marks everything: the log has a gap before `head`.
    pub(super) fn forget(&self, head: u64) {
        self.all.values().for_each(|(selected, _)| selected.forget(head));
    }
}
