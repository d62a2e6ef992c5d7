//! `/api/v1/mail`: what became of mails, and whether they are late.

use super::App;
use super::api::{Answer, InQuery, Named, limit};
use crate::domain::{Fault, Problem};
use crate::services::numbers::{self, Asked, By};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    by: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /mail/numbers`
pub(super) async fn list(State(app): State<Arc<App>>, InQuery(query): InQuery<Wanted>) -> Answer {
    let mut faults: Vec<Fault> = Vec::new();
    let by = query.by.as_deref().map_or(Ok(By::Article), By::parse);
    let since = query.since.as_deref().map(numbers::day).transpose();
    let (by, since) = match (by, since) {
        (Ok(by), Ok(since)) => (by, since),
        (by, since) => {
            faults.extend(by.err());
            faults.extend(since.err());
            return Err(Problem::invalid(faults).into());
        }
    };
    let asked = Asked { by, since, cursor: query.cursor, limit: limit(query.limit.as_deref())? };
    Ok(Json(numbers::page(&app.store, asked, app.clock.now()).await?).into_response())
}

/// `GET /articles/{id}/mail`
pub(super) async fn article(State(app): State<Arc<App>>, Named(id): Named) -> Answer {
    let numbers = numbers::of(&app.store, &id)?;
    Ok(Json(json!({ "article": id, "mail": numbers })).into_response())
}

/// `GET /mail/status`: whether mail is late, and whether the canary is alive.
pub(super) async fn status(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(app.watchdog.seen()?).into_response())
}
