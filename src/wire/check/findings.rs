//! What was found, and how much of it is told.

use super::rules::Rule;
use super::tree::{At, Tree};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// Findings of one rule that are told; the rest is counted. One mistake in a template is in every item.
const OF_ONE_RULE_MAX: usize = 20;
/// Characters of what was found that are told.
const FOUND_CHARS_MAX: usize = 80;
/// Characters of a place that are told: names may be anything in a feed of others.
const PLACE_CHARS_MAX: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A standard forbids it; some reader refuses the feed or loses something.
    Error,
    /// A standard or the validator advises against it, since readers were seen to take it wrong.
    Warning,
    /// What one aggregator asks for beyond the standards, or what only people can decide.
    Advice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        })
    }
}

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's name: that of the W3C validator's message, where it has one.
    pub rule: &'static str,
    /// Where in the feed: `rss.item[3].guid`.
    pub place: String,
    /// Line in the text, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What stands there, shortened to 80 characters.
    pub found: String,
    /// What would have been right.
    pub expected: &'static str,
    /// Who says so.
    pub source: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { severity, rule, place, line, column, found, expected, source } = self;
        write!(f, "{line}:{column}: {severity} {rule}: {place}: found {found}, expected {expected} ({source})")
    }
}

/// Findings in the making: by offsets, turned into lines and places at the end, since mostly there are none.
#[derive(Default)]
pub(super) struct Findings {
    raw: Vec<Raw>,
    counts: HashMap<(&'static str, Severity), usize>,
}

struct Raw {
    rule: &'static Rule,
    offset: usize,
    place: Option<String>,
    found: String,
}

impl Findings {
    /// `found` breaks `rule` at `offset` of the text.
    pub(super) fn add(&mut self, rule: &'static Rule, offset: usize, found: impl AsRef<str>) {
        if self.counts_one_more(rule) {
            self.raw.push(Raw { rule, offset, place: None, found: shown(found.as_ref(), FOUND_CHARS_MAX) });
        }
    }

    /// `found` breaks `rule` at `at`, in its attribute or child `part` (empty for itself).
    pub(super) fn add_at(&mut self, rule: &'static Rule, at: At<'_>, part: &str, found: impl AsRef<str>) {
        if self.counts_one_more(rule) {
            let mut place = at.place();
            if !part.is_empty() {
                place.push('.');
                place.push_str(part);
            }
            let offset = at.node().place.start;
            self.raw.push(Raw { rule, offset, place: Some(place), found: shown(found.as_ref(), FOUND_CHARS_MAX) });
        }
    }

    fn counts_one_more(&mut self, rule: &'static Rule) -> bool {
        let count = self.counts.entry((rule.name, rule.severity)).or_default();
        *count += 1;
        *count <= OF_ONE_RULE_MAX
    }

    /// In the order of the text, with how many more there are that are not told.
    pub(super) fn finish(mut self, text: &str, tree: &Tree<'_>, name: &str) -> (Vec<Finding>, usize) {
        let left_out = self.counts.values().map(|count| count.saturating_sub(OF_ONE_RULE_MAX)).sum();
        self.raw.sort_by_key(|raw| raw.offset);
        let (mut line, mut column, mut chars) = (1, 1, text.char_indices().peekable());
        let mut findings = Vec::with_capacity(self.raw.len());
        for Raw { rule, offset, place, found } in self.raw {
            while let Some((_, c)) = chars.next_if(|(at, _)| *at < offset) {
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            let place = place.or_else(|| tree.around(offset).map(At::place)).unwrap_or_else(|| name.to_owned());
            let place = shown(&place, PLACE_CHARS_MAX);
            let Rule { name: rule, severity, expected, source, .. } = *rule;
            findings.push(Finding { severity, rule, place, line, column, found, expected, source });
        }
        (findings, left_out)
    }
}

/// On one line, nothing in it that a terminal would obey, not longer than it has to be.
fn shown(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    for (number, c) in text.chars().enumerate() {
        match c {
            _ if number == chars_max => {
                shown.push('…');
                break;
            }
            '\n' | '\r' | '\t' => shown.push(' '),
            // Controls, and what turns the direction of a line (Unicode's Bidi_Control).
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}
