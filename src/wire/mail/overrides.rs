//! Templates and messages of the newsroom's own in place of built-in ones: all that is wrong with them is told at once,
//! before any mail is made of them.

use super::samples::Samples;
use super::templates::{BUILT_IN, Spoken, Templates};
use crate::config::{Mistakes, TemplateFile};
use crate::domain::{Fault, Language};
use crate::wire::locale::Catalogue;
use minijinja::{Error, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The link without which a mail must not go out, by the value that has it: one leaves what comes regularly by a link that
/// is seen (RFC 8058 §2, and the law of most countries), and the other mails are about nothing else.
const LINKS: [(&str, &str); 12] = [
    ("notice.txt", "leave"),
    ("notice.html", "leave"),
    ("correction.txt", "leave"),
    ("correction.html", "leave"),
    ("digest.txt", "leave"),
    ("digest.html", "leave"),
    ("confirmation.txt", "confirm"),
    ("confirmation.html", "confirm"),
    ("farewell.txt", "undo"),
    ("farewell.html", "undo"),
    ("preferences.txt", "link"),
    ("preferences.html", "link"),
];

impl Templates {
    /// The built-in ones, but for those that `files` take the place of.
    ///
    /// Errors: every mistake in every file: a name that is no template's, syntax, a variable or message that is not there,
    /// a template that leaves out the link that its mail is bound to show.
    pub fn with(files: &[TemplateFile]) -> Result<Templates, Mistakes> {
        let mut mistakes = Mistakes::default();
        let catalogues = Language::ALL.map(|language| catalogue(language, files, &mut mistakes));
        let mut own: Vec<&TemplateFile> = Vec::new();
        for file in files.iter().filter(|file| !is_catalogue(&file.name)) {
            if BUILT_IN.iter().any(|(name, _)| *name == file.name) {
                own.push(file);
            } else {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                let expected = format!("locales/<language>.ftl, or one of {}", known.join(", "));
                mistakes.add(&file.shown, None, Fault::new("file", format!("\"{}\"", file.name), expected));
            }
        }
        let mut templates = Templates::speaking(catalogues);
        own.retain(|file| {
            // Each language reads the same text, so one of them tells what is wrong with it.
            let read =
                |spoken: &mut Spoken| spoken.environment.add_template_owned(file.name.clone(), file.text.clone());
            match templates.spoken.iter_mut().filter_map(|spoken| read(spoken).err()).next() {
                Some(error) => {
                    mistakes.add(&file.shown, error.line(), Fault::new(&file.name, told(&error), "a template"));
                    false
                }
                None => true,
            }
        });
        let templates = Arc::new(templates);
        try_out(&templates, files, &own, &mut mistakes);
        match Arc::into_inner(templates) {
            Some(templates) if mistakes.none() => Ok(templates),
            Some(_) | None => Err(mistakes.in_order()),
        }
    }
}

/// The variables that each built-in template gets, by the template's name; for the documentation.
pub fn template_variables() -> Result<Vec<(&'static str, BTreeSet<String>)>, Fault> {
    let samples = Samples::new(Templates::built_in())?;
    let of = |(name, _): (&'static str, &str)| Ok((name, known(&samples.values(Language::English, name)?)));
    BUILT_IN.into_iter().map(of).collect()
}

fn is_catalogue(name: &str) -> bool {
    Language::ALL.iter().any(|language| name == file_of(*language))
}

fn file_of(language: Language) -> String {
    format!("locales/{}.ftl", language.tag())
}

fn catalogue(language: Language, files: &[TemplateFile], mistakes: &mut Mistakes) -> Arc<Catalogue> {
    let built_in = || Arc::clone(Catalogue::of(language));
    let Some(file) = files.iter().find(|file| file.name == file_of(language)) else { return built_in() };
    match Catalogue::with(language, &file.text) {
        Ok(catalogue) => Arc::new(catalogue),
        Err(problems) => {
            for (line, found, expected) in problems {
                mistakes.add(&file.shown, Some(line), Fault::new("message", found, expected));
            }
            built_in()
        }
    }
}

/// Fills in every template with samples, in every language.
fn try_out(templates: &Arc<Templates>, files: &[TemplateFile], own: &[&TemplateFile], mistakes: &mut Mistakes) {
    let mut seen: BTreeSet<(PathBuf, Option<usize>, String)> = BTreeSet::new();
    let mut add = |shown: &Path, line: Option<usize>, fault: Fault| {
        if seen.insert((shown.to_owned(), line, fault.found.clone())) {
            mistakes.add(shown, line, fault);
        }
    };
    let samples = match Samples::new(Arc::clone(templates)) {
        Ok(samples) => samples,
        Err(fault) => return add(Path::new("mail.templates"), None, fault),
    };
    // The parts of a digest before the whole, which is made of them.
    let names = BUILT_IN.iter().map(|(name, _)| *name);
    let (parts, wholes): (Vec<&str>, Vec<&str>) = names.partition(|name| !name.starts_with("digest."));
    for language in Language::ALL {
        let messages = files.iter().find(|file| file.name == file_of(language));
        let mut are_parts_right = true;
        for name in parts.iter().chain(&wholes) {
            let file = own.iter().find(|file| file.name == *name);
            // What nobody has touched needs no trying.
            if file.is_none() && messages.is_none() || wholes.contains(name) && !are_parts_right {
                continue;
            }
            let values = match samples.values(language, name) {
                Ok(values) => values,
                Err(fault) => return add(Path::new("mail.templates"), None, fault),
            };
            let unknown = file.map(|file| unknown(templates, file, &values)).unwrap_or_default();
            let is_known = unknown.is_empty();
            for (line, fault) in unknown {
                are_parts_right &= !name.starts_with("digest-");
                file.iter().for_each(|file| add(&file.shown, line, fault.clone()));
            }
            for values in values.iter().filter(|_| is_known) {
                match (templates.rendered(language, name, values), file, messages) {
                    (Ok(text), Some(file), _) => {
                        let faults = lacks(name, &text, values).into_iter();
                        faults.for_each(|fault| add(&file.shown, None, fault));
                    }
                    (Ok(_), None, _) => {}
                    (Err(error), Some(file), _) => {
                        are_parts_right &= !name.starts_with("digest-");
                        add(
                            &file.shown,
                            error.line(),
                            Fault::new(*name, told(&error), "a template that can be filled in"),
                        );
                    }
                    (Err(error), None, Some(messages)) => {
                        are_parts_right &= !name.starts_with("digest-");
                        add(
                            &messages.shown,
                            None,
                            Fault::new("message", told(&error), "messages that can be filled in"),
                        );
                    }
                    (Err(error), None, None) => {
                        add(Path::new(name), error.line(), Fault::new(*name, told(&error), "a template"));
                    }
                }
            }
        }
    }
}

/// The variables in `file` that its template does not get, wherever they stand.
fn unknown(templates: &Templates, file: &TemplateFile, values: &[Value]) -> Vec<(Option<usize>, Fault)> {
    let [Spoken { environment, .. }, ..] = &templates.spoken;
    let Ok(template) = environment.get_template(&file.name) else { return Vec::new() };
    let known = known(values);
    let is_global = |name: &String| environment.globals().any(|(global, _)| global == name);
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| !known.contains(name) && !is_global(name));
    unknown.sort();
    let expected = format!("one of {}", known.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    let mistake = |name: String| (line_of(&file.text, &name), Fault::new(&file.name, name, expected.as_str()));
    unknown.into_iter().map(mistake).collect()
}

/// The names of the variables.
fn known(values: &[Value]) -> BTreeSet<String> {
    values.iter().flat_map(|values| values.try_iter().into_iter().flatten()).map(|name| name.to_string()).collect()
}

/// The first line that has `name` as a word of its own.
fn line_of(text: &str, name: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has = |line: &str| line.split(|c| !is_word(c)).any(|word| word == name);
    text.lines().position(has).map(|line| line + 1)
}

/// What is missing in `text`, which the template `name` made of `values`.
fn lacks(name: &str, text: &str, values: &Value) -> Option<Fault> {
    if name.ends_with("-subject.txt") && text.trim().is_empty() {
        return Some(Fault::new(name, "an empty subject", "a subject"));
    }
    let (_, value) = LINKS.iter().find(|(of, _)| *of == name)?;
    let link = values.get_attr(value).ok()?.to_string();
    let is_there = match name.ends_with(".html") {
        true => without_comments(text).contains(&format!("href=\"{link}\"")),
        false => text.contains(&link),
    };
    let expected =
        if name.ends_with(".html") { format!("<a href=\"{{{{ {value} }}}}\">") } else { format!("{{{{ {value} }}}}") };
    (!is_there).then(|| Fault::new(name, format!("no link {value} that is seen"), expected))
}

fn without_comments(html: &str) -> String {
    let mut parts = html.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |seen, part| seen + part.split_once("-->").map_or("", |(_, rest)| rest))
}

/// What a template's mistake is, on one line.
fn told(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    what.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> TemplateFile {
        TemplateFile { shown: Path::new("own").join(name), name: name.to_owned(), text: text.to_owned() }
    }

    fn mistakes(files: &[TemplateFile]) -> String {
        Templates::with(files).expect_err("it has mistakes").to_string()
    }

    #[test]
    fn the_built_in_ones_pass_their_own_checks_in_every_language() {
        let files: Vec<TemplateFile> = BUILT_IN.iter().map(|(name, text)| file(name, text)).collect();
        let same = Templates::with(&files).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let samples = Samples::new(Templates::built_in()).unwrap();
        for language in Language::ALL {
            for (name, _) in BUILT_IN {
                for values in samples.values(language, name).unwrap() {
                    let (own, built_in) = (&same, Templates::built_in());
                    let text = own.rendered(language, name, &values).unwrap();
                    assert_eq!(text, built_in.rendered(language, name, &values).unwrap(), "{name}");
                    assert!(!text.contains("undefined"), "{name}: {text}");
                }
            }
        }
        assert_ne!(same, Templates::with(&[]).unwrap(), "forms made of one are not those of the other");
    }

    #[test]
    fn one_file_takes_the_place_of_one_template_and_one_message_that_of_one() {
        let own = [
            file("notice.txt", "{{ title }} {{ t('mail-read') }} {{ leave }}"),
            file("locales/ru.ftl", "mail-read = Прочесть\ndigest-more = Ещё { $count }\n"),
        ];
        let templates = Templates::with(&own).unwrap();
        let samples = Samples::new(Templates::built_in()).unwrap();
        let [values, ..] = samples
            .values(Language::Russian, "notice.txt")
            .unwrap()
            .try_into()
            .unwrap_or([Value::UNDEFINED, Value::UNDEFINED]);
        let text = |language, name: &str| templates.rendered(language, name, &values).unwrap();
        let link = "https://news.example.org/subscriptions/leave";
        assert_eq!(text(Language::Russian, "notice.txt"), format!("A headline & more Прочесть {link}"));
        assert_eq!(text(Language::English, "notice.txt"), format!("A headline & more Read it {link}"));
        assert!(text(Language::Russian, "notice.html").contains(">Прочесть</a>"));
        assert!(text(Language::Russian, "correction.txt").contains("Прочесть: https://"));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line_and_what_was_expected() {
        let told = mistakes(&[
            file("notice.txt", "{{ title }}\n{% if sumary %}\n{{ summary }}\n{% endif %}\n{{ leave }}"),
            file("notice.html", "<p>{{ title }}\n<!-- <a href=\"{{ leave }}\"> -->"),
            file("digest.txt", "{{ leave }}\n\n{{ t('no-such-message') }}"),
            file("confirmation.txt", "{{ confirm }}\n{{ t('confirmation-lasts') }}"),
            file("farewell-subject.txt", " "),
        ]);
        for line in [
            "own/notice.txt:2 `notice.txt`: found sumary, expected one of authors, html_body, is_cut, language, leave,",
            "own/notice.html `notice.html`: found no link leave that is seen, expected <a href=\"{{ leave }}\">",
            "own/digest.txt:3 `digest.txt`: found there is no message \"no-such-message\"",
            "own/confirmation.txt:2 `confirmation.txt`: found message \"confirmation-lasts\":",
            "own/farewell-subject.txt `farewell-subject.txt`: found an empty subject, expected a subject",
        ] {
            assert!(told.contains(line), "{line}\nin\n{told}");
        }
        assert_eq!(told.lines().count(), 5, "{told}");
    }

    #[test]
    fn what_cannot_be_read_at_all_is_told_at_once_too() {
        let told = mistakes(&[
            file("notice.txt", "{{ title }}\n{% if title %}"),
            file("notices.txt", ""),
            file("digest.txt", "{{ cuont }}"),
            file("locales/de.ftl", ""),
            file("locales/ru.ftl", "mail-read = Читать { $who }\nmail-reed = X\nmail-print = { NUMBER("),
            file("locales/zh.ftl", "mail-read = 读 { $who }\nmail-reed = X\n"),
        ]);
        for line in [
            "own/notice.txt:2 `notice.txt`: found unexpected end of input",
            "own/digest.txt:1 `digest.txt`: found cuont, expected one of count,",
            "own/notices.txt `file`: found \"notices.txt\", expected locales/<language>.ftl, or one of confirmation-subject",
            "own/locales/de.ftl `file`: found \"locales/de.ftl\"",
            "own/locales/ru.ftl:3 `message`: found ",
            "own/locales/zh.ftl:1 `message`: found $who in \"mail-read\", expected no value: it gets none",
            "own/locales/zh.ftl:2 `message`: found message \"mail-reed\", expected one of the built-in ones",
        ] {
            assert!(told.contains(line), "{line}\nin\n{told}");
        }
    }

    #[test]
    fn a_message_that_only_fails_when_it_is_used_is_found_by_using_it() {
        let told = mistakes(&[file("locales/en.ftl", "mail-read = { -no-term }\n")]);
        assert!(told.starts_with("own/locales/en.ftl `message`: found message \"mail-read\":"), "{told}");
    }
}
