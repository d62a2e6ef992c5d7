//! What an operator sees of the mails, and who else does not.

use super::super::preview::address;
use super::Newspaper;
use crate::domain::{ArticleId, Language, MailKind, State};
use axum::http::StatusCode;

fn path(paper: &Newspaper, article: Option<&str>) -> String {
    let id = article.map(|id| ArticleId::parse("id", id).unwrap());
    address(&paper.app, id.as_ref()).0.replacen("https://news.example", "", 1)
}

#[tokio::test]
async fn every_kind_of_mail_is_shown_in_every_language_and_nothing_is_changed() {
    let paper = Newspaper::new();
    let empty = paper.get(&path(&paper, None)).await;
    empty.says(&["A headline &amp; more", "<bdi>"].map(|part| if part == "<bdi>" { "<iframe sandbox" } else { part }));
    paper.publish("a1", "Of <water>", |_| {}).await;
    let page = paper.get(&path(&paper, None)).await;
    assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
    assert_eq!((page.header("x-robots-tag"), page.header("referrer-policy")), ("noindex", "no-referrer"));
    page.says(&["Of &lt;water&gt;", "List-Unsubscribe: ", "Исправление: ", "请确认您的订阅"])
        .says_nothing_of(&["<script", "role=\"alert\""]);
    let frames: Vec<&str> = page.text.split("<iframe sandbox loading=\"lazy\" src=\"").skip(1).collect();
    assert_eq!(frames.len(), MailKind::ALL.len() * Language::ALL.len());
    for frame in frames {
        let part = paper.get(frame.split('"').next().unwrap()).await;
        assert_eq!((part.status, part.header("cache-control")), (StatusCode::OK, "no-store"));
        assert!(part.header("content-security-policy").starts_with("sandbox; default-src 'none'"), "{frame}");
        part.says(&["<!DOCTYPE html>"]);
    }
    assert!(paper.app.store.messages_due(paper.app.clock.now(), None, 9).unwrap().is_empty(), "a GET changes nothing");
    let path = path(&paper, None);
    assert_eq!(paper.post(&path, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_pass_works_for_an_hour_and_shows_only_what_is_public() {
    let paper = Newspaper::new();
    paper.publish("a1", "Of water", |_| {}).await;
    paper.publish("a2", "Of fire", |article| article.state = State::Draft).await;
    let (any, one) = (path(&paper, None), path(&paper, Some("a1")));
    paper.get(&one).await.says(&["<bdi>Of water</bdi>", "/notice/en?article=a1"]);
    let hidden = paper.get(&path(&paper, Some("a2"))).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    paper.get(&any).await.says_nothing_of(&["Of fire"]);
    for wrong in ["/preview/x", &format!("{any}A"), &format!("{any}/notice/de"), &format!("{any}/nothing/en")] {
        assert_eq!(paper.get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    paper.app.clock.advance(chrono::Duration::minutes(60));
    assert_eq!(paper.get(&any).await.status, StatusCode::OK);
    paper.app.clock.advance(chrono::Duration::minutes(1));
    for gone in [any.clone(), format!("{any}/notice/en")] {
        assert_eq!(paper.get(&gone).await.status, StatusCode::GONE, "{gone}");
    }
}
