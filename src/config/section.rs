//! A typed reader over one TOML section: every mistake is recorded with its line, and reading goes on.

use super::keys::{self, Form, KEYS, Key, Standard};
use super::mistakes::Mistakes;
use crate::domain::{Fault, clean_line};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// One configuration file as it lies on the disk, for lines and relative paths.
pub(super) struct Source {
    /// As messages call it.
    pub(super) file: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file whole; `shown` is its name in messages.
    pub(super) fn read(file: &Path, shown: PathBuf, mistakes: &mut Mistakes) -> Option<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => Some(Source { file: shown, text }),
            Err(e) => {
                mistakes.add(&shown, None, Fault::new("file", e.to_string(), "a readable file of UTF-8 text"));
                None
            }
        }
    }

    /// Its keys. TOML that cannot be parsed is one mistake: behind it nothing can be trusted.
    pub(super) fn parse(&self, mistakes: &mut Mistakes) -> Option<DeTable<'_>> {
        match DeTable::parse(&self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(e) => {
                // The parser's own display would repeat the line, and with it perhaps a secret.
                let line = e.span().map(|span| self.line(&span));
                let found = format!("no TOML here: {}", e.message().replace('\n', " "));
                mistakes.add(&self.file, line, Fault::new("syntax", found, "a line such as key = \"value\""));
                None
            }
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// One value with the line it stands on.
type Entry<'a> = (usize, &'a DeValue<'a>);

/// One section of one file.
pub(super) struct Section<'a> {
    source: &'a Source,
    name: &'static str,
    line: Option<usize>,
    entries: BTreeMap<&'a str, Entry<'a>>,
    mistakes: &'a mut Mistakes,
}

impl<'a> Section<'a> {
    /// The section `name` of `table`, which holds all sections or is the section itself ([`keys::FEED`]).
    /// Unknown keys in it are recorded at once.
    pub(super) fn open(
        source: &'a Source,
        table: &'a DeTable<'a>,
        name: &'static str,
        mistakes: &'a mut Mistakes,
    ) -> Self {
        let mut section = Section { source, name, line: None, entries: BTreeMap::new(), mistakes };
        let mut inner = Some(table);
        if !keys::is_file(name) {
            for part in name.split('.') {
                let value = inner.and_then(|table| table.get(part));
                section.line = value.map(|value| source.line(&value.span()));
                inner = value.and_then(|value| value.get_ref().as_table());
            }
        }
        for (key, value) in inner.into_iter().flatten() {
            section.entries.insert(key.get_ref(), (source.line(&key.span()), value.get_ref()));
        }
        section.refuse_unknown();
        section
    }

    /// Is anything of it written?
    pub(super) fn is_written(&self) -> bool {
        self.line.is_some()
    }

    /// Text on one line; white space around it does not count.
    pub(super) fn text(&mut self, key: &Key) -> Option<String> {
        self.parsed(key, |text| Some(clean_line(text)).filter(|line| !line.is_empty() || text.is_empty()))
            .filter(|text| self.required_is_filled(key, text))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &Key) -> bool {
        match self.find(key) {
            Some((_, DeValue::Boolean(flag))) => *flag,
            Some(entry) => {
                self.wrong(key, entry);
                false
            }
            None => key.standard == Standard::Value("true"),
        }
    }

    /// A whole number in the key's range; none if none is written and the default is a rule.
    pub(super) fn whole(&mut self, key: &Key) -> Option<u64> {
        let Form::Whole { min, max } = key.form else { return None };
        match self.find(key) {
            Some(entry @ (_, DeValue::Integer(digits))) => {
                let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
                let number = number.filter(|number| (min..=max).contains(number));
                if number.is_none() {
                    self.wrong(key, entry);
                }
                number
            }
            Some(entry) => {
                self.wrong(key, entry);
                None
            }
            None => match key.standard {
                Standard::Value(standard) => standard.parse().ok(),
                Standard::Required | Standard::Rule(_) => None,
            },
        }
    }

    /// A path, relative to the file it stands in.
    pub(super) fn path(&mut self, key: &Key) -> Option<PathBuf> {
        let path = self.parsed(key, |text| Some(text.to_owned()).filter(|text| !text.is_empty()))?;
        Some(self.source.beside(&path))
    }

    /// Text that `parse` makes a value of; where it cannot, the key's form says what was expected.
    pub(super) fn parsed<T>(&mut self, key: &Key, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.find(key) {
            Some(entry @ (_, DeValue::String(text))) => {
                let value = parse(text);
                if value.is_none() {
                    self.wrong(key, entry);
                }
                value
            }
            Some(entry) => {
                self.wrong(key, entry);
                None
            }
            None => match key.standard {
                Standard::Value(standard) => parse(standard),
                Standard::Required | Standard::Rule(_) => None,
            },
        }
    }

