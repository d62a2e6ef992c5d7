//! What comes back: by LMTP from a mail server next door, or in a Maildir; and what becomes of those whom it is about.

use super::*;
use std::process::Command;
use tidings::config::ReturnAddress;
use tidings::services::returns::{Looked, Returns, Taken};
use tidings::wire::mail::envelope_sender;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) fn home() -> ReturnAddress {
    ReturnAddress { local: "bounces".into(), domain: "news.example.org".into() }
}

pub(super) fn returns(room: &Room) -> Arc<Returns> {
    let (rows, names) = (Arc::clone(&room.store), Arc::clone(&room.newsroom));
    let hint = Arc::clone(&room.hint);
    let subscriptions = Subscriptions::new(rows, room.clock.clone(), names, room.standard.clone(), 20, hint);
    Returns::new(Arc::clone(&room.store), room.clock.clone(), home(), Arc::new(subscriptions))
}

/// The address that a bounce of a mail to `reader` goes to, if the mail is sent now.
pub(super) fn sender(room: &Room, reader: &Subscription) -> String {
    envelope_sender(&home(), reader.id, room.clock.now(), &room.store.identity().secret)
}

pub(super) fn report(status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\n\r\n.It did not work.\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; reader0@example.net\r\nAction: failed\r\n\
         Status: {status}\r\n\r\n--b--\r\n"
    )
}

/// Two confirmed subscriptions of one address, and one of another.
async fn readers(room: &Room) -> Vec<Subscription> {
    let mut readers = room.subscribed(2, &Selection::all()).await;
    let second = room.subscribed_besides(&readers[0], only(&["science"])).await;
    readers.insert(1, second);
    readers
}

/// `confirmed`, `refused` or `left`, of each.
pub(super) fn states(room: &Room, readers: &[Subscription]) -> Vec<&'static str> {
    let state = |reader: &Subscription| match room.store.subscription(reader.id).unwrap().unwrap().record.state {
        SubscriptionState::Confirmed { .. } => "confirmed",
        SubscriptionState::Refused { .. } => "refused",
        SubscriptionState::Unsubscribed { .. } => "left",
        SubscriptionState::Pending => "pending",
    };
    readers.iter().map(state).collect()
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_gets_nothing_more_and_one_that_is_full_is_given_time() {
    let room = Room::open();
    let readers = readers(&room).await;
    let returns = returns(&room);
    let (first, other) = (sender(&room, &readers[0]), sender(&room, &readers[2]));
    assert_eq!(returns.take(&other, report("5.1.1").as_bytes()).await.unwrap(), Taken::Done);
    assert_eq!(states(&room, &readers), ["confirmed", "confirmed", "refused"]);
    for day in 0..4 {
        assert_eq!(states(&room, &readers)[0], "confirmed", "day {day}");
        for _ in 0..3 {
            returns.take(&first, report("5.2.2").as_bytes()).await.unwrap();
        }
        room.clock.advance(Duration::days(1));
    }
    assert_eq!(states(&room, &readers), ["refused", "refused", "refused"], "the address, not the subscription");
    let told = room.store.subscription(readers[1].id).unwrap().unwrap().record.state;
    assert!(matches!(told, SubscriptionState::Refused { reply, .. } if reply == "5.2.2"));
}

#[tokio::test]
async fn a_report_says_nothing_of_who_has_confirmed_since() {
    let room = Room::open();
    let early = sender(&room, &room.subscribed(1, &Selection::all()).await[0]);
    let stored = room.store.subscription_of_reader0();
    room.clock.advance(Duration::days(3));
    let again = Subscription { state: SubscriptionState::Confirmed { at: room.clock.now() }, ..stored.record.clone() };
    let mut batch = Batch::default();
    room.store.write_subscription(&mut batch, Some(&stored), &again);
    room.store.commit(batch).await.unwrap();
    returns(&room).take(&early, report("5.1.1").as_bytes()).await.unwrap();
    assert_eq!(states(&room, std::slice::from_ref(&again)), ["confirmed"]);
    returns(&room).take(&sender(&room, &again), report("5.1.1").as_bytes()).await.unwrap();
    assert_eq!(states(&room, &[again]), ["refused"]);
}

