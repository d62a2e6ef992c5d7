//! Publishing: what a `201` means, when the public sees what, and what never changes.

use crate::harness::{FEEDS, Newsroom, Setup, api, eventually, id};
use chrono::{Duration, SecondsFormat};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tidings::domain::{Article, Categories, Category, Clock, Site, Time};
use tidings::services::publish::{Idempotency, Outcome, Publisher};
use tidings::store::{Batch, Due, Order, Store, Table, wait};
use tidings::wire::source::{Door, from_json};

#[test]
fn a_created_article_is_seen_by_every_read_that_follows() {
    let newsroom = Newsroom::start();
    let (key, mut writer, mut reader) = (newsroom.key(), newsroom.client(), newsroom.client());
    for number in 0..200 {
        let title = format!("No {number} of many");
        let body = json!({ "title": title, "categories": ["economy"] }).to_string();
        let answer = api(&mut writer, key, "POST", "/articles", &[], &body).expect("an answer").expect(201);
        let id = id(&answer.json());
        let feed = FEEDS[number % FEEDS.len()];
        let seen = reader.send("GET", feed, &[], b"").expect("an answer").expect(200);
        assert!(seen.text().contains(&title), "{feed} after {title}");
        let shown = api(&mut reader, key, "GET", &format!("/articles/{id}"), &[], "").expect("an answer").expect(200);
        assert_eq!(shown.json()["title"], title);
        let listed = api(&mut reader, key, "GET", "/articles?limit=1", &[], "").expect("an answer").expect(200);
        assert_eq!(listed.json()["articles"][0]["id"], id);
    }
}

#[test]
fn revisions_and_retractions_are_seen_at_once_as_well() {
    let newsroom = Newsroom::start();
    let path = format!("/articles/{}", newsroom.publish_titled("No 0"));
    for number in 1..50 {
        let title = format!("No {number}");
        let body = json!({ "title": title, "categories": ["economy"] }).to_string();
        newsroom.api("PUT", &path, &[], &body).expect(200);
        assert_eq!(newsroom.titles("/economy/feed.json"), [title]);
    }
    newsroom.api("DELETE", &path, &[], "").expect(200);
    for feed in FEEDS {
        assert_eq!(newsroom.titles(feed), [""; 0]);
    }
}

#[test]
fn a_draft_is_seen_by_the_newsroom_alone() {
    let newsroom = Newsroom::start();
    let draft = json!({ "title": "Secret", "categories": ["economy"], "status": "draft" });
    let id = id(&newsroom.publish(draft));
    assert_unseen(&newsroom, &id, "Secret");
    let shown = newsroom.api("GET", &format!("/articles/{id}"), &[], "").expect(200).json();
    assert_eq!((&shown["state"], &shown["first_public_at"]), (&json!("draft"), &json!(null)));
    let publish = json!({ "title": "Secret", "categories": ["economy"] }).to_string();
    let shown = newsroom.api("PUT", &format!("/articles/{id}"), &[], &publish).expect(200).json();
    assert_eq!(shown["state"], "published");
    assert!(shown["published_at"].is_string(), "it has the date of its publishing");
    newsroom.shows("/economy/rss.xml", &["Secret"]);
    let back = json!({ "title": "Secret", "categories": ["economy"], "status": "draft" }).to_string();
    let refused = newsroom.api("PUT", &format!("/articles/{id}"), &[], &back).expect(422);
    assert_eq!(refused.fields(), ["status"]);
}

/// Neither a feed nor a page knows of it.
#[track_caller]
fn assert_unseen(newsroom: &Newsroom, id: &str, title: &str) {
    for path in
        FEEDS.into_iter().chain(["/", "/economy", &format!("/articles/{id}/x"), &format!("/articles/{id}/print")])
    {
        let answer = newsroom.get(path, &[]);
        assert!(!answer.text().contains(title) && !answer.text().contains(id) || answer.status == 404, "{path}");
    }
}

