//! Feeds as aggregators poll them: any selection, three codings, parts, differences, pages and archives; and as a person
//! sees them who opens their address.

use crate::harness::{Answer, Newsroom, id};
use feed_rs::model::Feed;
use serde_json::{Value, json};

fn read(answer: &Answer) -> Feed {
    feed_rs::parser::parse(answer.body.as_slice()).expect("a feed")
}

fn titles(answer: &Answer) -> Vec<String> {
    read(answer).entries.into_iter().map(|entry| entry.title.expect("a title").content).collect()
}

fn put(newsroom: &Newsroom, id: &str, article: Value) {
    newsroom.api("PUT", &format!("/articles/{id}"), &[], &article.to_string()).expect(200);
}

/// What an address below the site's base is asked for by.
fn path_of(newsroom: &Newsroom, address: &str) -> String {
    format!("/{}", address.strip_prefix(&newsroom.base_url()).unwrap_or_else(|| panic!("{address} is elsewhere")))
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("a tag").to_owned()
}

#[test]
fn every_mix_of_terms_has_feeds_under_one_address() {
    let newsroom = Newsroom::start();
    for (title, category, tags, author) in [
        ("One", "science", ["Water", "Ice"], "A. Ivanov"),
        ("Two", "science", ["Fire", "Ice"], "B. Lee"),
        ("Three", "economy", ["Water", "Gold"], "B. Lee"),
    ] {
        newsroom.publish(json!({ "title": title, "categories": [category], "tags": tags, "authors": [author] }));
    }
    for (folder, expected) in [
        ("/tags/water/", &["Three", "One"][..]),
        ("/authors/b.%20lee/", &["Three", "Two"]),
        ("/languages/en/", &["Three", "Two", "One"]),
        ("/tags/water/summary/", &["Three", "One"]),
        ("/tags/nobody/", &[]),
    ] {
        for file in ["rss.xml", "atom.xml", "feed.json"] {
            assert_eq!(titles(&newsroom.get(&format!("{folder}{file}"), &[]).expect(200)), expected, "{folder}{file}");
        }
    }
    let mixed = "/search/rss.xml?q=category%3Ascience+AND+NOT+tag%3Afire";
    assert_eq!(titles(&newsroom.get(mixed, &[]).expect(200)), ["One"]);
    for other in
        ["/search/rss.xml?q=not(tag:fire)and+category:science", "/search/rss.xml?q=category:science+AND+NOT+tag:FIRE"]
    {
        let moved = newsroom.get(other, &[]).expect(308);
        assert!(moved.header("location").expect("an address").ends_with(mixed), "{other}");
    }
    // A change that moves an article from one selection to another shows in both.
    let article = newsroom.publish(json!({ "title": "Four", "categories": ["science"], "tags": ["fire"] }));
    assert_eq!(titles(&newsroom.get(mixed, &[]).expect(200)), ["One"]);
    put(&newsroom, &id(&article), json!({ "title": "Four", "categories": ["science"], "tags": ["water"] }));
    assert_eq!(titles(&newsroom.get(mixed, &[]).expect(200)), ["Four", "One"]);
    assert_eq!(titles(&newsroom.get("/tags/fire/rss.xml", &[]).expect(200)), ["Two"]);
    assert_eq!(newsroom.get("/search/rss.xml?q=tag:a+AND", &[]).expect(400).fields(), ["q"]);
    assert_eq!(newsroom.get("/search/rss.xml?q=category:nosuch", &[]).expect(404).fields(), ["category"]);
    assert_eq!(newsroom.get("/nosuch/rss.xml", &[]).expect(404).fields(), ["category"]);
    newsroom.get("/rss.xml?after=xyz", &[]).expect(400);
}

