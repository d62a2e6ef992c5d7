//! `tidings feed check`, the real binary: on files with every mistake there is a rule about, and on what a daemon serves.

use crate::harness::{Newsroom, Said, Setup, project, tidings};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tidings::wire::check::{self, Context};

fn fixtures() -> PathBuf {
    project().join("tests/fixtures/feeds")
}

/// Each file, by its name.
fn files() -> Vec<String> {
    let entries = std::fs::read_dir(fixtures()).expect("the fixtures").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn said(arguments: &[&str], input: &[u8]) -> Said {
    let mut command = tidings(Path::new("/nowhere/tidings.toml"), &["feed", "check"]);
    command.args(arguments).current_dir(fixtures());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn every_file_gets_the_findings_that_it_was_made_for() {
    for name in files() {
        let said = said(&[&name], b"");
        let is_clean = name.starts_with("clean") || name.starts_with("profiles") || name.starts_with("utf16");
        let code = if is_clean || name == "latin1.xml" { 0 } else { 1 };
        assert_eq!((said.code, said.err.as_str()), (Some(code), ""), "{name}: {}", said.out);
        insta::assert_snapshot!(name, said.out);
    }
}

/// A rule that no file breaks could as well not be there.
#[test]
fn every_rule_is_broken_by_some_file() {
    let mut broken = BTreeSet::new();
    for name in files() {
        let bytes = std::fs::read(fixtures().join(name)).expect("readable");
        let context = Context { now: Some(tidings::domain::Clock::system().now()), ..Context::default() };
        broken.extend(check::examine(&bytes, &context).findings.into_iter().map(|one| (one.severity, one.rule)));
    }
    // These are about sizes and HTTP: `wire/check/tests.rs` breaks them.
    let elsewhere = [
        "ArticleTooLarge",
        "EncodingMismatch",
        "FeedTooLarge",
        "MissingLinkField",
        "SelfDoesntMatchLocation",
        "TooManyItems",
        "UnexpectedContentType",
        "UnknownEncoding",
    ];
    let all: BTreeSet<_> = check::rules().map(|(severity, name, _, _)| (severity, name)).collect();
    let whole: Vec<_> = all.difference(&broken).filter(|(_, name)| !elsewhere.contains(name)).collect();
    assert!(whole.is_empty(), "{whole:?}");
}

#[test]
fn the_exit_code_tells_good_from_bad_from_unreadable() {
    assert_eq!(said(&["clean-rss.xml", "clean-atom.xml", "clean-feed.json"], b"").code, Some(0));
    assert_eq!(said(&["clean-rss.xml", "rss-guids.xml"], b"").code, Some(1));
    let both = said(&["nothing.xml", "rss-guids.xml"], b"");
    assert_eq!(both.code, Some(2));
    assert!(both.out.contains("rss-guids.xml: RSS 2.0: "), "the others are examined all the same: {both:?}");
    assert!(both.err.contains("nothing.xml: No such file"), "{both:?}");
    assert_eq!(said(&[], b"").code, Some(2), "wrong usage");
    let moved = said(&["--url", "https://mirror.example/rss.xml", "clean-rss.xml"], b"");
    assert!(moved.code == Some(1) && moved.out.contains("SelfDoesntMatchLocation"), "{moved:?}");
}

#[test]
fn a_feed_may_come_by_standard_input_and_the_report_go_to_a_program() {
    let bytes = std::fs::read(fixtures().join("rss-dates.xml")).expect("readable");
    let said = said(&["--json", "--without-advice", "-"], &bytes);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &json[0]["target"], &json[0]["dialect"]), (Some(1), &"-".into(), &"rss2".into()));
    let findings = json[0]["findings"].as_array().expect("a list");
    assert!(findings.iter().all(|one| one["severity"] != "advice"));
    let weekday = findings.iter().find(|one| one["rule"] == "IncorrectDOW").expect("found");
    assert_eq!((&weekday["place"], &weekday["line"]), (&"rss.item[1].pubDate".into(), &18.into()));
}

