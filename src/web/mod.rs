//! The whole URL space in one table, and what its handlers share.

mod alike;
mod api;
mod api_corrections;
mod api_numbers;
mod api_subscriptions;
mod asking;
mod awake;
mod body;
mod condition;
mod control;
mod counters;
mod direct;
mod discovery;
mod feeds;
mod frame;
mod health;
mod linked;
mod mishap;
mod pages;
mod preferences;
mod preview;
mod print;
mod private;
mod problem;
mod proof;
mod selections;
pub mod server;
mod subscribe;
mod subscribe_form;
mod templates;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use api::{ROWS, ROWS_MAX};
pub use counters::Counters;
pub use templates::Templates;

use crate::config::{Mail, Server, Subscriptions as Standard};
use crate::domain::{Clock, Kind, Problem};
use crate::services::Lead;
use crate::services::corrections::Corrections;
use crate::services::erase::Eraser;
use crate::services::feeds::Feeds;
use crate::services::keys::Keys;
use crate::services::mailer::Mailer;
use crate::services::newsroom::SharedNewsroom;
use crate::services::publish::Publisher;
use crate::services::quarantine::Quarantine;
use crate::services::subscribe::Subscriptions;
use crate::services::watchdog::Watchdog;
use crate::store::Store;
use crate::telemetry::Metrics;
use axum::Router;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, post};
use problem::ApiProblem;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// What handlers work with. Pages read the store; everything that changes goes through a service.
pub struct App {
    /// Read-only here.
    pub store: Arc<Store>,
    /// The way in for articles.
    pub publisher: Publisher,
    /// Who may use it.
    pub keys: Keys,
    /// Mail is asked for, confirmed and left through it.
    pub subscriptions: Arc<Subscriptions>,
    /// Ends all that is known of an address.
    pub eraser: Arc<Eraser>,
    /// For the operator's decisions on doubtful messages.
    pub mailer: Arc<Mailer>,
    /// Wakes it.
    pub mail_hint: Arc<Notify>,
    /// How far notices are ahead of the mailer.
    pub mail_lead: Arc<Lead>,
    /// Tells once more those who were told something else.
    pub corrections: Arc<Corrections>,
    /// Whether mail is late, and arrives.
    pub watchdog: Arc<Watchdog>,
    /// Whether mail may leave.
    pub quarantine: Quarantine,
    /// Prepared feeds.
    pub feeds: Arc<Feeds>,
    /// Challenges of the form.
    proofs: proof::Proofs,
    /// With clients that poll in a loop.
    patience: feeds::Patience,
    /// Proxies that are believed who they ask for.
    proxies: Vec<IpAddr>,
    /// Titles, addresses, categories as configured now.
    pub newsroom: SharedNewsroom,
    /// Pages to be filled in.
    pub templates: Templates,
    /// The time.
    pub clock: Clock,
    /// A request body may be this long.
    pub body_bytes_max: usize,
    /// What is counted of requests.
    pub counters: Counters,
    /// Requests that change something, at this moment.
    changes: awake::Changes,
    /// Places for commands that read the whole store.
    long_reads: Arc<Semaphore>,
    /// What is counted of everything.
    pub metrics: Metrics,
}

