//! Mails read back by a parser that is not the writer.

mod full;
mod long;
mod styles;

use super::*;
use crate::domain::{ArticleId, Content, Slug};
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
    let content = Content {
        categories: vec![Slug::parse("c", "science").unwrap()],
        title: title.into(),
        authors: vec!["Ann <Lee>".into()],
        language: Some("ru".into()),
        ..Content::default()
    };
    Article::published(ArticleId::parse("id", "a/1").unwrap(), Time::UNIX_EPOCH, content)
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

/// In English, and UTC.
fn frame<'a>(site: &'a Site, from: &'a Sender, to: &'a Address) -> Frame<'a> {
    static TEMPLATES: std::sync::LazyLock<Arc<Templates>> = std::sync::LazyLock::new(Templates::built_in);
    Frame {
        site,
        from,
        to,
        language: Language::English,
        zone: const { &TimeZone::UTC },
        templates: &TEMPLATES,
        returns: None,
        id: "c.1",
        date: Time::UNIX_EPOCH,
        is_test: false,
    }
}

fn in_short(summary: &str) -> Said {
    Said { summary: Some(summary.to_owned()), body: None }
}

/// The bytes of a notice with these texts in all places that take text from outside.
fn written(title: &str, summary: &str, list: &str, from: &str) -> Vec<u8> {
    let (site, article, category, from) = (site("The <News>"), article(title), category(list), sender(from));
    let to = Address::parse("to", "o'brien+x@example.com").unwrap();
    let date = Time::UNIX_EPOCH + chrono::Duration::days(20_000);
    let frame = Frame { id: "0123abcd.ef", date, ..frame(&site, &from, &to) };
    let said = Notice {
        article: &article,
        said: &in_short(summary),
        list: Some(&category),
        wanted: "everything",
        leave: "T0ken_-",
        correction: None,
    };
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
        let is_whole = ["List-Unsubscribe", "List-Archive", "Feedback-ID"].iter().any(|name| line.starts_with(name));
        assert!(line.len() <= 78 || is_whole, "{} bytes: {line}", line.len());
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
    assert_eq!(header(&mail, "Precedence"), Some("bulk"));
    assert_eq!(header(&mail, "List-Post"), Some("NO"));
    assert_eq!(header(&mail, "List-Archive"), Some("<https://news.example.org/science>"));
    assert_eq!(header(&mail, "Feedback-ID"), Some("a.1:science:notice:news.example.org"));
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
            "Feedback-ID",
            "From",
            "List-Archive",
            "List-ID",
            "List-Post",
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
    let frame = frame(&site, &from, &to);
    let (often, cadence) = ("Each new article comes as a mail of its own.", Cadence::Instant);
    let asked = Confirmation { wanted: "Science, Economy", cadence, confirm: "T", never: "N", days: 14 };
    let bytes = confirmation(&frame, &asked).unwrap();
    let mail = MessageParser::new().parse(&bytes).unwrap();
    for name in ["List-Unsubscribe", "List-Id", "Precedence", "Feedback-ID"] {
        assert!(mail.header(name).is_none(), "{name}: it is no mail to a list");
    }
    assert_eq!(header(&mail, "Auto-Submitted"), Some("auto-generated"));
    for body in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
        let (yes, never) = ("https://news.example.org/subscriptions/T", "https://news.example.org/subscriptions/N");
        for part in ["Science, Economy", often, yes, "14 days", "do nothing", "Never ask me again", never] {
            assert!(body.contains(part), "{part} in {body}");
        }
    }
}

