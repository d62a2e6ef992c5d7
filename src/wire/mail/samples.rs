//! A made-up newsroom whose mails show what a template does with its values: templates are checked with it, and their
//! documentation is held against it.

use super::digest::{item_values, subject_values};
use super::full::with;
use super::{
    Composition, Confirmation, Correction, Digest, Farewell, Frame, Item, Notice, Said, Templates, confirmation_values,
    farewell_values, notice_values, preferences_values,
};
use crate::config::{MailText, Sender};
use crate::domain::{Address, Article, ArticleId, Body, Cadence, Content, Fault, Language, Site, Time};
use chrono::{Duration, NaiveDate};
use jiff::tz::TimeZone;
use minijinja::context;
use minijinja::value::Value;
use std::sync::Arc;
use url::Url;

/// The newsroom, its reader, and its articles.
pub(super) struct Samples {
    site: Site,
    from: Sender,
    to: Address,
    /// With all that an article can have, and with nothing but a title.
    articles: [Article; 2],
    said: [Said; 2],
    templates: Arc<Templates>,
}

/// What the full one says in short.
const SUMMARY: &str = "What the article says in a sentence or two.";

impl Samples {
    /// Errors: none, unless an address in here is none.
    pub(super) fn new(templates: Arc<Templates>) -> Result<Self, Fault> {
        let none = |what: &str| Fault::new("sample", what, "what it was made for");
        let site = Site {
            title: "Sample News".to_owned(),
            description: String::new(),
            language: "en".to_owned(),
            base_url: Url::parse("https://news.example.org/").map_err(|_| none("base_url"))?,
            icon: None,
            logo: None,
            accent_color: None,
            print_line: true,
        };
        let articles = sample_articles()?;
        Ok(Samples {
            site,
            from: Sender { name: None, address: "news@example.org".to_owned() },
            to: Address::parse("to", "reader@example.org")?,
            said: articles.each_ref().map(|article| Said::of(&article.content, MailText::Full)),
            articles,
            templates,
        })
    }

    /// Values of every shape that the template `name` gets. Errors: what another template, which it needs, says.
    pub(super) fn values(&self, language: Language, name: &str) -> Result<Vec<Value>, Fault> {
        let frame = Frame {
            site: &self.site,
            from: &self.from,
            to: &self.to,
            language,
            zone: &TimeZone::UTC,
            templates: &self.templates,
            returns: None,
            id: "sample",
            date: Time::UNIX_EPOCH,
            is_test: false,
        };
        let (family, _) = name.split_once(['.', '-']).unwrap_or((name, ""));
        let values = match (family, name) {
            ("notice" | "correction", _) => {
                self.notices(&frame, family == "correction", !name.ends_with("-subject.txt"))
            }
            ("confirmation", _) => vec![confirmation(&frame)],
            ("farewell", _) => {
                let until = Time::UNIX_EPOCH + Duration::days(28);
                vec![farewell_values(&frame, &Farewell { wanted: "Science, Economy", undo: "undo", until })]
            }
            ("preferences", _) => vec![preferences_values(&frame, "link", 24)],
            (_, "digest-subject.txt") => [0, 1, 21].map(|others| subject_values(&self.site, "T", others)).into(),
            (_, "digest-line.txt" | "digest-line.html" | "digest-item.txt" | "digest-item.html") => {
                let values = |item: &Item<'_>| item_values(&self.templates, language, &self.site, item);
                self.items().iter().map(values).collect()
            }
            (_, _) => self.digests(&frame)?,
        };
        // What a mail is called, which all but the subject are told.
        let title = |values: Value| context! { ..values, ..context! { title => "A subject" } };
        Ok(if name.ends_with("-subject.txt") { values } else { values.into_iter().map(title).collect() })
    }

    fn items(&self) -> Vec<Item<'_>> {
        self.articles.iter().zip(&self.said).map(|(article, said)| Item { article, said }).collect()
    }

    fn notices(&self, frame: &Frame<'_>, is_correction: bool, has_text: bool) -> Vec<Value> {
        let values = |(item, note): (Item<'_>, Option<&str>)| {
            let correction = is_correction.then_some(Correction { note, thread: "sample@example.org" });
            let Item { article, said } = item;
            let notice = Notice { article, said, list: None, wanted: "Science", leave: "leave", correction };
            let values = notice_values(frame, &notice);
            if has_text { with(values, said.body.as_ref()) } else { values }
        };
        self.items().into_iter().zip([Some("What was wrong."), None]).map(values).collect()
    }

    fn digests(&self, frame: &Frame<'_>) -> Result<Vec<Value>, Fault> {
        let items = self.items();
        let (one, _) = items.split_at(1);
        let mut all = Vec::new();
        for (items, more, fold_over) in [(one, 0, None), (items.as_slice(), 21, Some(20))] {
            let composition =
                Composition::new(&self.templates, frame.language, &self.site, items, more, super::HTML_BYTES_MAX)?;
            let digest = Digest {
                composition: &composition,
                day: NaiveDate::MIN,
                list: None,
                wanted: "Science",
                rest: "https://news.example.org/science",
                fold_over,
                leave: "leave",
            };
            all.push(super::digest::digest_values(frame, &digest));
        }
        Ok(all)
    }
}

fn confirmation(frame: &Frame<'_>) -> Value {
    let (cadence, confirm, never) = (Cadence::Instant, "confirm", "never");
    confirmation_values(frame, &Confirmation { wanted: "Science", cadence, confirm, never, days: 14 })
}

/// Articles for who has none yet: one with all that an article can have, and one with nothing but a title.
/// Errors: none, unless an id in here is none.
pub fn sample_articles() -> Result<[Article; 2], Fault> {
    let full = Content {
        title: "A headline & more".to_owned(),
        summary: Some(SUMMARY.to_owned()),
        authors: vec!["A. Ivanov".to_owned(), "B. Lee".to_owned()],
        language: Some("en".to_owned()),
        body: Some(Body { html: "<p>All that it says.</p>".to_owned(), markdown: None }),
        ..Content::default()
    };
    let bare = Content { title: "Another headline".to_owned(), ..Content::default() };
    let article =
        |id, content| Ok::<_, Fault>(Article::published(ArticleId::parse("id", id)?, Time::UNIX_EPOCH, content));
    Ok([article("sample-1", full)?, article("sample-2", bare)?])
}
