//! A mail address: what is let in, and when two are one mailbox.

use crate::domain::Fault;
use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory, GeneralCategoryGroup,
};
use serde::{Deserialize, Serialize};
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
        let local_fits = (1..=64).contains(&local.len())
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            // Letters, their marks and digits of any script (RFC 6531 §3.3); nothing that cannot be seen.
            && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || is_mark(c));
        let domain = match Host::parse(domain) {
            Ok(Host::Domain(ascii)) if ascii.contains('.') && !ascii.ends_with('.') && !ascii.contains("..") => ascii,
            _ => return Err(fault()),
        };
        let label_fits = |l: &str| l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-');
        let domain_fits = domain.split('.').all(label_fits)
            && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        let whole = format!("{local}@{domain}");
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

/// A mark on a letter that is no letter by itself, such as the virama of Devanagari or a tone of Thai.
fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(GeneralCategory::for_char(c)) && !DefaultIgnorableCodePoint::for_char(c)
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Address::parse("address", &text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            &long,
        ] {
            assert_eq!(Address::parse("address", wrong).expect_err(wrong).field, "address");
        }
    }
}