#[test]
fn a_summary_feed_says_less_and_has_an_identity_of_its_own() {
    let newsroom = Newsroom::start();
    let body = "<p>The first sentence says it all. Then comes all the rest of it.</p>".repeat(20);
    newsroom.publish(json!({ "title": "Long", "categories": ["science"], "body_html": body }));
    for file in ["rss.xml", "atom.xml", "feed.json"] {
        let full = newsroom.get(&format!("/science/{file}"), &[]).expect(200);
        let short = newsroom.get(&format!("/science/summary/{file}"), &[]).expect(200);
        assert!(short.body.len() * 2 < full.body.len(), "{file}");
        assert!(short.text().contains("The first sentence says it all"), "{file}");
        assert_eq!(read(&short).entries[0].id, read(&full).entries[0].id, "{file}: it is the same article");
    }
    let id = |path: &str| read(&newsroom.get(path, &[])).id;
    assert_ne!(id("/science/atom.xml"), id("/science/summary/atom.xml"));
}

#[test]
fn each_coding_is_sent_to_who_wants_it_with_a_tag_of_its_own() {
    let newsroom = Newsroom::start();
    newsroom.publish(json!({ "title": "One", "categories": ["science"], "body_html": "<p>again</p>".repeat(500) }));
    let ask = |accept: &str| newsroom.get("/rss.xml", &[("Accept-Encoding", accept)]).expect(200);
    // Who takes them all, as browsers do, never waits for those that take long, nor is sent away.
    for n in 0..5 {
        for more in [&[][..], &[("A-IM", "feed")]] {
            newsroom.publish_titled(&format!("No. {n}"));
            let asked = [&[("Accept-Encoding", "gzip, deflate, br, zstd")], more].concat();
            assert!(newsroom.get("/rss.xml", &asked).expect(200).header("content-encoding").is_some());
        }
    }
    let plain = newsroom.get("/rss.xml", &[]).expect(200);
    let mut tags = vec![tag(&plain)];
    for coding in ["br", "zstd"] {
        // What takes long to make is begun by the first who asks, and that one gets gzip meanwhile.
        let accept = format!("{coding}, gzip;q=0.1");
        let packed = crate::harness::eventually(coding, || {
            Some(ask(&accept)).filter(|answer| answer.header("content-encoding") == Some(coding))
        });
        let unpacked = match coding {
            "br" => {
                let mut out = Vec::new();
                brotli::BrotliDecompress(&mut packed.body.as_slice(), &mut out).expect("brotli");
                out
            }
            _ => zstd::bulk::decompress(&packed.body, 1 << 20).expect("zstd"),
        };
        assert_eq!(unpacked, plain.body);
        tags.push(tag(&packed));
        newsroom.get("/rss.xml", &[("Accept-Encoding", coding), ("If-None-Match", &tag(&packed))]).expect(304);
    }
    tags.push(tag(&ask("gzip")));
    let count = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count, "four representations, four tags");
    newsroom.get("/rss.xml", &[("If-None-Match", &tag(&ask("gzip")))]).expect(200);
}

#[test]
fn a_part_is_the_part_and_only_of_what_the_client_holds() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    let whole = newsroom.get("/rss.xml", &[]).expect(200);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let part = newsroom.get("/rss.xml", &[("Range", "bytes=10-19")]).expect(206);
    assert_eq!(part.body, whole.body[10..20]);
    assert_eq!(part.header("content-range"), Some(format!("bytes 10-19/{}", whole.body.len()).as_str()));
    assert_eq!(tag(&part), tag(&whole));
    newsroom.get("/rss.xml", &[("Range", "bytes=0-9"), ("If-Range", &tag(&whole))]).expect(206);
    newsroom.get("/rss.xml", &[("Range", "bytes=0-9"), ("If-Range", "\"x\"")]).expect(200);
    newsroom.get("/rss.xml", &[("Range", "bytes=0-9"), ("If-None-Match", &tag(&whole))]).expect(304);
    let none = newsroom.get("/rss.xml", &[("Range", "bytes=999999-")]).expect(416);
    assert_eq!(none.header("content-range"), Some(format!("bytes */{}", whole.body.len()).as_str()));
    let several = newsroom.get("/rss.xml", &[("Range", "bytes=0-1,4-5")]).expect(200);
    assert_eq!(several.body, whole.body);
}

