//! Mail from end to end: a person subscribes at the page, confirms, is told of what is new, and leaves.

use crate::harness::{Mail, Newsroom, Setup, Sink, eventually};
use serde_json::json;

/// The whole way, with the mails found by `mails`.
fn from_subscribing_to_leaving(mut newsroom: Newsroom, mails: impl Fn(&Newsroom) -> Vec<Mail>) {
    let base = newsroom.base_url();
    let address = "reader@example.net";
    let of = |newsroom: &Newsroom, address: &str| -> Vec<Mail> {
        mails(newsroom).into_iter().filter(|mail| mail.to == address).collect()
    };
    newsroom.post_form("/subscribe", "address=reader%40example.net&category=economy").expect(200);
    let asked = eventually("the confirmation", || of(&newsroom, address).pop());
    let confirm = asked.subscription(&base);
    newsroom.get(&confirm, &[]).expect(200);
    newsroom.publish_titled("Before the button was pressed");
    newsroom.confirm(&asked);

    let news = newsroom.publish(json!({
        "title": "Ставки & prices", "summary": "What changed < and why.", "categories": ["economy"],
        "body_html": "<p>Long text</p>",
    }));
    let told =
        eventually("the news", || of(&newsroom, address).into_iter().find(|mail| mail.subject == "Ставки & prices"));
    let link = |name: &str| news["links"][name].as_str().expect("an address");
    for (part, text) in [("text", &told.text), ("html", &told.html)] {
        assert!(text.contains(link("page")) && text.contains(link("print")), "{part}: {text}");
        assert!(text.contains(&told.subscription(&base)[1..]), "{part}: {text}");
    }
    assert!(told.text.contains("Ставки & prices") && told.text.contains("What changed < and why."), "{}", told.text);
    assert!(
        told.html.contains("Ставки &amp; prices") && told.html.contains("What changed &lt; and why."),
        "{}",
        told.html
    );
    let leave = told.subscription(&base);
    assert_eq!(told.header("List-Unsubscribe"), Some(format!("<{}{}>", base, &leave[1..]).as_str()));
    assert_eq!(told.header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    assert_eq!(told.header("Auto-Submitted"), Some("auto-generated"));
    assert!(told.header("List-Id").is_some_and(|id| id.contains('<')), "{}", told.head);
    assert!(told.message_id.contains('@'), "{}", told.head);
    assert!(told.header("Content-Type").is_some_and(|kind| kind.starts_with("multipart/alternative")), "{}", told.head);

    // None of these is news to this reader.
    let path = format!("/articles/{}", news["id"].as_str().expect("text"));
    newsroom.api("PUT", &path, &[], &json!({ "title": "Edited", "categories": ["economy"] }).to_string()).expect(200);
    newsroom.publish(json!({ "title": "Elsewhere", "categories": ["science"] }));
    newsroom.publish(json!({ "title": "Archive", "categories": ["economy"], "published_at": "2001-01-01T00:00:00Z" }));
    newsroom.publish(json!({ "title": "Draft", "categories": ["economy"], "status": "draft" }));

    newsroom.get(&leave, &[]).expect(200);
    let one_click = newsroom.post_form(&leave, "List-Unsubscribe=One-Click").expect(200);
    assert!(one_click.header("set-cookie").is_none() && one_click.header("location").is_none());
    newsroom.publish_titled("After leaving");
    newsroom.subscribe("other@example.net", &["economy"], || mails(&newsroom));
    newsroom.publish_titled("For the other");
    eventually("the other's news", || {
        of(&newsroom, "other@example.net").into_iter().find(|mail| mail.subject == "For the other")
    });
    newsroom.stop();
    let mut subjects: Vec<String> = of(&newsroom, address).into_iter().map(|mail| mail.subject).collect();
    subjects.retain(|subject| *subject != asked.subject);
    subjects.sort();
    assert_eq!(subjects, ["Test News: you are unsubscribed", "Ставки & prices"]);
    assert_eq!(of(&newsroom, address).len(), 3);
}

#[test]
fn a_person_subscribes_confirms_is_told_and_leaves() {
    from_subscribing_to_leaving(Newsroom::start(), Newsroom::outbox);
}

#[test]
fn a_mail_server_that_is_not_ours_gets_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(sink) = Sink::start(folder.path()) else { return };
    let mail = format!("[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n", sink.port());
    from_subscribing_to_leaving(Newsroom::with(Setup { mail: &mail, ..Setup::default() }), |_| sink.mails());
}

