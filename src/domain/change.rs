//! The log's vocabulary: what can happen to what the public sees.

use super::{ArticleId, Labels, Selection, Slug, Time};
use serde::{Deserialize, Serialize};

/// Place in the change log: 1, 2, 3 … without gaps. 0 is before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The next place.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Public for the first time: the only kind that notifies subscribers.
    Published,
    /// Public before and after, with another text.
    Revised,
    /// No longer public.
    Retracted,
    /// Public again after a retraction; who was notified once is not notified again.
    Restored,
}

/// One entry of the log. Entries are never edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which article.
    pub article: ArticleId,
    /// The article's revision after the change.
    pub revision: u32,
    /// When.
    #[serde(with = "crate::domain::millis")]
    pub at: Time,
    /// What the article is selected by now; for a retraction: was, when the public last saw it.
    pub labels: Labels,
    /// What it was selected by before, where the public has seen it so and that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Labels>,
}

impl Change {
    /// Does a feed of `selection` show something else now?
    pub fn touches(&self, selection: &Selection) -> bool {
        selection.matches(&self.labels) || self.before.as_ref().is_some_and(|before| selection.matches(before))
    }

    /// Is it the first that the public sees of an article of `selection`? Only that is mailed.
    pub fn is_news_for(&self, selection: &Selection) -> bool {
        match self.kind {
            ChangeKind::Published => selection.matches(&self.labels),
            ChangeKind::Revised | ChangeKind::Retracted | ChangeKind::Restored => false,
        }
    }

    /// Every category that shows something else now, those of before and of after, each once.
    pub fn categories(&self) -> Vec<&Slug> {
        let before = self.before.iter().flat_map(Labels::categories);
        let mut all: Vec<&Slug> = self.labels.categories().chain(before).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
