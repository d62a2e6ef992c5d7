//! Who polls a feed by differences, or follows it into its history, comes to have just what it shows, whatever the
//! newsroom does meanwhile.

use crate::rebuild::{body, newsroom, open};
use crate::store::Dice;
use bytes::Bytes;
use chrono::Duration;
use feed_rs::model::{Entry, Feed};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tidings::domain::{Article, ArticleId, Body, Categories, Clock, Content, Draft, Slug, Time, Wish};
use tidings::services::feeds::{Coding, Feeds};
use tidings::services::newsroom::{Newsroom, SharedNewsroom};
use tidings::services::publish::Publisher;
use tidings::store::Store;

/// Days into which articles are dated, today among them.
const DAYS: usize = 6;

/// A newsroom of its own, and what has been published in it.
struct Desk {
    _folder: tempfile::TempDir,
    newsroom: SharedNewsroom,
    clock: Clock,
    publisher: Publisher,
    feeds: Arc<Feeds>,
    dice: Dice,
    /// Public articles, and when each is dated.
    public: BTreeMap<ArticleId, Time>,
}

impl Desk {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let clock = Clock::test(Time::from_timestamp_millis(1_800_000_000_000).unwrap());
        let newsroom = newsroom("The News");
        let publisher = Publisher::new(Arc::clone(&store), clock.clone(), 0);
        let feeds = Arc::new(Feeds::new(store, Arc::clone(&newsroom), clock.clone(), 64 << 20));
        Desk { _folder: folder, newsroom, clock, publisher, feeds, dice: Dice(seed), public: BTreeMap::new() }
    }

    fn draft(&mut self) -> Draft {
        let ago = Duration::seconds(i64::try_from(self.dice.roll(DAYS * 86_400)).unwrap());
        Draft {
            id: None,
            external_id: None,
            wish: Wish::Published,
            published_at: Some(self.clock.now() - ago),
            content: Content {
                categories: vec![Slug::parse("slug", "science").unwrap()],
                title: format!("No. {}", self.dice.roll(1_000_000)),
                body: Some(Body { html: "<p>Text</p>".to_owned(), markdown: None }),
                ..Content::default()
            },
        }
    }

    fn any(&mut self) -> Option<ArticleId> {
        let number = self.public.len().checked_sub(1).map(|last| self.dice.roll(last + 1))?;
        self.public.keys().nth(number).cloned()
    }

    fn note(&mut self, article: Article) {
        self.public.insert(article.id, article.published_at.unwrap());
    }

    /// Something that a newsroom does: a new article, mostly dated back, an edit that dates it anew, a retraction.
    async fn act(&mut self) {
        self.clock.advance(Duration::seconds(1));
        let draft = self.draft();
        match (self.dice.roll(4), self.any()) {
            (0, Some(id)) => {
                let (article, _) = self.publisher.revise(&id, &draft, None).await.unwrap();
                self.note(article);
            }
            (1, Some(id)) => {
                self.publisher.retract(&id, None).await.unwrap();
                self.public.remove(&id);
            }
            _ => {
                let (article, _) = self.publisher.push(draft, None).await.unwrap();
                self.note(article);
            }
        }
    }

    /// A category's feed comes to have so many items.
    fn limit(&mut self, limit: usize) {
        let old = self.newsroom.load_full();
        let categories = old.categories.iter().map(|known| tidings::domain::Category { limit, ..known.clone() });
        let categories = Categories::new(categories.collect());
        let new = Newsroom { site: old.site.clone(), categories, hub: None, changed_at: self.clock.now() };
        self.newsroom.store(Arc::new(new));
        self.feeds.reload();
    }

    async fn read(&self, address: &str) -> Feed {
        parsed(&body(&self.feeds, address).await.unwrap_or_else(|why| panic!("{address}: {why}")))
    }
}

