//! Who asks, confirms and leaves, and what nobody finds out.

use super::digests::{daily, mailed, subscribed, told, until_seven};
use super::*;

#[tokio::test]
async fn who_asks_gets_one_confirmation_and_after_confirming_the_news() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    room.subscriptions.ask(Asking::new(address("Reader@example.net"), only(&["science"]))).await.unwrap();
    room.publish("Too early", &["science"]).await;
    room.notified().await;
    assert_eq!(mailer.step().await.unwrap(), Step::Worked);
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
    let mails = room.mails();
    assert_eq!(mails.len(), 1, "the confirmation alone");
    let mail = MessageParser::new().parse(&mails[0]).unwrap();
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("Reader@example.net"));
    assert!(mail.body_text(0).unwrap().contains("Science"));
    let token = link(&mails[0]);
    for _ in 0..3 {
        let (purpose, seen) = room.subscriptions.look(&token).unwrap();
        assert_eq!((purpose, seen.state), (Purpose::Confirm, SubscriptionState::Pending), "looking changes nothing");
    }
    room.clock.advance(Duration::minutes(1));
    room.subscriptions.confirm(&token, None, Language::English).await.unwrap();
    assert_eq!(
        room.subscriptions.confirm(&token, None, Language::English).await.unwrap().state,
        room.subscription("reader@example.net").state
    );
    room.publish("Of science", &["science"]).await;
    room.publish("Of economy", &["economy"]).await;
    room.notified().await;
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    assert_eq!(mails.len(), 2);
    let subject = |mail: &Vec<u8>| MessageParser::new().parse(mail).unwrap().subject().unwrap().to_owned();
    let news = mails.iter().find(|mail| subject(mail) == "Of science").expect("the news");
    let token = link(news);
    assert_eq!(room.subscriptions.look(&token).unwrap().0, Purpose::Leave);
    assert_eq!(
        room.subscriptions.confirm(&token, None, Language::English).await.unwrap_err().kind,
        Kind::NotFound,
        "it is for leaving"
    );
    let left = room.subscriptions.leave(&token).await.unwrap();
    room.clock.advance(Duration::minutes(1));
    assert_eq!(room.subscriptions.leave(&token).await.unwrap(), left, "a second time changes nothing");
    room.publish("Afterwards", &["science"]).await;
    room.notified().await;
    while mailer.step().await.unwrap() == Step::Worked {}
    let told: Vec<String> = room.mails().iter().filter(|mail| !mails.contains(mail)).map(subject).collect();
    assert_eq!(told, ["The News: you are unsubscribed"]);
}

#[tokio::test]
async fn asking_waits_for_the_disk_whether_the_address_is_known_or_not() {
    let room = Room::open();
    let head = || std::fs::read(room.folder.path().join("store/HEAD")).unwrap();
    for which in ["new", "known"] {
        let before = head();
        room.subscriptions.ask(Asking::new(address("a@example.net"), Selection::all())).await.unwrap();
        assert_ne!(head(), before, "{which}");
    }
}

#[tokio::test]
async fn asking_tells_nobody_who_is_subscribed_and_fills_no_mailbox() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    let ask = |text: &str, selection: Selection| room.subscriptions.ask(Asking::new(address(text), selection));
    let wrong = ask("a@example.net", only(&["science", "sport"])).await.unwrap_err();
    assert_eq!((wrong.kind, wrong.faults[0].field.as_str()), (Kind::Invalid, "categories"));
    for _ in 0..5 {
        ask("a@example.net", Selection::all()).await.unwrap();
    }
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 1, "asked again at once: no second mail");
    room.clock.advance(Duration::minutes(11));
    let first = room.confirming(&room.subscription("a@example.net"));
    ask("a@example.net", only(&["economy"])).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 2);
    assert_eq!(room.subscriptions.look(&first).unwrap_err().kind, Kind::Gone, "a newer mail was sent");
    room.subscriptions
        .confirm(&room.confirming(&room.subscription("a@example.net")), None, Language::English)
        .await
        .unwrap();
    ask("a@example.net", only(&["economy"])).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 2, "confirmed and nothing new");
    for number in 0..13 {
        ask(&format!("b{number}@example.net"), Selection::all()).await.unwrap();
    }
    for known_or_not in ["a@example.net", "b1@example.net", "new@example.net"] {
        let problem = ask(known_or_not, only(&["economy"])).await.unwrap_err();
        assert_eq!(problem.kind, Kind::TooMany, "{known_or_not}");
    }
    room.clock.advance(Duration::hours(1));
    ask("new@example.net", Selection::all()).await.unwrap();
}

