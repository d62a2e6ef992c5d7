//! Parts of a representation (RFC 9110 §14): one range of bytes. A request for several is answered whole, as §14.2 allows;
//! no feed reader sends one, and answers in parts have been used to multiply traffic.

use std::ops::Range;

/// What a `Range` header comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) enum Asked {
    /// Everything: there is none, or it is not to be heeded.
    Whole,
    /// This part.
    Part(Range<usize>),
    /// There is no such part: `416`.
    Nothing,
}

/// Reads `range` for a representation of `length` bytes whose entity tag is `tag`. With `if_range` the part is only for
/// a client that holds just this representation (§13.1.5): a date proves that of no feed, so it gives everything.
pub(super) fn asked(range: Option<&[u8]>, if_range: Option<&[u8]>, tag: &[u8], length: usize) -> Asked {
    let Some(range) = range.and_then(|range| std::str::from_utf8(range).ok()) else { return Asked::Whole };
    if if_range.is_some_and(|held| held.trim_ascii() != tag) {
        return Asked::Whole;
    }
    let Some((unit, ranges)) = range.split_once('=') else { return Asked::Whole };
    let Some((first, last)) = ranges.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))
    else {
        return Asked::Whole;
    };
    let number = |text: &str| {
        let text = text.trim();
        // A number that no machine can count to is behind every end.
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.trim().is_empty() => first..length,
        (None, Some(last)) if first.trim().is_empty() => length.saturating_sub(last)..length,
        // Several, or none that can be read.
        (Some(_) | None, Some(_) | None) => return Asked::Whole,
    };
    if part.start < part.end { Asked::Part(part) } else { Asked::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_anything_else_is_everything() {
        for (range, expected) in [
            ("bytes=0-9", Asked::Part(0..10)),
            ("bytes=90-", Asked::Part(90..100)),
            ("bytes=-10", Asked::Part(90..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=50-5000", Asked::Part(50..100)),
            ("Bytes = 1-1", Asked::Part(1..2)),
            ("bytes=100-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=9-0", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=0-9", Asked::Whole),
            ("bytes", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(asked(Some(range.as_bytes()), None, b"\"t\"", 100), expected, "{range}");
        }
        assert_eq!(asked(None, None, b"\"t\"", 100), Asked::Whole);
        let with = |held: &[u8]| asked(Some(b"bytes=0-9"), Some(held), b"\"t\"", 100);
        assert_eq!(with(b"\"t\""), Asked::Part(0..10));
        assert_eq!(with(b"W/\"t\""), Asked::Whole, "a weak tag says nothing of bytes");
        assert_eq!(with(b"Tue, 24 Nov 2026 00:00:00 GMT"), Asked::Whole);
    }
}
