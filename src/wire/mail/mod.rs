//! Mails as bytes: headers, the text and the HTML part. Nothing in a mail is fetched from anywhere, and nothing
//! tells that it was read.

pub mod canary;
mod data;
mod digest;
pub mod dkim;
mod form;
mod full;
pub mod incoming;
mod overrides;
mod return_path;
mod samples;
mod specimen;
pub mod status;
mod styles;
mod templates;
mod token;
mod told;
mod wishes;

pub use canary::{Mark, canary};
pub use data::MailData;
pub use digest::{Composition, Digest, Item, digest};
pub use form::{Form, Own};
pub use overrides::template_variables;
pub use return_path::{Returned, envelope_sender};
pub use samples::sample_articles;
pub use specimen::{About, Parts, parts, specimen};
pub use templates::Templates;
pub use token::{Pass, Purpose, Token, keyed_hash, mailbox_hash, test_recipient};
pub use told::{Said, print};
pub use wishes::wanted;

use super::locale::{Arg, When};
use crate::config::{ReturnAddress, Sender};
use crate::domain::{Address, Article, Cadence, Category, Fault, Language, Site, Time, clean_line};
use full::with_text;
use jiff::tz::TimeZone;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use minijinja::context;
use minijinja::value::{Serde, Value};
use std::sync::Arc;
use std::time::SystemTime;
use wishes::{list, often};

/// What any mail needs.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The newsroom, and its addresses.
    pub site: &'a Site,
    /// Who it is from.
    pub from: &'a Sender,
    /// Whom it goes to.
    pub to: &'a Address,
    /// The language it speaks.
    pub language: Language,
    /// The clock by which it tells the time.
    pub zone: &'a TimeZone,
    /// The templates it is made of.
    pub templates: &'a Arc<Templates>,
    /// Where mails come back to, if there is such a place: then one can leave by mail as well.
    pub returns: Option<&'a ReturnAddress>,
    /// First half of the message id (the second is the site's host): letters, digits and dots, and always the same
    /// for the same message, so that a mail that came twice can be told.
    pub id: &'a str,
    /// The date it carries.
    pub date: Time,
    /// Is it one that an operator looks at? Then its subject says so.
    pub is_test: bool,
}

/// An article came out.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Which.
    pub article: &'a Article,
    /// What is said of it.
    pub said: &'a Said,
    /// The category it goes out under; the whole newsroom where there is none any more.
    pub list: Option<&'a Category>,
    /// What the subscription asks for, for people: see [`wanted`].
    pub wanted: &'a str,
    /// Sealed token of the leaving link.
    pub leave: &'a str,
    /// Is it told again, since what was told before was wrong?
    pub correction: Option<Correction<'a>>,
}

/// What a correction has beside the notice.
#[derive(Debug, Clone, Copy)]
pub struct Correction<'a> {
    /// What the editors say about it.
    pub note: Option<&'a str>,
    /// Message id of the mail that told the wrong text, without the angle brackets.
    pub thread: &'a str,
}

/// The owner of an address is asked whether the mails are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// What was asked for, for people: see [`wanted`].
    pub wanted: &'a str,
    /// How often.
    pub cadence: Cadence,
    /// Sealed token of the confirming link.
    pub confirm: &'a str,
    /// Sealed token of the link that forbids to ask again.
    pub never: &'a str,
    /// Days for which the link works.
    pub days: i64,
}

/// The owner of an address is told that a subscription has ended.
#[derive(Debug, Clone, Copy)]
pub struct Farewell<'a> {
    /// What was asked for, for people: see [`wanted`].
    pub wanted: &'a str,
    /// Sealed token of the link that takes it back.
    pub undo: &'a str,
    /// Until when that works.
    pub until: Time,
}

/// Gmail hides what is behind this many bytes of HTML, and with it the link by which one leaves; less what a relay may
/// add. Seen at 102 KB, documented nowhere.
pub const HTML_BYTES_MAX: usize = 100_000;
/// A summary beyond this is cut off and ends in a mark; whatever it is made of, the HTML then stays below
/// [`HTML_BYTES_MAX`], also as it is encoded: no character takes more than 12 bytes there.
const SUMMARY_CHARS_MAX: usize = 5_000;
/// The same for a title, for the authors, for what a subscription asks for, and for a whole subject: one word of that length
/// still fits into a line of 998 octets (RFC 5322 §2.1.1), and other words are folded.
const LINE_CHARS_MAX: usize = 500;
/// The same for what a sender and a list are called: each quotation mark takes two octets there.
const NAME_CHARS_MAX: usize = 200;