#[tokio::test]
async fn an_address_holds_many_subscriptions_and_one_of_each_selection() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let all = || {
        let subscriber = room.store.subscriber_of(&reader.address).unwrap().unwrap().record;
        let all = room.store.subscriptions_of(&subscriber).unwrap().into_iter().map(|stored| stored.record);
        let active = all.filter(|one| one.active_since().is_some());
        active.map(|one| (one.selection.to_string(), one.cadence)).collect::<Vec<_>>()
    };
    let weekly = Cadence::Weekly { hour: Hour::SEVEN, day: chrono::Weekday::Fri };
    for (selection, cadence) in [("category:economy", None), ("category:science", Some(weekly))] {
        let selection = Selection::parse(selection).unwrap();
        let before = all();
        room.clock.advance(Duration::minutes(1));
        room.subscriptions.ask(Asking { cadence, ..Asking::new(reader.address.clone(), selection) }).await.unwrap();
        assert_eq!(all(), before, "nothing changes before it is confirmed");
        room.subscriptions
            .confirm(&room.confirming(&room.subscription("reader0@example.net")), None, Language::English)
            .await
            .unwrap();
    }
    assert_eq!(all(), [("category:economy".to_owned(), Cadence::Instant), ("category:science".to_owned(), weekly)]);
    let weekly = room.subscription("reader0@example.net");
    let next = weekly.digests.next.unwrap();
    assert_eq!(
        (next.edition.to_string().as_str(), next.at.to_rfc3339().as_str()),
        ("2027-01-22", "2027-01-22T07:00:00+00:00")
    );
}

