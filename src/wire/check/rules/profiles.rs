//! What single aggregators ask for beyond the standards. It is advice: they contradict each other, and a newsroom decides
//! which of them it writes for. So none of these refuses a feed of ours.

use super::{Look, Rule, rule};
use crate::wire::check::findings::Severity::Advice;
use crate::wire::check::tree::{At, Kind, Space};
use crate::wire::html::scan::{Token, tokens_with_raw};

const GOOGLE: &str = "Google News, support.google.com/news/publisher-center/answer/9545420";
const APPLE: &str = "Apple News, support.apple.com/guide/news-publisher/apdc2c7520ff";
const FLATPLAN: &str = "Apple News by way of FlatPlan";
const FLIPBOARD: &str = "Flipboard, about.flipboard.com/rss-spec";
const JSON_FEED: &str = "JSON Feed 1.1, jsonfeed.org/version/1.1 (Suggestions for Publishers)";

/// Google's limits. A megabyte is taken as 2^20 bytes.
const GOOGLE_FEED_BYTES_MAX: usize = 2 << 20;
const GOOGLE_ARTICLE_BYTES_MAX: usize = 1 << 20;
const GOOGLE_ITEMS_MAX: usize = 60;
/// "Fine"; below 100 KB is ideal, and 1 MB a burden.
const JSON_FEED_BYTES_MAX: usize = 250_000;
const APPLE_TITLE_CHARS: std::ops::RangeInclusive<usize> = 15..=60;
const FLATPLAN_ITEMS: std::ops::RangeInclusive<usize> = 10..=60;
const FLIPBOARD_ITEMS_MIN: usize = 30;
const FLIPBOARD_WIDTH_MIN: u32 = 400;

const HEADS: &[&str] = &["rss/channel", "/atom:feed", ".feed/.items"];
const XML_HEADS: &[&str] = &["rss/channel", "/atom:feed"];
const ITEMS: &[&str] = &["channel/item", "atom:feed/atom:entry", ".items/.items[]"];
const XML_ITEMS: &[&str] = &["channel/item", "atom:feed/atom:entry"];
const TITLES: &[&str] = &["item/title", "atom:entry/atom:title"];

pub(super) const RULES: &[Rule] = &[
    rule(Advice, "FeedTooLarge", XML_HEADS, |look| size(look, GOOGLE_FEED_BYTES_MAX), "at most 2 MB", GOOGLE),
    rule(
        Advice,
        "FeedTooLarge",
        &["/.feed"],
        |look| size(look, JSON_FEED_BYTES_MAX),
        "at most 250 KB, best below 100 KB; 1 MB is a burden",
        JSON_FEED,
    ),
    rule(Advice, "ArticleTooLarge", ITEMS, article_size, "at most 1 MB", GOOGLE),
    rule(
        Advice,
        "TooManyItems",
        HEADS,
        |look| items(look, 0..=GOOGLE_ITEMS_MAX),
        "at most 60 new items a fetch",
        GOOGLE,
    ),
    rule(Advice, "ItemCount", XML_HEADS, |look| items(look, FLATPLAN_ITEMS), "10 to 60 items", FLATPLAN),
    rule(
        Advice,
        "ItemCount",
        XML_HEADS,
        |look| items(look, FLIPBOARD_ITEMS_MIN..=usize::MAX),
        "30 items or more",
        FLIPBOARD,
    ),
    rule(Advice, "TitleLength", TITLES, title_length, "15 to 60 characters", APPLE),
    rule(
        Advice,
        "LanguageWithoutLocale",
        &["channel/language"],
        |look| look.holds(look.text().contains('-')),
        "a language with its region, such as en-GB",
        APPLE,
    ),
    rule(
        Advice,
        "LanguageWithoutLocale",
        &["/atom:feed"],
        atom_language,
        "xml:lang with a language and its region, such as en-GB",
        APPLE,
    ),
    rule(
        Advice,
        "MissingElement",
        &["atom:feed/atom:entry"],
        |look| {
            for name in ["atom:title", "atom:link", "atom:summary"] {
                look.needs(name)
            }
        },
        "title, link and summary",
        APPLE,
    ),
    rule(
        Advice,
        "MissingElement",
        &["channel/item"],
        |look| {
            for name in ["title", "link", "description"] {
                look.needs(name)
            }
        },
        "title, link and description",
        APPLE,
    ),
    rule(
        Advice,
        "ReadMoreLink",
        &["item/description", "item/content:encoded", "*/atom:content"],
        read_more,
        "the whole text, and no link to the rest at its end",
        APPLE,
    ),
    rule(Advice, "MissingImage", XML_ITEMS, picture, "a picture of 400 pixels' width or more", FLIPBOARD),
    rule(Advice, "MissingHub", XML_HEADS, hub, "an atom:link rel=\"hub\"", FLIPBOARD),
];

