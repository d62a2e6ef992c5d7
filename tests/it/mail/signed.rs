//! Signatures, held against a verifier that is not ours; and the senders of envelopes.

use super::*;
use crate::harness::{needed, project};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tidings::config::{DkimKey, ReturnAddress};
use tidings::wire::mail::Returned;
use tidings::wire::mail::dkim::{Algorithm, SigningKey};

pub(super) fn key(selector: &str, algorithm: Algorithm) -> DkimKey {
    DkimKey {
        file: "dkim".into(),
        selector: selector.into(),
        domain: "example.org".into(),
        pem: Secret::new(SigningKey::create(algorithm).unwrap()),
        not_before: None,
        not_after: None,
    }
}

fn record(key: &DkimKey) -> [String; 2] {
    let key = SigningKey::from_pem(&key.domain, &key.selector, key.pem.expose(), None, None).unwrap();
    key.record().unwrap().into()
}

/// What dkimpy says of each signature; none where it is not installed (`scripts/test` sees to it).
fn verified(mail: &[u8], records: &[String]) -> Option<Vec<bool>> {
    let python = needed(std::env::var_os("TIDINGS_PYTHON"), "TIDINGS_PYTHON")?;
    let mut child = Command::new(python)
        .arg(project().join("tests/verify_dkim.py"))
        .arg(Room::open().clock.now().timestamp().to_string())
        .args(records)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(mail).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "true").collect())
}

/// The mail as a server got it: one notice to `reader`, signed by `keys`.
async fn received(reader: &str, lines: &'static [&'static str], keys: Vec<DkimKey>) -> Vec<u8> {
    let room = Room::open();
    room.confirmed(reader).await;
    room.publish("Заголовок . with  spaces", &["science"]).await;
    room.notified().await;
    let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
    let mailer = room.mailer(Mail { dkim: keys, ..settings(Some(smtp(&peer))) });
    mailer.step().await.unwrap();
    peer.log.lock().unwrap().mails[0].bytes.clone()
}

/// Runs it where signing waits for the only thread that it may have.
pub(super) fn with_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// What `change` comes to, which happens while the mailer's first messages wait to be signed.
pub(super) async fn while_signed<T>(mailer: &Arc<Mailer>, change: impl Future<Output = T>) -> T {
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let busy = tokio::task::spawn_blocking(move || held.recv());
    let own = Arc::clone(mailer);
    let step = tokio::spawn(async move { own.step().await });
    // Far more turns than it needs until they are written; without a signature they go no further.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!step.is_finished(), "it is being signed");
    let changed = change.await;
    drop(let_go);
    assert!(busy.await.unwrap().is_err());
    step.await.unwrap().unwrap();
    changed
}

#[tokio::test]
async fn what_arrives_is_verified_by_a_verifier_that_is_not_ours() {
    let keys = vec![key("r1", Algorithm::Rsa), key("e1", Algorithm::Ed25519)];
    let records: Vec<String> = keys.iter().flat_map(record).collect();
    for lines in [&[][..], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let mail = received("reader0@example.net", lines, keys.clone()).await;
        let Some(good) = verified(&mail, &records) else { return };
        assert_eq!(good, [true, true], "{lines:?}");
        if !lines.is_empty() {
            continue;
        }
        let text = String::from_utf8(mail).unwrap();
        let unfolded: String = text.split_whitespace().collect();
        for name in ["From:From", "List-Unsubscribe:List-Unsubscribe-Post", "Subject:Subject", "Message-ID"] {
            assert!(unfolded.contains(name), "{name} is signed: {unfolded:.900}");
        }
        let wrong = [
            ("a word of the text", text.replace("In short", "In chort")),
            ("another subject", text.replace("Subject: ", "Subject: x")),
            ("a second sender", text.replace("\r\nFrom: ", "\r\nFrom: a@example.net\r\nFrom: ")),
            ("a second subject", text.replace("\r\nSubject: ", "\r\nSubject: a\r\nSubject: ")),
            ("a copy to somebody", text.replace("\r\nSubject: ", "\r\nCc: a@example.net\r\nSubject: ")),
            ("another way to leave", text.replace("List-Unsubscribe: <https://", "List-Unsubscribe: <https://x.")),
        ];
        for (what, mail) in wrong {
            assert_ne!(mail, text, "{what}");
            assert_eq!(verified(mail.as_bytes(), &records).unwrap(), [false, false], "{what}");
        }
        // What relays do on their way.
        let refolded =
            text.replace("\r\nSubject: ", "\r\nsubject:  \r\n ").replace("\r\n--=_tidings--", "\r\n--=_tidings-- ");
        assert_eq!(verified(refolded.as_bytes(), &records).unwrap(), [true, true], "white space does no harm");
    }
}

