//! The sender of an envelope, which is each subscription's own (VERP): a bounce that comes back tells by it whom it
//! is about, whatever else it says. It is signed, so that nobody can make one up, and in lower case and digits alone,
//! since mail servers change the case of what they return.

use super::keyed_hash;
use crate::config::ReturnAddress;
use crate::domain::{SubscriptionId, Time};
use aws_lc_rs::constant_time;
use uuid::Uuid;

/// Keeps these signatures apart from any other use of the same secret.
const DOMAIN: &[u8] = b"tidings: sender of an envelope\0";
/// 2^80 tries to make one up, at each of which a mail has to be sent.
const TAG_BYTES: usize = 10;
/// Days since 1970, and the subscription.
const BODY_BYTES: usize = 2 + 16;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Letters behind the `+`.
const TAIL_CHARS: usize = ((BODY_BYTES + TAG_BYTES) * 8).div_ceil(5);

/// Whom a mail that came back is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Day on which it was sent, counted from 1970.
    pub day: u16,
}

/// `bounces+<signed>@news.example.org`: sender of the envelope of what goes to `subscription` at `now`. RFC 5321 §4.4
/// lets a return path be any mailbox.
pub fn envelope_sender(address: &ReturnAddress, subscription: SubscriptionId, now: Time, secret: &[u8; 32]) -> String {
    let day = u16::try_from(now.timestamp().div_euclid(86_400)).unwrap_or(u16::MAX);
    let returned = Returned { subscription, day };
    format!("{}+{}@{}", address.local, returned.seal(secret), address.domain)
}

impl Returned {
    /// Reads the part between `+` and `@` of what [`envelope_sender`] gave out; none where the signature does not fit.
    pub fn open(tail: &str, secret: &[u8; 32]) -> Option<Self> {
        let bytes = decode(tail)?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        constant_time::verify_slices_are_equal(&sign(body, secret), tag).ok()?;
        let (day, subscription) = body.split_first_chunk::<2>()?;
        let subscription = SubscriptionId(Uuid::from_slice(subscription).ok()?);
        Some(Returned { subscription, day: u16::from_be_bytes(*day) })
    }

    fn seal(&self, secret: &[u8; 32]) -> String {
        let body = [&self.day.to_be_bytes()[..], self.subscription.0.as_bytes()].concat();
        encode(&[&body[..], &sign(&body, secret)].concat())
    }
}

fn sign(body: &[u8], secret: &[u8; 32]) -> [u8; TAG_BYTES] {
    keyed_hash(secret, DOMAIN, body).first_chunk().copied().unwrap_or_default()
}

/// Base32 of RFC 4648 §6 in lower case, without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(TAIL_CHARS);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut put = |value: u32| text.push(char::from(LETTERS[(value & 31) as usize]));
    for byte in bytes {
        (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
        while held >= 5 {
            held -= 5;
            put(bits >> held);
        }
    }
    if held > 0 {
        put(bits << (5 - held));
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BODY_BYTES + TAG_BYTES);
    let (mut bits, mut held) = (0_u32, 0_u32);
    if text.len() != TAIL_CHARS {
        return None;
    }
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter.to_ascii_lowercase())?;
        (bits, held) = (bits << 5 | u32::try_from(value).ok()?, held + 5);
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).ok()?);
        }
    }
    // One mailbox has one spelling.
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_path_tells_whose_it_is_and_cannot_be_made_up() {
        let address = ReturnAddress { local: "bounces".into(), domain: "news.example.org".into() };
        let subscription = SubscriptionId(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        let now = Time::UNIX_EPOCH + chrono::Duration::days(20_000);
        let sender = envelope_sender(&address, subscription, now, &[7; 32]);
        let (local, domain) = sender.split_once('@').unwrap();
        assert!(local.len() <= 64 && domain == "news.example.org", "{sender}");
        let tail = local.strip_prefix("bounces+").unwrap();
        let expected = Some(Returned { subscription, day: 20_000 });
        assert_eq!(Returned::open(tail, &[7; 32]), expected);
        assert_eq!(Returned::open(&tail.to_uppercase(), &[7; 32]), expected, "in whatever case it comes back");
        assert_eq!(Returned::open(tail, &[8; 32]), None, "another store's");
        for at in 0..tail.len() {
            for letter in ["a", "q", "7", "1"] {
                let mut changed = tail.to_owned();
                changed.replace_range(at..=at, letter);
                assert!(changed == tail || Returned::open(&changed, &[7; 32]).is_none(), "letter {at}: {letter}");
            }
        }
        for wrong in ["", "a", &tail[1..], &format!("{tail}a"), &"ä".repeat(23)] {
            assert_eq!(Returned::open(wrong, &[7; 32]), None, "{wrong:?}");
        }
    }
}
