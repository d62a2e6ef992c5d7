//! Pages as a browser gets them: a store in a folder of its own, a router over it, requests without a network.

use super::frame::{dress, no_such_page};
use super::{App, Templates, pages, print, subscribe};
use crate::domain::{
    Address, Article, ArticleId, Body as Text, Categories, Category, Clock, Content, Selection, Site, Slug, State,
    Subscription, SubscriptionId, SubscriptionState, Time,
};
use crate::services::newsroom::Newsroom;
use crate::services::publish::Publisher;
use crate::services::subscribe::{Limits, Subscriptions};
use crate::store::{Batch, Store};
use crate::wire::mail::Token;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use chrono::Duration;
use jiff::tz::TimeZone;
use std::sync::Arc;
use tower::ServiceExt;

/// The pages' part of the table of routes.
fn routes(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/{category}", get(pages::category))
        .route("/{category}/", get(pages::category_slash))
        .route("/articles/{id}", get(pages::article_by_id))
        .route("/articles/{id}/print", get(print::print))
        .route("/articles/{id}/{slug}", get(pages::article))
        .route("/subscribe", get(subscribe::form).post(subscribe::ask))
        .route("/subscriptions/{token}", get(subscribe::subscription).post(subscribe::act))
        .route("/assets/site.css", get(pages::style))
        .fallback(no_such_page)
        .layer(from_fn_with_state(Arc::clone(app), dress))
        .with_state(Arc::clone(app))
}

struct Newspaper {
    app: Arc<App>,
    router: Router,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.text.contains(part), "expected {part:?} in\n{}", self.text);
        }
        self
    }

    #[track_caller]
    fn says_nothing_of(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(!self.text.contains(part), "expected no {part:?} in\n{}", self.text);
        }
        self
    }
}

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn category(slug: &str, title: &str, language: &str, zone: &str) -> Category {
    Category {
        slug: Slug::parse("slug", slug).unwrap(),
        title: title.into(),
        description: format!("All about {slug}."),
        language: language.into(),
        articles: None,
        zone: TimeZone::get(zone).unwrap(),
        limit: 20,
    }
}

impl Newspaper {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let clock = Clock::test(at("2026-03-01T12:00:00Z"));
        let site = Site {
            title: "Tidings & Daughters".into(),
            description: "News from everywhere.".into(),
            language: "en".into(),
            base_url: "https://news.example/".parse().unwrap(),
            print_line: true,
        };
        let categories = Categories::new(vec![
            category("science", "Science", "en", "Europe/Moscow"),
            category("economy", "Экономика", "ru", "UTC"),
        ]);
        let newsroom = Arc::new(ArcSwap::from_pointee(Newsroom { site, categories }));
        let subscriptions = Subscriptions::new(
            Arc::clone(&store),
            clock.clone(),
            Arc::clone(&newsroom),
            Limits { confirmations_per_hour_max: 3 },
            Arc::default(),
        );
        let app = Arc::new(App {
            publisher: Publisher::new(Arc::clone(&store), clock),
            store,
            subscriptions,
            newsroom,
            templates: Templates::new().unwrap(),
            body_bytes_max: 1 << 20,
        });
        Newspaper { router: routes(&app), app, _folder: folder }
    }

    /// Stores an article as `edit` leaves it: public, in Science, of 18 December 2020.
    async fn publish(&self, id: &str, title: &str, edit: impl FnOnce(&mut Article)) -> Article {
        let dated = at("2020-12-18T12:03:00Z");
        let mut article = Article {
            id: ArticleId::parse("id", id).unwrap(),
            external_id: None,
            revision: 1,
            state: State::Published,
            created_at: dated,
            published_at: Some(dated),
            updated_at: dated,
            first_public_at: Some(dated),
            content: Content {
                categories: vec![Slug::parse("c", "science").unwrap()],
                title: title.into(),
                summary: None,
                body: None,
                url: None,
                authors: vec![],
                tags: vec![],
                language: None,
            },
        };
        edit(&mut article);
        let mut batch = Batch::default();
        self.app.store.write_article(&mut batch, None, &article);
        self.app.store.commit(batch).await.unwrap();
        article
    }

    async fn subscriber(&self, address: &str, state: SubscriptionState) -> Subscription {
        let now = at("2026-03-01T11:00:00Z");
        let subscription = Subscription {
            id: SubscriptionId(uuid::Uuid::from_u128(7)),
            address: Address::parse("address", address).unwrap(),
            selection: Selection::Categories(vec![Slug::parse("c", "science").unwrap()]),
            wished: None,
            state,
            round: 1,
            created_at: now,
            asked_at: now,
        };
        let mut batch = Batch::default();
        self.app.store.write_subscription(&mut batch, None, &subscription);
        self.app.store.commit(batch).await.unwrap();
        subscription
    }

    fn state(&self, id: SubscriptionId) -> SubscriptionState {
        self.app.store.subscription(id).unwrap().unwrap().record.state
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 4 << 20).await.unwrap();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }
}

