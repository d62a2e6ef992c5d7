//! How records hold instants: for programs as milliseconds since 1970, since text was a twentieth of a mail's work; as
//! RFC 3339 text in formats that people read. Either is read in any format, and so is what earlier versions wrote.
//!
//! For fields: `#[serde(with = "millis")]`, and `millis::optional` where there may be none.

use super::Time;
use chrono::DateTime;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize as _, Serializer};

/// Writes an instant. One that is not whole milliseconds stays text, so that it comes back as it was.
pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = time.timestamp_millis();
    let is_whole = DateTime::from_timestamp_millis(millis).as_ref() == Some(time);
    if serializer.is_human_readable() || !is_whole {
        return time.serialize(serializer);
    }
    serializer.serialize_i64(millis)
}

/// Reads an instant. Errors: neither a number of milliseconds that is a date, nor RFC 3339 text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    struct Instant;
    impl Visitor<'_> for Instant {
        type Value = Time;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("milliseconds since 1970, or an RFC 3339 date")
        }

        fn visit_i64<E: Error>(self, millis: i64) -> Result<Time, E> {
            let out_of_range = || E::custom(format!("{millis} milliseconds, expected a date"));
            DateTime::from_timestamp_millis(millis).ok_or_else(out_of_range)
        }

        fn visit_u64<E: Error>(self, millis: u64) -> Result<Time, E> {
            self.visit_i64(i64::try_from(millis).unwrap_or(i64::MAX))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
            let time = DateTime::parse_from_rfc3339(text).map_err(|error| E::custom(format!("\"{text}\": {error}")))?;
            Ok(time.to_utc())
        }
    }
    deserializer.deserialize_any(Instant)
}

/// The same of what may not be there.
pub mod optional {
    use super::super::Time;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Instant(#[serde(with = "super")] Time);

    /// Writes an instant, or none.
    pub fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Instant).serialize(serializer)
    }

    /// Reads an instant, or none. Errors: those of one.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        Ok(Option::<Instant>::deserialize(deserializer)?.map(|Instant(time)| time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    struct New {
        #[serde(with = "super")]
        at: Time,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
        until: Option<Time>,
    }

    /// As it was written before.
    #[derive(serde::Serialize)]
    struct Old {
        at: Time,
        until: Option<Time>,
    }

    #[test]
    fn instants_come_back_from_both_kinds_of_formats_and_from_earlier_records() {
        let whole = DateTime::from_timestamp_millis(1_608_289_380_123).unwrap();
        for at in [whole, whole + TimeDelta::nanoseconds(1), Time::UNIX_EPOCH, Time::UNIX_EPOCH - TimeDelta::days(9)] {
            for until in [None, Some(at)] {
                let new = New { at, until };
                let (packed, text) = (rmp_serde::to_vec_named(&new).unwrap(), serde_json::to_string(&new).unwrap());
                assert_eq!(rmp_serde::from_slice::<New>(&packed).unwrap(), new);
                assert_eq!(serde_json::from_str::<New>(&text).unwrap(), new);
                assert_eq!(text, serde_json::to_string(&Old { at, until }).unwrap().replace(",\"until\":null", ""));
                let before = rmp_serde::to_vec_named(&Old { at, until }).unwrap();
                assert_eq!(rmp_serde::from_slice::<New>(&before).unwrap(), new);
                assert_eq!(packed.len() < before.len(), at != whole + TimeDelta::nanoseconds(1) || until.is_none());
            }
        }
        for wrong in ["{\"at\":true}", "{\"at\":\"noon\"}", "{\"at\":9223372036854775807}"] {
            assert!(serde_json::from_str::<New>(wrong).is_err(), "{wrong}");
        }
    }
}