#[test]
fn a_reader_that_takes_differences_gets_what_it_has_not_seen() {
    let newsroom = Newsroom::start();
    for title in ["One", "Two", "Three"] {
        newsroom.publish_titled(title);
    }
    for path in ["/rss.xml", "/atom.xml", "/feed.json"] {
        let before = tag(&newsroom.get(path, &[("A-IM", "feed")]).expect(200));
        let poll = |known: &str, more: &[(&str, &str)]| {
            let headers = [&[("A-IM", "feed"), ("If-None-Match", known)], more].concat();
            newsroom.get(path, &headers)
        };
        poll(&before, &[]).expect(304);
        let body = "<p>again</p>".repeat(200);
        let new = newsroom.publish(json!({ "title": "New", "categories": ["economy"], "body_html": body }));
        let difference = poll(&before, &[]).expect(226);
        assert_eq!(titles(&difference), ["New"], "{path}");
        let packed = poll(&before, &[("Accept-Encoding", "gzip")]).expect(226);
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(crate::feeds::gunzip(&packed.body), difference.body, "{path}");
        assert_ne!(tag(&packed), tag(&difference), "{path}: other bytes");
        assert_eq!(difference.header("im"), Some("feed"));
        assert_eq!(difference.header("cache-control"), Some("no-store, im"));
        let now = newsroom.get(path, &[]).expect(200);
        assert_eq!(tag(&difference), tag(&now), "the tag is that of the whole");
        poll(&tag(&difference), &[]).expect(304);
        // From the gzip of the same state too, and as gzip.
        let zipped = tag(&newsroom.get(path, &[("Accept-Encoding", "gzip")]).expect(200));
        put(&newsroom, &id(&new), json!({ "title": "Newer", "categories": ["economy"] }));
        assert_eq!(titles(&poll(&zipped, &[])), ["Newer"], "{path}: an edit is a difference");
        // What is not remembered, or not asked for, is sent whole.
        assert!(titles(&poll("\"x\"", &[]).expect(200)).len() > 3);
        newsroom.get(path, &[("If-None-Match", &before)]).expect(200);
        newsroom.get(path, &[("A-IM", "vcdiff"), ("If-None-Match", &before)]).expect(200);
    }
}

#[test]
fn pages_and_archives_lead_to_everything_there_ever_was() {
    let newsroom = Newsroom::start();
    // Two days with more than a feedful, one in between with less, and today.
    let feedful = 50;
    let mut all = Vec::new();
    for (day, count) in [("2026-01-02", 2 * feedful + 5), ("2026-01-05", 3), ("2026-02-01", feedful + 1)] {
        for n in 0..count {
            let title = format!("{day} no. {n}");
            let at = format!("{day}T{:02}:{:02}:00Z", n / 60, n % 60);
            newsroom.publish(json!({ "title": title, "categories": ["science"], "published_at": at }));
            all.push(title);
        }
    }
    newsroom.publish(json!({ "title": "Today", "categories": ["science"] }));
    all.push("Today".to_owned());
    all.reverse();
    let href = |answer: &Answer, rel: &str| {
        let link = read(answer).links.into_iter().find(|link| link.rel.as_deref() == Some(rel));
        link.map(|link| path_of(&newsroom, &link.href))
    };
    for whose in ["/science", "/search/"] {
        let of = |file: &str| match whose {
            "/science" => format!("/science/{file}"),
            _ => format!("/search/{file}?q=NOT+category%3Aeconomy"),
        };
        // By pages.
        let (mut seen, mut next) = (Vec::new(), Some(of("atom.xml")));
        while let Some(path) = next {
            let page = newsroom.get(&path, &[]).expect(200);
            seen.extend(titles(&page));
            next = href(&page, "next");
        }
        assert_eq!(seen, all, "by the pages of {whose}");
        // By what the feed shows, and then the archive.
        let newest = newsroom.get(&of("atom.xml"), &[]).expect(200);
        let (mut seen, mut older) = (titles(&newest), href(&newest, "prev-archive"));
        let mut newer = None;
        let mut volumes = Vec::new();
        while let Some(path) = older {
            let volume = newsroom.get(&path, &[]).expect(200);
            assert!(volume.text().contains("<fh:archive"), "{path}");
            assert_eq!(href(&volume, "current"), Some(of("atom.xml")), "{path}");
            assert_eq!(href(&volume, "next-archive"), newer, "{path}");
            let more = titles(&volume);
            seen.extend(more.into_iter().filter(|title| !titles(&newest).contains(title)));
            volumes.push((path.clone(), tag(&volume)));
            newer = Some(path);
            older = href(&volume, "prev-archive");
        }
        assert_eq!(volumes.len(), 2 + 1 + 3, "of {whose}");
        assert_eq!(seen, all, "by the archive of {whose}");
        // Nothing that is published later changes them.
        newsroom.publish(json!({ "title": "Later", "categories": ["science"] }));
        for (path, before) in volumes {
            assert_eq!(tag(&newsroom.get(&path, &[]).expect(200)), before, "{path}");
        }
        all.insert(0, "Later".to_owned());
    }
    newsroom.get("/science/archive/2026-01-03/1/atom.xml", &[]).expect(404);
    newsroom.get("/science/archive/2026-01-02/4/atom.xml", &[]).expect(404);
    newsroom.get("/science/archive/2026-01-02/4000000000/atom.xml", &[]).expect(404);
    newsroom.get("/science/archive/9999-12-31/1/atom.xml", &[]).expect(404);
    // JSON Feed goes on as well, and by pages alone.
    let first: Value = newsroom.get("/science/feed.json", &[]).expect(200).json();
    let next = first["next_url"].as_str().expect("there is more");
    assert_ne!(next, first["feed_url"]);
    assert_eq!(
        newsroom.get(&path_of(&newsroom, next), &[]).expect(200).json()["items"].as_array().map(Vec::len),
        Some(50)
    );
}

