//! What a subscription asks for, and how often, in the reader's words.

use crate::domain::{Cadence, Categories, Hour, Selection, Weekdays};
use crate::wire::locale::{Arg, Catalogue};
use chrono::Weekday;
use jiff::tz::TimeZone;

/// What `selection` asks for, in words: everything, or the titles of its categories.
pub fn wanted(catalogue: &Catalogue, selection: &Selection, categories: &Categories) -> String {
    let titles = selection.titles(categories);
    match titles.as_slice() {
        [] => catalogue.text("wanted-everything", &[]),
        titles => list(catalogue, titles),
    }
}

/// `parts` as the language puts them in a row.
pub(super) fn list(catalogue: &Catalogue, parts: &[String]) -> String {
    parts.join(&catalogue.text("list-separator", &[]))
}

/// How often mail comes, as a sentence; hours are those of `zone`.
pub(super) fn often(catalogue: &Catalogue, cadence: Cadence, zone: &TimeZone) -> String {
    let said = |every: &str, hour: Option<Hour>, days: &[Weekday]| {
        let name = |day: &Weekday| catalogue.text("weekday", &[("day", Arg::Text(&day.to_string()))]);
        let days = list(catalogue, &days.iter().map(name).collect::<Vec<_>>());
        let hour = hour.map(|hour| hour.to_string()).unwrap_or_default();
        let zone = zone.iana_name().unwrap_or("UTC");
        let args = [("every", every), ("days", days.as_str()), ("hour", hour.as_str()), ("zone", zone)];
        catalogue.text("often", &args.map(|(name, value)| (name, Arg::Text(value))))
    };
    match cadence {
        Cadence::Instant => said("instant", None, &[]),
        Cadence::Daily { hour, days: Weekdays::ALL } => said("daily", Some(hour), &[]),
        Cadence::Daily { hour, days } => said("days", Some(hour), &days.iter().collect::<Vec<_>>()),
        Cadence::Weekly { hour, day } => said("weekly", Some(hour), &[day]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Language;
    use crate::wire::mail::Templates;

    #[test]
    fn how_often_is_said_in_words_with_days_and_the_readers_own_hour() {
        let templates = Templates::built_in();
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        let hour = Hour::try_from(18).unwrap();
        let days = Weekdays::of([Weekday::Mon, Weekday::Wed]).unwrap();
        let cadences = [
            Cadence::Instant,
            Cadence::Daily { hour, days: Weekdays::ALL },
            Cadence::Daily { hour, days },
            Cadence::Weekly { hour, day: Weekday::Fri },
        ];
        let said = |language| cadences.map(|cadence| often(templates.catalogue(language), cadence, &zone));
        let expected = [
            "Each new article comes as a mail of its own.",
            "What is new comes in one mail a day, at 18:00 (Europe/Moscow).",
            "What is new comes in one mail a day: Monday, Wednesday, 18:00 (Europe/Moscow).",
            "What is new comes in one mail a week: Friday, 18:00 (Europe/Moscow).",
        ];
        assert_eq!(said(Language::English), expected);
        assert!(said(Language::Russian)[3].contains("раз в неделю: пятница, 18:00"), "{:?}", said(Language::Russian));
        assert!(said(Language::Chinese)[2].contains("每天"), "{:?}", said(Language::Chinese));
    }
}
