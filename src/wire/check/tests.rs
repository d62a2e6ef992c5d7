//! Values in all their forms, and what must hold for any bytes. The rules themselves are tested over whole files, by the
//! real binary: `tests/it/feed_check.rs`.

use super::values::{MailDate, is_mail_address, is_media_type, is_relative, is_w3c_date, mail_date};
use super::*;

const RSS: &str = include_str!("../../../tests/fixtures/feeds/clean-rss.xml");
const ATOM: &str = include_str!("../../../tests/fixtures/feeds/clean-atom.xml");
const JSON: &str = include_str!("../../../tests/fixtures/feeds/clean-feed.json");

fn found(text: &str) -> Vec<Finding> {
    examine(text.as_bytes(), &Context::default()).findings
}

fn rules_of(text: &str) -> Vec<&'static str> {
    found(text).iter().filter(|finding| finding.severity != Severity::Advice).map(|finding| finding.rule).collect()
}

#[test]
fn dates_of_mail_are_told_apart_by_what_is_wrong_with_them() {
    for (text, expected) in [
        ("Fri, 18 Dec 2020 12:03:00 +0000", "good"),
        ("18 Dec 2020 12:03:00 +0300", "good"),
        ("Fri, 18 Dec 2020 12:03 GMT", "good"),
        ("Fri, 18 Dec 2020 12:03:00 EST", "odd"),
        ("Fri, 18 Dec 20 12:03:00 +0000", "odd"),
        ("Fri,  18 Dec 2020 12:03:00 +0000", "odd"),
        ("Sat, 18 Dec 2020 12:03:00 +0000", "weekday"),
        ("Fri, 32 Dec 2020 12:03:00 +0000", "wrong"),
        ("2020-12-18", "wrong"),
        ("", "wrong"),
    ] {
        let found = match mail_date(text) {
            MailDate::Good(_) => "good",
            MailDate::Odd(_) => "odd",
            MailDate::Weekday => "weekday",
            MailDate::Wrong => "wrong",
        };
        assert_eq!(found, expected, "{text}");
    }
    for (text, expected) in [("2020", true), ("2020-12", true), ("2020-12-18T12:03Z", true), ("2020-13", false)] {
        assert_eq!(is_w3c_date(text), expected, "{text}");
    }
}

#[test]
fn addresses_and_types_are_read_as_their_standards_say() {
    for (text, expected) in [("/a", true), ("a.jpg", true), ("#x", true), ("//a/b", true), ("https://a/", false)] {
        assert_eq!(is_relative(text), expected, "{text}");
    }
    assert!(is_mail_address("ann.lee+x@paper.example") && !is_mail_address("ann") && !is_mail_address("a b@c.example"));
    assert!(is_media_type("image/svg+xml; charset=utf-8") && !is_media_type("image") && !is_media_type("a b/c"));
}

#[test]
fn what_http_says_is_held_against_the_feed() {
    let rules = |content_type: &str| {
        let context = Context { content_type: Some(content_type), ..Context::default() };
        let report = examine(RSS.as_bytes(), &context);
        report
            .findings
            .iter()
            .filter(|finding| finding.severity != Severity::Advice)
            .map(|one| one.rule)
            .collect::<Vec<_>>()
    };
    for good in ["application/rss+xml; charset=utf-8", "application/xml", "text/xml; charset=\"UTF-8\""] {
        assert_eq!(rules(good), [""; 0], "{good}");
    }
    for (content_type, expected) in [
        ("text/html", "UnexpectedContentType"),
        ("application/atom+xml", "UnexpectedContentType"),
        ("text/xml", "UnexpectedContentType"),
        ("application/rss+xml; charset=iso-8859-1", "EncodingMismatch"),
        ("application/rss+xml; charset=klingon", "UnknownEncoding"),
    ] {
        assert_eq!(rules(content_type), [expected], "{content_type}");
    }
}

#[test]
fn the_link_to_itself_is_held_against_where_it_is_served() {
    for (text, path) in [(RSS, "rss.xml"), (ATOM, "atom.xml"), (JSON, "feed.json")] {
        let report = |url: &str| examine(text.as_bytes(), &Context { url: Some(url), ..Context::default() });
        let is_told = |report: Report| report.findings.iter().any(|one| one.rule == "SelfDoesntMatchLocation");
        assert!(!is_told(report(&format!("https://paper.example/{path}"))));
        assert!(is_told(report("https://mirror.example/feed")));
    }
}

#[test]
fn sizes_are_advice() {
    let of =
        |text: String, rule: &str| found(&text).iter().any(|one| one.rule == rule && one.severity == Severity::Advice);
    assert!(of(RSS.replace("News of the harbour", &"x".repeat(3 << 20)), "FeedTooLarge"));
    assert!(of(RSS.replace("<p>Long", &format!("<p>{}", "x".repeat(2 << 20))), "ArticleTooLarge"));
    assert!(of(JSON.replace("Harbour Paper", &"x".repeat(2 << 20)), "FeedTooLarge"));
    let item = &RSS[RSS.find("<item>").unwrap()..RSS.find("</channel>").unwrap()];
    assert!(of(RSS.replace(item, &item.repeat(61)), "TooManyItems"));
}

#[test]
fn what_is_made_to_cost_is_cut_off() {
    let many = |part: &str, count: usize| RSS.replace("</channel>", &format!("{}</channel>", part.repeat(count)));
    for (text, expected) in [
        (many("<a/>", tree::NODES_MAX + 1), "ValidatorLimit"),
        (many("<a>", 200), "ValidatorLimit"),
        (many("<guid/>", 20_000), "UndefinedElement"),
        (many("<title>x</title>", 20_000), "DuplicateElement"),
        (many("&x;", 20_000), "UndefinedNamedEntity"),
        (format!("<rss {}/>", (0..10_000).map(|n| format!("a{n}=\"\" ")).collect::<String>()), "ValidatorLimit"),
        (format!("{{\"a\":{}", "[".repeat(20_000)), "InvalidJSON"),
        (
            format!(
                "{{\"version\":\"https://jsonfeed.org/version/1.1\",\"a\":{}{}}}",
                "[".repeat(100),
                "]".repeat(100)
            ),
            "UndefinedElement",
        ),
        ("<".repeat(20_000), "SAXError"),
        (format!("<a>{}", "&".repeat(20_000)), "SAXError"),
    ] {
        let report = examine(text.as_bytes(), &Context::default());
        let head = text.get(..40).unwrap_or(&text);
        assert!(report.findings.iter().any(|one| one.rule == expected), "{head}: {:?}", report.findings.first());
        assert!(report.findings.len() <= 1_000, "{head}");
    }
}

#[test]
fn an_entity_is_never_expanded() {
    let bomb = include_str!("../../../tests/fixtures/feeds/entities.xml");
    let tree = xml::read(bomb, &mut Findings::default());
    let longest = tree.all().map(|at| at.text().len()).max();
    assert!(longest < Some(100), "{longest:?}");
}

#[test]
fn of_a_feed_that_is_cut_off_nothing_is_said_to_be_missing() {
    let cut = &RSS[..RSS.find("<guid").unwrap()];
    assert_eq!(rules_of(cut), ["SAXError"]);
}

#[test]
fn every_rule_has_a_name_in_one_word_and_says_what_it_wants() {
    for (_, name, expected, source) in rules() {
        assert!(name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase), "{name}");
        assert!(!expected.is_empty() && !source.is_empty(), "{name}");
    }
}