#[test]
fn a_retraction_travels() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("Stays");
    let article = newsroom.publish(json!({ "title": "Goes", "categories": ["economy"] }));
    let id = &id(&article);
    let tagged = |path: &str| tag(&newsroom.get(path, &[]).expect(200));
    let before = tagged("/atom.xml");
    let page = path_of(&newsroom, article["links"]["page"].as_str().expect("a page"));
    newsroom.get(&page, &[]).expect(200);
    newsroom.api("DELETE", &format!("/articles/{id}"), &[], "").expect(200);
    assert_ne!(tagged("/atom.xml"), before);
    for path in ["/rss.xml", "/atom.xml", "/feed.json"] {
        assert_eq!(titles(&newsroom.get(path, &[]).expect(200)), ["Stays"], "{path}");
    }
    let urn = format!("urn:uuid:{id}");
    let atom = newsroom.get("/atom.xml", &[]).text();
    assert!(atom.contains(&format!("<at:deleted-entry ref=\"{urn}\" when=\"")), "{atom}");
    assert!(atom.contains("xmlns:at=\"http://purl.org/atompub/tombstones/1.0\""));
    let json = newsroom.get("/feed.json", &[]).json();
    assert_eq!(json["_tidings"]["retracted"][0]["id"], urn.as_str());
    assert!(!newsroom.get("/rss.xml", &[]).text().contains(&urn));
    let gone = newsroom.get(&page, &[]).expect(410);
    assert!(gone.text().contains("withdrawn"));
    // Feeds that never showed it say nothing of it.
    assert!(!newsroom.get("/science/atom.xml", &[]).expect(200).text().contains(&urn));
    put(&newsroom, id, json!({ "title": "Goes", "categories": ["economy"] }));
    assert!(!newsroom.get("/atom.xml", &[]).text().contains("deleted-entry"), "it is back");
}

