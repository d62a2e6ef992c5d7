//! Notices with the whole text, where the newsroom wants them so.

use super::corrections::{corrections_of, edited, made_out_of, sent};
use super::*;
use tidings::domain::Body;
use tidings::services::corrections::Asked;

/// An article of Science with a text whose end no summary tells.
async fn long_story(room: &Room, end: &str) -> Article {
    let content = Content {
        categories: vec![slug("science")],
        title: "News".into(),
        body: Some(body(end)),
        ..Content::default()
    };
    let article = Article::published(ArticleId::mint(), room.clock.now(), content);
    room.write(None, &article, ChangeKind::Published).await;
    room.notified().await;
    article
}

fn body(end: &str) -> Body {
    Body { html: format!("<p>{}</p><p>{end}</p>", "Word after word. ".repeat(60)), markdown: None }
}

fn texts(room: &Room) -> Vec<String> {
    let text = |bytes: Vec<u8>| MessageParser::new().parse(&bytes).unwrap().body_text(0).unwrap().into_owned();
    room.mails().into_iter().map(text).collect()
}

#[tokio::test]
async fn the_whole_text_is_mailed_and_what_is_wrong_in_it_can_be_corrected() {
    for (text, has_end) in [(MailText::Summary, false), (MailText::Full, true)] {
        let room = Room::open();
        room.subscribed(2, &Selection::all()).await;
        let article = long_story(&room, "Ten were hurt.").await;
        let mailer = room.mailer(Mail { text, ..room.outbox() });
        sent(&mailer).await;
        let mails = texts(&room);
        assert_eq!(mails.iter().filter(|mail| mail.contains("Ten were hurt.")).count(), if has_end { 2 } else { 0 });
        assert!(mails.len() == 2 && mails.iter().all(|mail| mail.contains("Word after word.")), "{mails:?}");
        let service = corrections_of(&room, text);
        let tagged = edited(&room, &article, |content| content.tags = vec!["accident".into()]).await;
        assert_eq!(service.ask(&tagged.id, &Asked::default()).await.unwrap().recipients, 0, "no mail tells tags");
        let right = edited(&room, &tagged, |content| content.body = Some(body("Two were hurt."))).await;
        let recipients = service.ask(&right.id, &Asked::default()).await.unwrap().recipients;
        assert_eq!(recipients, if has_end { 2 } else { 0 }, "who was told the end of it");
        made_out_of(&room, text).await;
        sent(&mailer).await;
        let corrected = texts(&room).iter().filter(|mail| mail.contains("Two were hurt.")).count();
        assert_eq!(corrected, if has_end { 2 } else { 0 });
    }
}
