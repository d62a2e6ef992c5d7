//! What all pages share: the frame around them (masthead, sections, feeds), and the headers that go with them. The page
//! that a [`Problem`] becomes is in [`super::mishap`].

use super::App;
use super::condition::has;
use super::templates::digest;
use super::view::{FeedLink, Followed, Link, direction, feeds};
use crate::domain::{Category, Kind, Language, Problem, Selection};
use crate::services::newsroom::Newsroom;
use crate::wire::locale::Catalogue;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

/// No script runs on any page, whatever got into an article; pictures and sound may come from where the newsroom keeps
/// them; no other site may frame a page and borrow its buttons.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src https: http: data:; \
    media-src https: http:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// As for all pages, and a script of ours.
pub(super) const SCRIPTED_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src https: http: data:; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// A copy may be kept, and is asked about each time: an edit or a retraction is seen at once.
const KEPT: HeaderValue = HeaderValue::from_static("no-cache");

/// Of another site only our origin is told; on pages whose address is a secret, nothing.
const REFERRER: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");

/// What a page says about itself.
pub(super) struct Head<'a> {
    /// Title of the page; empty on the home page, which bears the newsroom's alone.
    pub(super) title: &'a str,
    /// The language that it speaks itself.
    pub(super) ui: Language,
    /// BCP 47 tag of what it mostly holds.
    pub(super) language: &'a str,
    /// The address it is to be known by, if any.
    pub(super) canonical: Option<String>,
    /// A sentence or two for search engines and previews.
    pub(super) description: Option<&'a str>,
    /// The category it belongs to.
    pub(super) category: Option<&'a Category>,
    /// What is followed here, where it is not that category.
    pub(super) followed: Option<&'a Followed>,
    /// Is it an article and not the category's own page?
    pub(super) is_article: bool,
    /// May search engines list it?
    pub(super) is_indexed: bool,
}

impl<'a> Head<'a> {
    /// A page of the daemon's own that belongs into nobody's index: a form, an answer, a problem.
    pub(super) fn own(title: &'a str, ui: Language) -> Self {
        Head {
            title,
            ui,
            language: ui.tag(),
            canonical: None,
            description: None,
            category: None,
            followed: None,
            is_article: false,
            is_indexed: false,
        }
    }
}

/// `page` in the templates.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    language: &'a str,
    direction: &'static str,
    canonical: Option<String>,
    description: Option<&'a str>,
    /// Language and territory as Open Graph has them, where both are known: `en_GB`.
    locale: Option<String>,
    /// Address of its section's page.
    section: Option<String>,
    feeds: Vec<FeedLink>,
    is_home: bool,
    is_article: bool,
    is_indexed: bool,
}

/// `site` in the templates.
#[derive(Serialize)]
struct Masthead<'a> {
    title: &'a str,
    description: &'a str,
    language: &'a str,
    home: String,
    sections: Vec<Link>,
    feeds: Vec<FeedLink>,
    subscribe: String,
    outline: String,
    style: String,
}

/// The template `name` with the frame around `content`. Errors: the template has a mistake.
pub(super) fn page(
    app: &App,
    newsroom: &Newsroom,
    name: &str,
    head: Head<'_>,
    content: Value,
) -> Result<String, Problem> {
    let site = &newsroom.site;
    let of_category = head.category.map(|category| Followed::new(Selection::category(&category.slug), newsroom));
    let followed = head.followed.or(of_category.as_ref()).filter(|followed| !followed.selection.is_all());
    let mut all_feeds = feeds(site, followed);
    if followed.is_some() {
        all_feeds.extend(feeds(site, None));
    }
    let masthead = Masthead {
        title: &site.title,
        description: &site.description,
        language: &site.language,
        home: site.address(""),
        sections: newsroom.categories.iter().map(|category| Link::section(site, category)).collect(),
        feeds: feeds(site, None),
        subscribe: site.address("subscribe"),
        outline: site.address("opml.xml"),
        // A path, since the policy allows styles from the page's own origin alone: so a daemon that is looked at
        // under another name than its public one, through a tunnel for instance, is not bare.
        style: format!("{}assets/site.css?v={}", site.base_url.path(), app.templates.style_version()),
    };
    let page = Page {
        title: head.title,
        language: head.language,
        direction: direction(head.language),
        canonical: head.canonical,
        description: head.description,
        locale: locale(head.language),
        section: head.category.map(|category| site.category_page(Some(&category.slug))),
        feeds: all_feeds,
        is_home: head.title.is_empty(),
        is_article: head.is_article,
        is_indexed: head.is_indexed,
    };
    let frame = context! { site => Serde(&masthead), page => Serde(&page) };
    app.templates.render(head.ui, name, context! { ..frame, ..content })
}

