//! Digests: once a window, with all that is new and nothing twice; and instant mails that become too many.

use super::*;
use chrono::Weekday;
use tidings::domain::{Change, Seq, Weekdays, Zone};
use tidings::services::Reader;
use tidings::services::quarantine::{Owed, Quarantine};
use tidings::services::subscribe::Amendment;
use tidings::store::StoreError;

/// A subscription to `query` at `cadence` on the clock of Berlin, confirmed now.
pub(super) async fn subscribed(room: &Room, to: &str, query: &str, cadence: Cadence) -> Subscription {
    let selection = if query.is_empty() { Selection::all() } else { Selection::parse(query).unwrap() };
    let zone = Some(Zone::parse("zone", "Europe/Berlin").unwrap());
    let asking = Asking { cadence: Some(cadence), zone, ..Asking::new(address(to), selection) };
    room.subscriptions.ask(asking).await.unwrap();
    let confirmed =
        room.subscriptions.confirm(&room.confirming(&room.subscription(to)), None, Language::English).await.unwrap();
    // Its confirmation mail would only be in the way.
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    room.clock.advance(Duration::minutes(11));
    confirmed
}

pub(super) fn daily(hour: u8) -> Cadence {
    Cadence::Daily { hour: Hour::try_from(hour).unwrap(), days: Weekdays::ALL }
}

/// The mails that have come to one address since the last look, each as its subject and its text.
pub(super) async fn mailed(room: &Room, to: &str) -> Vec<(String, String)> {
    room.digested().await;
    room.notified().await;
    let before = room.mails();
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let new = room.mails().into_iter().filter(|mail| !before.contains(mail));
    new.filter_map(|bytes| {
        let mail = MessageParser::new().parse(&bytes).unwrap();
        let is_ours = mail.to().unwrap().first().unwrap().address() == Some(to);
        is_ours.then(|| (mail.subject().unwrap().to_owned(), mail.body_text(0).unwrap().replace("\r\n", "\n")))
    })
    .collect()
}

/// The titles of the articles in a digest, in its order.
pub(super) fn told(text: &str) -> Vec<&str> {
    let items = text.split("----").nth(1).unwrap_or(text);
    let lines: Vec<&str> = items.lines().collect();
    let is_title = |at: &usize| lines[*at..].iter().skip(1).find(|line| !line.is_empty()) == Some(&"In short.");
    (0..lines.len()).filter(|at| !lines[*at].is_empty()).filter(is_title).map(|at| lines[at]).collect()
}

/// The clock goes on to the next time that it is seven in Berlin, and a minute.
pub(super) fn until_seven(room: &Room) {
    let zone = Zone::parse("zone", "Europe/Berlin").unwrap();
    let next = daily(7).next(&zone, None, room.clock.now()).unwrap();
    room.clock.advance(next.at - room.clock.now() + Duration::minutes(1));
}

#[tokio::test]
async fn a_digest_brings_all_that_is_new_once_and_nothing_where_nothing_is() {
    let room = Room::open();
    subscribed(&room, "reader@example.net", "category:science", daily(7)).await;
    for (title, category) in [("First", "science"), ("Elsewhere", "economy"), ("Second", "science")] {
        room.publish(title, &[category]).await;
        room.clock.advance(Duration::minutes(1));
    }
    assert!(mailed(&room, "reader@example.net").await.is_empty(), "it is not seven yet");
    until_seven(&room);
    let mails = mailed(&room, "reader@example.net").await;
    let [(subject, text)] = mails.as_slice() else { panic!("one digest, not {mails:?}") };
    assert_eq!(subject, "The News: Second and 1 more");
    assert_eq!(told(text), ["Second", "First"], "the newest first: {text}");
    assert!(text.starts_with("The News\n16 January 2027\n\n* Second\n* First\n"), "headlines on top: {text}");
    assert!(mailed(&room, "reader@example.net").await.is_empty(), "once");
    until_seven(&room);
    assert!(mailed(&room, "reader@example.net").await.is_empty(), "nothing new, no mail");
    room.publish("Third", &["science"]).await;
    // The daemon was down for three of them: one mail.
    for _ in 0..3 {
        until_seven(&room);
    }
    let room = room.restart().await;
    let mails = mailed(&room, "reader@example.net").await;
    assert_eq!(mails.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["The News: Third"]);
    assert_eq!(room.digested().await, 0);
    let next = room.subscription("reader@example.net").digests.next.unwrap();
    assert!(next.at > room.clock.now() && next.at - room.clock.now() < Duration::days(1), "{next:?}");
}

