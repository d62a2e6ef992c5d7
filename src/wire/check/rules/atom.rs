//! Atom 1.0: which elements RFC 4287 wants where, and how often.

use super::sources::VALIDATOR;
use super::{Child, Look, Rule, any, one, rule};
use crate::wire::check::findings::Severity::{Advice, Error, Warning};
use crate::wire::check::tree::{At, Space};
use std::collections::{HashMap, HashSet};

/// The name of the rule about entries that changed at one moment.
pub(in crate::wire::check) const DUPLICATE_UPDATED: &str = "DuplicateUpdated";

const FEED: &[&str] = &["/atom:feed"];
const ENTRY: &[&str] = &["atom:feed/atom:entry", "/atom:entry"];
const BOTH: &[&str] = &["/atom:feed", "atom:feed/atom:entry", "/atom:entry"];

/// Elements of a feed, with those of modules that there is one of.
const FEED_CHILDREN: &[Child] = &[
    any("atom:author"),
    any("atom:category"),
    any("atom:contributor"),
    one("atom:generator"),
    one("atom:icon"),
    one("atom:id"),
    any("atom:link"),
    one("atom:logo"),
    one("atom:rights"),
    one("atom:subtitle"),
    one("atom:title"),
    one("atom:updated"),
    any("atom:entry"),
    one("fh:archive"),
    one("fh:complete"),
];
/// The same of an entry.
const ENTRY_CHILDREN: &[Child] = &[
    any("atom:author"),
    any("atom:category"),
    one("atom:content"),
    any("atom:contributor"),
    one("atom:id"),
    any("atom:link"),
    one("atom:published"),
    one("atom:rights"),
    one("atom:source"),
    one("atom:summary"),
    one("atom:title"),
    one("atom:updated"),
    one("thr:total"),
];

pub(super) const RULES: &[Rule] = &[
    rule(Error, "MissingElement", BOTH, head, "id, title and updated", "RFC 4287 §4.1.1, §4.1.2"),
    rule(Error, "DuplicateElement", FEED, |look| look.at_most_one(FEED_CHILDREN), "one of it", "RFC 4287 §4.1.1"),
    rule(Error, "DuplicateElement", ENTRY, |look| look.at_most_one(ENTRY_CHILDREN), "one of it", "RFC 4287 §4.1.2"),
    rule(
        Error,
        "UndefinedElement",
        FEED,
        |look| look.only(Space::Atom, FEED_CHILDREN),
        "an element of atom:feed",
        "RFC 4287 §4.1.1",
    ),
    rule(
        Error,
        "UndefinedElement",
        ENTRY,
        |look| look.only(Space::Atom, ENTRY_CHILDREN),
        "an element of atom:entry",
        "RFC 4287 §4.1.2",
    ),
    rule(
        Error,
        "MissingNamespace",
        BOTH,
        |look| look.only(Space::Plain, &[]),
        "a namespace on every element",
        "RFC 4287 §6",
    ),
    rule(Error, "MissingElement", ENTRY, author, "an author here, in atom:source or in the feed", "RFC 4287 §4.1.1"),
    rule(
        Error,
        "MissingContentOrAlternate",
        ENTRY,
        content_or_alternate,
        "atom:content or a rel=\"alternate\" link",
        "RFC 4287 §4.1.2",
    ),
    rule(
        Error,
        "DuplicateAtomLink",
        BOTH,
        alternates,
        "one rel=\"alternate\" of each type and language",
        "RFC 4287 §4.1.1, §4.1.2",
    ),
    rule(
        Error,
        "MissingSummary",
        ENTRY,
        summary,
        "atom:summary, since the content is not text here",
        "RFC 4287 §4.1.2",
    ),
    rule(Advice, "MissingTextualContent", ENTRY, some_text, "a summary or a text", "RFC 4287 §4.1.1.1"),
    rule(Warning, "MissingSelf", FEED, self_link, "one rel=\"self\" link", "RFC 4287 §4.1.1"),
    rule(Error, "DuplicateIds", FEED, ids, "an id that no other entry has", "RFC 4287 §4.1.1"),
    rule(
        Warning,
        "DuplicateEntries",
        FEED,
        |look| look.repeated(ids_of(look.at)),
        "one revision of an entry",
        VALIDATOR,
    ),
    rule(
        Warning,
        DUPLICATE_UPDATED,
        FEED,
        |look| look.repeated(updated_of(look.at)),
        "the moment when this entry was changed, and not that of making the feed",
        VALIDATOR,
    ),
    rule(
        Warning,
        "MissingSourceElement",
        &["atom:entry/atom:source"],
        head,
        "id, title and updated of the feed it came from",
        "RFC 4287 §4.2.11",
    ),
];

