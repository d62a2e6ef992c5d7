//! Which language a page speaks, and to whom.

use super::{Newspaper, at};
use crate::domain::{Address, Language, Subscriber, SubscriptionState};
use crate::store::Batch;
use crate::wire::mail::Token;
use axum::body::Body;
use axum::http::{Request, StatusCode};

impl Newspaper {
    async fn get_as(&self, path: &str, languages: &str) -> super::Answer {
        self.send(Request::get(path).header("accept-language", languages).body(Body::empty()).unwrap()).await
    }

    async fn speaks(&self, address: &Address, language: Option<Language>) {
        let old = self.app.store.subscriber_of(address).unwrap().unwrap();
        let mut batch = Batch::default();
        self.app.store.write_subscriber(&mut batch, Some(&old), &Subscriber { language, ..old.record.clone() });
        self.app.store.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn public_pages_speak_the_language_of_the_newsroom_or_the_category_and_not_the_browsers() {
    let paper = Newspaper::new();
    paper.publish("a1", "Of science", |_| {}).await;
    paper
        .publish("a2", "О воде", |article| {
            article.content.categories = vec![crate::domain::Slug::parse("c", "economy").unwrap()];
            article.content.authors = vec!["Анна".into()];
        })
        .await;
    for (path, language, words) in [
        ("/", "en", "<h2 id=\"latest\" lang=\"en\">Latest</h2>"),
        ("/science", "en", "18 December 2020, 15:03 MSK"),
        ("/economy", "ru", "18 декабря 2020, 12:03 UTC"),
        ("/articles/a2/o-vode", "ru", "Текст: <a rel=\"author\""),
        ("/articles/a2/print", "ru", "18 декабря 2020"),
        ("/search", "en", "<h1>Search</h1>"),
    ] {
        let first = paper.get(path).await;
        assert_eq!(first.status, StatusCode::OK, "{path}");
        first.says(&[words, &format!("<html lang=\"{language}\"")]);
        for wanted in ["zh-CN", "ru", "en"] {
            let other = paper.get_as(path, wanted).await;
            assert_eq!((other.text.as_str(), other.header("etag")), (first.text.as_str(), first.header("etag")));
            assert_eq!(other.header("vary"), "", "{path}: a cache keeps one copy");
        }
    }
    paper.get("/economy").await.says(&["<a href=\"https://news.example/subscribe\">по почте</a>"]);
    paper.get_as("/nothing-here", "ru").await.says(&["<h1>Not found</h1>"]);
}

#[tokio::test]
async fn the_form_goes_by_the_address_then_the_browser_then_the_category_and_keeps_what_was_chosen() {
    let paper = Newspaper::new();
    for (path, languages, expected) in [
        ("/subscribe", "", "<h1>Subscribe by mail</h1>"),
        ("/subscribe", "de, zh;q=0.5", "<h1>邮件订阅</h1>"),
        ("/subscribe?category=economy", "de", "<h1>Подписка по почте</h1>"),
        ("/subscribe?category=economy", "en", "<h1>Subscribe by mail</h1>"),
        ("/subscribe?language=ru&category=economy", "en", "<h1>Подписка по почте</h1>"),
        ("/subscribe?language=tlh", "zh", "<h1>邮件订阅</h1>"),
    ] {
        let form = paper.get_as(path, languages).await;
        form.says(&[expected]);
        assert_eq!(form.header("cache-control"), "no-store");
    }
    let form = paper.get("/subscribe?language=ru&category=economy").await;
    form.says(&[
        "<html lang=\"ru\"",
        "href=\"/subscribe?language=zh&amp;category=economy\" hreflang=\"zh\" lang=\"zh\">中文</a>",
        "<span>Русский</span>",
        "<option value=\"ru\" lang=\"ru\" selected>Русский</option>",
    ]);
    let wrong = paper.post("/subscribe", "address=x&everything=yes&language=zh").await;
    wrong.says(&["“x”不是有效的邮箱地址", "<html lang=\"zh\""]);
    let odd = paper.post("/subscribe", "address=x%40example.org&everything=yes&language=tlh").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    paper.post("/subscribe", "address=a%40example.org&everything=yes&language=zh").await.says(&["<h1>请查收邮件</h1>"]);
    let subscriber = paper.app.store.subscriber_of(&Address::parse("a", "a@example.org").unwrap()).unwrap().unwrap();
    assert_eq!(subscriber.record.language, Some(Language::Chinese));
}

#[tokio::test]
async fn the_pages_behind_links_in_mails_speak_the_subscribers_language_whatever_the_browser_says() {
    let paper = Newspaper::new();
    let waiting = paper.subscriber("reader@example.org", SubscriptionState::Pending).await;
    let secret = paper.app.store.identity().secret;
    let confirm = format!("/subscriptions/{}", Token::confirm(&waiting).seal(&secret));
    for (language, heading, wording) in [
        (None, "<h1>Confirm your subscription</h1>", "I want to get these mails"),
        (Some(Language::Russian), "<h1>Подтвердите подписку</h1>", "Я хочу получать эти письма"),
        (Some(Language::Chinese), "<h1>确认订阅</h1>", "我愿意用此邮箱接收这些邮件"),
    ] {
        paper.speaks(&waiting.address, language).await;
        let page = paper.get_as(&confirm, "en, ru;q=0.5").await;
        let tag = language.map_or("en", Language::tag);
        page.says(&[heading, wording, &format!("<html lang=\"{tag}\"")]);
        page.says(&[&format!("name=\"language\" value=\"{tag}\"")]);
    }
    let done = paper.post(&confirm, "act=confirm&language=zh").await;
    done.says(&["<h1>订阅成功</h1>"]);
    let consent = paper.app.store.subscription(waiting.id).unwrap().unwrap().record.consent;
    assert_eq!(consent.language, Some(Language::Chinese));
    let wording = paper.app.store.wording(&consent.wording.unwrap()).unwrap().unwrap();
    assert!(wording.text.starts_with("我愿意"), "{}", wording.text);
    let lost = paper.get_as(&format!("{confirm}x"), "ru").await;
    lost.says(&["<h1>Not found</h1>", "This link is not one of ours"]);

    let leave = format!("/subscriptions/{}", Token::leave(waiting.id).seal(&secret));
    paper.get_as(&leave, "en").await.says(&["<h1>退订</h1>"]);
    paper.post(&leave, "act=preferences").await;
    let subscriber = paper.app.store.subscriber_of(&waiting.address).unwrap().unwrap().record;
    let preferences = format!("/subscriptions/{}", Token::preferences(&subscriber).seal(&secret));
    paper.get_as(&preferences, "en").await.says(&["<h1>您的订阅</h1>", "<html lang=\"zh\""]);
    let form = format!("act=save&id={}&category=science&cadence=weekly&hour=18&day=Fri", waiting.id);
    paper.post(&preferences, &form).await.says(&["已保存。", "下一封邮件将于 2026年3月6日 18:00 UTC 发送。"]);
    let moved = paper.post(&preferences, "act=settings&time_zone=Europe%2FMoscow&language=ru").await;
    moved.says(&["Сохранено.", "Следующее письмо придёт 6 марта 2026, 18:00 MSK.", "checked> пятница</label>"]);
    paper.post(&preferences, "act=settings&time_zone=&language=tlh").await.says(&["Выберите один из языков."]);
    paper.post(&preferences, "act=erase").await.says(&["Отметьте, что вы действительно этого хотите."]);
    paper.post(&preferences, "act=erase&sure=yes").await.says(&["<h1>Удалено</h1>"]);
    assert!(paper.app.clock.now() == at("2026-03-01T12:00:00Z"));
}

#[tokio::test]
async fn what_leaves_at_one_click_is_answered_in_the_subscribers_language() {
    for (language, line) in [
        (Language::English, "You are unsubscribed\n"),
        (Language::Russian, "Вы отписались\n"),
        (Language::Chinese, "您已退订\n"),
    ] {
        let paper = Newspaper::new();
        let confirmed = SubscriptionState::Confirmed { at: paper.app.clock.now() };
        let reader = paper.subscriber("reader@example.org", confirmed).await;
        paper.speaks(&reader.address, Some(language)).await;
        let leave = Token::leave(reader.id).seal(&paper.app.store.identity().secret);
        let answer = paper.post(&format!("/subscriptions/{leave}"), "List-Unsubscribe=One-Click").await;
        assert_eq!((answer.text.as_str(), answer.header("content-language")), (line, language.tag()));
        assert_eq!((answer.header("content-type"), answer.header("location")), ("text/plain; charset=utf-8", ""));
    }
}
