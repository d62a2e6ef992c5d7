//! How often, when, in which zone, and who asks: read the same from the form, the preferences and the API.

use super::App;
use super::feeds::client;
use crate::config::{Every, Subscriptions as Standard};
use crate::domain::{Cadence, Fault, Hour, Language, Problem, QueryFault, Selection, Subscription, Weekdays, Zone};
use crate::wire::locale::{Catalogue, When};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use chrono::Weekday;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

/// The client of a request, where it is known: see [`client`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AskedFrom(pub(super) Option<IpAddr>);

impl AskedFrom {
    /// Whoever sent `request` over the connection of `peer`.
    pub(super) fn of(request: &Parts, peer: Option<IpAddr>, proxies: &[IpAddr]) -> Self {
        // Each proxy adds to it: the last line is of the nearest.
        let forwarded_for = request.headers.get_all("x-forwarded-for").iter().next_back();
        AskedFrom(peer.and_then(|peer| client(peer, forwarded_for.map(|value| value.as_bytes()), proxies)))
    }
}

impl FromRequestParts<Arc<App>> for AskedFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// A cadence as it was written, right or wrong; what is empty is as the publisher has it.
#[derive(Debug, Default, Clone)]
pub(super) struct Pace {
    pub(super) every: String,
    pub(super) hour: String,
    pub(super) days: Vec<String>,
}

impl Pace {
    /// The cadence; none where nothing was said. Errors: a [`Fault`] for each part that is wrong.
    pub(super) fn read(&self, standard: &Standard) -> Result<Option<Cadence>, Vec<Fault>> {
        let mut faults = Vec::new();
        if self.every.is_empty() && self.hour.is_empty() && self.days.is_empty() {
            return Ok(None);
        }
        let every = Every::parse(&self.every);
        if every.is_none() {
            faults.push(Fault::new("cadence", format!("\"{}\"", self.every), "instant, daily or weekly"));
        }
        let hour = Some(self.hour.as_str()).filter(|hour| !hour.is_empty());
        let hour = hour.map(|hour| Hour::parse("hour", hour)).transpose();
        let hour = hour.map_err(|fault| faults.push(fault)).ok().flatten();
        let mut days = Vec::new();
        for day in &self.days {
            match day.parse::<Weekday>() {
                Ok(day) => days.push(day),
                Err(_) => faults.push(Fault::new("days", format!("\"{day}\""), "days of the week such as mon")),
            }
        }
        match every {
            Some(every) if faults.is_empty() => Ok(Some(standard.cadence_at(every, hour, Weekdays::of(days)))),
            Some(_) | None => Err(faults),
        }
    }
}

/// What a form says of a subscription and of its reader, as it was filled in, right or wrong.
#[derive(Debug, Default, Clone)]
pub(super) struct Wish {
    pub(super) is_everything: bool,
    pub(super) categories: Vec<String>,
    pub(super) query: String,
    pub(super) pace: Pace,
    pub(super) time_zone: String,
    pub(super) language: String,
}

impl Wish {
    /// Takes what the form has under `name`, if that is part of it.
    pub(super) fn take(&mut self, name: &str, value: String) {
        match name {
            "everything" => self.is_everything = true,
            "category" => self.categories.push(value),
            "query" => self.query = value,
            "cadence" => self.pace.every = value,
            "hour" => self.pace.hour = value,
            "day" => self.pace.days.push(value),
            "time_zone" => self.time_zone = value,
            "language" => self.language = value,
            _ => {}
        }
    }
}

/// Days as the forms have them, such as `Mon`.
pub(super) fn named(days: impl IntoIterator<Item = Weekday>) -> Vec<String> {
    days.into_iter().map(|day| day.to_string()).collect()
}

/// `"daily"`, or `{"every": "daily", "hour": 7, "days": ["mon"]}` with an hour and days or without.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Written {
    /// The word alone.
    Word(String),
    /// All of it.
    Parts {
        /// `instant`, `daily` or `weekly`.
        every: String,
        /// 0 to 23.
        hour: Option<Value>,
        /// The days of a daily digest.
        days: Option<Vec<String>>,
        /// The day of a weekly one.
        day: Option<String>,
    },
}