/// Answers one request after another, each with the next of `answers`, and ends.
fn server(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            // A client that has enough hangs up.
            let _ = stream.write_all(&answer);
        }
    });
    address
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[test]
fn what_an_address_answers_is_a_part_of_it() {
    let rss = std::fs::read(fixtures().join("clean-rss.xml")).expect("readable");
    let moved = answer("302 Found\r\nLocation: /there.xml", b"");
    let address = server(vec![moved, answer("200 OK\r\nContent-Type: text/html; charset=iso-8859-1", &rss)]);
    let told = said(&["--without-advice", &format!("{address}/here.xml")], b"");
    assert_eq!(told.code, Some(1));
    for expected in ["UnexpectedContentType", "EncodingMismatch", &format!("served at {address}/there.xml")] {
        assert!(told.out.contains(expected), "no {expected} in {told:?}");
    }
    // A hub, with the fields that lead to it and without.
    let hub = "<atom:link rel=\"hub\" href=\"https://hub.example/\"/><item>";
    let rss = String::from_utf8(rss).expect("text").replacen("<item>", hub, 1);
    let head = "200 OK\r\nContent-Type: application/rss+xml";
    for (fields, is_told) in [
        ("", true),
        ("\r\nLink: <https://hub.example/>; rel=\"hub\"", true),
        ("\r\nLink: <https://hub.example/>; rel=\"hub\"\r\nLink: </rss.xml>; rel=self", false),
        ("\r\nLink: <https://hub.example/>; rel=\"hub\", </rss.xml>; rel=\"self\", </x>; rel=self", true),
    ] {
        let address = server(vec![answer(&format!("{head}{fields}"), rss.as_bytes())]);
        let told = said(&["--without-advice", &address], b"");
        assert_eq!(told.out.contains("MissingLinkField"), is_told, "{fields}: {told:?}");
    }
    for (head, body, expected) in [
        ("404 Not Found", b"gone".to_vec(), "the server answered 404"),
        ("200 OK\r\nContent-Encoding: gzip", b"x".to_vec(), "it came packed (gzip)"),
        ("200 OK", vec![b' '; 16 << 20], "it has more than 15 MB"),
    ] {
        let address = server(vec![answer(head, &body)]);
        let told = said(&[&address], b"");
        assert!(told.code == Some(2) && told.err.contains(expected), "{told:?}");
    }
    let loops = server(vec![answer("302 Found\r\nLocation: /", b""); 20]);
    assert_eq!(said(&[&loops], b"").code, Some(2));
}

/// Every feed of a newsroom with the articles of the sample and some of the API with everything that an article may have.
#[test]
fn in_what_the_daemon_serves_nothing_is_found() {
    let sample = project().join("examples/newsroom/articles/science");
    let site = "icon = \"https://paper.example/icon.png\"\nlogo = \"https://paper.example/logo.png\"\naccent_color = \"#8b1a1a\"";
    let mut newsroom = Newsroom::prepare(Setup { site, ..Setup::default() });
    for entry in std::fs::read_dir(sample).expect("the sample").flatten() {
        std::fs::copy(entry.path(), newsroom.path("articles/science").join(entry.file_name())).expect("writable");
    }
    newsroom.run();
    let mut gone = String::new();
    for number in 0..60 {
        let body = serde_json::json!({
            "title": format!("Fish & <chips> \u{fffd}\u{1b} number {number}"), "categories": ["economy"], "language": "de-CH",
            "body_html": "<p>Tea &amp; <b>cake</b> <a href='/t'>there</a></p><script>x</script>", "authors": ["Ann & Bo"],
            "tags": ["a < b"], "published_at": format!("2024-01-{:02}T00:00:00Z", number / 10 + 1),
            "media": [{"url": "https://paper.example/a.jpg?x=1&y=2", "bytes": 12, "width": 640, "height": 480, "alt": "A \"b\" & <c>"}],
            "comments": {"url": "https://paper.example/c", "feed": "https://paper.example/c.xml", "count": 3},
            "source": {"title": "Other & Sons", "feed": "https://other.example/feed?a=1&b=2"},
        });
        gone = crate::harness::id(&newsroom.publish(body));
    }
    newsroom.api("DELETE", &format!("/articles/{gone}"), &[], "").expect(200);
    let mut paths = BTreeSet::new();
    let folders = ["", "economy/", "science/", "tags/a%20%3C%20b/", "authors/ann%20%26%20bo/", "languages/de-ch/"];
    for folder in folders {
        for part in ["", "summary/"] {
            for file in ["rss.xml", "atom.xml", "feed.json"] {
                paths.insert(format!("/{folder}{part}{file}"));
            }
        }
    }
    // And whatever they lead to: pages and volumes of the archive.
    let mut open: Vec<String> = paths.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let text = newsroom.get(&path, &[]).expect(200).text();
        for (_, rest) in text.match_indices(" xmlns:").map(|(at, name)| text.split_at(at + name.len())) {
            let prefix = rest.split_once('=').expect("a namespace").0;
            assert!(text.contains(&format!("<{prefix}:")), "{path} declares {prefix} and has nothing of it");
        }
        let base = newsroom.base_url();
        for (_, rest) in text.match_indices(&base).map(|(at, _)| text[at..].split_at(base.len())) {
            let path = format!(
                "/{}",
                rest.split(['"', '<']).next().unwrap_or_default().replace("&#x26;", "&").replace("&amp;", "&")
            );
            let is_feed =
                path.ends_with(".xml") || path.ends_with(".json") || path.contains(".xml?") || path.contains(".json?");
            if is_feed && paths.insert(path.clone()) {
                open.push(path);
            }
        }
    }
    assert!(paths.len() > 40, "{paths:?}");
    let addresses: Vec<String> = paths.iter().map(|path| format!("http://{}{path}", newsroom.public())).collect();
    let mut arguments = vec!["--without-advice"];
    arguments.extend(addresses.iter().map(String::as_str));
    let told = said(&arguments, b"");
    let wrong: Vec<&str> = told.out.lines().filter(|line| !line.contains(": 0 errors, 0 warnings")).collect();
    assert_eq!((told.code, wrong), (Some(0), vec![]), "{}", told.err);
}
