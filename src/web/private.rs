//! A subscription as a feed of its owner's own: the public feed of its selection, under an address that can be revoked, and
//! without its hub: whoever reads it is nobody else's business.

use super::App;
use super::feeds::{Answer, Asked, Choice};
use super::frame::ROBOTS;
use super::problem::ApiProblem;
use crate::domain::{Kind, Problem};
use crate::services::feeds::{Built, Coding, Found, Name};
use crate::wire::Format;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use std::sync::Arc;

/// A cache on the way keeps it for nobody; the reader's own asks again each time.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// `GET /subscriptions/{token}/rss.xml` and its sisters.
pub(super) async fn feed(
    State(app): State<Arc<App>>,
    Path((token, file)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiProblem> {
    let unknown = || Problem::new(Kind::NotFound, "there is no feed at this address");
    let format = Format::from_file_name(&file).ok_or_else(unknown)?;
    let subscription = app.subscriptions.feed(&token)?;
    let path = Name::newest(subscription.selection, format).path();
    let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
    let Found::Feed(feed) = app.feeds.open(&format!("/{path}"), query).ok_or_else(unknown)?? else {
        return Err(unknown().into());
    };
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts).ok_or_else(unknown)?;
    let built = Built::private(&app.feeds.current(&feed, Coding::Identity).await?);
    app.feeds.pack(&built, asked.wanted().codings()).await?;
    let now_s = app.clock.now().timestamp();
    let choice = Choice::of(&asked, &built, now_s)
        .ok_or_else(|| Problem::new(Kind::Internal, "a feed was packed and is not there"))?;
    let mut response = Answer::new(choice, &built, now_s).into_response().map(axum::body::Body::new);
    response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response.headers_mut().insert(ROBOTS, HeaderValue::from_static("noindex"));
    Ok(response)
}
