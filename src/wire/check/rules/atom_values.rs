//! What stands in the elements of Atom 1.0: ids, dates, texts, people.

use super::sources::VALIDATOR;
use super::{Look, Rule, one, rule};
use crate::wire::check::findings::Severity::{Advice, Error, Warning};
use crate::wire::check::tree::{Kind, Space};
use crate::wire::check::values::{internet_date, is_implausible, is_iri, is_mail_address, is_media_type};

const TEXTS: &[&str] = &["*/atom:title", "*/atom:summary", "*/atom:subtitle", "*/atom:rights"];
const PEOPLE: &[&str] = &["*/atom:author", "*/atom:contributor"];

pub(super) const RULES: &[Rule] = &[
    rule(
        Error,
        "InvalidFullLink",
        &["*/atom:id"],
        |look| look.holds(is_iri(look.text())),
        "an absolute IRI",
        "RFC 4287 §4.2.6",
    ),
    rule(
        Error,
        "InvalidRFC3339Date",
        &["*/atom:updated", "*/atom:published"],
        date,
        "a date such as 2020-12-18T12:03:00Z",
        "RFC 4287 §3.3",
    ),
    rule(
        Error,
        "InvalidTextType",
        TEXTS,
        |look| look.attribute("type", |kind| matches!(kind, "text" | "html" | "xhtml")),
        "text, html or xhtml",
        "RFC 4287 §3.1.1",
    ),
    rule(
        Error,
        "InvalidMIMEType",
        &["*/atom:content"],
        |look| look.attribute("type", is_content_type),
        "text, html, xhtml or a media type",
        "RFC 4287 §4.1.3.1",
    ),
    rule(
        Error,
        "MissingXhtmlDiv",
        &["*/atom:title", "*/atom:summary", "*/atom:content", "*/atom:rights"],
        xhtml_div,
        "one xhtml:div",
        "RFC 4287 §3.1.1.3",
    ),
    rule(Error, "UnexpectedText", &["*/atom:content"], empty_with_src, "nothing beside src", "RFC 4287 §4.1.3.2"),
    rule(
        Error,
        "InvalidIRI",
        &["*/atom:content"],
        |look| look.attribute("src", is_iri),
        "an absolute IRI",
        "RFC 4287 §4.1.3.2",
    ),
    rule(
        Error,
        "UndefinedElement",
        TEXTS,
        elements_in_text,
        "text: markup is escaped, or of type xhtml",
        "RFC 4287 §3.1.1",
    ),
    rule(Advice, "ContainsUndeclaredHTML", TEXTS, undeclared, "type=\"html\" for what is HTML", VALIDATOR),
    rule(
        Warning,
        "NotBlank",
        &["atom:feed/atom:title", "atom:entry/atom:title"],
        |look| look.holds(look.at.has_text()),
        "some text",
        VALIDATOR,
    ),
    rule(Error, "MissingElement", PEOPLE, |look| look.needs("atom:name"), "atom:name", "RFC 4287 §3.2.1"),
    rule(
        Error,
        "DuplicateElement",
        PEOPLE,
        |look| look.at_most_one(&[one("atom:name"), one("atom:uri"), one("atom:email")]),
        "one of it",
        "RFC 4287 §3.2",
    ),
    rule(
        Error,
        "NotBlank",
        &["atom:author/atom:name", "atom:contributor/atom:name"],
        |look| look.holds(!look.text().is_empty()),
        "a name",
        "RFC 4287 §3.2.1",
    ),
    rule(
        Error,
        "InvalidAddrSpec",
        &["*/atom:email"],
        |look| look.holds(is_mail_address(look.text())),
        "mail@example.org",
        "RFC 4287 §3.2.3",
    ),
    rule(
        Error,
        "InvalidIRI",
        &["*/atom:uri", "*/atom:icon", "*/atom:logo"],
        |look| look.holds(is_iri(look.text()) || super::html::has_base(look.at)),
        "an absolute IRI",
        "RFC 4287 §3.2.2, §4.2.5, §4.2.8",
    ),
    rule(
        Error,
        "MissingAttribute",
        &["*/atom:category"],
        |look| look.needs_attribute("term"),
        "a term",
        "RFC 4287 §4.2.2.1",
    ),
    rule(
        Error,
        "InvalidIRI",
        &["*/atom:category"],
        |look| look.attribute("scheme", is_iri),
        "an IRI",
        "RFC 4287 §4.2.2.2",
    ),
    rule(Error, "InvalidIRI", &["*/atom:generator"], |look| look.attribute("uri", is_iri), "an IRI", "RFC 4287 §4.2.4"),
];

fn date(look: &mut Look<'_, '_>) {
    match internet_date(look.text()) {
        None => look.holds(false),
        Some(date) if is_implausible(date, look.about.now) => {
            look.tell(&super::rss_values::IMPLAUSIBLE, format!("\"{}\"", look.text()));
        }
        Some(_) => {}
    }
}

fn is_content_type(kind: &str) -> bool {
    matches!(kind, "text" | "html" | "xhtml") || (is_media_type(kind) && !kind.starts_with("multipart/"))
}

fn xhtml_div(look: &mut Look<'_, '_>) {
    if look.at.attribute("type") != Some("xhtml") || !look.at.is_whole() {
        return;
    }
    let mut children = look.at.children();
    let is_div = children.next().is_some_and(|child| child.is(Space::Xhtml, "div"));
    if !is_div || children.next().is_some() {
        look.found("no xhtml:div around all of it");
    }
}

fn empty_with_src(look: &mut Look<'_, '_>) {
    if look.at.attribute("src").is_some() && look.at.has_text() {
        look.found("text beside src");
    }
}

fn elements_in_text(look: &mut Look<'_, '_>) {
    if look.at.attribute("type") != Some("xhtml")
        && let Some(child) = look.at.children().find(|child| child.node().kind == Kind::Xml)
    {
        look.found_at(child, "", format!("<{}>", child.node().name));
    }
}

/// A guess, since a text may be about HTML.
fn undeclared(look: &mut Look<'_, '_>) {
    let text = look.text();
    let is_text = matches!(look.at.attribute("type"), None | Some("text"));
    if let Some(at) = text.find("</").filter(|at| is_text && text[at + 2..].starts_with(|c: char| c.is_alphabetic())) {
        look.found(&text[at..]);
    }
}
