//! The daemon is killed while it sends mail of every kind that comes regularly: notices, digests and corrections, signed,
//! to a server that takes whole messages ahead of its replies. Nobody may miss anything, or be told twice but by what was
//! in doubt.

use crate::harness::{Mail, Newsroom, Setup, eventually, eventually_well, is_long};
use crate::smtp::{Offer, Peer, Security};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tidings::domain::{
    Address, Cadence, Clock, Digests, Hour, Selection, Slug, Subscription, SubscriptionId, SubscriptionState, Term,
    Weekdays, Window,
};
use tidings::store::{Batch, Store, wait};

/// Readers who get each article at once, and as many who get digests.
const READERS: usize = 10;
/// Articles that come out in a cycle; as many of the one before are corrected.
const ARTICLES: usize = 2;

/// Who was told what: reader, story, version.
type Told = BTreeMap<(String, String, String), usize>;

fn address(number: usize) -> String {
    let kind = if number < READERS { "at-once" } else { "digest" };
    format!("{kind}-{number}@example.net")
}

/// Subscribes everybody, in a store that nobody has open.
fn subscribe(store: &Store) {
    let mut batch = Batch::default();
    for number in 0..2 * READERS {
        let to = Address::parse("address", &address(number)).unwrap();
        let economy = Selection::any([Term::Category(Slug::parse("c", "economy").unwrap())]);
        let id = SubscriptionId(uuid::Uuid::from_u128(number as u128 + 1));
        let now = Clock::system().now();
        let asked = Subscription::asked(id, to, economy, now);
        let daily = Cadence::Daily { hour: Hour::SEVEN, days: Weekdays::ALL };
        let cadence = if number < READERS { Cadence::Instant } else { daily };
        let state = SubscriptionState::Confirmed { at: now };
        store.write_first_subscription(&mut batch, &Subscription { state, cadence, erase_at: None, ..asked });
    }
    wait(store.commit(batch)).unwrap();
}

/// The digests of all who get some are due now, in the window of number `cycle`.
fn make_digests_due(store: &Store, cycle: u64) {
    let now = Clock::system().now();
    let window = Window { date: now.date_naive() + chrono::Days::new(cycle), at: now };
    let mut batch = Batch::default();
    for old in store.subscriptions(None, 1_000).unwrap() {
        if old.record.cadence != Cadence::Instant {
            let digests = Digests { next: Some(window), ..old.record.digests.clone() };
            store.write_subscription(&mut batch, Some(&old), &Subscription { digests, ..old.record.clone() });
        }
    }
    wait(store.commit(batch)).unwrap();
}

/// Adds how many messages to each reader were on the wire when the daemon was killed.
fn count_on_wire(store: &Store, on_wire: &mut BTreeMap<String, usize>) {
    for (_, key) in store.messages_on_wire(None, 1_000).unwrap() {
        let row = store.message(&key).unwrap().unwrap().record;
        let to = store.subscription(row.subscription).unwrap().unwrap().record.address;
        *on_wire.entry(to.as_str().to_owned()).or_default() += 1;
    }
}

/// The stories in a text, as `(name, version)`, each once.
fn stories(text: &str) -> BTreeSet<(String, String)> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c)));
    let named = words.filter(|word| word.starts_with("story-")).filter_map(|word| word.split_once('.'));
    named.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

struct Run {
    peer: Peer,
    newsroom: Newsroom,
    on_wire: BTreeMap<String, usize>,
    /// Ids of the stories of the last cycle, by name.
    last: BTreeMap<String, String>,
    /// All stories, each with the version that everybody has to come to know.
    stories: BTreeMap<String, &'static str>,
}

impl Run {
    fn begin(policy: &str) -> Self {
        let offer = Offer { lines: &["PIPELINING", "CHUNKING"], ..Offer::default() };
        let runtime = Box::leak(Box::new(tokio::runtime::Runtime::new().expect("a runtime")));
        let peer = runtime.block_on(Peer::offering(Security::Plain, offer));
        let mail = format!(
            "doubtful = \"{policy}\"\ndkim_folder = \"dkim\"\n\
             [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 3\n",
            peer.port
        );
        let subscriptions = "instant_per_day_max = 10000\ndigest_items_max = 500\ndigest_bytes_max = 95000";
        let setup = Setup { mail: &mail, subscriptions, ..Setup::default() };
        let mut newsroom = Newsroom::prepare(setup);
        std::fs::create_dir_all(newsroom.path("dkim")).unwrap();
        newsroom.cli(&["mail", "dkim", "--create", "k1", "--algorithm", "ed25519"]).good();
        newsroom.run();
        newsroom.key();
        newsroom.stop();
        let run = Run { peer, newsroom, on_wire: BTreeMap::new(), last: BTreeMap::new(), stories: BTreeMap::new() };
        subscribe(&run.store());
        run
    }

    /// The store, while no daemon runs.
    fn store(&self) -> Store {
        Store::open(&self.newsroom.path("data")).unwrap()
    }

    fn received(&self) -> Vec<Mail> {
        let log = self.peer.log.lock().unwrap();
        log.mails.iter().filter(|mail| mail.accepted).map(|mail| Mail::read(&mail.bytes)).collect()
    }