#[test]
fn every_subscriber_of_a_category_is_told_once() {
    let newsroom = Newsroom::start();
    let addresses: Vec<String> = (0..30).map(|number| format!("reader-{number}@example.net")).collect();
    for address in &addresses {
        newsroom.subscribe(address, &["economy"], || newsroom.outbox());
    }
    newsroom.publish_titled("News");
    let told = eventually("everybody to be told", || {
        let told: Vec<Mail> = newsroom.outbox().into_iter().filter(|mail| mail.subject == "News").collect();
        (told.len() >= addresses.len()).then_some(told)
    });
    let mut to: Vec<&String> = told.iter().map(|mail| &mail.to).collect();
    to.sort();
    let mut expected: Vec<&String> = addresses.iter().collect();
    expected.sort();
    assert_eq!(to, expected);
    let links: std::collections::BTreeSet<String> =
        told.iter().map(|mail| mail.subscription(&newsroom.base_url())).collect();
    assert_eq!(links.len(), addresses.len(), "each with a link of its own");
}

#[test]
fn a_key_is_made_its_record_shown_and_mail_is_signed_with_it() {
    let setup = Setup { mail: "dkim_folder = \"keys\"\nreturn_address = \"b@example.org\"\n", ..Setup::default() };
    let mut newsroom = Newsroom::prepare(setup);
    assert_eq!(newsroom.cli(&["mail", "dkim"]).good().trim(), "; 0 keys");
    newsroom.cli(&["mail", "dkim", "--create", "r1"]).good();
    let said = newsroom.cli(&["mail", "dkim", "--create", "e1", "--algorithm", "ed25519"]).good();
    let host = "localhost";
    for (selector, kind) in [("e1", "ed25519"), ("r1", "rsa")] {
        let start = format!("{selector}._domainkey.{host}. IN TXT ( \"v=DKIM1; k={kind}; p=");
        assert!(said.lines().any(|line| line.starts_with(&start)), "{start}: {said}");
    }
    assert!(said.lines().all(|line| line.split('"').all(|part| part.len() <= 255)), "{said}");
    let again = newsroom.cli(&["mail", "dkim", "--create", "r1"]);
    assert!(again.code == Some(1) && again.err.contains("r1.pem"), "nothing is overwritten: {again:?}");
    let odd = newsroom.cli(&["mail", "dkim", "--create", "../r1"]);
    assert!(odd.code == Some(1) && odd.err.contains("2026a"), "{odd:?}");
    newsroom.run();
    newsroom.subscribe("reader@example.net", &["economy"], || newsroom.outbox());
    let head = newsroom.outbox().remove(0).head;
    for selector in ["e1", "r1"] {
        assert!(head.contains(&format!("s={selector};")), "{head}");
    }
}

#[test]
fn the_operator_shows_exports_and_erases_what_is_held_with_a_daemon_and_without() {
    let mut newsroom = Newsroom::start();
    for address in ["first@example.net", "second@example.net"] {
        newsroom.subscribe(address, &["economy"], || newsroom.outbox());
    }
    for (is_running, address) in [(true, "first@example.net"), (false, "second@example.net")] {
        if !is_running {
            newsroom.stop();
        }
        let shown = newsroom.cli(&["subscribers", "show", address]).good();
        assert!(shown.contains(address) && shown.contains("confirmed, instant: category:economy"), "{shown}");
        let export = newsroom.cli(&["subscribers", "export", address]).good();
        let export: serde_json::Value = serde_json::from_str(&export).expect("JSON");
        assert_eq!(export["subscriber"]["address"], address);
        assert!(export["subscriptions"][0]["consent"]["confirmed"]["at"].is_string(), "{export}");
        assert!(newsroom.cli(&["subscribers", "erase", address]).good().contains("erased"));
        let gone = newsroom.cli(&["subscribers", "show", address]);
        assert!(gone.code == Some(1) && gone.err.contains("nothing is held"), "{gone:?}");
        // So does an address that is subscribed to nothing, and has got a test.
        if is_running {
            newsroom.cli(&["mail", "test", "--to", "chief@example.net"]).good();
        } else {
            let shown = newsroom.cli(&["subscribers", "show", "chief@example.net"]).good();
            assert!(shown.contains("subscribed to nothing\n1 mails in the ledger"), "{shown}");
            assert!(newsroom.cli(&["subscribers", "erase", "chief@example.net"]).good().contains("erased"));
            let gone = newsroom.cli(&["subscribers", "erase", "chief@example.net"]);
            assert!(gone.code == Some(1) && gone.err.contains("nothing is held"), "{gone:?}");
        }
        let wrong = newsroom.cli(&["subscribers", "show", "nobody"]);
        assert!(wrong.code == Some(1) && wrong.err.contains("a mail address such as"), "{wrong:?}");
    }
    newsroom.check();
}

