//! The parts of an article that are objects: media, comments, source. The same for JSON and TOML; a fault names its place,
//! such as `media[2].width`.

use super::{Faults, address_of, at_most, few, is_visible, place, shown};
use crate::domain::{Comments, Fault, Medium, Origin, clean_line};
use serde_json::{Map, Value};
use url::Url;

/// A gallery of more is an album of its own.
pub(super) const MEDIA_MAX: usize = 20;
/// What it shows, in a sentence or three; readers aloud stop listening then.
const ALT_CHARS_MAX: usize = 1_000;
/// Whose it is, or the name of a feed.
const NAME_CHARS_MAX: usize = 200;
/// No file is a tebibyte.
const BYTES_MAX: u64 = 1 << 40;
/// Pixels a side.
const PIXELS_MAX: u64 = 100_000;

/// Media types by the ending of an address.
const TYPES: [(&str, &str); 15] = [
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("webp", "image/webp"),
    ("m4a", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("pdf", "application/pdf"),
];

/// The value of `media`.
pub(super) fn media(value: Value, faults: &mut Faults) -> Vec<Medium> {
    let Value::Array(values) = value else {
        faults.add("media", shown(&value), "a list of objects");
        return Vec::new();
    };
    few("media", values.len(), MEDIA_MAX, faults);
    let one = |(at, value): (usize, Value)| medium(&place("media", at), value, faults);
    values.into_iter().take(MEDIA_MAX).enumerate().filter_map(one).collect()
}

fn medium(field: &str, value: Value, faults: &mut Faults) -> Option<Medium> {
    const KEYS: [&str; 7] = ["url", "media_type", "bytes", "width", "height", "alt", "credit"];
    let mut object = Object::open(field, value, &KEYS, faults)?;
    let url = object.url("url", faults);
    let media_type = object.text("media_type", 127, faults);
    let (bytes, width) = (object.whole("bytes", BYTES_MAX, faults), object.pixels("width", faults));
    let (height, alt) = (object.pixels("height", faults), object.text("alt", ALT_CHARS_MAX, faults));
    let credit = object.text("credit", NAME_CHARS_MAX, faults);
    let url = url?;
    let media_type = match media_type {
        Some(given) if is_type(&given) => given.to_ascii_lowercase(),
        Some(given) => {
            faults.add(&object.name("media_type"), format!("\"{given}\""), "a media type such as image/jpeg");
            return None;
        }
        None => match known_type(&url) {
            Some(known) => known.to_owned(),
            None => {
                let endings = TYPES.map(|(ending, _)| ending).join(", ");
                let expected = format!("a media type, unless the address ends in one of {endings}");
                faults.add(&object.name("media_type"), "none", expected);
                return None;
            }
        },
    };
    Some(Medium { url, media_type, bytes, width, height, alt, credit })
}

/// The value of `comments`.
pub(super) fn comments(value: Value, faults: &mut Faults) -> Option<Comments> {
    let mut object = Object::open("comments", value, &["url", "feed", "count"], faults)?;
    let url = object.url("url", faults);
    let feed = object.has("feed").then(|| object.url("feed", faults)).flatten();
    let count = object.whole("count", u64::from(u32::MAX), faults).and_then(|count| count.try_into().ok());
    Some(Comments { url: url?, feed, count })
}

/// The value of `source`.
pub(super) fn origin(value: Value, faults: &mut Faults) -> Option<Origin> {
    let mut object = Object::open("source", value, &["title", "feed"], faults)?;
    let title = object.text("title", NAME_CHARS_MAX, faults);
    if title.is_none() {
        faults.add("source.title", "none", "the name of the feed");
    }
    let feed = object.url("feed", faults);
    Some(Origin { title: title?, feed: feed? })
}

/// RFC 6838 §4.2, without parameters.
fn is_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.split_once('/').is_some_and(|(kind, name)| is_name(kind) && is_name(name))
}

fn known_type(url: &Url) -> Option<&'static str> {
    let ending = url.path().rsplit_once('.')?.1.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}

/// An object whose fields are taken one by one.
struct Object<'a> {
    field: &'a str,
    map: Map<String, Value>,
}

impl<'a> Object<'a> {
    fn open(field: &'a str, value: Value, known: &[&str], faults: &mut Faults) -> Option<Self> {
        let Value::Object(map) = value else {
            faults.add(field, shown(&value), format!("an object with {}", known.join(", ")));
            return None;
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            faults.add(&format!("{field}.{key}"), "an unknown field", format!("one of {}", known.join(", ")));
        }
        Some(Object { field, map })
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.field)
    }

    fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    fn url(&mut self, key: &str, faults: &mut Faults) -> Option<Url> {
        let field = self.name(key);
        match self.map.remove(key) {
            Some(Value::String(text)) => faults.keep(address_of(&field, &text)),
            Some(other) => faults.none(&field, shown(&other), "an absolute address of http or https"),
            None => faults.none(&field, "none", "an absolute address of http or https"),
        }
    }

    /// One line; none where nothing of it can be seen.
    fn text(&mut self, key: &str, chars_max: usize, faults: &mut Faults) -> Option<String> {
        let field = self.name(key);
        match self.map.remove(key)? {
            Value::Null => None,
            Value::String(text) => {
                faults.keep(at_most(&field, chars_max, clean_line(&text))).filter(|text| text.chars().any(is_visible))
            }
            other => faults.none(&field, shown(&other), "text"),
        }
    }

    fn whole(&mut self, key: &str, max: u64, faults: &mut Faults) -> Option<u64> {
        let field = self.name(key);
        match self.map.remove(key)? {
            Value::Null => None,
            value => match value.as_u64().filter(|number| *number <= max) {
                Some(number) => Some(number),
                None => faults.none(&field, shown(&value), &format!("a whole number up to {max}")),
            },
        }
    }

    fn pixels(&mut self, key: &str, faults: &mut Faults) -> Option<u32> {
        self.whole(key, PIXELS_MAX, faults).and_then(|pixels| pixels.try_into().ok())
    }
}

impl Faults {
    fn add(&mut self, field: &str, found: impl AsRef<str>, expected: impl Into<String>) {
        self.0.push(Fault::new(field, found, expected));
    }

    fn none<T>(&mut self, field: &str, found: impl AsRef<str>, expected: &str) -> Option<T> {
        self.add(field, found, expected);
        None
    }
}
