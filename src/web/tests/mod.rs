//! Pages as a browser gets them: a store in a folder of its own, a router over it, requests without a network.

mod clock;
mod embargo;
mod following;
mod languages;
mod operating;
mod previewing;
mod reading;
mod subscribing;

use super::App;
use crate::config::{Doubtful, Mail, MailText, Sender, Server};
use crate::domain::{
    Address, Article, ArticleId, Categories, Category, Change, ChangeKind, Clock, Content, Labels, Selection, Site,
    Slug, Subscription, SubscriptionId, SubscriptionState, Time,
};
use crate::services::newsroom::Newsroom;
use crate::store::{Batch, Store};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use jiff::tz::TimeZone;
use std::sync::Arc;
use tower::ServiceExt;

pub(crate) struct Newspaper {
    pub(crate) app: Arc<App>,
    router: Router,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 4 << 20).await.unwrap();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

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
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let clock = Clock::test(at("2026-03-01T12:00:00Z"));
        let site = Site {
            title: "Tidings & Daughters".into(),
            description: "News from everywhere.".into(),
            language: "en".into(),
            base_url: "https://news.example/".parse().unwrap(),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let categories = Categories::new(vec![
            category("science", "Science", "en", "Europe/Moscow"),
            category("economy", "Экономика", "ru", "UTC"),
        ]);
        let newsroom =
            Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, hub: None, changed_at: clock.now() }));
        let mail = Mail {
            return_address: None,
            age_max: chrono::TimeDelta::days(5),
            shapes: vec![],
            watchdog: Default::default(),
            canary: None,
            numbers_age_max: chrono::TimeDelta::days(400),
            ledger_age_max: chrono::TimeDelta::days(180),
            warm_up: None,
            returns: Default::default(),
            templates: None,
            dkim_folder: None,
            dkim: vec![],
            from: Sender { name: None, address: "news@news.example".into() },
            outbox: folder.path().join("outbox"),
            text: MailText::Summary,
            article_age_max: chrono::TimeDelta::days(2),
            grace: chrono::TimeDelta::zero(),
            attempts_max: 3,
            doubtful: Doubtful::Hold,
            confirmations_per_hour_max: 12,
            smtp: None,
        };
        let server = Server {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            threads: 1,
            connections_max: 8,
            body_bytes_max: 1 << 20,
            feeds_bytes_max: 1 << 20,
            proxies: Vec::new(),
            drain: std::time::Duration::ZERO,
        };
        let app = Arc::new(App::new(store, newsroom, clock, &mail, &Default::default(), &server, 0).unwrap());
        Newspaper { router: super::public(&app), app, _folder: folder }
    }

    /// As if the newsroom were configured with this hub.
    fn name_a_hub(&self, address: &str) {
        let now = self.app.newsroom.load_full();
        let (site, categories, hub) = (now.site.clone(), now.categories.clone(), Some(address.parse().unwrap()));
        self.app.newsroom.store(Arc::new(Newsroom { site, categories, hub, changed_at: now.changed_at }));
        self.app.feeds.reload();
    }

    /// Stores an article as `edit` leaves it: public, in Science, of 18 December 2020.
    pub(crate) async fn publish(&self, id: &str, title: &str, edit: impl FnOnce(&mut Article)) -> Article {
        let dated = at("2020-12-18T12:03:00Z");
        let categories = vec![Slug::parse("c", "science").unwrap()];
        let content = Content { categories, title: title.into(), ..Content::default() };
        let mut article = Article::published(ArticleId::parse("id", id).unwrap(), dated, content);
        edit(&mut article);
        let mut batch = Batch::default();
        self.app.store.write_article(&mut batch, None, &article);
        self.app.store.commit(batch).await.unwrap();
        article
    }

    /// Tells readers of the log of it.
    pub(crate) async fn log(&self, article: &Article) {
        let (kind, article, labels) = (ChangeKind::Published, article, Labels::of(&article.content));
        let (id, revision, at) = (article.id.clone(), article.revision, self.app.clock.now());
        let change = Change { kind, article: id, revision, at, labels, before: None };
        let mut batch = Batch::default();
        self.app.store.log(&mut batch, &change);
        self.app.store.commit(batch).await.unwrap();
    }

    async fn subscriber(&self, address: &str, state: SubscriptionState) -> Subscription {
        let now = at("2026-03-01T11:00:00Z");
        let (id, address) = (SubscriptionId(uuid::Uuid::from_u128(7)), Address::parse("address", address).unwrap());
        let selection = Selection::category(&Slug::parse("c", "science").unwrap());
        let asked = Subscription::asked(id, address, selection, now);
        let subscription = match state {
            SubscriptionState::Pending => asked,
            state => Subscription { state, erase_at: None, ..asked },
        };
        let mut batch = Batch::default();
        self.app.store.write_first_subscription(&mut batch, &subscription);
        self.app.store.commit(batch).await.unwrap();
        subscription
    }

    fn state(&self, id: SubscriptionId) -> SubscriptionState {
        self.app.store.subscription(id).unwrap().unwrap().record.state
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// Asks as the world does, for a feed as well; the way to an address of its own is followed.
    async fn read(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut path = path.to_owned();
        loop {
            let mut request = Request::get(&path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let answer = match super::feeds::serve(&self.app, &parts, None).await {
                Some(response) => Answer::of(response.map(Body::new)).await,
                None => self.send(Request::from_parts(parts, Body::empty())).await,
            };
            if answer.status != StatusCode::PERMANENT_REDIRECT {
                return answer;
            }
            answer.header("location").strip_prefix("https://news.example").unwrap().clone_into(&mut path);
        }
    }

    /// Asks as who may open the control socket.
    async fn operate(&self, method: &str, path: &str, json: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(json.to_owned())).unwrap();
        Answer::of(super::control(&self.app).oneshot(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }
}
