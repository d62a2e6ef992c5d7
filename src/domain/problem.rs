//! The one error that people see, the same through API, command line and page.

use super::ArticleId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What sort of mistake it was. The web layer maps each to one HTTP status, in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The request itself cannot be read (syntax, encoding).
    Malformed,
    /// No key, or one that is unknown or revoked.
    Unauthorized,
    /// Understood and not allowed: a signed link that does not fit.
    Forbidden,
    /// There is no such thing at this address.
    NotFound,
    /// The address is known and does not take this method.
    MethodNotAllowed,
    /// It was here and has been retracted.
    Gone,
    /// It contradicts something stored: an id or key that is taken.
    Conflict,
    /// `If-Match` names a revision that is no longer the current one.
    Stale,
    /// The body is over its limit.
    TooLarge,
    /// The body's media type is not one that is read here.
    UnsupportedMedia,
    /// Readable, but a field holds what it must not.
    Invalid,
    /// More than the limit in its time window.
    TooMany,
    /// Cannot be done now; trying again later may work.
    Unavailable,
    /// A fault of the daemon's own.
    Internal,
}

/// One field that is wrong: what was found there and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the field as the caller wrote it, for example `title` or `smtp.port`.
    pub field: String,
    /// What was found, shortened to 80 characters.
    pub found: String,
    /// What would have been right.
    pub expected: String,
}

/// Long enough to recognise one's own text, short enough for a log line.
const FOUND_CHARS_MAX: usize = 80;

impl Fault {
    /// A fault in `field`; a long `found` is shortened.
    pub fn new(field: impl Into<String>, found: impl AsRef<str>, expected: impl Into<String>) -> Self {
        let found = found.as_ref();
        let mut short: String = found.chars().take(FOUND_CHARS_MAX).collect();
        if short.len() < found.len() {
            short.push('…');
        }
        Fault { field: field.into(), found: short, expected: expected.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: found {}, expected {}", self.field, self.found, self.expected)
    }
}

/// Why something that a reader came for cannot be: pages say it in the reader's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no article at the address.
    NoArticle,
    /// The newsroom has withdrawn the article.
    Withdrawn,
    /// The link was not made here, or has been cut off.
    LinkUnknown,
    /// A newer mail has the link that works.
    LinkNewer,
    /// The link was good for a while.
    LinkLapsed,
    /// The subscription has ended.
    LinkEnded,
    /// The subscription was asked for anew.
    LinkAnew,
    /// Nobody has pressed the button.
    NoButton,
}

/// An error for a person: its kind, a sentence, and every field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Decides the HTTP status and the exit code.
    pub kind: Kind,
    /// One sentence that can be read alone.
    pub detail: String,
    /// All wrong fields at once, so that one round of mending is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// For pages, if it is one of these.
    #[serde(skip)]
    pub reason: Option<Reason>,
}

impl Problem {
    /// A problem that no single field explains.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Problem { kind, detail: detail.into(), faults: Vec::new(), reason: None }
    }

    /// The same, for `reason`.
    pub fn because(self, reason: Reason) -> Self {
        Problem { reason: Some(reason), ..self }
    }

    /// [`Kind::Invalid`] with the fields that are wrong; the sentence names the first.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [] => "something in it is not valid".to_owned(),
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
        };
        Problem { kind: Kind::Invalid, detail, faults, reason: None }
    }

    /// [`Kind::NotFound`] for an article that nobody has pushed.
    pub fn no_article(id: &ArticleId) -> Self {
        Problem::new(Kind::NotFound, format!("there is no article with the id {id}"))
    }

    /// [`Kind::Invalid`] for one field.
    pub fn field(field: impl Into<String>, found: impl AsRef<str>, expected: impl Into<String>) -> Self {
        Problem::invalid(vec![Fault::new(field, found, expected)])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if self.faults.len() > 1 {
            for fault in &self.faults {
                write!(f, "\n  {fault}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