/// Everything that comes from outside and may stand in a header: what is put there comes out as text, or not at all.
fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let odd = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\r\nBcc: victim@example.net\r\n\r\nBody".to_owned()),
        Just("=?utf-8?q?=0D=0ABcc:_x?=".to_owned()),
        Just("\u{2028}\u{85}\0\u{b}".to_owned()),
        Just("\"<>(),;:@\\".to_owned()),
        "\\PC{0,30}",
        any::<String>(),
    ];
    proptest::collection::vec(odd, 0..4).prop_map(|parts| parts.concat())
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(100))]
    #[test]
    fn no_hostile_text_changes_the_headers_of_a_mail(
        title in hostile(), summary in hostile(), list in hostile(), from in hostile(),
    ) {
        let names = |bytes: &[u8]| -> Vec<String> {
            let head = memchr::memmem::find(bytes, b"\r\n\r\n").expect("an end of the headers");
            let head = String::from_utf8(bytes[..head].to_vec()).expect("ASCII").replace("\r\n ", "").replace("\r\n\t", "");
            assert!(!head.contains('\0'));
            head.split("\r\n").map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        let plain = names(&written("Title", "s", "List", "From"));
        let bytes = written(&title, &summary, &list, &from);
        proptest::prop_assert_eq!(names(&bytes), plain);
        let lines = String::from_utf8(bytes).expect("ASCII");
        proptest::prop_assert!(lines.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    }
}

#[test]
fn a_mail_from_a_form_has_the_bytes_of_one_that_was_written_whole() {
    let (site, article, category, from) =
        (site("The News"), article("Ставки: what < now"), category("Sci"), sender("N"));
    let returns = ReturnAddress { local: "bounces".into(), domain: "news.example.org".into() };
    let secret = [7; 32];
    let token = |number: u128| Token::leave(crate::domain::SubscriptionId(uuid::Uuid::from_u128(number))).seal(&secret);
    let long = "Слово и дело, word after word. ".repeat(40);
    let note = Some("What <we> said.");
    let kinds = [
        (None, "s", false),
        (Some(&returns), long.as_str(), false),
        (Some(&returns), "AB AABB BAAB", false),
        (Some(&returns), "... as I said", false),
        (Some(&returns), "s", true),
    ];
    for ((returns, summary, is_correction), language) in
        kinds.into_iter().flat_map(|kind| Language::ALL.map(|language| (kind, language)))
    {
        let write = |to: &Address, id: &str, date: Time, leave: &str, thread: &str| {
            let frame = Frame { returns, id, date, language, ..frame(&site, &from, to) };
            let said = Notice {
                article: &article,
                said: &in_short(summary),
                list: Some(&category),
                wanted: "all",
                leave,
                correction: is_correction.then_some(Correction { note, thread }),
            };
            notice(&frame, &said).unwrap()
        };
        let first = Address::parse("to", "first@example.com").unwrap();
        let form = Form::of(&token(1), |leave| Ok(write(&first, "x.y", Time::UNIX_EPOCH, leave, "a.b@c")));
        let form = std::sync::Arc::new(form.unwrap());
        let mut long_address = format!("{}@{}.example", "a".repeat(64), "b".repeat(60));
        for number in 0..50_u128 {
            let to = Address::parse("to", &long_address).unwrap();
            let (id, leave) = (format!("{number:032x}.ef"), token(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c)));
            let thread = format!("{number}.ef@news.example.org");
            let date = Time::UNIX_EPOCH + chrono::Duration::hours(7 * i64::try_from(number).unwrap());
            let own = Own { date, to: &to, id: &message_id(&id, &site), leave: &leave, thread: &thread };
            let (filled, whole) = (form.fill(&own).unwrap(), write(&to, &id, date, &leave, &thread));
            assert_eq!((filled.length(), filled.is_ascii()), (whole.len(), whole.is_ascii()));
            let dotted = String::from_utf8(whole.clone()).unwrap().replace("\n.", "\n..");
            assert!(!summary.starts_with('.') || dotted.contains("\n.... as I said"), "{dotted}");
            assert_eq!(String::from_utf8(filled.dotted().concat()).unwrap(), dotted);
            assert_eq!(MailData::from(whole.clone()).dotted().concat(), dotted.as_bytes());
            assert_eq!(String::from_utf8(filled.into_bytes()).unwrap(), String::from_utf8(whole).unwrap());
            long_address = format!("reader{number}@example.org");
        }
        let short = Own { date: Time::UNIX_EPOCH, to: &first, id: "x", leave: "short", thread: "" };
        assert!(form.fill(&short).is_err(), "it would not be the same mail");
    }
}

#[test]
fn a_mail_stays_below_what_is_clipped_and_shows_how_to_leave() {
    for text in ["<&\"", "Ж", "新", "🗞"] {
        let much = text.repeat(50_000);
        let bytes = written(&much, &much, "Science", "The News");
        let raw = String::from_utf8(bytes.clone()).unwrap();
        let html = raw.split("Content-Type: text/html").nth(1).unwrap();
        assert!(html.len() < HTML_BYTES_MAX, "{text}: {} bytes as encoded", html.len());
        let mail = MessageParser::new().parse(&bytes).unwrap();
        let html = mail.body_html(0).unwrap();
        assert!(html.contains("/subscriptions/T0ken_-") && html.contains('…'), "{text}");
        assert!(mail.body_text(0).unwrap().contains("Read it: https://"), "{text}: and the way to the rest");
    }
}

#[test]
fn the_largest_digest_shows_how_to_leave_before_it_is_clipped() {
    let (site, from) = (site("The News"), sender("N"));
    let to = Address::parse("to", "reader@example.com").unwrap();
    let frame = frame(&site, &from, &to);
    for (text, items_min) in [("science ", 60), ("наука ", 20), ("\"<&\" ", 20), ("🗞 ", 10)] {
        let article = article(&text.repeat(10));
        let summary = text.repeat(40);
        let said = in_short(&summary);
        let items = vec![Item { article: &article, said: &said }; 1_000];
        let largest = 95_000;
        let composition = Composition::new(frame.templates, frame.language, &site, &items, 0, largest).unwrap();
        let said = Digest {
            composition: &composition,
            day: Time::UNIX_EPOCH.date_naive(),
            list: None,
            wanted: "everything",
            rest: "https://news.example.org/",
            fold_over: Some(20),
            leave: "T0ken_-",
        };
        let bytes = digest(&frame, &said).unwrap();
        let raw = std::str::from_utf8(&bytes).unwrap();
        let (_, html) = raw.split_once("Content-Type: text/html").unwrap();
        assert!((largest / 2..HTML_BYTES_MAX).contains(&html.len()), "{text}: {} bytes as encoded", html.len());
        assert!(composition.count() >= items_min, "{text}: {} articles", composition.count());
        let mail = MessageParser::new().parse(&bytes).unwrap();
        assert!(mail.body_html(0).unwrap().contains("/subscriptions/T0ken_-"), "{text}");
    }
}

#[test]
fn one_can_leave_by_mail_where_mail_comes_back_to_us() {
    let (site, article, from) = (site("The News"), article("T"), sender("N"));
    let to = Address::parse("to", "reader@example.com").unwrap();
    let returns = ReturnAddress { local: "bounces".into(), domain: "news.example.org".into() };
    let frame = Frame { returns: Some(&returns), ..frame(&site, &from, &to) };
    let said = Notice {
        article: &article,
        said: &Said::default(),
        list: None,
        wanted: "everything",
        leave: "T0ken_-",
        correction: None,
    };
    let bytes = notice(&frame, &said).unwrap();
    let mail = MessageParser::new().parse(&bytes).unwrap();
    let expected = "<https://news.example.org/subscriptions/T0ken_->,\
                    <mailto:bounces+leave@news.example.org?subject=T0ken_->";
    assert_eq!(header(&mail, "List-Unsubscribe"), Some(expected));
    assert_eq!(header(&mail, "List-Archive"), Some("<https://news.example.org/>"));
}
