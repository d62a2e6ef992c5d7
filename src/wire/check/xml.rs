//! XML into a tree. quick-xml cuts the text into events; what it leaves to its caller is looked at here: names, nesting,
//! references, namespaces, what may stand outside the root. What is broken gets a finding, and the rest is read on as far
//! as that makes sense. No entity is ever expanded, so there is nothing to blow up.

use super::findings::Findings;
use super::rules::book::{
    BAD_CHARACTER, BAD_XML_VERSION, DOCTYPE, LIMIT, SYSTEM_ENTITY, UNDECLARED_PREFIX, UNDEFINED_ENTITY, WELL_FORMED,
};
use super::text::{is_legal, name as name_of};
use super::tree::{Attribute, Kind, NODES_MAX, Node, Space, Tree};
use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// Elements within elements. The deepest feed of any standard has some ten, HTML within it (XHTML) a few dozen.
const DEPTH_MAX: usize = 100;
/// Attributes of one element; a root with every namespace that there is has thirty.
const ATTRIBUTES_MAX: usize = 100;

/// Reads `text`.
pub(super) fn read<'a>(text: &'a str, findings: &mut Findings) -> Tree<'a> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    config.check_comments = true;
    let mut reading = Reading { text, findings, tree: Tree::default(), open: Vec::new(), bindings: Vec::new() };
    reading.bindings.push(("xml", Space::Xml));
    let mut has_external_subset = false;
    loop {
        let start = position(reader.buffer_position());
        let event = reader.read_event();
        let end = position(reader.buffer_position());
        let is_good = match event {
            Ok(Event::Start(tag)) => reading.start(&tag, start, end, false),
            Ok(Event::Empty(tag)) => reading.start(&tag, start, end, true),
            Ok(Event::End(_)) => reading.end(start, end),
            Ok(Event::Text(_)) => reading.text(start, end),
            Ok(Event::CData(_)) => reading.data(start, end),
            Ok(Event::GeneralRef(_)) => reading.reference(start, end, has_external_subset),
            Ok(Event::DocType(_)) => {
                has_external_subset = reading.doctype(start, end);
                true
            }
            Ok(Event::Decl(declaration)) => {
                let version = declaration.version().map(|version| version.to_vec()).unwrap_or_default();
                if version != b"1.0" {
                    reading.findings.add(&BAD_XML_VERSION, start, String::from_utf8_lossy(&version));
                }
                if start > 0 {
                    reading.findings.add(&WELL_FORMED, start, "an XML declaration behind other text");
                }
                true
            }
            Ok(Event::Comment(_) | Event::PI(_)) => true,
            Ok(Event::Eof) => break,
            Err(error) => {
                let at = position(reader.error_position());
                reading.findings.add(&WELL_FORMED, at, error.to_string());
                // Such a one stands alone; behind any other nobody knows where the next tag begins.
                matches!(error, Error::IllFormed(_)) && end > start
            }
        };
        if !is_good {
            return reading.tree;
        }
    }
    if let Some(open) = reading.open.pop() {
        let found = format!("the end of the text, <{}> still open", open.name);
        reading.findings.add(&WELL_FORMED, text.len(), found);
    }
    if reading.tree.root().is_none() {
        reading.findings.add(&WELL_FORMED, 0, "no element");
    }
    reading.tree
}

