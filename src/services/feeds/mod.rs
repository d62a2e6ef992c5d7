//! The feeds as bytes: built once after a change, packed once, checked before they replace the last good ones.
//!
//! This reader owns no stored cursor. Changes only mark the selections they touch; a feed of a marked selection is built
//! when it is next asked for, by one builder however many ask, so a burst of publishing costs one build and not one an
//! article. What is held in memory stays within a budget of bytes (`shelf.rs`).

mod archive;
mod beside;
mod build;
mod built;
mod cut;
mod gzip;
mod items;
mod live;
mod name;
mod rhythm;
mod shelf;
mod states;

pub use built::{Built, Coding};
pub use name::{Name, Part, Profile, Volume};
pub use rhythm::Rhythm;

use super::newsroom::SharedNewsroom;
use crate::domain::{ArticleId, Clock, Fault, Kind, Problem, Seq};
use crate::store::{Store, StoreError};
use arc_swap::ArcSwapOption;
use built::Step;
use bytes::Bytes;
use live::{Live, Selected};
use serde::Serialize;
use shelf::Shelf;
use states::States;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Log entries that are marked in one go before others may read on.
const MARKS_MAX: usize = 256;
/// Feeds with a fault that are told of; more of them have one cause.
const REFUSED_MAX: usize = 100;

/// All feeds of the newsroom.
pub struct Feeds {
    store: Arc<Store>,
    newsroom: SharedNewsroom,
    clock: Clock,
    shelf: Shelf,
    /// The last log entry whose marks are set.
    marked: AtomicU64,
    live: Mutex<Live>,
    /// Counts the reloads: what was built before the last one shows another configuration.
    round: AtomicU64,
    /// Counts the feeds that were made, which gives the order in which they were asked for.
    turn: AtomicU64,
    /// The last day that was seen by the clock or in the log, counted from the beginning of our era.
    last_day: AtomicI32,
    refused: Mutex<BTreeMap<String, Refused>>,
}

/// One feed.
pub struct Feed {
    /// Which one.
    pub name: Name,
    selected: Arc<Selected>,
    built: ArcSwapOption<Built>,
    building: Arc<tokio::sync::Mutex<()>>,
    /// [`Feeds::turn`] when it was last asked for.
    asked: AtomicU64,
    /// No longer on the shelf, so that no mark reaches it.
    is_down: AtomicBool,
    states: Mutex<States>,
}

/// What an address leads to.
pub enum Found {
    /// A feed.
    Feed(Arc<Feed>),
    /// The same feed has another address; this one, below the site's.
    Moved(String),
}

/// A part of a feed that does not stand in it as it should, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Address of the feed.
    pub feed: String,
    /// The article at fault; none if it is the feed's own head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article: Option<ArticleId>,
    /// What is wrong: place, what was found, what was expected.
    pub fault: Fault,
    /// What is served all the same.
    pub served: Served,
}

/// What readers get in place of what did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// The last good one.
    LastGood,
    /// The article's summary: with its full text it is larger than aggregators take.
    Summary,
    /// The feed without the article.
    Nothing,
}

impl Feeds {
    /// The feeds of `newsroom`, none of them built yet; together they hold at most `bytes_max` bytes.
    pub fn new(store: Arc<Store>, newsroom: SharedNewsroom, clock: Clock, bytes_max: usize) -> Self {
        Feeds {
            marked: AtomicU64::new(store.head().0),
            shelf: Shelf::new(bytes_max),
            live: Mutex::default(),
            round: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            last_day: AtomicI32::new(i32::MIN),
            refused: Mutex::default(),
            store,
            newsroom,
            clock,
        }
    }

    /// Takes over the newsroom as it is configured now. The last good bytes stay up until the first request builds
    /// new ones; feeds of categories that are gone are gone too.
    pub fn reload(&self) {
        let mut live = self.live();
        self.round.fetch_add(1, Ordering::AcqRel);
        self.shelf.retain(&mut live, |feed| self.unknown(&feed.name).is_none());
    }

    /// The feed at `target`, a path with its query, if it has been asked for at just that address before.
    pub fn find(&self, target: &str) -> Option<Arc<Feed>> {
        let feed = self.shelf.get(target)?;
        // Stored only where it differs: many cores read this.
        let turn = self.turn.load(Ordering::Relaxed);
        if feed.asked.load(Ordering::Relaxed) != turn {
            feed.asked.store(turn, Ordering::Relaxed);
        }
        Some(feed)
    }

