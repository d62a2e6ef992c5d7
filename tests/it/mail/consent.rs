//! Consent that resists bots both ways: budgets of confirmation mails, proofs of work, the wish never to be asked, and what
//! is kept of who agreed to what.

use super::*;

async fn asked(room: &Room, to: &str, is_proven: bool) -> Result<(), Kind> {
    let asking = Asking { is_proven, ..Asking::new(address(to), Selection::all()) };
    room.subscriptions.ask(asking).await.map_err(|problem| problem.kind)
}

fn owed(room: &Room) -> usize {
    room.store.count_due(tidings::store::Due::Message, 1_000).unwrap()
}

#[tokio::test]
async fn budgets_of_confirmation_mails_hold_for_all_for_a_domain_and_for_an_address_and_over_a_restart() {
    let mut room = Room::open();
    for number in 0..12 {
        asked(&room, &format!("a{number}@example.net"), true).await.unwrap();
    }
    room = room.restart().await;
    for number in 0..8 {
        asked(&room, &format!("b{number}@example.org"), true).await.unwrap();
    }
    for to in ["c@example.com", "a1@example.net"] {
        assert_eq!(asked(&room, to, true).await, Err(Kind::TooMany), "20 in this hour, known or not: {to}");
    }
    assert_eq!(owed(&room), 20);
    room.clock.advance(Duration::hours(1));
    for hour in 1..=5 {
        asked(&room, "a1@example.net", true).await.unwrap();
        assert_eq!(owed(&room), 20 + hour.min(4), "five in a day to one address");
        room.clock.advance(Duration::hours(1));
    }
    room.clock.advance(Duration::days(1));
    asked(&room, "a1@example.net", true).await.unwrap();
    assert_eq!(owed(&room), 25, "another day");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn a_domain_has_a_budget_of_its_own_and_domains_are_a_bounded_number_of_rows() {
    let room = Room::open();
    let with_budget = |confirmations_per_domain_per_hour_max| {
        let standard = tidings::config::Subscriptions {
            confirmations_per_domain_per_hour_max,
            ..tidings::config::Subscriptions::default()
        };
        let (store, newsroom, hint) = (Arc::clone(&room.store), Arc::clone(&room.newsroom), Arc::clone(&room.hint));
        Subscriptions::new(store, room.clock.clone(), newsroom, standard, 10_000, hint)
    };
    let subscriptions = with_budget(3);
    let ask = |to: String| subscriptions.ask(Asking::new(address(&to), Selection::all()));
    for number in 0..3 {
        ask(format!("a{number}@example.net")).await.unwrap();
    }
    assert_eq!(ask("a4@EXAMPLE.net".into()).await.unwrap_err().kind, Kind::TooMany);
    // Whether a mail followed or not, an asking costs the same: what is left of a budget tells nobody who is known.
    room.clock.advance(Duration::hours(1));
    for _ in 0..3 {
        ask("a0@example.net".into()).await.unwrap();
    }
    assert_eq!(ask("a4@example.net".into()).await.unwrap_err().kind, Kind::TooMany);
    let is_free = async || {
        // One domain in some thousands shares the row of another.
        ask("a4@example.org".into()).await.is_ok() || ask("a4@example.edu".into()).await.is_ok()
    };
    assert!(is_free().await);
    // Two domains may share a row, and then its budget: here it is enough for that.
    let generous = with_budget(100);
    for number in 0..300 {
        generous.ask(Asking::new(address(&format!("a@d{number}.example")), Selection::all())).await.unwrap();
    }
    let rows = room.store.kv().range(tidings::store::Table::Subscribers, tidings::store::kv::Range::prefix(*b"bd"));
    let rows = rows.unwrap();
    assert!(rows.len() > 200 && rows.iter().all(|(key, _)| key.len() == 4 && key[2] < 16), "{}", rows.len());
}

#[tokio::test]
async fn one_mailbox_gets_no_more_under_many_names_and_nobody_is_told() {
    let mut room = Room::open();
    for number in 0..4 {
        asked(&room, &format!("victim+{number}@example.net"), true).await.unwrap();
    }
    room = room.restart().await;
    for number in 4..8 {
        asked(&room, &format!("Victim+{number}@example.net"), true).await.unwrap();
    }
    assert_eq!(owed(&room), 5, "as many as one address may get in a day");
    for (count, to) in [(6, "victim@example.net"), (7, "victim+1@example.org"), (8, "other+1@example.net")] {
        asked(&room, to, true).await.unwrap();
        assert_eq!(owed(&room), count, "{to} is another mailbox, or has a budget as an address");
    }
    room.clock.advance(Duration::days(1));
    asked(&room, "victim+9@example.net", true).await.unwrap();
    assert_eq!(owed(&room), 9, "another day");
    let rows = room.store.kv().range(tidings::store::Table::Subscribers, tidings::store::kv::Range::prefix(*b"bm"));
    assert_eq!(rows.unwrap().len(), 3, "a row of each mailbox, whatever it is called");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn who_proves_no_work_waits_and_has_a_quarter_of_the_budget() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    for number in 0..5 {
        asked(&room, &format!("a{number}@example.net"), false).await.unwrap();
    }
    assert_eq!(asked(&room, "a5@example.net", false).await, Err(Kind::TooMany));
    asked(&room, "proven@example.net", true).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 1, "the proven one");
    room.clock.advance(Duration::minutes(2));
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 6);
}

