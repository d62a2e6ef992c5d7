//! What HTTP says of a feed, held against what it is.

use super::Dialect;
use super::findings::Findings;
use super::rules::book::{CONTENT_TYPE, TEXT_XML};

/// The charset that a `Content-Type` names.
pub(super) fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Is it a type for a feed in `dialect`?
pub(super) fn look(content_type: Option<&str>, dialect: Dialect, findings: &mut Findings) {
    let Some(content_type) = content_type else { return };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_for_it = match dialect {
        Dialect::Rss2 | Dialect::Rss09 => matches!(&*essence, "application/rss+xml" | "application/xml" | "text/xml"),
        Dialect::Rdf => {
            matches!(&*essence, "application/rdf+xml" | "application/rss+xml" | "application/xml" | "text/xml")
        }
        Dialect::Atom1 | Dialect::Atom03 => {
            matches!(&*essence, "application/atom+xml" | "application/xml" | "text/xml")
        }
        Dialect::JsonFeed11 | Dialect::JsonFeed10 => {
            matches!(&*essence, "application/feed+json" | "application/json")
        }
        Dialect::Unknown => true,
    };
    if !is_for_it {
        findings.add(&CONTENT_TYPE, 0, content_type);
    } else if essence == "text/xml" && charset(content_type).is_none() {
        findings.add(&TEXT_XML, 0, content_type);
    }
}
