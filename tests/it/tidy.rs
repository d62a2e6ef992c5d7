//! The order of the house: who may use whom, how files look, what nobody has left lying about.

use crate::harness::project;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each layer of `src/` with those it may use besides itself. `ARCHITECTURE.md` has the same in words.
const LAYERS: [(&str, &[&str]); 11] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("telemetry", &["domain", "config"]),
    ("wire", &["domain", "config"]),
    ("store", &["domain", "config", "telemetry"]),
    ("services", &["domain", "config", "telemetry", "wire", "store"]),
    ("web", &["domain", "config", "telemetry", "wire", "store", "services"]),
    ("daemon", &["domain", "config", "telemetry", "wire", "store", "services", "web"]),
    // Called by no program: see its head.
    ("fuzzing", &["domain", "wire", "web"]),
    ("cli", &["domain", "config", "telemetry", "wire", "store", "services", "web", "daemon"]),
    ("main", &["cli"]),
];

/// Who may use whom among the services; everybody may use `newsroom`.
const SIBLINGS: [(&str, &str); 8] = [
    ("sources", "publish"),
    ("due", "publish"),
    ("returns", "subscribe"),
    ("returns", "suppression"),
    ("mailer", "suppression"),
    ("mailer", "outbox"),
    ("erase", "outbox"),
    ("hub", "feeds"),
];

/// A file of more lines is two files.
const LINES_MAX: usize = 400;
/// Files that are longer, with the lines they may have; the list only gets shorter.
const LONGER: [(&str, usize); 0] = [];

/// A file of the project with its path from the project's folder.
struct SourceFile {
    name: String,
    text: String,
}

