//! JSON Feed 1.1.

use super::sources::JSON_FEED;
use super::{Look, Rule, rule};
use crate::domain::is_language_tag;
use crate::wire::check::Dialect;
use crate::wire::check::findings::Severity::{Error, Warning};
use crate::wire::check::tree::{At, Kind, Space};
use crate::wire::check::values::{internet_date, is_implausible, is_media_type, is_same_address, is_web_address};
use std::collections::HashSet;

const FEED: &[&str] = &["/.feed"];
const ITEM: &[&str] = &[".items/.items[]"];
const ADDRESSES: &[&str] = &[
    ".feed/.home_page_url",
    ".feed/.feed_url",
    ".feed/.next_url",
    ".feed/.icon",
    ".feed/.favicon",
    ".items[]/.url",
    ".items[]/.external_url",
    ".items[]/.image",
    ".items[]/.banner_image",
    ".attachments[]/.url",
    ".authors[]/.url",
    ".authors[]/.avatar",
    ".hubs[]/.url",
    // Our own extension, described in the README.
    "._tidings/.print_url",
    "._tidings/.current_url",
    "._tidings/.prev_archive_url",
    "._tidings/.next_archive_url",
];
/// Members with the kind that they are of.
const FEED_MEMBERS: &[(&str, Kind)] = &[
    ("version", Kind::Text),
    ("title", Kind::Text),
    ("home_page_url", Kind::Text),
    ("feed_url", Kind::Text),
    ("description", Kind::Text),
    ("user_comment", Kind::Text),
    ("next_url", Kind::Text),
    ("icon", Kind::Text),
    ("favicon", Kind::Text),
    ("authors", Kind::Array),
    ("author", Kind::Object),
    ("language", Kind::Text),
    ("expired", Kind::Bool),
    ("hubs", Kind::Array),
    ("items", Kind::Array),
];
const ITEM_MEMBERS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("url", Kind::Text),
    ("external_url", Kind::Text),
    ("title", Kind::Text),
    ("content_html", Kind::Text),
    ("content_text", Kind::Text),
    ("summary", Kind::Text),
    ("image", Kind::Text),
    ("banner_image", Kind::Text),
    ("date_published", Kind::Text),
    ("date_modified", Kind::Text),
    ("authors", Kind::Array),
    ("author", Kind::Object),
    ("tags", Kind::Array),
    ("language", Kind::Text),
    ("attachments", Kind::Array),
];
const ATTACHMENT_MEMBERS: &[(&str, Kind)] = &[
    ("url", Kind::Text),
    ("mime_type", Kind::Text),
    ("title", Kind::Text),
    ("size_in_bytes", Kind::Number),
    ("duration_in_seconds", Kind::Number),
];
const AUTHOR_MEMBERS: &[(&str, Kind)] = &[("name", Kind::Text), ("url", Kind::Text), ("avatar", Kind::Text)];

pub(super) const RULES: &[Rule] = &[
    rule(
        Error,
        "MissingElement",
        FEED,
        |look| {
            for name in [".version", ".title", ".items"] {
                look.needs(name)
            }
        },
        "version, title and items",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidType",
        FEED,
        |look| kinds(look, FEED_MEMBERS),
        "a value of the kind that the standard says",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidType",
        ITEM,
        |look| kinds(look, ITEM_MEMBERS),
        "a value of the kind that the standard says",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidType",
        &[".attachments/.attachments[]"],
        |look| kinds(look, ATTACHMENT_MEMBERS),
        "a value of the kind that the standard says",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidType",
        &[".authors/.authors[]"],
        |look| kinds(look, AUTHOR_MEMBERS),
        "a value of the kind that the standard says",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidType",
        &[".tags/.tags[]"],
        |look| look.holds(look.at.node().kind == Kind::Text),
        "a text",
        JSON_FEED,
    ),
    rule(
        Warning,
        "UndefinedElement",
        FEED,
        |look| names(look, FEED_MEMBERS),
        "a member of the standard, or one that begins with _",
        JSON_FEED,
    ),
    rule(
        Warning,
        "UndefinedElement",
        ITEM,
        |look| names(look, ITEM_MEMBERS),
        "a member of the standard, or one that begins with _",
        JSON_FEED,
    ),
    rule(Warning, "NotBlank", &[".feed/.title"], |look| look.holds(!look.text().is_empty()), "some text", JSON_FEED),
    rule(Error, "MissingGuid", ITEM, |look| look.needs(".id"), "an id: readers drop an item without one", JSON_FEED),
    rule(Error, "NotBlank", &[".items[]/.id"], |look| look.holds(!look.text().is_empty()), "an id", JSON_FEED),
    rule(
        Error,
        "DuplicateIds",
        &[".feed/.items"],
        |look| look.repeated(look.at.children().filter_map(|item| item.child(".id"))),
        "an id that no other item has",
        JSON_FEED,
    ),
    rule(Error, "MissingTextualContent", ITEM, content, "content_html or content_text", JSON_FEED),
    rule(
        Error,
        "InvalidFullLink",
        ADDRESSES,
        |look| look.holds(look.node_kind() != Kind::Text || is_web_address(look.text())),
        "an absolute address of http or https",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidRFC3339Date",
        &[".items[]/.date_published", ".items[]/.date_modified"],
        date,
        "a date such as 2020-12-18T12:03:00Z",
        "RFC 3339 §5.6",
    ),
    rule(
        Error,
        "InvalidLanguage",
        &[".feed/.language", ".items[]/.language"],
        |look| look.holds(is_language_tag(look.text())),
        "a language such as en or pt-BR",
        "RFC 5646 §2.1",
    ),
    rule(Warning, "MissingSelf", FEED, |look| look.needs(".feed_url"), "feed_url", JSON_FEED),
    rule(Warning, "MissingLink", FEED, |look| look.needs(".home_page_url"), "home_page_url", JSON_FEED),
    rule(
        Warning,
        "SelfDoesntMatchLocation",
        &[".feed/.feed_url"],
        own_address,
        "the address that it is served at",
        JSON_FEED,
    ),
    rule(Error, "LinkLoop", &[".feed/.next_url"], next, "another document than this one", JSON_FEED),
    rule(Warning, "ObsoleteAuthor", &[".feed/.author", ".items[]/.author"], author, "authors", JSON_FEED),
    rule(Error, "MissingElement", &[".authors/.authors[]"], name_or_address, "name, url or avatar", JSON_FEED),
    rule(
        Error,
        "MissingElement",
        &[".attachments/.attachments[]"],
        |look| {
            for name in [".url", ".mime_type"] {
                look.needs(name)
            }
        },
        "url and mime_type",
        JSON_FEED,
    ),
    rule(
        Error,
        "InvalidMIMEType",
        &[".attachments[]/.mime_type"],
        |look| look.holds(is_media_type(look.text())),
        "a media type",
        "RFC 9110 §8.3.1",
    ),
    rule(
        Error,
        "MissingElement",
        &[".hubs/.hubs[]"],
        |look| {
            for name in [".type", ".url"] {
                look.needs(name)
            }
        },
        "type and url",
        JSON_FEED,
    ),
    rule(
        Warning,
        "InvalidExtension",
        &["/.feed", ".items/.items[]"],
        extensions,
        "an object behind a name that begins with _",
        JSON_FEED,
    ),
];

