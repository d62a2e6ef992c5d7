//! JSON Feed 1.1 (jsonfeed.org/version/1.1).

use super::{Document, PRINT_REL};
use crate::domain::{Comments, Fault, Medium, Origin, Time};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What `version` says.
pub(super) const VERSION: &str = "https://jsonfeed.org/version/1.1";

/// What the feed's own object is about.
const HISTORY: &str = "urn:tidings:rel:history";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Feed<'a> {
    pub(super) version: Cow<'a, str>,
    pub(super) title: Cow<'a, str>,
    pub(super) home_page_url: Cow<'a, str>,
    pub(super) feed_url: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) description: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) language: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) icon: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) favicon: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_url: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hubs: Vec<Hub<'a>>,
    #[serde(rename = "_tidings", default, skip_serializing_if = "Option::is_none")]
    pub(super) extension: Option<History<'a>>,
    pub(super) items: Vec<Item<'a>>,
}

/// Where to subscribe to changes (§ Subscribing to Real-time Notifications).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hub<'a> {
    #[serde(rename = "type")]
    protocol: Cow<'a, str>,
    url: Cow<'a, str>,
}

/// Our own object of a feed with a history: what JSON Feed has no names for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History<'a> {
    about: Cow<'a, str>,
    /// A closed part of the history, as `fh:archive` (RFC 5005 §4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    archive: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_url: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev_archive_url: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_archive_url: Option<Cow<'a, str>>,
    /// What is no longer to be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retracted: Vec<Retracted<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Retracted<'a> {
    id: Cow<'a, str>,
    at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Item<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) url: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) title: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_html: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_text: Option<Cow<'a, str>>,
    pub(super) date_published: String,
    pub(super) date_modified: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) authors: Vec<Author<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attachments: Vec<Attachment<'a>>,
    #[serde(rename = "_tidings")]
    pub(super) extension: Extension<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Attachment<'a> {
    pub(super) url: Cow<'a, str>,
    pub(super) mime_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_in_bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Author<'a> {
    pub(super) name: Cow<'a, str>,
}

/// Our own object: the key begins with an underscore, and `about` says what it is (§ Extensions).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Extension<'a> {
    pub(super) about: Cow<'a, str>,
    pub(super) print_url: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comments: Option<Cow<'a, Comments>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, Origin>>,
}

/// Writes `document`. The print view is `print_url` in the extension object `_tidings` of each item. An item must have
/// content; a headline without a body has its title as `content_text`.
///
/// Errors: a [`Fault`] if the JSON crate refuses.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, Fault> {
    let feed = Feed {
        version: VERSION.into(),
        title: document.title.as_str().into(),
        home_page_url: document.home.as_str().into(),
        feed_url: document.self_url.as_str().into(),
        description: document.description.as_str().into(),
        language: document.language.as_str().into(),
        // The larger one is `icon` (§ Top-level).
        icon: document.logo.as_deref().or(document.icon.as_deref()).map(Cow::Borrowed),
        favicon: document.icon.as_deref().map(Cow::Borrowed),
        next_url: document.links.next.as_deref().map(Cow::Borrowed),
        hubs: document.hub.iter().map(|hub| Hub { protocol: "WebSub".into(), url: hub.as_str().into() }).collect(),
        extension: history(document),
        items: document.items.iter().map(|item| self::item(item, document)).collect(),
    };
    serde_json::to_vec(&feed).map_err(|error| Fault::new("feed", error.to_string(), "JSON"))
}

fn history(document: &Document) -> Option<History<'_>> {
    let links = &document.links;
    let is_plain = !document.is_archive && links.prev_archive.is_none() && document.tombstones.is_empty();
    let retracted = document
        .tombstones
        .iter()
        .map(|tombstone| Retracted { id: tombstone.guid.as_str().into(), at: date(tombstone.at) });
    (!is_plain).then(|| History {
        about: HISTORY.into(),
        archive: document.is_archive,
        current_url: links.current.as_deref().map(Cow::Borrowed),
        prev_archive_url: links.prev_archive.as_deref().map(Cow::Borrowed),
        next_archive_url: links.next_archive.as_deref().map(Cow::Borrowed),
        retracted: retracted.collect(),
    })
}

fn item<'a>(item: &'a super::Item, document: &Document) -> Item<'a> {
    Item {
        id: item.guid.as_str().into(),
        url: item.link.as_str().into(),
        title: item.title.as_str().into(),
        summary: item.summary.as_deref().map(Cow::Borrowed),
        content_html: item.html.as_deref().map(Cow::Borrowed),
        content_text: item.html.is_none().then(|| item.summary.as_deref().unwrap_or(&item.title).into()),
        date_published: date(item.published),
        date_modified: date(item.updated),
        authors: item.authors.iter().map(|name| Author { name: name.into() }).collect(),
        tags: item.labels().into_iter().map(Cow::Borrowed).collect(),
        language: item.other_language(document),
        image: item.media.iter().find(|medium| medium.medium() == "image").map(|medium| medium.url.as_str().into()),
        attachments: item.media.iter().map(attachment).collect(),
        extension: Extension {
            about: PRINT_REL.into(),
            print_url: item.print.as_str().into(),
            comments: item.comments.as_ref().map(Cow::Borrowed),
            source: item.source.as_ref().map(Cow::Borrowed),
        },
    }
}

fn attachment(medium: &Medium) -> Attachment<'_> {
    Attachment {
        url: medium.url.as_str().into(),
        mime_type: medium.media_type.as_str().into(),
        title: medium.alt.as_deref().map(Cow::Borrowed),
        size_in_bytes: medium.bytes,
    }
}

/// RFC 3339 in UTC.
fn date(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
