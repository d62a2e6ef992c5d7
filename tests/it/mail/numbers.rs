//! What became of mails, counted: each once, whatever breaks off, and by nothing that a mail does behind its reader's back.

use super::corrections::{corrections, edited, made_out, sent};
use super::digests::{daily, subscribed, until_seven};
use super::returns::{home, listening, returns, sender};
use super::*;
use tidings::services::ageing::{Ageing, Ages};
use tidings::services::numbers::{Asked, By, Row, page};
use tidings::store::Numbers;
use tidings::wire::mail::envelope_sender;

async fn rows(room: &Room, by: By) -> Vec<Row> {
    let asked = Asked { by, since: None, cursor: None, limit: 100 };
    page(&room.store, asked, room.clock.now()).await.unwrap().numbers
}

async fn only_row(room: &Room, by: By) -> Row {
    let mut rows = rows(room, by).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// Accepted, deferred, bounced, complained, unsubscribed.
fn sums(numbers: Numbers) -> [u64; 5] {
    let Numbers { accepted, deferred, bounced, complained, unsubscribed } = numbers;
    [accepted, deferred, bounced, complained, unsubscribed]
}

/// The same sums by article, by selection and by domain.
#[track_caller]
fn are(found: [Row; 3], article: &Article, expected: [u64; 5]) {
    let [of_article, of_selection, of_domain] = found;
    assert_eq!(of_article.article.as_ref(), Some(&article.id));
    assert_eq!((of_article.title.as_deref(), of_selection.selection.as_deref()), (Some("News"), Some("*")));
    assert_eq!(of_domain.domain.as_deref(), Some("example.net"));
    for row in [of_article, of_selection, of_domain] {
        assert_eq!(sums(row.numbers), expected, "{row:?}");
    }
}

async fn all(room: &Room) -> [Row; 3] {
    [only_row(room, By::Article).await, only_row(room, By::Selection).await, only_row(room, By::Domain).await]
}

/// What one bounce or complaint holds of the mail that it is about.
pub(super) fn enclosed(mail: &[u8]) -> String {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap();
    format!("--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--b--\r\n")
}

pub(super) fn bounce(enclosed: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; reader@example.net\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n{enclosed}"
    )
}

fn complaint(enclosed: &str) -> String {
    format!(
        "From: fbl@mx.example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n\r\n{enclosed}"
    )
}

#[tokio::test]
async fn what_a_mail_server_says_is_counted_once_over_a_crash_and_an_import() {
    let (room, _, article) = Room::owing(5).await;
    let peer = Peer::start(Security::Plain).await;
    let options = |peer: &Peer| Mail { doubtful: Doubtful::Resend, ..settings(Some(smtp(peer))) };
    let mailer = room.mailer(options(&peer));
    for act in [Act::Say("450 4.2.0 later"), Act::Say("550 5.1.1 no such user"), Act::Usual, Act::Say("550 5.7.1 spam")]
    {
        peer.will(At::Rcpt, act);
    }
    mailer.step().await.unwrap();
    are(all(&room).await, &article, [2, 1, 2, 0, 0]);
    // The daemon is killed while the one that was put off is on the wire.
    room.until_due();
    peer.will(At::Body, Act::Stall);
    let under_way = tokio::spawn(async move { mailer.step().await });
    while peer.log.lock().unwrap().mails.len() < 3 {
        tokio::task::yield_now().await;
    }
    under_way.abort();
    assert!(under_way.await.unwrap_err().is_cancelled());
    let room = room.restart().await;
    are(all(&room).await, &article, [2, 1, 2, 0, 0]);
    let mailer = room.mailer(options(&peer));
    while mailer.step().await.unwrap() == Step::Worked {}
    are(all(&room).await, &article, [3, 1, 2, 0, 0]);
    let mut dump = Vec::new();
    tidings::store::export(&room.store, &mut dump).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tidings::store::import(&folder.path().join("store"), &mut dump.as_slice()).unwrap();
    let copy = Room::open_in(folder, room.clock.clone());
    are(all(&copy).await, &article, [3, 1, 2, 0, 0]);
    assert!(tidings::store::check(&copy.store).is_clean());
    assert!(rows(&room, By::Digest).await.is_empty());
}

