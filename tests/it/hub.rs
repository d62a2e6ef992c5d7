//! WebSub from the publisher's side: which feeds name a hub, and what the hub is told, by a hub that listens and counts.

mod clock;
use crate::harness::{FEEDS, Newsroom, Setup, eventually, parsed, tidings};
use crate::rebuild::newsroom;
use chrono::Duration;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tidings::domain::{Article, Clock, Content, Draft, Seq, Slug, Time, Wish, rfc822};
use tidings::services::Step;
use tidings::services::hub::{Hub, NAME, TRIES_MAX};
use tidings::services::newsroom::SharedNewsroom;
use tidings::services::publish::Publisher;
use tidings::services::quarantine::{Owed, Quarantine};
use tidings::store::{Store, export, import};
use url::form_urlencoded;

/// A hub that says the same to all, and remembers what it was told of.
#[derive(Clone)]
struct Listening {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    /// Further fields of its answers.
    fields: Arc<Mutex<String>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Listening {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let status = Arc::new(AtomicU16::new(204));
        let address = listener.local_addr().unwrap();
        let hub = Listening { address, status, fields: Arc::default(), told: Arc::default() };
        let this = hub.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| this.answer(stream)));
        hub
    }

    fn url(&self) -> String {
        format!("http://{}/hub", self.address)
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Answers one request, and closes. What is no ping is remembered as it is, so that no test takes it for one.
    fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        while let Some(line) = (&mut stream).lines().next().and_then(Result::ok).filter(|line| !line.is_empty()) {
            head.push(line.to_ascii_lowercase());
        }
        let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        let is_form = field("content-type:") == Some("application/x-www-form-urlencoded");
        let told = match &form[..] {
            [(mode, publish), (url, one), (topic, other)]
                if (&**mode, &**publish, &**url, &**topic) == ("hub.mode", "publish", "hub.url", "hub.topic")
                    && one == other
                    && is_form
                    && head[0] == "post /hub http/1.1" =>
            {
                one.clone()
            }
            _ => format!("{head:?} {form:?}"),
        };
        self.told.lock().unwrap().push(told);
        let status = self.status.load(Ordering::SeqCst);
        let answer = format!(
            "HTTP/1.1 {status} -\r\nLocation: {}\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.url(),
            self.fields.lock().unwrap()
        );
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }

    /// What it was told since the last time, in its order.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// The same, sorted.
    fn told_sorted(&self) -> Vec<String> {
        let mut told = self.told();
        told.sort();
        told
    }
}

/// The feeds at `base` of everything and of these categories, sorted.
fn topics(base: &str, categories: &[&str]) -> Vec<String> {
    let folders = std::iter::once(String::new()).chain(categories.iter().map(|slug| format!("{slug}/")));
    let files = ["rss.xml", "atom.xml", "feed.json", "summary/rss.xml", "summary/atom.xml", "summary/feed.json"];
    let mut all: Vec<String> = folders.flat_map(|folder| files.map(|file| format!("{base}{folder}{file}"))).collect();
    all.sort();
    all
}

const BASE: &str = "https://news.example/";

/// A store, somebody who publishes, and a hub that listens.
struct Desk {
    folder: TempDir,
    store: Arc<Store>,
    clock: Clock,
    newsroom: SharedNewsroom,
    publisher: Publisher,
    listening: Listening,
}

impl Desk {
    fn open() -> Self {
        Desk::open_in(tempfile::tempdir().unwrap())
    }

    fn open_in(folder: TempDir) -> Self {
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        let clock = Clock::test(Time::from_timestamp(1_800_000_000, 0).unwrap());
        let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
        Desk { folder, store, clock, newsroom: newsroom("News"), publisher, listening: Listening::start() }
    }

    /// The reader of the log, as after a start.
    async fn hub(&self) -> Hub {
        let (store, newsroom) = (Arc::clone(&self.store), Arc::clone(&self.newsroom));
        Hub::open(store, newsroom, self.clock.clone(), self.listening.url().parse().unwrap()).await.unwrap()
    }

