//! A day with more news than mails that come one by one.

use super::digests::{mailed, subscribed, told, until_seven};
use super::*;

#[tokio::test]
async fn what_is_too_much_for_a_day_comes_in_one_mail_that_says_so() {
    let mut room = Room::open();
    room.standard.instant_per_day_max = 3;
    subscribed(&room, "reader@example.net", "", Cadence::Instant).await;
    for number in 1..=6 {
        room.publish(&format!("Number {number}"), &["science"]).await;
        room.clock.advance(Duration::minutes(1));
        if number == 4 {
            // Whatever breaks off, it is counted the same.
            room = room.restart().await;
            room.standard.instant_per_day_max = 3;
        }
        room.notified().await;
    }
    let mut at_once: Vec<String> =
        mailed(&room, "reader@example.net").await.into_iter().map(|(subject, _)| subject).collect();
    at_once.sort();
    assert_eq!(at_once, ["Number 1", "Number 2", "Number 3"]);
    until_seven(&room);
    let rest = mailed(&room, "reader@example.net").await;
    let [(_, text)] = rest.as_slice() else { panic!("one digest, not {rest:?}") };
    assert_eq!(told(text), ["Number 6", "Number 5", "Number 4"]);
    assert!(text.contains("more news in a day than the 3 mails that come one by one. Here"), "{text}");
    room.publish("On the next day", &["science"]).await;
    let next = mailed(&room, "reader@example.net").await;
    assert_eq!(next.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["On the next day"]);
}

#[tokio::test]
async fn the_mail_with_the_rest_does_not_begin_the_day_anew() {
    const READER: &str = "reader@example.net";
    let mut room = Room::open();
    room.standard.instant_per_day_max = 3;
    let reader = subscribed(&room, READER, "", Cadence::Instant).await;
    // So that the night is of the day of the morning.
    until_seven(&room);
    room.clock.advance(Duration::hours(18));
    let day = |count: usize| (0..count).map(|number| format!("Night {number}")).collect::<Vec<_>>();
    for title in day(5) {
        room.publish(&title, &["science"]).await;
        room.notified().await;
    }
    assert_eq!(mailed(&room, READER).await.len(), 3);
    until_seven(&room);
    assert_eq!(mailed(&room, READER).await.len(), 1, "the rest");
    for title in ["Noon", "Afternoon"] {
        room.clock.advance(Duration::hours(3));
        room.publish(title, &["science"]).await;
        room.notified().await;
    }
    assert_eq!(mailed(&room, READER).await, [], "there were three today");
    until_seven(&room);
    let rest = mailed(&room, READER).await;
    let [(_, text)] = rest.as_slice() else { panic!("one digest, not {rest:?}") };
    assert_eq!(told(text), ["Afternoon", "Noon"]);
    assert!(room.store.subscription(reader.id).unwrap().unwrap().record.digests.next.is_none());
}

#[tokio::test]
async fn what_was_too_much_for_a_day_outlives_a_leave_that_is_taken_back() {
    const READER: &str = "reader@example.net";
    let mut room = Room::open();
    room.standard.instant_per_day_max = 1;
    let reader = subscribed(&room, READER, "", Cadence::Instant).await;
    for title in ["First", "Second"] {
        room.publish(title, &["science"]).await;
        room.notified().await;
    }
    assert_eq!(mailed(&room, READER).await.len(), 1);
    let secret = room.store.identity().secret;
    room.subscriptions.leave(&Token::leave(reader.id).seal(&secret)).await.unwrap();
    let undo = Token::undo(&room.subscription(READER)).seal(&secret);
    room.subscriptions.undo(&undo).await.unwrap();
    let mails = mailed(&room, READER).await;
    let digest = mails.iter().find(|(subject, _)| subject == "The News: Second");
    let (_, text) = digest.unwrap_or_else(|| panic!("what had gathered comes at once: {mails:?}"));
    assert!(text.contains("more news in a day than the one mail that comes by itself. Here"), "{text}");
    // Who had nothing waiting gets no digest.
    room.clock.advance(Duration::days(1));
    room.subscriptions.leave(&Token::leave(reader.id).seal(&secret)).await.unwrap();
    room.publish("While they were away", &["science"]).await;
    room.subscriptions.undo(&Token::undo(&room.subscription(READER)).seal(&secret)).await.unwrap();
    assert_eq!(room.subscription(READER).digests.next, None);
}

#[tokio::test]
async fn what_is_too_much_is_so_for_an_address_whatever_it_asks_for() {
    const READER: &str = "reader@example.net";
    let mut room = Room::open();
    room.standard.instant_per_day_max = 3;
    let first = subscribed(&room, READER, "category:science", Cadence::Instant).await;
    room.subscribed_besides(&first, only(&["economy"])).await;
    for (title, category) in
        [("S1", "science"), ("E1", "economy"), ("S2", "science"), ("E2", "economy"), ("S3", "science")]
    {
        room.publish(title, &[category]).await;
        room.notified().await;
        room.clock.advance(Duration::minutes(1));
    }
    let mut at_once: Vec<String> = mailed(&room, READER).await.into_iter().map(|(subject, _)| subject).collect();
    at_once.sort();
    assert_eq!(at_once, ["E1", "S1", "S2"]);
    until_seven(&room);
    let mut rest: Vec<String> = mailed(&room, READER).await.into_iter().map(|(subject, _)| subject).collect();
    rest.sort();
    assert_eq!(rest, ["The News: E2", "The News: S3"], "each subscription's own");
}

#[tokio::test]
async fn what_came_in_the_mail_with_the_rest_is_none_of_the_days_mails() {
    const READER: &str = "reader@example.net";
    let mut room = Room::open();
    room.standard.instant_per_day_max = 1;
    subscribed(&room, READER, "", Cadence::Instant).await;
    until_seven(&room);
    room.clock.advance(Duration::hours(14));
    for title in ["Evening", "Late", "Night"] {
        room.publish(title, &["science"]).await;
        room.notified().await;
        room.clock.advance(Duration::hours(2));
    }
    assert_eq!(mailed(&room, READER).await.len(), 1, "in the evening");
    until_seven(&room);
    let rest = mailed(&room, READER).await;
    let [(_, text)] = rest.as_slice() else { panic!("one digest, not {rest:?}") };
    assert_eq!(told(text), ["Night", "Late"], "what gathers is gathered over midnight");
    room.clock.advance(Duration::hours(2));
    room.publish("Morning", &["science"]).await;
    assert_eq!(mailed(&room, READER).await.len(), 1, "the first of the day");
}