trait Known {
    fn subscription_of_reader0(&self) -> tidings::store::Stored<Subscription>;
}

impl Known for Store {
    fn subscription_of_reader0(&self) -> tidings::store::Stored<Subscription> {
        let subscriber = self.subscriber_of(&address("reader0@example.net")).unwrap().unwrap();
        self.subscriptions_of(&subscriber.record).unwrap().remove(0)
    }
}

#[tokio::test]
async fn who_complains_gets_nothing_more_and_who_leaves_by_mail_is_told_so() {
    let room = Room::open();
    let readers = readers(&room).await;
    let complaint = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n\
        --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n\r\n--b--\r\n";
    returns(&room).take(&sender(&room, &readers[0]), complaint.as_bytes()).await.unwrap();
    assert_eq!(states(&room, &readers), ["left", "left", "confirmed"]);
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 0, "and no mail about that");
    // Nobody can have who has complained asked, unless the operator knows better.
    let complained = readers[0].address.clone();
    room.subscriptions.ask(Asking::new(complained.clone(), only(&["economy"]))).await.unwrap();
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 0);
    room.subscriptions.allow(&complained).await.unwrap();
    room.subscriptions.ask(Asking::new(complained.clone(), only(&["economy"]))).await.unwrap();
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 1);
    assert_eq!(room.subscriptions.allow(&complained).await.unwrap_err().kind, Kind::NotFound);
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let leave = format!("From: reader1@example.net\r\nSubject: {}\r\n\r\n", room.leaving(&readers[2]));
    for _ in 0..2 {
        let taken = returns(&room).take("bounces+leave@news.example.org", leave.as_bytes()).await.unwrap();
        assert_eq!(taken, Taken::Done);
    }
    assert_eq!(states(&room, &readers), ["left", "left", "left"]);
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 1, "once");
}

#[tokio::test]
async fn a_complaint_by_a_link_that_was_passed_on_ends_one_subscription_and_tells_its_owner() {
    let room = Room::open();
    let readers = readers(&room).await;
    let token = tidings::wire::mail::Token::leave(readers[0].id).seal(&room.store.identity().secret);
    let forged = format!(
        "From: x@example.com\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n--b\r\n\
         Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\nList-Unsubscribe: <https://news.example.org/subscriptions/{token}>\r\n\r\n--b--\r\n"
    );
    returns(&room).take("bounces@news.example.org", forged.as_bytes()).await.unwrap();
    assert_eq!(states(&room, &readers), ["left", "confirmed", "confirmed"]);
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails: Vec<String> = room.mails().iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect();
    assert!(mails.len() == 1 && mails[0].contains("To: reader0@example.net"), "{mails:?}");
}