#[tokio::test]
async fn connections_that_count_for_the_same_article_are_not_in_each_others_way() {
    let (room, _, article) = Room::owing(300).await;
    let peer = pipelining().await;
    let mailer = room.mailer(settings(Some(Smtp { connections: 8, ..smtp(&peer) })));
    while mailer.step().await.unwrap() == Step::Worked {}
    assert!(peer.log.lock().unwrap().connections > 1);
    are(all(&room).await, &article, [300, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_comes_back_counts_for_the_mail_that_it_encloses_and_once() {
    let (room, readers, article) = Room::owing(3).await;
    let mailer = room.mailer(Mail { return_address: Some(home()), ..room.outbox() });
    while mailer.step().await.unwrap() == Step::Worked {}
    let mails = room.mails();
    let mail_to = |reader: &Subscription| {
        let to = format!("To: {}", reader.address.as_str());
        mails.iter().find(|mail| String::from_utf8_lossy(mail).contains(&to)).unwrap()
    };
    let returns = returns(&room);
    for _ in 0..2 {
        let report = bounce(&enclosed(mail_to(&readers[0])));
        returns.take(&sender(&room, &readers[0]), report.as_bytes()).await.unwrap();
    }
    are(all(&room).await, &article, [3, 0, 1, 0, 0]);
    // One of another reader, and one that encloses nothing: whose mail it was is known, which one is not.
    let report = bounce(&enclosed(mail_to(&readers[1])));
    returns.take(&sender(&room, &readers[2]), report.as_bytes()).await.unwrap();
    let [of_article, of_selection, of_domain] = all(&room).await;
    assert_eq!(sums(of_article.numbers), [3, 0, 1, 0, 0]);
    assert_eq!((sums(of_selection.numbers), sums(of_domain.numbers)), ([3, 0, 2, 0, 0], [3, 0, 2, 0, 0]));
    // A complaint, by LMTP from a client of another make, twice.
    const CLIENT: &str = "import smtplib, sys
with smtplib.LMTP('127.0.0.1', int(sys.argv[1])) as lmtp:
    for _ in range(2):
        lmtp.sendmail('fbl@mx.example.net', [sys.argv[2]], sys.argv[3])
";
    let (port, stop) = listening(&room).await;
    let report = complaint(&enclosed(mail_to(&readers[1])));
    let to = "bounces@news.example.org".to_owned();
    let client = move || {
        let words = ["-c", CLIENT, &port.to_string(), &to, &report];
        std::process::Command::new("python3").args(words).output().unwrap()
    };
    let done = tokio::task::spawn_blocking(client).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    stop.cancel();
    assert_eq!(sums(only_row(&room, By::Article).await.numbers), [3, 0, 1, 1, 0]);
    assert_eq!(sums(only_row(&room, By::Domain).await.numbers), [3, 0, 2, 1, 0]);
    // What nobody has signed counts nowhere.
    let other = envelope_sender(&home(), readers[0].id, room.clock.now(), &[9; 32]);
    returns.take(&other, bounce(&enclosed(mail_to(&readers[0]))).as_bytes()).await.unwrap();
    assert_eq!(sums(only_row(&room, By::Domain).await.numbers), [3, 0, 2, 1, 0]);
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn who_leaves_counts_for_the_mail_whose_link_it_was() {
    let room = Room::open();
    let readers = room.subscribed(3, &Selection::all()).await;
    let articles = [room.publish("First", &["science"]).await, room.publish("Second", &["science"]).await];
    room.notified().await;
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let link_in = |reader: &Subscription, subject: &str| {
        let is_it = |mail: &&Vec<u8>| {
            let mail = MessageParser::new().parse(mail.as_slice()).unwrap();
            let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
            mail.subject() == Some(subject) && to == reader.address.as_str()
        };
        let mails = room.mails();
        link(mails.iter().find(is_it).unwrap())
    };
    for _ in 0..2 {
        room.subscriptions.leave(&link_in(&readers[0], "Second")).await.unwrap();
    }
    room.subscriptions.leave(&room.leaving(&readers[1])).await.unwrap();
    let left = async |article: &Article| room.store.numbers_of(&article.id).unwrap().unsubscribed;
    assert_eq!((left(&articles[0]).await, left(&articles[1]).await), (0, 1));
    assert_eq!(only_row(&room, By::Domain).await.numbers.unsubscribed, 2, "by a link that does not say which mail");
    // The correction of an article counts for it as well.
    let right = edited(&room, &articles[0], |content| content.title = "Not the first".into()).await;
    corrections(&room).ask(&right.id, &Default::default()).await.unwrap();
    made_out(&room).await;
    sent(&mailer).await;
    room.subscriptions.leave(&link_in(&readers[2], "Correction: Not the first")).await.unwrap();
    assert_eq!(left(&articles[0]).await, 1);
    assert_eq!(sums(room.store.numbers_of(&right.id).unwrap())[0], 4, "three notices and a correction");
}

#[tokio::test]
async fn digests_count_by_window_and_selection() {
    let room = Room::open();
    for (to, query) in
        [("a@example.net", "category:science"), ("b@example.net", "category:science"), ("c@example.org", "")]
    {
        subscribed(&room, to, query, daily(7)).await;
    }
    room.publish("News", &["science"]).await;
    until_seven(&room);
    room.digested().await;
    let before = room.mails();
    let mailer = room.mailer(room.outbox());
    while mailer.step().await.unwrap() == Step::Worked {}
    let mut new: Vec<Vec<u8>> = room.mails().into_iter().filter(|mail| !before.contains(mail)).collect();
    new.retain(|mail| String::from_utf8_lossy(mail).contains("To: c@example.org"));
    room.subscriptions.leave(&link(&new[0])).await.unwrap();
    let rows = rows(&room, By::Digest).await;
    let window = rows[0].window.unwrap();
    let found: Vec<_> =
        rows.iter().map(|row| (row.window.unwrap(), row.selection.as_deref().unwrap(), sums(row.numbers))).collect();
    assert_eq!(found, [(window, "category:science", [2, 0, 0, 0, 0]), (window, "*", [1, 0, 0, 0, 1])]);
    let page_of = async |cursor: Option<String>| {
        let asked = Asked { by: By::Digest, since: Some(window), cursor, limit: 1 };
        page(&room.store, asked, room.clock.now()).await.unwrap()
    };
    let first = page_of(None).await;
    let second = page_of(first.next.clone()).await;
    assert_eq!((first.numbers, second.numbers), (vec![rows[0].clone()], vec![rows[1].clone()]));
    assert!(page_of(second.next).await.numbers.is_empty());
    let later = Asked { by: By::Digest, since: window.succ_opt(), cursor: None, limit: 9 };
    assert!(page(&room.store, later, room.clock.now()).await.unwrap().numbers.is_empty());
    let domains = Asked { by: By::Domain, since: None, cursor: Some("example.net".into()), limit: 9 };
    let behind = page(&room.store, domains, room.clock.now()).await.unwrap().numbers;
    assert_eq!(behind.iter().map(|row| row.domain.as_deref().unwrap()).collect::<Vec<_>>(), ["example.org"]);
    let odd = Asked { by: By::Digest, since: None, cursor: Some("yesterday".into()), limit: 9 };
    assert_eq!(page(&room.store, odd, room.clock.now()).await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn what_is_put_off_refused_sent_back_and_complained_of_counts_for_its_digest() {
    let mut room = Room::open();
    for name in ["late", "gone", "back", "angry"] {
        subscribed(&room, &format!("a@{name}.example"), "category:science", daily(7)).await;
    }
    subscribed(&room, "a@fine.example", "", daily(7)).await;
    room.publish("News", &["science"]).await;
    until_seven(&room);
    room.digested().await;
    let peer = Peer::start(Security::Plain).await;
    let options = Mail { return_address: Some(home()), ..settings(Some(smtp(&peer))) };
    peer.refuse("late.example", Some("450 4.2.0 later"));
    peer.refuse("gone.example", Some("550 5.1.1 no such user"));
    sent(&room.mailer(options.clone())).await;
    let by_digest = async |room: &Room| {
        let rows = rows(room, By::Digest).await;
        rows.iter().map(|row| (row.selection.clone().unwrap(), sums(row.numbers))).collect::<Vec<_>>()
    };
    let expected = |of_science| [("category:science".to_owned(), of_science), ("*".to_owned(), [1, 0, 0, 0, 0])];
    assert_eq!(by_digest(&room).await, expected([2, 1, 1, 0, 0]));
    let mail_to = |to: &str| {
        let log = peer.log.lock().unwrap();
        log.mails.iter().find(|mail| mail.to == to).expect("a mail").bytes.clone()
    };
    for _ in 0..2 {
        let back = bounce(&enclosed(&mail_to("a@back.example")));
        let to = sender(&room, &room.subscription("a@back.example"));
        returns(&room).take(&to, back.as_bytes()).await.unwrap();
        let angry = complaint(&enclosed(&mail_to("a@angry.example")));
        returns(&room).take("bounces@news.example.org", angry.as_bytes()).await.unwrap();
        // A report that comes again, as after a restart, counts no second time.
        room = room.restart().await;
        assert_eq!(by_digest(&room).await, expected([2, 1, 2, 1, 0]));
    }
    peer.refuse("late.example", None);
    room.until_due();
    sent(&room.mailer(options)).await;
    assert_eq!(by_digest(&room).await, expected([3, 1, 2, 1, 0]), "what was put off has gone");
    assert!(rows(&room, By::Article).await.is_empty(), "no notice was sent");
    assert!(tidings::store::check(&room.store).is_clean());
}

#[tokio::test]
async fn numbers_go_when_they_are_too_old_and_not_before() {
    let room = Room::open();
    subscribed(&room, "a@example.net", "category:science", daily(7)).await;
    subscribed(&room, "b@example.net", "", Cadence::Instant).await;
    let mailer = room.mailer(room.outbox());
    let first = room.clock.now().date_naive();
    let kept = async |by| {
        let asked = Asked { by, since: Some(first), cursor: None, limit: 100 };
        page(&room.store, asked, room.clock.now())
            .await
            .unwrap()
            .numbers
            .iter()
            .map(|row| row.numbers.accepted)
            .sum::<u64>()
    };
    let all = async || [kept(By::Article).await, kept(By::Digest).await, kept(By::Selection).await];
    let ages = Ages { numbers: Duration::days(400), messages: Duration::days(3_650) };
    let ageing = Ageing::new(Arc::clone(&room.store), room.clock.clone(), ages);
    let aged = async || while ageing.step().await.unwrap() == Step::Worked {};
    for title in ["Old", "New"] {
        room.publish(title, &["science"]).await;
        room.notified().await;
        until_seven(&room);
        room.digested().await;
        while mailer.step().await.unwrap() == Step::Worked {}
        room.clock.advance(Duration::days(9));
    }
    let whole: [u64; 3] = [2, 2, 4];
    assert_eq!(all().await, whole);
    room.clock.advance(first + Duration::days(400) - room.clock.now().date_naive());
    aged().await;
    assert_eq!(all().await, whole, "the first day is 400 days ago");
    room.clock.advance(Duration::days(2));
    aged().await;
    assert_eq!(all().await, [1, 1, 2]);
    assert!(kept(By::Domain).await >= 2, "those of the later days");
    assert!(tidings::store::check(&room.store).is_clean());
    room.clock.advance(Duration::days(400));
    aged().await;
    assert_eq!((all().await, kept(By::Domain).await), ([0, 0, 0], 0));
    let left = room.store.kv().range(tidings::store::Table::Meta, tidings::store::kv::Range::prefix(*b"mail/"));
    assert!(left.unwrap().is_empty());
}