#[tokio::test]
async fn who_never_wants_to_be_asked_is_not_and_the_address_is_not_kept_for_that() {
    let room = Room::open();
    asked(&room, "never@example.net", true).await.unwrap();
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mail = MessageParser::new().parse(&room.mails()[0]).unwrap().body_text(0).unwrap().into_owned();
    let rest = mail.split("Never ask me again: https://news.example.org/subscriptions/").nth(1).expect("a link");
    let token = rest.split_whitespace().next().unwrap();
    assert_eq!(room.subscriptions.purpose(token).unwrap(), Purpose::Never);
    assert!(asked(&room, "Never@example.net", true).await.is_ok());
    let since = room.clock.now();
    room.subscriptions.never_again(token).await.unwrap();
    let eraser = Arc::new(Eraser::new(Arc::clone(&room.store), room.clock.clone(), room.outbox().outbox));
    room.clock.advance(Duration::hours(2));
    while eraser.step().await.unwrap() == Step::Worked {}
    let head = || std::fs::read(room.folder.path().join("store/HEAD")).unwrap();
    let before = head();
    assert!(asked(&room, "NEVER@example.net", true).await.is_ok(), "the answer is the same");
    assert_ne!(head(), before, "and takes as long");
    assert_eq!(owed(&room), 0, "but nothing is mailed");
    let mut export = Vec::new();
    tidings::store::export(&room.store, &mut export).unwrap();
    assert!(!String::from_utf8(export).unwrap().to_lowercase().contains("never@"));
    let record = room.subscriptions.record_of(&address("never@example.net")).await.unwrap();
    assert!(record.subscriber.is_none() && record.never_asked_since == Some(since), "that much is held: {record:?}");
    let address = Address::parse("address", "never@Example.net").unwrap();
    let nothing = eraser.erase_address(&address).await.unwrap_err();
    assert!(nothing.kind == Kind::NotFound && nothing.to_string().contains("subscribers allow"), "{nothing}");
    // All that was known is erased: the link is as good as before, and changes nothing a second time.
    room.subscriptions.never_again(token).await.unwrap();
    let record = room.subscriptions.record_of(&address).await.unwrap();
    assert_eq!(record.never_asked_since, Some(since));
    asked(&room, "other@example.net", true).await.unwrap();
    assert_eq!(owed(&room), 1);
    room.subscriptions.allow(&address).await.unwrap();
    assert_eq!(room.subscriptions.allow(&address).await.unwrap_err().kind, Kind::NotFound, "it was taken back");
    asked(&room, "never@example.net", true).await.unwrap();
    assert_eq!(owed(&room), 2, "it is asked again");
    room.clock.advance(Duration::days(15));
    while eraser.step().await.unwrap() == Step::Worked {}
    assert!(room.store.subscriber_of(&address).unwrap().is_none(), "nobody has confirmed");
    room.subscriptions.never_again(token).await.unwrap();
    assert!(room.subscriptions.never(&address).unwrap().is_some(), "by the link of the first mail, a fortnight later");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn who_never_wants_to_be_asked_is_asked_at_no_spelling_of_the_mailbox() {
    let room = Room::open();
    asked(&room, "me+news@example.net", true).await.unwrap();
    let (id, secret) = (room.subscription("me+news@example.net").id, &room.store.identity().secret);
    let token = Token::never(id, &address("me+news@example.net"), secret).seal(secret);
    room.subscriptions.never_again(&token).await.unwrap();
    let before = owed(&room);
    for same in ["me@example.net", "ME+other@example.net", "me+news+more@example.net"] {
        assert!(asked(&room, same, true).await.is_ok(), "the answer is the same");
        assert_eq!(owed(&room), before, "{same}");
    }
    for other in ["me.too@example.net", "+news@example.net", "me+news@example.org"] {
        asked(&room, other, true).await.unwrap();
    }
    assert_eq!(owed(&room), before + 3, "these may be others'");
    room.subscriptions.allow(&address("me+whatever@example.net")).await.unwrap();
    asked(&room, "me@example.net", true).await.unwrap();
    assert_eq!(owed(&room), before + 4, "allowed at all of them");
}

#[tokio::test]
async fn who_agreed_to_what_when_and_from_where_can_be_shown() {
    let room = Room::open();
    let from: std::net::IpAddr = "192.0.2.7".parse().unwrap();
    let asking = Asking { from: Some(from), ..Asking::new(address("a@example.net"), Selection::all()) };
    room.subscriptions.ask(asking).await.unwrap();
    let at = room.clock.now();
    room.clock.advance(Duration::minutes(3));
    let token = room.confirming(&room.subscription("a@example.net"));
    room.subscriptions.confirm(&token, "2001:db8::1".parse().ok(), Language::English).await.unwrap();
    let held = room.subscriptions.of_address(&address("a@example.net")).unwrap();
    let record = serde_json::to_value(room.subscriptions.record(held).await.unwrap()).unwrap();
    let consent = &record["subscriptions"][0]["consent"];
    assert_eq!(consent["asked"]["from"], "192.0.2.7");
    assert_eq!(consent["confirmed"]["from"], "2001:db8::1");
    assert_eq!(consent["asked"]["at"].as_str().unwrap().parse::<Time>().unwrap(), at);
    let version = consent["wording"].as_str().unwrap();
    let wording = record["wordings"][version].as_str().unwrap();
    assert!(wording.starts_with("I want to get these mails") && consent["language"] == "en", "{record}");

    let asking =
        Asking { language: Some(Language::Russian), ..Asking::new(address("b@example.net"), Selection::all()) };
    room.subscriptions.ask(asking).await.unwrap();
    let token = room.confirming(&room.subscription("b@example.net"));
    room.subscriptions.confirm(&token, None, Language::Russian).await.unwrap();
    let held = room.subscriptions.of_address(&address("b@example.net")).unwrap();
    let record = serde_json::to_value(room.subscriptions.record(held).await.unwrap()).unwrap();
    let consent = &record["subscriptions"][0]["consent"];
    let wording = record["wordings"][consent["wording"].as_str().unwrap()].as_str().unwrap();
    assert!(wording.starts_with("Я хочу получать эти письма") && consent["language"] == "ru", "{record}");
}

#[tokio::test]
async fn a_link_to_the_preferences_is_of_the_same_budget_and_waits_for_who_proves_no_work() {
    let room = Room::open();
    room.subscribed(1, &Selection::all()).await;
    let reader = address("reader0@example.net");
    let due = || room.store.messages_due(room.clock.now(), None, 9).unwrap().len();
    room.subscriptions.send_link_to(&reader, false).await.unwrap();
    assert_eq!((owed(&room), due()), (1, 0), "it waits");
    room.clock.advance(room.standard.unproven_wait);
    assert_eq!(due(), 1);
    for number in 0..19 {
        let domain = if number < 10 { "example.org" } else { "example.com" };
        asked(&room, &format!("a{number}@{domain}"), true).await.unwrap();
    }
    for to in [&reader, &address("nobody@example.net")] {
        let refused = room.subscriptions.send_link_to(to, true).await.unwrap_err();
        assert_eq!(refused.kind, Kind::TooMany, "20 in this hour, known or not: {to:?}");
    }
    assert_eq!(owed(&room), 20);
}
