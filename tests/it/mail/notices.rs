//! What is mailed to whom, once, across retractions and restarts.

use super::corrections::header;
use super::digests::{daily, subscribed, until_seven};
use super::*;
use tidings::domain::{Draft, Wish};
use tidings::services::publish::Publisher;

#[tokio::test]
async fn a_thousand_subscribers_are_told_once_each_in_pieces() {
    let room = Room::open();
    let readers = room.subscribed(1_000, &Selection::all()).await;
    let article = room.publish("News", &["science"]).await;
    let mut tail = room.tail();
    for _ in 0..2 {
        tail.step().await.unwrap();
    }
    let due = room.store.count_due(tidings::store::Due::Message, 10_000).unwrap();
    assert_eq!(due, 400, "two pieces of 200");
    drop(tail);
    // Broken off between two pieces: the reader goes on where its cursor stands.
    let room = room.restart().await;
    assert_eq!(room.notified().await, 4, "three more pieces, and the end");
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 10_000).unwrap(), 1_000);
    let peer = Peer::start(Security::Plain).await;
    let mailer = room.mailer(settings(Some(Smtp { connections: 4, ..smtp(&peer) })));
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut to = peer.accepted();
    to.sort();
    let mut expected: Vec<String> = readers.iter().map(|reader| reader.address.as_str().to_owned()).collect();
    expected.sort();
    assert_eq!(to, expected);
    assert_eq!(peer.log.lock().unwrap().connections, 4);
    assert!(matches!(room.delivery(&article, &readers[0]), Delivery::Sent { .. }));
}

#[tokio::test(start_paused = true)]
async fn notices_are_made_out_no_further_ahead_of_the_mailer_than_is_good_for_both() {
    let room = Room { lead: Arc::new(Lead::of(300)), ..Room::open() };
    room.subscribed(700, &Selection::all()).await;
    let (mut tail, mailer) = (room.tail(), room.mailer(room.outbox()));
    let due = || room.store.count_due(tidings::store::Due::Message, 10_000).unwrap();
    for title in ["One", "Two"] {
        room.publish(title, &["science"]).await;
        let mut waits = Vec::new();
        for _ in 0..5 {
            let started = tokio::time::Instant::now();
            tail.step().await.unwrap();
            waits.push(started.elapsed().as_millis());
        }
        // The third piece would have gone too far; nobody sent anything, and from then on nobody waited.
        assert_eq!(waits, [0, 0, 100, 0, 0], "{title}");
        assert_eq!(due(), 700);
        while mailer.step().await.unwrap() == Step::Worked {}
        assert_eq!(due(), 0);
    }
}

#[tokio::test]
async fn the_mailer_has_turns_on_the_same_thread_while_notices_are_made_out() {
    let room = Room::open();
    room.subscribed(96, &only(&["economy"])).await;
    let turns = async |category| {
        room.publish("News", &[category]).await;
        let mut tail = room.tail();
        let mut turns = 0;
        let mut step = std::pin::pin!(tail.step());
        std::future::poll_fn(|context| {
            let polled = step.as_mut().poll(context);
            turns += usize::from(polled.is_pending());
            polled
        })
        .await
        .unwrap();
        turns
    };
    assert!(turns("science").await >= 6, "one for each 16 that did not ask for it");
    let _ = room.notified().await;
    assert!(turns("economy").await >= 48, "one for each two that did");
}

#[tokio::test]
async fn only_news_is_mailed_and_only_to_whom_it_is_owed() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    room.subscribed(1, &only(&["science"])).await;
    room.clock.advance(Duration::minutes(1));
    let article = room.publish("News", &["economy", "science"]).await;
    room.write(Some(&article), &article, ChangeKind::Revised).await;
    room.write(Some(&article), &article, ChangeKind::Restored).await;
    let old = Article { id: ArticleId::mint(), published_at: Some(room.clock.now() - Duration::days(3)), ..article };
    room.write(None, &old, ChangeKind::Published).await;
    let gone = room.publish("Gone", &["science"]).await;
    room.retract(&gone).await;
    room.notified().await;
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    assert_eq!(mails.len(), 1);
    let mail = MessageParser::new().parse(&mails[0]).unwrap();
    let list = mail.header_raw("List-Id").unwrap().trim();
    assert_eq!(list, "\"Science\" <science.news.example.org>", "the category that was asked for");
}

