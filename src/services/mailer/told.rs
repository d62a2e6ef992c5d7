//! What is kept of what mails told, so that a correction reaches just those who were told something else: of each revision
//! of an article that a mail tells of, a print, once. It is written with the first message that tells it, and remembered, so
//! that the others cost nothing.

use super::{Mailer, locked};
use crate::domain::{Article, ArticleId};
use crate::store::{Batch, Print};
use crate::wire::mail;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Revisions that are remembered to be written. Those of a day, many times over; one that is forgotten is written again.
const STORED_MAX: usize = 8_192;

/// What one mail tells, of one article or of many.
#[derive(Debug)]
pub(super) struct Prints {
    list: Vec<(ArticleId, u32, Print)>,
    is_stored: AtomicBool,
}

/// Revisions whose prints are in the store.
#[derive(Default)]
pub(super) struct Stored(HashSet<(ArticleId, u32)>);

impl Prints {
    /// Of these articles, each with what is said of it.
    pub(super) fn of<'a>(articles: impl IntoIterator<Item = (&'a Article, &'a mail::Said)>) -> Self {
        let one = |(article, said): (&Article, &mail::Said)| {
            (article.id.clone(), article.revision, Print(mail::print(article, said)))
        };
        Prints { list: articles.into_iter().map(one).collect(), is_stored: AtomicBool::new(false) }
    }

    /// Is one of them of this article?
    pub(super) fn tell_of(&self, article: &ArticleId) -> bool {
        self.list.iter().any(|(told, ..)| told == article)
    }
}

impl Mailer {
    /// Puts those that may not be in the store yet into `batch`.
    pub(super) fn write_prints(&self, batch: &mut Batch, prints: &Prints) {
        if prints.is_stored.load(Ordering::Relaxed) {
            return;
        }
        let stored = locked(&self.prints);
        for (article, revision, print) in &prints.list {
            if !stored.0.contains(&(article.clone(), *revision)) {
                self.store.write_print(batch, article, *revision, *print);
            }
        }
    }

    /// They are durable.
    pub(super) fn prints_are_stored(&self, prints: &Prints) {
        if prints.is_stored.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut stored = locked(&self.prints);
        if stored.0.len() + prints.list.len() > STORED_MAX {
            stored.0.clear();
        }
        stored.0.extend(prints.list.iter().map(|(article, revision, _)| (article.clone(), *revision)));
    }
}
