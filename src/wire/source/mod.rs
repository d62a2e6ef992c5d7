//! The door: an article as a publisher sends it becomes a [`Draft`], or a list of everything that is wrong with it.
//! [`from_json`] reads the body of an API request, [`from_file`] an article file; both end in [`from_input`].

mod extras;
mod file;
mod json;

pub use file::{FileFault, NAME_START, faults_in_file, from_file, input_of_file, name_of_file, names_in_file};
pub use json::{Members, faults_in_json, from_json, problem as json_problem};

use super::html;
use crate::domain::{
    ArticleId, Body, Categories, Content, Draft, ExternalId, Fault, Problem, Site, Slug, Time, Wish, clean_block,
    clean_line, is_language_tag, parse_time,
};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use url::Url;

/// Readers show one or two lines; the longest headlines seen have 200 characters.
pub const TITLE_CHARS_MAX: usize = 500;

/// A summary is a paragraph. What is longer is the body, and would fill every mail of headlines.
pub const SUMMARY_CHARS_MAX: usize = 2_000;

/// Google News reads at most 1 MB of an article; a long read with all its markup has 100 KiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// A research paper may have more; a byline does not.
pub const AUTHORS_MAX: usize = 20;

/// More than that tells a reader nothing.
pub const TAGS_MAX: usize = 50;

/// One author's or one tag's name.
pub const NAME_CHARS_MAX: usize = 100;

/// Each is one more feed and page to rebuild, and one more group of subscribers that is written to.
pub const CATEGORIES_MAX: usize = 8;

/// What proxies, mail clients and browsers carry for certain.
pub const URL_BYTES_MAX: usize = 2_000;

/// Every field that can be sent, in the order of [`Input`].
pub const FIELDS: [&str; 16] = [
    "id",
    "external_id",
    "status",
    "title",
    "summary",
    "body_html",
    "body_markdown",
    "url",
    "categories",
    "authors",
    "tags",
    "language",
    "published_at",
    "media",
    "comments",
    "source",
];

/// An article as plain text, nothing of it checked. As JSON it is what [`from_json`] reads as the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Given at an import; where there is none, one is minted.
    pub id: Option<String>,
    /// The publisher's own name for it.
    pub external_id: Option<String>,
    /// `draft` or `published`; published where there is none.
    pub status: Option<String>,
    /// Plain text. Required.
    pub title: Option<String>,
    /// Plain text.
    pub summary: Option<String>,
    /// The full text as HTML; or:
    pub body_html: Option<String>,
    /// the full text as Markdown.
    pub body_markdown: Option<String>,
    /// The article's address on the newsroom's own site.
    pub url: Option<String>,
    /// Slugs; the first is the article's home. Required.
    pub categories: Vec<String>,
    /// Names.
    pub authors: Vec<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Any form that [`parse_time`] reads; without a zone it is in that of the first category.
    pub published_at: Option<String>,
    /// A list of objects: `url`, `media_type`, `bytes`, `width`, `height`, `alt`, `credit`.
    pub media: Option<Value>,
    /// An object: `url`, `feed`, `count`.
    pub comments: Option<Value>,
    /// An object: `title`, `feed`.
    pub source: Option<Value>,
}

/// What an article is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Those that exist.
    pub categories: &'a Categories,
    /// Links in a body without an address of its own are relative to the site's.
    pub site: &'a Site,
}

/// Checks everything and cleans what can be cleaned. Errors: [`Problem`] with every fault there is, each on its field.
pub fn from_input(input: Input, door: &Door<'_>) -> Result<Draft, Problem> {
    let mut faults = Faults::default();
    let id = input.id.and_then(|text| faults.keep(ArticleId::parse("id", &text)));
    let external_id = input.external_id.and_then(|text| faults.keep(ExternalId::parse("external_id", &text)));
    let wish = input.status.and_then(|text| faults.keep(wish(&text))).unwrap_or(Wish::Published);
    let title = faults.keep(title(&input.title.unwrap_or_default())).unwrap_or_default();
    let summary = input.summary.and_then(|text| faults.keep(summary(&text))).flatten();
    let url = input.url.and_then(|text| faults.keep(address_of("url", &text)));
    let base = url.as_ref().unwrap_or(&door.site.base_url);
    let body = faults.keep(body(input.body_html, input.body_markdown, base)).flatten();
    let categories = categories(&input.categories, door.categories, &mut faults);
    let authors = names("authors", &input.authors, AUTHORS_MAX, &mut faults);
    let tags = names("tags", &input.tags, TAGS_MAX, &mut faults);
    // By whichever way it came: the same date in the same category is the same instant.
    let home = categories.first().and_then(|slug| door.categories.get(slug.as_str()));
    let zone = home.map_or(TimeZone::UTC, |home| home.zone.clone());
    let language = match input.language {
        Some(text) => faults.keep(language(&text)),
        // Kept with the article, so that it is still found by it when its category has another one.
        None => home.map(|home| home.language.clone()),
    };
    let published_at = input.published_at.and_then(|text| faults.keep(date(&text, &zone)));
    let media = input.media.map(|value| extras::media(value, &mut faults)).unwrap_or_default();
    let comments = input.comments.and_then(|value| extras::comments(value, &mut faults));
    let source = input.source.and_then(|value| extras::origin(value, &mut faults));
    if !faults.0.is_empty() {
        return Err(Problem::invalid(faults.0));
    }
    let content = Content { categories, title, summary, body, url, authors, tags, language, media, comments, source };
    Ok(Draft { id, external_id, wish, published_at, content })
}

