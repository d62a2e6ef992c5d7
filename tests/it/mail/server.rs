//! What becomes of a message, whatever the mail server does.

use super::watchdog::Logged;
use super::*;
use tidings::store::Back;

#[tokio::test]
async fn a_transient_reply_at_any_stage_costs_a_try_and_nothing_else() {
    for at in [At::Mail, At::Rcpt, At::Data, At::Body] {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        peer.will(at, Act::Say("450 4.2.0 later"));
        mailer.step().await.unwrap();
        let state = room.delivery(&article, &reader);
        let Delivery::Pending { attempts: 1, due_at, reply: Some(reply), .. } = state else {
            panic!("{at:?}: {state:?}")
        };
        assert!(due_at >= room.clock.now() + Duration::seconds(45), "{at:?}");
        assert!(reply.starts_with("450 4.2.0 later"), "{reply}");
        assert_eq!(mailer.step().await.unwrap(), Step::Idle, "not before its time");
        room.until_due();
        mailer.step().await.unwrap();
        assert_eq!(peer.accepted(), [reader.address.as_str()], "{at:?}");
        assert_eq!(peer.log.lock().unwrap().connections, 1, "the connection was kept");
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
    }
}

#[tokio::test]
async fn what_the_server_said_when_it_took_a_message_is_kept_word_for_word() {
    let reply = "250 2.0.0 Ok: queued as 4bXyZ1-2 (mx7.example.com, 0.3 s)";
    for lines in [&[][..], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let (room, readers, article) = Room::owing(3).await;
        let peer = Peer::offering(Security::Plain, Offer { lines, ..Offer::default() }).await;
        // The message amid the row: those around it have words of their own.
        peer.will(At::Body, Act::Usual);
        peer.will(At::Body, Act::Say(reply));
        room.mailer(settings(Some(smtp(&peer)))).step().await.unwrap();
        let to = peer.log.lock().unwrap().mails.iter().map(|mail| mail.to.clone()).collect::<Vec<_>>();
        assert_eq!(to.len(), readers.len(), "{lines:?}");
        for reader in &readers {
            let said = if to[1] == reader.address.as_str() { reply } else { "250 2.0.0 queued as 1" };
            let state = room.delivery(&article, reader);
            assert_eq!(state, Delivery::Sent { at: room.clock.now(), reply: said.into() }, "{lines:?}");
        }
    }
}

#[tokio::test]
async fn what_is_deferred_too_often_is_given_up() {
    let (room, peer, article, reader) = on_its_way().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    for _ in 0..5 {
        peer.will(At::Rcpt, Act::Say("451 not now"));
        mailer.step().await.unwrap();
        room.until_due();
    }
    let state = room.delivery(&article, &reader);
    assert!(matches!(&state, Delivery::Failed { reply, .. } if reply.contains("451 not now")), "{state:?}");
    assert_eq!(mailer.step().await.unwrap(), Step::Idle);
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_gets_nothing_more() {
    let (room, peer, article, reader) = on_its_way().await;
    let second = room.publish("More", &["science"]).await;
    room.notified().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    peer.will(At::Rcpt, Act::Say("550 5.1.1 no such user"));
    mailer.step().await.unwrap();
    let state = room.subscription(reader.address.as_str()).state;
    assert!(
        matches!(&state, SubscriptionState::Refused { reply, .. } if reply == "550 5.1.1 no such user"),
        "{state:?}"
    );
    let states = [room.delivery(&article, &reader), room.delivery(&second, &reader)];
    assert!(states.iter().any(|state| matches!(state, Delivery::Failed { .. })), "{states:?}");
    assert!(states.iter().any(|state| matches!(state, Delivery::Recalled { .. })), "{states:?}");
    assert!(peer.accepted().is_empty());
}

/// Steps on and on, by a task that is broken off at the end of the test.
fn stepping(mailer: &Arc<Mailer>) {
    let mailer = Arc::clone(mailer);
    tokio::spawn(async move { while mailer.step().await.unwrap() == Step::Worked {} });
}

/// Waits, though not for ever, until `to` has a mail.
async fn arrives(peer: &Peer, to: &str) {
    let arrived = async {
        while !peer.accepted().iter().any(|known| known == to) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), arrived).await.expect("it is sent at once");
}

