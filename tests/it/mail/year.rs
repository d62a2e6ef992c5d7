//! A simulated year of digests, in zones whose clocks change at other days, hours and by other steps.

use super::digests::daily;
use super::*;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use tidings::domain::{Seq, Zone};
use tidings::store::{Due, LedgerRow};

/// All digests of a subscription, the first first.
fn digests(room: &Room, reader: &Subscription) -> Vec<LedgerRow> {
    let mut rows: Vec<LedgerRow> = Vec::new();
    let mut from = NaiveDate::from_ymd_opt(2027, 1, 1);
    while let Some(date) = from {
        let page = room.store.digests_since(reader.id, date).unwrap();
        rows.extend(page.into_iter().map(|stored| stored.record));
        let last = rows.last().map(|row| {
            let Message::Digest { window, .. } = row.message else { panic!("{row:?}") };
            window
        });
        from = last.filter(|last| *last >= date).and_then(|last| last.succ_opt());
    }
    rows
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
            let Message::Digest { window, span, .. } = &row.message else { panic!("{row:?}") };
            dates.push(*window);
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
