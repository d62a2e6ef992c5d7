//! Text as it may be stored: no character that XML 1.0 forbids ever gets past this door.

use super::Fault;
use serde::Deserializer;
use serde::de::Visitor;
use std::fmt;

/// Characters that RSS and Atom cannot carry at all (XML 1.0 §2.2), the C1 controls that it discourages,
/// and U+FEFF, which is invisible inside a text and breaks equality.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{feff}')
        || (c as u32 & 0xfffe) == 0xfffe
        || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

/// Can a character with this byte in it be one that [`clean_block`] changes? Says no for most text, quickly.
fn may_be_forbidden(byte: u8) -> bool {
    // Controls; the lead bytes of U+0080 to U+00BF, of U+F000 to U+FFFF, and of everything above.
    (byte < b' ' && byte != b'\t' && byte != b'\n') || byte == 0x7f || byte == 0xc2 || byte >= 0xef
}

/// Text of several lines: forbidden characters are dropped, line ends become `\n`.
/// One pasted control character is an accident of the clipboard, not a reason to refuse an article.
pub fn clean_block(text: &str) -> String {
    // All bytes of a stretch at once, without a branch for each.
    let may_be = |stretch: &[u8]| stretch.iter().fold(false, |found, &byte| found | may_be_forbidden(byte));
    if !text.as_bytes().chunks(64).any(may_be) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            c if is_forbidden(c) => {}
            // What a wrong decoding left of a character: validators warn of it, and a question mark says the same.
            '\u{fffd}' => clean.push('?'),
            c => clean.push(c),
        }
    }
    clean
}

/// Text of one line: cleaned as a block, then every run of white space becomes one space, ends trimmed.
pub fn clean_line(text: &str) -> String {
    if is_plain_line(text) {
        return text.to_owned();
    }
    clean_block(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Does [`clean_line`] leave it as it is?
pub(super) fn is_clean_line(text: &str) -> bool {
    is_plain_line(text) || clean_line(text) == text
}

/// Is it ASCII with nothing in it that is to be cleaned? So it mostly is, over and over as records are read.
fn is_plain_line(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain && text.trim_ascii().len() == text.len() && !text.contains("  ")
}

/// What `parse` makes of a string, which is not copied for it.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Result<T, D::Error> {
    struct Text<F>(F);
    impl<T, F: Fn(&str) -> Result<T, Fault>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(parse))
}

/// Is it a language tag, well-formed by RFC 5646 §2.1: language, script, region, variants, extensions, or private use?
/// Whether its parts are registered is not looked up.
pub fn is_language_tag(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_plain = |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !parts.iter().all(is_plain) {
        return false;
    }
    let is_alphabetic = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let Some((first, rest)) = parts.split_first() else { return false };
    if matches!(*first, "x" | "X" | "i" | "I") {
        return !rest.is_empty();
    }
    // A single letter begins an extension, or private use, which has parts of its own, each of two letters or more. Behind
    // `x` anything goes.
    let private = rest.iter().position(|part| part.eq_ignore_ascii_case("x")).unwrap_or(rest.len());
    let mut is_begun = true;
    let are_filled =
        rest[..private].iter().all(|part| std::mem::replace(&mut is_begun, part.len() > 1) || part.len() > 1);
    (2..=8).contains(&first.len()) && is_alphabetic(first) && are_filled && is_begun && private + 1 != rest.len()
}

/// Bytes in hexadecimal, with small letters.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_before_it_came_here_is_a_question_mark() {
        assert_eq!(clean_line("caf\u{fffd}"), "caf?");
        assert_eq!(clean_block("\u{fffd}\u{fffd}"), "??");
    }

    #[test]
    fn what_xml_forbids_is_dropped_and_the_rest_kept() {
        assert_eq!(clean_line(" a\u{0}b\u{b}\u{1b}[0m\tc\r\nd\u{ffff} "), "ab[0m c d");
        assert_eq!(clean_block("one\r\ntwo\rthree\u{85}"), "one\ntwo\nthree");
        assert_eq!(clean_line("\u{200f}שלום\u{200e}"), "\u{200f}שלום\u{200e}", "direction marks are text");
    }

    proptest::proptest! {
        #[test]
        fn a_line_that_is_clean_is_left_as_it_is(text in "[ -~]{0,9}|[ a\t\nЖ\u{feff}\u{1b}]{0,9}") {
            let cleaned = clean_block(&text).split_whitespace().collect::<Vec<_>>().join(" ");
            proptest::prop_assert_eq!(clean_line(&text), cleaned);
        }
    }

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hex(&[0, 9, 10, 0xAF, 0xFF]), "00090aafff");
        assert_eq!(hex(&[]), "");
    }

    #[test]
    fn language_tags_are_well_formed() {
        for good in
            ["en", "en-GB", "zh-Hant-TW", "sl-rozaj-biske", "de-CH-1901", "x-private", "en-a-bbb-x-a", "i-klingon"]
        {
            assert!(is_language_tag(good), "{good}");
        }
        for wrong in [
            "",
            "e",
            "english language",
            "en_GB",
            "en-",
            "-en",
            "englishandmore",
            "en-a",
            "x",
            "12",
            "en-a-b",
            "en-C-b",
        ] {
            assert!(!is_language_tag(wrong), "{wrong}");
        }
    }
}