fn head(look: &mut Look<'_, '_>) {
    for name in ["atom:id", "atom:title", "atom:updated"] {
        look.needs(name);
    }
}

fn author(look: &mut Look<'_, '_>) {
    let has = |at: Option<At<'_>>| at.is_some_and(|at| at.child("atom:author").is_some());
    if !has(Some(look.at)) && !has(look.at.child("atom:source")) && !has(look.at.parent()) {
        look.needs("atom:author");
    }
}

/// The links of an entry or a feed that lead to the same in another form.
fn alternates_of(at: At<'_>) -> impl Iterator<Item = At<'_>> {
    at.all("atom:link").filter(|link| matches!(link.attribute("rel"), None | Some("alternate")))
}

fn content_or_alternate(look: &mut Look<'_, '_>) {
    if look.at.child("atom:content").is_none() && alternates_of(look.at).next().is_none() && look.at.is_whole() {
        look.found("neither");
    }
}

fn alternates(look: &mut Look<'_, '_>) {
    let mut seen = HashSet::new();
    for link in alternates_of(look.at) {
        if !seen.insert((link.attribute("type"), link.attribute("hreflang"))) {
            look.found_at(link, "", "another one");
        }
    }
}

fn summary(look: &mut Look<'_, '_>) {
    let Some(content) = look.at.child("atom:content") else { return };
    let kind = content.attribute("type").unwrap_or("text");
    let is_text = matches!(kind, "text" | "html" | "xhtml") || kind.starts_with("text/") || is_xml(kind);
    if content.attribute("src").is_some() || !is_text {
        look.needs("atom:summary");
    }
}

/// A media type of XML (RFC 7303 §4.2).
fn is_xml(kind: &str) -> bool {
    kind.ends_with("+xml") || kind.ends_with("/xml")
}

fn some_text(look: &mut Look<'_, '_>) {
    let has = |name| look.at.child(name).is_some_and(At::has_text);
    if look.at.is_whole() && !has("atom:summary") && !has("atom:content") {
        look.found("neither");
    }
}

fn self_link(look: &mut Look<'_, '_>) {
    let own: Vec<_> = look.at.all("atom:link").filter(|link| link.attribute("rel") == Some("self")).collect();
    if own.is_empty() && look.at.is_whole() {
        look.found_at(look.at, "link", "nothing");
    }
    if let Some(second) = own.get(1) {
        look.found_at(*second, "", "another one");
    }
}

fn ids_of<'t>(feed: At<'t>) -> impl Iterator<Item = At<'t>> {
    feed.all("atom:entry").filter_map(|entry| entry.child("atom:id"))
}

fn updated_of<'t>(feed: At<'t>) -> impl Iterator<Item = At<'t>> {
    feed.all("atom:entry").filter_map(|entry| entry.child("atom:updated"))
}

/// Several revisions of one entry may stand in a feed, if their dates tell them apart.
fn ids(look: &mut Look<'_, '_>) {
    let mut seen: HashMap<&str, HashSet<&str>> = HashMap::new();
    for id in ids_of(look.at) {
        let updated = id.parent().and_then(|entry| entry.child("atom:updated")).map_or("", At::text);
        if !id.text().is_empty() && !seen.entry(id.text()).or_default().insert(updated) {
            look.found_at(id, "", format!("\"{}\"", id.text()));
        }
    }
}
