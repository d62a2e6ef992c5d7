//! Feeds as readers get them: what stands in them, and what HTTP says about them.

use crate::harness::{Answer, FEEDS, Newsroom, Setup, eventually, needed, parsed, project, titles};
use chrono::{DateTime, Duration, Utc};
use feed_rs::model::Entry;
use serde_json::{Value, json};
use std::process::Command;
use tidings::domain::Clock;

/// The relation that marks an item's print view.
const PRINT_REL: &str = "urn:tidings:rel:print";

fn full(newsroom: &Newsroom) -> Value {
    newsroom.publish(json!({
        "title": "Rates & <b>prices</b>", "summary": "What < changed & why.", "categories": ["economy", "science"],
        "body_html": "<p>Rates went <em>up</em>.</p>", "authors": ["Ann Author", "Ben Byline"], "tags": ["bank"],
        "published_at": "2024-02-03T04:05:06Z",
    }))
}

fn html(entry: &Entry) -> String {
    entry.content.as_ref().and_then(|content| content.body.clone()).unwrap_or_default()
}

#[test]
fn an_article_says_the_same_in_all_three_formats() {
    let newsroom = Newsroom::start();
    let article = full(&newsroom);
    let page = article["links"]["page"].as_str().expect("an address");
    let print = article["links"]["print"].as_str().expect("an address");
    for path in FEEDS {
        let feed = newsroom.feed(path);
        assert_eq!(feed.title.as_ref().map(|title| title.content.contains("Test News")), Some(true), "{path}");
        let [entry] = &feed.entries[..] else { panic!("{path}: {feed:?}") };
        assert_eq!(entry.title.as_ref().map(|title| title.content.as_str()), Some("Rates & <b>prices</b>"), "{path}");
        assert_eq!(entry.id, format!("urn:uuid:{}", article["id"].as_str().expect("text")), "{path}");
        assert!(entry.links.iter().any(|link| link.href == page), "{path}: {:?}", entry.links);
        assert_eq!(entry.published, Some("2024-02-03T04:05:06Z".parse().expect("a date")), "{path}");
        let summary = entry.summary.as_ref().map(|text| text.content.clone()).unwrap_or_default();
        let plain = summary.replace("&lt;", "<").replace("&amp;", "&");
        assert_eq!(plain, "What < changed & why.", "{path}");
        let html = html(entry);
        assert!(html.starts_with("<p>Rates went <em>up</em>.</p>"), "{path}: {html}");
        assert!(html.ends_with(&format!("<p><a href=\"{print}\">Print</a></p>")), "{path}: {html}");
        let authors: Vec<&str> = entry.authors.iter().filter_map(|person| person.name.as_deref()).collect();
        assert_eq!(authors, ["Ann Author", "Ben Byline"], "{path}");
        let labels: Vec<&str> = entry.categories.iter().map(|category| category.term.as_str()).collect();
        assert_eq!(labels, ["Economy", "Science", "bank"], "{path}");
    }
}

#[test]
fn the_print_link_is_there_for_programs_too() {
    let newsroom = Newsroom::with(Setup { site: "print_line = false", ..Setup::default() });
    let article = full(&newsroom);
    let print = article["links"]["print"].as_str().expect("an address");
    let atom = newsroom.feed("/atom.xml");
    let links = &atom.entries[0].links;
    assert!(links.iter().any(|link| link.rel.as_deref() == Some(PRINT_REL) && link.href == print), "{links:?}");
    let rss = newsroom.get("/rss.xml", &[]).text();
    let item = &rss[rss.find("<item>").expect("an item")..];
    let link = item.split("<atom:link").nth(1).and_then(|rest| rest.split('>').next()).expect("a link of the item");
    assert!(link.contains(&format!("rel=\"{PRINT_REL}\"")) && link.contains(&format!("href=\"{print}\"")), "{link}");
    let json = newsroom.get("/feed.json", &[]).json();
    let named = json["items"][0].as_object().expect("an item").iter();
    let extension: Vec<_> =
        named.filter(|(name, _)| name.starts_with('_')).map(|(_, value)| value.to_string()).collect();
    assert!(extension.iter().any(|text| text.contains(print)), "{extension:?}");
    for path in FEEDS {
        assert_eq!(html(&newsroom.feed(path).entries[0]), "<p>Rates went <em>up</em>.</p>", "the line is turned off");
    }
}

#[test]
fn a_headline_without_a_body_is_an_item_with_title_and_link() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("Only a headline");
    for path in FEEDS {
        let feed = newsroom.feed(path);
        assert_eq!(titles(&feed), ["Only a headline"], "{path}");
        assert!(!feed.entries[0].links.is_empty(), "{path}");
    }
}

