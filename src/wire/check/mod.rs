//! The rule book for feeds: what makes readers refuse one, show it wrong or show it twice. RSS 2.0, Atom 1.0 and JSON
//! Feed 1.1 are examined from their bytes, not from the values that they were made of, so that it does not matter who
//! wrote them. All breaches are found, each with its place and the source of the rule.
//!
//! `text` decodes, `xml` and `json` make a tree with places, `rules` are a table over that tree. [`check`] is the same for
//! our own: errors and warnings keep a feed from being served, advice never does.

mod findings;
mod http;
mod json;
mod rules;
mod text;
mod tree;
mod values;
mod xml;

#[cfg(test)]
mod tests;

use super::Format;
use crate::domain::{Fault, Time};
use findings::Findings;
pub use findings::{Finding, Severity};
use rules::{About, book};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use tree::{Space, Tree};

/// What is known of a feed beside its bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Where it is served.
    pub url: Option<&'a str>,
    /// The `Content-Type` that it was served with.
    pub content_type: Option<&'a str>,
    /// The `Link` fields that it was served with (RFC 8288); none if nobody has asked HTTP.
    pub links: Option<&'a [String]>,
    /// When it is looked at: dates behind the next day are not believed.
    pub now: Option<Time>,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the feed is written in.
    pub dialect: Dialect,
    /// In the order of the text.
    pub findings: Vec<Finding>,
    /// Further findings of rules that were broken more than twenty times.
    pub left_out: usize,
}

/// What a feed is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// RSS 2.0.
    Rss2,
    /// RSS 0.91 to 0.94.
    Rss09,
    /// RSS 0.90 or 1.0, which are RDF.
    Rdf,
    /// Atom 1.0.
    Atom1,
    /// Atom 0.3.
    Atom03,
    /// JSON Feed 1.1.
    JsonFeed11,
    /// JSON Feed 1.0.
    JsonFeed10,
    /// Something else.
    Unknown,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::Rss2 => "RSS 2.0",
            Dialect::Rss09 => "RSS 0.9x",
            Dialect::Rdf => "RDF (RSS 0.90 or 1.0)",
            Dialect::Atom1 => "Atom 1.0",
            Dialect::Atom03 => "Atom 0.3",
            Dialect::JsonFeed11 => "JSON Feed 1.1",
            Dialect::JsonFeed10 => "JSON Feed 1.0",
            Dialect::Unknown => "no feed that is known",
        })
    }
}

/// Rules that do not refuse a feed of ours, though they warn. An id that came with an article from another system is kept
/// to the letter, and be it a small number: to change it would show every old article as unread. And that two articles
/// say to have been changed at the same moment may be so; the writer does what it can to tell them apart.
pub(crate) const PASSED_OVER: [&str; 2] = [rules::NOT_UNIQUE, rules::DUPLICATE_UPDATED];

/// Every rule: how bad a breach of it is, its name, what is expected, and who says so.
pub fn rules() -> impl Iterator<Item = (Severity, &'static str, &'static str, &'static str)> {
    rules::all().map(|rule| (rule.severity, rule.name, rule.expected, rule.source))
}

/// Finds everything that is wrong with the feed in `bytes`. Memory and time stay in proportion to their number.
pub fn examine(bytes: &[u8], context: &Context<'_>) -> Report {
    let mut findings = Findings::default();
    let (text, is_xml) = decoded(bytes, context, &mut findings);
    let tree = read(&text, is_xml, &mut findings);
    let dialect = dialect(&tree, &mut findings);
    http::look(context, dialect, &tree, &mut findings);
    let about = About { dialect, url: context.url, now: context.now, text: &text };
    rules::apply(&tree, &about, false, &mut findings);
    let (findings, left_out) = findings.finish(&text, &tree, "feed");
    Report { dialect, findings, left_out }
}

