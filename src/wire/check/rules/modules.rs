//! Modules that feeds carry beside their own vocabulary: Media RSS, tombstones, threads, Dublin Core, syndication,
//! comments, Feedly's looks.

use super::sources::{MEDIA, VALIDATOR};
use super::{Look, Rule, rule};
use crate::wire::check::findings::Severity::{Error, Warning};
use crate::wire::check::values::{
    internet_date, is_boolean, is_count, is_iri, is_media_type, is_w3c_date, is_web_address,
};

const CONTENT: &[&str] = &["*/media:content"];
const TOMBSTONE: &[&str] = &["*/at:deleted-entry"];
const RFC_6721: &str = "RFC 6721 §3";
const THREADS: &str = "RFC 4685 §3, §5";
const SYNDICATION: &str = "RSS 1.0 Syndication module, web.resource.org/rss/1.0/modules/syndication";
const SLASH: &str = "RSS 1.0 Slash module, web.resource.org/rss/1.0/modules/slash";
const FEEDLY: &str = "as the feeds that Feedly shows have it, webfeeds.org/rss/1.0";

pub(super) const RULES: &[Rule] = &[
    rule(
        Error,
        "MediaRssNamespace",
        &["*/mrss:content", "*/mrss:group", "*/mrss:thumbnail"],
        |look| look.found("http://search.yahoo.com/mrss"),
        "http://search.yahoo.com/mrss/, with the slash",
        MEDIA,
    ),
    rule(Error, "MissingAttribute", CONTENT, media_url, "url, or media:player within", MEDIA),
    rule(
        Error,
        "InvalidURLAttribute",
        &["*/media:content", "*/media:thumbnail", "*/media:player"],
        |look| look.attribute("url", is_web_address),
        "an absolute address of http or https",
        MEDIA,
    ),
    rule(
        Error,
        "MissingAttribute",
        &["*/media:thumbnail", "*/media:player"],
        |look| look.needs_attribute("url"),
        "url",
        MEDIA,
    ),
    rule(Error, "InvalidMIMEAttribute", CONTENT, |look| look.attribute("type", is_media_type), "a media type", MEDIA),
    rule(
        Error,
        "InvalidMediaMedium",
        CONTENT,
        |look| look.attribute("medium", is_medium),
        "image, audio, video, document or executable",
        MEDIA,
    ),
    rule(
        Error,
        "InvalidMediaExpression",
        CONTENT,
        |look| look.attribute("expression", |text| matches!(text, "full" | "sample" | "nonstop")),
        "full, sample or nonstop",
        MEDIA,
    ),
    rule(
        Error,
        "InvalidBooleanAttribute",
        CONTENT,
        |look| look.attribute("isDefault", is_boolean),
        "true or false",
        MEDIA,
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        CONTENT,
        |look| {
            for name in ["fileSize", "width", "height", "duration"] {
                look.attribute(name, is_count)
            }
        },
        "a number",
        MEDIA,
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        &["*/media:thumbnail"],
        |look| {
            for name in ["width", "height"] {
                look.attribute(name, is_count)
            }
        },
        "a number",
        MEDIA,
    ),
    rule(
        Error,
        "InvalidMediaTextType",
        &["*/media:title", "*/media:description", "*/media:text"],
        |look| look.attribute("type", |kind| matches!(kind, "plain" | "html")),
        "plain or html",
        MEDIA,
    ),
    rule(
        Error,
        "MediaGroupWithoutAlternatives",
        &["*/media:group"],
        |look| {
            if look.at.all("media:content").nth(1).is_none() {
                look.found("fewer than two media:content")
            }
        },
        "several forms of one thing",
        MEDIA,
    ),
    rule(Warning, "DeprecatedMediaAdult", &["*/media:adult"], |look| look.found("media:adult"), "media:rating", MEDIA),
    rule(
        Error,
        "MissingAttribute",
        TOMBSTONE,
        |look| {
            for name in ["ref", "when"] {
                look.needs_attribute(name)
            }
        },
        "ref and when",
        RFC_6721,
    ),
    rule(Error, "InvalidIRI", TOMBSTONE, |look| look.attribute("ref", is_iri), "the id of an entry, an IRI", RFC_6721),
    rule(
        Error,
        "InvalidRFC3339Date",
        TOMBSTONE,
        |look| look.attribute("when", |when| internet_date(when).is_some()),
        "a date such as 2020-12-18T12:03:00Z",
        RFC_6721,
    ),
    rule(Error, "DeletedAndPresent", &["/atom:feed"], deleted, "an entry, or its tombstone, by their dates", RFC_6721),
    rule(
        Error,
        "MissingAttribute",
        &["*/thr:in-reply-to"],
        |look| {
            if look.at.attribute("href").is_none() {
                look.needs_attribute("ref")
            }
        },
        "ref, or href",
        THREADS,
    ),
    rule(
        Error,
        "InvalidIRI",
        &["*/thr:in-reply-to"],
        |look| {
            for name in ["ref", "href", "source"] {
                look.attribute(name, is_iri)
            }
        },
        "an IRI",
        THREADS,
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        &["*/thr:total"],
        |look| look.holds(is_count(look.text())),
        "a number",
        THREADS,
    ),
    rule(
        Error,
        "InvalidUpdatePeriod",
        &["*/sy:updatePeriod"],
        |look| look.holds(matches!(look.text(), "hourly" | "daily" | "weekly" | "monthly" | "yearly")),
        "hourly, daily, weekly, monthly or yearly",
        SYNDICATION,
    ),
    rule(
        Error,
        "InvalidPositiveInteger",
        &["*/sy:updateFrequency"],
        |look| look.holds(is_count(look.text()) && look.text() != "0"),
        "a number above nought",
        SYNDICATION,
    ),
    rule(
        Error,
        "InvalidW3CDTFDate",
        &["*/sy:updateBase", "*/dc:date"],
        |look| look.holds(is_w3c_date(look.text())),
        "a date such as 2020-12-18T12:03:00Z",
        "W3C Date and Time Formats",
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        &["*/slash:comments"],
        |look| look.holds(is_count(look.text())),
        "a number",
        SLASH,
    ),
    rule(
        Error,
        "InvalidFullLink",
        &["*/wfw:commentRss", "*/wfw:comment"],
        |look| look.holds(is_web_address(look.text())),
        "an absolute address of http or https",
        VALIDATOR,
    ),
    rule(Warning, "CommentRSS", &["*/wfw:commentRSS"], |look| look.found("commentRSS"), "wfw:commentRss", VALIDATOR),
    rule(
        Warning,
        "NotBlank",
        &["*/dc:creator", "*/dc:language", "*/media:credit"],
        |look| look.holds(!look.text().is_empty()),
        "some text, or no such element",
        VALIDATOR,
    ),
    rule(
        Warning,
        "InvalidFullLink",
        &["*/webfeeds:icon", "*/webfeeds:logo"],
        |look| look.holds(is_web_address(look.text())),
        "an absolute address of http or https",
        FEEDLY,
    ),
    rule(
        Warning,
        "InvalidColor",
        &["*/webfeeds:accentColor"],
        |look| look.holds(is_colour(look.text())),
        "a colour such as 8b1a1a",
        FEEDLY,
    ),
];

fn media_url(look: &mut Look<'_, '_>) {
    if look.at.child("media:player").is_none() {
        look.needs_attribute("url");
    }
}

fn is_medium(text: &str) -> bool {
    matches!(text, "image" | "audio" | "video" | "document" | "executable")
}

fn is_colour(text: &str) -> bool {
    let digits = text.trim_start_matches('#');
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An entry that is there though a later tombstone says that it is gone (RFC 6721 §3: the newer one counts).
fn deleted(look: &mut Look<'_, '_>) {
    let tombstones: std::collections::HashMap<_, _> =
        look.at.all("at:deleted-entry").filter_map(|gone| Some((gone.attribute("ref")?, gone))).collect();
    if tombstones.is_empty() {
        return;
    }
    for entry in look.at.all("atom:entry") {
        let text = |name| entry.child(name).map_or("", crate::wire::check::tree::At::text);
        let Some(gone) = tombstones.get(text("atom:id")) else { continue };
        let when = gone.attribute("when").and_then(internet_date);
        if when.is_some() && when >= internet_date(text("atom:updated")) {
            look.found_at(*gone, "", format!("\"{}\", which is there", text("atom:id")));
        }
    }
}
