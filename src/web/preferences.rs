//! The page on which subscribers see and change what they get; reached by a link that was mailed to them.

use super::App;
use super::asking::{Wish, language, named, offers, query, zone};
use super::frame::{Segments, own_page, private, segments};
use super::mishap::{PageProblem, told};
use crate::config::Every;
use crate::domain::{
    Cadence, Fault, Kind, Language, Problem, Selection, Subscriber, Subscription, SubscriptionId, SubscriptionState,
    Term, Weekdays,
};
use crate::services::newsroom::Newsroom;
use crate::services::subscribe::{Amendment, Preferences};
use crate::wire::locale::When;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use url::form_urlencoded;

/// The page behind `token`.
pub(super) fn show(app: &App, token: &str) -> Result<Response, PageProblem> {
    let preferences = app.subscriptions.preferences(token)?;
    Ok(shown(app, token, &preferences, StatusCode::OK, &Said::default())?)
}

/// Does what one of the page's buttons says.
pub(super) async fn act(app: &App, token: &str, form: &[u8], from: Option<IpAddr>) -> Result<Response, PageProblem> {
    let filled = Filled::read(form);
    let preferences = app.subscriptions.preferences(token)?;
    if filled.act == "erase" {
        if !filled.is_sure {
            let fault = Fault::new("sure", "nothing", "a tick that you are sure");
            let said = Said { faults: vec![fault], filled: Some(filled), ..Said::default() };
            return Ok(shown(app, token, &preferences, StatusCode::UNPROCESSABLE_ENTITY, &said)?);
        }
        let ids: HashSet<SubscriptionId> = preferences.subscriber.subscriptions.iter().copied().collect();
        app.eraser.erase(&ids).await.map_err(Problem::from)?;
        let newsroom = app.newsroom.load();
        let ui = preferences.subscriber.language.unwrap_or_else(|| newsroom.site.spoken());
        return Ok(own_page(app, &newsroom, (StatusCode::OK, ui), ("erased.html", "erased-heading"), context! {})?);
    }
    let amended = match filled.amendment(app) {
        Ok(amendment) => app.subscriptions.amend(token, &amendment, from).await,
        Err(faults) => Err(Problem::invalid(faults)),
    };
    match amended {
        Ok(preferences) => {
            let said = Said { is_saved: true, is_left: filled.act == "remove", ..Said::default() };
            Ok(shown(app, token, &preferences, StatusCode::OK, &said)?)
        }
        Err(problem) if problem.kind == Kind::Invalid => {
            let said = Said { faults: problem.faults, filled: Some(filled), ..Said::default() };
            Ok(shown(app, token, &preferences, StatusCode::UNPROCESSABLE_ENTITY, &said)?)
        }
        Err(problem) => Err(problem.into()),
    }
}

