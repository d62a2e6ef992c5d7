//! Article folders: a file that comes, changes or goes publishes, revises or retracts.
//!
//! The file system's events are a hint; what counts is a look at the whole folder against what was taken in before.
//! A file is taken once it has looked the same for a while, so that nobody publishes half a file.

mod claims;
mod folder;
mod memory;
mod take;
mod watched;

use super::newsroom::{Newsroom, SharedNewsroom};
use super::publish::{Outcome, Publisher};
use crate::domain::{ArticleId, Kind, Problem, Slug};
use crate::store::{Batch, Store, TakenFile};
use crate::telemetry;
use claims::assign;
use memory::{Memory, Place, Rows, Survey, Why};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use watched::Watched;

/// A file that has looked the same for so long is whole: nobody pauses longer within one article.
const SETTLE: Duration = Duration::from_millis(300);
/// Without a hint the folders are looked at this often: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// At the start files that were written just before are waited for so often; who keeps writing does not hold it up.
const FIRST_WAITS_MAX: usize = 2;
/// Files that are pushed side by side, so that they share durable writes.
const PUSHES_MAX: usize = 64;

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Files taken in.
    pub taken: usize,
    /// Articles retracted since their file is gone.
    pub retracted: usize,
    /// Files that cannot be read as an article now.
    pub faults: usize,
    /// Files that are still changing: look again soon.
    pub unsettled: usize,
    /// Files that could not be taken now, though they are not to blame: the next look tries them again.
    pub waiting: usize,
}

/// The folders of all categories.
pub struct Sources {
    store: Arc<Store>,
    publisher: Publisher,
    newsroom: SharedNewsroom,
    memory: Mutex<Memory>,
    /// Rung when a folder may have changed. Carries no data: a look tells.
    hint: Arc<Notify>,
}

impl Sources {
    /// The folders that `newsroom` names.
    pub fn new(store: Arc<Store>, publisher: Publisher, newsroom: SharedNewsroom) -> Self {
        Sources { store, publisher, newsroom, memory: Mutex::default(), hint: Arc::default() }
    }

    /// One look at every folder; takes in what is settled.
    ///
    /// Errors: the store's. A folder or file that cannot be read is reported and left as it is: nothing is retracted
    /// because a disk was not there.
    pub async fn look(&self) -> Result<Look, Problem> {
        let mut memory = self.memory.lock().await;
        let newsroom = self.newsroom.load_full();
        memory.judge_by(&newsroom);
        let survey = Survey::of(&newsroom);
        let rows = self.rows(&newsroom)?;
        let settled = memory.settled(&survey);
        let holders = memory.holders(&rows, &survey, &settled);
        let files = self.candidates(&settled, &survey, &mut memory)?;
        let found = assign(&rows, holders, &files);
        let taken = self.take(&newsroom, &survey, &rows, &files, &found, &mut memory).await;
        let mut look =
            Look { taken, unsettled: memory.unsettled(), faults: memory.nameless(&survey), ..Look::default() };
        for left in memory.left_out() {
            match left.why {
                Why::Fault | Why::Twin => look.faults += 1,
                Why::Later | Why::Unread => look.waiting += 1,
            }
        }
        // While something is changing, what is gone may come back under another name, and in another folder.
        let is_unread = memory.left_out().any(|left| left.why == Why::Unread);
        if look.unsettled == 0 && !is_unread {
            let claimed = memory.left_out().filter_map(|left| left.claims.clone()).collect();
            look.retracted = self.retract_gone(&newsroom, &survey, claimed).await?;
        }
        metrics::gauge!(telemetry::SOURCE_FAULTS).set((look.faults + look.waiting) as f64);
        Ok(look)
    }

    /// The look at the start. A file that was written just before is waited for, so that it is there once the daemon is up.
    ///
    /// Errors: as for [`Sources::look`].
    pub async fn first_look(&self) -> Result<Look, Problem> {
        let mut total = self.look().await?;
        for _ in 0..FIRST_WAITS_MAX {
            if total.unsettled == 0 {
                break;
            }
            tokio::time::sleep(SETTLE).await;
            let look = self.look().await?;
            total = Look { taken: total.taken + look.taken, retracted: total.retracted + look.retracted, ..look };
        }
        Ok(total)
    }

    /// What was taken in from the folders of all categories.
    fn rows(&self, newsroom: &Newsroom) -> Result<Rows, Problem> {
        let mut rows = Rows::new();
        for category in newsroom.categories.iter() {
            let mut after: Option<String> = None;
            loop {
                let page = self.store.taken_files(&category.slug, after.as_deref())?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                let place = |name| Place { category: category.slug.clone(), name };
                rows.extend(page.into_iter().map(|(name, file)| (place(name), file)));
            }
        }
        Ok(rows)
    }

    /// Retracts the articles whose files are gone and that no other file is, nor is `claimed` by one that was left out.
    /// Returns how many were public or to be.
    async fn retract_gone(
        &self,
        newsroom: &Newsroom,
        survey: &Survey<'_>,
        claimed: HashSet<ArticleId>,
    ) -> Result<usize, Problem> {
        let (gone, stays): (Vec<_>, Vec<_>) =
            self.rows(newsroom)?.into_iter().partition(|(place, _)| survey.is_gone(place));
        let kept: HashSet<ArticleId> = stays.into_iter().map(|(_, file)| file.article).collect();
        let mut retracted = 0;
        let mut orphans: BTreeMap<Slug, Vec<(Place, TakenFile)>> = BTreeMap::new();
        for (place, file) in gone {
            if kept.contains(&file.article) {
                self.forget(&place).await?;
            } else if !claimed.contains(&file.article) {
                orphans.entry(place.category.clone()).or_default().push((place, file));
            }
        }
        for (category, orphans) in orphans {
            if survey.is_empty(&category) && orphans.len() > 1 {
                let gone = orphans.len();
                tracing::error!(%category, "the article folder of {category} is empty, {gone} articles came from it: is a disk missing? None is retracted");
                continue;
            }
            for (place, file) in orphans {
                retracted += usize::from(self.retract(&place.name, &file).await?);
                self.forget(&place).await?;
            }
        }
        Ok(retracted)
    }

    async fn forget(&self, place: &Place) -> Result<(), Problem> {
        let mut batch = Batch::default();
        self.store.forget_file(&mut batch, &place.category, &place.name);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Withdraws the article of a file that is gone. Returns whether it was public or to be.
    async fn retract(&self, name: &str, file: &TakenFile) -> Result<bool, Problem> {
        match self.publisher.retract(&file.article, None).await {
            Ok((_, outcome)) => {
                tracing::info!(article.id = %file.article, "the file {name} is gone, its article is retracted");
                Ok(outcome != Outcome::Unchanged)
            }
            Err(problem) if problem.kind == Kind::NotFound => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Makes [`Sources::run`] look now: the folders themselves may be others.
    pub fn look_soon(&self) {
        self.hint.notify_one();
    }

    /// Looks whenever a folder may have changed, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut watched = Watched::default();
        loop {
            watched.follow(&self.newsroom, &self.hint);
            let wait = match self.look().await {
                Ok(look) if look.unsettled > 0 => SETTLE,
                Ok(_) => LOOK_EVERY,
                Err(problem) => {
                    tracing::error!(%problem, "article files could not be taken in; trying again: {problem}");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.hint.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