#[test]
fn a_person_sees_a_page_where_a_reader_gets_the_feed() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    let browser = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];
    for path in ["/rss.xml", "/economy/atom.xml", "/feed.json", "/search/rss.xml?q=NOT+tag%3Aa"] {
        let page = newsroom.get(path, &browser).expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(page.text().contains("Copy address") && page.text().contains("One"), "{path}");
        let feed = newsroom.get(path, &[("Accept", "text/html"), ("User-Agent", "Mozilla/5.0")]).expect(200);
        assert_ne!(feed.header("content-type"), Some("text/html; charset=utf-8"), "{path}: nothing is guessed");
        for answer in [&page, &feed] {
            assert_eq!(answer.header("vary"), Some("accept-encoding, sec-fetch-dest"), "{path}");
        }
        newsroom.get(path, &[browser[0], ("If-None-Match", &tag(&page))]).expect(304);
        newsroom.get(path, &[browser[0], ("If-None-Match", &tag(&feed))]).expect(200);
    }
    let script = newsroom.get("/assets/feed.js", &[]).expect(200);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
}

#[test]
fn a_loop_that_takes_no_304_is_asked_to_wait() {
    let newsroom = Newsroom::start();
    newsroom.publish_titled("One");
    let from = |client: &'static str| newsroom.get("/rss.xml", &[("X-Forwarded-For", client)]);
    let known = tag(&from("192.0.2.7"));
    for _ in 1..60 {
        from("192.0.2.7").expect(200);
    }
    let told = from("192.0.2.7").expect(429);
    let wait: u32 = told.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((1..=600).contains(&wait), "{wait}");
    assert!(told.text().contains("If-None-Match"));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert_eq!((told.header("etag"), told.header("last-modified")), (None, None), "it is no state of the feed");
    from("192.0.2.8").expect(200);
    newsroom.get("/rss.xml", &[("X-Forwarded-For", "192.0.2.7"), ("If-None-Match", &known)]).expect(304);
    newsroom.get("/rss.xml", &[]).expect(200);
    newsroom.publish_titled("Two");
    from("192.0.2.7").expect(200);
    // Nor is the same difference sent without end.
    let again =
        || newsroom.get("/rss.xml", &[("X-Forwarded-For", "192.0.2.9"), ("A-IM", "feed"), ("If-None-Match", &known)]);
    for _ in 0..60 {
        again().expect(226);
    }
    again().expect(429);
}

#[test]
fn however_many_ask_at_once_a_feed_is_built_once() {
    let newsroom = Newsroom::start();
    for n in 0..30 {
        let body = format!("<p>No. {n}</p>").repeat(1_000);
        newsroom.publish(json!({ "title": format!("No. {n}"), "categories": ["science"], "body_html": body }));
    }
    let builds = || {
        let metrics = newsroom.get_admin("/metrics").expect(200).text();
        let count = metrics.lines().find_map(|line| line.strip_prefix("tidings_feed_builds_total "));
        count.expect("the metric").parse::<u32>().expect("a number")
    };
    let ask = || newsroom.get("/science/atom.xml", &[("Accept-Encoding", "gzip")]).expect(200);
    let all_at_once = || {
        let begin = std::sync::Barrier::new(30);
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let ask = || {
                begin.wait();
                ask()
            };
            let asking: Vec<_> = (0..30).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    };
    // From nothing, and after a change.
    for _ in 0..2 {
        let before = builds();
        all_at_once();
        assert_eq!(builds(), before + 1);
        newsroom.publish(json!({ "title": "Another", "categories": ["science"] }));
    }
}

#[test]
fn however_many_feeds_are_asked_for_they_stay_within_their_budget() {
    // A small budget and fewer feeds; the benchmark takes the real ones.
    let newsroom = Newsroom::with(crate::harness::Setup { server: "feeds_bytes_max = 1048576", ..Default::default() });
    newsroom.publish(json!({ "title": "One", "categories": ["science"], "body_html": "<p>again</p>".repeat(2_000) }));
    for n in 0..200 {
        let answer = newsroom.get(&format!("/search/rss.xml?q=NOT+tag%3At{n}"), &[]).expect(200);
        assert_eq!(titles(&answer), ["One"], "{n}");
    }
    let metrics = newsroom.get_admin("/metrics").expect(200).text();
    let held = metrics.lines().find_map(|line| line.strip_prefix("tidings_feeds_bytes ")).expect("the metric");
    assert!((1..=1_048_576).contains(&held.parse::<u32>().expect("bytes")), "{held}");
}
