//! What programs find the newsroom by: the list of feeds, sitemaps, robots.txt, and the data in an article's page.

use crate::harness::{Newsroom, Setup, id};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The document as nested lists, `[name, attributes, text, children]`, read by Python's parser.
fn xml(bytes: &[u8]) -> Value {
    let program = "import json, sys, xml.etree.ElementTree as tree\n\
        def node(n): return [n.tag, n.attrib, n.text, [node(c) for c in n]]\n\
        print(json.dumps(node(tree.fromstring(sys.stdin.buffer.read()))))";
    let mut python = Command::new("python3");
    let mut python = python.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(bytes));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn children(node: &Value) -> &[Value] {
    node[3].as_array().unwrap()
}

/// What stands in `loc` of each entry of a sitemap or index.
fn locations(newsroom: &Newsroom, path: &str) -> Vec<String> {
    let answer = newsroom.get(path, &[]).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/xml; charset=utf-8"), "{path}");
    let document = xml(&answer.body);
    children(&document).iter().map(|entry| children(entry)[0][2].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_of_feeds_has_each_once_whatever_it_is_called() {
    let newsroom = Newsroom::with(Setup { site: "description = \"\\\"<&>'\\\"\"", ..Setup::default() });
    let answer = newsroom.get("/opml.xml", &[]).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/x-opml; charset=utf-8"));
    let document = xml(&answer.body);
    let outlines = children(&children(&document)[1]);
    assert_eq!(outlines[0][1]["description"], "\"<&>'\"");
    let feeds: Vec<_> = outlines.iter().map(|outline| outline[1]["xmlUrl"].as_str().unwrap()).collect();
    let base = newsroom.base_url();
    assert_eq!(feeds, ["rss.xml", "economy/rss.xml", "science/rss.xml"].map(|path| format!("{base}{path}")));
    for feed in feeds {
        newsroom.get(&format!("/{}", feed.strip_prefix(&base).unwrap()), &[]).expect(200);
    }
    let tag = answer.header("etag").unwrap();
    newsroom.get("/opml.xml", &[("If-None-Match", tag)]).expect(304);
    assert!(
        newsroom
            .get("/subscribe", &[])
            .text()
            .contains(&format!("text/x-opml\" title=\"All feeds of Test News\" href=\"{base}opml.xml"))
    );
}

#[test]
fn sitemaps_name_every_public_page_of_this_host_and_no_other() {
    let newsroom = Newsroom::start();
    let publish = |title: &str, at: &str, url: Option<&str>| {
        let article = json!({ "title": title, "categories": ["economy"], "published_at": at, "url": url });
        newsroom.publish(article)
    };
    let old = publish("Old & <good>", "2020-05-31T23:59:59Z", None);
    let next = publish("Next", "2020-06-01T00:00:00Z", None);
    publish("Elsewhere", "2020-06-02T00:00:00Z", Some("https://paper.example/story"));
    let own = publish("Own", "2020-06-03T00:00:00Z", Some(&format!("{}stories/1?a=1&b=2", newsroom.base_url())));
    newsroom.publish(json!({ "title": "Draft", "categories": ["economy"], "status": "draft" }));
    let page = |article: &Value| article["links"]["page"].as_str().unwrap().to_owned();
    let base = newsroom.base_url();
    let expected = ["pages", "2020-06", "2020-05"].map(|name| format!("{base}sitemaps/{name}.xml"));
    assert_eq!(locations(&newsroom, "/sitemap.xml"), expected);
    assert_eq!(
        locations(&newsroom, "/sitemaps/pages.xml"),
        ["", "economy", "science"].map(|path| format!("{base}{path}"))
    );
    assert_eq!(locations(&newsroom, "/sitemaps/2020-05.xml"), [page(&old)]);
    assert_eq!(locations(&newsroom, "/sitemaps/2020-06.xml"), [own["url"].as_str().unwrap().to_owned(), page(&next)]);
    for none in ["2020-07", "2020-06.2", "2020-06.0", "2020-06.01", "x", "2020-13", "2020-06.99999999999999999999"] {
        newsroom.get(&format!("/sitemaps/{none}.xml"), &[]).expect(404);
    }
    publish("Elsewhere too", "2019-01-01T00:00:00Z", Some("https://paper.example/another"));
    assert!(locations(&newsroom, "/sitemaps/2019-01.xml").is_empty(), "what the index names is there");
    newsroom.api("DELETE", &format!("/articles/{}", id(&old)), &[], "").expect(200);
    assert_eq!(locations(&newsroom, "/sitemap.xml").len(), 3, "a retraction leaves it at once");
    newsroom.get("/sitemaps/2020-05.xml", &[]).expect(404);
    let robots = newsroom.get("/robots.txt", &[]).expect(200).text();
    assert!(robots.contains("Disallow: /subscriptions/") && robots.contains(&format!("Sitemap: {base}sitemap.xml")));
}

#[test]
fn the_news_sitemap_has_the_articles_of_two_days() {
    let newsroom = Newsroom::start();
    assert!(locations(&newsroom, "/news-sitemap.xml").is_empty());
    newsroom.publish(json!({ "title": "Old", "categories": ["economy"], "published_at": "2020-01-01T00:00:00Z" }));
    newsroom.publish(json!({ "title": "New <&>", "categories": ["economy"], "language": "ru-RU" }));
    let document = xml(&newsroom.get("/news-sitemap.xml", &[]).expect(200).body);
    let [entry] = children(&document) else { panic!("{document}") };
    let news = children(&children(entry)[1]);
    let text = |node: &Value| node[2].as_str().unwrap().to_owned();
    assert_eq!((text(&children(&news[0])[0]), text(&children(&news[0])[1])), ("Test News".into(), "ru".into()));
    assert_eq!(text(&news[2]), "New <&>");
    chrono::DateTime::parse_from_rfc3339(&text(&news[1])).unwrap();
}

#[test]
fn an_article_tells_programs_what_it_tells_people() {
    let newsroom = Newsroom::start();
    let title = "</script><!-- \u{2028} \"quoted\" & <b>bold</b>";
    let article = newsroom.publish(json!({
        "title": title, "categories": ["economy"], "authors": ["A. Ivanov"], "tags": ["water", "ice"],
        "language": "en-GB", "summary": "In short.", "published_at": "2026-01-02T03:04:05Z",
        "media": [
            { "url": "https://paper.example/a.mp3" },
            { "url": "https://paper.example/a.jpg?x=1&y=2", "width": 640, "height": 480, "alt": "A \"rocket\"", "credit": "B." },
            { "url": "https://paper.example/b.png" },
        ],
    }));
    let address = article["links"]["page"].as_str().unwrap();
    let page =
        newsroom.get(&format!("/{}", address.strip_prefix(&newsroom.base_url()).unwrap()), &[]).expect(200).text();
    let (_, rest) = page.split_once("<script type=\"application/ld+json\">").unwrap();
    let data: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["@type"], "NewsArticle");
    assert_eq!(data["headline"], article["title"]);
    assert_eq!(data["datePublished"], "2026-01-02T03:04:05Z");
    assert_eq!((&data["author"][0]["name"], &data["keywords"]), (&json!("A. Ivanov"), &json!("water, ice")));
    assert_eq!((&data["description"], &data["inLanguage"]), (&json!("In short."), &json!("en-GB")));
    assert_eq!(data["dateModified"], article["updated_at"]);
    assert_eq!(data["publisher"]["name"], "Test News");
    let picture = json!({
        "@type": "ImageObject", "url": "https://paper.example/a.jpg?x=1&y=2", "width": 640, "height": 480,
        "caption": "A \"rocket\"", "creditText": "B.",
    });
    assert_eq!(data["image"], json!([picture, { "@type": "ImageObject", "url": "https://paper.example/b.png" }]));
    for expected in [
        "<meta property=\"og:type\" content=\"article\">",
        "<meta property=\"og:image\" content=\"https://paper.example/a.jpg?x=1&amp;y=2\">",
        "<meta property=\"og:image:width\" content=\"640\">",
        "<meta property=\"og:image:alt\" content=\"A &quot;rocket&quot;\">",
        "<meta property=\"og:locale\" content=\"en_GB\">",
        "<meta property=\"article:tag\" content=\"water\">",
        "<meta name=\"twitter:card\" content=\"summary\">",
        &format!("<meta property=\"og:url\" content=\"{address}\">"),
    ] {
        assert!(page.contains(expected), "no {expected} in {page}");
    }
}

#[test]
fn the_home_page_leads_to_everything_older() {
    let newsroom = Newsroom::start();
    for n in 0..35 {
        let at = format!("2026-01-01T00:{n:02}:00Z");
        newsroom.publish(json!({ "title": format!("No. {n}."), "categories": ["economy"], "published_at": at }));
    }
    let (mut path, mut seen) = ("/".to_owned(), String::new());
    for pages in 1.. {
        let page = newsroom.get(&path, &[]).expect(200).text();
        let Some((_, older)) = page.split_once(&format!("rel=\"next\" href=\"{}", newsroom.base_url())) else {
            assert_eq!(pages, 3);
            seen.push_str(&page);
            break;
        };
        path = format!("/{}", older.split_once('"').unwrap().0);
        seen.push_str(&page);
    }
    for n in 0..35 {
        assert!(seen.contains(&format!("No. {n}.")), "{n}");
    }
}

#[test]
fn every_page_leads_to_feeds() {
    let newsroom = Newsroom::start();
    let id = newsroom.publish_titled("One");
    let pages = [
        "/",
        "/economy",
        "/search",
        "/search?q=tag%3Aa+OR+tag%3Ab",
        "/subscribe",
        "/tags/water",
        "/nosuch",
        "/rss.xml",
        &format!("/articles/{id}/one"),
        &format!("/articles/{id}/print"),
        "/articles/nosuch/one",
    ];
    for path in pages {
        let page = newsroom.get(path, &[("Sec-Fetch-Dest", "document")]).text();
        for kind in ["application/rss+xml", "application/atom+xml", "application/feed+json"] {
            let mut links = page.lines().filter(|line| line.contains("rel=\"alternate\""));
            assert!(links.any(|line| line.contains(kind)), "{path}: no {kind} in {page}");
        }
    }
}