#[test]
fn items_stand_newest_first_up_to_the_limit() {
    let mut newsroom = Newsroom::prepare(Setup::default());
    newsroom.write("feeds/economy.toml", "title = \"Economy\"\nlimit = 3\n");
    newsroom.run();
    for day in [3, 1, 5, 2, 4] {
        let date = format!("2024-01-0{day}T00:00:00Z");
        newsroom.publish(json!({ "title": format!("Day {day}"), "categories": ["economy"], "published_at": date }));
    }
    for path in &FEEDS[3..] {
        assert_eq!(newsroom.titles(path), ["Day 5", "Day 4", "Day 3"], "{path}");
    }
}

#[test]
fn a_reader_that_has_the_feed_is_told_so() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    for path in FEEDS {
        let plain = newsroom.get(path, &[]).expect(200);
        let gzip = newsroom.get(path, &[("Accept-Encoding", "gzip")]).expect(200);
        let tag = |answer: &Answer| answer.header("etag").expect("a tag").to_owned();
        assert!(tag(&plain).starts_with('"'), "strong: {}", tag(&plain));
        assert_ne!(tag(&plain), tag(&gzip), "other bytes, another tag");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert_eq!(gunzip(&gzip.body), plain.body, "{path}");
        for answer in [&plain, &gzip] {
            assert_eq!(
                answer.header("vary").map(str::to_ascii_lowercase).as_deref(),
                Some("accept-encoding, sec-fetch-dest")
            );
        }
        let weak = format!("W/{}", tag(&plain));
        let list = format!("\"x\", {}", tag(&plain));
        for known in [&tag(&plain), &weak, &list] {
            let answer = newsroom.get(path, &[("If-None-Match", known)]).expect(304);
            assert!(answer.body.is_empty());
            assert_eq!(tag(&answer), tag(&plain), "a 304 carries the tag");
            assert!(answer.header("vary").is_some());
        }
        newsroom.get(path, &[("If-None-Match", &tag(&gzip)), ("Accept-Encoding", "gzip")]).expect(304);
        newsroom.get(path, &[("If-None-Match", "\"x\"")]).expect(200);
        let head = newsroom.client().send("HEAD", path, &[], b"").expect("an answer").expect(200);
        assert_eq!(tag(&head), tag(&plain));
        assert_eq!(head.header("content-length"), Some(plain.body.len().to_string().as_str()));
        let posted = newsroom.client().send("POST", path, &[], b"").expect("an answer").expect(405);
        assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    }
    let before = newsroom.get("/rss.xml", &[]).header("etag").expect("a tag").to_owned();
    newsroom.publish_titled("Two");
    newsroom.get("/rss.xml", &[("If-None-Match", &before)]).expect(200);
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.last_chunk::<4>().map(|tail| u32::from_le_bytes(*tail)).expect("gzip ends in the length");
    let mut out = vec![0; usize::try_from(length).expect("small")];
    let written = libdeflater::Decompressor::new().gzip_decompress(bytes, &mut out).expect("gzip");
    out.truncate(written);
    out
}

#[test]
fn last_modified_is_the_time_of_the_last_change_of_this_feed() {
    let newsroom = Newsroom::start();
    let clock = Clock::system();
    let before = clock.now();
    newsroom.publish_titled("One");
    let after = clock.now();
    let modified = |path: &str| -> Option<DateTime<Utc>> {
        let answer = newsroom.get(path, &[]).expect(200);
        answer.header("last-modified").map(|text| DateTime::parse_from_rfc2822(text).expect("a date").to_utc())
    };
    // In the second of a change the date proves nothing, and is left out.
    let date = eventually("the second to be over", || modified("/economy/rss.xml"));
    let second = Duration::seconds(1);
    assert!(before - second < date && date <= after, "{before} {date} {after}");
    let http = httpdate::fmt_http_date(date.into());
    newsroom.get("/economy/rss.xml", &[("If-Modified-Since", &http)]).expect(304);
    let earlier = httpdate::fmt_http_date((date - second).into());
    newsroom.get("/economy/rss.xml", &[("If-Modified-Since", &earlier)]).expect(200);
    // The tag decides where both are given.
    newsroom.get("/economy/rss.xml", &[("If-Modified-Since", &http), ("If-None-Match", "\"x\"")]).expect(200);
    newsroom.publish(json!({ "title": "Elsewhere", "categories": ["science"] }));
    eventually("the second to be over", || modified("/science/rss.xml"));
    assert_eq!(modified("/economy/rss.xml"), Some(date), "another category's change is not this one's");
}

