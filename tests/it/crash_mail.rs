//! The daemon is killed while it sends mail of every kind that comes regularly: notices, digests and corrections, signed,
//! to a server that takes whole messages ahead of its replies. Nobody may miss anything, or be told twice but by just the
//! messages that were in doubt.

use crate::harness::{Mail, Newsroom, Setup, eventually, eventually_well, is_long};
use crate::smtp::{Offer, Peer, Security};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use tidings::domain::{
    Address, ArticleId, Cadence, ChangeKind, Clock, Digests, Edition, Hour, Selection, Seq, Slug, Subscription,
    SubscriptionId, SubscriptionState, Term, Time, Weekdays, Window,
};
use tidings::store::{Batch, Delivery, LedgerKey, Message, Store, wait};

/// Readers who get each article at once, and as many who get digests.
const READERS: usize = 10;
/// Articles that come out in a cycle; as many of the one before are corrected.
const ARTICLES: usize = 2;

/// So few that they cannot have all in hand that a cycle owes.
const CONNECTIONS: usize = 2;
/// Messages that a connection has in hand at the most, `IN_HAND_MAX` of the mailer.
const IN_HAND_MAX: usize = 16;

/// Who was told what: reader, story, version; and by which messages, each with the mails that came of it.
type Told = BTreeMap<(String, String, String), BTreeMap<String, usize>>;

fn address(number: usize) -> String {
    let kind = if number < READERS { "at-once" } else { "digest" };
    format!("{kind}-{number}@example.net")
}

fn id(number: usize) -> SubscriptionId {
    SubscriptionId(uuid::Uuid::from_u128(number as u128 + 1))
}

