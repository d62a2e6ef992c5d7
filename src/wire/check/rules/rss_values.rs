//! What stands in the elements of RSS 2.0: addresses, dates, people, numbers.

use super::sources::{PROFILE, RSS, VALIDATOR};
use super::{Look, Rule, by_another, rule};
use crate::domain::is_language_tag;
use crate::wire::check::findings::Severity::{Error, Warning};
use crate::wire::check::values::{
    MailDate, is_count, is_implausible, is_iri, is_mail_address, is_media_type, is_web_address, mail_date,
};

/// A date in the form of mail.
const MAIL_DATE: &str = "a date such as Fri, 18 Dec 2020 12:03:00 +0000";
const MAIL: &str = "RFC 5322 §3.3, RFC 822 §5.1";
const PEOPLE: &[&str] = &["item/author", "channel/managingEditor", "channel/webMaster"];

static WEEKDAY: Rule = rule(Error, "IncorrectDOW", &[], by_another, "the weekday of that date", MAIL);
static ODD_DATE: Rule = rule(Warning, "ProblematicalRFC822Date", &[], by_another, MAIL_DATE, PROFILE);
/// Also of dates in Atom.
pub(super) static IMPLAUSIBLE: Rule =
    rule(Warning, "ImplausibleDate", &[], by_another, "a date between 1605 and tomorrow", VALIDATOR);
static REAL_NAME: Rule = rule(Warning, "MissingRealName", &[], by_another, "mail@example.org (Name)", PROFILE);

pub(super) const RULES: &[Rule] = &[
    rule(
        Error,
        "InvalidRFC2822Date",
        &["item/pubDate", "channel/pubDate", "channel/lastBuildDate"],
        date,
        MAIL_DATE,
        MAIL,
    ),
    rule(Error, "IncorrectDOW", &[], by_another, WEEKDAY.expected, MAIL),
    rule(Warning, "ProblematicalRFC822Date", &[], by_another, MAIL_DATE, PROFILE),
    rule(Warning, "ImplausibleDate", &[], by_another, IMPLAUSIBLE.expected, VALIDATOR),
    rule(Error, "InvalidAddrSpec", PEOPLE, person, "mail@example.org (Name); names alone go into dc:creator", RSS),
    rule(Warning, "MissingRealName", &[], by_another, REAL_NAME.expected, PROFILE),
    rule(
        Error,
        "InvalidLink",
        &["channel/link", "item/link", "channel/docs", "image/link"],
        |look| look.holds(is_iri(look.text())),
        "an absolute address",
        RSS,
    ),
    rule(
        Error,
        "InvalidFullLink",
        &["item/comments", "image/url"],
        |look| look.holds(is_web_address(look.text())),
        "an absolute address of http or https",
        RSS,
    ),
    rule(
        Error,
        "InvalidLanguage",
        &["channel/language", "*/dc:language"],
        |look| look.holds(is_language_tag(look.text())),
        "a language such as en or pt-BR",
        "RFC 5646 §2.1",
    ),
    rule(
        Error,
        "InvalidNonNegativeInteger",
        &["channel/ttl"],
        |look| look.holds(is_count(look.text())),
        "minutes as a number",
        RSS,
    ),
    rule(Error, "InvalidWidth", &["image/width"], |look| look.holds(is_pixels(look.text(), 144)), "1 to 144", RSS),
    rule(Error, "InvalidHeight", &["image/height"], |look| look.holds(is_pixels(look.text(), 400)), "1 to 400", RSS),
    rule(
        Error,
        "InvalidHour",
        &["skipHours/hour"],
        |look| look.holds(is_pixels(look.text(), 23) || look.text() == "0"),
        "0 to 23",
        RSS,
    ),
    rule(
        Error,
        "InvalidDay",
        &["skipDays/day"],
        |look| look.holds(DAYS.contains(&look.text())),
        "the English name of a day",
        RSS,
    ),
    rule(
        Error,
        "MissingAttribute",
        &["item/enclosure"],
        |look| {
            for name in ["url", "length", "type"] {
                look.needs_attribute(name)
            }
        },
        "url, length and type",
        RSS,
    ),
    rule(
        Error,
        "InvalidURLAttribute",
        &["item/enclosure", "item/source"],
        |look| look.attribute("url", is_web_address),
        "an absolute address of http or https",
        RSS,
    ),
    rule(
        Error,
        "InvalidIntegerAttribute",
        &["item/enclosure"],
        |look| look.attribute("length", |length| is_count(length) || length == "-1"),
        "bytes as a number",
        RSS,
    ),
    rule(
        Error,
        "UseZeroForUnknown",
        &["item/enclosure"],
        |look| look.attribute("length", |length| length != "-1"),
        "0 for a length that is not known",
        PROFILE,
    ),
    rule(
        Error,
        "InvalidMIMEAttribute",
        &["item/enclosure"],
        |look| look.attribute("type", is_media_type),
        "a media type",
        "RFC 9110 §8.3.1",
    ),
    rule(
        Error,
        "MissingAttribute",
        &["item/source"],
        |look| look.needs_attribute("url"),
        "the feed that it came from",
        RSS,
    ),
    rule(
        Warning,
        "NotBlank",
        &["item/title", "item/category", "channel/category"],
        |look| look.holds(look.at.has_text()),
        "some text, or no such element",
        VALIDATOR,
    ),
];

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn date(look: &mut Look<'_, '_>) {
    let text = look.text();
    let quoted = || format!("\"{text}\"");
    match mail_date(text) {
        MailDate::Good(date) => {
            if is_implausible(date, look.about.now) {
                look.tell(&IMPLAUSIBLE, quoted());
            }
        }
        MailDate::Odd(date) => {
            look.tell(&ODD_DATE, quoted());
            if is_implausible(date, look.about.now) {
                look.tell(&IMPLAUSIBLE, quoted());
            }
        }
        MailDate::Weekday => look.tell(&WEEKDAY, quoted()),
        MailDate::Wrong => look.holds(false),
    }
}

/// `mail@example.org (Name)`.
fn person(look: &mut Look<'_, '_>) {
    let text = look.text();
    match text.split_once('(') {
        Some((mail, name)) if is_mail_address(mail.trim()) && name.ends_with(')') => {}
        None if is_mail_address(text) => look.tell(&REAL_NAME, format!("\"{text}\"")),
        Some(_) | None => look.holds(false),
    }
}

fn is_pixels(text: &str, max: u32) -> bool {
    text.parse().is_ok_and(|pixels: u32| (1..=max).contains(&pixels))
}
