//! Which file is which article. A file is the article that it names itself; else the one whose text it has, under
//! whatever name; else the one that its name had. Each article is one file's, and the first keeps it.

use super::memory::{Place, Rows};
use crate::domain::{ArticleId, ExternalId};
use std::collections::HashMap;

/// A file that is to be taken, with what it says it is.
pub(super) struct Candidate {
    pub(super) place: Place,
    /// SHA-256 of what it holds.
    pub(super) digest: Vec<u8>,
    /// The `id` that it names.
    pub(super) id: Option<ArticleId>,
    /// The `external_id` that it names.
    pub(super) external_id: Option<ExternalId>,
    /// The article that is known by one of these.
    pub(super) known: Option<ArticleId>,
    /// The article that was first taken in under the file's place.
    pub(super) by_place: Option<ArticleId>,
}

impl Candidate {
    /// What nobody else may name.
    fn keys(&self) -> Vec<Key> {
        let articles = [&self.known, &self.id].into_iter().flatten().cloned().map(Key::Article);
        articles.chain(self.external_id.iter().cloned().map(Key::Name)).collect()
    }

    /// The article that it says it is.
    pub(super) fn declared(&self) -> Option<&ArticleId> {
        self.known.as_ref().or(self.id.as_ref())
    }
}

/// What one file has for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Article(ArticleId),
    Name(ExternalId),
}

/// The file that has an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) place: Place,
    /// It may turn out to be another article's.
    pub(super) is_changing: bool,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The article that it was, with the text that it had.
    Unchanged(ArticleId),
    /// The article of another file, to the letter.
    Moved { from: Place, article: ArticleId },
    /// A known article with another text.
    Article(ArticleId),
    /// A new article. Its place is no name for it if that is another's already.
    New { is_placed: bool },
    /// It names itself as another file does.
    Twin(Place),
    /// It may be the article of a file that is changing.
    Waits,
}

/// What each of `files` is, which are in the order of their places. `rows` is what was taken in before, `holders` who has
/// what besides them.
pub(super) fn assign(rows: &Rows, holders: Vec<(ArticleId, Holder)>, files: &[Candidate]) -> Vec<Found> {
    let mut claims = Claims { held: HashMap::new(), found: vec![None; files.len()] };
    for (article, holder) in holders {
        claims.held.entry(Key::Article(article)).or_insert(holder);
    }
    claims.unchanged(rows, files);
    claims.declared(rows, files, true);
    claims.declared(rows, files, false);
    claims.moved(rows, files);
    claims.in_place(rows, files);
    claims.rest(files)
}

struct Claims {
    held: HashMap<Key, Holder>,
    found: Vec<Option<Found>>,
}

impl Claims {
    /// Gives `article` to `place`, if nobody has it.
    fn claim(&mut self, article: &ArticleId, place: &Place) -> bool {
        let key = Key::Article(article.clone());
        let is_free = !self.held.contains_key(&key);
        if is_free {
            self.held.insert(key, Holder { place: place.clone(), is_changing: false });
        }
        is_free
    }

    fn is_changing(&self, article: &ArticleId) -> bool {
        self.held.get(&Key::Article(article.clone())).is_some_and(|holder| holder.is_changing)
    }

    /// The files that are nothing yet.
    fn open<'a>(&self, files: &'a [Candidate]) -> Vec<(usize, &'a Candidate)> {
        files.iter().enumerate().filter(|(at, _)| self.found[*at].is_none()).collect()
    }

    fn unchanged(&mut self, rows: &Rows, files: &[Candidate]) {
        for (at, file) in self.open(files) {
            if let Some(row) = rows.get(&file.place).filter(|row| row.digest == file.digest)
                && self.claim(&row.article, &file.place)
            {
                self.found[at] = Some(Found::Unchanged(row.article.clone()));
            }
        }
    }

    /// By the names in the files. Who had the article already comes before others. With the text that was taken in under
    /// another name, the file was only moved.
    fn declared(&mut self, rows: &Rows, files: &[Candidate], had_it: bool) {
        let texts: HashMap<(&ArticleId, &[u8]), &Place> =
            rows.iter().map(|(place, row)| ((&row.article, &row.digest[..]), place)).collect();
        for (at, file) in self.open(files) {
            let had = rows.get(&file.place).is_some_and(|row| Some(&row.article) == file.declared());
            let keys = file.keys();
            if keys.is_empty() || had != had_it {
                continue;
            }
            if let Some(other) = keys.iter().find_map(|key| self.held.get(key)) {
                let twin = Found::Twin(other.place.clone());
                self.found[at] = Some(if other.is_changing { Found::Waits } else { twin });
                continue;
            }
            let holder = Holder { place: file.place.clone(), is_changing: false };
            self.held.extend(keys.into_iter().map(|key| (key, holder.clone())));
            self.found[at] = file.known.clone().map(|article| match texts.get(&(&article, &file.digest[..])) {
                Some(from) => Found::Moved { from: (*from).clone(), article },
                None => Found::Article(article),
            });
        }
    }

    /// By their text: the same under another name is a file that was moved. One from the same folder comes first.
    fn moved(&mut self, rows: &Rows, files: &[Candidate]) {
        let mut by_text: HashMap<&[u8], Vec<(&Place, &ArticleId)>> = HashMap::new();
        for (place, row) in rows {
            by_text.entry(&row.digest).or_default().push((place, &row.article));
        }
        for (at, file) in self.open(files) {
            let mut alike = by_text.get(&file.digest[..]).cloned().unwrap_or_default();
            alike.sort_by_key(|(place, _)| place.category != file.place.category);
            let free = alike.iter().find(|(_, article)| self.claim(article, &file.place));
            if let Some((from, article)) = free {
                self.found[at] = Some(Found::Moved { from: (*from).clone(), article: (*article).clone() });
            } else if alike.iter().any(|(_, article)| self.is_changing(article)) {
                self.found[at] = Some(Found::Waits);
            }
        }
    }

    fn in_place(&mut self, rows: &Rows, files: &[Candidate]) {
        for (at, file) in self.open(files) {
            if let Some(row) = rows.get(&file.place)
                && self.claim(&row.article, &file.place)
            {
                self.found[at] = Some(Found::Article(row.article.clone()));
            }
        }
    }

    /// What is left is new, or comes back to its place.
    fn rest(mut self, files: &[Candidate]) -> Vec<Found> {
        for (at, file) in self.open(files) {
            let found = match &file.by_place {
                Some(article)
                    if file.id.is_none() && file.external_id.is_none() && self.claim(article, &file.place) =>
                {
                    Found::Article(article.clone())
                }
                by_place => Found::New { is_placed: by_place.is_none() },
            };
            self.found[at] = Some(found);
        }
        self.found.into_iter().flatten().collect()
    }
}
