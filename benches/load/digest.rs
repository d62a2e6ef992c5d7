//! Digests without the daemon: what making them due costs, what mailing them costs, and the look for what is due.

use anyhow::Context as _;
use arc_swap::ArcSwap;
use chrono::Duration;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tidings::config::{self, Smtp, Tls};
use tidings::domain::{
    Address, Article, ArticleId, Cadence, Change, ChangeKind, Clock, Content, Digests, Edition, Hour, Labels,
    Selection, Subscription, SubscriptionId, SubscriptionState, Time, Weekdays, Window,
};
use tidings::services::digest::Digester;
use tidings::services::mailer::Mailer;
use tidings::services::newsroom::Newsroom;
use tidings::services::{OnDue as _, Step};
use tidings::store::{Batch, Due, Store};
use uuid::Uuid;

/// Subscriptions that are committed together while filling.
const FILL_BATCH: usize = 500;
/// An age at which no article is too old to be told of.
const AGE_MAX: Duration = Duration::days(2);

/// Digests of `selections` selections to `subscribers` subscribers, over `articles` articles; sent to the mail server at
/// `port` of this machine, if there is one.
pub(crate) async fn compose(
    config: &Path,
    subscribers: usize,
    selections: usize,
    articles: usize,
    port: Option<u16>,
) -> anyhow::Result<Value> {
    let config = config::load(config).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let store = Arc::new(Store::open(&config.store.folder)?);
    let clock = Clock::test(Clock::system().now());
    for number in 0..articles {
        publish(&store, clock.now(), number, selections).await?;
    }
    let due_at = clock.now() + Duration::minutes(1);
    let tags = (0..selections).map(|number| Selection::parse(&format!("tag:t{number}")));
    let tags = tags.collect::<Result<Vec<_>, _>>().map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
    fill(&store, subscribers, |number| (tags[number % selections].clone(), due_at)).await?;
    clock.advance(Duration::minutes(2));
    let hint = Arc::new(tokio::sync::Notify::new());
    let standard = config.subscriptions.clone();
    let digester = Digester::new(Arc::clone(&store), clock.clone(), standard.clone(), AGE_MAX, Arc::clone(&hint));
    let digester = Arc::new(digester);
    let started = Instant::now();
    while digester.step().await? == Step::Worked {}
    let due_s = started.elapsed().as_secs_f64();
    let owed = store.count_due(Due::Message, subscribers + 1)?;
    anyhow::ensure!(owed == subscribers, "{owed} digests are owed to {subscribers}");
    let mut result =
        json!({ "subscribers": subscribers, "owed": owed, "due_s": due_s, "due_rate": owed as f64 / due_s });
    if let Some(port) = port {
        let (site, categories) = (config.site, config.categories);
        let newsroom =
            Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, hub: None, changed_at: Time::UNIX_EPOCH }));
        let smtp = Smtp { host: "127.0.0.1".into(), port, tls: Tls::None, ..config.mail.smtp.context("[mail.smtp]")? };
        let settings = config::Mail { smtp: Some(smtp), ..config.mail };
        let mailer = Mailer::new(Arc::clone(&store), clock, newsroom, settings, standard, hint, Arc::default())?;
        let started = Instant::now();
        while mailer.step().await? == Step::Worked {}
        let sent_s = started.elapsed().as_secs_f64();
        result["sent_s"] = sent_s.into();
        result["sent_rate"] = (owed as f64 / sent_s).into();
        // One that was refused for now was not sent.
        let left = store.count_due(Due::Message, subscribers + 1)?;
        anyhow::ensure!(left == 0, "{left} of {owed} digests were not sent");
    }
    store.close();
    Ok(result)
}

/// How long it takes to find what is due among `subscriptions`, most of which are due later: where nothing is, and where
/// `due` of them are.
pub(crate) async fn tick(config: &Path, subscriptions: usize, due: usize) -> anyhow::Result<Value> {
    let config = config::load(config).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let store = Arc::new(Store::open(&config.store.folder)?);
    let clock = Clock::test(Clock::system().now());
    let soon = clock.now() + Duration::minutes(1);
    let started = Instant::now();
    let at = |number: usize| {
        if number < due {
            soon
        } else {
            soon + Duration::hours(1) + Duration::milliseconds((number % 80_000_000) as i64)
        }
    };
    fill(&store, subscriptions, |number| (Selection::all(), at(number))).await?;
    let fill_s = started.elapsed().as_secs_f64();
    let hint = Arc::new(tokio::sync::Notify::new());
    let digester = Digester::new(Arc::clone(&store), clock.clone(), config.subscriptions, AGE_MAX, hint);
    let digester = Arc::new(digester);
    let mut idle_us = Vec::new();
    for _ in 0..1_000 {
        let started = Instant::now();
        anyhow::ensure!(digester.step().await? == Step::Idle, "something is due");
        idle_us.push(started.elapsed().as_secs_f64() * 1e6);
    }
    idle_us.sort_by(f64::total_cmp);
    clock.advance(Duration::minutes(2));
    let started = Instant::now();
    while digester.step().await? == Step::Worked {}
    let due_s = started.elapsed().as_secs_f64();
    store.close();
    Ok(json!({
        "subscriptions": subscriptions, "fill_s": fill_s, "idle_p50_us": idle_us[500], "idle_p99_us": idle_us[990],
        "due": due, "due_s": due_s, "due_rate": due as f64 / due_s,
    }))
}

/// Confirmed subscriptions of addresses of their own, each with the selection and the hour that `of` gives its number.
async fn fill(store: &Store, count: usize, of: impl Fn(usize) -> (Selection, Time)) -> anyhow::Result<()> {
    let hour = Hour::SEVEN;
    let mut batch = Batch::default();
    for number in 0..count {
        let (selection, at) = of(number);
        let id = Uuid::from_u128((number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let address =
            Address::parse("address", &format!("reader{number}@example.net")).map_err(|f| anyhow::anyhow!("{f}"))?;
        let asked = Subscription::asked(SubscriptionId(id), address, selection, Time::UNIX_EPOCH);
        let window = Window { edition: Edition::of(at.date_naive()), at };
        let subscription = Subscription {
            state: SubscriptionState::Confirmed { at: Time::UNIX_EPOCH },
            cadence: Cadence::Daily { hour, days: Weekdays::ALL },
            digests: Digests { next: Some(window), ..Digests::default() },
            erase_at: None,
            ..asked
        };
        store.write_first_subscription(&mut batch, &subscription);
        if (number + 1) % FILL_BATCH == 0 || number + 1 == count {
            store.commit(std::mem::take(&mut batch)).await?;
        }
    }
    Ok(())
}

async fn publish(store: &Store, now: Time, number: usize, selections: usize) -> anyhow::Result<()> {
    let content = Content {
        title: format!("Article number {number} of the day, with a headline of the usual length"),
        summary: Some("Two sentences that say what it is about. They are as long as such sentences are.".repeat(3)),
        tags: vec![format!("t{}", number % selections), format!("t{}", (number * 7) % selections)],
        ..Content::default()
    };
    let article = Article::published(ArticleId::mint(), now, content);
    let labels = Labels::of(&article.content);
    let change =
        Change { kind: ChangeKind::Published, article: article.id.clone(), revision: 1, at: now, labels, before: None };
    let mut batch = Batch::default();
    store.write_article(&mut batch, None, &article);
    store.log(&mut batch, &change);
    store.commit(batch).await?;
    Ok(())
}
