//! The rules as a table: each says which nodes it looks at, what would be right and who says so. A new rule is one entry
//! in one of the files beside this one.

mod atom;
mod atom_values;
pub(super) mod book;
mod html;
mod json;
mod links;
mod modules;
mod profiles;
mod rss;
mod rss_values;

pub(super) use atom::DUPLICATE_UPDATED;
pub(super) use rss::NOT_UNIQUE;

use super::Dialect;
use super::findings::{Findings, Severity};
use super::tree::{At, Kind, Space, Tree};
use crate::domain::Time;
use std::collections::HashMap;
use std::sync::LazyLock;

/// One rule.
pub(super) struct Rule {
    /// That of the W3C validator's message where it has one.
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// The nodes that it looks at, each with its parent or `*`: `item/guid`, `*/media:content`, `items[]/.url` in JSON.
    /// None for a rule that another look finds breaches of.
    at: &'static [&'static str],
    look: fn(&mut Look<'_, '_>),
    pub(super) expected: &'static str,
    pub(super) source: &'static str,
}

/// What the rules are told about a feed beside its tree.
pub(super) struct About<'t> {
    pub(super) dialect: Dialect,
    /// Where it was fetched.
    pub(super) url: Option<&'t str>,
    pub(super) now: Option<Time>,
    pub(super) text: &'t str,
}

/// One rule at one node.
pub(super) struct Look<'t, 'f> {
    at: At<'t>,
    about: &'f About<'t>,
    rule: &'static Rule,
    findings: &'f mut Findings,
}

type Name = (Space, &'static str);

/// The rules by what they look at.
struct Index {
    by_parent: HashMap<(Name, Name), Vec<&'static Rule>>,
    by_name: HashMap<Name, Vec<&'static Rule>>,
}

/// Every rule.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    let tables = [
        book::RULES,
        rss::RULES,
        rss_values::RULES,
        atom::RULES,
        atom_values::RULES,
        json::RULES,
        modules::RULES,
        html::RULES,
        links::RULES,
        profiles::RULES,
    ];
    tables.into_iter().flatten()
}

/// Looks at every node of `tree` with every rule that is about it; with `is_strict` only rules that can refuse a feed.
pub(super) fn apply(tree: &Tree<'_>, about: &About<'_>, is_strict: bool, findings: &mut Findings) {
    static EVERY: LazyLock<Index> = LazyLock::new(|| Index::of(all()));
    static STRICT: LazyLock<Index> =
        LazyLock::new(|| Index::of(all().filter(|rule| rule.severity != Severity::Advice)));
    let index = if is_strict { &*STRICT } else { &*EVERY };
    for at in tree.all() {
        let name = (at.node().space, &*at.node().name);
        let parent = at.parent().map_or((Space::Plain, ""), |parent| (parent.node().space, &*parent.node().name));
        let by_parent = index.by_parent.get(&(parent, name)).into_iter().flatten();
        for rule in by_parent.chain(index.by_name.get(&name).into_iter().flatten()) {
            (rule.look)(&mut Look { at, about, rule, findings });
        }
    }
}

impl Index {
    fn of(rules: impl Iterator<Item = &'static Rule>) -> Self {
        let mut index = Index { by_parent: HashMap::new(), by_name: HashMap::new() };
        for rule in rules {
            for at in rule.at {
                let (parent, name) = at.split_once('/').unwrap_or(("", at));
                let name = Space::named(name);
                match parent {
                    "*" => index.by_name.entry(name).or_default().push(rule),
                    "" => index.by_parent.entry(((Space::Plain, ""), name)).or_default().push(rule),
                    parent => index.by_parent.entry((Space::named(parent), name)).or_default().push(rule),
                }
            }
        }
        index
    }
}

