//! `/api/v1`: articles as JSON, for the newsroom's programs and the command line.

use super::App;
use super::body::{is_of, read_body};
use super::condition::{has, if_match};
use super::problem::ApiProblem;
use crate::domain::{Article, ArticleId, Kind, Labels, Problem, Site, State as ArticleState, Term};
use crate::services::publish::{Idempotency, Outcome, Wanted};
use crate::store::{Order, Place};
use crate::wire::source::{Door, from_json, json_problem};
use aws_lc_rs::digest::{Context, SHA256, digest};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

pub(super) type Answer = Result<Response, ApiProblem>;

/// Who is asking. Idempotency keys of one caller mean nothing to another.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Whoever may open the control socket.
    Operator,
    /// The holder of the API key with this id.
    Key(String),
}

/// Lets a request through with a valid `Authorization: Bearer …`.
pub(super) async fn authorised(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Answer {
    let refused = |detail: &str| Problem::new(Kind::Unauthorized, detail);
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .ok_or_else(|| refused("this address wants `Authorization: Bearer` with an API key (tidings keys create)"))?;
    let id = app.keys.verify(key).ok_or_else(|| refused("the API key is unknown or has been revoked"))?;
    request.extensions_mut().insert(Caller::Key(id));
    Ok(next.run(request).await)
}

/// Lets every request through as the operator's.
pub(super) async fn operated(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller::Operator);
    next.run(request).await
}

/// The article that the path names.
pub(super) struct Named(pub(super) ArticleId);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiProblem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let Path(id) = path.map_err(|error| Problem::field("id", error.body_text(), "percent-encoded UTF-8"))?;
        Ok(Named(ArticleId::parse("id", &id)?))
    }
}

/// What stands behind the question mark, as what is expected there. Errors: [`Kind::Malformed`].
pub(super) struct InQuery<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for InQuery<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiProblem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        let Query(asked) = query.map_err(|error| Problem::new(Kind::Malformed, error.body_text()))?;
        Ok(InQuery(asked))
    }
}

/// `POST /articles`
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Answer {
    let caller = request.extensions().get::<Caller>().cloned();
    let key = idempotency_key(request.headers())?;
    let body = read_json(&app, request).await?;
    let draft = with_door(&app, |door| from_json(&body, door))?;
    let retry = match (key, caller) {
        (Some(key), Some(caller)) => Some(idempotency(&caller, &key, &body)),
        (Some(_), None) | (None, _) => None,
    };
    let view = |article: &Article, outcome| {
        let status = match outcome {
            Outcome::Created => StatusCode::CREATED,
            Outcome::Revised | Outcome::Unchanged => StatusCode::OK,
        };
        one(&app, article, status)
    };
    let wanted = Wanted::Push { draft: &draft, retry: retry.as_ref() };
    Ok(app.publisher.write_and_view(wanted, view).await?)
}

/// `GET /articles/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Named(id): Named, headers: HeaderMap) -> Answer {
    let article = app.store.article(&id)?.ok_or_else(|| Problem::no_article(&id))?;
    let tag = revision_tag(&article.record);
    if has(&headers, tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(one(&app, &article.record, StatusCode::OK))
}

/// `PUT /articles/{id}`
pub(super) async fn replace(State(app): State<Arc<App>>, Named(id): Named, request: Request) -> Answer {
    let seen = if_match(request.headers())?;
    let body = read_json(&app, request).await?;
    let draft = with_door(&app, |door| from_json(&body, door))?;
    let wanted = Wanted::Revise { id: &id, draft: &draft, seen: seen.as_deref() };
    Ok(app.publisher.write_and_view(wanted, |article, _| one(&app, article, StatusCode::OK)).await?)
}

/// `DELETE /articles/{id}`
pub(super) async fn retract(State(app): State<Arc<App>>, Named(id): Named, headers: HeaderMap) -> Answer {
    let seen = if_match(&headers)?;
    let wanted = Wanted::Retract { id: &id, seen: seen.as_deref() };
    Ok(app.publisher.write_and_view(wanted, |article, _| one(&app, article, StatusCode::OK)).await?)
}

/// What a list can be narrowed to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    category: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /articles`
pub(super) async fn list(State(app): State<Arc<App>>, InQuery(query): InQuery<ListQuery>) -> Answer {
    /// Pages read for one answer where most articles are filtered out; the cursor then goes on from there.
    const PAGES_MAX: usize = 20;
    let category = query.category.as_deref().map(|text| category(&app, text)).transpose()?;
    let state = query.state.as_deref().map(article_state).transpose()?;
    let limit = limit(query.limit.as_deref())?;
    let mut after = query.cursor.as_deref().map(cursor).transpose()?;
    let found = app
        .store
        .scan(move |store| {
            let order = match (&category, state) {
                (Some(term), Some(ArticleState::Published)) => Order::Term(term),
                (None, Some(ArticleState::Published)) => Order::Public,
                (Some(_) | None, _) => Order::All,
            };
            let fits = |article: &Article| {
                state.is_none_or(|state| article.state == state)
                    && category.as_ref().is_none_or(|term| Labels::of(&article.content).has(term))
            };
            let mut found = Vec::new();
            for _ in 0..PAGES_MAX {
                let page = store.articles(order, after.as_ref(), limit - found.len())?;
                found.extend(page.articles.into_iter().filter(|article| fits(article)));
                after = page.next;
                if found.len() >= limit || after.is_none() {
                    break;
                }
            }
            Ok((found, after))
        })
        .await?;
    let newsroom = app.newsroom.load();
    let articles = found.0.iter().map(|article| Shown::new(article, &newsroom.site)).collect();
    Ok(Json(List { articles, next: found.1.map(|next| next.to_string()) }).into_response())
}

