//! The file system's events as a hint to look.

use super::LOOK_EVERY;
use crate::services::newsroom::SharedNewsroom;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Notify;

/// Which folder a path leads to: a watch is the folder's, and does not pass on to one that takes its place. A new folder
/// often gets the number of one that was removed, so its birth counts too, where the file system knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl Identity {
    fn of(folder: &Path) -> Option<Self> {
        let found = std::fs::metadata(folder).ok()?;
        Some(Identity { device: found.dev(), inode: found.ino(), born: found.created().ok() })
    }
}

/// The folders that the file system tells us about.
#[derive(Default)]
pub(super) struct Watched {
    /// None for one that is not there: there is nothing to watch then.
    folders: Vec<(PathBuf, Option<Identity>)>,
    /// Watches for as long as it is kept.
    _watcher: Option<RecommendedWatcher>,
}

impl Watched {
    /// Watches the folders of `newsroom`, which a reload may have changed, or who removed, made or mounted one. Returns
    /// whether they are others than before.
    pub(super) fn follow(&mut self, newsroom: &SharedNewsroom, hint: &Arc<Notify>) -> bool {
        let newsroom = newsroom.load();
        let paths = newsroom.categories.iter().filter_map(|category| category.articles.clone());
        let folders: Vec<_> = paths.map(|path| (path.clone(), Identity::of(&path))).collect();
        if folders == self.folders {
            return false;
        }
        let there = folders.iter().filter(|(_, identity)| identity.is_some()).map(|(path, _)| path.as_path());
        let watcher = watch(there, hint).map_err(tell_unwatched).ok();
        *self = Watched { folders, _watcher: watcher };
        true
    }
}

/// Rings `hint` when something happens in one of `folders`. One that cannot be watched keeps none of the others from it.
fn watch<'a>(folders: impl Iterator<Item = &'a Path>, hint: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let rung = Arc::clone(hint);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and our own look reads them all.
        if event.map_or(true, |event| !event.kind.is_access()) {
            rung.notify_one();
        }
    })?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).unwrap_or_else(tell_unwatched);
    }
    Ok(watcher)
}

fn tell_unwatched(error: notify::Error) {
    let every_s = LOOK_EVERY.as_secs();
    tracing::warn!(%error, "an article folder cannot be watched, so it is looked at every {every_s} s: {error}");
}
