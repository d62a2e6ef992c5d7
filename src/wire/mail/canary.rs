//! The canary: a mail to ourselves. That it comes back proves that mail is delivered; nobody else can write one, and who
//! holds one back has nothing of it after its time.

use super::{Frame, builder, keyed_hash, plain_header};
use crate::domain::{Fault, Time, clean_line};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, SinglePart};

/// Bears the sealed [`Mark`]. A header, since a bounce encloses what it is about and repeats none of its headers as its own.
pub const HEADER: &str = "X-Tidings-Canary";

/// Keeps these signatures apart from any other use of the same secret.
const DOMAIN: &[u8] = b"tidings: mark of a canary\0";
/// Number and time.
const BODY_BYTES: usize = 4 + 8;
const TAG_BYTES: usize = 32;

/// What a canary bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which one it is.
    pub number: u32,
    /// Until when its coming back proves anything.
    pub until: Time,
}

impl Mark {
    /// As its mail bears it.
    pub fn seal(self, secret: &[u8; 32]) -> String {
        let until = self.until.timestamp_millis().to_be_bytes();
        let body = [&self.number.to_be_bytes()[..], &until].concat();
        URL_SAFE_NO_PAD.encode([&body[..], &keyed_hash(secret, DOMAIN, &body)].concat())
    }

    /// Reads what [`Mark::seal`] gave out; none where the signature does not fit.
    pub fn open(text: &str, secret: &[u8; 32]) -> Option<Self> {
        /// Longer text is not even decoded.
        const TEXT_BYTES: usize = ((BODY_BYTES + TAG_BYTES) * 4).div_ceil(3);
        let bytes = (text.len() <= TEXT_BYTES).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        constant_time::verify_slices_are_equal(&keyed_hash(secret, DOMAIN, body), tag).ok()?;
        let (number, until) = body.split_first_chunk::<4>()?;
        let until = Time::from_timestamp_millis(i64::from_be_bytes(until.try_into().ok()?))?;
        Some(Mark { number: u32::from_be_bytes(*number), until })
    }
}

/// The bytes of the mail that bears `sealed`. No reader ever gets it, so it speaks the operator's language.
/// Errors: a [`Fault`] where an address cannot stand in a mail.
pub fn canary(frame: &Frame<'_>, sealed: &str) -> Result<Vec<u8>, Fault> {
    let subject = format!("{}: is mail delivered?", clean_line(&frame.site.title));
    let text =
        "This mail was sent by a machine to itself: its coming back proves that mail is delivered.\r\n".to_owned();
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| Fault::new("canary", "text", "text that quoted-printable can carry"))?;
    let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body);
    let mail = builder(frame, &subject)?.raw_header(plain_header(HEADER, sealed.to_owned())).singlepart(part);
    Ok(mail.map_err(|error| Fault::new("canary", error.to_string(), "a complete mail"))?.formatted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_opens_with_its_own_secret_and_not_a_letter_changed() {
        let mark = Mark { number: 7, until: Time::UNIX_EPOCH + chrono::Duration::days(20_000) };
        let text = mark.seal(&[7; 32]);
        assert_eq!((Mark::open(&text, &[7; 32]), Mark::open(&text, &[8; 32])), (Some(mark), None));
        for at in 0..text.len() {
            for letter in ["A", "B", "_"] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, letter);
                assert!(changed == text || Mark::open(&changed, &[7; 32]).is_none(), "letter {at}");
            }
        }
        for wrong in ["", "A", &text[1..], &format!("{text}A"), &"A".repeat(1_000)] {
            assert_eq!(Mark::open(wrong, &[7; 32]), None, "{wrong:?}");
        }
    }
}
