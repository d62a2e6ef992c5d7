//! What lies in the folders, and what is known of it since the last look.

use super::SETTLE;
use super::claims::Holder;
use super::folder::{Looks, list};
use crate::domain::{ArticleId, Category, Slug};
use crate::services::newsroom::Newsroom;
use crate::store::TakenFile;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Where a file lies: in the folder of a category, under a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) category: Slug,
    pub(super) name: String,
}

impl Place {
    /// As who looks into the folder of `category` would say it.
    pub(super) fn seen_from(&self, category: &Slug) -> String {
        if self.category == *category { self.name.clone() } else { format!("{}/{}", self.category, self.name) }
    }
}

/// The files that were taken in, by their places.
pub(super) type Rows = BTreeMap<Place, TakenFile>;

/// The folder of a category as it is now.
pub(super) struct Folder<'a> {
    pub(super) category: &'a Category,
    pub(super) path: &'a Path,
    /// None if it cannot be read: then nothing is known of its files.
    files: Option<BTreeMap<String, Looks>>,
    nameless: BTreeSet<OsString>,
}

/// All folders as they are now, by slug.
pub(super) struct Survey<'a>(BTreeMap<&'a Slug, Folder<'a>>);

impl<'a> Survey<'a> {
    pub(super) fn of(newsroom: &'a Newsroom) -> Self {
        let mut folders = BTreeMap::new();
        for category in newsroom.categories.iter() {
            let Some(path) = category.articles.as_deref() else { continue };
            let (files, nameless) = match list(path) {
                Ok(listing) => (Some(listing.files), listing.nameless),
                Err(error) => {
                    let folder = path.display();
                    tracing::error!(%folder, %error, "the article folder {folder} cannot be read: {error}");
                    (None, BTreeSet::new())
                }
            };
            folders.insert(&category.slug, Folder { category, path, files, nameless });
        }
        Survey(folders)
    }

    pub(super) fn folder(&self, place: &Place) -> Option<&Folder<'a>> {
        self.0.get(&place.category)
    }

    pub(super) fn looks(&self, place: &Place) -> Option<Looks> {
        self.folder(place)?.files.as_ref()?.get(&place.name).copied()
    }

    /// Is a file known to be gone? Nothing is known of the files of a folder that cannot be read, or that a category has
    /// no more.
    pub(super) fn is_gone(&self, place: &Place) -> bool {
        let files = self.folder(place).and_then(|folder| folder.files.as_ref());
        files.is_some_and(|files| !files.contains_key(&place.name))
    }

    /// A folder that is not mounted looks like an empty one.
    pub(super) fn is_empty(&self, category: &Slug) -> bool {
        let files = self.0.get(category).and_then(|folder| folder.files.as_ref());
        files.is_some_and(BTreeMap::is_empty)
    }

    fn is_unreadable(&self, category: &Slug) -> bool {
        self.0.get(category).is_some_and(|folder| folder.files.is_none())
    }
}

/// What is known of a file since the last look.
pub(super) enum Seen {
    /// It is new or looks different since that moment: taken when it has settled. Looks alone would not do, since
    /// each write is a hint, and two looks may follow each other at once.
    Changing { looks: Looks, since: Instant },
    /// Taken as it is.
    Done { looks: Looks },
    /// Not taken.
    Left { looks: Looks, left: Left },
}

/// Why a file was not taken, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It has a fault, and stays out until it changes.
    Fault,
    /// Another file has its name: it is judged again at each look, since the other may go.
    Twin,
    /// It is not to blame: the next look tries it again.
    Later,
    /// The same, and nobody knows which article it is.
    Unread,
}

/// A file that was not taken.
pub(super) struct Left {
    pub(super) why: Why,
    /// For the newsroom, in one sentence.
    pub(super) told: String,
    /// The article that it would be: not retracted while it says so.
    pub(super) claims: Option<ArticleId>,
}

/// What is known since the last look.
#[derive(Default)]
pub(super) struct Memory {
    /// Folders that were looked at before.
    folders: HashSet<PathBuf>,
    pub(super) files: HashMap<Place, Seen>,
    /// Files whose names are no text, which the newsroom was told of.
    nameless: BTreeSet<PathBuf>,
    /// What the files were judged by.
    newsroom: Option<Arc<Newsroom>>,
}

impl Memory {
    /// Files with faults are judged again by another newsroom: it may know the category that one was missing.
    pub(super) fn judge_by(&mut self, newsroom: &Arc<Newsroom>) {
        let is_same = self.newsroom.as_ref().is_none_or(|before| Arc::ptr_eq(before, newsroom));
        if !is_same {
            self.files.retain(|_, seen| !matches!(seen, Seen::Left { .. }));
        }
        self.newsroom = Some(Arc::clone(newsroom));
    }