fn text(html: &str) -> Option<Text> {
    Some(Text { html: html.into(), markdown: None })
}

#[tokio::test]
async fn the_home_page_shows_the_newest_and_each_category_and_all_feeds() {
    let paper = Newspaper::new();
    paper.publish("a1", "Hope <& fear>", |article| article.content.body = text("<p>First things first.</p>")).await;
    let home = paper.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    home.says(&[
        "<title>Tidings &amp; Daughters</title>",
        "<a href=\"https://news.example/articles/a1/hope-fear\">Hope &lt;&amp; fear&gt;</a>",
        "<p class=\"summary\">First things first.</p>",
        "<a href=\"https://news.example/economy\" lang=\"ru\">Экономика</a>",
        "<time datetime=\"2020-12-18T15:03:00+03:00\">18 December 2020, 15:03 MSK</time>",
        "<link rel=\"alternate\" type=\"application/rss+xml\" title=\"Tidings &amp; Daughters (RSS)\" href=\"https://news.example/rss.xml\">",
        "type=\"application/feed+json\"",
        "href=\"https://news.example/science/atom.xml\"",
        "href=\"https://news.example/subscribe?category=economy\"",
    ]);
    assert_eq!(home.header("content-type"), "text/html; charset=utf-8");
    assert!(home.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(home.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_category_gives_out_twenty_articles_a_page_until_there_are_no_more() {
    let paper = Newspaper::new();
    for n in 0..45_i64 {
        let moved = |article: &mut Article| article.published_at = article.published_at.map(|t| t + Duration::hours(n));
        paper.publish(&format!("a{n}"), &format!("Story {n} of many"), moved).await;
    }
    let (mut path, mut seen, mut pages) = ("/science".to_owned(), Vec::new(), 0);
    loop {
        let page = paper.get(&path).await;
        pages += 1;
        let titles = page.text.lines().filter_map(|line| line.strip_prefix("<h2><a href=\"https://news.example"));
        seen.extend(titles.map(|line| line.split('/').nth(2).unwrap().to_owned()));
        let Some((_, older)) = page.text.split_once("rel=\"next\" href=\"https://news.example") else { break };
        path = older.split_once('"').unwrap().0.to_owned();
        page.says(&["Story"]);
    }
    let expected: Vec<_> = (0..45).rev().map(|n| format!("a{n}")).collect();
    assert_eq!((pages, seen), (3, expected));
    paper.get(&path).await.says(&["<meta name=\"robots\" content=\"noindex\">", ">Newest</a>"]);
    assert_eq!(paper.get("/science?after=zz").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_that_is_not_there_names_those_that_are() {
    let paper = Newspaper::new();
    for path in ["/sports", "/sports/", "/a/b/c", "/articles/none", "/articles/a%FFb", "/articles/../x"] {
        let missing = paper.get(path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        missing.says(&["<h1>Not found</h1>", "https://news.example/science", "Экономика"]);
        assert_eq!((missing.header("cache-control"), missing.header("x-robots-tag")), ("no-store", "noindex"));
    }
    let slash = paper.get("/science/").await;
    assert_eq!((slash.status.as_u16(), slash.header("location")), (308, "https://news.example/science"));
}

#[tokio::test]
async fn an_article_has_one_address_and_says_all_that_is_known() {
    let paper = Newspaper::new();
    let edit = |article: &mut Article| {
        article.updated_at += Duration::minutes(6);
        article.content.authors = vec!["Ada & Co".into(), "Bo".into()];
        article.content.tags = vec!["<b>".into()];
        article.content.summary = Some("In short.".into());
        article.content.url = "https://www.paper.example/story?a=1&b=2".parse().ok();
        article.content.body = text("<p>It <a href=\"https://x.example/\">happened</a>.</p>");
    };
    paper.publish("https://old.example/?p=12", "What happened", edit).await;
    let path = "/articles/https%3A%2F%2Fold.example%2F%3Fp%3D12/what-happened";
    let page = paper.get(path).await;
    assert_eq!(page.status, StatusCode::OK);
    page.says(&[
        "<title>What happened – Tidings &amp; Daughters</title>",
        "<link rel=\"canonical\" href=\"https://www.paper.example/story?a=1&amp;b=2\">",
        "By Ada &amp; Co, Bo",
        "Updated <time datetime=\"2020-12-18T15:09:00+03:00\">",
        "<p>It <a href=\"https://x.example/\">happened</a>.</p>",
        "<span lang=\"en\">&lt;b&gt;</span>",
        "Originally at <a href=\"https://www.paper.example/story?a=1&amp;b=2\">paper.example</a>",
        "href=\"https://news.example/articles/https%3A%2F%2Fold.example%2F%3Fp%3D12/print\"",
        "href=\"https://news.example/science/rss.xml\"",
        "href=\"https://news.example/rss.xml\"",
    ]);
    for wrong in ["/articles/https%3A%2F%2Fold.example%2F%3Fp%3D12", &format!("{path}s")] {
        let moved = paper.get(wrong).await;
        assert_eq!((moved.status.as_u16(), moved.header("location")), (308, &*format!("https://news.example{path}")));
    }
}

#[tokio::test]
async fn an_article_named_print_is_not_hidden_by_its_own_print_view() {
    let paper = Newspaper::new();
    paper.publish("a1", "Print", |_| {}).await;
    let moved = paper.get("/articles/a1").await;
    assert_eq!(moved.header("location"), "https://news.example/articles/a1/article");
    paper.get("/articles/a1/article").await.says(&["<h1>Print</h1>", "class=\"tools\""]);
}

#[tokio::test]
async fn what_is_not_public_is_not_shown_and_what_was_withdrawn_says_so() {
    let paper = Newspaper::new();
    paper.publish("draft", "Secret", |article| article.state = State::Draft).await;
    paper.publish("later", "Secret", |article| article.state = State::Scheduled).await;
    paper.publish("gone", "Secret", |article| article.state = State::Retracted).await;
    let never_public = |article: &mut Article| {
        article.state = State::Retracted;
        article.first_public_at = None;
    };
    paper.publish("never", "Secret", never_public).await;
    for (id, status) in [("draft", 404), ("later", 404), ("gone", 410), ("never", 404)] {
        for path in [format!("/articles/{id}"), format!("/articles/{id}/secret"), format!("/articles/{id}/print")] {
            let answer = paper.get(&path).await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            answer.says_nothing_of(&["Secret"]);
        }
    }
    paper.get("/articles/gone/secret").await.says(&["has been withdrawn"]);
    paper.get("/").await.says_nothing_of(&["Secret"]);
    paper.get("/science").await.says_nothing_of(&["Secret"]);
}

#[tokio::test]
async fn a_page_that_the_asker_has_is_not_sent_again_until_it_changes() {
    let paper = Newspaper::new();
    paper.publish("a1", "One", |_| {}).await;
    for path in ["/", "/science", "/articles/a1/one", "/articles/a1/print"] {
        let first = paper.get(path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && first.header("cache-control") == "no-cache", "{path}");
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let again = Request::get(path).header("if-none-match", &known).body(Body::empty()).unwrap();
            let again = paper.send(again).await;
            assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path} {known}");
            assert_eq!(again.header("etag"), etag);
        }
        let other = Request::get(path).header("if-none-match", "\"other\"").body(Body::empty()).unwrap();
        assert_eq!(paper.send(other).await.status, StatusCode::OK);
    }
    let before = paper.get("/").await.header("etag").to_owned();
    paper.publish("a2", "Two", |_| {}).await;
    assert_ne!(paper.get("/").await.header("etag"), before);
}

#[tokio::test]
async fn the_print_view_has_numbered_notes_its_source_and_no_navigation() {
    let paper = Newspaper::new();
    let edit = |article: &mut Article| {
        article.content.language = Some("ar".into());
        article.content.body = text(
            "<p><a href=\"https://x.example/?a=1&amp;b=2\">one</a>, <a href=\"https://y.example/\">two</a> and \
             <a href=\"https://x.example/?a=1&amp;b=2\">one again</a></p>",
        );
    };
    paper.publish("a1", "Linked", edit).await;
    let page = paper.get("/articles/a1/print").await;
    page.says(&[
        "<html lang=\"ar\" dir=\"rtl\">",
        "one</a><sup>[1]</sup>, ",
        "one again</a><sup>[1]</sup>",
        "<li><a href=\"https://x.example/?a=1&amp;b=2\">https://x.example/?a=1&amp;b=2</a></li>\n<li><a href=\"https://y.example/\">",
        "<meta name=\"robots\" content=\"noindex\">",
        "<link rel=\"canonical\" href=\"https://news.example/articles/a1/linked\">",
        "<a href=\"https://news.example/articles/a1/linked\">https://news.example/articles/a1/linked</a>",
        "18 December 2020, 15:03 MSK",
    ]);
    page.says_nothing_of(&["<nav", "subscribe"]);
    assert!(page.text.starts_with("<!doctype html>"), "{:?}", &page.text[..40]);
    assert_eq!(page.header("x-robots-tag"), "noindex");
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_its_version_alone() {
    let paper = Newspaper::new();
    let home = paper.get("/").await.text;
    let address = home.split_once("rel=\"stylesheet\" href=\"").unwrap().1.split_once('"').unwrap().0;
    let style = paper.get(address).await;
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(paper.get("/assets/site.css?v=other").await.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn asking_answers_the_same_for_everybody() {
    let paper = Newspaper::new();
    paper.subscriber("known@example.org", SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") }).await;
    let known = paper.post("/subscribe", "address=known%40example.org&category=science").await;
    let new = paper.post("/subscribe", "address=brand-new%40example.org&category=economy&category=science").await;
    assert_eq!((known.status, new.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(known.text.replace("known@", "brand-new@"), new.text);
    new.says(&["Look into your mailbox", "brand-new@example.org"]);
    assert_eq!((new.header("cache-control"), new.header("referrer-policy")), ("no-store", "no-referrer"));
    let address = Address::parse("address", "brand-new@example.org").unwrap();
    let stored = paper.app.store.subscription_of(&address).unwrap().unwrap().record;
    assert_eq!(stored.state, SubscriptionState::Pending);
    assert!(matches!(stored.selection, Selection::Categories(slugs) if slugs.len() == 2));
}

#[tokio::test]
async fn a_mistake_in_the_form_is_shown_beside_its_field_and_nothing_is_lost() {
    let paper = Newspaper::new();
    let form = paper.get("/subscribe?category=economy").await;
    form.says(&["value=\"economy\" checked", "value=\"science\">", "method=\"post\" action=\"/subscribe\""]);
    form.says_nothing_of(&["class=\"fault\""]);
    let wrong = paper.post("/subscribe", "address=me%22%3E&category=science").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.says(&["value=\"me&quot;&gt;\"", "id=\"address-fault\"", "value=\"science\" checked"]);
    wrong.says_nothing_of(&["category-fault"]);
    let empty = paper.post("/subscribe", "address=").await;
    empty.says(&["id=\"address-fault\"", "id=\"category-fault\"", "Please give a mail address"]);
    let unknown = paper.post("/subscribe", "address=a%40example.org&category=sports").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    unknown.says(&["id=\"category-fault\"", "economy, science", "value=\"a@example.org\""]);
    let json = Request::post("/subscribe").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(paper.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = format!("address={}", "a".repeat(70_000));
    assert_eq!(paper.post("/subscribe", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn too_many_who_ask_within_the_hour_are_told_to_come_back() {
    let paper = Newspaper::new();
    for n in 0..3 {
        assert_eq!(paper.post("/subscribe", &format!("address=a{n}%40example.org&everything=yes")).await.status, 200);
    }
    let refused = paper.post("/subscribe", "address=a4%40example.org&everything=yes").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "30"));
    refused.says(&["<h1>Too many at once</h1>"]);
}

#[tokio::test]
async fn opening_the_link_changes_nothing_and_the_button_confirms() {
    let paper = Newspaper::new();
    let subscription = paper.subscriber("reader@example.org", SubscriptionState::Pending).await;
    let path = format!("/subscriptions/{}", Token::confirm(&subscription).seal(&paper.app.store.identity().secret));
    let link = paper.get(&path).await;
    link.says(&["name=\"act\" value=\"confirm\"", "r…@example.org", "<li>Science</li>", &format!("action=\"{path}\"")]);
    link.says_nothing_of(&["reader@example.org"]);
    assert_eq!(link.header("referrer-policy"), "no-referrer");
    assert_eq!((link.header("x-robots-tag"), link.header("cache-control")), ("noindex", "no-store"));
    assert_eq!(paper.state(subscription.id), SubscriptionState::Pending);
    for other in ["", "List-Unsubscribe=One-Click", "act=leave"] {
        assert_eq!(paper.post(&path, other).await.status, StatusCode::BAD_REQUEST, "{other:?}");
        assert_eq!(paper.state(subscription.id), SubscriptionState::Pending, "{other:?}");
    }
    for _ in 0..2 {
        let done = paper.post(&path, "act=confirm").await;
        assert_eq!(done.status, StatusCode::OK);
        done.says(&["<h1>You are subscribed</h1>", "<li>Science</li>"]);
        assert!(matches!(paper.state(subscription.id), SubscriptionState::Confirmed { .. }));
    }
    assert_eq!(paper.get(&format!("{path}x")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_click_leaves_without_a_page_and_the_button_with_one() {
    let paper = Newspaper::new();
    let confirmed = SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") };
    let subscription = paper.subscriber("reader@example.org", confirmed.clone()).await;
    let path = format!("/subscriptions/{}", Token::leave(subscription.id).seal(&paper.app.store.identity().secret));
    paper.get(&path).await.says(&["name=\"act\" value=\"leave\"", "r…@example.org"]);
    assert_eq!(paper.state(subscription.id), confirmed, "a scanner that opens links unsubscribes nobody");
    let boundary = "multipart/form-data; boundary=b";
    let parts = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    for (media_type, body) in [("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"), (boundary, parts)] {
        let request = Request::post(&path).header("content-type", media_type).header("sec-fetch-site", "cross-site");
        let answer = paper.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "Unsubscribed.\n"));
        assert_eq!((answer.header("set-cookie"), answer.header("location")), ("", ""));
        assert!(matches!(paper.state(subscription.id), SubscriptionState::Unsubscribed { .. }));
    }
    paper.post(&path, "act=leave").await.says(&["<h1>You are unsubscribed</h1>"]);
}
