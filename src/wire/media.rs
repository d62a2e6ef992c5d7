//! Media RSS (rssboard.org/media-rss), the same elements in RSS and in Atom, for the two crates' own kinds of element.

use crate::domain::Medium;
use std::collections::BTreeMap;

/// Prefix and name.
pub(super) const NAMESPACE: (&str, &str) = ("media", "http://search.yahoo.com/mrss/");

/// Attributes of `media:content`, and its children by name: what it shows, whose it is.
fn parts(medium: &Medium) -> (BTreeMap<String, String>, Vec<(&'static str, String)>) {
    let attributes = [
        ("url", Some(medium.url.to_string())),
        ("type", Some(medium.media_type.clone())),
        ("medium", Some(medium.medium().to_owned())),
        ("fileSize", medium.bytes.map(|bytes| bytes.to_string())),
        ("width", medium.width.map(|width| width.to_string())),
        ("height", medium.height.map(|height| height.to_string())),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let children = [("description", &medium.alt), ("credit", &medium.credit)];
    (attributes, children.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect())
}

/// One function a crate: their elements are the same in all but name, and in who escapes the attributes.
macro_rules! elements {
    ($name:ident, $extension:path, $attribute:expr, $doc:literal) => {
        #[doc = $doc]
        pub(super) fn $name(media: &[Medium]) -> BTreeMap<String, Vec<$extension>> {
            type Extension = $extension;
            let element = |medium: &Medium| {
                let (attrs, children) = parts(medium);
                let attrs = attrs.into_iter().map(|(name, value)| (name, $attribute(value))).collect();
                let child = |(name, value): (&str, String)| {
                    let attrs = match name {
                        "description" => BTreeMap::from([("type".to_owned(), "plain".to_owned())]),
                        _ => BTreeMap::new(),
                    };
                    let child =
                        Extension { name: format!("media:{name}"), value: Some(value), attrs, ..Extension::default() };
                    (name.to_owned(), vec![child])
                };
                let children = children.into_iter().map(child).collect();
                Extension { name: "media:content".to_owned(), attrs, children, ..Extension::default() }
            };
            BTreeMap::from([("content".to_owned(), media.iter().map(element).collect())])
        }
    };
}

elements!(rss, rss::extension::Extension, std::convert::identity, "As RSS has them.");
elements!(atom, atom_syndication::extension::Extension, super::atom::attribute, "As Atom has them.");