/// `GET /subscriptions/{token}/export.json`: all that is held about the address.
pub(super) async fn export(State(app): State<Arc<App>>, path: Segments<String>) -> Result<Response, PageProblem> {
    let token = segments(path)?;
    let preferences = app.subscriptions.preferences(&token)?;
    let record = app.subscriptions.record(preferences).await?;
    let json = serde_json::to_vec_pretty(&record).map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    let mut response = private(StatusCode::OK, String::new());
    *response.body_mut() = json.into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let as_file = HeaderValue::from_static("attachment; filename=\"subscriptions.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, as_file);
    Ok(response.into_response())
}

/// What the page says besides what is stored.
#[derive(Default)]
struct Said {
    /// Was something changed?
    is_saved: bool,
    /// Was it that a subscription ended?
    is_left: bool,
    /// What is wrong with what was filled in.
    faults: Vec<Fault>,
    /// That.
    filled: Option<Filled>,
}

/// What somebody has filled in and which button was pressed.
#[derive(Default, Clone)]
struct Filled {
    act: String,
    id: String,
    wish: Wish,
    /// The language of the page.
    shown: String,
    is_sure: bool,
}

impl Filled {
    fn read(form: &[u8]) -> Self {
        let mut filled = Filled::default();
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                "act" => filled.act = value.into_owned(),
                "id" => filled.id = value.into_owned(),
                "shown" => filled.shown = value.into_owned(),
                "sure" => filled.is_sure = true,
                name => filled.wish.take(name, value.into_owned()),
            }
        }
        filled
    }

    /// Errors: a [`Fault`] for each field that is wrong.
    fn amendment(&self, app: &App) -> Result<Amendment, Vec<Fault>> {
        let mut faults = Vec::new();
        let id = self.id.parse().map(SubscriptionId);
        let id = id.map_err(|_| vec![Fault::new("id", format!("\"{}\"", self.id), "one of your subscriptions")]);
        match self.act.as_str() {
            "settings" => {
                let zone = zone(&self.wish.time_zone).map_err(|fault| faults.push(fault)).ok();
                let language = language(&self.wish.language).map_err(|fault| faults.push(fault)).ok();
                match (zone, language) {
                    (Some(zone), Some(language)) => Ok(Amendment::Settings { zone, language }),
                    (_, _) => Err(faults),
                }
            }
            "save" | "add" => {
                let selection = self.selection(app).map_err(|wrong| faults.extend(wrong)).ok();
                let cadence =
                    self.wish.pace.read(app.subscriptions.standard()).map_err(|wrong| faults.extend(wrong)).ok();
                let standard = || app.subscriptions.standard().cadence();
                match (selection, cadence) {
                    (Some(selection), Some(cadence)) if self.act == "add" => {
                        let (cadence, shown) = (cadence.unwrap_or_else(standard), Language::of(&self.shown));
                        Ok(Amendment::Add { selection, cadence, shown })
                    }
                    (Some(selection), Some(cadence)) => {
                        Ok(Amendment::Edit { id: id?, selection: Some(selection), cadence, is_paused: None })
                    }
                    (_, _) => Err(faults),
                }
            }
            "pause" | "resume" => {
                Ok(Amendment::Edit { id: id?, selection: None, cadence: None, is_paused: Some(self.act == "pause") })
            }
            "remove" => Ok(Amendment::Remove { id: id? }),
            "new-feed" => Ok(Amendment::NewFeed { id: id? }),
            act => Err(vec![Fault::new("act", format!("\"{act}\""), "one of the buttons of this page")]),
        }
    }

    fn selection(&self, app: &App) -> Result<Selection, Vec<Fault>> {
        if let Some(selection) = query(&self.wish.query).map_err(|fault| vec![fault])? {
            return Ok(selection);
        }
        if self.wish.is_everything {
            return Ok(Selection::all());
        }
        if self.wish.categories.is_empty() {
            return Err(vec![Fault::new("category", "nothing", "everything, at least one category, or a query")]);
        }
        app.newsroom.load().categories.any_of("category", &self.wish.categories)
    }
}

