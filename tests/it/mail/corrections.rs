//! Corrections: once to just those who were told something else, whatever breaks off.

use super::digests::{daily, subscribed, until_seven};
use super::signed::{key, while_signed, with_one_thread};
use super::*;
use tidings::services::corrections::{Asked, Corrections};
use tidings::services::quarantine::{Owed, Quarantine};
use tidings::store::Revisions;
use tidings::wire::mail::dkim::Algorithm;

pub(super) fn corrections(room: &Room) -> Corrections {
    corrections_of(room, MailText::Summary)
}

/// Where notices have so much of the text.
pub(super) fn corrections_of(room: &Room, text: MailText) -> Corrections {
    Corrections::new(Arc::clone(&room.store), room.clock.clone(), Duration::days(2), text, Arc::clone(&room.hint))
}

pub(super) async fn made_out(room: &Room) -> usize {
    made_out_of(room, MailText::Summary).await
}

/// Where notices have so much of the text.
pub(super) async fn made_out_of(room: &Room, text: MailText) -> usize {
    let corrections = corrections_of(room, text);
    let mut rounds = 0;
    while corrections.step().await.unwrap() == Step::Worked {
        rounds += 1;
    }
    rounds
}

pub(super) async fn sent(mailer: &Arc<Mailer>) {
    while mailer.step().await.unwrap() == Step::Worked {}
}

/// The article with another title, in a further revision.
pub(super) async fn edited(room: &Room, old: &Article, change: impl FnOnce(&mut Content)) -> Article {
    let mut new = Article { revision: old.revision + 1, ..old.clone() };
    change(&mut new.content);
    room.write(Some(old), &new, ChangeKind::Revised).await;
    new
}

fn noted(note: &str) -> Asked {
    Asked { note: Some(note.into()), ..Asked::default() }
}

/// The mails since there were `before`, each as whom it went to, its subject and its bytes; in the order of addresses.
fn new_mails(room: &Room, before: &[Vec<u8>]) -> Vec<(String, String, Vec<u8>)> {
    let new = room.mails().into_iter().filter(|mail| !before.contains(mail));
    let mut mails: Vec<_> = new
        .map(|bytes| {
            let mail = MessageParser::new().parse(&bytes).unwrap();
            let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
            let subject = mail.subject().unwrap().to_owned();
            (to, subject, bytes)
        })
        .collect();
    mails.sort();
    mails
}

fn told(mails: &[(String, String, Vec<u8>)]) -> Vec<(&str, &str)> {
    mails.iter().map(|(to, subject, _)| (to.as_str(), subject.as_str())).collect()
}

pub(super) fn header(mail: &[u8], name: &str) -> String {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
}

/// `reader0` has got the first revision, and `reader1` the second one.
async fn two_told_differently(room: &Room) -> (Article, Vec<Subscription>, Vec<u8>) {
    let readers = room.subscribed(2, &Selection::all()).await;
    let article = room.publish("Ten hurt", &["science"]).await;
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    // The mail to the second one has to wait.
    let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, readers[1].id);
    let row = room.store.message(&key).unwrap().unwrap();
    let mut batch = Batch::default();
    let later = room.clock.now() + Duration::minutes(5);
    room.store.change_message(&mut batch, row, |row| *row = row.clone().due_at(later));
    room.store.commit(batch).await.unwrap();
    sent(&mailer).await;
    let first = room.mails().remove(0);
    let right = edited(room, &article, |content| content.title = "Two hurt".into()).await;
    room.clock.advance(Duration::minutes(5));
    sent(&mailer).await;
    assert_eq!(told(&new_mails(room, std::slice::from_ref(&first))), [("reader1@example.net", "Two hurt")]);
    (right, readers, first)
}