    fn draft(title: &str, categories: &[&str]) -> Draft {
        let content = Content {
            categories: categories.iter().map(|slug| Slug::parse("slug", slug).unwrap()).collect(),
            title: title.into(),
            tags: vec!["tea".into()],
            ..Content::default()
        };
        Draft { id: None, external_id: None, wish: Wish::Published, published_at: None, content }
    }

    async fn publish(&self, title: &str, categories: &[&str]) -> Article {
        self.publisher.push(Desk::draft(title, categories), None).await.unwrap().0
    }

    fn cursor(&self) -> Seq {
        self.store.cursor(NAME).unwrap().unwrap().record.seq
    }
}

async fn settled(hub: &mut Hub) {
    while hub.step().await.unwrap() == Step::Worked {}
}

#[tokio::test]
async fn a_hub_is_told_once_of_every_feed_that_changed_however_often_it_did() {
    let desk = Desk::open();
    desk.publish("Before anybody could subscribe", &["science"]).await;
    let mut hub = desk.hub().await;
    settled(&mut hub).await;
    assert_eq!(desk.listening.told(), [""; 0]);

    let article = desk.publish("One", &["science"]).await;
    desk.publish("Two", &["science"]).await;
    assert_eq!(hub.step().await.unwrap(), Step::Worked);
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["science"]));
    assert_eq!(hub.step().await.unwrap(), Step::Idle, "that was all");

    desk.publisher.revise(&article.id, &Desk::draft("One, at last", &["economy"]), None).await.unwrap();
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["economy", "science"]), "it left the one for the other");
    desk.publisher.retract(&article.id, None).await.unwrap();
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["economy"]), "retracted");
    desk.publisher.revise(&article.id, &Desk::draft("One", &["economy"]), None).await.unwrap();
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["economy"]), "restored");
    let draft = Draft { wish: Wish::Draft, ..Desk::draft("Nobody's business", &["economy"]) };
    desk.publisher.push(draft, None).await.unwrap();
    settled(&mut hub).await;
    assert_eq!(desk.listening.told(), [""; 0], "the public sees nothing of it");
    assert_eq!(desk.cursor(), desk.store.head());
}

#[tokio::test]
async fn what_a_hub_did_not_take_is_told_again_after_a_restart_and_the_rest_is_not() {
    let desk = Desk::open();
    let mut hub = desk.hub().await;
    desk.publish("Taken", &["economy"]).await;
    settled(&mut hub).await;
    desk.listening.told();
    let before = desk.cursor();
    desk.listening.says(500);
    desk.publish("Refused", &["science"]).await;
    hub.step().await.unwrap();
    assert!(!desk.listening.told().is_empty());
    assert_eq!(desk.cursor(), before, "it is not settled");
    drop(hub);

    desk.publish("While nobody reads the log", &["science"]).await;
    desk.listening.says(202);
    let mut hub = desk.hub().await;
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["science"]));
    assert_eq!(desk.cursor(), desk.store.head());
    settled(&mut desk.hub().await).await;
    assert_eq!(desk.listening.told(), [""; 0], "everything is settled");
}

#[tokio::test]
async fn a_hub_that_refuses_is_asked_again_ever_later_and_then_no_more() {
    let desk = Desk::open();
    let mut hub = desk.hub().await;
    let begun = desk.cursor();
    desk.publish("One", &["science"]).await;
    let mut tried = BTreeSet::new();
    // A redirect is not followed, since that would be a GET.
    for (round, status) in (1..=TRIES_MAX).zip([500, 302, 404, 429].into_iter().cycle()) {
        desk.listening.says(status);
        assert_eq!(hub.step().await.unwrap(), Step::Worked, "{round}");
        let told = desk.listening.told();
        assert_eq!(told.len(), 3, "after so many in a row the others are put off: {told:?}");
        tried.extend(told);
        assert_eq!(desk.cursor() == begun, round < TRIES_MAX, "{round}");
        assert_eq!(hub.step().await.unwrap(), Step::Idle, "not again at once");
        let (before, after) = (Duration::seconds(15 * (1 << (round - 1)) - 1), Duration::seconds(1));
        if round < 7 {
            desk.clock.advance(before);
            assert_eq!(hub.step().await.unwrap(), Step::Idle, "{round}");
            desk.clock.advance(after);
        } else {
            desk.clock.advance(Duration::minutes(30));
        }
    }
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), topics(BASE, &["science"]), "each had its turn");
    assert_eq!(desk.cursor(), desk.store.head(), "given up");
    assert_eq!(hub.step().await.unwrap(), Step::Idle);

    desk.listening.says(200);
    desk.publish("Two", &["economy"]).await;
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["economy"]));
}

