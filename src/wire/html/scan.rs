//! Markup as a flat run of tokens, read as WHATWG HTML §13.2.5 reads it.
//! One pass, no tree, no recursion: its time grows with the length of the text and with nothing else.

/// One piece of markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Token<'a> {
    /// Text, its character references not decoded. A `<` that begins no tag is text.
    Text(&'a str),
    /// `<name attributes>`.
    Open {
        /// As written; compare it without regard to case.
        name: &'a str,
        /// What stands between the name and `>`.
        attributes: &'a str,
    },
    /// `</name>`.
    Close {
        /// As written.
        name: &'a str,
    },
}

/// Elements whose content is no markup. It is never text of an article either, so it is passed over.
const RAW: [&str; 9] = ["script", "style", "iframe", "noembed", "noframes", "xmp", "textarea", "title", "plaintext"];

/// The tokens of `html`. Comments, declarations and the content of [`RAW`] elements are left out.
pub(super) fn tokens(html: &str) -> Tokens<'_> {
    Tokens { rest: html, has_raw: false }
}

/// The same with the start tags of [`RAW`] elements: for those who look for what should not be there.
pub(in crate::wire) fn tokens_with_raw(html: &str) -> Tokens<'_> {
    Tokens { rest: html, has_raw: true }
}

/// See [`tokens`].
#[derive(Debug, Clone)]
pub(in crate::wire) struct Tokens<'a> {
    rest: &'a str,
    has_raw: bool,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = self.rest;
            if rest.is_empty() {
                return None;
            }
            let after = rest.strip_prefix('<').unwrap_or("");
            match after.as_bytes() {
                [b'a'..=b'z' | b'A'..=b'Z', ..] => {
                    let (name, attributes, rest) = tag(after)?;
                    self.rest = rest;
                    if RAW.iter().any(|raw| raw.eq_ignore_ascii_case(name)) {
                        self.rest = behind_close(rest, name);
                        if !self.has_raw {
                            continue;
                        }
                    }
                    return Some(Token::Open { name, attributes });
                }
                [b'/', b'a'..=b'z' | b'A'..=b'Z', ..] => {
                    let (name, _, rest) = tag(&after[1..])?;
                    self.rest = rest;
                    return Some(Token::Close { name });
                }
                [b'!', b'-', b'-', ..] => self.rest = behind_comment(&after[3..]),
                [b'!' | b'?' | b'/', ..] => self.rest = behind(after, ">"),
                _ => {
                    // The first character is text whatever it is; then on to what may begin a tag.
                    let start = rest.chars().next().map_or(0, char::len_utf8);
                    let end = rest[start..].find('<').map_or(rest.len(), |at| at + start);
                    self.rest = &rest[end..];
                    return Some(Token::Text(&rest[..end]));
                }
            }
        }
    }
}

/// Name, attributes, and what follows the `>`. None: the text ends within the tag, which browsers drop as well.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let name_end = text.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let mut quote = None;
    // A quotation mark opens a value only behind `=`; anywhere else it is part of a name.
    let mut behind_equals = false;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some((name, &rest[..at], &rest[at + 1..])),
            (None, b'"' | b'\'') if behind_equals => {
                quote = Some(byte);
                behind_equals = false;
            }
            (None, b'=') => behind_equals = true,
            (None, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c') => {}
            (None, _) => behind_equals = false,
        }
    }
    None
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// `text` begins behind `<!--`, which `>` and `->` close at once.
fn behind_comment(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('>').or_else(|| text.strip_prefix("->")) {
        return rest;
    }
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let after = &rest[at + 2..];
        if let Some(rest) = after.strip_prefix('>').or_else(|| after.strip_prefix("!>")) {
            return rest;
        }
        rest = &rest[at + 1..];
    }
    ""
}

fn behind_close<'a>(text: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let after = &text[from + at + 2..];
        let is_it = after.as_bytes().get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()));
        if is_it && matches!(after.as_bytes().get(name.len()), Some(b'>' | b'/' | b' ' | b'\n' | b'\t' | b'\r')) {
            return behind(after, ">");
        }
        from += at + 2;
    }
    ""
}

/// The attributes of a tag: name as written, value not decoded. The first of one name counts.
pub(in crate::wire) fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        // A `=` at the very start belongs to the name.
        let ends = |&(at, c): &(usize, char)| at > 0 && (c.is_ascii_whitespace() || c == '=' || c == '/');
        let (name, after) = rest.split_at(rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at));
        let Some(value) = after.trim_ascii_start().strip_prefix('=') else {
            rest = after;
            return Some((name, ""));
        };
        let value = value.trim_ascii_start();
        let (value, after) = match value.as_bytes() {
            [quote @ (b'"' | b'\''), ..] => {
                let inner = &value[1..];
                inner.split_once(char::from(*quote)).unwrap_or((inner, ""))
            }
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        rest = after;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        tokens(html)
            .map(|token| match token {
                Token::Text(text) => format!("[{text}]"),
                Token::Open { name, attributes } => format!("({name}|{attributes})"),
                Token::Close { name } => format!("(/{name})"),
            })
            .collect()
    }

    #[test]
    fn markup_is_cut_where_a_browser_cuts_it() {
        for (html, expected) in [
            ("a<b>c</b>", "[a](b|)[c](/b)"),
            ("1 < 2 << 3", "[1 ][< 2 ][<][< 3]"),
            ("<a href=\"x>y\" title='\"'>z", "(a| href=\"x>y\" title='\"')[z]"),
            ("<a title=it's>b'c</a>", "(a| title=it's)[b'c](/a)"),
            ("<!-- <b> -->x<!-->y<!doctype html>z<?php > ?>", "[x][y][z][ ?>]"),
            ("<SCRIPT>if (a </b>) '</scripts>'</script >x", "[x]"),
            ("x<a href=\"", "[x]"),
            ("é<я", "[é][<я]"),
            ("</>a</ b>c", "[a][c]"),
        ] {
            assert_eq!(shown(html), expected, "{html}");
        }
    }

    #[test]
    fn attributes_are_read_quoted_bare_and_empty() {
        let all = attributes(" href = \"a b\" alt=x/y checked/ title='\"' =odd").collect::<Vec<_>>();
        assert_eq!(all, [("href", "a b"), ("alt", "x/y"), ("checked", ""), ("title", "\""), ("=odd", "")]);
    }
}