#[test]
fn a_daily_digest_is_asked_for_and_a_subscription_is_changed_over_the_api() {
    let newsroom = Newsroom::start();
    let body = json!({
        "address": "reader@example.net", "categories": ["economy"], "time_zone": "Asia/Kolkata", "from": "2001:db8::7",
        "cadence": { "every": "daily", "hour": 7, "days": ["mon", "fri"] },
    });
    for (name, wrong, field) in [
        ("cadence", json!({ "every": "daily", "hour": 24 }), "hour"),
        ("cadence", json!("hourly"), "cadence"),
        ("cadence", json!({ "every": "daily", "days": ["someday"] }), "days"),
        ("from", json!("reader.example"), "from"),
    ] {
        let mut body = body.clone();
        body[name] = wrong;
        let answer = newsroom.api("POST", "/subscriptions", &[], &body.to_string()).expect(422).json();
        assert_eq!(answer["errors"][0]["field"], field, "{answer}");
    }
    newsroom.api("POST", "/subscriptions", &[], &body.to_string()).expect(202);
    let mail = eventually("the confirmation", || newsroom.outbox().into_iter().next());
    newsroom.confirm(&mail);
    let list = newsroom.api("GET", "/subscriptions", &[], "").expect(200).json();
    let one = &list["subscriptions"][0];
    assert_eq!(one["cadence"], json!({ "every": "daily", "hour": 7, "days": ["Mon", "Fri"] }));
    assert_eq!(one["consent"]["asked"]["from"], "2001:db8::7", "the reader, and not the program that asked");
    assert!(one["digests"]["next"]["at"].as_str().expect("a time").ends_with("T01:30:00Z"), "{one}");
    let path = format!("/subscriptions/{}", one["id"].as_str().expect("an id"));
    assert_eq!(newsroom.api("GET", &path, &[], "").expect(200).json()["id"], one["id"]);
    let change = json!({ "cadence": "instant", "selection": "tag:space", "is_paused": true }).to_string();
    let changed = newsroom.api("PATCH", &path, &[], &change).expect(200).json();
    assert_eq!((&changed["selection"], changed["cadence"].is_null()), (&json!("tag:space"), true), "{changed}");
    let feed =
        changed["feeds"][0].as_str().expect("an address").strip_prefix(&newsroom.base_url()).expect("ours").to_owned();
    let answer = newsroom.get(&format!("/{feed}"), &[]).expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let moved = json!({ "time_zone": "Europe/Berlin" }).to_string();
    let reader = "/subscribers/reader%40example.net";
    assert_eq!(newsroom.api("PATCH", reader, &[], &moved).expect(200).json()["zone"], "Europe/Berlin");
    newsroom.api("PATCH", reader, &[], &json!({ "time_zone": "Mars" }).to_string()).expect(422);
    newsroom.api("DELETE", &path, &[], "").expect(204);
    eventually("the farewell", || newsroom.outbox().into_iter().find(|mail| mail.subject.contains("unsubscribed")));
    newsroom.get(&format!("/{feed}"), &[]).expect(410);
    newsroom.api("GET", "/subscribers/reader%40example.net", &[], "").expect(200);
    newsroom.api("DELETE", "/subscribers/reader%40example.net", &[], "").expect(204);
    newsroom.api("GET", &path, &[], "").expect(404);
}

