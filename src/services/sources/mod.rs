//! Article folders: a file that comes, changes or goes publishes, revises or retracts.
//!
//! The file system's events are a hint; what counts is a look at the whole folder against what was taken in before.
//! A file is taken once it has looked the same for a while, so that nobody publishes half a file.

mod folder;
mod watched;

use super::newsroom::{Newsroom, SharedNewsroom};
use super::publish::{Outcome, Publisher};
use crate::domain::{ArticleId, Category, Draft, ExternalId, Fault, Kind, Problem, hex};
use crate::store::{Batch, Store, TakenFile};
use crate::telemetry;
use crate::wire::source::{Door, from_file, name_of_file};
use folder::{Looks, list, read, report};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watched::Watched;

/// A file that has looked the same for so long is whole: nobody pauses longer within one article.
const SETTLE: Duration = Duration::from_millis(300);
/// Without a hint the folders are looked at this often: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(60);
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
}

/// What is known of a file since the last look.
enum Seen {
    /// It is new or looks different since that moment: taken when it has settled. Looks alone would not do, since
    /// each write is a hint, and two looks may follow each other at once.
    Changing { looks: Looks, since: Instant },
    /// Taken as it is; `fault` says why if that did not work.
    Done { looks: Looks, fault: Option<String> },
}

/// What is known since the last look.
#[derive(Default)]
struct Memory {
    /// Folders that were looked at before.
    folders: HashSet<PathBuf>,
    files: HashMap<PathBuf, Seen>,
    /// What the files were judged by.
    newsroom: Option<Arc<Newsroom>>,
}

impl Memory {
    /// Files with faults are judged again by another newsroom: it may know the category that one was missing.
    fn judge_by(&mut self, newsroom: &Arc<Newsroom>) {
        let is_same = self.newsroom.as_ref().is_none_or(|before| Arc::ptr_eq(before, newsroom));
        if !is_same {
            self.files.retain(|_, seen| !matches!(seen, Seen::Done { fault: Some(_), .. }));
        }
        self.newsroom = Some(Arc::clone(newsroom));
    }
}

/// Why a file was not taken.
enum Left {
    /// It has a fault, and stays out until it changes.
    Fault(String),
    /// It could not be stored now; it is taken at a later look.
    Later(Problem),
}

impl Left {
    fn of(name: &str, problem: Problem) -> Self {
        if problem.kind == Kind::Unavailable { Left::Later(problem) } else { Left::Fault(format!("{name}: {problem}")) }
    }
}