fn files(folder: &str, ends: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    walk(&project().join(folder), &mut |path| {
        if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            let name = path.strip_prefix(project()).unwrap_or(path).to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
            found.push(SourceFile { name, text });
        }
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn walk(path: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(_) if path.is_file() => return visit(path),
        Err(_) => return,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("node_modules") {
            walk(&path, visit);
        } else if path.is_file() {
            visit(&path);
        }
    }
}

/// What is named directly behind each `start` in code: `a` and `b` behind `crate::` in `use crate::{a::X, b}`.
fn named_behind(text: &str, start: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(start) {
        // `super::super::x` is not about `super::x`, nor `$crate::x` about us.
        if code[..at].ends_with([':', '$']) {
            continue;
        }
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            None => {
                names.insert(word(rest));
            }
            Some(list) => {
                let mut depth = 0;
                let mut is_first = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => is_first = true,
                        c if is_first && !c.is_whitespace() => {
                            names.insert(word(&list[at..]));
                            is_first = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// `services` for `src/services/mailer/line.rs`, `daemon` for `src/daemon.rs`.
fn part(name: &str, depth: usize) -> &str {
    name.split('/').nth(depth).unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn every_layer_uses_only_those_below_it() {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for file in files("src", &[".rs"]) {
        let layer = part(&file.name, 1);
        if layer == "lib" {
            continue;
        }
        let below = layers.get(layer).unwrap_or_else(|| panic!("{}: a layer that nobody knows", file.name));
        for used in named_behind(&file.text, "crate::").union(&named_behind(&file.text, "tidings::")) {
            if layers.contains_key(used.as_str()) && used != layer && !below.contains(&used.as_str()) {
                wrong.push(format!("{}: {layer} uses {used}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn services_use_no_siblings_but_those_that_are_listed() {
    let all = files("src/services", &[".rs"]);
    let services: BTreeSet<&str> = all.iter().map(|file| part(&file.name, 2)).filter(|name| *name != "mod").collect();
    let mut found = BTreeSet::new();
    for file in &all {
        let own = part(&file.name, 2);
        if own == "mod" {
            continue;
        }
        let is_root = matches!(file.name.split('/').count(), 3) || file.name.ends_with("/mod.rs");
        let up = if is_root { "super::" } else { "super::super::" };
        let used = named_behind(&file.text, up);
        for used in used.union(&named_behind(&file.text, "crate::services::")) {
            if let Some(used) = services.get(used.as_str()).filter(|used| **used != own && **used != "newsroom") {
                found.insert((own, *used));
            }
        }
    }
    assert_eq!(found, BTreeSet::from(SIBLINGS), "found (left), listed (right)");
}

#[test]
fn domain_and_wire_wait_for_nothing_and_touch_nothing() {
    for folder in ["src/domain", "src/wire"] {
        for SourceFile { name, text } in files(folder, &[".rs"]) {
            for word in ["async fn", ".await", "tokio::", "std::fs", "std::net"] {
                assert!(!text.contains(word), "{name}: {word}");
            }
        }
    }
}

#[test]
fn only_wire_knows_xml_and_mime_and_only_web_knows_axum() {
    for (word, home) in [("axum::", "web"), ("atom_syndication", "wire"), ("ammonia", "wire"), ("sled::", "store")] {
        // Tests may set up what they like.
        for SourceFile { name, text } in files("src", &[".rs"]).into_iter().filter(|file| !file.name.contains("/tests"))
        {
            let uses =
                named_behind(&text, "use ").iter().any(|used| word.starts_with(used.as_str()) && !used.is_empty());
            assert!(!uses || part(&name, 1) == home, "{name}: {word}");
        }
    }
}

#[test]
fn every_file_says_first_what_it_is_and_is_short() {
    let longer: BTreeMap<_, _> = LONGER.into_iter().collect();
    let mut wrong = Vec::new();
    for file in files("src", &[".rs"]).into_iter().chain(files("tests", &[".rs"])).chain(files("benches", &[".rs"])) {
        if !file.text.starts_with("//! ") {
            wrong.push(format!("{}: does not start with //!", file.name));
        }
        let (lines, max) = (file.text.lines().count(), longer.get(file.name.as_str()).copied().unwrap_or(LINES_MAX));
        if lines > max {
            wrong.push(format!("{}: {lines} lines, at most {max}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let ends = [".rs", ".toml", ".md", ".mjs", ".py", ".html", ".txt", ".css", ".sh", ".c"];
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let folders = ["src", "tests", "templates", "feeds", "examples", "benches", "fuzz", "scripts", "Cargo.toml"];
    let pages = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];
    for file in folders.iter().chain(&pages).flat_map(|folder| files(folder, &ends)) {
        for (number, line) in file.text.lines().enumerate() {
            assert!(!marks.iter().any(|mark| line.contains(mark)), "{}:{}: {line}", file.name, number + 1);
        }
    }
}

#[test]
fn every_fixture_is_used() {
    let tests: String =
        files("tests", &[".rs"]).into_iter().chain(files("src", &[".rs"])).map(|file| file.text).collect();
    walk(&project().join("tests/fixtures"), &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // By its own name, or by that of a folder around it: `fixtures/feeds`, `fixtures/fuzz`.
        let below = path.strip_prefix(project().join("tests")).unwrap_or(path);
        let is_named = |folder: &Path| folder.components().count() > 1 && tests.contains(&*folder.to_string_lossy());
        let is_used = tests.contains(&*name) || below.ancestors().skip(1).any(is_named);
        assert!(is_used || name.ends_with(".md"), "no test names {}", path.display());
    });
}

#[test]
fn the_sample_newsroom_and_every_feed_definition_load() {
    let config = tidings::config::load(&project().join("examples/newsroom/tidings.toml"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let files = files("feeds", &[".toml"]).len();
    assert!(files > 0 && config.categories.iter().count() == files, "{}", config.categories.known());
}

/// `deny.toml` says what may be depended on; this holds the lock file against it where cargo-deny is not installed.
#[test]
fn every_dependency_has_a_licence_and_a_source_that_are_allowed() {
    let rules: toml::Table =
        std::fs::read_to_string(project().join("deny.toml")).expect("readable").parse().expect("TOML");
    let list = |section: &str, key: &str| -> Vec<String> {
        let values = rules[section][key].as_array().cloned().unwrap_or_default();
        values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    };
    let allowed = list("licenses", "allow");
    let banned: Vec<String> = rules["bans"]["deny"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ban| ban["crate"].as_str().map(str::to_owned))
        .collect();
    // Not the lock file itself: it also names what a feature that nobody has turned on would bring.
    let arguments = ["tree", "--prefix", "none", "--edges", "all", "--locked", "--offline", "--format", "{p}|{l}"];
    let output = Command::new(env!("CARGO")).current_dir(project()).args(arguments).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains(" v")) {
        let (package, licence) = line.split_once('|').expect("as asked for");
        let name = package.split(' ').next().unwrap_or_default();
        if !is_allowed(licence.trim_end_matches(" (*)"), &allowed) {
            wrong.insert(format!("{name}: licence {licence}"));
        }
        // A package from elsewhere has its place behind its name; ours has, and is the only one.
        if package.contains("(/") && name != "tidings" || package.contains("://") {
            wrong.insert(format!("{package}: comes from elsewhere"));
        }
        if banned.iter().any(|ban| ban == name) {
            wrong.insert(format!("{name}: is banned"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Is one alternative of an SPDX expression allowed in all its parts? Brackets are taken as in `(A OR B) AND C`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let flat = expression.replace('/', " OR ");
    let parts = flat.replace(['(', ')'], " ");
    let and_of_ors = flat.contains(") AND") || flat.contains("AND (");
    let is_one = |text: &str| allowed.iter().any(|known| known == text.trim());
    if and_of_ors {
        parts.split(" AND ").all(|part| part.split(" OR ").any(is_one))
    } else {
        parts.split(" OR ").any(|part| part.split(" AND ").all(is_one))
    }
}