/// Faults so far: a wrong field does not keep the others from being looked at.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn keep<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.0.push(fault)).ok()
    }
}

fn wish(text: &str) -> Result<Wish, Fault> {
    match text {
        "draft" => Ok(Wish::Draft),
        "published" => Ok(Wish::Published),
        other => Err(Fault::new("status", quoted(other), "\"draft\" or \"published\"")),
    }
}

/// Markup in a title is no markup: it is shown as it was written.
fn title(text: &str) -> Result<String, Fault> {
    let title = clean_line(text);
    if !title.chars().any(is_visible) {
        let found = if text.is_empty() { "nothing".to_owned() } else { quoted(text) };
        return Err(Fault::new("title", found, format!("1 to {TITLE_CHARS_MAX} characters")));
    }
    at_most("title", TITLE_CHARS_MAX, title)
}

/// Direction marks, joiners and their like alone make no title.
fn is_visible(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        && !matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

fn summary(text: &str) -> Result<Option<String>, Fault> {
    let summary = clean_block(text).trim().to_owned();
    Ok(Some(at_most("summary", SUMMARY_CHARS_MAX, summary)?).filter(|summary| summary.chars().any(is_visible)))
}

fn at_most(field: &str, chars_max: usize, text: String) -> Result<String, Fault> {
    let chars = text.chars().count();
    if chars > chars_max {
        return Err(Fault::new(field, format!("{chars} characters"), format!("at most {chars_max}")));
    }
    Ok(text)
}

/// Absolute http or https with a host, and no password in it: it will be public.
fn address_of(field: &str, text: &str) -> Result<Url, Fault> {
    let expected = format!("an absolute address of http or https, at most {URL_BYTES_MAX} bytes");
    if text.len() > URL_BYTES_MAX {
        return Err(Fault::new(field, format!("{} bytes", text.len()), expected));
    }
    match Url::parse(text.trim()) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(url)
        }
        Ok(_) | Err(_) => Err(Fault::new(field, quoted(text), expected)),
    }
}

/// Sanitised; none where nothing of it can be seen.
fn body(html: Option<String>, markdown: Option<String>, base: &Url) -> Result<Option<Body>, Fault> {
    let within = |field: &str, bytes: usize, what: &str| {
        if bytes <= BODY_BYTES_MAX {
            return Ok(());
        }
        Err(Fault::new(field, format!("{bytes} bytes{what}"), format!("at most {BODY_BYTES_MAX}")))
    };
    let (field, html, markdown) = match (html, markdown) {
        (Some(_), Some(_)) => {
            return Err(Fault::new("body_markdown", "body_html as well", "one of the two"));
        }
        (Some(html), None) => {
            within("body_html", html.len(), "")?;
            ("body_html", html::sanitise(&html, base), None)
        }
        (None, Some(markdown)) => {
            within("body_markdown", markdown.len(), "")?;
            let markdown = clean_block(&markdown);
            ("body_markdown", html::markdown(&markdown, base), Some(markdown))
        }
        (None, None) => return Ok(None),
    };
    // Absolute links and closed elements make it longer than what was sent.
    within(field, html.len(), " once cleaned")?;
    Ok((!html::is_blank(&html)).then_some(Body { html, markdown }))
}

fn categories(texts: &[String], known: &Categories, faults: &mut Faults) -> Vec<Slug> {
    let mut slugs: Vec<Slug> = Vec::new();
    for (at, text) in texts.iter().take(CATEGORIES_MAX).enumerate() {
        if let Some(category) = faults.keep(known.find(&place("categories", at), text))
            && !slugs.contains(&category.slug)
        {
            slugs.push(category.slug.clone());
        }
    }
    if texts.is_empty() {
        let expected = format!("at least one of the known categories: {}", known.known());
        faults.0.push(Fault::new("categories", "none", expected));
    }
    few("categories", texts.len(), CATEGORIES_MAX, faults);
    slugs
}

/// Empty names are left out, and so is the second of two that are the same.
fn names(field: &str, texts: &[String], count_max: usize, faults: &mut Faults) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, text) in texts.iter().take(count_max).enumerate() {
        if let Some(name) = faults.keep(at_most(&place(field, at), NAME_CHARS_MAX, clean_line(text)))
            && name.chars().any(is_visible)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    few(field, texts.len(), count_max, faults);
    names
}

fn few(field: &str, count: usize, count_max: usize, faults: &mut Faults) {
    if count > count_max {
        faults.0.push(Fault::new(field, format!("{count} of them"), format!("at most {count_max}")));
    }
}

/// A tag that feeds may say as well: they are refused with any other.
fn language(text: &str) -> Result<String, Fault> {
    const BYTES_MAX: usize = 35;
    let tag = text.trim();
    let is_of_a_language = tag.split('-').next().is_some_and(|primary| primary.len() > 1);
    if tag.len() <= BYTES_MAX && is_of_a_language && is_language_tag(tag) {
        Ok(tag.to_owned())
    } else {
        Err(Fault::new("language", quoted(text), "a BCP 47 tag such as en or ru-RU"))
    }
}

fn date(text: &str, zone: &TimeZone) -> Result<Time, Fault> {
    let time = parse_time("published_at", text, zone)?;
    // Feeds write four digits, and sort keys count milliseconds from 1970.
    if !(0..=253_402_300_799_999).contains(&time.timestamp_millis()) {
        return Err(Fault::new("published_at", quoted(text), "a date from 1970 to 9999"));
    }
    Ok(time)
}

fn place(field: &str, at: usize) -> String {
    format!("{field}[{at}]")
}

/// What was found in the place of something else.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn quoted(text: impl Display) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests;
