//! The newsroom changes its mail templates and reloads them (SIGHUP) while an article and digests go out to many.

use crate::harness::{Mail, Newsroom, Setup, eventually, project};
use crate::smtp::{Offer, Peer, Security};
use std::collections::{BTreeMap, BTreeSet};
use tidings::domain::{
    Address, Cadence, Clock, Digests, Edition, Hour, Selection, Subscription, SubscriptionId, SubscriptionState,
    Weekdays, Window,
};
use tidings::store::{Batch, Store, wait};

/// Readers who get each article at once, and as many who get a digest.
const READERS: usize = 200;
/// Rounds after which a reload has surely come amid a round's mails.
const ROUNDS_MAX: usize = 20;
/// All that a notice and a digest are made of.
const TEMPLATES: [&str; 10] = [
    "notice-subject.txt",
    "notice.txt",
    "notice.html",
    "digest-subject.txt",
    "digest.txt",
    "digest.html",
    "digest-line.txt",
    "digest-line.html",
    "digest-item.txt",
    "digest-item.html",
];

/// Writes all templates anew, each with this version in it.
fn write(newsroom: &Newsroom, version: &str) {
    for name in TEMPLATES {
        let built_in = std::fs::read_to_string(project().join("templates/mail").join(name)).unwrap();
        let text = match built_in.split_once("</body>") {
            Some((before, after)) => format!("{before}<p>{version}</p></body>{after}"),
            None => format!("{} {version}\n", built_in.trim_end()),
        };
        newsroom.write(&format!("own/{name}"), &text);
    }
}

/// The versions that a text names.
fn versions(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.strip_prefix("VERSION").is_some_and(|rest| !rest.is_empty())).collect()
}

fn subscribe(store: &Store) {
    let now = Clock::system().now();
    let mut batch = Batch::default();
    for number in 0..2 * READERS {
        let to = Address::parse("address", &format!("reader{number}@example.net")).unwrap();
        let id = SubscriptionId(uuid::Uuid::from_u128(number as u128 + 1));
        let asked = Subscription::asked(id, to, Selection::all(), now);
        let state = SubscriptionState::Confirmed { at: now };
        let daily = Cadence::Daily { hour: Hour::SEVEN, days: Weekdays::ALL };
        let next = Some(Window { edition: Edition::of(now.date_naive()), at: now });
        let (cadence, next) = if number < READERS { (Cadence::Instant, None) } else { (daily, next) };
        let digests = Digests { next, ..Digests::default() };
        store.write_first_subscription(&mut batch, &Subscription { state, cadence, digests, erase_at: None, ..asked });
    }
    wait(store.commit(batch)).unwrap();
}

#[test]
fn a_mail_is_wholly_of_one_version_of_the_templates_whenever_they_are_reloaded() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let offer = Offer { lines: &["PIPELINING"], ..Offer::default() };
    let peer = runtime.block_on(Peer::offering(Security::Plain, offer));
    let mail = format!(
        "templates = \"own\"\n[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 3\n",
        peer.port
    );
    let subscriptions = "instant_per_day_max = 10000";
    let mut newsroom = Newsroom::prepare(Setup { mail: &mail, subscriptions, ..Setup::default() });
    write(&newsroom, "VERSION0");
    newsroom.run();
    for number in 0..3 {
        newsroom.publish_titled(&format!("Before {number}"));
    }
    newsroom.stop();
    subscribe(&Store::open(&newsroom.path("data")).unwrap());
    newsroom.run();
    let mut version: usize = 0;
    let reloads = |newsroom: &Newsroom| {
        newsroom.daemon().logged().iter().filter(|line| line.contains("reloaded the mail templates")).count()
    };
    let mut expected = READERS;
    let mut mixed = BTreeMap::new();
    for round in 0..ROUNDS_MAX {
        newsroom.publish_titled(&format!("Round {round}"));
        expected += READERS;
        for _ in 0..2 {
            version += 1;
            write(&newsroom, &format!("VERSION{version}"));
            newsroom.daemon().signal("HUP");
            // What is written while it is read may be of two versions.
            eventually("the reload", || (reloads(&newsroom) >= version).then_some(()));
        }
        eventually("everybody to be told", || (peer.accepted().len() >= expected).then_some(()));
        mixed = compare(&peer);
        if mixed.values().any(|versions| versions.len() > 1) {
            break;
        }
    }
    assert!(mixed.values().any(|versions| versions.len() > 1), "no reload came amid the mails: {mixed:?}");
    assert_eq!(peer.accepted().len(), expected, "none twice");
    newsroom.stop();
}

/// Every mail is of one version, and nobody has one twice. Returns the versions that the mails of each subject were of.
fn compare(peer: &Peer) -> BTreeMap<String, BTreeSet<String>> {
    let mut mixed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for received in peer.log.lock().unwrap().mails.iter().filter(|mail| mail.accepted) {
        let mail = Mail::read(&received.bytes);
        let parts = [&mail.subject, &mail.text, &mail.html].map(|part| versions(part));
        assert!(parts.iter().all(|found| found.len() == 1 && *found == parts[0]), "{parts:?}: {mail:#?}");
        let about = mail.subject.split(" VERSION").next().unwrap_or_default().to_owned();
        assert!(seen.insert((mail.to.clone(), about.clone())), "twice: {} {about}", mail.to);
        mixed.entry(about).or_default().extend(parts[0].iter().map(|version| (*version).to_owned()));
    }
    mixed
}