#[tokio::test]
async fn what_arrives_with_an_address_beyond_ascii_in_its_head_is_verified_as_well() {
    let keys = vec![key("r1", Algorithm::Rsa), key("e1", Algorithm::Ed25519)];
    let records: Vec<String> = keys.iter().flat_map(record).collect();
    for lines in [&["SMTPUTF8", "8BITMIME"][..], &["SMTPUTF8", "8BITMIME", "PIPELINING", "CHUNKING"]] {
        let mail = received("пётр@example.net", lines, keys.clone()).await;
        let Some(good) = verified(&mail, &records) else { return };
        assert_eq!(good, [true, true], "{lines:?}");
        let text = String::from_utf8(mail).unwrap();
        let another = text.replace("\r\nTo: пётр@", "\r\nTo: петр@");
        assert_ne!(another, text, "the letters are in the head as they are: {text:.900}");
        assert_eq!(verified(another.as_bytes(), &records).unwrap(), [false, false], "to somebody else");
    }
}

#[tokio::test]
async fn keys_change_at_their_days() {
    let room = Room::open();
    let now = room.clock.now();
    let old = DkimKey { not_after: Some(now + Duration::days(1)), ..key("old", Algorithm::Ed25519) };
    let new = DkimKey { not_before: Some(now + Duration::hours(12)), ..key("new", Algorithm::Ed25519) };
    let mailer = room.mailer(Mail { dkim: vec![old, new], ..room.outbox() });
    room.subscribed(1, &Selection::all()).await;
    for (title, signers) in [("A", &["old"][..]), ("B", &["old", "new"]), ("C", &["new"])] {
        room.publish(title, &["science"]).await;
        room.notified().await;
        while mailer.step().await.unwrap() == Step::Worked {}
        let mails: Vec<String> = room.mails().into_iter().map(|mail| String::from_utf8(mail).unwrap()).collect();
        let mail = mails.iter().find(|mail| mail.contains(&format!("Subject: {title}\r\n"))).expect("the mail");
        for selector in ["old", "new"] {
            let is_signed = mail.contains(&format!("s={selector};"));
            assert_eq!(is_signed, signers.contains(&selector), "{title}: {selector}");
        }
        room.clock.advance(Duration::hours(18));
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_told_by_its_file_before_anything_is_sent() {
    let room = Room::open();
    let key = DkimKey { pem: Secret::new("secret"), file: "dkim/a.toml".into(), ..key("a", Algorithm::Ed25519) };
    let (store, newsroom) = (Arc::clone(&room.store), Arc::clone(&room.newsroom));
    let settings = Mail { dkim: vec![key], ..room.outbox() };
    let (standard, hint) = (room.standard.clone(), Arc::clone(&room.hint));
    let made = Mailer::new(store, room.clock.clone(), newsroom, settings, standard, hint, Arc::default());
    let told = made.err().expect("no mailer").to_string();
    assert!(told.contains("dkim/a.toml") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn bounces_come_back_to_an_address_that_names_whom_they_are_about() {
    let (room, peer, _, reader) = on_its_way().await;
    let returns = ReturnAddress { local: "bounces".into(), domain: "example.org".into() };
    let mailer = room.mailer(Mail { return_address: Some(returns), ..settings(Some(smtp(&peer))) });
    mailer.step().await.unwrap();
    let log = peer.log.lock().unwrap();
    let sender = log.senders[0].strip_prefix("MAIL FROM:<bounces+").and_then(|rest| rest.strip_suffix("@example.org>"));
    let returned = Returned::open(sender.expect(&log.senders[0]), &room.store.identity().secret).expect("our own");
    assert_eq!(returned.subscription, reader.id);
    assert_eq!(i64::from(returned.day), room.clock.now().timestamp() / 86_400);
}
