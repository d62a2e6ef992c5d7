//! Tells a WebSub hub which feeds have changed; the hub then fetches them and hands them to those who subscribed there.
//! How a publisher tells it, W3C WebSub §6 leaves open; hubs take a form of three fields, as PubSubHubbub 0.3 §7.1 had it.
//!
//! A reader of the log whose cursor stays before the first change that is not settled, while it reads on: feeds that
//! changed many times are told of once. What is behind the cursor is told again after a crash, which costs the hub a look
//! and nothing else, so no ledger is kept.

use super::feeds::Name;
use super::newsroom::SharedNewsroom;
use super::{RETRY_WAIT, Step, gap};
use crate::domain::{Change, Clock, Kind, Problem, Selection, Seq, Time};
use crate::store::{Batch, Cursor, Store, StoreError};
use crate::telemetry;
use chrono::{DateTime, TimeDelta};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect;
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use url::{Url, form_urlencoded};

/// Its cursor is stored under it.
pub const NAME: &str = "hub";

/// Tries for one feed, with the waits between them an hour and a half: a hub that is down longer is told by the next change.
pub const TRIES_MAX: u32 = 10;

/// Changes read in one go.
const CHANGES_MAX: usize = 256;
/// Feeds that wait to be told of; with more the log is read on later. A newsroom has six for each category.
const OWED_MAX: usize = 10_000;
/// A feed that was refused waits this long, and twice as long each further time,
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(15);
/// up to this; nor does it wait longer where the hub asks for more.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);
/// A hub that has refused so many feeds in a row is not asked for the others: they count as refused.
const REFUSALS_IN_A_ROW_MAX: usize = 3;
/// A hub need only take note, so it answers at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes within this of a change is told together with it. Nobody sees a second, and a burst costs the hub one fetch.
const GATHER: Duration = Duration::from_secs(1);
/// The end of a quarantine is noticed this late.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The hub as the newsroom knows it.
pub struct Hub {
    store: Arc<Store>,
    newsroom: SharedNewsroom,
    clock: Clock,
    address: Url,
    http: reqwest::Client,
    /// Read up to here.
    at: Seq,
    /// Settled up to here, as it is stored.
    saved: Seq,
    /// By the feed's path.
    owed: HashMap<String, Owed>,
}

/// Why the hub did not take something.
struct Refusal {
    why: String,
    /// It wants to be left alone for so long (RFC 9110 §10.2.3).
    wait: Option<TimeDelta>,
}

/// A feed that the hub is still to be told of.
#[derive(Debug, Clone, Copy)]
struct Owed {
    /// The first change of it that the hub does not know of.
    since: Seq,
    tries: u32,
    tried_at: Option<Time>,
    next_at: Time,
    /// How long it was put off, to be told at `next_at`.
    wait: TimeDelta,
}