#[tokio::test]
async fn a_digest_has_the_list_headers_of_a_notice() {
    let room = Room::open();
    subscribed(&room, "notice@example.net", "category:science", Cadence::Instant).await;
    subscribed(&room, "digest@example.net", "category:science", daily(7)).await;
    let confirmations = room.mails();
    room.publish("News", &["science"]).await;
    until_seven(&room);
    room.digested().await;
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails: Vec<Vec<u8>> = room.mails().into_iter().filter(|mail| !confirmations.contains(mail)).collect();
    let to = |to: &str| mails.iter().find(|mail| header(mail, "To") == to).expect("a mail");
    let (notice, digest) = (to("notice@example.net"), to("digest@example.net"));
    assert_eq!(mails.len(), 2);
    for name in ["List-Id", "List-Unsubscribe-Post", "List-Archive", "List-Post", "Auto-Submitted", "Precedence"] {
        assert_eq!(header(digest, name), header(notice, name), "{name}");
    }
    // Each leaves by a link of its own, which is the one in its text.
    for mail in [notice, digest] {
        let leave = format!("<https://news.example.org/subscriptions/{}>", link(mail));
        assert_eq!(header(mail, "List-Unsubscribe"), leave);
    }
    assert_ne!(link(digest), link(notice));
    assert!(header(notice, "Feedback-ID").ends_with(":science:notice:news.example.org"));
    assert_eq!(header(digest, "Feedback-ID"), "2027-01-16:science:digest:news.example.org");
}

#[tokio::test]
async fn what_was_released_late_is_news_and_what_an_import_dates_in_the_past_is_not() {
    let room = Room::open();
    room.subscribed(1, &Selection::all()).await;
    digests::subscribed(&room, "daily@example.net", "", digests::daily(7)).await;
    let before = room.mails().len();
    let publisher = Publisher::new(Arc::clone(&room.store), room.clock.clone(), 0);
    let draft = |title: &str, published_at: Time, wish: Wish| {
        let content = Content {
            categories: vec![slug("science")],
            title: title.into(),
            summary: Some("In short.".into()),
            ..Content::default()
        };
        Draft { id: None, external_id: None, wish, published_at: Some(published_at), content }
    };
    let hour = room.clock.now() + Duration::hours(1);
    let (scheduled, _) = publisher.push(draft("On time", hour, Wish::Published), None).await.unwrap();
    assert_eq!(scheduled.state, State::Scheduled);
    let (kept, _) =
        publisher.push(draft("Imported as a draft", hour - Duration::days(3), Wish::Draft), None).await.unwrap();
    // The daemon is down, and comes back days after the hour.
    room.clock.advance(Duration::days(5));
    assert_eq!(publisher.release_due().await.unwrap(), 1);
    publisher.push(draft("Imported", hour, Wish::Published), None).await.unwrap();
    let wished = draft("Imported as a draft", hour - Duration::days(3), Wish::Published);
    publisher.revise(&kept.id, &wished, None).await.unwrap();
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let subjects: Vec<String> = room.mails()[before..]
        .iter()
        .map(|mail| MessageParser::new().parse(mail).unwrap().subject().unwrap().to_owned())
        .collect();
    assert_eq!(subjects, ["On time"]);
    digests::until_seven(&room);
    let mails = digests::mailed(&room, "daily@example.net").await;
    let told: Vec<_> = mails.iter().map(|(_, text)| digests::told(text)).collect();
    assert_eq!(told, [["On time"]]);
}

#[tokio::test]
async fn a_notice_goes_out_by_a_clock_that_was_set_back() {
    let room = Room::open();
    room.subscribed(1, &Selection::all()).await;
    let before = room.mails().len();
    let publisher = Publisher::new(Arc::clone(&room.store), room.clock.clone(), 0);
    let mailer = room.mailer(room.outbox());
    room.clock.advance(Duration::hours(9));
    for (title, hours) in [("Before", 0), ("Behind", -5)] {
        room.clock.advance(Duration::hours(hours));
        let content = Content { categories: vec![slug("science")], title: title.into(), ..Content::default() };
        let draft = Draft { id: None, external_id: None, wish: Wish::Published, published_at: None, content };
        publisher.push(draft, None).await.unwrap();
        room.notified().await;
        room.clock.advance(Duration::minutes(2));
        while mailer.step().await.unwrap() == Step::Worked {}
    }
    assert_eq!(room.mails().len() - before, 2);
}