#[tokio::test]
async fn another_cadence_for_what_is_mailed_already_waits_for_the_owner_and_then_loses_nothing() {
    const READER: &str = "reader@example.net";
    let room = Room::open();
    let before = subscribed(&room, READER, "category:science", daily(7)).await;
    room.publish("Gathered", &["science"]).await;
    let friday = Cadence::Weekly { hour: Hour::SEVEN, day: chrono::Weekday::Fri };
    let ask = async || {
        room.clock.advance(Duration::minutes(11));
        let asking = Asking { cadence: Some(friday), ..Asking::new(address(READER), before.selection.clone()) };
        room.subscriptions.ask(asking).await.unwrap();
        room.subscription(READER)
    };
    // Anybody can ask. The owner reads what would be, and that nothing is changed by doing nothing.
    let asked = ask().await;
    let mails = mailed(&room, READER).await;
    let [(subject, text)] = mails.as_slice() else { panic!("one mail, not {mails:?}") };
    assert_eq!(subject, "The News: please confirm your subscription");
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["example.net: Science.", "one mail a week: Friday, 07:00", "without your confirmation nothing changes"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let stored = |one: &Subscription| room.store.subscription(one.id).unwrap().unwrap().record;
    assert_eq!((stored(&before), &asked.state), (before.clone(), &SubscriptionState::Pending));
    // Nobody confirms by a link of another subscription, or by one of an earlier mail.
    let earlier = room.confirming(&asked);
    let asked = ask().await;
    for token in [earlier, room.confirming(&before), room.leaving(&before)] {
        let _ = room.subscriptions.confirm(&token, None, Language::English).await;
    }
    assert_eq!((stored(&before), &stored(&asked).state), (before.clone(), &SubscriptionState::Pending));
    let new = room.subscriptions.confirm(&room.confirming(&asked), None, Language::English).await.unwrap();
    assert_eq!((new.cadence, new.digests.since), (friday, before.digests.since));
    assert!(matches!(stored(&before).state, SubscriptionState::Unsubscribed { .. }), "one of each selection");
    until_seven(&room);
    assert!(mailed(&room, READER).await.is_empty(), "it is Saturday");
    for _ in 0..6 {
        until_seven(&room);
    }
    let digests = mailed(&room, READER).await;
    assert_eq!(digests.iter().flat_map(|(_, text)| told(text)).collect::<Vec<_>>(), ["Gathered"]);
}

#[tokio::test]
async fn who_was_refused_and_asks_anew_gets_no_second_digest_of_a_day() {
    const READER: &str = "reader@example.net";
    let room = Room::open();
    let reader = subscribed(&room, READER, "category:science", daily(7)).await;
    room.publish("Before", &["science"]).await;
    until_seven(&room);
    assert_eq!(mailed(&room, READER).await.len(), 1);
    let stored = room.store.subscription(reader.id).unwrap().unwrap();
    let mut batch = Batch::default();
    room.store.write_subscription(&mut batch, Some(&stored), &stored.record.refused(room.clock.now(), "550 5.1.1 no"));
    room.store.commit(batch).await.unwrap();
    // The same hour of the day would be over; this one is still to come, on the date of the digest that was sent.
    let anew = subscribed(&room, READER, "category:science", daily(18)).await;
    assert_eq!(anew.id, reader.id, "it is the same, asked for anew");
    let (last, next) = (anew.digests.last.unwrap().window, anew.digests.next.unwrap());
    assert_eq!(last.edition.date.succ_opt(), Some(next.edition.date), "{last:?} {next:?}");
    room.publish("After", &["science"]).await;
    room.clock.advance(next.at - room.clock.now());
    let digests = mailed(&room, READER).await;
    assert_eq!(digests.iter().flat_map(|(_, text)| told(text)).collect::<Vec<_>>(), ["After"]);
}

#[tokio::test]
async fn a_link_that_is_old_or_not_ours_does_nothing() {
    let room = Room::open();
    room.subscriptions.ask(Asking::new(address("a@example.net"), Selection::all())).await.unwrap();
    let asked = room.subscription("a@example.net");
    let token = room.confirming(&asked);
    assert_eq!(room.subscriptions.look(&token[1..]).unwrap_err().kind, Kind::NotFound);
    let stranger = Subscription { id: SubscriptionId(Uuid::from_u128(1)), ..asked.clone() };
    assert_eq!(room.subscriptions.look(&room.confirming(&stranger)).unwrap_err().kind, Kind::NotFound);
    room.clock.advance(Duration::days(14) + Duration::minutes(1));
    assert_eq!(room.subscriptions.confirm(&token, None, Language::English).await.unwrap_err().kind, Kind::Gone);
    assert_eq!(room.subscription("a@example.net"), asked);
    room.subscriptions.leave(&room.leaving(&asked)).await.unwrap();
    assert_eq!(
        room.subscriptions.confirm(&token, None, Language::English).await.unwrap_err().kind,
        Kind::Gone,
        "who left stays away"
    );
}

#[tokio::test]
async fn what_a_stranger_asks_takes_nothing_from_who_has_left() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    room.clock.advance(Duration::minutes(1));
    let record = || room.store.subscription(reader.id).unwrap().unwrap().record;
    let undo = async |left: &Subscription| {
        let token = Token::undo(left).seal(&room.store.identity().secret);
        room.subscriptions.undo(&token).await
    };
    let ask = async || {
        room.clock.advance(Duration::hours(1));
        room.subscriptions.ask(Asking::new(reader.address.clone(), reader.selection.clone())).await.unwrap();
    };
    room.subscriptions.leave(&room.leaving(&reader)).await.unwrap();
    let left = record();
    ask().await;
    assert_eq!(record(), left, "its record of consent, and when it is erased");
    assert!(undo(&left).await.unwrap().active_since().is_some());
    // Whoever has confirmed anew has no second one of the same.
    room.subscriptions.leave(&room.leaving(&reader)).await.unwrap();
    let left = record();
    ask().await;
    let asked = room.subscription("reader0@example.net");
    assert_ne!(asked.id, reader.id);
    room.subscriptions.confirm(&room.confirming(&asked), None, Language::English).await.unwrap();
    assert_eq!(undo(&left).await.unwrap_err().kind, Kind::Gone);
}

#[tokio::test]
async fn who_says_nothing_gets_what_the_publisher_has_as_the_standard() {
    use tidings::config::{Every, Subscriptions as Standard};
    use tidings::domain::Zone;
    let mut room = Room::open();
    let standard = Standard {
        every: Every::Week,
        hour: Hour::parse("hour", "18").unwrap(),
        weekday: chrono::Weekday::Fri,
        zone: Zone::parse("zone", "Asia/Kolkata").unwrap(),
        ..Standard::default()
    };
    let (store, newsroom, hint) = (Arc::clone(&room.store), Arc::clone(&room.newsroom), Arc::clone(&room.hint));
    room.subscriptions = Subscriptions::new(store, room.clock.clone(), newsroom, standard, 20, hint);
    room.subscriptions.ask(Asking::new(address("a@example.net"), Selection::all())).await.unwrap();
    let token = room.confirming(&room.subscription("a@example.net"));
    room.subscriptions.confirm(&token, None, Language::English).await.unwrap();
    let confirmed = room.subscription("a@example.net");
    assert!(matches!(confirmed.cadence, Cadence::Weekly { .. }), "{:?}", confirmed.cadence);
    let next = confirmed.digests.next.unwrap().at;
    // Six in the evening there.
    assert_eq!(next.format("%a %H:%M").to_string(), "Fri 12:30");
    assert!(next > room.clock.now() && next - room.clock.now() <= Duration::days(7));
}
