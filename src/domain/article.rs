//! An article: what the newsroom says, and the states it goes through.

use super::text::{is_clean_line, parsed};
use super::{Comments, Fault, Medium, Origin, Slug, Time};
use chrono::Duration;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

/// An article's name for life. Minted once as a UUID of version 7, or kept verbatim from an import;
/// never derived from title, address or date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ArticleId(Box<str>);

impl ArticleId {
    /// Long enough for any address that was used as an id; a store key holds it.
    pub const BYTES_MAX: usize = 500;

    /// A new id that sorts by the time of its making.
    #[expect(clippy::disallowed_methods, reason = "the one place that mints article ids")]
    pub fn mint() -> Self {
        ArticleId(Uuid::now_v7().to_string().into())
    }

    /// An id that was given from outside, kept to the letter. Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        name(field, text, Self::BYTES_MAX).map(ArticleId)
    }

    /// To the letter.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as RSS `guid` and JSON Feed `id`: `urn:uuid:…` for a minted one, anything else to the letter,
    /// so that readers who knew an imported article still know it.
    pub fn guid(&self) -> String {
        match Uuid::try_parse(&self.0) {
            Ok(uuid) if uuid.hyphenated().to_string() == *self.0 => uuid.urn().to_string(),
            _ => self.0.to_string(),
        }
    }

    /// The id as `atom:id`, which must be an IRI (RFC 4287 §4.2.6): the guid where it is one already,
    /// else a name-based UUID (RFC 9562 §5.5) of it, the same on every machine and for ever.
    pub fn iri(&self) -> String {
        /// What no IRI has as it stands (RFC 3987 §2.2); a URL parser would encode it, and so make another id of it.
        const NOT_IN_IRI: [char; 10] = [' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'];
        let guid = self.guid();
        match Url::parse(&guid) {
            Ok(_) if !guid.contains(NOT_IN_IRI) => guid,
            Ok(_) | Err(_) => Uuid::new_v5(&Uuid::NAMESPACE_OID, self.0.as_bytes()).urn().to_string(),
        }
    }
}

impl std::fmt::Display for ArticleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArticleId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| ArticleId::parse("id", text))
    }
}

/// The publisher's own name for an article; a push that names it twice makes one article.
/// Article files use `file:<category>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ExternalId(Box<str>);

impl ExternalId {
    /// As for [`ArticleId`].
    pub const BYTES_MAX: usize = 500;

    /// Errors: a [`Fault`] on `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        name(field, text, Self::BYTES_MAX).map(ExternalId)
    }

    /// To the letter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| ExternalId::parse("external_id", text))
    }
}

fn name(field: &str, text: &str, bytes_max: usize) -> Result<Box<str>, Fault> {
    let fits = !text.is_empty()
        && text.len() <= bytes_max
        && is_clean_line(text)
        // As a path segment these two would be eaten by every client before the request is sent.
        && !matches!(text, "." | "..");
    if !fits {
        let found = if text.len() > bytes_max { format!("{} bytes", text.len()) } else { format!("{text:?}") };
        let expected = format!(
            "1 to {bytes_max} bytes on one line: no control characters, no spaces at the ends, not \".\" or \"..\""
        );
        return Err(Fault::new(field, found, expected));
    }
    Ok(text.into())
}

/// The text proper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Sanitised HTML with absolute links: safe to send anywhere as it is.
    #[serde(rename = "body_html")]
    pub html: String,
    /// The Markdown it was made from, where that is what came in.
    #[serde(rename = "body_markdown", default, skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
}

/// What the newsroom says: all that a revision can change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// At least one; the first is the article's home.
    pub categories: Vec<Slug>,
    /// Plain text, one line.
    pub title: String,
    /// Plain text, as the newsroom wrote it. Where there is none, feeds and mails derive one from the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// A headline without a body is an article too.
    #[serde(flatten)]
    pub body: Option<Body>,
    /// The article's address on the newsroom's own site; where there is none, the page served here is its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Names of people, as they are to be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// BCP 47 tag; an article that comes in without one gets that of its first category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Pictures, sound, films.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Medium>,
    /// Where it is discussed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<Comments>,
    /// The feed that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Origin>,
}

/// Where an article stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Seen by the newsroom alone.
    Draft,
    /// Will be published at its `published_at`, and not a moment earlier.
    Scheduled,
    /// Public.
    Published,
    /// Was public, or was to be, and is withdrawn.
    Retracted,
}

impl State {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Scheduled => "scheduled",
            State::Published => "published",
            State::Retracted => "retracted",
        }
    }
}

/// What the newsroom wants done with what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Keep it unseen.
    Draft,
    /// Publish it: at once, or at `published_at` where that lies ahead.
    Published,
}