#[tokio::test]
async fn a_hub_that_asks_to_be_left_alone_is() {
    let desk = Desk::open();
    let mut hub = desk.hub().await;
    let now = desk.clock.now();
    let date = |minutes| rfc822(now + Duration::minutes(minutes)).replace("+0000", "GMT");
    // Until when it wants to be left alone, in minutes, and how many it is.
    for (asked, minutes) in [("600".to_owned(), 10), (date(15), 5), ("86400".to_owned(), 30), ("soon".to_owned(), 2)] {
        desk.publish("One", &["science"]).await;
        desk.listening.says(503);
        *desk.listening.fields.lock().unwrap() = format!("Retry-After: {asked}\r\n");
        assert_eq!(hub.step().await.unwrap(), Step::Worked);
        // One that says nothing that can be read is asked as often as one that says nothing.
        let expected = if asked == "soon" { 3 } else { 1 };
        assert_eq!(desk.listening.told().len(), expected, "{asked}");
        desk.clock.advance(Duration::minutes(minutes) - Duration::seconds(1));
        assert_eq!(hub.step().await.unwrap(), Step::Idle, "{asked}");
        desk.clock.advance(Duration::seconds(1));
    }
    desk.listening.says(200);
    settled(&mut hub).await;
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["science"]));
}

#[tokio::test]
async fn a_restored_store_tells_no_hub_until_it_is_released() {
    let original = Desk::open();
    original.publish("One", &["science"]).await;
    let mut exported = Vec::new();
    export(&original.store, &mut exported).unwrap();
    let folder = tempfile::tempdir().unwrap();
    import(&folder.path().join("store"), &mut exported.as_slice()).unwrap();
    let copy = Desk::open_in(folder);
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::default());
    quarantine.look().await.unwrap();
    let mut hub = copy.hub().await;
    copy.publish("Two", &["economy"]).await;
    settled(&mut hub).await;
    assert_eq!(copy.listening.told(), [""; 0]);
    quarantine.release(Owed::Drop).await.unwrap();
    settled(&mut hub).await;
    assert_eq!(copy.listening.told_sorted(), topics(BASE, &["economy"]));
    assert!(copy.folder.path().exists());
}

/// `rel` and address of every link of its kind in a feed.
fn hubs_and_selves(path: &str, text: &str) -> Vec<(String, String)> {
    if path.ends_with(".json") {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let hubs = json["hubs"].as_array().cloned().unwrap_or_default();
        let hub = |hub: &serde_json::Value| {
            assert_eq!(hub["type"], "WebSub");
            ("hub".to_owned(), hub["url"].as_str().unwrap().to_owned())
        };
        let own = ("self".to_owned(), json["feed_url"].as_str().unwrap().to_owned());
        return hubs.iter().map(hub).chain([own]).collect();
    }
    let links = parsed(path, text.as_bytes()).links;
    let mut found: Vec<_> = links.into_iter().filter_map(|link| Some((link.rel?, link.href))).collect();
    found.retain(|(rel, _)| rel == "hub" || rel == "self");
    found.sort();
    found
}

