//! Mails that look like real ones and are nobody's: for a newsroom that wants to see what its readers get.

use super::{
    Composition, Confirmation, Correction, Digest, Farewell, Frame, HTML_BYTES_MAX, Item, Notice, confirmation, digest,
    farewell, notice, preferences,
};
use crate::domain::{Cadence, Category, Fault, MailKind, Subscriber, Subscription};
use chrono::Duration;
use mail_parser::MessageParser;

/// What the links of such a mail have in the place of a token: they lead nowhere, whoever follows them.
const NO_TOKEN: &str = "a-link-in-a-test-does-nothing";
/// What the editors of a correction say.
const NOTE: &str = "…";

/// What it is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Articles, the newest first; one at least. Mails about one are about that.
    pub items: &'a [Item<'a>],
    /// The category it goes out under.
    pub list: Option<&'a Category>,
    /// What is subscribed to, for people: see [`super::wanted`].
    pub wanted: &'a str,
    /// Where all articles of that are to be found.
    pub rest: &'a str,
}

/// A mail taken apart, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Its subject.
    pub subject: String,
    /// Its headers as they are.
    pub head: String,
    /// Its text part.
    pub text: String,
    /// Its HTML part.
    pub html: String,
}

/// The bytes of a mail of this kind. Errors: as for [`notice`].
pub fn specimen(kind: MailKind, frame: &Frame<'_>, about: &About<'_>) -> Result<Vec<u8>, Fault> {
    let About { items, list, wanted, rest } = *about;
    let [first, ..] = items else { return Err(Fault::new("article", "none", "one at least")) };
    let asked = Confirmation {
        wanted,
        cadence: Cadence::Instant,
        confirm: NO_TOKEN,
        never: NO_TOKEN,
        days: Subscription::CONFIRM_WITHIN_DAYS,
    };
    let told =
        |correction| Notice { article: first.article, said: first.said, list, wanted, leave: NO_TOKEN, correction };
    match kind {
        MailKind::Notice => notice(frame, &told(None)),
        MailKind::Correction => {
            let thread = super::message_id(frame.id, frame.site);
            notice(frame, &told(Some(Correction { note: Some(NOTE), thread: &thread })))
        }
        MailKind::Digest => {
            let composition = Composition::new(frame.templates, frame.language, frame.site, items, 0, HTML_BYTES_MAX)?;
            let day = frame.date.date_naive();
            let whole = Digest { composition: &composition, day, list, wanted, rest, fold_over: None, leave: NO_TOKEN };
            digest(frame, &whole)
        }
        MailKind::Confirmation => confirmation(frame, &asked),
        MailKind::Farewell => {
            let until = frame.date + Duration::days(Subscription::UNDO_WITHIN_DAYS);
            farewell(frame, &Farewell { wanted, undo: NO_TOKEN, until })
        }
        MailKind::Preferences => preferences(frame, NO_TOKEN, Subscriber::LINK_HOURS),
    }
}

/// `bytes` taken apart. Errors: a [`Fault`] where they are no mail.
pub fn parts(bytes: &[u8]) -> Result<Parts, Fault> {
    let none = || Fault::new("mail", "bytes", "a mail");
    let mail = MessageParser::new().parse(bytes).ok_or_else(none)?;
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").ok_or_else(none)?;
    Ok(Parts {
        subject: mail.subject().unwrap_or_default().to_owned(),
        head: String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    })
}