#[tokio::test]
async fn what_is_retracted_is_in_no_digest_even_if_that_was_made_already() {
    let room = Room::open();
    for to in ["a@example.net", "b@example.net"] {
        subscribed(&room, to, "", daily(7)).await;
    }
    let [gone, kept] = [room.publish("Gone", &["science"]).await, room.publish("Kept", &["science"]).await];
    until_seven(&room);
    room.digested().await;
    // Both messages are owed. The first is sent, and then something happens.
    let mailer = room.mailer(room.outbox());
    let peer = Peer::start(Security::Plain).await;
    let one = room.mailer(settings(Some(smtp(&peer))));
    peer.will(At::Rcpt, Act::Say("450 4.2.0 later"));
    one.step().await.unwrap();
    room.retract(&gone).await;
    room.until_due();
    while mailer.step().await.unwrap() == Step::Worked {}
    for mail in room.mails().iter().filter(|mail| String::from_utf8_lossy(mail).contains("Kept")) {
        let text = MessageParser::new().parse(mail).unwrap().body_text(0).unwrap().into_owned();
        assert!(!text.contains("Gone"), "{text}");
    }
    room.retract(&kept).await;
    until_seven(&room);
    assert!(mailed(&room, "a@example.net").await.is_empty(), "nothing is left");
}

#[tokio::test]
async fn overlapping_digests_of_one_address_bring_an_article_once() {
    let room = Room::open();
    subscribed(&room, "reader@example.net", "category:science", daily(7)).await;
    room.publish("Before the second", &["science"]).await;
    subscribed(&room, "reader@example.net", "category:science OR category:economy", daily(7)).await;
    subscribed(&room, "reader@example.net", "category:economy", daily(8)).await;
    room.publish("Of both", &["science", "economy"]).await;
    room.publish("Of economy", &["economy"]).await;
    until_seven(&room);
    let mut mails: Vec<Vec<String>> = mailed(&room, "reader@example.net")
        .await
        .iter()
        .map(|(_, text)| told(text).into_iter().map(str::to_owned).collect())
        .collect();
    mails.sort();
    assert_eq!(mails, [vec!["Of both", "Before the second"], vec!["Of economy"]]);
    room.clock.advance(Duration::hours(1));
    assert!(mailed(&room, "reader@example.net").await.is_empty(), "at another hour there is nothing left to tell");
}

