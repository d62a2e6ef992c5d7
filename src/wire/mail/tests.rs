//! Mails read back by a parser that is not the writer.

use super::*;
use crate::domain::{ArticleId, Content, Slug, State};
use jiff::tz::TimeZone;
use mail_parser::{HeaderValue as Parsed, MessageParser};
use url::Url;

fn site(title: &str) -> Site {
    Site {
        title: title.into(),
        description: String::new(),
        language: "en".into(),
        base_url: Url::parse("https://news.example.org/").unwrap(),
        icon: None,
        logo: None,
        accent_color: None,
        print_line: true,
    }
}

fn article(title: &str) -> Article {
    Article {
        id: ArticleId::parse("id", "a/1").unwrap(),
        external_id: None,
        revision: 1,
        state: State::Published,
        created_at: Time::UNIX_EPOCH,
        published_at: Some(Time::UNIX_EPOCH),
        updated_at: Time::UNIX_EPOCH,
        first_public_at: Some(Time::UNIX_EPOCH),
        content: Content {
            categories: vec![Slug::parse("c", "science").unwrap()],
            title: title.into(),
            summary: None,
            body: None,
            url: None,
            authors: vec!["Ann <Lee>".into()],
            tags: vec![],
            language: Some("ru".into()),
            ..Content::default()
        },
    }
}

fn category(title: &str) -> Category {
    Category {
        slug: Slug::parse("c", "science").unwrap(),
        title: title.into(),
        description: String::new(),
        language: "en".into(),
        articles: None,
        zone: TimeZone::UTC,
        limit: 50,
    }
}

fn sender(name: &str) -> Sender {
    Sender { name: Some(name.into()), address: "news@example.org".into() }
}

/// The bytes of a notice with these texts in all places that take text from outside.
fn written(title: &str, summary: &str, list: &str, from: &str) -> Vec<u8> {
    let (site, article, category, from) = (site("The <News>"), article(title), category(list), sender(from));
    let to = Address::parse("to", "o'brien+x@example.com").unwrap();
    let date = Time::UNIX_EPOCH + chrono::Duration::days(20_000);
    let frame = Frame { site: &site, from: &from, to: &to, id: "0123abcd.ef", date };
    let summary = Some(summary);
    let said = Notice { article: &article, summary, list: Some(&category), wanted: "everything", leave: "T0ken_-" };
    notice(&frame, &said).unwrap()
}

fn header<'a>(mail: &'a mail_parser::Message<'a>, name: &str) -> Option<&'a str> {
    mail.header_raw(name.to_owned()).map(str::trim)
}

#[test]
fn a_notice_has_the_headers_that_mailbox_providers_ask_for() {
    let long = "Очень длинная новость о науке. ".repeat(20);
    let bytes = written("Наука & жизнь: \"новое\"", &long, "Science", "The News, Inc.");
    assert!(bytes.is_ascii());
    let text = String::from_utf8(bytes.clone()).unwrap();
    for line in text.split("\r\n") {
        assert!(line.len() <= 78 || line.starts_with("List-Unsubscribe"), "{} bytes: {line}", line.len());
        assert!(!line.contains(['\r', '\n']), "a bare line end");
    }
    let mail = MessageParser::new().parse(&bytes).unwrap();
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("The News, Inc."), Some("news@example.org")));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("o'brien+x@example.com"));
    assert_eq!(mail.subject(), Some("Наука & жизнь: \"новое\""));
    assert_eq!(mail.message_id(), Some("0123abcd.ef@news.example.org"));
    assert_eq!(mail.date().unwrap().to_rfc3339(), "2024-10-04T00:00:00Z");
    assert_eq!(header(&mail, "List-Id"), Some("\"Science\" <science.news.example.org>"));
    let leave = "<https://news.example.org/subscriptions/T0ken_->";
    assert_eq!(header(&mail, "List-Unsubscribe"), Some(leave));
    assert_eq!(header(&mail, "List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    assert_eq!(header(&mail, "Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header(&mail, "MIME-Version"), Some("1.0"));
    let Some(Parsed::ContentType(kind)) = mail.header("Content-Type") else { panic!("no content type") };
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("alternative")));
    let (plain, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
    for link in
        ["https://news.example.org/articles/a%2F1/nauka-zhizn-novoe", "https://news.example.org/articles/a%2F1/print"]
    {
        assert!(plain.contains(link) && html.contains(link), "{link}\n{plain}\n{html}");
    }
    assert!(plain.contains(long.trim()) && html.contains(long.trim()));
    assert!(plain.contains("Unsubscribe: https://news.example.org/subscriptions/T0ken_-"));
    assert!(html.contains("Ann &lt;Lee&gt;") && html.contains("The &lt;News&gt;") && html.contains("lang=\"ru\""));
    assert!(plain.contains("Ann <Lee>"), "the text part is not escaped");
    assert!(!html.contains("<img") && !html.contains("<script"));
}

