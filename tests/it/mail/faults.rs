//! Every kind of trouble at every stage of the dialogue, whatever the server offers: nothing is lost, and nothing is
//! doubled but what the ledger lists as doubtful.

use super::*;
use tidings::services::mailer::load_templates;
use tidings::store::{StoreError, Table};

const OFFERS: [&[&str]; 4] = [
    &[],
    &["SIZE 1000000", "8BITMIME"],
    &["PIPELINING", "SIZE", "ENHANCEDSTATUSCODES"],
    &["PIPELINING", "CHUNKING", "SMTPUTF8"],
];
const STAGES: [At; 4] = [At::Mail, At::Rcpt, At::Data, At::Body];
const ACTS: [Act; 8] = [
    Act::Say("450 4.2.0 later"),
    Act::Say("454 4.7.0 TLS not available due to temporary reason"),
    Act::Say("550 5.7.1 no"),
    Act::Say("421 4.3.2 closing"),
    Act::Say("hello?"),
    Act::Say("334 something else"),
    Act::Stall,
    Act::Cut,
];
const READERS: usize = 4;

fn impatient(peer: &Peer) -> Mail {
    let timeout = std::time::Duration::from_millis(150);
    settings(Some(Smtp { timeout, timeout_end: timeout, ..smtp(peer) }))
}

#[tokio::test]
async fn whatever_a_server_does_at_whatever_stage_nothing_is_lost_and_nothing_doubled_that_is_not_listed() {
    for lines in OFFERS {
        let room = Room::open();
        let readers = room.subscribed(READERS as u128, &Selection::all()).await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        let mailer = room.mailer(impatient(&peer));
        let is_chunked = lines.contains(&"CHUNKING");
        for at in STAGES {
            for act in ACTS.into_iter().chain((at == At::Body).then_some(Act::CutAmid)) {
                // The trouble comes at the first message of a row, amid it, and at its end.
                for before in [0, 1, READERS - 1] {
                    let case = format!("{lines:?} {at:?} {act:?} behind {before}");
                    if is_chunked && at == At::Data {
                        continue;
                    }
                    (0..before).for_each(|_| peer.will(at, Act::Usual));
                    peer.will(at, act);
                    fare(&room, &peer, &mailer, &readers, &case, at, act).await;
                }
            }
        }
        if lines.contains(&"PIPELINING") {
            assert!(peer.log.lock().unwrap().ahead > READERS, "{lines:?}: commands went ahead of the replies");
        }
    }
}

/// One article goes to all readers, by a server that is in trouble once.
async fn fare(room: &Room, peer: &Peer, mailer: &Arc<Mailer>, readers: &[Subscription], case: &str, at: At, act: Act) {
    peer.log.lock().unwrap().mails.clear();
    let cut_before = peer.log.lock().unwrap().cut_amid;
    let article = room.news().await;
    for _ in 0..4 {
        while mailer.step().await.unwrap() == Step::Worked {}
        room.until_due();
    }
    let copies = |reader: &Subscription| {
        let log = peer.log.lock().unwrap();
        log.mails.iter().filter(|mail| mail.kept && mail.to == reader.address.as_str()).count()
    };
    // What a server has against the sender is not the message's fault.
    let is_no = at != At::Mail && matches!(act, Act::Say(words) if words.starts_with("55"));
    let (mut failed, mut doubtful) = (0, 0);
    for reader in readers {
        let copies = copies(reader);
        match room.delivery(&article, reader) {
            Delivery::Sent { .. } => assert_eq!(copies, 1, "{case}: sent"),
            Delivery::Failed { reply, .. } => {
                failed += 1;
                assert!(is_no && copies == 0 && reply == "550 5.7.1 no", "{case}: {reply}");
            }
            Delivery::OnWire { .. } => {
                doubtful += 1;
                assert!(copies <= 1, "{case}: doubled");
            }
            other @ (Delivery::Pending { .. } | Delivery::Recalled { .. }) => panic!("{case}: lost: {other:?}"),
        }
    }
    assert_eq!(failed, usize::from(is_no), "{case}: the one that was refused, and no other");
    let is_unsaid = !matches!(act, Act::Say(words) if words.as_bytes()[0].is_ascii_digit() && !words.starts_with("33"));
    let listed = mailer.doubtful(None, 99).unwrap();
    assert_eq!(listed.len(), doubtful, "{case}: listed");
    let is_cut_amid = act == Act::CutAmid;
    assert_eq!(peer.log.lock().unwrap().cut_amid - cut_before, usize::from(is_cut_amid), "{case}: cut amid a message");
    let is_chunked = case.contains("CHUNKING");
    if !is_chunked {
        // Only the message whose last dot was not answered.
        assert_eq!(doubtful, usize::from(at == At::Body && is_unsaid), "{case}: doubtful");
    } else if !is_unsaid && !matches!(act, Act::Say(words) if words.starts_with("421")) {
        assert_eq!(doubtful, 0, "{case}: every reply came");
    }
    assert_eq!(mailer.resend_doubtful().await.unwrap(), doubtful, "{case}");
    while mailer.step().await.unwrap() == Step::Worked {}
    for reader in readers {
        let state = room.delivery(&article, reader);
        let is_settled = matches!(state, Delivery::Sent { .. } | Delivery::Failed { .. });
        // The server has nothing of what was cut off, so nobody has it twice.
        let most = if is_cut_amid { 1 } else { 2 };
        assert!(is_settled && copies(reader) <= most, "{case}: {state:?}");
        assert!(copies(reader) > 0 || matches!(state, Delivery::Failed { .. }), "{case}: lost: {state:?}");
    }
    room.until_due();
}

