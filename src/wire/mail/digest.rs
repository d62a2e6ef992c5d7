//! Digests: made once for all who get the same, and then addressed to each.

use super::full::sent_bytes;
use super::wishes::list;
use super::{
    Frame, LINE_CHARS_MAX, SUMMARY_CHARS_MAX, Said, Templates, builder, cut, feedback_id, finish, host, list_headers,
    newsroom, title,
};
use crate::domain::{Article, Category, Fault, Language, Site, clean_line};
use crate::wire::locale::When;
use chrono::NaiveDate;
use minijinja::context;
use minijinja::value::{Serde, Value};

/// An article of a digest.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Which.
    pub article: &'a Article,
    /// What is said of it.
    pub said: &'a Said,
}

/// What is the same in the digests of all who get the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// Its subject.
    subject: String,
    /// The headlines, and then the articles.
    text: (String, String),
    html: (String, String),
    /// Articles that are in it.
    count: usize,
    /// Articles that there was no room for.
    more: usize,
}

/// What is each subscriber's own.
#[derive(Debug, Clone, Copy)]
pub struct Digest<'a> {
    /// The articles.
    pub composition: &'a Composition,
    /// The date on which it was made, where its reader is: after a downtime later than it was due.
    pub day: NaiveDate,
    /// The category it goes out under; the whole newsroom where it is of more.
    pub list: Option<&'a Category>,
    /// What the subscription asks for, for people: see [`super::wanted`].
    pub wanted: &'a str,
    /// Where all articles of that are to be found.
    pub rest: &'a str,
    /// Where this is what was too much in a day: how many mails a day come one by one.
    pub fold_over: Option<usize>,
    /// Sealed token of the leaving link.
    pub leave: &'a str,
}

impl Composition {
    /// The digest of `items`, newest first; `more` are not among them. Items are taken as long as neither part, as it is
    /// sent, grows beyond `bytes_max`, but one at least.
    ///
    /// Errors: a template has a mistake.
    pub fn new(
        templates: &Templates,
        language: Language,
        site: &Site,
        items: &[Item<'_>],
        more: usize,
        bytes_max: usize,
    ) -> Result<Self, Fault> {
        let render = |name: &str, values: &Value| templates.render(language, name, values);
        let (mut text, mut html) = ((String::new(), String::new()), (String::new(), String::new()));
        let (mut text_bytes, mut html_bytes, mut count) = (0, 0, 0);
        for item in items {
            let values = item_values(templates, language, site, item);
            let [line_text, item_text] = ["digest-line.txt", "digest-item.txt"].map(|name| render(name, &values));
            let [line_html, item_html] = ["digest-line.html", "digest-item.html"].map(|name| render(name, &values));
            let (line_text, item_text, line_html, item_html) = (line_text?, item_text?, line_html?, item_html?);
            text_bytes += sent_bytes(&line_text) + sent_bytes(&item_text);
            html_bytes += sent_bytes(&line_html) + sent_bytes(&item_html);
            if text_bytes.max(html_bytes) > bytes_max && count > 0 {
                break;
            }
            // A template's last line end is not part of what it renders.
            for (whole, part) in
                [(&mut text.0, line_text), (&mut text.1, item_text), (&mut html.0, line_html), (&mut html.1, item_html)]
            {
                whole.push_str(&part);
                whole.push('\n');
            }
            count += 1;
        }
        let more = more + items.len() - count;
        let first = items.first().map(|item| title(item.article)).unwrap_or_default();
        let others = (count + more).saturating_sub(1);
        let subject = render("digest-subject.txt", &subject_values(site, &first, others))?;
        Ok(Composition { subject: clean_line(&subject), text, html, count, more })
    }
}

impl Composition {
    /// How many of the articles are in it.
    pub fn count(&self) -> usize {
        self.count
    }
}

pub(super) fn subject_values(site: &Site, title: &str, others: usize) -> Value {
    context! { newsroom => newsroom(site), title, others }
}

pub(super) fn item_values(templates: &Templates, language: Language, site: &Site, item: &Item<'_>) -> Value {
    let content = &item.article.content;
    context! {
        title => title(item.article),
        summary => item.said.summary.as_deref().map(|summary| cut(summary, SUMMARY_CHARS_MAX)),
        authors => cut(&list(templates.catalogue(language), &content.authors), LINE_CHARS_MAX),
        language => content.language.as_deref().unwrap_or(&site.language),
        link => site.article_link(item.article),
        print => site.print_page(&item.article.id),
    }
}

/// The bytes of a digest. Headers as of a notice. Errors: as for [`super::notice`].
pub fn digest(frame: &Frame<'_>, digest: &Digest<'_>) -> Result<Vec<u8>, Fault> {
    let (site, composition) = (frame.site, digest.composition);
    let feedback = feedback_id(&digest.day.to_string(), digest.list, "digest", host(site));
    let mail = list_headers(builder(frame, &composition.subject)?, frame, digest.list, digest.leave, feedback);
    finish(frame, mail, "digest", &digest_values(frame, digest))
}

pub(super) fn digest_values(frame: &Frame<'_>, digest: &Digest<'_>) -> Value {
    let (site, composition) = (frame.site, digest.composition);
    let safe = |text: &String| Value::from_safe_string(text.clone());
    context! {
        title => composition.subject.as_str(),
        text_lines => safe(&composition.text.0),
        text_items => safe(&composition.text.1),
        html_lines => safe(&composition.html.0),
        html_items => safe(&composition.html.1),
        day => Serde(When::from(digest.day)),
        count => composition.count,
        more => composition.more,
        rest => digest.rest,
        fold_over => digest.fold_over,
        wanted => cut(digest.wanted, LINE_CHARS_MAX),
        leave => site.address(&format!("subscriptions/{}", digest.leave)),
        newsroom => newsroom(site),
    }
}