#[tokio::test]
async fn a_maildir_is_emptied_and_what_is_for_a_person_stays_unread() {
    let room = Room::open();
    let readers = readers(&room).await;
    let folder = tempfile::tempdir().unwrap();
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let to = sender(&room, &readers[0]);
    let put = |name: &str, text: &str| std::fs::write(folder.path().join("new").join(name), text).unwrap();
    put("1.a.host", &format!("Delivered-To: {to}\r\n{}", report("5.1.1")));
    put("2.b.host:2,", &format!("To: <{to}>\r\nFrom: reader@example.net\r\nSubject: Re: News\r\n\r\nThank you!\r\n"));
    put("3.c.host", "");
    // What cannot be read stays, is told of, and holds nothing up.
    std::fs::create_dir(folder.path().join("new/0.folder")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("new/00.link")).unwrap();
    let looked = returns(&room).look_into(folder.path()).await;
    assert_eq!(looked.read, 3);
    assert!(looked.trouble.is_some_and(|told| told.contains("new/0") && told.contains("not a file")));
    std::fs::remove_dir(folder.path().join("new/0.folder")).unwrap();
    std::fs::remove_file(folder.path().join("new/00.link")).unwrap();
    assert_eq!(returns(&room).look_into(folder.path()).await, Looked::default());
    let mut seen: Vec<String> = std::fs::read_dir(folder.path().join("cur"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    seen.sort();
    assert_eq!(seen, ["1.a.host:2,S", "2.b.host:2,", "3.c.host:2,"]);
    assert_eq!(states(&room, &readers), ["refused", "refused", "confirmed"]);
    std::fs::remove_dir(folder.path().join("new")).unwrap();
    let told = returns(&room).look_into(folder.path()).await.trouble.unwrap();
    assert!(told.contains("new"), "{told}");
}

/// A room that takes mail at the port.
pub(super) async fn listening(room: &Room) -> (u16, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    tokio::spawn(returns(room).serve_lmtp(listener, stop.clone()));
    (port, stop)
}

#[tokio::test]
async fn a_client_of_another_make_hands_mail_over_by_lmtp() {
    const CLIENT: &str = "import smtplib, sys
port, ours, mail = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with smtplib.LMTP('127.0.0.1', port) as lmtp:
    refused = lmtp.sendmail('', [ours, 'nobody@example.net'], mail)
    assert refused.keys() == {'nobody@example.net'} and refused['nobody@example.net'][0] == 550, refused
    lmtp.sendmail('', [ours], mail.replace('5.1.1', '5.2.2'))
";
    let room = Room::open();
    let readers = readers(&room).await;
    let (port, stop) = listening(&room).await;
    let (to, mail) = (sender(&room, &readers[0]), report("5.1.1"));
    let client = move || Command::new("python3").args(["-c", CLIENT, &port.to_string(), &to, &mail]).output().unwrap();
    let done = tokio::task::spawn_blocking(client).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(states(&room, &readers), ["refused", "refused", "confirmed"]);
    stop.cancel();
}

#[tokio::test]
async fn what_makes_no_sense_gets_an_answer_and_nothing_else() {
    let room = Room::open();
    let (port, stop) = listening(&room).await;
    let talk = async |said: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // What it no longer wants to hear it need not take.
        let _ = stream.write_all(said.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        let text = String::from_utf8(heard).unwrap();
        text.lines()
            .filter(|line| line.as_bytes().get(3) == Some(&b' '))
            .map(|line| line[..3].to_owned())
            .collect::<Vec<_>>()
    };
    let codes = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (said, expected) in [
        ("QUIT\r\n", "220 221"),
        ("EHLO x\r\nMAIL FROM:<>\r\nLHLO x\r\nDATA\r\nRCPT TO:<a@b>\r\nquit\r\n", "220 500 503 250 503 503 221"),
        (
            "LHLO x\r\nMAIL <>\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nVRFY a\r\nNOOP\r\nQUIT\r\n",
            "220 250 501 250 503 503 252 250 221",
        ),
        (
            "lhlo x\r\nmail from:<> SIZE=5\r\nrcpt to:<@relay:BOUNCES@News.example.org>\r\nrset\r\ndata\r\nquit\r\n",
            "220 250 250 250 250 503 221",
        ),
        (
            "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bounces@news.example.org>\r\nDATA\r\n..\r\n.\r\nQUIT\r\n",
            "220 250 250 250 354 250 221",
        ),
        ("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bounces@news.example.org>\r\nDATA\r\nhalf a mail", "220 250 250 250 354"),
    ] {
        // The end of what is said is the end of the conversation.
        assert_eq!(talk(said.to_owned()).await, codes(expected), "{said}");
    }
    let nonsense = talk("x\r\n".repeat(100)).await;
    assert_eq!((nonsense.len(), nonsense.last().map(String::as_str)), (22, Some("421")), "it has an end");
    assert_eq!(talk("x".repeat(10_000)).await, ["220"], "a line without one");
    stop.cancel();
}
