//! Links of a feed as a whole, in Atom and as `atom:link` in RSS: to itself, to other parts of it (RFC 5005), to hubs.

use super::sources::VALIDATOR;
use super::{Look, Rule, rule};
use crate::wire::check::findings::Severity::{Error, Warning};
use crate::wire::check::tree::At;
use crate::wire::check::values::{is_count, is_iri, is_media_type, is_relative, is_same_address, is_web_address};
use std::collections::HashSet;

const LINK: &[&str] = &["*/atom:link"];
const HEADS: &[&str] = &["rss/channel", "/atom:feed"];
const ATOM_LINK: &str = "RFC 4287 §4.2.7";
const HISTORY: &str = "RFC 5005 §4";

pub(super) const RULES: &[Rule] = &[
    rule(Error, "MissingHref", LINK, |look| look.needs_attribute("href"), "an address", "RFC 4287 §4.2.7.1"),
    rule(Error, "InvalidLink", LINK, href, "an absolute address", ATOM_LINK),
    rule(Warning, "RelativeSelf", LINK, relative_self, "an absolute address", VALIDATOR),
    rule(
        Warning,
        "UnregisteredAtomLinkRel",
        LINK,
        |look| look.attribute("rel", is_relation),
        "a registered relation, or an IRI",
        "RFC 4287 §4.2.7.2",
    ),
    rule(
        Error,
        "InvalidMIMEType",
        LINK,
        |look| look.attribute("type", is_media_type),
        "a media type",
        "RFC 4287 §4.2.7.3",
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        LINK,
        |look| look.attribute("length", is_count),
        "bytes as a number",
        "RFC 4287 §4.2.7.6",
    ),
    rule(
        Error,
        "InvalidLanguage",
        LINK,
        |look| look.attribute("hreflang", crate::domain::is_language_tag),
        "a language",
        "RFC 4287 §4.2.7.4",
    ),
    rule(Warning, "SelfDoesntMatchLocation", HEADS, own_address, "the address that it is served at", VALIDATOR),
    rule(
        Error,
        "DuplicateAtomLink",
        HEADS,
        one_of_each,
        "one link of each relation within the feed",
        "RFC 5005 §3, §4",
    ),
    rule(
        Warning,
        "FeedHistoryRelInEntry",
        &["channel/item", "atom:feed/atom:entry"],
        in_entry,
        "such a link in the feed's head",
        HISTORY,
    ),
    rule(Warning, "ArchiveIncomplete", HEADS, archive, "prev-archive or next-archive beside fh:archive", HISTORY),
    rule(Warning, "MissingCurrentInArchive", HEADS, current, "rel=\"current\" beside fh:archive", HISTORY),
    rule(Error, "FeedRelInCompleteFeed", HEADS, complete, "no further parts of what is complete", "RFC 5005 §2"),
    rule(Error, "InvalidLink", HEADS, hubs, "an absolute address of http or https", "WebSub §4"),
    rule(Warning, "MissingSelfBesideHub", HEADS, topic, "exactly one rel=\"self\" beside rel=\"hub\"", "WebSub §4"),
    rule(Error, "LinkLoop", HEADS, loops, "another document than this one", "RFC 5005 §3"),
];

/// Registered with IANA, as far as feeds were seen to use them.
const RELATIONS: &[&str] = &[
    "alternate",
    "about",
    "appendix",
    "archives",
    "author",
    "bookmark",
    "canonical",
    "cite-as",
    "collection",
    "contents",
    "copyright",
    "current",
    "describedby",
    "disclosure",
    "duplicate",
    "edit",
    "edit-media",
    "enclosure",
    "external",
    "first",
    "glossary",
    "help",
    "hub",
    "icon",
    "index",
    "item",
    "last",
    "latest-version",
    "license",
    "monitor",
    "next",
    "next-archive",
    "nofollow",
    "original",
    "payment",
    "prefetch",
    "prev",
    "prev-archive",
    "preview",
    "previous",
    "related",
    "replies",
    "search",
    "section",
    "self",
    "service",
    "start",
    "stylesheet",
    "subsection",
    "tag",
    "terms-of-service",
    "type",
    "up",
    "via",
    "webmention",
    "working-copy",
];
/// Relations between the parts of one feed.
const PARTS: [&str; 9] =
    ["self", "first", "last", "next", "previous", "prev", "current", "prev-archive", "next-archive"];

