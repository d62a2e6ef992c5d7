//! A mail address: what is let in, and when two are one mailbox.

use crate::domain::Fault;
use crate::domain::text::parsed;
use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory, GeneralCategoryGroup,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use url::Host;

/// A mail address, as SMTP can carry it: the local part to the letter, the domain in lower case and ASCII (IDNA).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Address(Box<str>);

impl Address {
    /// RFC 5321 §4.5.3.1.3: a path of 256 octets, less its angle brackets.
    pub const BYTES_MAX: usize = 254;

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new(field, format!("\"{text}\""), "a mail address such as reader@example.org");
        let (local, domain) = text.trim().rsplit_once('@').ok_or_else(fault)?;
        // Letters, their marks and digits of any script (RFC 6531 §3.3); nothing that cannot be seen.
        let is_of_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_mark(c);
        let local_fits =
            local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_of_atom));
        let domain = match is_plain(domain) {
            true => Cow::Borrowed(domain),
            // An address on the web may write a letter as %61; in mail that is a sign like any other, and no domain has it.
            false if domain.contains('%') => return Err(fault()),
            false => match Host::parse(domain) {
                Ok(Host::Domain(ascii)) => Cow::Owned(ascii),
                Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => return Err(fault()),
            },
        };
        let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(is_of_label)
        };
        let domain_fits = domain.contains('.') && domain.split('.').all(label_fits);
        let whole = [local, "@", &domain].concat();
        if !local_fits || !domain_fits || whole.len() > Self::BYTES_MAX {
            return Err(fault());
        }
        Ok(Address(whole.into()))
    }

    /// As it goes into an envelope.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`, in lower case and ASCII.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The form that two spellings of one mailbox share in practice: all in lower case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The mailbox that most servers deliver to: without what stands behind a `+` (RFC 5233).
    pub fn mailbox(&self) -> String {
        let folded = self.folded();
        let Some((local, domain)) = folded.rsplit_once('@') else { return folded };
        match local.split_once('+') {
            Some((mailbox, _)) if !mailbox.is_empty() => format!("{mailbox}@{domain}"),
            Some(_) | None => folded,
        }
    }
}

/// Does IDNA leave the domain as it is, and is it no number, as an IP address may be one? So it mostly is, over and over
/// as records are read.
fn is_plain(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && last.starts_with(|first: char| first.is_ascii_lowercase())
        && !domain.contains("xn--")
}

/// A mark on a letter that is no letter by itself, such as the virama of Devanagari or a tone of Thai.
fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(GeneralCategory::for_char(c)) && !DefaultIgnorableCodePoint::for_char(c)
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| Address::parse("address", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_domain_that_is_plain_is_what_idna_makes_of_it(text in "([a-z0-9-]{0,3}|xn--[a-z0-9]{0,3}|[Aö%_ 1x]|[.]){0,5}") {
            if is_plain(&text) {
                proptest::prop_assert_eq!(Host::parse(&text).ok(), Some(Host::Domain(text)));
            }
        }
    }

    #[test]
    fn addresses_at_the_edges() {
        for (text, stored) in [
            (" Reader+News@Example.ORG ", "Reader+News@example.org"),
            ("o'brien@пример.рф", "o'brien@xn--e1afmkfd.xn--p1ai"),
            ("пётр.1@example.org", "пётр.1@example.org"),
            ("用户@例子.中国", "用户@xn--fsqu00a.xn--fiqs8s"),
            ("संपर्क@example.org", "संपर्क@example.org"),
            ("ติดต่อ.น้ำ@example.org", "ติดต่อ.น้ำ@example.org"),
        ] {
            assert_eq!(Address::parse("address", text).expect(text).as_str(), stored);
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for wrong in [
            "",
            "a",
            "@example.org",
            "a@",
            "a@localhost",
            "a@ex%61mple.org",
            "a@exämple%2Eorg",
            "a@a_b.org",
            "a@example.org.",
            "\"a b\"@example.org",
            "a@b@",
            "a b@example.org",
            "a..b@example.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@example.org\r\nBcc: b@example.org",
            "a,b@example.org",
            "a\u{200b}b@example.org",
            "a\u{a0}b@example.org",
            "a\u{202e}b@example.org",
            "a\u{2028}b@example.org",
            &format!("{}@example.org", "ж".repeat(33)),
            "<a@example.org>",
            "a@-x.org",
            "a@example..org",
            "a@.example.org",
            ".a@example.org",
            "a.@example.org",
            &long,
        ] {
            assert_eq!(Address::parse("address", wrong).expect_err(wrong).field, "address");
        }
    }

    #[test]
    fn an_address_and_its_parts_may_be_as_long_as_mail_can_carry_and_no_longer() {
        let fits = |text: &str| Address::parse("address", text).is_ok_and(|address| address.as_str() == text);
        // 64 bytes, an `@`, and the rest of 254 in labels of which none is too long.
        let whole = |last: usize| {
            let labels = ["a".repeat(63), "b".repeat(63), "c".repeat(last)];
            format!("{}@{}", "r".repeat(64), labels.join("."))
        };
        for (text, bytes, is_good) in [(whole(61), 254, true), (whole(62), 255, false)] {
            assert_eq!((text.len(), fits(&text)), (bytes, is_good), "the whole address: {text}");
        }
        for (local, bytes, is_good) in [
            ("r".repeat(64), 64, true),
            ("r".repeat(65), 65, false),
            ("ж".repeat(32), 64, true),
            (format!("{}r", "ж".repeat(32)), 65, false),
            ("用".repeat(21) + "r", 64, true),
            ("用".repeat(21) + "ж", 65, false),
        ] {
            assert_eq!(
                (local.len(), fits(&format!("{local}@example.org"))),
                (bytes, is_good),
                "the local part: {local}"
            );
        }
        for (bytes, is_good) in [(63, true), (64, false)] {
            let label = "d".repeat(bytes);
            for domain in [format!("{label}.org"), format!("example.{label}"), format!("a.{label}.org")] {
                assert_eq!(fits(&format!("r@{domain}")), is_good, "a label of {bytes}: {domain}");
                // IDNA has a say in this one.
                let upper = Address::parse("address", &format!("r@{}", domain.to_uppercase()));
                assert_eq!(upper.is_ok(), is_good, "a label of {bytes} in capitals: {domain}");
            }
        }
        // What counts is what goes over the wire: `xn--` and what follows it.
        for (letters, is_good) in [(54, true), (55, false)] {
            let stored = Address::parse("address", &format!("r@{}ж.org", "d".repeat(letters)));
            let label = stored.as_ref().ok().and_then(|address| address.domain().split('.').next().map(str::len));
            assert_eq!((stored.is_ok(), label), (is_good, is_good.then_some(63)), "{letters} letters before ж");
        }
    }
}