impl From<Written> for Pace {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(every) => Pace { every, ..Pace::default() },
            Written::Parts { every, hour, days, day } => Pace {
                every,
                hour: hour.map(|hour| hour.to_string()).unwrap_or_default(),
                days: days.unwrap_or_default().into_iter().chain(day).collect(),
            },
        }
    }
}

/// A zone; none where nothing was said. Errors: a [`Fault`] on `time_zone`.
pub(super) fn zone(name: &str) -> Result<Option<Zone>, Fault> {
    if name.trim().is_empty() { Ok(None) } else { Zone::parse("time_zone", name).map(Some) }
}

/// A language; none where nothing was said. Errors: a [`Fault`] on `language`.
pub(super) fn language(tag: &str) -> Result<Option<Language>, Fault> {
    if tag.trim().is_empty() { Ok(None) } else { Language::parse("language", tag).map(Some) }
}

/// What a query takes in; none where nothing was said. Errors: a [`Fault`] on `query`.
pub(super) fn query(text: &str) -> Result<Option<Selection>, Fault> {
    if text.trim().is_empty() { Ok(None) } else { Selection::parse(text.trim()).map(Some).map_err(unreadable) }
}

/// What is wrong with a query, beside its field.
pub(super) fn unreadable(fault: QueryFault) -> Fault {
    Fault { field: "query".to_owned(), ..fault.into() }
}

/// The language of ours that the browser likes best, if it names one: `Accept-Language`, RFC 9110 §12.5.4.
pub(super) fn preferred(headers: &HeaderMap) -> Option<Language> {
    let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(Language, f32)> = None;
    for range in header.split(',') {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = match parameters.trim().strip_prefix("q=") {
            Some(weight) => weight.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0),
            None => 1.0_f32,
        };
        // Of equal ones the first.
        if let Some(language) = Language::of(tag.trim())
            && weight > best.map_or(0.0, |(_, weight)| weight)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The language of whom a link is of: what they have chosen, or the newsroom's. The browser is not asked: mails and pages
/// are to speak alike.
pub(super) fn spoken_to(app: &App, token: &str) -> Result<Language, Problem> {
    Ok(app.subscriptions.language(token)?.unwrap_or_else(|| app.newsroom.load().site.spoken()))
}

/// When the next digest of `subscription` comes, on its reader's clock; none of one whose mails come at once.
pub(super) fn next_digest(app: &App, subscription: &Subscription) -> Result<Option<When>, Problem> {
    let Some(next) = subscription.digests.next else { return Ok(None) };
    Ok(Some(When::new(next.at, &app.subscriptions.zone_of(subscription)?.time_zone())))
}

/// A language in a list of them, under its own name.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Offer {
    tag: &'static str,
    name: String,
    /// Where the same page is in it, if that has an address.
    href: String,
    is_chosen: bool,
}

/// All languages, of which `chosen` is.
pub(super) fn offers(chosen: Language, href: impl Fn(Language) -> String) -> Vec<Offer> {
    let offer = |language: Language| Offer {
        tag: language.tag(),
        name: Catalogue::of(language).text("language-name", &[]),
        href: href(language),
        is_chosen: language == chosen,
    };
    Language::ALL.map(offer).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_favourite_among_ours_counts() {
        for (header, expected) in [
            ("ru", Some(Language::Russian)),
            ("de-DE,de;q=0.9,zh-CN;q=0.5,en;q=0.4", Some(Language::Chinese)),
            ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", Some(Language::Chinese)),
            ("en-US,zh-Hant;q=0.9", Some(Language::English)),
            ("en;q=0.1, ru;q=0.2", Some(Language::Russian)),
            ("en, ru", Some(Language::English)),
            ("ru;q=0, de", None),
            ("ru;q=x", None),
            ("*", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, header.parse().expect("a header"))]);
            assert_eq!(preferred(&headers), expected, "{header}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
