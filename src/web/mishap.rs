//! The page that a [`Problem`] becomes, and what is said beside a field of a form: in the reader's language.

use super::App;
use super::asking::{preferred, spoken_to};
use super::frame::{Head, nothing_here, page, private, say};
use super::problem::{public, status};
use crate::domain::{Fault, Kind, Language, Problem, Reason, Subscriber};
use crate::wire::locale::{Arg, Catalogue};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use minijinja::context;
use std::sync::Arc;

/// A busy server is asked again after this long, in seconds.
const RETRY_S: HeaderValue = HeaderValue::from_static("30");

/// A handler of pages fails with this. [`dress`] makes a page of it; without that layer it stays a line of text.
#[derive(Debug)]
pub(super) struct PageProblem(pub Problem);

impl<P: Into<Problem>> From<P> for PageProblem {
    fn from(problem: P) -> Self {
        PageProblem(problem.into())
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        let problem = public(self.0);
        let mut response = (status(problem.kind), format!("{problem}\n")).into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

/// The handler of addresses that nothing else answers.
pub(super) async fn no_such_page() -> PageProblem {
    PageProblem(nothing_here())
}

/// The handler of methods that a known address does not take.
pub(super) async fn wrong_method() -> PageProblem {
    PageProblem(Problem::new(Kind::MethodNotAllowed, "this address does not take that method"))
}

/// The layer that turns each [`PageProblem`] into a page in the newsroom's frame. Every other answer passes unchanged,
/// so it may lie over the whole router.
pub(super) async fn dress(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Kept from the request only where the page may go by it: public ones speak the newsroom's language.
    let path = request.uri().path();
    let token = path.strip_prefix("/subscriptions/").and_then(|rest| rest.split('/').next()).map(str::to_owned);
    let wanted = if path == "/subscribe" { preferred(request.headers()) } else { None };
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let newsroom = app.newsroom.load();
    let ui = match token {
        Some(token) => spoken_to(&app, &token).unwrap_or_else(|_| newsroom.site.spoken()),
        None => wanted.unwrap_or_else(|| newsroom.site.spoken()),
    };
    let heading = say(ui, heading(problem.kind));
    let faults: Vec<String> = problem.faults.iter().map(|fault| told(ui, fault)).collect();
    let content = context! {
        heading => heading.as_str(),
        detail => faults.first().cloned().unwrap_or_else(|| say(ui, detail(&problem))),
        faults => if faults.len() > 1 { faults } else { Vec::new() },
        with_sections => problem.kind == Kind::NotFound,
    };
    let mut dressed = match page(&app, &newsroom, "problem.html", Head::own(&heading, ui), content) {
        Ok(html) => private(response.status(), html),
        Err(fault) => {
            tracing::error!(error = %fault.detail, "the page of a problem failed: {}", fault.detail);
            return response;
        }
    };
    if dressed.status() == StatusCode::SERVICE_UNAVAILABLE || dressed.status() == StatusCode::TOO_MANY_REQUESTS {
        dressed.headers_mut().insert(RETRY_AFTER, RETRY_S);
    }
    if let Some(allowed) = response.headers_mut().remove(ALLOW) {
        dressed.headers_mut().insert(ALLOW, allowed);
    }
    dressed
}

/// The message of the heading.
fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound => "heading-not-found",
        Kind::Gone => "heading-gone",
        Kind::Unauthorized | Kind::Forbidden => "heading-not-allowed",
        Kind::TooLarge => "heading-too-large",
        Kind::TooMany => "heading-too-many",
        Kind::Unavailable => "heading-not-now",
        Kind::Internal => "heading-broken",
        Kind::Malformed
        | Kind::MethodNotAllowed
        | Kind::Conflict
        | Kind::Stale
        | Kind::UnsupportedMedia
        | Kind::Invalid => "heading-failed",
    }
}

/// The message that says more.
fn detail(problem: &Problem) -> &'static str {
    match (problem.reason, problem.kind) {
        (Some(Reason::NoArticle), _) => "problem-no-article",
        (Some(Reason::Withdrawn), _) => "problem-withdrawn",
        (Some(Reason::LinkUnknown), _) => "problem-link-unknown",
        (Some(Reason::LinkNewer), _) => "problem-link-newer",
        (Some(Reason::LinkLapsed), _) => "problem-link-lapsed",
        (Some(Reason::LinkEnded), _) => "problem-link-ended",
        (Some(Reason::LinkAnew), _) => "problem-link-anew",
        (Some(Reason::NoButton), _) => "problem-press-button",
        (None, Kind::NotFound) => "problem-not-found",
        (None, Kind::Gone) => "problem-gone",
        (None, Kind::Unauthorized | Kind::Forbidden) => "problem-not-allowed",
        (None, Kind::TooLarge) => "problem-too-large",
        (None, Kind::TooMany) => "problem-too-many",
        (None, Kind::Unavailable) => "problem-not-now",
        (None, Kind::Internal) => "problem-broken",
        (None, Kind::MethodNotAllowed) => "problem-method",
        (None, Kind::Malformed | Kind::Conflict | Kind::Stale | Kind::UnsupportedMedia | Kind::Invalid) => {
            "problem-failed"
        }
    }
}

/// A fault as a sentence beside its field.
pub(super) fn told(language: Language, fault: &Fault) -> String {
    let catalogue = Catalogue::of(language);
    // Each language has quotation marks of its own.
    let found = ("found", Arg::Text(fault.found.trim_matches('"')));
    let is_missing = matches!(fault.found.as_str(), "\"\"" | "nothing");
    match fault.field.as_str() {
        "address" if is_missing => catalogue.text("fault-address-missing", &[]),
        "address" => catalogue.text("fault-address", &[found]),
        "category" if is_missing => catalogue.text("fault-what", &[]),
        "category" | "categories" => catalogue.text("fault-category", &[found]),
        "q" | "query" => {
            let at = fault.found.rsplit(' ').next().unwrap_or_default();
            catalogue.text("fault-query", &[("at", Arg::Text(at))])
        }
        "cadence" => catalogue.text("fault-cadence", &[]),
        "hour" => catalogue.text("fault-hour", &[]),
        "days" => catalogue.text("fault-days", &[]),
        "time_zone" => catalogue.text("fault-time-zone", &[found]),
        "language" => catalogue.text("fault-language", &[]),
        "sure" => catalogue.text("fault-sure", &[]),
        "id" | "act" => catalogue.text("fault-button", &[]),
        "selection" => {
            let count = Arg::Number(Subscriber::SUBSCRIPTIONS_MAX as f64);
            catalogue.text("fault-too-many", &[("count", count)])
        }
        _ => catalogue.text("fault-other", &[found]),
    }
}