impl App {
    /// Everything that serves the newsroom in `store`, with mail as `mail` and `standard` say. Nothing of it runs yet.
    ///
    /// Errors: the certificates for mail or the API keys cannot be read.
    pub fn new(
        store: Arc<Store>,
        newsroom: SharedNewsroom,
        clock: Clock,
        mail: &Mail,
        standard: &Standard,
        server: &Server,
        flood_max: usize,
    ) -> Result<Self, Problem> {
        let internal = |error: &dyn std::fmt::Display| Problem::new(Kind::Internal, error.to_string());
        // First of all: what is looked up before counts nothing.
        let metrics = Metrics::start().map_err(|error| internal(&error))?;
        // Rung when there is mail to send. Carries no data: the ledger is the truth.
        let mail_hint = Arc::new(Notify::new());
        let (hint, mail_lead) = (Arc::clone(&mail_hint), Arc::<Lead>::default());
        let (rows, names, budget) = (Arc::clone(&store), Arc::clone(&newsroom), mail.confirmations_per_hour_max);
        Ok(App {
            publisher: Publisher::new(Arc::clone(&store), clock.clone(), flood_max),
            keys: Keys::new(Arc::clone(&store), clock.clone())?,
            subscriptions: Arc::new(Subscriptions::new(
                rows,
                clock.clone(),
                names,
                standard.clone(),
                budget,
                Arc::clone(&hint),
            )),
            mailer: Mailer::new(
                Arc::clone(&store),
                clock.clone(),
                Arc::clone(&newsroom),
                mail.clone(),
                standard.clone(),
                hint,
                Arc::clone(&mail_lead),
            )?,
            proofs: proof::Proofs::new(&store.identity().secret, clock.clone()),
            eraser: Arc::new(Eraser::new(Arc::clone(&store), clock.clone(), mail.outbox.clone())),
            quarantine: Quarantine::new(Arc::clone(&store), clock.clone(), Arc::clone(&mail_hint)),
            watchdog: Arc::new(Watchdog::new(
                Arc::clone(&store),
                clock.clone(),
                mail.watchdog.clone(),
                mail.canary.clone(),
                Arc::clone(&mail_hint),
            )),
            corrections: Arc::new(Corrections::new(
                Arc::clone(&store),
                clock.clone(),
                mail.article_age_max,
                mail.text,
                Arc::clone(&mail_hint),
            )),
            mail_hint,
            mail_lead,
            feeds: Arc::new(Feeds::new(
                Arc::clone(&store),
                Arc::clone(&newsroom),
                clock.clone(),
                server.feeds_bytes_max,
            )),
            templates: Templates::new().map_err(|error| internal(&error))?,
            counters: Counters::default(),
            changes: awake::Changes::default(),
            long_reads: Arc::new(Semaphore::new(control::LONG_READS_MAX)),
            metrics,
            newsroom,
            clock,
            body_bytes_max: server.body_bytes_max,
            proxies: server.proxies.clone(),
            patience: feeds::Patience::default(),
            store,
        })
    }
}

/// What the addresses of [`api`] begin with.
const API: &str = "/api/v1";

/// `/api/v1` below its authorisation. By whole paths: below a nested router each request's address is parsed once more.
fn api() -> Router<Arc<App>> {
    use api_subscriptions as held;
    let at = |path: &str| format!("{API}{path}");
    let nothing = || any(async |uri: Uri| unknown(uri.path()));
    Router::new()
        .route(&at("/articles"), get(api::list).post(api::create))
        .route(&at("/articles/{id}"), get(api::show).put(api::replace).delete(api::retract))
        .route(&at("/articles/{id}/corrections"), get(api_corrections::list).post(api_corrections::ask))
        .route(&at("/articles/{id}/mail"), get(api_numbers::article))
        .route(&at("/mail/numbers"), get(api_numbers::list))
        .route(&at("/mail/status"), get(api_numbers::status))
        .route(&at("/categories"), get(api::categories))
        .route(&at("/feeds/refused"), get(api::refused_feeds))
        .route(&at("/subscriptions"), get(held::list).post(held::ask))
        .route(&at("/subscriptions/{id}"), get(held::show).patch(held::edit).delete(held::remove))
        .route(&at("/subscribers/{address}"), get(held::export).patch(held::settle).delete(held::erase))
        .route(&at("/subscribers/{address}/never"), delete(held::allow))
        .route(API, nothing())
        .route(&at("/"), nothing())
        .route(&at("/{*rest}"), nothing())
        .method_not_allowed_fallback(async |uri: Uri| wrong_method(uri.path()))
}