fn is_relation(rel: &str) -> bool {
    RELATIONS.contains(&rel) || is_iri(rel)
}

/// Relation and address of each link of a head.
fn links<'t>(at: At<'t>) -> impl Iterator<Item = (At<'t>, &'t str, &'t str)> {
    at.all("atom:link")
        .filter_map(|link| Some((link, link.attribute("rel").unwrap_or("alternate"), link.attribute("href")?)))
}

fn has(at: At<'_>, relation: &str) -> bool {
    links(at).any(|(_, rel, _)| rel == relation)
}

fn href(look: &mut Look<'_, '_>) {
    // A relative one is the business of other rules where a base makes it good.
    look.attribute("href", |href| is_iri(href.trim()) || is_relative(href));
    let is_own = look.at.attribute("rel") == Some("self");
    if let Some(href) =
        look.at.attribute("href").filter(|href| is_relative(href) && !is_own && !super::html::has_base(look.at))
    {
        look.found(format!("\"{href}\", and no xml:base"));
    }
}

fn relative_self(look: &mut Look<'_, '_>) {
    if look.at.attribute("rel") == Some("self") {
        look.attribute("href", |href| !is_relative(href));
    }
}

fn own_address(look: &mut Look<'_, '_>) {
    let Some(url) = look.about.url else { return };
    for (link, rel, href) in links(look.at) {
        if rel == "self" && !is_relative(href) && !is_same_address(href, url) {
            look.found_at(link, "", format!("\"{href}\", served at {url}"));
        }
    }
}

fn one_of_each(look: &mut Look<'_, '_>) {
    let mut seen = HashSet::new();
    for (link, rel, _) in links(look.at) {
        if rel != "self" && PARTS.contains(&rel) && !seen.insert(rel) {
            look.found_at(link, "", format!("another rel=\"{rel}\""));
        }
    }
}

fn in_entry(look: &mut Look<'_, '_>) {
    for (link, rel, _) in links(look.at) {
        if matches!(rel, "next" | "prev" | "previous" | "first" | "last" | "current" | "prev-archive" | "next-archive")
        {
            look.found_at(link, "", format!("rel=\"{rel}\""));
        }
    }
}

fn archive(look: &mut Look<'_, '_>) {
    if let Some(archive) = look.at.child("fh:archive")
        && !has(look.at, "prev-archive")
        && !has(look.at, "next-archive")
        && !has(look.at, "current")
    {
        look.found_at(archive, "", "no link to any other part");
    }
}

fn current(look: &mut Look<'_, '_>) {
    if let Some(archive) = look.at.child("fh:archive").filter(|_| !has(look.at, "current")) {
        look.found_at(archive, "", "no rel=\"current\"");
    }
}

fn complete(look: &mut Look<'_, '_>) {
    if look.at.child("fh:complete").is_some() {
        for (link, rel, _) in links(look.at) {
            if PARTS.contains(&rel) && !matches!(rel, "self" | "current") {
                look.found_at(link, "", format!("rel=\"{rel}\""));
            }
        }
    }
}

fn hubs(look: &mut Look<'_, '_>) {
    for (link, rel, href) in links(look.at) {
        if rel == "hub" && !is_web_address(href) {
            look.found_at(link, "", format!("\"{href}\""));
        }
    }
}

/// Who subscribes asks the hub for the address that `self` names.
fn topic(look: &mut Look<'_, '_>) {
    let Some((hub, _, _)) = links(look.at).find(|(_, rel, _)| *rel == "hub") else { return };
    let own = links(look.at).filter(|(_, rel, _)| *rel == "self").count();
    if own != 1 {
        look.found_at(hub, "", if own == 0 { "none".to_owned() } else { format!("{own} of them") });
    }
}

fn loops(look: &mut Look<'_, '_>) {
    let Some((_, _, own)) = links(look.at).find(|(_, rel, _)| *rel == "self") else { return };
    for (link, rel, href) in links(look.at) {
        if matches!(rel, "next" | "prev" | "previous" | "prev-archive" | "next-archive") && is_same_address(own, href) {
            look.found_at(link, "", format!("rel=\"{rel}\" to itself"));
        }
    }
}