/// Checks a feed that was written in `format` to be served at `self_url`, before it is. Costs about as much as parsing it.
/// Dates ahead are let pass: a clock that was set back would take every article out of its feeds.
///
/// Errors: the first [`Fault`]; `field` names the format and the place, such as `rss.item[3].guid`, and `found` ends in
/// line and character.
pub fn check(format: Format, bytes: &[u8], self_url: &str) -> Result<(), Fault> {
    let mut findings = Findings::default();
    let context = Context { url: Some(self_url), ..Context::default() };
    let (text, _) = decoded(bytes, &context, &mut findings);
    let (name, expected) = match format {
        Format::Rss => ("rss", Dialect::Rss2),
        Format::Atom => ("atom", Dialect::Atom1),
        Format::Json => ("json", Dialect::JsonFeed11),
    };
    let tree = read(&text, format != Format::Json, &mut findings);
    let dialect = dialect(&tree, &mut findings);
    if dialect != expected {
        findings.add(&book::NOT_ANSWERED_AS, 0, dialect.to_string());
    }
    let about = About { dialect, url: Some(self_url), now: None, text: &text };
    rules::apply(&tree, &about, true, &mut findings);
    let refuses = |finding: &Finding| match finding.severity {
        Severity::Error => true,
        Severity::Warning => !PASSED_OVER.contains(&finding.rule),
        Severity::Advice => false,
    };
    match findings.finish(&text, &tree, name).0.into_iter().find(refuses) {
        Some(Finding { place, line, column, found, expected, rule, .. }) => {
            let found = format!("{found} in line {line}, character {column}");
            Err(Fault { field: place, found, expected: format!("{expected} ({rule})") })
        }
        None => Ok(()),
    }
}

fn decoded<'a>(bytes: &'a [u8], context: &Context<'_>, findings: &mut Findings) -> (Cow<'a, str>, bool) {
    let charset = context.content_type.and_then(http::charset);
    let text = text::decode(bytes, charset, findings);
    let is_xml = text::is_xml(text.as_bytes());
    (text, is_xml)
}

fn read<'a>(text: &'a str, is_xml: bool, findings: &mut Findings) -> Tree<'a> {
    if is_xml {
        text::characters(text, 0, findings);
        xml::read(text, findings)
    } else {
        json::read(text, findings)
    }
}

/// What it is written in, by its root.
fn dialect(tree: &Tree<'_>, findings: &mut Findings) -> Dialect {
    let Some(root) = tree.root() else { return Dialect::Unknown };
    let version = root.attribute("version").unwrap_or_default();
    let node = root.node();
    match (node.space, &*node.name) {
        (Space::Plain, "rss") if version == "2.0" => Dialect::Rss2,
        (Space::Plain, "rss") => {
            findings.add_at(&book::OBSOLETE, root, "version", format!("RSS {version}"));
            if version.starts_with("0.9") { Dialect::Rss09 } else { Dialect::Rss2 }
        }
        (Space::Rdf, "RDF") => {
            findings.add(&book::OBSOLETE, node.place.start, Dialect::Rdf.to_string());
            Dialect::Rdf
        }
        (Space::Atom, "feed" | "entry") => Dialect::Atom1,
        (Space::Atom03, "feed") => {
            findings.add(&book::OBSOLETE_NAMESPACE, node.place.start, "Atom 0.3");
            Dialect::Atom03
        }
        (Space::Member, _) => match root.child(".version").map(|version| version.text()) {
            Some("https://jsonfeed.org/version/1.1" | "http://jsonfeed.org/version/1.1") => Dialect::JsonFeed11,
            Some("https://jsonfeed.org/version/1" | "http://jsonfeed.org/version/1") => {
                findings.add_at(&book::OBSOLETE, root, "version", "JSON Feed 1.0");
                Dialect::JsonFeed10
            }
            other => {
                findings.add_at(&book::UNKNOWN, root, "version", other.unwrap_or("JSON without a version"));
                Dialect::Unknown
            }
        },
        (_, name) => {
            findings.add(&book::UNKNOWN, node.place.start, format!("<{name}>"));
            Dialect::Unknown
        }
    }
}
