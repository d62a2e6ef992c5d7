//! No feed is larger than aggregators take, and nothing is lost by that.

use crate::rebuild::{body, newsroom};
use chrono::Duration;
use feed_rs::model::Feed;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use tidings::domain::{ArticleId, Body, Clock, Content, Draft, Slug, Time, Wish};
use tidings::services::feeds::{Feeds, Served};
use tidings::services::publish::Publisher;
use tidings::store::Store;
use tidings::wire::Format;

fn draft(title: String, bytes: usize, at: Time) -> Draft {
    let html = format!("<p>{}</p>", "word ".repeat(bytes / 5));
    Draft {
        id: None,
        external_id: None,
        wish: Wish::Published,
        published_at: Some(at),
        content: Content {
            categories: vec![Slug::parse("slug", "economy").unwrap()],
            title,
            summary: Some("Short".to_owned()),
            body: Some(Body { html, markdown: None }),
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
    let path = address.split('?').next().unwrap();
    let format = Format::ALL.into_iter().find(|format| path.ends_with(format.file_name())).unwrap();
    assert!(bytes.len() <= format.bytes_max(), "{address}: {} bytes", bytes.len());
    feed_rs::parser::parse(&bytes[..]).unwrap_or_else(|error| panic!("{address}: {error}"))
}

#[tokio::test]
async fn large_articles_are_spread_over_pages_and_parts_of_volumes_and_all_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
    let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
    let feeds = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), 64 << 20));
    let (mut all, mut too_large) = (Vec::new(), Vec::new());
    // Two days that are over, and today: small articles, large ones, and one that is too large by itself.
    for (days, sizes) in
        [(9, &[800_000; 4][..]), (5, &[1_000, 700_000, 2_100_000, 850_000, 850_000]), (0, &[850_000; 3])]
    {
        for (number, bytes) in sizes.iter().enumerate() {
            let title = format!("{days} days ago, no. {number}");
            let at = clock.now() - Duration::days(days) - Duration::seconds(100 - i64::try_from(number).unwrap());
            let article = publisher.push(draft(title.clone(), *bytes, at), None).await.unwrap().0;
            if *bytes > 1_000_000 {
                too_large.push(article.id);
            }
            all.push(title);
        }
    }
    all.reverse();
    let newest = read(&feeds, "/rss.xml").await;
    assert!(newest.entries.len() < all.len() && !newest.entries.is_empty());
    // By pages.
    for format in Format::ALL {
        let (mut seen, mut next) = (Vec::new(), Some(format!("/{}", format.file_name())));
        while let Some(address) = next {
            let page = read(&feeds, &address).await;
            seen.extend(titles(&page));
            next = match format {
                Format::Rss | Format::Atom => link(&page, "next"),
                Format::Json => {
                    let page: Value = serde_json::from_slice(&body(&feeds, &address).await.unwrap()).unwrap();
                    page["next_url"].as_str().map(|url| url.trim_start_matches("https://news.example").to_owned())
                }
            };
        }
        assert_eq!(seen, all, "{format:?}");
    }
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
    assert_eq!(volumes.len(), 4);
    // What is published later changes none of them, and each is what it is when it is built from nothing.
    let later = publisher.push(draft("Later".into(), 10, clock.now()), None).await.unwrap().0.id;
    let afresh = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), 64 << 20));
    for (address, before) in volumes {
        assert_eq!(body(&feeds, &address).await, before, "{address}");
        assert_eq!(body(&afresh, &address).await, before, "{address}");
    }
    publisher.retract(&later, None).await.unwrap();
    // Nothing is taken off an article but where it is larger than aggregators take: there its summary stands for it.
    let shortened: HashSet<ArticleId> = feeds
        .refused()
        .into_iter()
        .map(|refused| {
            assert_eq!((refused.served, refused.fault.field.as_str()), (Served::Summary, "body"));
            refused.article.unwrap()
        })
        .collect();
    assert_eq!(shortened, too_large.into_iter().collect());
    assert!(body(&feeds, "/archive/2027-01-10/1-99/rss.xml").await.is_err(), "there is nothing behind the last item");
}