#[test]
fn a_scheduled_article_is_published_at_its_hour_and_not_before() {
    let newsroom = Newsroom::start();
    let clock = Clock::system();
    let at = clock.now() + Duration::milliseconds(1_500);
    let article = json!({
        "title": "Embargoed", "categories": ["economy"], "published_at": at.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    let article = newsroom.publish(article);
    assert_eq!(article["state"], "scheduled");
    let id = id(&article);
    assert_unseen(&newsroom, &id, "Embargoed");
    let mut looks = 0;
    let seen_at = eventually("the article to be published", || {
        let is_seen = newsroom.titles("/economy/rss.xml") == ["Embargoed"];
        let now = clock.now();
        assert!(!is_seen || now >= at, "seen at {now}, before {at}");
        looks += 1;
        is_seen.then_some(now)
    });
    assert!(looks > 1, "it was looked for before its hour too");
    assert!(seen_at - at < Duration::seconds(5), "due {at}, seen {seen_at}");
    let shown = newsroom.api("GET", &format!("/articles/{id}"), &[], "").json();
    assert_eq!((&shown["state"], &shown["published_at"]), (&json!("published"), &article["published_at"]));
}

#[test]
fn an_article_whose_hour_passed_while_the_daemon_was_down_is_published_at_the_start() {
    let mut newsroom = Newsroom::start();
    let clock = Clock::system();
    let at = clock.now() + Duration::milliseconds(700);
    let article = json!({ "title": "Overdue", "categories": ["economy"], "published_at": at.to_rfc3339() });
    assert_eq!(newsroom.publish(article)["state"], "scheduled");
    newsroom.kill();
    eventually("the hour to pass", || (clock.now() > at).then_some(()));
    newsroom.run();
    newsroom.shows("/economy/rss.xml", &["Overdue"]);
}

/// Publishing without a daemon, by a clock that stands still: the store, and what is sent in.
struct Desk {
    _folder: TempDir,
    store: Arc<Store>,
    clock: Clock,
    publisher: Publisher,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(Store::open(folder.path()).expect("a new store"));
        let clock = Clock::test(Time::UNIX_EPOCH);
        let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 3);
        Desk { _folder: folder, store, clock, publisher }
    }

    /// Sends an article that is to be published on a day of January 1970.
    fn push(&self, title: &str, day: u32, retry: Option<Idempotency>) -> Article {
        let site = Site {
            title: "T".into(),
            description: String::new(),
            language: "en".into(),
            base_url: "http://news.example/".parse().expect("an address"),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let categories = Categories::new(vec![Category {
            slug: tidings::domain::Slug::parse("slug", "science").expect("a slug"),
            title: "S".into(),
            description: String::new(),
            language: "en".into(),
            articles: None,
            zone: jiff::tz::TimeZone::UTC,
            limit: 50,
        }]);
        let door = Door { categories: &categories, site: &site };
        let at = format!("1970-01-{day:02}T00:00:00Z");
        let json = json!({ "title": title, "categories": ["science"], "published_at": at }).to_string();
        let draft = from_json(json.as_bytes(), &door).expect("good");
        let (article, outcome) = wait(self.publisher.push(draft, retry)).expect("taken");
        assert_eq!(outcome, Outcome::Created);
        article
    }

    fn write(&self, table: Table, key: &[u8], value: &[u8]) {
        let mut batch = Batch::default();
        batch.put(table, key, value);
        wait(self.store.commit(batch)).expect("written");
    }

    fn public(&self) -> Vec<String> {
        let page = self.store.articles(Order::Public, None, 9).expect("read");
        page.articles.into_iter().map(|article| article.content.title).collect()
    }
}

#[test]
fn by_the_clock_an_article_is_due_at_its_very_millisecond() {
    let desk = Desk::open();
    desk.push("A", 2, None);
    desk.clock.advance(Duration::days(1) - Duration::milliseconds(1));
    assert_eq!(wait(desk.publisher.release_due()).expect("released"), 0);
    assert!(desk.public().is_empty());
    desk.clock.advance(Duration::milliseconds(1));
    assert_eq!(wait(desk.publisher.release_due()).expect("released"), 1);
    assert_eq!(desk.public(), ["A"]);
    assert_eq!(desk.store.head().0, 1, "the log knows of the publishing alone");
    assert_eq!(wait(desk.publisher.release_due()).expect("released"), 0, "once");
}

/// A minted id as it stands in keys.
fn id_key(article: &Article) -> Vec<u8> {
    [&[0], &uuid::Uuid::parse_str(article.id.as_str()).expect("minted").as_bytes()[..]].concat()
}

#[test]
fn an_article_that_was_put_off_is_not_published_at_its_old_hour() {
    let desk = Desk::open();
    let article = desk.push("A", 9, None);
    // What somebody who reads the due table a moment before the article was put off still sees.
    let day_2 = (86_400_000_u64 ^ (1 << 63)).to_be_bytes();
    desk.write(Table::Due, &[b"a", &day_2[..], &id_key(&article)].concat(), b"");
    desk.clock.advance(Duration::days(2));
    assert_eq!(wait(desk.publisher.release_due()).expect("released"), 0);
    assert!(desk.public().is_empty());
    assert_eq!(desk.publisher.next_due().expect("read"), article.published_at, "the old hour is not due for ever");
    desk.clock.advance(Duration::days(6));
    assert_eq!(wait(desk.publisher.release_due()).expect("released"), 1);
}

#[test]
fn a_damaged_article_is_told_and_does_not_hold_up_the_others() {
    let desk = Desk::open();
    let damaged = desk.push("Damaged", 2, None);
    desk.push("Whole", 3, None);
    desk.write(Table::Articles, &id_key(&damaged), b"not what was written");
    desk.clock.advance(Duration::days(3));
    let told = wait(desk.publisher.release_due()).expect_err("damaged");
    assert!(told.detail.contains(damaged.id.as_str()), "{told}");
    assert_eq!(desk.public(), ["Whole"]);
}

#[test]
fn idempotency_keys_are_forgotten_as_fast_as_they_come() {
    let desk = Desk::open();
    for number in 0..200_u8 {
        desk.push("A", 2, Some(Idempotency { digest: [number; 32], request: [0; 32] }));
    }
    desk.clock.advance(Duration::hours(49));
    wait(desk.publisher.release_due()).expect("released");
    assert_eq!(desk.store.count_due(Due::Replay, 999).expect("read"), 0);
}

#[test]
fn an_id_is_kept_to_the_letter_whatever_happens_to_the_article() {
    let mut newsroom = Newsroom::start();
    let foreign = "https://old.example/?p=12&x=ä";
    let mut article = json!({ "id": foreign, "title": "Imported", "categories": ["economy"] });
    assert_eq!(id(&newsroom.publish(article.clone())), foreign);
    let minted = newsroom.publish_titled("Minted");
    let guids = |newsroom: &Newsroom, feed: &str| {
        let mut guids: Vec<String> = newsroom.feed(feed).entries.iter().map(|entry| entry.id.clone()).collect();
        guids.sort();
        guids
    };
    // Of the formats Atom alone has an id for the feed.
    let all = |newsroom: &Newsroom| {
        let feeds = ["/atom.xml", "/economy/atom.xml", "/tags/water/atom.xml"].map(|feed| newsroom.feed(feed).id);
        (FEEDS.map(|feed| guids(newsroom, feed)), feeds)
    };
    let before = all(&newsroom);
    assert_eq!(before.0[0], [foreign.to_owned(), format!("urn:uuid:{minted}")]);

    article["title"] = "Another title".into();
    article["categories"] = json!(["science", "economy"]);
    article["published_at"] = "2001-01-01T00:00:00Z".into();
    article["url"] = "https://new.example/other".into();
    newsroom.api("POST", "/articles", &[], &article.to_string()).expect(200);
    newsroom.stop();
    newsroom.configure(Setup { base_url: Some("https://moved.example/news/"), ..Setup::default() });
    newsroom.run();
    // The article came to be in another category as well.
    let (items, feeds) = all(&newsroom);
    assert_eq!((&items[..6], &feeds), (&before.0[..6], &before.1));
    assert!(newsroom.get("/rss.xml", &[]).text().contains("https://moved.example/news/articles/"));
    // And in a store that was made of an export.
    let dump = newsroom.path("dump.jsonl").display().to_string();
    newsroom.cli(&["export", "--output", &dump]).good();
    let mut restored = Newsroom::prepare(Setup { base_url: Some("http://restored.example/"), ..Setup::default() });
    restored.cli(&["import", &dump]).good();
    restored.run();
    assert_eq!(all(&restored), (items, feeds));
}

#[test]
fn an_article_moved_to_another_category_leaves_the_first() {
    let newsroom = Newsroom::start();
    let path = format!("/articles/{}", newsroom.publish_titled("Wanders"));
    newsroom.shows("/economy/rss.xml", &["Wanders"]);
    let moved = json!({ "title": "Wanders", "categories": ["science"] }).to_string();
    newsroom.api("PUT", &path, &[], &moved).expect(200);
    assert_eq!(newsroom.titles("/economy/rss.xml"), [""; 0]);
    assert_eq!(newsroom.titles("/science/rss.xml"), ["Wanders"]);
    assert_eq!(newsroom.titles("/rss.xml"), ["Wanders"]);
}

#[test]
fn a_flood_of_known_articles_under_other_ids_or_dates_is_refused_until_it_is_meant() {
    let newsroom = Newsroom::with(Setup { feeds: "flood_max = 3", ..Setup::default() });
    let article = |n: usize, name: &str| {
        json!({
            "title": format!("No. {n}"), "external_id": format!("{name}:{n}"), "categories": ["economy"],
            "url": format!("https://paper.example/{n}"), "published_at": format!("2026-02-0{}T00:00:00Z", n + 1),
        })
    };
    let push = |article: &Value| newsroom.api("POST", "/articles", &[], &article.to_string());
    let ids: Vec<String> = (0..8).map(|n| id(&push(&article(n, "old")).expect(201).json())).collect();
    let before = newsroom.get("/economy/rss.xml", &[]).expect(200).body;

    // The same articles once more, from a system that calls them otherwise.
    for n in 0..3 {
        push(&article(n, "new")).expect(201);
    }
    let refused = push(&article(3, "new")).expect(409).json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("under another id") && text.contains("No. 3")));
    assert_eq!(newsroom.titles("/economy/rss.xml").len(), 8 + 3, "nothing of it was taken");
    assert_ne!(newsroom.get("/economy/rss.xml", &[]).body, before);

    // Edits that say nothing of dates pass; a fourth other date does not.
    let edit = |n: usize, at: &str| {
        let mut article = article(n, "old");
        article["published_at"] = at.into();
        newsroom.api("PUT", &format!("/articles/{}", ids[n]), &[], &article.to_string())
    };
    for (n, known) in ids.iter().enumerate() {
        let mut same = article(n, "old");
        same["title"] = format!("No. {n}, mended").into();
        newsroom.api("PUT", &format!("/articles/{known}"), &[], &same.to_string()).expect(200);
    }
    for n in 0..3 {
        edit(n, "2026-03-01T00:00:00Z").expect(200);
    }
    assert!(edit(3, "2026-03-01T00:00:00Z").expect(409).text().contains("another date"));
    push(&json!({ "title": "News", "categories": ["economy"] })).expect(201);

    assert!(newsroom.cli(&["flood", "accept"]).good().starts_with("until "));
    edit(3, "2026-03-01T00:00:00Z").expect(200);
    push(&article(3, "new")).expect(201);
}
