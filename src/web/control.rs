//! `/control`, on the socket in the store's folder alone: what the operator's commands ask of the running daemon.

use super::App;
use super::api::{Answer, InQuery, ROWS_MAX, bad_cursor, cursor, parsed, read_json};
use super::asking::language;
use super::pages::public_article;
use super::preview;
use crate::domain::{Address, Kind, MailKind, Problem};
use crate::services::mailer::Wish;
use crate::services::quarantine::Owed;
use crate::store::{Place, Store, check, export};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// What a command sends.
async fn read<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    parsed(&read_json(app, request).await?)
}

/// `GET /control/keys`
pub(super) async fn keys(State(app): State<Arc<App>>) -> Answer {
    let keys = app.keys.list()?;
    let shown = keys.iter().map(|key| json!({ "id": key.id, "name": key.name, "created_at": key.created_at }));
    Ok(Json(json!({ "keys": shown.collect::<Vec<_>>() })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
}

/// `POST /control/keys`
pub(super) async fn create_key(State(app): State<Arc<App>>, request: Request) -> Answer {
    let new: NewKey = read(&app, request).await?;
    let (record, key) = app.keys.create(&new.name).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": record.id, "name": record.name, "key": key }))).into_response())
}

/// `DELETE /control/keys/{id}`
pub(super) async fn revoke_key(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    app.keys.revoke(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /control/flood/accept`
pub(super) async fn accept_flood(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(json!({ "until": app.publisher.accept_flood() })).into_response())
}

/// Reads of the whole store at a time. Each takes a blocking thread of the operator's runtime for minutes, and an export
/// for as long as its reader likes; that has four, and mails, digests and the other commands need some of them.
pub(super) const LONG_READS_MAX: usize = 2;

/// A place among them, to be held until the read has ended. Errors: [`Kind::Unavailable`] if there is none.
fn long_read(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    let taken = |_| {
        let detail = format!(
            "{LONG_READS_MAX} checks or exports of the store are under way, and more at a time would hold up the daemon's \
             work; please try again when one of them has ended"
        );
        Problem::new(Kind::Unavailable, detail)
    };
    Arc::clone(&app.long_reads).try_acquire_owned().map_err(taken)
}

/// `GET /control/check`
pub(super) async fn check_store(State(app): State<Arc<App>>) -> Answer {
    let place = long_read(&app)?;
    let read = move |store: &Store| {
        let report = check(store);
        drop(place);
        Ok(report)
    };
    let report = app.store.scan(read).await?;
    let mut shown = json!(report);
    shown["ok"] = report.is_clean().into();
    Ok(Json(shown).into_response())
}

/// `GET /control/quarantine`
pub(super) async fn quarantine(State(app): State<Arc<App>>) -> Answer {
    let held = app.quarantine.held().await?;
    let shown = held.map(|held| json!({ "since": held.since, "waiting": held.waiting, "doubtful": held.doubtful }));
    Ok(Json(json!({ "held": shown })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    drop: bool,
}

/// `POST /control/quarantine/release`
pub(super) async fn release(State(app): State<Arc<App>>, request: Request) -> Answer {
    let release: Release = read(&app, request).await?;
    let owed = if release.drop { Owed::Drop } else { Owed::Send };
    Ok(Json(json!({ "closed": app.quarantine.release(owed).await? })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoubtfulQuery {
    cursor: Option<String>,
}

/// `GET /control/mail/doubtful`: [`ROWS_MAX`] at a time, the oldest first.
pub(super) async fn doubtful(State(app): State<Arc<App>>, InQuery(query): InQuery<DoubtfulQuery>) -> Answer {
    let place = |text: &str| cursor(text)?.message().ok_or_else(|| bad_cursor(text));
    let after = query.cursor.as_deref().map(place).transpose()?;
    let messages = app.mailer.doubtful(after, ROWS_MAX.into())?;
    let full = messages.last().filter(|_| messages.len() == usize::from(ROWS_MAX));
    let next = full.map(|last| Place::of_message(last.since, &last.key).to_string());
    let shown = messages.iter().map(|message| {
        json!({
            "address": message.address.as_ref().map_or("", Address::as_str),
            "article": message.about,
            "since": message.since,
        })
    });
    Ok(Json(json!({ "messages": shown.collect::<Vec<_>>(), "next": next })).into_response())
}

/// `POST /control/mail/doubtful/resend`
pub(super) async fn resend_doubtful(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(json!({ "messages": app.mailer.resend_doubtful().await? })).into_response())
}

/// `POST /control/mail/doubtful/drop`
pub(super) async fn drop_doubtful(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(json!({ "messages": app.mailer.drop_doubtful().await? })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview {
    article: Option<String>,
}

/// `POST /control/mail/preview`
pub(super) async fn preview_mail(State(app): State<Arc<App>>, request: Request) -> Answer {
    let preview: Preview = read(&app, request).await?;
    let article = preview.article.map(|id| public_article(&app.store, &id)).transpose()?;
    // The page would tell as well; who has just changed a template may not open it.
    app.mailer.tried_templates().await?;
    let (address, until) = preview::address(&app, article.as_ref().map(|article| &article.id));
    Ok(Json(json!({ "address": address, "until": until })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    to: String,
    kind: String,
    language: Option<String>,
    article: Option<String>,
}

/// `POST /control/mail/test`
pub(super) async fn test_mail(State(app): State<Arc<App>>, request: Request) -> Answer {
    let test: Test = read(&app, request).await?;
    let to = Address::parse("to", &test.to)?;
    let kind = MailKind::parse("kind", &test.kind)?;
    let language = language(test.language.as_deref().unwrap_or_default())?;
    let article = test.article.map(|id| public_article(&app.store, &id)).transpose()?;
    let language = language.unwrap_or_else(|| app.newsroom.load().site.spoken());
    let wish = Wish { kind, language, article: article.as_ref().map(|article| &article.id) };
    app.mailer.send_test(to, &wish).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "kind": kind.word(), "language": language.tag() }))).into_response())
}

/// Pieces of an export that wait for the socket; the export waits when it is ahead.
const PIECES_MAX: usize = 16;
/// Lines are gathered to pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// `GET /control/export`: JSON Lines. An export that fails breaks the connection off, so that nobody takes a part of
/// it for the whole.
pub(super) async fn export_store(State(app): State<Arc<App>>) -> Answer {
    let place = long_read(&app)?;
    let (pieces, body) = Channel::<Bytes, io::Error>::new(PIECES_MAX);
    let store = Arc::clone(&app.store);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces { pieces, runtime });
        let written = export(&store, &mut out).map_err(io::Error::other).and_then(|_| out.flush());
        if let Err(error) = written {
            tracing::error!(%error, "an export broke off: {error}");
            let (Pieces { pieces, .. }, _) = out.into_parts();
            pieces.abort(error);
        }
        drop(place);
    });
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], Body::new(body)).into_response())
}

/// Writes into a body that is being sent.
struct Pieces {
    pieces: Sender<Bytes, io::Error>,
    runtime: Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        let sent = self.runtime.block_on(self.pieces.send_data(piece));
        sent.map(|()| bytes.len()).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has left"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
