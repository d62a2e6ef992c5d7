//! A feed in pieces: the frame around the items, and each item as bytes of its own, so that a change of one article
//! costs the writing and checking of one item and not of all. Joined, they are the bytes that [`super::write`] gives.

use super::{Document, Format, Item, Uses, check, written};
use crate::domain::Fault;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

/// The frame of a feed: everything but its items. What it declares depends on what its items use, so there is one for
/// each mix of modules that was met.
#[derive(Clone)]
pub struct Frame {
    format: Format,
    document: Document,
    empty: HashMap<Uses, Empty>,
}

/// A feed without items.
#[derive(Clone)]
struct Empty {
    bytes: Vec<u8>,
    /// Items are put in before this.
    at: usize,
    /// Where the hub is named, if one is.
    hub: Option<Range<usize>>,
    /// Was it checked?
    has_passed: bool,
}

/// An item as it stands in a feed.
#[derive(Debug, Clone)]
pub struct Piece {
    /// It itself.
    pub bytes: Bytes,
    /// What it would be with its full text, in bytes: beyond [`Format::item_bytes_max`], so its summary stands for it.
    pub too_large: Option<usize>,
    /// What the feed has to declare for it.
    pub uses: Uses,
    /// Of its bytes.
    pub digest: Digest,
}

/// An item in a feed of its own.
struct Alone {
    document: Document,
    bytes: Vec<u8>,
    too_large: Option<usize>,
}

/// The first half of a SHA-256: what is told from other bytes by it need not be looked at again.
pub type Digest = [u8; 16];

/// The digest of all `parts`, one behind the other.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut sum = Context::new(&SHA256);
    parts.into_iter().for_each(|part| sum.update(part));
    let mut digest = Digest::default();
    digest.iter_mut().zip(sum.finish().as_ref()).for_each(|(out, byte)| *out = *byte);
    digest
}

impl Format {
    /// Bytes of a feed that aggregators take: Google News 2 MB (2 000 000, to be safe on both readings of the word); of
    /// JSON Feed 1.1 a megabyte is a burden ("Suggestions for Publishers").
    pub fn bytes_max(self) -> usize {
        match self {
            Format::Rss | Format::Atom => 2_000_000,
            Format::Json => 1_000_000,
        }
    }

    /// Bytes of an item that aggregators take: Google News 1 MB; in JSON Feed what leaves room for the feed around it.
    pub fn item_bytes_max(self) -> usize {
        match self {
            Format::Rss | Format::Atom => 1_000_000,
            Format::Json => 900_000,
        }
    }
}

/// What may stand behind the last item: the first of these that there is.
fn behind(format: Format) -> &'static [&'static [u8]] {
    match format {
        Format::Rss => &[b"</channel></rss>"],
        // The crate writes the extensions of a feed behind its entries. Text has no bare `<`, so none looks like them.
        Format::Atom => &[b"<at:", b"<fh:", b"</feed>"],
        Format::Json => &[b"]}"],
    }
}

/// Where in a feed without items they are to stand.
fn place(format: Format, empty: &[u8]) -> usize {
    let found = |mark: &&[u8]| match format {
        Format::Rss | Format::Json => empty.ends_with(mark).then(|| empty.len() - mark.len()),
        Format::Atom => empty.windows(mark.len()).position(|bytes| bytes == *mark),
    };
    behind(format).iter().filter_map(found).min().unwrap_or(empty.len())
}

/// Where `bytes`, which is `document` without items, names the hub: found by writing it without one. All formats have it
/// before their items.
fn hub(format: Format, document: Document, bytes: &[u8]) -> Result<Range<usize>, Fault> {
    let silent = Document { hub: None, ..document };
    let without = written(format, &silent)?;
    check::check(format, &without, &silent.self_url)?;
    // What begins alike behind both places may stand in either of two; the one before all items is meant.
    let head = &without[..place(format, &without)];
    let start = bytes.iter().zip(head).take_while(|(one, other)| one == other).count();
    let end = bytes.len().saturating_sub(without.len() - start);
    let is_all = start <= end && bytes[end..] == without[start..];
    is_all.then_some(start..end).ok_or_else(|| Fault::new("hub", "more than one difference", "a link to the hub"))
}

/// What a feed has to declare for `items`.
fn all_uses(items: &[&Piece]) -> Uses {
    items.iter().fold(Uses::default(), |uses, item| uses.and(item.uses))
}

impl Frame {
    /// The frame of `document`, whose items are put aside. Errors: it cannot be written.
    pub fn new(format: Format, mut document: Document) -> Result<Self, Fault> {
        document.items.clear();
        let mut frame = Frame { format, document, empty: HashMap::new() };
        frame.empty(Uses::default())?;
        Ok(frame)
    }

