//! An address gets no article twice, whichever of its subscriptions ask for it, at once or at whatever hour.

use super::digests::{daily, mailed, subscribed, told, until_seven};
use super::*;
use chrono::Weekday;
use std::collections::BTreeMap;
use tidings::domain::Seq;

const READER: &str = "reader@example.net";

/// What the mails that came to the reader since the last look tell of: a title for each notice, several for a digest.
async fn titles(room: &Room) -> Vec<Vec<String>> {
    let mails = mailed(room, READER).await;
    let titles = |(subject, text): &(String, String)| match subject.strip_prefix("The News: ") {
        Some(_) => told(text).into_iter().map(str::to_owned).collect(),
        None => vec![subject.clone()],
    };
    let mut titles: Vec<Vec<String>> = mails.iter().map(titles).collect();
    titles.sort();
    titles
}

async fn changed(room: &Room, id: SubscriptionId, change: impl Fn(&Subscription) -> Subscription) {
    let stored = room.store.subscription(id).unwrap().unwrap();
    let mut batch = Batch::default();
    room.store.write_subscription(&mut batch, Some(&stored), &change(&stored.record));
    room.store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn what_came_at_once_is_left_out_of_a_digest_and_a_digest_with_nothing_left_is_not_sent() {
    let room = Room::open();
    subscribed(&room, READER, "category:science", Cadence::Instant).await;
    subscribed(&room, READER, "category:science OR category:economy", daily(7)).await;
    for (title, category) in [("Rover", "science"), ("Rates", "economy")] {
        room.publish(title, &[category]).await;
    }
    assert_eq!(titles(&room).await, [["Rover"]]);
    until_seven(&room);
    assert_eq!(titles(&room).await, [["Rates"]]);
    room.publish("Probe", &["science"]).await;
    assert_eq!(titles(&room).await, [["Probe"]]);
    until_seven(&room);
    assert!(titles(&room).await.is_empty(), "there is nothing new in it");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn digests_of_other_hours_and_rhythms_tell_only_what_none_of_them_has_told() {
    let room = Room::open();
    subscribed(&room, READER, "category:science", daily(7)).await;
    subscribed(&room, READER, "category:economy", daily(8)).await;
    let monday = Cadence::Weekly { hour: Hour::try_from(9).unwrap(), day: Weekday::Mon };
    subscribed(&room, READER, "", monday).await;
    // It is Friday; each article comes out the day before its digest.
    for (title, categories) in [("Friday", &["science", "economy"][..]), ("Saturday", &["economy"])] {
        room.publish(title, categories).await;
        until_seven(&room);
        room.clock.advance(Duration::hours(1));
        assert_eq!(titles(&room).await, [[title]]);
    }
    // Down for days: what is due of all three is made in one go, and the first in time tells it.
    for (title, categories) in [("Of both", &["science", "economy"][..]), ("Of economy", &["economy"])] {
        room.publish(title, categories).await;
    }
    for _ in 0..3 {
        until_seven(&room);
    }
    room.clock.advance(Duration::hours(3));
    assert_eq!(titles(&room).await, [["Of both"], ["Of economy"]]);
    assert!(room.store.subscriptions(None, 9).unwrap().iter().all(|one| one.record.digests.last.is_some()));
}

#[tokio::test]
async fn what_was_too_much_for_a_day_and_came_in_its_own_digest_is_in_no_other() {
    let mut room = Room::open();
    room.standard.instant_per_day_max = 1;
    subscribed(&room, READER, "category:science", Cadence::Instant).await;
    subscribed(&room, READER, "category:science OR category:economy", daily(18)).await;
    for title in ["First", "Second", "Third"] {
        room.publish(title, &["science"]).await;
        room.notified().await;
        room.clock.advance(Duration::minutes(1));
    }
    assert_eq!(titles(&room).await, [["First"]]);
    room.clock.advance(Duration::hours(9));
    assert_eq!(titles(&room).await, [["Third", "Second"]], "at six in the evening; they need not wait for the morning");
    until_seven(&room);
    assert!(titles(&room).await.is_empty(), "and then they do not come again");
}

#[tokio::test]
async fn a_digest_that_was_faster_than_the_notice_is_the_one_that_tells() {
    let room = Room::open();
    subscribed(&room, READER, "category:science", Cadence::Instant).await;
    subscribed(&room, READER, "category:science OR tag:rover", daily(7)).await;
    subscribed(&room, READER, "category:economy OR category:science", Cadence::Instant).await;
    until_seven(&room);
    assert!(titles(&room).await.is_empty());
    room.clock.advance(Duration::hours(23));
    room.publish("Just before seven", &["science"]).await;
    room.clock.advance(Duration::hours(1));
    // The digests are made first here, as they may be where notices have much to do.
    assert_eq!(titles(&room).await, [["Just before seven"]]);
    room.notified().await;
    assert!(titles(&room).await.is_empty());
}

#[tokio::test]
async fn what_was_not_sent_after_all_is_told_by_the_digest() {
    let room = Room::open();
    let at_once = subscribed(&room, READER, "category:science", Cadence::Instant).await;
    subscribed(&room, READER, "", daily(7)).await;
    let article = room.news().await;
    changed(&room, at_once.id, |old| Subscription { paused_at: Some(room.clock.now()), ..old.clone() }).await;
    assert!(titles(&room).await.is_empty());
    assert!(matches!(room.delivery(&article, &at_once), Delivery::Recalled { .. }));
    until_seven(&room);
    assert_eq!(titles(&room).await, [["News"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_and_notices_that_are_made_at_the_same_moment_tell_each_article_once() {
    let room = Room::open();
    for number in 0..20 {
        let to = format!("reader{number}@example.net");
        subscribed(&room, &to, "category:science", Cadence::Instant).await;
        subscribed(&room, &to, "", daily(7)).await;
    }
    until_seven(&room);
    room.digested().await;
    let mut published = BTreeMap::new();
    for round in 0..8 {
        until_seven(&room);
        room.clock.advance(-Duration::minutes(2));
        let article = room.publish(&format!("Article {round}"), &["science"]).await;
        published.insert(room.store.head(), article.id);
        room.clock.advance(Duration::minutes(2));
        tokio::join!(room.notified(), room.digested());
    }
    for (place, article) in &published {
        for number in 0..20 {
            let subscriber =
                room.store.subscriber_of(&address(&format!("reader{number}@example.net"))).unwrap().unwrap();
            let own = room.store.subscriptions_of(&subscriber.record).unwrap();
            let change = room.store.since(Seq(place.0 - 1), 1).unwrap().changes.remove(0).1;
            let mut count = 0;
            for one in own.iter().map(|stored| &stored.record) {
                let key = LedgerKey::of(&Message::Notice { article: article.clone() }, one.id);
                count += usize::from(room.store.message(&key).unwrap().is_some());
                let digests = room.store.good_digests(one, &change).unwrap();
                count += digests.iter().filter(|row| row.tells_of(one, *place, &change)).count();
            }
            assert_eq!(count, 1, "reader{number}: {article}");
        }
    }
}
