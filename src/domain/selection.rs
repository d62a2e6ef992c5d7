//! Which articles: a boolean query over their terms, always in one canonical form, so that equal queries are equal
//! values, share one feed and one place in every cache.
//!
//! `category:science AND NOT (tag:sport OR author:"A. Ivanov")`: NOT binds strongest, OR weakest; the words and the keys
//! may be written in any case; a value with spaces stands in quotes.

mod query;

use super::text::parsed;
use super::{Categories, Fault, Labels, Slug, Term};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which articles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection(Node);

/// A part of a selection, in canonical form: negations stand at terms alone, nothing stands twice, and what commutes is
/// sorted. `And` and `Or` have two parts or more, and none of their own kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// Every article; only ever alone.
    All,
    /// Those that bear the term.
    Is(Term),
    /// Those that do not.
    IsNot(Term),
    /// Those of every part.
    And(Vec<Node>),
    /// Those of any part.
    Or(Vec<Node>),
}

/// Where and how a query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFault {
    /// The character that it begins at, counted from 1.
    pub at: usize,
    /// What stands there.
    pub found: String,
    /// What would have been right.
    pub expected: String,
}

impl From<QueryFault> for Fault {
    fn from(fault: QueryFault) -> Self {
        Fault::new("q", format!("{} at character {}", fault.found, fault.at), fault.expected)
    }
}

impl Selection {
    /// A query fits a line; a longer one is a list that somebody's program has made.
    pub const CHARS_MAX: usize = 1_000;
    /// Each costs a look at every change.
    pub const TERMS_MAX: usize = 32;
    /// Of brackets and negations within each other.
    pub const DEPTH_MAX: usize = 8;

    /// Every article.
    pub fn all() -> Self {
        Selection(Node::All)
    }

    /// Those that bear `term`.
    pub fn of(term: Term) -> Self {
        Selection(Node::Is(term))
    }

    /// Those of a category.
    pub fn category(slug: &Slug) -> Self {
        Selection::of(Term::Category(slug.clone()))
    }

    /// Those that bear any of `terms`; every article if there are none.
    pub fn any(terms: impl IntoIterator<Item = Term>) -> Self {
        let parts: Vec<Node> = terms.into_iter().map(Node::Is).collect();
        if parts.is_empty() { Selection::all() } else { Selection(joined(parts, Node::Or)) }
    }

    /// Reads a query. It knows no configuration: a category need not exist.
    ///
    /// Errors: the first thing that cannot be read, and where it stands.
    pub fn parse(text: &str) -> Result<Self, QueryFault> {
        query::parse(text).map(Selection)
    }

    /// What belongs to either. Errors: together they are more than a query may be.
    pub fn or(&self, other: &Selection) -> Result<Self, QueryFault> {
        if self.is_all() || other.is_all() {
            return Ok(Selection::all());
        }
        Selection::parse(&format!("({self}) OR ({other})"))
    }

    /// Does an article with these labels belong to it?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.matches(labels)
    }

    /// Every term that it speaks of, negated or not.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let mut terms = Vec::new();
        self.0.terms(&mut terms);
        terms.into_iter()
    }

    /// Is it every article?
    pub fn is_all(&self) -> bool {
        self.0 == Node::All
    }

    /// Its term, if it is no more than one.
    pub fn as_term(&self) -> Option<&Term> {
        match &self.0 {
            Node::Is(term) => Some(term),
            Node::All | Node::IsNot(_) | Node::And(_) | Node::Or(_) => None,
        }
    }

    /// Its category, if it is no more than one.
    pub fn as_category(&self) -> Option<&Slug> {
        match self.as_term() {
            Some(Term::Category(slug)) => Some(slug),
            Some(Term::Tag(_) | Term::Author(_) | Term::Language(_)) | None => None,
        }
    }

    /// What it takes in, for people: the titles of its categories, the names of tags, authors and languages, or the query
    /// as it stands; nothing for every article.
    pub fn titles(&self, categories: &Categories) -> Vec<String> {
        let title = |slug: &Slug| {
            categories.get(slug.as_str()).map_or_else(|| slug.as_str().to_owned(), |one| one.title.clone())
        };
        let own = |node: &Node| match node {
            Node::Is(Term::Category(slug)) => title(slug),
            Node::Is(term) => term.value().to_owned(),
            Node::All | Node::IsNot(_) | Node::And(_) | Node::Or(_) => node.to_string(),
        };
        match &self.0 {
            Node::All => Vec::new(),
            Node::Or(parts) => parts.iter().map(own).collect(),
            node @ (Node::Is(_) | Node::IsNot(_) | Node::And(_)) => vec![own(node)],
        }
    }

    /// Terms of which every article that belongs to it bears at least one; none if there are no such terms.
    pub fn anchors(&self) -> Option<Vec<Term>> {
        self.0.anchors()
    }

    /// What it is made of.
    pub fn node(&self) -> &Node {
        &self.0
    }
}

