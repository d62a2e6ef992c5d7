//! Asking, confirming, leaving; and what is mailed to whom, whatever the mail server does.

use crate::smtp::{Act, At, Peer, Security, certificates};
use arc_swap::ArcSwap;
use chrono::Duration;
use jiff::tz::TimeZone;
use mail_parser::MessageParser;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tidings::domain::{
    Address, Article, ArticleId, Categories, Category, Change, ChangeKind, Clock, Content, Kind, Selection, Site, Slug,
    State, Subscription, SubscriptionId, SubscriptionState, Time,
};
use tidings::services::mailer::{Doubtful, Login, Mailer, Settings, Smtp, Tls, Way};
use tidings::services::newsroom::Newsroom;
use tidings::services::notify::Notify;
use tidings::services::subscribe::{Limits, Subscriptions};
use tidings::services::{Step, tail_once};
use tidings::store::{Batch, Delivery, LedgerKey, Message, Store};
use tidings::wire::mail::{Purpose, Sender, Token};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

/// A newsroom with a store of its own, and everything that has to do with mail.
struct Room {
    folder: TempDir,
    store: Arc<Store>,
    clock: Clock,
    newsroom: Arc<ArcSwap<Newsroom>>,
    hint: Arc<tokio::sync::Notify>,
    subscriptions: Subscriptions,
}

