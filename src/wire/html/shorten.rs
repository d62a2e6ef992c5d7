//! The text of an article as a mail has it: nothing in it is fetched from anywhere, and it ends where there is no more room.

use super::scan::{Token, attributes, tokens};
use super::{INLINE, VOID, decode, escape};
use std::borrow::Cow;

/// See [`for_mail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// Markup as well nested as what it was made of.
    pub html: String,
    /// Is there more of it than this?
    pub is_cut: bool,
}

/// Stands where a text is cut within a paragraph.
const MARK: &str = "…";

/// As much of `html` as comes to at most `cost_max` where each piece costs `cost`, which has to add up; all its elements
/// are closed. It ends behind a paragraph or the like where that takes at least half of the room, else behind a word.
/// A picture becomes a link to it, with the words that describe it; one without any is left out.
///
/// Takes what was sanitised.
pub fn for_mail(html: &str, cost_max: usize, cost: impl Fn(&str) -> usize) -> Shortened {
    let mut out = String::with_capacity(html.len().min(cost_max));
    let mut spent = cost(MARK);
    // What is open, and what closing it will cost.
    let (mut open, mut closing): (Vec<&str>, usize) = (Vec::new(), 0);
    // Where the last paragraph or the like ended, and what there was spent.
    let mut block_end = (0, 0);
    for token in tokens(html) {
        let piece = match token {
            Token::Text(text) => Cow::Borrowed(text),
            Token::Open { name: "img", attributes } => Cow::Owned(picture(attributes, open.contains(&"a"))),
            Token::Open { name, attributes } => Cow::Owned(format!("<{name}{attributes}>")),
            Token::Close { name } => Cow::Owned(close(name)),
        };
        let opens = match token {
            Token::Open { name, .. } if !VOID.contains(&name) => cost(&close(name)),
            Token::Open { .. } | Token::Close { .. } | Token::Text(_) => 0,
        };
        let is_paid = matches!(token, Token::Close { .. });
        let left = cost_max.saturating_sub(spent + closing);
        if !is_paid && cost(&piece) + opens > left {
            if block_end.0 > 0 && block_end.1 * 2 >= cost_max {
                out.truncate(block_end.0);
                return Shortened { html: out, is_cut: true };
            }
            if let Token::Text(text) = token {
                out.push_str(beginning(text, left, &cost));
            }
            out.push_str(MARK);
            open.iter().rev().for_each(|name| out.push_str(&close(name)));
            return Shortened { html: out, is_cut: true };
        }
        spent += cost(&piece);
        out.push_str(&piece);
        match token {
            Token::Open { name, .. } if opens > 0 => {
                open.push(name);
                closing += opens;
            }
            Token::Close { name } if open.last() == Some(&name) => {
                open.pop();
                closing -= cost(&piece);
                if open.is_empty() && !INLINE.contains(&name) {
                    block_end = (out.len(), spent);
                }
            }
            Token::Open { .. } | Token::Close { .. } | Token::Text(_) => {}
        }
    }
    Shortened { html: out, is_cut: false }
}

fn close(name: &str) -> String {
    format!("</{name}>")
}

/// What stands in the place of a picture. A link does not stand within a link.
fn picture(text: &str, in_link: bool) -> String {
    let of = |wanted: &str| attributes(text).find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let described = of("alt").map(decode).filter(|alt| !alt.trim().is_empty());
    match (described, of("src")) {
        (Some(alt), Some(src)) if !in_link => format!("<a href=\"{src}\">{}</a>", escape(&alt)),
        (Some(alt), _) => escape(&alt),
        (None, _) => String::new(),
    }
}

/// The beginning of `text` that costs at most `cost_max`, up to the end of a word where there is one in its second half.
fn beginning<'a>(text: &'a str, cost_max: usize, cost: &impl Fn(&str) -> usize) -> &'a str {
    let mut spent = 0;
    let fits = |&(at, c): &(usize, char)| {
        spent += cost(text.get(at..at + c.len_utf8()).unwrap_or_default());
        spent <= cost_max
    };
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    let (head, rest) = text.split_at(end);
    // Not within a word, and not within a reference such as `&amp;`.
    let word = head.rfind(char::is_whitespace).filter(|&at| at >= end / 2 && !rest.starts_with(char::is_whitespace));
    let head = word.map_or(head, |at| &head[..at]);
    match head.rfind('&') {
        Some(at) if !head[at..].contains(';') => &head[..at],
        Some(_) | None => head,
    }
    .trim_end()
}
