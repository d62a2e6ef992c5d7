//! Who got which mail is kept for so long, and then goes; what is not over stays, and so does what proves consent.

use super::corrections::{corrections, edited, made_out, sent};
use super::digests::{daily, subscribed, until_seven};
use super::*;
use tidings::services::ageing::{Ageing, Ages};
use tidings::services::corrections::Asked;
use tidings::store::Table;
use tidings::store::kv::Range;

/// The keys of the ledger, each by its first letter.
fn letters(room: &Room) -> String {
    let mut range = Range::prefix(*b"");
    let mut letters = String::new();
    loop {
        let rows = room.store.kv().range(Table::Ledger, range.clone()).unwrap();
        let Some((last, _)) = rows.last().cloned() else { return letters };
        letters.extend(rows.iter().map(|(key, _)| char::from(key[0])));
        range = range.after(last);
    }
}

fn count(room: &Room, letter: char) -> usize {
    letters(room).matches(letter).count()
}

#[tokio::test]
async fn notices_digests_and_corrections_go_once_they_are_old_and_all_else_stays() {
    let room = Room::open();
    let ages = Ages { numbers: Duration::days(400), messages: Duration::days(180) };
    let ageing = Ageing::new(Arc::clone(&room.store), room.clock.clone(), ages);
    let aged = async || while ageing.step().await.unwrap() == Step::Worked {};
    let mailer = room.mailer(room.outbox());
    // More than two pieces, and confirmations among them.
    let readers = room.subscribed(450, &only(&["science"])).await;
    let of_digests = subscribed(&room, "digests@example.net", "category:science", daily(7)).await;
    let first = room.news().await;
    sent(&mailer).await;
    let right = edited(&room, &first, |content| content.title = "Right".into()).await;
    assert_eq!(corrections(&room).ask(&first.id, &Asked::default()).await.unwrap().recipients, 450);
    made_out(&room).await;
    sent(&mailer).await;
    until_seven(&room);
    room.digested().await;
    sent(&mailer).await;
    // One of them nobody has decided on.
    let key = LedgerKey::of(&Message::Notice { article: first.id.clone() }, readers[7].id);
    let row = room.store.message(&key).unwrap().unwrap();
    let state = Delivery::OnWire { since: row.record.created_at, attempts: 0 };
    let mut batch = Batch::default();
    let oldest = row.record.created_at;
    room.store.change_message(&mut batch, row, |row| row.state = state);
    room.store.commit(batch).await.unwrap();
    room.clock.advance(Duration::days(100));
    let second = room.news().await;
    sent(&mailer).await;
    assert_eq!((count(&room, 'a'), count(&room, 'r'), count(&room, 'd'), count(&room, 'c')), (900, 450, 1, 1));
    room.clock.advance(oldest + Duration::days(180) - room.clock.now());
    aged().await;
    assert_eq!((count(&room, 'a'), count(&room, 'r')), (900, 450), "they are not older than that yet");
    room.clock.advance(Duration::days(3));
    aged().await;
    assert_eq!((count(&room, 'a'), count(&room, 'r'), count(&room, 'd'), count(&room, 'c')), (451, 0, 0, 1));
    assert!(matches!(room.delivery(&first, &readers[7]), Delivery::OnWire { .. }), "it is not over");
    assert!(matches!(room.delivery(&second, &readers[7]), Delivery::Sent { .. }));
    assert!(tidings::store::check(&room.store).is_clean());
    // Nobody comes to be owed anything once more, whatever becomes of the article.
    let mails = room.mails().len();
    room.retract(&right).await;
    let back = Article { revision: 4, ..right.clone() };
    room.write(Some(&right), &back, ChangeKind::Restored).await;
    room.notified().await;
    sent(&mailer).await;
    assert_eq!(room.mails().len(), mails);
    assert_eq!(corrections(&room).ask(&back.id, &Asked::default()).await.unwrap().recipients, 1, "who may have got it");
    // The link of a mail that nobody knows of any more lets its reader leave.
    let tag = LedgerKey::of(&Message::Notice { article: first.id.clone() }, readers[3].id)
        .tag(&Message::Notice { article: first.id.clone() });
    let leave = Token::leave_by(readers[3].id, tag).seal(&room.store.identity().secret);
    room.subscriptions.leave(&leave).await.unwrap();
    assert!(room.store.subscription(readers[3].id).unwrap().unwrap().record.active_since().is_none());
    let left = room.store.subscription(of_digests.id).unwrap().unwrap().record;
    assert!(left.active_since().is_some());
}
