//! README says what the code knows: every configuration key, every address.
//! `TIDINGS_WRITE_README=1 cargo test readme` writes the table of keys into it.

use crate::harness::project;
use std::collections::BTreeSet;
use tidings::config::{DKIM, FEED, Form, Key, SHAPING, Standard, reference};
use tidings::wire::Format;

const CONFIG: (&str, &str) = ("<!-- config:begin -->", "<!-- config:end -->");
const TEMPLATES: (&str, &str) = ("<!-- templates:begin -->", "<!-- templates:end -->");
const ROUTES: (&str, &str) = ("<!-- routes:begin -->", "<!-- routes:end -->");

fn readme() -> String {
    std::fs::read_to_string(project().join("README.md")).expect("README.md")
}

/// What stands between two marks.
fn between<'a>(text: &'a str, (begin, end): (&str, &str)) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("README.md has no {begin}"));
    rest.split_once(end).unwrap_or_else(|| panic!("README.md has no {end}")).0.trim()
}

fn row(key: &Key) -> String {
    let name = if [FEED, DKIM, SHAPING].contains(&key.section) {
        format!("`{}` in {}", key.name, key.section)
    } else {
        format!("`{}`", key.path())
    };
    let standard = match key.standard {
        Standard::Required => "required".to_owned(),
        Standard::Value("") => "empty".to_owned(),
        Standard::Value(value) => format!("`{value}`"),
        Standard::Rule(rule) => rule.to_owned(),
    };
    let range = match key.form {
        Form::Whole { .. } | Form::Word(_) => format!(" {}.", capitalised(&key.form.expected())),
        Form::Text
        | Form::Flag
        | Form::Path
        | Form::SecretPath
        | Form::Socket
        | Form::Addresses
        | Form::Color
        | Form::Url
        | Form::Mailbox
        | Form::Language
        | Form::Slug
        | Form::Zone
        | Form::Day => String::new(),
    };
    format!("| {name} | {standard} | {}{range} |", key.meaning)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[test]
fn readme_has_every_configuration_key() {
    let rows: Vec<String> = reference().iter().map(row).collect();
    let wanted = format!("| Key | Default | Meaning |\n|---|---|---|\n{}", rows.join("\n"));
    table(CONFIG, &wanted);
}

/// Holds what stands between two marks against `wanted`, or writes it there.
fn table(marks: (&str, &str), wanted: &str) {
    let readme = readme();
    let found = between(&readme, marks);
    if std::env::var_os("TIDINGS_WRITE_README").is_some() && found != wanted {
        let (begin, end) = marks;
        let (before, rest) = readme.split_once(begin).expect("the mark");
        let (_, after) = rest.split_once(end).expect("the mark");
        let written = format!("{before}{begin}\n{wanted}\n{end}{after}");
        std::fs::write(project().join("README.md"), written).expect("writable");
        return;
    }
    assert!(found == wanted, "README.md differs; between {} and {} it should say:\n\n{wanted}\n", marks.0, marks.1);
}

/// The variables of mail templates, those that get the same in one row.
fn templates() -> String {
    let mut rows: Vec<(Vec<String>, String)> = Vec::new();
    for (name, variables) in tidings::wire::mail::template_variables().expect("samples of each") {
        let variables: Vec<String> = variables.iter().map(|name| format!("`{name}`")).collect();
        let (name, variables) = (format!("`{name}`"), variables.join(" "));
        match rows.iter_mut().find(|(_, others)| *others == variables) {
            Some((names, _)) => names.push(name),
            None => rows.push((vec![name], variables)),
        }
    }
    let row = |(names, variables): &(Vec<String>, String)| format!("| {} | {variables} |", names.join(" "));
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("| Template | Variables |\n|---|---|\n{}", rows.join("\n"))
}

#[test]
fn readme_has_every_variable_of_every_mail_template() {
    table(TEMPLATES, &templates());
}

/// `GET /articles/{id}/print` and the like, of what the public and the admin address serve.
fn routes() -> BTreeSet<String> {
    let code = std::fs::read_to_string(project().join("src/web/mod.rs")).expect("readable");
    let mut found = BTreeSet::new();
    let mut prefix = None;
    for line in code.lines() {
        if let Some(function) = line.strip_prefix("pub fn ").or(line.strip_prefix("fn ")) {
            let name = function.split('(').next().unwrap_or_default();
            prefix = match name {
                "api" => Some("/api/v1"),
                "pages" | "admin" => Some(""),
                _ => None,
            };
        }
        let route = line.trim().strip_prefix(".route(").map(|route| route.trim_start_matches("&at("));
        let (Some(prefix), Some(route)) = (prefix, route.and_then(|route| route.strip_prefix('"'))) else { continue };
        let (path, handlers) = route.split_once('"').expect("an address in quotes");
        for method in ["get", "post", "put", "patch", "delete"] {
            let call = format!("{method}(");
            if handlers.contains(&format!(" {call}")) || handlers.contains(&format!(".{call}")) {
                found.insert(format!("{} {prefix}{path}", method.to_uppercase()));
            }
        }
    }
    for format in Format::ALL {
        found.insert(format!("GET /{}", format.file_name()));
        found.insert(format!("GET /{{category}}/{}", format.file_name()));
    }
    found
}

#[test]
fn readme_has_every_address() {
    let readme = readme();
    let documented: BTreeSet<String> = between(&readme, ROUTES)
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let routes = routes();
    assert!(routes.len() > 15, "{routes:?}");
    let rows = |of: Vec<&String>| of.iter().map(|route| format!("| `{route}` |  |")).collect::<Vec<_>>().join("\n");
    let missing = rows(routes.difference(&documented).collect());
    let unknown = rows(documented.difference(&routes).collect());
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "between {} and {} of README.md\nis missing:\n{missing}\nis there without being served:\n{unknown}\n",
        ROUTES.0,
        ROUTES.1
    );
}
