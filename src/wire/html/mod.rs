//! HTML: made safe and absolute at the door; turned into text, a summary and numbered notes behind it.
//!
//! [`sanitise`] and [`markdown`] take anything. The others take what these two have made: markup that is well
//! nested, at most as deep as `tidy` lets through, with every `<`, `>`, `&` and `"` escaped where it is text.

mod prose;
pub(super) mod scan;
mod shorten;
mod tidy;

pub use shorten::{Shortened, for_mail};

use crate::domain::{clean_block, clean_line};
use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};
use scan::{Token, attributes, tokens};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use tidy::VOID;
use url::Url;

/// Columns of the text part of a mail: RFC 5322 §2.1.1 asks for at most 78, and quoting takes some.
const TEXT_COLUMNS: usize = 72;

/// Schemes that a reader can follow from a feed, a page and a mail.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

/// `html` of any origin as HTML that can be sent anywhere: no scripts, styles, frames, forms or event handlers,
/// no character that XML forbids (nor a reference to one), every link and image absolute against `base`.
/// Whatever it holds, it takes time in proportion to its length: see `tidy`.
pub fn sanitise(html: &str, base: &Url) -> String {
    BASE.set(Some(base.clone()));
    let clean = RULES.clean(&tidy::tidy(&clean_block(html))).to_string();
    let cleaner = clean_block(&clean);
    if cleaner == clean {
        return clean;
    }
    // A reference such as `&#11;` has become its character only now. Taking it out changes a text that was already
    // judged, so it is judged again.
    RULES.clean(&cleaner).to_string()
}

thread_local! {
    /// What the links of the text in hand are relative to. The rules cannot be told otherwise without being made anew.
    static BASE: RefCell<Option<Url>> = const { RefCell::new(None) };
}

/// Many small tables: made once.
static RULES: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .tags(HashSet::from(tidy::TAGS))
        .add_tag_attributes("time", ["datetime"])
        // Direction is meaning in Hebrew and Arabic text.
        .add_generic_attributes(["dir"])
        .rm_tag_attributes("bdo", ["dir"])
        .url_schemes(HashSet::from(SCHEMES))
        .url_relative(UrlRelative::Custom(Box::new(absolute)))
        // `target` does not survive, so there is no opener to protect; and who is linked to may know from where.
        .link_rel(None);
    builder
});

fn absolute(url: &str) -> Option<Cow<'_, str>> {
    BASE.with_borrow(|base| base.as_ref()?.join(url).ok()).map(|url| Cow::Owned(url.into()))
}

/// Markdown (CommonMark with tables, strikethrough and footnotes) as sanitised HTML. HTML within it is kept as far
/// as [`sanitise`] keeps it.
pub fn markdown(text: &str, base: &Url) -> String {
    BASE.set(Some(base.clone()));
    match prose::html(Parser::new_ext(text, MARKDOWN), text.len()) {
        Some(html) => clean_block(&html),
        None => any_markdown(text, base),
    }
}

const MARKDOWN: Options = Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH).union(Options::ENABLE_FOOTNOTES);

#[expect(clippy::wildcard_enum_match_arm, reason = "all but three of the parser's events pass as they are")]
fn any_markdown(text: &str, base: &Url) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 4);
    let mut numbers: HashMap<CowStr<'_>, usize> = HashMap::new();
    let mut number = move |label: CowStr<'_>| -> usize {
        let next = numbers.len() + 1;
        *numbers.entry(CowStr::from(label.into_string())).or_insert(next)
    };
    // Footnotes are numbered text and not links: a fragment leads nowhere in a feed reader or a mail.
    let events = Parser::new_ext(text, MARKDOWN).map(|event| match event {
        Event::FootnoteReference(label) => Event::InlineHtml(format!("<sup>[{}]</sup>", number(label)).into()),
        Event::Start(Tag::FootnoteDefinition(label)) => Event::Html(format!("<div>[{}] ", number(label)).into()),
        Event::End(TagEnd::FootnoteDefinition) => Event::Html("</div>\n".into()),
        other => other,
    });
    pulldown_cmark::html::push_html(&mut html, events);
    sanitise(&html, base)
}

/// Is there nothing to see in it: no text and no picture?
pub fn is_blank(html: &str) -> bool {
    tokens(html).all(|token| match token {
        Token::Text(text) => decode(text).chars().all(char::is_whitespace),
        Token::Open { name, .. } => name != "img",
        Token::Close { .. } => true,
    })
}

/// The text part of a mail: paragraphs wrapped at 72 columns, links numbered, their addresses at the end.
pub fn text(html: &str) -> String {
    let config = html2text::config::plain_no_decorate()
        .link_footnotes(true)
        .no_link_wrapping()
        .no_table_borders()
        .unicode_strikeout(false)
        .allow_width_overflow();
    match config.string_from_read(html.as_bytes(), TEXT_COLUMNS) {
        Ok(text) if text.len() <= 2 * html.len() + 20 * TEXT_COLUMNS => text,
        // A layout that cannot be drawn in so many columns is no reason to leave the text out; nor is one that is mostly
        // margin, as quotes of quotes are.
        Ok(_) | Err(_) => plain(html, &[]).join("\n\n"),
    }
}