#[derive(Serialize)]
struct List<'a> {
    articles: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `GET /categories`
pub(super) async fn categories(State(app): State<Arc<App>>) -> Response {
    let newsroom = app.newsroom.load();
    let shown = newsroom.categories.iter().map(|category| {
        json!({
            "slug": category.slug,
            "title": category.title,
            "description": category.description,
            "language": category.language,
            "page": newsroom.site.category_page(Some(&category.slug)),
            "feed": newsroom.site.feed(Some(&category.slug), "atom.xml"),
        })
    });
    Json(json!({ "categories": shown.collect::<Vec<_>>() })).into_response()
}

/// `GET /feeds/refused`: what did not pass the checks of the feeds that are asked for, and why.
pub(super) async fn refused_feeds(State(app): State<Arc<App>>) -> Response {
    Json(json!({ "refused": app.feeds.refused() })).into_response()
}

fn one(app: &App, article: &Article, status: StatusCode) -> Response {
    let shown = Shown::new(article, &app.newsroom.load().site);
    let location = shown.links.own.clone();
    let mut response = (status, Json(shown)).into_response();
    response.headers_mut().insert(header::ETAG, revision_tag(article));
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::try_from(location)
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// An article as the API shows it: all its fields, and where it is to be found.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    article: &'a Article,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    own: String,
    page: String,
    print: String,
}

impl<'a> Shown<'a> {
    fn new(article: &'a Article, site: &Site) -> Self {
        let links = Links {
            own: site.api_article(&article.id),
            page: site.article_page(article),
            print: site.print_page(&article.id),
        };
        Shown { article, links }
    }
}

fn revision_tag(article: &Article) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", article.revision)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The body of a request that says it is JSON, up to the limit.
pub(super) async fn read_json(app: &App, request: Request) -> Result<Bytes, Problem> {
    if !is_of(request.headers(), "application/json") {
        let found = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let detail = format!("`Content-Type`: found {found}, expected application/json");
        return Err(Problem::new(Kind::UnsupportedMedia, detail));
    }
    let (parts, body) = request.into_parts();
    read_body(&parts.headers, body, app.body_bytes_max).await
}

/// A body as what is expected. Errors: [`Kind::Malformed`] for what is no JSON, else [`Kind::Invalid`] with the field.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| json_problem(body, &error))
}

fn with_door<T>(app: &App, read: impl FnOnce(&Door<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let newsroom = app.newsroom.load();
    read(&Door { categories: &newsroom.categories, site: &newsroom.site })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    /// A UUID has 36; some systems send a digest or an address.
    const CHARS_MAX: usize = 255;
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(text) if (1..=CHARS_MAX).contains(&text.trim().len()) => Ok(Some(text.trim().to_owned())),
        Ok(_) | Err(_) => {
            let found = format!("{} bytes", value.len());
            Err(Problem::field("Idempotency-Key", found, format!("1 to {CHARS_MAX} printable ASCII characters")))
        }
    }
}

fn idempotency(caller: &Caller, key: &str, body: &[u8]) -> Idempotency {
    let who = match caller {
        Caller::Operator => "operator",
        Caller::Key(id) => id,
    };
    let mut name = Context::new(&SHA256);
    name.update(who.as_bytes());
    name.update(b"\0");
    name.update(key.as_bytes());
    Idempotency { digest: sha256(name.finish().as_ref()), request: sha256(digest(&SHA256, body).as_ref()) }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("SHA-256 has 32 bytes")
}

fn category(app: &App, text: &str) -> Result<Term, Problem> {
    Ok(Term::Category(app.newsroom.load().categories.find("category", text)?.slug.clone()))
}

fn article_state(text: &str) -> Result<ArticleState, Problem> {
    let all = [ArticleState::Draft, ArticleState::Scheduled, ArticleState::Published, ArticleState::Retracted];
    all.into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| Problem::field("state", text, "draft, scheduled, published or retracted"))
}

/// Rows of a list where the caller does not say.
pub(crate) const ROWS: u16 = 50;
/// Rows of a list at most.
pub(crate) const ROWS_MAX: u16 = 200;

pub(super) fn limit(text: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(ROWS.into()) };
    let number = text.parse().ok().filter(|number| (1..=ROWS_MAX).contains(number));
    number.map(usize::from).ok_or_else(|| Problem::field("limit", text, format!("a number from 1 to {ROWS_MAX}")))
}

pub(super) fn cursor(text: &str) -> Result<Place, Problem> {
    Place::parse(text).ok_or_else(|| bad_cursor(text))
}

pub(super) fn bad_cursor(text: &str) -> Problem {
    Problem::field("cursor", text, "the `next` of the page before")
}
