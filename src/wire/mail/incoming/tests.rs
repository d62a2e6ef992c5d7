//! Reports as mail servers write them: whole, in other languages, cut off, made up.

use super::*;
use crate::domain::Time;
use crate::wire::mail::envelope_sender;
use proptest::prelude::*;
use uuid::Uuid;

const SECRET: [u8; 32] = [7; 32];

fn address() -> ReturnAddress {
    ReturnAddress { local: "bounces".into(), domain: "news.example.org".into() }
}

fn subscription() -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef))
}

/// The sender of the envelope of a mail of ours.
fn sender() -> String {
    let day = Time::UNIX_EPOCH + chrono::Duration::days(20_000);
    envelope_sender(&address(), subscription(), day, &SECRET)
}

fn read(text: &str, recipient: &str) -> Incoming {
    let bytes = text.replace('\n', "\r\n");
    Inbox { address: &address(), secret: &SECRET }.read(bytes.as_bytes(), recipient)
}

/// A report with these fields of its one recipient, in words of any language.
fn report(words: &str, fields: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\nTo: {}\nSubject: Undelivered Mail\n\
         Auto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n boundary=\"b1\"\n\n\
         --b1\nContent-Type: text/plain; charset=utf-8\n\n{words}\n\n\
         --b1\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; mx.example.net\nArrival-Date: Fri, 18 Dec 2020 12:03:00 +0000\n\n\
         Final-Recipient: rfc822; reader@example.net\n{fields}\n\n\
         --b1\nContent-Type: text/rfc822-headers\n\nSubject: News\n\n--b1--\n",
        sender()
    )
}

fn bounced(verdict: Verdict) -> impl Fn(&Incoming) -> bool {
    move |incoming| {
        let expected = (subscription(), 20_000);
        matches!(incoming, Incoming::Bounce { about, verdict: found, .. }
            if *found == verdict && (about.subscription, about.day) == expected)
    }
}

#[test]
fn a_report_is_hard_only_where_it_speaks_of_the_mailbox() {
    for (fields, verdict) in [
        (
            "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <reader@example.net>: unknown",
            Verdict::Hard,
        ),
        ("action: FAILED\nstatus: 5.1.10 (null MX)", Verdict::Hard),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550\n 5.1.1 no such user", Verdict::Hard),
        (
            "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-5.1.1 The account\n 550 5.1.1 is not",
            Verdict::Hard,
        ),
        ("Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full", Verdict::Soft),
        ("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 5.7.1 looks like spam", Verdict::Soft),
        ("Action: failed\nStatus: 4.4.1\nDiagnostic-Code: smtp; no answer for five days", Verdict::Soft),
        ("Action: failed", Verdict::Soft),
    ] {
        for words in ["The mail could not be delivered.", "Письмо не доставлено: нет такого ящика", "邮件无法投递"]
        {
            let incoming = read(&report(words, fields), &sender());
            assert!(bounced(verdict)(&incoming), "{fields}: {incoming:?}");
        }
    }
    let Incoming::Bounce { told, .. } =
        read(&report("", "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 full"), &sender())
    else {
        panic!("a bounce");
    };
    assert_eq!(told, "5.2.2 smtp; 552 full");
}

#[test]
fn a_report_on_a_mail_to_an_address_beyond_ascii_is_one() {
    // As Postfix writes it where the mail asked for SMTPUTF8 (RFC 6533 §3).
    let fields = "Original-Recipient: rfc822;пётр@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: x-postfix; unknown user: пётр";
    let text = report("<пётр@example.net>: unknown user", fields)
        .replace("report-type=delivery-status", "report-type=global-delivery-status")
        .replace("message/delivery-status", "message/global-delivery-status\nContent-Transfer-Encoding: 8bit")
        .replace("Final-Recipient: rfc822; reader@", "Final-Recipient: utf-8; пётр@");
    for headers in ["text/rfc822-headers", "message/global-headers", "message/global"] {
        let incoming = read(&text.replace("text/rfc822-headers", headers), &sender());
        assert!(bounced(Verdict::Hard)(&incoming), "{incoming:?}");
    }
}

#[test]
fn what_is_only_late_or_has_arrived_is_no_bounce() {
    for action in ["delayed", "delivered", "relayed", "expanded"] {
        let text =
            report("", &format!("Action: {action}\nStatus: 4.4.7\nWill-Retry-Until: Sat, 19 Dec 2020 12:03:00 +0000"));
        assert_eq!(read(&text, &sender()), Incoming::Automatic, "{action}");
    }
}

#[test]
fn an_answer_from_a_holiday_is_no_bounce_and_a_persons_is_for_a_person() {
    let mail =
        |head: &str| format!("From: Reader <reader@example.net>\nSubject: Re: 550 5.1.1\n{head}\n\nI am away. 5.1.1\n");
    for head in [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-replied (vacation)",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
        "X-Auto-Response-Suppress: All",
        "X-Auto-Response-Suppress: DR, RN, OOF",
    ] {
        assert_eq!(read(&mail(head), &sender()), Incoming::Automatic, "{head}");
    }
    for head in ["Auto-Submitted: no", "Return-Path: <>\nPrecedence: bulk", "X-Auto-Response-Suppress: DR, RN"] {
        assert!(matches!(read(&mail(head), &sender()), Incoming::Other(_)), "{head}");
    }
}

