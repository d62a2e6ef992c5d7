//! What a publish costs the feeds: the newest of 50 full texts is new, and all three formats are wanted in all codings.

use crate::measure::percentile_us;
use crate::store::{Source, load, write};
use crate::{Amount, OnStore};
use anyhow::{Context as _, anyhow, bail};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidings::domain::{Article, ArticleId, Clock, Time};
use tidings::services::feeds::{Built, Coding, Feed, Feeds, Found};
use tidings::services::newsroom::Newsroom;
use tidings::store::{Batch, Store};

/// A feedful.
const ITEMS: usize = 50;
const FILES: [&str; 3] = ["rss.xml", "atom.xml", "feed.json"];

pub(crate) async fn rebuild(on: OnStore, amount: Amount) -> anyhow::Result<Value> {
    let config = load(&on)?;
    let source = Source::new(&config, &on, &amount);
    let store = Arc::new(Store::open(&config.store.folder)?);
    let clock = Clock::system();
    let newsroom = Newsroom {
        site: config.site.clone(),
        categories: config.categories.clone(),
        hub: None,
        changed_at: Time::UNIX_EPOCH,
    };
    let newsroom = Arc::new(ArcSwap::from_pointee(newsroom));
    let feeds = Feeds::new(Arc::clone(&store), newsroom, clock.clone(), config.server.feeds_bytes_max);
    let feeds = Arc::new(feeds);
    let open = |file: &str| match feeds.open(&format!("/{}/{file}", on.category), None) {
        Some(Ok(Found::Feed(feed))) => Ok(feed),
        Some(Ok(Found::Moved(_)) | Err(_)) | None => Err(anyhow!("{file} is no feed's name")),
    };
    let open: Vec<Arc<Feed>> = FILES.into_iter().map(open).collect::<Result<_, _>>()?;
    let (mut first, mut all, mut bytes) = (Vec::new(), Vec::new(), 0);
    for number in 0..ITEMS + amount.count {
        let article = Article::published(ArticleId::mint(), clock.now(), source.content(number)?);
        let mut batch = Batch::default();
        write(&store, &mut batch, &article);
        store.commit(batch).await?;
        let started = Instant::now();
        let mut built = Vec::with_capacity(open.len());
        for feed in &open {
            built.push(feeds.current(feed, Coding::Gzip).await.map_err(|problem| anyhow!("{problem}"))?);
        }
        let waited = started.elapsed();
        packed(&feeds, &built).await?;
        // Only full feeds count.
        if number >= ITEMS {
            first.push(waited);
            all.push(started.elapsed());
        }
        bytes = built.iter().map(|built| built.plain().len()).sum();
    }
    store.close();
    Ok(json!({
        "count": all.len(), "bytes": bytes,
        "first_p50_us": percentile_us(&mut first, 0.50), "first_p99_us": percentile_us(&mut first, 0.99),
        "all_p50_us": percentile_us(&mut all, 0.50), "all_p99_us": percentile_us(&mut all, 0.99),
    }))
}

/// Has the codings made that nobody waits for, and waits for them.
async fn packed(feeds: &Arc<Feeds>, built: &[Arc<Built>]) -> anyhow::Result<()> {
    const CODINGS: [Coding; 2] = [Coding::Brotli, Coding::Zstd];
    for coding in CODINGS {
        for built in built {
            feeds.pack(built, &[coding]).await.map_err(|problem| anyhow!("{problem}"))?;
        }
    }
    for coding in CODINGS {
        for built in built {
            while built.body(coding).is_none() {
                // To look all the time would take a core from those that pack.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }
    let last = built.last().context("no feed")?;
    if last.body(Coding::Brotli).is_none_or(|body| body.len() >= last.plain().len()) {
        bail!("packing made it larger");
    }
    Ok(())
}
