//! What a request for a feed asks, and which answer that is. Conditional requests by RFC 9110 §13.

use super::codings::Wanted;
use super::range;
use crate::services::feeds::{Built, Coding};
use crate::web::condition::{Held, held};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;

/// A GET or HEAD of a feed, as far as the answer depends on it.
#[derive(Debug, Default)]
pub(in crate::web) struct Asked<'a> {
    /// The body is left out.
    pub(in crate::web) is_head: bool,
    accept_encoding: Option<&'a [u8]>,
    /// The first line of this field, and those that follow; there is hardly ever a second.
    if_none_match: (Option<&'a [u8]>, Vec<&'a [u8]>),
    if_modified_since: Option<&'a [u8]>,
    pub(super) range: Option<&'a [u8]>,
    pub(super) if_range: Option<&'a [u8]>,
    a_im: Option<&'a [u8]>,
    sec_fetch_dest: Option<&'a [u8]>,
    pub(super) forwarded_for: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// By this method, nothing noted yet; none if it is neither GET nor HEAD.
    pub(in crate::web) fn by(method: &str) -> Option<Self> {
        match method {
            "GET" => Some(Asked::default()),
            "HEAD" => Some(Asked { is_head: true, ..Asked::default() }),
            _ => None,
        }
    }

    /// As hyper read it; none if the method is another one.
    pub(in crate::web) fn of(request: &'a Parts) -> Option<Self> {
        let mut asked = Asked::by(request.method.as_str())?;
        for (name, value) in &request.headers {
            asked.note(name.as_str(), value.as_bytes());
        }
        Some(asked)
    }

    /// Takes note of one line of the head, in the order in which they stand. The name may be in any case.
    pub(in crate::web) fn note(&mut self, name: &str, value: &'a [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // The length tells most names apart before a byte of them is read.
        let field = match name.len() {
            4 if is("a-im") => &mut self.a_im,
            5 if is("range") => &mut self.range,
            8 if is("if-range") => &mut self.if_range,
            13 if is("if-none-match") => match &mut self.if_none_match {
                (first @ None, _) => first,
                (Some(_), more) => return more.push(value),
            },
            14 if is("sec-fetch-dest") => &mut self.sec_fetch_dest,
            15 if is("accept-encoding") => &mut self.accept_encoding,
            // Each proxy adds to it: the last line is of the nearest.
            15 if is("x-forwarded-for") => return self.forwarded_for = Some(value),
            17 if is("if-modified-since") => &mut self.if_modified_since,
            _ => return,
        };
        field.get_or_insert(value);
    }

    /// Is it no more than a conditional GET or HEAD of the whole feed?
    pub(in crate::web) fn is_plain(&self) -> bool {
        self.range.is_none() && self.a_im.is_none() && !self.is_navigation()
    }

    /// Has a person opened the address in a browser? Browsers say so of themselves (Fetch Metadata, W3C), on https and on
    /// this machine; no reader of feeds does, and nothing is guessed from names.
    pub(in crate::web) fn is_navigation(&self) -> bool {
        self.sec_fetch_dest.is_some_and(|to| to.trim_ascii() == b"document")
    }

    /// Does the client take the difference to what it has (RFC 3229, instance manipulation `feed`)?
    pub(in crate::web) fn takes_difference(&self) -> bool {
        let is_feed = |part: &[u8]| {
            let mut parameters = part.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let is_named = parameters.next().is_some_and(|name| name.eq_ignore_ascii_case(b"feed"));
            is_named
                && !parameters.any(|parameter| parameter.trim_ascii_end().strip_prefix(b"q=0").is_some_and(is_nought))
        };
        self.a_im.is_some_and(|value| value.split(|byte| *byte == b',').any(is_feed))
    }

    /// Each that the client has, by its entity tag.
    pub(in crate::web) fn held(&self) -> impl Iterator<Item = Held<'a>> {
        let (first, more) = &self.if_none_match;
        first.iter().chain(more).copied().flat_map(held)
    }

    /// The part that the client asks for, of a representation of `length` bytes with entity tag `tag`.
    pub(in crate::web) fn part(&self, tag: &[u8], length: usize) -> range::Asked {
        range::asked(self.range, self.if_range, tag, length)
    }

    /// The codings that the client takes.
    pub(in crate::web) fn wanted(&self) -> Wanted {
        Wanted::parse(self.accept_encoding)
    }
}

/// Is it `q=0`, `q=0.` or `q=0.000`, of which the beginning is taken off?
fn is_nought(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(byte, b'.' | b'0'))
}

