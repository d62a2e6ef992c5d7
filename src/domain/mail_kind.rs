//! The kinds of mail that readers get, for those who look at them.

use super::Fault;
use serde::{Deserialize, Serialize};

/// A kind of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// An article came out.
    Notice,
    /// What was told of it before was wrong.
    Correction,
    /// What came out in a day or a week.
    Digest,
    /// Is the subscription wanted?
    // The rows of tests of a kind that there was before.
    #[serde(alias = "change")]
    Confirmation,
    /// It was left.
    Farewell,
    /// The link to the preferences.
    Preferences,
}

impl MailKind {
    /// All of them.
    pub const ALL: [MailKind; 6] = [
        MailKind::Notice,
        MailKind::Correction,
        MailKind::Digest,
        MailKind::Confirmation,
        MailKind::Farewell,
        MailKind::Preferences,
    ];

    /// As the command line and addresses have it.
    pub fn word(self) -> &'static str {
        match self {
            MailKind::Notice => "notice",
            MailKind::Correction => "correction",
            MailKind::Digest => "digest",
            MailKind::Confirmation => "confirmation",
            MailKind::Farewell => "farewell",
            MailKind::Preferences => "preferences",
        }
    }

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, word: &str) -> Result<Self, Fault> {
        let known = || MailKind::ALL.map(MailKind::word).join(", ");
        let found = MailKind::ALL.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| Fault::new(field, format!("\"{word}\""), format!("one of {}", known())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_gone_still_reads_as_what_it_was_a_kind_of() {
        for (word, kind) in [("\"change\"", MailKind::Confirmation), ("\"digest\"", MailKind::Digest)] {
            assert_eq!(serde_json::from_str::<MailKind>(word).expect(word), kind);
        }
        assert!(MailKind::parse("kind", "change").is_err(), "nobody can ask for it");
    }
}
