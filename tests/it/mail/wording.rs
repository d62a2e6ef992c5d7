//! What each kind of mail says, kept beside the tests: a change of its words is seen in the change that makes it.

use super::*;
use std::fmt::Write as _;
use tidings::domain::MailKind;
use tidings::services::mailer::Wish;
use tidings::wire::mail::parts;

#[tokio::test]
async fn every_kind_of_mail_says_in_each_language_what_it_has_said_so_far() {
    // The clock stands still, links in specimens lead nowhere, and where there are no articles two made-up ones are told.
    let room = Room::open();
    let mailer = room.mailer(room.outbox());
    let templates = mailer.tried_templates().await.unwrap();
    for language in Language::ALL {
        let mut all = String::new();
        for kind in MailKind::ALL {
            let bytes = mailer.specimen(&Wish { kind, language, article: None }, &templates).unwrap();
            let parts = parts(&bytes).unwrap();
            let text = parts.text.replace("\r\n", "\n");
            write!(all, "======== {kind:?}: {}\n\n{}\n\n", parts.subject, text.trim_end()).unwrap();
        }
        insta::assert_snapshot!(format!("mails-{}", language.tag()), all.trim_end());
    }
}
