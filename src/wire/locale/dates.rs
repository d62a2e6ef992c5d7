//! Instants as readers see them: in a zone, and in parts that a catalogue puts in order.

use super::{Arg, Catalogue};
use crate::domain::Time;
use chrono::{Datelike as _, NaiveDate};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// An instant in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct When {
    /// `2020-12-18T15:03:00+03:00`.
    pub iso: String,
    /// `2020`, as text: no separator belongs in it.
    pub year: String,
    /// 1 to 12.
    pub month: u8,
    /// `18`.
    pub day: String,
    /// `15:03 MSK`.
    pub time: String,
}

impl When {
    /// All that `zone` changes of how `time` is told: its offset in seconds, and what that is called. Much cheaper than
    /// telling it.
    pub fn clock(time: Time, zone: &TimeZone) -> (i32, String) {
        let info = zone.to_offset_info(instant(time));
        (info.offset().seconds(), info.abbreviation().to_owned())
    }

    /// `time` on the clocks of `zone`.
    pub fn new(time: Time, zone: &TimeZone) -> Self {
        let local = instant(time).to_zoned(zone.clone());
        // Most zones have no name that is their own: an offset is one of UTC.
        let name = local.strftime("%Z").to_string();
        let name = if name.starts_with(['+', '-']) { format!("UTC{name}") } else { name };
        When {
            iso: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            year: local.year().to_string(),
            month: u8::try_from(local.month()).unwrap_or(1),
            day: local.day().to_string(),
            time: format!("{} {name}", local.strftime("%H:%M")),
        }
    }

    /// The date alone, as `catalogue` has dates.
    pub fn date(&self, catalogue: &Catalogue) -> String {
        catalogue.text("date", &[self.year(), self.month(), self.day()])
    }

    /// Date and time.
    pub fn moment(&self, catalogue: &Catalogue) -> String {
        let time = ("time", Arg::Text(&self.time));
        catalogue.text("moment", &[self.year(), self.month(), self.day(), time])
    }

    fn year(&self) -> (&'static str, Arg<'_>) {
        ("year", Arg::Text(&self.year))
    }

    fn month(&self) -> (&'static str, Arg<'_>) {
        ("month", Arg::Number(f64::from(self.month)))
    }

    fn day(&self) -> (&'static str, Arg<'_>) {
        ("day", Arg::Text(&self.day))
    }
}

fn instant(time: Time) -> Timestamp {
    Timestamp::from_millisecond(time.timestamp_millis()).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl From<NaiveDate> for When {
    /// A day without a time.
    fn from(date: NaiveDate) -> Self {
        When {
            iso: date.to_string(),
            year: date.year().to_string(),
            month: u8::try_from(date.month()).unwrap_or(1),
            day: date.day().to_string(),
            time: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Language;

    #[test]
    fn a_date_is_that_of_the_zone_and_in_the_order_of_the_language() {
        let time = "2020-12-31T21:30:00Z".parse().unwrap();
        let moscow = When::new(time, &TimeZone::get("Europe/Moscow").unwrap());
        assert_eq!(moscow.iso, "2021-01-01T00:30:00+03:00");
        for (language, date, moment) in [
            (Language::English, "1 January 2021", "1 January 2021, 00:30 MSK"),
            (Language::Russian, "1 января 2021", "1 января 2021, 00:30 MSK"),
            (Language::Chinese, "2021年1月1日", "2021年1月1日 00:30 MSK"),
        ] {
            let catalogue = Catalogue::of(language);
            assert_eq!((moscow.date(catalogue).as_str(), moscow.moment(catalogue).as_str()), (date, moment));
        }
        assert_eq!(When::new(time, &TimeZone::UTC).time, "21:30 UTC");
        let [vladivostok, brisbane] =
            ["Asia/Vladivostok", "Australia/Brisbane"].map(|name| TimeZone::get(name).unwrap());
        assert_eq!(When::new(time, &vladivostok).time, "07:30 UTC+10");
        assert_ne!(When::clock(time, &vladivostok), When::clock(time, &brisbane), "the same hour, told otherwise");
        assert_eq!(When::clock(time, &TimeZone::get("Asia/Sakhalin").unwrap()).0, 11 * 3_600);
    }
}