fn slug(text: &str) -> Slug {
    Slug::parse("category", text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse("address", text).unwrap()
}

fn only(slugs: &[&str]) -> Selection {
    Selection::Categories(slugs.iter().map(|text| slug(text)).collect())
}

fn category(name: &str, title: &str) -> Category {
    Category {
        slug: slug(name),
        title: title.into(),
        description: String::new(),
        language: "en".into(),
        articles: None,
        zone: TimeZone::UTC,
        limit: 50,
    }
}

impl Room {
    fn open() -> Self {
        let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
        Room::open_in(tempfile::tempdir().unwrap(), clock)
    }

    fn open_in(folder: TempDir, clock: Clock) -> Self {
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        let site = Site {
            title: "The News".into(),
            description: String::new(),
            language: "en".into(),
            base_url: Url::parse("https://news.example.org/").unwrap(),
            print_line: true,
        };
        let categories = Categories::new(vec![category("science", "Science"), category("economy", "Economy")]);
        let newsroom = Arc::new(ArcSwap::from_pointee(Newsroom { site, categories }));
        let hint = Arc::new(tokio::sync::Notify::new());
        let limits = Limits { confirmations_per_hour_max: 20 };
        let subscriptions =
            Subscriptions::new(Arc::clone(&store), clock.clone(), Arc::clone(&newsroom), limits, Arc::clone(&hint));
        Room { folder, store, clock, newsroom, hint, subscriptions }
    }

    /// Everything is dropped, the store closed and opened again, as by a restart.
    fn restart(self) -> Self {
        let Room { folder, store, clock, .. } = self;
        assert_eq!(Arc::strong_count(&store), 1, "the store is still in use");
        drop(store);
        Room::open_in(folder, clock)
    }

    fn mailer(&self, settings: Settings) -> Arc<Mailer> {
        let (store, newsroom) = (Arc::clone(&self.store), Arc::clone(&self.newsroom));
        Mailer::new(store, self.clock.clone(), newsroom, settings, Arc::clone(&self.hint)).unwrap()
    }

    fn notify(&self) -> Notify {
        Notify::new(Arc::clone(&self.store), Duration::days(2), Arc::clone(&self.hint))
    }

    fn outbox(&self) -> Settings {
        settings(Way::Outbox(self.folder.path().join("outbox")))
    }

    /// The mails in the outbox, by file name.
    fn mails(&self) -> Vec<Vec<u8>> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("outbox")) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        assert!(paths.iter().all(|path| path.extension().is_some_and(|end| end == "eml")), "{paths:?}");
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    async fn publish(&self, title: &str, categories: &[&str]) -> Article {
        let now = self.clock.now();
        let article = Article {
            id: ArticleId::mint(),
            external_id: None,
            revision: 1,
            state: State::Published,
            created_at: now,
            published_at: Some(now),
            updated_at: now,
            first_public_at: Some(now),
            content: Content {
                categories: categories.iter().map(|text| slug(text)).collect(),
                title: title.into(),
                summary: Some("In short.".into()),
                body: None,
                url: None,
                authors: vec![],
                tags: vec![],
                language: None,
            },
        };
        self.write(None, &article, ChangeKind::Published).await;
        article
    }

    async fn retract(&self, article: &Article) {
        let retracted = Article { state: State::Retracted, revision: article.revision + 1, ..article.clone() };
        self.write(Some(article), &retracted, ChangeKind::Retracted).await;
    }

    async fn write(&self, old: Option<&Article>, new: &Article, kind: ChangeKind) {
        let old = old.map(|old| self.store.article(&old.id).unwrap().unwrap());
        let mut batch = Batch::default();
        self.store.write_article(&mut batch, old.as_ref(), new);
        let change = Change {
            kind,
            article: new.id.clone(),
            revision: new.revision,
            at: self.clock.now(),
            categories: new.content.categories.clone(),
        };
        self.store.log(&mut batch, &change);
        self.store.commit(batch).await.unwrap();
    }

    /// The reader comes to the head; returns the rounds that took.
    async fn notified(&self) -> usize {
        let notify = self.notify();
        let mut rounds = 0;
        while tail_once(&self.store, &notify).await.unwrap() == Step::Worked {
            rounds += 1;
        }
        rounds
    }

    /// Confirmed subscriptions for `reader0@example.net` and on, without mails.
    async fn subscribed(&self, count: u128, selection: &Selection) -> Vec<Subscription> {
        let now = self.clock.now();
        let mut all = Vec::new();
        let mut batch = Batch::default();
        for number in 0..count {
            let subscription = Subscription {
                id: SubscriptionId(Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))),
                address: address(&format!("reader{number}@example.net")),
                selection: selection.clone(),
                wished: None,
                state: SubscriptionState::Confirmed { at: now },
                round: 1,
                created_at: now,
                asked_at: now,
            };
            self.store.write_subscription(&mut batch, None, &subscription);
            all.push(subscription);
        }
        self.store.commit(batch).await.unwrap();
        all
    }

    fn subscription(&self, text: &str) -> Subscription {
        self.store.subscription_of(&address(text)).unwrap().unwrap().record
    }

    fn confirming(&self, subscription: &Subscription) -> String {
        Token::confirm(subscription).seal(&self.store.identity().secret)
    }

    fn leaving(&self, subscription: &Subscription) -> String {
        Token::leave(subscription.id).seal(&self.store.identity().secret)
    }

    fn delivery(&self, article: &Article, subscription: &Subscription) -> Delivery {
        let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, subscription.id);
        self.store.message(&key).unwrap().expect("a ledger row").record.state
    }

    /// Moves the clock to the next try of anything.
    fn until_due(&self) {
        self.clock.advance(Duration::hours(6));
    }
}

fn settings(way: Way) -> Settings {
    Settings {
        from: Sender { name: "The News".into(), address: address("news@example.org") },
        way,
        attempts_max: 5,
        doubtful: Doubtful::Hold,
        timeout: std::time::Duration::from_secs(10),
    }
}

fn smtp(peer: &Peer) -> Smtp {
    Smtp { host: "127.0.0.1".into(), port: peer.port, tls: Tls::None, login: None, connections: 1, ca_file: None }
}

/// One article on its way to one confirmed reader, by a scripted server.
async fn on_its_way() -> (Room, Peer, Article, Subscription) {
    let room = Room::open();
    let reader = room.subscribed(1, &Selection::All).await.remove(0);
    let article = room.publish("News", &["science"]).await;
    room.notified().await;
    (room, Peer::start(Security::Plain).await, article, reader)
}

