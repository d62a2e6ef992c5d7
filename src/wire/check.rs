//! Rules that a feed must pass before it replaces the last good one: what makes readers refuse a feed or show it wrong.
//! The bytes are read back, not the values they were made of. In brackets: the validator's name for a fault.

use super::{Format, jsonfeed};
use crate::domain::Fault;
use chrono::{DateTime, Datelike};
use std::collections::HashSet;
use url::Url;

/// Checks the feed in `bytes`, served at `self_url`. Costs little more than parsing it.
///
/// Errors: the first [`Fault`]; `field` names the format and the place, such as `rss.item[3].guid`.
pub fn check(format: Format, bytes: &[u8], self_url: &str) -> Result<(), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| fault(format, "", error.to_string(), "UTF-8"))?;
    if let Some(c) = text.chars().find(|&c| !is_legal(c)) {
        return Err(fault(format, "", format!("U+{:04X}", u32::from(c)), "characters of XML 1.0 (BadCharacters)"));
    }
    let place = Place { format, item: None };
    match format {
        Format::Rss => rss(text, self_url, place),
        Format::Atom => atom(text, self_url, place),
        Format::Json => json(bytes, self_url, place),
    }
}

/// XML 1.0 §2.2, `Char`.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn rss(text: &str, self_url: &str, place: Place) -> Result<(), Fault> {
    references(text, place)?;
    let feed = rss::Channel::read_from(text.as_bytes())
        .map_err(|error| place.fault("", error.to_string(), "well-formed RSS 2.0 (SAXError)"))?;
    place.required("title", Some(&feed.title))?;
    place.required("description", Some(&feed.description))?;
    place.address("link", Some(&feed.link))?;
    place.mail_date("lastBuildDate", feed.last_build_date.as_deref())?;
    place.prefixes(feed.extensions.keys(), &feed.namespaces)?;
    let links = feed.extensions.get("atom").and_then(|atom| atom.get("link")).map_or(&[][..], Vec::as_slice);
    let is_self = |link: &&rss::extension::Extension| link.attrs.get("rel").is_some_and(|rel| rel == "self");
    place.own(links.iter().filter(is_self).filter_map(|link| link.attrs.get("href")), self_url)?;
    let mut ids = HashSet::new();
    for (at, item) in feed.items.iter().enumerate() {
        let place = place.item(at);
        if item.description.is_none() {
            place.required("title", item.title.as_deref())?;
        }
        let guid = item.guid.as_ref();
        if guid.is_some_and(|guid| guid.permalink) {
            return Err(place.fault("guid", "a permalink", "isPermaLink=\"false\" (InvalidHttpGUID)"));
        }
        place.unique("guid", guid.map(|guid| guid.value.as_str()), &mut ids)?;
        place.address("link", item.link.as_deref())?;
        place.mail_date("pubDate", item.pub_date.as_deref())?;
        place.prefixes(item.extensions.keys(), &feed.namespaces)?;
        let links = item.extensions.get("atom").and_then(|atom| atom.get("link")).into_iter().flatten();
        for link in links {
            place.address("atom:link", link.attrs.get("href").map(String::as_str))?;
        }
    }
    Ok(())
}

fn atom(text: &str, self_url: &str, place: Place) -> Result<(), Fault> {
    references(text, place)?;
    let feed = atom_syndication::Feed::read_from(text.as_bytes())
        .map_err(|error| place.fault("", error.to_string(), "well-formed Atom (SAXError)"))?;
    place.required("title", Some(&feed.title.value))?;
    place.iri("id", &feed.id)?;
    place.year("updated", feed.updated)?;
    place.own(feed.links.iter().filter(|link| link.rel == "self").map(|link| &link.href), self_url)?;
    for link in &feed.links {
        place.address("link", Some(&link.href))?;
    }
    let mut ids = HashSet::new();
    for (at, entry) in feed.entries.iter().enumerate() {
        let place = place.item(at);
        place.required("title", Some(&entry.title.value))?;
        place.iri("id", &entry.id)?;
        place.unique("id", Some(&entry.id), &mut ids)?;
        place.year("updated", entry.updated)?;
        if let Some(published) = entry.published {
            place.year("published", published)?;
        }
        for link in &entry.links {
            place.address("link", Some(&link.href))?;
        }
        // RFC 4287 §4.1.2: without content there must be an alternate; with two of one type it is not one entry.
        let alternates = entry.links.iter().filter(|link| link.rel == "alternate").count();
        if alternates != 1 {
            return Err(place.fault("link", format!("{alternates} of rel=alternate"), "one"));
        }
        if feed.authors.is_empty() && entry.authors.is_empty() {
            return Err(place.fault("author", "none", "one here or in the feed (RFC 4287 §4.1.1)"));
        }
    }
    Ok(())
}

fn json(bytes: &[u8], self_url: &str, place: Place) -> Result<(), Fault> {
    let feed: jsonfeed::Feed<'_> =
        serde_json::from_slice(bytes).map_err(|error| place.fault("", error.to_string(), "JSON Feed 1.1"))?;
    if feed.version != jsonfeed::VERSION {
        return Err(place.fault("version", feed.version, jsonfeed::VERSION));
    }
    place.required("title", Some(&feed.title))?;
    place.address("home_page_url", Some(&feed.home_page_url))?;
    place.own([feed.feed_url].iter(), self_url)?;
    let mut ids = HashSet::new();
    for (at, item) in feed.items.iter().enumerate() {
        let place = place.item(at);
        place.unique("id", Some(&item.id), &mut ids)?;
        place.address("url", Some(&item.url))?;
        place.address("print_url", Some(&item.extension.print_url))?;
        if item.content_html.is_none() && item.content_text.is_none() {
            return Err(place.fault("content_html", "nothing", "content_html or content_text"));
        }
        for (field, date) in [("date_published", &item.date_published), ("date_modified", &item.date_modified)] {
            let date = DateTime::parse_from_rfc3339(date)
                .map_err(|error| place.fault(field, format!("{date}: {error}"), "a date of RFC 3339"))?;
            place.year(field, date)?;
        }
    }
    Ok(())
}