#[tokio::test]
async fn a_message_that_is_cut_off_while_it_is_still_being_written_is_sent_again_and_nobody_doubts_it() {
    const BYTES: usize = 400_000;
    let folder = tempfile::tempdir().unwrap();
    let line = "{{ title }}, as we never get tired of telling whoever reads this.\n";
    let lines = format!("{{% for number in range({}) %}}{line}{{% endfor %}}", BYTES / line.len());
    std::fs::write(folder.path().join("notice.txt"), format!("{lines}\n{{{{ leave }}}}\n")).unwrap();
    let templates = load_templates(Some(folder.path())).unwrap();
    for lines in OFFERS {
        let (room, mut readers, article) = Room::owing(1).await;
        let reader = readers.remove(0);
        let peer = Peer::narrow(Offer { lines, ..Offer::default() });
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        mailer.use_templates(Arc::clone(&templates));
        peer.will(At::Body, Act::CutAmid);
        mailer.step().await.unwrap();
        assert_eq!(peer.log.lock().unwrap().cut_amid, 1, "{lines:?}");
        let state = room.delivery(&article, &reader);
        assert!(matches!(state, Delivery::Pending { .. }), "{lines:?}: {state:?}");
        assert!(mailer.doubtful(None, 9).unwrap().is_empty(), "{lines:?}");
        room.until_due();
        while mailer.step().await.unwrap() == Step::Worked {}
        assert_eq!(peer.accepted(), [reader.address.as_str()], "{lines:?}");
        let bytes = peer.log.lock().unwrap().mails[0].bytes.len();
        assert!(bytes > 300_000, "{lines:?}: {bytes} bytes are more than a connection holds");
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }), "{lines:?}");
    }
}

