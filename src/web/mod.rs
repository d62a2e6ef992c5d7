//! The whole URL space in one table, and what its handlers share.

mod api;
mod control;
mod feeds;
mod health;
pub mod problem;
pub mod server;

use crate::domain::{Clock, Kind, Problem};
use crate::services::feeds::Feeds;
use crate::services::keys::Keys;
use crate::services::newsroom::SharedNewsroom;
use crate::services::publish::Publisher;
use crate::store::Store;
use crate::telemetry::{HTTP_REQUESTS_TOTAL, Metrics};
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use metrics::Counter;
use problem::ApiProblem;
use std::sync::Arc;

/// What handlers work with. Pages read the store; everything that changes goes through a service.
pub struct App {
    /// Read-only here.
    pub store: Arc<Store>,
    /// The way in for articles.
    pub publisher: Publisher,
    /// Who may use it.
    pub keys: Keys,
    /// Prepared feeds.
    pub feeds: Arc<Feeds>,
    /// Titles, addresses, categories as configured now.
    pub newsroom: SharedNewsroom,
    /// The time.
    pub clock: Clock,
    /// A request body may be this long.
    pub body_bytes_max: usize,
    /// What is counted of requests.
    pub counters: Counters,
    /// What is counted of everything.
    pub metrics: Metrics,
}

/// `/api/v1` below its authorisation.
fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/articles", get(api::list).post(api::create))
        .route("/articles/{id}", get(api::show).put(api::replace).delete(api::retract))
        .route("/categories", get(api::categories))
        .route("/subscriptions", get(api::subscriptions).post(api::ask))
        .fallback(async |uri: Uri| unknown(&uri))
        .method_not_allowed_fallback(async |uri: Uri| wrong_method(&uri))
}

/// What the public reaches. Feeds are not in it: the server answers them before any routing.
pub fn public(app: &Arc<App>) -> Router {
    let guarded = api().layer(from_fn_with_state(Arc::clone(app), api::authorised));
    Router::new().nest("/api/v1", guarded).with_state(Arc::clone(app))
}

/// What the admin address serves; not for the public.
pub fn admin(app: &Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async |uri: Uri| unknown(&uri))
        .with_state(Arc::clone(app))
}

/// What the socket in the store's folder serves: the API without a key, and the operator's commands.
pub fn control(app: &Arc<App>) -> Router {
    Router::new()
        .nest("/api/v1", api())
        .route("/control/keys", get(control::keys).post(control::create_key))
        .route("/control/keys/{id}", delete(control::revoke_key))
        .route("/control/check", get(control::check_store))
        .route("/control/export", get(control::export_store))
        .fallback(async |uri: Uri| unknown(&uri))
        .layer(from_fn(api::operated))
        .with_state(Arc::clone(app))
}

fn unknown(uri: &Uri) -> ApiProblem {
    ApiProblem(Problem::new(Kind::NotFound, format!("there is nothing at {}", uri.path())))
}

fn wrong_method(uri: &Uri) -> ApiProblem {
    ApiProblem(Problem::new(Kind::MethodNotAllowed, format!("{} does not take this method", uri.path())))
}

/// Counters that are looked up once, not at each request.
pub struct Counters {
    feed: [Counter; 6],
    other: [Counter; 6],
}

impl Default for Counters {
    fn default() -> Self {
        let counters = |route: &'static str| {
            ["1xx", "2xx", "3xx", "4xx", "5xx", "304"]
                .map(|status| metrics::counter!(HTTP_REQUESTS_TOTAL, "route" => route, "status" => status))
        };
        Counters { feed: counters("feed"), other: counters("other") }
    }
}

impl Counters {
    fn feed(&self, status: StatusCode) -> &Counter {
        &self.feed[slot(status)]
    }

    fn other(&self, status: StatusCode) -> &Counter {
        &self.other[slot(status)]
    }
}

/// The class of a status; `304` has one of its own, since it tells how well polling works.
fn slot(status: StatusCode) -> usize {
    match status.as_u16() {
        304 => 5,
        100..=199 => 0,
        200..=299 => 1,
        300..=399 => 2,
        400..=499 => 3,
        _ => 4,
    }
}
