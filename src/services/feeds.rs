//! The feeds as bytes: built once after a change, compressed once, checked before they replace the last good ones.
//!
//! This reader owns no stored cursor. Changes only mark the feeds they touch; a marked feed is built when it is next
//! asked for, by one builder however many ask, so a burst of publishing costs one build and not one an article.

use super::newsroom::{Newsroom, SharedNewsroom};
use crate::domain::{ArticleId, Category, Fault, Kind, Problem, Seq, Slug, Time};
use crate::store::{Order, Store, StoreError};
use crate::telemetry;
use crate::wire::pieces::Frame;
use crate::wire::{Document, Format, Item};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use uuid::Uuid;

/// Log entries that are marked in one go before others may read on.
const MARKS_MAX: usize = 256;
/// Within 4 % of the size of level 6 for half of its time, measured on feeds of 17 to 180 KB.
const GZIP_LEVEL: i32 = 2;
/// Changed articles that a feed keeps count of between two builds; no feed has more items.
const CHANGED_MAX: usize = 256;
/// Items in the feeds of the whole newsroom.
const WHOLE_LIMIT: usize = 50;

/// All feeds of the newsroom.
pub struct Feeds {
    store: Arc<Store>,
    newsroom: SharedNewsroom,
    table: ArcSwap<HashMap<String, Arc<Feed>>>,
    /// The last log entry whose marks are set.
    marked: AtomicU64,
    marking: Mutex<()>,
}

/// One feed: a category, or the whole newsroom, in one format.
pub struct Feed {
    category: Option<Slug>,
    format: Format,
    /// The last log entry that changed it.
    touched: AtomicU64,
    built: ArcSwapOption<Built>,
    /// What was up before the last reload; stands in should the first build fail.
    before: Option<Arc<Built>>,
    building: tokio::sync::Mutex<()>,
    changed: Mutex<Changed>,
}

/// The articles whose items have to be written anew at the next build; the others are taken from the last one.
#[derive(Default)]
struct Changed {
    articles: HashSet<ArticleId>,
    /// So many that it is simpler to write everything.
    everything: bool,
}

/// What is served until the feed is touched again.
pub struct Built {
    /// Every change up to this one is in it.
    seq: u64,
    /// As it is.
    pub identity: Representation,
    /// The same, compressed with gzip when somebody first asks for it.
    gzip: OnceLock<Representation>,
    /// Each item's bytes, for the next build.
    items: Vec<(ArticleId, Bytes)>,
    /// When it last came to show something else, in seconds since 1970.
    pub modified_s: i64,
    /// The same as an HTTP date (RFC 9110 §5.6.7).
    pub modified: Bytes,
    /// Media type with charset.
    pub media_type: &'static str,
}

/// How the bytes of a feed are coded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
}

/// Bytes with their own strong validator (RFC 9110 §8.8.3: each coding is another representation).
#[derive(Debug, Clone)]
pub struct Representation {
    /// The bytes.
    pub body: Bytes,
    /// Their hash, quoted.
    pub etag: Bytes,
}

impl Representation {
    fn new(body: Vec<u8>) -> Self {
        use base64::Engine as _;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
        let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..15]);
        Representation { body: body.into(), etag: format!("\"{hash}\"").into() }
    }
}

impl Feeds {
    /// The feeds of `newsroom`, none of them built yet.
    pub fn new(store: Arc<Store>, newsroom: SharedNewsroom) -> Self {
        let feeds = Feeds {
            marked: AtomicU64::new(store.head().0),
            table: ArcSwap::default(),
            marking: Mutex::new(()),
            store,
            newsroom,
        };
        feeds.reload();
        feeds
    }

    /// Takes over the newsroom as it is configured now. The last good bytes stay up until the first request builds
    /// new ones.
    pub fn reload(&self) {
        let _marking = self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.table.load();
        let newsroom = self.newsroom.load();
        let slugs = newsroom.categories.iter().map(|category| Some(category.slug.clone()));
        let mut table = HashMap::new();
        for category in std::iter::once(None).chain(slugs) {
            for format in Format::ALL {
                let path = match &category {
                    Some(slug) => format!("/{slug}/{}", format.file_name()),
                    None => format!("/{}", format.file_name()),
                };
                let feed = Feed {
                    category: category.clone(),
                    format,
                    touched: AtomicU64::new(0),
                    built: ArcSwapOption::empty(),
                    before: old.get(&path).and_then(|feed| feed.good()),
                    building: tokio::sync::Mutex::new(()),
                    changed: Mutex::default(),
                };
                table.insert(path, Arc::new(feed));
            }
        }
        self.table.store(Arc::new(table));
    }

