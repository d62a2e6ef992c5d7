//! What became of mails, for people and programs: by article, digest, selection or domain. Nothing is known of anybody: no
//! picture is fetched by a mail, no link goes through us, and sums name no reader.

use crate::domain::{ArticleId, Fault, Problem, Time};
use crate::store::{Daily, Numbers, Order, Place, Store, StoreError};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Days that are told of where the caller does not say.
const DAYS: u64 = 30;
/// Pages of articles that are read for one answer where few of them were mailed; its cursor then goes on from there.
const PAGES_MAX: usize = 20;

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Articles, the newest first, over all the time that their numbers are kept.
    Article,
    /// Digests, the last window first, over that time.
    Digest,
    /// Selections, by name.
    Selection,
    /// Domains of recipients, by name.
    Domain,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// By what.
    pub by: By,
    /// Articles of this day (UTC) and later, windows of this date and later, or all that happened since then.
    pub since: Option<NaiveDate>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

/// A page of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// By what.
    pub by: By,
    /// Since when.
    pub since: NaiveDate,
    /// The rows.
    pub numbers: Vec<Row>,
    /// Where the next page begins; none if this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Sums of one article, digest, selection or domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Of this article,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article: Option<ArticleId>,
    /// which is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of the digests of this date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<NaiveDate>,
    /// or of this selection: a query, `*` for everything, or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Of mails to this domain, or to all `other` ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// They.
    #[serde(flatten)]
    pub numbers: Numbers,
}

impl By {
    /// All of them.
    pub const ALL: [By; 4] = [By::Article, By::Digest, By::Selection, By::Domain];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Article => "article",
            By::Digest => "digest",
            By::Selection => "selection",
            By::Domain => "domain",
        }
    }

    /// Errors: a [`Fault`] on `by`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let known = By::ALL.into_iter().find(|by| by.as_str() == text);
        known.ok_or_else(|| Fault::new("by", format!("\"{text}\""), "article, digest, selection or domain"))
    }
}

/// A day, as `since` names it. Errors: a [`Fault`].
pub fn day(text: &str) -> Result<NaiveDate, Fault> {
    text.parse().map_err(|_| Fault::new("since", format!("\"{text}\""), "a day such as 2026-12-31"))
}

/// The sums of one article. Errors: [`Kind::NotFound`](crate::domain::Kind::NotFound).
pub fn of(store: &Store, article: &ArticleId) -> Result<Numbers, Problem> {
    store.article(article)?.ok_or_else(|| Problem::no_article(article))?;
    Ok(store.numbers_of(article)?)
}

/// A page of what is asked for. Errors: [`Kind::Invalid`](crate::domain::Kind::Invalid) for a cursor that is none.
pub async fn page(store: &Arc<Store>, asked: Asked, now: Time) -> Result<Page, Problem> {
    let Asked { by, since, cursor, limit } = asked;
    let today = now.date_naive();
    let since = since.or_else(|| today.checked_sub_days(Days::new(DAYS))).unwrap_or(today);
    let bad = |text: &str| Problem::field("cursor", text, "the `next` of the page before");
    let (numbers, next) = match by {
        By::Article => {
            let after = cursor.map(|text| Place::parse(&text).ok_or_else(|| bad(&text))).transpose()?;
            store.scan(move |store| articles(store, since, after, limit)).await?
        }
        By::Digest => {
            let place = |text: String| {
                let (window, selection) = text.split_once('/').ok_or_else(|| bad(&text))?;
                Ok::<_, Problem>((window.parse().map_err(|_| bad(&text))?, inner(selection)))
            };
            let after = cursor.map(place).transpose()?;
            let found = store.numbers_of_digests(since, after.as_ref(), limit)?;
            let last = found.last().filter(|_| found.len() == limit);
            let next = last.map(|(window, selection, _)| format!("{window}/{}", shown(selection)));
            let row = |(window, selection, numbers): (NaiveDate, String, Numbers)| Row {
                window: Some(window),
                selection: Some(shown(&selection)),
                numbers,
                ..Row::default()
            };
            (found.into_iter().map(row).collect(), next)
        }
        By::Selection => daily(store, Daily::Selection, since, cursor, limit).await?,
        By::Domain => daily(store, Daily::Domain, since, cursor, limit).await?,
    };
    Ok(Page { by, since, numbers, next })
}

/// Some rows, and where the next ones begin.
type Found = (Vec<Row>, Option<String>);

fn articles(store: &Store, since: NaiveDate, mut after: Option<Place>, limit: usize) -> Result<Found, StoreError> {
    let mut rows = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = store.articles(Order::All, after.as_ref(), limit - rows.len())?;
        after = page.next;
        for article in page.articles {
            if article.dated().date_naive() < since {
                return Ok((rows, None));
            }
            let numbers = store.numbers_of(&article.id)?;
            if numbers != Numbers::default() {
                let (article, title) = (Some(article.id), Some(article.content.title));
                rows.push(Row { article, title, numbers, ..Row::default() });
            }
        }
        if rows.len() == limit || after.is_none() {
            break;
        }
    }
    Ok((rows, after.map(|after| after.to_string())))
}

async fn daily(
    store: &Arc<Store>,
    by: Daily,
    since: NaiveDate,
    cursor: Option<String>,
    limit: usize,
) -> Result<Found, StoreError> {
    let sums = store.scan(move |store| store.numbers_by(by, since)).await?;
    let after = cursor.map(|name| inner(&name));
    let behind = sums.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let mut rows: Vec<Row> = Vec::new();
    let mut next = None;
    for (name, numbers) in behind {
        if rows.len() == limit {
            let last = rows.last().and_then(|row| row.selection.clone().or_else(|| row.domain.clone()));
            next = last;
            break;
        }
        let name = shown(&name);
        rows.push(match by {
            Daily::Selection => Row { selection: Some(name), numbers, ..Row::default() },
            Daily::Domain => Row { domain: Some(name), numbers, ..Row::default() },
        });
    }
    Ok((rows, next))
}

/// What everything is called: as a query it is empty.
const EVERYTHING: &str = "*";

fn shown(name: &str) -> String {
    if name.is_empty() { EVERYTHING.to_owned() } else { name.to_owned() }
}

fn inner(name: &str) -> String {
    if name == EVERYTHING { String::new() } else { name.to_owned() }
}
