//! Alarms: for mail that is late, and for mail that does not arrive; each begins once and ends once.

use super::numbers::{bounce, enclosed};
use super::returns::{home, listening, returns};
use super::*;
use chrono::NaiveDate;
use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use tidings::config::{Canary, MailClass, Shape, WarmUp, Watchdog as Deadlines};
use tidings::domain::{Edition, Seq, Span};
use tidings::services::quarantine::{Owed, Quarantine};
use tidings::services::returns::Taken;
use tidings::services::watchdog::Watchdog;
use tidings::store::LedgerRow;
use tidings::wire::mail::canary::HEADER;
use tidings::wire::mail::{Mark, envelope_sender};
use tracing_subscriber::fmt::MakeWriter;

pub(super) fn watchdog(room: &Room, canary: Option<Canary>) -> Watchdog {
    let hint = Arc::clone(&room.hint);
    Watchdog::new(Arc::clone(&room.store), room.clock.clone(), Deadlines::default(), canary, hint)
}

/// A round to its end; what is late after it.
pub(super) async fn late(watchdog: &Watchdog) -> Vec<(MailClass, u64)> {
    while watchdog.step().await.unwrap() == Step::Worked {}
    watchdog.seen().unwrap().late.iter().map(|(class, late)| (*class, late.messages)).collect()
}

/// What is logged while this is held.
#[derive(Clone, Default)]
pub(super) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Logged;

    fn make_writer(&'a self) -> Logged {
        self.clone()
    }
}