    /// Tells the newsroom of files whose names are no text, once of each. Returns how many there are.
    pub(super) fn nameless(&mut self, survey: &Survey<'_>) -> usize {
        let in_folder =
            |folder: &Folder<'_>| folder.nameless.iter().map(|name| folder.path.join(name)).collect::<Vec<_>>();
        let found: BTreeSet<PathBuf> = survey.0.values().flat_map(in_folder).collect();
        for path in found.difference(&self.nameless) {
            let folder = path.parent().unwrap_or(path).display();
            let name = path.file_name().unwrap_or_default();
            tracing::warn!(%folder, "an article file is left out: found the name {name:?}, expected one in UTF-8");
        }
        self.nameless = found;
        self.nameless.len()
    }

    /// The files that can be taken now, by place.
    pub(super) fn settled(&mut self, survey: &Survey<'_>) -> BTreeMap<Place, Looks> {
        self.files.retain(|place, _| survey.folder(place).is_some() && !survey.is_gone(place));
        let mut settled = BTreeMap::new();
        for folder in survey.0.values() {
            let Some(files) = &folder.files else { continue };
            // At the first look a file's age tells whether somebody may be writing: most lay there before the daemon came.
            let is_first = self.folders.insert(folder.path.to_owned());
            for (name, looks) in files {
                let place = Place { category: folder.category.slug.clone(), name: name.clone() };
                if self.is_settled(&place, *looks, is_first) {
                    settled.insert(place, *looks);
                }
            }
        }
        settled
    }

    fn is_settled(&mut self, place: &Place, looks: Looks, is_first: bool) -> bool {
        match self.files.get(place) {
            Some(Seen::Done { looks: before }) if *before == looks => false,
            Some(Seen::Left { looks: before, left }) if *before == looks => left.why != Why::Fault,
            Some(Seen::Changing { looks: before, since }) if *before == looks => since.elapsed() >= SETTLE,
            None if is_first && !looks.is_young() => true,
            Some(Seen::Done { .. } | Seen::Left { .. } | Seen::Changing { .. }) | None => {
                self.changing(place, looks);
                false
            }
        }
    }

    /// The file is looked at again when it has looked the same for a while.
    pub(super) fn changing(&mut self, place: &Place, looks: Looks) {
        self.files.insert(place.clone(), Seen::Changing { looks, since: Instant::now() });
    }

    /// The file waits for another one, and is looked at again as soon as that one has settled.
    pub(super) fn waits(&mut self, place: &Place, looks: Looks) {
        self.files.entry(place.clone()).or_insert(Seen::Changing { looks, since: Instant::now() });
    }

    pub(super) fn done(&mut self, place: Place, looks: Looks) {
        self.files.insert(place, Seen::Done { looks });
    }

    /// The file is left out; the newsroom is told, once for each reason.
    pub(super) fn left(&mut self, place: Place, looks: Looks, left: Left, survey: &Survey<'_>) {
        let folder = survey.folder(&place).map(|folder| folder.path.display().to_string()).unwrap_or_default();
        let (why, told) = (left.why, left.told.clone());
        if !self.note(place, looks, left) {
            return;
        }
        match why {
            Why::Fault | Why::Twin => tracing::warn!(%folder, "an article file is left out: {told}"),
            Why::Later | Why::Unread => tracing::error!(%folder, "an article file waits for the next look: {told}"),
        }
    }

    /// Remembers that the file is left out. Returns whether the reason is news.
    pub(super) fn note(&mut self, place: Place, looks: Looks, left: Left) -> bool {
        let before = self.files.get(&place);
        let is_news = !matches!(before, Some(Seen::Left { left: before, .. }) if before.told == left.told);
        self.files.insert(place, Seen::Left { looks, left });
        is_news
    }

    /// Who holds the articles of `rows` besides the files that are `settled` now, which may become others.
    pub(super) fn holders(
        &self,
        rows: &Rows,
        survey: &Survey<'_>,
        settled: &BTreeMap<Place, Looks>,
    ) -> Vec<(ArticleId, Holder)> {
        let is_held = |place: &Place| survey.looks(place).is_some() || survey.is_unreadable(&place.category);
        let held = rows.iter().filter(|(place, _)| is_held(place) && !settled.contains_key(place));
        let holder = |(place, file): (&Place, &TakenFile)| {
            let is_changing = matches!(self.files.get(place), Some(Seen::Changing { .. }));
            (file.article.clone(), Holder { place: place.clone(), is_changing })
        };
        held.map(holder).collect()
    }

    /// Files that are still changing.
    pub(super) fn unsettled(&self) -> usize {
        self.files.values().filter(|seen| matches!(seen, Seen::Changing { .. })).count()
    }

    /// Files that are left out.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &Left> {
        self.files.values().filter_map(|seen| match seen {
            Seen::Left { left, .. } => Some(left),
            Seen::Changing { .. } | Seen::Done { .. } => None,
        })
    }
}
