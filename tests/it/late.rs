//! Mail that is late, as the operator of a running daemon comes to know of it.

use crate::harness::{Newsroom, Place, Setup, eventually, eventually_well};
use tidings::domain::{
    Address, Article, ArticleId, Change, ChangeKind, Clock, Content, Labels, Selection, Slug, Subscription,
    SubscriptionId, SubscriptionState, Time,
};
use tidings::store::{Batch, Store, wait};

/// Puts into the store of a daemon that does not run what it would have after so long a rest: a reader, and an article
/// that nobody was told of.
fn left_behind(store: &Store, since: Time) {
    let mut batch = Batch::default();
    let address = Address::parse("address", "reader@example.net").unwrap();
    let asked_at = since - chrono::Duration::hours(1);
    let asked = Subscription::asked(SubscriptionId(uuid::Uuid::from_u128(1)), address, Selection::all(), asked_at);
    let state = SubscriptionState::Confirmed { at: asked_at };
    store.write_first_subscription(&mut batch, &Subscription { state, erase_at: None, ..asked });
    let categories = vec![Slug::parse("category", "economy").unwrap()];
    let content = Content { categories, title: "Old news".into(), ..Content::default() };
    let article = Article::published(ArticleId::mint(), since, content);
    store.write_article(&mut batch, None, &article);
    let (kind, labels) = (ChangeKind::Published, Labels::of(&article.content));
    let at = store.change_time(since).unwrap();
    store.log(&mut batch, &Change { kind, article: article.id, revision: 1, at, labels, before: None });
    wait(store.commit(batch)).unwrap();
}

/// What `/metrics` tells of how late mail of a class is.
fn overdue_s(newsroom: &Newsroom, class: &str) -> Option<f64> {
    let metrics = newsroom.get_admin("/metrics").expect(200).text();
    let start = format!("tidings_mail_overdue_seconds{{class=\"{class}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[test]
fn mail_past_its_deadline_is_told_by_metrics_api_and_command_line_until_it_has_gone() {
    let nobody = Place::take();
    let smtp = format!("[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n", nobody.address().port());
    let mut newsroom = Newsroom::prepare(Setup { mail: &smtp, ..Setup::default() });
    newsroom.key();
    let since = Clock::system().now() - chrono::Duration::minutes(90);
    left_behind(&Store::open(&newsroom.path("data")).expect("nobody has it open"), since);
    newsroom.run();
    newsroom.daemon().log_line("mail is late: 1 of class notice not finished after 60 minutes");
    let status = || newsroom.api("GET", "/mail/status", &[], "").expect(200).json();
    // The log has it a moment before all else.
    let seen = eventually("the alarm", || Some(status()).filter(|seen| seen["ok"] == false));
    let classes: Vec<&String> = seen["late"].as_object().expect("by class").keys().collect();
    assert_eq!(classes, ["notice"], "{seen}");
    assert_eq!(seen["late"]["notice"]["messages"], 1, "{seen}");
    let oldest: Time = seen["late"]["notice"]["oldest"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!((oldest - since).num_seconds().abs() < 2, "due since it was published, {since}: {seen}");
    let late_s = overdue_s(&newsroom, "notice").expect("a gauge");
    assert!((5_400.0..9_000.0).contains(&late_s), "ninety minutes, not {late_s} seconds");
    for class in ["confirmation", "digest", "correction", "preferences"] {
        assert_eq!(overdue_s(&newsroom, class), Some(0.0), "{class}");
    }
    let said = newsroom.cli(&["mail", "status"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("late: 1 of class notice, the oldest due since "), "{said:?}");
    let said = newsroom.cli(&["mail", "status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &json["late"]), (Some(1), &seen["late"]));
    assert_eq!(newsroom.get_admin("/readyz").expect(200).text(), "ready\n", "pages are as good as ever");

    newsroom.stop();
    newsroom.configure(Setup::default());
    newsroom.run();
    eventually("the mail", || newsroom.outbox().into_iter().find(|mail| mail.subject == "Old news"));
    eventually_well(|| {
        let said = newsroom.cli(&["mail", "status"]);
        if said.code == Some(0) { Ok(()) } else { Err(format!("it is still late: {said:?}")) }
    });
    assert_eq!(overdue_s(&newsroom, "notice"), Some(0.0), "it has gone");
    let seen = newsroom.api("GET", "/mail/status", &[], "").expect(200).json();
    assert!(seen["ok"] == true && seen["late"].as_object().is_some_and(|late| late.is_empty()), "{seen}");
    newsroom.daemon().log_line("mail of class notice is in time again");
}
