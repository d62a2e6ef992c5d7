//! The signed part of the links in mails.

use crate::domain::{Address, Subscriber, Subscription, SubscriptionId, Time};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To confirm what was asked for.
    Confirm,
    /// To leave, and to have a link to one's preferences mailed to the address. Nothing is read with it.
    Leave,
    /// To take leaving back.
    Undo,
    /// To see and to change all that is known of a subscriber.
    Preferences,
    /// To read a subscription as a feed.
    Feed,
    /// Never to be asked again.
    Never,
}

impl Purpose {
    const ALL: [Purpose; 6] =
        [Purpose::Confirm, Purpose::Leave, Purpose::Undo, Purpose::Preferences, Purpose::Feed, Purpose::Never];

    fn letter(self) -> u8 {
        match self {
            Purpose::Confirm => b'c',
            Purpose::Leave => b'l',
            Purpose::Undo => b'u',
            Purpose::Preferences => b'p',
            Purpose::Feed => b'f',
            Purpose::Never => b'n',
        }
    }
}

/// Who may do what: the bearer of the link, who can read the subscriber's mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is for.
    pub purpose: Purpose,
    /// Which subscription; of [`Purpose::Preferences`] the id is the subscriber's.
    pub subscription: SubscriptionId,
    /// The round that it is good for: of the subscription, of the subscriber's links, or of the feed's addresses. Leaving
    /// is possible at any time by every mail's link: there it says which mail that was, or 0.
    pub round: u32,
    /// Of [`Purpose::Never`] alone: whose wish it is, as [`mailbox_hash`] has it. So that link works for good, also when all else that
    /// was known of the address is erased.
    pub mailbox: Option<[u8; 32]>,
}

/// Keeps these signatures apart from any other use of the same secret.
const DOMAIN: &[u8] = b"tidings: link of a subscription\0";
/// Purpose, subscription, round.
const BODY_BYTES: usize = 1 + 16 + 4;
const MAILBOX_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

impl Token {
    /// Confirms the subscription's present round.
    pub fn confirm(subscription: &Subscription) -> Self {
        Token::new(Purpose::Confirm, subscription.id, subscription.round)
    }

    /// Leaves, whenever it is used.
    pub fn leave(subscription: SubscriptionId) -> Self {
        Token::new(Purpose::Leave, subscription, 0)
    }

    /// The same by the link of the mail with this tag.
    pub fn leave_by(subscription: SubscriptionId, tag: u32) -> Self {
        Token::new(Purpose::Leave, subscription, tag)
    }

    /// Forbids that the owner of the subscription's `address` is asked again.
    pub fn never(subscription: SubscriptionId, address: &Address, secret: &[u8; 32]) -> Self {
        Token { mailbox: Some(mailbox_hash(address, secret)), ..Token::new(Purpose::Never, subscription, 0) }
    }

    /// Takes back that the subscription was left, this time.
    pub fn undo(subscription: &Subscription) -> Self {
        Token::new(Purpose::Undo, subscription.id, subscription.round)
    }

    /// Shows and changes what is known of the subscriber, until another such link is asked for.
    pub fn preferences(subscriber: &Subscriber) -> Self {
        Token::new(Purpose::Preferences, SubscriptionId(subscriber.id.0), subscriber.links)
    }

    /// Reads the subscription as a feed, until that gets another address.
    pub fn feed(subscription: &Subscription) -> Self {
        Token::new(Purpose::Feed, subscription.id, subscription.feed)
    }

    fn new(purpose: Purpose, subscription: SubscriptionId, round: u32) -> Self {
        Token { purpose, subscription, round, mailbox: None }
    }

