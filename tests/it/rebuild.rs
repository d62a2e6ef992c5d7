//! A feed that is built from the pieces of the one before is the feed that is built from nothing.

use crate::store::Dice;
use arc_swap::ArcSwap;
use bytes::Bytes;
use chrono::Duration;
use std::sync::Arc;
use tidings::domain::{
    Article, ArticleId, Body, Categories, Category, Change, ChangeKind, Clock, Content, Draft, Labels, Site, Slug,
    Time, Wish,
};
use tidings::services::feeds::{Coding, Feed, Feeds, Found, Served};
use tidings::services::newsroom::{Newsroom, SharedNewsroom};
use tidings::services::publish::Publisher;
use tidings::store::{Batch, Store};

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

pub(crate) fn newsroom(title: &str) -> SharedNewsroom {
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
        icon: None,
        logo: None,
        accent_color: None,
        print_line: true,
    };
    let categories = Categories::new(vec![category("science", 5), category("economy", 50)]);
    Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, hub: None, changed_at: Time::UNIX_EPOCH }))
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
            ..Content::default()
        },
    }
}

pub(crate) fn open(feeds: &Feeds, address: &str) -> Arc<Feed> {
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    match feeds.open(path, query) {
        Some(Ok(Found::Feed(feed))) => feed,
        Some(Ok(Found::Moved(to))) => panic!("{address} has moved to {to}"),
        Some(Err(problem)) => panic!("{address}: {problem}"),
        None => panic!("{address} is no feed's"),
    }
}

/// Its bytes; for what there is not, why.
pub(crate) async fn body(feeds: &Arc<Feeds>, address: &str) -> Result<Bytes, String> {
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

/// Gives an article what no door lets in, and a foreign store may hold: a date of the year 12000, which feeds cannot tell.
fn spoil(store: &Store, id: &ArticleId, now: Time) {
    let old = store.article(id).unwrap().unwrap();
    let far = Time::from_timestamp(316_500_000_000, 0).unwrap();
    let title = format!("{}, spoilt", old.record.content.title);
    let content = Content { title, ..old.record.content.clone() };
    let revision = old.record.revision + 1;
    let new = Article { updated_at: far, published_at: Some(far), revision, content, ..old.record.clone() };
    let (article, labels) = (new.id.clone(), Labels::of(&new.content));
    let change = Change { kind: ChangeKind::Revised, article, revision, at: now, labels, before: None };
    let mut batch = Batch::default();
    store.write_article(&mut batch, Some(&old), &new);
    store.log(&mut batch, &change);
    tidings::store::wait(store.commit(batch)).unwrap();
}

#[test]
fn what_does_not_pass_is_told_by_log_metric_and_api() {
    let mut daemon = crate::harness::Newsroom::start();
    let id = daemon.publish_titled("One");
    daemon.publish_titled("Two");
    daemon.stop();
    let store = Store::open(&daemon.path("data")).unwrap();
    spoil(&store, &ArticleId::parse("id", &id).unwrap(), Clock::system().now());
    store.close();
    drop(store);
    daemon.run();
    assert_eq!(daemon.titles("/economy/rss.xml"), ["Two"]);
    let told = daemon.api("GET", "/feeds/refused", &[], "").expect(200).json();
    let refused = &told["refused"][0];
    assert_eq!((&refused["article"], &refused["feed"]), (&id.as_str().into(), &"economy/rss.xml".into()), "{told}");
    assert!(refused["fault"]["field"].as_str().is_some_and(|field| field.contains("pubDate")), "{told}");
    assert!(
        refused["fault"]["found"].as_str().is_some_and(|found| found.contains("1999") && found.contains("character ")),
        "{told}"
    );
    let metrics = daemon.get_admin("/metrics").expect(200).text();
    assert!(metrics.lines().any(|line| line == "tidings_feed_refused_total 1"), "{metrics}");
    let logged = daemon.stop();
    assert!(logged.iter().any(|line| line.contains(&id) && line.contains("pubDate")), "{logged:?}");
}

#[tokio::test]
async fn an_article_that_does_not_pass_keeps_its_last_good_item_and_no_other_from_its_readers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
    let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
    let feeds = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), BYTES_MAX));
    let of = |title: &str| {
        let mut draft = draft(&mut Dice(1), clock.now());
        draft.content.title = title.to_owned();
        draft.published_at = None;
        draft
    };
    let spoil = |article: &Article| spoil(&store, &article.id, clock.now());
    let text = async |feeds: &Arc<Feeds>| String::from_utf8(body(feeds, "/rss.xml").await.unwrap().to_vec()).unwrap();
    let one = publisher.push(of("One"), None).await.unwrap().0;
    assert!(text(&feeds).await.contains("One") && feeds.refused().is_empty());

    spoil(&one);
    clock.advance(Duration::seconds(1));
    publisher.push(of("Two"), None).await.unwrap();
    for _ in 0..2 {
        let shown = text(&feeds).await;
        assert!(shown.contains(">One<") && shown.contains(">Two<") && !shown.contains("spoilt"), "{shown}");
        let refused = feeds.refused();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!((refused[0].article.as_ref(), refused[0].feed.as_str()), (Some(&one.id), "rss.xml"));
        assert!(refused[0].served == Served::LastGood && refused[0].fault.field.contains("pubDate"), "{refused:?}");
        publisher.push(of("Three"), None).await.unwrap();
    }
    // Nothing good is known of it after a restart: it is left out, and told of.
    let afresh = Arc::new(Feeds::new(Arc::clone(&store), newsroom("The News"), clock.clone(), BYTES_MAX));
    let shown = text(&afresh).await;
    assert!(shown.contains(">Two<") && !shown.contains(">One"), "{shown}");
    assert_eq!(afresh.refused()[0].served, Served::Nothing);

    // An edit keeps the date that is at fault.
    publisher.revise(&one.id, &of("One, mended"), None).await.unwrap();
    let shown = text(&feeds).await;
    assert!(shown.contains(">One<") && !shown.contains("mended"), "{shown}");
    publisher.retract(&one.id, None).await.unwrap();
    assert!(!text(&feeds).await.contains(">One<"), "a retraction is heeded all the same");
    assert!(feeds.refused().is_empty());
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
