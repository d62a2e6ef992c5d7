//! The door for what comes back, of a running daemon: reports about mails that it has really sent, in a Maildir.

use crate::harness::{Mail, Newsroom, Setup, eventually, eventually_well};
use crate::smtp::{Peer, Received, Security};
use serde_json::json;
use tokio::runtime::Runtime;

/// Each mail that the server took, with the sender of its envelope.
fn taken(peer: &Peer) -> Vec<(String, Received)> {
    let log = peer.log.lock().expect("nobody has panicked");
    let sender = |line: &String| {
        let rest = line.strip_prefix("MAIL FROM:<").and_then(|rest| rest.split_once('>'));
        rest.expect("a sender").0.to_owned()
    };
    log.senders.iter().map(sender).zip(log.mails.iter().cloned()).collect()
}

/// The mail about `subject` to `reader`, and its sender.
fn mail_to(peer: &Peer, reader: &str, subject: &str) -> Option<(String, String)> {
    let is_it = |(_, mail): &(String, Received)| mail.to == reader && Mail::read(&mail.bytes).subject == subject;
    let (sender, mail) = taken(peer).into_iter().find(is_it)?;
    Some((sender, String::from_utf8(mail.bytes).expect("text")))
}

/// What a mail server writes that could not hand a mail over for good (RFC 3464).
fn bounce(reader: &str, sender: &str, mail: &str) -> String {
    format!(
        "Return-Path: <>\r\nDelivered-To: {sender}\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: {sender}\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"of-the-server\"\r\n\r\n\
         --of-the-server\r\nContent-Type: text/plain\r\n\r\nThere is no {reader} here.\r\n\r\n\
         --of-the-server\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; {reader}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n\
         --of-the-server\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--of-the-server--\r\n"
    )
}

/// What a provider writes whose reader has pressed "this is spam" (RFC 5965).
fn complaint(sender: &str, mail: &str) -> String {
    format!(
        "Delivered-To: bounces@news.example.org\r\nFrom: fbl@mx.example.net\r\nTo: bounces@news.example.org\r\n\
         Subject: FW: News\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"of-the-provider\"\r\n\r\n\
         --of-the-provider\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n\r\n\
         --of-the-provider\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\
         User-Agent: SomeProvider/1.0\r\nVersion: 1\r\nOriginal-Mail-From: <{sender}>\r\n\r\n\
         --of-the-provider\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--of-the-provider--\r\n"
    )
}

/// What there is in a folder of the Maildir.
fn files(newsroom: &Newsroom, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(newsroom.path("returned").join(folder)).expect("a Maildir");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// As a mail server delivers: written whole before it is there.
fn deliver(newsroom: &Newsroom, name: &str, mail: &str) {
    let folder = newsroom.path("returned");
    std::fs::write(folder.join("tmp").join(name), mail).expect("writable");
    std::fs::rename(folder.join("tmp").join(name), folder.join("new").join(name)).expect("writable");
}

#[test]
fn reports_in_a_maildir_about_mails_that_a_daemon_has_sent_end_what_they_are_about() {
    let (gone, annoyed, happy) = ("gone@example.net", "annoyed@example.net", "happy@example.net");
    let runtime = Runtime::new().expect("a runtime");
    let peer = runtime.block_on(Peer::start(Security::Plain));
    let mail = format!(
        "return_address = \"bounces@news.example.org\"\nreturns_maildir = \"returned\"\n\
         [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n",
        peer.port
    );
    let mut newsroom = Newsroom::prepare(Setup { mail: &mail, ..Setup::default() });
    for folder in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(newsroom.path("returned").join(folder)).expect("writable");
    }
    newsroom.run();
    let received = || taken(&peer).iter().map(|(_, mail)| Mail::read(&mail.bytes)).collect();
    for reader in [gone, annoyed, happy] {
        newsroom.subscribe(reader, &["economy"], received);
    }
    let article = newsroom.publish_titled("News");
    let [(to_gone, told_gone), (to_annoyed, told_annoyed), (to_happy, _)] =
        [gone, annoyed, happy].map(|reader| eventually("the news", || mail_to(&peer, reader, "News")));
    deliver(&newsroom, "1.bounce.host", &bounce(gone, &to_gone, &told_gone));
    deliver(&newsroom, "2.complaint.host", &complaint(&to_annoyed, &told_annoyed));
    let thanks = format!("From: {happy}\r\nTo: {to_happy}\r\nSubject: Re: News\r\n\r\nThank you!\r\n");
    deliver(&newsroom, "3.person.host", &thanks);
    eventually_well(|| {
        let new = files(&newsroom, "new");
        if new.is_empty() { Ok(()) } else { Err(format!("{new:?} are still to be read")) }
    });
    let cur = files(&newsroom, "cur");
    assert_eq!(cur, ["1.bounce.host:2,S", "2.complaint.host:2,S", "3.person.host:2,"], "a person's stays unread");
    // A file is moved when what follows from it is kept, so it is seen at once.
    for (reader, state) in [(gone, "refused"), (annoyed, "unsubscribed"), (happy, "confirmed")] {
        let record = newsroom.api("GET", &format!("/subscribers/{reader}"), &[], "").expect(200).json();
        assert!(record["subscriptions"][0]["state"][state].is_object(), "{reader} is not {state}: {record}");
        let has_complained = record["subscriber"]["complained_at"].is_string();
        assert_eq!(has_complained, reader == annoyed, "{reader}: {record}");
        let shown = newsroom.cli(&["subscribers", "show", reader]).good();
        assert!(shown.contains(&format!("  {state}, instant: category:economy")), "{reader}: {shown}");
    }
    let numbers = newsroom.api("GET", &format!("/articles/{article}/mail"), &[], "").expect(200).json();
    let expected = json!({ "accepted": 3, "deferred": 0, "bounced": 1, "complained": 1, "unsubscribed": 0 });
    assert_eq!(numbers["mail"], expected);
    let metrics = newsroom.get_admin("/metrics").expect(200).text();
    for kind in ["hard", "complaint", "other"] {
        let line = format!("tidings_mail_returned_total{{kind=\"{kind}\"}} 1");
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
    for title in ["More", "Last"] {
        newsroom.publish_titled(title);
        eventually("the next mail", || mail_to(&peer, happy, title));
    }
    newsroom.stop();
    let later: Vec<String> = taken(&peer).into_iter().skip(6).map(|(_, mail)| mail.to).collect();
    assert_eq!(later, [happy; 2], "of six mails before; nobody else gets any more");
}
