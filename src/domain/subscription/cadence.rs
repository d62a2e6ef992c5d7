//! How often mail comes, and when: hours and weekdays on the clock of the subscriber's own wall.
//!
//! A digest's window is known by its local date, so there is one a day at most, whatever the clocks do: an hour that
//! does not exist on that date is taken an hour later, one that exists twice is taken once, and a date that does not
//! exist has no window. Only a digest that does not wait for its hour, since its reader wants mails at once from now on, may
//! be another one of its date.

use crate::domain::{Fault, Time};
use chrono::{DateTime, Datelike as _, NaiveDate, Weekday};
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(tag = "every", rename_all = "snake_case")]
pub enum Cadence {
    /// Each article as it comes out.
    #[default]
    Instant,
    /// One digest on each of some weekdays.
    Daily {
        /// At which hour.
        hour: Hour,
        /// On which days.
        days: Weekdays,
    },
    /// One digest a week.
    Weekly {
        /// At which hour.
        hour: Hour,
        /// On which day.
        day: Weekday,
    },
}

/// An hour of the day, 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Hour(u8);

/// Days of the week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Weekday>", into = "Vec<Weekday>")]
pub struct Weekdays(u8);

/// Names a digest of a subscription for ever: `2026-05-10`, and `2026-05-10.1` where there had been one of that date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Edition {
    /// The local date on which it was due.
    pub date: NaiveDate,
    /// How many of that date came before it.
    pub extra: u32,
}

/// When a digest is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its name.
    #[serde(rename = "date")]
    pub edition: Edition,
    /// The instant.
    #[serde(with = "crate::domain::millis")]
    pub at: Time,
}

/// An IANA time zone, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(Box<str>);

/// Windows are looked for this many days ahead. A weekday comes within seven; a zone may skip one date of a day.
const DAYS_AHEAD_MAX: usize = 15;

impl Cadence {
    /// Is each article a mail of its own?
    pub fn is_instant(&self) -> bool {
        matches!(self, Cadence::Instant)
    }

    /// The first window behind the date `after` that is later than `now`; none for [`Cadence::Instant`].
    ///
    /// Who was away for long is given one window, and not each that was missed.
    pub fn next(&self, zone: &Zone, after: Option<NaiveDate>, now: Time) -> Option<Window> {
        let (hour, days) = match self {
            Cadence::Instant => return None,
            Cadence::Daily { hour, days } => (*hour, *days),
            Cadence::Weekly { hour, day } => (*hour, Weekdays::of([*day])?),
        };
        let zone = zone.time_zone();
        // A zone may be most of a day ahead of or behind UTC, so the search begins a day early.
        let first = now.date_naive().pred_opt()?;
        let first = after.and_then(|after| after.succ_opt()).map_or(first, |after| after.max(first));
        let windows = first.iter_days().take(DAYS_AHEAD_MAX);
        windows
            .filter(|date| days.has(date.weekday()))
            .filter_map(|date| window(&zone, date, hour))
            .find(|window| window.at > now)
    }
}

/// The window of `date`, unless the zone has no such date.
fn window(zone: &TimeZone, date: NaiveDate, hour: Hour) -> Option<Window> {
    let local = civil::Date::new(
        i16::try_from(date.year()).ok()?,
        i8::try_from(date.month()).ok()?,
        i8::try_from(date.day()).ok()?,
    )
    .ok()?;
    let exists = local.to_zoned(zone.clone()).ok()?.date() == local;
    let hour = i8::try_from(hour.0).ok()?;
    // For an hour that is skipped the later instant, for one that comes twice the first (RFC 5545 §3.3.5).
    let zoned = local.at(hour, 0, 0, 0).to_zoned(zone.clone()).ok()?;
    let at = DateTime::from_timestamp_millis(zoned.timestamp().as_millisecond())?;
    exists.then_some(Window { edition: Edition::of(date), at })
}

impl Edition {
    /// The first of `date`.
    pub fn of(date: NaiveDate) -> Self {
        Edition { date, extra: 0 }
    }

