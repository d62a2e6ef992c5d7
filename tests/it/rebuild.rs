//! A feed that is built from the pieces of the one before is the feed that is built from nothing.

use crate::store::Dice;
use arc_swap::ArcSwap;
use bytes::Bytes;
use chrono::Duration;
use std::sync::Arc;
use tidings::domain::{ArticleId, Body, Categories, Category, Clock, Content, Draft, Site, Slug, Time, Wish};
use tidings::services::feeds::{Coding, Feed, Feeds, Found};
use tidings::services::newsroom::{Newsroom, SharedNewsroom};
use tidings::services::publish::Publisher;
use tidings::store::Store;

const ADDRESSES: [&str; 14] = [
    "/rss.xml",
    "/atom.xml",
    "/feed.json",
    "/science/rss.xml",
    "/economy/atom.xml",
    "/economy/feed.json",
    "/summary/rss.xml",
    "/science/summary/feed.json",
    "/tags/water/rss.xml",
    "/authors/a.%20ivanov/atom.xml",
    "/languages/ru/feed.json",
    "/search/rss.xml?q=NOT+tag%3Awater",
    "/search/atom.xml?q=category%3Ascience+AND+%28tag%3Awater+OR+author%3A%22a.+ivanov%22%29",
    "/science/archive/2027-01-14/1/rss.xml",
];

/// Enough for everything here.
const BYTES_MAX: usize = 64 << 20;

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
        published_at: Some(now - Duration::minutes(i64::try_from(dice.roll(5_000)).unwrap())),
        content: Content {
            categories: slugs.iter().map(|slug| Slug::parse("slug", slug).unwrap()).collect(),
            title: format!("No. {} & <more>", dice.roll(1_000)),
            summary: None,
            body,
            url: None,
            authors: if dice.roll(3) == 0 { vec!["A. Ivanov".into()] } else { vec![] },
            tags: if dice.roll(3) == 0 { vec!["Water".into()] } else { vec![] },
            language: (dice.roll(5) == 0).then(|| "ru".to_owned()),
        },
    }
}

fn open(feeds: &Feeds, address: &str) -> Arc<Feed> {
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    match feeds.open(path, query) {
        Some(Ok(Found::Feed(feed))) => feed,
        Some(Ok(Found::Moved(to))) => panic!("{address} has moved to {to}"),
        Some(Err(problem)) => panic!("{address}: {problem}"),
        None => panic!("{address} is no feed's"),
    }
}

/// Its bytes; for what there is not, why.
async fn body(feeds: &Arc<Feeds>, address: &str) -> Result<Bytes, String> {
    let feed = open(feeds, address);
    let built = feeds.current(&feed, Coding::Identity).await;
    built.map(|built| built.plain().clone()).map_err(|problem| problem.to_string())
}

#[tokio::test]
async fn a_feed_built_from_pieces_is_the_feed_built_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
    let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
    let names = newsroom("The News");
    let feeds = Arc::new(Feeds::new(Arc::clone(&store), Arc::clone(&names), clock.clone(), BYTES_MAX));
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
        let afresh = Arc::new(Feeds::new(Arc::clone(&store), Arc::clone(&names), clock.clone(), BYTES_MAX));
        for address in ADDRESSES {
            let (pieced, whole) = (body(&feeds, address).await, body(&afresh, address).await);
            assert_eq!(pieced, whole, "{address} in round {round}");
        }
    }
    assert!(ids.len() > 30);
}

#[test]
fn a_client_that_leaves_lets_no_second_build_in_beside_the_first() {
    // The one thread that builds is held up by the test, so that builds wait where they can be counted.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::UNIX_EPOCH);
    let feeds = Arc::new(Feeds::new(store, newsroom("The News"), clock, BYTES_MAX));
    let feed = open(&feeds, "/rss.xml");
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || held.recv());
        {
            let mut leaves = std::pin::pin!(feeds.current(&feed, Coding::Identity));
            assert!(looked_at(leaves.as_mut()).await.is_none());
        }
        let with_one = Arc::strong_count(&feed);
        let mut stays = std::pin::pin!(feeds.current(&feed, Coding::Identity));
        assert!(looked_at(stays.as_mut()).await.is_none());
        assert_eq!(Arc::strong_count(&feed), with_one, "each build that waits holds the feed");
        go_on.send(()).unwrap();
        assert!(stays.await.is_ok());
    });
}

/// What the future comes to if it is looked at once.
async fn looked_at<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