    /// The feed at a path such as `/science/rss.xml`.
    pub fn find(&self, path: &str) -> Option<Arc<Feed>> {
        self.table.load().get(path).cloned()
    }

    /// What to serve for `feed`, ready in `coding`: everything that was durable when this was called is in it.
    ///
    /// Errors: [`Kind::Internal`] if it could not be built and there are no last good bytes.
    pub async fn current(self: &Arc<Self>, feed: &Arc<Feed>, coding: Coding) -> Result<Arc<Built>, Problem> {
        self.mark()?;
        let is_ready = |built: &Arc<Built>| built.ready(coding).is_some();
        if let Some(ready) = feed.fresh().filter(is_ready) {
            return Ok(ready);
        }
        let _building = feed.building.lock().await;
        let fresh = feed.fresh();
        if let Some(ready) = fresh.clone().filter(is_ready) {
            return Ok(ready);
        }
        let (feeds, this) = (Arc::clone(self), Arc::clone(feed));
        let make = move || {
            let built = fresh.map_or_else(|| feeds.build(&this), Ok)?;
            built.make(coding);
            Ok(built)
        };
        tokio::task::spawn_blocking(make)
            .await
            .unwrap_or_else(|panic| Err(Problem::new(Kind::Internal, format!("a feed could not be built: {panic}"))))
    }

    /// Marks what the log says since the last time. Next to nothing where there is nothing new.
    fn mark(&self) -> Result<(), StoreError> {
        let head = self.store.head().0;
        if self.marked.load(Ordering::Acquire) >= head {
            return Ok(());
        }
        let _marking = self.marking.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let marked = self.marked.load(Ordering::Acquire);
            if marked >= head {
                return Ok(());
            }
            let read = self.store.since(Seq(marked), MARKS_MAX)?;
            let table = self.table.load();
            if read.truncated {
                table.values().for_each(|feed| feed.touch(head, None));
                self.marked.store(head, Ordering::Release);
                return Ok(());
            }
            let mut last = marked;
            for (Seq(seq), change) in &read.changes {
                last = *seq;
                for feed in table.values() {
                    if feed.category.as_ref().is_none_or(|slug| change.categories.contains(slug)) {
                        feed.touch(*seq, Some(&change.article));
                    }
                }
            }
            self.marked.store(last, Ordering::Release);
        }
    }

    fn build(&self, feed: &Feed) -> Result<Arc<Built>, Problem> {
        // Taken before the articles are read: a change that comes meanwhile marks the feed again.
        let seq = self.marked.load(Ordering::Acquire);
        let changed = std::mem::take(&mut *feed.changed());
        metrics::counter!(telemetry::FEED_BUILDS_TOTAL).increment(1);
        let built = self.written(feed, seq, &changed).or_else(|problem| {
            // What was to be written anew still is.
            feed.changed().everything = true;
            metrics::counter!(telemetry::FEED_REFUSED_TOTAL).increment(1);
            let path = self.newsroom.load().site.feed(feed.category.as_ref(), feed.format.file_name());
            tracing::error!(feed = %path, %problem, "a feed could not be built, the last good one stays up: {problem}");
            feed.good().map(|good| good.kept(seq)).ok_or(problem)
        })?;
        let built = Arc::new(built);
        feed.built.store(Some(Arc::clone(&built)));
        Ok(built)
    }

    /// The feed as it is now, made of the items of the last build where their articles have not changed.
    fn written(&self, feed: &Feed, seq: u64, changed: &Changed) -> Result<Built, Problem> {
        let newsroom = self.newsroom.load_full();
        let (document, limit) = self.document(feed, &newsroom)?;
        let updated = document.updated;
        let frame = Frame::new(feed.format, document).map_err(internal)?;
        let last = feed.built.load_full();
        let known: HashMap<&ArticleId, &Bytes> = match &last {
            Some(last) if !changed.everything => last.items.iter().map(|(id, item)| (id, item)).collect(),
            Some(_) | None => HashMap::new(),
        };
        let order = feed.category.as_ref().map_or(Order::Public, Order::Category);
        let mut items = Vec::with_capacity(limit);
        for id in self.store.article_ids(order, limit)? {
            if let Some(item) = known.get(&id).filter(|_| !changed.articles.contains(&id)) {
                items.push((id, Bytes::clone(item)));
                continue;
            }
            // Gone since the index was read: then a change is on its way that says so.
            let Some(article) = self.store.article(&id)?.filter(|stored| stored.record.is_public()) else { continue };
            let item = Item::new(&article.record, &newsroom.site, &newsroom.categories);
            let item = frame
                .item(item)
                .map_err(|fault| internal(Fault { field: format!("{id}: {}", fault.field), ..fault }))?;
            items.push((id, item.into()));
        }
        let (bytes, places) = frame.join(&items.iter().map(|(_, item)| item).collect::<Vec<_>>());
        let identity = Representation::new(bytes);
        let items = items.into_iter().zip(places).map(|((id, _), place)| (id, identity.body.slice(place))).collect();
        Ok(Built::new(seq, identity, items, updated, feed.format))
    }

    /// The feed without items, and how many it is to have.
    fn document(&self, feed: &Feed, newsroom: &Newsroom) -> Result<(Document, usize), Problem> {
        let site = &newsroom.site;
        let slug = feed.category.as_ref();
        let category: Option<&Category> = slug.and_then(|slug| newsroom.categories.get(slug.as_str()));
        // Read before the articles: a feed may then be newer than its date for a moment, never older.
        let touched = self.store.touched(slug)?.map(|touched| touched.at);
        let updated = touched.map_or(newsroom.changed_at, |at| at.max(newsroom.changed_at));
        let limit = category.map_or(WHOLE_LIMIT, |category| category.limit);
        let document = Document {
            title: category
                .map_or_else(|| site.title.clone(), |category| format!("{} – {}", category.title, site.title)),
            description: category.map_or(&site.description, |category| &category.description).clone(),
            language: category.map_or(&site.language, |category| &category.language).clone(),
            id: feed_iri(&self.store.identity().instance, slug),
            home: site.category_page(slug),
            self_url: site.feed(slug, feed.format.file_name()),
            updated,
            items: Vec::new(),
        };
        Ok((document, limit))
    }
}

