//! Asking, confirming, leaving; and what is mailed to whom, whatever the mail server does.

mod ageing;
mod alarms;
mod asking;
mod authors;
mod consent;
mod corrections;
mod digests;
mod faults;
mod folds;
mod foreign;
mod full;
mod languages;
mod notices;
mod numbers;
mod once;
mod overtaken;
mod policy;
mod preferences;
mod quarantine;
mod reports;
mod returns;
mod server;
mod shaped;
mod signed;
mod watchdog;
mod wording;
mod year;

use crate::smtp::{Act, At, Offer, Peer, Security, certificates, of_an_authority};
use arc_swap::ArcSwap;
use chrono::Duration;
use jiff::tz::TimeZone;
use mail_parser::MessageParser;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tidings::config::{Doubtful, Login, Mail, MailText, Secret, Sender, Smtp, Tls};
use tidings::domain::{
    Address, Article, ArticleId, Cadence, Categories, Category, Change, ChangeKind, Clock, Content, Hour, Kind, Labels,
    Language, Selection, Site, Slug, State, Subscriber, Subscription, SubscriptionId, SubscriptionState, Term, Time,
};
use tidings::services::digest::Digester;
use tidings::services::erase::Eraser;
use tidings::services::mailer::Mailer;
use tidings::services::newsroom::Newsroom;
use tidings::services::notify::Notify;
use tidings::services::subscribe::{Asking, Subscriptions};
use tidings::services::{Lead, OnDue as _, Step, Tail};
use tidings::store::{Batch, Cursor, Delivery, LedgerKey, Message, Store};
use tidings::wire::mail::{Purpose, Token};
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
    lead: Arc<Lead>,
    subscriptions: Subscriptions,
    standard: tidings::config::Subscriptions,
    grace: Duration,
}