/// Numbers in references stand for characters, and only for those that XML allows; the crates do not look. Within CDATA
/// there are no references.
fn references(text: &str, place: Place) -> Result<(), Fault> {
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        if let Some(data) = rest[..at].find("<![CDATA[") {
            rest = rest[data..].find("]]>").map_or("", |end| &rest[data + end..]);
            continue;
        }
        let number = &rest[at + 2..];
        // One without an end is no reference, and the parser says so.
        let digits = number.split(';').next().unwrap_or_default();
        let value = match digits.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => digits.parse(),
        };
        if !value.ok().and_then(char::from_u32).is_some_and(is_legal) {
            let expected = "references to characters of XML 1.0 (BadCharacters)";
            return Err(place.fault("", format!("&#{};", clip(digits)), expected));
        }
        rest = &number[digits.len()..];
    }
    Ok(())
}

/// The longest reference that makes sense is `x10FFFF`.
fn clip(digits: &str) -> &str {
    digits.char_indices().nth(8).map_or(digits, |(end, _)| &digits[..end])
}

/// Where in the feed a rule is applied.
#[derive(Clone, Copy)]
struct Place {
    format: Format,
    item: Option<usize>,
}

impl Place {
    fn item(self, at: usize) -> Place {
        Place { item: Some(at), ..self }
    }

    fn fault(self, field: &str, found: impl AsRef<str>, expected: &str) -> Fault {
        let item = self.item.map(|at| match self.format {
            Format::Rss => format!("item[{at}]."),
            Format::Atom => format!("entry[{at}]."),
            Format::Json => format!("items[{at}]."),
        });
        let item = item.unwrap_or_default();
        fault(self.format, &format!("{item}{field}"), found, expected)
    }

    fn required(self, field: &str, text: Option<&str>) -> Result<(), Fault> {
        match text {
            Some(text) if !text.trim().is_empty() => Ok(()),
            Some(_) | None => Err(self.fault(field, "nothing", "some text")),
        }
    }

    /// Absolute http or https (ContainsRelRef).
    fn address(self, field: &str, text: Option<&str>) -> Result<(), Fault> {
        let is_absolute = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        match text {
            Some(text) if Url::parse(text).as_ref().is_ok_and(is_absolute) => Ok(()),
            Some(text) => Err(self.fault(field, text, "an absolute address of http or https")),
            None => Err(self.fault(field, "nothing", "an absolute address of http or https")),
        }
    }

    fn iri(self, field: &str, text: &str) -> Result<(), Fault> {
        match Url::parse(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.fault(field, format!("\"{text}\""), "an IRI (RFC 4287 §4.2.6)")),
        }
    }

    /// (DuplicateIds)
    fn unique<'a>(self, field: &str, id: Option<&'a str>, seen: &mut HashSet<&'a str>) -> Result<(), Fault> {
        self.required(field, id)?;
        match id {
            Some(id) if !seen.insert(id) => Err(self.fault(field, id, "an id that no other item has")),
            Some(_) | None => Ok(()),
        }
    }

    /// The links to the feed itself (MissingAtomSelfLink, SelfDoesntMatchLocation).
    fn own<T: AsRef<str>>(self, links: impl Iterator<Item = T>, self_url: &str) -> Result<(), Fault> {
        let found = links.map(|link| link.as_ref().to_owned()).collect::<Vec<_>>();
        match found.as_slice() {
            [one] if one == self_url => self.address("self", Some(one)),
            other => Err(self.fault("self", format!("{other:?}"), self_url)),
        }
    }

    /// (ProblematicalRFC822Date, IncorrectDOW)
    fn mail_date(self, field: &str, text: Option<&str>) -> Result<(), Fault> {
        let text = text.unwrap_or_default();
        let has_long_year = text.split(' ').nth(3).is_some_and(|year| year.len() == 4);
        match DateTime::parse_from_rfc2822(text) {
            Ok(_) if has_long_year => Ok(()),
            Ok(_) | Err(_) => {
                Err(self.fault(field, format!("\"{text}\""), "a date such as Fri, 18 Dec 2020 12:03:00 +0000"))
            }
        }
    }

    fn year<T: Datelike>(self, field: &str, date: T) -> Result<(), Fault> {
        if (0..=9999).contains(&date.year()) {
            return Ok(());
        }
        Err(self.fault(field, date.year().to_string(), "a year of four digits"))
    }

    /// The crate reads and writes elements of a namespace that nobody declared; other parsers refuse the whole feed.
    fn prefixes<'a>(
        self,
        used: impl Iterator<Item = &'a String>,
        declared: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), Fault> {
        for prefix in used {
            if !declared.contains_key(prefix) {
                return Err(self.fault(prefix, "an undeclared namespace", "a declaration in the root element"));
            }
        }
        Ok(())
    }
}

fn fault(format: Format, place: &str, found: impl AsRef<str>, expected: &str) -> Fault {
    let name = match format {
        Format::Rss => "rss",
        Format::Atom => "atom",
        Format::Json => "json",
    };
    Fault::new(format!("{name}.{place}").trim_end_matches('.'), found, expected)
}
