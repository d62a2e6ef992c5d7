//! Following by mail what a page is about.

use super::Newspaper;
use crate::domain::{Address, Selection, SubscriptionState};
use axum::http::StatusCode;

/// Where "by mail" leads from the top of the page at `path`.
async fn by_mail(paper: &Newspaper, path: &str) -> String {
    let page = paper.get(path).await;
    let (_, follow) = page.text.split_once("<main").unwrap();
    let (before, _) = follow.split_once("by mail</a>").unwrap();
    let (_, href) = before.rsplit_once("href=\"").unwrap();
    let address = href.trim_end_matches("\">").replace("&amp;", "&");
    address.strip_prefix("https://news.example").unwrap().to_owned()
}

/// What `address` has asked for.
fn asked(paper: &Newspaper, address: &str) -> Vec<Selection> {
    let Some(subscriber) = paper.app.store.subscriber_of(&Address::parse("a", address).unwrap()).unwrap() else {
        return Vec::new();
    };
    let stored = paper.app.store.subscriptions_of(&subscriber.record).unwrap();
    assert!(stored.iter().all(|one| one.record.state == SubscriptionState::Pending));
    stored.into_iter().map(|one| one.record.selection).collect()
}

#[tokio::test]
async fn the_form_offers_what_the_page_that_led_to_it_is_about() {
    let paper = Newspaper::new();
    paper.publish("a1", "Of water", |article| article.content.tags = vec!["C & <D>".into()]).await;
    for (page, link) in [
        ("/science", "/subscribe?category=science"),
        ("/tags/c%20&%20%3Cd%3E", "/subscribe?query=tag%3A%22c+%26+%3Cd%3E%22"),
        ("/search?q=category%3Ascience+AND+NOT+tag%3Asport", "/subscribe?query=category%3Ascience+AND+NOT+tag%3Asport"),
    ] {
        assert_eq!(by_mail(&paper, page).await, link, "{page}");
    }
    let form = paper.get("/subscribe?query=tag%3A%22c+%26+%3Cd%3E%22&language=ru").await;
    let offered = "name=\"query\" value=\"tag:&quot;c &amp; &lt;d&gt;&quot;\" checked> <span lang=\"\" dir=\"auto\">c &amp; &lt;d&gt;</span>";
    form.says(&[offered, "/subscribe?language=en&amp;query=tag%3A%22c+%26+%3Cd%3E%22"]);
    paper.get("/subscribe").await.says_nothing_of(&["name=\"query\""]);
}

#[tokio::test]
async fn who_asks_gets_all_that_is_ticked() {
    let paper = Newspaper::new();
    for (address, form, expected) in [
        ("a@example.org", "query=tag%3Awater", "tag:water"),
        ("b@example.org", "query=tag%3Awater&category=economy", "category:economy OR tag:water"),
        (
            "c@example.org",
            "query=tag%3Awater+AND+tag%3Aice&category=economy&category=science",
            "category:economy OR category:science OR (tag:ice AND tag:water)",
        ),
    ] {
        let answer = paper.post("/subscribe", &format!("address={}&{form}", address.replace('@', "%40"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(asked(&paper, address), [Selection::parse(expected).unwrap()]);
    }
}

#[tokio::test]
async fn everything_takes_in_the_rest_and_a_query_that_is_none_is_told_of() {
    let paper = Newspaper::new();
    let all = paper.post("/subscribe", "address=d%40example.org&query=tag%3Awater&everything=yes").await;
    assert_eq!((all.status, asked(&paper, "d@example.org")), (StatusCode::OK, vec![Selection::all()]));
    let many: Vec<String> = (0..32).map(|number| format!("tag:t{number}")).collect();
    for (query, said) in [
        ("tag:", "The query cannot be read from character"),
        ("category:sports", "no category “sports”"),
        (&many.join(" OR "), "The query cannot be read from character"),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let form = format!("address=e%40example.org&category=science&query={query}");
        let refused = paper.post("/subscribe", &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        refused.says(&["id=\"category-fault\"", said, "value=\"science\" checked"]);
        assert!(asked(&paper, "e@example.org").is_empty());
    }
    paper.get("/subscribe?query=tag%3A").await.says_nothing_of(&["name=\"query\""]);
}
