//! An article file: TOML between two lines of `+++`, then Markdown.

use super::{Door, Input, from_input, quoted};
use crate::domain::{Category, Draft, ExternalId, Fault, Kind, Problem, Slug};
use serde_json::{Number, Value};
use std::collections::HashMap;
use toml::de::{DeTable, DeValue};
use uuid::Uuid;

/// Keys of the part between the `+++` lines. `date` is what the API calls `published_at`.
const KEYS: [&str; 14] = [
    "title",
    "date",
    "summary",
    "url",
    "authors",
    "tags",
    "language",
    "status",
    "id",
    "external_id",
    "categories",
    "media",
    "comments",
    "source",
];

/// How the name of a file that names itself nothing else begins.
pub const NAME_START: &str = "file:";

const FENCE: &str = "+++";

/// What faults in the part behind the front matter are told of.
const BODY: &str = "body";

/// Why an article file is refused, or one in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Line of the first fault, counted from 1.
    pub line: usize,
    /// All faults, in the order of their lines.
    pub problem: Problem,
    /// The line of each of `problem.faults`; none of one whose cause does not stand in the file.
    lines: Vec<Option<usize>>,
}

impl FileFault {
    /// Of these faults, each with its line.
    pub(super) fn new(mut faults: Vec<(Option<usize>, Fault)>) -> FileFault {
        faults.sort_by_key(|(line, _)| *line);
        let (lines, faults): (Vec<Option<usize>>, Vec<Fault>) = faults.into_iter().unzip();
        FileFault {
            line: lines.iter().flatten().next().copied().unwrap_or(1),
            problem: Problem::invalid(faults),
            lines,
        }
    }

    fn one(line: usize, found: impl AsRef<str>, expected: &str) -> FileFault {
        FileFault::new(vec![(Some(line), Fault::new("front matter", found, expected))])
    }

    /// One line a fault, each beginning with the place as editors and terminals link it:
    /// ``feeds/science/a.md:3 `date`: found …``.
    pub fn report(&self, path: &str) -> String {
        if self.lines.is_empty() {
            return format!("{path}:{} {}", self.line, self.problem.detail);
        }
        let one = |(line, fault): (&Option<usize>, &Fault)| match line {
            Some(line) => format!("{path}:{line} {fault}"),
            None => format!("{path}: {fault}"),
        };
        self.lines.iter().zip(&self.problem.faults).map(one).collect::<Vec<_>>().join("\n")
    }
}

/// Reads the article file `file_name` of the folder of `home`. Its home is that category, `categories` can name further
/// ones; dates without a zone are in the category's; where the file names itself nothing else, it is
/// [`name_of_file`], so that the same file is the same article.
///
/// Errors: every fault with its line.
pub fn from_file(text: &str, file_name: &str, home: &Category, door: &Door<'_>) -> Result<Draft, FileFault> {
    let Written { mut input, places, mut faults } = Written::of(text)?;
    let homes = [home.slug.to_string()];
    input.external_id.get_or_insert_with(|| name_of_file(&home.slug, file_name));
    let outcome = from_input(input.at_home(&homes), door);
    let known: Vec<String> = faults.iter().map(|(_, fault)| fault.field.clone()).collect();
    if let Err(problem) = &outcome {
        let found = problem.faults.iter().map(|fault| places.of(fault, &homes, "categories"));
        // A title that is a number is not a title that is missing as well.
        faults.extend(found.filter(|(_, fault)| !known.iter().any(|known| known == key_of(&fault.field))));
    }
    match outcome {
        Ok(draft) if faults.is_empty() => Ok(draft),
        Ok(_) | Err(_) => Err(FileFault::new(faults)),
    }
}

/// What an article file says, for who sends it on to where the categories are known: as [`from_file`] reads it, but that
/// it is at home nowhere yet (see [`Input::at_home`]), and is not named after a folder.
///
/// Errors: every fault that can be seen without knowing the categories, with its line.
pub fn input_of_file(text: &str) -> Result<Input, FileFault> {
    let Written { input, faults, .. } = Written::of(text)?;
    if faults.is_empty() { Ok(input) } else { Err(FileFault::new(faults)) }
}