#[test]
fn who_was_mailed_something_wrong_is_mailed_a_correction_by_api_and_command_line() {
    let newsroom = Newsroom::start();
    newsroom.subscribe("first@example.net", &["economy"], || newsroom.outbox());
    let article = newsroom.publish(json!({ "title": "Ten hurt", "categories": ["economy"] }));
    let id = article["id"].as_str().expect("text");
    let titled = |title: &str| newsroom.outbox().into_iter().filter(|mail| mail.subject == title).count();
    eventually("the news", || (titled("Ten hurt") == 1).then_some(()));
    newsroom.subscribe("second@example.net", &["economy"], || newsroom.outbox());
    let path = format!("/articles/{id}");
    let edit = json!({ "title": "Two hurt", "categories": ["economy"] }).to_string();
    newsroom.api("PUT", &path, &[], &edit).expect(200);
    let said = newsroom.cli(&["article", "correct", id, "--dry-run"]).good();
    assert_eq!(said, "1 would get the correction to revision 2\n");
    let path = format!("{path}/corrections");
    for (body, status, field) in [
        (json!({ "note": "x".repeat(2_001) }), 422, "`note`"),
        (json!({ "revision": 2 }), 422, "`revision`"),
        (json!({ "revision": "last" }), 422, "revision"),
        (json!({ "to": "everybody" }), 422, "to"),
    ] {
        let refused = newsroom.api("POST", &path, &[], &body.to_string()).expect(status).json();
        assert!(refused["detail"].as_str().expect("text").contains(field), "{refused}");
    }
    assert_eq!(titled("Correction: Two hurt"), 0, "nothing was asked for yet");
    let said = newsroom.cli(&["article", "correct", id, "--note", "Not ten."]).good();
    assert_eq!(said, "1 get the correction to revision 2\n");
    eventually("the correction", || (titled("Correction: Two hurt") == 1).then_some(()));
    let listed = eventually("its end", || {
        let listed = newsroom.api("GET", &path, &[], "").expect(200).json();
        listed["corrections"][0]["ended_at"].is_string().then_some(listed)
    });
    assert_eq!(
        (&listed["corrections"][0]["note"], &listed["corrections"][0]["mails"]),
        (&json!("Not ten."), &json!(1))
    );
    let again = newsroom.api("POST", &path, &[], "{}").expect(200).json();
    assert_eq!((&again["recipients"], &again["dry_run"]), (&json!(0), &json!(false)), "{again}");
    newsroom.api("DELETE", &format!("/articles/{id}"), &[], "").expect(200);
    newsroom.api("POST", &path, &[], "{}").expect(409);
    assert_eq!(titled("Correction: Two hurt"), 1);
}

#[test]
fn what_became_of_mails_is_told_by_api_and_command_line_with_a_daemon_and_without() {
    let mut newsroom = Newsroom::start();
    newsroom.subscribe("first@example.net", &["economy"], || newsroom.outbox());
    let article = newsroom.publish(json!({ "title": "Rates", "categories": ["economy"] }));
    let id = article["id"].as_str().expect("text").to_owned();
    let mail = eventually("the news", || newsroom.outbox().into_iter().find(|mail| mail.subject == "Rates"));
    let leave = mail.subscription(&newsroom.base_url());
    newsroom.post_form(&leave, "List-Unsubscribe=One-Click").expect(200);
    let numbers = json!({ "accepted": 1, "deferred": 0, "bounced": 0, "complained": 0, "unsubscribed": 1 });
    let of_article = || newsroom.api("GET", &format!("/articles/{id}/mail"), &[], "").expect(200).json();
    eventually("both to be counted", || (of_article() == json!({ "article": id, "mail": numbers })).then_some(()));
    newsroom.api("GET", "/articles/none/mail", &[], "").expect(404);
    let listed = newsroom.api("GET", "/mail/numbers?by=selection", &[], "").expect(200).json();
    assert_eq!(listed["numbers"][0]["selection"], "category:economy");
    assert_eq!(listed["numbers"][0]["unsubscribed"], 1);
    for query in ["by=reader", "since=yesterday", "limit=0", "cursor=x", "to=x"] {
        let status = newsroom.api("GET", &format!("/mail/numbers?{query}"), &[], "").status;
        assert!(matches!(status, 400 | 422), "{query}: {status}");
    }
    let status = newsroom.cli(&["mail", "status"]).good();
    assert!(status.contains("no mail is late") && status.contains("no canary"), "{status}");
    let seen = newsroom.api("GET", "/mail/status", &[], "").expect(200).json();
    assert_eq!((&seen["ok"], &seen["quarantined"], &seen["canary"]), (&json!(true), &json!(false), &json!(null)));
    for is_running in [true, false] {
        if !is_running {
            newsroom.stop();
            let status = newsroom.cli(&["mail", "status"]);
            assert!(status.code == Some(1) && status.err.contains("nobody watches"), "{status:?}");
        }
        let said = newsroom.cli(&["mail", "numbers"]).good();
        let line = format!("       1         0        0           0             1  {id} Rates");
        assert!(said.lines().any(|found| found == line), "{said}");
        let said = newsroom.cli(&["mail", "numbers", "--by", "domain", "--json"]).good();
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        // The confirmation and the farewell count for the domain too, which has a sum of its own from its first news on.
        let of = |name: &str| {
            let rows = said["numbers"].as_array().expect("rows");
            rows.iter()
                .filter(|row| row["domain"] == name)
                .map(|row| row["accepted"].as_u64().expect("a sum"))
                .sum::<u64>()
        };
        assert!(of("example.net") >= 1 && of("other") == 1, "{said}");
    }
}