#[tokio::test]
async fn who_waits_for_a_mail_waits_for_no_stalled_connection() {
    let (room, peer, ..) = on_its_way().await;
    let patient = std::time::Duration::from_secs(600);
    let smtp = Smtp { connections: 2, timeout: patient, timeout_end: patient, ..smtp(&peer) };
    let mailer = room.mailer(settings(Some(smtp)));
    peer.will(At::Body, Act::Stall);
    stepping(&mailer);
    // The server has the message, and says nothing.
    while peer.log.lock().unwrap().mails.is_empty() {
        tokio::task::yield_now().await;
    }
    let asking = Asking::new(address("new@example.net"), only(&["science"]));
    room.subscriptions.ask(asking).await.unwrap();
    arrives(&peer, "new@example.net").await;
}

#[tokio::test]
async fn who_waits_for_a_mail_does_not_wait_for_all_that_was_due_before() {
    let room = Room::open();
    room.subscribed(2_000, &only(&["science"])).await;
    room.news().await;
    room.clock.advance(Duration::minutes(1));
    let asking = Asking::new(address("new@example.net"), only(&["science"]));
    room.subscriptions.ask(asking).await.unwrap();
    let peer = Peer::start(Security::Plain).await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    stepping(&mailer);
    arrives(&peer, "new@example.net").await;
    let before = peer.accepted().iter().position(|to| to == "new@example.net").unwrap();
    assert!(before < 300, "behind {before} others");
}

#[tokio::test]
async fn a_refusal_of_the_message_keeps_the_subscriber() {
    for (at, reply) in
        [(At::Rcpt, "554 5.7.1 relay access denied"), (At::Data, "554 no"), (At::Body, "550 5.7.1 looks like spam")]
    {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        peer.will(at, Act::Say(reply));
        mailer.step().await.unwrap();
        assert!(matches!(room.delivery(&article, &reader), Delivery::Failed { .. }), "{at:?}");
        assert_eq!(room.subscription(reader.address.as_str()), reader, "{at:?}");
    }
}

#[tokio::test]
async fn a_setting_that_is_wrong_ends_neither_mails_nor_subscriptions() {
    for (at, reply) in [(At::Mail, "530 5.7.0 authentication required"), (At::Rcpt, "550 relay not permitted")] {
        let (room, peer, article, reader) = on_its_way().await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        peer.will(at, Act::Say(reply));
        mailer.step().await.unwrap();
        let state = room.subscription(reader.address.as_str()).state;
        assert!(matches!(state, SubscriptionState::Confirmed { .. }), "{at:?}: {state:?}");
        if at == At::Mail {
            room.until_due();
            mailer.step().await.unwrap();
            assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }), "once it is mended");
        }
    }
}

