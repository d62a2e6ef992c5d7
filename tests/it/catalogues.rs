//! The catalogues say the same in every language, all that they say is used, and nothing else is said to readers.

use crate::harness::project;
use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tidings::domain::Language;

/// By message: the file it stands in, and the values it shows.
type Messages = BTreeMap<String, (String, BTreeSet<String>)>;

fn messages(language: Language) -> Messages {
    let folder = project().join("locales").join(language.tag());
    let mut found = Messages::new();
    for entry in std::fs::read_dir(&folder).expect("a folder of catalogues").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).expect("readable");
        let resource = FluentResource::try_new(text).unwrap_or_else(|(_, errors)| panic!("{file}: {errors:?}"));
        for entry in resource.entries() {
            let Entry::Message(message) = entry else { continue };
            let mut values = BTreeSet::new();
            variables(message.value.as_ref().expect("a text"), &mut values);
            let twice = found.insert(message.id.name.to_owned(), (file.clone(), values));
            assert!(twice.is_none(), "{}: {file}: {} stands there twice", language.tag(), message.id.name);
        }
    }
    found
}

fn variables(pattern: &Pattern<&str>, into: &mut BTreeSet<String>) {
    let mut inline = |inline: &InlineExpression<&str>| match inline {
        InlineExpression::VariableReference { id } => drop(into.insert(id.name.to_owned())),
        InlineExpression::StringLiteral { .. } | InlineExpression::MessageReference { .. } => {}
        other => panic!("not used so far: {other:?}"),
    };
    let mut rest = Vec::new();
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { .. } => {}
            PatternElement::Placeable { expression: Expression::Inline(one) } => inline(one),
            PatternElement::Placeable { expression: Expression::Select { selector, variants } } => {
                inline(selector);
                rest.extend(variants.iter().map(|variant| &variant.value));
            }
        }
    }
    rest.into_iter().for_each(|pattern| variables(pattern, into));
}

#[test]
fn every_catalogue_has_the_same_messages_with_the_same_values() {
    let [english, others @ ..] = Language::ALL.map(|language| (language, messages(language)));
    for (language, other) in others {
        let names = |messages: &Messages| messages.keys().cloned().collect::<BTreeSet<_>>();
        let missing: Vec<_> = names(&english.1).difference(&names(&other)).cloned().collect();
        let more: Vec<_> = names(&other).difference(&names(&english.1)).cloned().collect();
        assert!(missing.is_empty() && more.is_empty(), "{}: lacks {missing:?}, adds {more:?}", language.tag());
        for (id, known) in &english.1 {
            assert_eq!(&other[id], known, "{}: {id}: its file and its values (left), those of English", language.tag());
        }
    }
}

/// All templates and sources that may ask for a message, by name.
fn askers() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![project().join("templates"), project().join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("readable").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((path.strip_prefix(project()).unwrap_or(&path).display().to_string(), text));
            }
        }
    }
    found
}

#[test]
fn every_message_is_asked_for_and_none_that_is_not_there() {
    let known = messages(Language::English);
    let askers = askers();
    let unused: Vec<_> = known
        .keys()
        .filter(|id| {
            let quoted = format!("\"{id}\"");
            let referred = |file: &str| file == "dates.ftl" && ["date", "moment"].contains(&id.as_str());
            !askers.iter().any(|(_, text)| text.contains(&quoted)) && !referred(&known[*id].0)
        })
        .collect();
    assert!(unused.is_empty(), "nobody asks for {unused:?}");
    for (name, text) in askers.iter().filter(|(name, _)| name.starts_with("templates")) {
        for (at, start) in text.match_indices("t(\"") {
            let call = &text[at + start.len()..];
            let id = call.split('"').next().unwrap_or_default();
            let (_, values) = known.get(id).unwrap_or_else(|| panic!("{name} asks for {id}, which is not there"));
            // Up to the bracket that ends the call.
            let mut depth = 1;
            let end = call.char_indices().find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0
            });
            let given = &call[..end.map_or(call.len(), |(at, _)| at)];
            for value in values {
                assert!(given.contains(&format!("{value}=")), "{name} gives no ${value} to {id}");
            }
        }
    }
}

/// `text` without what stands between `start` and `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let mut parts = text.split(start);
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        left.push(' ');
        left.push_str(part.split_once(end).map_or("", |(_, rest)| rest));
    }
    left
}

#[test]
fn no_template_has_words_of_its_own() {
    let mut wrong = Vec::new();
    for (name, text) in askers().iter().filter(|(name, _)| name.starts_with("templates")) {
        let kind = Path::new(name).extension().unwrap_or_default().to_string_lossy().into_owned();
        // What operators look at is in English, like the command line.
        if !["html", "txt"].contains(&kind.as_str()) || name.starts_with("templates/operator") {
            continue;
        }
        let text = without(text, "{% block kind %}", "{% endblock %}");
        let bare = without(&without(&without(&text, "{#", "#}"), "{%", "%}"), "{{", "}}");
        // What a reader is told in an attribute, and what stands between the tags; code is none of any language.
        for attribute in ["aria-label", "placeholder", "title", "alt"] {
            for part in bare.split(&format!(" {attribute}=\"")).skip(1) {
                let value = part.split('"').next().unwrap_or_default();
                if value.chars().any(char::is_alphabetic) {
                    wrong.push(format!("{name}: {attribute}={value:?}"));
                }
            }
        }
        let words = without(&without(&bare, "<code>", "</code>"), "<", ">");
        for line in words.lines().filter(|line| line.chars().any(char::is_alphabetic)) {
            wrong.push(format!("{name}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