/// Which answer it is. For the same feed as it was built, in the same second, equal choices are equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Choice {
    pub(super) coding: Coding,
    is_known: bool,
    is_head: bool,
}

impl Choice {
    /// The answer to `asked` out of what has been made of `built`; none if something has to be made for it first.
    pub(in crate::web) fn of(asked: &Asked<'_>, built: &Built, now_s: i64) -> Option<Self> {
        let wanted = asked.wanted();
        if let Some(coding) = known(asked, built, &wanted, now_s) {
            return Some(Choice { coding, is_known: true, is_head: asked.is_head });
        }
        let coding = built.best_of(wanted.codings())?;
        Some(Choice { coding, is_known: false, is_head: asked.is_head })
    }

    /// Does the client have the bytes?
    pub(in crate::web) fn is_known(self) -> bool {
        self.is_known
    }

    /// Its status.
    pub(in crate::web) fn status(self) -> StatusCode {
        if self.is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }
    }

    /// What is sent behind the head.
    pub(in crate::web) fn body(self, built: &Built) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        if self.is_known || self.is_head { &NOTHING } else { self.bytes(built) }
    }

    /// What it is about, sent or not.
    pub(super) fn bytes(self, built: &Built) -> &Bytes {
        built.body(self.coding).unwrap_or(built.plain())
    }

    /// A small number that tells choices apart.
    pub(in crate::web) fn number(self) -> usize {
        self.coding as usize * 4 + usize::from(self.is_known) * 2 + usize::from(self.is_head)
    }
}

/// The coding in which the client has these bytes already, if it has. `If-None-Match` decides where it is given, else
/// the date. Tags are known before the bytes are made, so nothing is packed for a client that has it.
fn known(asked: &Asked<'_>, built: &Built, wanted: &Wanted, now_s: i64) -> Option<Coding> {
    let best = wanted.codings().first().copied().unwrap_or(Coding::Identity);
    if asked.if_none_match.0.is_some() {
        return asked.held().find_map(|held| match held {
            Held::Any => Some(best),
            Held::Tag(tag) => wanted.codings().iter().copied().find(|coding| built.tag(*coding) == tag),
        });
    }
    let since = asked.if_modified_since.and_then(|value| str::from_utf8(value).ok());
    let since = since.and_then(|text| httpdate::parse_http_date(text).ok())?;
    let since_s = since.duration_since(std::time::UNIX_EPOCH).map_or(i64::MIN, |since| since.as_secs().cast_signed());
    (built.modified_s <= since_s && built.modified_s < now_s).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(lines: &[(&str, &'a str)]) -> Asked<'a> {
        let mut asked = Asked::default();
        for (name, value) in lines {
            asked.note(name, value.as_bytes());
        }
        asked
    }

    #[test]
    fn of_a_field_that_stands_twice_the_first_line_counts_and_of_tags_every_one() {
        let asked = asked(&[
            ("Accept-Encoding", "gzip"),
            ("accept-encoding", "br"),
            ("IF-NONE-MATCH", "\"a\", W/\"b\""),
            ("if-none-match", "\"c\""),
            ("if-modified-since", "x"),
            ("if-modified-sinceX", "y"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.2"),
        ]);
        assert_eq!(asked.wanted().codings(), [Coding::Gzip, Coding::Identity]);
        assert_eq!(asked.held().collect::<Vec<_>>(), [b"\"a\"", b"\"b\"", b"\"c\""].map(|tag| Held::Tag(tag)));
        assert_eq!(asked.if_modified_since, Some(&b"x"[..]));
        assert_eq!(asked.forwarded_for, Some(&b"192.0.2.2"[..]));
    }

    #[test]
    fn the_difference_is_for_who_asks_for_that_of_feeds() {
        for (value, expected) in [
            ("feed", true),
            ("Feed", true),
            ("vcdiff, feed", true),
            ("feed;q=0.5", true),
            ("feed;q=0", false),
            ("feed; q=0.000", false),
            ("feeds", false),
            ("vcdiff", false),
            ("", false),
        ] {
            assert_eq!(asked(&[("A-IM", value)]).takes_difference(), expected, "{value}");
        }
    }

    #[test]
    fn what_is_more_than_a_conditional_get_is_not_plain() {
        assert!(asked(&[("If-None-Match", "\"a\""), ("Sec-Fetch-Dest", "empty"), ("If-Range", "x")]).is_plain());
        for line in [("A-IM", "feed"), ("Range", "bytes=0-1"), ("sec-fetch-dest", "document")] {
            assert!(!asked(&[line]).is_plain(), "{line:?}");
        }
    }
}
