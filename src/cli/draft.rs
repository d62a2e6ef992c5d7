//! An article file becomes the JSON that the API takes. What may stand in it `wire/source` says, as for a watched folder;
//! what the fields may hold is the API's to say.

use super::failure::Failure;
use crate::domain::Problem;
use crate::wire::source::{FileFault, Input, Members, faults_in_file, faults_in_json, input_of_file};
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

/// The categories of the command line, in what is told about them.
const FIELD: &str = "--category";
/// Those that an edited article has and its file does not name.
const KEPT: &str = "category of the article";

impl File {
    /// Reads it. Errors: what cannot be understood, with its place.
    pub(super) fn read(self) -> Result<ArticleFile, Failure> {
        let shown = self.file.display().to_string();
        let mut text = String::new();
        if self.file == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
        } else {
            text = std::fs::read_to_string(&self.file).with_context(|| shown.clone())?;
        }
        let is_json = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("md" | "markdown") => false,
            Some(_) | None => text.trim_start().starts_with('{'),
        };
        let form = if is_json {
            let article = Members::of(text.as_bytes()).map_err(|mut problem| {
                problem.detail = format!("{shown}: {}", problem.detail);
                problem
            })?;
            Form::Json { article, text }
        } else {
            let input = input_of_file(&text).map_err(|fault| told(&fault, &shown))?;
            Form::Markdown { input: Box::new(input), text }
        };
        Ok(ArticleFile { shown, categories: self.categories, form })
    }
}

/// An article file that has been read.
pub(super) struct ArticleFile {
    /// Its name for people.
    shown: String,
    /// Those of the command line.
    categories: Vec<String>,
    form: Form,
}

enum Form {
    Json { article: Members, text: String },
    Markdown { input: Box<Input>, text: String },
}

impl ArticleFile {
    /// What the API takes, for a new article, or for `known` as the API shows it.
    pub(super) fn article(&self, known: Option<&Value>) -> Result<Members, Failure> {
        match &self.form {
            Form::Json { article, .. } => Ok(self.json(article.clone(), known)),
            Form::Markdown { input, .. } => {
                let input = input.as_ref().clone().at_home(&self.homes(input, known));
                Ok(Members::of_input(&input).context("writing an article as JSON")?)
            }
        }
    }

    /// What the API has against the article that [`ArticleFile::article`] made for `known`: by the file's own keys with
    /// their lines, as of a watched folder, where it is about them.
    pub(super) fn told(&self, failure: Failure, known: Option<&Value>) -> Failure {
        let Failure::Problem(problem) = failure else { return failure };
        if problem.faults.is_empty() {
            return problem.into();
        }
        // What the file does not name itself is the command line's, or was the article's.
        let field = if self.categories.is_empty() { KEPT } else { FIELD };
        let fault = match &self.form {
            Form::Markdown { input, text } => faults_in_file(text, &self.homes(input, known), field, &problem),
            Form::Json { text, .. } => faults_in_json(text, field, &problem),
        };
        told(&fault, &self.shown).into()
    }

    /// The categories that stand before those of an article file, which names further ones only. Its home comes from the
    /// command line, as that of a file in a folder comes from the folder; else a known article stays where it is, and all it has stay where the file names none.
    fn homes(&self, input: &Input, known: Option<&Value>) -> Vec<String> {
        if !self.categories.is_empty() {
            return self.categories.clone();
        }
        let known = known.and_then(|known| known["categories"].as_array()).map(Vec::as_slice).unwrap_or_default();
        let kept = if input.categories.is_empty() { known.len() } else { 1 };
        known.iter().take(kept).filter_map(|slug| slug.as_str().map(str::to_owned)).collect()
    }

    fn json(&self, mut article: Members, known: Option<&Value>) -> Members {
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
        if let (None, Some(categories)) = (article.get("categories"), known.and_then(|known| known.get("categories"))) {
            article.set("categories", categories.clone());
        }
        article
    }
}

fn told(fault: &FileFault, shown: &str) -> Problem {
    Problem::new(fault.problem.kind, fault.report(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(name: &str, text: &str, categories: &[&str]) -> Result<Value, String> {
        edited(name, text, categories, None)
    }

    fn edited(name: &str, text: &str, categories: &[&str], known: Option<&Value>) -> Result<Value, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("writable");
        let categories = categories.iter().map(|slug| (*slug).to_owned()).collect();
        let read = File { file, categories }.read().and_then(|file| file.article(known));
        let read = read.map_err(|failure| failure.to_string());
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

    #[test]
    fn an_edit_keeps_the_home_of_its_article_unless_it_is_given_another() {
        let known = json!({ "categories": ["economy", "science"] });
        let of = |name, text: &str, categories: &[&str]| {
            edited(name, text, categories, Some(&known)).expect("valid")["categories"].take()
        };
        let markdown = |front: &str| format!("+++\ntitle = \"A\"\n{front}\n+++\n");
        let (none, further) = (markdown(""), markdown("categories = [\"sport\"]"));
        let all = markdown("categories = [\"sport\", \"economy\"]");
        assert_eq!(of("a.md", &none, &[]), json!(["economy", "science"]), "it names none");
        assert_eq!(of("a.md", &further, &[]), json!(["economy", "sport"]), "what it does not name is gone");
        assert_eq!(of("a.md", &all, &[]), json!(["economy", "sport"]), "as of its folder");
        assert_eq!(of("a.md", &further, &["culture"]), json!(["culture", "sport"]), "moved");
        assert_eq!(of("a.md", &none, &["culture"]), json!(["culture"]), "moved");
        assert_eq!(of("a.json", "{\"categories\":[\"sport\"]}", &[]), json!(["sport"]), "all that it names");
        assert_eq!(of("a.json", "{}", &[]), json!(["economy", "science"]));
    }
}
