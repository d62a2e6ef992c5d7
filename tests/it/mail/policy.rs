//! A server that has something against all of our mail, for as long as it lasts: readers do not pay for that.

use super::shaped::readers_at;
use super::*;
use tidings::config::{OTHERS, Shape};

const READERS: usize = 60;
const OFFERS: [&[&str]; 3] = [&[], &["PIPELINING"], &["PIPELINING", "CHUNKING"]];

async fn all_steps(mailer: &Arc<Mailer>) {
    while mailer.step().await.unwrap() == Step::Worked {}
}

/// Of the readers' mails: sent, failed, waiting. What is not sent has the server's own words.
fn counts(room: &Room, article: &Article, readers: &[Subscription], words: &str) -> (usize, usize, usize) {
    let (mut sent, mut failed, mut waiting) = (0, 0, 0);
    for reader in readers {
        match room.delivery(article, reader) {
            Delivery::Sent { .. } => sent += 1,
            Delivery::Failed { reply, .. } => {
                failed += 1;
                assert_eq!(reply, words);
            }
            Delivery::Pending { reply, .. } => {
                waiting += 1;
                assert_eq!(reply.as_deref(), Some(words));
            }
            other @ (Delivery::OnWire { .. } | Delivery::Recalled { .. }) => panic!("{other:?}"),
        }
    }
    (sent, failed, waiting)
}

/// Nobody's subscription has ended, and nobody's mailbox has a miss.
fn nobody_pays(room: &Room, readers: &[Subscription]) {
    for reader in readers {
        let subscriber = room.store.subscriber_of(&reader.address).unwrap().unwrap().record;
        assert_eq!(subscriber.misses, None, "{}", reader.address.as_str());
        assert_eq!(&room.subscription(reader.address.as_str()), reader);
    }
}

