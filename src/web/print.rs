//! An article for paper: no navigation, link targets as numbered notes, its source and date on it.

use super::App;
use super::frame::{ROBOTS, Segments, kept, page, segments};
use super::mishap::PageProblem;
use super::pages::{head_of, public_article};
use super::view::Story;
use crate::wire::html::notes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use std::sync::Arc;

/// `/articles/{id}/print`. Search engines are told to list the article instead.
pub(super) async fn print(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    asked: HeaderMap,
) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load_full();
    let article = public_article(&app.store, &segments(path)?)?;
    let (body, targets) = match &article.content.body {
        Some(body) => {
            let (html, targets) = notes(&body.html);
            (Some(html), targets)
        }
        None => (None, Vec::new()),
    };
    let content = context! { article => Serde(Story::new(&article, body, &newsroom)), notes => targets };
    let html = page(&app, &newsroom, "print.html", head_of(&article, &newsroom, None), content)?;
    let mut response = kept(&asked, html);
    response.headers_mut().insert(ROBOTS, HeaderValue::from_static("noindex"));
    Ok(response)
}
