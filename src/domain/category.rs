//! A category: one file in the feeds folder, one feed in three formats, one page.

use super::text::parsed;
use super::{Fault, Problem, Selection, Term};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A category's name in addresses: lower-case ASCII letters, digits and hyphens, at most [`Slug::CHARS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(Box<str>);

impl Slug {
    /// Fits any address and file name.
    pub const CHARS_MAX: usize = 64;
    /// First segments of the daemon's own addresses; a category of that name could not be reached.
    pub const RESERVED: [&'static str; 18] = [
        "api",
        "archive",
        "articles",
        "assets",
        "authors",
        "desk",
        "healthz",
        "hub",
        "languages",
        "live",
        "preview",
        "readyz",
        "search",
        "sitemaps",
        "subscribe",
        "subscriptions",
        "summary",
        "tags",
    ];

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let fits = !text.is_empty()
            && text.len() <= Self::CHARS_MAX
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if !fits {
            let expected = "1 to 64 of a-z, 0-9 and hyphen, not at the ends";
            return Err(Fault::new(field, format!("\"{text}\""), expected));
        }
        if Self::RESERVED.contains(&text) {
            return Err(Fault::new(
                field,
                format!("\"{text}\""),
                "a name that is not one of the daemon's own addresses",
            ));
        }
        Ok(Slug(text.into()))
    }

    /// As written in addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| Slug::parse("slug", text))
    }
}

/// One feed definition, as `feeds/<slug>.toml` gives it.
#[derive(Debug, Clone)]
pub struct Category {
    /// Name in addresses.
    pub slug: Slug,
    /// Name for people.
    pub title: String,
    /// A sentence about it; stands in the feeds' head.
    pub description: String,
    /// BCP 47 tag, for example `en` or `ru-RU`.
    pub language: String,
    /// Folder of article files that is watched, if any.
    pub articles: Option<PathBuf>,
    /// Zone of dates that are written without one.
    pub zone: TimeZone,
    /// Items in each of its feeds.
    pub limit: usize,
}

/// All categories that are configured, in the order of their slugs.
#[derive(Debug, Clone, Default)]
pub struct Categories(Vec<Category>);

impl Categories {
    /// Sorts them by slug; the caller has made sure that slugs are unique.
    pub fn new(mut all: Vec<Category>) -> Self {
        all.sort_by(|a, b| a.slug.cmp(&b.slug));
        Categories(all)
    }

    /// The one with this slug.
    pub fn get(&self, slug: &str) -> Option<&Category> {
        self.0.binary_search_by(|c| c.slug.as_str().cmp(slug)).ok().map(|at| &self.0[at])
    }

    /// All, by slug.
    pub fn iter(&self) -> impl Iterator<Item = &Category> {
        self.0.iter()
    }

    /// The known slugs for an error message: `economy, science`.
    pub fn known(&self) -> String {
        self.0.iter().map(|c| c.slug.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The category named `text` in `field`. Errors: [`Problem`] that lists the known ones.
    pub fn find(&self, field: &str, text: &str) -> Result<&Category, Fault> {
        self.get(text).ok_or_else(|| {
            Fault::new(field, format!("\"{text}\""), format!("one of the known categories: {}", self.known()))
        })
    }

    /// What is in any of the categories that `slugs` name in `field`. Errors: a [`Fault`] for each that is none.
    pub fn any_of(&self, field: &str, slugs: &[String]) -> Result<Selection, Vec<Fault>> {
        let (mut terms, mut faults) = (Vec::new(), Vec::new());
        for slug in slugs {
            match self.find(field, slug) {
                Ok(category) => terms.push(Term::Category(category.slug.clone())),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Selection::any(terms)) } else { Err(faults) }
    }

    /// A [`Fault`] on `field` for each category that `selection` names and nobody has configured.
    pub fn unknown(&self, field: &str, selection: &Selection) -> Vec<Fault> {
        let slugs = selection.terms().filter_map(|term| match term {
            Term::Category(slug) => Some(slug),
            Term::Tag(_) | Term::Author(_) | Term::Language(_) => None,
        });
        slugs.filter_map(|slug| self.find(field, slug.as_str()).err()).collect()
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Problem::invalid(vec![fault])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_that_nobody_has_configured_is_named_at_once() {
        let category = |slug: &str| Category {
            slug: Slug::parse("slug", slug).unwrap(),
            title: slug.to_uppercase(),
            description: String::new(),
            language: "en".into(),
            articles: None,
            zone: TimeZone::UTC,
            limit: 50,
        };
        let categories = Categories::new(vec![category("science"), category("economy")]);
        let any_of = |slugs: &[&str]| {
            categories.any_of("categories", &slugs.iter().map(|slug| (*slug).to_owned()).collect::<Vec<_>>())
        };
        let both = any_of(&["science", "economy"]).unwrap();
        assert_eq!(both.titles(&categories), ["ECONOMY", "SCIENCE"]);
        assert_eq!(categories.unknown("q", &both), []);
        let found = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.found).collect::<Vec<_>>();
        assert_eq!(found(any_of(&["sport", "science", ""]).unwrap_err()), ["\"sport\"", "\"\""]);
        let strange = Selection::parse("category:sport OR category:fire OR tag:category OR category:science").unwrap();
        assert_eq!(found(categories.unknown("q", &strange)), ["\"fire\"", "\"sport\""]);
    }
}
