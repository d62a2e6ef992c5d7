//! How fast mail goes to which provider, with the clock in the test's hand.

use super::corrections::edited;
use super::signed::{key, while_signed, with_one_thread};
use super::*;
use tidings::config::{OTHERS, Shape, WarmUp};
use tidings::wire::mail::dkim::Algorithm;

fn shape(name: &str, domains: &[&str]) -> Shape {
    Shape {
        name: name.into(),
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        connections: usize::MAX,
        messages_per_connection: usize::MAX,
        messages_per_minute: 0,
        refusals_max: 10,
    }
}

/// Confirmed subscriptions at `domain`.
pub(super) async fn readers_at(room: &Room, domain: &str, count: u128) -> Vec<Subscription> {
    let id = |number: u128| Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{number}{domain}").as_bytes());
    let reader = |number| (id(number), address(&format!("reader{number}@{domain}")));
    room.confirmed_each((0..count).map(reader), &Selection::all()).await
}

/// So many confirmed readers of everything at these domains, and an article that a mail is owed of to each.
async fn owing_at(domains: &[(&str, u128)]) -> Room {
    let room = Room::open();
    for (domain, count) in domains {
        readers_at(&room, domain, *count).await;
    }
    room.news().await;
    room
}

async fn all_steps(mailer: &Arc<Mailer>) {
    while mailer.step().await.unwrap() == Step::Worked {}
}

fn accepted_at(peer: &Peer, domain: &str) -> usize {
    peer.accepted().iter().filter(|to| to.ends_with(&format!("@{domain}"))).count()
}

#[tokio::test]
async fn a_provider_gets_so_many_mails_a_minute_and_others_do_not_wait_for_it() {
    let mut room = owing_at(&[("slow.example", 20), ("quick.example", 20)]).await;
    let peer = pipelining().await;
    let slow = Shape { messages_per_minute: 60, ..shape("slow", &["slow.example"]) };
    let settings = Mail { shapes: vec![slow, shape(OTHERS, &[])], ..settings(Some(smtp(&peer))) };
    let mut seen = Vec::new();
    for _ in 0..6 {
        {
            let mailer = room.mailer(settings.clone());
            all_steps(&mailer).await;
        }
        seen.push(accepted_at(&peer, "slow.example"));
        assert_eq!(accepted_at(&peer, "quick.example"), 20);
        // Who has a turn keeps it over a restart, and the others do not come before.
        room = room.restart().await;
        room.clock.advance(Duration::seconds(5));
    }
    assert_eq!(seen.last(), Some(&20), "{seen:?}");
    for (at, pair) in seen.windows(2).enumerate() {
        assert!(pair[1] - pair[0] <= 6 && seen[at] >= (5 * at).min(20), "one a second: {seen:?}");
    }
}

#[tokio::test]
async fn a_provider_that_refuses_for_now_gets_peace_and_costs_no_mail_its_tries() {
    let mut room = owing_at(&[("tired.example", 12), ("quick.example", 3)]).await;
    let peer = Peer::start(Security::Plain).await;
    let tired = Shape { refusals_max: 2, ..shape("tired", &["tired.example"]) };
    let settings = Mail { shapes: vec![tired, shape(OTHERS, &[])], ..settings(Some(smtp(&peer))) };
    peer.refuse("tired.example", Some("451 4.7.1 greylisted, try again later"));
    let tries = || peer.log.lock().unwrap().refused;
    let mailer = room.mailer(settings.clone());
    all_steps(&mailer).await;
    assert_eq!((tries(), accepted_at(&peer, "quick.example")), (2, 3));
    room.clock.advance(Duration::minutes(3));
    all_steps(&mailer).await;
    assert_eq!(tries(), 2, "it has peace");
    drop(mailer);
    room = room.restart().await;
    let mailer = room.mailer(settings);
    all_steps(&mailer).await;
    assert_eq!(tries(), 2, "also after a restart");
    room.clock.advance(Duration::minutes(3));
    all_steps(&mailer).await;
    assert_eq!(tries(), 3, "one message tries it");
    peer.refuse("tired.example", None);
    for _ in 0..20 {
        room.clock.advance(Duration::minutes(4));
        all_steps(&mailer).await;
    }
    assert_eq!(accepted_at(&peer, "tired.example"), 12, "nobody was lost, and nobody given up");
}

