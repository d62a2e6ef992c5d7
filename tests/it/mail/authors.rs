//! Who asks for an author gets what that author has written.

use super::digests::{daily, mailed, subscribed, until_seven};
use super::*;

async fn by(room: &Room, title: &str, authors: &[&str]) {
    let content = Content {
        categories: vec![slug("science")],
        title: title.into(),
        summary: Some("In short.".into()),
        authors: authors.iter().map(|name| (*name).to_owned()).collect(),
        ..Content::default()
    };
    let article = Article::published(ArticleId::mint(), room.clock.now(), content);
    room.write(None, &article, ChangeKind::Published).await;
    room.clock.advance(Duration::minutes(1));
}

#[tokio::test]
async fn who_asks_for_an_author_is_mailed_that_authors_articles_alone() {
    const QUERY: &str = "author:\"A. Ivanov\"";
    let room = Room::open();
    subscribed(&room, "instant@example.net", QUERY, Cadence::Instant).await;
    subscribed(&room, "daily@example.net", QUERY, daily(7)).await;
    by(&room, "Her own", &["A. Ivanov"]).await;
    by(&room, "Of two", &["B. Lee", "A. Ivanov"]).await;
    by(&room, "In large letters", &["A. IVANOV"]).await;
    by(&room, "Somebody else's", &["B. Lee"]).await;
    by(&room, "A longer name", &["A. Ivanova", "A. Ivanov Jr."]).await;
    by(&room, "About A. Ivanov", &[]).await;
    let mut subjects: Vec<String> =
        mailed(&room, "instant@example.net").await.into_iter().map(|(subject, _)| subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Her own", "In large letters", "Of two"]);
    until_seven(&room);
    let digests = mailed(&room, "daily@example.net").await;
    let [(_, text)] = digests.as_slice() else { panic!("one digest, not {digests:?}") };
    assert!(text.starts_with("The News\n16 January 2027\n\n* In large letters\n* Of two\n* Her own\n\n----"), "{text}");
    // Of a day on which the author wrote nothing, nothing comes.
    by(&room, "Still somebody else's", &["B. Lee"]).await;
    until_seven(&room);
    assert_eq!(mailed(&room, "daily@example.net").await, []);
}
