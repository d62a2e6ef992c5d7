//! `/preview/{pass}`: every kind of mail in every language, for who edits its templates. The pass is signed and works for an
//! hour; the operator has it from `tidings mail preview`. Nothing here changes anything.

use super::App;
use super::frame::{Segments, line, nothing_here, private, segments};
use super::mishap::PageProblem;
use super::pages::{parameter, public_article};
use crate::domain::{ArticleId, Kind, Language, MailKind, Problem, Time};
use crate::services::mailer::Wish;
use crate::wire::locale::{Catalogue, When};
use crate::wire::mail::{HTML_BYTES_MAX, Pass, Templates, parts};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::Duration;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use std::sync::Arc;
use url::form_urlencoded;

/// Long enough to change a template some times and look again.
const WORKS_FOR: Duration = Duration::hours(1);

/// The page frames what is below its own address, and nothing else.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; frame-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// A mail brings its styles along, as in a mailbox; it runs nothing, sends nothing, and is framed by us alone.
const MAIL_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'self'",
);

/// An address that shows the mails for an hour, about `article` if one is named; and until when it works.
pub(super) fn address(app: &App, article: Option<&ArticleId>) -> (String, Time) {
    let until = app.clock.now() + WORKS_FOR;
    let pass = Pass { until }.seal(&app.store.identity().secret);
    let address = app.newsroom.load().site.address(&format!("preview/{pass}{}", query(article)));
    (address, until)
}

/// `GET /preview/{pass}`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, PageProblem> {
    let text = segments(path)?;
    let pass = opened(&app, &text)?;
    let article = chosen(&app, asked.as_deref())?;
    let base = app.newsroom.load().site.base_url.path().to_owned();
    let id = article.as_ref().map(|article| &article.id);
    let (templates, mistakes) = match app.mailer.tried_templates().await {
        Ok(templates) => (Some(templates), None),
        Err(problem) if problem.kind == Kind::Invalid => (None, Some(problem.detail)),
        Err(problem) => return Err(problem.into()),
    };
    let shown = |templates: &Arc<Templates>| {
        MailKind::ALL
            .into_iter()
            .map(|kind| {
                let src = |language: Language| {
                    format!("{base}preview/{text}/{}/{}{}", kind.word(), language.tag(), query(id))
                };
                let wish = |language| Wish { kind, language, article: id };
                let mail = |language| ShownMail::new(&app, templates, &wish(language), src(language));
                Shown { word: kind.word(), mails: Language::ALL.map(mail).into() }
            })
            .collect::<Vec<_>>()
    };
    let kinds = templates.as_ref().map(shown).unwrap_or_default();
    let newsroom = app.newsroom.load();
    let zone = app.subscriptions.standard().zone.time_zone();
    let content = context! {
        newsroom => newsroom.site.title.as_str(),
        article => article.map(|article| article.content.title),
        until => When::new(pass.until, &zone).moment(Catalogue::of(Language::English)),
        style => format!("{base}assets/site.css?v={}", app.templates.style_version()),
        html_bytes_max => HTML_BYTES_MAX,
        kinds => Serde(&kinds),
        mistakes => mistakes.as_deref(),
    };
    let html = app.templates.render(Language::English, "preview.html", content)?;
    let status = if mistakes.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = private(status, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    Ok(response)
}

/// `GET /preview/{pass}/{kind}/{language}`: the HTML part of one.
pub(super) async fn part(
    State(app): State<Arc<App>>,
    path: Segments<(String, String, String)>,
    RawQuery(asked): RawQuery,
) -> Result<Response, PageProblem> {
    let (pass, kind, language) = segments(path)?;
    opened(&app, &pass)?;
    let kind = MailKind::parse("kind", &kind).map_err(|_| nothing_here())?;
    let language = Language::parse("language", &language).map_err(|_| nothing_here())?;
    let article = chosen(&app, asked.as_deref())?;
    let wish = Wish { kind, language, article: article.as_ref().map(|article| &article.id) };
    let templates = match app.mailer.tried_templates().await {
        Ok(templates) => templates,
        Err(problem) if problem.kind == Kind::Invalid => {
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, line(Language::English, &problem.detail)).into_response());
        }
        Err(problem) => return Err(problem.into()),
    };
    let mut response = private(StatusCode::OK, parts(&app.mailer.specimen(&wish, &templates)?)?.html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, MAIL_POLICY);
    Ok(response)
}

/// Errors: [`Kind::NotFound`] for what is no pass, [`Kind::Gone`] for one whose time is over.
fn opened(app: &App, text: &str) -> Result<Pass, Problem> {
    let pass = Pass::open(text, &app.store.identity().secret).ok_or_else(nothing_here)?;
    if app.clock.now() > pass.until {
        return Err(Problem::new(Kind::Gone, "this address worked for an hour; `tidings mail preview` makes another"));
    }
    Ok(pass)
}

/// The article that was asked for, if one was. Errors: as for [`public_article`].
fn chosen(app: &App, query: Option<&str>) -> Result<Option<crate::domain::Article>, Problem> {
    let id = query.and_then(|query| parameter(query, "article"));
    id.map(|id| public_article(&app.store, &id)).transpose()
}

fn query(article: Option<&ArticleId>) -> String {
    article.map_or_else(String::new, |id| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("?{}", query.append_pair("article", id.as_str()).finish())
    })
}

/// A kind of mail on the page.
#[derive(Serialize)]
struct Shown {
    word: &'static str,
    mails: Vec<ShownMail>,
}

/// A mail on the page.
#[derive(Serialize, Default)]
struct ShownMail {
    tag: &'static str,
    language: String,
    src: String,
    subject: String,
    head: String,
    text: String,
    bytes: usize,
    html_bytes: usize,
    /// Why it cannot be made, if so.
    fault: Option<String>,
}

impl ShownMail {
    fn new(app: &App, templates: &Arc<Templates>, wish: &Wish<'_>, src: String) -> Self {
        let tag = wish.language.tag();
        let language = Catalogue::of(wish.language).text("language-name", &[]);
        let made = app
            .mailer
            .specimen(wish, templates)
            .and_then(|bytes| Ok((bytes.len(), parts(&bytes).map_err(Problem::from)?)));
        match made {
            Ok((bytes, parts)) => ShownMail {
                tag,
                language,
                src,
                bytes,
                html_bytes: parts.html.len(),
                subject: parts.subject,
                head: parts.head,
                text: parts.text,
                fault: None,
            },
            Err(problem) => ShownMail { tag, language, src, fault: Some(problem.to_string()), ..ShownMail::default() },
        }
    }
}