/// The bytes of a notice. RFC 5322, RFC 2369, RFC 2919, RFC 8058, RFC 3834.
/// Errors: a [`Fault`] where an address cannot stand in a mail.
pub fn notice(frame: &Frame<'_>, notice: &Notice<'_>) -> Result<Vec<u8>, Fault> {
    let kind = if notice.correction.is_some() { "correction" } else { "notice" };
    let (subject, values) = titled(frame, kind, notice_values(frame, notice))?;
    let values = with_text(frame, kind, values, notice.said)?;
    let feedback = feedback_id(notice.article.id.as_str(), notice.list, kind, host(frame.site));
    let mut mail = list_headers(builder(frame, &subject)?, frame, notice.list, notice.leave, feedback);
    if let Some(Correction { thread, .. }) = notice.correction {
        // RFC 5322 §3.6.4: it stands below the mail that it corrects, where that is still there.
        for name in form::THREAD {
            mail = mail.raw_header(plain_header(name, format!("<{thread}>")));
        }
    }
    finish(frame, mail, kind, &values)
}

fn notice_values(frame: &Frame<'_>, notice: &Notice<'_>) -> Value {
    let (site, content) = (frame.site, &notice.article.content);
    let leave = site.address(&format!("subscriptions/{}", notice.leave));
    let language = content.language.as_deref().or(notice.list.map(|list| list.language.as_str()));
    let note = notice.correction.and_then(|correction| correction.note);
    // Both together are as long as a summary may be; a note has its limit where it comes in, which is below that.
    let summary_chars_max = SUMMARY_CHARS_MAX.saturating_sub(note.map_or(0, |note| note.chars().count()));
    context! {
        title => title(notice.article),
        note => note,
        summary => notice.said.summary.as_deref().map(|summary| cut(summary, summary_chars_max)),
        authors => cut(&list(frame.templates.catalogue(frame.language), &content.authors), LINE_CHARS_MAX),
        published => Serde(When::new(notice.article.dated(), frame.zone)),
        link => site.article_link(notice.article),
        print => site.print_page(&notice.article.id),
        leave => leave.as_str(),
        wanted => cut(notice.wanted, LINE_CHARS_MAX),
        newsroom => newsroom(site),
        language => language.unwrap_or(&site.language),
    }
}

/// The bytes of a confirmation mail. Errors: as for [`notice`].
pub fn confirmation(frame: &Frame<'_>, confirmation: &Confirmation<'_>) -> Result<Vec<u8>, Fault> {
    plain(frame, "confirmation", confirmation_values(frame, confirmation))
}

fn confirmation_values(frame: &Frame<'_>, confirmation: &Confirmation<'_>) -> Value {
    let site = frame.site;
    context! {
        newsroom => newsroom(site),
        wanted => cut(confirmation.wanted, LINE_CHARS_MAX),
        often => often(frame.templates.catalogue(frame.language), confirmation.cadence, frame.zone),
        address => frame.to.as_str(),
        confirm => site.address(&format!("subscriptions/{}", confirmation.confirm)),
        never => site.address(&format!("subscriptions/{}", confirmation.never)),
        days => confirmation.days,
    }
}

/// The bytes of the mail that tells of having left. Errors: as for [`notice`].
pub fn farewell(frame: &Frame<'_>, farewell: &Farewell<'_>) -> Result<Vec<u8>, Fault> {
    plain(frame, "farewell", farewell_values(frame, farewell))
}

fn farewell_values(frame: &Frame<'_>, farewell: &Farewell<'_>) -> Value {
    let site = frame.site;
    context! {
        newsroom => newsroom(site),
        wanted => cut(farewell.wanted, LINE_CHARS_MAX),
        address => frame.to.as_str(),
        undo => site.address(&format!("subscriptions/{}", farewell.undo)),
        until => Serde(When::new(farewell.until, frame.zone)),
    }
}