/// The first paragraphs as plain text of at most `chars_max` characters, cut behind a sentence or a word.
/// Headings, captions, tables and code do not count. None where nothing is left.
pub fn summary(html: &str, chars_max: usize) -> Option<String> {
    let mut out = String::new();
    for paragraph in plain(html, &NOT_PROSE) {
        if !out.is_empty() {
            // One short line is followed by the next paragraph; a real first paragraph stands alone.
            if out.chars().count() >= chars_max / 3 {
                break;
            }
            out.push(' ');
        }
        out.push_str(&paragraph);
    }
    (!out.is_empty()).then(|| cut(out, chars_max))
}

/// `html` with a number behind each link, and the links' targets in the order of their numbers: for paper, where
/// nothing can be followed. One target has one number.
pub fn notes(html: &str) -> (String, Vec<String>) {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    let mut targets: Vec<String> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut open = None;
    for token in tokens(html) {
        match token {
            Token::Text(text) => out.push_str(text),
            Token::Open { name, attributes: text } => {
                if name == "a" {
                    open = attributes(text).find(|(name, _)| *name == "href").map(|(_, value)| decode(value));
                }
                out.push_str(&format!("<{name}{text}>"));
            }
            Token::Close { name } => {
                out.push_str(&format!("</{name}>"));
                if name == "a"
                    && let Some(target) = open.take()
                {
                    let number = *numbers.entry(target.clone()).or_insert_with(|| {
                        targets.push(target);
                        targets.len()
                    });
                    out.push_str(&format!("<sup>[{number}]</sup>"));
                }
            }
        }
    }
    (out, targets)
}

/// Plain text as HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// The references that a serialiser writes (WHATWG HTML §13.3), and no others: that is all there is in what was sanitised.
fn decode(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    // `&amp;` last, so that `&amp;lt;` stays `&lt;`.
    [("&nbsp;", "\u{a0}"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Elements whose text is not the article's opening.
const NOT_PROSE: [&str; 11] = ["h1", "h2", "h3", "h4", "h5", "h6", "figure", "table", "pre", "figcaption", "details"];

/// Elements that go on within a line.
#[rustfmt::skip]
const INLINE: [&str; 32] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark",
    "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "u", "var", "wbr",
];

/// Paragraphs as plain text, each on one line, none empty. Elements named in `without` are passed over, and so are the
/// numbers of footnotes.
fn plain(html: &str, without: &[&str]) -> Vec<String> {
    let mut paragraphs = Vec::new();
    let mut line = String::new();
    let mut end = |line: &mut String| {
        let clean = clean_line(line);
        line.clear();
        if !clean.is_empty() {
            paragraphs.push(clean);
        }
    };
    let mut outside: Vec<&str> = Vec::new();
    let mut in_sup = false;
    for token in tokens(html) {
        match token {
            Token::Text(text) if in_sup && text.starts_with('[') => {}
            Token::Text(text) if outside.is_empty() => line.push_str(&decode(text)),
            Token::Text(_) => {}
            Token::Open { name: "br", .. } => line.push(' '),
            Token::Open { name, .. } => {
                in_sup = name == "sup";
                if without.contains(&name) {
                    outside.push(name);
                }
                if !INLINE.contains(&name) {
                    end(&mut line);
                }
            }
            Token::Close { name } => {
                in_sup = false;
                if outside.last() == Some(&name) {
                    outside.pop();
                }
                if !INLINE.contains(&name) {
                    end(&mut line);
                }
            }
        }
    }
    end(&mut line);
    paragraphs
}

/// At most `chars_max` characters of `text`: up to the last end of a sentence in the second half, else up to the last
/// whole word and `…`, else (a script without spaces, one endless word) just so many characters and `…`.
fn cut(text: String, chars_max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(chars_max) else { return text };
    let head = &text[..end];
    let sentence = head.char_indices().rev().find(|&(at, c)| {
        matches!(c, '。' | '！' | '？')
            || matches!(c, '.' | '!' | '?') && text[at + 1..].starts_with(char::is_whitespace)
    });
    if let Some((at, c)) = sentence
        && at >= end / 2
    {
        return head[..at + c.len_utf8()].to_owned();
    }
    // One character less leaves room for the ellipsis.
    let head = head.char_indices().next_back().map_or("", |(last, _)| &head[..last]);
    let word = head.rfind(char::is_whitespace).filter(|&at| at >= end / 2).unwrap_or(head.len());
    format!("{}…", head[..word].trim_end_matches(|c: char| c.is_whitespace() || ",;:–—-".contains(c)))
}

#[cfg(test)]
mod tests;
