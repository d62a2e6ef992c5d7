//! What subscribers see and change by a link that was mailed to them, and what a link that was passed on cannot do.

use super::*;
use tidings::services::subscribe::Amendment;

/// The mails of this subject, each as its text.
fn texts(room: &Room, subject: &str) -> Vec<String> {
    let mails = room.mails();
    let parsed = mails.iter().map(|bytes| MessageParser::new().parse(bytes).unwrap());
    let of_subject = parsed.filter(|mail| mail.subject().unwrap().contains(subject));
    of_subject.map(|mail| mail.body_text(0).unwrap().into_owned()).collect()
}

fn token_in(text: &str) -> String {
    let rest = text.split("https://news.example.org/subscriptions/").nth(1).expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn sent(room: &Room) {
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
}

/// A token for the preferences of the owner of `subscription`, as it comes by mail.
async fn linked(room: &Room, subscription: &Subscription) -> String {
    let before = texts(room, "the link to your preferences");
    room.subscriptions.send_link(&room.leaving(subscription)).await.unwrap();
    sent(room).await;
    let now = texts(room, "the link to your preferences");
    token_in(now.iter().find(|text| !before.contains(text)).expect("a mail"))
}

#[tokio::test]
async fn a_link_that_was_passed_on_unsubscribes_and_does_nothing_else() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let leave = room.leaving(&reader);
    assert_eq!(room.subscriptions.preferences(&leave).unwrap_err().kind, Kind::NotFound, "nothing is read with it");
    let edit = Amendment::Remove { id: reader.id };
    assert_eq!(room.subscriptions.amend(&leave, &edit, None).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(room.subscriptions.feed(&leave).unwrap_err().kind, Kind::NotFound);
    for _ in 0..5 {
        room.subscriptions.send_link(&leave).await.unwrap();
    }
    sent(&room).await;
    assert_eq!(room.mails().len(), 1, "the owner gets one link, however often it is asked for");
    room.subscriptions.leave(&leave).await.unwrap();
    sent(&room).await;
    let told = texts(&room, "you are unsubscribed");
    assert_eq!(told.len(), 1, "the owner is told");
    let undo = token_in(&told[0]);
    for wrong in [&leave, &room.confirming(&reader)] {
        assert!(room.subscriptions.undo(wrong).await.is_err());
    }
    room.clock.advance(Duration::days(27));
    let again = room.subscriptions.undo(&undo).await.unwrap();
    assert!(again.active_since().is_some() && again.erase_at.is_none(), "{again:?}");
    assert_eq!(room.subscriptions.undo(&undo).await.unwrap(), again, "a second time changes nothing");
    room.subscriptions.leave(&leave).await.unwrap();
    assert_eq!(room.subscriptions.undo(&undo).await.unwrap_err().kind, Kind::Gone, "that was of the time before");
}

#[tokio::test]
async fn a_link_to_the_preferences_works_for_a_day_and_until_the_next_one() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let first = linked(&room, &reader).await;
    assert_eq!(room.subscriptions.preferences(&first).unwrap().subscriptions[0], reader);
    room.clock.advance(Duration::hours(1));
    let second = linked(&room, &reader).await;
    assert_eq!(room.subscriptions.preferences(&first).unwrap_err().kind, Kind::Gone);
    room.subscriptions.preferences(&second).unwrap();
    room.clock.advance(Duration::hours(25));
    assert_eq!(room.subscriptions.preferences(&second).unwrap_err().kind, Kind::Gone);
}

#[tokio::test]
async fn nobody_fills_a_mailbox_with_links_to_preferences() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let mut last = String::new();
    for hour in 0..8 {
        if hour < 5 {
            last = linked(&room, &reader).await;
        } else {
            room.subscriptions.send_link(&room.leaving(&reader)).await.unwrap();
            room.subscriptions.send_link_to(&reader.address, true).await.unwrap();
            sent(&room).await;
        }
        room.clock.advance(Duration::hours(1));
    }
    assert_eq!(texts(&room, "the link to your preferences").len(), 5);
    room.subscriptions.preferences(&last).unwrap();
    room.clock.advance(Duration::days(1));
    linked(&room, &reader).await;
}