impl Hub {
    /// The one at `address`. The first time, it is told of nothing that was before: nobody can have subscribed yet.
    ///
    /// Errors: the store's; [`Kind::Internal`] if there can be no HTTP client.
    pub async fn open(
        store: Arc<Store>,
        newsroom: SharedNewsroom,
        clock: Clock,
        address: Url,
    ) -> Result<Self, Problem> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            // Following one would turn the POST into a GET, whose 200 says nothing.
            .redirect(redirect::Policy::none());
        let http = client.build().map_err(|error| Problem::new(Kind::Internal, root(&error)))?;
        let at = match store.cursor(NAME)? {
            Some(stored) => stored.record.seq,
            None => {
                let head = store.head();
                save(&store, head).await?;
                head
            }
        };
        Ok(Hub { store, newsroom, clock, address, http, at, saved: at, owed: HashMap::new() })
    }

    /// Reads what has changed, and tells the hub of every feed that is due, once each. [`Step::Idle`] if none was, or the
    /// store is in quarantine: its original tells the hub.
    ///
    /// Errors: the store's.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        if self.store.quarantined_since()?.is_some() {
            return Ok(Step::Idle);
        }
        self.read().await?;
        self.heed_clock();
        let due = self.due();
        self.tell(&due).await;
        self.save().await?;
        metrics::gauge!(telemetry::READER_LAG, "reader" => NAME).set((self.store.head().0 - self.saved.0) as f64);
        Ok(if due.is_empty() { Step::Idle } else { Step::Worked })
    }

    /// Steps until `stop`, each a moment after something has changed or is due.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut head = self.store.head_watch();
        loop {
            head.mark_unchanged();
            // What was not settled is told again by the next who reads the log from the cursor.
            let stepped = tokio::select! {
                () = stop.cancelled() => return,
                stepped = self.step() => stepped,
            };
            let wait = match stepped {
                Ok(Step::Worked) => Duration::ZERO,
                Ok(Step::Idle) => self.wait(),
                Err(error) => {
                    tracing::error!(%error, "the hub could not be told of changes; trying again: {error}");
                    RETRY_WAIT
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                // An error means that the store is gone: then there is nothing more to read.
                moved = head.changed() => if moved.is_err() { return },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        while self.owed.len() < OWED_MAX {
            let read = self.store.since(self.at, CHANGES_MAX)?;
            if read.truncated {
                return Err(gap(self.at));
            }
            if read.changes.is_empty() {
                break;
            }
            for (seq, change) in &read.changes {
                self.owe(*seq, change);
                self.at = *seq;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn owe(&mut self, since: Seq, change: &Change) {
        let now = self.clock.now();
        let newsroom = self.newsroom.load();
        // Those that are not configured have no feeds.
        let categories =
            change.categories().into_iter().filter(|slug| newsroom.categories.get(slug.as_str()).is_some());
        let selections = std::iter::once(Selection::all()).chain(categories.map(Selection::category));
        for selection in selections {
            for topic in Name::topics(&selection) {
                let new = Owed { since, tries: 0, tried_at: None, next_at: now, wait: TimeDelta::zero() };
                self.owed.entry(topic.path()).or_insert(new);
            }
        }
    }

    /// Behind a clock that was set back nothing waits until that has caught up: from the next look on at most as long as it
    /// was put off.
    fn heed_clock(&mut self) {
        let now = self.clock.now();
        for owed in self.owed.values_mut() {
            owed.next_at = owed.next_at.min(now + owed.wait);
        }
    }

    /// What is due, those first that were put off without being tried.
    fn due(&self) -> Vec<String> {
        let now = self.clock.now();
        let due: BTreeSet<_> = self
            .owed
            .iter()
            .filter(|(_, owed)| owed.next_at <= now)
            .map(|(path, owed)| (owed.tried_at, owed.since, path.clone()))
            .collect();
        due.into_iter().map(|(_, _, path)| path).collect()
    }

    async fn tell(&mut self, due: &[String]) {
        let (mut in_a_row, mut refused, mut given_up, mut why) = (0, 0_u64, 0_u64, None);
        let mut asked_wait = None;
        for path in due {
            let is_tried = in_a_row < REFUSALS_IN_A_ROW_MAX && asked_wait.is_none();
            if is_tried {
                match self.ping(path).await {
                    Ok(()) => {
                        in_a_row = 0;
                        self.owed.remove(path);
                        count("taken", 1);
                        continue;
                    }
                    Err(refusal) => {
                        in_a_row += 1;
                        asked_wait = refusal.wait;
                        why.get_or_insert(refusal.why);
                    }
                }
            }
            refused += 1;
            given_up += u64::from(self.put_off(path, is_tried, asked_wait.unwrap_or_default()));
        }
        count("refused", refused - given_up);
        count("given_up", given_up);
        let (hub, why) = (&self.address, why.unwrap_or_default());
        if given_up > 0 {
            tracing::warn!(
                %hub,
                "the hub was told {TRIES_MAX} times that {given_up} feeds have changed, and is not any more: {why}"
            );
        } else if refused > 0 {
            tracing::warn!(%hub, "the hub could not be told that {refused} feeds have changed; trying again: {why}");
        }
    }

    /// After a refusal, for `at_least` so long. True if that was the last one.
    fn put_off(&mut self, path: &str, is_tried: bool, at_least: TimeDelta) -> bool {
        let now = self.clock.now();
        let Some(owed) = self.owed.get_mut(path) else { return false };
        owed.tries += 1;
        if owed.tries >= TRIES_MAX {
            self.owed.remove(path);
            return true;
        }
        if is_tried {
            owed.tried_at = Some(now);
        }
        let longer = 1_i32.checked_shl(owed.tries - 1).unwrap_or(i32::MAX);
        let wait = FIRST_WAIT.checked_mul(longer).unwrap_or(LONGEST_WAIT).max(at_least);
        owed.wait = wait.min(LONGEST_WAIT);
        owed.next_at = now + owed.wait;
        false
    }

    /// Errors: why the hub did not take it.
    async fn ping(&self, path: &str) -> Result<(), Refusal> {
        let topic = self.newsroom.load().site.address(path);
        // Some hubs read the one name of the topic, some the other.
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("hub.mode", "publish")
            .append_pair("hub.url", &topic)
            .append_pair("hub.topic", &topic)
            .finish();
        let request = self.http.post(self.address.clone()).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.send().await.map_err(|error| Refusal { why: root(&error), wait: None })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| retry_after(text, self.clock.now()));
        Err(Refusal { why: format!("it answered {status}"), wait })
    }

    /// Everything before the first feed that is still owed is settled.
    async fn save(&mut self) -> Result<(), StoreError> {
        let first = self.owed.values().map(|owed| owed.since).min();
        let settled = first.map_or(self.at, |first| Seq(first.0.saturating_sub(1)));
        if settled != self.saved {
            save(&self.store, settled).await?;
            self.saved = settled;
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        let next = self.owed.values().map(|owed| owed.next_at).min();
        // What has become due since the last look is due now.
        next.map_or(LOOK_EVERY, |next| (next - self.clock.now()).to_std().unwrap_or_default().min(LOOK_EVERY))
    }
}

async fn save(store: &Store, seq: Seq) -> Result<(), StoreError> {
    let moved = || {
        let (mut batch, old) = (Batch::default(), store.cursor(NAME)?);
        store.move_cursor(&mut batch, NAME, old.as_ref(), Cursor { seq, ..Cursor::default() });
        Ok((batch, ()))
    };
    store.decide(moved).await
}

/// How long a `Retry-After` asks to wait: seconds, or a date. RFC 9110 §10.2.3
fn retry_after(text: &str, now: Time) -> Option<TimeDelta> {
    match text.parse() {
        Ok(seconds) => TimeDelta::try_seconds(seconds),
        Err(_) => Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now),
    }
}

fn count(result: &'static str, feeds: u64) {
    metrics::counter!(telemetry::HUB_PINGS_TOTAL, "result" => result).increment(feeds);
}

/// What is at the bottom of `error`: what the client wraps around it says less.
fn root(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| (*error).source()).last().map(ToString::to_string).unwrap_or_default()
}
