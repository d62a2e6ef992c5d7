//! The daemon is killed while several programs publish, edit and retract, and mail is under way. What was acknowledged
//! has to be there afterwards, and nobody may be told twice.

use crate::harness::{Client, Mail, Newsroom, Setup, api, eventually, eventually_well, id, is_long};
use crate::smtp::{Offer, Peer, Security};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Programs that write at the same time.
const WRITERS: usize = 4;
/// Articles that a program comes back to; older ones are compared at the end.
const RECENT: usize = 30;

/// What an article is to be like.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    title: String,
    is_public: bool,
}

/// What one program knows of an article that it has written.
#[derive(Debug)]
struct Known {
    /// Its name; by it a push whose answer was lost is repeated.
    name: String,
    id: Option<String>,
    acknowledged: Option<Wanted>,
    /// Sent, and not answered when the daemon was killed.
    tried: Option<Wanted>,
}

/// One program: writes until the connection breaks.
fn write(
    mut client: Client,
    key: &str,
    writer: usize,
    cycle: usize,
    known: &mut Vec<Known>,
    acknowledged: &AtomicUsize,
) {
    for number in 0.. {
        let recent = known.len().saturating_sub(RECENT);
        let public = |one: &Known| one.acknowledged.as_ref().is_some_and(|wanted| wanted.is_public);
        let old = known.iter().skip(recent + number % 7).position(public).map(|at| recent + number % 7 + at);
        let (at, is_public) = match (number % 5, old) {
            (2 | 3, Some(at)) => (at, true),
            (4, Some(at)) => (at, false),
            _ => {
                let name = format!("program-{writer}/{cycle}/{number}");
                known.push(Known { name, id: None, acknowledged: None, tried: None });
                (known.len() - 1, true)
            }
        };
        let one = &mut known[at];
        let title = if is_public {
            format!("{} as of {cycle}.{number}", one.name)
        } else {
            one.acknowledged.as_ref().expect("it is public").title.clone()
        };
        one.tried = Some(Wanted { title, is_public });
        let Ok(answer) = send(&mut client, key, one) else { return };
        one.id = Some(id(&answer));
        one.acknowledged = one.tried.take();
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends what is tried.
fn send(client: &mut Client, key: &str, one: &Known) -> std::io::Result<Value> {
    let wanted = one.tried.as_ref().expect("something to try");
    let article = json!({
        "external_id": one.name, "title": wanted.title, "categories": ["economy"], "body_html": wanted.title.repeat(200),
    });
    let path = one.id.as_ref().map(|id| format!("/articles/{id}"));
    let answer = match (&path, wanted.is_public) {
        (None, _) => api(client, key, "POST", "/articles", &[], &article.to_string())?,
        (Some(path), true) => api(client, key, "PUT", path, &[], &article.to_string())?,
        (Some(path), false) => api(client, key, "DELETE", path, &[], "")?,
    };
    assert!(matches!(answer.status, 200 | 201), "{}: {}", answer.status, answer.text());
    Ok(answer.json())
}

/// Compares what is there with what was acknowledged; what was tried may have come or not.
fn compare(client: &mut Client, key: &str, one: &mut Known) {
    if one.id.is_none() {
        // The answer was lost: the retry finds the article, or makes it.
        let answer = send(client, key, one).expect("an answer");
        one.id = Some(id(&answer));
    }
    let path = format!("/articles/{}", one.id.as_ref().expect("known by now"));
    let found = api(client, key, "GET", &path, &[], "").expect("an answer").expect(200).json();
    assert_eq!(found["external_id"], one.name.as_str());
    let title = found["title"].as_str().expect("text").to_owned();
    assert_eq!(found["body_html"], title.repeat(200), "half an article");
    let found = Wanted { title, is_public: found["state"] == "published" };
    let is_right = Some(&found) == one.acknowledged.as_ref() || Some(&found) == one.tried.as_ref();
    assert!(is_right, "{found:?}, known: {one:?}");
    one.acknowledged = Some(found);
    one.tried = None;
}

/// The feed shows what the list of the public articles shows, in its order; the newest of it, where all would be too large.
fn compare_feed(newsroom: &Newsroom) {
    let list = newsroom.api("GET", "/articles?category=economy&state=published&limit=200", &[], "").expect(200).json();
    let listed: Vec<String> = list["articles"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|article| format!("urn:uuid:{}", id(article)))
        .collect();
    for path in ["/economy/rss.xml", "/economy/atom.xml", "/economy/feed.json"] {
        let shown: Vec<String> = newsroom.feed(path).entries.into_iter().map(|entry| entry.id).collect();
        let count = shown.len();
        assert!(count == listed.len() || count >= 100, "{path}: {count} of {}", listed.len());
        assert_eq!(shown, listed[..count], "{path}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nobody_is_told_twice_when_the_daemon_is_killed() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // So that connections have several messages in hand when the daemon is killed.
    let offer = Offer { lines: &["PIPELINING"], ..Offer::default() };
    let peer = runtime.block_on(Peer::offering(Security::Plain, offer));
    let received = || -> Vec<Mail> {
        let log = peer.log.lock().expect("no panic");
        log.mails.iter().filter(|mail| mail.accepted).map(|mail| Mail::read(&mail.bytes)).collect()
    };
    let mail = format!("[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 3\n", peer.port);
    // Each article is a mail of its own here, however many there are.
    let subscriptions = "instant_per_day_max = 10000";
    let mut newsroom = Newsroom::with(Setup { mail: &mail, subscriptions, ..Setup::default() });
    let key = newsroom.key().to_owned();
    let readers = ["a@example.net", "b@example.net", "c@example.net"];
    for reader in readers {
        newsroom.subscribe(reader, &["economy"], received);
    }

    let cycles = if is_long() { 300 } else { 5 };
    let mut programs: Vec<Vec<Known>> = (0..WRITERS).map(|_| Vec::new()).collect();
    for cycle in 0..cycles {
        let acknowledged = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (writer, known) in programs.iter_mut().enumerate() {
                let (client, key, acknowledged) = (newsroom.client(), &key, &acknowledged);
                scope.spawn(move || write(client, key, writer, cycle, known, acknowledged));
            }
            // Another number each time, so that the kill finds other things under way.
            let enough = 20 + cycle * 37 % 90;
            eventually("writes", || (acknowledged.load(Ordering::Relaxed) >= enough).then_some(()));
            newsroom.kill();
        });
        newsroom.run();
        let mut client = newsroom.client();
        for known in &mut programs {
            // Each program came back to these, and to one more for each that it made since.
            let recent = known.len().saturating_sub(4 * RECENT);
            known[recent..].iter_mut().for_each(|one| compare(&mut client, &key, one));
        }
        newsroom.check();
        compare_feed(&newsroom);
    }

    let mut client = newsroom.client();
    programs.iter_mut().flatten().for_each(|one| compare(&mut client, &key, one));
    let all: BTreeSet<&String> = programs.iter().flatten().filter_map(|one| one.id.as_ref()).collect();
    assert_eq!(all.len(), programs.iter().map(Vec::len).sum::<usize>(), "an id for each, and each its own");
    compare_mail(&newsroom, &programs, &readers, received);
}

/// Each reader has one mail for each article that has always been public, save those listed as doubtful.
fn compare_mail(newsroom: &Newsroom, programs: &[Vec<Known>], readers: &[&str], received: impl Fn() -> Vec<Mail>) {
    let is_public = |one: &&Known| one.acknowledged.as_ref().is_some_and(|wanted| wanted.is_public);
    let owed: Vec<&Known> = programs.iter().flatten().filter(is_public).collect();
    assert!(!owed.is_empty());
    let said = newsroom.cli(&["mail", "doubtful"]).good();
    // When, the title, which begins with the name, and the address.
    let doubtful: BTreeSet<(String, String)> = said
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.get(1).filter(|word| word.starts_with("program-"))?;
            Some(((*name).to_owned(), (*words.last()?).to_owned()))
        })
        .collect();
    let base = newsroom.base_url();
    let told = || {
        let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
        for mail in received() {
            let article = mail.text.split(&format!("{base}articles/")).nth(1).and_then(|rest| rest.split('/').next());
            if let Some(article) = article {
                *told.entry((article.to_owned(), mail.to)).or_default() += 1;
            }
        }
        told
    };
    let is_settled = |one: &Known, reader: &str, told: &BTreeMap<(String, String), usize>| {
        let id = one.id.clone().unwrap_or_default();
        told.contains_key(&(id, reader.to_owned())) || doubtful.contains(&(one.name.clone(), reader.to_owned()))
    };
    let told = eventually_well(|| {
        let told = told();
        let each = owed.iter().flat_map(|one| readers.iter().map(move |reader| (one, reader)));
        let lost: Vec<_> = each.filter(|(one, reader)| !is_settled(one, reader, &told)).collect();
        let doubtful = doubtful.len();
        match lost.first() {
            None => Ok(told),
            Some(first) => Err(format!("LOST: {first:?} and {} more; {doubtful} are doubtful", lost.len() - 1)),
        }
    });
    let twice: Vec<_> = told.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
    // And each that was told is counted once.
    for one in &owed {
        let is_certain = |reader: &&&str| !doubtful.contains(&(one.name.clone(), (**reader).to_owned()));
        let certain = readers.iter().filter(is_certain).count();
        let path = format!("/articles/{}/mail", one.id.clone().unwrap_or_default());
        eventually("all to be counted", || {
            let accepted = newsroom.api("GET", &path, &[], "").expect(200).json()["mail"]["accepted"].as_u64();
            assert!(accepted.is_some_and(|accepted| accepted <= certain as u64), "{accepted:?} of {certain}: {one:?}");
            (accepted == Some(certain as u64)).then_some(())
        });
    }
}
