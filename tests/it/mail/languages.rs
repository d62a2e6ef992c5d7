//! Every kind of mail in the language and on the clock of whom it goes to.

use super::returns::returns;
use super::*;
use tidings::domain::{Weekdays, Zone};

/// `reader{n}@example.net`, each with a language and a zone.
const READERS: [(Option<Language>, Option<&str>); 5] = [
    (None, None),
    (Some(Language::Russian), Some("Europe/Moscow")),
    (Some(Language::Chinese), Some("Asia/Shanghai")),
    (Some(Language::Russian), Some("Asia/Vladivostok")),
    (Some(Language::English), Some("Europe/Moscow")),
];

async fn readers(room: &Room, cadence: Cadence) -> Vec<Subscription> {
    let mut all = Vec::new();
    for (number, (language, zone)) in READERS.into_iter().enumerate() {
        let zone = zone.map(|zone| Zone::parse("zone", zone).unwrap());
        let to = address(&format!("reader{number}@example.net"));
        let asking = Asking { cadence: Some(cadence), zone, language, ..Asking::new(to.clone(), only(&["science"])) };
        room.subscriptions.ask(asking).await.unwrap();
        all.push(room.subscription(to.as_str()));
    }
    all
}

async fn sent(room: &Room) {
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
}

/// Subject, text and HTML of the mails whose subject `is_it`, by recipient.
fn told(room: &Room, is_it: impl Fn(&str) -> bool) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for bytes in room.mails() {
        let mail = MessageParser::new().parse(&bytes).unwrap();
        let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
        let part = |part: std::borrow::Cow<'_, str>| part.replace("\r\n", "\n");
        if is_it(mail.subject().unwrap()) {
            let (text, html) = (part(mail.body_text(0).unwrap()), part(mail.body_html(0).unwrap()));
            found.push((to, format!("{}\n{text}", mail.subject().unwrap()), html));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn each_is_asked_told_and_taken_leave_of_in_their_own_language() {
    let room = Room::open();
    let readers = readers(&room, Cadence::Instant).await;
    sent(&room).await;
    let asked = told(&room, |_| true);
    let [english, russian, chinese, ..] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(english.1.starts_with("The News: please confirm your subscription\n"), "{}", english.1);
    assert!(
        russian.1.starts_with("The News: подтвердите подписку\n") && russian.1.contains("14 дней"),
        "{}",
        russian.1
    );
    assert!(chinese.1.contains("如需确认，请打开以下页面并点击其中的按钮：\nhttps://"), "{}", chinese.1);
    for ((_, _, html), tag) in asked.iter().zip(["en", "ru", "zh", "ru", "en"]) {
        assert!(html.contains(&format!("<html lang=\"{tag}\">")), "{html}");
    }
    for reader in &readers {
        room.subscriptions.confirm(&room.confirming(reader), None, Language::English).await.unwrap();
    }
    room.clock.advance(Duration::minutes(1));
    room.publish("Вода & лёд", &["science"]).await;
    room.notified().await;
    sent(&room).await;
    let news = told(&room, |subject| subject == "Вода & лёд");
    let whens: Vec<&str> = news.iter().map(|(_, text, _)| text.lines().nth(2).unwrap()).collect();
    let expected = [
        "15 January 2027, 08:01 UTC",
        "15 января 2027, 11:01 MSK",
        "2027年1月15日 16:01 CST",
        "15 января 2027, 18:01 UTC+10",
        "15 January 2027, 11:01 MSK",
    ];
    assert_eq!(whens, expected);
    assert!(news[1].1.contains("Версия для печати: https://") && news[1].1.contains("\nОтписаться: https://"));
    assert!(news[2].1.contains("您收到这封邮件，是因为此邮箱订阅了“The News”（Science）。"), "{}", news[2].1);
    assert!(news[2].2.contains(">退订或更改订阅</a>") && news[2].2.contains("<html lang=\"zh\">"), "{}", news[2].2);
    assert!(!news[1].1.contains("Unsubscribe") && !news[1].2.contains("Read it"), "{}", news[1].2);

    for reader in &readers {
        room.subscriptions.send_link(&room.leaving(reader)).await.unwrap();
        // By mail as by the link: the answer is the same.
        let leave = format!("From: reader@example.net\r\nSubject: {}\r\n\r\n", room.leaving(reader));
        returns(&room).take("bounces+leave@news.example.org", leave.as_bytes()).await.unwrap();
    }
    sent(&room).await;
    let links = told(&room, |subject| subject.contains("ссылка на ваши настройки"));
    assert!(links.len() == 2 && links[0].1.contains("24 часа"), "{links:?}");
    let until = |subject: &'static str| told(&room, move |found| found.contains(subject)).remove(0).1;
    assert!(until("you are unsubscribed").contains("until 12 February 2027:\nhttps://"));
    assert!(until("вы отписались").contains("до 12 февраля 2027 года:\nhttps://"));
    assert!(until("您已退订").contains("您可以在2027年2月12日之前恢复订阅：\nhttps://"));
}

#[tokio::test]
async fn a_digest_is_made_once_for_each_language_and_counts_as_the_language_does() {
    let room = Room::open();
    let daily = Cadence::Daily { hour: Hour::SEVEN, days: Weekdays::ALL };
    for reader in readers(&room, daily).await {
        room.subscriptions.confirm(&room.confirming(&reader), None, Language::English).await.unwrap();
    }
    sent(&room).await;
    for number in 0..23 {
        room.publish(&format!("News {number}"), &["science"]).await;
        room.clock.advance(Duration::minutes(1));
    }
    room.clock.advance(Duration::days(1));
    room.digested().await;
    sent(&room).await;
    let subjects = |start: &str| told(&room, |subject| subject.starts_with(start));
    let english = subjects("The News: News 22 and 22 more");
    let russian = subjects("The News: News 22 и ещё 22 материала");
    let chinese = subjects("The News：News 22 等，另有 22 篇");
    assert_eq!((english.len(), russian.len(), chinese.len()), (2, 2, 1), "{:?}", told(&room, |_| true));
    assert!(english[0].1.contains("The News\n16 January 2027\n\n* News 22\n"), "{}", english[0].1);
    assert!(russian[0].1.contains("The News\n16 января 2027\n\n* News 22\n"), "{}", russian[0].1);
    assert!(chinese[0].1.contains("The News\n2027年1月16日\n\n* News 22\n"), "{}", chinese[0].1);
    assert!(chinese[0].1.contains("阅读全文：https://"), "{}", chinese[0].1);
    assert!(russian[0].2.contains("<html lang=\"ru\">") && russian[0].2.contains(">Читать</a>"), "{}", russian[0].2);
}

#[tokio::test]
async fn a_test_is_recorded_like_any_mail_and_goes_with_the_address() {
    let room = Room::open();
    let reader = room.subscribed(1, &only(&["science"])).await.remove(0);
    let mailer = room.mailer(room.outbox());
    let wish = tidings::services::mailer::Wish {
        kind: tidings::domain::MailKind::Digest,
        language: Language::Russian,
        article: None,
    };
    mailer.send_test(reader.address.clone(), &wish).await.unwrap();
    assert_eq!(mailer.send_test(reader.address.clone(), &wish).await.unwrap_err().kind, Kind::Conflict, "not twice");
    mailer.send_test(address("chief@example.net"), &wish).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(told(&room, |subject| subject.starts_with("Проба: The News: A headline")).len(), 2);
    assert!(tidings::store::check(&room.store).is_clean());
    let held = room.subscriptions.of_address(&reader.address).unwrap();
    let record = serde_json::to_value(room.subscriptions.record(held).await.unwrap()).unwrap();
    assert_eq!(record["messages"][0]["message"]["test"]["to"], "reader0@example.net", "{record}");
    assert!(record["messages"][0]["state"]["sent"].is_object(), "{record}");
    let eraser = Eraser::new(Arc::clone(&room.store), room.clock.clone(), room.outbox().outbox);
    eraser.erase(&[reader.id].into()).await.unwrap();
    let mut export = Vec::new();
    tidings::store::export(&room.store, &mut export).unwrap();
    let export = String::from_utf8(export).unwrap();
    assert!(!export.contains("reader0@") && export.contains("chief@"), "only the other's is left");
    assert!(tidings::store::check(&room.store).is_clean());

    // Nor does anything stay of an address that has got tests alone.
    let chief = address("Chief@example.net");
    let record = serde_json::to_value(room.subscriptions.record_of(&chief).await.unwrap()).unwrap();
    assert!(record["subscriber"].is_null() && record["messages"].as_array().unwrap().len() == 1, "{record}");
    eraser.erase_address(&chief).await.unwrap();
    assert_eq!(eraser.erase_address(&chief).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(room.subscriptions.record_of(&chief).await.unwrap_err().kind, Kind::NotFound);
    let mut export = Vec::new();
    tidings::store::export(&room.store, &mut export).unwrap();
    assert!(!String::from_utf8(export).unwrap().contains("chief@"));
    assert!(tidings::store::check(&room.store).is_clean());
}

/// `text` with one space wherever there is any white space.
fn unfolded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_rest_of_a_day_says_why_it_comes_and_has_its_headlines_on_top_in_text_and_in_html() {
    let mut room = Room::open();
    room.standard.instant_per_day_max = 3;
    for reader in readers(&room, Cadence::Instant).await {
        room.subscriptions.confirm(&room.confirming(&reader), None, Language::English).await.unwrap();
    }
    sent(&room).await;
    for number in 0..6 {
        room.clock.advance(Duration::minutes(1));
        room.publish(&format!("News {number}"), &["science"]).await;
        room.notified().await;
    }
    sent(&room).await;
    room.clock.advance(Duration::days(1));
    room.digested().await;
    sent(&room).await;
    let why = [
        "There was more news in a day than the 3 mails that come one by one. Here is the rest in one mail.",
        "Новостей за день было больше обычного. Отдельными письмами мы присылаем не больше 3 в день, остальное собрано \
         здесь.",
        "一天内的新闻较多：单独发送的邮件每天最多 3 封，其余内容汇总在这封邮件里。",
    ];
    let rest = told(&room, |subject| subject.starts_with("The News") && subject.contains("News 5"));
    let words: Vec<&str> = ["en", "ru", "zh", "ru", "en"]
        .map(|tag| why[Language::ALL.iter().position(|language| language.tag() == tag).unwrap()])
        .into();
    assert_eq!(rest.len(), words.len(), "{rest:?}");
    for ((_, text, html), words) in rest.iter().zip(words) {
        let (text, html) = (unfolded(text), unfolded(html));
        assert!(text.contains(&format!("{words} * News 5 * News 4 * News 3 ---- ")), "{text}");
        let (before, behind) = html.split_once("</ul>").expect("headlines");
        let (before, headlines) = before.split_once("<ul>").expect("headlines");
        assert!(before.ends_with(&format!("<p>{words}</p> ")), "{html}");
        let links = |part: &str| -> Vec<String> {
            let links = part.split("<a href=\"").skip(1).filter_map(|link| link.split_once("</a>"));
            links.map(|(link, _)| link.to_owned()).filter(|link| link.contains("\">News ")).collect()
        };
        let titles = |links: &[String]| links.iter().map(|link| link.split_once('>').unwrap().1.to_owned()).collect();
        let titles: Vec<String> = titles(&links(headlines));
        assert_eq!(titles, ["News 5", "News 4", "News 3"], "{html}");
        assert_eq!(links(headlines), links(behind), "each leads to where its article does");
    }
}