/// The pages.
fn pages(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(pages::home))
        .route("/{category}", get(selections::category))
        .route("/{category}/", get(selections::category_slash))
        .route("/tags/{tag}", get(selections::tag))
        .route("/authors/{author}", get(selections::author))
        .route("/languages/{language}", get(selections::language))
        .route("/search", get(selections::search))
        .route("/articles/{id}", get(pages::article_by_id))
        .route("/articles/{id}/print", get(print::print))
        .route("/articles/{id}/{slug}", get(pages::article))
        .route("/subscribe", get(subscribe::form).post(subscribe::ask))
        .route("/subscriptions/{token}", get(subscribe::subscription).post(subscribe::act))
        .route("/subscriptions/{token}/export.json", get(preferences::export))
        .route("/subscriptions/{token}/{file}", get(private::feed))
        .route("/preview/{pass}", get(preview::page))
        .route("/preview/{pass}/{kind}/{language}", get(preview::part))
        .route("/opml.xml", get(discovery::opml))
        .route("/robots.txt", get(discovery::robots))
        .route("/sitemap.xml", get(discovery::index))
        .route("/sitemaps/{name}", get(discovery::part))
        .route("/news-sitemap.xml", get(discovery::news))
        .route("/assets/site.css", get(pages::style))
        .route("/assets/feed.js", get(selections::script))
        .route("/assets/subscribe.js", get(subscribe::script))
        .route("/assets/confirm.js", get(subscribe::confirm_script))
        .fallback(mishap::no_such_page)
        .method_not_allowed_fallback(mishap::wrong_method)
        .layer(from_fn_with_state(Arc::clone(app), mishap::dress))
}

/// What the public reaches. The feeds, `rss.xml`, `atom.xml` and `feed.json` below the folder of each selection, are not
/// in it: [`server`] answers them before any routing. [`crate::services::feeds::Name`] reads their addresses.
pub fn public(app: &Arc<App>) -> Router {
    let guarded = api().layer(from_fn_with_state(Arc::clone(app), api::authorised));
    guarded.merge(pages(app)).with_state(Arc::clone(app))
}

/// What the admin address serves; not for the public.
pub fn admin(app: &Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async |uri: Uri| unknown(uri.path()))
        .with_state(Arc::clone(app))
}

/// What the socket in the store's folder serves: the API without a key, and the operator's commands.
pub fn control(app: &Arc<App>) -> Router {
    api()
        .route("/control/keys", get(control::keys).post(control::create_key))
        .route("/control/keys/{id}", delete(control::revoke_key))
        .route("/control/check", get(control::check_store))
        .route("/control/flood/accept", post(control::accept_flood))
        .route("/control/quarantine", get(control::quarantine))
        .route("/control/quarantine/release", post(control::release))
        .route("/control/export", get(control::export_store))
        .route("/control/mail/preview", post(control::preview_mail))
        .route("/control/mail/test", post(control::test_mail))
        .route("/control/mail/doubtful", get(control::doubtful))
        .route("/control/mail/doubtful/resend", post(control::resend_doubtful))
        .route("/control/mail/doubtful/drop", post(control::drop_doubtful))
        .fallback(async |uri: Uri| unknown(uri.path()))
        .layer(from_fn(api::operated))
        .with_state(Arc::clone(app))
}

fn unknown(path: &str) -> ApiProblem {
    ApiProblem(Problem::new(Kind::NotFound, format!("there is nothing at {path}")))
}

fn wrong_method(path: &str) -> ApiProblem {
    ApiProblem(Problem::new(Kind::MethodNotAllowed, format!("{path} does not take this method")))
}

/// For [`crate::fuzzing`] alone. Breaks off if the two ways in read `bytes` otherwise.
#[doc(hidden)]
pub fn request_is_read_alike(bytes: &[u8]) {
    alike::request(bytes);
}
