//! Atom 1.0, RFC 4287.

use super::{Document, GENERATOR, Item, PRINT_REL, Tombstone, Uses, html, media};
use crate::domain::{Fault, Time};
use atom_syndication::extension::{Extension, ExtensionMap};
use atom_syndication::{Category, Content, Entry, Feed, Generator, Link, Person, Source, Text, WriteConfig};
use chrono::SecondsFormat;
use std::collections::BTreeMap;

/// RFC 5005 §4.
const HISTORY: (&str, &str) = ("fh", "http://purl.org/syndication/history/1.0");
/// RFC 4685.
const THREADING: (&str, &str) = ("thr", "http://purl.org/syndication/thread/1.0");
/// RFC 6721.
const TOMBSTONES: (&str, &str) = ("at", "http://purl.org/atompub/tombstones/1.0");

/// The crate's own declaration names no encoding; validators compare it with the `charset` that is served.
const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// Writes `document`. The print view is a link of the entry with relation [`PRINT_REL`]: relations other than the
/// registered ones are IRIs (RFC 4287 §4.2.7.2). The feed's own author stands for entries that name none (§4.1.1).
///
/// Errors: a [`Fault`] if the XML crate refuses.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, Fault> {
    let links = [
        link("self", "application/atom+xml", &document.self_url, None),
        link("alternate", "text/html", &document.home, None),
    ];
    let others = document.links.iter().map(|(rel, href)| link(rel, "application/atom+xml", href, None));
    // A hub is no feed, so its link has no type.
    let hub = document.hub.as_ref().map(|hub| Link { mime_type: None, ..link("hub", "", hub, None) });
    let uses = document.all_uses();
    let (mut namespaces, mut extensions) = (BTreeMap::new(), ExtensionMap::new());
    let mut add = |(prefix, namespace): (&str, &str), name: &str, elements: Vec<Extension>| {
        namespaces.insert(prefix.to_owned(), namespace.to_owned());
        extensions.insert(prefix.to_owned(), BTreeMap::from([(name.to_owned(), elements)]));
    };
    if document.is_archive {
        add(HISTORY, "archive", vec![Extension { name: "fh:archive".to_owned(), ..Extension::default() }]);
    }
    if !document.tombstones.is_empty() {
        add(TOMBSTONES, "deleted-entry", document.tombstones.iter().map(deleted).collect());
    }
    let modules = [(Uses::MEDIA, media::NAMESPACE), (Uses::COMMENTS_COUNT, THREADING)];
    for (_, (prefix, namespace)) in modules.into_iter().filter(|(module, _)| uses.has(*module)) {
        namespaces.insert(prefix.to_owned(), namespace.to_owned());
    }
    let feed = Feed {
        icon: document.icon.clone(),
        logo: document.logo.clone(),
        title: Text::plain(&document.title),
        subtitle: (!document.description.is_empty()).then(|| Text::plain(&document.description)),
        id: document.id.clone(),
        updated: document.updated.fixed_offset(),
        lang: (!document.language.is_empty()).then(|| document.language.clone()),
        authors: vec![person(&document.title)],
        generator: Some(Generator { value: GENERATOR.to_owned(), ..Generator::default() }),
        links: links.into_iter().chain(hub).chain(others).collect(),
        namespaces,
        extensions,
        entries: document.items.iter().map(|item| entry(item, document)).collect(),
        ..Feed::default()
    };
    let config = WriteConfig { write_document_declaration: false, indent_size: None };
    feed.write_with_config(DECLARATION.to_vec(), config)
        .map_err(|error| Fault::new("atom", error.to_string(), "a feed"))
}

fn deleted(tombstone: &Tombstone) -> Extension {
    let when = tombstone.at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let attrs = BTreeMap::from([("ref".to_owned(), attribute(tombstone.iri.clone())), ("when".to_owned(), when)]);
    Extension { name: "at:deleted-entry".to_owned(), attrs, ..Extension::default() }
}

/// The value of an extension's attribute, which the crate writes as it is.
pub(super) fn attribute(value: String) -> String {
    html::escape(&value)
}

fn entry(item: &Item, document: &Document) -> Entry {
    // The crate has no `xml:lang` on an entry; it stands on each text of one in another language (§2).
    let lang = item.other_language(document);
    let text = |value: &str| Text { lang: lang.clone(), ..Text::plain(value) };
    let mut links = vec![
        link("alternate", "text/html", &item.link, None),
        link(PRINT_REL, "text/html", &item.print, Some("Print")),
    ];
    if let Some((medium, bytes)) = item.enclosure() {
        let length = Some(bytes.to_string());
        links
            .push(Link { length, ..link("enclosure", &medium.media_type, medium.url.as_str(), medium.alt.as_deref()) });
    }
    let mut extensions = ExtensionMap::new();
    if !item.media.is_empty() {
        extensions.insert("media".to_owned(), media::atom(&item.media));
    }
    if let Some(comments) = &item.comments {
        // RFC 4685 §4 and §5.
        links.push(link("replies", "text/html", comments.url.as_str(), None));
        links.extend(comments.feed.iter().map(|feed| link("replies", "application/atom+xml", feed.as_str(), None)));
        if let Some(count) = comments.count {
            let total =
                Extension { name: "thr:total".to_owned(), value: Some(count.to_string()), ..Extension::default() };
            extensions.insert("thr".to_owned(), BTreeMap::from([("total".to_owned(), vec![total])]));
        }
    }
    Entry {
        title: text(&item.title),
        id: item.iri.clone(),
        updated: moment(item).fixed_offset(),
        published: Some(item.published.fixed_offset()),
        authors: item.authors.iter().map(|name| person(name)).collect(),
        categories: item.labels().into_iter().map(category).collect(),
        links,
        extensions,
        // Its id is the one thing that is known of a feed by its address (§4.2.11).
        source: item.source.as_ref().map(|source| Source {
            id: source.feed.to_string(),
            title: Text::plain(&source.title),
            updated: item.updated.fixed_offset(),
            links: vec![Link { mime_type: None, ..link("self", "", source.feed.as_str(), None) }],
            ..Source::default()
        }),
        summary: item.summary.as_deref().map(text),
        // Escaped HTML and not XHTML: the crate writes XHTML unchecked.
        content: item.html.as_ref().map(|html| Content {
            content_type: Some("html".to_owned()),
            value: Some(html.clone()),
            lang: lang.clone(),
            ..Content::default()
        }),
        ..Entry::default()
    }
}

/// When `item` was last changed, told apart from others of the same moment: archives are dated by the minute or the day,
/// imports by the thousand within a millisecond, and validators take entries that share a date for a mistake
/// (DuplicateUpdated). What no date tells, microseconds of a millisecond or the whole part of a second, is filled with a
/// number that depends on the id alone, so it stays the same.
fn moment(item: &Item) -> Time {
    const MICROS: u32 = 1_000_000;
    let known = item.updated.timestamp_subsec_micros();
    let free = if known == 0 { MICROS } else { MICROS / 1_000 };
    let number = crc32fast::hash(item.iri.as_bytes()) % free;
    item.updated + chrono::Duration::microseconds(i64::from(number))
}

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), ..Person::default() }
}

fn category(term: &str) -> Category {
    Category { term: term.to_owned(), ..Category::default() }
}

fn link(rel: &str, media_type: &str, href: &str, title: Option<&str>) -> Link {
    Link {
        href: href.to_owned(),
        rel: rel.to_owned(),
        mime_type: Some(media_type.to_owned()),
        title: title.map(str::to_owned),
        ..Link::default()
    }
}
