//! The body of an API request: one JSON object with the fields of [`Input`].

use super::{Door, FIELDS, FileFault, Input, from_input, shown};
use crate::domain::{Draft, Fault, Kind, Problem};
use crate::wire::raw::{Object, offset_in};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::error::Category;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads an article. Errors: [`Kind::Malformed`] with line and column where the bytes are no JSON; [`Kind::Invalid`]
/// with every fault where they are: an unknown or repeated field, a value of the wrong type, half of a surrogate pair,
/// and all that [`from_input`] finds.
pub fn from_json(bytes: &[u8], door: &Door<'_>) -> Result<Draft, Problem> {
    let members = Members::of(bytes)?;
    let mut faults = Vec::new();
    let input = input(members, &mut faults);
    match from_input(input, door) {
        Ok(draft) if faults.is_empty() => Ok(draft),
        Ok(_) => Err(Problem::invalid(faults)),
        Err(problem) => {
            // A title that is a number is not a title that is missing as well.
            let is_new = |fault: &Fault| !faults.iter().any(|known| base(&known.field) == base(&fault.field));
            let more = problem.faults.into_iter().filter(is_new).collect::<Vec<_>>();
            faults.extend(more);
            Err(Problem::invalid(faults))
        }
    }
}

/// `tags[3]` is about `tags`, and `comments.url` about `comments`.
fn base(field: &str) -> &str {
    field.split(['[', '.']).next().unwrap_or(field)
}

/// The members of the object as they stand; a map would hide that one comes twice. Written out, they are as they were:
/// who sends an article on leaves it to [`from_json`] to say what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<(String, Value)>);

impl Members {
    /// Errors: as [`from_json`], for what is no JSON object.
    pub fn of(bytes: &[u8]) -> Result<Members, Problem> {
        serde_json::from_slice(bytes).map_err(|error| syntax(bytes, &error))
    }

    /// Those of an article that say anything: `null` and an empty list are as good as absent.
    ///
    /// Errors: none that an [`Input`] gives cause for.
    pub fn of_input(input: &Input) -> Result<Members, serde_json::Error> {
        let all: Map<String, Value> = serde_json::from_value(serde_json::to_value(input)?)?;
        let is_said = |value: &Value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty());
        Ok(Members(all.into_iter().filter(|(_, value)| is_said(value)).collect()))
    }

    /// What the first of this name says, if there is one and it says anything.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        found.filter(|value| !value.is_null())
    }

    /// Has the first of this name say `value`; where there is none, there is one more.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What was found wrong with the article that the JSON file `text` holds, by who took it in: each fault with the line of its
/// field. Behind the categories that the file names itself stand others, which are told of `more_field` and have no line.
pub fn faults_in_json(text: &str, more_field: &str, problem: &Problem) -> FileFault {
    let lines = lines(text);
    let named = Members::of(text.as_bytes()).ok();
    let named = named.as_ref().and_then(|named| named.get("categories")?.as_array()).map_or(0, Vec::len);
    let placed = |fault: &Fault| {
        let at = fault.field.strip_prefix("categories[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        if at.is_some_and(|at| at >= named) {
            return (None, Fault { field: more_field.to_owned(), ..fault.clone() });
        }
        let name = base(&fault.field);
        // What is missing is missing in the first line, as of an article file.
        let missing = FIELDS.contains(&name).then_some(1);
        (lines.get(name).copied().or(missing), fault.clone())
    };
    FileFault::new(problem.faults.iter().map(placed).collect())
}

/// The line, counted from 1, of each member of the object that `text` is; of one that comes twice, that of the first.
fn lines(text: &str) -> HashMap<Cow<'_, str>, usize> {
    let members = serde_json::from_str(text).map_or_else(|_| Vec::new(), |Object(members)| members);
    let mut lines = HashMap::new();
    let (mut line, mut read) = (1, 0);
    for (name, value) in members {
        let start = offset_in(text, value.get());
        // What stands between a name and its value is a colon, and may be lines without anything.
        let named = text[..start].trim_end().trim_end_matches(':').trim_end().len();
        line += text[read..named].matches('\n').count();
        read = named;
        lines.entry(name).or_insert(line);
    }
    lines
}

