//! What values have to look like: addresses, dates, languages, media types, numbers.

use crate::domain::Time;
use chrono::{DateTime, Datelike, Duration, NaiveDate};
use url::Url;

/// An absolute address of http or https.
pub(super) fn is_web_address(text: &str) -> bool {
    let is_bare = text.bytes().all(|byte| byte > b' ' && byte != b'<' && byte != b'>' && byte != b'"');
    is_bare && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// An absolute address of any scheme (RFC 3987; RFC 4287 §4.2.6 for ids).
pub(super) fn is_iri(text: &str) -> bool {
    let is_bare = !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'));
    is_bare && Url::parse(text).is_ok()
}

/// Does it lead somewhere only from where it stands? A link within the page leads nowhere from a feed either.
pub(super) fn is_relative(text: &str) -> bool {
    let text = text.trim();
    // Most addresses are seen at a glance.
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    !text.is_empty() && !is_web && matches!(Url::parse(text), Err(url::ParseError::RelativeUrlWithoutBase))
}

/// Do both lead to the same place?
pub(super) fn is_same_address(one: &str, other: &str) -> bool {
    one == other || matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one == other)
}

/// `type/subtype`, with parameters or without (RFC 9110 §8.3.1).
pub(super) fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-%'*`|~".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

pub(super) fn is_count(text: &str) -> bool {
    !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "false")
}

/// `mail@example.org` (RFC 5322 §3.4.1, without comments and quotes).
pub(super) fn is_mail_address(text: &str) -> bool {
    let is_atom = |part: &str| {
        !part.is_empty()
            && part.split('.').all(|atom| {
                !atom.is_empty() && atom.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
            })
    };
    text.split_once('@').is_some_and(|(local, host)| is_atom(local) && is_atom(host) && host.contains('.'))
}

/// How a date of RSS was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MailDate {
    Good(Time),
    /// The weekday is another day's.
    Weekday,
    /// It can be read, and some readers do not.
    Odd(Time),
    Wrong,
}

/// Reads a date of RSS: RFC 822 as RFC 5322 §3.3 has it, with a year of four digits.
pub(super) fn mail_date(text: &str) -> MailDate {
    let Ok(date) = DateTime::parse_from_rfc2822(text) else {
        let without_weekday = text.split_once(',').map(|(_, rest)| rest.trim_start());
        let is_date = without_weekday.is_some_and(|rest| DateTime::parse_from_rfc2822(rest).is_ok());
        return if is_date { MailDate::Weekday } else { MailDate::Wrong };
    };
    let mut parts = text.rsplit(' ');
    // "GMT" is what the examples of RSS 2.0 itself have.
    let has_plain_zone = parts.next().is_some_and(|zone| zone == "GMT" || zone.starts_with(['+', '-']));
    let has_long_year = parts.nth(1).is_some_and(|year| year.len() == 4);
    if has_plain_zone && has_long_year && !text.contains("  ") {
        MailDate::Good(date.to_utc())
    } else {
        MailDate::Odd(date.to_utc())
    }
}

/// RFC 3339 §5.6, with the upper-case `T` and `Z` that RFC 4287 §3.3 demands.
pub(super) fn internet_date(text: &str) -> Option<Time> {
    let has_t = text.as_bytes().get(10) == Some(&b'T');
    DateTime::parse_from_rfc3339(text).ok().filter(|_| has_t && !text.ends_with('z')).map(|date| date.to_utc())
}

/// A date as the W3C note on date and time formats has it: a year, a month, a day, or RFC 3339 perhaps without seconds.
pub(super) fn is_w3c_date(text: &str) -> bool {
    let is_day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    match text.len() {
        4 => is_count(text),
        7 => is_day(&format!("{text}-01")),
        10 => is_day(text),
        _ => DateTime::parse_from_rfc3339(text).is_ok() || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%#z").is_ok(),
    }
}

/// A date that no article has: before the first newspaper (1605), or later than tomorrow.
pub(super) fn is_implausible(date: Time, now: Option<Time>) -> bool {
    const FIRST_NEWSPAPER: i32 = 1605;
    !(FIRST_NEWSPAPER..=9999).contains(&date.year()) || now.is_some_and(|now| date > now + Duration::days(1))
}
