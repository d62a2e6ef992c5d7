//! A feed as a tree of named nodes, the same for XML and JSON, so that one rule can look at both. Every node knows where
//! it stands in the text.

use std::borrow::Cow;
use std::ops::Range;

/// Elements, attributes left out, or members of a feed that are looked at. A feed of the largest size that is read at all
/// has some hundred thousand; what has more was made to cost memory.
pub(super) const NODES_MAX: usize = 300_000;

/// Characters of a name that are shown; no name of any standard is longer.
const NAME_CHARS_MAX: usize = 40;
const NOBODY: u32 = u32::MAX;

/// The vocabulary that a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Space {
    /// Names without a namespace: RSS itself, and attributes.
    Plain,
    Atom,
    Atom03,
    Content,
    DublinCore,
    History,
    Itunes,
    Media,
    /// Media RSS with the slash at its end forgotten.
    MediaWrong,
    Rdf,
    Rss10,
    Slash,
    Syndication,
    Threading,
    Tombstones,
    Webfeeds,
    WellFormedWeb,
    Xhtml,
    /// `xml:lang`, `xml:base`.
    Xml,
    /// Declared, and nothing that any rule knows.
    Other,
    /// A prefix that nobody has declared.
    Undeclared,
    /// A member of a JSON object.
    Member,
    /// An element of a JSON array; its name is the array's.
    Element,
}

/// Prefix that rules and places write, and name of each namespace that rules know.
const SPACES: [(Space, &str, &str); 18] = [
    (Space::Atom, "atom", "http://www.w3.org/2005/Atom"),
    (Space::Atom03, "atom03", "http://purl.org/atom/ns#"),
    (Space::Content, "content", "http://purl.org/rss/1.0/modules/content/"),
    (Space::DublinCore, "dc", "http://purl.org/dc/elements/1.1/"),
    (Space::History, "fh", "http://purl.org/syndication/history/1.0"),
    (Space::Itunes, "itunes", "http://www.itunes.com/dtds/podcast-1.0.dtd"),
    (Space::Media, "media", "http://search.yahoo.com/mrss/"),
    (Space::MediaWrong, "mrss", "http://search.yahoo.com/mrss"),
    (Space::Rdf, "rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    (Space::Rss10, "rss10", "http://purl.org/rss/1.0/"),
    (Space::Slash, "slash", "http://purl.org/rss/1.0/modules/slash/"),
    (Space::Syndication, "sy", "http://purl.org/rss/1.0/modules/syndication/"),
    (Space::Threading, "thr", "http://purl.org/syndication/thread/1.0"),
    (Space::Tombstones, "at", "http://purl.org/atompub/tombstones/1.0"),
    (Space::Webfeeds, "webfeeds", "http://webfeeds.org/rss/1.0"),
    (Space::WellFormedWeb, "wfw", "http://wellformedweb.org/CommentAPI/"),
    (Space::Xhtml, "xhtml", "http://www.w3.org/1999/xhtml"),
    (Space::Xml, "xml", "http://www.w3.org/XML/1998/namespace"),
];

impl Space {
    /// The one with this namespace name; an empty one undeclares the default.
    pub(super) fn of(uri: &str) -> Space {
        match SPACES.iter().find(|(_, _, known)| *known == uri) {
            Some((space, _, _)) => *space,
            None if uri.is_empty() => Space::Plain,
            None => Space::Other,
        }
    }

    /// Space and name of `atom:link` as rules write it; `.name` is a member of JSON and `name[]` an element of an array.
    pub(super) fn named(text: &'static str) -> (Space, &'static str) {
        if let Some(name) = text.strip_suffix("[]") {
            return (Space::Element, name.trim_start_matches('.'));
        }
        if let Some(name) = text.strip_prefix('.') {
            return (Space::Member, name);
        }
        match text.split_once(':') {
            Some((prefix, name)) => {
                let space = SPACES.iter().find(|(_, known, _)| *known == prefix);
                (space.map_or(Space::Undeclared, |(space, _, _)| *space), name)
            }
            None => (Space::Plain, text),
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of XML.
    Xml,
    /// Of JSON.
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

/// An attribute of an element.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) space: Space,
    /// Without its prefix.
    pub(super) name: &'a str,
    /// References resolved.
    pub(super) value: Cow<'a, str>,
}

/// An element, a member, an element of an array.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) kind: Kind,
    pub(super) space: Space,
    /// Without its prefix.
    pub(super) name: Cow<'a, str>,
    /// As written; for places.
    pub(super) prefix: &'a str,
    /// Its own text, references resolved: that of an element without its children's.
    pub(super) text: Cow<'a, str>,
    /// From the first byte of its start tag or value to behind its last; what is cut off has no end.
    pub(super) place: Range<usize>,
    /// What stands between its tags.
    pub(super) inner: Range<usize>,
    attributes: Range<u32>,
    parent: u32,
    first: u32,
    last: u32,
    next: u32,
}

/// A whole feed.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Tree<'a> {
    /// Puts a node behind what `parent` has; gives its number, none if there are too many.
    pub(super) fn put(&mut self, parent: Option<usize>, node: Node<'a>) -> Option<usize> {
        let id = u32::try_from(self.nodes.len()).ok().filter(|_| self.nodes.len() < NODES_MAX)?;
        let parent = parent.and_then(|parent| u32::try_from(parent).ok()).unwrap_or(NOBODY);
        self.nodes.push(Node { parent, ..node });
        if let Some(above) = self.nodes.get_mut(parent as usize) {
            let before = std::mem::replace(&mut above.last, id);
            match self.nodes.get_mut(before as usize) {
                Some(sibling) => sibling.next = id,
                None => self.nodes[parent as usize].first = id,
            }
        }
        Some(id as usize)
    }

    /// Gives the node that comes next an attribute.
    pub(super) fn attribute(&mut self, attribute: Attribute<'a>) {
        self.attributes.push(attribute);
    }

    /// How many attributes there are, so that a node can say which are its own.
    pub(super) fn attributes(&self) -> usize {
        self.attributes.len()
    }

    pub(super) fn attributes_from(&mut self, start: usize) -> &mut [Attribute<'a>] {
        &mut self.attributes[start..]
    }

    pub(super) fn node(&mut self, id: usize) -> &mut Node<'a> {
        &mut self.nodes[id]
    }

    /// Every node, each before those below it, in the order of the text.
    pub(super) fn all(&self) -> impl Iterator<Item = At<'_>> {
        (0..self.nodes.len()).map(|id| At { tree: self, id })
    }

    pub(super) fn root(&self) -> Option<At<'_>> {
        self.all().next()
    }

    /// The innermost node around `offset`.
    pub(super) fn around(&self, offset: usize) -> Option<At<'_>> {
        let behind = self.nodes.partition_point(|node| node.place.start <= offset);
        let mut at = At { tree: self, id: behind.checked_sub(1)? };
        while at.node().place.end <= offset {
            at = at.parent()?;
        }
        Some(at)
    }
}