fn position(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

struct Reading<'a, 'f> {
    text: &'a str,
    findings: &'f mut Findings,
    tree: Tree<'a>,
    open: Vec<Open<'a>>,
    /// Prefix and what it stands for, the innermost last.
    bindings: Vec<(&'a str, Space)>,
}

struct Open<'a> {
    id: usize,
    /// With its prefix.
    name: &'a str,
    /// Bindings outside of it.
    bindings: usize,
}

impl<'a> Reading<'a, '_> {
    /// A start tag. False if there are too many of them.
    fn start(&mut self, tag: &BytesStart<'_>, start: usize, end: usize, is_empty: bool) -> bool {
        let name_end = (start + 1 + tag.name().as_ref().len()).min(end);
        let name = self.text.get(start + 1..name_end).unwrap_or_default();
        if !is_name(name) {
            self.findings.add(&WELL_FORMED, start, format!("<{name}"));
            return true;
        }
        if self.open.is_empty() && self.tree.root().is_some() {
            self.findings.add(&WELL_FORMED, start, format!("<{name}> behind the root element"));
            return false;
        }
        if self.open.len() == DEPTH_MAX {
            self.findings.add(&LIMIT, start, format!("more than {DEPTH_MAX} elements within each other"));
            return false;
        }
        let bindings = self.bindings.len();
        let first = self.tree.attributes();
        self.attributes(tag, start, name_end);
        for at in 0..self.tree.attributes() - first {
            let attribute = &self.tree.attributes_from(first)[at];
            // Until now the prefix is still before the name.
            if let Some((prefix, local)) = attribute.name.split_once(':') {
                let space = self.space(prefix, start);
                let attribute = &mut self.tree.attributes_from(first)[at];
                (attribute.space, attribute.name) = (space, local);
            }
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let space = self.space(prefix, start);
        let mut node = Node::new(Kind::Xml, space, local, start).with_attributes(first..self.tree.attributes());
        node.prefix = prefix;
        node.inner = end..end;
        if is_empty {
            node.place.end = end;
        }
        let Some(id) = self.tree.put(self.open.last().map(|open| open.id), node) else {
            self.findings.add(&LIMIT, start, format!("more than {NODES_MAX} elements"));
            return false;
        };
        if is_empty {
            self.bindings.truncate(bindings);
        } else {
            self.open.push(Open { id, name, bindings });
        }
        true
    }

    fn attributes(&mut self, tag: &BytesStart<'_>, start: usize, name_end: usize) {
        for (number, attribute) in tag.attributes().enumerate() {
            if number == ATTRIBUTES_MAX {
                self.findings.add(&LIMIT, start, format!("more than {ATTRIBUTES_MAX} attributes"));
                return;
            }
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => {
                    self.findings.add(&WELL_FORMED, start, format!("an attribute: {error}"));
                    continue;
                }
            };
            let (Some((name, _)), Some((raw, at))) = (self.slice(attribute.key.0), self.slice(&attribute.value)) else {
                continue;
            };
            if !is_name(name) {
                self.findings.add(&WELL_FORMED, name_end, format!("an attribute called {name}"));
                continue;
            }
            if raw.contains('<') {
                self.findings.add(&WELL_FORMED, at, format!("< in the attribute {name}"));
            }
            let value = self.decoded(raw, at);
            let prefix = name.strip_prefix("xmlns:").or((name == "xmlns").then_some(""));
            match prefix {
                Some(prefix) => self.bindings.push((prefix, Space::of(&value))),
                None => self.tree.attribute(Attribute { space: Space::Plain, name, value }),
            }
        }
    }

    /// The same bytes as a part of the text, and where they stand in it.
    fn slice(&self, bytes: &[u8]) -> Option<(&'a str, usize)> {
        let at = (bytes.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        Some((self.text.get(at..at + bytes.len())?, at))
    }

    /// What `prefix` stands for here; none of an attribute is not asked for, since it has no namespace.
    fn space(&mut self, prefix: &str, at: usize) -> Space {
        match self.bindings.iter().rev().find(|(known, _)| *known == prefix) {
            Some((_, space)) => *space,
            None if prefix.is_empty() => Space::Plain,
            None => {
                self.findings.add(&UNDECLARED_PREFIX, at, prefix);
                Space::Undeclared
            }
        }
    }

    /// An end tag closes the element of its name, and with it what was left open inside.
    fn end(&mut self, start: usize, end: usize) -> bool {
        let name = self.text.get(start + 2..end.saturating_sub(1)).unwrap_or_default().trim_end();
        let Some(at) = self.open.iter().rposition(|open| open.name == name) else {
            self.findings.add(&WELL_FORMED, start, format!("</{name}> without a start"));
            return true;
        };
        if at + 1 < self.open.len() {
            let inner = self.open.last().map_or("", |open| open.name);
            self.findings.add(&WELL_FORMED, start, format!("</{name}> where <{inner}> is open"));
        }
        for open in self.open.drain(at..).rev() {
            let node = self.tree.node(open.id);
            node.inner.end = start;
            node.place.end = end;
            self.bindings.truncate(open.bindings);
        }
        true
    }

    fn text(&mut self, start: usize, end: usize) -> bool {
        let part = &self.text[start..end];
        if part.starts_with('&') {
            self.findings.add(&WELL_FORMED, start, format!("a bare &: {}", clip(part)));
        }
        if let Some(at) = part.find("]]>") {
            self.findings.add(&WELL_FORMED, start + at, "]]> in text");
        }
        if self.open.is_empty() {
            if let Some(at) = part.find(|c: char| !c.is_ascii_whitespace()) {
                self.findings.add(&WELL_FORMED, start + at, "text outside of the root element");
            }
            return true;
        }
        self.append(Cow::Borrowed(part));
        true
    }

    fn data(&mut self, start: usize, end: usize) -> bool {
        const OPEN: usize = "<![CDATA[".len();
        const CLOSE: usize = "]]>".len();
        self.append(Cow::Borrowed(self.text.get(start + OPEN..end - CLOSE).unwrap_or_default()));
        true
    }

    fn reference(&mut self, start: usize, end: usize, has_external_subset: bool) -> bool {
        let text = self.text.get(start + 1..end.saturating_sub(1)).unwrap_or_default();
        match resolved(text) {
            Ok(c) => self.append(Cow::Owned(c.to_string())),
            Err(wrong) => {
                // The names of an external subset are not known here, nor to most readers.
                if !(has_external_subset && matches!(wrong, Wrong::Unknown)) {
                    self.tell(wrong, text, start);
                }
                self.append(Cow::Borrowed(&self.text[start..end]));
            }
        }
        true
    }

    fn append(&mut self, part: Cow<'a, str>) {
        let Some(open) = self.open.last() else { return };
        let text = &mut self.tree.node(open.id).text;
        if text.is_empty() {
            *text = part;
        } else {
            text.to_mut().push_str(&part);
        }
    }

    /// An attribute's value, whose references are its own business.
    fn decoded(&mut self, raw: &'a str, at: usize) -> Cow<'a, str> {
        if !raw.contains('&') {
            return Cow::Borrowed(raw);
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(amp) = rest.find('&') {
            value.push_str(&rest[..amp]);
            let place = at + raw.len() - rest.len() + amp;
            let after = &rest[amp + 1..];
            let (name, behind) = after.split_once(';').unwrap_or(("", after));
            match resolved(name) {
                Ok(c) => {
                    value.push(c);
                    rest = behind;
                }
                Err(wrong) => {
                    self.tell(wrong, name, place);
                    value.push('&');
                    rest = after;
                }
            }
        }
        value.push_str(rest);
        Cow::Owned(value)
    }

    fn tell(&mut self, wrong: Wrong, text: &str, at: usize) {
        match wrong {
            Wrong::Unknown => self.findings.add(&UNDEFINED_ENTITY, at, format!("&{text};")),
            Wrong::Bare => self.findings.add(&WELL_FORMED, at, format!("a bare &: &{}", clip(text))),
            Wrong::Number => self.findings.add(&WELL_FORMED, at, format!("&{};", clip(text))),
            Wrong::Character(c) => self.findings.add(&BAD_CHARACTER, at, format!("&{text}; is {}", name_of(c))),
        }
    }

    /// Is there an external subset, which could declare entities?
    fn doctype(&mut self, start: usize, end: usize) -> bool {
        let text = &self.text[start..end];
        let (head, subset) = text.split_once('[').unwrap_or((text, ""));
        if subset.contains("<!ENTITY") {
            let is_external = subset.contains("SYSTEM") || subset.contains("PUBLIC");
            let rule = if is_external { &SYSTEM_ENTITY } else { &DOCTYPE };
            self.findings.add(rule, start, "declarations of entities");
        }
        head.contains("PUBLIC") || head.contains("SYSTEM") || subset.contains("<!ENTITY")
    }
}

/// The beginning of a text that may be long.
fn clip(text: &str) -> &str {
    text.char_indices().nth(20).map_or(text, |(end, _)| &text[..end])
}

/// Why a reference cannot be resolved.
enum Wrong {
    /// No entity that XML itself has.
    Unknown,
    /// No reference at all.
    Bare,
    /// No number.
    Number,
    /// A number that stands for what XML forbids.
    Character(char),
}

/// The character that `&text;` stands for.
fn resolved(text: &str) -> Result<char, Wrong> {
    if let Some(number) = text.strip_prefix('#') {
        let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        let value = u32::from_str_radix(digits, radix).ok().filter(|_| is_number);
        let c = value.and_then(char::from_u32).ok_or(Wrong::Number)?;
        return if is_legal(c) { Ok(c) } else { Err(Wrong::Character(c)) };
    }
    match text {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        name if is_name(name) => Err(Wrong::Unknown),
        _ => Err(Wrong::Bare),
    }
}

/// XML 1.0 §2.3, `Name`, with what Unicode calls a letter or a number for its long lists; at most one colon (Namespaces
/// §4).
fn is_name(text: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
    let goes_on =
        |c: char| starts(c) || c.is_alphanumeric() || matches!(c, '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}');
    let mut parts = text.split(':');
    parts.clone().count() <= 2 && parts.all(|part| part.starts_with(starts)) && text.chars().all(goes_on)
}