/// An article as it comes in: checked, not yet stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Given at an import; where there is none, one is minted.
    pub id: Option<ArticleId>,
    /// The publisher's own name for it.
    pub external_id: Option<ExternalId>,
    /// Draft or public.
    pub wish: Wish,
    /// The date to be shown; ahead of now it is the hour of publishing.
    pub published_at: Option<Time>,
    /// All the rest.
    pub content: Content,
}

/// An article as it is stored, and as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// For life.
    pub id: ArticleId,
    /// The publisher's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// 1 when it came in, one more with each change of anything.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// When it came in.
    #[serde(with = "super::millis")]
    pub created_at: Time,
    /// Date shown to readers; set at the latest when it is published, and not moved by an edit that does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::millis::optional")]
    pub published_at: Option<Time>,
    /// When its content last changed.
    #[serde(with = "super::millis")]
    pub updated_at: Time,
    /// When the public first saw it here; decides whether a change is `Published` or `Restored`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::millis::optional")]
    pub first_public_at: Option<Time>,
    /// What the newsroom says.
    #[serde(flatten)]
    pub content: Content,
}

impl Article {
    /// One that came in at `at` and was public at once.
    pub fn published(id: ArticleId, at: Time, content: Content) -> Self {
        Article {
            id,
            external_id: None,
            revision: 1,
            state: State::Published,
            created_at: at,
            published_at: Some(at),
            updated_at: at,
            first_public_at: Some(at),
            content,
        }
    }

    /// Does the public see it?
    pub fn is_public(&self) -> bool {
        match self.state {
            State::Published => true,
            State::Draft | State::Scheduled | State::Retracted => false,
        }
    }

    /// The date that orders it among others: the one shown, or that of its coming in.
    pub fn dated(&self) -> Time {
        self.published_at.unwrap_or(self.created_at)
    }

    /// Is its coming out at `published` told by mail? Not where it came in with a date that was past, and came out longer
    /// than `age_max` after that, as what an import brings does. One that was here before its date has waited here for
    /// its hour, and is news however late it is let out: the daemon may have been down.
    pub fn is_fresh(&self, published: Time, age_max: Duration) -> bool {
        let has_waited_here = self.created_at <= self.dated();
        has_waited_here || published - self.dated() <= age_max
    }

    /// Readable tail of its address; has no meaning of its own.
    pub fn slug(&self) -> String {
        /// Whole words are cut off behind this many bytes: an address has to fit a line.
        const BYTES_MAX: usize = 80;
        let mut slug = slug::slugify(&self.content.title);
        if slug.len() > BYTES_MAX {
            let end = slug[..BYTES_MAX].rfind('-').unwrap_or(BYTES_MAX);
            slug.truncate(end);
        }
        // `print` in this place is the print view.
        if slug.is_empty() || slug == "print" { "article".to_owned() } else { slug }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_id_is_kept_to_the_letter_and_atom_still_gets_an_iri() {
        let id = ArticleId::parse("id", "https://old.example/?p=12").expect("valid");
        assert_eq!((id.guid(), id.iri()), ("https://old.example/?p=12".into(), "https://old.example/?p=12".into()));
        let id = ArticleId::parse("id", "12").expect("valid");
        assert_eq!(id.guid(), "12");
        assert_eq!(id.iri(), ArticleId::parse("id", "12").expect("valid").iri());
        assert!(id.iri().starts_with("urn:uuid:"));
        let id = ArticleId::parse("id", "https://old.example/?q=a b").expect("valid");
        assert!(id.guid() == id.as_str() && id.iri().starts_with("urn:uuid:"), "a space makes it no IRI");
        let id = ArticleId::mint();
        assert_eq!(id.guid(), format!("urn:uuid:{id}"));
    }

    #[test]
    fn what_came_in_with_an_old_date_is_no_news_and_what_waited_here_for_its_hour_is() {
        let at = |hours: i64| Time::UNIX_EPOCH + Duration::hours(1_000 + hours);
        let article = Article::published(ArticleId::mint(), at(0), Content::default());
        let is_fresh = |dated: Option<i64>, published: i64| {
            let article = Article { published_at: dated.map(at), ..article.clone() };
            article.is_fresh(at(published), Duration::hours(48))
        };
        for (dated, published, expected) in [
            (Some(0), 0, true),
            (None, 100, true),
            (Some(-48), 0, true),
            (Some(-49), 0, false),
            (Some(-1), 47, true),
            (Some(-1), 48, false),
            (Some(24), 24, true),
            (Some(24), 100, true),
        ] {
            assert_eq!(is_fresh(dated, published), expected, "dated {dated:?}, came out at {published}");
        }
    }

    #[test]
    fn an_id_that_no_key_or_address_could_hold_is_refused() {
        for wrong in ["", "..", "a\nb", " a", "a\u{0}", &"x".repeat(501)] {
            assert_eq!(ArticleId::parse("id", wrong).expect_err(wrong).field, "id");
        }
    }
}