#[tokio::test]
async fn what_a_server_says_of_a_mailbox_is_about_all_that_goes_there() {
    let room = Room::open();
    let first = room.subscribed(1, &only(&["science"])).await.remove(0);
    let other = room.subscribed_besides(&first, only(&["economy"])).await;
    let peer = Peer::start(Security::Plain).await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    // A full mailbox gets four days; then nothing more goes there, whatever it asked for.
    for day in 0..4 {
        let state = |id| room.store.subscription(id).unwrap().unwrap().record.state;
        let is_on = |id| matches!(state(id), SubscriptionState::Confirmed { .. });
        assert!(is_on(first.id) && is_on(other.id), "day {day}");
        room.news().await;
        peer.will(At::Rcpt, Act::Say("552 5.2.2 mailbox full"));
        mailer.step().await.unwrap();
        room.clock.advance(Duration::days(1));
    }
    for id in [first.id, other.id] {
        let state = room.store.subscription(id).unwrap().unwrap().record.state;
        assert!(matches!(state, SubscriptionState::Refused { .. }), "{state:?}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_the_message_tried_again() {
    for at in [At::Greeting, At::Mail, At::Rcpt, At::Data] {
        let (room, peer, article, reader) = on_its_way().await;
        let timeout = std::time::Duration::from_millis(200);
        let mailer = room.mailer(settings(Some(Smtp { timeout, timeout_end: timeout, ..smtp(&peer) })));
        peer.will(at, Act::Stall);
        mailer.step().await.unwrap();
        let expected = u32::from(at != At::Greeting);
        let state = room.delivery(&article, &reader);
        assert!(matches!(state, Delivery::Pending { attempts, .. } if attempts == expected), "{at:?}: {state:?}");
        assert!(mailer.doubtful(None, 9).unwrap().is_empty());
        assert_eq!(mailer.step().await.unwrap(), Step::Idle, "the server is left in peace");
        room.until_due();
        mailer.step().await.unwrap();
        assert_eq!(peer.accepted(), [reader.address.as_str()], "{at:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_no_try() {
    let (room, peer, article, reader) = on_its_way().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    let before = room.delivery(&article, &reader);
    for act in [Act::Cut, Act::Say("554 not today"), Act::Say("421 too many connections")] {
        peer.will(At::Greeting, act);
        mailer.step().await.unwrap();
        assert_eq!(room.delivery(&article, &reader), before, "{act:?}");
        room.until_due();
    }
    mailer.step().await.unwrap();
    assert_eq!(peer.accepted(), [reader.address.as_str()]);
}

#[tokio::test]
async fn a_server_that_closes_a_used_connection_is_connected_to_again() {
    for (first, at, act) in [
        (Act::Usual, At::Mail, Act::Say("421 4.7.0 enough for now")),
        (Act::Usual, At::Mail, Act::Cut),
        (Act::Usual, At::Data, Act::Cut),
        (Act::Say("554 5.7.1 no"), At::Data, Act::Cut),
    ] {
        let (room, readers, _) = Room::owing(3).await;
        let peer = Peer::start(Security::Plain).await;
        let mailer = room.mailer(settings(Some(smtp(&peer))));
        // The first message is talked through; the second finds the connection closed, and is not to blame.
        peer.will(at, first);
        peer.will(at, act);
        mailer.step().await.unwrap();
        let refused = usize::from(first != Act::Usual);
        assert_eq!(peer.accepted().len(), readers.len() - refused, "{at:?} {act:?}");
        assert_eq!(peer.log.lock().unwrap().connections, 2, "{at:?} {act:?}");
    }
}

#[tokio::test]
async fn what_is_written_of_a_message_on_the_wire_stays_when_it_is_closed() {
    let (room, peer, article, reader) = on_its_way().await;
    let timeout = std::time::Duration::from_secs(1);
    let mailer = room.mailer(settings(Some(Smtp { timeout, ..smtp(&peer) })));
    peer.will(At::Mail, Act::Stall);
    let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, reader.id);
    let complained = async {
        let on_wire = loop {
            let row = room.store.message(&key).unwrap().unwrap();
            if matches!(row.record.state, Delivery::OnWire { .. }) {
                break row;
            }
            tokio::task::yield_now().await;
        };
        let mut batch = Batch::default();
        room.store.change_message(&mut batch, on_wire, |row| row.back = Some(Back::Complaint));
        room.store.commit(batch).await.unwrap();
    };
    let (stepped, ()) = tokio::join!(mailer.step(), complained);
    stepped.unwrap();
    let row = room.store.message(&key).unwrap().unwrap().record;
    assert!(matches!(row.state, Delivery::Pending { .. }), "{row:?}");
    assert_eq!(row.back, Some(Back::Complaint));
}

#[tokio::test]
async fn a_message_without_its_last_reply_is_doubtful_and_held_or_sent_again() {
    for (policy, act) in [(Doubtful::Hold, Act::Cut), (Doubtful::Hold, Act::Stall), (Doubtful::Resend, Act::Cut)] {
        let (room, peer, article, reader) = on_its_way().await;
        let timeout = std::time::Duration::from_millis(200);
        let mailer = room
            .mailer(Mail { doubtful: policy, ..settings(Some(Smtp { timeout, timeout_end: timeout, ..smtp(&peer) })) });
        peer.will(At::Body, act);
        mailer.step().await.unwrap();
        room.until_due();
        mailer.step().await.unwrap();
        let doubtful = mailer.doubtful(None, 9).unwrap();
        match policy {
            Doubtful::Resend => {
                assert!(doubtful.is_empty());
                assert_eq!(peer.accepted(), [reader.address.as_str()]);
                let log = peer.log.lock().unwrap();
                let ids: Vec<_> = log
                    .mails
                    .iter()
                    .map(|mail| MessageParser::new().parse(&mail.bytes).unwrap().message_id().unwrap().to_owned())
                    .collect();
                assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the same message id");
            }
            Doubtful::Hold => {
                assert!(peer.accepted().is_empty(), "it is not sent again by itself");
                assert_eq!(doubtful.len(), 1);
                assert_eq!((doubtful[0].address.as_ref(), doubtful[0].about.as_str()), (Some(&reader.address), "News"));
                assert_eq!(mailer.resend_doubtful().await.unwrap(), 1);
                mailer.step().await.unwrap();
                assert_eq!(peer.accepted(), [reader.address.as_str()]);
            }
        }
        assert!(matches!(room.delivery(&article, &reader), Delivery::Sent { .. }));
    }
}

#[tokio::test]
async fn a_login_goes_over_an_encrypted_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, ca_file) = certificates(folder.path());
    for (security, mode, is_sent) in [
        (Security::Starttls(tls.clone()), Tls::Starttls, true),
        (Security::Implicit(tls.clone()), Tls::Implicit, true),
        (Security::Injected(tls.clone()), Tls::Starttls, false),
        (Security::Plain, Tls::Starttls, false),
    ] {
        let (room, _, _, reader) = on_its_way().await;
        let peer = Peer::start(security).await;
        let login = Login { username: "news".into(), password: Secret::new("secret") };
        let way = Smtp {
            host: "localhost".into(),
            tls: mode,
            login: Some(login),
            ca_pem: Some(std::fs::read(&ca_file).unwrap()),
            ..smtp(&peer)
        };
        let timeout = std::time::Duration::from_secs(2);
        room.mailer(settings(Some(Smtp { timeout, ..way.clone() }))).step().await.unwrap();
        let expected: &[&str] = if is_sent { &[reader.address.as_str()] } else { &[] };
        assert_eq!(peer.accepted(), expected, "{mode:?}");
        let logins = peer.log.lock().unwrap().logins.clone();
        // base64 of "\0news\0secret".
        let expected = [("PLAIN AG5ld3MAc2VjcmV0".to_owned(), true)];
        assert_eq!(logins, if is_sent { &expected[..] } else { &[] }, "{mode:?}");
        // A certificate that nobody we know has signed.
        let (room, _, _, _) = on_its_way().await;
        let way = Smtp { ca_pem: None, ..way };
        room.mailer(settings(Some(Smtp { timeout, ..way }))).step().await.unwrap();
        assert_eq!(peer.accepted().len(), usize::from(is_sent));
    }
}

#[tokio::test]
async fn who_has_a_certificate_that_is_refused_is_told_what_to_do_about_it() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (signed, ca_file) = certificates(folder.path());
    let (_, strange) = certificates(other.path());
    let (authority, own) = of_an_authority(folder.path());
    for (tls, trusted, words) in [
        (signed.clone(), strange, Some("can be named by `mail.smtp.ca_file`")),
        (authority, own, Some("one for a server says CA:FALSE")),
        (signed, ca_file, None),
    ] {
        let (logged, _guard) = Logged::begin();
        let (room, ..) = on_its_way().await;
        let peer = Peer::start(Security::Starttls(tls)).await;
        let ca_pem = Some(std::fs::read(&trusted).unwrap());
        let way = Smtp { host: "localhost".into(), tls: Tls::Starttls, ca_pem, ..smtp(&peer) };
        room.mailer(settings(Some(way))).step().await.unwrap();
        assert_eq!(logged.count("WARN", "encrypting"), usize::from(words.is_some()));
        assert_eq!(logged.count("WARN", words.unwrap_or("encrypting")), usize::from(words.is_some()), "{words:?}");
        assert_eq!(peer.accepted().len(), usize::from(words.is_none()));
    }
}
