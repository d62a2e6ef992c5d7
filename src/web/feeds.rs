//! Feeds as HTTP: the shortest path from a request to prepared bytes. Conditional requests by RFC 9110 §13.

use super::App;
use super::problem::ApiProblem;
use crate::services::feeds::{Built, Coding, Feed, Representation};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http_body_util::{Either, Full};
use std::sync::Arc;

/// What every answer's body is: prepared bytes, or whatever a page or the API makes.
pub(super) type Body = Either<Full<Bytes>, axum::body::Body>;

/// A cache may keep a feed, and has to ask each time: what a `201` acknowledged stands in the very next answer.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");
/// A feed is data: opened in a browser, nothing in it runs.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'self'");

/// Answers a GET or HEAD of `feed`.
pub(super) async fn serve(app: &App, feed: &Arc<Feed>, request: &Parts) -> Response<Body> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return method_not_allowed();
    }
    let takes_gzip = request.headers.get(header::ACCEPT_ENCODING).is_some_and(takes_gzip);
    let coding = if takes_gzip { Coding::Gzip } else { Coding::Identity };
    match app.feeds.current(feed, coding).await {
        Ok(built) => answer(&built, coding, &request.headers, app.clock.now().timestamp()),
        Err(problem) => ApiProblem(problem).into_response().map(Either::Right),
    }
}

fn method_not_allowed() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn answer(built: &Built, coding: Coding, request: &HeaderMap, now_s: i64) -> Response<Body> {
    let (chosen, coding) = built.ready(coding).map_or((&built.identity, Coding::Identity), |chosen| (chosen, coding));
    let is_known = is_known(built, chosen, request, now_s);
    let body = if is_known { Bytes::new() } else { chosen.body.clone() };
    let mut response = Response::new(Either::Left(Full::new(body)));
    let headers = response.headers_mut();
    headers.reserve(9);
    put(headers, header::ETAG, &chosen.etag);
    // A second change may still come in this very second, so until it is over the date proves nothing (§8.8.2.2).
    if built.modified_s < now_s {
        put(headers, header::LAST_MODIFIED, &built.modified);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(built.media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if coding == Coding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.clone()) {
        headers.insert(name, value);
    }
}

/// Does the client have these bytes already? `If-None-Match` decides where it is given, else the date.
fn is_known(built: &Built, chosen: &Representation, request: &HeaderMap, now_s: i64) -> bool {
    let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.any(|list| matches(list, &chosen.etag));
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let Some(since) = since.and_then(|text| httpdate::parse_http_date(text).ok()) else { return false };
    let since_s = since.duration_since(std::time::UNIX_EPOCH).map_or(i64::MIN, |since| since.as_secs().cast_signed());
    built.modified_s <= since_s && built.modified_s < now_s
}

/// Weak comparison (§8.8.3.2) of each tag in a list. Our tags hold no comma, so a split at commas finds them.
fn matches(list: &HeaderValue, etag: &[u8]) -> bool {
    list.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
        let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
        tag == etag || tag == b"*"
    })
}

/// Is gzip acceptable (RFC 9110 §12.5.3)? Its own weight counts before that of `*`.
fn takes_gzip(accept: &HeaderValue) -> bool {
    let Ok(accept) = accept.to_str() else { return false };
    let mut star = false;
    for part in accept.split(',') {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), |q| q.trim().parse::<f32>());
        let wanted = weight.is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            gzip if gzip.eq_ignore_ascii_case("gzip") || gzip.eq_ignore_ascii_case("x-gzip") => return wanted,
            "*" => star = wanted,
            _ => {}
        }
    }
    star
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_who_takes_it() {
        for (accept, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("*", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("identity, gzip; q=0.000", false),
        ] {
            assert_eq!(takes_gzip(&HeaderValue::from_static(accept)), expected, "{accept}");
        }
    }

    #[test]
    fn a_tag_is_found_in_any_list() {
        for (list, expected) in
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("a", false)]
        {
            assert_eq!(matches(&HeaderValue::from_static(list), b"\"a\""), expected, "{list}");
        }
    }
}
