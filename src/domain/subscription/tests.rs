//! A simulated year of digests in zones whose clocks do what clocks do.

use super::*;
use chrono::{NaiveDate, Weekday};
use std::collections::BTreeSet;

fn at(text: &str) -> Time {
    text.parse().expect("a time")
}

fn zone(name: &str) -> Zone {
    Zone::parse("zone", name).expect("bundled")
}

fn hour(hour: u8) -> Hour {
    Hour::try_from(hour).expect("an hour")
}

/// Every window from `from` to `until`, each asked for a moment after the one before was due.
fn windows(cadence: Cadence, zone: &Zone, from: &str, until: &str) -> Vec<Window> {
    let (mut now, until, mut last) = (at(from), at(until), None);
    let mut windows = Vec::new();
    while let Some(window) = cadence.next(zone, last, now).filter(|window| window.at <= until) {
        (now, last) = (window.at + Duration::seconds(1), Some(window.edition.date));
        windows.push(window);
    }
    windows
}

#[test]
fn a_year_of_daily_digests_has_one_on_every_date_of_every_zone_at_every_hour() {
    for (name, from, until, missing) in [
        ("Europe/Berlin", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        ("America/New_York", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        ("Australia/Lord_Howe", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        ("Asia/Kolkata", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        ("Africa/Casablanca", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        // Clocks change at midnight, and on the day before.
        ("Africa/Cairo", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        ("America/Nuuk", "2026-01-01T12:00:00Z", "2027-01-02T12:00:00Z", None),
        // Crossed the date line: Friday, 30 December 2011, never was.
        ("Pacific/Apia", "2011-01-01T12:00:00Z", "2012-01-02T12:00:00Z", Some("2011-12-30")),
    ] {
        for at_hour in 0..24 {
            let cadence = Cadence::Daily { hour: hour(at_hour), days: Weekdays::ALL };
            let windows = windows(cadence, &zone(name), from, until);
            let dates: Vec<NaiveDate> = windows.iter().map(|window| window.edition.date).collect();
            let whole = dates[0].iter_days().take_while(|date| date <= dates.last().expect("some"));
            let missing: Option<NaiveDate> = missing.map(|text: &str| text.parse().expect("a date"));
            let expected: Vec<NaiveDate> = whole.filter(|date| Some(*date) != missing).collect();
            assert_eq!(dates, expected, "{name} at {at_hour}");
            assert!(dates.len() >= 364, "{name} at {at_hour}: {}", dates.len());
            let gaps = windows.windows(2).map(|pair| (pair[1].at - pair[0].at).num_minutes());
            let gaps: BTreeSet<i64> = gaps.collect();
            // An hour, or half of one, is all that a change takes or gives; a fold's hour is followed by a full day.
            assert!(gaps.iter().all(|gap| (22 * 60..=26 * 60).contains(gap)), "{name} at {at_hour}: {gaps:?}");
        }
    }
}

#[test]
fn an_hour_that_is_skipped_comes_later_and_one_that_comes_twice_comes_once() {
    let daily = |at_hour| Cadence::Daily { hour: hour(at_hour), days: Weekdays::ALL };
    for (name, at_hour, now, expected) in [
        ("Europe/Berlin", 7, "2026-03-28T12:00:00Z", "2026-03-29T05:00:00Z"),
        ("Europe/Berlin", 2, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", 2, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z"),
        ("America/New_York", 2, "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"),
        ("America/New_York", 1, "2026-10-31T12:00:00Z", "2026-11-01T05:00:00Z"),
        // Half an hour: 02:00 becomes 02:30 in October, and 02:00 becomes 01:30 in April.
        ("Australia/Lord_Howe", 2, "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"),
        // Ramadan ends in March 2026: on the 22nd at 02:00 it is 03:00.
        ("Africa/Casablanca", 2, "2026-03-21T12:00:00Z", "2026-03-22T02:00:00Z"),
        ("Asia/Kolkata", 7, "2026-06-01T00:00:00Z", "2026-06-01T01:30:00Z"),
    ] {
        let window = daily(at_hour).next(&zone(name), None, at(now)).expect("a window");
        assert_eq!(window.at, at(expected), "{name} at {at_hour}");
        let again = daily(at_hour).next(&zone(name), Some(window.edition.date), window.at).expect("a window");
        assert!(again.at - window.at >= Duration::hours(22), "{name} at {at_hour}: {again:?}");
    }
}

#[test]
fn weekdays_are_those_of_the_subscribers_own_calendar() {
    let working = Weekdays::of([Weekday::Mon, Weekday::Wed]).expect("two");
    // Sunday evening in New York is Monday in UTC.
    let cadence = Cadence::Daily { hour: hour(21), days: working };
    let all = windows(cadence, &zone("America/New_York"), "2026-06-01T00:00:00Z", "2026-06-30T00:00:00Z");
    let days: BTreeSet<&str> = all
        .iter()
        .map(|window| if window.edition.date.format("%a").to_string() == "Mon" { "Mon" } else { "Wed" })
        .collect();
    assert_eq!((all.len(), days.len()), (8, 2));
    assert_eq!(all[0].at, at("2026-06-02T01:00:00Z"));
    let weekly = Cadence::Weekly { hour: hour(7), day: Weekday::Sun };
    let year = windows(weekly, &zone("Europe/Berlin"), "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z");
    assert_eq!(year.len(), 52);
    assert!(year.windows(2).all(|pair| (pair[1].edition.date - pair[0].edition.date).num_days() == 7));
}

#[test]
fn who_was_away_gets_one_window_and_who_moves_gets_no_date_twice() {
    let cadence = Cadence::Daily { hour: hour(7), days: Weekdays::ALL };
    let berlin = zone("Europe/Berlin");
    let missed: NaiveDate = "2026-05-01".parse().expect("a date");
    let next = cadence.next(&berlin, Some(missed), at("2026-05-09T12:00:00Z")).expect("a window");
    assert_eq!(next.edition.date.to_string(), "2026-05-10", "the nine between are one");
    // The digest of the 10th came in Auckland; Honolulu, where it is still the 9th, gets none of that date again.
    let moved =
        cadence.next(&zone("Pacific/Honolulu"), Some(next.edition.date), at("2026-05-09T19:05:00Z")).expect("a window");
    assert_eq!(moved.edition.date.to_string(), "2026-05-11");
}

#[test]
fn what_was_stored_before_is_one_instant_subscription() {
    let old = serde_json::json!({
        "id": "00000000-0000-0000-0000-000000000007", "address": "reader@example.org", "selection": "all",
        "state": { "confirmed": { "at": "2026-01-01T00:00:00Z" } }, "round": 1,
        "created_at": "2026-01-01T00:00:00Z", "asked_at": "2026-01-01T00:00:00Z",
    });
    let read: Subscription = serde_json::from_value(old.clone()).expect("readable");
    assert_eq!((read.cadence, read.digests.next, read.erase_at), (Cadence::Instant, None, None));
    assert_eq!(serde_json::to_value(&read).expect("writable"), old, "what it does not use it does not store");
}

#[test]
fn cadences_are_read_as_they_are_written() {
    for (text, cadence) in [
        (r#"{"every":"instant"}"#, Cadence::Instant),
        (
            r#"{"every":"daily","hour":7,"days":["Mon","Sun"]}"#,
            Cadence::Daily { hour: hour(7), days: Weekdays::of([Weekday::Sun, Weekday::Mon]).expect("two") },
        ),
        (r#"{"every":"weekly","hour":23,"day":"Fri"}"#, Cadence::Weekly { hour: hour(23), day: Weekday::Fri }),
    ] {
        assert_eq!(serde_json::from_str::<Cadence>(text).expect(text), cadence);
        assert_eq!(serde_json::to_string(&cadence).expect(text), text);
    }
    for wrong in [r#"{"every":"daily","hour":24,"days":["Mon"]}"#, r#"{"every":"daily","hour":7,"days":[]}"#] {
        assert!(serde_json::from_str::<Cadence>(wrong).is_err(), "{wrong}");
    }
}