fn parsed(bytes: &[u8]) -> Feed {
    feed_rs::parser::parse(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn link(feed: &Feed, rel: &str) -> Option<String> {
    let link = feed.links.iter().find(|link| link.rel.as_deref() == Some(rel))?;
    Some(link.href.trim_start_matches("https://news.example").to_owned())
}

fn ids(feed: &Feed) -> Vec<String> {
    feed.entries.iter().map(|entry| entry.id.clone()).collect()
}

/// What a reader has who puts each answer over what he had.
#[derive(Default)]
struct Reader {
    known: Bytes,
    items: HashMap<String, Entry>,
}

#[tokio::test]
async fn whoever_takes_differences_has_what_the_feed_shows_and_is_sent_nothing_twice() {
    for (seed, file) in [(1, "rss.xml"), (2, "atom.xml"), (3, "feed.json")] {
        let mut desk = Desk::new(seed);
        let address = format!("/science/{file}");
        let mut readers: Vec<Reader> = (0..6).map(|_| Reader::default()).collect();
        let (mut differences, mut pushed_back_in) = (0, 0);
        for round in 0..300 {
            // Five items: a retraction lets one back in that has left the feed, and has not changed.
            match round {
                100 => desk.limit(7),
                200 => desk.limit(4),
                _ => desk.act().await,
            }
            let number = desk.dice.roll(readers.len());
            let reader = &mut readers[number];
            let feed = open(&desk.feeds, &address);
            let built = desk.feeds.current(&feed, Coding::Identity).await.unwrap();
            let now = parsed(built.plain());
            let answer = match desk.feeds.delta(&feed, &built, &reader.known) {
                _ if *built.tag(Coding::Identity) == reader.known => continue,
                Some(difference) => {
                    differences += 1;
                    let difference = parsed(&difference);
                    assert_eq!(difference.title, now.title);
                    for entry in &difference.entries {
                        assert_ne!(reader.items.get(&entry.id), Some(entry), "{address}: sent once more");
                        let is_old = entry.updated.or(entry.published).is_some_and(|at| at < desk.clock.now());
                        pushed_back_in += usize::from(is_old && !reader.items.contains_key(&entry.id));
                    }
                    difference
                }
                None => now.clone(),
            };
            reader.known = built.tag(Coding::Identity).clone();
            // A reader need not remember what has left the feed.
            let shown: BTreeSet<String> = ids(&now).into_iter().collect();
            reader.items.extend(answer.entries.into_iter().map(|entry| (entry.id.clone(), entry)));
            reader.items.retain(|id, _| shown.contains(id));
            for entry in &now.entries {
                assert_eq!(reader.items.get(&entry.id), Some(entry), "{address} in round {round}");
            }
        }
        assert!(differences > 150 && pushed_back_in > 10, "{file}: {differences} and {pushed_back_in}");
    }
}

#[tokio::test]
async fn a_difference_tells_of_what_was_retracted() {
    let mut desk = Desk::new(5);
    let mut states = Vec::new();
    for address in ["/science/atom.xml", "/science/feed.json"] {
        let (kept, gone) = (desk.draft(), desk.draft());
        let kept = desk.publisher.push(kept, None).await.unwrap().0.id;
        let gone = desk.publisher.push(gone, None).await.unwrap().0.id;
        let feed = open(&desk.feeds, address);
        let before = desk.feeds.current(&feed, Coding::Gzip).await.unwrap().tag(Coding::Gzip).clone();
        desk.clock.advance(Duration::seconds(1));
        desk.publisher.retract(&gone, None).await.unwrap();
        let built = desk.feeds.current(&feed, Coding::Identity).await.unwrap();
        let difference = desk.feeds.delta(&feed, &built, &before).expect("a difference");
        let text = String::from_utf8(difference.to_vec()).unwrap();
        assert!(text.contains(gone.as_str()) && !text.contains(kept.as_str()), "{address}: {text}");
        assert!(parsed(&difference).entries.is_empty());
        states.push(text);
    }
    assert!(states[0].contains("<at:deleted-entry") && states[1].contains("\"retracted\""), "{states:?}");
}

#[tokio::test]
async fn of_a_state_long_ago_nothing_is_known_and_of_many_changes_everything() {
    let mut desk = Desk::new(6);
    let feed = open(&desk.feeds, "/rss.xml");
    let mut tags: Vec<Bytes> = Vec::new();
    for count in 1_i64..40 {
        let mut draft = desk.draft();
        draft.content.title = format!("No. {count}");
        draft.published_at = None;
        desk.clock.advance(Duration::seconds(1));
        desk.publisher.push(draft, None).await.unwrap();
        let built = desk.feeds.current(&feed, Coding::Identity).await.unwrap();
        for (ago, tag) in tags.iter().rev().enumerate() {
            let items = desk.feeds.delta(&feed, &built, tag).map(|difference| parsed(&difference).entries.len());
            assert_eq!(items, (ago + 1 < 32).then_some(ago + 1), "after {count}");
        }
        tags.push(built.tag(Coding::Identity).clone());
    }
    // More changes at once than a feed keeps in mind: what is in it is sent all the same, and nothing else.
    let before = tags.pop().unwrap();
    let draft = desk.draft();
    let (article, _) = desk.publisher.push(draft, None).await.unwrap();
    for _ in 0..300 {
        desk.clock.advance(Duration::seconds(1));
        let mut draft = desk.draft();
        draft.content.title = format!("At {}", desk.clock.now());
        desk.publisher.revise(&article.id, &draft, None).await.unwrap();
    }
    let built = desk.feeds.current(&feed, Coding::Identity).await.unwrap();
    let difference = desk.feeds.delta(&feed, &built, &before).expect("a difference");
    let entries = parsed(&difference).entries;
    assert_eq!(entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), [article.id.guid()]);
}

#[tokio::test]
async fn the_archive_has_each_article_once_whatever_is_dated_back_or_withdrawn() {
    let mut desk = Desk::new(4);
    let mut volumes: HashMap<String, Vec<String>> = HashMap::new();
    let mut days_before: BTreeMap<ArticleId, Time> = BTreeMap::new();
    for round in 0..60 {
        match round {
            20 => desk.limit(3),
            40 => desk.limit(8),
            _ => {
                for _ in 0..=desk.dice.roll(3) {
                    desk.act().await;
                }
            }
        }
        let today = desk.clock.now().date_naive();
        let newest_first = |public: &BTreeMap<ArticleId, Time>| {
            let mut all: Vec<(Time, ArticleId)> = public.iter().map(|(id, at)| (*at, id.clone())).collect();
            all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            all
        };
        let all = newest_first(&desk.public);
        let (mut by_pages, mut next) = (Vec::new(), Some("/science/atom.xml".to_owned()));
        while let Some(address) = next {
            let page = desk.read(&address).await;
            by_pages.extend(ids(&page));
            next = link(&page, "next");
        }
        assert_eq!(by_pages, all.iter().map(|(_, id)| id.iri()).collect::<Vec<_>>(), "in round {round}");
        let newest = desk.read("/science/atom.xml").await;
        let (mut seen, mut older, mut newer) = (Vec::new(), link(&newest, "prev-archive"), None);
        let mut volumes_now = HashMap::new();
        while let Some(address) = older {
            let volume = desk.read(&address).await;
            assert_eq!(link(&volume, "next-archive"), newer, "{address} in round {round}");
            seen.extend(ids(&volume));
            older = link(&volume, "prev-archive");
            volumes_now.insert(address.clone(), ids(&volume));
            newer = Some(address);
        }
        if link(&newest, "next").is_some() {
            let past: Vec<String> =
                all.iter().filter(|(at, _)| at.date_naive() < today).map(|(_, id)| id.iri()).collect();
            assert_eq!(seen, past, "in round {round}");
        }
        // The volumes of a day in which nothing was dated, and out of which nothing was taken, are as they were.
        let touched: BTreeSet<String> = days_before
            .iter()
            .chain(&desk.public)
            .filter(|(id, _)| days_before.get(*id) != desk.public.get(*id))
            .map(|(_, at)| at.date_naive().to_string())
            .collect();
        if !matches!(round, 20 | 40) {
            for (address, before) in &volumes {
                let day = address.split('/').nth(3).unwrap();
                if !touched.contains(day) && !volumes_now.is_empty() {
                    assert_eq!(volumes_now.get(address), Some(before), "{address} in round {round}");
                }
            }
        }
        (volumes, days_before) = (volumes_now, desk.public.clone());
    }
    assert!(volumes.len() >= DAYS - 1, "{volumes:?}");
}
