//! `/api/v1/subscriptions`: what is mailed to whom, as JSON.

use super::App;
use super::api::{Answer, InQuery, bad_cursor, limit, parsed, read_json};
use super::asking::{AskedFrom, Pace, Written, language, zone};
use crate::domain::{Address, Fault, Kind, Problem, Selection, SubscriptionId};
use crate::services::subscribe::{Amendment, Asking};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Body of `POST /subscriptions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    address: String,
    /// None stands for the whole newsroom, or for `selection`.
    categories: Option<Vec<String>>,
    /// A query.
    selection: Option<String>,
    cadence: Option<Written>,
    time_zone: Option<String>,
    language: Option<String>,
    /// The reader's client, for the record of consent, where a program of the newsroom's asks for them.
    from: Option<String>,
}

/// `POST /subscriptions`: asks the owner of the address; nothing is mailed to it but that question.
pub(super) async fn ask(State(app): State<Arc<App>>, from: AskedFrom, request: Request) -> Answer {
    let body = read_json(&app, request).await?;
    let ask: Ask = parsed(&body)?;
    let address = Address::parse("address", &ask.address)?;
    let selection = match (ask.categories, ask.selection) {
        (None, None) => Selection::all(),
        (None, Some(query)) => selection(&query)?,
        (Some(_), Some(_)) => {
            return Err(Problem::field("selection", "categories as well", "one of the two").into());
        }
        (Some(slugs), None) if slugs.is_empty() => {
            return Err(Problem::field("categories", "none", "at least one, or leave the field out for all").into());
        }
        (Some(slugs), None) => app.newsroom.load().categories.any_of("categories", &slugs).map_err(Problem::invalid)?,
    };
    let reader = ask.from.as_deref().map(|text| {
        text.parse().map_err(|_| Problem::field("from", format!("\"{text}\""), "an IP address such as 203.0.113.7"))
    });
    let pace = ask.cadence.map(Pace::from).unwrap_or_default();
    let asking = Asking {
        cadence: pace.read(app.subscriptions.standard()).map_err(Problem::invalid)?,
        zone: zone(ask.time_zone.as_deref().unwrap_or_default())?,
        language: language(ask.language.as_deref().unwrap_or_default())?,
        from: reader.transpose()?.or(from.0),
        ..Asking::new(address, selection)
    };
    app.subscriptions.ask(asking).await?;
    let said =
        json!({ "detail": "the owner of the address is asked by mail; nothing else is sent until they confirm" });
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

/// What a list of subscriptions can be narrowed to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /subscriptions`
pub(super) async fn list(State(app): State<Arc<App>>, InQuery(query): InQuery<ListQuery>) -> Answer {
    let limit = limit(query.limit.as_deref())?;
    let after = match query.cursor.as_deref() {
        None => None,
        Some(text) => Some(SubscriptionId(text.parse().map_err(|_| bad_cursor(text))?)),
    };
    let found = app.subscriptions.list(after, limit)?;
    let mut answer = json!({ "subscriptions": found });
    if found.len() == limit
        && let Some(last) = found.last()
    {
        answer["next"] = last.id.to_string().into();
    }
    Ok(Json(answer).into_response())
}

/// `GET /subscriptions/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let id = subscription_id(&id)?;
    let preferences = app.subscriptions.preferences_of(id)?;
    let found = preferences.subscriptions.iter().find(|one| one.id == id);
    let found = found.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no subscription {id}")))?;
    Ok(Json(found).into_response())
}

/// Body of `PATCH /subscriptions/{id}`; what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// A query; empty for everything.
    selection: Option<String>,
    cadence: Option<Written>,
    is_paused: Option<bool>,
    /// Gives the private feed a new address.
    new_feed: Option<bool>,
}

/// `PATCH /subscriptions/{id}`
pub(super) async fn edit(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Answer {
    let id = subscription_id(&id)?;
    let edit: Edit = parsed(&read_json(&app, request).await?)?;
    let selection = edit.selection.as_deref().map(changed_to).transpose()?;
    let pace = edit.cadence.map(Pace::from).unwrap_or_default();
    let cadence = pace.read(app.subscriptions.standard()).map_err(Problem::invalid)?;
    if edit.new_feed == Some(true) {
        app.subscriptions.amend_of(id, &Amendment::NewFeed { id }).await?;
    }
    let amendment = Amendment::Edit { id, selection, cadence, is_paused: edit.is_paused };
    let preferences = app.subscriptions.amend_of(id, &amendment).await?;
    let found = preferences.subscriptions.iter().find(|one| one.id == id);
    let mut shown = json!(found);
    if let Some(found) = found {
        let address = |file: &str| format!("subscriptions/{}/{file}", app.subscriptions.feed_token(found));
        let site = &app.newsroom.load().site;
        shown["feeds"] = ["rss.xml", "atom.xml", "feed.json"].map(|file| site.address(&address(file))).to_vec().into();
    }
    Ok(Json(shown).into_response())
}

/// `DELETE /subscriptions/{id}`: ends it; its owner is told, and can take that back.
pub(super) async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let id = subscription_id(&id)?;
    app.subscriptions.amend_of(id, &Amendment::Remove { id }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /subscribers/{address}`: all that is held about it.
pub(super) async fn export(State(app): State<Arc<App>>, Path(address): Path<String>) -> Answer {
    let record = app.subscriptions.record_of(&Address::parse("address", &address)?).await?;
    Ok(Json(record).into_response())
}

/// Body of `PATCH /subscribers/{address}`; what is left out stays, and an empty text stands for the publisher's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    time_zone: Option<String>,
    language: Option<String>,
}

/// `PATCH /subscribers/{address}`
pub(super) async fn settle(State(app): State<Arc<App>>, Path(address): Path<String>, request: Request) -> Answer {
    let held = app.subscriptions.of_address(&Address::parse("address", &address)?)?.subscriber;
    let settings: Settings = parsed(&read_json(&app, request).await?)?;
    let amendment = Amendment::Settings {
        zone: settings.time_zone.map_or(Ok(held.zone), |name| zone(&name))?,
        language: settings.language.map_or(Ok(held.language), |tag| language(&tag))?,
    };
    let gone = || Problem::new(Kind::NotFound, "nothing is held about this address");
    let id = held.subscriptions.first().copied().ok_or_else(gone)?;
    Ok(Json(app.subscriptions.amend_of(id, &amendment).await?.subscriber).into_response())
}

/// `DELETE /subscribers/{address}`: erases it at once, with all that is held about it.
pub(super) async fn erase(State(app): State<Arc<App>>, Path(address): Path<String>) -> Answer {
    app.eraser.erase_address(&Address::parse("address", &address)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /subscribers/{address}/never`: it may be asked again.
pub(super) async fn allow(State(app): State<Arc<App>>, Path(address): Path<String>) -> Answer {
    app.subscriptions.allow(&Address::parse("address", &address)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn subscription_id(text: &str) -> Result<SubscriptionId, Problem> {
    let none = |_| Problem::new(Kind::NotFound, format!("there is no subscription {text}"));
    text.parse().map(SubscriptionId).map_err(none)
}

fn selection(query: &str) -> Result<Selection, Problem> {
    Ok(Selection::parse(query).map_err(|fault| Fault { field: "selection".to_owned(), ..Fault::from(fault) })?)
}

/// Empty for everything.
fn changed_to(query: &str) -> Result<Selection, Problem> {
    if query.trim().is_empty() { Ok(Selection::all()) } else { selection(query) }
}