impl Node {
    /// Do articles with these labels belong to it?
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Node::All => true,
            Node::Is(term) => labels.has(term),
            Node::IsNot(term) => !labels.has(term),
            Node::And(parts) => parts.iter().all(|part| part.matches(labels)),
            Node::Or(parts) => parts.iter().any(|part| part.matches(labels)),
        }
    }

    fn terms<'a>(&'a self, terms: &mut Vec<&'a Term>) {
        match self {
            Node::All => {}
            Node::Is(term) | Node::IsNot(term) => terms.push(term),
            Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|part| part.terms(terms)),
        }
    }

    fn anchors(&self) -> Option<Vec<Term>> {
        match self {
            Node::All | Node::IsNot(_) => None,
            Node::Is(term) => Some(vec![term.clone()]),
            // Any part will do; the one with the fewest terms costs least.
            Node::And(parts) => parts.iter().filter_map(Node::anchors).min_by_key(Vec::len),
            Node::Or(parts) => parts.iter().map(Node::anchors).collect::<Option<Vec<_>>>().map(|terms| terms.concat()),
        }
    }
}

/// `parts` joined by `kind`, in canonical form if they are.
fn joined(parts: Vec<Node>, kind: fn(Vec<Node>) -> Node) -> Node {
    let is_and = matches!(kind(Vec::new()), Node::And(_));
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Node::And(inner) if is_and => flat.extend(inner),
            Node::Or(inner) if !is_and => flat.extend(inner),
            part @ (Node::All | Node::Is(_) | Node::IsNot(_) | Node::And(_) | Node::Or(_)) => flat.push(part),
        }
    }
    flat.sort_unstable();
    flat.dedup();
    match flat.len() {
        1 => flat.remove(0),
        _ => kind(flat),
    }
}

/// The canonical text: `parse` of it gives the same selection. Every article is the empty text.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::All => Ok(()),
            Node::Is(term) => term.fmt(f),
            Node::IsNot(term) => write!(f, "NOT {term}"),
            Node::And(parts) => write_joined(f, parts, " AND "),
            Node::Or(parts) => write_joined(f, parts, " OR "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, parts: &[Node], word: &str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            f.write_str(word)?;
        }
        match part {
            // Only within an `And`, which binds stronger.
            Node::Or(_) => write!(f, "({part})")?,
            Node::All | Node::Is(_) | Node::IsNot(_) | Node::And(_) => write!(f, "{part}")?,
        }
    }
    Ok(())
}

/// As in a query.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        if value.chars().all(query::is_bare) {
            write!(f, "{}:{value}", self.key())
        } else {
            write!(f, "{}:\"{}\"", self.key(), value.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

/// Every article, in stored and exported subscriptions; no query reads so.
const ALL: &str = "all";

impl Serialize for Selection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_all() { serializer.serialize_str(ALL) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| match text {
            ALL => Ok(Selection::all()),
            text => Selection::parse(text).map_err(Fault::from),
        })
    }
}

#[cfg(test)]
mod tests;