#[tokio::test]
async fn overlapping_instant_subscriptions_bring_an_article_once() {
    let room = Room::open();
    subscribed(&room, "reader@example.net", "category:science", Cadence::Instant).await;
    subscribed(&room, "reader@example.net", "category:economy", Cadence::Instant).await;
    room.publish("Of both", &["science", "economy"]).await;
    room.publish("Of one", &["economy"]).await;
    let mut subjects: Vec<String> =
        mailed(&room, "reader@example.net").await.into_iter().map(|(subject, _)| subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Of both", "Of one"]);
}

#[tokio::test]
async fn what_a_digest_did_not_come_to_tell_before_a_leave_is_told_once_that_is_taken_back() {
    const READER: &str = "reader@example.net";
    for is_recalled in [false, true] {
        let room = Room::open();
        let reader = subscribed(&room, READER, "", daily(7)).await;
        room.publish("First", &["science"]).await;
        until_seven(&room);
        // It is made, and the mail server is not to be had.
        room.digested().await;
        room.clock.advance(Duration::minutes(5));
        let secret = room.store.identity().secret;
        room.subscriptions.leave(&Token::leave(reader.id).seal(&secret)).await.unwrap();
        if is_recalled {
            assert!(mailed(&room, READER).await.iter().all(|(subject, _)| subject.contains("unsubscribed")));
        }
        room.clock.advance(Duration::minutes(5));
        room.subscriptions.undo(&Token::undo(&room.subscription(READER)).seal(&secret)).await.unwrap();
        room.publish("Second", &["science"]).await;
        until_seven(&room);
        let mails = mailed(&room, READER).await;
        let digests: Vec<_> = mails.iter().filter(|(subject, _)| !subject.contains("unsubscribed")).collect();
        let [(_, text)] = digests.as_slice() else { panic!("one digest, not {mails:?}") };
        assert_eq!(told(text), ["Second", "First"], "{is_recalled}");
    }
}

#[tokio::test]
async fn a_digest_is_bounded_and_leads_to_the_rest() {
    let mut room = Room::open();
    (room.standard.digest_items_max, room.standard.digest_bytes_max) = (4, 10_000);
    subscribed(&room, "reader@example.net", "category:science", daily(7)).await;
    for number in 0..9 {
        room.publish(&format!("Number {number}"), &["science"]).await;
    }
    until_seven(&room);
    let mails = mailed(&room, "reader@example.net").await;
    assert_eq!(told(&mails[0].1).len(), 4);
    assert!(mails[0].1.contains("And 5 more: https://news.example.org/science"), "{}", mails[0].1);
    room.standard.digest_items_max = 100;
    for number in 0..90 {
        room.publish(&format!("{} {number}", "Long ".repeat(40).trim()), &["science"]).await;
    }
    until_seven(&room);
    let mails = mailed(&room, "reader@example.net").await;
    assert!(mails[0].1.len() < 12_000, "{}", mails[0].1.len());
    assert!(told(&mails[0].1).len() > 5 && mails[0].1.contains(" more: https://"), "{}", mails[0].1);
}

#[tokio::test]
async fn a_thousand_digests_are_made_in_pieces_and_owed_once() {
    let room = Room::open();
    subscribed(&room, "first@example.net", "", daily(7)).await;
    let pattern = room.subscription("first@example.net");
    let mut batch = Batch::default();
    for number in 0..1_000_u128 {
        let (id, to) = (SubscriptionId(Uuid::from_u128(number)), address(&format!("reader{number}@example.net")));
        room.store.write_first_subscription(&mut batch, &Subscription { id, address: to, ..pattern.clone() });
    }
    room.store.commit(batch).await.unwrap();
    room.publish("News", &["science"]).await;
    until_seven(&room);
    assert_eq!(room.digested().await, 6, "1,001 in pieces of 200");
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 10_000).unwrap(), 1_001);
    // One is set back to the window that is behind it, as a batch that was lost would leave it.
    let stored = room.store.subscription(pattern.id).unwrap().unwrap();
    let mut batch = Batch::default();
    room.store.write_subscription(&mut batch, Some(&stored), &pattern);
    room.store.commit(batch).await.unwrap();
    assert_eq!(room.digested().await, 1);
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 10_000).unwrap(), 1_001, "the row is known");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn a_weekly_digest_comes_on_its_day_and_a_change_of_pace_loses_nothing() {
    let room = Room::open();
    let friday = Cadence::Weekly { hour: Hour::SEVEN, day: Weekday::Fri };
    let reader = subscribed(&room, "reader@example.net", "", friday).await;
    assert_eq!(reader.digests.next.unwrap().edition.to_string(), "2027-01-22", "it is Friday, the 15th, at nine");
    room.publish("News", &["science"]).await;
    room.clock.advance(Duration::days(2));
    pace(&room, &reader, Cadence::Instant).await;
    let gathered = mailed(&room, "reader@example.net").await;
    let [(subject, text)] = gathered.as_slice() else { panic!("one digest, not {gathered:?}") };
    assert_eq!(subject, "The News: News");
    assert!(!text.contains("more news in a day"), "it is not too much, it is the last of its kind: {text}");
    assert!(room.subscription("reader@example.net").digests.since > Seq(0));
    room.publish("At once", &["science"]).await;
    assert_eq!(mailed(&room, "reader@example.net").await.len(), 1);
    pace(&room, &reader, friday).await;
    let next = room.subscription("reader@example.net").digests.next.unwrap();
    assert_eq!(next.edition.to_string(), "2027-01-22", "what came on Sunday takes the place of no Friday");
}