/// How the message id of every mail of this message begins.
fn name_of(key: &LedgerKey) -> String {
    digest(&SHA256, key.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Subscribes everybody, in a store that nobody has open.
fn subscribe(store: &Store) {
    let mut batch = Batch::default();
    for number in 0..2 * READERS {
        let to = Address::parse("address", &address(number)).unwrap();
        let economy = Selection::any([Term::Category(Slug::parse("c", "economy").unwrap())]);
        let now = Clock::system().now();
        let asked = Subscription::asked(id(number), to, economy, now);
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
    let window = Window { edition: Edition::of(now.date_naive() + chrono::Days::new(cycle)), at: now };
    let mut batch = Batch::default();
    for old in store.subscriptions(None, 1_000).unwrap() {
        if old.record.cadence != Cadence::Instant {
            let digests = Digests { next: Some(window), ..old.record.digests.clone() };
            store.write_subscription(&mut batch, Some(&old), &Subscription { digests, ..old.record.clone() });
        }
    }
    wait(store.commit(batch)).unwrap();
}

/// All messages that are on the wire, each with the time since when.
fn on_wire(store: &Store) -> Vec<(Time, LedgerKey)> {
    let mut all = Vec::new();
    loop {
        let page = store.messages_on_wire(all.last(), 1_000).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// All articles, each with the place of the log where it came out.
fn news(store: &Store) -> Vec<(Seq, ArticleId)> {
    let (mut news, mut behind) = (Vec::new(), Seq::default());
    loop {
        let changes = store.since(behind, 100).unwrap().changes;
        let Some((last, _)) = changes.last() else { return news };
        behind = *last;
        let published = changes.into_iter().filter(|(_, change)| change.kind == ChangeKind::Published);
        news.extend(published.map(|(seq, change)| (seq, change.article)));
    }
}

/// What an operator may find listed: each with its reader, the story that it is about or `digest`, and the stories it tells.
fn held(store: &Store) -> Vec<(String, String, BTreeSet<String>)> {
    let story = |article: &ArticleId| {
        let title = store.article(article).unwrap().unwrap().record.content.title;
        title.split('.').next().unwrap().to_owned()
    };
    let news = news(store);
    let what = |(_, key): &(Time, LedgerKey)| {
        let row = store.message(key).unwrap().unwrap().record;
        let to = store.subscription(row.subscription).unwrap().unwrap().record.address.as_str().to_owned();
        match &row.message {
            Message::Notice { article } | Message::Correction { article, .. } => {
                let story = story(article);
                (to, story.clone(), BTreeSet::from([story]))
            }
            Message::Digest { span, .. } => {
                let told = news.iter().filter(|(seq, _)| span.since < *seq && *seq <= span.until);
                (to, "digest".to_owned(), told.map(|(_, article)| story(article)).collect())
            }
            other => panic!("nobody asked for {other:?}"),
        }
    };
    on_wire(store).iter().map(what).collect()
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
    /// What was on the wire at any kill, and since when.
    seen: BTreeSet<(Time, LedgerKey)>,
    /// At how many of the kills a message was on the wire, having been put there anew.
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
             [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = {CONNECTIONS}\n",
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
        let (seen, on_wire, last, stories) = Default::default();
        let run = Run { peer, newsroom, seen, on_wire, last, stories };
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
                let name = mail.message_id.split('.').next().unwrap_or_default().to_owned();
                *told.entry((mail.to.clone(), story, version)).or_default().entry(name).or_default() += 1;
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
        let new: Vec<_> = on_wire(&self.store()).into_iter().filter(|row| self.seen.insert(row.clone())).collect();
        let count = new.len();
        assert!(count <= CONNECTIONS * IN_HAND_MAX, "{count} on the wire, by {CONNECTIONS} connections");
        new.iter().for_each(|(_, key)| *self.on_wire.entry(name_of(key)).or_default() += 1);
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

    /// Waits until everybody knows the last version of every story, but for those that `held` would tell.
    fn settle(&self, held: &[(String, String, BTreeSet<String>)]) -> Told {
        let is_excused =
            |to: &str, story: &str| held.iter().any(|(reader, _, told)| reader == to && told.contains(story));
        eventually_well(|| {
            let told = self.told();
            let mut all = (0..2 * READERS).flat_map(|number| {
                self.stories.iter().map(move |(story, version)| (address(number), story.clone(), (*version).to_owned()))
            });
            match all.find(|one| !told.contains_key(one) && !is_excused(&one.0, &one.1)) {
                None => Ok(told),
                Some(missing) => Err(format!("LOST: {missing:?}; doubtful: {held:?}")),
            }
        })
    }

    /// Nothing was told twice, but once more each time that a message telling it was among `in_doubt`; and nothing came
    /// more often than that of any one message.
    fn check_doubled(told: &Told, in_doubt: &BTreeMap<String, usize>) {
        let times = |name: &String| in_doubt.get(name).copied().unwrap_or_default();
        for (what, by) in told {
            for (name, count) in by {
                assert!(*count <= 1 + times(name), "{what:?}: {count} mails of {name}, in doubt {} times", times(name));
            }
            let (count, most) = (by.values().sum::<usize>(), 1 + by.keys().map(times).sum::<usize>());
            assert!(count <= most, "{what:?} was told {count} times and may be {most} times, by {by:?}");
        }
    }

    /// What the ledger has as sent did come.
    fn check_sent(&mut self) {
        self.newsroom.stop();
        let name = |mail: Mail| mail.message_id.split('.').next().unwrap_or_default().to_owned();
        let came: HashSet<String> = self.received().into_iter().map(name).collect();
        let (store, ids) = (self.store(), (0..2 * READERS).map(id).collect());
        let (mut sent, mut after) = (0, None);
        loop {
            let (rows, next) = store.messages_of(&ids, after.as_ref()).unwrap();
            for row in rows.iter().filter(|row| matches!(row.record.state, Delivery::Sent { .. })) {
                sent += 1;
                assert!(came.contains(&name_of(&row.record.key())), "never came: {:?}", row.record);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert!(sent >= READERS * self.stories.len(), "{sent} sent: everybody is told of everything");
    }
}

fn run(policy: &str) {
    let mut run = Run::begin(policy);
    let cycles = if is_long() { 150 } else { 4 };
    for cycle in 0..cycles {
        run.cycle(cycle);
    }
    make_digests_due(&run.store(), cycles as u64);
    let mut held_now = Vec::new();
    if policy == "hold" {
        held_now = held(&run.store());
        let mut of_these: Vec<_> = held_now.iter().map(|(to, about, _)| (to.clone(), about.clone())).collect();
        let mut listed = run.doubtful();
        of_these.sort();
        listed.sort();
        assert_eq!(listed, of_these, "all that were on the wire are listed");
    }
    run.newsroom.run();
    for (name, article) in std::mem::take(&mut run.last) {
        run.correct(&name, &article);
    }
    let told = run.settle(&held_now);
    if policy == "hold" {
        Run::check_doubled(&told, &BTreeMap::new());
        // Nobody is left in the dark by the operator's decision.
        run.newsroom.cli(&["mail", "resend"]).good();
    }
    assert!(policy == "hold" || run.doubtful().is_empty());
    Run::check_doubled(&run.settle(&[]), &run.on_wire);
    assert!(!is_long() || !run.on_wire.is_empty(), "no kill found a message on the wire");
    run.check_sent();
}

#[test]
fn digests_corrections_and_notices_are_neither_lost_nor_doubled_when_the_daemon_is_killed() {
    run("hold");
}

#[test]
fn what_was_on_the_wire_when_the_daemon_was_killed_is_all_that_is_sent_again() {
    run("resend");
}
