//! RSS 2.0 by its specification (rssboard.org/rss-specification) and the RSS Advisory Board's Best Practices Profile,
//! with the modules that readers know: `atom:link`, `dc:creator`, `dc:language`, `content:encoded`.

use super::{Document, GENERATOR, Item, PRINT_REL, Uses, html, media};
use crate::domain::{Fault, rfc822};
use rss::extension::{Extension, ExtensionMap, dublincore::DublinCoreExtension};
use rss::{Category, Channel, Enclosure, Guid, Image};
use std::collections::BTreeMap;

/// Prefix and name of what every feed uses: the link to itself.
const ATOM: (&str, &str) = ("atom", "http://www.w3.org/2005/Atom");
const CONTENT: (&str, &str) = ("content", "http://purl.org/rss/1.0/modules/content/");
const DUBLIN_CORE: (&str, &str) = ("dc", "http://purl.org/dc/elements/1.1/");
/// How many comments there are.
const SLASH: (&str, &str) = ("slash", "http://purl.org/rss/1.0/modules/slash/");
/// Where their feed is.
const WELL_FORMED_WEB: (&str, &str) = ("wfw", "http://wellformedweb.org/CommentAPI/");
/// Icon, logo and colour, as Feedly and others take them.
const WEBFEEDS: (&str, &str) = ("webfeeds", "http://webfeeds.org/rss/1.0");

/// Of the feed itself and of its other parts.
const MEDIA_TYPE: &str = "application/rss+xml";

/// RFC 5005 §4.
const HISTORY: (&str, &str) = ("fh", "http://purl.org/syndication/history/1.0");
/// How often to ask, for readers that do not know `ttl` (web.resource.org/rss/1.0/modules/syndication).
const SYNDICATION: (&str, &str) = ("sy", "http://purl.org/rss/1.0/modules/syndication/");

/// Writes `document`. The print view is an `atom:link` of the item with relation [`PRINT_REL`]: RSS has no element for
/// a second address of an item, and its own rule for extension (namespaces) leads to Atom's link. The attribute `media`
/// is not one of Atom's (RFC 4287 §4.2.7), so the relation alone says what it is for.
///
/// Errors: a [`Fault`] if the XML crate refuses.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, Fault> {
    let uses = document.all_uses();
    let mut namespaces = vec![ATOM];
    let modules = [
        (Uses::CONTENT, CONTENT),
        (Uses::DUBLIN_CORE, DUBLIN_CORE),
        (Uses::MEDIA, media::NAMESPACE),
        (Uses::COMMENTS_COUNT, SLASH),
        (Uses::COMMENTS_FEED, WELL_FORMED_WEB),
    ];
    namespaces.extend(modules.into_iter().filter(|(module, _)| uses.has(*module)).map(|(_, namespace)| namespace));
    let mut extensions = BTreeMap::new();
    let own = link("self", Some(MEDIA_TYPE), &document.self_url, None);
    let others = document.links.iter().map(|(rel, href)| link(rel, Some(MEDIA_TYPE), href, None));
    // A hub is no feed, so its link has no type.
    let hub = document.hub.as_ref().map(|hub| link("hub", None, hub, None));
    add(&mut extensions, "atom", "link", std::iter::once(own).chain(hub).chain(others).collect());
    if document.is_archive {
        namespaces.push(HISTORY);
        add(&mut extensions, "fh", "archive", vec![element("fh:archive", None)]);
    }
    if let Some((period, frequency)) = document.ttl_min.map(rhythm) {
        namespaces.push(SYNDICATION);
        add(&mut extensions, "sy", "updatePeriod", vec![element("sy:updatePeriod", Some(period.to_owned()))]);
        add(&mut extensions, "sy", "updateFrequency", vec![element("sy:updateFrequency", Some(frequency.to_string()))]);
    }
    let looks = [("icon", &document.icon), ("logo", &document.logo), ("accentColor", &document.accent_color)];
    for (name, value) in looks {
        if let Some(value) = value {
            // Without the sign, as the feeds that use it have it.
            let value = value.trim_start_matches('#').to_owned();
            add(&mut extensions, "webfeeds", name, vec![element(&format!("webfeeds:{name}"), Some(value))]);
        }
    }
    if extensions.contains_key("webfeeds") {
        namespaces.push(WEBFEEDS);
    }
    let channel = Channel {
        title: document.title.clone(),
        link: document.home.clone(),
        // RSS demands one; where the newsroom has not written any, its title says what the channel is about.
        description: some(&document.description).unwrap_or_else(|| document.title.clone()),
        language: some(&document.language),
        last_build_date: Some(rfc822(document.updated)),
        generator: Some(GENERATOR.to_owned()),
        // Its title and link are those of the channel (specification, "image").
        image: document.logo.as_ref().or(document.icon.as_ref()).map(|url| Image {
            url: url.clone(),
            title: document.title.clone(),
            link: document.home.clone(),
            ..Image::default()
        }),
        ttl: document.ttl_min.map(|minutes| minutes.to_string()),
        extensions,
        namespaces: namespaces.iter().map(|&(prefix, name)| (prefix.to_owned(), name.to_owned())).collect(),
        items: document.items.iter().map(|item| self::item(item, document)).collect(),
        ..Channel::default()
    };
    let xml = channel.write_to(Vec::new()).map_err(|error| Fault::new("rss", error.to_string(), "a feed"))?;
    let xml = String::from_utf8(xml).map_err(|error| Fault::new("rss", error.to_string(), "UTF-8"))?;
    Ok(hexadecimal(&xml).into_bytes())
}