#[tokio::test]
async fn whoever_tries_mails_at_once_for_an_afternoon_misses_no_digest_of_a_day_to_come() {
    const READER: &str = "reader@example.net";
    let room = Room::open();
    let reader = subscribed(&room, READER, "", daily(7)).await;
    room.publish("Morning", &["science"]).await;
    until_seven(&room);
    assert_eq!(told(&mailed(&room, READER).await[0].1), ["Morning"]);
    for (title, edition) in [("Noon", "2027-01-16.1"), ("Afternoon", "2027-01-16.2")] {
        room.clock.advance(Duration::hours(4));
        room.publish(title, &["science"]).await;
        pace(&room, &reader, Cadence::Instant).await;
        let mails = mailed(&room, READER).await;
        assert_eq!(mails.iter().flat_map(|(_, text)| told(text)).collect::<Vec<_>>(), [title]);
        assert!(mails[0].1.starts_with("The News\n16 January 2027\n"), "{mails:?}");
        pace(&room, &reader, daily(7)).await;
        let digests = room.subscription(READER).digests;
        assert_eq!(digests.last.unwrap().window.edition.to_string(), edition);
        assert_eq!(digests.next.unwrap().edition.to_string(), "2027-01-17", "the next morning");
    }
    room.publish("Evening", &["science"]).await;
    until_seven(&room);
    assert_eq!(told(&mailed(&room, READER).await[0].1), ["Evening"]);
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn a_digest_that_was_missed_for_days_comes_once_under_the_date_of_the_day_it_comes() {
    const READER: &str = "reader@example.net";
    let room = Room::open();
    subscribed(&room, READER, "", daily(7)).await;
    room.publish("Before", &["science"]).await;
    room.clock.advance(Duration::days(4));
    room.publish("Behind", &["science"]).await;
    let mails = mailed(&room, READER).await;
    let [(_, text)] = mails.as_slice() else { panic!("one digest, not {mails:?}") };
    assert_eq!(told(text), ["Behind", "Before"]);
    assert!(text.starts_with("The News\n19 January 2027\n"), "{text}");
    assert_eq!(room.subscription(READER).digests.next.unwrap().edition.to_string(), "2027-01-20");
}

/// A change of mind.
pub(super) async fn pace(room: &Room, reader: &Subscription, cadence: Cadence) {
    let edit = Amendment::Edit { id: reader.id, selection: None, cadence: Some(cadence), is_paused: None };
    room.subscriptions.amend_of(reader.id, &edit).await.unwrap();
}

/// Reads like the real one, and the reader changes to digests after it has decided and before that is committed.
struct Overtaken {
    notify: Notify,
    room: Arc<Room>,
    reader: Subscription,
}

impl Reader for Overtaken {
    fn name(&self) -> &'static str {
        self.notify.name()
    }

    async fn apply(&self, cursor: &Cursor, changes: Vec<(Seq, Change)>) -> Result<(Batch, Cursor), StoreError> {
        let decided = self.notify.apply(cursor, changes).await;
        if self.room.subscription(self.reader.address.as_str()).cadence.is_instant() {
            pace(&self.room, &self.reader, daily(7)).await;
        }
        decided
    }
}

#[tokio::test]
async fn whoever_changes_to_digests_gets_what_was_not_owed_yet_in_the_first_of_them() {
    const READER: &str = "reader@example.net";
    let room = Arc::new(Room::open());
    room.publish("Before their time", &["science"]).await;
    room.notified().await;
    let reader = subscribed(&room, READER, "", Cadence::Instant).await;
    room.publish("Read by nobody yet", &["science"]).await;
    let overtaken = Overtaken { notify: room.notify(), room: Arc::clone(&room), reader: reader.clone() };
    let mut tail = Tail::new(Arc::clone(&room.store), overtaken).unwrap();
    while tail.step().await.unwrap() == Step::Worked {}
    assert_eq!(mailed(&room, READER).await, [], "it is for the digest");
    until_seven(&room);
    let digests = mailed(&room, READER).await;
    assert_eq!(digests.iter().flat_map(|(_, text)| told(text)).collect::<Vec<_>>(), ["Read by nobody yet"]);
}

