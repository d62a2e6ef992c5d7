//! A store that was restored mails nobody a second time: nothing leaves it until a person has said so.

use super::*;
use tidings::services::quarantine::{Held, Owed, Quarantine};

/// A room in which one notice is owed; a restored copy of it, in which another came to be owed since; and the copy's
/// quarantine.
async fn restored() -> (Room, Room, Quarantine) {
    let original = Room::open();
    original.subscribed(1, &Selection::all()).await;
    original.clock.advance(Duration::minutes(1));
    original.publish("Before", &["science"]).await;
    original.notified().await;
    let copy = original.copied();
    copy.clock.advance(Duration::minutes(1));
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    let taken = Quarantine::new(Arc::clone(&original.store), original.clock.clone(), Arc::clone(&original.hint));
    taken.look().await.unwrap();
    assert_eq!(taken.held().await.unwrap(), None);
    (original, copy, quarantine)
}

async fn sent(room: &Room) -> Vec<String> {
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    let subject = |mail: &Vec<u8>| MessageParser::new().parse(mail).unwrap().subject().unwrap().to_owned();
    let mut subjects: Vec<String> = mails.iter().map(subject).collect();
    subjects.sort();
    subjects
}

#[tokio::test]
async fn a_restored_store_sends_nothing_until_it_is_released() {
    for (owed, closed, expected) in [(Owed::Drop, 1, &["After"][..]), (Owed::Send, 0, &["After", "Before"])] {
        let (original, copy, quarantine) = restored().await;
        quarantine.look().await.unwrap();
        let since = copy.clock.now();
        copy.clock.advance(Duration::minutes(1));
        copy.publish("After", &["science"]).await;
        copy.notified().await;
        assert_eq!(sent(&copy).await, [""; 0]);
        assert_eq!(quarantine.held().await.unwrap(), Some(Held { since, waiting: 2, doubtful: 0 }));
        assert_eq!(quarantine.release(owed).await.unwrap(), Some(closed));
        assert_eq!(sent(&copy).await, expected, "{owed:?}");
        assert_eq!(quarantine.release(owed).await.unwrap(), None, "it is free");
        assert_eq!(sent(&original).await, ["Before"], "the original never noticed");
    }
}

#[tokio::test]
async fn what_the_original_owed_is_known_by_the_log_and_not_by_the_clocks_of_two_machines() {
    for (owed, closed, expected) in [(Owed::Drop, 1, &["After"][..]), (Owed::Send, 0, &["After", "Before"])] {
        let (_original, copy, quarantine) = restored().await;
        // The copy's machine is an hour behind.
        copy.clock.advance(Duration::hours(-1));
        quarantine.look().await.unwrap();
        copy.clock.advance(Duration::minutes(1));
        copy.publish("After", &["science"]).await;
        copy.notified().await;
        assert_eq!(quarantine.release(owed).await.unwrap(), Some(closed));
        copy.clock.advance(Duration::hours(1));
        assert_eq!(sent(&copy).await, expected, "{owed:?}");
    }
}

#[tokio::test]
async fn an_original_that_had_told_nothing_owes_nothing() {
    let original = Room::open();
    original.subscribed(1, &Selection::all()).await;
    let copy = original.copied();
    copy.clock.advance(Duration::minutes(1));
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    quarantine.look().await.unwrap();
    copy.publish("After", &["science"]).await;
    copy.notified().await;
    assert_eq!(quarantine.release(Owed::Drop).await.unwrap(), Some(0));
    assert_eq!(sent(&copy).await, ["After"]);
}

#[tokio::test]
async fn what_the_original_was_just_telling_of_is_its_own_too() {
    for (owed, expected) in [(Owed::Drop, &["After"][..]), (Owed::Send, &["After", "Before"])] {
        let original = Room::open();
        original.subscribed(1, &Selection::all()).await;
        original.clock.advance(Duration::minutes(1));
        original.publish("Before", &["science"]).await;
        let copy = original.copied();
        copy.clock.advance(Duration::minutes(1));
        let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
        quarantine.look().await.unwrap();
        // Nobody has made its rows yet.
        quarantine.release(owed).await.unwrap();
        copy.clock.advance(Duration::minutes(1));
        copy.publish("After", &["science"]).await;
        copy.notified().await;
        assert_eq!(sent(&copy).await, expected, "{owed:?}");
    }
}

#[tokio::test]
async fn of_two_who_release_at_once_one_is_told_that_it_is_done_and_the_other_that_there_is_nothing_to_do() {
    for (one, other) in [(Owed::Send, Owed::Send), (Owed::Send, Owed::Drop), (Owed::Drop, Owed::Drop)] {
        let (_original, copy, quarantine) = restored().await;
        quarantine.look().await.unwrap();
        let (first, second) = tokio::join!(quarantine.release(one), quarantine.release(other));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.is_some() != second.is_some(), "{one:?}: {first:?}, {other:?}: {second:?}");
        let valid = if first.is_some() { one } else { other };
        assert_eq!(copy.store.dropped().unwrap().is_some(), valid == Owed::Drop, "{one:?}, {other:?}: {valid:?}");
        assert_eq!(quarantine.held().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_copy_tells_what_it_came_to_owe_from_what_its_original_did_whose_clock_was_ahead() {
    let look = async |room: &Room| {
        let quarantine = Quarantine::new(Arc::clone(&room.store), room.clock.clone(), Arc::clone(&room.hint));
        quarantine.look().await.unwrap();
        quarantine
    };
    let ask = async |room: &Room, to: &str| {
        room.subscriptions.ask(Asking::new(address(to), Selection::all())).await.unwrap();
    };
    for (owed, expected) in
        [(Owed::Drop, &["c@example.net"][..]), (Owed::Send, &["a@example.net", "b@example.net", "c@example.net"])]
    {
        let original = Room::open();
        ask(&original, "a@example.net").await;
        original.clock.advance(Duration::hours(-3));
        let first = original.copied();
        look(&first).await;
        ask(&first, "b@example.net").await;
        // A copy of the copy leaves to it what it came to owe in its own quarantine.
        let second = first.copied();
        look(&second).await;
        ask(&second, "c@example.net").await;
        let second = second.restart().await;
        look(&second).await.release(owed).await.unwrap();
        second.clock.advance(Duration::hours(3));
        let mailer = second.mailer(second.outbox());
        while mailer.step().await.unwrap() == Step::Worked {}
        let to = |mail: &Vec<u8>| {
            MessageParser::new().parse(mail).unwrap().to().unwrap().first().unwrap().address().unwrap().to_owned()
        };
        let mut mailed: Vec<String> = second.mails().iter().map(to).collect();
        mailed.sort();
        assert_eq!(mailed, expected, "{owed:?}");
        assert!(tidings::store::check(&second.store).is_clean());
    }
}