fn slug(text: &str) -> Slug {
    Slug::parse("category", text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse("address", text).unwrap()
}

fn only(slugs: &[&str]) -> Selection {
    Selection::any(slugs.iter().map(|text| Term::Category(slug(text))))
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

    /// So many confirmed readers of everything, and an article that a mail is owed of to each.
    async fn owing(count: u128) -> (Self, Vec<Subscription>, Article) {
        let room = Room::open();
        let readers = room.subscribed(count, &Selection::all()).await;
        let article = room.news().await;
        (room, readers, article)
    }

    fn open_in(folder: TempDir, clock: Clock) -> Self {
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        let site = Site {
            title: "The News".into(),
            description: String::new(),
            language: "en".into(),
            base_url: Url::parse("https://news.example.org/").unwrap(),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let categories = Categories::new(vec![category("science", "Science"), category("economy", "Economy")]);
        let newsroom =
            Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, hub: None, changed_at: clock.now() }));
        let hint = Arc::new(tokio::sync::Notify::new());
        let standard = tidings::config::Subscriptions::default();
        let (rows, names) = (Arc::clone(&store), Arc::clone(&newsroom));
        let own = standard.clone();
        let subscriptions = Subscriptions::new(rows, clock.clone(), names, own, 20, Arc::clone(&hint));
        let grace = Duration::zero();
        let lead = Arc::default();
        Room { folder, store, clock, newsroom, hint, lead, subscriptions, standard, grace }
    }

    /// Everything is dropped, the store closed and opened again, as by a restart.
    async fn restart(self) -> Self {
        let Room { folder, store, clock, subscriptions, .. } = self;
        drop(subscriptions);
        // Tasks that were broken off let go of it when they are next polled.
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
        drop(store);
        Room::open_in(folder, clock)
    }

    /// A store that was made of an export of this one as it is now.
    fn copied(&self) -> Self {
        let mut exported = Vec::new();
        tidings::store::export(&self.store, &mut exported).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tidings::store::import(&folder.path().join("store"), &mut exported.as_slice()).unwrap();
        Room::open_in(folder, self.clock.clone())
    }

    fn mailer(&self, settings: Mail) -> Arc<Mailer> {
        let (store, newsroom) = (Arc::clone(&self.store), Arc::clone(&self.newsroom));
        let (standard, hint, lead) = (self.standard.clone(), Arc::clone(&self.hint), Arc::clone(&self.lead));
        Mailer::new(store, self.clock.clone(), newsroom, settings, standard, hint, lead).unwrap()
    }

    fn notify(&self) -> Notify {
        let (standard, hint) = (self.standard.clone(), Arc::clone(&self.hint));
        Notify::new(Arc::clone(&self.store), standard, Duration::days(2), self.grace, hint, Arc::clone(&self.lead))
    }

    fn tail(&self) -> Tail<Notify> {
        Tail::new(Arc::clone(&self.store), self.notify()).unwrap()
    }

    fn outbox(&self) -> Mail {
        Mail { outbox: self.folder.path().join("outbox"), ..settings(None) }
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
        let content = Content {
            categories: categories.iter().map(|text| slug(text)).collect(),
            title: title.into(),
            summary: Some("In short.".into()),
            ..Content::default()
        };
        let article = Article::published(ArticleId::mint(), self.clock.now(), content);
        self.write(None, &article, ChangeKind::Published).await;
        article
    }

    /// An article of Science comes out, and mails of it are owed.
    async fn news(&self) -> Article {
        let article = self.publish("News", &["science"]).await;
        self.notified().await;
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
            at: self.store.change_time(self.clock.now()).unwrap(),
            labels: Labels::of(&new.content),
            before: None,
        };
        self.store.log(&mut batch, &change);
        self.store.commit(batch).await.unwrap();
    }

    /// The reader comes to the head; returns the rounds that took.
    async fn notified(&self) -> usize {
        let mut tail = self.tail();
        let mut rounds = 0;
        while tail.step().await.unwrap() == Step::Worked {
            rounds += 1;
        }
        tail.save().await.unwrap();
        rounds
    }

    /// Everything that is due of digests is done; returns the rounds that took.
    async fn digested(&self) -> usize {
        let (store, hint) = (Arc::clone(&self.store), Arc::clone(&self.hint));
        let standard = self.standard.clone();
        let digester = Arc::new(Digester::new(store, self.clock.clone(), standard, Duration::days(2), hint));
        let mut rounds = 0;
        while digester.step().await.unwrap() == Step::Worked {
            rounds += 1;
        }
        rounds
    }

    /// Confirmed subscriptions for `reader0@example.net` and on, without mails.
    async fn subscribed(&self, count: u128, selection: &Selection) -> Vec<Subscription> {
        let id = |number: u128| Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let reader = |number| (id(number), address(&format!("reader{number}@example.net")));
        self.confirmed_each((0..count).map(reader), selection).await
    }

    /// One confirmed subscription of `to` for everything, without a mail.
    async fn confirmed(&self, to: &str) -> Subscription {
        self.confirmed_each([(Uuid::from_u128(1), address(to))], &Selection::all()).await.remove(0)
    }

    /// A confirmed subscription of each, under these ids, without a mail.
    async fn confirmed_each(
        &self,
        readers: impl IntoIterator<Item = (Uuid, Address)>,
        selection: &Selection,
    ) -> Vec<Subscription> {
        let now = self.clock.now();
        let (mut batch, mut all) = (Batch::default(), Vec::new());
        for (id, to) in readers {
            let asked = Subscription::asked(SubscriptionId(id), to, selection.clone(), now);
            let state = SubscriptionState::Confirmed { at: now };
            let subscription = Subscription { state, erase_at: None, ..asked };
            self.store.write_first_subscription(&mut batch, &subscription);
            all.push(subscription);
        }
        self.store.commit(batch).await.unwrap();
        all
    }

    /// One more subscription of the address of `first`, for `selection` and otherwise alike.
    async fn subscribed_besides(&self, first: &Subscription, selection: Selection) -> Subscription {
        let known = self.store.subscriber_of(&first.address).unwrap().unwrap();
        let other =
            Subscription { id: SubscriptionId(Uuid::from_u128(77)), selection, ..first.clone() }.of(&known.record);
        let mut subscriber = known.record.clone();
        subscriber.subscriptions.push(other.id);
        let mut batch = Batch::default();
        self.store.write_subscription(&mut batch, None, &other);
        self.store.write_subscriber(&mut batch, Some(&known), &subscriber);
        self.store.commit(batch).await.unwrap();
        other
    }

    fn subscription(&self, text: &str) -> Subscription {
        let subscriber = self.store.subscriber_of(&address(text)).unwrap().unwrap().record;
        self.store.subscriptions_of(&subscriber).unwrap().pop().unwrap().record
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

fn settings(smtp: Option<Smtp>) -> Mail {
    Mail {
        from: Sender { name: Some("The News".into()), address: "news@example.org".into() },
        outbox: PathBuf::from("not used"),
        text: MailText::Summary,
        article_age_max: Duration::days(2),
        grace: Duration::zero(),
        attempts_max: 5,
        doubtful: Doubtful::Hold,
        confirmations_per_hour_max: 20,
        return_address: None,
        age_max: chrono::TimeDelta::days(5),
        shapes: vec![],
        watchdog: Default::default(),
        canary: None,
        numbers_age_max: Duration::days(400),
        ledger_age_max: Duration::days(180),
        warm_up: None,
        returns: Default::default(),
        templates: None,
        dkim_folder: None,
        dkim: vec![],
        smtp,
    }
}

fn smtp(peer: &Peer) -> Smtp {
    Smtp {
        host: "127.0.0.1".into(),
        port: peer.port,
        tls: Tls::None,
        login: None,
        connections: 1,
        messages_per_connection: 1_000,
        ca_pem: None,
        timeout: std::time::Duration::from_secs(10),
        timeout_end: std::time::Duration::from_secs(10),
    }
}

/// A server that takes many mails in one go.
async fn pipelining() -> Peer {
    Peer::offering(Security::Plain, Offer { lines: &["PIPELINING"], ..Offer::default() }).await
}

/// One article on its way to one confirmed reader, by a scripted server.
async fn on_its_way() -> (Room, Peer, Article, Subscription) {
    let (room, mut readers, article) = Room::owing(1).await;
    let reader = readers.remove(0);
    (room, Peer::start(Security::Plain).await, article, reader)
}

/// The link below `subscriptions/` in the text of a mail.
fn link(mail: &[u8]) -> String {
    let mail = MessageParser::new().parse(mail).unwrap();
    let text = mail.body_text(0).unwrap().into_owned();
    let token = text.split("https://news.example.org/subscriptions/").nth(1).expect("a link");
    token.split_whitespace().next().unwrap().to_owned()
}
