//! The catalogues say the same in every language, all that they say is used, and nothing else is said to readers.

use crate::harness::project;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement, VariantKey};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tidings::domain::Language;

/// By message: the file it stands in, and the values it shows.
type Messages = BTreeMap<String, (String, BTreeSet<String>)>;

/// Each message of a language: its file, its name, its text.
fn each(language: Language, mut visit: impl FnMut(&str, &str, &Pattern<&str>)) {
    let folder = project().join("locales").join(language.tag());
    for entry in std::fs::read_dir(&folder).expect("a folder of catalogues").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).expect("readable");
        let resource = FluentResource::try_new(text).unwrap_or_else(|(_, errors)| panic!("{file}: {errors:?}"));
        for entry in resource.entries() {
            let Entry::Message(message) = entry else { continue };
            visit(&file, message.id.name, message.value.as_ref().expect("a text"));
        }
    }
}

fn messages(language: Language) -> Messages {
    let mut found = Messages::new();
    each(language, |file, id, pattern| {
        let mut values = BTreeSet::new();
        variables(pattern, &mut values);
        let twice = found.insert(id.to_owned(), (file.to_owned(), values));
        assert!(twice.is_none(), "{}: {file}: {id} stands there twice", language.tag());
    });
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

/// A way in which a message chooses among words: the value that it goes by, and for which it has words.
type Choice = (String, BTreeSet<String>);

fn choices(pattern: &Pattern<&str>, into: &mut Vec<Choice>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression: Expression::Select { selector, variants } } = element else {
            continue;
        };
        let InlineExpression::VariableReference { id } = selector else { panic!("not used so far: {selector:?}") };
        let keys = variants.iter().map(|variant| match variant.key {
            VariantKey::Identifier { name } | VariantKey::NumberLiteral { value: name } => name.to_owned(),
        });
        into.push((id.name.to_owned(), keys.collect()));
        variants.iter().for_each(|variant| choices(&variant.value, into));
    }
}

const PLURALS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

/// Those that whole numbers have in the language, as CLDR says: by the library that chooses among them for readers.
fn plurals(language: Language) -> BTreeSet<String> {
    let named: Vec<String> = PLURALS.iter().map(|name| format!("[{name}] {name}\n")).collect();
    let all = format!("plural = {{ $count ->\n {}*[default] default\n }}\n", named.join(" "));
    let mut bundle = FluentBundle::new(vec![language.tag().parse().expect("a language")]);
    bundle.add_resource(FluentResource::try_new(all).expect("a message")).expect("the only one");
    let pattern = bundle.get_message("plural").and_then(|message| message.value()).expect("a text");
    let plural = |count: u32| {
        let mut args = FluentArgs::new();
        args.set("count", count);
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    };
    (0..=1_000).map(plural).collect()
}

#[test]
fn every_message_that_counts_has_all_the_plurals_of_its_language_and_no_other() {
    let mut counting = BTreeMap::<String, usize>::new();
    for language in Language::ALL {
        let expected = plurals(language);
        each(language, |file, id, pattern| {
            let mut found = Vec::new();
            choices(pattern, &mut found);
            for (value, keys) in found {
                let named: BTreeSet<_> = keys.iter().filter(|key| PLURALS.contains(&key.as_str())).cloned().collect();
                if !named.is_empty() {
                    *counting.entry(language.tag().to_owned()).or_default() += 1;
                    assert_eq!(named, expected, "{} {file}: {id}: the plurals of ${value}", language.tag());
                }
            }
        });
    }
    // What CLDR has of whole numbers; a language of no plurals needs not choose.
    let of = |tag: &str| counting.get(tag).copied().unwrap_or_default();
    assert!(of("en") >= 5 && of("ru") >= 5, "{counting:?}");
    assert_eq!(plurals(Language::Russian), ["few", "many", "one"].map(str::to_owned).into());
    assert_eq!(plurals(Language::English), ["one", "other"].map(str::to_owned).into());
    assert_eq!(plurals(Language::Chinese), ["other"].map(str::to_owned).into());
}
