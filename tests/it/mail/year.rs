//! A simulated year of digests, in zones whose clocks change at other days, hours and by other steps.

use super::digests::{daily, pace};
use super::*;
use chrono::{NaiveDate, Weekday};
use std::collections::BTreeMap;
use tidings::domain::{Edition, Seq, Weekdays, Zone};
use tidings::services::subscribe::Amendment;
use tidings::store::{Due, LedgerRow};

/// All digests of a subscription, the first first.
fn digests(room: &Room, reader: &Subscription) -> Vec<LedgerRow> {
    let mut rows: BTreeMap<Edition, LedgerRow> = BTreeMap::new();
    let mut from = NaiveDate::from_ymd_opt(2027, 1, 1).unwrap();
    loop {
        let before = rows.len();
        for row in room.store.digests_since(reader.id, from).unwrap() {
            let Message::Digest { edition, .. } = row.record.message else { panic!("{row:?}") };
            rows.insert(edition, row.record);
            from = edition.date;
        }
        if rows.len() == before {
            return rows.into_values().collect();
        }
    }
}

#[tokio::test]
async fn a_year_of_changing_clocks_has_one_digest_a_day_and_tells_every_article_once() {
    let room = Room::open();
    let mut readers = Vec::new();
    // At the hours that a change skips or repeats.
    for (name, hour) in [("Europe/Berlin", 2), ("America/New_York", 1), ("Australia/Lord_Howe", 2)] {
        let to = address(&format!("{}@example.net", name.replace('/', "-")));
        let zone = Some(Zone::parse("zone", name).unwrap());
        let asking = Asking { cadence: Some(daily(hour)), zone, ..Asking::new(to.clone(), Selection::all()) };
        room.subscriptions.ask(asking).await.unwrap();
        let token = room.confirming(&room.subscription(to.as_str()));
        readers.push(room.subscriptions.confirm(&token, None, Language::English).await.unwrap());
    }
    let (begin, mut next_article) = (room.clock.now(), room.clock.now() + Duration::hours(1));
    let mut changes = BTreeMap::new();
    while room.clock.now() - begin < Duration::days(366) {
        let due = room.store.next_due(Due::Digest).unwrap().expect("always one to come");
        assert!(due > room.clock.now(), "what is due is done");
        room.clock.advance(due.min(next_article) - room.clock.now());
        if room.clock.now() == next_article {
            let article = room.publish("News", &["science"]).await;
            changes.insert(room.store.head(), article.id);
            // At another hour each day, and one at least between two digests.
            next_article = room.clock.now() + Duration::minutes(21 * 60 + 7);
        }
        room.digested().await;
    }
    for reader in &readers {
        let rows = digests(&room, reader);
        let mut told: BTreeMap<Seq, usize> = BTreeMap::new();
        let mut dates = Vec::new();
        for row in &rows {
            let Message::Digest { edition, span, .. } = &row.message else { panic!("{row:?}") };
            dates.push(edition.date);
            for place in changes.keys().filter(|place| span.since < **place && **place <= span.until) {
                *told.entry(*place).or_default() += 1;
            }
        }
        let expected: Vec<NaiveDate> = dates[0].iter_days().take(dates.len()).collect();
        assert_eq!(dates, expected, "{}: one on each date", reader.address.as_str());
        assert!(dates.len() >= 365, "{}: {}", reader.address.as_str(), dates.len());
        assert!(told.values().all(|count| *count == 1), "{}: an article twice", reader.address.as_str());
        // The last ones wait for the next digest.
        assert!(told.len() + 3 >= changes.len() && changes.len() > 400, "{} of {}", told.len(), changes.len());
    }
}

/// All that may become of a subscription in a year: no article is lost by it, and none told twice.
#[tokio::test]
async fn a_year_of_weeks_working_days_floods_moves_and_changes_of_mind_tells_every_article_once() {
    let mut room = Room::open();
    room.standard.instant_per_day_max = 2;
    let working = Weekdays::of([Weekday::Mon, Weekday::Tue, Weekday::Thu]).unwrap();
    let hour = |hour| Hour::try_from(hour).unwrap();
    let weekly = Cadence::Weekly { hour: hour(2), day: Weekday::Sun };
    let paces = [daily(2), Cadence::Instant, weekly, Cadence::Daily { hour: hour(22), days: working }];
    let zones = ["Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Honolulu"];
    let zones = zones.map(|name| Zone::parse("zone", name).unwrap());
    let mut readers = Vec::new();
    for (name, cadence) in [
        ("weekly", weekly),
        ("working", Cadence::Daily { hour: hour(22), days: working }),
        ("flooded", Cadence::Instant),
        ("moving", daily(7)),
        ("moving-and-flooded", Cadence::Instant),
        ("wavering", Cadence::Instant),
    ] {
        let to = address(&format!("{name}@example.net"));
        let zone = Some(zones[0].clone());
        let asking = Asking { cadence: Some(cadence), zone, ..Asking::new(to.clone(), Selection::all()) };
        room.subscriptions.ask(asking).await.unwrap();
        let token = room.confirming(&room.subscription(to.as_str()));
        readers.push(room.subscriptions.confirm(&token, None, Language::English).await.unwrap());
    }
    let begin = room.clock.now();
    let [mut next_article, mut next_change] = [begin + Duration::hours(1); 2];
    let (mut published, mut changes) = (Vec::new(), 0);
    while room.clock.now() - begin < Duration::days(366) {
        let due = room.store.next_due(Due::Digest).unwrap().expect("always one to come");
        room.clock.advance((due.min(next_article).min(next_change) - room.clock.now()).max(Duration::zero()));
        if room.clock.now() == next_article {
            let article = room.publish("News", &["science"]).await;
            published.push((room.store.head(), article.id));
            // Some days have one, some four.
            next_article = room.clock.now() + Duration::minutes([611, 97, 1453][published.len() % 3]);
            room.notified().await;
        }
        if room.clock.now() == next_change {
            next_change = room.clock.now() + Duration::minutes(2 * 24 * 60 + 457);
            pace(&room, &readers[5], paces[changes % paces.len()]).await;
            for reader in &readers[3..5] {
                let zone = Some(zones[changes % zones.len()].clone());
                room.subscriptions.amend_of(reader.id, &Amendment::Settings { zone, language: None }).await.unwrap();
            }
            changes += 1;
        }
        room.digested().await;
    }
    assert!(published.len() > 600 && changes > 100, "{} articles, {changes} changes", published.len());
    for reader in &readers {
        let name = reader.address.as_str();
        let spans: Vec<_> = digests(&room, reader)
            .into_iter()
            .map(|row| match row.message {
                Message::Digest { edition, span, .. } => (edition, span),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(spans.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}: two digests of a date");
        let mut waiting = 0;
        for (place, article) in &published {
            let notice = LedgerKey::of(&Message::Notice { article: article.clone() }, reader.id);
            let notices = usize::from(room.store.message(&notice).unwrap().is_some());
            let digests = spans.iter().filter(|(_, span)| span.since < *place && *place <= span.until).count();
            assert!(notices + digests <= 1, "{name}: {place:?} came {notices} times by itself, {digests} in digests");
            let is_waiting = spans.last().is_none_or(|(_, span)| span.until < *place);
            assert!(notices + digests == 1 || is_waiting, "{name}: {place:?} is lost");
            waiting += 1 - notices - digests;
        }
        assert!(waiting < 20, "{name}: {waiting} wait for the last digest");
    }
}
