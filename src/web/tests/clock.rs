//! A machine's clock that is set back by hours: what is out stays out, and work goes on.

use super::{Answer, Newspaper};
use crate::domain::{Seq, Time};
use crate::store::check;
use axum::http::StatusCode;
use chrono::{DateTime, Duration};
use serde_json::{Value, json};

const FEEDS: [&str; 6] = [
    "/rss.xml",
    "/atom.xml",
    "/feed.json",
    "/science/rss.xml",
    "/tags/rail/atom.xml",
    "/search/feed.json?q=tag%3Arail",
];

/// An article of Science with the tag `rail`, and more.
fn article(title: &str, more: Value) -> Value {
    let mut article = json!({ "title": title, "categories": ["science"], "tags": ["rail"] });
    article.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    article
}

/// `Last-Modified`, where there is one.
fn modified(answer: &Answer) -> Option<Time> {
    let text = answer.headers.get("last-modified")?.to_str().unwrap();
    Some(DateTime::parse_from_rfc2822(text).unwrap().to_utc())
}

/// Each `<updated>` of an Atom feed: its own, and its entries'.
fn updated(answer: &Answer) -> Vec<Time> {
    let texts = answer.text.split("<updated>").skip(1);
    texts.map(|text| text.split_once('<').unwrap().0.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_clock_that_is_set_back_takes_nothing_back_and_holds_nothing_up() {
    let paper = Newspaper::new();
    let clock = &paper.app.clock;
    let asked = async |method: &str, id: &str, body: Value| {
        let path = if method == "POST" { "/api/v1/articles".to_owned() } else { format!("/api/v1/articles/{id}") };
        let answer = paper.operate(method, &path, &body.to_string()).await;
        assert!(answer.status.is_success(), "{method} {id}: {}", answer.text);
        serde_json::from_str::<Value>(&answer.text).unwrap()
    };
    asked("POST", "", article("First", json!({ "id": "a1" }))).await;
    asked("POST", "", article("Second", json!({ "id": "a2" }))).await;
    clock.advance(Duration::minutes(1));
    let mut dated = Vec::new();
    for feed in FEEDS {
        let answer = paper.read(feed, &[]).await;
        dated.push((feed, answer.header("last-modified").to_owned(), modified(&answer).expect("long over")));
    }
    let before = updated(&paper.read("/atom.xml", &[]).await);

    clock.advance(Duration::hours(-5));
    let shows = async |titles: &[&str], gone: &[&str]| {
        for feed in FEEDS {
            paper.read(feed, &[]).await.says(titles).says_nothing_of(gone);
        }
    };
    shows(&["First", "Second"], &[]).await;
    // The date that it has may be sent back as it is, or be left out.
    let published_at = asked("GET", "a1", Value::Null).await["published_at"].clone();
    let known = asked("GET", "a1", Value::Null).await["updated_at"].as_str().unwrap().parse::<Time>().unwrap();
    let edited = asked("PUT", "a1", article("First, edited", json!({}))).await;
    assert_eq!((&edited["state"], &edited["published_at"]), (&json!("published"), &published_at));
    assert!(edited["updated_at"].as_str().unwrap().parse::<Time>().unwrap() > known);
    asked("PUT", "a1", article("First, edited again", json!({ "published_at": published_at }))).await;
    asked("POST", "", article("Third", json!({ "id": "a3" }))).await;
    shows(&["First, edited again", "Second", "Third"], &[]).await;
    let retracted = asked("DELETE", "a2", Value::Null).await;
    assert_eq!(retracted["state"], "retracted");
    shows(&["First, edited again", "Third"], &["Second"]).await;
    assert_eq!(paper.get("/articles/a2/second").await.status, StatusCode::GONE);
    assert_eq!(asked("PUT", "a2", article("Second", json!({}))).await["state"], "published", "it was out already");
    shows(&["First, edited again", "Second", "Third"], &[]).await;

    // What is ahead of the clock as it goes now is still ahead.
    let soon = clock.now() + Duration::hours(1);
    let ahead = article("Fourth", json!({ "id": "a4", "published_at": soon }));
    assert_eq!(asked("POST", "", ahead).await["state"], "scheduled");
    asked("DELETE", "a4", Value::Null).await;
    assert_eq!(asked("PUT", "a4", article("Fourth", json!({}))).await["state"], "scheduled", "it was never out");
    let later = article("Third", json!({ "published_at": soon })).to_string();
    assert_eq!(paper.operate("PUT", "/api/v1/articles/a3", &later).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    clock.advance(Duration::minutes(59));
    assert_eq!(paper.app.publisher.release_due().await.unwrap(), 0);
    clock.advance(Duration::minutes(1));
    assert_eq!(paper.app.publisher.release_due().await.unwrap(), 1);
    shows(&["First, edited again", "Second", "Third", "Fourth"], &[]).await;

    // No date that a reader has is as good as what is there now, neither before the clock has caught up nor after.
    let is_newer = async || {
        for (feed, text, date) in &dated {
            let answer = paper.read(feed, &[("if-modified-since", text)]).await;
            assert_eq!(answer.status, StatusCode::OK, "{feed}");
            assert!(modified(&answer).is_none_or(|now| now > *date), "{feed} {date}");
        }
        let now = updated(&paper.read("/atom.xml", &[]).await);
        assert!(now[0] > before[0], "{now:?} {before:?}");
    };
    is_newer().await;
    clock.advance(Duration::hours(5));
    is_newer().await;
    let date = paper.read("/rss.xml", &[]).await.header("last-modified").to_owned();
    assert_eq!(paper.read("/rss.xml", &[("if-modified-since", &date)]).await.status, StatusCode::NOT_MODIFIED);
    let changes = paper.app.store.since(Seq(0), 100).unwrap().changes;
    assert!(changes.is_sorted_by(|(_, one), (_, next)| one.at <= next.at), "{changes:?}");
    let report = check(&paper.app.store);
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn the_archive_keeps_the_days_that_were_over_before_the_clock_was_set_back() {
    // What happened after midnight, which is half a day on: the log tells of a new day, or a reader has seen one.
    for happens in ["an article comes out", "the archive is read"] {
        let paper = Newspaper::new();
        let push = async |title: &str| {
            let answer = paper.operate("POST", "/api/v1/articles", &article(title, json!({})).to_string()).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        };
        let status = async |day: &str| paper.read(&format!("/archive/2026-03-{day}/1/atom.xml"), &[]).await.status;
        push("Of the first").await;
        assert_eq!(status("01").await, StatusCode::NOT_FOUND, "the day is not over");
        paper.app.clock.advance(Duration::hours(13));
        match happens {
            "an article comes out" => push("Of the second").await,
            _ => assert_eq!(status("01").await, StatusCode::OK),
        }
        paper.app.clock.advance(Duration::hours(-5));
        paper.read("/archive/2026-03-01/1/atom.xml", &[]).await.says(&["Of the first"]);
        paper.read("/science/archive/2026-03-01/1/feed.json", &[]).await.says(&["Of the first"]);
        assert_eq!(status("02").await, StatusCode::NOT_FOUND, "{happens}: that is not over");
        push("Late on the first").await;
        paper.read("/archive/2026-03-01/1/atom.xml", &[]).await.says(&["Late on the first"]);
    }
}
