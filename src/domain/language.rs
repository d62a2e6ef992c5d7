//! The languages that readers are spoken to in.

use super::Fault;
use super::text::parsed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A language of pages and mails. Articles may be in any; see [`super::is_language_tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `en`
    English,
    /// `ru`
    Russian,
    /// `zh`, in simplified characters.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 3] = [Language::English, Language::Russian, Language::Chinese];

    /// Its BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Russian => "ru",
            Language::Chinese => "zh",
        }
    }

    /// The one that `tag` is a kind of, as `ru-RU` is of Russian (RFC 4647 §3.4).
    pub fn of(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Language::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, tag: &str) -> Result<Self, Fault> {
        let expected = Language::ALL.map(Language::tag).join(", ");
        let fault = || Fault::new(field, format!("\"{tag}\""), format!("one of {expected}"));
        Language::of(tag.trim()).ok_or_else(fault)
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.tag())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |tag| Language::parse("language", tag))
    }
}

/// For records of the time in which any tag could be chosen: one that is not among them counts as none.
pub(super) fn if_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(Language::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_kind_of_one_of_them_or_of_none() {
        for (tag, expected) in [
            ("en", Some(Language::English)),
            ("EN-gb", Some(Language::English)),
            ("ru-RU", Some(Language::Russian)),
            // Simplified characters: lookup (RFC 4647 §3.4) ends at `zh`, before any default.
            ("zh-Hant-TW", Some(Language::Chinese)),
            ("zh-TW", Some(Language::Chinese)),
            ("zh_CN", Some(Language::Chinese)),
            ("de", None),
            ("eng", None),
            ("", None),
        ] {
            assert_eq!(Language::of(tag), expected, "{tag}");
        }
        let fault = Language::parse("language", "de").expect_err("not among them");
        assert_eq!(fault.to_string(), "`language`: found \"de\", expected one of en, ru, zh");
    }
}