fn locale(language: &str) -> Option<String> {
    let (primary, territory) = language.split_once('-')?;
    let is_territory = territory.len() == 2 && territory.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_territory.then(|| format!("{}_{}", primary.to_ascii_lowercase(), territory.to_ascii_uppercase()))
}

/// A page that anybody may keep and that is asked about again: `304` where the asker has it already (RFC 9110 §13.1.2).
/// Its ETag is a digest of the whole page, so it changes with the frame as well.
pub(super) fn kept(asked: &HeaderMap, html: String) -> Response {
    let etag = format!("\"{}\"", digest(html.as_bytes()));
    let is_known = has(asked, etag.as_bytes());
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { html_response(StatusCode::OK, html) };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, KEPT);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// A page for its reader alone: kept nowhere, listed nowhere, and its address told to nobody.
pub(super) fn private(status: StatusCode, html: String) -> Response {
    let mut response = html_response(status, html);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    response
}

/// The private page of a template of ours, in the language `ui` and under the message `heading`.
pub(super) fn own_page(
    app: &App,
    newsroom: &Newsroom,
    (status, ui): (StatusCode, Language),
    (template, heading): (&str, &str),
    content: Value,
) -> Result<Response, Problem> {
    Ok(private(status, page(app, newsroom, template, Head::own(&say(ui, heading), ui), content)?))
}

/// A line for a program, and for whoever looks at what it got.
pub(super) fn line(language: Language, text: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (CONTENT_LANGUAGE, HeaderValue::from_static(language.tag())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, format!("{text}\n")).into_response()
}

/// The same page, on which a script of ours may run.
pub(super) fn scripted(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, SCRIPTED_POLICY);
    response
}

/// A script of ours.
pub(super) fn javascript(script: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
        (CACHE_CONTROL, KEPT),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, script).into_response()
}

/// Tells search engines what `<meta name="robots">` tells them, for answers of any type.
pub(super) const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

fn html_response(status: StatusCode, html: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, REFERRER),
    ];
    (status, headers, html).into_response()
}

/// The same page at its right address, for good. `308` keeps the method, and is cached as the address is permanent.
pub(super) fn moved(address: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(address)
        .map_err(|_| Problem::new(Kind::Internal, format!("an address that no header can hold: {address}")))?;
    let kept = [(LOCATION, location), (CACHE_CONTROL, KEPT)];
    Ok((StatusCode::PERMANENT_REDIRECT, kept).into_response())
}

/// Path segments, however they are encoded.
pub(super) type Segments<T> = Result<Path<T>, PathRejection>;

/// The segments, or [`Kind::NotFound`]: a path that is no text names nothing here.
pub(super) fn segments<T>(segments: Segments<T>) -> Result<T, Problem> {
    segments.map(|Path(segments)| segments).map_err(|_| nothing_here())
}

/// [`Kind::NotFound`], said plainly.
pub(super) fn nothing_here() -> Problem {
    Problem::new(Kind::NotFound, "there is no page at this address")
}

/// The message `id` in `language`, for titles.
pub(super) fn say(language: Language, id: &str) -> String {
    Catalogue::of(language).text(id, &[])
}
