//! What is scheduled is seen nowhere before its hour, and everywhere from then on.

use super::{Newspaper, at};
use crate::domain::{ArticleId, Body as Text, Content, Draft, Seq, Slug, State, Time, Wish};
use crate::services::Step;
use crate::services::hub::Hub;
use axum::http::StatusCode;
use chrono::Duration;
use std::sync::Arc;

/// Where nobody listens.
const HUB: &str = "http://127.0.0.1:1/";
/// What is said of the articles that wait for their hour, and of no other.
const WORDS: [&str; 4] = ["Merger", "Bankruptcy", "whispered", "embargo-"];

fn draft(id: &str, title: &str, published_at: Time) -> Draft {
    let content = Content {
        categories: vec![Slug::parse("c", "science").unwrap()],
        title: title.into(),
        summary: Some(format!("{title}, in short, as was whispered.")),
        body: Some(Text { html: "<p>It was whispered.</p>".into(), markdown: None }),
        authors: vec!["ann".into()],
        tags: vec!["deal".into()],
        language: Some("fr".into()),
        ..Content::default()
    };
    let id = Some(ArticleId::parse("id", id).unwrap());
    Draft { id, external_id: None, wish: Wish::Published, published_at: Some(published_at), content }
}

/// The same of another article, whose words are its own.
fn ordinary(number: i64, published_at: Time) -> Draft {
    let mut draft = draft(&format!("other-{number}"), &format!("Other {number}"), published_at);
    draft.content.summary = None;
    draft.content.body = None;
    draft
}

/// Every address at which articles of Science by Ann with the tag `deal` are listed or told of.
fn lists() -> Vec<String> {
    let folders = ["", "science/", "tags/deal/", "authors/ann/", "languages/fr/"];
    let profiles = folders.iter().flat_map(|folder| [(*folder).to_owned(), format!("{folder}summary/")]);
    let files = ["rss.xml", "atom.xml", "feed.json"];
    let mut all: Vec<String> = profiles.flat_map(|profile| files.map(|file| format!("/{profile}{file}"))).collect();
    all.extend(files.map(|file| format!("/search/{file}?q=NOT+tag%3Aother")));
    all.extend(["/", "/science", "/tags/deal", "/authors/ann", "/languages/fr"].map(str::to_owned));
    all.extend(["/search?q=NOT+tag%3Aother", "/news-sitemap.xml", "/sitemaps/2026-03.xml"].map(str::to_owned));
    all
}

/// The addresses of the article `id` itself.
fn own(id: &str) -> [String; 3] {
    ["", "/x", "/print"].map(|tail| format!("/articles/{id}{tail}"))
}

/// Where the articles of 2 March stand when they have left the newest ones.
const ARCHIVE: [&str; 3] =
    ["/archive/2026-03-02/1/rss.xml", "/archive/2026-03-02/1/atom.xml", "/archive/2026-03-02/1/feed.json"];

async fn is_nowhere(paper: &Newspaper, words: &[&str], ids: &[&str]) {
    let others = ["/opml.xml", "/sitemap.xml", "/sitemaps/pages.xml", "/robots.txt", "/subscribe"];
    for path in lists().iter().map(String::as_str).chain(others).chain(ARCHIVE) {
        paper.read(path, &[]).await.says_nothing_of(words);
    }
    for id in ids {
        for path in own(id) {
            let answer = paper.read(&path, &[]).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            // The address that was asked for may be said again.
            answer.says_nothing_of(&words[..3.min(words.len())]);
        }
    }
    for path in ["/api/v1/articles", "/api/v1/articles/embargo-1", "/api/v1/articles/embargo-1/mail"] {
        let answer = paper.read(path, &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        answer.says_nothing_of(words);
    }
}

#[tokio::test]
async fn what_is_embargoed_is_seen_nowhere_before_its_hour_and_everywhere_behind_it() {
    let paper = Newspaper::new();
    let (clock, publisher) = (&paper.app.clock, &paper.app.publisher);
    let (store, newsroom) = (Arc::clone(&paper.app.store), Arc::clone(&paper.app.newsroom));
    publisher.push(ordinary(0, clock.now()), None).await.unwrap();
    let mut hub = Hub::open(store, newsroom, clock.clone(), HUB.parse().unwrap()).await.unwrap();
    let hour = at("2026-03-02T09:00:00Z");
    for (id, title, hour) in
        [("embargo-1", "Merger", hour), ("embargo-2", "Bankruptcy", hour + Duration::hours(30 * 24))]
    {
        let (article, _) = publisher.push(draft(id, title, hour), None).await.unwrap();
        assert_eq!(article.state, State::Scheduled);
        // An edit of what waits is seen no more than the article.
        publisher.revise(&article.id, &draft(id, &format!("{title} of giants"), hour), None).await.unwrap();
    }
    let ids = ["embargo-1", "embargo-2"];
    is_nowhere(&paper, &WORDS, &ids).await;
    clock.advance(hour - clock.now() - Duration::milliseconds(1));
    assert_eq!(publisher.release_due().await.unwrap(), 0);
    is_nowhere(&paper, &WORDS, &ids).await;
    // The hour alone does not publish it: whoever lets it out may be late, and then all see it at once.
    clock.advance(Duration::milliseconds(1));
    is_nowhere(&paper, &WORDS, &ids).await;
    assert_eq!((hub.step().await.unwrap(), paper.app.store.head()), (Step::Idle, Seq(1)), "the hub knows nothing");

    assert_eq!(publisher.release_due().await.unwrap(), 1);
    for path in lists() {
        paper.read(&path, &[]).await.says(&["embargo-1"]).says_nothing_of(&["Bankruptcy", "embargo-2"]);
    }
    let page = paper.read("/articles/embargo-1/merger-of-giants", &[]).await;
    let (_, linked) = page.text.split_once("application/ld+json").expect("JSON-LD");
    assert!(linked.split_once("</script>").unwrap().0.contains("Merger of giants"), "{linked}");
    paper.read("/articles/embargo-1/print", &[]).await.says(&["Merger of giants", "It was whispered."]);
    paper.read("/sitemap.xml", &[]).await.says(&["sitemaps/2026-03.xml"]);
    assert_eq!(hub.step().await.unwrap(), Step::Worked, "the hub is told");
    is_nowhere(&paper, &["Bankruptcy", "embargo-2"], &["embargo-2"]).await;

    // Others came out since, so it stands in the archive; and one of that day waits there that nobody has let out.
    for number in 1..=120 {
        publisher.push(ordinary(number, hour + Duration::minutes(number - 120)), None).await.unwrap();
    }
    let late = draft("embargo-3", "Takeover", clock.now() + Duration::hours(1));
    publisher.push(late, None).await.unwrap();
    clock.advance(Duration::days(3));
    for number in 121..=180 {
        publisher.push(ordinary(number, clock.now() - Duration::minutes(number)), None).await.unwrap();
    }
    for path in ARCHIVE {
        paper.read(path, &[]).await.says(&["Merger of giants"]).says_nothing_of(&["Takeover", "embargo-3"]);
    }
    is_nowhere(&paper, &["Takeover", "embargo-3"], &["embargo-3"]).await;
    assert_eq!(publisher.release_due().await.unwrap(), 1);
    for path in ARCHIVE {
        paper.read(path, &[]).await.says(&["Merger of giants", "Takeover"]);
    }
}