#[tokio::test]
async fn what_no_longer_holds_when_it_is_sent_is_recalled() {
    let room = Room::open();
    let readers = room.subscribed(2, &only(&["science"])).await;
    room.clock.advance(Duration::minutes(1));
    let gone = room.publish("Gone", &["science"]).await;
    let stays = room.publish("Stays", &["science"]).await;
    room.notified().await;
    room.retract(&gone).await;
    room.subscriptions.leave(&room.leaving(&readers[1])).await.unwrap();
    let peer = Peer::start(Security::Plain).await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    mailer.step().await.unwrap();
    let [stayed, left] = [&readers[0], &readers[1]].map(|reader| reader.address.as_str());
    assert_eq!(peer.accepted(), [stayed, left], "who left is told that, and nothing else");
    for (article, reader) in [(&gone, &readers[0]), (&gone, &readers[1]), (&stays, &readers[1])] {
        let state = room.delivery(article, reader);
        assert!(matches!(state, Delivery::Recalled { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn a_restart_neither_loses_nor_doubles() {
    let (room, readers, article) = Room::owing(6).await;
    let peer = Peer::start(Security::Plain).await;
    let way = Smtp { connections: 2, ..smtp(&peer) };
    let mailer = room.mailer(settings(Some(way.clone())));
    // The daemon breaks off while one connection waits for its last word; the others have done their work.
    peer.will(At::Body, Act::Stall);
    let step = tokio::time::timeout(std::time::Duration::from_millis(500), mailer.step()).await;
    assert!(step.is_err(), "it is still waiting");
    drop(mailer);
    let room = room.restart().await;
    let mailer = room.mailer(settings(Some(way.clone())));
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut accepted = peer.accepted();
    accepted.sort();
    accepted.dedup();
    assert_eq!((accepted.len(), peer.accepted().len()), (5, 5), "each once");
    let doubtful = mailer.doubtful(None, 9).unwrap();
    assert_eq!(doubtful.len(), 1, "one a connection at most");
    assert_eq!(mailer.drop_doubtful().await.unwrap(), 1);
    assert!(mailer.doubtful(None, 9).unwrap().is_empty());
    let failed = readers.iter().filter(|reader| matches!(room.delivery(&article, reader), Delivery::Failed { .. }));
    assert_eq!(failed.count(), 1);
    drop(mailer);
    let room = room.restart().await;
    let mailer = room.mailer(Mail { doubtful: Doubtful::Resend, ..settings(Some(way)) });
    assert_eq!(mailer.step().await.unwrap(), Step::Idle, "all is settled");
}

#[tokio::test]
async fn a_mail_that_goes_to_the_outbox_twice_is_one_file() {
    let (room, peer, article, reader) = on_its_way().await;
    // On the wire at a crash, and then the newsroom changes to an outbox: doing it again does no harm.
    let timeout = std::time::Duration::from_millis(200);
    let mailer = room.mailer(settings(Some(Smtp { timeout, ..smtp(&peer) })));
    peer.will(At::Body, Act::Cut);
    mailer.step().await.unwrap();
    for _ in 0..2 {
        let mailer = room.mailer(room.outbox());
        mailer.step().await.unwrap();
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
        assert_eq!(room.mails().len(), 1);
        let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, reader.id);
        let sent = room.store.message(&key).unwrap().unwrap();
        let mut batch = Batch::default();
        let again = Delivery::OnWire { since: room.clock.now(), attempts: 0 };
        room.store.change_message(&mut batch, sent, |row| row.state = again);
        room.store.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn an_outbox_that_cannot_be_written_holds_mail_back_without_losing_any() {
    let (room, _, article, reader) = on_its_way().await;
    std::fs::write(room.folder.path().join("outbox"), "a file, not a folder").unwrap();
    let mailer = room.mailer(room.outbox());
    mailer.step().await.unwrap();
    assert!(matches!(room.delivery(&article, &reader), Delivery::Pending { attempts: 0, .. }));
    assert_eq!(mailer.step().await.unwrap(), Step::Idle, "the outbox is left in peace");
    std::fs::remove_file(room.folder.path().join("outbox")).unwrap();
    room.until_due();
    mailer.step().await.unwrap();
    assert_eq!(room.mails().len(), 1);
}

#[tokio::test]
async fn the_worker_wakes_for_new_rows_and_takes_leave_when_it_is_stopped() {
    let (room, peer, article, reader) = on_its_way().await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(room.mailer(settings(Some(smtp(&peer)))).run(stop.clone()));
    let tail = tokio::spawn(room.tail().run(stop.clone()));
    let mut articles = vec![article];
    for number in 1..=4 {
        let arrived = async {
            while peer.accepted().len() < number {
                tokio::task::yield_now().await;
            }
        };
        let wait = std::time::Duration::from_secs(4);
        tokio::time::timeout(wait, arrived).await.expect("long before the next poll");
        articles.push(room.publish("News", &["economy"]).await);
    }
    stop.cancel();
    worker.await.unwrap();
    tail.await.unwrap();
    assert_eq!(peer.log.lock().unwrap().quits, 1);
    for article in &articles[..4] {
        assert!(matches!(room.delivery(article, &reader), Delivery::Sent { .. }));
    }
}

#[tokio::test]
async fn a_cursor_that_moved_without_effect_costs_no_commit_and_a_second_reading_mails_nobody_twice() {
    let room = Room::open();
    let mut tail = room.tail();
    room.publish("Nobody is there yet", &["science"]).await;
    assert_eq!(tail.step().await.unwrap(), Step::Worked);
    assert_eq!(tail.step().await.unwrap(), Step::Idle);
    assert!(room.store.cursor("notify").unwrap().is_none(), "nothing followed, so nothing was written");
    tail.save().await.unwrap();
    let saved = room.store.cursor("notify").unwrap().unwrap();
    assert_eq!(saved.record.seq, room.store.head());
    room.clock.advance(Duration::hours(1));
    let reader = room.subscribed(1, &Selection::all()).await.remove(0);
    let article = room.publish("Somebody is", &["science"]).await;
    room.notified().await;
    let (mut batch, old) = (Batch::default(), room.store.cursor("notify").unwrap());
    room.store.move_cursor(&mut batch, "notify", old.as_ref(), Cursor::default());
    room.store.commit(batch).await.unwrap();
    room.notified().await;
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 10).unwrap(), 1);
    assert!(matches!(room.delivery(&article, &reader), Delivery::Pending { attempts: 0, .. }));
}

#[tokio::test]
async fn a_server_that_does_not_answer_holds_up_no_stop() {
    const LONG: std::time::Duration = std::time::Duration::from_secs(60);
    let (room, peer, _, _) = on_its_way().await;
    room.notified().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let smtp = Smtp { port: silent.local_addr().unwrap().port(), timeout: LONG, ..smtp(&peer) };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(room.mailer(settings(Some(smtp))).run(stop.clone()));
    let _connection = silent.accept().await.unwrap();
    stop.cancel();
    tokio::time::timeout(LONG / 10, worker).await.expect("it stops at once").unwrap();
    assert_eq!(room.mailer(room.outbox()).doubtful(None, 9).unwrap(), [], "nothing was put on the wire");
}

#[tokio::test]
async fn a_notice_waits_for_corrections_and_then_says_what_is_true() {
    let room = Room { grace: Duration::minutes(1), ..Room::open() };
    room.subscribed(1, &Selection::all()).await;
    let wrong = room.publish("Ten hurt", &["science"]).await;
    let gone = room.publish("Nothing happened", &["science"]).await;
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    room.clock.advance(Duration::seconds(59));
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
    let mut right = Article { revision: 2, ..wrong.clone() };
    right.content.title = "Two hurt".into();
    room.write(Some(&wrong), &right, ChangeKind::Revised).await;
    room.retract(&gone).await;
    assert_eq!(mailer.step().await.unwrap(), Step::Idle, "not a moment before");
    room.clock.advance(Duration::seconds(1));
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(MessageParser::new().parse(&mails[0]).unwrap().subject(), Some("Two hurt"));
}
