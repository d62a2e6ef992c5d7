//! HTML in feeds: links that lead nowhere from a reader, and what a reader has to take out before it can show the text.

use super::sources::VALIDATOR;
use super::{Look, Rule, by_another, rule};
use crate::wire::check::findings::Severity::Warning;
use crate::wire::check::tree::{At, Kind, Space};
use crate::wire::check::values::is_relative;
use crate::wire::html::scan::{Token, attributes, tokens_with_raw};

static RISK: Rule =
    rule(Warning, "SecurityRisk", &[], by_another, "elements that only show text and pictures", VALIDATOR);
static RISK_ATTRIBUTE: Rule =
    rule(Warning, "SecurityRiskAttr", &[], by_another, "no attribute that runs or hides anything", VALIDATOR);
static RISK_STYLE: Rule =
    rule(Warning, "DangerousStyleAttr", &[], by_another, "no style that moves, loads or runs anything", VALIDATOR);

/// Where HTML stands as text; Atom's is looked at by its type.
const WHERE: &[&str] = &[
    "item/description",
    "item/content:encoded",
    "*/atom:content",
    "*/atom:summary",
    "*/atom:title",
    "*/atom:subtitle",
    "*/atom:rights",
    ".items[]/.content_html",
];

pub(super) const RULES: &[Rule] = &[
    rule(Warning, "ContainsRelRef", WHERE, look, "absolute addresses", VALIDATOR),
    rule(Warning, "SecurityRisk", &[], by_another, RISK.expected, VALIDATOR),
    rule(Warning, "SecurityRiskAttr", &[], by_another, RISK_ATTRIBUTE.expected, VALIDATOR),
    rule(Warning, "DangerousStyleAttr", &[], by_another, RISK_STYLE.expected, VALIDATOR),
];

/// Elements that readers take out, since they run, load, or change the page around the text.
const RISKY: [&str; 23] = [
    "applet",
    "base",
    "bgsound",
    "body",
    "comment",
    "embed",
    "frame",
    "frameset",
    "head",
    "html",
    "iframe",
    "layer",
    "link",
    "listing",
    "meta",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "plaintext",
    "script",
    "style",
    "xmp",
];
/// Attributes that hold an address.
const ADDRESSES: [&str; 8] = ["action", "background", "cite", "data", "href", "longdesc", "poster", "src"];

fn look(look: &mut Look<'_, '_>) {
    let node = look.at.node();
    if node.space != Space::Atom {
        return markup(look, &node.text);
    }
    match look.at.attribute("type") {
        Some("html" | "text/html") => markup(look, &node.text),
        Some("xhtml" | "application/xhtml+xml") => elements(look, look.at),
        Some(_) | None => {}
    }
}

fn markup(look: &mut Look<'_, '_>, html: &str) {
    if !html.contains('<') {
        return;
    }
    for token in tokens_with_raw(html) {
        if let Token::Open { name, attributes: text } = token {
            element(look, name);
            for (name, value) in attributes(text) {
                attribute(look, name, value);
            }
        }
    }
}

/// XHTML, which stands in the feed as elements of its own.
fn elements(look: &mut Look<'_, '_>, at: At<'_>) {
    for child in at.children().filter(|child| child.node().kind == Kind::Xml) {
        element(look, &child.node().name);
        for (_, name, value) in child.attributes() {
            attribute(look, name, value);
        }
        elements(look, child);
    }
}

fn element(look: &mut Look<'_, '_>, name: &str) {
    if RISKY.iter().any(|risky| risky.eq_ignore_ascii_case(name)) {
        look.tell(&RISK, format!("<{name}>"));
    }
}

fn attribute(look: &mut Look<'_, '_>, name: &str, value: &str) {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("on")) {
        look.tell(&RISK_ATTRIBUTE, format!("{name}=\"{value}\""));
    } else if ADDRESSES.iter().any(&is) {
        let scheme = value.trim_start().split(':').next().unwrap_or_default();
        if ["javascript", "vbscript"].iter().any(|risky| risky.eq_ignore_ascii_case(scheme)) {
            look.tell(&RISK_ATTRIBUTE, format!("{name}=\"{value}\""));
        } else if is_relative(value) && !has_base(look.at) {
            look.found(format!("{name}=\"{value}\""));
        }
    } else if is(&"srcset") {
        for one in value.split(',').filter_map(|one| one.split_whitespace().next()) {
            if is_relative(one) && !has_base(look.at) {
                look.found(format!("srcset with {one}"));
            }
        }
    } else if is(&"style") {
        let style = value.to_ascii_lowercase();
        let risky = ["expression", "url(", "behavior", "binding", "position", "javascript", "@import"];
        if risky.iter().any(|risky| style.contains(risky)) {
            look.tell(&RISK_STYLE, format!("style=\"{value}\""));
        }
    }
}

/// In Atom an `xml:base` says what relative addresses are relative to (RFC 4287 §2).
pub(super) fn has_base(at: At<'_>) -> bool {
    std::iter::successors(Some(at), |at| at.parent())
        .any(|at| at.attributes().any(|(space, name, _)| space == Space::Xml && name == "base"))
}
