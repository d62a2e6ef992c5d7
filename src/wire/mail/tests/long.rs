//! Lines of mails with texts that have no end and no place to break (RFC 5322 §2.1.1, RFC 2047 §2).

use super::*;

/// As `services/corrections` lets them in.
const NOTE_CHARS_MAX: usize = 2_000;

/// What stands in every place that takes text from outside.
fn endless() -> [String; 6] {
    let mixed = "新聞ab новость 🗞\"=?utf-8?q?x?=".repeat(400);
    [
        "x".repeat(10_000),
        "新".repeat(10_000),
        "🗞".repeat(10_000),
        "\"".repeat(10_000),
        format!("{} {}", "x".repeat(5_000), "新".repeat(5_000)),
        mixed,
    ]
}

/// Every kind of mail with `text` in all places, to the longest address there may be.
fn mails(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut article = article(text);
    article.content.authors = vec![text.to_owned(); 3];
    let (site, category, from) = (site(text), category(text), sender(text));
    let returns = ReturnAddress { local: "b".repeat(40), domain: format!("{}.example", "d".repeat(63)) };
    let labels = ["a".repeat(63), "b".repeat(63), "c".repeat(58)].join(".");
    let to = Address::parse("to", &format!("{}@{labels}", "l".repeat(64))).unwrap_or_else(|fault| panic!("{fault}"));
    let leave = Token::leave(crate::domain::SubscriptionId(uuid::Uuid::from_u128(7))).seal(&[7; 32]);
    let frame = Frame { returns: Some(&returns), is_test: true, ..frame(&site, &from, &to) };
    let brief = in_short(text);
    let said = |correction| Notice {
        article: &article,
        said: &brief,
        list: Some(&category),
        wanted: text,
        leave: &leave,
        correction,
    };
    // A note has its limit where it comes in.
    let note: String = text.chars().take(NOTE_CHARS_MAX).collect();
    let correction = Correction { note: Some(&note), thread: "0123456789abcdef0123456789abcdef.ef@news.example.org" };
    let items = [Item { article: &article, said: &brief }; 3];
    let composition = Composition::new(frame.templates, frame.language, &site, &items, 0, HTML_BYTES_MAX).unwrap();
    let told = Digest {
        composition: &composition,
        day: Time::UNIX_EPOCH.date_naive(),
        list: Some(&category),
        wanted: text,
        rest: "https://news.example.org/",
        fold_over: Some(20),
        leave: &leave,
    };
    let cadence = Cadence::Instant;
    let asked = Confirmation { wanted: text, cadence, confirm: &leave, never: &leave, days: 14 };
    let until = Time::UNIX_EPOCH;
    vec![
        ("notice", notice(&frame, &said(None)).unwrap()),
        ("correction", notice(&frame, &said(Some(correction))).unwrap()),
        ("digest", digest(&frame, &told).unwrap()),
        ("confirmation", confirmation(&frame, &asked).unwrap()),
        ("farewell", farewell(&frame, &Farewell { wanted: text, undo: &leave, until }).unwrap()),
        ("preferences", preferences(&frame, &leave, 24).unwrap()),
    ]
}

#[test]
fn no_text_makes_a_line_that_is_too_long_and_what_is_folded_reads_as_it_was() {
    for text in endless() {
        for (kind, bytes) in mails(&text) {
            let start: String = text.chars().take(20).collect();
            let raw = String::from_utf8(bytes.clone()).expect("ASCII");
            let (head, body) = raw.split_once("\r\n\r\n").unwrap();
            for line in head.split("\r\n") {
                assert!(line.len() <= 998, "{kind} {start}: {} octets: {}…", line.len(), &line[..60]);
                assert!(!line.trim().is_empty(), "{kind} {start}: a line of white space alone");
                for word in line.split(' ').filter(|word| word.starts_with("=?utf-8?b?")) {
                    assert!(word.len() <= 75, "{kind} {start}: an encoded word of {} octets", word.len());
                }
            }
            let html = body.split("Content-Type: text/html").nth(1).unwrap();
            assert!(html.len() <= HTML_BYTES_MAX, "{kind} {start}: {} bytes of HTML", html.len());
            let longest = body.split("\r\n").map(str::len).max();
            assert!(longest.is_some_and(|longest| longest <= 76), "{kind} {start}: {longest:?} octets in the body");
            let mail = MessageParser::new().parse(&bytes).unwrap();
            assert!(mail.subject().is_some_and(|subject| subject.contains(&start)), "{kind}: {:?}", mail.subject());
            let from = mail.from().unwrap().first().unwrap();
            assert_eq!(from.address(), Some("news@example.org"), "{kind} {start}");
        }
    }
}

/// The names of a mail's headers, in their order.
fn names(bytes: &[u8]) -> Vec<String> {
    let mail = MessageParser::new().parse(bytes).unwrap();
    mail.headers_raw().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn no_text_becomes_a_header_or_markup_of_its_own_in_any_kind_of_mail() {
    let plain = mails("plain");
    for text in [
        "x\r\nBcc: evil@example.org\r\n\r\nbody",
        "x\nX-Evil: 1",
        "x\rX-Evil: 1",
        "x\u{2028}X-Evil: 1\u{85}X-Evil: 2\u{b}X-Evil: 3",
        "<img src=https://evil.example/p.gif><script>x</script><a href=\"https://evil.example/\">x</a>",
        "\"><style>@import url(https://evil.example/)</style>",
        "x\r\n.\r\nMAIL FROM:<evil@example.org>",
    ] {
        for ((kind, bytes), (_, usual)) in mails(text).into_iter().zip(&plain) {
            assert_eq!(names(&bytes), names(usual), "{kind}: {text:?}");
            let html = MessageParser::new().parse(&bytes).unwrap().body_html(0).unwrap().into_owned();
            for tag in ["<img", "<script", "<style", "<link"] {
                assert!(!html.contains(tag), "{kind}: {text:?}: {tag} in {html}");
            }
            for (at, _) in html.match_indices(" href=\"") {
                let link = &html[at + 7..];
                assert!(link.starts_with("https://news.example.org/"), "{kind}: {text:?}: a link to {:.60}", link);
            }
        }
    }
}
