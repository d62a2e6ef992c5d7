//! RSS 2.0: its specification, and the RSS Advisory Board's Best Practices Profile.

use super::sources::{PROFILE, RSS, VALIDATOR};
use super::{Child, Look, Rule, any, one, rule};
use crate::wire::check::Dialect;
use crate::wire::check::findings::Severity::{Advice, Error, Warning};
use crate::wire::check::tree::Space;
use crate::wire::check::values::{is_boolean, is_iri};

/// The name of the rule about ids that are small numbers.
pub(in crate::wire::check) const NOT_UNIQUE: &str = "NotSufficientlyUnique";

/// Elements of the whole.
const RSS_CHILDREN: &[Child] = &[one("channel")];
/// Elements of a channel, with those of modules that there is one of.
const CHANNEL: &[Child] = &[
    one("title"),
    one("link"),
    one("description"),
    one("language"),
    one("copyright"),
    one("managingEditor"),
    one("webMaster"),
    one("pubDate"),
    one("lastBuildDate"),
    any("category"),
    one("generator"),
    one("docs"),
    one("cloud"),
    one("ttl"),
    one("image"),
    one("rating"),
    one("textInput"),
    one("skipHours"),
    one("skipDays"),
    any("item"),
    one("fh:archive"),
    one("fh:complete"),
    one("sy:updatePeriod"),
    one("sy:updateFrequency"),
    one("sy:updateBase"),
    one("webfeeds:icon"),
    one("webfeeds:logo"),
    one("webfeeds:accentColor"),
];
/// The same of an item.
const ITEM: &[Child] = &[
    one("title"),
    one("link"),
    one("description"),
    one("author"),
    any("category"),
    one("comments"),
    any("enclosure"),
    one("guid"),
    one("pubDate"),
    one("source"),
    one("content:encoded"),
    one("slash:comments"),
    one("wfw:commentRss"),
];
/// Elements that hold plain text.
const PLAIN: &[&str] = &[
    "channel/title",
    "channel/copyright",
    "channel/category",
    "item/title",
    "item/category",
    "item/source",
    "item/dc:creator",
    "image/title",
    "*/media:credit",
    "*/media:title",
];

pub(super) const RULES: &[Rule] = &[
    rule(Error, "MissingElement", &["/rss"], |look| look.needs("channel"), "a channel", RSS),
    rule(Error, "UndefinedElement", &["/rss"], |look| look.only(Space::Plain, RSS_CHILDREN), "a channel alone", RSS),
    rule(Error, "DuplicateElement", &["/rss"], |look| look.at_most_one(RSS_CHILDREN), "one channel", RSS),
    rule(Error, "MissingTitle", &["rss/channel"], |look| look.needs("title"), "a title", RSS),
    rule(Error, "MissingLink", &["rss/channel"], |look| look.needs("link"), "the address of the site", RSS),
    rule(Error, "MissingDescription", &["rss/channel"], |look| look.needs("description"), "a description", RSS),
    rule(Error, "DuplicateElement", &["rss/channel"], |look| look.at_most_one(CHANNEL), "one of it", RSS),
    rule(
        Error,
        "UndefinedElement",
        &["rss/channel"],
        |look| look.only(Space::Plain, CHANNEL),
        "an element of RSS",
        RSS,
    ),
    rule(Warning, "MisplacedItem", &["rss/channel"], misplaced, "items behind all else", PROFILE),
    rule(
        Warning,
        "NotBlank",
        &["channel/title", "channel/description"],
        |look| look.holds(look.at.has_text()),
        "some text",
        VALIDATOR,
    ),
    rule(
        Error,
        "ItemMustContainTitleOrDescription",
        &["channel/item"],
        title_or_description,
        "a title or a description",
        RSS,
    ),
    rule(Error, "DuplicateElement", &["channel/item"], |look| look.at_most_one(ITEM), "one of it", RSS),
    rule(Error, "UndefinedElement", &["channel/item"], |look| look.only(Space::Plain, ITEM), "an element of RSS", RSS),
    rule(
        Warning,
        "DuplicateEnclosure",
        &["channel/item"],
        |look| look.at_most_one(&[one("enclosure")]),
        "one enclosure: readers take the first or the last",
        PROFILE,
    ),
    rule(
        Warning,
        "NeedDescriptionBeforeContent",
        &["channel/item"],
        description_first,
        "a description before content:encoded",
        PROFILE,
    ),
    rule(
        Warning,
        "SlashDate",
        &["channel/item"],
        slash_date,
        "a lastBuildDate in the channel beside slash:comments",
        PROFILE,
    ),
    rule(Warning, "DuplicateItemSemantics", &["channel/item"], semantics, "one element for one thing", VALIDATOR),
    rule(
        Warning,
        "MissingGuid",
        &["channel/item"],
        |look| {
            if look.about.dialect == Dialect::Rss2 {
                look.needs("guid")
            }
        },
        "a guid: by it readers know what they have shown",
        PROFILE,
    ),
    rule(Error, "InvalidHttpGUID", &["item/guid"], http_guid, "a full address, or isPermaLink=\"false\"", RSS),
    rule(
        Error,
        "InvalidPermalink",
        &["item/guid"],
        permalink,
        "isPermaLink=\"false\" for an id that leads nowhere",
        RSS,
    ),
    rule(
        Error,
        "InvalidBooleanAttribute",
        &["item/guid"],
        |look| look.attribute("isPermaLink", is_boolean),
        "true or false",
        RSS,
    ),
    rule(Warning, NOT_UNIQUE, &["item/guid"], small_number, "an id that no other feed has as well", PROFILE),
    rule(Error, "NotBlank", &["item/guid"], |look| look.holds(!look.text().is_empty()), "an id", RSS),
    rule(
        Error,
        "DuplicateIds",
        &["rss/channel"],
        |look| look.repeated(look.at.all("item").filter_map(|item| item.child("guid"))),
        "an id that no other item has",
        RSS,
    ),
    rule(Warning, "CharacterData", PLAIN, character_data, "&#x26;, &#x3C; and &#x3E; in plain text", PROFILE),
    rule(Advice, "ContainsHTML", PLAIN, html_in_text, "plain text", VALIDATOR),
    rule(
        Warning,
        "AvoidTextInput",
        &["channel/textInput"],
        |look| look.found("textInput"),
        "none: no reader shows it",
        PROFILE,
    ),
    rule(
        Warning,
        "ImageTitleDoesntMatch",
        &["channel/image"],
        |look| same_as_channel(look, "title"),
        "the channel's title",
        PROFILE,
    ),
    rule(
        Warning,
        "ImageLinkDoesntMatch",
        &["channel/image"],
        |look| same_as_channel(look, "link"),
        "the channel's link",
        VALIDATOR,
    ),
    rule(
        Error,
        "MissingElement",
        &["channel/image"],
        |look| {
            for name in ["url", "title", "link"] {
                look.needs(name)
            }
        },
        "url, title and link",
        RSS,
    ),
    rule(Warning, "MissingAtomSelfLink", &["rss/channel"], self_link, "one atom:link rel=\"self\"", PROFILE),
];