#[tokio::test]
async fn a_correction_reaches_who_was_told_something_else_and_nobody_twice() {
    let room = Room::open();
    let (article, _, first) = two_told_differently(&room).await;
    let before = room.mails();
    let service = corrections(&room);
    let counted = service.count(&article.id, &Asked::default()).await.unwrap();
    assert_eq!((counted.revision, counted.recipients), (2, 1));
    assert_eq!(made_out(&room).await, 0, "counting asks for nothing");
    let asked = noted("We had written of <ten> & more.\nThere were two.");
    for recipients in [1, 0] {
        assert_eq!(service.ask(&article.id, &asked).await.unwrap().recipients, recipients);
        made_out(&room).await;
    }
    let mailer = room.mailer(room.outbox());
    sent(&mailer).await;
    let mails = new_mails(&room, &before);
    assert_eq!(told(&mails), [("reader0@example.net", "Correction: Two hurt")]);
    let mail = &mails[0].2;
    for name in ["In-Reply-To", "References"] {
        assert_eq!(header(mail, name), header(&first, "Message-ID"), "it stands below the notice");
    }
    for name in ["List-Id", "List-Unsubscribe-Post", "List-Archive", "Auto-Submitted", "Precedence"] {
        assert_eq!(header(mail, name), header(&first, name));
    }
    assert!(header(mail, "Feedback-ID").contains(":correction:"));
    let parsed = MessageParser::new().parse(mail).unwrap();
    let (text, html) = (parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap().replace("\r\n", "\n"));
    assert!(text.contains("We had written of <ten> & more.") && text.contains("In short."), "{text}");
    assert!(html.contains("We had written of &lt;ten&gt; &amp; more.\nThere were two."), "{html}");
    // Whoever asks once more, however often, after edits that no mail tells: all have been told what is right.
    let article = edited(&room, &article, |content| content.tags = vec!["accident".into()]).await;
    let again = service.ask(&article.id, &Asked::default()).await.unwrap();
    assert_eq!((again.revision, again.recipients, again.correction), (3, 0, None));
    // What the correction told was wrong as well: so was what the other got.
    let article = edited(&room, &article, |content| content.title = "Three hurt".into()).await;
    assert_eq!(service.ask(&article.id, &Asked::default()).await.unwrap().recipients, 2);
    made_out(&room).await;
    let before = room.mails();
    sent(&mailer).await;
    let expected =
        [("reader0@example.net", "Correction: Three hurt"), ("reader1@example.net", "Correction: Three hurt")];
    assert_eq!(told(&new_mails(&room, &before)), expected);
    assert_eq!(
        service.of(&article.id).unwrap().iter().map(|one| (one.revision, one.owed)).collect::<Vec<_>>(),
        [(4, 2), (2, 1)]
    );
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn only_who_got_revisions_that_are_named_and_no_contradictions() {
    let room = Room::open();
    let (article, ..) = two_told_differently(&room).await;
    let article = edited(&room, &article, |content| content.title = "Three hurt".into()).await;
    let service = corrections(&room);
    let of = |from, to| Asked { of: Some(Revisions { from, to }), note: None };
    for (asked, recipients) in [(of(1, 1), 1), (of(2, 2), 1), (of(1, 2), 2), (Asked::default(), 2)] {
        assert_eq!(service.count(&article.id, &asked).await.unwrap().recipients, recipients, "{asked:?}");
    }
    for wrong in [of(0, 1), of(2, 1), of(1, 3)] {
        assert_eq!(service.ask(&article.id, &wrong).await.unwrap_err().kind, Kind::Invalid, "{wrong:?}");
    }
    assert_eq!(service.ask(&article.id, &of(2, 2)).await.unwrap().recipients, 1);
    let other = service.ask(&article.id, &Asked::default()).await.unwrap_err();
    assert!(other.kind == Kind::Conflict && other.detail.contains("when that is done"), "{other:?}");
    made_out(&room).await;
    let other = service.ask(&article.id, &noted("a note")).await.unwrap_err();
    assert!(other.kind == Kind::Conflict && other.detail.contains("another note"), "{other:?}");
    assert_eq!(service.ask(&article.id, &Asked::default()).await.unwrap().recipients, 1, "the other one");
    made_out(&room).await;
    let before = room.mails();
    sent(&room.mailer(room.outbox())).await;
    assert_eq!(new_mails(&room, &before).len(), 2);
    let none = ArticleId::mint();
    assert_eq!(service.ask(&none, &Asked::default()).await.unwrap_err().kind, Kind::NotFound);
    room.retract(&article).await;
    let gone = service.ask(&article.id, &Asked::default()).await.unwrap_err();
    assert!(gone.kind == Kind::Conflict && gone.detail.contains("retracted"), "{gone:?}");
}

#[tokio::test]
async fn a_correction_that_broke_off_goes_on_where_it_was_and_who_left_gets_none() {
    let room = Room::open();
    let readers = room.subscribed(450, &Selection::all()).await;
    let article = room.publish("Ten hurt", &["science"]).await;
    room.notified().await;
    sent(&room.mailer(room.outbox())).await;
    let article = edited(&room, &article, |content| content.title = "Two hurt".into()).await;
    room.subscriptions.leave(&room.leaving(&readers[7])).await.unwrap();
    assert_eq!(corrections(&room).ask(&article.id, &Asked::default()).await.unwrap().recipients, 449);
    assert_eq!(corrections(&room).step().await.unwrap(), Step::Worked);
    let (before, room) = (room.mails(), room.restart().await);
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 1_000).unwrap(), 201, "a piece, and a farewell");
    assert!(tidings::store::check(&room.store).is_clean());
    // As if the place where it was had been lost with a copy that is older.
    let stored = room.store.correction(&article.id, 2).unwrap().unwrap();
    let mut batch = Batch::default();
    let begun = tidings::store::Correction { after: None, owed: 0, ..stored.record.clone() };
    room.store.write_correction(&mut batch, Some(&stored), &begun);
    room.store.commit(batch).await.unwrap();
    made_out(&room).await;
    let gone = readers.iter().filter(|reader| reader.id != readers[7].id).nth(3).unwrap();
    room.subscriptions.leave(&room.leaving(gone)).await.unwrap();
    let mailer = room.mailer(room.outbox());
    sent(&mailer).await;
    let mails = new_mails(&room, &before);
    let corrected: Vec<_> = mails.iter().filter(|(_, subject, _)| subject == "Correction: Two hurt").collect();
    let to: std::collections::BTreeSet<&str> = corrected.iter().map(|(to, ..)| to.as_str()).collect();
    assert_eq!((corrected.len(), to.len()), (448, 448), "each once");
    assert!(!to.contains(readers[7].address.as_str()) && !to.contains(gone.address.as_str()));
    let ended = room.store.correction(&article.id, 2).unwrap().unwrap().record;
    assert!(ended.ended_at.is_some());
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn who_was_told_by_a_digest_is_corrected_at_once() {
    let room = Room::open();
    for (to, hour) in [("seven@example.net", 7), ("eight@example.net", 8)] {
        subscribed(&room, to, "category:science", daily(hour)).await;
    }
    subscribed(&room, "other@example.net", "category:economy", daily(7)).await;
    let mailer = room.mailer(room.outbox());
    let digested = async || {
        room.digested().await;
        sent(&mailer).await;
    };
    until_seven(&room);
    room.clock.advance(Duration::hours(1));
    digested().await;
    let article = room.publish("Ten hurt", &["science"]).await;
    room.publish("Rates", &["economy"]).await;
    until_seven(&room);
    digested().await;
    let before = room.mails();
    let article = edited(&room, &article, |content| content.title = "Two hurt".into()).await;
    room.clock.advance(Duration::hours(1));
    digested().await;
    let eight = new_mails(&room, &before);
    assert_eq!(told(&eight), [("eight@example.net", "The News: Two hurt")]);
    let before = room.mails();
    assert_eq!(corrections(&room).ask(&article.id, &Asked::default()).await.unwrap().recipients, 1);
    made_out(&room).await;
    sent(&mailer).await;
    let mails = new_mails(&room, &before);
    assert_eq!(told(&mails), [("seven@example.net", "Correction: Two hurt")]);
    let digest =
        before.iter().find(|mail| header(mail, "To") == "seven@example.net" && header(mail, "Subject").contains("Ten"));
    assert_eq!(header(&mails[0].2, "In-Reply-To"), header(digest.unwrap(), "Message-ID"));
}