/// The link below `subscriptions/` in the text of a mail.
fn link(mail: &[u8]) -> String {
    let mail = MessageParser::new().parse(mail).unwrap();
    let text = mail.body_text(0).unwrap().into_owned();
    let token = text.split("https://news.example.org/subscriptions/").nth(1).expect("a link");
    token.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn who_asks_gets_one_confirmation_and_after_confirming_the_news() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    room.subscriptions.ask(address("Reader@example.net"), only(&["science"])).await.unwrap();
    room.publish("Too early", &["science"]).await;
    room.notified().await;
    assert_eq!(mailer.step().await.unwrap(), Step::Worked);
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
    let mails = room.mails();
    assert_eq!(mails.len(), 1, "the confirmation alone");
    let mail = MessageParser::new().parse(&mails[0]).unwrap();
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("Reader@example.net"));
    assert!(mail.body_text(0).unwrap().contains("Science"));
    let token = link(&mails[0]);
    for _ in 0..3 {
        let (purpose, seen) = room.subscriptions.look(&token).unwrap();
        assert_eq!((purpose, seen.state), (Purpose::Confirm, SubscriptionState::Pending), "looking changes nothing");
    }
    room.clock.advance(Duration::minutes(1));
    room.subscriptions.confirm(&token).await.unwrap();
    assert_eq!(room.subscriptions.confirm(&token).await.unwrap().state, room.subscription("reader@example.net").state);
    room.publish("Of science", &["science"]).await;
    room.publish("Of economy", &["economy"]).await;
    room.notified().await;
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    assert_eq!(mails.len(), 2);
    let subject = |mail: &Vec<u8>| MessageParser::new().parse(mail).unwrap().subject().unwrap().to_owned();
    let news = mails.iter().find(|mail| subject(mail) == "Of science").expect("the news");
    let token = link(news);
    assert_eq!(room.subscriptions.look(&token).unwrap().0, Purpose::Leave);
    assert_eq!(room.subscriptions.confirm(&token).await.unwrap_err().kind, Kind::NotFound, "it is for leaving");
    let left = room.subscriptions.leave(&token).await.unwrap();
    room.clock.advance(Duration::minutes(1));
    assert_eq!(room.subscriptions.leave(&token).await.unwrap(), left, "a second time changes nothing");
    room.publish("Afterwards", &["science"]).await;
    room.notified().await;
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
}

#[tokio::test]
async fn asking_tells_nobody_who_is_subscribed_and_fills_no_mailbox() {
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    let ask = |text: &str, selection: Selection| room.subscriptions.ask(address(text), selection);
    let wrong = ask("a@example.net", only(&["science", "sport"])).await.unwrap_err();
    assert_eq!((wrong.kind, wrong.faults[0].field.as_str()), (Kind::Invalid, "categories"));
    assert_eq!(ask("a@example.net", only(&[])).await.unwrap_err().kind, Kind::Invalid);
    for _ in 0..5 {
        ask("a@example.net", Selection::All).await.unwrap();
    }
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 1, "asked again at once: no second mail");
    room.clock.advance(Duration::minutes(11));
    let first = room.confirming(&room.subscription("a@example.net"));
    ask("a@example.net", only(&["economy"])).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 2);
    assert_eq!(room.subscriptions.look(&first).unwrap_err().kind, Kind::Gone, "a newer mail was sent");
    room.subscriptions.confirm(&room.confirming(&room.subscription("a@example.net"))).await.unwrap();
    ask("a@example.net", only(&["economy"])).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(room.mails().len(), 2, "confirmed and nothing new");
    for number in 0..18 {
        ask(&format!("b{number}@example.net"), Selection::All).await.unwrap();
    }
    for known_or_not in ["a@example.net", "b1@example.net", "new@example.net"] {
        let problem = ask(known_or_not, only(&["economy"])).await.unwrap_err();
        assert_eq!(problem.kind, Kind::TooMany, "{known_or_not}");
    }
    room.clock.advance(Duration::hours(1));
    ask("new@example.net", Selection::All).await.unwrap();
}

