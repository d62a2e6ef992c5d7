//! What is kept of who agreed, from where, over the wire: by a proxy's word where it is ours, by the connection elsewhere.

use crate::harness::{Client, Mail, Newsroom, Setup, eventually};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr, UdpSocket};

const READER: &str = "reader@example.net";
const ASKED: &str = "203.0.113.7";
const CONFIRMED: &str = "2001:db8::8";

/// An address of this machine that is not of its loopback, if it has one. Nothing is sent.
fn outer() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// The newest mail with this subject, when there are `count` mails.
fn mail(newsroom: &Newsroom, count: usize, subject: &str) -> Mail {
    eventually("the mail", || {
        let mails = newsroom.outbox();
        if mails.len() < count { None } else { mails.into_iter().find(|mail| mail.subject.contains(subject)) }
    })
}

/// Where a person is told to have asked and to have confirmed, who did both by a connection to `at` with `forwarded` of
/// each: as the operator sees it and as the person does.
fn told_from(at: IpAddr, proxies: &str, forwarded: [Option<&str>; 2]) -> [Value; 2] {
    let mut newsroom = Newsroom::prepare(Setup { server: proxies, ..Setup::default() });
    let (config, public) = (std::fs::read_to_string(newsroom.config()).expect("readable"), newsroom.public());
    let everywhere = format!("listen = \"0.0.0.0:{}\"", public.port());
    newsroom.write("tidings.toml", &config.replace(&format!("listen = \"{public}\""), &everywhere));
    newsroom.run();
    let post = |path: &str, form: &str, forwarded: Option<&str>| {
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
        headers.extend(forwarded.map(|from| ("X-Forwarded-For", from)));
        let mut client = Client::new(SocketAddr::new(at, public.port()));
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

/// What a proxy of ours says of the two, the second of whom had a word in the header before.
const FORWARDED: [Option<&str>; 2] = [Some(ASKED), Some("198.51.100.9, 2001:db8::8")];

#[test]
fn consent_is_kept_with_the_address_that_a_proxy_on_this_machine_names() {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    for told in told_from(loopback, "", FORWARDED) {
        assert_eq!(told, json!([ASKED, CONFIRMED]));
    }
    for told in told_from(loopback, "", [None, Some("unknown")]) {
        assert_eq!(told, json!([null, null]), "this machine's own address is nobody's");
    }
}

#[test]
fn consent_is_kept_with_the_address_that_a_proxy_elsewhere_names_if_it_is_ours_and_else_with_its_own() {
    // A machine that has none has no such peers.
    let Some(outer) = outer() else { return };
    let proxies = format!("proxies = \"198.51.100.1 {outer}\"");
    for told in told_from(outer, &proxies, FORWARDED) {
        assert_eq!(told, json!([ASKED, CONFIRMED]), "by {outer}, which is trusted");
    }
    for told in told_from(outer, "proxies = \"198.51.100.1\"", FORWARDED) {
        assert_eq!(told, json!([outer, outer]), "anybody can write such a header");
    }
}
