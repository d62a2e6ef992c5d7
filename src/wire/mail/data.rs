//! A mail as it goes out: in one piece, or as a form that many share with what is one recipient's own.

use super::form::Filled;

/// What DATA has in front of a line that begins with one.
pub(super) const DOT: &[u8] = b".";

/// The mail data of RFC 5321 §2.3.9: headers and body, as they were written.
#[derive(Debug)]
pub enum MailData {
    /// Written, or signed, for one recipient.
    Whole(Vec<u8>),
    /// A form, filled in.
    Filled(Filled),
}

impl From<Vec<u8>> for MailData {
    fn from(bytes: Vec<u8>) -> Self {
        MailData::Whole(bytes)
    }
}

impl MailData {
    /// Its bytes, in their order.
    pub fn parts(&self) -> Vec<&[u8]> {
        match self {
            MailData::Whole(bytes) => vec![bytes],
            MailData::Filled(filled) => filled.parts().collect(),
        }
    }

    /// How many there are.
    pub fn length(&self) -> usize {
        match self {
            MailData::Whole(bytes) => bytes.len(),
            MailData::Filled(filled) => filled.parts().map(<[u8]>::len).sum(),
        }
    }

    /// Is every byte below 128?
    pub fn is_ascii(&self) -> bool {
        match self {
            MailData::Whole(bytes) => bytes.is_ascii(),
            MailData::Filled(filled) => filled.is_ascii(),
        }
    }

    /// The same as DATA carries them: with a dot more in front of each line that begins with one. RFC 5321 §4.5.2.
    pub fn dotted(&self) -> Vec<&[u8]> {
        match self {
            MailData::Whole(bytes) => {
                let (mut parts, mut from) = (Vec::new(), 0);
                for dot in lines_with_dots(bytes) {
                    parts.extend([bytes.get(from..dot).unwrap_or_default(), DOT]);
                    from = dot;
                }
                parts.push(bytes.get(from..).unwrap_or_default());
                parts
            }
            MailData::Filled(filled) => filled.dotted().collect(),
        }
    }

    /// All its bytes in one piece.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            MailData::Whole(bytes) => bytes,
            MailData::Filled(filled) => filled.parts().collect::<Vec<_>>().concat(),
        }
    }
}

/// Where the lines of `mail` begin that begin with a dot.
pub(super) fn lines_with_dots(mail: &[u8]) -> impl Iterator<Item = usize> {
    let first = mail.starts_with(DOT).then_some(0);
    first.into_iter().chain(memchr::memmem::find_iter(mail, b"\n.").map(|end| end + 1))
}