/// A feed's IRI for life: it survives a change of address, so it is made of the store's own name.
fn feed_iri(instance: &str, category: Option<&Slug>) -> String {
    let name = format!("{instance}/{}", category.map_or("", Slug::as_str));
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).urn().to_string()
}

impl Feed {
    fn fresh(&self) -> Option<Arc<Built>> {
        let built = self.built.load();
        let built = built.as_ref()?;
        (built.seq >= self.touched.load(Ordering::Acquire)).then(|| Arc::clone(built))
    }

    fn good(&self) -> Option<Arc<Built>> {
        self.built.load_full().or_else(|| self.before.clone())
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, seq: u64, article: Option<&ArticleId>) {
        let mut changed = self.changed();
        match article {
            Some(article) if changed.articles.len() < CHANGED_MAX && !changed.everything => {
                changed.articles.insert(article.clone());
            }
            Some(_) | None => *changed = Changed { articles: HashSet::new(), everything: true },
        }
        drop(changed);
        self.touched.fetch_max(seq, Ordering::AcqRel);
    }
}

impl Built {
    fn new(seq: u64, identity: Representation, items: Vec<(ArticleId, Bytes)>, updated: Time, format: Format) -> Self {
        Built {
            seq,
            identity,
            gzip: OnceLock::new(),
            items,
            modified_s: updated.timestamp(),
            modified: httpdate::fmt_http_date(updated.into()).into(),
            media_type: format.media_type(),
        }
    }

    /// It in `coding`, if that has been made.
    pub fn ready(&self, coding: Coding) -> Option<&Representation> {
        match coding {
            Coding::Identity => Some(&self.identity),
            Coding::Gzip => self.gzip.get(),
        }
    }

    fn make(&self, coding: Coding) {
        match coding {
            Coding::Identity => {}
            Coding::Gzip => {
                self.gzip.get_or_init(|| Representation::new(gzip(&self.identity.body)));
            }
        }
    }

    /// The same, standing in for a build that failed.
    fn kept(&self, seq: u64) -> Self {
        Built {
            seq,
            identity: self.identity.clone(),
            gzip: self.gzip.clone(),
            items: self.items.clone(),
            modified_s: self.modified_s,
            modified: self.modified.clone(),
            media_type: self.media_type,
        }
    }
}

fn internal(fault: Fault) -> Problem {
    Problem::new(Kind::Internal, fault.to_string())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(GZIP_LEVEL).unwrap_or_default();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the buffer has the bound that the library asks for");
    out.truncate(length);
    out
}
