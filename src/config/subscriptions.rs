//! `[subscriptions]`: what holds for who subscribes by mail, unless they say otherwise.

use super::keys;
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use crate::domain::{Cadence, Hour, Weekdays, Zone};
use chrono::{TimeDelta, Weekday};
use toml::de::DeTable;

/// What `[subscriptions]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriptions {
    /// How often, for who does not say.
    pub every: Every,
    /// The hour of digests.
    pub hour: Hour,
    /// The day of weekly ones.
    pub weekday: Weekday,
    /// On whose clock, for who does not say.
    pub zone: Zone,
    /// Instant mails to one address in a day; what comes behind them folds into a digest.
    pub instant_per_day_max: usize,
    /// Confirmation mails in an hour to the addresses of one domain.
    pub confirmations_per_domain_per_hour_max: usize,
    /// Confirmation mails in a day to one address.
    pub confirmations_per_address_per_day_max: u32,
    /// How long a confirmation mail waits that was asked for without a proof of work.
    pub unproven_wait: TimeDelta,
    /// Articles in a digest.
    pub digest_items_max: usize,
    /// Bytes of a digest's larger part, as it is sent.
    pub digest_bytes_max: usize,
}

/// How often, before an hour and days are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Each article as it comes out.
    Instant,
    /// A digest a day.
    Day,
    /// A digest a week.
    Week,
}

impl Every {
    const ALL: [Every; 3] = [Every::Instant, Every::Day, Every::Week];

    /// As settings, forms and programs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Every::Instant => "instant",
            Every::Day => "daily",
            Every::Week => "weekly",
        }
    }

    /// Reads `instant`, `daily` or `weekly`.
    pub fn parse(word: &str) -> Option<Self> {
        Every::ALL.into_iter().find(|every| every.as_str() == word)
    }
}

impl Subscriptions {
    /// The cadence of who says nothing.
    pub fn cadence(&self) -> Cadence {
        self.cadence_at(self.every, None, None)
    }

    /// `every`, at the hour and on the days of this section where none are given; a week has the first of `days`.
    pub fn cadence_at(&self, every: Every, hour: Option<Hour>, days: Option<Weekdays>) -> Cadence {
        let hour = hour.unwrap_or(self.hour);
        match every {
            Every::Instant => Cadence::Instant,
            Every::Day => Cadence::Daily { hour, days: days.unwrap_or(Weekdays::ALL) },
            Every::Week => {
                Cadence::Weekly { hour, day: days.and_then(|days| days.iter().next()).unwrap_or(self.weekday) }
            }
        }
    }
}

/// Reads the section. None if something was wrong with it.
pub(super) fn read(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) -> Option<Subscriptions> {
    let mut section = Section::open(source, table, "subscriptions", mistakes);
    let every = section.parsed(&keys::SUBSCRIPTIONS_CADENCE, Every::parse);
    let hour = section.whole(&keys::SUBSCRIPTIONS_HOUR).and_then(|hour| u8::try_from(hour).ok());
    let weekday = section.parsed(&keys::SUBSCRIPTIONS_WEEKDAY, |word| word.parse().ok());
    let zone = section.parsed(&keys::SUBSCRIPTIONS_TIME_ZONE, |name| Zone::parse("time_zone", name).ok());
    let instant_per_day_max = section.whole(&keys::SUBSCRIPTIONS_INSTANT_PER_DAY_MAX).map(super::wide);
    let digest_items_max = section.whole(&keys::SUBSCRIPTIONS_DIGEST_ITEMS_MAX).map(super::wide);
    let digest_bytes_max = section.whole(&keys::SUBSCRIPTIONS_DIGEST_BYTES_MAX).map(super::wide);
    let per_domain = section.whole(&keys::SUBSCRIPTIONS_CONFIRMATIONS_PER_DOMAIN_PER_HOUR_MAX).map(super::wide);
    let per_address = section.whole(&keys::SUBSCRIPTIONS_CONFIRMATIONS_PER_ADDRESS_PER_DAY_MAX);
    let wait_s = section.whole(&keys::SUBSCRIPTIONS_UNPROVEN_WAIT_S).and_then(|wait| i64::try_from(wait).ok());
    Some(Subscriptions {
        confirmations_per_domain_per_hour_max: per_domain?,
        confirmations_per_address_per_day_max: per_address.and_then(|number| u32::try_from(number).ok())?,
        unproven_wait: TimeDelta::try_seconds(wait_s?)?,
        every: every?,
        hour: Hour::try_from(hour?).ok()?,
        weekday: weekday?,
        zone: zone?,
        instant_per_day_max: instant_per_day_max?,
        digest_items_max: digest_items_max?,
        digest_bytes_max: digest_bytes_max?,
    })
}

impl Default for Subscriptions {
    /// What holds where the section is not written.
    fn default() -> Self {
        Subscriptions {
            every: Every::Instant,
            hour: Hour::SEVEN,
            weekday: Weekday::Mon,
            zone: Zone::utc(),
            instant_per_day_max: 20,
            confirmations_per_domain_per_hour_max: 300,
            confirmations_per_address_per_day_max: 5,
            unproven_wait: TimeDelta::minutes(2),
            digest_items_max: 50,
            digest_bytes_max: 80_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_holds_without_the_section_is_what_its_keys_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tidings.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("writable");
            let mut mistakes = Mistakes::default();
            let source = Source::read(&file, Path::new("tidings.toml").to_owned(), &mut mistakes).expect("readable");
            let table = source.parse(&mut mistakes).expect("TOML");
            super::read(&source, &table, &mut mistakes)
        };
        assert_eq!(read(""), Some(Subscriptions::default()));
        let weekly = read("[subscriptions]\ncadence = \"weekly\"\nhour = 18\nweekday = \"fri\"\n").expect("good");
        let expected = Cadence::Weekly { hour: Hour::try_from(18).expect("an hour"), day: Weekday::Fri };
        assert_eq!(weekly.cadence(), expected);
        assert_eq!(read("[subscriptions]\nhour = 24\n"), None);
        assert_eq!(read("[subscriptions]\ntime_zone = \"Mars/Phobos\"\n"), None);
    }
}
