//! Many reports at once that mailboxes are not there: how many of them are believed.

use super::returns::{report, returns, sender, states};
use super::shaped::{ended_and_waiting, readers_at};
use super::watchdog::Logged;
use super::*;
use tidings::store::{Became, Counted, Tally};

/// A mail to each of them comes back, as if there were no such mailbox.
async fn all_come_back(room: &Room, readers: &[Subscription]) {
    let returns = returns(room);
    for reader in readers {
        returns.take(&sender(room, reader), report("5.1.1").as_bytes()).await.unwrap();
    }
}

/// How many subscriptions have been ended.
fn ended(room: &Room) -> usize {
    ended_and_waiting(room).0
}

#[tokio::test]
async fn a_relay_that_sends_everything_back_costs_no_newsroom_its_readers() {
    let (logged, _guard) = Logged::begin();
    let mut room = Room::open();
    let readers = readers_at(&room, "broken.example", 60).await;
    let told = || logged.count("ERROR", "too many mails came back");
    all_come_back(&room, &readers[..20]).await;
    assert_eq!((ended(&room), told()), (20, 0), "twenty are believed");
    // Of those nothing new is told.
    all_come_back(&room, &readers[..20]).await;
    assert_eq!((ended(&room), told()), (20, 0));
    all_come_back(&room, &readers[20..40]).await;
    room = room.restart().await;
    all_come_back(&room, &readers[20..]).await;
    assert_eq!((ended(&room), told()), (20, 1), "and not twenty more after a restart");
    // The relay is mended: one that is dead among many is believed as ever.
    room.clock.advance(Duration::days(1));
    all_come_back(&room, &readers[20..21]).await;
    assert_eq!((ended(&room), told()), (21, 1));
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn what_comes_back_for_days_is_believed_in_the_end() {
    let room = Room::open();
    let readers = readers_at(&room, "dead.example", 130).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        for _ in 0..3 {
            all_come_back(&room, &readers).await;
        }
        seen.push(ended(&room));
        room.clock.advance(Duration::days(1));
    }
    assert_eq!(seen, [20, 40, 60, 130], "twenty a day, and on the fourth who took nothing on all of them");
}

#[tokio::test]
async fn one_at_each_of_many_domains_is_as_much_too_many() {
    let room = Room::open();
    for number in 0..50 {
        let readers = readers_at(&room, &format!("d{number}.example"), 1).await;
        all_come_back(&room, &readers).await;
    }
    assert_eq!(ended(&room), 20);
}

#[tokio::test]
async fn who_mails_a_hundred_thousand_loses_a_thousandth_at_a_time_and_a_domain_no_more_than_its_own() {
    let room = Room::open();
    let large = readers_at(&room, "large.example", 110).await;
    let small = readers_at(&room, "small.example", 40).await;
    let (mut tally, mut batch) = (Tally::default(), Batch::default());
    for reader in std::iter::repeat_n(&large[0], 100_000).chain(std::iter::repeat_n(&small[0], 10_000)) {
        tally.add(&Counted::some(reader), Became::Accepted, room.clock.now());
    }
    room.store.write_tally(&mut batch, &tally).unwrap();
    room.store.commit(batch).await.unwrap();
    all_come_back(&room, &small).await;
    assert_eq!(ended(&room), 20, "ten would be a thousandth of what the domain got");
    all_come_back(&room, &large).await;
    assert_eq!(ended(&room), 20 + 70, "110 over all, of which 40 were at the other domain");
}

#[tokio::test]
async fn who_has_confirmed_nothing_is_no_reader_to_lose_and_is_not_counted() {
    let mut room = Room::open();
    room.standard.confirmations_per_domain_per_hour_max = 1_000;
    let asked = |number: usize| address(&format!("typed{number}@wrong.example"));
    let mut pending = Vec::new();
    for number in 0..30 {
        // A clock that goes on keeps the budgets out of it.
        room.clock.advance(Duration::hours(1));
        room.subscriptions.ask(Asking::new(asked(number), only(&["science"]))).await.unwrap();
        pending.push(room.subscription(asked(number).as_str()));
    }
    all_come_back(&room, &pending).await;
    assert_eq!(states(&room, &pending), ["refused"; 30]);
    let reader = room.subscribed(1, &Selection::all()).await;
    all_come_back(&room, &reader).await;
    assert_eq!(states(&room, &reader), ["refused"]);
}

#[tokio::test]
async fn reports_that_come_at_the_same_moment_are_counted_each() {
    let room = Room::open();
    let readers = readers_at(&room, "broken.example", 40).await;
    let returns = returns(&room);
    let mut taking = tokio::task::JoinSet::new();
    for reader in &readers {
        let (returns, to) = (Arc::clone(&returns), sender(&room, reader));
        taking.spawn(async move { returns.take(&to, report("5.1.1").as_bytes()).await });
    }
    while let Some(taken) = taking.join_next().await {
        taken.unwrap().expect("none has to come again");
    }
    assert_eq!(ended(&room), 20);
    assert_eq!(room.store.reports().unwrap().unwrap().record.count, 40);
}
