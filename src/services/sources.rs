//! Article folders: a file that comes, changes or goes publishes, revises or retracts.
//!
//! The file system's events are a hint; what counts is a look at the whole folder against what was taken in before.
//! A file is taken once it has looked the same for a while, so that nobody publishes half a file.

use super::newsroom::SharedNewsroom;
use super::publish::{Outcome, Publisher};
use crate::domain::{Category, Draft, Kind, Problem};
use crate::store::{Batch, Store, TakenFile};
use crate::telemetry;
use crate::wire::source::{Door, from_file};
use aws_lc_rs::digest::{SHA256, digest};
use notify::Watcher as _;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A file that has looked the same for so long is whole: nobody pauses longer within one article.
const SETTLE: Duration = Duration::from_millis(300);
/// Without a hint the folders are looked at this often: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A file may be this long: the largest body, twice, and room for its front matter.
const FILE_BYTES_MAX: u64 = 2 << 20;
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

/// How a file looked: time of its last change and its length.
type Looks = (Option<SystemTime>, u64);

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
        let mut total = Look::default();
        for category in newsroom.categories.iter() {
            let Some(folder) = &category.articles else { continue };
            match list(folder) {
                Ok(files) => {
                    let found = self.look_at(category, folder, files, &mut memory).await?;
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
            for (name, outcome) in self.take(category, fresh, &taken, &mut gone).await? {
                let path = folder.join(name);
                report(&path, outcome.as_ref().err().map(String::as_str));
                found.taken += usize::from(outcome.is_ok());
                if let (Some(Seen::Done { fault, .. }), Err(why)) = (seen.get_mut(&path), outcome) {
                    *fault = Some(why);
                }
            }
        }
        // While something is changing, what is gone may come back under another name.
        if found.unsettled == 0 {
            for name in gone {
                found.retracted += usize::from(self.retract(category, name, &taken[name]).await?);
            }
        }
        Ok(found)
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

    /// Takes in files side by side. Returns each name with the fault of those that could not be.
    async fn take(
        &self,
        category: &Category,
        files: Vec<Fresh>,
        taken: &BTreeMap<String, TakenFile>,
        gone: &mut Vec<&String>,
    ) -> Result<Vec<(String, Result<(), String>)>, Problem> {
        let newsroom = self.newsroom.load_full();
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
                self.store.commit(batch).await?;
                outcomes.push((name, Ok(())));
                continue;
            }
            match from_file(&text, &name, category, &door) {
                Err(fault) => outcomes.push((name.clone(), Err(fault.report(&name)))),
                Ok(draft) => {
                    let (publisher, store, slug) =
                        (self.publisher.clone(), Arc::clone(&self.store), category.slug.clone());
                    let known = taken.get(&name).map(|file| file.article.clone());
                    pushes.spawn(async move {
                        let pushed = match known {
                            // A moved file has another name than the one it was first taken in under.
                            Some(id) => publisher.revise(&id, &Draft { external_id: None, ..draft }, None).await,
                            None => publisher.push(draft, None).await,
                        };
                        let outcome = match pushed {
                            Ok((article, _)) => {
                                let mut batch = Batch::default();
                                let file = TakenFile { article: article.id, digest };
                                store.remember_file(&mut batch, &slug, &name, &file);
                                store.commit(batch).await.map(|_| ()).map_err(Problem::from)
                            }
                            Err(problem) => Err(problem),
                        };
                        (name, outcome)
                    });
                }
            }
        }
        while let Some(pushed) = pushes.join_next().await {
            let (name, outcome) = pushed.map_err(|panic| Problem::new(Kind::Internal, panic.to_string()))?;
            match outcome {
                Err(problem) if matches!(problem.kind, Kind::Unavailable | Kind::Internal) => return Err(problem),
                Err(problem) => outcomes.push((name.clone(), Err(format!("{name}: {problem}")))),
                Ok(()) => outcomes.push((name, Ok(()))),
            }
        }
        Ok(outcomes)
    }

    /// Withdraws the article of a file that is gone. Returns whether it was public or to be.
    async fn retract(&self, category: &Category, name: &str, file: &TakenFile) -> Result<bool, Problem> {
        let retracted = match self.publisher.retract(&file.article, None).await {
            Ok((_, outcome)) => outcome != Outcome::Unchanged,
            Err(problem) if problem.kind == Kind::NotFound => false,
            Err(problem) => return Err(problem),
        };
        let mut batch = Batch::default();
        self.store.forget_file(&mut batch, &category.slug, name);
        self.store.commit(batch).await?;
        tracing::info!(article.id = %file.article, "the file {name} is gone, its article is retracted");
        Ok(retracted)
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

/// The folders that the file system tells us about.
#[derive(Default)]
struct Watched {
    folders: Vec<PathBuf>,
    /// Watches for as long as it is kept.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watched {
    /// Watches the folders of `newsroom`, which a reload may have changed.
    fn follow(&mut self, newsroom: &SharedNewsroom, hint: &Arc<Notify>) {
        let folders: Vec<PathBuf> =
            newsroom.load().categories.iter().filter_map(|category| category.articles.clone()).collect();
        if folders == self.folders {
            return;
        }
        let rung = Arc::clone(hint);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and our own look reads them all.
            if event.map_or(true, |event| !event.kind.is_access()) {
                rung.notify_one();
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            folders.iter().try_for_each(|folder| watcher.watch(folder, notify::RecursiveMode::NonRecursive))?;
            Ok(watcher)
        });
        match watching {
            Ok(watcher) => *self = Watched { folders, _watcher: Some(watcher) },
            Err(error) => {
                let every_s = LOOK_EVERY.as_secs();
                tracing::warn!(%error, "the article folders cannot be watched, so they are looked at every {every_s} s: {error}");
                *self = Watched { folders, _watcher: None };
            }
        }
    }
}

/// The article files in `folder`: `*.md`, without hidden ones.
fn list(folder: &Path) -> std::io::Result<BTreeMap<String, Looks>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.ends_with(".md") || name.starts_with('.') {
            continue;
        }
        match std::fs::metadata(entry.path()) {
            Ok(looks) if looks.is_file() => {
                files.insert(name, (looks.modified().ok(), looks.len()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// A file's text and its SHA-256.
fn read(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let length = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{name}: found {length} bytes, expected at most {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    let digest = digest(&SHA256, &bytes).as_ref().to_vec();
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("{name}:{line}: found bytes that are not UTF-8, expected a text file in UTF-8")
    })?;
    Ok((text, digest))
}

/// Tells the newsroom of a file that is left out, once for each version of it.
fn report(path: &Path, fault: Option<&str>) {
    if let Some(fault) = fault {
        let folder = path.parent().unwrap_or(path).display();
        tracing::warn!(%folder, "an article file is left out: {fault}");
    }
}
