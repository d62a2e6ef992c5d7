//! Alarms over restarts, and over a reader that stands still.

use super::returns::home;
use super::watchdog::{Logged, canary, late, watchdog};
use super::*;
use tidings::config::MailClass;
use tidings::services::quarantine::{Owed, Quarantine};

#[tokio::test]
async fn a_restart_neither_tells_an_alarm_again_nor_forgets_its_end() {
    let (logged, _guard) = Logged::begin();
    let (room, peer, ..) = on_its_way().await;
    peer.will(At::Rcpt, Act::Say("450 4.2.0 later"));
    room.mailer(settings(Some(smtp(&peer)))).step().await.unwrap();
    room.clock.advance(Duration::minutes(61));
    let before = watchdog(&room, Some(canary()));
    assert_eq!(late(&before).await, [(MailClass::Notice, 1)]);
    room.clock.advance(Duration::minutes(20));
    late(&before).await;
    let seen = before.seen().unwrap();
    assert!(seen.canary.unwrap().missing_since.is_some());
    drop(before);
    let room = room.restart().await;
    room.clock.advance(Duration::minutes(1));
    let after = watchdog(&room, Some(canary()));
    let known = after.seen().unwrap();
    assert!(!known.ok && known.looked_at.is_none(), "it is known before the first look: {known:?}");
    assert_eq!(known.late[&MailClass::Notice].since, seen.late[&MailClass::Notice].since);
    assert_eq!(late(&after).await, [(MailClass::Notice, 1)]);
    assert_eq!(after.seen().unwrap().late[&MailClass::Notice].since, seen.late[&MailClass::Notice].since);
    assert_eq!((logged.count("ERROR", "mail is late"), logged.count("ERROR", "canary")), (1, 1));
    drop(after);

    // It goes out while nobody watches: the end is told all the same.
    let mailer = room.mailer(Mail { return_address: Some(home()), canary: Some(canary()), ..room.outbox() });
    while mailer.step().await.unwrap() == Step::Worked {}
    drop(mailer);
    let room = room.restart().await;
    let watchdog = watchdog(&room, Some(canary()));
    for _ in 0..2 {
        assert_eq!(late(&watchdog).await, []);
    }
    assert_eq!(logged.count("INFO", "in time again"), 1);
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn what_stands_is_written_when_it_changes_and_not_at_every_look() {
    let (room, ..) = on_its_way().await;
    let watchdog = watchdog(&room, None);
    late(&watchdog).await;
    assert!(room.store.alarms().unwrap().is_none(), "there is nothing to keep");
    room.clock.advance(Duration::minutes(61));
    late(&watchdog).await;
    let kept = room.store.alarms().unwrap().unwrap();
    for _ in 0..3 {
        room.clock.advance(Duration::minutes(1));
        late(&watchdog).await;
        assert_eq!(room.store.alarms().unwrap().unwrap().record, kept.record);
    }
}

#[tokio::test]
async fn a_deadline_that_a_quarantine_has_held_is_not_forgotten_by_a_restart() {
    let (original, ..) = on_its_way().await;
    let copy = original.copied();
    original.clock.advance(Duration::days(2));
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    quarantine.look().await.unwrap();
    assert_eq!(late(&watchdog(&copy, None)).await, []);
    quarantine.release(Owed::Send).await.unwrap();
    drop(quarantine);
    let copy = copy.restart().await;
    assert_eq!(late(&watchdog(&copy, None)).await, [], "it has been free for a moment");
    let copy = copy.restart().await;
    copy.clock.advance(Duration::minutes(60));
    assert_eq!(late(&watchdog(&copy, None)).await, []);
    copy.clock.advance(Duration::minutes(1));
    assert_eq!(late(&watchdog(&copy, None)).await, [(MailClass::Notice, 1)]);
}

#[tokio::test]
async fn articles_of_which_no_mail_is_even_made_are_late_as_well() {
    let room = Room::open();
    room.subscribed(1, &Selection::all()).await;
    let watchdog = watchdog(&room, None);
    let known = room.publish("Known", &["science"]).await;
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    room.clock.advance(Duration::minutes(61));
    room.retract(&known).await;
    room.clock.advance(Duration::minutes(61));
    assert_eq!(late(&watchdog).await, [], "nothing follows from a retraction");
    room.publish("Unread", &["science"]).await;
    room.clock.advance(Duration::minutes(60));
    assert_eq!(late(&watchdog).await, []);
    room.clock.advance(Duration::minutes(1));
    assert_eq!(late(&watchdog).await, [(MailClass::Notice, 1)], "the reader that owes notices stands still");
    room.notified().await;
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(late(&watchdog).await, []);
}

#[tokio::test]
async fn what_was_late_in_the_original_is_not_told_of_a_copy_in_quarantine() {
    let (room, ..) = Room::owing(1).await;
    room.clock.advance(Duration::minutes(61));
    let original = watchdog(&room, Some(canary()));
    assert_eq!(late(&original).await, [(MailClass::Notice, 1)]);
    room.clock.advance(Duration::minutes(20));
    late(&original).await;
    assert!(original.seen().unwrap().canary.unwrap().missing_since.is_some(), "nobody has sent it");
    let copy = room.copied();
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    quarantine.look().await.unwrap();
    let watchdog = watchdog(&copy, Some(canary()));
    for looks in 0..2 {
        let seen = watchdog.seen().unwrap();
        assert!(seen.ok && seen.quarantined && seen.late.is_empty(), "after {looks} looks: {seen:?}");
        assert_eq!(seen.canary.unwrap().missing_since, None, "after {looks} looks");
        late(&watchdog).await;
    }
    quarantine.release(Owed::Send).await.unwrap();
    let seen = watchdog.seen().unwrap();
    assert!(seen.ok && !seen.quarantined, "it is free before the next look: {seen:?}");
}
