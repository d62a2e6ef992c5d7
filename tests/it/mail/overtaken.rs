//! What happens to an article while a mail that tells of it is written and signed.

use super::corrections::{edited, sent};
use super::digests::{daily, subscribed, until_seven};
use super::signed::{key, while_signed, with_one_thread};
use super::*;
use tidings::wire::mail::dkim::Algorithm;

/// Does `change` while the mailer's next mail waits to be signed, and then lets everything go out. Returns the mails that
/// came into the outbox, where no other machine decides how far things are; each as its subject and its text.
async fn while_it_is_signed(room: &Room, change: impl AsyncFnOnce()) -> Vec<(String, String)> {
    let before = room.mails();
    let mailer = room.mailer(Mail { dkim: vec![key("r1", Algorithm::Rsa)], ..room.outbox() });
    while_signed(&mailer, change()).await;
    sent(&mailer).await;
    let new = room.mails().into_iter().filter(|mail| !before.contains(mail));
    let told = new.map(|bytes| {
        assert!(bytes.starts_with(b"DKIM-Signature:"));
        let mail = MessageParser::new().parse(&bytes).unwrap();
        (mail.subject().unwrap().to_owned(), mail.body_text(0).unwrap().replace("\r\n", "\n"))
    });
    told.collect()
}

#[test]
fn a_notice_whose_article_is_edited_while_it_is_signed_goes_out_with_the_latest_text() {
    with_one_thread(async {
        let (room, readers, article) = Room::owing(1).await;
        let mails = while_it_is_signed(&room, async || {
            edited(&room, &article, |content| {
                content.title = "Two hurt".into();
                content.summary = Some("Not ten.".into());
            })
            .await;
        })
        .await;
        let [(subject, text)] = mails.as_slice() else { panic!("one mail, not {mails:?}") };
        assert_eq!(subject, "Two hurt");
        assert!(text.contains("Not ten.") && !text.contains("In short."), "{text}");
        let key = LedgerKey::of(&Message::Notice { article: article.id.clone() }, readers[0].id);
        let row = room.store.message(&key).unwrap().unwrap().record;
        assert!(matches!(row.state, Delivery::Sent { .. }) && row.revision == Some(2), "{row:?}");
    });
}

#[test]
fn a_notice_whose_article_is_retracted_while_it_is_signed_does_not_go_out() {
    with_one_thread(async {
        let (room, readers, article) = Room::owing(1).await;
        let mails = while_it_is_signed(&room, async || room.retract(&article).await).await;
        assert_eq!(mails, []);
        let state = room.delivery(&article, &readers[0]);
        assert!(matches!(state, Delivery::Recalled { .. }), "{state:?}");
    });
}

#[test]
fn what_is_retracted_while_a_digest_is_signed_is_not_in_it_and_one_with_nothing_left_does_not_go_out() {
    with_one_thread(async {
        for has_more in [true, false] {
            let room = Room::open();
            subscribed(&room, "reader@example.net", "", daily(7)).await;
            let gone = room.publish("Gone", &["science"]).await;
            if has_more {
                room.publish("Kept", &["science"]).await;
            }
            until_seven(&room);
            room.digested().await;
            let mails = while_it_is_signed(&room, async || room.retract(&gone).await).await;
            let subjects: Vec<&str> = mails.iter().map(|(subject, _)| subject.as_str()).collect();
            assert_eq!(subjects, if has_more { &["The News: Kept"][..] } else { &[] });
            assert!(mails.iter().all(|(_, text)| !text.contains("Gone")), "{mails:?}");
        }
    });
}
