//! From bytes to text: which encoding it is (RFC 7303 §3: byte order mark, then HTTP, then the XML declaration), and
//! characters that no feed may carry.

use super::findings::Findings;
use super::rules::book::{
    BAD_CHARACTER, DOUBTFUL_CHARACTER, ENCODING_MISMATCH, NOT_UNICODE, NOT_UTF8, UNKNOWN_ENCODING,
};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// An XML declaration is over by then.
const DECLARATION_BYTES_MAX: usize = 200;

/// The text of `bytes`, which HTTP says to be in `charset`. Always some text: what cannot be decoded becomes U+FFFD.
pub(super) fn decode<'a>(bytes: &'a [u8], charset: Option<&str>, findings: &mut Findings) -> Cow<'a, str> {
    let (marked, mark_bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (Some(encoding), length),
        None => (None, 0),
    };
    let body = &bytes[mark_bytes..];
    let declared = declared(body);
    let mut known = |label: &str| {
        let encoding = Encoding::for_label(label.as_bytes());
        if encoding.is_none() {
            findings.add(&UNKNOWN_ENCODING, 0, label);
        }
        encoding
    };
    let sniffed = match body {
        [b'<', 0, ..] => Some(UTF_16LE),
        [0, b'<', ..] => Some(UTF_16BE),
        _ => None,
    };
    let by_http = charset.and_then(&mut known);
    let by_itself = declared.as_deref().and_then(&mut known);
    // A declaration that could be read is of one byte a character, whatever it says of two.
    let by_itself = by_itself.filter(|encoding| encoding.is_ascii_compatible());
    let encoding = marked.or(by_http).or(sniffed).or(by_itself).unwrap_or(UTF_8);
    for (who, other) in [("HTTP", by_http), ("the declaration", by_itself)] {
        if let Some(other) = other.filter(|other| *other != encoding) {
            findings.add(&ENCODING_MISMATCH, 0, format!("{} by {who}, {} before it", other.name(), encoding.name()));
        }
    }
    // Without a declaration XML is UTF-8, whatever HTTP says to those who see only the file.
    if by_http.is_some_and(|encoding| encoding != UTF_8) && by_itself.is_none() && marked.is_none() && is_xml(body) {
        findings.add(&ENCODING_MISMATCH, 0, format!("{} by HTTP, no declaration", encoding.name()));
    }
    if encoding != UTF_8 {
        findings.add(&NOT_UTF8, 0, encoding.name());
    } else if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let (text, is_spoilt) = encoding.decode_without_bom_handling(body);
    if is_spoilt {
        let at = text.find('\u{fffd}').unwrap_or_default();
        findings.add(&NOT_UNICODE, at, format!("bytes that are not {}", encoding.name()));
    }
    text
}

/// Is it XML and not JSON, by its first character?
pub(super) fn is_xml(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0).is_none_or(|first| *first == b'<')
}

/// The encoding that an XML declaration names.
fn declared(body: &[u8]) -> Option<String> {
    let head = &body[..body.len().min(DECLARATION_BYTES_MAX)];
    let head = String::from_utf8_lossy(head);
    let declaration = head.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value[1..].split_once(quote)?.0.to_owned())
}

/// Finds the characters in `text`, which begins at `offset`, that are forbidden (XML 1.0 §2.2, `Char`), and those that
/// stand for a mistake: the controls of U+0080 to U+009F, which are Windows-1252 read as Latin-1, and U+FFFD, which is
/// what is left of a character that could not be decoded.
pub(super) fn characters(text: &str, offset: usize, findings: &mut Findings) {
    if !text.bytes().any(may_be_wrong) {
        return;
    }
    for (at, c) in text.char_indices() {
        match c {
            '\t' | '\n' | '\r' | '\u{20}'..='\u{7f}' => {}
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => findings.add(&BAD_CHARACTER, offset + at, name(c)),
            '\u{80}'..='\u{9f}' | '\u{fffd}' => findings.add(&DOUBTFUL_CHARACTER, offset + at, name(c)),
            _ => {}
        }
    }
}

/// The first of those characters in `text`.
pub(super) fn first_wrong(text: &str) -> Option<char> {
    let is_wrong = |c: &char| match c {
        '\t' | '\n' | '\r' => false,
        c => matches!(c, '\0'..='\u{1f}' | '\u{80}'..='\u{9f}' | '\u{fffd}'..='\u{ffff}'),
    };
    if text.bytes().any(may_be_wrong) { text.chars().find(is_wrong) } else { None }
}

/// Controls, and the first bytes of U+0080 to U+00BF and of U+F000 to U+FFFF.
fn may_be_wrong(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0xc2 || byte == 0xef
}

/// XML 1.0 §2.2, `Char`.
pub(super) fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// `U+000B (line tabulation)`. Names as Unicode gives them to the C0 controls.
pub(super) fn name(c: char) -> String {
    const CONTROLS: [&str; 32] = [
        "null",
        "start of heading",
        "start of text",
        "end of text",
        "end of transmission",
        "enquiry",
        "acknowledge",
        "bell",
        "backspace",
        "character tabulation",
        "line feed",
        "line tabulation",
        "form feed",
        "carriage return",
        "shift out",
        "shift in",
        "data link escape",
        "device control one",
        "device control two",
        "device control three",
        "device control four",
        "negative acknowledge",
        "synchronous idle",
        "end of transmission block",
        "cancel",
        "end of medium",
        "substitute",
        "escape",
        "information separator four",
        "information separator three",
        "information separator two",
        "information separator one",
    ];
    let number = u32::from(c);
    let name = match c {
        '\u{80}'..='\u{9f}' => "a control, from Windows-1252 read as Latin-1",
        '\u{fffd}' => "replacement character",
        '\u{fffe}' | '\u{ffff}' => "noncharacter",
        _ => CONTROLS.get(number as usize).copied().unwrap_or_default(),
    };
    if name.is_empty() { format!("U+{number:04X}") } else { format!("U+{number:04X} ({name})") }
}
