//! Lists of entity tags, and what follows from them: by `If-Match` (RFC 9110 §13.1.1) one of the revisions that the caller
//! has seen has to be the current one; by `If-None-Match` (§13.1.2) nothing is sent to who has it.

use crate::domain::Problem;
use axum::http::{HeaderMap, HeaderName, header};

/// The revisions that `If-Match` names; none where any will do. Tags that can be no revision's name none: they are
/// understood, and never match. Errors: [`Kind::Invalid`](crate::domain::Kind::Invalid) for what is no list of tags.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u32>>, Problem> {
    // Several lines are one list (§5.3).
    let value = lines(headers, header::IF_MATCH).collect::<Vec<_>>().join(&b',');
    if !headers.contains_key(header::IF_MATCH) || value.trim_ascii() == b"*" {
        return Ok(None);
    }
    let tags: Option<Vec<Tag<'_>>> = entries(&value).map(Entry::tag).collect();
    let tags = tags.filter(|tags| !tags.is_empty()).ok_or_else(|| {
        let expected = "the ETag of the article, for example \"3\", a list of such tags, or *";
        Problem::field("If-Match", String::from_utf8_lossy(&value), expected)
    })?;
    Ok(Some(tags.into_iter().filter_map(Tag::revision).collect()))
}

/// Does the client have, by its `If-None-Match`, what has the entity tag `tag`? What is no tag in a list is passed over:
/// the condition only saves sending what is there already.
pub(super) fn has(headers: &HeaderMap, tag: &[u8]) -> bool {
    lines(headers, header::IF_NONE_MATCH).flat_map(held).any(|held| match held {
        Held::Any => true,
        Held::Tag(known) => known == tag,
    })
}

fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).iter().map(|value| value.as_bytes())
}

/// What a client says in `If-None-Match` that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held<'a> {
    /// `*`: whatever there is.
    Any,
    /// What has this tag, with its quotation marks. A weak tag is as good as a strong one: the comparison is the weak one
    /// (§8.8.3.2).
    Tag(&'a [u8]),
}

/// Each that a line of `If-None-Match` names.
pub(super) fn held(line: &[u8]) -> impl Iterator<Item = Held<'_>> {
    entries(line).filter_map(|entry| match entry {
        Entry::Any => Some(Held::Any),
        Entry::Tag(tag) => Some(Held::Tag(tag.quoted)),
        Entry::Wrong => None,
    })
}

/// An entity tag (§8.8.3).
struct Tag<'a> {
    is_weak: bool,
    /// With its quotation marks.
    quoted: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The tag at the start of `rest`, and what stands behind it.
    fn first(rest: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let weak = rest.strip_prefix(b"W/");
        let rest = weak.unwrap_or(rest);
        // A comma within belongs to the tag.
        let length = rest.strip_prefix(b"\"")?.iter().position(|byte| *byte == b'"')?;
        let is_legal = rest[1..=length].iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..));
        let (quoted, after) = rest.split_at(length + 2);
        is_legal.then_some((Tag { is_weak: weak.is_some(), quoted }, after))
    }

    /// The revision whose tag it is by the strong comparison (§8.8.3.2): no weak one is, and `"03"` is not `"3"`.
    fn revision(self) -> Option<u32> {
        let opaque = &self.quoted[1..self.quoted.len() - 1];
        let revision: u32 = str::from_utf8(opaque).ok()?.parse().ok()?;
        (!self.is_weak && revision.to_string().as_bytes() == opaque).then_some(revision)
    }
}

/// What stands between the commas of a list.
enum Entry<'a> {
    Any,
    Tag(Tag<'a>),
    Wrong,
}

impl<'a> Entry<'a> {
    fn tag(self) -> Option<Tag<'a>> {
        match self {
            Entry::Tag(tag) => Some(tag),
            Entry::Any | Entry::Wrong => None,
        }
    }
}

/// The entries of a list, of which those that are empty do not count (§5.6.1.2).
fn entries(list: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let read = match rest {
            [b'*', after @ ..] => Some((Entry::Any, after)),
            _ => Tag::first(rest).map(|(tag, after)| (Entry::Tag(tag), after)),
        };
        let read = read.map(|(entry, after)| (entry, after.trim_ascii_start()));
        let read = read.filter(|(_, after)| after.is_empty() || after.starts_with(b","));
        let (entry, after) = read.unwrap_or_else(|| {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            (Entry::Wrong, &rest[end..])
        });
        rest = after;
        Some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(lines: &[&str]) -> Result<Option<Vec<u32>>, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        if_match(&headers)
    }

    #[test]
    fn a_list_names_the_revisions_that_are_its_strong_tags() {
        for (lines, revisions) in [
            (&["\"3\""][..], &[3][..]),
            (&["\"1\", \"3\""], &[1, 3]),
            (&["\"1\",\"3\"\t,"], &[1, 3]),
            (&["\"1\"", "\"3\""], &[1, 3]),
            (&[", ,\"x,\", W/\"3\",\"2\""], &[2]),
            (&["W/\"3\""], &[]),
            (&["\"\""], &[]),
            (&["\"03\", \"+3\", \"-3\", \"3.0\", \"99999999999\", \"drei\u{e9}\", \"*\""], &[]),
        ] {
            assert_eq!(read(lines).unwrap().as_deref(), Some(revisions), "{lines:?}");
        }
        for any in [&[][..], &["*"], &[" * "]] {
            assert_eq!(read(any).unwrap(), None, "{any:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_told() {
        for wrong in ["3", "", ",", "\"3", "3\"", "\"1\" \"3\"", "*, \"3\"", "w/\"3\"", "W/3", "\"a b\"", "\"3\"; x"] {
            let problem = read(&[wrong]).expect_err(wrong);
            assert_eq!(problem.faults[0].field, "If-Match", "{wrong}");
        }
    }

    #[test]
    fn who_has_it_says_so_by_a_tag_of_a_list_weak_or_not_or_by_a_star() {
        let has = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            has(&headers, b"\"3\"")
        };
        for known in [
            &["\"3\""][..],
            &["W/\"3\""],
            &["\"1\", W/\"2\" ,\"3\""],
            &["\"1\"", "\"3\""],
            &["*"],
            &[" * "],
            &[",,\"3\"\t,"],
            &["3, \"3\""],
            &["\"a b\", \"3\""],
            &["\"1, \"3\""],
        ] {
            assert!(has(known), "{known:?}");
        }
        for other in
            [&[][..], &[""], &["3"], &["\"03\""], &["w/\"3\""], &["\"3\"x"], &["\",3,\"", "\"x,*,y\""], &["**"]]
        {
            assert!(!has(other), "{other:?}");
        }
    }
}