    /// What has come to whom.
    fn told(&self) -> Told {
        let mut told = Told::new();
        for mail in self.received() {
            assert!(mail.header("DKIM-Signature").is_some(), "not signed: {}", mail.head);
            for (story, version) in stories(&mail.text) {
                *told.entry((mail.to.clone(), story, version)).or_default() += 1;
            }
        }
        told
    }

    /// Starts the daemon with digests due, publishes, corrects what came out before, and kills it amid the mails.
    fn cycle(&mut self, cycle: usize) {
        make_digests_due(&self.store(), cycle as u64);
        let before = self.peer.accepted().len();
        self.newsroom.run();
        let mut published = BTreeMap::new();
        for number in 0..ARTICLES {
            let name = format!("story-{cycle}-{number}");
            published.insert(name.clone(), self.newsroom.publish_titled(&format!("{name}.v1")));
            self.stories.insert(name, "v1");
        }
        for (name, article) in std::mem::replace(&mut self.last, published) {
            self.correct(&name, &article);
        }
        // Another number each time, so that the kill finds other things under way.
        let enough = before + cycle * 7 % (READERS * ARTICLES);
        eventually("mails", || (self.peer.accepted().len() >= enough).then_some(()));
        self.newsroom.kill();
        let store = self.store();
        count_on_wire(&store, &mut self.on_wire);
    }

    fn correct(&mut self, name: &str, article: &str) {
        let edited = json!({ "title": format!("{name}.v2"), "categories": ["economy"] }).to_string();
        self.newsroom.api("PUT", &format!("/articles/{article}"), &[], &edited).expect(200);
        let answer = self.newsroom.api("POST", &format!("/articles/{article}/corrections"), &[], "{}");
        assert!(matches!(answer.status, 200 | 202), "{}: {}", answer.status, answer.text());
        self.stories.insert(name.to_owned(), "v2");
    }

    /// Reader and first word of each message that is listed as doubtful.
    fn doubtful(&self) -> Vec<(String, String)> {
        let said = self.newsroom.cli(&["mail", "doubtful"]).good();
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let to = words.last().filter(|word| word.contains('@'))?;
            Some(((*to).to_owned(), words.get(1)?.split('.').next()?.to_owned()))
        };
        said.lines().filter_map(row).collect()
    }

    /// Waits until everybody knows the last version of every story, but for what is doubtful.
    fn settle(&self, doubtful: &[(String, String)]) -> Told {
        let is_excused = |to: &str, story: &str| {
            doubtful.iter().any(|(reader, about)| reader == to && (about == story || about == "digest"))
        };
        eventually_well(|| {
            let told = self.told();
            let mut all = (0..2 * READERS).flat_map(|number| {
                self.stories.iter().map(move |(story, version)| (address(number), story.clone(), (*version).to_owned()))
            });
            match all.find(|one| !told.contains_key(one) && !is_excused(&one.0, &one.1)) {
                None => Ok(told),
                Some(missing) => Err(format!("LOST: {missing:?}; doubtful: {doubtful:?}")),
            }
        })
    }
}

/// How often each reader was told the same once more.
fn doubled(told: &Told) -> BTreeMap<String, usize> {
    let mut doubled: BTreeMap<String, usize> = BTreeMap::new();
    for ((to, ..), count) in told.iter().filter(|(_, count)| **count > 1) {
        // A digest tells several at once.
        let most = doubled.entry(to.clone()).or_default();
        *most = (*most).max(count - 1);
    }
    doubled
}

fn run(policy: &str) {
    let mut run = Run::begin(policy);
    let cycles = if is_long() { 150 } else { 4 };
    for cycle in 0..cycles {
        run.cycle(cycle);
    }
    make_digests_due(&run.store(), cycles as u64);
    // All of them, however many; a daemon lists the first thousand.
    let held = if policy == "hold" { run.doubtful() } else { Vec::new() };
    run.newsroom.run();
    for (name, article) in std::mem::take(&mut run.last) {
        run.correct(&name, &article);
    }
    let told = run.settle(&held);
    let mut may_be_doubled = run.on_wire.clone();
    if policy == "hold" {
        assert!(doubled(&told).is_empty(), "told twice: {:?}", doubled(&told));
        // Nobody is left in the dark by the operator's decision.
        may_be_doubled.clear();
        held.iter().for_each(|(to, _)| *may_be_doubled.entry(to.clone()).or_default() += 1);
        run.newsroom.cli(&["mail", "resend"]).good();
    }
    assert!(policy == "hold" || run.doubtful().is_empty());
    for (to, count) in doubled(&run.settle(&[])) {
        let may_be = may_be_doubled.get(&to).copied().unwrap_or_default();
        assert!(count <= may_be, "{to} was told the same {count} times more; {may_be} of its mails were in doubt");
    }
}

#[test]
fn digests_corrections_and_notices_are_neither_lost_nor_doubled_when_the_daemon_is_killed() {
    run("hold");
}

#[test]
fn what_was_on_the_wire_when_the_daemon_was_killed_is_all_that_is_sent_again() {
    run("resend");
}