#[tokio::test]
async fn trouble_before_the_first_message_costs_no_message_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, ca_file) = certificates(folder.path());
    let ca_pem = Some(std::fs::read(&ca_file).unwrap());
    for at in [At::Greeting, At::Hello, At::Starttls, At::Auth] {
        for act in ACTS.into_iter().chain([Act::Say("535 5.7.8 who are you?"), Act::Say("500 5.5.1 what?")]) {
            let (room, _, article, reader) = on_its_way().await;
            let peer = Peer::start(Security::Starttls(tls.clone())).await;
            let timeout = std::time::Duration::from_millis(400);
            let login = Some(Login { username: "news".into(), password: Secret::new("secret") });
            let (host, tls) = ("localhost".to_owned(), Tls::Starttls);
            let way = Smtp { timeout, timeout_end: timeout, login, host, tls, ca_pem: ca_pem.clone(), ..smtp(&peer) };
            let mailer = room.mailer(settings(Some(way)));
            peer.will(at, act);
            mailer.step().await.unwrap();
            let state = room.delivery(&article, &reader);
            let is_well = match state {
                Delivery::Pending { attempts, .. } => attempts == 0 && peer.accepted().is_empty(),
                Delivery::Sent { .. } => true,
                Delivery::OnWire { .. } | Delivery::Failed { .. } | Delivery::Recalled { .. } => false,
            };
            assert!(is_well && mailer.doubtful(None, 9).unwrap().is_empty(), "{at:?} {act:?}: {state:?}");
            let logins = peer.log.lock().unwrap().logins.clone();
            assert!(logins.iter().all(|(_, is_encrypted)| *is_encrypted), "{at:?} {act:?}: no password in the clear");
            room.until_due();
            while mailer.step().await.unwrap() == Step::Worked {}
            assert_eq!(peer.accepted(), [reader.address.as_str()], "{at:?} {act:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_keep_what_it_offers_is_spoken_to_plainly_and_gets_all() {
    let all: &[&str] = &["PIPELINING", "CHUNKING", "SIZE 1000000", "8BITMIME"];
    let without_chunks: &[&str] = &["PIPELINING", "SIZE 1000000"];
    for offer in [
        Offer { lines: without_chunks, loses_what_is_ahead: true, ..Offer::default() },
        Offer { lines: all, loses_what_is_ahead: true, ..Offer::default() },
        Offer { lines: all, knows_no_chunks: true, ..Offer::default() },
        Offer { lines: all, refuses_parameters: true, ..Offer::default() },
        Offer { is_old: true, ..Offer::default() },
    ] {
        let (room, readers, article) = Room::owing(READERS as u128).await;
        let peer = Peer::offering(Security::Plain, offer).await;
        let mailer = room.mailer(impatient(&peer));
        for _ in 0..4 {
            while mailer.step().await.unwrap() == Step::Worked {}
            room.clock.advance(Duration::minutes(10));
        }
        assert_eq!(peer.accepted().len(), READERS, "{offer:?}");
        for reader in &readers {
            assert!(matches!(room.delivery(&article, reader), Delivery::Sent { .. }), "{offer:?}");
        }
    }
}

#[tokio::test]
async fn commands_go_ahead_where_that_is_offered_and_nowhere_else() {
    for (lines, ahead) in [(OFFERS[0], 0), (OFFERS[1], 0), (OFFERS[2], READERS), (OFFERS[3], READERS)] {
        let (room, ..) = Room::owing(READERS as u128).await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        mailer.step().await.unwrap();
        let log = peer.log.lock().unwrap();
        assert_eq!((log.mails.len(), log.connections), (READERS, 1), "{lines:?}");
        assert!(log.ahead >= ahead && (ahead > 0) == (log.ahead > 0), "{lines:?}: {} ahead", log.ahead);
        let has_size = lines.iter().any(|line| line.starts_with("SIZE"));
        let told = log.senders.iter().filter(|sender| sender.contains(" SIZE=")).count();
        assert_eq!(told, if has_size { READERS } else { 0 }, "{lines:?}");
    }
}

#[tokio::test]
async fn what_the_server_says_it_cannot_take_is_not_sent() {
    let (room, mut readers, article) = Room::owing(1).await;
    let reader = readers.remove(0);
    let peer = Peer::offering(Security::Plain, Offer { lines: &["SIZE 100"], ..Offer::default() }).await;
    room.mailer(settings(Some(smtp(&peer)))).step().await.unwrap();
    let state = room.delivery(&article, &reader);
    assert!(matches!(&state, Delivery::Failed { reply, .. } if reply.starts_with("552 5.3.4")), "{state:?}");
    assert_eq!(room.subscription(reader.address.as_str()), reader, "the subscriber is not to blame");
    assert!(peer.log.lock().unwrap().senders.is_empty());
}

#[tokio::test]
async fn a_login_is_spelled_as_the_server_knows_it() {
    for (auth, expected) in [
        ("AUTH LOGIN PLAIN", Some("PLAIN AG5ld3MAc2VjcmV0")),
        ("AUTH=LOGIN", Some("LOGIN bmV3cw== c2VjcmV0")),
        ("AUTH CRAM-MD5", None),
    ] {
        let (room, _, _, _) = on_its_way().await;
        let peer = Peer::offering(Security::Plain, Offer { auth: Some(auth), ..Offer::default() }).await;
        let login = Some(Login { username: "news".into(), password: Secret::new("secret") });
        room.mailer(settings(Some(Smtp { login, ..smtp(&peer) }))).step().await.unwrap();
        let logins: Vec<String> = peer.log.lock().unwrap().logins.iter().map(|(said, _)| said.clone()).collect();
        assert_eq!(logins.first().map(String::as_str), expected, "{auth}");
        assert_eq!(peer.accepted().len(), usize::from(expected.is_some()), "{auth}");
    }
}

#[tokio::test]
async fn a_connection_carries_as_many_messages_as_it_is_told_to() {
    for lines in OFFERS {
        let (room, ..) = Room::owing(5).await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        let mailer = room.mailer(settings(Some(Smtp { messages_per_connection: 2, ..smtp(&peer) })));
        mailer.step().await.unwrap();
        let log = peer.log.lock().unwrap();
        assert_eq!((log.mails.len(), log.connections, log.quits), (5, 3, 2), "{lines:?}");
    }
}

#[tokio::test]
async fn an_address_beyond_ascii_goes_out_where_the_server_can_carry_it_and_fails_clearly_elsewhere() {
    for (lines, is_carried) in
        [(&["PIPELINING", "SMTPUTF8", "8BITMIME"][..], true), (&["PIPELINING", "8BITMIME"], false)]
    {
        let room = Room::open();
        let reader = room.confirmed("пётр@пример.рф").await;
        let article = room.news().await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        room.mailer(settings(Some(smtp(&peer)))).step().await.unwrap();
        let state = room.delivery(&article, &reader);
        if is_carried {
            assert!(matches!(state, Delivery::Sent { .. }), "{state:?}");
            let log = peer.log.lock().unwrap();
            assert_eq!(log.senders, ["MAIL FROM:<news@example.org> BODY=8BITMIME SMTPUTF8"]);
            assert_eq!(log.mails[0].to, "пётр@xn--e1afmkfd.xn--p1ai");
            let text = String::from_utf8(log.mails[0].bytes.clone()).unwrap();
            assert!(text.contains("\r\nTo: пётр@xn--e1afmkfd.xn--p1ai\r\n"), "RFC 6532");
        } else {
            let is_told = matches!(&state, Delivery::Failed { reply, .. } if reply.contains("SMTPUTF8"));
            assert!(is_told && peer.log.lock().unwrap().senders.is_empty(), "{state:?}");
        }
    }
}

#[tokio::test]
async fn what_a_server_has_said_is_kept_when_the_store_fails_at_the_next_mail() {
    let (room, readers, article) = Room::owing(2).await;
    let due = room.store.messages_due(room.clock.now(), None, 9).unwrap();
    let [(_, first), (_, second)] = due.as_slice() else { panic!("{due:?}") };
    // A record of a later version stops all mail, since nobody here knows what it says.
    let mut value = room.store.message(second).unwrap().unwrap().raw;
    let old = value.clone();
    value[1] += 1;
    let sum = crc32fast::hash(&[second.as_bytes(), &value[..2], &value[6..]].concat());
    value[2..6].copy_from_slice(&sum.to_be_bytes());
    let mut batch = Batch::default();
    batch.put(Table::Ledger, second.as_bytes(), value);
    room.store.commit(batch).await.unwrap();
    // One message at a time: the second is looked at when the first has been taken.
    let peer = Peer::start(Security::Plain).await;
    let smtp = Smtp { connections: 1, ..smtp(&peer) };
    let mailer = room.mailer(settings(Some(smtp)));
    let error = mailer.step().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert_eq!(peer.accepted().len(), 1);
    assert!(matches!(room.store.message(first).unwrap().unwrap().record.state, Delivery::Sent { .. }));
    let mut batch = Batch::default();
    batch.put(Table::Ledger, second.as_bytes(), old);
    room.store.commit(batch).await.unwrap();
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(peer.accepted().len(), 2, "and nobody had it twice");
    assert!(readers.iter().all(|reader| matches!(room.delivery(&article, reader), Delivery::Sent { .. })));
}
