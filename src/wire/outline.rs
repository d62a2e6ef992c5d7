//! OPML 2.0 (opml.org/spec2.opml): a list of feeds that readers subscribe to in one go.

use super::html::escape;
use crate::domain::{Time, rfc822};
use std::fmt::Write as _;

/// `Content-Type` of the list.
pub const MEDIA_TYPE: &str = "text/x-opml; charset=utf-8";

/// A feed in the list. Its other formats say the same, and a reader that took all of them would show each article three
/// times: so one line a feed, with the format that every reader knows.
#[derive(Debug, Clone)]
pub struct Outline {
    /// Name for people.
    pub title: String,
    /// A sentence about it.
    pub description: String,
    /// BCP 47 tag.
    pub language: String,
    /// The page for people.
    pub page: String,
    /// The feed, as RSS.
    pub feed: String,
}

/// The list `title` as it was at `changed_at`. Characters that XML forbids are left out.
pub fn write(title: &str, changed_at: Time, outlines: &[Outline]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<opml version=\"2.0\">\n<head>");
    let text = |text: &str| escape(&crate::domain::clean_line(text));
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "<title>{}</title><dateModified>{}</dateModified></head>\n<body>\n",
        text(title),
        rfc822(changed_at)
    );
    for Outline { title, description, language, page, feed } in outlines {
        let title = text(title);
        let _ = write!(
            out,
            "<outline type=\"rss\" text=\"{title}\" title=\"{title}\" xmlUrl=\"{}\" htmlUrl=\"{}\"",
            text(feed),
            text(page)
        );
        for (name, value) in [("description", description), ("language", language)] {
            if !value.is_empty() {
                let _ = write!(out, " {name}=\"{}\"", text(value));
            }
        }
        out.push_str("/>\n");
    }
    out.push_str("</body>\n</opml>\n");
    out
}