#[tokio::test]
async fn a_wish_of_a_subscriber_takes_effect_when_it_is_confirmed() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let text = reader.address.as_str();
    room.clock.advance(Duration::minutes(1));
    room.subscriptions.ask(reader.address.clone(), Selection::All).await.unwrap();
    let wishing = room.subscription(text);
    assert_eq!((&wishing.selection, &wishing.wished), (&only(&["science"]), &Some(Selection::All)));
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    room.subscriptions.confirm(&link(&mails[0])).await.unwrap();
    let changed = room.subscription(text);
    assert_eq!((&changed.selection, &changed.wished, &changed.state), (&Selection::All, &None, &reader.state));
}

#[tokio::test]
async fn a_link_that_is_old_or_not_ours_does_nothing() {
    let room = Room::open();
    room.subscriptions.ask(address("a@example.net"), Selection::All).await.unwrap();
    let asked = room.subscription("a@example.net");
    let token = room.confirming(&asked);
    assert_eq!(room.subscriptions.look(&token[1..]).unwrap_err().kind, Kind::NotFound);
    let stranger = Subscription { id: SubscriptionId(Uuid::from_u128(1)), ..asked.clone() };
    assert_eq!(room.subscriptions.look(&room.confirming(&stranger)).unwrap_err().kind, Kind::NotFound);
    room.clock.advance(Duration::days(14) + Duration::minutes(1));
    assert_eq!(room.subscriptions.confirm(&token).await.unwrap_err().kind, Kind::Gone);
    assert_eq!(room.subscription("a@example.net"), asked);
    room.subscriptions.leave(&room.leaving(&asked)).await.unwrap();
    assert_eq!(room.subscriptions.confirm(&token).await.unwrap_err().kind, Kind::Gone, "who left stays away");
}