#[tokio::test]
async fn a_policy_against_every_whole_message_costs_twenty_mails_and_no_reader() {
    const WORDS: &str = "550 5.7.1 policy";
    for lines in OFFERS {
        let mut room = Room::open();
        let readers = readers_at(&room, "strict.example", READERS as u128).await;
        let article = room.news().await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        peer.always(Some((At::Body, WORDS)));
        for hours in 0..3 {
            let mailer = room.mailer(settings(Some(smtp(&peer))));
            all_steps(&mailer).await;
            let counts = counts(&room, &article, &readers, WORDS);
            assert_eq!(counts, (0, 20, 40), "{lines:?} after {hours} h: twenty are believed, also over restarts");
            drop(mailer);
            room = room.restart().await;
            room.clock.advance(Duration::hours(1));
        }
        nobody_pays(&room, &readers);
        peer.always(None);
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        all_steps(&mailer).await;
        assert_eq!(counts(&room, &article, &readers, WORDS), (40, 20, 0), "{lines:?}");
        assert_eq!(peer.accepted().len(), 40, "{lines:?}");
        nobody_pays(&room, &readers);
        // Who got nothing of that gets the next.
        let next = room.publish("More news", &["science"]).await;
        room.notified().await;
        all_steps(&mailer).await;
        assert_eq!(counts(&room, &next, &readers, WORDS), (READERS, 0, 0), "{lines:?}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_sender_of_ours_for_days_ends_no_mail_and_costs_no_reader() {
    let words = ["530 5.7.0 authentication required", "550 sender rejected", "553 5.1.8 unknown sender domain"];
    for (words, lines) in words.into_iter().zip(OFFERS) {
        let (room, readers, article) = Room::owing(READERS as u128).await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        peer.always(Some((At::Mail, words)));
        // As `mail.attempts_max` is where nobody says otherwise.
        let mailer = room.mailer(Mail { attempts_max: 30, ..settings(Some(smtp(&peer))) });
        for _ in 0..12 {
            all_steps(&mailer).await;
            assert_eq!(counts(&room, &article, &readers, words), (0, 0, READERS), "{lines:?} {words}");
            room.until_due();
        }
        nobody_pays(&room, &readers);
        peer.always(None);
        all_steps(&mailer).await;
        assert_eq!(counts(&room, &article, &readers, words), (READERS, 0, 0), "{lines:?} {words}");
        assert_eq!(peer.accepted().len(), READERS, "{lines:?} {words}");
    }
}

#[tokio::test]
async fn a_server_that_carries_utf8_and_refuses_one_such_mailbox_fails_that_recipient_alone() {
    const WORDS: &str = "553 5.6.7 <пётр> is not permitted here";
    let room = Room::open();
    let readers = readers_at(&room, "ascii.example", 3).await;
    let to = address("пётр@пример.рф");
    let asked = Subscription::asked(SubscriptionId(Uuid::from_u128(1)), to, Selection::all(), room.clock.now());
    let state = SubscriptionState::Confirmed { at: room.clock.now() };
    let reader = Subscription { state, erase_at: None, ..asked };
    let mut batch = Batch::default();
    room.store.write_first_subscription(&mut batch, &reader);
    room.store.commit(batch).await.unwrap();
    let article = room.news().await;
    let lines: &[&str] = &["PIPELINING", "SMTPUTF8", "8BITMIME"];
    let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
    peer.refuse("xn--e1afmkfd.xn--p1ai", Some(WORDS));
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    all_steps(&mailer).await;
    assert_eq!(counts(&room, &article, std::slice::from_ref(&reader), WORDS), (0, 1, 0));
    assert_eq!(counts(&room, &article, &readers, WORDS), (3, 0, 0), "the others have theirs");
    nobody_pays(&room, &[&readers[..], std::slice::from_ref(&reader)].concat());
    room.until_due();
    all_steps(&mailer).await;
    let log = peer.log.lock().unwrap();
    assert_eq!((log.refused, log.mails.len()), (1, 3), "it is not tried again");
}

#[tokio::test]
async fn a_provider_that_refuses_on_gets_peace_twice_as_long_each_time_up_to_four_hours() {
    const MINUTES: [i64; 9] = [5, 10, 20, 40, 80, 160, 240, 240, 240];
    let mut room = Room::open();
    readers_at(&room, "tired.example", 30).await;
    room.news().await;
    let peer = Peer::start(Security::Plain).await;
    let shape = |name: &str, domains: &[&str], refusals_max| Shape {
        name: name.into(),
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        connections: usize::MAX,
        messages_per_connection: usize::MAX,
        messages_per_minute: 0,
        refusals_max,
    };
    let shapes = vec![shape("tired", &["tired.example"], 1), shape(OTHERS, &[], 10)];
    let settings = Mail { shapes, attempts_max: 30, ..settings(Some(smtp(&peer))) };
    peer.refuse("tired.example", Some("451 4.7.1 try again later"));
    let tries = || peer.log.lock().unwrap().refused;
    let mut mailer = room.mailer(settings.clone());
    all_steps(&mailer).await;
    for (times, minutes) in MINUTES.into_iter().enumerate() {
        assert_eq!(tries(), times + 1, "one message tries it");
        if times % 3 == 1 {
            drop(mailer);
            room = room.restart().await;
            mailer = room.mailer(settings.clone());
        }
        room.clock.advance(Duration::minutes(minutes) - Duration::seconds(1));
        all_steps(&mailer).await;
        assert_eq!(tries(), times + 1, "it has peace for {minutes} minutes, and not a second less");
        room.clock.advance(Duration::seconds(1));
        all_steps(&mailer).await;
    }
    assert_eq!(tries(), MINUTES.len() + 1);
    peer.refuse("tired.example", None);
    for _ in 0..20 {
        room.clock.advance(Duration::hours(4));
        all_steps(&mailer).await;
    }
    assert_eq!(peer.accepted().len(), 30, "nobody was lost, and nobody given up");
    // A mail that was taken ends it all: the next peace is as short as the first.
    room.publish("More news", &["science"]).await;
    room.notified().await;
    peer.refuse("tired.example", Some("451 4.7.1 try again later"));
    let before = tries();
    all_steps(&mailer).await;
    room.clock.advance(Duration::minutes(5) - Duration::seconds(1));
    all_steps(&mailer).await;
    assert_eq!(tries(), before + 1);
    room.clock.advance(Duration::seconds(1));
    all_steps(&mailer).await;
    assert_eq!(tries(), before + 2);
}
