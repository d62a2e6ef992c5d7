//! `/api/v1/articles/{id}/corrections`: telling once more those who were told something else.

use super::App;
use super::api::{Answer, Named, parsed, read_json};
use crate::domain::Problem;
use crate::services::corrections::{Asked, note};
use crate::store::{Correction, Revisions};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Body of `POST /articles/{id}/corrections`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Only who was told of this revision, or of one of these.
    revision: Option<Which>,
    note: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "`revision`: expected a number, or {\"from\": 1, \"to\": 2}")]
enum Which {
    One(u32),
    Range { from: u32, to: u32 },
}

impl From<Which> for Revisions {
    fn from(which: Which) -> Self {
        match which {
            Which::One(revision) => Revisions { from: revision, to: revision },
            Which::Range { from, to } => Revisions { from, to },
        }
    }
}

/// `POST /articles/{id}/corrections`: `202` once it is asked for, `200` where nobody is owed one or `dry_run` only counts.
pub(super) async fn ask(State(app): State<Arc<App>>, Named(id): Named, request: Request) -> Answer {
    let body: Body = parsed(&read_json(&app, request).await?)?;
    let note = body.note.as_deref().map(note).transpose().map_err(Problem::from)?.flatten();
    let asked = Asked { of: body.revision.map(Revisions::from), note };
    let answer = match body.dry_run {
        true => app.corrections.count(&id, &asked).await?,
        false => app.corrections.ask(&id, &asked).await?,
    };
    let is_asked = !body.dry_run && answer.recipients > 0;
    let said = json!({
        "article": id,
        "revision": answer.revision,
        "recipients": answer.recipients,
        "dry_run": body.dry_run,
        "correction": answer.correction.as_ref().map(shown),
    });
    Ok((if is_asked { StatusCode::ACCEPTED } else { StatusCode::OK }, Json(said)).into_response())
}

/// `GET /articles/{id}/corrections`
pub(super) async fn list(State(app): State<Arc<App>>, Named(id): Named) -> Answer {
    let corrections: Vec<Value> = app.corrections.of(&id)?.iter().map(shown).collect();
    Ok(Json(json!({ "article": id, "corrections": corrections })).into_response())
}

fn shown(correction: &Correction) -> Value {
    let Correction { revision, note, of, asked_at, owed, ended_at, .. } = correction;
    json!({
        "revision": revision,
        "note": note,
        "of": of,
        "asked_at": asked_at,
        "mails": owed,
        "ended_at": ended_at,
    })
}
