//! What articles are selected by: the terms that an article bears.

use super::{Content, Slug};
use serde::{Deserialize, Serialize};

/// A name in the one form that all its spellings share: lower case, single spaces, nothing at the ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(Box<str>);

impl Folded {
    /// As for the names of authors and tags: longer ones are nobody's.
    pub const CHARS_MAX: usize = 100;

    /// `text` folded; none if nothing is left of it, or more than [`Folded::CHARS_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut folded = String::with_capacity(text.len());
        for word in super::clean_line(text).split_whitespace() {
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.extend(word.chars().flat_map(char::to_lowercase));
        }
        (!folded.is_empty() && folded.chars().count() <= Self::CHARS_MAX).then(|| Folded(folded.into()))
    }

    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One thing that articles are selected by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// It stands in this category.
    Category(Slug),
    /// It bears this tag.
    Tag(Folded),
    /// This is one of its authors.
    Author(Folded),
    /// It is written in this language: `en` takes in `en-gb` (basic filtering, RFC 4647 §3.3.1).
    Language(Folded),
}

impl Term {
    /// The words before the colon, in the order of the kinds.
    pub const KEYS: [&'static str; 4] = ["category", "tag", "author", "language"];

    /// The word before the colon.
    pub fn key(&self) -> &'static str {
        match self {
            Term::Category(_) => Term::KEYS[0],
            Term::Tag(_) => Term::KEYS[1],
            Term::Author(_) => Term::KEYS[2],
            Term::Language(_) => Term::KEYS[3],
        }
    }

    /// What stands behind it.
    pub fn value(&self) -> &str {
        match self {
            Term::Category(slug) => slug.as_str(),
            Term::Tag(name) | Term::Author(name) | Term::Language(name) => name.as_str(),
        }
    }

    /// The term with this key and value. Errors: what would have been right.
    pub fn parse(key: &str, value: &str) -> Result<Self, String> {
        let name = || {
            let expected = || format!("a name of 1 to {} characters", Folded::CHARS_MAX);
            Folded::parse(value).ok_or_else(expected)
        };
        match Term::KEYS.iter().position(|known| known.eq_ignore_ascii_case(key)) {
            Some(0) => Slug::parse(Term::KEYS[0], value).map(Term::Category).map_err(|fault| fault.expected),
            Some(1) => name().map(Term::Tag),
            Some(2) => name().map(Term::Author),
            Some(3) => name().map(Term::Language),
            Some(_) | None => Err(format!("one of {}", Term::KEYS.join(", "))),
        }
    }
}

/// All terms of an article, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Labels(Vec<Term>);

impl Labels {
    /// Those of `content`.
    pub fn of(content: &Content) -> Self {
        let categories = content.categories.iter().cloned().map(Term::Category);
        let tags = content.tags.iter().filter_map(|tag| Folded::parse(tag)).map(Term::Tag);
        let authors = content.authors.iter().filter_map(|author| Folded::parse(author)).map(Term::Author);
        let language = content.language.as_deref().unwrap_or_default();
        let ends = language.match_indices('-').map(|(at, _)| at).chain([language.len()]);
        let languages = ends.filter_map(|end| Folded::parse(&language[..end])).map(Term::Language);
        Labels::from_iter(categories.chain(tags).chain(authors).chain(languages))
    }

    /// Is `term` among them?
    pub fn has(&self, term: &Term) -> bool {
        self.0.binary_search(term).is_ok()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Term> {
        self.0.iter()
    }

    /// The categories among them.
    pub fn categories(&self) -> impl Iterator<Item = &Slug> {
        self.0.iter().filter_map(|term| match term {
            Term::Category(slug) => Some(slug),
            Term::Tag(_) | Term::Author(_) | Term::Language(_) => None,
        })
    }
}

impl FromIterator<Term> for Labels {
    fn from_iter<T: IntoIterator<Item = Term>>(terms: T) -> Self {
        let mut terms: Vec<Term> = terms.into_iter().collect();
        terms.sort_unstable();
        terms.dedup();
        Labels(terms)
    }
}

/// As `tag:sport`; what cannot be read was written by a later version and selects nothing here.
impl From<Vec<String>> for Labels {
    fn from(texts: Vec<String>) -> Self {
        let term = |text: &String| text.split_once(':').and_then(|(key, value)| Term::parse(key, value).ok());
        texts.iter().filter_map(term).collect()
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.iter().map(|term| format!("{}:{}", term.key(), term.value())).collect()
    }
}