impl<'a> Node<'a> {
    /// A node that is still open, with the attributes from number `attributes.start` on.
    pub(super) fn new(kind: Kind, space: Space, name: impl Into<Cow<'a, str>>, start: usize) -> Self {
        Node {
            kind,
            space,
            name: name.into(),
            prefix: "",
            text: Cow::Borrowed(""),
            place: start..usize::MAX,
            inner: start..start,
            attributes: 0..0,
            parent: NOBODY,
            first: NOBODY,
            last: NOBODY,
            next: NOBODY,
        }
    }

    pub(super) fn with_attributes(mut self, attributes: Range<usize>) -> Self {
        let number = |at: usize| u32::try_from(at).unwrap_or(NOBODY);
        self.attributes = number(attributes.start)..number(attributes.end);
        self
    }
}

/// A node in its tree: what rules look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'t> {
    tree: &'t Tree<'t>,
    id: usize,
}

impl<'t> At<'t> {
    pub(super) fn node(self) -> &'t Node<'t> {
        &self.tree.nodes[self.id]
    }

    fn of(self, id: u32) -> Option<At<'t>> {
        (id != NOBODY).then_some(At { id: id as usize, ..self })
    }

    pub(super) fn parent(self) -> Option<At<'t>> {
        self.of(self.node().parent)
    }

    pub(super) fn children(self) -> impl Iterator<Item = At<'t>> {
        std::iter::successors(self.of(self.node().first), |at| at.of(at.node().next))
    }

    /// Its children called `name`, written as in [`Space::named`].
    pub(super) fn all(self, name: &'static str) -> impl Iterator<Item = At<'t>> {
        let (space, name) = Space::named(name);
        self.children().filter(move |child| child.is(space, name))
    }

    pub(super) fn child(self, name: &'static str) -> Option<At<'t>> {
        self.all(name).next()
    }

    pub(super) fn is(self, space: Space, name: &str) -> bool {
        let node = self.node();
        node.space == space && node.name == name
    }

    /// Its own text without the white space around it.
    pub(super) fn text(self) -> &'t str {
        self.node().text.trim()
    }

    /// An attribute without a namespace.
    pub(super) fn attribute(self, name: &str) -> Option<&'t str> {
        self.attributes().find(|(space, known, _)| *space == Space::Plain && *known == name).map(|(_, _, value)| value)
    }

    /// Space, name and value of each attribute.
    pub(super) fn attributes(self) -> impl Iterator<Item = (Space, &'t str, &'t str)> {
        let Range { start, end } = self.node().attributes.clone();
        let own = self.tree.attributes.get(start as usize..end as usize).unwrap_or_default();
        own.iter().map(|attribute| (attribute.space, attribute.name, &*attribute.value))
    }

    /// Is there an end of it? Of what was cut off nobody can say that something is missing.
    pub(super) fn is_whole(self) -> bool {
        self.node().place.end != usize::MAX
    }

    /// Its text and that of everything below.
    pub(super) fn has_text(self) -> bool {
        !self.text().is_empty() || self.children().any(At::has_text)
    }

    /// Where it stands, for people: `rss.item[3].guid`. Numbers count from nought, as in JSON's own paths.
    pub(super) fn place(self) -> String {
        let Some(parent) = self.parent() else {
            return match (self.node().kind, &*self.node().name) {
                (Kind::Xml, "feed") => "atom".to_owned(),
                (Kind::Xml, name) => name.to_owned(),
                (Kind::Object | Kind::Array | Kind::Text | Kind::Number | Kind::Bool | Kind::Null, _) => "json".into(),
            };
        };
        let node = self.node();
        let mut place = parent.place();
        if node.space == Space::Plain && node.name == "channel" {
            return place;
        }
        if node.space != Space::Element {
            place.push('.');
            if !node.prefix.is_empty() {
                place.extend(node.prefix.chars().take(NAME_CHARS_MAX).chain([':']));
            }
            place.extend(node.name.chars().take(NAME_CHARS_MAX));
        }
        let same = || parent.children().filter(|other| other.is(node.space, &node.name));
        let is_counted = node.space == Space::Element || matches!(&*node.name, "item" | "entry");
        if is_counted || same().nth(1).is_some() {
            place.push_str(&format!("[{}]", same().take_while(|other| other.id != self.id).count()));
        }
        place
    }
}