#[test]
fn a_digest_that_was_written_before_an_edit_and_put_on_the_wire_behind_it_is_written_anew() {
    with_one_thread(async {
        let room = Room::open();
        subscribed(&room, "reader@example.net", "category:science", daily(7)).await;
        let article = room.publish("Ten hurt", &["science"]).await;
        until_seven(&room);
        room.digested().await;
        let before = room.mails();
        let mailer = room.mailer(Mail { dkim: vec![key("r1", Algorithm::Rsa)], ..room.outbox() });
        let edit = edited(&room, &article, |content| content.title = "Two hurt".into());
        let article = while_signed(&mailer, edit).await;
        sent(&mailer).await;
        let mails = new_mails(&room, &before);
        assert_eq!(told(&mails), [("reader@example.net", "The News: Two hurt")]);
        assert_eq!(corrections(&room).count(&article.id, &Asked::default()).await.unwrap().recipients, 0);
    });
}

#[tokio::test]
async fn what_a_digest_only_counted_it_did_not_tell() {
    let room = Room::open();
    let standard = tidings::config::Subscriptions { digest_items_max: 1, ..room.standard.clone() };
    let room = Room { standard, ..room };
    subscribed(&room, "reader@example.net", "", daily(7)).await;
    let counted = room.publish("Counted", &["science"]).await;
    let told = room.publish("Told", &["science"]).await;
    until_seven(&room);
    room.digested().await;
    sent(&room.mailer(room.outbox())).await;
    for (article, recipients) in [(counted, 0), (told, 1)] {
        let article = edited(&room, &article, |content| content.title.push('!')).await;
        let answer = corrections(&room).count(&article.id, &Asked::default()).await.unwrap();
        assert_eq!(answer.recipients, recipients, "{}", article.content.title);
    }
}

