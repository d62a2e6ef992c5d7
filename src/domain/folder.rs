//! Where a selection stands: its page, and below it its feeds. Built and read here, so that the two cannot differ.

use super::site::segment;
use super::{Folded, QueryFault, Selection, Slug, Term};
use url::form_urlencoded;

/// The folder of a selection's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Without a leading slash; empty, or ending in one: `science/`, `tags/sport/`, `search/`.
    pub path: String,
    /// What stands behind the question mark, encoded: `q=…` for a query, else nothing.
    pub query: Option<String>,
}

/// First segment of the folders of single terms.
const TAGS: &str = "tags";
const AUTHORS: &str = "authors";
const LANGUAGES: &str = "languages";
/// The folder of all other queries.
const SEARCH: &str = "search";

/// Can the name be a segment of a path? Clients take `.` and `..` for folders, and some proxies an encoded slash for one.
fn is_segment(name: &Folded) -> bool {
    !matches!(name.as_str(), "." | "..") && !name.as_str().contains(['/', '\\'])
}

impl Selection {
    /// Where it stands: the whole newsroom at the root, a category below its slug, a tag, author or language below the
    /// word for it, any other query under `search/?q=`.
    pub fn folder(&self) -> Folder {
        let path = match self.as_term() {
            None if self.is_all() => String::new(),
            Some(Term::Category(slug)) => format!("{slug}/"),
            Some(Term::Tag(name)) if is_segment(name) => format!("{TAGS}/{}/", segment(name.as_str())),
            Some(Term::Author(name)) if is_segment(name) => format!("{AUTHORS}/{}/", segment(name.as_str())),
            Some(Term::Language(name)) if is_segment(name) => format!("{LANGUAGES}/{}/", segment(name.as_str())),
            Some(Term::Tag(_) | Term::Author(_) | Term::Language(_)) | None => {
                let query =
                    form_urlencoded::Serializer::new(String::new()).append_pair("q", &self.to_string()).finish();
                return Folder { path: format!("{SEARCH}/"), query: Some(query) };
            }
        };
        Folder { path, query: None }
    }

    /// The selection whose folder the first of `segments` (decoded) name, and how many of them do; `q` is the query of
    /// the address. None where that is no folder.
    ///
    /// Errors: the query's.
    pub fn in_folder(segments: &[&str], q: Option<&str>) -> Option<Result<(Self, usize), QueryFault>> {
        let of = |name: &str, term: fn(Folded) -> Term| Some(Ok((Selection::of(term(Folded::parse(name)?)), 2)));
        match segments {
            [] => Some(Ok((Selection::all(), 0))),
            [TAGS, name, ..] => of(name, Term::Tag),
            [AUTHORS, name, ..] => of(name, Term::Author),
            [LANGUAGES, name, ..] => of(name, Term::Language),
            [SEARCH, ..] => Some(Selection::parse(q.unwrap_or_default()).map(|selection| (selection, 1))),
            [first, ..] => match Slug::parse("category", first) {
                Ok(slug) => Some(Ok((Selection::category(&slug), 1))),
                // A reserved word: the root's own.
                Err(_) => Some(Ok((Selection::all(), 0))),
            },
        }
    }
}