fn misplaced(look: &mut Look<'_, '_>) {
    let mut items = look.at.children().skip_while(|child| !child.is(Space::Plain, "item"));
    if let Some(behind) = items.find(|child| !child.is(Space::Plain, "item")) {
        look.found_at(behind, "", format!("<{}> behind an item", behind.node().name));
    }
}

fn title_or_description(look: &mut Look<'_, '_>) {
    let has = |name| look.at.child(name).is_some_and(|child| child.has_text());
    if look.at.is_whole() && !has("title") && !has("description") {
        look.found("neither");
    }
}

fn description_first(look: &mut Look<'_, '_>) {
    let Some(content) = look.at.child("content:encoded") else { return };
    match look.at.child("description") {
        None => look.found_at(content, "", "no description"),
        Some(description) if description.node().place.start > content.node().place.start => {
            look.found_at(content, "", "the description behind it");
        }
        Some(_) => {}
    }
}

fn slash_date(look: &mut Look<'_, '_>) {
    let has_date = look.at.parent().is_some_and(|channel| channel.child("lastBuildDate").is_some());
    if let Some(comments) = look.at.child("slash:comments").filter(|_| !has_date) {
        look.found_at(comments, "", "no lastBuildDate");
    }
}

/// The same thing said by RSS and by a module.
fn semantics(look: &mut Look<'_, '_>) {
    for (own, module) in
        [("author", "dc:creator"), ("pubDate", "dc:date"), ("guid", "atom:id"), ("pubDate", "atom:published")]
    {
        if let (Some(_), Some(other)) = (look.at.child(own), look.at.child(module)) {
            look.found_at(other, "", format!("{own} and {module}"));
        }
    }
}

fn is_permalink(look: &Look<'_, '_>) -> bool {
    look.at.attribute("isPermaLink") != Some("false")
}

fn http_guid(look: &mut Look<'_, '_>) {
    if is_permalink(look) {
        look.holds(is_iri(look.text()));
    }
}

fn permalink(look: &mut Look<'_, '_>) {
    let text = look.text().to_ascii_lowercase();
    let leads_nowhere = is_iri(&text) && !text.starts_with("http:") && !text.starts_with("https:");
    look.holds(!(is_permalink(look) && leads_nowhere));
}

/// Up to eight digits, as the validator counts.
fn small_number(look: &mut Look<'_, '_>) {
    let text = look.text();
    look.holds(text.is_empty() || text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_digit()));
}

/// Named references where the profile asks for numbers: more readers show them right.
fn character_data(look: &mut Look<'_, '_>) {
    if !matches!(look.about.dialect, Dialect::Rss2 | Dialect::Rss09) {
        return;
    }
    let raw = look.about.text.get(look.at.node().inner.clone()).unwrap_or_default();
    if raw.contains("<![CDATA[") {
        return;
    }
    if let Some(named) = ["&amp;", "&lt;", "&gt;"].iter().find(|named| raw.contains(*named)) {
        look.found(*named);
    }
}

/// A guess, since a title may be about HTML: so this is for people to judge.
fn html_in_text(look: &mut Look<'_, '_>) {
    let text = look.text();
    let end_tag =
        text.find("</").map(|at| &text[at..]).filter(|rest| rest[2..].starts_with(|c: char| c.is_alphabetic()));
    let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&nbsp;", "&#"].iter().find(|entity| text.contains(*entity));
    if let Some(found) = end_tag.or(entity.copied()) {
        look.found(found);
    }
}

fn same_as_channel(look: &mut Look<'_, '_>, name: &'static str) {
    let channel = look.at.parent().and_then(|channel| channel.child(name));
    if let (Some(own), Some(channel)) = (look.at.child(name), channel)
        && own.text() != channel.text()
    {
        look.found_at(own, "", format!("\"{}\"", own.text()));
    }
}

fn self_link(look: &mut Look<'_, '_>) {
    let own: Vec<_> = look.at.all("atom:link").filter(|link| link.attribute("rel") == Some("self")).collect();
    if own.is_empty() && look.at.is_whole() {
        look.found_at(look.at, "atom:link", "nothing");
    }
    if let Some(second) = own.get(1) {
        look.found_at(*second, "", "another one");
    }
}
