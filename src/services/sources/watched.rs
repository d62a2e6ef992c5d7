//! The file system's events as a hint to look.

use super::LOOK_EVERY;
use crate::services::newsroom::SharedNewsroom;
use notify::Watcher as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;

/// The folders that the file system tells us about.
#[derive(Default)]
pub(super) struct Watched {
    folders: Vec<PathBuf>,
    /// Watches for as long as it is kept.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watched {
    /// Watches the folders of `newsroom`, which a reload may have changed.
    pub(super) fn follow(&mut self, newsroom: &SharedNewsroom, hint: &Arc<Notify>) {
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
