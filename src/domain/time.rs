//! Instants, the clock that tests control, and dates as people and feeds write them.

use super::Fault;
use chrono::{DateTime, Datelike as _, Duration, SubsecRound, Timelike as _, Utc};
use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use std::sync::{Arc, Mutex, PoisonError};

/// An instant in UTC; everything stored has millisecond precision.
pub type Time = DateTime<Utc>;

/// Where "now" comes from. Everything that needs the time is handed one of these.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Test(Arc<Mutex<Time>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Source::System)
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn test(at: Time) -> Self {
        Clock(Source::Test(Arc::new(Mutex::new(at))))
    }

    /// The time now, cut to milliseconds so that a stored time equals the one that was compared.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => Utc::now().trunc_subsecs(3),
            Source::Test(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a test clock, back by a negative time; the system clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Test(at) = &self.0 {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

/// When something has changed at `now` that last changed at `last`. Not before that: a clock that was set back would have
/// readers believe that they know what they have not seen. A second later, then, since dates in HTTP and in feeds count
/// seconds. Less than a second is not the clock: who is first to look at it may be second to write.
pub fn changed(last: Option<Time>, now: Time) -> Time {
    let step = Duration::seconds(1);
    match last {
        Some(last) if now < last - step => last + step,
        Some(last) => last.max(now),
        None => now,
    }
}

/// Reads a date that a person wrote: RFC 3339 (`2020-12-18T15:03:00+03:00`), the same without a zone,
/// a bare day, or `dd.mm.yyyy HH:MM`. Where none is written, `zone` applies.
/// A local time that a daylight-saving change skips or doubles is taken as jiff's `compatible` rule says
/// (RFC 5545 §3.3.5: the later for a gap, the first for a fold).
///
/// Errors: a [`Fault`] that names `field` and the forms.
pub fn parse_time(field: &str, text: &str, zone: &TimeZone) -> Result<Time, Fault> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc).trunc_subsecs(3));
    }
    let expected = "RFC 3339 such as 2020-12-18T15:03:00+03:00, or dd.mm.yyyy HH:MM";
    local(text)
        .and_then(|local| local.to_zoned(zone.clone()).ok())
        .and_then(|zoned| DateTime::from_timestamp_millis(zoned.timestamp().as_millisecond()))
        .ok_or_else(|| Fault::new(field, format!("\"{text}\""), expected))
}

fn local(text: &str) -> Option<civil::DateTime> {
    let dotted = |format| strtime::parse(format, text).and_then(|parts| parts.to_datetime()).ok();
    dotted("%d.%m.%Y %H:%M")
        .or_else(|| dotted("%d.%m.%Y %H:%M:%S"))
        .or_else(|| dotted("%Y-%m-%d %H:%M"))
        .or_else(|| text.parse().ok())
}

/// The date form of RSS and mail: `Fri, 18 Dec 2020 12:03:00 +0000`. RFC 5322 §3.3 with a four-digit year.
pub fn rfc822(time: Time) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // By hand: each mail and each item of a feed has one, and a pattern is read anew each time.
    let month = usize::try_from(time.month0()).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
    let (day, year) = (time.day(), time.year());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000", time.weekday())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_date_form_of_mail_is_written_as_the_pattern_says(seconds in -62_000_000_000_i64..250_000_000_000) {
            let time = DateTime::from_timestamp(seconds, 0).expect("years of four digits");
            let pattern = time.format("%a, %d %b %Y %H:%M:%S +0000").to_string();
            proptest::prop_assert_eq!(rfc822(time), pattern);
        }
    }

    #[test]
    fn a_moscow_time_without_a_zone_becomes_the_right_instant() {
        let moscow = TimeZone::get("Europe/Moscow").expect("bundled");
        let time = parse_time("date", "18.12.2020 15:03", &moscow).expect("valid");
        assert_eq!(time.to_rfc3339(), "2020-12-18T12:03:00+00:00");
        // Moscow was at +04:00 in October 2009: the zone's history counts, not today's offset.
        let time = parse_time("date", "14.10.2009 16:19", &moscow).expect("valid");
        assert_eq!(time.to_rfc3339(), "2009-10-14T12:19:00+00:00");
    }

    #[test]
    fn no_change_is_before_the_last_one() {
        let at = |millis: i64| Time::UNIX_EPOCH + Duration::days(20_000) + Duration::milliseconds(millis);
        for (last, now, expected) in
            [(0, 1, 1), (0, 0, 0), (1_000, 0, 1_000), (1_001, 0, 2_001), (9_000_000, 0, 9_001_000)]
        {
            assert_eq!(changed(Some(at(last)), at(now)), at(expected), "{last} {now}");
        }
        assert_eq!(changed(None, at(0)), at(0));
    }

    #[test]
    fn a_written_offset_wins_over_the_zone() {
        let moscow = TimeZone::get("Europe/Moscow").expect("bundled");
        let time = parse_time("date", "2020-12-18T15:03:00Z", &moscow).expect("valid");
        assert_eq!(rfc822(time), "Fri, 18 Dec 2020 15:03:00 +0000");
    }

    #[test]
    fn a_wrong_date_names_its_field_and_the_forms() {
        let fault = parse_time("date", "32.12.2020 15:03", &TimeZone::UTC).expect_err("no such day");
        assert_eq!(fault.field, "date");
        assert!(fault.found.contains("32.12.2020") && fault.expected.contains("RFC 3339"));
    }
}