impl Logged {
    pub(super) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let logged = Logged::default();
        let lines = tracing_subscriber::fmt().with_writer(logged.clone()).with_ansi(false).finish();
        (logged, tracing::subscriber::set_default(lines))
    }

    /// Lines of this level that hold `text`.
    pub(super) fn count(&self, level: &str, text: &str) -> usize {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().filter(|line| line.contains(&format!(" {level} ")) && line.contains(text)).count()
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_for_too_long_raises_one_alarm_and_ends_it_when_it_goes_out() {
    let (logged, _guard) = Logged::begin();
    let (room, peer, ..) = on_its_way().await;
    let (mailer, watchdog) = (room.mailer(settings(Some(smtp(&peer)))), watchdog(&room, None));
    peer.will(At::Rcpt, Act::Say("450 4.2.0 later"));
    mailer.step().await.unwrap();
    room.clock.advance(Duration::minutes(60));
    assert_eq!(late(&watchdog).await, [], "not a moment before");
    room.clock.advance(Duration::seconds(1));
    for _ in 0..3 {
        assert_eq!(late(&watchdog).await, [(MailClass::Notice, 1)]);
        room.clock.advance(Duration::minutes(1));
    }
    assert!(!watchdog.seen().unwrap().ok);
    mailer.step().await.unwrap();
    assert_eq!(peer.accepted().len(), 1);
    for _ in 0..2 {
        assert_eq!(late(&watchdog).await, []);
    }
    assert!(watchdog.seen().unwrap().ok);
    assert_eq!((logged.count("ERROR", "mail is late"), logged.count("INFO", "in time again")), (1, 1));
}

#[tokio::test]
async fn each_class_has_its_own_deadline() {
    let room = Room::open();
    let article = room.publish("News", &["science"]).await.id;
    room.clock.advance(Duration::seconds(1));
    let reader = room.subscribed(1, &Selection::all()).await.remove(0);
    room.notified().await;
    let watchdog = watchdog(&room, None);
    let edition = Edition::of(NaiveDate::from_ymd_opt(2027, 1, 15).unwrap());
    let span = Span { since: Seq(0), until: Seq(1), besides: vec![], without: vec![] };
    for (message, class, minutes) in [
        (Message::Confirmation { round: 1 }, MailClass::Confirmation, 15),
        (Message::Notice { article: article.clone() }, MailClass::Notice, 60),
        (Message::Digest { edition, span, is_fold: false }, MailClass::Digest, 120),
        (Message::Correction { article, revision: 1, digest: None }, MailClass::Correction, 60),
        (Message::Preferences { round: 1 }, MailClass::Preferences, 15),
        (Message::Farewell { round: 1 }, MailClass::Preferences, 15),
    ] {
        let now = room.clock.now();
        // Half an hour of grace does not count.
        let row = LedgerRow::new(message, reader.id, None, now).due_at(now + Duration::minutes(30));
        let mut batch = Batch::default();
        room.store.write_message(&mut batch, &row);
        room.store.commit(batch).await.unwrap();
        room.clock.advance(Duration::minutes(30 + minutes));
        assert_eq!(late(&watchdog).await, [], "{class:?}");
        room.clock.advance(Duration::seconds(1));
        assert_eq!(late(&watchdog).await, [(class, 1)]);
        let mut batch = Batch::default();
        room.store.delete_message(&mut batch, &room.store.message(&row.key()).unwrap().unwrap());
        room.store.commit(batch).await.unwrap();
        assert_eq!(late(&watchdog).await, [], "{class:?}");
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_is_not_late_and_what_a_provider_refuses_is() {
    let (room, ..) = Room::owing(3).await;
    let watchdog = watchdog(&room, None);
    let peer = Peer::start(Security::Plain).await;
    let plan = WarmUp { from: room.clock.now() - Duration::hours(1), messages: 1, growth_percent: 1 };
    let mailer = room.mailer(Mail { warm_up: Some(plan), ..settings(Some(smtp(&peer))) });
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(peer.accepted().len(), 1, "the others have turns on later days");
    room.clock.advance(Duration::hours(20));
    assert_eq!(late(&watchdog).await, []);
    room.clock.advance(Duration::hours(5));
    assert_eq!(late(&watchdog).await, [(MailClass::Notice, 1)], "its turn has come, and nobody has sent it");
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(late(&watchdog).await, []);

    let (room, ..) = Room::owing(3).await;
    let shape = Shape {
        name: tidings::config::OTHERS.into(),
        domains: vec![],
        connections: 1,
        messages_per_connection: 100,
        messages_per_minute: 0,
        refusals_max: 1,
    };
    let mailer = room.mailer(Mail { shapes: vec![shape], ..settings(Some(smtp(&peer))) });
    peer.refuse("example.net", Some("450 4.7.0 too much"));
    while mailer.step().await.unwrap() == Step::Worked {}
    room.clock.advance(Duration::minutes(61));
    let watchdog = self::watchdog(&room, None);
    assert_eq!(late(&watchdog).await, [(MailClass::Notice, 3)], "also those that were not tried");
}

#[tokio::test]
async fn what_is_held_by_a_person_or_a_quarantine_is_not_late() {
    let (room, peer, article, reader) = on_its_way().await;
    let mailer = room.mailer(settings(Some(smtp(&peer))));
    peer.will(At::Body, Act::Cut);
    mailer.step().await.unwrap();
    assert!(matches!(room.delivery(&article, &reader), Delivery::OnWire { .. }));
    room.publish("More", &["science"]).await;
    room.notified().await;
    let mut dump = Vec::new();
    tidings::store::export(&room.store, &mut dump).unwrap();
    room.clock.advance(Duration::minutes(1));
    while mailer.step().await.unwrap() == Step::Worked {}
    assert_eq!(peer.accepted().len(), 1);
    room.clock.advance(Duration::days(2));
    assert_eq!(late(&watchdog(&room, None)).await, [], "only the doubtful one is left, and that waits for a decision");

    let folder = tempfile::tempdir().unwrap();
    tidings::store::import(&folder.path().join("store"), &mut dump.as_slice()).unwrap();
    let copy = Room::open_in(folder, room.clock.clone());
    let quarantine = Quarantine::new(Arc::clone(&copy.store), copy.clock.clone(), Arc::clone(&copy.hint));
    quarantine.look().await.unwrap();
    let watchdog = watchdog(&copy, None);
    assert_eq!(late(&watchdog).await, []);
    assert!(watchdog.seen().unwrap().quarantined);
    quarantine.release(Owed::Send).await.unwrap();
    copy.clock.advance(Duration::minutes(60));
    assert_eq!(late(&watchdog).await, [], "the deadline begins with the release");
    copy.clock.advance(Duration::minutes(1));
    assert_eq!(late(&watchdog).await, [(MailClass::Notice, 1)]);
}

const ADDRESS: &str = "bounces+canary@news.example.org";

pub(super) fn canary() -> Canary {
    Canary { address: address(ADDRESS), every: Duration::minutes(30), deadline: Duration::minutes(15) }
}

/// The canary that has just been sent.
async fn sent(mailer: &Arc<Mailer>, room: &Room) -> Vec<u8> {
    let before = room.mails();
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut new = room.mails().into_iter().filter(|mail| !before.contains(mail));
    let mail = new.next().expect("a canary");
    assert!(new.next().is_none());
    mail
}

#[tokio::test]
async fn a_canary_that_comes_back_by_lmtp_proves_delivery_and_one_that_does_not_is_an_alarm() {
    const CLIENT: &str = "import smtplib, sys
with smtplib.LMTP('127.0.0.1', int(sys.argv[1])) as lmtp:
    lmtp.sendmail('', [sys.argv[2]], sys.argv[3].encode())
";
    let (logged, _guard) = Logged::begin();
    let room = Room::open();
    let options = Mail { return_address: Some(home()), canary: Some(canary()), ..room.outbox() };
    let (mailer, watchdog) = (room.mailer(options), watchdog(&room, Some(canary())));
    let (port, stop) = listening(&room).await;
    let hand_over = async |mail: &[u8]| {
        let mail = String::from_utf8(mail.to_vec()).unwrap();
        let words = ["-c".to_owned(), CLIENT.to_owned(), port.to_string(), ADDRESS.to_owned(), mail];
        let client = move || Command::new("python3").args(words).output().unwrap();
        let done = tokio::task::spawn_blocking(client).await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let missing = async || {
        while watchdog.step().await.unwrap() == Step::Worked {}
        watchdog.seen().unwrap().canary.unwrap().missing_since.is_some()
    };
    assert!(!missing().await);
    let first = sent(&mailer, &room).await;
    hand_over(&first).await;
    room.clock.advance(Duration::minutes(29));
    assert!(!missing().await, "it came back");
    assert_eq!(mailer.step().await.unwrap(), Step::Idle, "the next one has time");
    room.clock.advance(Duration::minutes(1));
    assert!(!missing().await);
    let second = sent(&mailer, &room).await;
    assert_eq!(room.store.count_due(tidings::store::Due::Message, 9).unwrap(), 0);
    room.clock.advance(Duration::minutes(15));
    assert!(!missing().await, "not a moment before");
    room.clock.advance(Duration::seconds(1));
    for _ in 0..3 {
        assert!(missing().await);
        room.clock.advance(Duration::minutes(1));
    }
    // What has come before proves nothing, nor does what nobody has signed, nor a bounce that encloses the canary.
    hand_over(&first).await;
    assert!(missing().await);
    let returns = returns(&room);
    let text = String::from_utf8(second.clone()).unwrap();
    let sealed = text.lines().find_map(|line| line.strip_prefix(&format!("{HEADER}: "))).unwrap().trim().to_owned();
    let secret = &room.store.identity().secret;
    let mark = Mark::open(&sealed, secret).expect("our own");
    assert_eq!(mark.number, 2);
    let next = Mark { number: 3, ..mark }.seal(secret);
    for wrong in [mark.seal(&[9; 32]), next.clone(), sealed[1..].to_owned(), String::new()] {
        let forged = text.replace(&sealed, &wrong);
        let taken = returns.take(ADDRESS, forged.as_bytes()).await.unwrap();
        assert!(taken == Taken::ForAPerson || wrong == next, "{wrong}");
        assert!(missing().await, "{wrong}");
    }
    // Nor does the mail itself, sent back as it was to its sender, as some servers do.
    let sender = envelope_sender(&home(), SubscriptionId(Uuid::nil()), room.clock.now(), secret);
    assert_eq!(returns.take(&sender, &second).await.unwrap(), Taken::ForAPerson);
    assert!(missing().await);
    returns.take("bounces@news.example.org", bounce(&enclosed(&second)).as_bytes()).await.unwrap();
    assert!(missing().await);
    hand_over(&second).await;
    for _ in 0..2 {
        assert!(!missing().await);
    }
    assert_eq!((logged.count("ERROR", "canary"), logged.count("INFO", "canary has come back")), (1, 1));
    assert!(tidings::store::check(&room.store).is_clean());
    stop.cancel();
}

#[tokio::test]
async fn a_canary_is_found_in_a_maildir_and_a_late_one_still_tells_that_mail_arrives() {
    let room = Room::open();
    let options = Mail { return_address: Some(home()), canary: Some(canary()), ..room.outbox() };
    let (mailer, watchdog) = (room.mailer(options), watchdog(&room, Some(canary())));
    let folder = tempfile::tempdir().unwrap();
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    late(&watchdog).await;
    let first = sent(&mailer, &room).await;
    room.clock.advance(Duration::minutes(40));
    late(&watchdog).await;
    sent(&mailer, &room).await;
    assert!(watchdog.seen().unwrap().canary.unwrap().missing_since.is_some());
    std::fs::write(folder.path().join("new/1.a.host"), &first).unwrap();
    assert_eq!(returns(&room).look_into(folder.path()).await.read, 1);
    assert!(folder.path().join("cur/1.a.host:2,S").exists());
    late(&watchdog).await;
    assert!(watchdog.seen().unwrap().ok, "and the second one has time from its own sending on");
    room.clock.advance(Duration::minutes(16));
    late(&watchdog).await;
    assert!(!watchdog.seen().unwrap().ok);
}

#[tokio::test]
async fn what_has_a_later_turn_is_not_even_looked_at_and_what_is_due_is_looked_at_in_pieces() {
    let room = Room::open();
    let readers = room.subscribed(5_000, &Selection::all()).await;
    let article = room.publish("News", &["science"]).await;
    let now = room.clock.now();
    let owe = async |due_at: Time, round: u32| {
        for piece in readers.chunks(250) {
            let mut batch = Batch::default();
            for reader in piece {
                let message = match round {
                    0 => Message::Notice { article: article.id.clone() },
                    round => Message::Preferences { round },
                };
                let row = LedgerRow::new(message, reader.id, None, now).due_at(due_at);
                room.store.write_message(&mut batch, &row);
            }
            room.store.commit(batch).await.unwrap();
        }
    };
    owe(now + Duration::hours(6), 0).await;
    let watchdog = watchdog(&room, None);
    assert_eq!(watchdog.step().await.unwrap(), Step::Idle, "one look is a whole round");
    owe(now, 1).await;
    room.clock.advance(Duration::minutes(16));
    assert_eq!(watchdog.step().await.unwrap(), Step::Worked);
    assert_eq!(late(&watchdog).await, [(MailClass::Preferences, 5_000)]);
}

#[tokio::test]
async fn who_keeps_a_canary_back_has_nothing_of_it_after_its_time() {
    let room = Room::open();
    let options = Mail { return_address: Some(home()), canary: Some(canary()), ..room.outbox() };
    let (mailer, watchdog, returns) = (room.mailer(options), watchdog(&room, Some(canary())), returns(&room));
    let mut kept = Vec::new();
    for _ in 0..3 {
        late(&watchdog).await;
        kept.push(sent(&mailer, &room).await);
        room.clock.advance(Duration::minutes(30));
    }
    late(&watchdog).await;
    let missing = || watchdog.seen().unwrap().canary.unwrap();
    let since = missing().missing_since.expect("none has come");
    // The first two are an hour old and more: another one should have come since.
    for old in &kept[..2] {
        assert_eq!(returns.take(ADDRESS, old).await.unwrap(), Taken::Done);
        late(&watchdog).await;
        assert_eq!((missing().missing_since, missing().proven_at), (Some(since), None));
    }
    returns.take(ADDRESS, &kept[2]).await.unwrap();
    late(&watchdog).await;
    assert!(watchdog.seen().unwrap().ok);
}
