//! What comes back in other languages and without the form for it, what is too long, and what comes while nothing is taken.

use super::returns::{listening, report, returns, sender, states};
use super::*;
use crate::harness::project;
use tidings::services::returns::Taken;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

fn fixture(name: &str) -> Vec<u8> {
    let path = project().join("tests/fixtures/returns").join(name).with_extension("eml");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn a_bounce_without_a_form_is_read_in_any_language_by_the_status_in_its_words() {
    for (name, ended_by) in [
        ("koi8-r", Some("550 5.1.1 Пользователь не найден")),
        ("gb18030", Some("退信原因：收件人不存在（错误代码550 5.1.1）。")),
        ("iso-8859-1", Some("reader0@example.net: Empfänger unbekannt (#5.1.1)")),
        // A full mailbox is given time.
        ("windows-1251", None),
        ("gb18030-html", None),
    ] {
        let room = Room::open();
        let readers = room.subscribed(2, &Selection::all()).await;
        let taken = returns(&room).take(&sender(&room, &readers[0]), &fixture(name)).await.unwrap();
        assert_eq!(taken, Taken::Done, "{name}");
        let [subscription, other] =
            [0, 1].map(|number| room.store.subscription(readers[number].id).unwrap().unwrap().record);
        let misses = room.store.subscriber_of(&readers[0].address).unwrap().unwrap().record.misses;
        match ended_by {
            Some(words) => {
                let SubscriptionState::Refused { reply, .. } = subscription.state else { panic!("{name}: confirmed") };
                assert_eq!(reply, words, "{name}: told in the server's own words");
            }
            None => assert!(misses.is_some() && subscription == readers[0], "{name}: {subscription:?}"),
        }
        assert_eq!(other, readers[1], "{name}: nobody else");
    }
}

#[tokio::test]
async fn what_does_not_say_what_happened_is_left_for_a_person_in_any_language() {
    let room = Room::open();
    let readers = room.subscribed(1, &Selection::all()).await;
    let subscriber = || room.store.subscriber_of(&readers[0].address).unwrap().unwrap().record;
    let before = subscriber();
    for name in ["koi8-r-vague", "gb18030-vague", "iso-8859-1-vague", "koi8-r-person"] {
        let taken = returns(&room).take(&sender(&room, &readers[0]), &fixture(name)).await.unwrap();
        assert_eq!(taken, Taken::ForAPerson, "{name}");
        assert_eq!(room.subscription(readers[0].address.as_str()), readers[0], "{name}");
        assert_eq!(subscriber(), before, "{name}");
    }
}

/// A client of LMTP that has said for whom its mail is.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn to(port: u16, recipients: &[&str]) -> Self {
        let mut client = Client(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()));
        assert_eq!(client.hears().await, "220");
        assert_eq!(client.says("LHLO mx.example.net").await, "250");
        assert_eq!(client.says("MAIL FROM:<>").await, "250");
        for to in recipients {
            assert_eq!(client.says(&format!("RCPT TO:<{to}>")).await, "250");
        }
        assert_eq!(client.says("DATA").await, "354");
        client
    }

    /// The code of the next reply.
    async fn hears(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "it hung up");
            if line.as_bytes()[3] == b' ' {
                return line[..3].to_owned();
            }
        }
    }

    async fn says(&mut self, line: &str) -> String {
        self.sends(format!("{line}\r\n").as_bytes()).await;
        self.hears().await
    }

    async fn sends(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }
}

/// A report that encloses a mail of more than so many bytes.
fn enclosing(status: &str, bytes: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(76));
    let part =
        format!("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: News\r\n\r\n{}", line.repeat(bytes / 78 + 1));
    report(status).replace("--b--\r\n", &format!("{part}--b--\r\n"))
}

#[tokio::test]
async fn a_long_mail_that_comes_back_whole_is_taken_and_one_above_the_limit_is_refused_to_each() {
    const LIMIT: usize = 32 << 20;
    let room = Room::open();
    let readers = room.subscribed(3, &Selection::all()).await;
    let (port, stop) = listening(&room).await;
    let to = |number: usize| sender(&room, &readers[number]);
    for (number, bytes) in [(0, 2 << 20), (1, LIMIT - 10_000)] {
        let mut client = Client::to(port, &[&to(number)]).await;
        client.sends(enclosing("5.1.1", bytes).as_bytes()).await;
        assert_eq!(client.says(".").await, "250", "{bytes} bytes");
    }
    assert_eq!(states(&room, &readers), ["refused", "refused", "confirmed"]);
    let mut client = Client::to(port, &[&to(2), &to(2)]).await;
    client.sends(enclosing("5.1.1", LIMIT).as_bytes()).await;
    assert_eq!(client.says(".").await, "552");
    assert_eq!(client.hears().await, "552", "each recipient has an answer of its own");
    assert_eq!(states(&room, &readers), ["refused", "refused", "confirmed"], "nothing follows from it");
    // The conversation goes on behind it.
    assert_eq!(client.says("MAIL FROM:<>").await, "250");
    assert_eq!(client.says(&format!("RCPT TO:<{}>", to(2))).await, "250");
    assert_eq!(client.says("DATA").await, "354");
    client.sends(report("5.1.1").as_bytes()).await;
    assert_eq!(client.says(".").await, "250");
    assert_eq!(states(&room, &readers), ["refused", "refused", "refused"]);
    stop.cancel();
}

#[tokio::test]
async fn a_report_whose_sense_lies_beyond_what_is_read_is_left_for_a_person() {
    let room = Room::open();
    let readers = room.subscribed(1, &Selection::all()).await;
    let long = "It did not work.\r\n".repeat((1 << 20) / 18 + 1);
    let mail = report("5.1.1").replace("It did not work.", &long);
    let taken = returns(&room).take(&sender(&room, &readers[0]), mail.as_bytes()).await.unwrap();
    assert_eq!((taken, states(&room, &readers)), (Taken::ForAPerson, vec!["confirmed"]));
}

#[tokio::test]
async fn what_is_handed_over_while_the_store_takes_no_more_has_to_come_again_and_counts_then() {
    let room = Room::open();
    let readers = room.subscribed(2, &Selection::all()).await;
    let (port, stop) = listening(&room).await;
    let to = [0, 1].map(|number| sender(&room, &readers[number]));
    let recipients = [to[0].as_str(), to[1].as_str()];
    room.store.close();
    let mut client = Client::to(port, &recipients).await;
    client.sends(report("5.1.1").as_bytes()).await;
    assert_eq!(client.says(".").await, "451");
    assert_eq!(client.hears().await, "451", "each recipient has an answer of its own");
    stop.cancel();
    drop(client);
    let room = room.restart().await;
    assert_eq!(states(&room, &readers), ["confirmed", "confirmed"]);
    let (port, stop) = listening(&room).await;
    let mut client = Client::to(port, &recipients).await;
    client.sends(report("5.1.1").as_bytes()).await;
    assert_eq!((client.says(".").await, client.hears().await), ("250".into(), "250".into()));
    assert_eq!(states(&room, &readers), ["refused", "refused"]);
    stop.cancel();
}
