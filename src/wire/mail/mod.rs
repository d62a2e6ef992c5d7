//! Mails as bytes: headers, the text and the HTML part. Nothing in a mail is fetched from anywhere, and nothing
//! tells that it was read.

mod token;

pub use token::{Purpose, Token};

use super::html;
use crate::config::Sender;
use crate::domain::{Address, Article, Category, Fault, Selection, Site, Time, clean_line};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, context, escape_formatter};
use std::sync::LazyLock;
use std::time::SystemTime;

/// What any mail needs.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The newsroom, and its addresses.
    pub site: &'a Site,
    /// Who it is from.
    pub from: &'a Sender,
    /// Whom it goes to.
    pub to: &'a Address,
    /// First half of the message id (the second is the site's host): letters, digits and dots, and always the same
    /// for the same message, so that a mail that came twice can be told.
    pub id: &'a str,
    /// The date it carries.
    pub date: Time,
}

/// An article came out.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Which.
    pub article: &'a Article,
    /// What it says in short, if there is anything.
    pub summary: Option<&'a str>,
    /// The category it goes out under; the whole newsroom where there is none any more.
    pub list: Option<&'a Category>,
    /// What the subscription asks for, for people: see [`wanted`].
    pub wanted: &'a str,
    /// Sealed token of the leaving link.
    pub leave: &'a str,
}

/// The owner of an address is asked whether the mails are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// What was asked for, for people: see [`wanted`].
    pub wanted: &'a str,
    /// Is it a change of a subscription that gets mails already?
    pub is_change: bool,
    /// Sealed token of the confirming link.
    pub confirm: &'a str,
    /// Days for which the link works.
    pub days: i64,
}

/// What `selection` asks for, in words: `everything`, or the titles of its categories.
pub fn wanted<'a>(selection: &Selection, title: impl Fn(&str) -> Option<&'a str>) -> String {
    let titles = selection.titles(|slug| title(slug.as_str()));
    if titles.is_empty() { "everything".to_owned() } else { titles.join(", ") }
}

/// The bytes of a notice. RFC 5322, RFC 2369, RFC 2919, RFC 8058, RFC 3834.
/// Errors: a [`Fault`] where an address cannot stand in a mail.
pub fn notice(frame: &Frame<'_>, notice: &Notice<'_>) -> Result<Vec<u8>, Fault> {
    let site = frame.site;
    let title = clean_line(&notice.article.content.title);
    let leave = site.address(&format!("subscriptions/{}", notice.leave));
    let (list_title, list_label) = match notice.list {
        Some(category) => (&category.title, Some(category.slug.as_str())),
        None => (&site.title, None),
    };
    let mail = builder(frame, &title)?
        .raw_header(list_id(list_title, list_label, host(site)))
        .raw_header(plain_header("List-Unsubscribe", format!("<{leave}>")))
        .raw_header(plain_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()))
        // Tells out-of-office answerers to keep quiet, also those that do not know Auto-Submitted.
        .raw_header(plain_header("Precedence", "list".to_owned()));
    let language = notice.article.content.language.as_deref().or(notice.list.map(|list| list.language.as_str()));
    let values = context! {
        title => title.as_str(),
        summary => notice.summary,
        authors => notice.article.content.authors.join(", "),
        link => site.article_link(notice.article),
        print => site.print_page(&notice.article.id),
        leave => leave.as_str(),
        wanted => notice.wanted,
        newsroom => site.title.as_str(),
        language => language.unwrap_or(&site.language),
    };
    finish(frame, mail, "notice", &values)
}

