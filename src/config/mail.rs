//! `[mail]` and `[mail.smtp]`: who sends, how often, and through which server.

use super::dkim::{self, DkimKey};
use super::keys;
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use super::shaping::{self, Shape, WarmUp};
use super::watchdog::{self, Canary, Watchdog};
use crate::domain::{Address, clean_line, parse_time};
use chrono::TimeDelta;
use jiff::tz::TimeZone;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;
use url::{Host, Url};

/// What `[mail]` says.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Sender of all mail.
    pub from: Sender,
    /// Where mails go as files while there is no [`Mail::smtp`].
    pub outbox: PathBuf,
    /// What a notice has of an article's text.
    pub text: MailText,
    /// An article that came in with a date in the past is not mailed if it is published longer than this after it.
    pub article_age_max: TimeDelta,
    /// A notice waits so long for corrections.
    pub grace: TimeDelta,
    /// Tries for one mail before it is given up.
    pub attempts_max: u32,
    /// One that is refused for now is not tried again when it is older.
    pub age_max: TimeDelta,
    /// What became of mails is told for so long.
    pub numbers_age_max: TimeDelta,
    /// Who got which notice, digest and correction is kept for so long.
    pub ledger_age_max: TimeDelta,
    /// How fast mail goes to whom.
    pub shapes: Vec<Shape>,
    /// Plan for a new sending domain.
    pub warm_up: Option<WarmUp>,
    /// What becomes of mails that were on the wire at a crash.
    pub doubtful: Doubtful,
    /// Confirmation mails in an hour, all subscribers together.
    pub confirmations_per_hour_max: usize,
    /// Where bounces come back to.
    pub return_address: Option<ReturnAddress>,
    /// Where what comes back is taken in.
    pub returns: Returns,
    /// Folder of templates and messages that take the place of built-in ones, if there are any; see
    /// [`super::template_files`].
    pub templates: Option<PathBuf>,
    /// Folder of the signing keys, if there are to be any.
    pub dkim_folder: Option<PathBuf>,
    /// Keys that sign, whether it is their time or not.
    pub dkim: Vec<DkimKey>,
    /// When mail is late.
    pub watchdog: Watchdog,
    /// The mail that proves delivery, if there is to be one.
    pub canary: Option<Canary>,
    /// The mail server; where there is none, mails go to the outbox.
    pub smtp: Option<Smtp>,
}

/// A mailbox of which every `local+…@domain` is delivered to the same place (RFC 5233).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress {
    /// In front of the `+`.
    pub local: String,
    /// Behind the `@`.
    pub domain: String,
}

impl ReturnAddress {
    /// Longest local part to which a signed part can be added: RFC 5321 §4.5.3.1.1 allows 64 letters in all.
    pub const LOCAL_BYTES_MAX: usize = 18;

    fn parse(text: &str) -> Option<Self> {
        let Sender { name: None, address } = Sender::parse(text)? else { return None };
        let (local, domain) = address.split_once('@')?;
        let fits = local.len() <= Self::LOCAL_BYTES_MAX && !local.contains('+');
        fits.then(|| ReturnAddress { local: local.to_owned(), domain: domain.to_owned() })
    }
}

/// The doors for mail to [`Mail::return_address`].
#[derive(Debug, Clone, Default)]
pub struct Returns {
    /// A Maildir that is read.
    pub maildir: Option<PathBuf>,
    /// An address at which a mail server hands mail over.
    pub lmtp: Option<SocketAddr>,
}

/// What a notice has of an article's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailText {
    /// Its summary, or the beginning.
    Summary,
    /// All of it, as far as mail programs show it.
    Full,
}

/// What becomes of a mail of which nobody knows whether the server took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubtful {
    /// It waits for a person, so that nobody gets anything twice.
    Hold,
    /// It is sent again, so that nobody misses anything.
    Resend,
}

/// What `[mail.smtp]` says.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Name of the server; its certificate is checked against it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Name and password, if the server wants them.
    pub login: Option<Login>,
    /// Connections used at once.
    pub connections: usize,
    /// Messages that one of them carries.
    pub messages_per_connection: usize,
    /// PEM of certificate authorities that are trusted in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// How long the server may take for each step.
    pub timeout: Duration,
    /// How long it may take to answer to a whole message; RFC 5321 §4.5.3.2.6 asks for 10 minutes.
    pub timeout_end: Duration,
}

/// Encryption of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Begun by STARTTLS, and required (RFC 3207).
    Starttls,
    /// From the first byte (RFC 8314 §3).
    Implicit,
    /// None at all: for a server on this machine.
    None,
}

/// Name and password.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name.
    pub username: String,
    /// From `password_file`.
    pub password: Secret,
}

/// Text that is never shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `text`, not to be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the wire alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A sender: a mail address, perhaps with a name. Unlike a subscriber's, its domain may be `localhost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Name for people, on one line.
    pub name: Option<String>,
    /// The bare address.
    pub address: String,
}

