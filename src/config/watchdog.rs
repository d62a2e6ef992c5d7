//! `[mail.watchdog]` and `[mail.canary]`: when mail is late, and how it is known that it arrives.

use super::keys;
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use crate::domain::Address;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

/// A class of mail: each has a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailClass {
    /// Confirmation mails.
    Confirmation,
    /// Notices of articles.
    Notice,
    /// Digests.
    Digest,
    /// Corrections.
    Correction,
    /// Links to the preferences, and the news of having left.
    Preferences,
}

impl MailClass {
    /// All of them.
    pub const ALL: [MailClass; 5] =
        [MailClass::Confirmation, MailClass::Notice, MailClass::Digest, MailClass::Correction, MailClass::Preferences];

    /// As metrics and people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            MailClass::Confirmation => "confirmation",
            MailClass::Notice => "notice",
            MailClass::Digest => "digest",
            MailClass::Correction => "correction",
            MailClass::Preferences => "preferences",
        }
    }
}

/// The deadline of each class, from when a message was first due.
#[derive(Debug, Clone)]
pub struct Watchdog {
    /// Of confirmation mails.
    pub confirmation: TimeDelta,
    /// Of notices.
    pub notice: TimeDelta,
    /// Of digests.
    pub digest: TimeDelta,
    /// Of corrections.
    pub correction: TimeDelta,
    /// Of links to the preferences, and of the news of having left.
    pub preferences: TimeDelta,
}

/// A mail to ourselves that proves delivery.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Where it goes. Its mailbox hands it on to the return address, or is that.
    pub address: Address,
    /// From one to the next.
    pub every: TimeDelta,
    /// It has to be back by then.
    pub deadline: TimeDelta,
}

impl Watchdog {
    /// The deadline of a class.
    pub fn of(&self, class: MailClass) -> TimeDelta {
        match class {
            MailClass::Confirmation => self.confirmation,
            MailClass::Notice => self.notice,
            MailClass::Digest => self.digest,
            MailClass::Correction => self.correction,
            MailClass::Preferences => self.preferences,
        }
    }
}

impl Default for Watchdog {
    /// As where nothing is configured.
    fn default() -> Self {
        let minutes = TimeDelta::minutes;
        Watchdog {
            confirmation: minutes(15),
            notice: minutes(60),
            digest: minutes(120),
            correction: minutes(60),
            preferences: minutes(15),
        }
    }
}

/// Reads both sections; `has_door` says whether there is one for what comes back. None if something was wrong.
pub(super) fn read(
    source: &Source,
    table: &DeTable<'_>,
    has_door: bool,
    mistakes: &mut Mistakes,
) -> Option<(Watchdog, Option<Canary>)> {
    let mut section = Section::open(source, table, "mail.watchdog", mistakes);
    let mut minutes = |key| section.whole(key).and_then(|minutes| TimeDelta::try_minutes(i64::try_from(minutes).ok()?));
    let confirmation = minutes(&keys::WATCHDOG_CONFIRMATION_MIN);
    let notice = minutes(&keys::WATCHDOG_NOTICE_MIN);
    let digest = minutes(&keys::WATCHDOG_DIGEST_MIN);
    let correction = minutes(&keys::WATCHDOG_CORRECTION_MIN);
    let preferences = minutes(&keys::WATCHDOG_PREFERENCES_MIN);
    let mut section = Section::open(source, table, "mail.canary", mistakes);
    let address = section.parsed(&keys::CANARY_ADDRESS, |text| Address::parse("address", text).ok());
    if address.is_some() && !has_door {
        let expected = "mail.returns_maildir or mail.returns_lmtp beside it, through which it comes back";
        section.mistake(&keys::CANARY_ADDRESS, "no door for what comes back", expected);
    }
    let mut minutes = |key| section.whole(key).and_then(|minutes| TimeDelta::try_minutes(i64::try_from(minutes).ok()?));
    let (every, deadline) = (minutes(&keys::CANARY_EVERY_MIN), minutes(&keys::CANARY_DEADLINE_MIN));
    let watchdog = Watchdog {
        confirmation: confirmation?,
        notice: notice?,
        digest: digest?,
        correction: correction?,
        preferences: preferences?,
    };
    let (every, deadline) = (every?, deadline?);
    Some((watchdog, address.map(|address| Canary { address, every, deadline })))
}