/// The bytes of a confirmation mail. Errors: as for [`notice`].
pub fn confirmation(frame: &Frame<'_>, confirmation: &Confirmation<'_>) -> Result<Vec<u8>, Fault> {
    let site = frame.site;
    let subject = match confirmation.is_change {
        true => format!("{}: please confirm the change of your subscription", clean_line(&site.title)),
        false => format!("{}: please confirm your subscription", clean_line(&site.title)),
    };
    let values = context! {
        title => subject.as_str(),
        newsroom => site.title.as_str(),
        wanted => confirmation.wanted,
        is_change => confirmation.is_change,
        address => frame.to.as_str(),
        confirm => site.address(&format!("subscriptions/{}", confirmation.confirm)),
        days => confirmation.days,
    };
    finish(frame, builder(frame, &subject)?, "confirmation", &values)
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

/// The headers that every mail has. No text that comes from outside keeps a line break.
fn builder(frame: &Frame<'_>, subject: &str) -> Result<MessageBuilder, Fault> {
    let name = frame.from.name.as_deref().map(clean_line).filter(|name| !name.is_empty());
    Ok(lettre::Message::builder()
        .from(Mailbox::new(name, mail_address("from", &frame.from.address)?))
        .to(Mailbox::new(None, mail_address("to", frame.to.as_str())?))
        .subject(subject)
        .date(SystemTime::from(frame.date))
        .message_id(Some(format!("<{}@{}>", frame.id, host(frame.site))))
        .raw_header(plain_header("Auto-Submitted", "auto-generated".to_owned())))
}

/// A header whose value is ASCII of our own making and must not be encoded or folded, as an address in `<>`.
fn plain_header(name: &'static str, value: String) -> HeaderValue {
    let value: String = value.chars().filter(char::is_ascii_graphic).collect();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// `"Title" <slug.host>`. RFC 2919 §3.
fn list_id(title: &str, label: Option<&str>, host: &str) -> HeaderValue {
    let title = clean_line(title);
    let phrase = if title.is_ascii() {
        format!("\"{}\"", title.replace(['"', '\\'], "'"))
    } else {
        // Encoded words stand outside quotes, where these characters would have a meaning (RFC 2047 §5).
        clean_line(&title.replace(['(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"'], " "))
    };
    let id = label.map_or_else(|| host.to_owned(), |label| format!("{label}.{host}"));
    HeaderValue::new(HeaderName::new_from_ascii_str("List-Id"), format!("{phrase} <{id}>"))
}

/// Both parts from the templates of this name, always as quoted-printable: no line is longer than 76 characters,
/// so no relay has a reason to rewrite it.
fn finish(
    frame: &Frame<'_>,
    mail: MessageBuilder,
    template: &str,
    values: &minijinja::Value,
) -> Result<Vec<u8>, Fault> {
    let part = |extension: &str, kind: ContentType| {
        let name = format!("{template}.{extension}");
        let rendered = TEMPLATES.get_template(&name).and_then(|template| template.render(values));
        let text = rendered.map_err(|error| Fault::new(&name, error.to_string(), "a template that renders"))?;
        let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
            .map_err(|_| Fault::new(&name, "text", "text that quoted-printable can carry"))?;
        Ok::<_, Fault>(SinglePart::builder().header(kind).body(body))
    };
    let parts = MultiPart::alternative()
        // Follows from the id, so that the same mail has the same bytes; '=_' cannot occur in quoted-printable text.
        .boundary(format!("=_{}", frame.id))
        .singlepart(part("txt", ContentType::TEXT_PLAIN)?)
        .singlepart(part("html", ContentType::TEXT_HTML)?);
    let mail = mail.multipart(parts).map_err(|error| Fault::new("mail", error.to_string(), "a complete mail"))?;
    Ok(mail.formatted())
}

/// HTML templates escape what they are given; text templates give it as it is.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    templates.set_syntax(syntax.expect("the delimiters are the default ones"));
    // The default also writes `/` as an entity, which mail filters that look for addresses take for a disguise.
    templates.set_formatter(|out, state, value| {
        if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() && !value.is_none() {
            return Ok(out.write_str(&html::escape(&value.to_string()))?);
        }
        escape_formatter(out, state, value)
    });
    for (name, source) in [
        ("notice.txt", include_str!("../../../templates/mail/notice.txt")),
        ("notice.html", include_str!("../../../templates/mail/notice.html")),
        ("confirmation.txt", include_str!("../../../templates/mail/confirmation.txt")),
        ("confirmation.html", include_str!("../../../templates/mail/confirmation.html")),
    ] {
        templates.add_template(name, source).expect("the templates are compiled in, and a test renders each");
    }
    templates
});

#[cfg(test)]
mod tests;