    /// The first one that can be on `date`, behind `last`.
    pub(super) fn behind(last: Option<Edition>, date: NaiveDate) -> Self {
        match last.filter(|last| last.date >= date) {
            Some(last) => Edition { extra: last.extra.saturating_add(1), ..last },
            None => Edition::of(date),
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.extra {
            0 => self.date.fmt(f),
            extra => write!(f, "{}.{extra}", self.date),
        }
    }
}

impl TryFrom<String> for Edition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (date, extra) = text.split_once('.').unwrap_or((&text, "0"));
        match (date.parse(), extra.parse()) {
            (Ok(date), Ok(extra)) => Ok(Edition { date, extra }),
            (_, _) => Err(format!("found \"{text}\", expected a date such as 2026-05-10, or 2026-05-10.1")),
        }
    }
}

impl From<Edition> for String {
    fn from(edition: Edition) -> String {
        edition.to_string()
    }
}

impl Hour {
    /// When most people read their mail.
    pub const SEVEN: Hour = Hour(7);

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let hour = text.trim().parse().ok().and_then(|hour: u8| Hour::try_from(hour).ok());
        hour.ok_or_else(|| Fault::new(field, format!("\"{text}\""), "an hour from 0 to 23"))
    }
}

impl TryFrom<u8> for Hour {
    type Error = String;

    fn try_from(hour: u8) -> Result<Self, String> {
        if hour < 24 { Ok(Hour(hour)) } else { Err(format!("found {hour}, expected an hour from 0 to 23")) }
    }
}

impl From<Hour> for u8 {
    fn from(hour: Hour) -> u8 {
        hour.0
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:00", self.0)
    }
}

impl Weekdays {
    /// All seven.
    pub const ALL: Weekdays = Weekdays(0b111_1111);

    /// These; none if there are none.
    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Option<Self> {
        let bits = days.into_iter().fold(0, |bits, day| bits | 1 << day.num_days_from_monday());
        (bits != 0).then_some(Weekdays(bits))
    }

    /// Is `day` one of them?
    pub fn has(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }

    /// They, from Monday on.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        [Mon, Tue, Wed, Thu, Fri, Sat, Sun].into_iter().filter(move |day| self.has(*day))
    }
}

impl TryFrom<Vec<Weekday>> for Weekdays {
    type Error = &'static str;

    fn try_from(days: Vec<Weekday>) -> Result<Self, &'static str> {
        Weekdays::of(days).ok_or("found no day, expected at least one such as \"Mon\"")
    }
}

impl From<Weekdays> for Vec<Weekday> {
    fn from(days: Weekdays) -> Self {
        days.iter().collect()
    }
}

impl Zone {
    /// Errors: a [`Fault`] on `field` where the zone is not known.
    pub fn parse(field: &str, name: &str) -> Result<Self, Fault> {
        let name = name.trim();
        let zone = TimeZone::get(name).ok().and_then(|zone| zone.iana_name().map(Box::from));
        zone.map(Zone).ok_or_else(|| {
            Fault::new(field, format!("\"{name}\""), "an IANA time zone such as Europe/Berlin or Asia/Kolkata")
        })
    }

    /// The zone of those who have none.
    pub fn utc() -> Self {
        Zone("UTC".into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The date there at `at`.
    pub fn date(&self, at: Time) -> NaiveDate {
        let offset = jiff::Timestamp::from_millisecond(at.timestamp_millis())
            .map_or(0, |at| i64::from(self.time_zone().to_offset(at).seconds()));
        (at + chrono::Duration::seconds(offset)).date_naive()
    }

    /// When the day of `at` began there.
    pub fn day_start(&self, at: Time) -> Option<Time> {
        let zone = self.time_zone();
        let local = jiff::Timestamp::from_millisecond(at.timestamp_millis()).ok()?.to_zoned(zone);
        let start = local.start_of_day().ok()?;
        DateTime::from_timestamp_millis(start.timestamp().as_millisecond())
    }

    /// Its history. The database only ever gains names; should one be gone all the same, UTC is better than no mail.
    pub fn time_zone(&self) -> TimeZone {
        TimeZone::get(&self.0).unwrap_or(TimeZone::UTC)
    }
}