fn size(look: &mut Look<'_, '_>, bytes_max: usize) {
    let bytes = look.about.text.len();
    if bytes > bytes_max {
        look.found(format!("{bytes} bytes"));
    }
}

fn article_size(look: &mut Look<'_, '_>) {
    let place = look.at.node().place.clone();
    if look.at.is_whole() && place.len() > GOOGLE_ARTICLE_BYTES_MAX {
        look.found(format!("{} bytes", place.len()));
    }
}

fn items(look: &mut Look<'_, '_>, allowed: std::ops::RangeInclusive<usize>) {
    let is_item = |child: &At<'_>| child.node().kind == Kind::Object || matches!(&*child.node().name, "item" | "entry");
    let count = look.at.children().filter(is_item).count();
    if look.at.is_whole() && !allowed.contains(&count) {
        look.found(format!("{count} items"));
    }
}

fn title_length(look: &mut Look<'_, '_>) {
    let chars = look.text().chars().count();
    if !APPLE_TITLE_CHARS.contains(&chars) {
        look.found(format!("{chars} characters"));
    }
}

fn atom_language(look: &mut Look<'_, '_>) {
    let language = look.at.attributes().find(|(space, name, _)| *space == Space::Xml && *name == "lang");
    match language {
        Some((_, _, language)) if language.contains('-') => {}
        Some((_, _, language)) => look.found(format!("\"{language}\"")),
        None => look.found("nothing"),
    }
}

/// A link with such words, or an ellipsis in a link, in the last words of the text.
fn read_more(look: &mut Look<'_, '_>) {
    let mut last = "";
    let mut in_link = false;
    let mut is_linked = false;
    for token in tokens_with_raw(&look.at.node().text) {
        match token {
            Token::Open { name, .. } if name.eq_ignore_ascii_case("a") => in_link = true,
            Token::Close { name } if name.eq_ignore_ascii_case("a") => in_link = false,
            Token::Text(text) if !text.trim().is_empty() => (last, is_linked) = (text.trim(), in_link),
            Token::Text(_) | Token::Open { .. } | Token::Close { .. } => {}
        }
    }
    let words = last.to_lowercase();
    let is_rest = ["read more", "continue reading", "read the rest"].iter().any(|known| words.starts_with(known));
    if is_linked && (is_rest || matches!(&*words, "…" | "..." | "[…]" | "[...]")) {
        look.found(format!("\"{last}\""));
    }
}

/// Pictures that say how wide they are, and are not wide enough, do not count; those that do not say it may be.
fn picture(look: &mut Look<'_, '_>) {
    let is_picture = |at: At<'_>| {
        let says = |name: &str, start: &str| at.attribute(name).is_some_and(|value| value.starts_with(start));
        let is_wide = at
            .attribute("width")
            .and_then(|width| width.parse().ok())
            .is_none_or(|width: u32| width >= FLIPBOARD_WIDTH_MIN);
        let is_image = match &*at.node().name {
            "thumbnail" => true,
            "enclosure" | "content" => says("type", "image/") || says("medium", "image"),
            "link" => at.attribute("rel") == Some("enclosure") && says("type", "image/"),
            "description" | "encoded" => return at.node().text.contains("<img"),
            _ => false,
        };
        is_image && is_wide || at.node().text.contains("<img")
    };
    let deep = |at: At<'_>| is_picture(at) || at.children().any(is_picture);
    if look.at.is_whole() && !look.at.children().any(deep) {
        look.found("none");
    }
}

fn hub(look: &mut Look<'_, '_>) {
    if !look.at.all("atom:link").any(|link| link.attribute("rel") == Some("hub")) && look.at.is_whole() {
        look.found("none");
    }
}