#[tokio::test]
async fn the_last_thing_that_a_provider_said_outlives_a_restart() {
    let mut room = owing_at(&[("tired.example", 1)]).await;
    let peer = Peer::start(Security::Plain).await;
    let tired = Shape { refusals_max: 1, ..shape("tired", &["tired.example"]) };
    let settings = Mail { shapes: vec![tired, shape(OTHERS, &[])], ..settings(Some(smtp(&peer))) };
    peer.refuse("tired.example", Some("421 4.7.0 too many of yours"));
    let tries = || peer.log.lock().unwrap().refused;
    for _ in 0..2 {
        let mailer = room.mailer(settings.clone());
        all_steps(&mailer).await;
        assert_eq!(tries(), 1, "it has peace for five minutes");
        drop(mailer);
        room = room.restart().await;
        room.clock.advance(Duration::minutes(2));
    }
    room.clock.advance(Duration::minutes(2));
    all_steps(&room.mailer(settings)).await;
    assert_eq!(tries(), 2);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_days_is_given_up_by_its_age() {
    let (room, peer, article, reader) = on_its_way().await;
    peer.refuse("example.net", Some("450 4.2.0 later"));
    let mailer = room.mailer(Mail { attempts_max: 100, ..settings(Some(smtp(&peer))) });
    for hours in (0..=120).step_by(6) {
        all_steps(&mailer).await;
        let state = room.delivery(&article, &reader);
        assert!(matches!(state, Delivery::Pending { .. }), "{hours} h: {state:?}");
        room.until_due();
    }
    all_steps(&mailer).await;
    let state = room.delivery(&article, &reader);
    assert!(matches!(&state, Delivery::Failed { reply, .. } if reply.contains("450 4.2.0 later")), "{state:?}");
}

#[tokio::test]
async fn a_new_sending_domain_mails_more_each_day() {
    let mut room = owing_at(&[("one.example", 40)]).await;
    let peer = pipelining().await;
    let warm_up = Some(WarmUp { from: room.clock.now(), messages: 3, growth_percent: 100 });
    let settings = Mail { warm_up, ..settings(Some(smtp(&peer))) };
    for expected in [3, 9, 21, 40] {
        for _ in 0..24 {
            {
                let mailer = room.mailer(settings.clone());
                all_steps(&mailer).await;
            }
            room.clock.advance(Duration::hours(1));
        }
        assert_eq!(peer.accepted().len(), expected);
        room = room.restart().await;
    }
}

#[tokio::test]
async fn a_provider_is_served_by_as_many_connections_as_it_likes_and_all_get_their_mail() {
    let room = owing_at(&[("shy.example", 100), ("quick.example", 20)]).await;
    let peer = pipelining().await;
    let shy = Shape { connections: 1, messages_per_connection: 20, ..shape("shy", &["shy.example"]) };
    let way = Smtp { connections: 4, ..smtp(&peer) };
    let mailer = room.mailer(Mail { shapes: vec![shy, shape(OTHERS, &[])], ..settings(Some(way)) });
    all_steps(&mailer).await;
    assert_eq!((accepted_at(&peer, "shy.example"), accepted_at(&peer, "quick.example")), (100, 20));
    let log = peer.log.lock().unwrap();
    assert_eq!(log.at_once.get("shy.example"), Some(&1), "{:?}", log.at_once);
    assert!(log.at_once.get("quick.example").is_some_and(|count| *count > 1), "{:?}", log.at_once);
    // Whichever connections its turns went to: four cannot carry all of it.
    assert!(log.by_one.get("shy.example").is_some_and(|count| *count <= 20), "{:?}", log.by_one);
    assert!(log.connections > 4, "a connection is closed when it has carried its share");
}

#[tokio::test]
async fn a_peace_makes_nobody_free_of_the_rate() {
    let room = owing_at(&[("tired.example", 60)]).await;
    let peer = Peer::start(Security::Plain).await;
    let tired = Shape { refusals_max: 2, messages_per_minute: 60, ..shape("tired", &["tired.example"]) };
    let settings = Mail { shapes: vec![tired, shape(OTHERS, &[])], ..settings(Some(smtp(&peer))) };
    peer.refuse("tired.example", Some("451 4.7.1 greylisted, try again later"));
    let mailer = room.mailer(settings);
    all_steps(&mailer).await;
    peer.refuse("tired.example", None);
    room.clock.advance(Duration::minutes(6));
    let before = accepted_at(&peer, "tired.example");
    for second in 0..12 {
        all_steps(&mailer).await;
        let taken = accepted_at(&peer, "tired.example") - before;
        assert!(taken <= 12 + second, "{taken} after {second} seconds, at one a second");
        room.clock.advance(Duration::seconds(1));
    }
    for _ in 0..60 {
        room.clock.advance(Duration::minutes(1));
        all_steps(&mailer).await;
    }
    assert_eq!(accepted_at(&peer, "tired.example"), 60, "all get their mail");
}

#[tokio::test]
async fn who_has_his_turn_late_is_not_given_up_for_a_first_greeting() {
    let room = owing_at(&[("grey.example", 1)]).await;
    let peer = Peer::start(Security::Plain).await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    // A relay that was away, a quarantine: the first try comes when others are given up.
    room.clock.advance(Duration::days(9));
    peer.will(At::Rcpt, Act::Say("451 4.7.1 greylisted"));
    all_steps(&mailer).await;
    room.clock.advance(Duration::minutes(10));
    all_steps(&mailer).await;
    assert_eq!(accepted_at(&peer, "grey.example"), 1);
}

#[tokio::test]
async fn a_connection_carries_no_more_to_a_provider_than_that_likes() {
    let room = owing_at(&[("few.example", 50)]).await;
    let peer = pipelining().await;
    let few = Shape { messages_per_connection: 20, connections: 1, ..shape("few", &["few.example"]) };
    let settings = Mail { shapes: vec![few, shape(OTHERS, &[])], ..settings(Some(smtp(&peer))) };
    all_steps(&room.mailer(settings)).await;
    assert_eq!((accepted_at(&peer, "few.example"), peer.log.lock().unwrap().connections), (50, 3));
}

/// How many subscriptions have been ended since there is no such mailbox, and how many messages wait.
pub(super) fn ended_and_waiting(room: &Room) -> (usize, usize) {
    let all = room.store.subscriptions(None, 1_000).unwrap();
    let is_ended = |one: &SubscriptionState| matches!(one, SubscriptionState::Refused { .. });
    let ended = all.iter().filter(|stored| is_ended(&stored.record.state)).count();
    (ended, room.store.count_due(tidings::store::Due::Message, 1_000).unwrap())
}

#[tokio::test]
async fn a_server_that_knows_nobody_any_more_costs_no_newsroom_its_readers() {
    let mut room = owing_at(&[("broken.example", 60)]).await;
    let peer = pipelining().await;
    peer.refuse("broken.example", Some("550 5.1.1 no such user"));
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    all_steps(&mailer).await;
    assert_eq!(ended_and_waiting(&room), (20, 40), "twenty are believed");
    drop(mailer);
    room = room.restart().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    room.clock.advance(Duration::minutes(5));
    all_steps(&mailer).await;
    assert_eq!(ended_and_waiting(&room), (20, 40), "and not twenty more after a restart");
    peer.refuse("broken.example", None);
    room.clock.advance(Duration::hours(1));
    all_steps(&mailer).await;
    assert_eq!((ended_and_waiting(&room), accepted_at(&peer, "broken.example")), ((20, 0), 40));
    // One address that is dead among many is believed as ever.
    room.publish("More news", &["science"]).await;
    room.notified().await;
    peer.refuse("broken.example", Some("550 5.1.1 no such user"));
    let one = Mail { smtp: Some(Smtp { connections: 1, ..smtp(&peer) }), ..settings(None) };
    all_steps(&room.mailer(one)).await;
    assert_eq!(ended_and_waiting(&room), (40, 20));
}

#[tokio::test]
async fn a_server_that_lets_nobody_out_costs_no_mail() {
    let room = Room::open();
    let domains: Vec<String> = (0..50).map(|number| format!("d{number}.example")).collect();
    let peer = Peer::start(Security::Plain).await;
    for domain in &domains {
        readers_at(&room, domain, 1).await;
        peer.refuse(domain, Some("554 5.7.1 relay access denied"));
    }
    room.news().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    all_steps(&mailer).await;
    assert_eq!(ended_and_waiting(&room), (0, 30));
    domains.iter().for_each(|domain| peer.refuse(domain, None));
    room.clock.advance(Duration::hours(1));
    all_steps(&mailer).await;
    assert_eq!((ended_and_waiting(&room), peer.accepted().len()), ((0, 0), 30));
}

#[tokio::test]
async fn a_domain_that_stays_dead_is_believed_in_the_end() {
    let room = owing_at(&[("dead.example", 30)]).await;
    let peer = Peer::start(Security::Plain).await;
    peer.refuse("dead.example", Some("550 5.1.1 no such user"));
    let mailer = room.mailer(Mail { attempts_max: 100, ..settings(Some(smtp(&peer))) });
    for hours in 0..130 {
        all_steps(&mailer).await;
        assert!(hours > 110 || ended_and_waiting(&room) == (20, 10), "{hours} h: {:?}", ended_and_waiting(&room));
        room.clock.advance(Duration::hours(1));
    }
    assert_eq!((ended_and_waiting(&room), peer.accepted().len()), ((30, 0), 0));
}

#[test]
fn who_has_a_turn_keeps_it_where_the_article_is_edited_while_its_mails_are_signed() {
    with_one_thread(async {
        let room = Room::open();
        readers_at(&room, "example.net", 8).await;
        let article = room.news().await;
        let slow = Shape { messages_per_minute: 60, ..shape("slow", &["example.net"]) };
        let plan = WarmUp { from: room.clock.now() - Duration::hours(1), messages: 8, growth_percent: 0 };
        let (dkim, shapes) = (vec![key("r1", Algorithm::Rsa)], vec![slow, shape(OTHERS, &[])]);
        let mailer = room.mailer(Mail { dkim, shapes, warm_up: Some(plan), ..room.outbox() });
        while_signed(&mailer, edited(&room, &article, |content| content.title = "Two hurt".into())).await;
        all_steps(&mailer).await;
        let is_right = |mail: &Vec<u8>| MessageParser::new().parse(mail).unwrap().subject() == Some("Two hurt");
        assert!(room.mails().iter().all(is_right));
        assert_eq!(room.mails().len(), 6, "as many as may go together at this rate");
        room.clock.advance(Duration::seconds(10));
        all_steps(&mailer).await;
        assert_eq!(room.mails().len(), 8, "nobody's turn was lost, neither of the rate nor of the plan");
    });
}