impl Look<'_, '_> {
    fn node_kind(&self) -> Kind {
        self.at.node().kind
    }
}

fn member<'t>(at: At<'t>, name: &str) -> Option<At<'t>> {
    at.children().find(|child| child.is(Space::Member, name))
}

fn kinds(look: &mut Look<'_, '_>, members: &[(&'static str, Kind)]) {
    if look.node_kind() != Kind::Object {
        return look.found(shown(look.node_kind()));
    }
    for (name, kind) in members {
        if let Some(other) = member(look.at, name).filter(|member| member.node().kind != *kind) {
            let found = format!("{} in place of {}", shown(other.node().kind), shown(*kind));
            look.found_at(other, "", found);
        }
    }
}

fn shown(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::Text => "a text",
        Kind::Number => "a number",
        Kind::Bool => "true or false",
        Kind::Null => "null",
        Kind::Xml => "XML",
    }
}

fn names(look: &mut Look<'_, '_>, members: &[(&str, Kind)]) {
    for child in look.at.children() {
        let name = &child.node().name;
        if !name.starts_with('_') && !members.iter().any(|(known, _)| known == name) {
            look.found_at(child, "", &**name);
        }
    }
}

fn content(look: &mut Look<'_, '_>) {
    if look.node_kind() == Kind::Object && look.at.child(".content_html").or(look.at.child(".content_text")).is_none() {
        look.found("neither");
    }
}

fn date(look: &mut Look<'_, '_>) {
    match internet_date(look.text()) {
        None => look.holds(false),
        Some(date) if is_implausible(date, look.about.now) => {
            look.tell(&super::rss_values::IMPLAUSIBLE, format!("\"{}\"", look.text()));
        }
        Some(_) => {}
    }
}

fn own_address(look: &mut Look<'_, '_>) {
    if let Some(url) = look.about.url.filter(|url| !is_same_address(look.text(), url)) {
        look.found(format!("\"{}\", served at {url}", look.text()));
    }
}

fn next(look: &mut Look<'_, '_>) {
    let own = look.at.parent().and_then(|feed| feed.child(".feed_url")).map(At::text);
    look.holds(!own.is_some_and(|own| is_same_address(own, look.text())));
}

fn author(look: &mut Look<'_, '_>) {
    if look.about.dialect == Dialect::JsonFeed11 && look.at.parent().is_some_and(|at| at.child(".authors").is_none()) {
        look.found("author");
    }
}

fn name_or_address(look: &mut Look<'_, '_>) {
    if ![".name", ".url", ".avatar"].into_iter().any(|name| look.at.child(name).is_some()) {
        look.found("none of them");
    }
}

fn extensions(look: &mut Look<'_, '_>) {
    let mut seen = HashSet::new();
    for child in look.at.children() {
        let node = child.node();
        if node.name.starts_with('_') && node.kind != Kind::Object && seen.insert(&node.name) {
            look.found_at(child, "", shown(node.kind));
        }
    }
}