    /// As it stands in an address: base64url of purpose, subscription, round, mailbox if there is one, and the HMAC-SHA256 of
    /// all of them.
    pub fn seal(&self, secret: &[u8; 32]) -> String {
        let mut bytes = self.body();
        bytes.extend(keyed_hash(secret, DOMAIN, &bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Token::seal`] gave out; none where the signature does not fit. Takes the same time either way.
    pub fn open(text: &str, secret: &[u8; 32]) -> Option<Self> {
        /// Longer text is not even decoded.
        const TEXT_BYTES: usize = ((BODY_BYTES + MAILBOX_BYTES + TAG_BYTES) * 4).div_ceil(3);
        let bytes = (text.len() <= TEXT_BYTES).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        hmac::verify(&key(secret), &[DOMAIN, body].concat(), tag).ok()?;
        let (purpose, rest) = body.split_first()?;
        let (subscription, rest) = rest.split_first_chunk::<16>()?;
        let (round, mailbox) = rest.split_first_chunk::<4>()?;
        let token = Token {
            purpose: Purpose::ALL.into_iter().find(|known| known.letter() == *purpose)?,
            subscription: SubscriptionId(Uuid::from_bytes(*subscription)),
            round: u32::from_be_bytes(*round),
            mailbox: if mailbox.is_empty() { None } else { Some(mailbox.try_into().ok()?) },
        };
        (token.mailbox.is_some() == (token.purpose == Purpose::Never)).then_some(token)
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY_BYTES + MAILBOX_BYTES + TAG_BYTES);
        bytes.push(self.purpose.letter());
        bytes.extend(self.subscription.0.as_bytes());
        bytes.extend(self.round.to_be_bytes());
        bytes.extend(self.mailbox.iter().flatten());
        bytes
    }
}

/// Lets whoever has it look at the newsroom's mails, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Until then.
    pub until: Time,
}

/// Keeps these signatures apart from those of links in mails.
const PASS: &[u8] = b"tidings: pass to look at mails\0";

impl Pass {
    /// As it stands in an address: base64url of the time and its HMAC-SHA256.
    pub fn seal(self, secret: &[u8; 32]) -> String {
        let body = self.until.timestamp_millis().to_be_bytes();
        URL_SAFE_NO_PAD.encode([&body[..], &keyed_hash(secret, PASS, &body)].concat())
    }

    /// Reads what [`Pass::seal`] gave out; none where the signature does not fit.
    pub fn open(text: &str, secret: &[u8; 32]) -> Option<Self> {
        const TEXT_BYTES: usize = ((8 + TAG_BYTES) * 4).div_ceil(3);
        let bytes = (text.len() <= TEXT_BYTES).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let (body, tag) = bytes.split_first_chunk::<8>()?;
        hmac::verify(&key(secret), &[PASS, &body[..]].concat(), tag).ok()?;
        Time::from_timestamp_millis(i64::from_be_bytes(*body)).map(|until| Pass { until })
    }
}

/// What stands in the place of a subscription in the rows of tests to `address`: a keyed hash, so that they are found
/// where all that is held about it is shown or erased.
pub fn test_recipient(address: &Address, secret: &[u8; 32]) -> SubscriptionId {
    const RECIPIENT: &[u8] = b"tidings: recipient of a test\0";
    let hash = keyed_hash(secret, RECIPIENT, address.folded().as_bytes());
    let first = hash.first_chunk::<16>().copied().unwrap_or_default();
    SubscriptionId(uuid::Builder::from_random_bytes(first).into_uuid())
}

/// A keyed hash of the mailbox of `address`, by which a wish never to be asked again is kept in place of the address: only
/// who has the `secret` can tell whether an address is meant, and no two stores have the same of it.
pub fn mailbox_hash(address: &Address, secret: &[u8; 32]) -> [u8; 32] {
    const NEVER: &[u8] = b"tidings: never ask\0";
    keyed_hash(secret, NEVER, address.mailbox().as_bytes())
}

/// HMAC-SHA256 of `text`; `domain` keeps it apart from all else that is made with the same secret.
pub fn keyed_hash(secret: &[u8; 32], domain: &[u8], text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&key(secret), &[domain, text].concat());
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

fn key(secret: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_with_its_own_secret_and_is_no_token() {
        let pass = Pass { until: Time::UNIX_EPOCH + chrono::Duration::hours(1) };
        let text = pass.seal(&[7; 32]);
        assert_eq!(Pass::open(&text, &[7; 32]), Some(pass));
        let longer = URL_SAFE_NO_PAD.encode([&u64::MAX.to_be_bytes()[..], &[0; 32]].concat());
        for (wrong, secret) in [(text.as_str(), [8; 32]), (&text[1..], [7; 32]), ("", [7; 32]), (&longer, [7; 32])] {
            assert_eq!(Pass::open(wrong, &secret), None, "{wrong:?}");
        }
        assert_eq!(Token::open(&text, &[7; 32]), None);
        let leave = Token::leave(SubscriptionId(Uuid::nil())).seal(&[7; 32]);
        assert_eq!(Pass::open(&leave, &[7; 32]), None);
    }

    #[test]
    fn a_token_opens_with_its_own_secret_and_not_a_letter_changed() {
        let token = Token::new(Purpose::Confirm, SubscriptionId(Uuid::from_u128(0x0123_4567_89ab_cdef)), 3);
        let text = token.seal(&[7; 32]);
        assert_eq!(text.len(), 71);
        assert_eq!(Token::open(&text, &[7; 32]), Some(token));
        assert_eq!(Token::open(&text, &[8; 32]), None, "another store's");
        for at in 0..text.len() {
            for letter in ["A", "B", "_"] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, letter);
                assert!(changed == text || Token::open(&changed, &[7; 32]).is_none(), "letter {at}");
            }
        }
        for wrong in ["", "A", &text[1..], &format!("{text}A"), &format!("{text}="), &"A".repeat(1_000)] {
            assert_eq!(Token::open(wrong, &[7; 32]), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_link_to_be_left_alone_tells_of_the_mailbox_and_of_nothing_that_can_be_read() {
        let address = |text| Address::parse("address", text).expect(text);
        let id = SubscriptionId(Uuid::from_u128(7));
        let token = Token::never(id, &address("Reader+news@example.org"), &[7; 32]);
        let text = token.seal(&[7; 32]);
        assert_eq!(Token::open(&text, &[7; 32]), Some(token));
        assert_eq!(text.len(), 114);
        assert_eq!(Token::never(id, &address("reader@example.org"), &[7; 32]), token, "the same mailbox");
        for (other, secret) in [("reader@example.org", [8; 32]), ("readers@example.org", [7; 32])] {
            let other = mailbox_hash(&address(other), &secret);
            assert_ne!(Some(other), token.mailbox);
        }
        for bytes in [1, 31, 33] {
            let body = [&token.body()[..BODY_BYTES], &vec![1; bytes]].concat();
            let tag = hmac::sign(&key(&[7; 32]), &[DOMAIN, &body].concat());
            let odd = URL_SAFE_NO_PAD.encode([&body[..], tag.as_ref()].concat());
            assert_eq!(Token::open(&odd, &[7; 32]), None, "{bytes} bytes");
        }
        for odd in [Token { mailbox: None, ..token }, Token { purpose: Purpose::Leave, ..token }] {
            assert_eq!(Token::open(&odd.seal(&[7; 32]), &[7; 32]), None, "{odd:?}");
        }
    }
}