#[test]
fn a_report_that_was_made_up_or_cut_off_does_nothing() {
    let whole = report("", "Action: failed\nStatus: 5.1.1");
    let forged = sender().replace("bounces+", "bounces+a");
    for recipient in ["bounces@news.example.org", "bounces+leave@news.example.org", &forged, "elsewhere@example.net"] {
        assert!(matches!(read(&whole, recipient), Incoming::Other(_)), "{recipient}");
    }
    let action = whole.find("Action").unwrap();
    for cut in (0..action).step_by(7) {
        let incoming = read(&whole[..cut], &sender());
        assert!(matches!(incoming, Incoming::Other(_) | Incoming::Automatic), "{cut}: {incoming:?}");
    }
}

#[test]
fn a_report_that_is_cut_anywhere_is_never_worse_than_it_was() {
    let fields = "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 <reader@example.net>: mailbox full";
    let whole = report("Письмо не доставлено", fields);
    for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
        let incoming = read(&whole[..cut], &sender());
        assert!(!bounced(Verdict::Hard)(&incoming), "{cut}: {incoming:?}");
    }
}

#[test]
fn a_bounce_without_a_form_is_read_by_the_status_in_its_words() {
    let mail = |from: &str, words: &str| {
        format!("From: {from}\nSubject: failure notice\n\nHi. This is the mail server.\n{words}\n")
    };
    let daemon = "MAILER-DAEMON@mx.example.net";
    let incoming = read(&mail(daemon, "<reader@example.net>:\n550 5.1.1 sorry, no mailbox here (#5.1.1)"), &sender());
    assert!(bounced(Verdict::Hard)(&incoming), "{incoming:?}");
    let incoming =
        read(&mail("Postmaster <postmaster@mx.example.net>", "Remote host said: 552-5.2.2 over quota"), &sender());
    assert!(bounced(Verdict::Soft)(&incoming), "{incoming:?}");
    assert!(matches!(read(&mail(daemon, "It did not work."), &sender()), Incoming::Other(_)));
    assert!(matches!(read(&mail("reader@example.net", "550 5.1.1"), &sender()), Incoming::Other(_)), "a person's");
}

/// As RFC 5965 has it in appendix B.
fn complaint(kind: &str, fields: &str, enclosed: &str) -> String {
    format!(
        "From: <abusedesk@example.com>\nSubject: FW: News\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b1\"\n\n\
         --b1\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n\
         --b1\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n{fields}\n\n\
         --b1\nContent-Type: message/rfc822\n\n{enclosed}Subject: News\n\nText.\n\n--b1--\n"
    )
}

#[test]
fn a_complaint_is_about_whose_mail_it_encloses() {
    let token = Token::leave_by(subscription(), 77).seal(&SECRET);
    let link =
        format!("List-Unsubscribe: <https://news.example.org/subscriptions/{token}>,\n <mailto:bounces+leave@x>\n");
    let path = format!("Return-Path: <{}>\n", sender());
    let field = format!("Original-Mail-From: <{}>", sender());
    let expected = |is_sure, tag| Incoming::Complaint { about: subscription(), tag, is_sure };
    for (fields, enclosed, to) in [
        (field.as_str(), "", "fbl@news.example.org"),
        ("", path.as_str(), "bounces@news.example.org"),
        ("", link.as_str(), "bounces@news.example.org"),
        ("", "", &sender()),
    ] {
        assert_eq!(
            read(&complaint("abuse", fields, enclosed), to),
            // The link may have come along with a mail that was passed on.
            if enclosed == link { expected(false, 77) } else { expected(true, 0) },
            "{fields}{enclosed}"
        );
        assert_eq!(read(&complaint("not-spam", fields, enclosed), to), Incoming::Automatic);
    }
    let of_others = "Return-Path: <bounces+aaaa@news.example.org>\nList-Unsubscribe: <https://x.example/AAAA>\n";
    assert!(matches!(read(&complaint("abuse", "", of_others), "bounces@news.example.org"), Incoming::Other(_)));
}

#[test]
fn one_leaves_by_a_mail_whose_subject_holds_the_token() {
    let token = Token::leave_by(subscription(), 77).seal(&SECRET);
    let mail = |subject: &str| format!("From: Reader <reader@example.net>\nSubject: {subject}\n\n\n");
    let to = "Bounces+Leave@News.example.org".replace("Leave", "leave");
    for subject in [token.clone(), format!("Re: {token} "), format!("=?utf-8?q?{}?=", token.replace('_', "=5F"))] {
        assert_eq!(read(&mail(&subject), &to), Incoming::Leave { about: subscription(), tag: 77 }, "{subject}");
    }
    for subject in ["", "unsubscribe", &token[1..]] {
        assert!(matches!(read(&mail(subject), &to), Incoming::Other(_)), "{subject}");
    }
    assert!(matches!(read(&mail(&token), "bounces@news.example.org"), Incoming::Other(_)));
    // As iCloud sends it when its owner presses "Unsubscribe".
    let automatic = format!("Auto-Submitted: auto-replied\n{}", mail(&token));
    assert_eq!(read(&automatic, &to), Incoming::Leave { about: subscription(), tag: 77 });
    let away = format!("Auto-Submitted: auto-replied\n{}", mail("Out of office"));
    assert_eq!(read(&away, &to), Incoming::Automatic);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_it_panic_and_none_speak_for_a_subscription_without_its_signature(
        cuts in prop::collection::vec((0..2_000_usize, any::<u8>()), 0..8), noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let inbox = Inbox { address: &address(), secret: &SECRET };
        let mut bytes = report("", "Action: failed\nStatus: 5.1.1").into_bytes();
        for (at, byte) in cuts {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        inbox.read(&bytes, &sender());
        inbox.read(&noise, &sender());
        let unsigned = inbox.read(&bytes, "bounces+nobody@news.example.org");
        prop_assert!(matches!(unsigned, Incoming::Other(_) | Incoming::Automatic), "{:?}", unsigned);
    }
}