#[test]
fn feeds_that_a_hub_is_told_of_name_it_and_no_others_do() {
    let hub = "https://hub.example/?a=1&b=2";
    let newsroom = Newsroom::with(Setup { feeds: &format!("hub = \"{hub}\""), ..Setup::default() });
    let article = |title: &str| json!({ "title": title, "categories": ["economy"], "tags": ["tea"] });
    newsroom.publish(article("One"));
    let mut addresses = Vec::new();
    for path in FEEDS.iter().flat_map(|path| [(*path).to_owned(), summary(path)]) {
        let own = format!("{}{}", newsroom.base_url(), &path[1..]);
        let links = [format!("<{hub}>; rel=\"hub\""), format!("<{own}>; rel=\"self\"")];
        let answer = newsroom.get(&path, &[]).expect(200);
        let named = [("hub".to_owned(), hub.to_owned()), ("self".to_owned(), own.clone())];
        assert_eq!(hubs_and_selves(&path, &answer.text()), named, "{path}");
        assert_eq!(answer.headers_of("link"), links, "{path}");
        let tag = answer.header("etag").unwrap().to_owned();
        let head = newsroom.client().send("HEAD", &path, &[], b"").unwrap().expect(200);
        assert_eq!(head.headers_of("link"), links, "HEAD {path}");
        let known = newsroom.get(&path, &[("If-None-Match", &tag)]).expect(304);
        assert_eq!(known.headers_of("link"), links, "304 {path}");
        newsroom.publish(article("Another"));
        let difference = newsroom.get(&path, &[("If-None-Match", &tag), ("A-IM", "feed")]).expect(226);
        assert_eq!(difference.headers_of("link"), links, "226 {path}");
        assert_eq!(hubs_and_selves(&path, &difference.text()), named, "226 {path}");
        addresses.push(own);
    }
    let check = tidings(&newsroom.config(), &["feed", "check"]).args(&addresses).output().unwrap();
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && !said.contains("MissingHub"), "{said}");

    for path in ["/tags/tea/rss.xml", "/search/atom.xml?q=NOT+tag%3Atea", "/feed.json?after=00ff"] {
        let answer = newsroom.get(path, &[]).expect(200);
        assert!(!answer.text().contains("hub.example") && answer.headers_of("link").is_empty(), "{path}");
    }
}

fn summary(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap();
    format!("{folder}/summary/{file}")
}

#[test]
fn without_a_hub_no_feed_names_one() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    for path in FEEDS {
        let answer = newsroom.get(path, &[]).expect(200);
        let named = hubs_and_selves(path, &answer.text());
        assert_eq!(named.len(), 1, "{path}: {named:?}");
        assert!(answer.headers_of("link").is_empty(), "{path}");
    }
}

#[test]
fn the_daemon_tells_its_hub_over_a_kill() {
    let listening = Listening::start();
    let feeds = format!("hub = \"{}\"", listening.url());
    let mut newsroom = Newsroom::with(Setup { feeds: &feeds, ..Setup::default() });
    let base = newsroom.base_url();
    let mut told = BTreeSet::new();
    let mut expect = |what: &str, topics: Vec<String>| {
        eventually(what, || {
            told.extend(listening.told());
            topics.iter().all(|topic| told.contains(topic)).then_some(())
        });
        assert_eq!(std::mem::take(&mut told).into_iter().collect::<Vec<_>>(), topics);
    };
    newsroom.publish_titled("One");
    expect("the hub to be told", topics(&base, &["economy"]));
    let counts_all = |newsroom: &Newsroom, result: &str| {
        let name = format!("tidings_hub_pings_total{{result=\"{result}\"}} ");
        eventually(&name, || {
            let text = newsroom.get_admin("/metrics").text();
            let count = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            (count >= Some(12_u64)).then_some(())
        });
    };
    counts_all(&newsroom, "taken");
    listening.says(503);
    newsroom.publish(json!({ "title": "Two", "categories": ["science"] }));
    counts_all(&newsroom, "refused");
    newsroom.kill();
    listening.told();
    listening.says(202);
    newsroom.run();
    expect("the hub to be told after the kill", topics(&base, &["science"]));
}
