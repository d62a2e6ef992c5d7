//! What HTTP says of a feed, held against what it is.

use super::findings::Findings;
use super::rules::book::{CONTENT_TYPE, NO_LINK_FIELD, TEXT_XML};
use super::tree::{Space, Tree};
use super::{Context, Dialect};

/// The charset that a `Content-Type` names.
pub(super) fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Is what `context` says of the answer right for the feed in `tree`?
pub(super) fn look(context: &Context<'_>, dialect: Dialect, tree: &Tree<'_>, findings: &mut Findings) {
    if let Some(content_type) = context.content_type {
        content_type_fits(content_type, dialect, findings);
    }
    if let Some(fields) = context.links {
        links_fit(fields, tree, findings);
    }
}

fn content_type_fits(content_type: &str, dialect: Dialect, findings: &mut Findings) {
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

/// Who subscribes to a hub looks for it, and for the address to subscribe to, in `Link` fields first.
fn links_fit(fields: &[String], tree: &Tree<'_>, findings: &mut Findings) {
    let relations: Vec<String> = fields.iter().flat_map(|field| relations(field)).collect();
    let count = |wanted: &str| relations.iter().filter(|rel| rel.eq_ignore_ascii_case(wanted)).count();
    let (hubs, own) = (count("hub"), count("self"));
    let is_named = tree.all().any(|at| {
        at.is(Space::Atom, "link") && at.attribute("rel") == Some("hub")
            || at.is(Space::Member, "hubs") && at.children().next().is_some()
    });
    if (is_named && hubs == 0) || (hubs > 0 && own != 1) {
        findings.add(&NO_LINK_FIELD, 0, format!("{hubs} of rel=\"hub\", {own} of rel=\"self\""));
    }
}

/// The relations of all links in a `Link` field (RFC 8288 §3).
fn relations(field: &str) -> Vec<String> {
    let mut relations = Vec::new();
    // An address stands in angle brackets, and may hold what separates links elsewhere.
    for link in field.split('<').skip(1) {
        let parameters = link.split_once('>').map_or("", |(_, parameters)| parameters);
        let rel = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("rel")
                .then(|| value.trim().trim_end_matches(',').trim_end().trim_matches('"'))
        });
        relations.extend(rel.into_iter().flat_map(str::split_whitespace).map(str::to_owned));
    }
    relations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read_however_links_are_written() {
        for (field, expected) in [
            ("<https://hub.example/?a=1,2;b>; rel=\"hub\", <https://paper.example/>;rel=self", &["hub", "self"][..]),
            ("<https://a/>; title=\"x; y\" ; REL = \"hub self\"", &["hub", "self"]),
            ("<https://a/>; rel=hub,<https://b/>; rel=alternate", &["hub", "alternate"]),
            ("<https://a/>", &[]),
            ("rel=hub", &[]),
            ("<https://a/; rel=hub", &[]),
        ] {
            assert_eq!(relations(field), expected, "{field}");
        }
    }
}
