//! Pushes that are sent many times at once: a client that does not wait, several of them, a queue that delivers twice.

use crate::harness::{Newsroom, api, id};
use serde_json::{Value, json};

fn economy(title: &str) -> Value {
    json!({ "title": title, "categories": ["economy"] })
}

#[test]
fn a_push_retried_by_many_at_once_makes_one_article() {
    let newsroom = Newsroom::start();
    let key = newsroom.key();
    let mut named = economy("Together");
    named["external_id"] = "one".into();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..8)
            .map(|number| {
                let (newsroom, body) = (&newsroom, named.to_string());
                scope.spawn(move || {
                    let retry = [("Idempotency-Key", "k")];
                    let headers = if number % 2 == 0 { &retry[..] } else { &[] };
                    let mut client = newsroom.client();
                    let answer = api(&mut client, key, "POST", "/articles", headers, &body);
                    let answer = answer.expect("an answer");
                    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
                    id(&answer.json())
                })
            })
            .collect();
        pushes.into_iter().map(|push| push.join().expect("answered")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(newsroom.titles("/economy/atom.xml"), ["Together"]);
}

#[test]
fn pushes_with_one_idempotency_key_alone_make_one_article_however_many_come_at_once() {
    let newsroom = Newsroom::start();
    let key = newsroom.key();
    for round in 0..20 {
        let (body, retry) = (economy(&format!("Round {round}")).to_string(), format!("round-{round}"));
        let start = std::sync::Barrier::new(12);
        let push = || {
            let mut client = newsroom.client();
            start.wait();
            let headers = [("Idempotency-Key", retry.as_str())];
            let answer = api(&mut client, key, "POST", "/articles", &headers, &body).expect("an answer");
            (answer.status, id(&answer.json()))
        };
        let mut answers: Vec<(u16, String)> = std::thread::scope(|scope| {
            let pushes: Vec<_> = (0..12).map(|_| scope.spawn(push)).collect();
            pushes.into_iter().map(|push| push.join().expect("answered")).collect()
        });
        answers.sort();
        assert!(answers.iter().all(|(_, id)| *id == answers[0].1), "{answers:?}");
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [[200; 11].as_slice(), &[201]].concat());
        assert_eq!(newsroom.titles("/economy/atom.xml").len(), round + 1);
    }
}