    /// Is the key written? Absent keys that have to be are recorded on the way by the other verbs.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.entries.contains_key(key.name)
    }

    /// Records a mistake at `key` that its form alone does not show.
    pub(super) fn mistake(&mut self, key: &Key, found: impl AsRef<str>, expected: impl Into<String>) {
        let line = self.entries.get(key.name).map(|(line, _)| *line).or(self.line);
        self.mistakes.add(&self.source.file, line, Fault::new(key.path(), found, expected));
    }

    fn find(&mut self, key: &Key) -> Option<Entry<'a>> {
        let entry = self.entries.get(key.name).copied();
        if entry.is_none() && key.standard == Standard::Required {
            self.mistake(key, "nothing", key.form.expected());
        }
        entry
    }

    fn required_is_filled(&mut self, key: &Key, text: &str) -> bool {
        let filled = !text.is_empty() || key.standard != Standard::Required;
        if !filled {
            self.mistake(key, "\"\"", key.form.expected());
        }
        filled
    }

    fn wrong(&mut self, key: &Key, (_, value): Entry<'_>) {
        let found = match key.form {
            Form::SecretPath => "something else".to_owned(),
            // A password before an @ is a habit of addresses.
            Form::Url if value.as_str().is_some_and(|text| text.contains('@')) => "an address with an @".to_owned(),
            Form::Text
            | Form::Flag
            | Form::Whole { .. }
            | Form::Word(_)
            | Form::Path
            | Form::Socket
            | Form::Addresses
            | Form::Color
            | Form::Url
            | Form::Mailbox
            | Form::Language
            | Form::Slug
            | Form::Zone
            | Form::Day => shown(value),
        };
        self.mistake(key, found, key.form.expected());
    }

    fn refuse_unknown(&mut self) {
        let mut known: Vec<&str> = KEYS.iter().filter(|key| key.section == self.name).map(|key| key.name).collect();
        known.extend(subsections(self.name));
        let unknown: Vec<(&str, usize)> = self
            .entries
            .iter()
            .filter(|(name, _)| !known.contains(name))
            .map(|(name, (line, _))| (*name, *line))
            .collect();
        for (name, line) in unknown {
            let fault = Fault::new(keys::dotted(self.name, name), "an unknown key", hint(name, &known));
            self.mistakes.add(&self.source.file, Some(line), fault);
        }
    }
}

/// Records every top-level entry that is no section, or no known one.
pub(super) fn refuse_unknown_sections(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) {
    let mut known: Vec<&str> = KEYS.iter().map(|key| key.section).filter(|name| !keys::is_file(name)).collect();
    known.retain(|name| !name.contains('.'));
    known.dedup();
    for (name, value) in table {
        let line = Some(source.line(&name.span()));
        let name: &str = name.get_ref();
        if !known.contains(&name) {
            mistakes.add(&source.file, line, Fault::new(name, "an unknown section", hint(name, &known)));
        }
        refuse_no_section(source, name, line, value.get_ref(), &known, mistakes);
    }
}

fn refuse_no_section(
    source: &Source,
    name: &str,
    line: Option<usize>,
    value: &DeValue<'_>,
    known: &[&str],
    mistakes: &mut Mistakes,
) {
    if let DeValue::Table(table) = value {
        for below in subsections(name) {
            if let Some((key, value)) = table.get_key_value(below) {
                let line = Some(source.line(&key.span()));
                let name = format!("{name}.{below}");
                refuse_no_section(source, &name, line, value.get_ref(), &[&name], mistakes);
            }
        }
    } else if known.contains(&name) {
        mistakes.add(&source.file, line, Fault::new(name, "a value", format!("a section [{name}]")));
    }
}

/// Names of the sections directly below `section`: `smtp` below `mail`.
fn subsections(section: &str) -> Vec<&'static str> {
    let mut below: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| key.section.strip_prefix(section)?.strip_prefix('.'))
        .filter(|rest| !rest.contains('.'))
        .collect();
    below.dedup();
    below
}

/// A value as a message repeats it; lists and sections are named only.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// The known name that is nearest, or all of them where none is near.
fn hint(name: &str, known: &[&str]) -> String {
    /// Two slips of the finger still tell what was meant; three could mean anything.
    const SLIPS_MAX: usize = 2;
    let near = known.iter().map(|known| (slips(name, known), known)).min();
    match near {
        Some((slips, near)) if slips <= SLIPS_MAX && slips < near.len() => format!("`{near}` perhaps"),
        _ => format!("one of {}", known.join(", ")),
    }
}

/// Letters to put in, take out or change to make one of the other (Levenshtein); a known name within the
/// other, as `password` in `password_file`, counts as one.
fn slips(a: &str, b: &str) -> usize {
    if a.len() > 2 && b.len() > 2 && (a.contains(b) || b.contains(a)) {
        return usize::from(a != b);
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