#[tokio::test]
async fn a_mail_whose_fate_is_not_known_is_corrected_once_it_is() {
    for is_dropped in [false, true] {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        peer.will(At::Body, Act::Cut);
        mailer.step().await.unwrap();
        assert!(matches!(room.delivery(&article, &reader), Delivery::OnWire { .. }));
        let article = edited(&room, &article, |content| content.title = "True".into()).await;
        assert_eq!(corrections(&room).ask(&article.id, &Asked::default()).await.unwrap().recipients, 1);
        made_out(&room).await;
        let key =
            LedgerKey::of(&Message::Correction { article: article.id.clone(), revision: 2, digest: None }, reader.id);
        // A server may be about to answer; later it is looked for ever less often.
        for (past, wait) in [(60, 60), (60, 120), (3_600, 600)] {
            room.clock.advance(Duration::seconds(past));
            sent(&mailer).await;
            let state = room.store.message(&key).unwrap().unwrap().record.state;
            let Delivery::Pending { due_at, .. } = state else { panic!("{state:?}") };
            assert_eq!(due_at - room.clock.now(), Duration::seconds(wait), "after {past} s more");
        }
        assert!(peer.accepted().is_empty(), "it waits");
        if is_dropped { mailer.drop_doubtful().await } else { mailer.resend_doubtful().await }.unwrap();
        for _ in 0..3 {
            room.clock.advance(Duration::minutes(10));
            sent(&mailer).await;
        }
        let state = room.store.message(&key).unwrap().unwrap().record.state;
        assert!(matches!(state, Delivery::Recalled { .. }), "{state:?}");
        let log = peer.log.lock().unwrap();
        let told = log.mails.iter().filter(|mail| mail.accepted).map(|mail| header(&mail.bytes, "Subject"));
        let expected: &[&str] = if is_dropped { &[] } else { &["True"] };
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_copy_leaves_the_correction_to_its_original() {
    let room = Room::open();
    let (article, ..) = two_told_differently(&room).await;
    corrections(&room).ask(&article.id, &Asked::default()).await.unwrap();
    let copy = room.copied();
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    quarantine.look().await.unwrap();
    assert_eq!(made_out(&copy).await, 0, "nothing follows while nobody knows what the original does");
    quarantine.release(Owed::Drop).await.unwrap();
    made_out(&copy).await;
    assert_eq!(copy.store.count_due(tidings::store::Due::Message, 9).unwrap(), 0);
    assert!(copy.store.correction(&article.id, 2).unwrap().unwrap().record.ended_at.is_some());
    made_out(&room).await;
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 1);
}