#[tokio::test]
async fn who_has_the_link_changes_what_when_and_how_often() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let token = linked(&room, &reader).await;
    let amend = |amendment: Amendment| {
        let (room, token) = (&room, &token);
        async move { room.subscriptions.amend(token, &amendment, None).await }
    };
    let daily = Cadence::Daily { hour: Hour::try_from(18).unwrap(), days: tidings::domain::Weekdays::ALL };
    let edit = |cadence, is_paused| Amendment::Edit { id: reader.id, selection: None, cadence, is_paused };
    let edited = amend(edit(Some(daily), None)).await.unwrap();
    assert_eq!(edited.subscriptions[0].digests.next.unwrap().at.to_rfc3339(), "2027-01-15T18:00:00+00:00");
    let zone = tidings::domain::Zone::parse("zone", "Asia/Kolkata").unwrap();
    let moved = amend(Amendment::Settings { zone: Some(zone), language: Some(Language::Russian) }).await.unwrap();
    assert_eq!(moved.subscriptions[0].digests.next.unwrap().at.to_rfc3339(), "2027-01-15T12:30:00+00:00");
    assert_eq!(moved.subscriber.language, Some(Language::Russian));

    let paused = amend(edit(None, Some(true))).await.unwrap();
    assert!(paused.subscriptions[0].active_since().is_none() && paused.subscriptions[0].digests.next.is_none());
    room.publish("During the break", &["science"]).await;
    amend(edit(None, Some(false))).await.unwrap();
    room.clock.advance(Duration::hours(12));
    assert!(room.digested().await > 0);
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 0, "a break is a break");

    let unknown = Amendment::Add { selection: only(&["sport"]), cadence: Cadence::Instant, shown: None };
    assert_eq!(amend(unknown).await.unwrap_err().kind, Kind::Invalid);
    for number in 0..Subscriber::SUBSCRIPTIONS_MAX - 1 {
        let selection = Selection::parse(&format!("tag:t{number}")).unwrap();
        let shown = (number == 0).then_some(Language::Russian);
        let added = amend(Amendment::Add { selection, cadence: Cadence::Instant, shown }).await.unwrap();
        let consent = &added.subscriptions.last().unwrap().consent;
        assert_eq!((consent.language, consent.wording.is_some()), (shown, shown.is_some()));
    }
    let more = Amendment::Add { selection: Selection::all(), cadence: Cadence::Instant, shown: None };
    assert_eq!(amend(more).await.unwrap_err().faults[0].expected, "at most 20 subscriptions of an address");
    amend(Amendment::Remove { id: reader.id }).await.unwrap();
    sent(&room).await;
    assert_eq!(texts(&room, "вы отписались").len(), 1, "in the language chosen above");
    let stranger = SubscriptionId(Uuid::from_u128(1));
    assert_eq!(amend(Amendment::Remove { id: stranger }).await.unwrap_err().kind, Kind::NotFound);
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn all_that_is_held_about_an_address_can_be_had_and_erased() {
    let room = Room::open();
    let readers = room.subscribed(2, &only(&["science"])).await;
    let article = room.news().await;
    sent(&room).await;
    let token = linked(&room, &readers[0]).await;
    let record = room.subscriptions.record(room.subscriptions.preferences(&token).unwrap()).await.unwrap();
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["subscriber"]["address"], "reader0@example.net");
    assert_eq!(json["subscriptions"][0]["selection"], "category:science");
    assert_eq!(json["messages"].as_array().unwrap().len(), 2, "the notice and the link: {json}");
    assert!(json["messages"].to_string().contains(article.id.as_str()) && !json.to_string().contains("reader1"));
    let eraser = Eraser::new(Arc::clone(&room.store), room.clock.clone(), room.outbox().outbox);
    let files = |of: &str| room.mails().iter().filter(|mail| String::from_utf8_lossy(mail).contains(of)).count();
    assert_eq!((files("reader0@example.net"), files("reader1@example.net")), (2, 1));
    eraser.erase_address(&readers[0].address).await.unwrap();
    assert_eq!((files("reader0@example.net"), files("reader1@example.net")), (0, 1), "files of mails go as well");
    assert_eq!(room.subscriptions.of_address(&readers[0].address).unwrap_err().kind, Kind::NotFound);
    assert_eq!(room.subscriptions.preferences(&token).unwrap_err().kind, Kind::NotFound);
    assert!(room.subscriptions.of_address(&readers[1].address).is_ok());
    let export = {
        let mut bytes = Vec::new();
        tidings::store::export(&room.store, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert!(export.contains("reader1@example.net") && !export.contains("reader0@example.net"));
    assert!(tidings::store::check(&room.store).is_clean());
}
