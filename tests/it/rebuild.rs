//! A feed that is built from the pieces of the one before is the feed that is built from nothing.

use crate::store::Dice;
use arc_swap::ArcSwap;
use bytes::Bytes;
use chrono::Duration;
use std::sync::Arc;
use tidings::domain::{ArticleId, Body, Categories, Category, Clock, Content, Draft, Site, Slug, Time, Wish};
use tidings::services::feeds::{Coding, Feeds};
use tidings::services::newsroom::{Newsroom, SharedNewsroom};
use tidings::services::publish::Publisher;
use tidings::store::Store;

const PATHS: [&str; 6] =
    ["/rss.xml", "/atom.xml", "/feed.json", "/science/rss.xml", "/economy/atom.xml", "/economy/feed.json"];

fn newsroom(title: &str) -> SharedNewsroom {
    let category = |slug: &str, limit| Category {
        slug: Slug::parse("slug", slug).unwrap(),
        title: slug.to_owned(),
        description: String::new(),
        language: "en".into(),
        articles: None,
        zone: jiff::tz::TimeZone::UTC,
        limit,
    };
    let site = Site {
        title: title.into(),
        description: String::new(),
        language: "en".into(),
        base_url: "https://news.example/".parse().unwrap(),
        print_line: true,
    };
    let categories = Categories::new(vec![category("science", 5), category("economy", 50)]);
    Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, changed_at: Time::UNIX_EPOCH }))
}

fn draft(dice: &mut Dice, now: Time) -> Draft {
    let slugs: &[&str] = [&["science"][..], &["economy"], &["economy", "science"]][dice.roll(3)];
    let body = (dice.roll(4) > 0).then(|| Body { html: format!("<p>{} ]]&gt;</p>", dice.roll(1_000)), markdown: None });
    Draft {
        id: None,
        external_id: None,
        wish: Wish::Published,
        published_at: Some(now - Duration::minutes(i64::try_from(dice.roll(500)).unwrap())),
        content: Content {
            categories: slugs.iter().map(|slug| Slug::parse("slug", slug).unwrap()).collect(),
            title: format!("No. {} & <more>", dice.roll(1_000)),
            summary: None,
            body,
            url: None,
            authors: vec![],
            tags: vec![],
            language: (dice.roll(5) == 0).then(|| "ru".to_owned()),
        },
    }
}

async fn body(feeds: &Arc<Feeds>, path: &str) -> Bytes {
    let feed = feeds.find(path).unwrap();
    feeds.current(&feed, Coding::Identity).await.unwrap().identity.body.clone()
}

#[tokio::test]
async fn a_feed_built_from_pieces_is_the_feed_built_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
    let publisher = Publisher::new(Arc::clone(&store), clock.clone());
    let names = newsroom("The News");
    let feeds = Arc::new(Feeds::new(Arc::clone(&store), Arc::clone(&names)));
    let mut dice = Dice(11);
    let mut ids: Vec<ArticleId> = Vec::new();
    for round in 0..60 {
        for _ in 0..=dice.roll(3) {
            clock.advance(Duration::seconds(1));
            let draft = draft(&mut dice, clock.now());
            match dice.roll(4) {
                0 if !ids.is_empty() => {
                    publisher.revise(&ids[dice.roll(ids.len())], &draft, None).await.unwrap();
                }
                1 if !ids.is_empty() => {
                    publisher.retract(&ids[dice.roll(ids.len())], None).await.unwrap();
                }
                _ => ids.push(publisher.push(draft, None).await.unwrap().0.id),
            }
        }
        if round == 30 {
            names.store(newsroom("The Other News").load_full());
            feeds.reload();
        }
        let afresh = Arc::new(Feeds::new(Arc::clone(&store), Arc::clone(&names)));
        for path in PATHS {
            let (pieced, whole) = (body(&feeds, path).await, body(&afresh, path).await);
            assert_eq!(pieced, whole, "{path} in round {round}");
        }
    }
    assert!(ids.len() > 30);
}
