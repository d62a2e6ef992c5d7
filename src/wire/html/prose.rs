//! Markdown that is prose alone, as most of it is, written as the sanitiser would leave it, without a tree in between.
//!
//! Paragraphs, headings, lists, quotes, emphasis, code in a line and links to plain addresses. Whatever else comes up,
//! the whole text goes the long way; a test holds both ways to the same bytes.

use super::{SCHEMES, absolute};
use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};
use url::Url;

/// Deeper than this is not prose.
const DEPTH_MAX: usize = 12;

/// The events of a text as HTML; none if it is not prose alone. [`super::BASE`] has to be set.
#[expect(clippy::wildcard_enum_match_arm, reason = "all the parser's other events are not prose")]
pub(super) fn html<'a>(events: impl Iterator<Item = Event<'a>>, bytes: usize) -> Option<String> {
    let mut out = String::with_capacity(bytes + bytes / 4);
    let (mut depth, mut in_link) = (0_usize, false);
    for event in events {
        match event {
            Event::Start(tag) => {
                depth += 1;
                // An address within a link is one to Markdown, and none to HTML.
                let is_link = matches!(tag, Tag::Link { .. });
                if depth > DEPTH_MAX || (is_link && std::mem::replace(&mut in_link, true)) {
                    return None;
                }
                open(&mut out, &tag)?;
            }
            Event::End(end) => {
                depth -= 1;
                in_link &= end != TagEnd::Link;
                close(&mut out, end)?;
            }
            Event::Text(text) => escape(&mut out, &text),
            Event::Code(text) => {
                out.push_str("<code>");
                escape(&mut out, &text);
                out.push_str("</code>");
            }
            Event::SoftBreak => out.push('\n'),
            Event::HardBreak => out.push_str("<br>\n"),
            Event::Rule => {
                begin_line(&mut out);
                out.push_str("<hr>\n");
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Blocks stand on lines of their own.
fn begin_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all the parser's other tags are not prose")]
fn open(out: &mut String, tag: &Tag<'_>) -> Option<()> {
    match tag {
        Tag::Paragraph => {
            begin_line(out);
            out.push_str("<p>");
        }
        Tag::Heading { level, id: None, classes, attrs } if classes.is_empty() && attrs.is_empty() => {
            begin_line(out);
            out.push_str(&format!("<{level}>"));
        }
        Tag::BlockQuote(None) => {
            begin_line(out);
            out.push_str("<blockquote>\n");
        }
        Tag::List(None) => {
            begin_line(out);
            out.push_str("<ul>\n");
        }
        Tag::List(Some(1)) => {
            begin_line(out);
            out.push_str("<ol>\n");
        }
        Tag::List(Some(start)) => {
            begin_line(out);
            out.push_str(&format!("<ol start=\"{start}\">\n"));
        }
        Tag::Item => {
            begin_line(out);
            out.push_str("<li>");
        }
        Tag::Emphasis => out.push_str("<em>"),
        Tag::Strong => out.push_str("<strong>"),
        Tag::Strikethrough => out.push_str("<del>"),
        Tag::Link { link_type, dest_url, title, .. } if *link_type != LinkType::Email && title.is_empty() => {
            out.push_str("<a");
            if let Some(address) = address(dest_url)? {
                out.push_str(&format!(" href=\"{}\"", address.replace('&', "&amp;")));
            }
            out.push('>');
        }
        _ => return None,
    }
    Some(())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else was opened")]
fn close(out: &mut String, end: TagEnd) -> Option<()> {
    match end {
        TagEnd::Paragraph => out.push_str("</p>\n"),
        TagEnd::Heading(level) => out.push_str(&format!("</{level}>\n")),
        TagEnd::BlockQuote(None) => out.push_str("</blockquote>\n"),
        TagEnd::List(false) => out.push_str("</ul>\n"),
        TagEnd::List(true) => out.push_str("</ol>\n"),
        TagEnd::Item => out.push_str("</li>\n"),
        TagEnd::Emphasis => out.push_str("</em>"),
        TagEnd::Strong => out.push_str("</strong>"),
        TagEnd::Strikethrough => out.push_str("</del>"),
        TagEnd::Link => out.push_str("</a>"),
        _ => return None,
    }
    Some(())
}

/// An address that may stand in a link, absolute; none within if it may not. None at all if it is not plain.
fn address(written: &CowStr<'_>) -> Option<Option<String>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$*+,;=%()&".contains(&byte);
    if !written.bytes().all(is_plain) {
        return None;
    }
    if is_surely_web(written) {
        return Some(Some(written.to_string()));
    }
    Some(match Url::parse(written) {
        Ok(url) => SCHEMES.contains(&url.scheme()).then(|| written.to_string()),
        Err(url::ParseError::RelativeUrlWithoutBase) => absolute(written).map(|url| url.into_owned()),
        Err(_) => None,
    })
}

/// Is it surely a web address that the parser takes as it is (WHATWG URL §4.4)? A host of letters with a name's last
/// label, and a path of letters, need none of its care; of anything else the parser has to decide.
pub(super) fn is_surely_web(written: &str) -> bool {
    let Some(rest) = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://")) else { return false };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    host.split('.').all(is_label) && path.bytes().all(is_path)
}

/// Text as a serialiser writes it (WHATWG HTML §13.3).
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = memchr::memchr3(b'&', b'<', b'>', rest.as_bytes()) {
        escape_spaces(out, &rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = &rest[at + 1..];
    }
    escape_spaces(out, rest);
}

fn escape_spaces(out: &mut String, text: &str) {
    for (number, part) in text.split('\u{a0}').enumerate() {
        if number > 0 {
            out.push_str("&nbsp;");
        }
        out.push_str(part);
    }
}