fn item(item: &Item, document: &Document) -> rss::Item {
    // `description` is HTML by the Profile ("must be suitable for presentation as HTML"), so a plain summary is escaped
    // once as HTML, and once more by the writer as XML. A title is plain text: the writer's escaping is all it gets.
    // The summary stands first and the full text in `content:encoded`; without a summary the full text is the
    // description (validator: NeedDescriptionBeforeContent).
    let (description, content) = match (&item.summary, &item.html) {
        (Some(summary), content) => (Some(html::escape(summary)), content.clone()),
        (None, content) => (content.clone(), None),
    };
    let language = item.other_language(document);
    let dublin_core = (!item.authors.is_empty() || language.is_some()).then(|| DublinCoreExtension {
        // RSS's own `author` must be a mail address; names go into dc:creator.
        creators: item.authors.clone(),
        languages: language.into_iter().collect(),
        ..DublinCoreExtension::default()
    });
    let mut extensions = links(vec![link(PRINT_REL, Some("text/html"), &item.print, Some("Print"))]);
    if !item.media.is_empty() {
        extensions.insert("media".to_owned(), media::rss(&item.media));
    }
    if let Some(comments) = &item.comments {
        if let Some(count) = comments.count {
            add(&mut extensions, "slash", "comments", vec![element("slash:comments", Some(count.to_string()))]);
        }
        if let Some(feed) = &comments.feed {
            add(&mut extensions, "wfw", "commentRss", vec![element("wfw:commentRss", Some(feed.to_string()))]);
        }
    }
    rss::Item {
        title: some(&item.title),
        link: Some(item.link.clone()),
        description,
        categories: item.labels().into_iter().map(|name| Category { name: name.to_owned(), domain: None }).collect(),
        // An id is never promised to be an address, even where it looks like one.
        guid: Some(Guid { value: item.guid.clone(), permalink: false }),
        pub_date: Some(rfc822(item.published)),
        content,
        extensions,
        enclosure: item.enclosure().map(|(medium, bytes)| Enclosure {
            url: medium.url.to_string(),
            length: bytes.to_string(),
            mime_type: medium.media_type.clone(),
        }),
        comments: item.comments.as_ref().map(|comments| comments.url.to_string()),
        source: item
            .source
            .as_ref()
            .map(|source| rss::Source { url: source.feed.to_string(), title: Some(source.title.clone()) }),
        dublin_core_ext: dublin_core,
        ..rss::Item::default()
    }
}

/// How often `sy:` says that a feed with this `ttl` changes: so many times in that period.
fn rhythm(ttl_min: u32) -> (&'static str, u32) {
    const HOUR_MIN: u32 = 60;
    if ttl_min < HOUR_MIN { ("hourly", HOUR_MIN / ttl_min.max(1)) } else { ("daily", (24 * HOUR_MIN / ttl_min).max(1)) }
}

fn add(extensions: &mut ExtensionMap, prefix: &str, name: &str, elements: Vec<Extension>) {
    extensions.entry(prefix.to_owned()).or_default().insert(name.to_owned(), elements);
}

fn element(name: &str, value: Option<String>) -> Extension {
    Extension { name: name.to_owned(), value, ..Extension::default() }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn links(links: Vec<Extension>) -> ExtensionMap {
    BTreeMap::from([("atom".to_owned(), BTreeMap::from([("link".to_owned(), links)]))])
}

fn link(rel: &str, media_type: Option<&str>, href: &str, title: Option<&str>) -> Extension {
    let attributes = [("href", Some(href)), ("rel", Some(rel)), ("type", media_type), ("title", title)];
    let attrs = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    Extension { name: "atom:link".to_owned(), attrs, ..Extension::default() }
}

/// `&`, `<` and `>` as hexadecimal references. To an XML parser they are the same as `&amp;`; the Profile recommends
/// them for plain-text elements, since more readers show them right. CDATA sections are left as they are.
fn hexadecimal(xml: &str) -> String {
    let mut out = String::with_capacity(xml.len() + xml.len() / 64);
    let mut rest = xml;
    while let Some(start) = rest.find("<![CDATA[") {
        let end = rest[start..].find("]]>").map_or(rest.len(), |at| start + at);
        references(&rest[..start], &mut out);
        out.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    references(rest, &mut out);
    out
}

fn references(xml: &str, out: &mut String) {
    let mut rest = xml;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let named = [("&amp;", "&#x26;"), ("&lt;", "&#x3C;"), ("&gt;", "&#x3E;")];
        match named.iter().find(|(name, _)| rest[at..].starts_with(name)) {
            Some((name, number)) => {
                out.push_str(number);
                rest = &rest[at + name.len()..];
            }
            None => {
                out.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
}
