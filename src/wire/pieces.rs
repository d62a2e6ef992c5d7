//! A feed in pieces: the frame around the items, and each item as bytes of its own, so that a change of one article
//! costs the writing and checking of one item and not of all. Joined, they are the bytes that [`super::write`] gives.

use super::{Document, Format, Item, check, written};
use crate::domain::Fault;

/// The frame of a feed: everything but its items.
pub struct Frame {
    format: Format,
    document: Document,
    /// The feed without items.
    empty: Vec<u8>,
    /// Items are put in before this.
    at: usize,
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

impl Frame {
    /// The frame of `document`, whose items are put aside. Errors: the [`Fault`] of [`check::check`].
    pub fn new(format: Format, mut document: Document) -> Result<Self, Fault> {
        document.items.clear();
        let empty = written(format, &document)?;
        check::check(format, &empty, &document.self_url)?;
        let at = place(format, &empty);
        Ok(Frame { format, document, empty, at })
    }

    /// One item as it stands in this feed. It is checked in a feed of its own.
    ///
    /// Errors: the [`Fault`] of [`check::check`].
    pub fn item(&self, item: Item) -> Result<Vec<u8>, Fault> {
        let alone = Document { items: vec![item], ..self.document.clone() };
        let bytes = written(self.format, &alone)?;
        check::check(self.format, &bytes, &alone.self_url)?;
        let (head, tail) = self.empty.split_at(self.at);
        let item = bytes.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        item.map(<[u8]>::to_vec).ok_or_else(|| Fault::new("item", "another frame", "the frame of the feed"))
    }

    /// The feed with `items`, and where each of them stands in it.
    pub fn join<T: AsRef<[u8]>>(&self, items: &[T]) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
        let (head, tail) = self.empty.split_at(self.at);
        let bytes = items.iter().map(|item| item.as_ref().len() + self.format.separator().len()).sum::<usize>();
        let mut feed = Vec::with_capacity(self.empty.len() + bytes);
        feed.extend_from_slice(head);
        let mut places = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                feed.extend_from_slice(self.format.separator());
            }
            let start = feed.len();
            feed.extend_from_slice(item.as_ref());
            places.push(start..feed.len());
        }
        feed.extend_from_slice(tail);
        (feed, places)
    }
}
