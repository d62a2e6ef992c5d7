//! What belongs to an article beside its text: pictures and sound, where it is discussed, where it came from.

use serde::{Deserialize, Serialize};
use url::Url;

/// A picture, a recording, a film: a file elsewhere that belongs to the article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Where it is.
    pub url: Url,
    /// Media type, such as `image/jpeg`.
    pub media_type: String,
    /// Its true length. Only a medium whose length is known can be an enclosure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// In pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// In pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What it shows, for those who do not see it. Plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
    /// Whose it is. Plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
}

impl Medium {
    /// `image`, `audio`, `video`, or `document` for anything else (Media RSS, `medium`).
    pub fn medium(&self) -> &'static str {
        match self.media_type.split('/').next() {
            Some("image") => "image",
            Some("audio") => "audio",
            Some("video") => "video",
            Some(_) | None => "document",
        }
    }
}

/// Where an article is discussed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comments {
    /// The page with the comments.
    pub url: Url,
    /// Their feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<Url>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// The feed that an article came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What it is called. Plain text.
    pub title: String,
    /// Where it is.
    pub feed: Url,
}
