//! The templates of mails, in every language.

use crate::domain::{Fault, Language};
use crate::wire::locale::{Catalogue, environment};
use minijinja::{Environment, Error, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// All of them by their names, compiled in.
pub(super) const BUILT_IN: [(&str, &str); 22] = [
    ("confirmation-subject.txt", include_str!("../../../templates/mail/confirmation-subject.txt")),
    ("confirmation.txt", include_str!("../../../templates/mail/confirmation.txt")),
    ("confirmation.html", include_str!("../../../templates/mail/confirmation.html")),
    ("correction-subject.txt", include_str!("../../../templates/mail/correction-subject.txt")),
    ("correction.txt", include_str!("../../../templates/mail/correction.txt")),
    ("correction.html", include_str!("../../../templates/mail/correction.html")),
    ("digest-subject.txt", include_str!("../../../templates/mail/digest-subject.txt")),
    ("digest.txt", include_str!("../../../templates/mail/digest.txt")),
    ("digest.html", include_str!("../../../templates/mail/digest.html")),
    ("digest-line.txt", include_str!("../../../templates/mail/digest-line.txt")),
    ("digest-line.html", include_str!("../../../templates/mail/digest-line.html")),
    ("digest-item.txt", include_str!("../../../templates/mail/digest-item.txt")),
    ("digest-item.html", include_str!("../../../templates/mail/digest-item.html")),
    ("farewell-subject.txt", include_str!("../../../templates/mail/farewell-subject.txt")),
    ("farewell.txt", include_str!("../../../templates/mail/farewell.txt")),
    ("farewell.html", include_str!("../../../templates/mail/farewell.html")),
    ("notice-subject.txt", include_str!("../../../templates/mail/notice-subject.txt")),
    ("notice.txt", include_str!("../../../templates/mail/notice.txt")),
    ("notice.html", include_str!("../../../templates/mail/notice.html")),
    ("preferences-subject.txt", include_str!("../../../templates/mail/preferences-subject.txt")),
    ("preferences.txt", include_str!("../../../templates/mail/preferences.txt")),
    ("preferences.html", include_str!("../../../templates/mail/preferences.html")),
];

/// The templates of mails, ready to be filled in. Two are equal if they are the same.
#[derive(Debug)]
pub struct Templates {
    pub(super) spoken: [Spoken; 3],
    /// Once mails are made of them: the names of those that could not be filled in.
    failed: OnceLock<Mutex<BTreeSet<String>>>,
}

/// Those of one language.
#[derive(Debug)]
pub(super) struct Spoken {
    catalogue: Arc<Catalogue>,
    pub(super) environment: Environment<'static>,
}

static STANDARD: LazyLock<Arc<Templates>> =
    LazyLock::new(|| Arc::new(Templates::speaking(Language::ALL.map(|language| Arc::clone(Catalogue::of(language))))));

impl Templates {
    /// Those that are compiled in, with the words that are.
    pub fn built_in() -> Arc<Templates> {
        Arc::clone(&STANDARD)
    }

    /// Those that are compiled in, with these words: a catalogue for each of [`Language::ALL`].
    pub(super) fn speaking(catalogues: [Arc<Catalogue>; 3]) -> Self {
        let spoken = catalogues.map(|catalogue| {
            let mut environment = environment(&catalogue);
            for (name, source) in BUILT_IN {
                // A test renders each, so that none is missing.
                environment.add_template(name, source).unwrap_or_default();
            }
            Spoken { catalogue, environment }
        });
        Templates { spoken, failed: OnceLock::new() }
    }

    /// The words that they are filled in with.
    pub fn catalogue(&self, language: Language) -> &Catalogue {
        &self.of(language).catalogue
    }

    /// From now on mails are made of them: a template that was right when it was tried out and turns out not to be costs
    /// nobody a mail. It is told once, and the built-in one takes its place.
    pub fn go_into_use(&self) {
        self.failed.get_or_init(Mutex::default);
    }

    /// The template `name` in `language` with `values`. Errors: a [`Fault`] that names the template.
    pub(super) fn render(&self, language: Language, name: &str, values: &Value) -> Result<String, Fault> {
        let told = |error: &Error| Fault::new(name, format!("{error:#}"), "a template that renders");
        self.rendered(language, name, values).or_else(|error| {
            let Some(failed) = self.failed.get() else { return Err(told(&error)) };
            if failed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
                tracing::error!(
                    "mails are made of a built-in template until the newsroom's own is mended: {}",
                    told(&error)
                );
            }
            STANDARD.rendered(language, name, values).map_err(|error| told(&error))
        })
    }

    /// The same. Errors: the template's own, which knows its line.
    pub(super) fn rendered(&self, language: Language, name: &str, values: &Value) -> Result<String, Error> {
        self.of(language).environment.get_template(name)?.render(values)
    }

    fn of(&self, language: Language) -> &Spoken {
        match language {
            Language::English => &self.spoken[0],
            Language::Russian => &self.spoken[1],
            Language::Chinese => &self.spoken[2],
        }
    }
}

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Templates {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_brings_its_styles_along_fetches_nothing_and_links_to_what_it_is_given() {
        for (name, text) in BUILT_IN.iter().filter(|(name, _)| name.ends_with(".html")) {
            for word in ["<style", "class=", "<link", "<img", "<script", "src=", "url(", "@import"] {
                assert!(!text.contains(word), "{name}: {word}");
            }
            let links = text.split("href=").skip(1);
            assert!(links.into_iter().all(|link| link.starts_with("\"{{ ")), "{name}: a link of its own");
            assert!(name.starts_with("digest-") || text.contains(" style=\""), "{name}: plain");
        }
    }
}