    /// What the address with this path and query leads to; none if it is not a feed's.
    ///
    /// Errors: [`Kind::Malformed`] for a query that cannot be read, [`Kind::NotFound`] for an unknown category.
    pub fn open(&self, path: &str, query: Option<&str>) -> Option<Result<Found, Problem>> {
        let name = match Name::parse(path, query)? {
            Ok(name) => name,
            Err(problem) => return Some(Err(problem)),
        };
        if let Some(fault) = self.unknown(&name) {
            return Some(Err(Problem { kind: Kind::NotFound, ..fault.into() }));
        }
        let address = name.path();
        let (own_path, own_query) =
            address.split_once('?').map_or((&*address, None), |(path, query)| (path, Some(query)));
        // Parameters that mean nothing here are no reason to send anybody away.
        if path.strip_prefix('/') != Some(own_path) || (own_query.is_some() && own_query != query) {
            return Some(Ok(Found::Moved(address)));
        }
        Some(Ok(Found::Feed(self.put(name, &address))))
    }

    /// A category that the name speaks of and nobody has configured.
    fn unknown(&self, name: &Name) -> Option<Fault> {
        self.newsroom.load().categories.unknown("category", &name.selection).into_iter().next()
    }

    fn put(&self, name: Name, address: &str) -> Arc<Feed> {
        let mut live = self.live();
        let feed = self.shelf.get_or_put(&format!("/{address}"), || Feed {
            selected: live.join(&name.selection, self.marked.load(Ordering::Acquire)),
            built: ArcSwapOption::empty(),
            building: Arc::default(),
            asked: AtomicU64::default(),
            is_down: AtomicBool::default(),
            states: Mutex::default(),
            name,
        });
        feed.asked.store(self.turn.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        if self.shelf.is_full() {
            self.shelf.make_room(&mut live);
        }
        feed
    }

    /// What to serve for `feed` at once, if that is everything that was durable when this was called.
    ///
    /// Errors: the store's.
    pub fn ready(&self, feed: &Feed) -> Result<Option<Arc<Built>>, Problem> {
        self.mark()?;
        Ok(self.fresh(feed))
    }

    /// What to serve for `feed`: everything that was durable when this was called is in it. If it has to be built, its
    /// bytes in `coding` are made as well.
    ///
    /// Errors: [`Kind::Internal`] if it could not be built and there are no last good bytes, [`Kind::NotFound`] for an
    /// archive that does not exist.
    pub async fn current(self: &Arc<Self>, feed: &Arc<Feed>, coding: Coding) -> Result<Arc<Built>, Problem> {
        if let Some(ready) = self.ready(feed)? {
            return Ok(ready);
        }
        let building = Arc::clone(&feed.building).lock_owned().await;
        if let Some(ready) = self.fresh(feed) {
            return Ok(ready);
        }
        let (feeds, this) = (Arc::clone(self), Arc::clone(feed));
        let make = move || {
            // Held by the work and not by who asked for it: a client that leaves would let a second build in.
            let _building = building;
            let built = feeds.build(&this)?;
            built.make(coding);
            if feeds.shelf.is_full() {
                feeds.shelf.make_room(&mut feeds.live());
            }
            Ok(built)
        };
        blocking(make).await?
    }

    /// Makes the bytes of `built` in the best of `codings`, the most wanted first, that can be made while somebody waits.
    /// What takes longer is begun on the way. After that [`Built::best_of`] has one to send.
    ///
    /// Errors: [`Kind::Internal`] if packing broke off.
    pub async fn pack(&self, built: &Arc<Built>, codings: &[Coding]) -> Result<(), Problem> {
        loop {
            let this = Arc::clone(built);
            match built.next_step(codings) {
                Step::Send(_) => return Ok(()),
                Step::Make(coding) => blocking(move || this.make(coding)).await?,
                Step::Begin(coding) => {
                    if built.begin(coding) {
                        drop(tokio::task::spawn_blocking(move || this.make(coding)));
                    }
                }
            }
        }
    }

    /// The items of `built` that a reader who has the state with entity tag `known` has not seen, as a feed of their own
    /// (RFC 3229); none if that state is not remembered, or the difference is everything.
    pub fn delta(&self, feed: &Feed, built: &Built, known: &[u8]) -> Option<Bytes> {
        let delta = built.delta(feed.states().number(known)?)?;
        (delta.len() < built.plain().len()).then_some(delta)
    }

    /// Parts of feeds that did not pass the checks.
    pub fn refused(&self) -> Vec<Refused> {
        self.refused_list().values().cloned().collect()
    }

    fn refused_list(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that all feeds hold.
    pub fn bytes(&self) -> usize {
        self.shelf.account.bytes()
    }

    /// Marks what the log says since the last time. Next to nothing where there is nothing new.
    fn mark(&self) -> Result<(), StoreError> {
        let head = self.store.head().0;
        if self.marked.load(Ordering::Acquire) >= head {
            return Ok(());
        }
        let live = self.live();
        loop {
            let marked = self.marked.load(Ordering::Acquire);
            if marked >= head {
                return Ok(());
            }
            let read = self.store.since(Seq(marked), MARKS_MAX)?;
            if read.truncated {
                live.forget(head);
                self.marked.store(head, Ordering::Release);
                return Ok(());
            }
            let mut last = marked;
            for (Seq(seq), change) in &read.changes {
                last = *seq;
                live.mark(*seq, change);
            }
            self.marked.store(last, Ordering::Release);
        }
    }

    fn fresh(&self, feed: &Feed) -> Option<Arc<Built>> {
        let built = feed.built.load();
        let built = built.as_ref()?;
        let is_fresh = built.state.seq >= feed.selected.touched()
            && built.state.round == self.round.load(Ordering::Acquire)
            && !feed.is_down.load(Ordering::Acquire);
        is_fresh.then(|| Arc::clone(built))
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    fn last_asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// It leaves the shelf, and its bytes are let go. Who is just being served keeps his.
    fn take_down(&self) {
        self.is_down.store(true, Ordering::Release);
        self.built.store(None);
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` where it holds up nobody else.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let broke_off = |panic| Problem::new(Kind::Internal, format!("a feed could not be built: {panic}"));
    tokio::task::spawn_blocking(work).await.map_err(broke_off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Categories, Site, Time};
    use crate::services::newsroom::Newsroom;
    use arc_swap::ArcSwap;

    fn feeds() -> (tempfile::TempDir, Arc<Feeds>) {
        let folder = tempfile::tempdir().unwrap();
        let site = Site {
            title: "The News".into(),
            description: String::new(),
            language: "en".into(),
            base_url: "https://news.example.org/".parse().unwrap(),
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let newsroom = Newsroom { site, categories: Categories::default(), hub: None, changed_at: Time::UNIX_EPOCH };
        let newsroom = Arc::new(ArcSwap::from_pointee(newsroom));
        let store = Arc::new(Store::open(folder.path()).unwrap());
        (folder, Arc::new(Feeds::new(store, newsroom, Clock::system(), 1 << 20)))
    }

    #[test]
    fn of_too_many_feeds_those_go_that_nobody_asked_for_the_longest() {
        let (_folder, feeds) = feeds();
        let query = |number: usize| format!("q=NOT+tag%3At{number}");
        let find = |number| feeds.find(&format!("/search/rss.xml?{}", query(number)));
        for number in 0..=shelf::FEEDS_MAX {
            let opened = feeds.open("/search/rss.xml", Some(&query(number)));
            assert!(matches!(opened, Some(Ok(Found::Feed(_)))), "{number}");
            // The first one is a favourite.
            assert!(find(0).is_some(), "{number}");
        }
        assert!(find(1).is_none() && find(shelf::FEEDS_MAX).is_some());
        let left = (0..=shelf::FEEDS_MAX).filter(|number| find(*number).is_some()).count();
        assert!((shelf::FEEDS_MAX / 2..shelf::FEEDS_MAX).contains(&left), "{left}");
        assert_eq!(feeds.live().count(), left, "a selection is followed for as long as it has a feed");
    }

    #[tokio::test]
    async fn of_what_takes_long_only_the_most_wanted_is_begun() {
        let (_folder, feeds) = feeds();
        let Some(Ok(Found::Feed(feed))) = feeds.open("/rss.xml", None) else { panic!("the newsroom's feed") };
        let built = feeds.current(&feed, Coding::Gzip).await.unwrap();
        // Somebody is just making it: nobody waits for that, and no other is begun.
        assert!(built.begin(Coding::Zstd));
        for (codings, sent) in [
            (&[Coding::Zstd, Coding::Brotli, Coding::Identity][..], Coding::Identity),
            (&[Coding::Zstd, Coding::Brotli, Coding::Gzip], Coding::Gzip),
            (&[Coding::Gzip, Coding::Brotli], Coding::Gzip),
            (&[], Coding::Identity),
        ] {
            feeds.pack(&built, codings).await.unwrap();
            assert_eq!(built.best_of(codings), Some(sent), "{codings:?}");
        }
        assert!(built.begin(Coding::Brotli), "it was wanted second, and is begun here");
        feeds.pack(&built, &[Coding::Brotli, Coding::Zstd, Coding::Gzip]).await.unwrap();
        assert_eq!(built.best_of(&[Coding::Brotli, Coding::Zstd, Coding::Gzip]), Some(Coding::Gzip));
    }
}