/// The bytes of the mail with a link to the preferences, `link` being its sealed token. Errors: as for [`notice`].
pub fn preferences(frame: &Frame<'_>, link: &str, hours: i64) -> Result<Vec<u8>, Fault> {
    plain(frame, "preferences", preferences_values(frame, link, hours))
}

fn preferences_values(frame: &Frame<'_>, link: &str, hours: i64) -> Value {
    let site = frame.site;
    context! {
        newsroom => newsroom(site),
        address => frame.to.as_str(),
        link => site.address(&format!("subscriptions/{link}")),
        hours => hours,
    }
}

/// A mail of the templates `name` that goes to one person and not to a list.
fn plain(frame: &Frame<'_>, name: &str, values: Value) -> Result<Vec<u8>, Fault> {
    let (subject, values) = titled(frame, name, values)?;
    finish(frame, builder(frame, &subject)?, name, &values)
}

/// The subject by the template `{name}-subject.txt`, and the values with it as `title`, unless they have one.
fn titled(frame: &Frame<'_>, name: &str, values: Value) -> Result<(String, Value), Fault> {
    let subject = frame.templates.render(frame.language, &format!("{name}-subject.txt"), &values)?;
    let subject = clean_line(&subject);
    let values = context! { ..values, ..context! { title => subject.as_str() } };
    Ok((subject, values))
}

fn host(site: &Site) -> &str {
    site.base_url.host_str().unwrap_or("localhost")
}

/// An address as the mail library has it; `field` names it in the [`Fault`].
pub fn mail_address(field: &str, address: &str) -> Result<lettre::Address, Fault> {
    let fault = || Fault::new(field, format!("\"{address}\""), "an address that a mail header can carry");
    let (local, domain) = address.rsplit_once('@').ok_or_else(fault)?;
    lettre::Address::new(local, domain).map_err(|_| fault())
}

/// The address that leaves at a click (RFC 8058), and the one that does by mail (RFC 6068), for programs that know no
/// other way.
fn by_web_and_mail(leave: &str, returns: Option<&ReturnAddress>, token: &str) -> String {
    match returns {
        Some(ReturnAddress { local, domain }) => {
            format!("<{leave}>,<mailto:{local}+leave@{domain}?subject={token}>")
        }
        None => format!("<{leave}>"),
    }
}

/// What Gmail's statistics are grouped by: article or date, list, kind, and the sender's own name, which comes last and stays.
/// support.google.com/a/answer/6254652: fields have no colon, and none names a person.
fn feedback_id(about: &str, list: Option<&Category>, kind: &str, host: &str) -> String {
    /// Shorter than the shortest mail header line that anybody asks for; an id that is cut still groups.
    const FIELD_CHARS_MAX: usize = 32;
    let field = |text: &str| -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '.' };
        text.chars().map(plain).take(FIELD_CHARS_MAX).collect()
    };
    let list = list.map_or("all", |list| list.slug.as_str());
    [field(about), field(list), kind.to_owned(), field(host)].join(":")
}

/// `text` itself, or its beginning and a mark.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

/// An article's title as one line.
fn title(article: &Article) -> String {
    cut(&clean_line(&article.content.title), LINE_CHARS_MAX)
}

/// What the newsroom is called.
fn newsroom(site: &Site) -> String {
    cut(&site.title, NAME_CHARS_MAX)
}

/// The headers that every mail has. No text that comes from outside keeps a line break.
fn builder(frame: &Frame<'_>, subject: &str) -> Result<MessageBuilder, Fault> {
    let subject = match frame.is_test {
        true => frame.templates.catalogue(frame.language).text("test-subject", &[("subject", Arg::Text(subject))]),
        false => subject.to_owned(),
    };
    let name = frame.from.name.as_deref().map(clean_line).filter(|name| !name.is_empty());
    let name = name.map(|name| cut(&name, NAME_CHARS_MAX));
    let from = mail_address("from", &frame.from.address)?;
    // The envelope is the dialogue's affair; the library only wants one to be there.
    let envelope = Envelope::new(None, vec![from.clone()]);
    Ok(lettre::Message::builder()
        .envelope(envelope.map_err(|error| Fault::new("from", error.to_string(), "an envelope"))?)
        .from(Mailbox::new(name, from))
        .raw_header(address_header("To", frame.to))
        .subject(cut(&subject, LINE_CHARS_MAX))
        .date(SystemTime::from(frame.date))
        .message_id(Some(format!("<{}>", message_id(frame.id, frame.site))))
        .raw_header(plain_header("Auto-Submitted", "auto-generated".to_owned())))
}

