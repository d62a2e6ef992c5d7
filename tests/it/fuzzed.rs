//! What `fuzz/` looks for with much time, looked for with little: inputs made of parts that mean something, and everything
//! that was ever found (`tests/fixtures/fuzz/`).

use crate::harness::project;
use proptest::prelude::*;
use std::panic::catch_unwind;
use tidings::fuzzing;

/// Breaks off if something does not hold for these bytes.
type Holds = fn(&[u8]);

/// The targets with what they hold for true, by their names in `fuzz/Cargo.toml`.
const TARGETS: [(&str, Holds); 4] = [
    ("query", |bytes| fuzzing::query(&String::from_utf8_lossy(bytes))),
    ("request", fuzzing::request),
    ("article", fuzzing::article),
    ("feed", fuzzing::feed),
];

#[test]
fn every_target_is_there_and_is_fed_by_these_tests() {
    let manifest: toml::Table =
        std::fs::read_to_string(project().join("fuzz/Cargo.toml")).expect("readable").parse().expect("TOML");
    let bins = manifest["bin"].as_array().expect("targets");
    let names: Vec<&str> = bins.iter().filter_map(|bin| bin["name"].as_str()).collect();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
    for (bin, name) in bins.iter().zip(names) {
        let path = bin["path"].as_str().expect("a path");
        let text = std::fs::read_to_string(project().join("fuzz").join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(&format!("fuzzing::{name}(")), "{path}");
    }
}

#[test]
fn what_was_found_once_stays_mended() {
    let mut count = 0;
    for (name, holds) in TARGETS {
        for folder in [format!("tests/fixtures/fuzz/{name}"), format!("tests/fixtures/{name}s")] {
            let Ok(entries) = std::fs::read_dir(project().join(folder)) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let bytes = std::fs::read(&path).expect("readable");
                assert!(catch_unwind(|| holds(&bytes)).is_ok(), "{name}: {}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
}

/// Texts of some of `parts` and of anything.
fn texts(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
    let part = prop_oneof![6 => prop::sample::select(parts).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

const QUERY: &[&str] = &[
    "category:",
    "tag:",
    "author:",
    "language:",
    "science",
    "sport",
    "\"",
    "\"A. Ivanov\"",
    "en-GB",
    " AND ",
    " OR ",
    " NOT ",
    "(",
    ")",
    " ",
    "\\",
    "-",
    ":",
    "not",
    "İ",
    "ß",
];
const REQUEST: &[&str] = &[
    "GET ",
    "HEAD ",
    "POST ",
    "/rss.xml",
    "?q=tag%3Aa",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "Host: x\r\n",
    "\r\n",
    "\n",
    "If-None-Match: ",
    "\"a\"",
    "W/",
    ",",
    "*",
    "If-Modified-Since: ",
    "Tue, 24 Nov 2026 00:00:00 GMT",
    "Accept-Encoding: ",
    "gzip",
    "br;q=0.5",
    ";q=0",
    "A-IM: feed",
    "Range: bytes=",
    "0-9",
    "-5",
    "99999999999999999999-",
    "If-Range: \"t\"",
    "Sec-Fetch-Dest: document",
    "Connection: close",
    "X-Forwarded-For: 192.0.2.1",
];
const ARTICLE: &[&str] = &[
    "0{",
    "1+++\n",
    "+++\n",
    "}",
    "\"title\":\"",
    "\",",
    "\"categories\":[\"science\"]",
    "\"body_html\":\"",
    "<p>",
    "<a href=/x>",
    "<script>",
    "&#0;",
    "&#x85;",
    "\\u0085",
    "\\ufffd",
    "]]>",
    "title = \"x\"\n",
    "date = \"18.12.2020 15:03\"\n",
    "language = \"en\"\n",
    "\"language\":\"x-y\",",
    "\"published_at\":\"0001-01-01T00:00:00Z\",",
    "\"id\":\"a b\",",
    "\"authors\":[\" \"],",
    "\"tags\":[\"\\u200b\"],",
];

/// A good feed with bytes exchanged, put in and taken out.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "\"",
        "'",
        "/",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<!DOCTYPE a [",
        "&#x0;",
        "&a;",
        "xmlns:",
        "<item>",
        "</item>",
        "<entry>",
        "</channel>",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\\ud800",
        "\u{0}",
        "\u{feff}",
        "é",
        "1e999",
        "\n",
    ]);
    let change = (0usize..2_000, 0usize..6, parts);
    let feed = prop::sample::select(vec!["clean-rss.xml", "clean-atom.xml", "clean-feed.json"]);
    (feed, prop::collection::vec(change, 0..6)).prop_map(|(feed, changes)| {
        let mut bytes = std::fs::read(project().join("tests/fixtures/feeds").join(feed)).expect("readable");
        for (at, without, part) in changes {
            let at = at % bytes.len();
            let end = (at + without).min(bytes.len());
            bytes.splice(at..end, part.bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
    #[test]
    fn a_query_reads_as_its_canonical_form(text in texts(QUERY)) {
        fuzzing::query(&text);
    }

    #[test]
    fn a_request_is_read_alike_by_both_ways_in(text in texts(REQUEST)) {
        fuzzing::request(text.as_bytes());
    }

    #[test]
    fn an_article_that_is_let_in_can_be_told_by_every_feed(text in texts(ARTICLE)) {
        fuzzing::article(text.as_bytes());
    }

    #[test]
    fn a_field_of_an_article_may_say_anything_that_the_door_lets_in(
        title in texts(ARTICLE), html in texts(ARTICLE), name in texts(ARTICLE), id in texts(ARTICLE), language in "[a-zA-Z0-9-]{1,12}",
        year in 0..9999u32,
    ) {
        let article = serde_json::json!({
            "title": title, "body_html": html, "summary": name, "authors": [name], "tags": [name], "categories": ["science"],
            "id": id, "language": language, "published_at": format!("{year:04}-01-01T00:00:00Z"),
            "media": [{"url": "https://a.example/a.jpg", "bytes": 1, "alt": name, "credit": title}],
            "source": {"title": title, "feed": "https://a.example/f"},
        });
        // Each alone as well, so that one that is refused hides no other.
        let all = article.as_object().expect("an object");
        for (key, value) in all {
            let mut alone = serde_json::json!({ "title": "x", "categories": ["science"] });
            alone[key] = value.clone();
            fuzzing::article(format!("0{alone}").as_bytes());
        }
        fuzzing::article(format!("0{article}").as_bytes());
    }

    #[test]
    fn a_feed_gets_a_report_whatever_is_in_it(bytes in spoilt()) {
        fuzzing::feed(&bytes);
    }

    #[test]
    fn bytes_of_no_format_at_all_are_looked_at_calmly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, holds) in TARGETS {
            holds(&bytes);
        }
    }
}