impl Sender {
    /// Reads `Newsroom <news@example.org>` or `news@example.org`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, bare) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, bare)) => (name.trim().trim_matches('"'), bare),
            None => ("", text),
        };
        if clean_line(name) != name {
            return None;
        }
        let address = match bare.strip_suffix("@localhost") {
            // The local part has to stand the same test as in any other address.
            Some(local) => Address::parse("from", &format!("{local}@example.org")).ok().map(|_| bare.to_owned()),
            None => Address::parse("from", bare).ok().map(|address| address.as_str().to_owned()),
        };
        // A sender beyond ASCII could write only to those whose servers know SMTPUTF8.
        let address = address.filter(|address| address.is_ascii());
        let name = (!name.is_empty()).then(|| name.to_owned());
        address.map(|address| Sender { name, address })
    }

    /// `tidings@` the host of `base_url` where mail could come from there, else `tidings@localhost`.
    fn of_site(base_url: Option<&Url>) -> Self {
        let host = match base_url.and_then(Url::host) {
            Some(Host::Domain(domain)) => domain,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => "localhost",
        };
        Sender::parse(&format!("tidings@{host}"))
            .unwrap_or_else(|| Sender { name: None, address: "tidings@localhost".into() })
    }
}

/// Reads both sections. None if something was wrong with one of them.
pub(super) fn read(
    source: &Source,
    table: &DeTable<'_>,
    base_url: Option<&Url>,
    store_folder: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<Mail> {
    let smtp = Section::open(source, table, "mail.smtp", mistakes);
    let smtp = if smtp.is_written() { Some(self::smtp(smtp)) } else { None };
    let mut section = Section::open(source, table, "mail", mistakes);
    let from = section.parsed(&keys::MAIL_FROM, Sender::parse).unwrap_or_else(|| Sender::of_site(base_url));
    let outbox = section.path(&keys::MAIL_OUTBOX).or_else(|| store_folder.map(|folder| folder.join("outbox")));
    let grace_s = section.whole(&keys::MAIL_GRACE_S).and_then(|seconds| i64::try_from(seconds).ok());
    let age_max_h = section.whole(&keys::MAIL_ARTICLE_AGE_MAX_H).and_then(|hours| i64::try_from(hours).ok());
    let attempts_max = narrow(section.whole(&keys::MAIL_ATTEMPTS_MAX));
    let mut days = |key| section.whole(key).and_then(|days| TimeDelta::try_days(i64::try_from(days).ok()?));
    let (numbers_age_max, ledger_age_max) =
        (days(&keys::MAIL_NUMBERS_AGE_MAX_DAYS), days(&keys::MAIL_LEDGER_AGE_MAX_DAYS));
    let mail_age_max_h = section.whole(&keys::MAIL_AGE_MAX_H).and_then(|hours| i64::try_from(hours).ok());
    let shaping_folder = section.path(&keys::MAIL_SHAPING_FOLDER);
    let warm_up = warm_up(&mut section);
    let doubtful = section.parsed(&keys::MAIL_DOUBTFUL, |word| match word {
        "hold" => Some(Doubtful::Hold),
        "resend" => Some(Doubtful::Resend),
        _ => None,
    });
    let text = section.parsed(&keys::MAIL_TEXT, |word| match word {
        "summary" => Some(MailText::Summary),
        "full" => Some(MailText::Full),
        _ => None,
    });
    let return_address = section.parsed(&keys::MAIL_RETURN_ADDRESS, ReturnAddress::parse);
    let maildir = section.path(&keys::MAIL_RETURNS_MAILDIR);
    let lmtp = section.parsed(&keys::MAIL_RETURNS_LMTP, |text| text.parse().ok());
    if return_address.is_none() && (maildir.is_some() || lmtp.is_some()) {
        let found = "none, though there is a door for what comes back to it";
        section.mistake(&keys::MAIL_RETURN_ADDRESS, found, "an address such as bounces@example.org");
    }
    let has_door = return_address.is_some() && (maildir.is_some() || lmtp.is_some());
    let templates = section.path(&keys::MAIL_TEMPLATES);
    let dkim_folder = section.path(&keys::MAIL_DKIM_FOLDER);
    let confirmations_per_hour_max = section.whole(&keys::MAIL_CONFIRMATIONS_PER_HOUR_MAX).map(super::wide);
    let own_domain = from.address.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let dkim = dkim_folder.as_deref().map(|folder| dkim::load(folder, own_domain, mistakes)).unwrap_or_default();
    let watched = watchdog::read(source, table, has_door, mistakes);
    let shapes = shaping::load(shaping_folder.as_deref(), mistakes);
    let (watchdog, canary) = watched?;
    Some(Mail {
        watchdog,
        canary,
        age_max: TimeDelta::try_hours(mail_age_max_h?)?,
        numbers_age_max: numbers_age_max?,
        ledger_age_max: ledger_age_max?,
        shapes,
        warm_up,
        return_address,
        returns: Returns { maildir, lmtp },
        templates,
        dkim_folder,
        dkim,
        from,
        outbox: outbox?,
        text: text?,
        article_age_max: TimeDelta::try_hours(age_max_h?)?,
        grace: TimeDelta::try_seconds(grace_s?)?,
        attempts_max: attempts_max?,
        doubtful: doubtful?,
        confirmations_per_hour_max: confirmations_per_hour_max?,
        smtp: match smtp {
            Some(smtp) => Some(smtp?),
            None => None,
        },
    })
}

fn warm_up(section: &mut Section<'_>) -> Option<WarmUp> {
    let from = section.parsed(&keys::MAIL_WARM_UP_FROM, |text| parse_time("day", text, &TimeZone::UTC).ok());
    let messages = section.whole(&keys::MAIL_WARM_UP_MESSAGES);
    let growth_percent = narrow(section.whole(&keys::MAIL_WARM_UP_GROWTH_PERCENT));
    Some(WarmUp { from: from?, messages: messages?, growth_percent: growth_percent? })
}

fn smtp(mut section: Section<'_>) -> Option<Smtp> {
    let host = section.text(&keys::SMTP_HOST);
    let tls = section.parsed(&keys::SMTP_TLS, |word| match word {
        "starttls" => Some(Tls::Starttls),
        "implicit" => Some(Tls::Implicit),
        "none" => Some(Tls::None),
        _ => None,
    });
    let port = section.whole(&keys::SMTP_PORT).and_then(|port| u16::try_from(port).ok());
    let login = login(&mut section);
    if tls == Some(Tls::None) && login.is_some() && !host.as_deref().is_some_and(is_here) {
        section.mistake(
            &keys::SMTP_TLS,
            "\"none\", which would send the password in the clear",
            "\"starttls\" or \"implicit\"",
        );
    }
    let ca_pem = ca_pem(&mut section);
    let connections = section.whole(&keys::SMTP_CONNECTIONS).map(super::wide);
    let messages_per_connection = section.whole(&keys::SMTP_MESSAGES_PER_CONNECTION).map(super::wide);
    let timeout = section.whole(&keys::SMTP_TIMEOUT_S).map(Duration::from_secs);
    let timeout_end = section.whole(&keys::SMTP_TIMEOUT_END_S).map(Duration::from_secs);
    let tls = tls?;
    Some(Smtp {
        host: host?,
        port: port.unwrap_or(match tls {
            Tls::Starttls => 587,
            Tls::Implicit => 465,
            Tls::None => 25,
        }),
        tls,
        login,
        connections: connections?,
        messages_per_connection: messages_per_connection?,
        ca_pem,
        timeout: timeout?,
        timeout_end: timeout_end?,
    })
}

/// Both or neither.
fn login(section: &mut Section<'_>) -> Option<Login> {
    let username = section.text(&keys::SMTP_USERNAME).filter(|name| !name.is_empty());
    let file = section.path(&keys::SMTP_PASSWORD_FILE);
    if section.has(&keys::SMTP_USERNAME) != section.has(&keys::SMTP_PASSWORD_FILE) {
        let (there, missing) = if section.has(&keys::SMTP_USERNAME) {
            (&keys::SMTP_USERNAME, "a password_file beside it")
        } else {
            (&keys::SMTP_PASSWORD_FILE, "a username beside it")
        };
        section.mistake(there, "only one half of a login", missing);
    }
    let password = match std::fs::read_to_string(file?) {
        Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
        Err(e) => {
            // Not the path: who wrote the password here by mistake must not find it in a log.
            let found = format!("no readable file ({})", e.kind());
            section.mistake(&keys::SMTP_PASSWORD_FILE, found, keys::SMTP_PASSWORD_FILE.form.expected());
            return None;
        }
    };
    if password.is_empty() || password.contains(['\r', '\n', '\0']) {
        section.mistake(&keys::SMTP_PASSWORD_FILE, "no password on its first line, or more lines", "one line");
        return None;
    }
    Some(Login { username: username?, password: Secret(password) })
}

fn ca_pem(section: &mut Section<'_>) -> Option<Vec<u8>> {
    let file = section.path(&keys::SMTP_CA_FILE)?;
    match std::fs::read(&file) {
        Ok(pem) if pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") => return Some(pem),
        Ok(_) => section.mistake(&keys::SMTP_CA_FILE, "a file without a certificate in it", "a PEM file"),
        Err(e) => section.mistake(&keys::SMTP_CA_FILE, format!("{}: {e}", file.display()), "a readable PEM file"),
    }
    None
}

/// On this machine nobody listens in.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn narrow(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}
