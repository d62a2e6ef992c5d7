//! `If-Match` (RFC 9110 §13.1.1): one of the revisions that the caller has seen has to be the current one.

use crate::domain::Problem;
use axum::http::{HeaderMap, header};

/// The revisions that `If-Match` names; none where any will do. Tags that can be no revision's name none: they are
/// understood, and never match. Errors: [`Kind::Invalid`](crate::domain::Kind::Invalid) for what is no list of tags.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u32>>, Problem> {
    let lines: Vec<&[u8]> = headers.get_all(header::IF_MATCH).iter().map(|value| value.as_bytes()).collect();
    // Several lines are one list (§5.3).
    let value = lines.join(&b',');
    if lines.is_empty() || value.trim_ascii() == b"*" {
        return Ok(None);
    }
    let tags = tags(&value).ok_or_else(|| {
        let expected = "the ETag of the article, for example \"3\", a list of such tags, or *";
        Problem::field("If-Match", String::from_utf8_lossy(&value), expected)
    })?;
    Ok(Some(tags.into_iter().filter_map(Tag::revision).collect()))
}

/// An entity tag (§8.8.3).
struct Tag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

impl Tag<'_> {
    /// The revision whose tag it is by the strong comparison (§8.8.3.2): no weak one is, and `"03"` is not `"3"`.
    fn revision(self) -> Option<u32> {
        let revision: u32 = str::from_utf8(self.opaque).ok()?.parse().ok()?;
        (!self.is_weak && revision.to_string().as_bytes() == self.opaque).then_some(revision)
    }
}

/// The tags of a list, whose elements may be empty (§5.6.1.2); none if it is no list of them, or there is none in it.
fn tags(list: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let weak = rest.strip_prefix(b"W/");
        let inner = weak.unwrap_or(rest).strip_prefix(b"\"")?;
        // A comma within belongs to the tag.
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (opaque, after) = (&inner[..end], inner[end + 1..].trim_ascii_start());
        let is_legal = opaque.iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..));
        if !is_legal || !(after.is_empty() || after.starts_with(b",")) {
            return None;
        }
        tags.push(Tag { is_weak: weak.is_some(), opaque });
        rest = after;
    }
    (!tags.is_empty()).then_some(tags)
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
}
