//! The form by which one subscribes: what it asks, how it is filled in, and what is wrong with that.

use super::App;
use super::asking::{Wish, language, named, offers, preferred, query, unreadable, zone};
use super::frame::{own_page, scripted};
use super::mishap::told;
use super::pages::parameter;
use super::proof::BITS;
use super::subscribe::word;
use crate::config::Subscriptions as Standard;
use crate::domain::{Address, Category, Fault, Language, Problem, Selection, Slug, Weekdays};
use crate::services::newsroom::Newsroom;
use crate::services::subscribe::Asking;
use crate::wire::mail::Purpose;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// What somebody has filled in, right or wrong.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) address: String,
    /// The query in it is what the page that led here was about.
    wish: Wish,
    /// Is it about a link to the preferences?
    pub(super) wants_link: bool,
    /// What only programs fill in.
    pub(super) trap: String,
    pub(super) challenge: String,
    pub(super) nonce: String,
}

impl Filled {
    /// As the link asks that led to the form.
    pub(super) fn of_link(link: &str) -> Self {
        let of = |name| parameter(link, name);
        let (query, language) = (of("query").unwrap_or_default(), of("language").unwrap_or_default());
        let wish = Wish { categories: of("category").into_iter().collect(), query, language, ..Wish::default() };
        Filled { wish, ..Filled::default() }
    }

    /// As it was sent.
    pub(super) fn read(form: &[u8]) -> Self {
        let mut filled = Filled::default();
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "address" => filled.address = value.into_owned(),
                "act" => filled.wants_link = value == word(Purpose::Preferences),
                "website" => filled.trap = value.into_owned(),
                "challenge" => filled.challenge = value.into_owned(),
                "nonce" => filled.nonce = value.into_owned(),
                name => filled.wish.take(name, value.into_owned()),
            }
        }
        filled
    }

    /// The language to go on in: the one chosen, the browser's, that of the category, the newsroom's.
    pub(super) fn spoken(&self, newsroom: &Newsroom, headers: &HeaderMap) -> Language {
        let chosen = Language::of(self.wish.language.trim()).or_else(|| preferred(headers));
        let category = match self.wish.categories.as_slice() {
            [slug] => newsroom.categories.get(slug),
            [] | [_, _, ..] => None,
        };
        chosen.unwrap_or_else(|| newsroom.site.spoken_in(category))
    }

    /// Errors: a [`Fault`] for each field that is wrong.
    pub(super) fn checked(&self, newsroom: &Newsroom, standard: &Standard, ui: Language) -> Result<Asking, Vec<Fault>> {
        let mut faults = Vec::new();
        let address = Address::parse("address", &self.address).map_err(|fault| faults.push(fault)).ok();
        let selection = self.selection(newsroom).map_err(|wrong| faults.extend(wrong)).ok();
        let cadence = self.wish.pace.read(standard).map_err(|wrong| faults.extend(wrong)).ok();
        let zone = zone(&self.wish.time_zone).map_err(|fault| faults.push(fault)).ok();
        let language = language(&self.wish.language).map_err(|fault| faults.push(fault)).ok();
        match (address, selection, cadence, zone, language) {
            (Some(address), Some(selection), Some(cadence), Some(zone), Some(language)) => {
                let language = Some(language.unwrap_or(ui));
                Ok(Asking { cadence, zone, language, ..Asking::new(address, selection) })
            }
            (_, _, _, _, _) => Err(faults),
        }
    }

    /// All that is ticked.
    fn selection(&self, newsroom: &Newsroom) -> Result<Selection, Vec<Fault>> {
        let query = query(&self.wish.query).map_err(|fault| vec![fault])?;
        if self.wish.is_everything {
            return Ok(Selection::all());
        }
        let categories = match self.wish.categories.as_slice() {
            [] => None,
            slugs => Some(newsroom.categories.any_of("category", slugs)?),
        };
        match (categories, query) {
            (Some(categories), Some(query)) => categories.or(&query).map_err(|fault| vec![unreadable(fault)]),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(vec![Fault::new("category", "nothing", "everything, or at least one category")]),
        }
    }
}

/// A category in the form.
#[derive(Serialize)]
struct Choice<'a> {
    slug: &'a Slug,
    title: &'a str,
    description: &'a str,
    language: &'a str,
    is_chosen: bool,
}

impl<'a> Choice<'a> {
    fn new(category: &'a Category, filled: &Filled) -> Self {
        Choice {
            slug: &category.slug,
            title: &category.title,
            description: &category.description,
            language: &category.language,
            is_chosen: filled.wish.categories.iter().any(|chosen| chosen == category.slug.as_str()),
        }
    }
}

/// The form as it was filled in, with what is wrong beside each field.
pub(super) fn show(
    app: &App,
    newsroom: &Newsroom,
    status: StatusCode,
    (filled, ui): (&Filled, Language),
    faults: &[Fault],
) -> Result<Response, Problem> {
    let standard = app.subscriptions.standard();
    let choices: Vec<_> = newsroom.categories.iter().map(|category| Choice::new(category, filled)).collect();
    // One that cannot be read is told of where it is filled in, and not offered again.
    let query = query(&filled.wish.query).ok().flatten().filter(|query| !query.is_all());
    let said: BTreeMap<&str, String> = faults.iter().map(|fault| (field(fault), told(ui, fault))).collect();
    let content = context! {
        form => context! {
            action => format!("{}subscribe", newsroom.site.base_url.path()),
            challenge => app.proofs.challenge(),
            bits => BITS,
            script => format!("{}assets/subscribe.js", newsroom.site.base_url.path()),
            standard_zone => standard.zone.as_str(),
            address => &filled.address,
            is_everything => filled.wish.is_everything,
            choices => Serde(&choices),
            query => query.as_ref().map(Selection::to_string),
            query_titles => query.as_ref().map(|query| query.titles(&newsroom.categories)),
            every => if filled.wish.pace.every.is_empty() { standard.every.as_str() } else { &filled.wish.pace.every },
            hours => (0..24).collect::<Vec<u8>>(),
            weekday => standard.weekday.to_string(),
            weekdays => named(Weekdays::ALL.iter()),
            days => &filled.wish.pace.days,
            hour => filled.wish.pace.hour.parse().unwrap_or(u8::from(standard.hour)),
            time_zone => if filled.wish.time_zone.is_empty() { standard.zone.as_str() } else { &filled.wish.time_zone },
        },
        languages => Serde(offers(ui, |language| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("language", language.tag());
            if let Some(slug) = filled.wish.categories.first() {
                query.append_pair("category", slug);
            }
            if !filled.wish.query.is_empty() {
                query.append_pair("query", &filled.wish.query);
            }
            format!("{}subscribe?{}", newsroom.site.base_url.path(), query.finish())
        })),
        faults => Serde(&said),
    };
    let heading = if faults.is_empty() { "subscribe-heading" } else { "subscribe-heading-not-yet" };
    Ok(scripted(own_page(app, newsroom, (status, ui), ("subscribe.html", heading), content)?))
}

/// The form's name of the field that a fault is about: the service speaks of `categories`.
fn field(fault: &Fault) -> &str {
    match fault.field.as_str() {
        field @ ("address" | "cadence" | "hour" | "days" | "time_zone" | "language") => field,
        _ => "category",
    }
}
