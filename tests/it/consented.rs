//! What is kept of who agreed, from where, over the wire, by the word of a proxy on this machine.

use crate::harness::{Client, Mail, Newsroom, eventually};
use serde_json::{Value, json};

const READER: &str = "reader@example.net";
const ASKED: &str = "203.0.113.7";
const CONFIRMED: &str = "2001:db8::8";

/// The newest mail with this subject, when there are `count` mails.
fn mail(newsroom: &Newsroom, count: usize, subject: &str) -> Mail {
    eventually("the mail", || {
        let mails = newsroom.outbox();
        if mails.len() < count { None } else { mails.into_iter().find(|mail| mail.subject.contains(subject)) }
    })
}

/// Where a person is told to have asked and to have confirmed, by a proxy that said `forwarded` of each: as the operator
/// sees it and as the person does.
fn told_from(forwarded: [Option<&str>; 2]) -> [Value; 2] {
    let newsroom = Newsroom::start();
    let post = |path: &str, form: &str, forwarded: Option<&str>| {
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(forwarded.map(|from| ("X-Forwarded-For", from)));
        let mut client = Client::new(newsroom.public());
        client.send("POST", path, &headers, form.as_bytes()).expect("an answer").expect(200);
    };
    let base = newsroom.base_url();
    post("/subscribe", "address=reader%40example.net&category=economy", forwarded[0]);
    post(&mail(&newsroom, 1, "").subscription(&base), "act=confirm", forwarded[1]);
    let shown = newsroom.api("GET", &format!("/subscribers/{READER}"), &[], "").expect(200).json();
    newsroom.post_form("/subscribe", "act=preferences&address=reader%40example.net").expect(200);
    let preferences = mail(&newsroom, 2, "preferences").subscription(&base);
    let own = newsroom.get(&format!("{preferences}/export.json"), &[]).expect(200).json();
    [shown, own].map(|record| {
        let consent = &record["subscriptions"][0]["consent"];
        assert!(consent["asked"]["at"].is_string() && consent["confirmed"]["at"].is_string(), "{record}");
        json!([consent["asked"]["from"], consent["confirmed"]["from"]])
    })
}

#[test]
fn consent_is_kept_with_the_address_that_a_proxy_on_this_machine_names() {
    // Who has confirmed had written a word of their own before the proxy's.
    for told in told_from([Some(ASKED), Some("198.51.100.9, 2001:db8::8")]) {
        assert_eq!(told, json!([ASKED, CONFIRMED]));
    }
    for told in told_from([None, Some("unknown")]) {
        assert_eq!(told, json!([null, null]), "this machine's own address is nobody's");
    }
}
