//! A mail as it goes out: in one piece, or as a form that many share with what is one recipient's own.

use super::form::Filled;

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

    /// All its bytes in one piece.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            MailData::Whole(bytes) => bytes,
            MailData::Filled(filled) => filled.parts().collect::<Vec<_>>().concat(),
        }
    }
}
