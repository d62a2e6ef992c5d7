//! A running daemon over a store that was restored or copied while it owed a mail: it is nobody's to send until a person
//! says so.

use crate::harness::{Mail, Newsroom, Place, Setup, eventually, eventually_well};
use std::process::Command;

const READER: &str = "reader@example.net";

/// A newsroom that has stopped, and owes its one reader the mail about `Before`: its mail server could not be reached.
fn owing() -> Newsroom {
    let mut newsroom = Newsroom::start();
    newsroom.subscribe(READER, &["economy"], || newsroom.outbox());
    newsroom.stop();
    // Nobody listens there.
    let nobody = Place::take();
    let smtp = format!("[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n", nobody.address().port());
    newsroom.configure(Setup { mail: &smtp, ..Setup::default() });
    newsroom.run();
    newsroom.publish_titled("Before");
    eventually("the mail to be owed", || {
        let shown = newsroom.cli(&["subscribers", "show", READER]).good();
        shown.contains("2 mails in the ledger").then_some(())
    });
    newsroom.stop();
    newsroom
}

fn imported(original: &Newsroom) -> Newsroom {
    let copy = Newsroom::prepare(Setup::default());
    let dump = copy.path("dump.jsonl").display().to_string();
    original.cli(&["export", "--output", &dump]).good();
    copy.cli(&["import", &dump]).good();
    copy
}

fn copied(original: &Newsroom) -> Newsroom {
    let copy = Newsroom::prepare(Setup::default());
    let done = Command::new("cp").arg("-a").arg(original.path("data")).arg(copy.path("data")).status();
    assert!(done.expect("cp").success());
    // The original's mails are not what this one has sent.
    std::fs::remove_dir_all(copy.path("data/outbox")).expect("it came along");
    copy
}

/// The subjects of what was sent.
fn sent(newsroom: &Newsroom) -> Vec<String> {
    let mut subjects: Vec<String> = newsroom.outbox().into_iter().map(|Mail { subject, .. }| subject).collect();
    subjects.sort();
    subjects
}

fn waits(newsroom: &Newsroom, messages: usize) {
    let held = format!("\n{messages} messages wait, 0 were on the wire\n");
    eventually_well(|| {
        let shown = newsroom.cli(&["quarantine", "show"]).good();
        let is_so = shown.starts_with("in quarantine since ") && shown.contains(&held);
        if is_so { Ok(()) } else { Err(format!("not {messages} that wait, but: {shown}")) }
    });
}

/// The daemon over `copy` holds what it owes and what comes to be owed, over a restart, until it is released.
fn is_held_until_released(mut copy: Newsroom, owed: &str, closed: usize, expected: &[&str]) {
    copy.run();
    assert!(copy.daemon().announced().iter().any(|line| line.starts_with("  quarantine ")), "the operator is told");
    waits(&copy, 1);
    copy.publish_titled("After");
    waits(&copy, 2);
    let status = copy.cli(&["mail", "status"]).good();
    assert!(status.starts_with("held: ") && status.contains("no mail is late"), "{status}");
    copy.stop();
    copy.run();
    waits(&copy, 2);
    assert_eq!(sent(&copy), [""; 0], "in quarantine");
    let metrics = copy.get_admin("/metrics").expect(200).text();
    assert!(metrics.lines().any(|line| line == "tidings_quarantined 1"), "{metrics}");
    let said = copy.cli(&["quarantine", "release", "--owed", owed]).good();
    assert_eq!(said, format!("released; {closed} messages closed\n"));
    let status = copy.cli(&["mail", "status"]).good();
    assert!(!status.contains("held"), "it is free at once: {status}");
    let sends = |title: &str| {
        let all = || sent(&copy);
        eventually(&format!("the mail about {title}"), || all().iter().any(|subject| subject == title).then_some(()));
    };
    // What came to be owed behind the copy is sent in any case; what is owed now comes behind all that.
    sends("After");
    copy.publish_titled("Last");
    sends("Last");
    copy.stop();
    assert_eq!(sent(&copy), expected, "--owed {owed}");
    let shown = copy.cli(&["quarantine", "show"]).good();
    assert_eq!(shown, "free: mail leaves this store\n");
}

#[test]
fn a_daemon_over_an_imported_store_sends_what_it_owes_once_it_is_told_to() {
    is_held_until_released(imported(&owing()), "send", 0, &["After", "Before", "Last"]);
}

#[test]
fn a_daemon_over_an_imported_store_never_sends_what_it_is_told_to_drop() {
    is_held_until_released(imported(&owing()), "drop", 1, &["After", "Last"]);
}

#[test]
fn a_daemon_over_a_copied_folder_sends_what_it_owes_once_it_is_told_to() {
    is_held_until_released(copied(&owing()), "send", 0, &["After", "Before", "Last"]);
}

#[test]
fn a_daemon_over_a_copied_folder_never_sends_what_it_is_told_to_drop() {
    is_held_until_released(copied(&owing()), "drop", 1, &["After", "Last"]);
}