#[test]
fn no_text_from_outside_can_add_a_header() {
    let evil = "x\r\nBcc: victim@example.net\r\n\r\n<script>alert(1)</script>\u{2028}\u{0}\n.\r\n";
    for (title, list, from) in [(evil, "a", "b"), ("a", evil, "b"), ("a", "b", evil)] {
        let bytes = written(title, evil, list, from);
        let mail = MessageParser::new().parse(&bytes).unwrap();
        assert!(mail.bcc().is_none(), "{title:?} {list:?} {from:?}");
        let mut names: Vec<&str> = mail.headers().iter().map(|header| header.name()).collect();
        names.sort_unstable();
        let expected = [
            "Auto-Submitted",
            "Content-Type",
            "Date",
            "From",
            "List-ID",
            "List-Unsubscribe",
            "List-Unsubscribe-Post",
            "MIME-Version",
            "Message-ID",
            "Precedence",
            "Subject",
            "To",
        ];
        let lower = |names: &[&str]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        let mut expected = lower(&expected);
        expected.sort_unstable();
        let mut names = lower(&names);
        names.sort_unstable();
        assert_eq!(names, expected);
        assert!(!mail.body_html(0).unwrap().contains("<script"));
    }
}

#[test]
fn a_list_title_in_any_script_is_a_phrase() {
    for (title, phrase) in [("AI, и <люди>", "AI и люди"), ("A \"B\" \\ C", "\"A 'B' ' C\"")] {
        let bytes = written("t", "s", title, "f");
        let raw = String::from_utf8(bytes).unwrap();
        let line = raw.replace("\r\n ", " ");
        let line = line.lines().find(|line| line.starts_with("List-Id: ")).unwrap();
        assert!(line.ends_with(" <science.news.example.org>"), "{line}");
        let bytes = format!("Subject: {}\r\n\r\n", &line["List-Id: ".len()..line.rfind(" <").unwrap()]);
        assert_eq!(MessageParser::new().parse(bytes.as_bytes()).unwrap().subject(), Some(phrase));
    }
}

#[test]
fn a_confirmation_says_what_was_asked_for_and_what_to_do_if_it_was_not_you() {
    let (site, from) = (site("The News"), sender(""));
    let to = Address::parse("to", "reader@example.com").unwrap();
    let frame = Frame { site: &site, from: &from, to: &to, id: "c.1", date: Time::UNIX_EPOCH };
    for is_change in [false, true] {
        let asked = Confirmation { wanted: "Science, Economy", is_change, confirm: "T", days: 14 };
        let bytes = confirmation(&frame, &asked).unwrap();
        let mail = MessageParser::new().parse(&bytes).unwrap();
        assert!(mail.header("List-Unsubscribe").is_none());
        assert_eq!(header(&mail, "Auto-Submitted"), Some("auto-generated"));
        for body in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
            for part in ["Science, Economy", "https://news.example.org/subscriptions/T", "14 days", "do nothing"] {
                assert!(body.contains(part), "{part} in {body}");
            }
            assert_eq!(body.contains("change what is mailed"), is_change);
        }
    }
}