/// What was found wrong with the article of the file `text`, at home in `homes`, by who knows it as an article and not as
/// a file: told as [`from_file`] tells it, by the keys of the file with their lines. A fault in one of `homes` is told of
/// `home_field`, and has no line.
pub fn faults_in_file(text: &str, homes: &[String], home_field: &str, problem: &Problem) -> FileFault {
    match Written::of(text) {
        Ok(Written { places, .. }) => {
            FileFault::new(problem.faults.iter().map(|fault| places.of(fault, homes, home_field)).collect())
        }
        Err(fault) => fault,
    }
}

impl Input {
    /// The same at home in `homes`, which stand before the categories that it names itself.
    pub fn at_home(self, homes: &[String]) -> Input {
        let further = self.categories.into_iter().filter(|slug| !homes.contains(slug));
        Input { categories: homes.iter().cloned().chain(further).collect(), ..self }
    }
}

/// What stands in a file, nothing of it checked but of what type each value is.
struct Written {
    input: Input,
    places: Places,
    /// Each with its line.
    faults: Vec<(Option<usize>, Fault)>,
}

impl Written {
    fn of(text: &str) -> Result<Written, FileFault> {
        let parts = Parts::of(text)?;
        let table = DeTable::parse(parts.front).map_err(|error| {
            let line = parts.line_of(error.span().map_or(0, |span| span.start));
            let detail = format!("the part between the +++ lines is not TOML: {}", error.message().trim());
            FileFault { line, problem: Problem::new(Kind::Malformed, detail), lines: Vec::new() }
        })?;
        let mut faults: Vec<(Option<usize>, Fault)> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::from([(BODY.to_owned(), parts.body_line)]);
        let mut input = Input { body_markdown: Some(parts.body.to_owned()), ..Input::default() };
        for (key, value) in table.get_ref() {
            let name = key.get_ref().as_ref();
            let line = parts.line_of(key.span().start);
            lines.insert(name.to_owned(), line);
            let mut faults = |found: &str, expected: &str| faults.push((Some(line), Fault::new(name, found, expected)));
            let value = value.get_ref();
            match name {
                "title" => input.title = text_of(value, &mut faults),
                "date" => input.published_at = date_of(value, &mut faults),
                "summary" => input.summary = text_of(value, &mut faults),
                "url" => input.url = text_of(value, &mut faults),
                "authors" => input.authors = texts_of(value, &mut faults),
                "tags" => input.tags = texts_of(value, &mut faults),
                "language" => input.language = text_of(value, &mut faults),
                "status" => input.status = text_of(value, &mut faults),
                "id" => input.id = text_of(value, &mut faults),
                "external_id" => input.external_id = text_of(value, &mut faults),
                "categories" => input.categories = texts_of(value, &mut faults),
                "media" => input.media = Some(json_of(value)),
                "comments" => input.comments = Some(json_of(value)),
                "source" => input.source = Some(json_of(value)),
                _ => faults("an unknown key", &format!("one of {}", KEYS.join(", "))),
            }
        }
        let places = Places { lines, categories: input.categories.clone() };
        Ok(Written { input, places, faults })
    }
}

/// Where in a file its article's fields come from.
struct Places {
    /// The line of each key.
    lines: HashMap<String, usize>,
    /// As they are named there.
    categories: Vec<String>,
}

impl Places {
    /// `fault` by the file's own name for its field, with the line, as of [`faults_in_file`]. What is missing is missing in
    /// the first line.
    fn of(&self, fault: &Fault, homes: &[String], home_field: &str) -> (Option<usize>, Fault) {
        let field = match fault.field.as_str() {
            "published_at" => "date".to_owned(),
            "body_markdown" => BODY.to_owned(),
            other => {
                match other.strip_prefix("categories[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok()) {
                    Some(at) if at < homes.len() => home_field.to_owned(),
                    Some(at) => self.category(at - homes.len(), homes),
                    None => other.to_owned(),
                }
            }
        };
        let key = key_of(&field);
        let is_key = key == BODY || KEYS.contains(&key);
        let line = is_key.then(|| self.lines.get(key).copied().unwrap_or(1));
        (line, Fault { field, ..fault.clone() })
    }