#[test]
fn validators_survive_a_restart() {
    let mut newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    let validators = |newsroom: &Newsroom| {
        eventually("the second to be over", || {
            let answers: Vec<Answer> = FEEDS.iter().map(|path| newsroom.get(path, &[]).expect(200)).collect();
            let of = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
            let all = answers.iter().map(|answer| Some((of(answer, "etag")?, of(answer, "last-modified")?)));
            all.collect::<Option<Vec<_>>>()
        })
    };
    let before = validators(&newsroom);
    newsroom.stop();
    newsroom.run();
    assert_eq!(validators(&newsroom), before);
}

#[test]
fn what_a_client_sends_as_host_ends_up_in_no_link() {
    let newsroom = Newsroom::start();
    let id = newsroom.publish_titled("One");
    let mut client = newsroom.client();
    client.host = "evil.example".to_owned();
    let forwarded = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];
    let pages =
        ["/", "/economy", "/subscribe", &format!("/articles/{id}/one"), &format!("/articles/{id}/print"), "/nothing"];
    for path in FEEDS.into_iter().chain(pages) {
        let answer = client.send("GET", path, &forwarded, b"").expect("an answer");
        assert!(!answer.text().contains("evil.example"), "{path}");
        assert!(answer.header("location").is_none_or(|to| !to.contains("evil")), "{path}");
    }
    let body = json!({ "title": "Two", "categories": ["economy"], "body_html": "<a href='/x'>x</a>" }).to_string();
    let answer =
        crate::harness::api(&mut client, newsroom.key(), "POST", "/articles", &forwarded, &body).expect("an answer");
    assert!(
        !answer.text().contains("evil.example") && answer.header("location").is_some_and(|to| !to.contains("evil"))
    );
}

#[test]
fn media_types_are_those_of_the_standards() {
    let newsroom = Newsroom::start();
    for (path, media_type) in [
        ("/rss.xml", "application/rss+xml; charset=utf-8"),
        ("/economy/atom.xml", "application/atom+xml; charset=utf-8"),
        ("/feed.json", "application/feed+json; charset=utf-8"),
    ] {
        assert_eq!(newsroom.get(path, &[]).header("content-type"), Some(media_type));
    }
    newsroom.get("/nobody/rss.xml", &[]).expect(404);
    newsroom.get("/rss.xml/", &[]).expect(404);
}

#[test]
fn the_sample_newsroom_has_good_feeds() {
    let sample = project().join("examples/newsroom/articles/science");
    let mut newsroom = Newsroom::prepare(Setup::default());
    let mut count = 0;
    for entry in std::fs::read_dir(sample).expect("the sample").flatten() {
        let to = newsroom.path("articles/science").join(entry.file_name());
        std::fs::copy(entry.path(), to).expect("writable");
        count += 1;
    }
    newsroom.run();
    for path in ["/science/rss.xml", "/science/atom.xml", "/science/feed.json"] {
        let feed = newsroom.feed(path);
        assert_eq!(feed.entries.len(), count, "{path}");
        let dates: Vec<_> = feed.entries.iter().map(|entry| entry.published).collect();
        assert!(dates.is_sorted_by(|a, b| a >= b), "{path}: newest first");
    }
}