    /// How long the feed is without items.
    pub fn length(&self) -> usize {
        self.empty.values().map(|empty| empty.bytes.len()).max().unwrap_or_default()
    }

    /// Is anything wrong with the feed without items? Errors: the [`Fault`] of [`check::check`].
    pub fn check(&mut self) -> Result<(), Fault> {
        self.checked(Uses::default()).map(|_| ())
    }

    fn empty(&mut self, uses: Uses) -> Result<&mut Empty, Fault> {
        match self.empty.entry(uses) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let document = Document { uses, ..self.document.clone() };
                let bytes = written(self.format, &document)?;
                let at = place(self.format, &bytes);
                let has_hub = document.hub.is_some();
                let hub = has_hub.then(|| hub(self.format, document, &bytes)).transpose()?;
                Ok(new.insert(Empty { bytes, at, hub, has_passed: false }))
            }
        }
    }

    fn checked(&mut self, uses: Uses) -> Result<&Empty, Fault> {
        let (format, address) = (self.format, self.document.self_url.clone());
        let empty = self.empty(uses)?;
        if !empty.has_passed {
            check::check(format, &empty.bytes, &address)?;
            empty.has_passed = true;
        }
        Ok(empty)
    }

    /// Where the feed with `items` names its hub, if it names one: without these bytes it is the feed that names none.
    ///
    /// Errors: the [`Fault`] of [`check::check`].
    pub fn hub(&mut self, items: &[&Piece]) -> Result<Option<Range<usize>>, Fault> {
        Ok(self.empty(all_uses(items))?.hub.clone())
    }

    /// One item as it stands in this feed: with its summary alone where the full text makes it too large for
    /// aggregators. It is checked in a feed of its own.
    ///
    /// Errors: the [`Fault`] of [`check::check`].
    pub fn item(&mut self, item: Item) -> Result<Piece, Fault> {
        let Alone { document, bytes, too_large } = self.alone(item)?;
        let uses = document.all_uses();
        check::check(self.format, &bytes, &document.self_url)?;
        let empty = self.empty(uses)?;
        // It was checked around the item.
        empty.has_passed = true;
        let (head, tail) = empty.bytes.split_at(empty.at);
        let item = bytes.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        let item = item.ok_or_else(|| Fault::new("item", "another frame", "the frame of the feed"))?;
        Ok(Piece { bytes: Bytes::copy_from_slice(item), too_large, uses, digest: digest([item]) })
    }

    /// How many bytes an item would take; whether it passes is not asked. Errors: the [`Fault`] of what cannot be written.
    pub fn item_bytes(&mut self, item: Item) -> Result<usize, Fault> {
        let Alone { document, bytes, .. } = self.alone(item)?;
        self.length_in(&document, &bytes)
    }

    /// How many of the `bytes` of `document` are its items'.
    fn length_in(&mut self, document: &Document, bytes: &[u8]) -> Result<usize, Fault> {
        Ok(bytes.len().saturating_sub(self.empty(document.all_uses())?.bytes.len()))
    }

    fn alone(&mut self, item: Item) -> Result<Alone, Fault> {
        let mut document = Document { items: vec![item], ..self.document.clone() };
        let mut bytes = written(self.format, &document)?;
        let whole = self.length_in(&document, &bytes)?;
        let has_text = document.items.iter().any(|item| item.html.is_some());
        let is_too_large = has_text && whole > self.format.item_bytes_max();
        if is_too_large {
            document.items.iter_mut().for_each(|item| item.html = None);
            bytes = written(self.format, &document)?;
        }
        Ok(Alone { document, bytes, too_large: is_too_large.then_some(whole) })
    }

    /// The feed with `items`, and where each of them stands in it. Errors: the [`Fault`] of [`check::check`].
    pub fn join(&mut self, items: &[&Piece]) -> Result<(Vec<u8>, Vec<Range<usize>>), Fault> {
        let separator = self.format.separator();
        let empty = self.checked(all_uses(items))?;
        let (head, tail) = empty.bytes.split_at(empty.at);
        let bytes = items.iter().map(|item| item.bytes.len() + separator.len()).sum::<usize>();
        let mut feed = Vec::with_capacity(empty.bytes.len() + bytes);
        feed.extend_from_slice(head);
        let mut places = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                feed.extend_from_slice(separator);
            }
            let start = feed.len();
            feed.extend_from_slice(&item.bytes);
            places.push(start..feed.len());
        }
        feed.extend_from_slice(tail);
        Ok((feed, places))
    }
}