    /// The name of the category that is number `at`, from 0, of those that are not among `homes`.
    fn category(&self, at: usize, homes: &[String]) -> String {
        let mut further = self.categories.iter().enumerate().filter(|(_, slug)| !homes.contains(slug));
        super::place("categories", further.nth(at).map_or(at, |(at, _)| at))
    }
}

/// `tags[3]` stands under the key `tags`, and `comments.url` under `comments`.
fn key_of(field: &str) -> &str {
    field.split(['[', '.']).next().unwrap_or(field)
}

/// The `id` and the `external_id` that an article file names, unchecked: what can be known of it before it is read whole.
/// Where it cannot be read so far, it names none.
pub fn names_in_file(text: &str) -> (Option<String>, Option<String>) {
    let Ok(parts) = Parts::of(text) else { return (None, None) };
    let Ok(table) = DeTable::parse(parts.front) else { return (None, None) };
    let named = |key: &str| table.get_ref().get(key)?.get_ref().as_str().map(str::to_owned);
    (named("id"), named("external_id"))
}

/// What a file that names itself nothing else is called: `file:<category>/<file name>`. Where that is no legal name, as
/// with two spaces in a row, a UUID made of the file name stands for it (RFC 9562 §5.5), which is the same for ever.
pub fn name_of_file(category: &Slug, file_name: &str) -> String {
    let name = format!("{NAME_START}{category}/{file_name}");
    match ExternalId::parse("external_id", &name) {
        Ok(_) => name,
        Err(_) => format!("{NAME_START}{category}/{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, file_name.as_bytes())),
    }
}

struct Parts<'a> {
    front: &'a str,
    body: &'a str,
    body_line: usize,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Parts<'a>, FileFault> {
        // Editors on Windows write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let expected = "a line of +++, the article's title and date as TOML, a line of +++, and the text";
        let (first, mut rest) = text.split_once('\n').unwrap_or((text, ""));
        if first.trim_end() != FENCE {
            return Err(FileFault::one(1, quoted(first), expected));
        }
        let from = rest;
        let mut line = 2;
        while !rest.is_empty() {
            let (one, after) = rest.split_once('\n').unwrap_or((rest, ""));
            if one.trim_end() == FENCE {
                let front = &from[..from.len() - rest.len()];
                return Ok(Parts { front, body: after, body_line: line + 1 });
            }
            rest = after;
            line += 1;
        }
        Err(FileFault::one(line - 1, "the end of the file", expected))
    }

    /// Line in the file of a byte of `front`.
    fn line_of(&self, at: usize) -> usize {
        self.front.bytes().take(at).filter(|&b| b == b'\n').count() + 2
    }
}

fn text_of(value: &DeValue<'_>, fault: &mut impl FnMut(&str, &str)) -> Option<String> {
    if value.as_str().is_none() {
        fault(value.type_str(), "text in quotation marks");
    }
    value.as_str().map(str::to_owned)
}

/// A date is text in any form that people use, or one of TOML's own.
fn date_of(value: &DeValue<'_>, fault: &mut impl FnMut(&str, &str)) -> Option<String> {
    match value.as_datetime() {
        Some(date) => Some(date.to_string()),
        None => text_of(value, fault),
    }
}

fn texts_of(value: &DeValue<'_>, fault: &mut impl FnMut(&str, &str)) -> Vec<String> {
    let Some(values) = value.as_array() else {
        fault(value.type_str(), "a list of texts, such as [\"one\", \"two\"]");
        return Vec::new();
    };
    values.iter().filter_map(|value| text_of(value.get_ref(), fault)).collect()
}

/// What the value would be in JSON, where the parts that are objects are checked for both. A number that JSON does not
/// have is text: it is no number where one is expected, and not as good as absent.
fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(Number::from_f64);
            finite.map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json_of(value.get_ref())).collect(),
        DeValue::Table(table) => {
            let pair = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
                (key.get_ref().to_string(), json_of(value.get_ref()))
            };
            Value::Object(table.iter().map(pair).collect())
        }
    }
}
