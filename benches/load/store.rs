//! The store without the daemon: the same article, indexes and log entry that the API would have committed.

use crate::measure::side_by_side;
use crate::text::{Texts, ago_s};
use crate::{Amount, OnStore};
use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use tidings::config::{self, Config};
use tidings::domain::{Article, ArticleId, Change, ChangeKind, Clock, Content, Labels};
use tidings::store::{Batch, Store};
use tidings::wire::source::{Door, from_json};

/// Different contents that are written, as for publishing.
const CONTENTS_MAX: usize = 2_000;
/// Articles that are committed together while filling.
const FILL_BATCH: usize = 200;

pub(crate) async fn bare(on: OnStore, amount: Amount) -> anyhow::Result<Value> {
    let config = load(&on)?;
    let source = Source::new(&config, &on, &amount);
    let contents: Vec<Content> =
        (0..amount.count.min(CONTENTS_MAX)).map(|n| source.content(n)).collect::<Result<_, _>>()?;
    let contents = Arc::new(contents);
    let store = Arc::new(Store::open(&config.store.folder)?);
    let result = side_by_side(amount.clients, amount.limit(), |turns| {
        let (store, contents) = (Arc::clone(&store), Arc::clone(&contents));
        async move {
            let clock = Clock::system();
            let mut took = Vec::new();
            while let Some(turn) = turns.take() {
                let started = Instant::now();
                let article =
                    Article::published(ArticleId::mint(), clock.now(), contents[turn % contents.len()].clone());
                let mut batch = Batch::default();
                write(&store, &mut batch, &article);
                store.commit(batch).await?;
                took.push(started.elapsed());
            }
            Ok(took)
        }
    });
    let result = result.await?;
    store.close();
    Ok(result)
}

pub(crate) async fn fill(on: OnStore, amount: Amount) -> anyhow::Result<Value> {
    let config = load(&on)?;
    let source = Source::new(&config, &on, &amount);
    let store = Store::open(&config.store.folder)?;
    let (now, started) = (Clock::system().now(), Instant::now());
    let (mut bytes, mut record_bytes) = (0, 0);
    let mut batch = Batch::default();
    for number in 0..amount.count {
        let sent = source.texts.article(number, &on.category).to_string();
        bytes += sent.len();
        let at = now - chrono::Duration::seconds(ago_s(amount.seed, number));
        let article = Article::published(ArticleId::mint(), at, source.read(&sent)?);
        record_bytes += serde_json::to_vec(&article)?.len();
        write(&store, &mut batch, &article);
        if (number + 1) % FILL_BATCH == 0 || number + 1 == amount.count {
            store.commit(std::mem::take(&mut batch)).await?;
        }
    }
    store.close();
    let seconds = started.elapsed().as_secs_f64();
    Ok(json!({ "count": amount.count, "seconds": seconds, "sent_bytes": bytes, "record_bytes": record_bytes }))
}

/// `{"id", "at_ms", "record"}` a line, the record being what is stored of an article, as JSON.
pub(crate) fn records(on: OnStore, amount: Amount, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = load(&on)?;
    let source = Source::new(&config, &on, &amount);
    let now = Clock::system().now();
    for number in 0..amount.count {
        let article = Article::published(ArticleId::mint(), now, source.content(number)?);
        let record = serde_json::to_string(&article)?;
        writeln!(out, "{}", json!({ "id": article.id, "at_ms": now.timestamp_millis(), "record": record }))?;
    }
    Ok(())
}

pub(crate) fn load(on: &OnStore) -> anyhow::Result<Config> {
    config::load(&on.config).map_err(|mistakes| anyhow!("{mistakes}"))
}

/// Articles as they are behind the door, Markdown made to HTML.
pub(crate) struct Source<'a> {
    config: &'a Config,
    category: &'a str,
    texts: Texts,
}

impl<'a> Source<'a> {
    pub(crate) fn new(config: &'a Config, on: &'a OnStore, amount: &Amount) -> Self {
        let texts = Texts { seed: amount.seed, bytes_median: amount.bytes };
        Source { config, category: &on.category, texts }
    }

    pub(crate) fn content(&self, number: usize) -> anyhow::Result<Content> {
        self.read(&self.texts.article(number, self.category).to_string())
    }

    fn read(&self, json: &str) -> anyhow::Result<Content> {
        let door = Door { categories: &self.config.categories, site: &self.config.site };
        let draft = from_json(json.as_bytes(), &door).map_err(|problem| anyhow!("{problem:?}"));
        Ok(draft.context("a text of ours was refused at the door")?.content)
    }
}

pub(crate) fn write(store: &Store, batch: &mut Batch, article: &Article) {
    store.write_article(batch, None, article);
    let change = Change {
        kind: ChangeKind::Published,
        article: article.id.clone(),
        revision: article.revision,
        at: article.created_at,
        labels: Labels::of(&article.content),
        before: None,
    };
    store.log(batch, &change);
}
