//! An article file becomes the JSON that the API takes. What may stand in it `wire/source` says, as for a watched folder;
//! what the fields may hold is the API's to say.

use super::failure::Failure;
use crate::domain::Problem;
use crate::wire::source::{FileFault, Members, input_of_file};
use anyhow::Context;
use clap::Args;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An article file, as the command line names it.
#[derive(Debug, Args)]
pub(super) struct File {
    /// `.json` or `.md`; `-` reads either from standard input
    file: PathBuf,
    /// A category besides those that the file names, and of a `.md` its first, as that of a folder is; may be given again
    #[arg(long = "category", value_name = "SLUG")]
    categories: Vec<String>,
}

impl File {
    /// Reads it. Errors: what cannot be understood, with its place.
    pub(super) fn read(&self) -> Result<Members, Failure> {
        let shown = self.file.display().to_string();
        let mut text = String::new();
        if self.file == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
        } else {
            text = std::fs::read_to_string(&self.file).with_context(|| shown.clone())?;
        }
        match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => self.json(&text, &shown),
            Some("md" | "markdown") => self.markdown(&text, &shown),
            _ if text.trim_start().starts_with('{') => self.json(&text, &shown),
            _ => self.markdown(&text, &shown),
        }
    }

    fn json(&self, text: &str, shown: &str) -> Result<Members, Failure> {
        let mut article = Members::of(text.as_bytes()).map_err(|mut problem| {
            problem.detail = format!("{shown}: {}", problem.detail);
            problem
        })?;
        if !self.categories.is_empty() {
            let further = self.categories.iter().map(|slug| Value::from(slug.as_str()));
            match article.get("categories") {
                None => article.set("categories", further.collect()),
                Some(Value::Array(named)) => {
                    let all = named.iter().cloned().chain(further).collect();
                    article.set("categories", all);
                }
                // Whatever that is, the API says what is expected in its place.
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {}
            }
        }
        Ok(article)
    }

    fn markdown(&self, text: &str, shown: &str) -> Result<Members, Failure> {
        let told = |fault: FileFault| Problem::new(fault.problem.kind, fault.report(shown));
        let input = input_of_file(text, &self.categories).map_err(told)?;
        Ok(Members::of_input(&input).context("writing an article as JSON")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(name: &str, text: &str, categories: &[&str]) -> Result<Value, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("writable");
        let categories = categories.iter().map(|slug| (*slug).to_owned()).collect();
        let read = File { file, categories }.read().map_err(|failure| failure.to_string());
        let path = format!("{}/", folder.path().display());
        read.map(|article| json!(article)).map_err(|told| told.replace(&path, ""))
    }

    #[test]
    fn front_matter_becomes_fields_and_the_rest_the_body() {
        let text = "\u{feff}+++\r\ntitle = \"A \\\"b\\\"\"\r\ndate = 2020-12-18T15:03:00\r\ntags = [\"x\"]\r\n+++\r\n# One\r\n\r\n+++\r\n";
        let expected = json!({
            "title": "A \"b\"", "published_at": "2020-12-18T15:03:00", "tags": ["x"], "body_markdown": "# One\r\n\r\n+++\r\n",
        });
        assert_eq!(read("a.md", text, &[]), Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        for (name, text, told) in [
            ("a.md", "# A", "a.md:1 `front matter`: found \"# A\", expected "),
            ("a", "", "a:1 `front matter`: found \"\", expected "),
            ("a.md", "+++\ntitle = \"A\"\ndate = tomorrow\n+++\n", "a.md:3 the part between the +++ lines is not TOML"),
            (
                "a.md",
                "+++\ntitle = \"A\"\ntitel = \"A\"\n+++\n",
                "a.md:3 `titel`: found an unknown key, expected one of title, date",
            ),
            ("a.md", "+++\npublished_at = \"b\"\n+++\n", "a.md:2 `published_at`: found an unknown key"),
            ("a.json", "{\n\"title\": }", "a.json: the body is not JSON: expected value at line 2 column 10"),
            ("a", "{\n\"title\": }", "a: the body is not JSON: "),
            ("a.json", "[]", "a.json: `body`: found "),
        ] {
            let problem = read(name, text, &[]).expect_err(text);
            assert!(problem.starts_with(told), "{text:?}: {problem}");
        }
    }

    #[test]
    fn categories_of_the_command_line_are_added() {
        let of = |name, text, categories: &[&str]| read(name, text, categories).expect("valid")["categories"].take();
        let json = "{\"title\":\"A\",\"categories\":[\"science\"]}";
        assert_eq!(of("a.json", json, &["economy"]), json!(["science", "economy"]));
        for none in ["{}", "{\"categories\":null}"] {
            assert_eq!(of("a.json", none, &["economy"]), json!(["economy"]), "{none}");
        }
        assert_eq!(of("a.json", "{\"categories\":\"x\"}", &["economy"]), json!("x"), "the API's to refuse");
        let markdown = "+++\ntitle = \"A\"\ncategories = [\"science\", \"economy\"]\n+++\n";
        assert_eq!(of("a.md", markdown, &["economy"]), json!(["economy", "science"]), "as of its folder");
        assert_eq!(of("a.md", markdown, &[]), json!(["science", "economy"]));
    }
}
