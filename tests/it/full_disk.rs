//! A disk that takes no more: full, at a limit, or mounted to be read only. Nothing that was acknowledged is lost, nothing
//! is shown that is not kept, everybody is told why, and with room again all goes on.

use crate::harness::{Mounted, Newsroom, Setup, api, eventually, id, may_mount};
use serde_json::{Value, json};

/// Articles that the journal is turned behind, at 4 MiB; and fewer than it is turned behind twice.
const A_TURN: usize = 60;

/// Publishes until the store takes no more, `most` articles at most, and adds what was acknowledged to `kept`, by id and
/// title. Returns the refusal.
fn publish(newsroom: &Newsroom, kept: &mut Vec<(String, String)>, most: usize) -> Option<Value> {
    let (mut client, key) = (newsroom.client(), newsroom.key().to_owned());
    // Letters that compress badly, so that it does not take long.
    let mut x = kept.len() as u64;
    let mut noise = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'?' + u8::try_from((x >> 40) % 64).expect("a letter"))
    };
    for number in kept.len()..kept.len() + most {
        let title = format!("Article {number}");
        let body: String = (0..100_000).map(|_| noise()).collect();
        let article = json!({ "external_id": title, "title": title, "categories": ["economy"], "body_html": body });
        let answer = api(&mut client, &key, "POST", "/articles", &[], &article.to_string()).expect("an answer");
        if answer.status == 201 {
            kept.push((id(&answer.json()), title));
            continue;
        }
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.header("retry-after").is_some());
        return Some(answer.json());
    }
    None
}

/// While the store takes nothing: whoever asks is told so, and gets nothing that is not kept.
fn refuses_by_name(newsroom: &Newsroom, kept: &[(String, String)], reason: &str) {
    let ready = newsroom.get_admin("/readyz");
    assert!(ready.status == 503 && ready.text().contains(reason), "{}: {}", ready.status, ready.text());
    newsroom.get_admin("/healthz").expect(200);
    let feed = newsroom.get("/economy/rss.xml", &[]);
    match feed.status {
        200 => {
            let known: Vec<&str> = kept.iter().map(|(_, title)| title.as_str()).collect();
            let shown = crate::harness::titles(&crate::harness::parsed("/economy/rss.xml", &feed.body));
            assert!(shown.iter().all(|title| known.contains(&title.as_str())), "not kept, and shown: {shown:?}");
        }
        status => assert_eq!(status, 503, "{}", feed.text()),
    }
    let list = newsroom.api("GET", "/articles?state=published", &[], "");
    assert!(matches!(list.status, 200 | 503), "{}: {}", list.status, list.text());
}

/// With room again: all that was acknowledged is there, and more is taken.
fn goes_on(newsroom: &Newsroom, kept: &[(String, String)]) {
    for (article, title) in kept {
        let found = newsroom.api("GET", &format!("/articles/{article}"), &[], "").expect(200).json();
        assert_eq!(found["title"], title.as_str());
    }
    newsroom.publish_titled("With room again");
    assert_eq!(newsroom.titles("/economy/rss.xml").first().map(String::as_str), Some("With room again"));
    newsroom.check();
}

#[test]
fn a_disk_that_takes_no_more_loses_nothing_and_says_why() {
    let mut newsroom = Newsroom::with(Setup::default());
    let mut kept = Vec::new();
    assert!(publish(&newsroom, &mut kept, A_TURN).is_none());
    newsroom.stop();
    let length = newsroom.path("data/sled/db").metadata().expect("sled's file").len();
    // The journal's own files are shorter, so it goes on to take what sled cannot.
    let limit = length.max(5 << 20) + (1 << 20);
    if let Err(said) = newsroom.try_run_limited(limit) {
        panic!("{said:?}");
    }
    publish(&newsroom, &mut kept, A_TURN);
    eventually("all to be told, also where nobody publishes", || {
        (newsroom.get_admin("/readyz").status == 503).then_some(())
    });
    let refusal = publish(&newsroom, &mut kept, 1).expect("a refusal");
    let detail = refusal["detail"].as_str().expect("words").to_owned();
    assert!(detail.contains("takes no more changes") && detail.contains("File too large"), "{detail}");
    refuses_by_name(&newsroom, &kept, "File too large");
    let log = newsroom.stop();
    assert_eq!(log.iter().filter(|line| line.contains("the store stops")).count(), 1, "{log:#?}");
    // Still no room: it does not take a store for damaged that is whole.
    let length = newsroom.path("data/sled/db").metadata().expect("sled's file").len();
    if let Err(said) = newsroom.try_run_limited(length) {
        assert!(said.err.contains("File too large") && !said.err.contains("damaged"), "{said:?}");
    } else {
        newsroom.kill();
    }
    newsroom.run();
    goes_on(&newsroom, &kept);
}

#[test]
fn a_full_disk_loses_nothing_and_a_read_only_one_is_refused_by_name() {
    if !may_mount() {
        return;
    }
    let mut newsroom = Newsroom::prepare(Setup::default());
    let small = Mounted::in_memory(newsroom.path("data"));
    newsroom.run();
    let mut kept = Vec::new();
    let refusal = publish(&newsroom, &mut kept, 1_000).expect("a refusal");
    assert!(refusal["detail"].as_str().is_some_and(|detail| detail.contains("No space left")), "{refusal}");
    refuses_by_name(&newsroom, &kept, "No space left");
    newsroom.stop();
    if let Err(said) = newsroom.try_run() {
        assert!(said.err.contains("No space left") && !said.err.contains("damaged"), "{said:?}");
    } else {
        newsroom.kill();
    }
    small.remount("size=200M");
    newsroom.run();
    goes_on(&newsroom, &kept);
    newsroom.stop();
    small.remount("ro");
    let said = newsroom.try_run().expect_err("a store that cannot be written");
    assert!(said.code == Some(1) && said.err.contains("Read-only file system"), "{said:?}");
    assert!(!said.err.contains("damaged"), "{said:?}");
    small.remount("rw");
    newsroom.run();
    newsroom.stop();
    // It looks at its store once more, which has to be mounted then.
    drop(newsroom);
}