impl<'t> Look<'t, '_> {
    fn text(&self) -> &'t str {
        self.at.text()
    }

    /// What was found is not what was expected.
    fn found(&mut self, found: impl AsRef<str>) {
        self.findings.add_at(self.rule, self.at, "", found);
    }

    /// The same, of another rule that the same look is for.
    fn tell(&mut self, rule: &'static Rule, found: impl AsRef<str>) {
        self.findings.add_at(rule, self.at, "", found);
    }

    /// The same, in a part of the node or in another node.
    fn found_at(&mut self, at: At<'_>, part: &str, found: impl AsRef<str>) {
        self.findings.add_at(self.rule, at, part, found);
    }

    /// The node's text is right, or what was found.
    fn holds(&mut self, is_right: bool) {
        if !is_right {
            let text = quoted(self.text());
            self.found(text);
        }
    }

    /// There is a child called so.
    fn needs(&mut self, name: &'static str) {
        let can_have_some = matches!(self.at.node().kind, Kind::Xml | Kind::Object) && self.at.is_whole();
        if can_have_some && self.at.child(name).is_none() {
            // As it would be written here.
            let is_default = self.at.node().space == Space::Atom && self.at.node().prefix.is_empty();
            let written = if is_default { name.trim_start_matches("atom:") } else { name };
            self.findings.add_at(self.rule, self.at, written.trim_start_matches('.'), "nothing");
        }
    }

    /// There is an attribute called so.
    fn needs_attribute(&mut self, name: &'static str) {
        if self.at.attribute(name).is_none() {
            self.findings.add_at(self.rule, self.at, name, "nothing");
        }
    }

    /// The attribute called so is right, if it is there.
    fn attribute(&mut self, name: &'static str, is_right: fn(&str) -> bool) {
        if let Some(value) = self.at.attribute(name).filter(|value| !is_right(value)) {
            self.findings.add_at(self.rule, self.at, name, quoted(value));
        }
    }

    /// None of these that there may be one of is there twice.
    fn at_most_one(&mut self, known: &[Child]) {
        let mut seen = vec![false; known.len()];
        for child in self.at.children() {
            if let Some(place) = known.iter().position(|known| known.is_once && known.is(child))
                && std::mem::replace(&mut seen[place], true)
            {
                self.findings.add_at(self.rule, child, "", "another one");
            }
        }
    }

    /// Every child of the space `own` is one of these.
    fn only(&mut self, own: Space, known: &[Child]) {
        for child in self.at.children().filter(|child| child.node().space == own) {
            if !known.iter().any(|known| known.is(child)) {
                self.findings.add_at(self.rule, child, "", format!("<{}>", child.node().name));
            }
        }
    }

    /// The texts that `nodes` have in common with one before.
    fn repeated(&mut self, nodes: impl Iterator<Item = At<'t>>) {
        let mut seen = std::collections::HashSet::new();
        for node in nodes {
            let text = node.text();
            if !text.is_empty() && !seen.insert(text) {
                self.findings.add_at(self.rule, node, "", quoted(text));
            }
        }
    }
}

/// An element that another may have.
struct Child {
    name: &'static str,
    is_once: bool,
}

impl Child {
    fn is(&self, at: At<'_>) -> bool {
        let (space, name) = Space::named(self.name);
        at.is(space, name)
    }
}

/// There may be one of it.
const fn one(name: &'static str) -> Child {
    Child { name, is_once: true }
}

/// There may be any number of it.
const fn any(name: &'static str) -> Child {
    Child { name, is_once: false }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("\"{text}\"") }
}

/// The look of a rule whose breaches are found by that of another.
fn by_another(_: &mut Look<'_, '_>) {}

/// One entry of a table.
const fn rule(
    severity: Severity,
    name: &'static str,
    at: &'static [&'static str],
    look: fn(&mut Look<'_, '_>),
    expected: &'static str,
    source: &'static str,
) -> Rule {
    Rule { name, severity, at, look, expected, source }
}

/// Sources that many rules have.
mod sources {
    pub(super) const RSS: &str = "RSS 2.0, rssboard.org/rss-specification";
    pub(super) const PROFILE: &str = "RSS Advisory Board Best Practices Profile, rssboard.org/rss-profile";
    pub(super) const VALIDATOR: &str = "W3C feed validator, validator.w3.org/feed/docs";
    pub(super) const JSON_FEED: &str = "JSON Feed 1.1, jsonfeed.org/version/1.1";
    pub(super) const MEDIA: &str = "Media RSS, rssboard.org/media-rss";
}
