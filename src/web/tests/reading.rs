//! Home, categories, articles, print views.

use super::Newspaper;
use crate::domain::{Article, Body as Text, State};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::Duration;

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
        "<time datetime=\"2020-12-18T15:03:00+03:00\" dir=\"ltr\">18 December 2020, 15:03 MSK</time>",
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
        assert_eq!(seen.len(), pages * 20);
    }
    let expected: Vec<_> = (0..45).rev().map(|n| format!("a{n}")).collect();
    assert_eq!((pages, seen), (3, expected));
    paper.get(&path).await.says(&["<meta name=\"robots\" content=\"noindex\">", ">Newest</a>"]);
    assert_eq!(paper.get("/science?after=zz").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_selection_has_a_page_and_one_address() {
    let paper = Newspaper::new();
    let bears = |tag: &str, author: &str| {
        let (tag, author) = (tag.to_owned(), author.to_owned());
        move |article: &mut Article| {
            article.content.tags = vec![tag];
            article.content.authors = vec![author];
            article.content.language = Some("en-GB".into());
        }
    };
    paper.publish("a1", "Of water", bears("Water", "A. Ivanov")).await;
    paper.publish("a2", "Of fire", bears("Fire", "B. Lee")).await;
    for (path, shown, hidden) in [
        ("/tags/water", "Of water", "Of fire"),
        ("/authors/b.%20lee", "Of fire", "Of water"),
        ("/search?q=category%3Ascience+AND+NOT+tag%3Awater", "Of fire", "Of water"),
    ] {
        let page = paper.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.says(&[shown, "rel=\"canonical\"", "application/rss+xml"]);
        assert!(!page.text.contains(hidden), "{path}");
    }
    paper.get("/languages/en").await.says(&[
        "Of water",
        "Of fire",
        "href=\"https://news.example/languages/en/rss.xml\"",
    ]);
    for (path, to) in [
        ("/tags/Water", "https://news.example/tags/water"),
        ("/search?q=TAG:water", "https://news.example/tags/water"),
        ("/search?q=category:science", "https://news.example/science"),
        ("/search?q=tag:b+and+tag:a", "https://news.example/search?q=tag%3Aa+AND+tag%3Ab"),
    ] {
        let moved = paper.get(path).await;
        assert_eq!((moved.status, moved.header("location")), (StatusCode::PERMANENT_REDIRECT, to), "{path}");
    }
    paper.get("/search").await.says(&["<form action=\"/search\" method=\"get\">"]);
    let wrong = paper.get("/search?q=tag:a+tag:b").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.says(&["The query cannot be read from character 7 on."]);
    let unknown = paper.get("/search?q=category:sport+OR+tag:a").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    unknown.says(&["There is no category “sport” here.", "There is:"]);
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
    let wrong = paper.post("/science", "a=b").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET,HEAD"));
    wrong.says(&["<h1>That did not work</h1>"]);
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
        "By <a rel=\"author\" href=\"https://news.example/authors/ada%20%26%20co\">Ada &amp; Co</a>, <a rel=\"author\"",
        "Updated <time datetime=\"2020-12-18T15:09:00+03:00\" dir=\"ltr\">",
        "<p>It <a href=\"https://x.example/\">happened</a>.</p>",
        "<a rel=\"tag\" href=\"https://news.example/tags/%3Cb%3E\" lang=\"en\">&lt;b&gt;</a>",
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
async fn an_article_shows_its_pictures_and_plays_its_recordings() {
    let paper = Newspaper::new();
    let medium = |address: &str, media_type: &str| crate::domain::Medium {
        url: address.parse().unwrap(),
        media_type: media_type.to_owned(),
        bytes: None,
        width: Some(640),
        height: Some(480),
        alt: Some("A \"rocket\" & crew".into()),
        credit: Some("B. Lee".into()),
    };
    let edit = |article: &mut Article| {
        article.content.body =
            text("<p>Text</p><p><audio src=\"https://paper.example/in.mp3?a=1&amp;b=2\"></audio></p>");
        article.content.media = vec![
            medium("https://paper.example/in.mp3?a=1&b=2", "audio/mpeg"),
            medium("https://paper.example/b.mp3", "audio/mpeg"),
            medium("https://paper.example/a.jpg?x=1&y=2", "image/jpeg"),
            medium("https://paper.example/c.mp4", "video/mp4"),
            medium("https://paper.example/d.pdf", "application/pdf"),
        ];
        let url = "https://paper.example/talk".parse().unwrap();
        article.content.comments = Some(crate::domain::Comments { url, feed: None, count: Some(7) });
    };
    paper.publish("a1", "Rocket", edit).await;
    let page = paper.get("/articles/a1/rocket").await;
    let picture = "<img src=\"https://paper.example/a.jpg?x=1&amp;y=2\" alt=\"A &quot;rocket&quot; &amp; crew\" width=\"640\" height=\"480\"";
    page.says(&[
        picture,
        "<figcaption>B. Lee</figcaption>",
        "<audio controls preload=\"none\" src=\"https://paper.example/b.mp3\"",
        "<figcaption>A &quot;rocket&quot; &amp; crew · B. Lee</figcaption>",
        "<video controls preload=\"none\" src=\"https://paper.example/c.mp4\"",
        "<a href=\"https://paper.example/d.pdf\" type=\"application/pdf\">A &quot;rocket&quot; &amp; crew</a>",
        "<a href=\"https://paper.example/talk\">Comments: 7</a>",
    ]);
    assert!(page.text.find(picture) < page.text.find("<p>Text</p>"), "the first picture stands above the text");
    assert_eq!(page.text.matches("in.mp3").count(), 1, "what the text has is not shown again");
    let print = paper.get("/articles/a1/print").await;
    print.says(&[picture]).says_nothing_of(&["<video", "b.mp3", "d.pdf", "/talk"]);
    // Where the text brings pictures, it says where they stand.
    let edit = |article: &mut Article| {
        article.content.body = text("<p>Text</p><p><img src=\"https://paper.example/own.jpg\" alt=\"\"></p>");
        article.content.media = vec![medium("https://paper.example/a.jpg", "image/jpeg")];
    };
    paper.publish("a2", "Own", edit).await;
    let page = paper.get("/articles/a2/own").await.text;
    assert!(page.find("/own.jpg") < page.find("<img src=\"https://paper.example/a.jpg"), "{page}");
    let shown = page.matches("<img src=\"https://paper.example/a.jpg").count();
    assert_eq!(shown, 1, "{page}");
}