/// A subscription on the page.
#[derive(Serialize)]
struct Shown {
    id: String,
    titles: Vec<String>,
    is_everything: bool,
    categories: Vec<String>,
    query: String,
    every: &'static str,
    hour: u8,
    days: Vec<String>,
    is_paused: bool,
    next: Option<When>,
    feeds: Vec<(&'static str, String)>,
    faults: Vec<String>,
}

impl Shown {
    fn new(
        app: &App,
        newsroom: &Newsroom,
        (subscription, subscriber): (&Subscription, &Subscriber),
        said: &Said,
        ui: Language,
    ) -> Self {
        let standard = app.subscriptions.standard();
        let (every, hour, days) = match subscription.cadence {
            Cadence::Instant => (Every::Instant, standard.hour, Vec::new()),
            Cadence::Daily { hour, days } => (Every::Day, hour, days.iter().collect()),
            Cadence::Weekly { hour, day } => (Every::Week, hour, vec![day]),
        };
        let token = app.subscriptions.feed_token(subscription);
        let feed = |name, file: &str| (name, newsroom.site.address(&format!("subscriptions/{token}/{file}")));
        let is_tickable = |term: &Term| match term {
            Term::Category(slug) => newsroom.categories.get(slug.as_str()).is_some(),
            Term::Tag(_) | Term::Author(_) | Term::Language(_) => false,
        };
        let terms: Vec<&Term> = subscription.selection.terms().collect();
        let is_ticked = Selection::any(terms.iter().map(|term| (*term).clone())) == subscription.selection
            && terms.iter().all(|term| is_tickable(term));
        let mut shown = Shown {
            id: subscription.id.to_string(),
            titles: subscription.selection.titles(&newsroom.categories),
            is_everything: subscription.selection.is_all(),
            categories: if is_ticked { terms.iter().map(|term| term.value().to_owned()).collect() } else { Vec::new() },
            query: if is_ticked { String::new() } else { subscription.selection.to_string() },
            every: every.as_str(),
            hour: hour.into(),
            days: named(days),
            is_paused: subscription.paused_at.is_some(),
            next: subscription
                .digests
                .next
                // What has gathered before a change to mails at once comes this moment, if there is anything.
                .filter(|next| next.at > app.clock.now())
                .map(|next| When::new(next.at, &subscriber.zone.as_ref().unwrap_or(&standard.zone).time_zone())),
            feeds: vec![feed("RSS", "rss.xml"), feed("Atom", "atom.xml"), feed("JSON", "feed.json")],
            faults: Vec::new(),
        };
        if let Some(filled) = said.filled.as_ref().filter(|filled| filled.id == shown.id) {
            shown.is_everything = filled.wish.is_everything;
            shown.categories.clone_from(&filled.wish.categories);
            shown.query.clone_from(&filled.wish.query);
            shown.faults = said.faults.iter().map(|fault| told(ui, fault)).collect();
        }
        shown
    }
}

fn shown(
    app: &App,
    token: &str,
    preferences: &Preferences,
    status: StatusCode,
    said: &Said,
) -> Result<Response, Problem> {
    let newsroom = app.newsroom.load();
    let is_shown = |one: &&Subscription| matches!(one.state, SubscriptionState::Confirmed { .. });
    let subscriber = &preferences.subscriber;
    let ui = subscriber.language.unwrap_or_else(|| newsroom.site.spoken());
    let shown = |one| Shown::new(app, &newsroom, (one, subscriber), said, ui);
    let all: Vec<Shown> = preferences.subscriptions.iter().filter(is_shown).map(shown).collect();
    let own = said.filled.as_ref().filter(|filled| filled.id.is_empty());
    let faults: Vec<String> = said.faults.iter().filter(|_| own.is_some()).map(|fault| told(ui, fault)).collect();
    let path = newsroom.site.base_url.path();
    let choice = |category: &crate::domain::Category| {
        context! { slug => category.slug.as_str(), title => category.title.as_str(), language => category.language.as_str() }
    };
    let content = context! {
        action => format!("{path}subscriptions/{token}"),
        export => format!("{path}subscriptions/{token}/export.json"),
        address => subscriber.address.as_str(),
        subscriptions => Serde(&all),
        choices => newsroom.categories.iter().map(choice).collect::<Vec<_>>(),
        days => named(Weekdays::ALL.iter()),
        hours => (0..24).collect::<Vec<u8>>(),
        standard_every => app.subscriptions.standard().every.as_str(),
        standard_hour => u8::from(app.subscriptions.standard().hour),
        time_zone => own.filter(|own| own.act == "settings").map(|own| own.wish.time_zone.clone()).or_else(|| {
            subscriber.zone.as_ref().map(|zone| zone.as_str().to_owned())
        }).unwrap_or_else(|| app.subscriptions.standard().zone.as_str().to_owned()),
        languages => Serde(offers(ui, |_| String::new())),
        added => own.map(|own| own.wish.query.clone()).unwrap_or_default(),
        faults => faults,
        is_saved => said.is_saved,
        is_left => said.is_left,
        undo_days => Subscription::UNDO_WITHIN_DAYS,
    };
    own_page(app, &newsroom, (status, ui), ("preferences.html", "preferences-heading"), content)
}
