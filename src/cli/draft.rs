//! An article file becomes the JSON that the API takes. What the fields may hold is the API's to say.

use super::failure::Failure;
use crate::domain::{Fault, Problem};
use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the front matter may name; `date` is `published_at` in the words of article files.
const FIELDS: [&str; 12] = [
    "title",
    "date",
    "published_at",
    "summary",
    "url",
    "authors",
    "tags",
    "language",
    "status",
    "id",
    "external_id",
    "categories",
];

/// Opens and closes the front matter.
const FENCE: &str = "+++";

/// An article file, as the command line names it.
#[derive(Debug, Args)]
pub(super) struct File {
    /// `.json` or `.md`; `-` reads either from standard input
    file: PathBuf,
    /// A category besides those that the file names; may be given again
    #[arg(long = "category", value_name = "SLUG")]
    categories: Vec<String>,
}

impl File {
    /// Reads it. Errors: what cannot be understood, with its line.
    pub(super) fn read(&self) -> Result<Value, Failure> {
        let shown = self.file.display();
        let mut text = String::new();
        if self.file == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
        } else {
            text = std::fs::read_to_string(&self.file).with_context(|| shown.to_string())?;
        }
        let mut article = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => json(&text),
            Some("md" | "markdown") => markdown(&text),
            _ if text.trim_start().starts_with('{') => json(&text),
            _ => markdown(&text),
        }
        .map_err(|mut problem| {
            problem.detail = format!("{shown}: {}", problem.detail);
            problem
        })?;
        self.add_categories(&mut article);
        Ok(article)
    }

    fn add_categories(&self, article: &mut Value) {
        if self.categories.is_empty() {
            return;
        }
        let named =
            article.as_object_mut().map(|fields| fields.entry("categories").or_insert_with(|| Value::Array(vec![])));
        if let Some(Value::Array(named)) = named {
            named.extend(self.categories.iter().map(|slug| Value::from(slug.as_str())));
        }
    }
}

fn json(text: &str) -> Result<Value, Problem> {
    match serde_json::from_str(text) {
        Ok(article @ Value::Object(_)) => Ok(article),
        Ok(_) => Err(Problem::field("article", "JSON of another kind", "one JSON object")),
        Err(e) => Err(Problem::field(format!("line {}", e.line()), e.to_string(), "JSON")),
    }
}

fn markdown(text: &str) -> Result<Value, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (front, body) = split(text)?;
    let table: toml::Table = toml::from_str(front).map_err(|e| {
        // The fence is line 1.
        let line = e.span().map_or(2, |span| front.bytes().take(span.start).filter(|b| *b == b'\n').count() + 2);
        Problem::field(format!("line {line}"), e.message(), "TOML such as title = \"A title\"")
    })?;
    let mut faults = Vec::new();
    let mut article = Map::new();
    for (field, value) in table {
        if !FIELDS.contains(&field.as_str()) {
            faults.push(Fault::new(field, "an unknown field", format!("one of {}", FIELDS.join(", "))));
            continue;
        }
        let name = if field == "date" { "published_at" } else { &field };
        if article.insert(name.to_owned(), value_of(value)).is_some() {
            faults.push(Fault::new("date", "published_at as well", "one of both"));
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    if !body.trim().is_empty() {
        article.insert("body_markdown".to_owned(), body.into());
    }
    Ok(Value::Object(article))
}

/// The lines between the fences, and what follows.
fn split(text: &str) -> Result<(&str, &str), Problem> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != FENCE {
        return Err(Problem::field("line 1", format!("{:?}", first.trim_end()), "+++, which opens the front matter"));
    }
    let mut at = first.len();
    for line in lines {
        if line.trim_end() == FENCE {
            return Ok((&text[first.len()..at], text[at + line.len()..].trim_start_matches(['\r', '\n'])));
        }
        at += line.len();
    }
    Err(Problem::field("front matter", "no end", "a line +++ that closes it"))
}

/// TOML as JSON; a date becomes the text that it was.
fn value_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(value_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, value_of(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn front_matter_becomes_fields_and_the_rest_the_body() {
        let text = "\u{feff}+++\r\ntitle = \"A \\\"b\\\"\"\r\ndate = 2020-12-18T15:03:00\r\ntags = [\"x\"]\r\n+++\r\n\r\n# One\r\n\r\n+++\r\n";
        let article = markdown(text).expect("valid");
        let expected = json!({
            "title": "A \"b\"", "published_at": "2020-12-18T15:03:00", "tags": ["x"], "body_markdown": "# One\r\n\r\n+++\r\n",
        });
        assert_eq!(article, expected);
        let headline = markdown("+++\ntitle = \"A\"\ndate = \"18.12.2020 15:03\"\n+++\n").expect("no body is needed");
        assert_eq!(headline, json!({"title": "A", "published_at": "18.12.2020 15:03"}));
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        for (text, told) in [
            ("# A", "`line 1`: found \"# A\", expected +++"),
            ("", "`line 1`: found \"\", expected +++"),
            ("+++\ntitle = \"A\"\n", "`front matter`: found no end"),
            ("+++\ntitle = \"A\"\ndate = tomorrow\n+++\n", "`line 3`: found "),
            ("+++\ntitel = \"A\"\n+++\n", "`titel`: found an unknown field, expected one of title, date"),
            ("+++\ndate = \"a\"\npublished_at = \"b\"\n+++\n", "`date`: found published_at as well"),
        ] {
            let problem = markdown(text).expect_err(text).to_string();
            assert!(problem.starts_with(told), "{text:?}: {problem}");
        }
        assert!(json("{\n\"title\": }").expect_err("no JSON").to_string().starts_with("`line 2`"));
        assert!(json("[]").is_err());
    }

    #[test]
    fn categories_of_the_command_line_are_added() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("a.json");
        std::fs::write(&file, "{\"title\":\"A\",\"categories\":[\"science\"]}").expect("writable");
        let article = File { file, categories: vec!["economy".into()] }.read().expect("valid");
        assert_eq!(article, json!({"title": "A", "categories": ["science", "economy"]}));
    }
}
