//! The power of the store's disk is cut while programs publish and mail goes out to a server that stands elsewhere. As
//! root, by `scripts/powercut`.

use crate::harness::{
    Client, Mail, Mounted, Newsroom, Setup, api, eventually, eventually_well, id, is_long, may_mount,
};
use crate::smtp::{Offer, Peer, Security};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Programs that publish at the same time.
const WRITERS: usize = 3;
const READERS: [&str; 3] = ["a@example.net", "b@example.net", "c@example.net"];

/// Publishes until the store takes no more; what is acknowledged goes into `kept`, by id and title.
fn write(mut client: Client, key: &str, name: &str, kept: &Mutex<BTreeMap<String, String>>) {
    for number in 0.. {
        let title = format!("{name}-{number}");
        let article = json!({
            "external_id": title, "title": title, "categories": ["economy"], "body_html": title.repeat(100),
        });
        let Ok(answer) = api(&mut client, key, "POST", "/articles", &[], &article.to_string()) else { return };
        if answer.status != 201 {
            // The disk is gone: it says so, and nothing else.
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.text().contains("takes no more changes"), "{}", answer.text());
            return;
        }
        kept.lock().unwrap().insert(id(&answer.json()), title);
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut_and_no_mail_goes_out_twice() {
    if !may_mount() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let offer = Offer { lines: &["PIPELINING"], ..Offer::default() };
    let peer = runtime.block_on(Peer::offering(Security::Plain, offer));
    let received = || -> Vec<Mail> {
        let log = peer.log.lock().unwrap();
        log.mails.iter().filter(|mail| mail.accepted).map(|mail| Mail::read(&mail.bytes)).collect()
    };
    let mail = format!("[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 3\n", peer.port);
    let subscriptions = "instant_per_day_max = 10000";
    let mut newsroom = Newsroom::prepare(Setup { mail: &mail, subscriptions, ..Setup::default() });
    let disk = newsroom.path("disk");
    let mounted = Mounted::in_file(newsroom.path("data"), &disk);
    newsroom.run();
    let key = newsroom.key().to_owned();
    READERS.iter().for_each(|reader| newsroom.subscribe(reader, &["economy"], received));

    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for cycle in 0..if is_long() { 60 } else { 5 } {
        let kept = Mutex::new(BTreeMap::new());
        let mut before = BTreeMap::new();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, key, kept) = (newsroom.client(), &key, &kept);
                scope.spawn(move || write(client, key, &format!("cut-{cycle}-{writer}"), kept));
            }
            // Another number each time, so that the cut finds other things under way.
            let enough = 20 + cycle * 37 % 90;
            eventually("writes", || (kept.lock().unwrap().len() >= enough).then_some(()));
            // A later one may speak of a disk that is gone.
            before = kept.lock().unwrap().clone();
            mounted.cut();
        });
        eventually("all to be told", || (newsroom.get_admin("/readyz").status == 503).then_some(()));
        newsroom.kill();
        mounted.come_back(&disk);
        newsroom.run();
        for (article, title) in &before {
            let found = newsroom.api("GET", &format!("/articles/{article}"), &[], "").expect(200).json();
            assert_eq!((&found["title"], &found["body_html"]), (&json!(title), &json!(title.repeat(100))));
        }
        newsroom.check();
        all.append(&mut before);
    }
    compare_mail(&newsroom, &all, received);
    newsroom.stop();
    // It looks at its store once more, which has to be mounted then.
    drop(newsroom);
}

/// Everybody has one mail of each article, and none twice; but for what is listed as doubtful.
fn compare_mail(newsroom: &Newsroom, all: &BTreeMap<String, String>, received: impl Fn() -> Vec<Mail>) {
    let said = newsroom.cli(&["mail", "doubtful"]).good();
    let doubtful: BTreeSet<(&str, &str)> = said
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some((*words.last()?, *words.get(1)?))
        })
        .collect();
    eventually_well(|| {
        let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
        received().into_iter().for_each(|mail| *told.entry((mail.to, mail.subject)).or_default() += 1);
        let twice: Vec<_> =
            told.iter().filter(|((_, title), count)| **count > 1 && title.starts_with("cut-")).collect();
        assert!(twice.is_empty(), "told twice: {twice:?}");
        let of = |title: &String| READERS.map(|reader| (reader.to_owned(), title.clone()));
        let is_open = |(reader, title): &(String, String)| {
            !told.contains_key(&(reader.clone(), title.clone()))
                && !doubtful.contains(&(reader.as_str(), title.as_str()))
        };
        match all.values().flat_map(of).find(is_open) {
            None => Ok(()),
            Some(lost) => Err(format!("LOST: {lost:?}")),
        }
    });
}