#[tokio::test]
async fn whoever_changes_to_digests_gets_what_was_owed_by_itself_and_not_again() {
    const READER: &str = "reader@example.net";
    let room = Room::open();
    let reader = subscribed(&room, READER, "", Cadence::Instant).await;
    room.publish("Owed, and not finished", &["science"]).await;
    assert_eq!(room.tail().step().await.unwrap(), Step::Worked);
    assert!(!room.store.cursor("notify").unwrap().unwrap().record.within.is_empty());
    room.publish("Not owed", &["science"]).await;
    pace(&room, &reader, daily(7)).await;
    let at_once = mailed(&room, READER).await;
    assert_eq!(at_once.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["Owed, and not finished"]);
    until_seven(&room);
    let digests = mailed(&room, READER).await;
    assert_eq!(digests.iter().flat_map(|(_, text)| told(text)).collect::<Vec<_>>(), ["Not owed"]);
}

#[tokio::test]
async fn what_was_never_confirmed_and_what_was_left_is_erased_with_all_its_mails() {
    let room = Room::open();
    let reader = subscribed(&room, "left@example.net", "", Cadence::Instant).await;
    let stays = subscribed(&room, "stays@example.net", "", Cadence::Instant).await;
    room.subscriptions.ask(Asking::new(address("pending@example.net"), Selection::all())).await.unwrap();
    let article = room.publish("News", &["science"]).await;
    mailed(&room, "left@example.net").await;
    room.subscriptions.leave(&room.leaving(&reader)).await.unwrap();
    let eraser = Arc::new(Eraser::new(Arc::clone(&room.store), room.clock.clone(), room.outbox().outbox));
    for (days, pending, left) in [(13, true, true), (2, false, true), (14, false, false)] {
        room.clock.advance(Duration::days(days));
        while eraser.step().await.unwrap() == Step::Worked {}
        for (to, is_there) in [("pending@example.net", pending), ("left@example.net", left)] {
            assert_eq!(room.store.subscriber_of(&address(to)).unwrap().is_some(), is_there, "{to} {days}");
        }
        assert!(tidings::store::check(&room.store).is_clean());
    }
    let key =
        |subscription: &Subscription| LedgerKey::of(&Message::Notice { article: article.id.clone() }, subscription.id);
    assert!(room.store.message(&key(&reader)).unwrap().is_none(), "nothing is left");
    assert!(room.store.message(&key(&stays)).unwrap().is_some());
    assert!(room.store.subscription(reader.id).unwrap().is_none());
}

#[tokio::test]
async fn a_restored_store_leaves_the_digests_to_its_original_and_begins_behind_them() {
    for (owed, at_seven, the_day_after) in
        [(Owed::Drop, &[][..], "After"), (Owed::Send, &["The News: After and 1 more"], "")]
    {
        let original = Room::open();
        subscribed(&original, "reader@example.net", "", daily(7)).await;
        original.publish("Before", &["science"]).await;
        let copy = original.copied();
        until_seven(&copy);
        let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
        quarantine.look().await.unwrap();
        copy.clock.advance(Duration::minutes(1));
        copy.publish("After", &["science"]).await;
        assert!(mailed(&copy, "reader@example.net").await.is_empty(), "in quarantine");
        quarantine.release(owed).await.unwrap();
        let subjects = async || {
            let mails = mailed(&copy, "reader@example.net").await;
            mails.into_iter().map(|(subject, _)| subject).collect::<Vec<_>>()
        };
        assert_eq!(subjects().await, at_seven, "{owed:?}");
        until_seven(&copy);
        let expected = Some(format!("The News: {the_day_after}")).filter(|_| !the_day_after.is_empty());
        assert_eq!(subjects().await, Vec::from_iter(expected), "{owed:?}, the day after");
    }
}