/// What is wrong with `bytes`, which were read as something else than an article: the field, as far as the parser's words
/// and the place tell it.
pub fn problem(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return syntax(bytes, error);
    }
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let named = |start: &str| message.strip_prefix(start)?.split_once('`');
    let fault = if let Some((name, rest)) = named("unknown field `") {
        Fault::new(name, "an unknown field", rest.trim_start_matches([',', ' ']).trim_start_matches("expected "))
    } else if let Some((name, _)) = named("missing field `") {
        Fault::new(name, "nothing", "a value")
    } else if let Some((name, _)) = named("duplicate field `") {
        Fault::new(name, "it twice", "each field once")
    } else {
        let (found, expected) =
            message.split_once(", expected ").unwrap_or((message, "what is described in the reference"));
        let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
        Fault::new(name_before(bytes, error.line(), error.column()), found, expected)
    };
    Problem::invalid(vec![fault])
}

/// The name of the last member that begins before this place.
fn name_before(bytes: &[u8], line: usize, column: usize) -> String {
    let before = text_before(bytes, line, column);
    let mut ends = before.rmatch_indices(':').map(|(at, _)| before[..at].trim_end());
    let name = ends.find_map(|before| before.strip_suffix('"')?.rsplit_once('"').map(|(_, name)| name));
    name.unwrap_or("body").to_owned()
}

fn text_before(bytes: &[u8], line: usize, column: usize) -> String {
    let line_start: usize = bytes.split_inclusive(|&b| b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    String::from_utf8_lossy(&bytes[..bytes.len().min(line_start + column)]).into_owned()
}

fn syntax(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    // Good JSON by its grammar (RFC 8259 §8.2), and yet no text: the field is at fault and not the syntax.
    let half = ["lone leading surrogate", "unexpected end of hex escape"].iter().any(|it| message.starts_with(it));
    match error.classify() {
        Category::Syntax if half => {
            let found = format!("half of a surrogate pair at line {} column {}", error.line(), error.column());
            let field = field_before(bytes, error.line(), error.column());
            Problem::field(field, found, "text that is valid Unicode")
        }
        Category::Data => Problem::field("body", message, "one JSON object with the fields of an article"),
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(Kind::Malformed, format!("the body is not JSON: {message}"))
        }
    }
}

/// The field whose value stands at this place: the last of our names before it that is followed by a colon. Within a
/// text a quotation mark has a backslash before it, so no text can look like a name.
fn field_before(bytes: &[u8], line: usize, column: usize) -> &'static str {
    let before = text_before(bytes, line, column);
    let last = |field: &'static str| {
        let name = format!("\"{field}\"");
        let is_name = |at: &usize| before[at + name.len()..].trim_start().starts_with(':');
        before.match_indices(&name).map(|(at, _)| at).filter(is_name).last().map(|at| (at, field))
    };
    FIELDS.into_iter().filter_map(last).max().map_or("body", |(_, field)| field)
}

fn input(members: Members, faults: &mut Vec<Fault>) -> Input {
    let mut input = Input::default();
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in members.0 {
        if seen.contains(&name) {
            faults.push(Fault::new(name, "it twice", "each field once"));
            continue;
        }
        match name.as_str() {
            "id" => input.id = text(&name, value, faults),
            "external_id" => input.external_id = text(&name, value, faults),
            "status" => input.status = text(&name, value, faults),
            "title" => input.title = text(&name, value, faults),
            "summary" => input.summary = text(&name, value, faults),
            "body_html" => input.body_html = text(&name, value, faults),
            "body_markdown" => input.body_markdown = text(&name, value, faults),
            "url" => input.url = text(&name, value, faults),
            "categories" => input.categories = texts(&name, value, faults),
            "authors" => input.authors = texts(&name, value, faults),
            "tags" => input.tags = texts(&name, value, faults),
            "language" => input.language = text(&name, value, faults),
            "published_at" => input.published_at = text(&name, value, faults),
            "media" => input.media = some(value),
            "comments" => input.comments = some(value),
            "source" => input.source = some(value),
            unknown => faults.push(Fault::new(unknown, "an unknown field", format!("one of {}", FIELDS.join(", ")))),
        }
        seen.push(name);
    }
    input
}

fn some(value: Value) -> Option<Value> {
    (!value.is_null()).then_some(value)
}

/// `null` is as good as absent.
fn text(field: &str, value: Value, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => None,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            faults.push(Fault::new(field, shown(&other), "text"));
            None
        }
    }
}

fn texts(field: &str, value: Value, faults: &mut Vec<Fault>) -> Vec<String> {
    match value {
        Value::Array(values) => {
            let one = |(at, value): (usize, Value)| {
                let field = super::place(field, at);
                if value.is_null() {
                    faults.push(Fault::new(&field, "null", "text"));
                }
                text(&field, value, faults)
            };
            values.into_iter().enumerate().filter_map(one).collect()
        }
        Value::Null => Vec::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            faults.push(Fault::new(field, shown(&other), "a list of texts"));
            Vec::new()
        }
    }
}