/// The message id of which `id` is the first half.
pub fn message_id(id: &str, site: &Site) -> String {
    [id, "@", host(site)].concat()
}

/// An address was checked letter by letter when it was read, so it stands as it is: also a long one on one line, and
/// one beyond ASCII in UTF-8 (RFC 6532).
fn address_header(name: &'static str, address: &Address) -> HeaderValue {
    let value = address.as_str().to_owned();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// The headers of what comes regularly, with the token `leave` of the leaving link.
fn list_headers(
    mail: MessageBuilder,
    frame: &Frame<'_>,
    list: Option<&Category>,
    leave: &str,
    feedback: String,
) -> MessageBuilder {
    let site = frame.site;
    let (title, label) = match list {
        Some(category) => (&category.title, Some(category.slug.as_str())),
        None => (&site.title, None),
    };
    let link = site.address(&format!("subscriptions/{leave}"));
    mail.raw_header(list_id(title, label, host(site)))
        .raw_header(plain_header("List-Unsubscribe", by_web_and_mail(&link, frame.returns, leave)))
        .raw_header(plain_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()))
        // Nobody writes to the list but the newsroom.
        .raw_header(plain_header("List-Post", "NO".to_owned()))
        .raw_header(plain_header("List-Archive", format!("<{}>", site.category_page(list.map(|list| &list.slug)))))
        .raw_header(plain_header("Feedback-ID", feedback))
        // Tells out-of-office answerers to keep quiet, also those that do not know Auto-Submitted.
        .raw_header(plain_header("Precedence", "bulk".to_owned()))
}

/// A header whose value is ASCII of our own making and must not be encoded or folded, as an address in `<>`.
fn plain_header(name: &'static str, value: String) -> HeaderValue {
    let value: String = value.chars().filter(char::is_ascii_graphic).collect();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// `"Title" <slug.host>`. RFC 2919 §3.
fn list_id(title: &str, label: Option<&str>, host: &str) -> HeaderValue {
    let title = cut(&clean_line(title), NAME_CHARS_MAX);
    let phrase = if title.is_ascii() {
        format!("\"{}\"", title.replace(['"', '\\'], "'"))
    } else {
        // Encoded words stand outside quotes, where these characters would have a meaning (RFC 2047 §5).
        clean_line(&title.replace(['(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"'], " "))
    };
    let id = label.map_or_else(|| host.to_owned(), |label| format!("{label}.{host}"));
    HeaderValue::new(HeaderName::new_from_ascii_str("List-Id"), format!("{phrase} <{id}>"))
}

/// Between the parts.
const BOUNDARY: &str = "=_tidings";

/// Both parts from the templates of this name, always as quoted-printable: no line is longer than 76 characters,
/// so no relay has a reason to rewrite it.
fn finish(frame: &Frame<'_>, mail: MessageBuilder, template: &str, values: &Value) -> Result<Vec<u8>, Fault> {
    let part = |extension: &str, kind: ContentType| {
        let name = format!("{template}.{extension}");
        let text = frame.templates.render(frame.language, &name, values)?;
        let text = if extension == "html" { styles::inlined(text) } else { text };
        let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
            .map_err(|_| Fault::new(&name, "text", "text that quoted-printable can carry"))?;
        Ok::<_, Fault>(SinglePart::builder().header(kind).body(body))
    };
    let parts = MultiPart::alternative()
        // Always the same, so that the same mail has the same bytes: '=_' cannot occur in quoted-printable text.
        .boundary(BOUNDARY)
        .singlepart(part("txt", ContentType::TEXT_PLAIN)?)
        .singlepart(part("html", ContentType::TEXT_HTML)?);
    let mail = mail.multipart(parts).map_err(|error| Fault::new("mail", error.to_string(), "a complete mail"))?;
    Ok(mail.formatted())
}

#[cfg(test)]
mod tests;
