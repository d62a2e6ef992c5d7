//! No feed is larger than aggregators take, and nothing is lost by that.

use crate::rebuild::{body, newsroom};
use chrono::Duration;
use feed_rs::model::Feed;
use std::sync::Arc;
use tidings::domain::{Body, Clock, Content, Draft, Slug, Time, Wish};
use tidings::services::feeds::Feeds;
use tidings::services::publish::Publisher;
use tidings::store::Store;

/// As `services/feeds/cut.rs` has it.
const BYTES_MAX: usize = 2_000_000;

fn draft(title: String, bytes: usize, at: Time) -> Draft {
    let html = format!("<p>{}</p>", "word & ".repeat(bytes / 7));
    Draft {
        id: None,
        external_id: None,
        wish: Wish::Published,
        published_at: Some(at),
        content: Content {
            categories: vec![Slug::parse("slug", "economy").unwrap()],
            title,
            summary: Some("Short".to_owned()),
            body: Some(Body { html: html.replace('&', "&amp;"), markdown: None }),
            ..Content::default()
        },
    }
}

fn titles(feed: &Feed) -> Vec<String> {
    feed.entries.iter().map(|entry| entry.title.as_ref().expect("a title").content.clone()).collect()
}

fn link(feed: &Feed, rel: &str) -> Option<String> {
    let link = feed.links.iter().find(|link| link.rel.as_deref() == Some(rel))?;
    Some(link.href.trim_start_matches("https://news.example").to_owned())
}

async fn read(feeds: &Arc<Feeds>, address: &str) -> Feed {
    let bytes = body(feeds, address).await.unwrap_or_else(|why| panic!("{address}: {why}"));
    let feed = feed_rs::parser::parse(&bytes[..]).unwrap_or_else(|error| panic!("{address}: {error}"));
    assert!(bytes.len() <= BYTES_MAX || feed.entries.len() == 1, "{address}: {} bytes", bytes.len());
    feed
}

#[tokio::test]
async fn large_articles_are_spread_over_pages_and_parts_of_volumes_and_all_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
    let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
    let feeds = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), 64 << 20));
    let mut all = Vec::new();
    // Two days that are over, and today: small articles, large ones, and one that is too large by itself.
    for (days, sizes) in [(9, &[800_000; 4][..]), (5, &[1_000, 700_000, 2_100_000, 1_000]), (0, &[900_000; 3])] {
        for (number, bytes) in sizes.iter().enumerate() {
            let title = format!("{days} days ago, no. {number}");
            let at = clock.now() - Duration::days(days) - Duration::seconds(100 - i64::try_from(number).unwrap());
            publisher.push(draft(title.clone(), *bytes, at), None).await.unwrap();
            all.push(title);
        }
    }
    all.reverse();
    let newest = read(&feeds, "/rss.xml").await;
    assert!(newest.entries.len() < all.len() && !newest.entries.is_empty());
    // By pages.
    let (mut seen, mut next) = (titles(&newest), link(&newest, "next"));
    while let Some(address) = next {
        let page = read(&feeds, &address).await;
        seen.extend(titles(&page));
        next = link(&page, "next");
    }
    assert_eq!(seen, all);
    // By the archive, there and back again.
    let (mut seen, mut older) = (Vec::new(), link(&newest, "prev-archive"));
    let (mut newer, mut volumes) = (None, Vec::new());
    while let Some(address) = older {
        let volume = read(&feeds, &address).await;
        assert_eq!(link(&volume, "next-archive"), newer, "{address}");
        seen.extend(titles(&volume));
        volumes.push((address.clone(), body(&feeds, &address).await));
        newer = Some(address);
        older = link(&volume, "prev-archive");
    }
    assert_eq!(seen, all[3..]);
    assert!(volumes.len() > 4, "{volumes:?}");
    // What is published later changes none of them, and each is what it is when it is built from nothing.
    let later = publisher.push(draft("Later".into(), 10, clock.now()), None).await.unwrap().0.id;
    let afresh = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), 64 << 20));
    for (address, before) in volumes {
        assert_eq!(body(&feeds, &address).await, before, "{address}");
        assert_eq!(body(&afresh, &address).await, before, "{address}");
    }
    publisher.retract(&later, None).await.unwrap();
    assert!(body(&feeds, "/archive/2027-01-10/1-99/rss.xml").await.is_err(), "there is nothing behind the last item");
}
