//! JSON into a tree. serde_json cuts it up, level by level, without copying: what it hands out are parts of the text, and
//! so their places are known.

use super::findings::Findings;
use super::rules::book::{BAD_JSON, JSON_CHARACTER, LIMIT, REPEATED_MEMBER};
use super::text::{first_wrong, name as name_of};
use super::tree::{Kind, NODES_MAX, Node, Space, Tree};
use crate::wire::raw::{Object, offset_in};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// Levels that are looked at; those of JSON Feed are five, and every level is one more reading of what is in it.
const DEPTH_MAX: usize = 8;

/// Reads `text`.
pub(super) fn read<'a>(text: &'a str, findings: &mut Findings) -> Tree<'a> {
    let mut reading = Reading { text, findings, tree: Tree::default() };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => {
            reading.value(None, Space::Member, Cow::Borrowed("feed"), raw.get(), 0);
        }
        Err(error) => reading.findings.add(&BAD_JSON, offset(text, &error), error.to_string()),
    }
    reading.tree
}

/// Where `error` points to.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let line_start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let mut at = (line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Reading<'a, 'f> {
    text: &'a str,
    findings: &'f mut Findings,
    tree: Tree<'a>,
}

impl<'a> Reading<'a, '_> {
    /// Puts the value `raw` and what is in it below `parent`. False if there are too many of them.
    fn value(&mut self, parent: Option<usize>, space: Space, name: Cow<'a, str>, raw: &'a str, depth: usize) -> bool {
        let start = offset_in(self.text, raw);
        let mut node = Node::new(kind(raw), space, name.clone(), start);
        node.place.end = start + raw.len();
        if node.kind == Kind::Text {
            node.text = string(raw);
            if let Some(c) = first_wrong(&node.text) {
                self.findings.add(&JSON_CHARACTER, start, name_of(c));
            }
        } else if matches!(node.kind, Kind::Number | Kind::Bool) {
            node.text = Cow::Borrowed(raw);
        }
        let kind = node.kind;
        let Some(id) = self.tree.put(parent, node) else {
            self.findings.add(&LIMIT, start, format!("more than {NODES_MAX} values"));
            return false;
        };
        if depth == DEPTH_MAX {
            return true;
        }
        match kind {
            Kind::Object => {
                let Ok(Object(members)) = serde_json::from_str(raw) else { return true };
                let mut seen = HashSet::new();
                for (name, value) in members {
                    if !seen.insert(name.clone()) {
                        self.findings.add(&REPEATED_MEMBER, start, format!("another {name}"));
                    }
                    if !self.value(Some(id), Space::Member, name, value.get(), depth + 1) {
                        return false;
                    }
                }
                true
            }
            Kind::Array => {
                let Ok(elements) = serde_json::from_str::<Vec<&'a RawValue>>(raw) else { return true };
                elements.iter().all(|value| self.value(Some(id), Space::Element, name.clone(), value.get(), depth + 1))
            }
            Kind::Text | Kind::Number | Kind::Bool | Kind::Null | Kind::Xml => true,
        }
    }
}

fn kind(raw: &str) -> Kind {
    match raw.as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::Text,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        Some(_) | None => Kind::Number,
    }
}

/// The text of a string; one with half a surrogate pair is none, and comes as it is written.
fn string(raw: &str) -> Cow<'_, str> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        Some(_) | None => serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned),
    }
}
