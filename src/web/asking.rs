//! How often, when, in which zone, and who asks: read the same from the form, the preferences and the API.

use super::App;
use super::feeds::client;
use crate::config::{Every, Subscriptions as Standard};
use crate::domain::{Cadence, Fault, Hour, Weekdays, Zone};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::Weekday;
use serde::Deserialize;
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
pub(super) fn language(tag: &str) -> Result<Option<String>, Fault> {
    let tag = tag.trim();
    if tag.is_empty() {
        return Ok(None);
    }
    let language = crate::config::language(tag);
    language.map(Some).ok_or_else(|| Fault::new("language", format!("\"{tag}\""), "a language tag such as en or ru-RU"))
}