/// Needs `TIDINGS_PYTHON`, a Python that has feedparser; `scripts/test` sees to it.
#[test]
fn feedparser_reads_the_feeds_without_a_complaint() {
    let Some(python) = needed(std::env::var_os("TIDINGS_PYTHON"), "TIDINGS_PYTHON") else { return };
    let newsroom = Newsroom::start();
    let article = full(&newsroom);
    newsroom.publish(
        json!({ "title": "]]> &amp; \u{202e}x\u{202c} 🦀", "body_html": "a ]]> b", "categories": ["economy"] }),
    );
    newsroom.publish_titled("Only a headline");
    for path in ["/economy/rss.xml", "/economy/atom.xml"] {
        let answer = newsroom.get(path, &[]).expect(200);
        parsed(path, &answer.body);
        newsroom.write("fetched.xml", &answer.text());
        let output = Command::new(&python)
            .arg(project().join("tests/read_feed.py"))
            .arg(newsroom.path("fetched.xml"))
            .arg(answer.header("content-type").expect("a type"))
            .output()
            .expect("Python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(read["complaint"], Value::Null, "{path}");
        let titles: Vec<_> = read["entries"].as_array().expect("a list").iter().map(|entry| &entry["title"]).collect();
        assert_eq!(titles[..2], ["Only a headline", "]]> &amp; \u{202e}x\u{202c} 🦀"], "{path}");
        let entry = &read["entries"][2];
        assert_eq!(entry["link"], article["links"]["page"], "{path}");
        assert_eq!(entry["id"], format!("urn:uuid:{}", article["id"].as_str().expect("text")), "{path}");
        assert_eq!(entry["published"], "2024-02-03T04:05:06Z", "{path}");
        assert_eq!(entry["print"], article["links"]["print"], "{path}");
        assert!(entry["content"].as_str().is_some_and(|html| html.contains("<em>up</em>")), "{path}: {entry}");
    }
}

#[test]
fn caches_and_readers_are_told_how_often_a_feed_changes() {
    let newsroom = Newsroom::start();
    for n in 0..4 {
        for (category, at) in
            [("science", format!("2026-01-{:02}T00:00:00Z", 1 + 7 * n)), ("economy", format!("2026-01-01T00:0{n}:00Z"))]
        {
            newsroom.publish(json!({ "title": format!("No. {n}"), "categories": [category], "published_at": at }));
        }
    }
    let told = |fresh_s: u32| {
        Some(format!("public, max-age={fresh_s}, stale-while-revalidate={}, stale-if-error=86400", 2 * fresh_s))
    };
    for (category, fresh_s, ttl_min, period, frequency) in
        [("science", 900, 1_440, "daily", 1), ("economy", 30, 15, "hourly", 4)]
    {
        let path = format!("/{category}/rss.xml");
        let feed = newsroom.get(&path, &[]).expect(200);
        let tag = feed.header("etag").expect("a tag").to_owned();
        let known = newsroom.get(&path, &[("If-None-Match", &tag)]).expect(304);
        let head = newsroom.client().send("HEAD", &path, &[], b"").expect("an answer").expect(200);
        for answer in [&feed, &known, &head] {
            assert_eq!(answer.header("cache-control").map(str::to_owned), told(fresh_s), "{category}");
        }
        for expected in [
            format!("<ttl>{ttl_min}</ttl>"),
            format!("<sy:updatePeriod>{period}</sy:updatePeriod>"),
            format!("<sy:updateFrequency>{frequency}</sy:updateFrequency>"),
        ] {
            assert!(feed.text().contains(&expected), "{category}: no {expected} in {}", feed.text());
        }
    }
}

#[test]
fn every_answer_with_a_feed_says_what_it_depends_on_and_lets_nothing_run() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    for path in FEEDS {
        let before = newsroom.get(path, &[]).expect(200).header("etag").expect("a tag").to_owned();
        newsroom.publish_titled("Two");
        let whole = newsroom.get(path, &[]).expect(200);
        let tag = whole.header("etag").expect("a tag").to_owned();
        let part = newsroom.get(path, &[("Range", "bytes=0-9")]).expect(206);
        let difference = newsroom.get(path, &[("A-IM", "feed"), ("If-None-Match", &before)]).expect(226);
        let known = newsroom.get(path, &[("If-None-Match", &tag)]).expect(304);
        let head = newsroom.client().send("HEAD", path, &[("Range", "bytes=0-9")], b"").expect("an answer");
        for answer in [&whole, &part, &known, &head.expect(200)] {
            assert_eq!(answer.header("vary"), Some("accept-encoding, sec-fetch-dest"), "{path} {}", answer.status);
        }
        // No cache keeps a difference for somebody else.
        assert_eq!(difference.header("cache-control"), Some("no-store, im"), "{path}");
        for answer in [&whole, &part, &difference] {
            let policy = answer.header("content-security-policy");
            assert_eq!(policy, Some("default-src 'none'; style-src 'self'"), "{path} {}", answer.status);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path} {}", answer.status);
        }
    }
}

#[test]
fn an_edit_moves_the_date_of_the_change_and_no_other() {
    let newsroom = Newsroom::start();
    let written = json!({ "title": "One", "categories": ["economy"], "published_at": "2026-01-02T03:04:05Z" });
    let article = newsroom.publish(written.clone());
    let dates = |path: &str| {
        let entry = parsed(path, &newsroom.get(path, &[]).expect(200).body).entries.remove(0);
        (entry.published, entry.updated)
    };
    let published: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().expect("a date");
    for path in FEEDS {
        assert_eq!(dates(path).0, Some(published), "{path}");
    }
    let mut mended = written;
    mended["title"] = "One, mended".into();
    let started = Clock::system().now();
    let path = format!("/articles/{}", article["id"].as_str().expect("an id"));
    newsroom.api("PUT", &path, &[], &mended.to_string()).expect(200);
    for path in FEEDS {
        let (now, updated) = dates(path);
        assert_eq!(now, Some(published), "{path}: it came out when it did");
        // RSS has no date of a change.
        if !path.ends_with("rss.xml") {
            assert!(updated.is_some_and(|updated| updated >= started - Duration::seconds(1)), "{path}: {updated:?}");
        }
    }
}