/// A file that says something which was not taken in yet.
struct Fresh {
    name: String,
    text: String,
    digest: Vec<u8>,
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
        let mut total = Look::default();
        for category in newsroom.categories.iter() {
            let Some(folder) = &category.articles else { continue };
            match list(folder) {
                Ok(files) => {
                    let found = self.look_at(&newsroom, category, folder, files, &mut memory).await?;
                    total.taken += found.taken;
                    total.retracted += found.retracted;
                    total.unsettled += found.unsettled;
                }
                Err(error) => {
                    let folder = folder.display();
                    tracing::error!(%folder, %error, "the article folder {folder} cannot be read: {error}");
                }
            }
        }
        total.faults = memory.files.values().filter(|seen| matches!(seen, Seen::Done { fault: Some(_), .. })).count();
        metrics::gauge!(telemetry::SOURCE_FAULTS).set(total.faults as f64);
        Ok(total)
    }

    async fn look_at(
        &self,
        newsroom: &Newsroom,
        category: &Category,
        folder: &Path,
        files: BTreeMap<String, Looks>,
        memory: &mut Memory,
    ) -> Result<Look, Problem> {
        // At the first look nobody is assumed to be writing: the files lay there before the daemon came.
        let is_first = memory.folders.insert(folder.to_owned());
        let is_there =
            |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| files.contains_key(name));
        let seen = &mut memory.files;
        seen.retain(|path, _| path.parent() != Some(folder) || is_there(path));
        let mut found = Look::default();
        let mut later = None;
        let mut settled = Vec::new();
        for (name, looks) in files.iter() {
            match seen.get(&folder.join(name)) {
                Some(Seen::Done { looks: before, .. }) if before == looks => {}
                Some(Seen::Changing { looks: before, since }) if before == looks => {
                    if since.elapsed() >= SETTLE {
                        settled.push((name, *looks));
                    } else {
                        found.unsettled += 1;
                    }
                }
                None if is_first => settled.push((name, *looks)),
                Some(Seen::Done { .. } | Seen::Changing { .. }) | None => {
                    found.unsettled += 1;
                    seen.insert(folder.join(name), Seen::Changing { looks: *looks, since: Instant::now() });
                }
            }
        }
        let taken = self.taken(category)?;
        let mut gone: Vec<&String> = taken.keys().filter(|name| !files.contains_key(*name)).collect();
        for some in settled.chunks(PUSHES_MAX) {
            let mut fresh = Vec::new();
            for (name, looks) in some {
                let path = folder.join(name);
                let fault = match read(&path) {
                    Ok((text, digest)) => {
                        if taken.get(*name).is_none_or(|known| known.digest != digest) {
                            fresh.push(Fresh { name: (*name).clone(), text, digest });
                        }
                        None
                    }
                    Err(fault) => Some(fault),
                };
                report(&path, fault.as_deref());
                seen.insert(path, Seen::Done { looks: *looks, fault });
            }
            for (name, outcome) in self.take(newsroom, category, fresh, &taken, &mut gone).await {
                let path = folder.join(name);
                match outcome {
                    Ok(()) => found.taken += 1,
                    Err(Left::Fault(why)) => {
                        report(&path, Some(&why));
                        if let Some(Seen::Done { fault, .. }) = seen.get_mut(&path) {
                            *fault = Some(why);
                        }
                    }
                    // Forgotten, so that the next look finds it anew.
                    Err(Left::Later(problem)) => {
                        seen.remove(&path);
                        later = Some(problem);
                    }
                }
            }
        }
        if let Some(problem) = later {
            return Err(problem);
        }
        if files.is_empty() && gone.len() > 1 {
            let (gone, folder) = (gone.len(), folder.display());
            tracing::error!(%folder, "{folder} is empty, {gone} articles came from it: is a disk missing? None is retracted");
        } else if found.unsettled == 0 && !gone.is_empty() {
            // While something is changing, what is gone may come back under another name.
            let kept = self.kept(newsroom, category, &gone)?;
            for name in gone {
                let file = &taken[name];
                found.retracted += usize::from(!kept.contains(&file.article) && self.retract(name, file).await?);
                let mut batch = Batch::default();
                self.store.forget_file(&mut batch, &category.slug, name);
                self.store.commit(batch).await?;
            }
        }
        Ok(found)
    }

    /// The articles of all files but those that are `gone` from a category's folder. A file that was moved and edited
    /// in one go is another file, and its article still the same where it says so itself (`external_id`, `id`).
    fn kept(&self, newsroom: &Newsroom, category: &Category, gone: &[&String]) -> Result<HashSet<ArticleId>, Problem> {
        let mut kept = HashSet::new();
        for other in newsroom.categories.iter() {
            let files = self.taken(other)?.into_iter();
            let files = files.filter(|(name, _)| other.slug != category.slug || !gone.contains(&name));
            kept.extend(files.map(|(_, file)| file.article));
        }
        Ok(kept)
    }

    fn taken(&self, category: &Category) -> Result<BTreeMap<String, TakenFile>, Problem> {
        let mut all = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.taken_files(&category.slug, after.as_deref())?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = Some(last.clone());
            all.extend(page);
        }
    }

    /// Takes in files side by side. Returns each name with what became of it.
    async fn take(
        &self,
        newsroom: &Newsroom,
        category: &Category,
        files: Vec<Fresh>,
        taken: &BTreeMap<String, TakenFile>,
        gone: &mut Vec<&String>,
    ) -> Vec<(String, Result<(), Left>)> {
        let door = Door { categories: &newsroom.categories, site: &newsroom.site };
        let mut outcomes = Vec::with_capacity(files.len());
        let mut pushes = JoinSet::new();
        for Fresh { name, text, digest } in files {
            // The same text under another name: the file was moved, the article stays the one it is.
            let moved = gone.iter().position(|old| !taken.contains_key(&name) && taken[*old].digest == digest);
            if let Some(old) = moved.map(|at| gone.swap_remove(at)) {
                let mut batch = Batch::default();
                self.store.forget_file(&mut batch, &category.slug, old);
                self.store.remember_file(&mut batch, &category.slug, &name, &taken[old]);
                let outcome = self.store.commit(batch).await.map(|_| ()).map_err(|error| Left::of(&name, error.into()));
                outcomes.push((name, outcome));
                continue;
            }
            let known = taken.get(&name).map(|file| file.article.clone());
            let draft = from_file(&text, &name, category, &door).map_err(|fault| Left::Fault(fault.report(&name)));
            let draft = draft.and_then(|draft| match known {
                // A moved file has another name than the one it was first taken in under.
                Some(_) => Ok(Draft { external_id: None, ..draft }),
                None => self.named(draft, &name, &digest, category, taken, gone).map_err(|told| Left::of(&name, told)),
            });
            let draft = match draft {
                Ok(draft) => draft,
                Err(left) => {
                    outcomes.push((name, Err(left)));
                    continue;
                }
            };
            let (publisher, store, slug) = (self.publisher.clone(), Arc::clone(&self.store), category.slug.clone());
            pushes.spawn(async move {
                let taking = async {
                    let (article, _) = match known {
                        Some(id) => publisher.revise(&id, &draft, None).await?,
                        None => publisher.push(draft, None).await?,
                    };
                    let mut batch = Batch::default();
                    store.remember_file(&mut batch, &slug, &name, &TakenFile { article: article.id, digest });
                    store.commit(batch).await?;
                    Ok(())
                };
                let outcome = taking.await.map_err(|problem| Left::of(&name, problem));
                (name, outcome)
            });
        }
        // A panic in there is one here.
        outcomes.extend(pushes.join_all().await);
        outcomes
    }

    /// The draft of a new file under a name that no other file's article has: after a file was moved, another may come
    /// under its old name. Errors: the file names itself, or its id, as another does.
    fn named(
        &self,
        draft: Draft,
        name: &str,
        digest: &[u8],
        category: &Category,
        taken: &BTreeMap<String, TakenFile>,
        gone: &[&String],
    ) -> Result<Draft, Problem> {
        let by_name = draft.external_id.as_ref().map(|name| self.store.article_named(name)).transpose()?.flatten();
        let Some(id) = by_name.or_else(|| draft.id.clone()) else { return Ok(draft) };
        let other = taken.iter().find(|(other, file)| file.article == id && !gone.contains(other));
        let Some((other, _)) = other else { return Ok(draft) };
        let default = name_of_file(&category.slug, name);
        let given = draft.external_id.as_ref().map(ExternalId::as_str);
        if draft.id.is_none() && given == Some(default.as_str()) {
            let mark = hex(&digest[..8]);
            return Ok(Draft {
                external_id: Some(ExternalId::parse("external_id", &format!("{default}#{mark}"))?),
                ..draft
            });
        }
        let (field, found) = match &draft.id {
            Some(own) => ("id", own.as_str()),
            None => ("external_id", given.unwrap_or_default()),
        };
        let found = format!("\"{found}\", which {other} has as well");
        Err(Fault::new(field, found, "one of its own").into())
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