#[tokio::test]
async fn a_thousand_subscribers_are_told_once_each_in_pieces() {
    let room = Room::open();
    let readers = room.subscribed(1_000, &Selection::All).await;
    let article = room.publish("News", &["science"]).await;
    let notify = room.notify();
    for _ in 0..2 {
        tail_once(&room.store, &notify).await.unwrap();
    }
    let due = room.store.count_due(tidings::store::Due::Message, 10_000).unwrap();
    assert_eq!(due, 400, "two pieces of 200");
    // Broken off between two pieces: the reader goes on where its cursor stands.
    let room = room.restart();
    assert_eq!(room.notified().await, 4, "three more pieces, and the end");
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 10_000).unwrap(), 1_000);
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut to: Vec<String> = room
        .mails()
        .iter()
        .map(|mail| {
            MessageParser::new().parse(mail).unwrap().to().unwrap().first().unwrap().address().unwrap().to_owned()
        })
        .collect();
    to.sort();
    let mut expected: Vec<String> = readers.iter().map(|reader| reader.address.as_str().to_owned()).collect();
    expected.sort();
    assert_eq!(to, expected);
    assert!(matches!(room.delivery(&article, &readers[0]), Delivery::Sent { .. }));
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
    let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
    mailer.step().await.unwrap();
    assert_eq!(peer.accepted(), [readers[0].address.as_str()]);
    for (article, reader) in [(&gone, &readers[0]), (&gone, &readers[1]), (&stays, &readers[1])] {
        let state = room.delivery(article, reader);
        assert!(matches!(state, Delivery::Recalled { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn a_transient_reply_at_any_stage_costs_a_try_and_nothing_else() {
    for at in [At::Mail, At::Rcpt, At::Data, At::Body] {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
        peer.will(at, Act::Say("450 4.2.0 later"));
        mailer.step().await.unwrap();
        match room.delivery(&article, &reader) {
            Delivery::Pending { attempts: 1, due_at, reply: Some(reply) } => {
                assert!(due_at >= room.clock.now() + Duration::seconds(45), "{at:?}");
                assert!(reply.starts_with("450 4.2.0 later"), "{reply}");
            }
            other => panic!("{at:?}: {other:?}"),
        }
        assert_eq!(mailer.step().await.unwrap(), Step::Idle, "not before its time");
        room.until_due();
        mailer.step().await.unwrap();
        assert_eq!(peer.accepted(), [reader.address.as_str()], "{at:?}");
        assert_eq!(peer.log.lock().unwrap().connections, 1, "the connection was kept");
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
    }
}

#[tokio::test]
async fn what_is_deferred_too_often_is_given_up() {
    let (room, peer, article, reader) = on_its_way().await;
    let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
    for _ in 0..5 {
        peer.will(At::Rcpt, Act::Say("451 not now"));
        mailer.step().await.unwrap();
        room.until_due();
    }
    let state = room.delivery(&article, &reader);
    assert!(matches!(&state, Delivery::Failed { reply, .. } if reply.contains("451 not now")), "{state:?}");
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_gets_nothing_more() {
    let (room, peer, article, reader) = on_its_way().await;
    let second = room.publish("More", &["science"]).await;
    room.notified().await;
    let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
    peer.will(At::Rcpt, Act::Say("550 5.1.1 no such user"));
    mailer.step().await.unwrap();
    let state = room.subscription(reader.address.as_str()).state;
    assert!(
        matches!(&state, SubscriptionState::Refused { reply, .. } if reply == "550 5.1.1 no such user"),
        "{state:?}"
    );
    let states = [room.delivery(&article, &reader), room.delivery(&second, &reader)];
    assert!(states.iter().any(|state| matches!(state, Delivery::Failed { .. })), "{states:?}");
    assert!(states.iter().any(|state| matches!(state, Delivery::Recalled { .. })), "{states:?}");
    assert!(peer.accepted().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_message_keeps_the_subscriber() {
    for (at, reply) in [
        (At::Mail, "550 5.7.1 not from you"),
        (At::Rcpt, "554 5.7.1 relay access denied"),
        (At::Data, "554 no"),
        (At::Body, "550 5.7.1 looks like spam"),
    ] {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
        peer.will(at, Act::Say(reply));
        mailer.step().await.unwrap();
        assert!(matches!(room.delivery(&article, &reader), Delivery::Failed { .. }), "{at:?}");
        assert_eq!(room.subscription(reader.address.as_str()), reader, "{at:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_the_message_tried_again() {
    for at in [At::Greeting, At::Mail, At::Rcpt, At::Data] {
        let (room, peer, article, reader) = on_its_way().await;
        let timeout = std::time::Duration::from_millis(200);
        let mailer = room.mailer(Settings { timeout, ..settings(Way::Smtp(smtp(&peer))) });
        peer.will(at, Act::Stall);
        mailer.step().await.unwrap();
        let expected = u32::from(at != At::Greeting);
        let state = room.delivery(&article, &reader);
        assert!(matches!(state, Delivery::Pending { attempts, .. } if attempts == expected), "{at:?}: {state:?}");
        assert!(mailer.doubtful(9).unwrap().is_empty());
        assert_eq!(mailer.step().await.unwrap(), Step::Idle, "the server is left in peace");
        room.until_due();
        mailer.step().await.unwrap();
        assert_eq!(peer.accepted(), [reader.address.as_str()], "{at:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_no_try() {
    let (room, peer, article, reader) = on_its_way().await;
    let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
    let before = room.delivery(&article, &reader);
    for act in [Act::Cut, Act::Say("554 not today"), Act::Say("421 too many connections")] {
        peer.will(At::Greeting, act);
        mailer.step().await.unwrap();
        assert_eq!(room.delivery(&article, &reader), before, "{act:?}");
        room.until_due();
    }
    mailer.step().await.unwrap();
    assert_eq!(peer.accepted(), [reader.address.as_str()]);
}

#[tokio::test]
async fn a_server_that_closes_a_used_connection_is_connected_to_again() {
    for (at, act) in [(At::Mail, Act::Say("421 4.7.0 enough for now")), (At::Mail, Act::Cut), (At::Data, Act::Cut)] {
        let room = Room::open();
        let readers = room.subscribed(3, &Selection::All).await;
        room.publish("News", &["science"]).await;
        room.notified().await;
        let peer = Peer::start(Security::Plain).await;
        let mailer = room.mailer(settings(Way::Smtp(smtp(&peer))));
        // The first message goes through; the second finds the connection closed, and is not to blame.
        peer.will(at, Act::Usual);
        peer.will(at, act);
        mailer.step().await.unwrap();
        assert_eq!(peer.accepted().len(), readers.len(), "{at:?} {act:?}");
        assert_eq!(peer.log.lock().unwrap().connections, 2, "{at:?} {act:?}");
    }
}

#[tokio::test]
async fn a_message_without_its_last_reply_is_doubtful_and_held_or_sent_again() {
    for (policy, act) in [(Doubtful::Hold, Act::Cut), (Doubtful::Hold, Act::Stall), (Doubtful::Resend, Act::Cut)] {
        let (room, peer, article, reader) = on_its_way().await;
        let timeout = std::time::Duration::from_millis(200);
        let mailer = room.mailer(Settings { doubtful: policy, timeout, ..settings(Way::Smtp(smtp(&peer))) });
        peer.will(At::Body, act);
        mailer.step().await.unwrap();
        room.until_due();
        mailer.step().await.unwrap();
        let doubtful = mailer.doubtful(9).unwrap();
        match policy {
            Doubtful::Resend => {
                assert!(doubtful.is_empty());
                assert_eq!(peer.accepted(), [reader.address.as_str()]);
                let log = peer.log.lock().unwrap();
                let ids: Vec<_> = log
                    .mails
                    .iter()
                    .map(|mail| MessageParser::new().parse(&mail.bytes).unwrap().message_id().unwrap().to_owned())
                    .collect();
                assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the same message id");
            }
            Doubtful::Hold => {
                assert!(peer.accepted().is_empty(), "it is not sent again by itself");
                assert_eq!(doubtful.len(), 1);
                assert_eq!((doubtful[0].address.as_ref(), doubtful[0].about.as_str()), (Some(&reader.address), "News"));
                assert_eq!(mailer.resend_doubtful().await.unwrap(), 1);
                mailer.step().await.unwrap();
                assert_eq!(peer.accepted(), [reader.address.as_str()]);
            }
        }
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
    }
}

#[tokio::test]
async fn a_restart_neither_loses_nor_doubles() {
    let room = Room::open();
    let readers = room.subscribed(6, &Selection::All).await;
    let article = room.publish("News", &["science"]).await;
    room.notified().await;
    let peer = Peer::start(Security::Plain).await;
    let way = Smtp { connections: 2, ..smtp(&peer) };
    let mailer = room.mailer(settings(Way::Smtp(way.clone())));
    // The daemon breaks off while one connection waits for its last word; the others have done their work.
    peer.will(At::Body, Act::Stall);
    let step = tokio::time::timeout(std::time::Duration::from_millis(500), mailer.step()).await;
    assert!(step.is_err(), "it is still waiting");
    drop(mailer);
    let room = {
        tokio::task::yield_now().await;
        room.restart()
    };
    let mailer = room.mailer(settings(Way::Smtp(way.clone())));
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut accepted = peer.accepted();
    accepted.sort();
    accepted.dedup();
    assert_eq!((accepted.len(), peer.accepted().len()), (5, 5), "each once");
    let doubtful = mailer.doubtful(9).unwrap();
    assert_eq!(doubtful.len(), 1, "one a connection at most");
    assert_eq!(mailer.drop_doubtful().await.unwrap(), 1);
    assert!(mailer.doubtful(9).unwrap().is_empty());
    let failed = readers.iter().filter(|reader| matches!(room.delivery(&article, reader), Delivery::Failed { .. }));
    assert_eq!(failed.count(), 1);
    drop(mailer);
    let room = room.restart();
    let mailer = room.mailer(Settings { doubtful: Doubtful::Resend, ..settings(Way::Smtp(way)) });
    assert_eq!(mailer.step().await.unwrap(), Step::Idle, "all is settled");
}

#[tokio::test]
async fn a_mail_that_goes_to_the_outbox_twice_is_one_file() {
    let (room, peer, article, reader) = on_its_way().await;
    // On the wire at a crash, and then the newsroom changes to an outbox: doing it again does no harm.
    let timeout = std::time::Duration::from_millis(200);
    let mailer = room.mailer(Settings { timeout, ..settings(Way::Smtp(smtp(&peer))) });
    peer.will(At::Body, Act::Cut);
    mailer.step().await.unwrap();
    for _ in 0..2 {
        let mailer = room.mailer(room.outbox());
        mailer.step().await.unwrap();
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
        assert_eq!(room.mails().len(), 1);
        let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, reader.id);
        let sent = room.store.message(&key).unwrap().unwrap();
        let mut again = sent.record.clone();
        again.state = Delivery::OnWire { since: room.clock.now(), attempts: 0 };
        let mut batch = Batch::default();
        room.store.write_message(&mut batch, Some(&sent), &again);
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
async fn a_login_goes_over_an_encrypted_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, ca_file) = certificates(folder.path());
    for (security, mode, is_sent) in [
        (Security::Starttls(tls.clone()), Tls::Starttls, true),
        (Security::Implicit(tls.clone()), Tls::Implicit, true),
        (Security::Injected(tls.clone()), Tls::Starttls, false),
        (Security::Plain, Tls::Starttls, false),
    ] {
        let (room, _, _, reader) = on_its_way().await;
        let peer = Peer::start(security).await;
        let login = Login { username: "news".into(), password: "secret".into() };
        let way = Smtp {
            host: "localhost".into(),
            tls: mode,
            login: Some(login),
            ca_file: Some(ca_file.clone()),
            ..smtp(&peer)
        };
        let timeout = std::time::Duration::from_secs(2);
        room.mailer(Settings { timeout, ..settings(Way::Smtp(way.clone())) }).step().await.unwrap();
        let expected: &[&str] = if is_sent { &[reader.address.as_str()] } else { &[] };
        assert_eq!(peer.accepted(), expected, "{mode:?}");
        let logins = peer.log.lock().unwrap().logins.clone();
        // base64 of "\0news\0secret".
        let expected = [("PLAIN AG5ld3MAc2VjcmV0".to_owned(), true)];
        assert_eq!(logins, if is_sent { &expected[..] } else { &[] }, "{mode:?}");
        // A certificate that nobody we know has signed.
        let (room, _, _, _) = on_its_way().await;
        let way = Smtp { ca_file: None, ..way };
        room.mailer(Settings { timeout, ..settings(Way::Smtp(way)) }).step().await.unwrap();
        assert_eq!(peer.accepted().len(), usize::from(is_sent));
    }
}

#[tokio::test]
async fn the_worker_wakes_for_new_rows_and_takes_leave_when_it_is_stopped() {
    let (room, peer, article, reader) = on_its_way().await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(room.mailer(settings(Way::Smtp(smtp(&peer)))).run(stop.clone()));
    let tail = tokio::spawn(tidings::services::tail(Arc::clone(&room.store), room.notify(), stop.clone()));
    let second = room.publish("Second", &["economy"]).await;
    let arrived = async {
        while peer.accepted().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), arrived).await.expect("long before the next poll");
    stop.cancel();
    worker.await.unwrap();
    tail.await.unwrap();
    assert_eq!(peer.log.lock().unwrap().quits, 1);
    for article in [&article, &second] {
        assert!(matches!(room.delivery(article, &reader), Delivery::Sent { .. }));
    }
}
